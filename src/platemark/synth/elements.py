"""The elements that a stamp design is made of: pure data in millimetres, and their outlines.

Convention: the origin is the middle of the design, x to the right, y down; angles are degrees
clockwise from the top of a ring.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from platemark.synth.emblems import emblem
from platemark.synth.outlines import (
    LineStyle,
    Path,
    Points,
    Shape,
    ellipse,
    line,
    rounded,
)
from platemark.synth.stampfonts import Glyph, StampFonts, is_joining

Corner = tuple[float, float]


@dataclass(frozen=True)
class Lettering:
    """How a text is set.

    Attributes:
        face: name of the font.
        size: height of a capital letter.
        stretch: width of the letters over their natural width.
        spacing: added between letters, in heights of a capital.
        weight: added around the letters to make them bolder, in heights of a capital.
        slant: shift of a letter's top to the right, in heights of a capital.
        hollow: only the letters' outlines are drawn.
    """

    face: str
    size: float
    stretch: float = 1.0
    spacing: float = 0.0
    weight: float = 0.0
    slant: float = 0.0
    hollow: bool = False


@dataclass(frozen=True)
class TextExtent:
    """Space a text takes as set: natural width, ink above and below the baseline (mm)."""

    width: float
    above: float
    below: float


def units(text: str) -> list[str]:
    """What is set as one piece, from left to right: a character, or a word of a joining script."""
    if not any(map(is_joining, text)):
        return list(text)
    words = text.split(" ")
    pieces: list[str] = []
    for joining, group in groupby(reversed(words), key=lambda word: any(map(is_joining, word))):
        for word in group if joining else reversed(list(group)):
            pieces += ([" "] if pieces else []) + ([word] if joining else list(word))
    return pieces


def measure(text: str, look: Lettering, fonts: StampFonts) -> TextExtent:
    """The space a text takes before it is fitted into its room."""
    glyphs = [fonts.faces[look.face].glyph(unit) for unit in units(text)]
    inked = [glyph for glyph in glyphs if glyph.polygons]
    above = max((-glyph.top for glyph in inked), default=1.0)
    below = max((glyph.bottom for glyph in inked), default=0.0)
    edge = look.weight if not look.hollow else max(look.weight, 0.03)
    ways = _ways(glyphs, look)
    return TextExtent(
        ways[-1] * look.size, (above + edge) * look.size, (max(below, 0.0) + edge) * look.size
    )


def _ways(glyphs: list[Glyph], look: Lettering) -> NDArray[np.float64]:
    """Where each glyph's origin comes, and the end, in heights of a capital.

    Counted from the ink's left.
    """
    advances = [glyph.advance * look.stretch + look.spacing for glyph in glyphs]
    ways = np.concatenate([[0.0], np.cumsum(advances)])
    if glyphs:
        ways[:-1] -= glyphs[0].left * look.stretch
        ways[-1] = ways[-2] + max(glyphs[-1].right, 0.1) * look.stretch
    return ways


@dataclass(frozen=True)
class Text:
    """A text of a design.

    Attributes:
        text: what it says, in reading order.
        look: how it is set.
        room: width (of a ring: length of arc) that it never exceeds; a longer text is narrowed.
        ink: False for white letters in an inked area.
        date: whether it is a date that is set anew for every imprint.
    """

    text: str
    look: Lettering
    room: float
    ink: bool = True
    date: bool = False

    def _set(self, fonts: StampFonts) -> tuple[list[Glyph], NDArray[np.float64], float]:
        face = fonts.faces[self.look.face]
        glyphs = [face.glyph(unit) for unit in units(self.text)]
        ways = _ways(glyphs, self.look) * self.look.size
        squeeze = min(1.0, self.room / max(float(ways[-1]), 1e-6))
        return glyphs, ways * squeeze, squeeze

    def _inked(self, pieces: list[list[Points]]) -> Iterator[Shape]:
        stroke = 2 * self.look.weight * self.look.size
        for polygons in pieces:
            if self.look.hollow:
                yield Shape(
                    tuple(polygons), self.ink, max(stroke, 0.05 * self.look.size), closed=True
                )
                continue
            yield Shape(tuple(polygons), self.ink)
            if stroke:
                yield Shape(tuple(polygons), self.ink, stroke, closed=True)

    def _letter(self, points: Points, squeeze: float) -> Points:
        look = self.look
        x = (points[:, 0] * look.stretch - points[:, 1] * look.slant) * squeeze
        return np.column_stack([x, points[:, 1]]) * look.size


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

    def shapes(self, fonts: StampFonts) -> Iterator[Shape]:
        """The letters."""
        if self.vertical:
            yield from self._inked(self._column(fonts))
            return
        glyphs, ways, squeeze = self._set(fonts)
        start = -ways[-1] / 2
        turn = np.radians(self.angle)
        matrix = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        pieces = [
            [
                (self._letter(points, squeeze) + (start + way, 0.0)) @ matrix + (self.x, self.y)
                for points in glyph.polygons
            ]
            for glyph, way in zip(glyphs, ways[:-1], strict=True)
            if glyph.polygons
        ]
        yield from self._inked(pieces)

    def _column(self, fonts: StampFonts) -> list[list[Points]]:
        face = fonts.faces[self.look.face]
        pitch = self.room / len(self.text)
        pieces = []
        for row, char in enumerate(self.text):
            glyph = face.glyph(char)
            middle = np.array([(glyph.left + glyph.right) / 2, (glyph.top + glyph.bottom) / 2])
            place = np.array([self.x, self.y - self.room / 2 + (row + 0.5) * pitch])
            pieces.append([self._letter(part - middle, 1.0) + place for part in glyph.polygons])
        return [piece for piece in pieces if piece]


@dataclass(frozen=True)
class RingText(Text):
    """A text along a circle or an ellipse about the origin.

    Attributes:
        rx, ry: half axes of the ellipse through the middle of the capitals' height.
        middle: where the middle of the text lies, 0 for the top, 90 for the right.
        outward: whether the letters' tops point outwards and the text runs clockwise; else the
            tops point inwards and it runs counter-clockwise.
        bent: whether letters are bent with the ring, not only turned.
    """

    rx: float = 1.0
    ry: float = 1.0
    middle: float = 0.0
    outward: bool = True
    bent: bool = False

    def shapes(self, fonts: StampFonts) -> Iterator[Shape]:
        """The letters."""
        glyphs, ways, squeeze = self._set(fonts)
        path = Path.along(ellipse(self.rx, self.ry), closed=True)
        start = (self.middle / 360 % 1) * path.length
        sense = 1.0 if self.outward else -1.0
        start -= sense * ways[-1] / 2
        joined = self.bent or any(map(is_joining, self.text))
        place = self._bent if joined else self._turned
        yield from self._inked(place(path, start, sense, glyphs, ways, squeeze))

    def _turned(
        self,
        path: Path,
        start: float,
        sense: float,
        glyphs: list[Glyph],
        ways: NDArray[np.float64],
        squeeze: float,
    ) -> list[list[Points]]:
        half = np.array(
            [g.advance * self.look.stretch * squeeze * self.look.size / 2 for g in glyphs]
        )
        centres = (start + sense * (ways[:-1] + half)) % path.length
        points, tangents = path.at(centres)
        pieces = []
        for glyph, centre, tangent, middle in zip(
            glyphs, points, tangents * sense, half, strict=True
        ):
            if not glyph.polygons:
                continue
            down = np.array([-tangent[1], tangent[0]])
            matrix = np.stack([tangent, down])
            shift = np.array([-middle, self.look.size / 2])
            pieces.append(
                [(self._letter(part, squeeze) + shift) @ matrix + centre for part in glyph.polygons]
            )
        return pieces

    def _bent(
        self,
        path: Path,
        start: float,
        sense: float,
        glyphs: list[Glyph],
        ways: NDArray[np.float64],
        squeeze: float,
    ) -> list[list[Points]]:
        pieces = []
        for glyph, way in zip(glyphs, ways[:-1], strict=True):
            parts = [_dense(self._letter(part, squeeze), 0.2) for part in glyph.polygons]
            bent = [
                path.offset(
                    (start + sense * (way + part[:, 0])) % path.length,
                    -sense * (part[:, 1] + self.look.size / 2),
                )
                for part in parts
            ]
            if bent:
                pieces.append(bent)
        return pieces


def _dense(points: Points, step: float) -> Points:
    path = Path.along(points, closed=True)
    count = max(len(points), int(path.length / step))
    ways = np.union1d(path.marks[:-1], np.arange(count) * (path.length / count))
    return path.at(ways)[0]


@dataclass(frozen=True)
class Ring:
    """A line round the origin: half axes of its middle, its width and style."""

    rx: float
    ry: float
    width: float
    style: LineStyle = "plain"

    def shapes(self, fonts: StampFonts) -> Iterator[Shape]:
        """The line."""
        if self.style == "plain":  # offsets of an ellipse need no corners
            half = self.width / 2
            yield Shape(
                (
                    ellipse(self.rx + half, self.ry + half),
                    ellipse(self.rx - half, self.ry - half),
                )
            )
            return
        yield from line(ellipse(self.rx, self.ry), self.width, self.style)


@dataclass(frozen=True)
class Frame:
    """A line along corners.

    Attributes:
        corners: clockwise; of an open line in any order.
        width: width of the line with its ornaments.
        style: kind of line.
        radius: of rounded corners.
        closed: whether it returns to the first corner.
        ink: False for a white line in an inked area.
    """

    corners: tuple[Corner, ...]
    width: float
    style: LineStyle = "plain"
    radius: float = 0.0
    closed: bool = True
    ink: bool = True

    def shapes(self, fonts: StampFonts) -> Iterator[Shape]:
        """The line."""
        points = np.array(self.corners, dtype=np.float64)
        if self.closed:
            points = rounded(points, self.radius)
        for shape in line(points, self.width, self.style, self.closed):
            yield shape if self.ink else shape.inverted()


@dataclass(frozen=True)
class Disc:
    """A filled ellipse about the origin, in ink or cleared of it."""

    rx: float
    ry: float
    ink: bool = True

    def shapes(self, fonts: StampFonts) -> Iterator[Shape]:
        """The disc."""
        yield Shape((ellipse(self.rx, self.ry),), self.ink)


@dataclass(frozen=True)
class Panel:
    """A filled polygon, in ink or cleared of it."""

    corners: tuple[Corner, ...]
    radius: float = 0.0
    ink: bool = True

    def shapes(self, fonts: StampFonts) -> Iterator[Shape]:
        """The panel."""
        yield Shape((rounded(np.array(self.corners, dtype=np.float64), self.radius),), self.ink)


@dataclass(frozen=True)
class Hatching:
    """Parallel lines across an ellipse about the origin, between two heights.

    Attributes:
        rx, ry: half axes of the ellipse that ends them.
        top, bottom: heights (y) of the first line and of where they end.
        pitch: from line to line.
        width: of a line.
    """

    rx: float
    ry: float
    top: float
    bottom: float
    pitch: float
    width: float

    def shapes(self, fonts: StampFonts) -> Iterator[Shape]:
        """The lines."""
        for y in np.arange(self.top, self.bottom, self.pitch):
            reach = self.rx * np.sqrt(max(0.0, 1 - (y / self.ry) ** 2))
            if reach > self.width:
                yield Shape((np.array([(-reach, y), (reach, y)]),), stroke=self.width)


@dataclass(frozen=True)
class Figure:
    """An emblem, a signature, a bar code: drawn by its name and variant alone.

    Attributes:
        name: one of :data:`platemark.synth.emblems.EMBLEMS`.
        variant: which of the endless ones of that name.
        x, y: its middle.
        size: half of the longer side of its box.
        angle: clockwise turn.
        mirror: whether left and right are exchanged.
        ink: False for white on an inked area.
    """

    name: str
    variant: int
    x: float = 0.0
    y: float = 0.0
    size: float = 1.0
    angle: float = 0.0
    mirror: bool = False
    ink: bool = True

    def shapes(self, fonts: StampFonts) -> Iterator[Shape]:
        """The figure."""
        for shape in emblem(self.name, self.variant):
            moved = shape.moved(self.x, self.y, self.size, self.angle, self.mirror)
            yield moved if self.ink else moved.inverted()


Element = StraightText | RingText | Ring | Frame | Disc | Panel | Hatching | Figure
