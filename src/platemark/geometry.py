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
    edges = np.roll(corners, -1, axis=0) - corners
    following = np.roll(edges, -1, axis=0)
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
    """Homography (3, 3) that takes the source points to the target points.

    The normalised direct linear transform (Hartley and Zisserman, Multiple View Geometry, algorithm
    4.2): exact for four points, least squares for more.

    Args:
        source: (N, 2) points, N >= 4, no three of the four on a line.
        target: (N, 2) points.

    Raises:
        ValueError: Fewer than four points, shapes that differ, or points on a line.
    """
    a, b = np.asarray(source, dtype=np.float64), np.asarray(target, dtype=np.float64)
    if a.ndim != 2 or a.shape[1] != 2 or a.shape != b.shape or len(a) < 4:
        raise ValueError(f"expected two (N, 2) arrays with N >= 4, got {a.shape} and {b.shape}")
    to_unit_a, to_unit_b = _normaliser(a), _normaliser(b)
    (x, y), (u, v) = apply_homography(to_unit_a, a).T, apply_homography(to_unit_b, b).T
    one, zero = np.ones_like(x), np.zeros_like(x)
    rows = np.concatenate(
        [
            np.stack([x, y, one, zero, zero, zero, -u * x, -u * y, -u], axis=1),
            np.stack([zero, zero, zero, x, y, one, -v * x, -v * y, -v], axis=1),
        ]
    )
    _, sizes, directions = np.linalg.svd(rows)
    between = directions[-1].reshape(3, 3)
    # The centre of the source is the origin here; its weight must not vanish.
    weight = float(between[2, 2])
    if sizes[7] < 1e-10 * sizes[0] or abs(weight) < 1e-9 or abs(np.linalg.det(between)) < 1e-10:
        raise ValueError("the points do not fix a homography: three of them lie on a line")
    # Sign and scale are free: the centre of the source gets the weight 1.
    return np.asarray(np.linalg.solve(to_unit_b, between @ to_unit_a) / weight, dtype=np.float64)


def _normaliser(points: FloatArray) -> FloatArray:
    """Similarity that brings points to centre 0 and mean distance sqrt(2)."""
    centre = points.mean(axis=0)
    distance = float(np.hypot(*(points - centre).T).mean())
    if distance == 0.0:
        raise ValueError("the points do not fix a homography: they are all the same")
    scale = math.sqrt(2.0) / distance
    return np.array(
        [[scale, 0.0, -scale * centre[0]], [0.0, scale, -scale * centre[1]], [0.0, 0.0, 1.0]]
    )


def apply_homography(matrix: ArrayLike, points: ArrayLike) -> FloatArray:
    """Take points (..., 2) through a homography (3, 3)."""
    transform, flat = np.asarray(matrix, dtype=np.float64), np.asarray(points, dtype=np.float64)
    mapped = flat @ transform[:, :2].T + transform[:, 2]
    return np.asarray(mapped[..., :2] / mapped[..., 2:], dtype=np.float64)


def enlarge_quad(quad: ArrayLike, margin: float) -> FloatArray:
    """Quad (4, 2) grown about its centre in its own plane.

    Args:
        quad: (4, 2) convex corners.
        margin: What to add on each side, as a fraction of the width and of the height.

    Raises:
        ValueError: The quad has no area.
    """
    if margin == 0.0:
        return _quad(quad).copy()
    return apply_homography(
        homography(_UNIT_SQUARE, _quad(quad)), _UNIT_SQUARE + margin * (2.0 * _UNIT_SQUARE - 1.0)
    )


def rectified_size(quad: ArrayLike) -> tuple[int, int]:
    """Width and height in pixels, at least 1: the means of the opposite sides of a quad."""
    corners = _quad(quad)
    top, right, bottom, left = np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1)
    return max(1, round(float(top + bottom) / 2)), max(1, round(float(left + right) / 2))


@dataclass(frozen=True, slots=True)
class Letterbox:
    """How an image is fitted into a network's input: scaled, then padded right and bottom.

    Attributes:
        width: Width of the image in pixels.
        height: Height of the image in pixels.
        scaled_width: Width of the scaled image inside the input.
        scaled_height: Height of the scaled image inside the input.
        padded_width: Width of the input.
        padded_height: Height of the input.
    """

    width: int
    height: int
    scaled_width: int
    scaled_height: int
    padded_width: int
    padded_height: int

    @classmethod
    def fit(
        cls,
        width: int,
        height: int,
        long_side: int,
        *,
        multiple: int = 32,
        max_upscale: float = 1.0,
    ) -> Self:
        """Scale the long side to ``long_side``, at most by ``max_upscale``; pad to a multiple.

        Raises:
            ValueError: A size is not positive.
        """
        if min(width, height, long_side, multiple) < 1 or max_upscale <= 0:
            raise ValueError(f"sizes are positive, got {width}x{height} into {long_side}")
        scale = min(long_side / max(width, height), max_upscale)
        scaled = [max(1, round(side * scale)) for side in (width, height)]
        padded = [math.ceil(side / multiple) * multiple for side in scaled]
        return cls(width, height, *scaled, *padded)

    @property
    def scale(self) -> FloatArray:
        """Factors (2,) in x and y; they differ by the rounding to whole pixels."""
        return np.array([self.scaled_width / self.width, self.scaled_height / self.height])

    def forward(self, points: ArrayLike) -> FloatArray:
        """Take points (..., 2) of the image to the network's input."""
        return np.asarray(points, dtype=np.float64) * self.scale

    def inverse(self, points: ArrayLike) -> FloatArray:
        """Take points (..., 2) of the network's input to the image."""
        return np.asarray(points, dtype=np.float64) / self.scale


def iou_matrix(a: ArrayLike, b: ArrayLike) -> FloatArray:
    """Intersection over union of all boxes of ``a`` (N, 4) with all of ``b`` (M, 4), as (N, M).

    Boxes without area have 0 with all.
    """
    first = np.asarray(a, dtype=np.float64).reshape(-1, 4)
    second = np.asarray(b, dtype=np.float64).reshape(-1, 4)
    upper = np.maximum(first[:, None, :2], second[None, :, :2])
    lower = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.clip(lower - upper, 0.0, None).prod(axis=2)
    areas_a = (first[:, 2:] - first[:, :2]).prod(axis=1)
    areas_b = (second[:, 2:] - second[:, :2]).prod(axis=1)
    union = areas_a[:, None] + areas_b[None, :] - shared
    overlaps: FloatArray = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return overlaps


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
