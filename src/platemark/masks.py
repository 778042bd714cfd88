"""Ink masks: probabilities near one mark, alone or with its pixels, and their form in JSON.

The run-length form is that of COCO: the runs of a (H, W) mask read column by column, beginning with
the length of the first run outside, each but the first three less the run two before it, written in
groups of five bits, low ones first, as characters from ``"0"`` (`maskApi.c` of the COCO API,
``rleToString``; pycocotools reads and writes it as ``counts``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

BoolMask = NDArray[np.bool_]

_MORE = 0x20
_FIRST_CHARACTER = 48
# Groups of five bits that the difference of two runs of the largest picture can need.
_MOST_GROUPS = 8


@dataclass(frozen=True, slots=True, eq=False)
class SoftMask:
    """How probably each pixel near a mark is its ink.

    Attributes:
        probability: (h, w) float32 in 0..1.
        left: Column of the page at which the mask begins.
        top: Row of the page at which it begins.
    """

    probability: NDArray[np.float32]
    left: int = 0
    top: int = 0

    def __post_init__(self) -> None:
        shape, dtype = self.probability.shape, self.probability.dtype
        if len(shape) != 2 or 0 in shape or dtype != np.float32:
            raise ValueError(f"a soft mask is (h, w) float32, got {shape} of {dtype}")

    def cut(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the part (h, w, 3) of a page that the mask covers."""
        height, width = self.probability.shape
        return pixels[self.top : self.top + height, self.left : self.left + width]

    def to_uint8(self) -> NDArray[np.uint8]:
        """Return the mask (h, w) uint8, 255 where it is surely ink."""
        return np.asarray(np.rint(255.0 * np.clip(self.probability, 0.0, 1.0)), np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class InkCrop:
    """An imprint without its page, as it lies there: its pixels, and which of them are ink.

    Attributes:
        pixels: (h, w, 3) uint8 RGB, with the paper around the imprint; not writeable.
        ink: (h, w) uint8, 255 where it is surely ink; not writeable.
        box: The part of the page that it shows (x0, y0, x1, y1), in pixels of the page. The crop
            may have fewer pixels than that.
        source: The image it was cut from, as given; empty where unknown.
        page: Page of a document or TIFF, counted from 0.
        segmenter: Name and version of the model that found the ink; empty where unknown.
    """

    pixels: NDArray[np.uint8] = field(repr=False)
    ink: NDArray[np.uint8] = field(repr=False)
    box: tuple[float, float, float, float]
    source: str = ""
    page: int = 0
    segmenter: str = ""

    def __post_init__(self) -> None:
        pixels, ink = self.pixels, self.ink
        fits = ink.ndim == 2 and 0 not in ink.shape and pixels.shape == (*ink.shape, 3)
        if not fits or pixels.dtype != np.uint8 or ink.dtype != np.uint8:
            raise ValueError(
                "a crop has pixels (h, w, 3) and ink (h, w), both uint8, "
                f"got {pixels.shape} {pixels.dtype} and {ink.shape} {ink.dtype}"
            )
        for name in ("pixels", "ink"):
            values = np.ascontiguousarray(getattr(self, name)).view()
            values.flags.writeable = False
            object.__setattr__(self, name, values)


@dataclass(frozen=True, slots=True)
class InkMask:
    """Which pixels of a page are a mark's ink.

    Attributes:
        size: Height and width of the page in pixels.
        counts: COCO compressed run lengths of the (H, W) mask, column by column.
    """

    size: tuple[int, int]
    counts: str = field(repr=False)

    def __post_init__(self) -> None:
        height, width = self.size
        object.__setattr__(self, "size", (int(height), int(width)))
        runs = decode_runs(self.counts)
        if height < 1 or width < 1 or runs.sum() != height * width or (runs < 0).any():
            raise ValueError(f"the run lengths are not those of a mask of {height}x{width} pixels")

    @classmethod
    def of(cls, part: ArrayLike, size: tuple[int, int], left: int = 0, top: int = 0) -> Self:
        """Make the mask of a page from the part where the ink is.

        Args:
            part: (h, w) bool, true where there is ink.
            size: Height and width of the page in pixels.
            left: Column of the page at which the part begins.
            top: Row of the page at which it begins.

        Raises:
            ValueError: The part reaches beyond the page.
        """
        ink = np.asarray(part, dtype=bool)
        height, width = size
        if not (0 <= left <= width - ink.shape[1] and 0 <= top <= height - ink.shape[0]):
            raise ValueError(f"a part {ink.shape} at {left}, {top} is not within a page of {size}")
        # A row of paper below each column ends its last run; runs that meet are then joined.
        columns = np.pad(ink.T, ((0, 0), (1, 1)))
        column, row = np.nonzero(columns[:, 1:] != columns[:, :-1])
        edges = (column + left) * height + row + top
        keep = np.ones(len(edges), dtype=bool)
        meet = np.flatnonzero(edges[1:] == edges[:-1])
        keep[meet] = keep[meet + 1] = False
        ends = np.concatenate([[0], edges[keep], [height * width]])
        runs = np.diff(ends)
        if len(runs) > 1 and runs[-1] == 0:
            runs = runs[:-1]
        return cls((height, width), encode_runs(runs))

    @property
    def area(self) -> int:
        """Number of pixels of ink."""
        return int(decode_runs(self.counts)[1::2].sum())

    def to_array(self) -> BoolMask:
        """Return the mask of the whole page, (H, W) bool."""
        runs = decode_runs(self.counts)
        height, width = self.size
        return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(width, height).T

    def crop(self) -> tuple[BoolMask, int, int]:
        """Return the part with ink (h, w) bool, and the column and row at which it begins.

        Without ink it is one pixel at 0, 0. A page is not filled for it, so this is cheap.
        """
        runs = decode_runs(self.counts)
        ends = np.cumsum(runs)
        starts, stops = (ends - runs)[1::2], ends[1::2]
        if not len(starts):
            return np.zeros((1, 1), dtype=bool), 0, 0
        height = self.size[0]
        left, right = int(starts[0] // height), int((stops[-1] - 1) // height) + 1
        strip = np.zeros((right - left) * height, dtype=np.int8)
        strip[starts - left * height] = 1
        inner = stops[stops < right * height]
        strip[inner - left * height] -= 1
        ink = np.cumsum(strip, dtype=np.int8).astype(bool).reshape(-1, height).T
        rows = np.flatnonzero(ink.any(axis=1))
        top, bottom = int(rows[0]), int(rows[-1]) + 1
        return ink[top:bottom], left, top

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object."""
        return {"size": list(self.size), "counts": self.counts}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Make one from its JSON object.

        Raises:
            ValueError: It is no mask.
        """
        height, width = data["size"]
        return cls((height, width), data["counts"])


def encode_runs(runs: ArrayLike) -> str:
    """Write run lengths (N,), as COCO does."""
    values = np.array(runs, dtype=np.int64)
    values[3:] -= values[1:-2].copy()
    groups = np.zeros((len(values), _MOST_GROUPS), dtype=np.uint8)
    wanted = np.zeros_like(groups, dtype=bool)
    going = np.ones(len(values), dtype=bool)
    for index in range(_MOST_GROUPS):
        bits = values & 0x1F
        values = values >> 5
        wanted[:, index] = going
        more = going & (values != np.where(bits & 0x10, -1, 0))
        groups[:, index] = bits + np.where(more, _MORE, 0)
        going = more
    return bytes(groups[wanted] + _FIRST_CHARACTER).decode("ascii")


def decode_runs(counts: str) -> NDArray[np.int64]:
    """Read run lengths (N,) that COCO wrote.

    Raises:
        ValueError: The text is no such thing.
    """
    groups = np.frombuffer(counts.encode(), dtype=np.uint8).astype(np.int64) - _FIRST_CHARACTER
    last = np.flatnonzero((groups & _MORE) == 0)
    whole = len(last) > 0 and last[-1] == len(groups) - 1
    if not whole or groups.min() < 0 or groups.max() > 0x3F:
        raise ValueError("the text is not that of COCO's compressed run lengths")
    lengths = np.diff(last, prepend=-1)
    if lengths.max() > _MOST_GROUPS:
        raise ValueError("a run length is longer than any picture")
    place = np.arange(len(groups)) - np.repeat(last - lengths + 1, lengths)
    values = np.add.reduceat((groups & 0x1F) << (5 * place), last - lengths + 1)
    negative = (groups[last] & 0x10) != 0
    values = np.where(negative, values - (np.int64(1) << (5 * lengths)), values)
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return np.asarray(values, dtype=np.int64)
