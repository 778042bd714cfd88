"""The notation of plate formats: patterns of texts, and rows of plates with their layout marks.

Patterns are written without spaces and dashes:

===========  ==========================================================
``@``        one letter of the format's alphabet
``#``        one digit
``[ABC]``    one character of the set; ranges as in ``[A-Z0-9]``
``(x)``      ``x`` is optional
``{m,n}``    the character before it m to n times (``{m}``: m times)
``%``        one of the format's prefixes, such as its district codes
anything     itself
===========  ==========================================================

The rows of a drawing add layout marks, which are rendered but are no part of the text: space (group
gap), ``-`` (dash), ``.`` (dot), ``*`` (seal or emblem between groups) and ``|`` (what follows
stands in a separate field at the right).
"""

import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

_LATIN = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_DIGITS = "0123456789"

ALPHABETS: Mapping[str, str] = {
    "LATIN": _LATIN,
    # Glyphs common to Latin and Ukrainian/Belarusian Cyrillic, and the Russian set.
    "CYR12": "ABCEHIKMOPTX",
    "RU12": "ABCEHKMOPTXY",
    # The Soviet letters as `normalise` writes them: Latin where the shape is the same.
    "SU": "ABГДEЖЗИKЛMHOПPCTYФXЦЧШЩЭЮЯ",
    "ESCONS": "BCDFGHJKLMNPRSTVWXYZ",
}
"""Named letter sets; ``LATIN-noIO`` (any letters after ``no``) and ``LATIN+ÄÖ`` work as well."""

TokenKind = Literal["char", "gap", "dash", "dot", "emblem", "field"]
_MARKS: Mapping[str, TokenKind] = {
    " ": "gap",
    "-": "dash",
    ".": "dot",
    "*": "emblem",
    "|": "field",
}


@dataclass(frozen=True)
class RowToken:
    """One thing in a row, from left to right; `char` is filled for the kind ``char`` alone.

    After the kind ``field`` the rest of the row stands in the separate field at the right.
    """

    kind: TokenKind
    char: str = ""


class NotationError(ValueError):
    """A pattern or row that cannot be understood."""


@dataclass(frozen=True)
class Shape:
    """Texts of one length.

    Attributes:
        places: What may stand at each place.
        words: Where a prefix stands, and which words of that length may stand there.
    """

    places: tuple[frozenset[str], ...]
    words: tuple[tuple[int, frozenset[str]], ...] = ()

    def __add__(self, other: "Shape") -> "Shape":
        """Texts of this shape, each followed by one of the other."""
        moved = tuple((len(self.places) + start, words) for start, words in other.words)
        return Shape(self.places + other.places, self.words + moved)

    @property
    def count(self) -> int:
        """The number of its texts."""
        count = math.prod(map(len, self.places))
        for start, words in self.words:
            length = len(next(iter(words)))
            count //= math.prod(map(len, self.places[start : start + length]))
            count *= len(words)
        return count

    def matches(self, text: str) -> bool:
        """Whether a text is one of its texts."""
        return (
            len(text) == len(self.places)
            and all(char in place for char, place in zip(text, self.places, strict=True))
            and self.allows(text)
        )

    def allows(self, text: str) -> bool:
        """Whether its words stand in a text, whose characters are right each by itself."""
        return all(text[start : start + len(min(words))] in words for start, words in self.words)

    def covers(self, other: "Shape") -> bool:
        """Whether every text of another shape is one of this."""
        return (
            len(self.places) == len(other.places)
            and all(a <= b for a, b in zip(other.places, self.places, strict=True))
            and all(other.words_at(start, len(min(words))) <= words for start, words in self.words)
        )

    def words_at(self, start: int, length: int) -> frozenset[str]:
        """All that may stand in `length` places from `start` on."""
        for begin, words in self.words:
            if begin == start and len(min(words)) == length:
                return words
        return frozenset(map("".join, itertools.product(*self.places[start : start + length])))

    def spell(self) -> str:
        """One of its texts."""
        chars = [min(place) for place in self.places]
        for start, words in self.words:
            chars[start : start + len(min(words))] = min(words)
        return "".join(chars)


@dataclass(frozen=True)
class Piece:
    """A parsed piece of notation: one of `options`, `low` to `high` times.

    An option is a tuple of tokens. A set of characters has one option per character; an optional
    group or a list of prefixes has longer ones.
    """

    kind: Literal["set", "mark", "prefix", "group"]
    chars: str = ""
    low: int = 1
    high: int = 1
    words: tuple[str, ...] = ()
    parts: tuple["Piece", ...] = ()

    def shapes(self) -> list[Shape]:
        """Its texts by length."""
        if self.kind == "mark":
            return [Shape(())]
        if self.kind == "group":
            return [Shape(()), *shapes_of(self.parts)]
        if self.kind == "prefix":
            lengths = sorted({len(word) for word in self.words})
            alike = [frozenset(w for w in self.words if len(w) == length) for length in lengths]
            return [Shape(tuple(map(frozenset, zip(*w, strict=True))), ((0, w),)) for w in alike]
        return [Shape((frozenset(self.chars),) * n) for n in range(self.low, self.high + 1)]

    def sample(self, rng: np.random.Generator) -> Iterator[RowToken]:
        """One of the things that the piece may be."""
        if self.kind == "mark":
            yield RowToken(_MARKS[self.chars])
        elif self.kind == "prefix":
            yield from (RowToken("char", char) for char in _pick(rng, self.words))
        elif self.kind == "group":
            if rng.random() < 0.5:
                for part in self.parts:
                    yield from part.sample(rng)
        else:
            for _ in range(int(rng.integers(self.low, self.high + 1))):
                yield RowToken("char", _pick(rng, self.chars))


def shapes_of(pieces: Sequence[Piece]) -> list[Shape]:
    """The texts of pieces in a row, by the length of each piece."""
    choices = itertools.product(*(piece.shapes() for piece in pieces))
    return [sum(choice, start=Shape(())) for choice in choices]


def _pick(rng: np.random.Generator, items: Sequence[str]) -> str:
    return items[int(rng.integers(len(items)))]


_NOTATION = re.compile(
    r"(?:\[(?P<set>[^\[\]]+)\]|\((?P<group>[^()]+)\)|(?P<one>[^\[\](){}]))"
    r"(?:\{(?P<low>\d+)(?:,(?P<high>\d+))?\})?"
)


def parse(
    notation: str, letters: str, prefixes: tuple[str, ...], *, row: bool = False
) -> tuple[Piece, ...]:
    """Parse a pattern or a row.

    Args:
        notation: The pattern or row.
        letters: What ``@`` stands for.
        prefixes: What ``%`` stands for.
        row: Whether it is a row, which may have layout marks.

    Raises:
        NotationError: It cannot be understood.
    """
    pieces: list[Piece] = []
    position = 0
    while position < len(notation):
        match = _NOTATION.match(notation, position)
        if match is None:
            raise NotationError(f"{notation!r} is not understood from {notation[position:]!r} on")
        pieces.append(_piece(match, letters, prefixes, row=row))
        position = match.end()
    if not pieces:
        raise NotationError("an empty pattern or row")
    return tuple(pieces)


def _piece(match: re.Match[str], letters: str, prefixes: tuple[str, ...], *, row: bool) -> Piece:
    one, group, chars = match["one"], match["group"], match["set"]
    low = int(match["low"] or 1)
    high = int(match["high"] or low)
    if high < max(low, 1):
        raise NotationError(f"{match[0]!r} repeats {low} to {high} times")
    if group is not None or one == "%" or (row and one in _MARKS):
        if match["low"]:
            raise NotationError(f"{match[0]!r} cannot be repeated")
        if group is not None:
            return Piece("group", parts=parse(group, letters, prefixes, row=row))
        if one and one in _MARKS:
            return Piece("mark", chars=one)
        if not prefixes:
            raise NotationError("`%` needs the format's `prefixes`")
        return Piece("prefix", words=prefixes)
    return Piece("set", chars=_characters(chars, one, letters), low=low, high=high)


def _characters(chars: str | None, one: str, letters: str) -> str:
    if chars is not None:
        return _expand_set(chars)
    if one == "@":
        return letters
    if one == "#":
        return _DIGITS
    if not one.isalnum():
        raise NotationError(f"{one!r} is neither a letter, a digit nor a token")
    return one


def _expand_set(chars: str) -> str:
    expanded = re.sub(
        r"(.)-(.)",
        lambda m: "".join(chr(code) for code in range(ord(m[1]), ord(m[2]) + 1)),
        chars,
    )
    if not expanded.isalnum():
        raise NotationError(f"[{chars}] holds something other than letters, digits and ranges")
    return "".join(dict.fromkeys(expanded))


def alphabet(name: str) -> str:
    """The letters of a named alphabet, see `ALPHABETS`, or the letters given.

    Raises:
        NotationError: It is neither.
    """
    match = re.fullmatch(r"LATIN(?:-no([A-Z]+))?(?:\+(\w+))?", name)
    if match:
        dropped, added = match[1] or "", match[2] or ""
        return "".join(c for c in _LATIN if c not in dropped) + added
    letters = ALPHABETS.get(name, name)
    if not letters.isalnum():
        raise NotationError(f"{name!r} names no alphabet and is not a list of characters")
    return letters
