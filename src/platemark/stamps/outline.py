"""The outer outline of an imprint: which simple figure its frame is, also where ink is missing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from platemark.geometry import FloatArray
from platemark.masks import BoolMask

# How near ink is to an outline, as a fraction of the imprint's longer side, and the share of the
# outline that has ink so near: with less it is no frame. Lines of text without a frame come near to
# a rectangle, but not very near, and to nothing else.
_FRAMED = {
    "circle": ((0.02, 0.55),),
    "oval": ((0.02, 0.55),),
    "rectangle": ((0.02, 0.74), (0.012, 0.55)),
    "triangle": ((0.02, 0.55),),
}
_ROUND = 0.87
_SAMPLES = 360


@dataclass(frozen=True)
class Outline:
    """The figure around an imprint.

    Attributes:
        shape: One of `platemark.types.STAMP_SHAPES`.
        points: (N, 2) points along the figure, clockwise; the corners alone of a figure that has
            some, the convex hull of the ink where the shape is ``"other"``.
        coverage: Share of the figure that has ink near it.
    """

    shape: str
    points: FloatArray
    coverage: float


def find_outline(ink: BoolMask) -> Outline:
    """Find the figure around an imprint.

    An ellipse (least squares with outliers trimmed; Fitzgibbon 1999), the smallest rectangle and
    the smallest triangle (O'Rourke 1986) are laid around the convex hull of the ink; that one is
    the outline along which most ink lies.

    Args:
        ink: (h, w) bool with some ink, stray specks removed.

    Returns:
        The outline in continuous pixels of the mask.
    """
    hull = _hull(ink)
    paper = np.asarray(
        cv2.distanceTransform((~ink).astype(np.uint8), cv2.DIST_L2, 5), dtype=np.float64
    )
    # In the smallest masks no less than a pixel is near.
    side = max(75.0, float(np.ptp(hull, axis=0).max()))
    outlines = []
    for shape, points in (figure for fit in _FITS if (figure := fit(hull)) is not None):
        coverages = [
            (_coverage(points, paper, near * side), least) for near, least in _FRAMED[shape]
        ]
        if any(coverage >= least for coverage, least in coverages):
            outlines.append(Outline(shape, points, max(coverages)[0]))
    return max(outlines, key=lambda outline: outline.coverage, default=Outline("other", hull, 0.0))


def _hull(ink: BoolMask) -> FloatArray:
    """Convex hull (N, 2) of the pixels of ink as squares, clockwise on the screen."""
    contours, _ = cv2.findContours(ink.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    centres = np.concatenate(contours).reshape(-1, 2).astype(np.float32)
    steps = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], dtype=np.float32)
    corners = (centres[:, None] + steps).reshape(-1, 2)
    hull = cv2.convexHull(corners, clockwise=False)
    return np.asarray(hull, dtype=np.float64).reshape(-1, 2)


def _ellipse(hull: FloatArray) -> tuple[str, FloatArray] | None:
    points = hull
    for _ in range(3):
        if len(points) < 6:
            return None
        centre, axes, turn = cv2.fitEllipseDirect(points.astype(np.float32))
        if not np.isfinite([*centre, *axes]).all() or min(axes) < 1.0:
            return None
        distance = np.abs(_radius(points, centre, axes, turn) - 1.0)
        kept = distance <= max(2.5 * float(np.median(distance)), 0.01)
        if kept.all():
            break
        points = points[kept]
    angles = np.linspace(0.0, 2.0 * np.pi, _SAMPLES, endpoint=False)
    unit = np.stack([np.cos(angles), np.sin(angles)], axis=1) * np.array(axes) / 2.0
    shape = "circle" if min(axes) >= _ROUND * max(axes) else "oval"
    return shape, unit @ turn_matrix(turn).T + np.array(centre)


def _radius(
    points: FloatArray, centre: Sequence[float], axes: Sequence[float], turn: float
) -> FloatArray:
    """Distance of points from the centre of an ellipse, in its own radii."""
    own = (points - np.array(centre)) @ turn_matrix(turn) / (np.array(axes) / 2.0)
    return np.asarray(np.hypot(own[:, 0], own[:, 1]), dtype=np.float64)


def turn_matrix(degrees: float) -> FloatArray:
    """Matrix (2, 2) that turns a point, as a column, clockwise on the screen."""
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[cosine, -sine], [sine, cosine]])


def _rectangle(hull: FloatArray) -> tuple[str, FloatArray] | None:
    corners = cv2.boxPoints(cv2.minAreaRect(hull.astype(np.float32)))
    return "rectangle", _clockwise(np.asarray(corners, dtype=np.float64))


def _triangle(hull: FloatArray) -> tuple[str, FloatArray] | None:
    # OpenCV loses its way now and then on hulls with many short edges.
    simple = cv2.approxPolyDP(hull.astype(np.float32).reshape(-1, 1, 2), 1.0, True)
    _, corners = cv2.minEnclosingTriangle(simple)
    if corners is None:
        return None
    return "triangle", _clockwise(np.asarray(corners, dtype=np.float64).reshape(-1, 2))


_FITS: tuple[Callable[[FloatArray], tuple[str, FloatArray] | None], ...] = (
    _ellipse,
    _rectangle,
    _triangle,
)


def _clockwise(corners: FloatArray) -> FloatArray:
    x, y = corners.T
    area = float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))
    return corners if area > 0 else corners[::-1]


def _coverage(points: FloatArray, distance: FloatArray, reach: float) -> float:
    """Share of the closed polygon (N, 2) that has ink within reach, by distances to ink (h, w)."""
    following = np.roll(points, -1, axis=0)
    lengths = np.linalg.norm(following - points, axis=1)
    steps = np.maximum(1, np.round(_SAMPLES * lengths / max(lengths.sum(), 1e-9))).astype(int)
    edge = np.repeat(np.arange(len(points)), steps)
    first = np.cumsum(steps) - steps
    part = (np.arange(len(edge)) - first[edge] + 0.5) / steps[edge]
    along = points[edge] + part[:, None] * (following - points)[edge]
    height, width = distance.shape
    column, row = np.floor(along).astype(int).T
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    # The outline may leave the mask by rounding, or far, where a figure does not fit.
    near = distance[np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)]
    beyond = np.hypot(column - np.clip(column, 0, width - 1), row - np.clip(row, 0, height - 1))
    return float(np.mean(np.where(inside, near, near + beyond) <= reach))
