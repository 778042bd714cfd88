"""The elements that a stamp design is made of: pure data in millimetres, and their outlines.

Convention: the origin is the middle of the design, x to the right, y down; angles are degrees
clockwise from the top of a ring.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from platemark.synth.emblems import emblem
from platemark.synth.outlines import LineStyle, Shape, ellipse, line, rounded
from platemark.synth.stamps.glyphs import StampFonts
from platemark.synth.stamps.lettering import RingText, StraightText

Corner = tuple[float, float]


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
    """An emblem, a signature, a bar code: defined by its name and variant alone.

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
