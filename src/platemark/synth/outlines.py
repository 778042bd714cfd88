"""Outlines: filled polygons and strokes in millimetres, and their antialiased raster.

Convention: x to the right, y down, millimetres, the origin wherever the artist put it. A raster is
(H, W) uint8 ink coverage; its pixel (i, j) covers [j, j+1) x [i, i+1).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
Bounds = tuple[float, float, float, float]
LineStyle = Literal[
    "plain", "dashed", "dotted", "toothed", "ticks", "rope", "wave", "beads", "scallop"
]

_FRACTION_BITS = 5
_FINE = 32.0  # sub-pixels per millimetre that a raster has at least
_DETAIL = 0.008  # millimetres: how far a polygon may be from its curve


@dataclass(frozen=True)
class Shape:
    """One piece of ink, or of paper inside ink.

    Attributes:
        polygons: (N, 2) closed outlines, filled by the even-odd rule; of a stroke, its middle line.
        ink: False takes away the ink that earlier shapes have laid.
        stroke: width of a line along the polygons instead of filling them; 0 fills.
        closed: whether a stroke returns to its start.
    """

    polygons: tuple[Points, ...]
    ink: bool = True
    stroke: float = 0.0
    closed: bool = False

    def moved(
        self, x: float, y: float, scale: float = 1.0, angle: float = 0.0, mirror: bool = False
    ) -> "Shape":
        """Scale, turn (clockwise degrees), then shift by (x, y)."""
        turn = math.radians(angle)
        cos, sin = math.cos(turn) * scale, math.sin(turn) * scale
        matrix = np.array([[-cos if mirror else cos, -sin if mirror else sin], [-sin, cos]])
        polygons = tuple(points @ matrix + (x, y) for points in self.polygons)
        return Shape(polygons, self.ink, self.stroke * scale, self.closed)

    def inverted(self) -> "Shape":
        """The same shape, paper for ink and ink for paper."""
        return Shape(self.polygons, not self.ink, self.stroke, self.closed)


@dataclass(frozen=True)
class Artwork:
    """A design as pixels.

    Attributes:
        coverage: (H, W) uint8 ink coverage, 255 for full ink, upright, a few pixels of margin.
        quad: (4, 2) float32 tight corners of the design in it, clockwise from the top left.
    """

    coverage: NDArray[np.uint8]
    quad: NDArray[np.float32]


def ellipse(rx: float, ry: float, x: float = 0.0, y: float = 0.0) -> Points:
    """(N, 2) points of an ellipse, clockwise from its top."""
    count = max(24, math.ceil(math.pi / math.acos(1 - min(_DETAIL / max(rx, ry, 0.1), 0.5))))
    turn = np.arange(count) * (2 * np.pi / count)
    return np.column_stack([x + rx * np.sin(turn), y - ry * np.cos(turn)])


def rectangle(width: float, height: float, x: float = 0.0, y: float = 0.0) -> Points:
    """(4, 2) corners of a rectangle centred on (x, y)."""
    half = np.array([width / 2, height / 2])
    signs = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], dtype=np.float64)
    corners: Points = np.array([x, y]) + signs * half
    return corners


def regular(corners: int, radius: float, turn: float = 0.0) -> Points:
    """(N, 2) corners of a regular polygon, the first at ``turn`` degrees clockwise of its top."""
    angles = np.radians(turn) + np.arange(corners) * (2 * np.pi / corners)
    return np.column_stack([np.sin(angles), -np.cos(angles)]) * float(radius)


def rounded(corners: Points, radius: float) -> Points:
    """The polygon with its corners cut by arcs (quadratic curves) of about ``radius``."""
    if radius <= 0:
        return corners
    forward = np.roll(corners, -1, axis=0) - corners
    back = np.roll(corners, 1, axis=0) - corners
    reach = np.minimum(
        radius, 0.45 * np.minimum(np.linalg.norm(forward, axis=1), np.linalg.norm(back, axis=1))
    )[:, None]
    start = corners + back / np.linalg.norm(back, axis=1, keepdims=True) * reach
    end = corners + forward / np.linalg.norm(forward, axis=1, keepdims=True) * reach
    t = np.linspace(0, 1, 9)[None, :, None]
    curve: Points = (
        (1 - t) ** 2 * start[:, None] + 2 * t * (1 - t) * corners[:, None] + t**2 * end[:, None]
    )
    return curve.reshape(-1, 2)


def grown(polygon: Points, distance: float) -> Points:
    """A clockwise convex polygon with every side pushed outwards; corners stay sharp."""
    sides = np.roll(polygon, -1, axis=0) - polygon
    normals = np.column_stack([sides[:, 1], -sides[:, 0]])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    before = np.roll(normals, 1, axis=0)
    middle = normals + before
    reach = distance * 2 / np.maximum((middle**2).sum(axis=1, keepdims=True), 0.25)
    pushed: Points = polygon + reach * middle
    return pushed


@dataclass(frozen=True)
class Path:
    """A closed or open line measured by its length.

    Attributes:
        points: (N, 2) corners; a closed path repeats its first point at the end.
        marks: (N,) length of the way to each point.
    """

    points: Points
    marks: NDArray[np.float64]

    @classmethod
    def along(cls, points: Points, *, closed: bool) -> "Path":
        """The path through ``points``."""
        if closed:
            points = np.vstack([points, points[:1]])
        steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
        return cls(points, np.concatenate([[0.0], np.cumsum(steps)]))

    @property
    def length(self) -> float:
        """Length of the whole way."""
        return float(self.marks[-1])

    def at(self, way: NDArray[np.float64]) -> tuple[Points, Points]:
        """Points at the given lengths, and unit tangents there (forwards)."""
        way = np.clip(way, 0.0, self.length)
        after = np.clip(np.searchsorted(self.marks, way, side="right"), 1, len(self.marks) - 1)
        start, end = self.points[after - 1], self.points[after]
        step = self.marks[after] - self.marks[after - 1]
        tangent = (end - start) / np.maximum(step, 1e-12)[:, None]
        return start + tangent * (way - self.marks[after - 1])[:, None], tangent

    def offset(self, way: NDArray[np.float64], side: NDArray[np.float64] | float) -> Points:
        """Points ``side`` to the left of the way (outside of a clockwise path)."""
        points, tangent = self.at(way)
        normal = np.column_stack([tangent[:, 1], -tangent[:, 0]])
        moved: Points = points + normal * np.broadcast_to(side, way.shape)[:, None]
        return moved


def line(
    points: Points, width: float, style: LineStyle = "plain", closed: bool = True
) -> list[Shape]:
    """The shapes of a line of some style along a path; all its ink is within the width.

    Args:
        points: (N, 2) corners, clockwise where closed.
        width: full width over which the line's ornament extends.
        style: plain lines of closed paths have sharp corners.
        closed: whether the path returns to its start.
    """
    if style == "plain":
        if not closed:
            return [Shape((points,), stroke=width)]
        return [Shape((grown(points, width / 2), grown(points, -width / 2)))]
    path = Path.along(points, closed=closed)
    return _ORNAMENTS[style](path, width)


def _starts(path: Path, pitch: float, multiple: int = 1) -> NDArray[np.float64]:
    count = max(multiple, round(path.length / pitch / multiple) * multiple)
    starts: NDArray[np.float64] = np.arange(count, dtype=np.float64) * (path.length / count)
    return starts


def _dashed(path: Path, width: float) -> list[Shape]:
    starts = _starts(path, max(6 * width, 1.2))
    step = path.length / len(starts)
    ways = starts[:, None] + np.linspace(0, 0.62 * step, 4)
    return [Shape((path.at(way)[0],), stroke=width) for way in ways]


def _dotted(path: Path, width: float) -> list[Shape]:
    centres, _ = path.at(_starts(path, 2.1 * width))
    return [Shape(tuple(ellipse(width / 2, width / 2, x, y) for x, y in centres))]


def _beads(path: Path, width: float) -> list[Shape]:
    centres, _ = path.at(_starts(path, 1.15 * width))
    outer = tuple(ellipse(width / 2, width / 2, x, y) for x, y in centres)
    inner = tuple(ellipse(width / 4, width / 4, x, y) for x, y in centres)
    return [Shape(outer + inner)]


def _toothed(path: Path, width: float) -> list[Shape]:
    starts = _starts(path, width)
    step = path.length / len(starts)
    ways = np.append((starts[:, None] + np.array([0.0, 0.5]) * step).ravel(), path.length)
    teeth = path.offset(ways, np.append(np.tile([-0.1, 0.5], len(starts)), -0.1) * width)
    back = path.offset(ways[::-1], -0.5 * width)
    return [Shape((np.vstack([teeth, back]),))]


def _ticks(path: Path, width: float) -> list[Shape]:
    thin = min(0.22, 0.3 * width)
    ways = _starts(path, 2.4 * thin)
    inner, outer = path.offset(ways, -0.5 * width), path.offset(ways, 0.5 * width)
    _, tangent = path.at(ways)
    half = tangent * thin / 2
    quads = np.stack([inner - half, outer - half, outer + half, inner + half], axis=1)
    return [Shape(tuple(quads))]


def _rope(path: Path, width: float) -> list[Shape]:
    starts = _starts(path, 0.9 * width)
    step = path.length / len(starts)
    t = np.linspace(0, 1, 7)
    side = (t - 0.5) * 0.72 * width
    ways = (starts[:, None] + (t + 0.25 * np.sin(2 * np.pi * t)) * step * 1.15) % path.length
    strands = [path.offset(way, side) for way in ways]
    return [Shape((strand,), stroke=0.28 * width) for strand in strands]


def _wave(path: Path, width: float) -> list[Shape]:
    ways, turn = _waves(path, width, 2.2)
    thin = 0.25 * width
    points = path.offset(ways, np.sin(turn) * (width - thin) / 2)
    return [Shape((points,), stroke=thin)]


def _scallop(path: Path, width: float) -> list[Shape]:
    ways, turn = _waves(path, width, 2.8)
    side = np.abs(np.sin(turn / 2)) * 0.6 * width
    outer = path.offset(ways, side - 0.1 * width)
    inner = path.offset(ways[::-1], (side - 0.5 * width)[::-1])
    return [Shape((np.vstack([outer, inner]),))]


def _waves(
    path: Path, width: float, pitch: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    count = len(_starts(path, pitch * width))
    ways: NDArray[np.float64] = np.linspace(0.0, path.length, count * 12 + 1)
    turn: NDArray[np.float64] = np.arange(len(ways), dtype=np.float64) * (2 * np.pi / 12)
    return ways, turn


_ORNAMENTS = {
    "dashed": _dashed,
    "dotted": _dotted,
    "beads": _beads,
    "toothed": _toothed,
    "ticks": _ticks,
    "rope": _rope,
    "wave": _wave,
    "scallop": _scallop,
}


def fill(*polygons: Points, ink: bool = True) -> Shape:
    return Shape(polygons, ink)


def stroke(points: Points, width: float, *, closed: bool = False, ink: bool = True) -> Shape:
    return Shape((points,), ink, width, closed)


def mirrored(points: Points) -> Points:
    """A half outline (from top to bottom, x >= 0) and its mirror image."""
    return np.vstack([points, points[::-1] * (-1, 1)])


def placed(shapes: list[Shape], x: float, y: float, size: float, angle: float = 0) -> list[Shape]:
    return [shape.moved(x, y, size, angle) for shape in shapes]


def xy(*numbers: float) -> Points:
    return np.array(numbers, dtype=np.float64).reshape(-1, 2)


def smooth(points: Points, closed: bool = True, density: int = 8) -> Points:
    """A Catmull-Rom curve through (N, 2) points, ``density`` points for each of them."""
    wrap = (
        np.vstack([points[-1:], points, points[:2]])
        if closed
        else np.vstack([points[:1], points, points[-1:]])
    )
    t = np.linspace(0, 1, density, endpoint=False)[:, None]
    p0, p1, p2, p3 = wrap[:-3, None], wrap[1:-2, None], wrap[2:-1, None], wrap[3:, None]
    curve = 0.5 * (
        2 * p1
        + (p2 - p0) * t
        + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2
        + (3 * p1 - p0 - 3 * p2 + p3) * t**3
    )
    return np.asarray(curve.reshape(-1, 2))


def star_points(points: int, inner: float, turn: float = 0.0) -> Points:
    """(2N, 2) outline of a star with outer radius 1."""
    outer = regular(points, 1.0, turn)
    notches = regular(points, inner, turn + 180 / points)
    return np.stack([outer, notches], axis=1).reshape(-1, 2)


def extent(shapes: Iterable[Shape]) -> Bounds:
    """(x0, y0, x1, y1) around the ink of shapes; paper shapes do not count.

    Raises:
        ValueError: There is no ink.
    """
    boxes = [
        (*(points.min(axis=0) - shape.stroke / 2), *(points.max(axis=0) + shape.stroke / 2))
        for shape in shapes
        if shape.ink
        for points in shape.polygons
    ]
    if not boxes:
        raise ValueError("there is no ink in these shapes")
    table = np.array(boxes)
    x0, y0 = table[:, :2].min(axis=0)
    x1, y1 = table[:, 2:].max(axis=0)
    return float(x0), float(y0), float(x1), float(y1)


def rasterize(shapes: Sequence[Shape], bounds: Bounds, scale: float, margin: int = 4) -> Artwork:
    """Draw shapes, later ones over earlier ones.

    Args:
        shapes: what to draw.
        bounds: (x0, y0, x1, y1) millimetres that the quad of the artwork encloses.
        scale: pixels per millimetre.
        margin: pixels of paper around the bounds.
    """
    fine = max(2, math.ceil(_FINE / scale))
    width = math.ceil((bounds[2] - bounds[0]) * scale) + 2 * margin
    height = math.ceil((bounds[3] - bounds[1]) * scale) + 2 * margin
    canvas = np.zeros((height * fine, width * fine), dtype=np.uint8)
    zoom = scale * fine * (1 << _FRACTION_BITS)
    # fillPoly wants the centres of pixels at whole numbers: half a fine pixel less than ours
    shift = (np.array([margin, margin]) - np.array(bounds[:2]) * scale) * fine - 0.5
    shift *= 1 << _FRACTION_BITS
    for shape in shapes:
        points = [np.rint(part * zoom + shift).astype(np.int32) for part in shape.polygons]
        value = 255 if shape.ink else 0
        if shape.stroke:
            thickness = max(1, round(shape.stroke * scale * fine))
            cv2.polylines(
                canvas, points, shape.closed, value, thickness, cv2.LINE_8, _FRACTION_BITS
            )
        else:
            cv2.fillPoly(canvas, points, value, cv2.LINE_8, _FRACTION_BITS)
    coverage = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)
    x1, y1 = margin + (bounds[2] - bounds[0]) * scale, margin + (bounds[3] - bounds[1]) * scale
    quad = np.array([(margin, margin), (x1, margin), (x1, y1), (margin, y1)], dtype=np.float32)
    return Artwork(np.asarray(coverage, dtype=np.uint8), quad)
