"""Pictures of a fixed camera, straightened before marks are detected."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from platemark.geometry import (
    FloatArray,
    apply_homography,
    box_to_quad,
    homography,
    is_convex,
    quad_area,
    quad_to_box,
    rectified_size,
    translation,
)
from platemark.imaging.image import Pixels
from platemark.imaging.warp import values_at, warp
from platemark.types import Detection, Quad, as_box, as_quad

# What is so much farther away than the rectangle is left out: near the horizon the straightened
# plane has no end.
_FARTHEST = 8.0
# A straightened picture reaches at most this many sizes of the original beyond it.
_BEYOND = 0.5
# Points on each side of a picture that say how far the straightened one reaches.
_GRID = 33
_LENS_ROUNDS = 20


@dataclass(frozen=True)
class Prewarp:
    """How pictures of a fixed camera are straightened: its lens, then its perspective.

    Attributes:
        quad: Corners of a rectangle in the plane in which plates stand, such as those of one
            plate, in pixels of the pictures, clockwise from its top-left; it becomes upright where
            it is. None where the perspective stays.
        ratio: Width of that rectangle by its height; None for that of its sides in the picture.
        lens: The first two radial coefficients (k1, k2) of Brown's model of lens distortion, with
            half the diagonal of the picture as unit: what an ideal lens shows at the radius r is
            seen at r (1 + k1 r² + k2 r⁴). Barrels have a negative k1.

    Raises:
        ValueError: The corners are not convex and clockwise, the ratio is not positive, or the lens
            would fold the picture.
    """

    quad: Quad | None = None
    ratio: float | None = None
    lens: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        if self.quad is not None:
            corners = np.asarray(self.quad, dtype=np.float64)
            if not is_convex(corners):
                raise ValueError(
                    "a prewarp has the four corners (x, y) of a rectangle, clockwise from its "
                    f"top-left, not {self.quad!r}"
                )
            object.__setattr__(self, "quad", as_quad(corners))
        if self.ratio is not None and not 0.0 < self.ratio < np.inf:
            raise ValueError(f"the ratio of a rectangle is positive, not {self.ratio}")
        if self.ratio is not None and self.quad is None:
            raise ValueError("a ratio is that of a rectangle: give its corners too")
        radii = np.linspace(0.0, 1.0, 101)
        k1, k2 = self.lens
        growing = 1.0 + 3.0 * k1 * radii**2 + 5.0 * k2 * radii**4
        if not (growing > 0.0).all():
            raise ValueError(f"lens coefficients {k1}, {k2} would fold the picture onto itself")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Make one of ``x,y x,y x,y x,y ratio=R lens=K1,K2``, each of the three parts at will.

        Raises:
            ValueError: It is none.
        """
        named: dict[str, list[float]] = {}
        points: list[list[float]] = []
        try:
            for part in text.split():
                name, equals, listed = part.rpartition("=")
                numbers = [float(number) for number in listed.split(",")]
                if equals and name not in named:
                    named[name] = numbers
                else:
                    points.append([*numbers, *[np.nan] * bool(name)])
        except ValueError:
            points = [[]]
        ratio, lens = named.pop("ratio", [None]), named.pop("lens", [])
        sound = len(points) in (0, 4) and all(len(point) == 2 for point in points)
        if not sound or named or len(ratio) != 1 or len(lens) > 2 or not text.strip():
            raise ValueError(
                f"{text!r} is no prewarp: give four corners x,y of a rectangle, clockwise from its "
                "top-left, at will with ratio=WIDTH/HEIGHT, or lens=K1,K2, or both"
            )
        k1, k2 = (*lens, 0.0, 0.0)[:2]
        return cls(as_quad(points) if points else None, ratio[0], (k1, k2))

    def view(self, width: int, height: int, window: Sequence[float]) -> "StraightView":
        """Straighten a part of pictures of a size.

        Args:
            width: Width of the pictures in pixels.
            height: Their height.
            window: The region of interest: x0, y0, x1, y1.
        """
        return _view(self, width, height, tuple(window))

    def upright(self) -> FloatArray:
        """Homography (3, 3) from pictures of an ideal lens to straightened ones.

        The rectangle keeps its centre and its area.
        """
        if self.quad is None:
            return np.eye(3)
        seen = np.asarray(self.quad)
        wide, high = rectified_size(seen)
        ratio = self.ratio or wide / high
        size = np.sqrt(quad_area(seen) * np.array([ratio, 1.0 / ratio]))
        middle = seen.mean(axis=0)
        return homography(seen, box_to_quad([*(middle - size / 2), *(middle + size / 2)]))


@dataclass(frozen=True, eq=False)
class StraightView:
    """A straightened part of pictures of one size.

    Attributes:
        size: Width and height of the straightened picture in pixels.
        to_ideal: Homography (3, 3) from its points to those that an ideal lens would show.
        lens: See `Prewarp`.
        centre: (2,) centre of the pictures.
        unit: Half their diagonal.
    """

    size: tuple[int, int]
    to_ideal: FloatArray
    lens: tuple[float, float]
    centre: FloatArray
    unit: float

    def to_image(self, points: ArrayLike) -> FloatArray:
        """Take points (..., 2) of the straightened picture to the original one."""
        return _bent(apply_homography(self.to_ideal, points), self.lens, self.centre, self.unit)

    def straighten(self, pixels: Pixels) -> Pixels:
        """The straightened picture of an original one (H, W, 3); its edge is repeated outside."""
        if not any(self.lens):
            return warp(pixels, np.linalg.inv(self.to_ideal), self.size, fill=None)
        return values_at(pixels, self._points, fill=None)

    @cached_property
    def _points(self) -> NDArray[np.float32]:
        """Points (H, W, 2) of the original picture that its pixels show."""
        width, height = self.size
        rows, columns = np.mgrid[:height, :width]
        return self.to_image(np.stack([columns, rows], axis=-1) + 0.5).astype(np.float32)

    def original(self, found: Detection, width: int, height: int) -> Detection:
        """A detection of the straightened picture in pixels of the original one, of a size."""
        box = quad_to_box(self.to_image(box_to_quad(found.box)))
        limits = np.array([width, height, width, height], dtype=np.float64)
        inside = np.clip(box, 0.0, limits)
        return Detection(
            found.kind, found.score, as_box(inside), as_quad(self.to_image(found.quad))
        )


@lru_cache(maxsize=4)
def _view(prewarp: Prewarp, width: int, height: int, window: tuple[float, ...]) -> StraightView:
    centre, unit = np.array([width, height]) / 2.0, float(np.hypot(width, height)) / 2.0
    x0, y0, x1, y1 = window
    grid = np.stack(np.meshgrid(np.linspace(x0, x1, _GRID), np.linspace(y0, y1, _GRID)), -1)
    ideal = _unbent(grid.reshape(-1, 2), prewarp.lens, centre, unit)
    upright = prewarp.upright()
    near = ideal @ upright[2, :2] + upright[2, 2] > 1.0 / _FARTHEST
    seen = apply_homography(upright, ideal[near])
    size = np.array([width, height], dtype=np.float64)
    low = np.maximum(seen.min(axis=0, initial=np.inf), -_BEYOND * size)
    high = np.minimum(seen.max(axis=0, initial=-np.inf), (1.0 + _BEYOND) * size)
    # A window that is all beyond the horizon shows nothing.
    extent = np.maximum(np.ceil(high - low), 1.0) if near.any() else np.ones(2)
    origin = low if near.any() else np.zeros(2)
    to_ideal = np.linalg.inv(upright) @ translation(*origin.tolist())
    return StraightView((int(extent[0]), int(extent[1])), to_ideal, prewarp.lens, centre, unit)


def _bent(
    points: FloatArray, lens: tuple[float, float], centre: FloatArray, unit: float
) -> FloatArray:
    """Where a lens shows points (..., 2) of an ideal one."""
    offsets = (points - centre) / unit
    # Beyond the corners of the picture, where the polynomial says nothing, it goes on as there.
    squares = np.minimum(np.sum(offsets**2, axis=-1, keepdims=True), 1.0)
    bent = centre + unit * offsets * (1.0 + lens[0] * squares + lens[1] * squares**2)
    return np.asarray(bent, dtype=np.float64)


def _unbent(
    points: FloatArray, lens: tuple[float, float], centre: FloatArray, unit: float
) -> FloatArray:
    """What an ideal lens shows at points (N, 2) of a real one, by fixed-point iteration."""
    ideal = points
    for _ in range(_LENS_ROUNDS):
        ideal = points - (_bent(ideal, lens, centre, unit) - ideal)
    return ideal
