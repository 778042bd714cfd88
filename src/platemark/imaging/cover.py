"""Covers marks so that what they say cannot be told any more, by eye or by calculation.

What is left of a mark is the mean colour of every stretch of twice its height, some four
characters, with noise on it. The pictures of blur and mosaic are made of these means, not of the
mark: a blurred or pixelated text can be found again by blurring all texts that it may be (Hill et
al. 2016, "On the (In)effectiveness of Mosaicing and Blurring as Tools for Document Redaction").
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from platemark.geometry import (
    FloatArray,
    box_to_quad,
    coverage_matrix,
    enlarge_quad,
    is_convex,
    rectified_size,
)
from platemark.imaging.image import Image, Pixels
from platemark.types import Detection

Style = Literal["blur", "box", "pixelate"]
STYLES: tuple[Style, ...] = get_args(Style)

# Length of a stretch in heights of a mark, the noise on its mean, sides of the tiles of a mosaic
# in heights, and the noise on theirs, in grey levels.
_MOST = 0.5
_STRETCH, _NOISE, _TILE, _TILE_NOISE = 2.0, 6.0, 0.3, 14.0


@dataclass(frozen=True, eq=False)
class Redacted:
    """A page whose marks are covered.

    Attributes:
        image: The page, covered.
        marks: What is covered, as it was found.
    """

    image: Image
    marks: tuple[Detection, ...]


def cover(pixels: Pixels, marks: Sequence[Detection], style: Style, margin: float) -> Pixels:
    """Return a copy of a picture in which marks are covered; no other pixel differs.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        marks: What to cover: of each the convex hull of its box and its quad.
        style: How; ``"box"`` is black.
        margin: What is covered around a mark, as a fraction of its height.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ValueError: There is no such style.
    """
    if style not in STYLES:
        raise ValueError(f"a style is one of {', '.join(STYLES)}, not {style!r}")
    covered = pixels.copy()
    noise = np.random.default_rng()
    for mark in marks:
        hull = _hull(mark, margin * _height(mark))
        height, width = pixels.shape[:2]
        x0, y0 = np.clip(np.floor(hull.min(axis=0)) - 1, 0, (width, height)).astype(int)
        x1, y1 = np.clip(np.ceil(hull.max(axis=0)) + 1, 0, (width, height)).astype(int)
        part = covered[y0:y1, x0:x1]
        if part.size:
            inside = _inside(hull - (x0, y0), part.shape[:2])
            part[inside] = _filling(part, _height(mark), style, noise)[inside]
    return covered


def _height(mark: Detection) -> float:
    """Height of a mark, which no character of it exceeds."""
    x0, y0, x1, y1 = mark.box
    # The box is for quads that are narrower than their mark.
    return max(1.0, *(min(rectified_size(mark.quad)), min(x1 - x0, y1 - y0) / 2.0))


def _hull(mark: Detection, margin: float) -> FloatArray:
    """Convex hull (N, 2) of box and quad, each grown by a margin in pixels."""
    quads = [box_to_quad(mark.box), np.array(mark.quad)]
    grown = [
        enlarge_quad(quad, margin / np.array(rectified_size(quad))) if is_convex(quad) else quad
        for quad in quads
    ]
    points = np.concatenate(grown).astype(np.float32)
    return np.asarray(cv2.convexHull(points)[:, 0], dtype=np.float64)


def _inside(hull: FloatArray, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Which pixels of a picture (H, W) a convex hull touches."""
    inside = np.zeros(size, np.uint8)
    cv2.fillConvexPoly(inside, np.rint(hull - 0.5).astype(np.int32), 1)
    return cv2.dilate(inside, np.ones((3, 3), np.uint8)).astype(bool)


def _filling(part: Pixels, height: float, style: Style, noise: np.random.Generator) -> Pixels:
    """A picture to cover a part (h, w, 3) of another one with."""
    size = part.shape[1], part.shape[0]
    if style == "box":
        return np.zeros_like(part)
    stretches = _counts(size, _STRETCH * height)
    means = _noisy(cv2.resize(part, stretches, interpolation=cv2.INTER_AREA), _NOISE, noise)
    if style == "blur":
        filled = cv2.resize(means, size, interpolation=cv2.INTER_LINEAR)
    else:
        tiles = cv2.resize(means, _counts(size, _TILE * height), interpolation=cv2.INTER_LINEAR)
        tiles = _noisy(tiles.reshape(*tiles.shape[:2], 3), _TILE_NOISE, noise)
        filled = cv2.resize(tiles, size, interpolation=cv2.INTER_NEAREST)
    return np.asarray(np.clip(np.rint(filled), 0, 255), np.uint8)


def _noisy(picture: NDArray[Any], level: float, noise: np.random.Generator) -> NDArray[Any]:
    """A picture (h, w, 3) as float32, its pixels brighter or darker by so much."""
    grey = noise.normal(0.0, level, picture.shape[:2])
    return (picture + grey[..., None]).astype(np.float32)


def _counts(size: tuple[int, int], length: float) -> tuple[int, int]:
    """How many squares of a length there are across and down, at least one."""
    return max(1, round(size[0] / length)), max(1, round(size[1] / length))


def is_covered(mark: Detection, covered: Sequence[Detection]) -> bool:
    """Whether most of a mark lies in the box of one that was covered."""
    boxes = [one.box for one in covered]
    return bool((coverage_matrix([mark.box], boxes) >= _MOST).any())
