"""Ink masks: the annotated ink, and how well masks cover it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from platemark import metrics
from platemark.datasets import Manifest, ManifestEntry
from platemark.datasets.manifest import StampAnnotation
from platemark.errors import DatasetError
from platemark.evaluate.detection import number
from platemark.imaging.image import Image
from platemark.masks import BoolMask


@dataclass(frozen=True)
class MeanOverlap:
    """Mean IoU of masks, with its 95% interval by the bootstrap over images."""

    value: float
    interval: tuple[float, float]

    @classmethod
    def of(cls, values: Sequence[float], images: Sequence[str]) -> Self:
        """Average the IoU of masks, each of an image."""
        mean = float(np.mean(values)) if values else float("nan")
        return cls(mean, metrics.mean_interval(values, images))

    def to_dict(self) -> dict[str, object]:
        """Return the JSON object."""
        return {"value": number(self.value), "interval": [number(end) for end in self.interval]}


@dataclass(frozen=True)
class MaskScores:
    """How well the ink is segmented.

    Attributes:
        n: Number of stamps whose ink is annotated.
        given: IoU from the annotated boxes.
        end_to_end: IoU from end to end; a stamp that was not found has 0.
    """

    n: int
    given: MeanOverlap
    end_to_end: MeanOverlap

    @classmethod
    def of(cls, masks: Iterable[tuple[str, float, float]]) -> Self:
        """Count over stamps: their image, the IoU from the annotated box and from end to end."""
        rows = list(masks)
        images = [image for image, _, _ in rows]
        given = MeanOverlap.of([own for _, own, _ in rows], images)
        return cls(len(rows), given, MeanOverlap.of([found for _, _, found in rows], images))

    def to_dict(self) -> dict[str, object]:
        """Return the JSON object."""
        return {
            "n": self.n,
            "annotated_box": self.given.to_dict(),
            "end_to_end": self.end_to_end.to_dict(),
        }


def annotated_ink(
    manifest: Manifest, entry: ManifestEntry, stamp: StampAnnotation
) -> BoolMask | None:
    """Read the annotated ink of a stamp.

    Returns:
        (H, W) bool of the image's size, empty outside the stamp's box; None without annotation.

    Raises:
        UnreadableImage: The mask is missing or no picture.
        DatasetError: The mask has another size than its image, or shows no ink in the box.
    """
    if stamp.mask is None:
        return None
    path = manifest.root / stamp.mask
    ink = Image.read(path).pixels[..., 0] > 127
    if ink.shape != (entry.height, entry.width):
        raise DatasetError(
            f"{path} has {ink.shape[1]}x{ink.shape[0]} pixels but its image "
            f"{entry.width}x{entry.height}; draw the mask on a picture of the image's size",
            source=str(path),
        )
    x0, y0, x1, y1 = stamp.box
    inside = np.zeros_like(ink)
    rows, columns = (
        slice(max(0, int(y0)), int(np.ceil(y1))),
        slice(max(0, int(x0)), int(np.ceil(x1))),
    )
    inside[rows, columns] = ink[rows, columns]
    if not inside.any():
        raise DatasetError(
            f"{path} shows no ink in the box {list(stamp.box)}; correct the mask or take it out",
            source=str(path),
        )
    return inside
