"""Sketching: short words for the polygons and strokes that emblems are drawn with."""

import numpy as np

from platemark.synth.outlines import Points, Shape, regular


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


def smooth(points: Points, closed: bool = True) -> Points:
    """A Catmull-Rom curve through the points."""
    wrap = (
        np.vstack([points[-1:], points, points[:2]])
        if closed
        else np.vstack([points[:1], points, points[-1:]])
    )
    t = np.linspace(0, 1, 8, endpoint=False)[:, None]
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
