"""The only place that warps pictures, and the only rectifier."""

from collections.abc import Sequence
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from platemark.geometry import (
    FloatArray,
    apply_homography,
    box_to_quad,
    homography,
    is_convex,
    pixel_centres,
    quad_to_box,
    rectified_size,
    translation,
)
from platemark.imaging.image import Pixels
from platemark.types import Crop

Picture = TypeVar("Picture", bound=NDArray[Any])

_UNIT = box_to_quad((0.0, 0.0, 1.0, 1.0))


def warp(
    picture: Picture,
    matrix: ArrayLike,
    size: tuple[int, int],
    *,
    fill: float | Sequence[float] | None = 0.0,
) -> Picture:
    """Take a picture through a homography, bilinearly; where it shrinks it is not averaged.

    Args:
        picture: (H, W) or (H, W, C), uint8 or float32, no side over 32767 pixels.
        matrix: (3, 3) homography, or (2, 3) affine map, from points of the picture to points of
            the result, in continuous pixels as everywhere in the package.
        size: Width and height of the result.
        fill: What is outside the picture, for all channels or for each; None repeats its edge.
    """
    centred = pixel_centres(matrix)
    border = cv2.BORDER_REPLICATE if fill is None else cv2.BORDER_CONSTANT
    value = fill if isinstance(fill, Sequence) else (fill or 0.0,) * 4
    if np.array_equal(centred[2], (0.0, 0.0, 1.0)):
        seen = cv2.warpAffine(picture, centred[:2], size, borderMode=border, borderValue=value)
    else:
        seen = cv2.warpPerspective(picture, centred, size, borderMode=border, borderValue=value)
    return np.asarray(seen, dtype=picture.dtype)  # type: ignore[return-value]


def values_at(picture: Picture, points: ArrayLike, *, fill: float | None = 0.0) -> Picture:
    """What a picture (H, W) or (H, W, C) shows at points (h, w, 2), bilinearly; see `warp`."""
    centres = (np.asarray(points) - 0.5).astype(np.float32)
    border = cv2.BORDER_REPLICATE if fill is None else cv2.BORDER_CONSTANT
    seen = cv2.remap(
        picture,
        centres[..., 0],
        centres[..., 1],
        cv2.INTER_LINEAR,
        borderMode=border,
        borderValue=(fill or 0.0,) * 4,
    )
    return np.asarray(seen, dtype=picture.dtype)  # type: ignore[return-value]


def rectify(
    pixels: Pixels, quad: ArrayLike, size: tuple[int, int] | None = None, margin: float = 0.0
) -> Crop:
    """Rectify a quad: its crop, turned upright.

    What lies outside the picture repeats its edge. Where the crop is much smaller than the quad,
    the quad is first warped at a multiple of the size and then averaged, so that fine strokes stay.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        quad: (4, 2) convex corners in pixels of the picture, clockwise from the mark's top-left.
        size: Width and height of the crop in pixels; by default those of the quad.
        margin: What to take around the quad on each side, as a fraction of its width and height.

    Raises:
        ValueError: The quad is not convex and clockwise.
    """
    return Crop(*rectified(pixels, quad, size, margin))


def rectified(
    pixels: Pixels, quad: ArrayLike, size: tuple[int, int] | None = None, margin: float = 0.0
) -> tuple[Pixels, FloatArray]:
    """Pixels and ``to_image`` of what `rectify` gives, also of grey pictures (H, W)."""
    if not is_convex(quad):
        raise ValueError(f"only a convex, clockwise quad can be rectified, got {quad!r}")
    spread = 1.0 + 2.0 * margin
    grown = np.array([[spread, 0.0, -margin], [0.0, spread, -margin], [0.0, 0.0, 1.0]])
    from_unit = homography(_UNIT, quad) @ grown
    corners = apply_homography(from_unit, _UNIT)
    own_width, own_height = rectified_size(corners)
    width, height = size or (own_width, own_height)
    fine = width * max(1, round(own_width / width)), height * max(1, round(own_height / height))
    x0, y0, region = _surroundings(pixels, corners)
    to_region = translation(-x0, -y0) @ from_unit
    seen = warp(region, np.diag([*fine, 1.0]) @ np.linalg.inv(to_region), fine, fill=None)
    if fine != (width, height):
        seen = np.asarray(cv2.resize(seen, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    return seen, from_unit @ np.diag([1.0 / width, 1.0 / height, 1.0])


def _surroundings(pixels: Pixels, corners: FloatArray) -> tuple[int, int, Pixels]:
    """The part of a picture around a quad and where it starts: OpenCV warps no larger ones."""
    height, width = pixels.shape[:2]
    x0, y0, x1, y1 = quad_to_box(corners).tolist()
    left, top = (min(max(int(v) - 2, 0), side - 1) for v, side in ((x0, width), (y0, height)))
    right, bottom = max(left + 1, int(min(x1 + 3, width))), max(top + 1, int(min(y1 + 3, height)))
    return left, top, pixels[top:bottom, left:right]
