"""What all marks have: points, boxes and scores; where one is; its crop."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage

Point = tuple[float, float]
Box = tuple[float, float, float, float]
Quad = tuple[Point, Point, Point, Point]


def as_box(value: ArrayLike) -> Box:
    """Return four numbers as a `Box`.

    Raises:
        ValueError: They are not four finite numbers with ``x0 <= x1`` and ``y0 <= y1``.
    """
    array = np.asarray(value, dtype=np.float64)
    if array.shape != (4,) or not np.isfinite(array).all():
        raise ValueError(f"a box is four finite numbers (x0, y0, x1, y1), got {value!r}")
    x0, y0, x1, y1 = array.tolist()
    if x1 < x0 or y1 < y0:
        raise ValueError(f"a box has x0 <= x1 and y0 <= y1, got {value!r}")
    return (x0, y0, x1, y1)


def as_quad(value: ArrayLike) -> Quad:
    """Return four points as a `Quad`, in the order given.

    Raises:
        ValueError: They are not four finite points.
    """
    array = np.asarray(value, dtype=np.float64)
    if array.shape != (4, 2) or not np.isfinite(array).all():
        raise ValueError(f"a quad is four finite points (x, y), got {value!r}")
    first, second, third, fourth = ((x, y) for x, y in array.tolist())
    return (first, second, third, fourth)


def check_score(score: float) -> None:
    if not (math.isfinite(score) and 0.0 <= score <= 1.0):
        raise ValueError(f"a score is a probability in 0..1, got {score!r}")


def png(picture: PilImage, side: int | None = None) -> bytes:
    """Return a picture as PNG, packed quickly rather than tightly; shrunk to ``side`` at most."""
    if side is not None:
        picture.thumbnail((side, side))
    stream = io.BytesIO()
    picture.save(stream, "PNG", compress_level=1)
    return stream.getvalue()


def json_score(score: float) -> float:
    return round(float(score), 4)


def json_coordinates(values: Sequence[float]) -> list[float]:
    return [round(float(value), 2) for value in values]


@dataclass(frozen=True, slots=True)
class FlatValue:
    """A value whose JSON object has its fields; floats are rounded, a score is checked."""

    def __post_init__(self) -> None:
        score = getattr(self, "score", None)
        if score is not None:
            check_score(score)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        rounded = {each.name for each in fields(self) if each.type in (float, "float")}
        return {k: json_score(v) if k in rounded else v for k, v in values.items()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Make one from its JSON object."""
        return cls(**{each.name: data[each.name] for each in fields(cls)})


@dataclass(frozen=True, slots=True)
class Detection:
    """Where one mark is.

    Attributes:
        kind: What was found, such as ``"plate"``.
        score: Probability that this is a mark of its kind.
        box: Bounding box in pixels of the original image.
        quad: Corners in pixels of the original image.
    """

    kind: str
    score: float
    box: Box
    quad: Quad

    def __post_init__(self) -> None:
        check_score(self.score)
        object.__setattr__(self, "box", as_box(self.box))
        object.__setattr__(self, "quad", as_quad(self.quad))

    @classmethod
    def given(cls, kind: str, box: Box) -> Self:
        """A mark where somebody says that one is, in an upright box."""
        x0, y0, x1, y1 = box
        return cls(kind, 1.0, box, ((x0, y0), (x1, y0), (x1, y1), (x0, y1)))

    @property
    def centre(self) -> Point:
        """Centre of the box."""
        x0, y0, x1, y1 = self.box
        return (x0 + x1) / 2.0, (y0 + y1) / 2.0

    def moved(self, x: float, y: float) -> Self:
        """The same mark in a picture of which this one is the part from (x, y) on."""
        by = np.array((x, y))
        box = (np.reshape(self.box, (2, 2)) + by).ravel()
        return type(self)(self.kind, self.score, as_box(box), as_quad(np.array(self.quad) + by))

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object."""
        return {
            "kind": self.kind,
            "score": json_score(self.score),
            "box": json_coordinates(self.box),
            "quad": [json_coordinates(point) for point in self.quad],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Make one from its JSON object."""
        return cls(data["kind"], data["score"], data["box"], data["quad"])


@dataclass(frozen=True, slots=True, eq=False)
class Crop:
    """A rectified crop: a mark turned upright.

    Attributes:
        pixels: (H, W, 3) uint8 RGB.
        to_image: (3, 3) float64 homography from points of the crop to points of the original image.
    """

    pixels: NDArray[np.uint8]
    to_image: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.pixels.ndim != 3 or self.pixels.shape[2] != 3 or self.pixels.dtype != np.uint8:
            raise ValueError(
                f"crop pixels are (H, W, 3) uint8, got {self.pixels.shape} {self.pixels.dtype}"
            )
        if self.to_image.shape != (3, 3):
            raise ValueError(f"to_image is a 3x3 matrix, got shape {self.to_image.shape}")
