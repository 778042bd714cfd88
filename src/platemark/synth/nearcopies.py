"""Near copies: what a forger makes of a stamp, one thing changed and all else kept."""

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from platemark.synth.elements import Element, Figure, Frame, Hatching, Ring
from platemark.synth.emblems import SYMBOLS
from platemark.synth.phrases import Language
from platemark.synth.stampfonts import StampFonts, is_joining
from platemark.synth.stamptext import RingText, StraightText, measure

Rng = np.random.Generator
Elements = tuple[Element, ...]
Change = Callable[[Elements, Language, StampFonts, Rng], Elements | None]
Text = RingText | StraightText

_SMALLEST = 0.75  # of a text's size, to make room for an accent or a descender
_SIDED = (
    "ship", "bird", "fish", "horse", "lion", "key", "flag", "signature", "barcode", "matrix",
    "blob", "mountain",
)  # fmt: skip
_WORD = re.compile(r"[^\W\d_]{2,}")


def changed(elements: Elements, language: Language, fonts: StampFonts, rng: Rng) -> Elements:
    """The elements with one thing changed: a letter, a digit, a word, an emblem, a line.

    Raises:
        ValueError: There is nothing in them that could be changed.
    """
    weights = np.array([share for _, share in _CHANGES])
    for index in rng.choice(len(_CHANGES), len(_CHANGES), replace=False, p=weights / weights.sum()):
        made = _CHANGES[int(index)][0](elements, language, fonts, rng)
        if made is not None and made != elements:
            return made
    raise ValueError("nothing in this design can be changed: it has no text, emblem or line")


def _put(elements: Elements, index: int, element: Element) -> Elements:
    return (*elements[:index], element, *elements[index + 1 :])


def _texts(elements: Elements, pattern: str) -> list[int]:
    return [
        index
        for index, element in enumerate(elements)
        if isinstance(element, Text) and not element.date and re.search(pattern, element.text)
    ]


def _with_text(elements: Elements, index: int, text: str, fonts: StampFonts) -> Elements | None:
    """The elements with one text exchanged; smaller where it would stand out of its band."""
    element = elements[index]
    assert isinstance(element, Text)
    if text == element.text or not fonts.faces[element.look.face].covers(text):
        return None
    old, new = (measure(each, element.look, fonts) for each in (element.text, text))
    shrink = min(
        1.0, *(a / b for a, b in ((old.above, new.above), (old.below, new.below)) if b > 0)
    )
    if shrink < _SMALLEST:
        return None
    look = element.look
    if shrink < 1:
        look = replace(look, size=round(look.size * shrink, 3))
    return _put(elements, index, replace(element, text=text, look=look))


def _another_character(
    elements: Elements, fonts: StampFonts, rng: Rng, pattern: str, pool: Callable[[str], list[str]]
) -> Elements | None:
    found = _texts(elements, pattern)
    if not found:
        return None
    index = int(rng.choice(found))
    element = elements[index]
    assert isinstance(element, Text)
    places = [match.start() for match in re.finditer(pattern, element.text)]
    place = int(rng.choice(places))
    others = [char for char in pool(element.text[place]) if char != element.text[place]]
    if not others:
        return None
    text = element.text[:place] + str(rng.choice(others)) + element.text[place + 1 :]
    return _with_text(elements, index, text, fonts)


def _letter(elements: Elements, language: Language, fonts: StampFonts, rng: Rng) -> Elements | None:
    def alike(char: str) -> list[str]:
        return [
            other
            for other in language.alphabet
            if other.isalpha()
            and other.isupper() == char.isupper()
            and is_joining(other) == is_joining(char)
            and _block(other) == _block(char)
        ]

    return _another_character(elements, fonts, rng, r"[^\W\d_]", alike)


def _block(char: str) -> int:
    """A coarse script of a letter: Latin, Greek, Cyrillic, Chinese."""
    code = ord(char)
    return (
        next((i for i, end in enumerate((0x370, 0x400, 0x530, 0x1E00, 0x2000)) if code < end), 9)
        % 3
    )


def _digit(elements: Elements, language: Language, fonts: StampFonts, rng: Rng) -> Elements | None:
    return _another_character(elements, fonts, rng, r"[0-9]", lambda _: list("0123456789"))


def _number(elements: Elements, language: Language, fonts: StampFonts, rng: Rng) -> Elements | None:
    """All digits of one number anew."""
    found = _texts(elements, r"[0-9]{2,}")
    if not found:
        return None
    index = int(rng.choice(found))
    element = elements[index]
    assert isinstance(element, Text)
    text = re.sub(r"[0-9]", lambda _: str(rng.integers(10)), element.text)
    return _with_text(elements, index, text, fonts)


def _swapped(
    elements: Elements, language: Language, fonts: StampFonts, rng: Rng
) -> Elements | None:
    """Two neighbouring characters exchanged."""
    found = _texts(elements, r"(\w)(?!\1)\w")
    if not found:
        return None
    index = int(rng.choice(found))
    element = elements[index]
    assert isinstance(element, Text)
    places = [match.start() for match in re.finditer(r"(?=(\w)(?!\1)\w)", element.text)]
    at = int(rng.choice(places))
    text = element.text[:at] + element.text[at + 1] + element.text[at] + element.text[at + 2 :]
    return _with_text(elements, index, text, fonts)


def _lost(elements: Elements, language: Language, fonts: StampFonts, rng: Rng) -> Elements | None:
    """A letter left out, or doubled."""
    found = _texts(elements, r"\w{3,}")
    if not found:
        return None
    index = int(rng.choice(found))
    element = elements[index]
    assert isinstance(element, Text)
    places = [match.start() for match in re.finditer(r"\w", element.text)]
    at = int(rng.choice(places))
    kept = element.text[at] * 2 if rng.random() < 0.4 else ""
    return _with_text(elements, index, element.text[:at] + kept + element.text[at + 1 :], fonts)


def _word(elements: Elements, language: Language, fonts: StampFonts, rng: Rng) -> Elements | None:
    """A name, a town or a whole office word exchanged for another."""
    found = _texts(elements, _WORD.pattern)
    for index in rng.permutation(found).tolist() if found else []:
        element = elements[index]
        assert isinstance(element, Text)
        whole = language.other(element.text, rng)
        if whole is not None:
            return _with_text(elements, index, whole, fonts)
        for match in _WORD.finditer(element.text):
            other = language.other(match[0], rng)
            if other is not None:
                text = element.text[: match.start()] + other + element.text[match.end() :]
                return _with_text(elements, index, text, fonts)
    return None


def _figures(elements: Elements) -> list[tuple[int, Figure]]:
    return [(i, element) for i, element in enumerate(elements) if isinstance(element, Figure)]


def _chosen(found: list[tuple[int, Figure]], rng: Rng) -> tuple[int, Figure] | None:
    return found[int(rng.integers(len(found)))] if found else None


def _alike(one: Figure, other: Figure) -> bool:
    return (one.name, one.variant, one.size) == (other.name, other.variant, other.size)


def _emblem(elements: Elements, language: Language, fonts: StampFonts, rng: Rng) -> Elements | None:
    """Another emblem, or another of the same name; separators change together."""
    found = _figures(elements)
    picked = _chosen(found, rng)
    if picked is None:
        return None
    _, old = picked
    others = [name for name in SYMBOLS if name not in (old.name, "plain-star")]
    another = old.name == "plain-star" or (old.name in SYMBOLS and rng.random() < 0.6)
    name = str(rng.choice(others)) if another else old.name
    variant = int(rng.integers(1 << 16))
    for index, figure in found:
        if _alike(figure, old):
            elements = _put(elements, index, replace(figure, name=name, variant=variant))
    return elements


def _fewer(elements: Elements, language: Language, fonts: StampFonts, rng: Rng) -> Elements | None:
    """One star or dot less where there are several alike."""
    found = _figures(elements)
    several = [pair for pair in found if sum(_alike(pair[1], other) for _, other in found) > 1]
    picked = _chosen(several, rng)
    return picked and (*elements[: picked[0]], *elements[picked[0] + 1 :])


def _mirror(elements: Elements, language: Language, fonts: StampFonts, rng: Rng) -> Elements | None:
    """An emblem exchanged for its mirror image."""
    picked = _chosen([pair for pair in _figures(elements) if pair[1].name in _SIDED], rng)
    if picked is None:
        return None
    index, figure = picked
    return _put(elements, index, replace(figure, mirror=not figure.mirror))


def _reordered(
    elements: Elements, language: Language, fonts: StampFonts, rng: Rng
) -> Elements | None:
    """The texts of two lines of one kind exchanged."""
    for kind in (StraightText, RingText):
        found = [i for i in _texts(elements, ".") if type(elements[i]) is kind]
        if len(found) < 2:
            continue
        first, second = (int(i) for i in rng.choice(found, 2, replace=False))
        one, two = elements[first], elements[second]
        assert isinstance(one, Text)
        assert isinstance(two, Text)
        if len(one.text) > 2 * len(two.text) or len(two.text) > 2 * len(one.text):
            continue
        swapped = _with_text(elements, first, two.text, fonts)
        return swapped and _with_text(swapped, second, one.text, fonts)
    return None


def _font(elements: Elements, language: Language, fonts: StampFonts, rng: Rng) -> Elements | None:
    """Another font for every text that had one font."""
    found = [element.look.face for element in elements if isinstance(element, Text)]
    if not found:
        return None
    old = str(rng.choice(found))
    alphabet = "".join(e.text for e in elements if isinstance(e, Text) and e.look.face == old)
    others = [face.name for face in fonts.covering(alphabet) if face.name != old]
    if not others:
        return None
    new = str(rng.choice(others))
    return tuple(
        replace(e, look=replace(e.look, face=new))
        if isinstance(e, Text) and e.look.face == old
        else e
        for e in elements
    )


def _line(elements: Elements, language: Language, fonts: StampFonts, rng: Rng) -> Elements | None:
    """A line inside the border dashed, or left out."""
    rings = [i for i, e in enumerate(elements) if isinstance(e, Ring | Frame | Hatching)][1:]
    if not rings:
        return None
    index = int(rng.choice(rings))
    element = elements[index]
    if isinstance(element, Ring) and element.style == "plain" and rng.random() < 0.5:
        return _put(elements, index, replace(element, style="dashed"))
    return (*elements[:index], *elements[index + 1 :])


_CHANGES: tuple[tuple[Change, float], ...] = (
    (_letter, 0.22),
    (_digit, 0.14),
    (_number, 0.1),
    (_swapped, 0.1),
    (_lost, 0.06),
    (_word, 0.14),
    (_emblem, 0.09),
    (_fewer, 0.03),
    (_mirror, 0.02),
    (_reordered, 0.03),
    (_font, 0.04),
    (_line, 0.03),
)
