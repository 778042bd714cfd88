"""The ``preprocess`` section of a card as functions; inference and training share them."""

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from platemark.geometry import FloatArray, Letterbox
from platemark.imaging.image import Pixels
from platemark.models.card import (
    ClassifierPreprocess,
    DetectorPreprocess,
    ReaderPreprocess,
    StripPreprocess,
    VerifierPreprocess,
)

_MID_GREY = 128
# From this probability on a pixel counts as ink when the extent of an imprint is taken.
_INK = 0.5
# Share of the rows, or columns, of a large picture that may be left out when it is shrunk.
_LEFT_OUT = 0.001
# Share of the ink beyond each side of that extent, so that single specks do not widen it.
_SPECKS = 0.001
# Grey levels between ink and paper of a strip that are stretched to the full range at most.
_LEAST_CONTRAST = 40.0
# Columns behind a strip: the last letter is read with paper behind it, as in training.
_TAIL = 16


def letterbox_image(
    pixels: Pixels, spec: DetectorPreprocess, *, long_side: int | None = None, border: int = 0
) -> tuple[Pixels, Letterbox]:
    """Scale an image into a detector's input and pad it, right and bottom or all around.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        spec: The card's section.
        long_side: Length of the long side, where it is not that of the card.
        border: Least padding on each side, in pixels of the input.

    Returns:
        (1, H', W', 3) uint8 RGB with sides of the card's multiple, and how it was fitted.
    """
    height, width = pixels.shape[:2]
    fit = Letterbox.fit(
        width,
        height,
        long_side or spec.long_side,
        multiple=spec.multiple,
        max_upscale=spec.max_upscale,
        border=border,
    )
    tensor = np.full((1, fit.padded_height, fit.padded_width, 3), spec.pad, np.uint8)
    part = tensor[0, border : border + fit.scaled_height, border : border + fit.scaled_width]
    part[:] = resize(pixels, fit.scaled_width, fit.scaled_height)
    return tensor, fit


def strip_input(strip: Pixels, spec: StripPreprocess) -> Pixels:
    """Make a reader's input of an upright strip of text.

    Args:
        strip: (H, W) uint8 grey, dark on light or light on dark.
        spec: The card's section.

    Returns:
        (height, W') uint8: brought to the reader's height, contrast stretched, and continued with
        light columns on the right, at least a few, to a multiple of the card's.
    """
    height, width = strip.shape
    if height != spec.height:
        size = (max(1, round(width * spec.height / height)), spec.height)
        way = cv2.INTER_AREA if height > spec.height else cv2.INTER_LINEAR
        strip = np.asarray(cv2.resize(strip, size, interpolation=way), np.uint8)
    missing = _TAIL + -(strip.shape[1] + _TAIL) % spec.multiple
    levels = stretch_contrast(strip)
    light = int(np.percentile(levels, 90))
    return np.pad(levels, ((0, 0), (0, missing)), constant_values=light)


def stretch_contrast(strip: Pixels) -> Pixels:
    """Stretch grey levels from the darkest to the lightest, those of faint strips not endlessly."""
    low, high = np.percentile(strip, (2, 98))
    spread = max(float(high - low), _LEAST_CONTRAST)
    levels = (strip.astype(np.float32) - np.float32(high - spread)) * np.float32(245.0 / spread)
    return np.asarray(np.clip(levels + 5.0, 0, 255), np.uint8)


def reader_input(pixels: Pixels, spec: ReaderPreprocess) -> Pixels:
    """Make a reader's input of a rectified mark.

    Args:
        pixels: (H, W, 3) uint8 RGB, margin included.
        spec: The card's section.

    Returns:
        (height, width) uint8 grey, luma of ITU-R BT.601.
    """
    grey = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    return resize(grey, spec.width, spec.height)


def classifier_input(pixels: Pixels, spec: ClassifierPreprocess) -> Pixels:
    """Make a classifier's input of a rectified plate.

    Args:
        pixels: (H, W, 3) uint8 RGB, margin included.
        spec: The card's section.

    Returns:
        (height, width, 3) uint8 RGB.
    """
    return resize(pixels, spec.width, spec.height)


def square_crop(
    pixels: Pixels, box: Sequence[float], margin: float, side: int
) -> tuple[Pixels, FloatArray]:
    """Cut the surroundings of a box out as a square of fixed size, the aspect ratio kept.

    The box and its margin, as far as they are on the page, are scaled to fit, centred, and their
    outermost pixels repeated to fill the square.

    Args:
        pixels: (H, W, 3) uint8 RGB, or (H, W) uint8.
        box: (x0, y0, x1, y1) in pixels of the page.
        margin: What to take on each side, as a fraction of the longer side of the box.
        side: Side of the square in pixels.

    Returns:
        (side, side, 3) or (side, side) uint8, and the matrix (3, 3) that takes points of the
        square to the page: two scales, equal but for rounding, and a shift.

    Raises:
        ValueError: The box is not within the page.
    """
    left, top, right, bottom = surroundings(pixels, box, margin)
    part = pixels[top:bottom, left:right]
    fitted, (x, y) = _centred(part, side)
    rows, columns = fitted.shape[:2]
    square = cv2.copyMakeBorder(
        fitted, y, side - rows - y, x, side - columns - x, cv2.BORDER_REPLICATE
    )
    across, down = (right - left) / columns, (bottom - top) / rows
    to_page = np.array([[across, 0.0, left - across * x], [0.0, down, top - down * y], [0, 0, 1]])
    return np.asarray(square, dtype=np.uint8), to_page


def surroundings(pixels: Pixels, box: Sequence[float], margin: float) -> tuple[int, int, int, int]:
    """Whole pixels (left, top, right, bottom) of a page that hold a box and its margin.

    Args:
        pixels: The page, (H, W, ...).
        box: (x0, y0, x1, y1) in pixels of the page.
        margin: What to take on each side, as a fraction of the longer side of the box.

    Raises:
        ValueError: The box is not within the page.
    """
    height, width = pixels.shape[:2]
    x0, y0, x1, y1 = box
    around = margin * max(x1 - x0, y1 - y0)
    left, top = max(0, math.floor(x0 - around)), max(0, math.floor(y0 - around))
    right, bottom = min(width, math.ceil(x1 + around)), min(height, math.ceil(y1 + around))
    if left >= right or top >= bottom:
        raise ValueError(f"the box {list(box)} is not within the page of {width}x{height} pixels")
    return left, top, right, bottom


def verifier_input(pixels: Pixels, box: Sequence[float], spec: VerifierPreprocess) -> Pixels:
    """Make a verifier's input of a box and its surroundings.

    What lies beyond the page repeats its outermost pixels.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        box: (x0, y0, x1, y1) in pixels of the page.
        spec: The card's section.

    Returns:
        (side, side, 3) uint8 RGB, the box in its middle.

    Raises:
        ValueError: The box is not within the page.
    """
    height, width = pixels.shape[:2]
    x0, y0, x1, y1 = box
    surroundings(pixels, box, 0.0)  # refuses a box beside the page
    reach = spec.context * max(x1 - x0, y1 - y0, 1.0) / 2.0
    x, y = (x0 + x1) / 2.0, (y0 + y1) / 2.0
    left, top = math.floor(x - reach), math.floor(y - reach)
    length = max(1, math.ceil(2.0 * reach))
    part = pixels[max(top, 0) : top + length, max(left, 0) : left + length]
    square = cv2.copyMakeBorder(
        part,
        max(-top, 0),
        max(top + length - height, 0),
        max(-left, 0),
        max(left + length - width, 0),
        cv2.BORDER_REPLICATE,
    )
    crop = resize(np.asarray(square, np.uint8), spec.side, spec.side)
    scale = spec.side / length
    first = [max(0, round((corner - start) * scale)) for corner, start in ((x0, left), (y0, top))]
    last = [round((corner - start) * scale) for corner, start in ((x1, left), (y1, top))]
    faded = np.rint(_MID_GREY + spec.outside * (crop.astype(np.float32) - _MID_GREY))
    framed = np.asarray(faded, np.uint8)
    inside = slice(first[1], last[1]), slice(first[0], last[0])
    framed[inside] = crop[inside]
    return framed


def ink_input(probability: NDArray[np.float32], side: int, margin: float = 0.0) -> Pixels:
    """Make an embedder's input of an ink mask: tight around the ink, the aspect ratio kept.

    Args:
        probability: (h, w) float32 in 0..1, how probably each pixel is ink.
        side: Side of the square in pixels.
        margin: What stays empty at each of its sides, as a fraction of the side.

    Returns:
        (side, side) uint8, 255 where it is surely ink; 0 throughout where there is no ink.
    """
    square = np.zeros((side, side), np.uint8)
    ink = probability >= _INK
    columns, rows = _extent(ink.sum(axis=0)), _extent(ink.sum(axis=1))
    if columns is None or rows is None:
        return square
    part = np.rint(255.0 * np.clip(probability[slice(*rows), slice(*columns)], 0, 1))
    inner = max(1, round(side * (1.0 - 2.0 * margin)))
    fitted, (x, y) = _centred(np.asarray(part, np.uint8), inner)
    first = (side - inner) // 2
    height, width = fitted.shape
    square[first + y : first + y + height, first + x : first + x + width] = fitted
    return square


def _extent(profile: NDArray[np.integer]) -> tuple[int, int] | None:
    """First and last, exclusive, of the places that hold all the ink but for strewn specks."""
    total = int(profile.sum())
    if not total:
        return None
    share = np.cumsum(profile) / total
    first = int(np.argmax(share > _SPECKS))
    last = int(np.argmax(share >= 1.0 - _SPECKS))
    return first, last + 1


def _centred(part: Pixels, side: int) -> tuple[Pixels, tuple[int, int]]:
    """Scale a picture so that its longer side is ``side``; say where it begins when centred."""
    scale = side / max(part.shape[:2])
    height, width = (max(1, round(length * scale)) for length in part.shape[:2])
    return resize(part, width, height), ((side - width) // 2, (side - height) // 2)


def shrunk(pixels: Pixels, long_side: int) -> Pixels:
    """A picture with that long side, or as it is where it has fewer pixels."""
    height, width = pixels.shape[:2]
    fit = Letterbox.fit(width, height, long_side)
    return resize(pixels, fit.scaled_width, fit.scaled_height)


def resize(pixels: Pixels, width: int, height: int) -> Pixels:
    """Resize a picture: averaging where it shrinks, bilinear where it grows.

    OpenCV averages several times faster by a whole factor, so that large pictures go most of the
    way by one. Of their last rows and columns one in a thousand may be left out for it.
    """
    rows, columns = pixels.shape[:2]
    if (rows, columns) == (height, width):
        return pixels
    if rows < height or columns < width:
        grown = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(grown, dtype=np.uint8)
    factors = range(min(rows // height, columns // width), 1, -1)
    spared = (f for f in factors if max(rows % f / rows, columns % f / columns) < _LEFT_OUT)
    if factor := next(spared, None):
        size = columns // factor, rows // factor
        whole = pixels[: size[1] * factor, : size[0] * factor]
        pixels = np.asarray(cv2.resize(whole, size, interpolation=cv2.INTER_AREA), np.uint8)
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
