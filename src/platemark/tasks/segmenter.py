"""Tells the ink of stamps from the paper, print and writing beneath."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from platemark.geometry import translation
from platemark.imaging.image import Image, ImageInput, Pixels
from platemark.imaging.ink import sharpen_mask
from platemark.imaging.warp import warp
from platemark.masks import SoftMask
from platemark.models.card import SegmenterPreprocess
from platemark.models.preprocess import square_crop, surroundings
from platemark.tasks.stage import Stage
from platemark.types import as_box

_DEFAULT_MASK_SCORE = 0.5
_BATCH = 16
# From this many pixels of the page for one of the network on, the page has finer edges to show.
_SHARPEN_FROM = 1.25
_SHARPEN_REACH = 2.0
# Standard deviation of a pixel's square, in its sides.
_SPREAD_OF_PIXEL = 12**-0.5
# Larger masks are not sharpened, for the memory that takes: a stamp of 80 mm at 600 dpi is.
_SHARPEN_UP_TO = 4_000_000


class Segmenter(Stage[SegmenterPreprocess]):
    """Finds the ink of stamps whose boxes are known; may be shared by threads.

    Args:
        model: A network with the input ``crops`` (N, S, S, 3) uint8 RGB and the output ``ink``
            (N, S, S) float32, how probably each pixel is the stamp's ink.

    Raises:
        ModelMismatch: The model's card is not that of a segmenter.
    """

    TASK, KIND = "segmenter", "stamp"
    PREPROCESS = SegmenterPreprocess

    @property
    def mask_score(self) -> float:
        """Least probability of a pixel that counts as ink, from the card."""
        return self._model.card.thresholds.get("mask_score", _DEFAULT_MASK_SCORE)

    def __call__(self, image: ImageInput, boxes: Sequence[ArrayLike]) -> list[SoftMask]:
        """Find the ink of stamps, one mask for each box in the same order.

        Args:
            image: A path, bytes, an (H, W, 3) uint8 RGB array, a PIL image or an `Image`.
            boxes: Boxes (x0, y0, x1, y1) in pixels of the image.

        Returns:
            Masks in pixels of the image, of the box and the model's margin around it, as far as
            the image goes. Where a stamp has more pixels in the image than in the network, the
            image sharpens them, see `sharpen_mask`.

        Raises:
            UnreadableImage: The input is no image.
            InferenceFailed: The network did not run.
            ValueError: What should be a box is none, or is not within the image.
        """
        pixels = Image.read(image).pixels
        masks: list[SoftMask] = []
        for start in range(0, len(boxes), _BATCH):
            batch = [as_box(box) for box in boxes[start : start + _BATCH]]
            cut = [square_crop(pixels, box, self._spec.margin, self._spec.side) for box in batch]
            ink = self._model.run(crops=np.stack([crop for crop, _ in cut]))["ink"]
            masks += [
                _on_page(probability, matrix, pixels, surroundings(pixels, box, self._spec.margin))
                for probability, (_, matrix), box in zip(ink, cut, batch, strict=True)
            ]
        return masks


def _on_page(
    ink: NDArray[np.floating],
    to_page: NDArray[np.float64],
    pixels: Pixels,
    region: tuple[int, int, int, int],
) -> SoftMask:
    """Bring what the network says of a crop (S, S) to the pixels of the page."""
    left, top, right, bottom = region
    size = (right - left, bottom - top)
    zoom = float(to_page[0, 0])
    probability = np.asarray(ink, dtype=np.float32)
    if zoom < 1.0:  # averages what falls into one pixel of the page
        spread = _SPREAD_OF_PIXEL / zoom
        probability = np.asarray(cv2.GaussianBlur(probability, (0, 0), spread), dtype=np.float32)
    to_region = translation(-left, -top) @ to_page
    soft = SoftMask(warp(probability, to_region, size, fill=None), left, top)
    if zoom < _SHARPEN_FROM or size[0] * size[1] > _SHARPEN_UP_TO:
        return soft
    sharp = sharpen_mask(soft.cut(pixels), soft.probability, _SHARPEN_REACH * zoom)
    return SoftMask(sharp, left, top)
