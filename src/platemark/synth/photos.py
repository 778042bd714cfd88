"""Photos on disk, for training and synthesis."""

from pathlib import Path

import cv2
import numpy as np

from platemark.errors import DatasetError
from platemark.imaging.image import Pixels


def read_photo(path: Path) -> Pixels:
    """Read a photo as (H, W, 3) uint8 RGB, turned by its EXIF orientation.

    Raises:
        DatasetError: The file is missing, damaged or no picture.
    """
    return np.ascontiguousarray(_decode(path, cv2.IMREAD_COLOR)[..., ::-1])


def read_grey(path: Path) -> Pixels:
    """Read a photo as (H, W) uint8 grey; see :func:`read_photo`."""
    return _decode(path, cv2.IMREAD_GRAYSCALE)


def _decode(path: Path, flags: int) -> Pixels:
    pixels = cv2.imread(str(path), flags)
    if pixels is None:
        reason = "cannot be read as a picture" if path.is_file() else "is missing"
        raise DatasetError(f"the file {reason}; restore it or leave it out", file=path)
    return np.asarray(pixels, np.uint8)
