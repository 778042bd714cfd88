"""Typesetting: texts set straight, in a column or round a ring, as outlines in millimetres."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from platemark.synth.fontfiles import is_joining
from platemark.synth.outlines import Path, Points, Shape, ellipse
from platemark.synth.stamps.glyphs import Glyph, StampFonts

Floats = NDArray[np.float64]
_HOLLOW_LINE = 0.05  # of a hollow letter, in heights of a capital


@dataclass(frozen=True)
class Lettering:
    """How a text is set.

    Attributes:
        face: name of the font.
        size: height of a capital letter (mm).
        stretch: width of the letters over their natural width.
        spacing: added between letters, in heights of a capital.
        weight: added around the letters to make them bolder, in heights of a capital.
        slant: shift of a letter's top to the right, in heights of a capital.
        hollow: only the letters' outlines are inked.
    """

    face: str
    size: float
    stretch: float = 1.0
    spacing: float = 0.0
    weight: float = 0.0
    slant: float = 0.0
    hollow: bool = False

    @property
    def edge(self) -> float:
        """How far ink reaches beyond the letters' outlines, in heights of a capital."""
        return max(self.weight, _HOLLOW_LINE / 2) if self.hollow else self.weight


@dataclass(frozen=True)
class TextExtent:
    """Space a text takes as set: natural width, ink above and below the baseline (mm)."""

    width: float
    above: float
    below: float


@dataclass(frozen=True)
class _Setting:
    """A text's letters, each still about its own origin on the baseline (mm).

    Attributes:
        glyphs: one per unit of the text.
        points: (N, 2) corners of all outlines.
        owners: (N,) index of the glyph of each corner.
        ways: (G + 1,) distance of each glyph's origin, and of the end, from the ink's left.
        squeeze: factor by which the text was narrowed to its room.
    """

    glyphs: list[Glyph]
    points: Points
    owners: NDArray[np.intp]
    ways: Floats
    squeeze: float


@lru_cache(maxsize=4096)
def units(text: str) -> tuple[str, ...]:
    """What is set as one piece, from left to right: a character, or a word of a joining script."""
    if not any(map(is_joining, text)):
        return tuple(text)
    pieces: list[str] = []
    words = reversed(text.split(" "))
    for joining, group in groupby(words, key=lambda word: any(map(is_joining, word))):
        for word in group if joining else reversed(list(group)):
            pieces += ([" "] if pieces else []) + ([word] if joining else list(word))
    return tuple(pieces)


def measure(text: str, lettering: Lettering, fonts: StampFonts) -> TextExtent:
    """The space a text takes before it is fitted into its room."""
    glyphs = _glyphs(text, lettering, fonts)
    inked = [glyph for glyph in glyphs if glyph.ends]
    above = max((-glyph.top for glyph in inked), default=1.0)
    below = max((glyph.bottom for glyph in inked), default=0.0)
    width = float(_ways(glyphs, lettering)[-1])
    return TextExtent(
        width * lettering.size,
        (above + lettering.edge) * lettering.size,
        (max(below, 0.0) + lettering.edge) * lettering.size,
    )


def _glyphs(text: str, lettering: Lettering, fonts: StampFonts) -> list[Glyph]:
    face = fonts.faces[lettering.face]
    return [face.glyph(unit) for unit in units(text)]


def _ways(glyphs: list[Glyph], lettering: Lettering) -> Floats:
    """Where each glyph's origin comes from the ink's left, and the end, in capital heights."""
    advances = np.array([glyph.advance for glyph in glyphs]) * lettering.stretch + lettering.spacing
    ways = np.concatenate([[0.0], np.cumsum(advances)])
    if glyphs:
        ways[:-1] += lettering.edge - glyphs[0].left * lettering.stretch
        ways[-1] = (
            ways[-2]
            + max(glyphs[-1].right, 0.1) * lettering.stretch
            + lettering.slant
            + lettering.edge
        )
    return ways


@dataclass(frozen=True)
class Text(ABC):
    """A text of a design.

    Attributes:
        text: what it says, in reading order.
        lettering: how it is set.
        room: width (of a ring: length of arc) that it never exceeds; a longer text is narrowed.
        ink: False for white letters in an inked area.
        date: whether it is a date that is set again for every imprint.
    """

    text: str
    lettering: Lettering
    room: float
    ink: bool = True
    date: bool = False

    def shapes(self, fonts: StampFonts) -> Iterator[Shape]:
        """The letters."""
        return self._inked(*self._placed(fonts))

    def places(self, fonts: StampFonts) -> Floats:
        """Middles (N, 2) of the ink of its N characters (mm), NaN where there is none.

        Letters of joining scripts are not apart: all are NaN.
        """
        middles = np.full((len(self.text), 2), np.nan)
        glyphs, points = self._placed(fonts)
        if len(glyphs) != len(middles):
            return middles
        start = 0
        for middle, glyph in zip(middles, glyphs, strict=True):
            own = points[start : start + len(glyph.points)]
            if len(own):
                middle[:] = (own.min(axis=0) + own.max(axis=0)) / 2
            start += len(glyph.points)
        return middles

    @abstractmethod
    def _placed(self, fonts: StampFonts) -> tuple[list[Glyph], Points]:
        """Its letters, and the corners (N, 2) of all their outlines where they stand (mm)."""

    def _set(self, fonts: StampFonts) -> _Setting:
        lettering = self.lettering
        glyphs = _glyphs(self.text, lettering, fonts)
        ways = _ways(glyphs, lettering) * lettering.size
        squeeze = min(1.0, self.room / max(float(ways[-1]), 1e-6))
        counts = [len(glyph.points) for glyph in glyphs]
        raw = np.concatenate([glyph.points for glyph in glyphs]) * lettering.size
        points = np.empty_like(raw)
        points[:, 0] = (raw[:, 0] * lettering.stretch - raw[:, 1] * lettering.slant) * squeeze
        points[:, 1] = raw[:, 1]
        owners = np.repeat(np.arange(len(glyphs)), counts)
        return _Setting(glyphs, points, owners, ways * squeeze, squeeze)

    def _inked(self, glyphs: list[Glyph], points: Points) -> Iterator[Shape]:
        """A shape per glyph, from the placed corners of all."""
        start = 0
        stroke = 2 * self.lettering.edge * self.lettering.size
        for glyph in glyphs:
            polygons, first = [], start
            for end in glyph.ends:
                polygons.append(points[start : first + end])
                start = first + end
            if not polygons:
                continue
            if not self.lettering.hollow:
                yield Shape(tuple(polygons), self.ink)
            if stroke:
                yield Shape(tuple(polygons), self.ink, stroke, closed=True)


@dataclass(frozen=True)
class StraightText(Text):
    """A line of text.

    Attributes:
        x, y: middle of the baseline.
        angle: clockwise turn about (x, y).
        vertical: whether the letters stand one under another (Chinese); then (x, y) is the middle
            of the column, and ``room`` its height.
    """

    x: float = 0.0
    y: float = 0.0
    angle: float = 0.0
    vertical: bool = False

    def _placed(self, fonts: StampFonts) -> tuple[list[Glyph], Points]:
        if self.vertical:
            return self._column(fonts)
        setting = self._set(fonts)
        points = setting.points.copy()
        points[:, 0] += setting.ways[setting.owners] - setting.ways[-1] / 2
        if self.angle:
            turn = np.radians(self.angle)
            matrix = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
            points = points @ matrix
        return setting.glyphs, points + np.array([self.x, self.y])

    def _column(self, fonts: StampFonts) -> tuple[list[Glyph], Points]:
        lettering = self.lettering
        glyphs = _glyphs(self.text, lettering, fonts)
        pitch = self.room / max(len(glyphs), 1)
        placed = [np.empty((0, 2))]
        for row, glyph in enumerate(glyphs):
            middle = ((glyph.left + glyph.right) / 2, (glyph.top + glyph.bottom) / 2)
            letter = (glyph.points - middle) * (lettering.stretch * lettering.size, lettering.size)
            place = np.array([self.x, self.y - self.room / 2 + (row + 0.5) * pitch])
            placed.append(letter + place)
        return glyphs, np.concatenate(placed)


@dataclass(frozen=True)
class RingText(Text):
    """A text along a circle or an ellipse about the origin.

    Attributes:
        rx, ry: half axes of the ellipse through the middle of the capitals' height.
        middle: where the middle of the text lies, degrees clockwise, 0 for the top.
        outward: whether the letters' tops point outwards and the text runs clockwise; else the
            tops point inwards and it runs counter-clockwise.
        bent: whether letters are bent with the ring, not only turned.
    """

    rx: float = 1.0
    ry: float = 1.0
    middle: float = 0.0
    outward: bool = True
    bent: bool = False

    def _placed(self, fonts: StampFonts) -> tuple[list[Glyph], Points]:
        setting = self._set(fonts)
        path = ellipse_path(self.rx, self.ry)
        sense = 1.0 if self.outward else -1.0
        start = self.middle / 360 * path.length - sense * setting.ways[-1] / 2
        if self.bent or any(map(is_joining, self.text)):
            return setting.glyphs, self._bent(path, start, sense, setting)
        return setting.glyphs, self._turned(path, start, sense, setting)

    def _turned(self, path: Path, start: float, sense: float, setting: _Setting) -> Points:
        advances = np.array([glyph.advance for glyph in setting.glyphs])
        half = advances * (self.lettering.stretch * setting.squeeze * self.lettering.size / 2)
        centres, tangents = path.at((start + sense * (setting.ways[:-1] + half)) % path.length)
        along = sense * tangents
        down = along[:, ::-1] * (-1.0, 1.0)
        owners = setting.owners
        x = setting.points[:, :1] - half[owners, None]
        y = setting.points[:, 1:] + self.lettering.size / 2
        placed: Points = centres[owners] + x * along[owners] + y * down[owners]
        return placed

    def _bent(self, path: Path, start: float, sense: float, setting: _Setting) -> Points:
        ways = setting.ways[setting.owners] + setting.points[:, 0]
        side = -sense * (setting.points[:, 1] + self.lettering.size / 2)
        return path.offset((start + sense * ways) % path.length, side)


@lru_cache(maxsize=256)
def ellipse_path(rx: float, ry: float) -> Path:
    """The way round an ellipse, clockwise from its top."""
    return Path.along(ellipse(rx, ry), closed=True)
