"""Near-duplicate images, told by a perceptual hash of what they show."""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from platemark.imaging.pixels import Pixels

Hash = NDArray[np.uint64]

NEAR = 40
"""Bits of 256 in which two near-duplicates differ at most.

On 784 photos, pages and crops of the project's train and dev splits, copies of half the size in
JPEG quality 40 differ in up to 26 bits (crops of plates in 43 at the 95th percentile), copies
without 2% of width and height in 32 to 40 at the median. Of 31,000 pairs of photos of cars none
differ in fewer than 68, of as many pairs of crops none in fewer than 76.
"""
_SIDE, _KEPT = 64, 16
_ROWS = 16
"""Images compared with all others at a time: few, so that the numbers stay in the cache."""


def perceptual_hash(grey: Pixels) -> Hash:
    """Hash of an image as (4,) uint64; see Zauner 2010, Perceptual Image Hash Functions, 3.2.1.

    The image is scaled to 64 x 64; which of its 16 x 16 lowest frequencies (DCT-II) are above their
    median are the bits.

    Args:
        grey: (H, W) uint8.
    """
    small = cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    low = cv2.dct(small)[:_KEPT, :_KEPT].ravel()
    return np.packbits(low > np.median(low)).view(np.uint64)


def near_duplicates(hashes: Sequence[Hash] | Hash, limit: int = NEAR) -> Iterator[tuple[int, int]]:
    """Pairs of images that show nearly the same, each once, the first before the second.

    All pairs are compared: about a minute of one core for 100,000 images, in some 20 MB.

    Args:
        hashes: (N, 4) uint64, or N of `perceptual_hash`.
        limit: Bits that may differ.
    """
    words = np.asarray(hashes, dtype=np.uint64).reshape(-1, 4)
    for start in range(0, len(words), _ROWS):
        rows = words[start : start + _ROWS]
        distances = np.zeros((len(rows), len(words) - start), dtype=np.uint16)
        for word in range(words.shape[1]):
            distances += np.bitwise_count(rows[:, word, None] ^ words[None, start:, word])
        for first, second in np.argwhere(distances <= limit).tolist():
            if first < second:
                yield start + first, start + second
