"""Geometry of boxes, quads and planes, in pure numpy.

Convention: points are ``(x, y)`` float64 in continuous pixels, y downwards; pixel column ``j``
covers ``[j, j + 1)``. A box is ``(x0, y0, x1, y1)``, x1 and y1 exclusive. A quad is (4, 2),
clockwise as seen on the screen.
"""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]

# The corner after each of a quad.
_NEXT = [1, 2, 3, 0]
_UNIT_SQUARE = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])


def _quad(value: ArrayLike) -> FloatArray:
    quad = np.asarray(value, dtype=np.float64)
    if quad.shape != (4, 2):
        raise ValueError(f"expected four points, shape (4, 2), got shape {quad.shape}")
    return quad


def order_corners(points: ArrayLike) -> FloatArray:
    """Order four corners clockwise from the top-left, as (4, 2).

    The start is the corner for which the reading direction, the sum of the upper and the lower
    edge, points farthest to the right. A mark wider than tall is so read along its long side,
    whichever way it is turned.

    Args:
        points: (4, 2) corners of a convex quad in any order.
    """
    quad = _quad(points)
    offsets = quad - quad.mean(axis=0)
    around = quad[np.argsort(np.arctan2(offsets[:, 1], offsets[:, 0]))]
    rightward = [
        around[(start + 1) % 4, 0]
        - around[start, 0]
        + around[(start + 2) % 4, 0]
        - around[start - 1, 0]
        for start in range(4)
    ]
    return np.roll(around, -int(np.argmax(rightward)), axis=0)


def is_convex(quad: ArrayLike) -> bool:
    """Whether a quad is strictly convex and clockwise on the screen (y downwards)."""
    corners = _quad(quad)
    edges = corners[_NEXT] - corners
    following = edges[_NEXT]
    turns = edges[:, 0] * following[:, 1] - edges[:, 1] * following[:, 0]
    lengths = np.hypot(edges[:, 0], edges[:, 1]) * np.hypot(following[:, 0], following[:, 1])
    return bool(np.all(turns > 1e-9 * np.maximum(lengths, 1e-12)))


def quad_area(quad: ArrayLike) -> float:
    """Area of a quad in square pixels (shoelace formula); negative when it runs anticlockwise."""
    x, y = _quad(quad).T
    return float(0.5 * np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))


def quad_to_box(quad: ArrayLike) -> FloatArray:
    """Smallest upright box around quads: (..., 4, 2) to (..., 4)."""
    corners = np.asarray(quad, dtype=np.float64)
    return np.concatenate([corners.min(axis=-2), corners.max(axis=-2)], axis=-1)


def box_to_quad(box: ArrayLike) -> FloatArray:
    """Corners of boxes, clockwise from the top-left: (..., 4) to (..., 4, 2)."""
    x0, y0, x1, y1 = np.moveaxis(np.asarray(box, dtype=np.float64), -1, 0)
    return np.stack(
        [np.stack(corner, axis=-1) for corner in ((x0, y0), (x1, y0), (x1, y1), (x0, y1))], axis=-2
    )


def clip_boxes(boxes: ArrayLike, width: int, height: int) -> FloatArray:
    """Boxes (..., 4) cut to an image of the given size in pixels."""
    limits = np.array([width, height, width, height], dtype=np.float64)
    return np.clip(np.asarray(boxes, dtype=np.float64), 0.0, limits)


def homography(source: ArrayLike, target: ArrayLike) -> FloatArray:
    """Homography (3, 3) that takes four points to four others.

    By way of the unit square (Heckbert 1989, Fundamentals of Texture Mapping and Image Warping,
    2.2.3). Sign and scale are free: the mean of the source gets the weight 1.

    Args:
        source: (4, 2) points, no three of them on a line.
        target: (4, 2) points, likewise.

    Raises:
        ValueError: Other shapes, or points on a line.
    """
    a, b = _quad(source), _quad(target)
    matrix = _from_unit_square(b) @ np.linalg.inv(_from_unit_square(a))
    x, y = a.mean(axis=0).tolist()
    weight = float(matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2])
    return np.asarray(matrix / (weight or 1.0), dtype=np.float64)


def _from_unit_square(quad: FloatArray) -> FloatArray:
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = quad.tolist()
    ax, ay, bx, by = x1 - x2, y1 - y2, x3 - x2, y3 - y2
    cx, cy = x0 - x1 - bx, y0 - y1 - by
    area = ax * by - bx * ay
    size = max(abs(value) for value in (ax, ay, bx, by, cx, cy))
    if abs(area) > 1e-9 * size**2:
        g, h = (cx * by - bx * cy) / area, (ax * cy - cx * ay) / area
        rows = [
            [x1 - x0 + g * x1, x3 - x0 + h * x3, x0],
            [y1 - y0 + g * y1, y3 - y0 + h * y3, y0],
            [g, h, 1.0],
        ]
        matrix = np.array(rows)
        if abs(np.linalg.det(matrix)) > 1e-9 * size**2:
            return matrix
    raise ValueError("the points do not fix a homography: three of them lie on a line")


def translation(x: float, y: float) -> FloatArray:
    """Homography (3, 3) that moves points by (x, y)."""
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]])


def pixel_centres(matrix: ArrayLike) -> FloatArray:
    """A homography (3, 3), or (2, 3) affine map, as the (3, 3) one for OpenCV.

    OpenCV counts from the centre of the first pixel, the package from its corner: this is the one
    place that knows.
    """
    whole = np.eye(3)
    whole[: len(np.asarray(matrix))] = matrix
    return np.asarray(translation(-0.5, -0.5) @ whole @ translation(0.5, 0.5), dtype=np.float64)


def apply_homography(matrix: ArrayLike, points: ArrayLike) -> FloatArray:
    """Take points (..., 2) through a homography (3, 3)."""
    transform, flat = np.asarray(matrix, dtype=np.float64), np.asarray(points, dtype=np.float64)
    mapped = flat @ transform[:, :2].T + transform[:, 2]
    return np.asarray(mapped[..., :2] / mapped[..., 2:], dtype=np.float64)


def enlarge_quad(quad: ArrayLike, margin: ArrayLike) -> FloatArray:
    """Quad (4, 2) grown about its centre in its own plane.

    Args:
        quad: (4, 2) convex corners.
        margin: What to add on each side, as a fraction of the width and of the height: one number
            or two.

    Raises:
        ValueError: The quad has no area.
    """
    share = np.asarray(margin, dtype=np.float64)
    if not share.any():
        return _quad(quad).copy()
    return apply_homography(
        homography(_UNIT_SQUARE, _quad(quad)), _UNIT_SQUARE + share * (2.0 * _UNIT_SQUARE - 1.0)
    )


def rectified_size(quad: ArrayLike) -> tuple[int, int]:
    """Width and height in pixels, at least 1: the means of the opposite sides of a quad."""
    corners = _quad(quad)
    top, right, bottom, left = np.linalg.norm(corners[_NEXT] - corners, axis=1)
    return max(1, round(float(top + bottom) / 2)), max(1, round(float(left + right) / 2))


@dataclass(frozen=True, slots=True)
class Letterbox:
    """How an image is fitted into a network's input: scaled, then padded.

    Attributes:
        width: Width of the image in pixels.
        height: Height of the image in pixels.
        scaled_width: Width of the scaled image inside the input.
        scaled_height: Height of the scaled image inside the input.
        padded_width: Width of the input.
        padded_height: Height of the input.
        border: Padding on the left and above, in pixels of the input; the rest is right and below.
    """

    width: int
    height: int
    scaled_width: int
    scaled_height: int
    padded_width: int
    padded_height: int
    border: int = 0

    @classmethod
    def fit(
        cls,
        width: int,
        height: int,
        long_side: int,
        *,
        multiple: int = 32,
        max_upscale: float = 1.0,
        border: int = 0,
    ) -> Self:
        """Scale the long side to ``long_side``, at most by ``max_upscale``; pad to a multiple.

        The padding is at least ``border`` pixels on each side.

        Raises:
            ValueError: A size is not positive.
        """
        if min(width, height, long_side, multiple) < 1 or max_upscale <= 0:
            raise ValueError(f"sizes are positive, got {width}x{height} into {long_side}")
        scale = min(long_side / max(width, height), max_upscale)
        scaled = [max(1, round(side * scale)) for side in (width, height)]
        padded = [math.ceil((side + 2 * border) / multiple) * multiple for side in scaled]
        return cls(width, height, scaled[0], scaled[1], padded[0], padded[1], border)

    @property
    def scale(self) -> FloatArray:
        """Factors (2,) in x and y; they differ by the rounding to whole pixels."""
        return np.array([self.scaled_width / self.width, self.scaled_height / self.height])

    def forward(self, points: ArrayLike) -> FloatArray:
        """Take points (..., 2) of the image to the network's input."""
        return np.asarray(points, dtype=np.float64) * self.scale + self.border

    def inverse(self, points: ArrayLike) -> FloatArray:
        """Take points (..., 2) of the network's input to the image."""
        return (np.asarray(points, dtype=np.float64) - self.border) / self.scale


def iou_matrix(a: ArrayLike, b: ArrayLike) -> FloatArray:
    """Intersection over union of all boxes of ``a`` (N, 4) with all of ``b`` (M, 4), as (N, M).

    Boxes without area have 0 with all.
    """
    first = np.asarray(a, dtype=np.float64).reshape(-1, 4)
    second = np.asarray(b, dtype=np.float64).reshape(-1, 4)
    shared = _shared_areas(first, second)
    areas_a = (first[:, 2:] - first[:, :2]).prod(axis=1)
    areas_b = (second[:, 2:] - second[:, :2]).prod(axis=1)
    union = areas_a[:, None] + areas_b[None, :] - shared
    overlaps: FloatArray = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return overlaps


def coverage_matrix(a: ArrayLike, b: ArrayLike) -> FloatArray:
    """Share of each box of ``a`` (N, 4) that each of ``b`` (M, 4) covers, as (N, M).

    Boxes without area are not covered.
    """
    first = np.asarray(a, dtype=np.float64).reshape(-1, 4)
    shared = _shared_areas(first, np.asarray(b, dtype=np.float64).reshape(-1, 4))
    areas = (first[:, 2:] - first[:, :2]).prod(axis=1)[:, None]
    covered: FloatArray = np.divide(shared, areas, out=np.zeros_like(shared), where=areas > 0)
    return covered


def _shared_areas(first: FloatArray, second: FloatArray) -> FloatArray:
    upper = np.maximum(first[:, None, :2], second[None, :, :2])
    lower = np.minimum(first[:, None, 2:], second[None, :, 2:])
    return np.asarray(np.clip(lower - upper, 0.0, None).prod(axis=2), dtype=np.float64)


def nms(boxes: ArrayLike, scores: ArrayLike, threshold: float = 0.5) -> NDArray[np.intp]:
    """Greedy non-maximum suppression.

    Args:
        boxes: (N, 4).
        scores: (N,).
        threshold: A box whose IoU with a better one is above this is dropped.

    Returns:
        (K,) indices of the boxes that stay, best score first; equal scores keep their order.
    """
    order = np.argsort(-np.asarray(scores, dtype=np.float64), kind="stable")
    overlaps = iou_matrix(boxes, boxes)
    kept: list[int] = []
    dropped = np.zeros(len(order), dtype=bool)
    for index in order.tolist():
        if not dropped[index]:
            kept.append(index)
            dropped |= overlaps[index] > threshold
    return np.array(kept, dtype=np.intp)
