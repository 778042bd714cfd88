"""The region of interest: the part of pictures in which marks are searched for."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from platemark.geometry import FloatArray, box_to_quad
from platemark.imaging.image import read_grey

# A mark whose centre is at the edge reaches beyond it: so much of the region's size is searched
# around it.
_MARGIN = 0.1
_WHITE = 128


@dataclass(frozen=True, eq=False)
class RegionOfInterest:
    """A polygon, or a mask. A mark counts where its centre is within.

    Attributes:
        polygon: (N, 2) corners in pixels of the pictures; None for a mask.
        mask: (H, W) bool; it is stretched to pictures of another size. None for a polygon.
    """

    polygon: FloatArray | None = None
    mask: NDArray[np.bool_] | None = None

    @classmethod
    def of(cls, value: ArrayLike) -> Self:
        """Make one of a box (4,), a polygon (N, 2) or a mask (H, W) of booleans.

        Raises:
            ValueError: It is none of these, or nothing is within.
        """
        array = np.asarray(value)
        if array.dtype == np.bool_ and array.ndim == 2:
            if not array.any():
                raise ValueError("a mask has a white part, in which marks are searched for")
            return cls(mask=array)
        numbers = np.asarray(array, dtype=np.float64)
        if numbers.shape == (4,) and numbers[0] < numbers[2] and numbers[1] < numbers[3]:
            numbers = box_to_quad(numbers)
        if numbers.ndim != 2 or numbers.shape[1] != 2 or len(numbers) < 3:
            raise ValueError(
                "a region of interest is a box (x0, y0, x1, y1) with x0 < x1 and y0 < y1, a "
                f"polygon of three or more points (x, y), or a mask of booleans, not {value!r}"
            )
        if not np.isfinite(numbers).all():
            raise ValueError(f"the corners of a region of interest are numbers, not {value!r}")
        return cls(polygon=numbers)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Make one of numbers with commas or spaces: ``x0,y0,x1,y1``, or ``x,y x,y x,y ...``.

        Raises:
            ValueError: It is neither.
        """
        try:
            numbers = [float(part) for part in text.replace(",", " ").split()]
        except ValueError:
            numbers = []
        if len(numbers) == 4:
            return cls.of(numbers)
        if len(numbers) < 6 or len(numbers) % 2:
            raise ValueError(
                f"{text!r} is no region of interest: give x0,y0,x1,y1, or three or more points x,y"
            )
        return cls.of(np.reshape(numbers, (-1, 2)))

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Self:
        """Read a mask, a picture that is white where marks are searched for.

        Raises:
            UnreadableImage: The file is missing or no picture.
            ValueError: Nothing in it is white.
        """
        return cls.of(read_grey(path) >= _WHITE)

    def window(self, width: int, height: int) -> tuple[int, int, int, int] | None:
        """What of a picture is searched: x0, y0, x1, y1; None where it has no part in the region.

        Args:
            width: Width of the picture in pixels.
            height: Its height.
        """
        corners = self.polygon
        if self.mask is not None:
            rows, columns = np.nonzero(self.mask)
            scale = np.array([width, height]) / self.mask.shape[::-1]
            corners = np.stack([(columns.min(), rows.min()), (columns.max() + 1, rows.max() + 1)])
            corners = corners * scale
        assert corners is not None
        low, high = corners.min(axis=0), corners.max(axis=0)
        if (high <= 0).any() or (low >= (width, height)).any():
            return None
        margin = _MARGIN * (high - low)
        x0, y0 = np.maximum(low - margin, 0.0).tolist()
        x1, y1 = np.minimum(high + margin, (width, height)).tolist()
        return math.floor(x0), math.floor(y0), math.ceil(x1), math.ceil(y1)

    def contains(self, point: Sequence[float], width: int, height: int) -> bool:
        """Whether a point (x, y) of a picture of a size is within."""
        if self.mask is None:
            contour = np.asarray(self.polygon, dtype=np.float32)
            return cv2.pointPolygonTest(contour, (float(point[0]), float(point[1])), False) >= 0
        rows, columns = self.mask.shape
        row = min(max(int(point[1] * rows / height), 0), rows - 1)
        column = min(max(int(point[0] * columns / width), 0), columns - 1)
        return bool(self.mask[row, column])
