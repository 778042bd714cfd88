"""Near copies: what a forger makes of a stamp, one thing changed and all else kept."""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from platemark.synth.emblems import SYMBOLS
from platemark.synth.stamps.elements import Element, Figure, Frame, Hatching, Ring
from platemark.synth.stamps.glyphs import StampFonts
from platemark.synth.stamps.lettering import Lettering, RingText, StraightText, TextExtent, measure
from platemark.synth.stamps.phrases import Language

Elements = tuple[Element, ...]
Text = RingText | StraightText

_SMALLEST = 0.75  # of a text's size, to make room for an accent or a descender
_SLACK = 0.05  # of a text's size by which it may grow in its band
_VISIBLE = 0.028  # of the stamp's longer side: what is smaller is not seen on a common scan
_TRIES = 4  # a letter may be chosen that its font lacks or its band has no room for
_SIDED = (
    "ship", "bird", "fish", "horse", "lion", "key", "flag", "signature", "barcode", "matrix",
    "blob", "mountain",
)  # fmt: skip
_LETTER = r"[^\W\d_]"
_WORD = re.compile(r"[^\W\d_]{2,}")


def changed(
    elements: Elements,
    language: Language,
    fonts: StampFonts,
    longer: float,
    rng: np.random.Generator,
) -> Elements:
    """The elements with one thing changed: a letter, a digit, a word, an emblem, a line.

    Args:
        elements: of the design.
        language: of its texts.
        fonts: the fonts it is lettered with.
        longer: its longer side (mm); what is tiny beside it is left alone where there is a choice.
        rng: chooses what is changed.

    Raises:
        ValueError: There is nothing in them that could be changed.
    """
    weights = np.array([share for _, share in _CHANGES])
    order = rng.choice(len(_CHANGES), len(_CHANGES), replace=False, p=weights / weights.sum())
    for least in _TRIES * (_VISIBLE * longer,) + _TRIES * (0.0,):
        forgery = _Forgery(elements, language, fonts, least, rng)
        for index in order:
            change, _ = _CHANGES[int(index)]
            made = change(forgery)
            if made is not None and made != elements:
                return made
    raise ValueError("nothing in this design can be changed: it has no text, emblem or line")


@dataclass(frozen=True)
class _Forgery:
    """Ways to change a design; each gives the changed elements, or None where it does not apply."""

    elements: Elements
    language: Language
    fonts: StampFonts
    least: float
    rng: np.random.Generator

    def letter(self) -> Elements | None:
        """One letter for another of its script and case."""
        picked = self._place(_LETTER)
        if picked is None:
            return None
        index, element, at = picked
        old = element.text[at]
        others = [
            char
            for char in self.language.alphabet
            if char != old and char.isupper() == old.isupper() and _script(char) == _script(old)
        ]
        return self._spelt(index, element, at, 1, str(self.rng.choice(others))) if others else None

    def digit(self) -> Elements | None:
        """One digit for another."""
        picked = self._place(r"[0-9]")
        if picked is None:
            return None
        index, element, at = picked
        return self._spelt(
            index, element, at, 1, str((int(element.text[at]) + 1 + self._die(9)) % 10)
        )

    def number(self) -> Elements | None:
        """All digits of one text replaced."""
        picked = self._place(r"[0-9][0-9]")
        if picked is None:
            return None
        index, element, _ = picked
        text = re.sub(r"[0-9]", lambda _: str(self.rng.integers(10)), element.text)
        return self._retyped(index, element, text)

    def swapped(self) -> Elements | None:
        """Two neighbouring characters exchanged."""
        picked = self._place(r"(?=(\w)(?!\1)\w)")
        if picked is None:
            return None
        index, element, at = picked
        return self._spelt(index, element, at, 2, element.text[at + 1] + element.text[at])

    def lost(self) -> Elements | None:
        """A character left out, or doubled."""
        picked = self._place(r"\w(?=\w\w)")
        if picked is None:
            return None
        index, element, at = picked
        return self._spelt(index, element, at, 1, element.text[at] * 2 * self._die(2))

    def word(self) -> Elements | None:
        """A name, a town or a whole office word exchanged for another of its list."""
        for index, element in self._shuffled(self._texts(_LETTER)):
            whole = self.language.other(element.text, self.rng)
            if whole is not None:
                return self._retyped(index, element, whole)
            for match in _WORD.finditer(element.text):
                other = self.language.other(match[0], self.rng)
                if other is not None:
                    return self._spelt(index, element, match.start(), len(match[0]), other)
        return None

    def emblem(self) -> Elements | None:
        """Another emblem, or another of the same name; separators change together."""
        found = self._emblems()
        if not found:
            return None
        _, old = found[self._die(len(found))]
        others = [name for name in SYMBOLS if name not in (old.name, "plain-star")]
        another = old.name == "plain-star" or (old.name in SYMBOLS and self.rng.random() < 0.6)
        name = str(self.rng.choice(others)) if another else old.name
        variant = int(self.rng.integers(1 << 16))
        elements = self.elements
        for index, emblem in found:
            if _alike(emblem, old):
                # a star leaves room under its arms that other emblems would fill
                size = round(emblem.size * (0.8 if old.name == "plain-star" else 1.0), 3)
                other = replace(emblem, name=name, variant=variant, size=size)
                elements = _put(elements, index, other)
        return elements

    def fewer(self) -> Elements | None:
        """One star or dot less where there are several alike."""
        found = self._emblems()
        several = [i for i, one in found if sum(_alike(one, other) for _, other in found) > 1]
        return _without(self.elements, int(self.rng.choice(several))) if several else None

    def mirrored(self) -> Elements | None:
        """An emblem exchanged for its mirror image."""
        found = [(index, emblem) for index, emblem in self._emblems() if emblem.name in _SIDED]
        if not found:
            return None
        index, emblem = found[self._die(len(found))]
        return _put(self.elements, index, replace(emblem, mirror=not emblem.mirror))

    def reordered(self) -> Elements | None:
        """Two texts of about one length exchanged."""
        found = self._shuffled(self._texts("."))
        for place, (first, one) in enumerate(found):
            for second, two in found[place + 1 :]:
                short, long = sorted((len(one.text), len(two.text)))
                if type(one) is not type(two) or long > 2 * short:
                    continue
                half = self._retyped(first, one, two.text)
                made = half and replace(self, elements=half)._retyped(second, two, one.text)
                if made:
                    return made
        return None

    def font(self) -> Elements | None:
        """Another font for every text that had one font."""
        texts = [(i, e) for i, e in enumerate(self.elements) if isinstance(e, Text)]
        if not texts:
            return None
        old = texts[self._die(len(texts))][1].lettering.face
        alike = [(index, element) for index, element in texts if element.lettering.face == old]
        faces = self.fonts.covering("".join(element.text for _, element in alike))
        others = [face.name for face in faces if face.name != old]
        if not others:
            return None
        new = str(self.rng.choice(others))
        elements: Elements | None = self.elements
        for index, element in alike:
            lettering = replace(element.lettering, face=new)
            elements = elements and replace(self, elements=elements)._reset(
                index, element, element.text, lettering
            )
        return elements

    def line(self) -> Elements | None:
        """A line inside the border dashed, or left out."""
        found = [i for i, e in enumerate(self.elements) if isinstance(e, Ring | Frame | Hatching)]
        if len(found) < 2:
            return None
        index = int(self.rng.choice(found[1:]))
        element = self.elements[index]
        if isinstance(element, Ring) and element.style == "plain" and self.rng.random() < 0.5:
            return _put(self.elements, index, replace(element, style="dashed"))
        return _without(self.elements, index)

    def _die(self, sides: int) -> int:
        return int(self.rng.integers(sides))

    def _texts(self, pattern: str) -> list[tuple[int, Text]]:
        return [
            (index, element)
            for index, element in enumerate(self.elements)
            if isinstance(element, Text)
            and not element.date
            and element.lettering.size >= self.least
            and re.search(pattern, element.text)
        ]

    def _emblems(self) -> list[tuple[int, Figure]]:
        return [
            (index, element)
            for index, element in enumerate(self.elements)
            if isinstance(element, Figure) and 2 * element.size >= self.least
        ]

    def _shuffled(self, found: list[tuple[int, Text]]) -> list[tuple[int, Text]]:
        return [found[index] for index in self.rng.permutation(len(found)).tolist()]

    def _place(self, pattern: str) -> tuple[int, Text, int] | None:
        """A text and where in it a pattern is found."""
        found = self._texts(pattern)
        if not found:
            return None
        index, element = found[self._die(len(found))]
        starts = [match.start() for match in re.finditer(pattern, element.text)]
        return index, element, int(self.rng.choice(starts))

    def _spelt(
        self, index: int, element: Text, at: int, count: int, letters: str
    ) -> Elements | None:
        text = element.text[:at] + letters + element.text[at + count :]
        return self._retyped(index, element, text)

    def _retyped(self, index: int, element: Text, text: str) -> Elements | None:
        return self._reset(index, element, text, element.lettering)

    def _reset(self, index: int, element: Text, text: str, lettering: Lettering) -> Elements | None:
        """One text set again, smaller where it would stand out of its band."""
        if not text.strip() or not self.fonts.faces[lettering.face].covers(text):
            return None
        old = measure(element.text, element.lettering, self.fonts)
        shrink = _shrink(element, old, measure(text, lettering, self.fonts))
        if shrink < _SMALLEST:
            return None
        if shrink < 1:
            lettering = replace(lettering, size=round(lettering.size * shrink, 3))
        return _put(self.elements, index, replace(element, text=text, lettering=lettering))


def _shrink(element: Text, old: TextExtent, new: TextExtent) -> float:
    """By what a new text must be scaled to stay within the old one's height."""
    size = element.lettering.size
    slack = _SLACK * size
    # letters on a ring keep their middle, those of a line their baseline
    half = size / 2 if isinstance(element, RingText) else 0.0
    above = (old.above - half + slack) / max(new.above - half, 1e-6)
    below = (old.below + half + slack) / max(new.below + half, 1e-6)
    return min(1.0, above, below)


def _script(char: str) -> str:
    """Whether a character is a Latin, Cyrillic, Greek ... letter; empty for other characters."""
    return unicodedata.name(char, "").split(" ")[0] if char.isalpha() else ""


def _put(elements: Elements, index: int, element: Element) -> Elements:
    return (*elements[:index], element, *elements[index + 1 :])


def _without(elements: Elements, index: int) -> Elements:
    return (*elements[:index], *elements[index + 1 :])


def _alike(one: Figure, other: Figure) -> bool:
    return (one.name, one.variant, one.size) == (other.name, other.variant, other.size)


_CHANGES: tuple[tuple[Callable[[_Forgery], Elements | None], float], ...] = (
    (_Forgery.letter, 0.22),
    (_Forgery.digit, 0.14),
    (_Forgery.number, 0.1),
    (_Forgery.swapped, 0.1),
    (_Forgery.lost, 0.06),
    (_Forgery.word, 0.14),
    (_Forgery.emblem, 0.09),
    (_Forgery.fewer, 0.03),
    (_Forgery.mirrored, 0.02),
    (_Forgery.reordered, 0.03),
    (_Forgery.font, 0.04),
    (_Forgery.line, 0.03),
)
