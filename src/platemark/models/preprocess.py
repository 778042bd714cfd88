"""The ``preprocess`` section of a card as functions; inference and training share them."""

import cv2
import numpy as np

from platemark.geometry import Letterbox
from platemark.imaging.image import Pixels
from platemark.models.card import DetectorPreprocess, ReaderPreprocess


def letterbox_image(
    pixels: Pixels, spec: DetectorPreprocess, *, long_side: int | None = None
) -> tuple[Pixels, Letterbox]:
    """Scale an image into a detector's input and pad it right and bottom.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        spec: The card's section.
        long_side: Length of the long side, where it is not that of the card.

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
    )
    tensor = np.full((1, fit.padded_height, fit.padded_width, 3), spec.pad, np.uint8)
    tensor[0, : fit.scaled_height, : fit.scaled_width] = resize(
        pixels, fit.scaled_width, fit.scaled_height
    )
    return tensor, fit


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


def resize(pixels: Pixels, width: int, height: int) -> Pixels:
    """Resize a picture: averaging where it shrinks, bilinear where it grows."""
    if pixels.shape[:2] == (height, width):
        return pixels
    rows, columns = pixels.shape[:2]
    if rows < height or columns < width:
        grown = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(grown, dtype=np.uint8)
    # OpenCV averages several times faster by a whole factor; large photos go most of the way so.
    most = min(rows // height, columns // width)
    factor = next(f for f in range(most, 0, -1) if rows % f == 0 == columns % f)
    coarse = cv2.resize(pixels, (columns // factor, rows // factor), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
