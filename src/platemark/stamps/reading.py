"""Reads a stamp: every line that layout proposes, each way that it may run, and what fits together.

Layout does not know where a ring's texts begin, nor which of them are read inwards, nor whether
straight lines stand upside down. So bands are read all the way round in both directions and lines
from both ends: text that is upside down reads as next to nothing, and of readings that lie on one
another the one with more characters that are certain stays.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from platemark.geometry import FloatArray
from platemark.imaging.image import Pixels
from platemark.imaging.ink import Probability, ink_strength
from platemark.protocols import ReadsStrips, StripSize
from platemark.stamps.baselines import Baseline, PathName, RingLine, StraightLine, unwrap
from platemark.stamps.layout import Layout, find_layout, other_way, upside_down
from platemark.tasks.scripts import script_of, unfold
from platemark.types import Character, StripCharacter, TextLine

# Letters fill a band of a ring, or so much of its height where a worn frame passes for part of it;
# the second is tried where the first is read with a lower weight.
_LETTER_SHARES = (1.0, 0.7)
_READ_BAND = 6.0
# Characters further apart than this many usual steps, or heights of a capital, are of two texts.
_APART = 2.7
_LEAST_STEP = 0.75
# A character weighs what its score is above this: guesses weigh nothing.
_GUESS = 0.6
# Readings with this share of their characters on another's, within this many capitals, exclude it.
_SHARED, _ON_ONE_ANOTHER = 0.3, 0.55
# Words at the ends of a line with a lower mean score are ornaments or pieces of a frame.
_LEAST_END = 0.45
# What weighs less is a stroke that resembles a letter, not a text.
_LEAST_PIECE = 0.7
# Lines whose angles differ by less (degrees) are read together.
_ONE_ANGLE = 4.0
# A stamp is mirrored if it weighs this many times as much mirrored, and at least this much.
_MIRRORED, _LEAST_WEIGHT = 1.3, 4.0
# A stamp whose characters have this mean score is not read mirrored; others are, if their longest
# line then weighs more than all of them, and at least so much.
_CERTAIN, _LEAST_SAMPLE = 0.92, 2.0
# Lines stand the way in which the longest weighs this many times as much, and at least this.
_PLAIN, _PLAIN_WEIGHT = 3.0, 3.0


@dataclass(frozen=True, slots=True)
class StampText:
    """What a stamp says.

    Attributes:
        lines: Its lines in reading order: rings from the outermost, then straight lines.
        mirrored: Whether the imprint is mirrored; then its lines are not read.
        layout: Where the lines were sought, in pixels of the picture.
    """

    lines: tuple[TextLine, ...]
    mirrored: bool
    layout: Layout = field(repr=False, compare=False)

    @property
    def text(self) -> str | None:
        """The lines that were read, separated by ``" / "``; None where there is none."""
        return " / ".join(line.text for line in self.lines if line.text) or None

    @property
    def score(self) -> float:
        """Probability that all of it is right."""
        scores = [line.score for line in self.lines if line.text]
        return float(np.prod(scores)) if scores else 0.0


@dataclass(frozen=True, slots=True)
class Piece:
    """Characters in a row on one line, with spaces between words.

    Attributes:
        characters: As read.
        places: (N, 2) their middles in the picture.
        along: (N,) their ways along the line, in pixels of the picture.
        line: Where they lie.
        rank: Of the band or line in reading order.
    """

    characters: tuple[StripCharacter, ...]
    places: FloatArray
    along: FloatArray
    line: Baseline
    rank: int

    @property
    def path(self) -> PathName:
        return self.line.path

    @property
    def weight(self) -> float:
        return sum(max(0.0, char.score - _GUESS) for char in self.characters if char.char != " ")

    @property
    def score(self) -> float:
        """Geometric mean of the characters' scores."""
        scores = [char.score for char in self.characters if char.char != " "]
        return float(np.exp(np.mean(np.log(np.maximum(scores, 1e-6))))) if scores else 0.0


@dataclass(frozen=True, slots=True)
class FoundPieces:
    """What is read of a stamp, legible or not.

    Attributes:
        strength: (h, w) uint8, its ink; see `platemark.imaging.ink.ink_strength`.
        layout: Where lines were sought.
        pieces: Readings that do not lie on one another, in any order.
    """

    strength: Pixels
    layout: Layout
    pieces: tuple[Piece, ...]


def read_stamp(pixels: Pixels, probability: Probability, reader: ReadsStrips) -> StampText:
    """Read a stamp.

    Args:
        pixels: (h, w, 3) uint8 RGB, the stamp with some paper around it.
        probability: (h, w) float32, how probably each pixel is its ink.
        reader: Reads strips.

    Returns:
        Its lines with places in pixels of the picture; no lines where there is no ink.

    Raises:
        InferenceFailed: The network did not run.
    """
    found = find_pieces(pixels, probability, reader)
    pieces, layout = found.pieces, found.layout
    weight = _weight(pieces, reader)
    if weight < _LEAST_WEIGHT or _mean_score(pieces) < _CERTAIN:
        backwards = _Mirrored(reader)
        sample = _weight(_pieces(found.strength, _longest(layout), backwards), reader)
        if sample > max(weight, _LEAST_SAMPLE):
            flipped = _pieces(found.strength, layout, backwards)
            if _weight(flipped, reader) > max(_MIRRORED * weight, _LEAST_WEIGHT):
                lines = tuple(TextLine(None, piece.path) for piece in flipped)
                return StampText(lines, True, layout)
    return StampText(_lines(pieces, layout, reader), False, layout)


def find_pieces(pixels: Pixels, probability: Probability, reader: ReadsStrips) -> FoundPieces:
    """Read all that can be read of a stamp; see :func:`read_stamp`."""
    strength = ink_strength(pixels, probability)
    if strength is None:
        strength = np.full(probability.shape, 255, np.uint8)
    layout = find_layout(strength, probability)
    return FoundPieces(strength, layout, tuple(_pieces(strength, layout, reader)))


@dataclass(frozen=True, slots=True)
class _Mirrored:
    """Reads strips from right to left, mirrored."""

    reader: ReadsStrips

    @property
    def strip(self) -> StripSize:
        return self.reader.strip

    @property
    def legible_score(self) -> float:
        return self.reader.legible_score

    def text_score(self, scores: Sequence[float], /) -> float:
        return self.reader.text_score(scores)

    def __call__(self, strips: Sequence[Pixels], /) -> list[list[StripCharacter]]:
        return [
            [replace(char, middle=strip.shape[1] - char.middle) for char in reversed(read)]
            for strip, read in zip(
                strips,
                self.reader([np.ascontiguousarray(strip[:, ::-1]) for strip in strips]),
                strict=True,
            )
        ]


def _mean_score(pieces: Sequence[Piece]) -> float:
    """Mean score of the characters."""
    scores = [char.score for piece in pieces for char in piece.characters]
    return float(np.mean(scores)) if scores else 0.0


def _weight(pieces: Iterable[Piece], reader: ReadsStrips) -> float:
    return _total(piece for piece in pieces if piece.score >= reader.legible_score)


def _pieces(strength: Pixels, layout: Layout, reader: ReadsStrips) -> list[Piece]:
    """Readings that exclude one another no more, in any order."""
    found: list[Piece] = []
    for rank, ring in enumerate(layout.rings):
        for share in _LETTER_SHARES:
            sized = replace(ring, capital=share * ring.capital)
            band = [
                piece
                for way in (sized, other_way(sized))
                for piece in _read_ring(strength, way, rank, reader)
            ]
            found += band
            if _total(band) >= _READ_BAND:
                break
    # The straight lines of a stamp stand one way: as those that weigh most do.
    ways: list[list[Piece]] = []
    for _, group in groupby(_by_angle(layout.lines), key=lambda line: line.angle // _ONE_ANGLE):
        ways += _both_ways(strength, list(group), reader)
    found += max(ways, key=_total, default=[])
    return [piece for piece in _compatible(found) if piece.weight > _LEAST_PIECE]


def _longest(layout: Layout) -> Layout:
    """The layout with its longest line alone: a ring if it has one."""
    lines = sorted(layout.lines, key=lambda line: -line.length)
    return replace(layout, rings=layout.rings[:1], lines=() if layout.rings else tuple(lines[:1]))


def _total(pieces: Iterable[Piece]) -> float:
    return sum(piece.weight for piece in pieces)


def _both_ways(
    strength: Pixels, lines: Sequence[StraightLine], reader: ReadsStrips
) -> list[list[Piece]]:
    """Readings of lines of one angle, upright and upside down; where the longest tells, of one."""
    upright = sorted(lines, key=lambda line: -line.length / line.capital)
    turned = [upside_down(line) for line in upright]
    ways = [(way, _read_line(strength, way[0], reader)) for way in (upright, turned)]
    ways.sort(key=lambda one: -_total(one[1]))
    most, least = (_total(longest) for _, longest in ways)
    if most >= _PLAIN_WEIGHT and most > _PLAIN * least:
        ways = ways[:1]
    return [
        longest + [piece for line in way[1:] for piece in _read_line(strength, line, reader)]
        for way, longest in ways
    ]


def _by_angle(lines: Iterable[StraightLine]) -> list[StraightLine]:
    return sorted(lines, key=lambda line: line.angle)


def _read_ring(strength: Pixels, ring: RingLine, rank: int, reader: ReadsStrips) -> list[Piece]:
    """Texts of a band, read all the way round and a little further."""
    around = ring.circumference
    overlap = 2.0 * ring.capital
    characters, places, along = _read(strength, replace(ring, length=around + overlap), reader)
    kept = [
        index
        for index, way in enumerate(along)
        if way < around or not (np.abs(along - (way - around)) < 0.5 * ring.capital).any()
    ]
    characters = [characters[index] for index in kept]
    return _separated(characters, places[kept], along[kept], ring, rank)


def _read_line(strength: Pixels, line: Baseline, reader: ReadsStrips) -> list[Piece]:
    return _separated(*_read(strength, line, reader), line, 0)


def _read(
    strength: Pixels, line: Baseline, reader: ReadsStrips
) -> tuple[list[StripCharacter], FloatArray, NDArray[np.float64]]:
    """Characters of a line, their places (N, 2) in the picture, and their ways (N,) along it."""
    spec = reader.strip
    strip = unwrap(strength, line, height=spec.height, capital=spec.capital, margin=spec.lead)
    characters = list(reader([strip.pixels])[0])
    columns = np.array([char.middle for char in characters], np.float64)
    points = np.stack([columns, np.full(len(columns), spec.height / 2)], axis=-1)
    return characters, strip.points(points), columns * strip.to_line[0, 0] + strip.to_line[0, 2]


def _separated(
    characters: Sequence[StripCharacter],
    places: FloatArray,
    along: NDArray[np.float64],
    line: Baseline,
    rank: int,
) -> list[Piece]:
    """Parts of a reading between wide gaps, without spaces and ornaments at their ends."""
    inked = [index for index, char in enumerate(characters) if char.char != " "]
    if not inked:
        return []
    steps = np.diff(along[inked])
    usual = max(float(np.median(steps)) if len(steps) else 0.0, _LEAST_STEP * line.capital)
    breaks = np.flatnonzero(steps > _APART * usual)
    pieces = []
    for group in np.split(np.array(inked), breaks + 1):
        first, last = _trimmed(characters, int(group[0]), int(group[-1]) + 1)
        if first < last:
            part = slice(first, last)
            pieces.append(Piece(tuple(characters[part]), places[part], along[part], line, rank))
    return pieces


def _trimmed(characters: Sequence[StripCharacter], first: int, last: int) -> tuple[int, int]:
    """The range without low-confidence words at its ends."""
    while first < last:
        inner = [index for index in range(first, last) if characters[index].char == " "]
        head, tail = (inner[0], inner[-1] + 1) if inner else (last, first)
        if _mean(characters[first:head]) < _LEAST_END:
            first = min(head + 1, last) if inner else last
        elif _mean(characters[tail:last]) < _LEAST_END:
            last = max(tail - 1, first)
        else:
            break
    return first, last


def _mean(characters: Sequence[StripCharacter]) -> float:
    return float(np.mean([char.score for char in characters])) if characters else 0.0


def _compatible(pieces: Sequence[Piece]) -> list[Piece]:
    """Of readings that lie on one another, the one that weighs most."""
    kept: list[Piece] = []
    for piece in sorted(pieces, key=lambda piece: -piece.weight):
        if all(_overlap(piece, other) < _SHARED for other in kept):
            kept.append(piece)
    return kept


def _overlap(piece: Piece, other: Piece) -> float:
    """Share of a reading's characters that lie on those of another."""
    distance = np.linalg.norm(piece.places[:, None] - other.places[None], axis=-1)
    reach = _ON_ONE_ANOTHER * max(piece.line.capital, other.line.capital)
    return float((distance.min(axis=1) < reach).mean())


def _lines(pieces: Sequence[Piece], layout: Layout, reader: ReadsStrips) -> tuple[TextLine, ...]:
    """The lines in reading order; those with too low scores without text."""
    angle = next((piece.line.angle for piece in pieces if hasattr(piece.line, "angle")), 0.0)
    ordered = sorted(pieces, key=lambda piece: _order(piece, layout, angle))
    legible = [piece for piece in ordered if piece.score >= reader.legible_score]
    usual = script_of(" ".join(_text(piece) for piece in legible))
    lines = []
    for piece in ordered:
        if piece not in legible:
            if len(piece.characters) > 1:
                lines.append(TextLine(None, piece.path))
            continue
        text = unfold(_text(piece), usual)
        characters = tuple(
            Character(char, read.score) for char, read in zip(text, piece.characters, strict=True)
        )
        score = reader.text_score([char.score for char in characters if char.char != " "])
        places = tuple((float(x), float(y)) for x, y in piece.places)
        lines.append(TextLine(text, piece.path, score, characters, script_of(_text(piece)), places))
    return tuple(lines)


def _text(piece: Piece) -> str:
    return "".join(char.char for char in piece.characters)


def _order(piece: Piece, layout: Layout, angle: float) -> tuple[float, ...]:
    """Rings from the outermost, outward texts clockwise from the foot, then inward ones; straight
    lines from the top of the stamp as it is turned, left before right."""
    turn = np.radians(angle)
    if isinstance(piece.line, RingLine):
        x, y = piece.places[0] - piece.line.centre
        clockwise = (np.degrees(np.arctan2(y, x)) - angle - 90.0) % 360.0
        return (0.0, piece.rank, float(piece.line.inward), clockwise)
    x, y = piece.places.mean(axis=0)
    row = -x * np.sin(turn) + y * np.cos(turn)
    column = x * np.cos(turn) + y * np.sin(turn)
    return (1.0, round(row / max(piece.line.capital, 1.0)), column, 0.0)
