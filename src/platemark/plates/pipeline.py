"""Licence plates: the parts and the order of the steps."""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from platemark.imaging.draw import rectify
from platemark.imaging.image import Image, ImageInput, Pixels
from platemark.models.store import ModelName, locate_model
from platemark.pipeline import Pipeline
from platemark.plates.consensus import agree, other_views, prefer_formats
from platemark.tasks.detector import Detector
from platemark.tasks.plate_reader import PlateReader
from platemark.types import Detection, PlateMark, Reading

_DETECTOR, _READER = "plate-detector", "plate-reader"


class PlatePipeline(Pipeline):
    """Finds licence plates, flattens each by its corners, and reads it.

    Args:
        detector: Finds the plates.
        reader: Reads a rectified plate.
        sure_score: Plates read with a lower score get a second opinion, see `read`.
    """

    def __init__(self, detector: Detector, reader: PlateReader, *, sure_score: float = 0.0) -> None:
        super().__init__(detector, self.describe)
        self.detector = detector
        self.reader = reader
        self.sure_score = sure_score

    @classmethod
    def from_pretrained(
        cls,
        model: ModelName = None,
        *,
        threads: int | None = None,
        min_score: float | None = None,
    ) -> Self:
        """Load the models.

        Args:
            model: None for the bundled models; a folder with the folders ``plate-detector`` and
                ``plate-reader``, or one of them; or one model (a bundled name, a model folder, an
                ``.onnx`` with its card beside it), which takes the place of the bundled one.
            threads: Threads for one run; by default one for each core.
            min_score: Least score of a plate; by default that of the detector's card.

        Raises:
            ModelNotFound: There is no such model.
            ModelCorrupt: A file differs from the model's card.
            ModelMismatch: The model neither finds nor reads plates.
        """
        finder, reading = _parts(model)
        detector = Detector.from_pretrained(finder, threads=threads, min_score=min_score)
        reader = PlateReader.from_pretrained(reading, threads=threads)
        return cls(detector, reader, sure_score=reader.sure_score)

    def read(self, image: ImageInput, quads: Sequence[ArrayLike]) -> list[Reading]:
        """Flatten and read plates whose corners are known, one reading for each in order.

        A plate that is not read surely is read again from views that differ a little; what they
        agree on is taken, and texts that a known plate format has are preferred.

        Args:
            image: A path, bytes, an (H, W, 3) uint8 RGB array, a PIL image or an `Image`.
            quads: Corners (4, 2) in pixels of the image, clockwise from the plate's top-left.

        Raises:
            ValueError: A quad is not convex and clockwise.
            InferenceFailed: The network did not run.
        """
        pixels = Image.read(image).pixels
        readings = self._read(pixels, quads)
        unsure = [i for i, reading in enumerate(readings) if reading.score < self.sure_score]
        if not unsure:
            return readings
        views = [other_views(np.asarray(quads[i], dtype=np.float64)) for i in unsure]
        again = iter(self._read(pixels, [view for plate in views for view in plate]))
        for i, plate in zip(unsure, views, strict=True):
            readings[i] = prefer_formats(agree([readings[i], *islice(again, len(plate))]))
        return readings

    def _read(self, pixels: Pixels, quads: Sequence[ArrayLike]) -> list[Reading]:
        size, margin = self.reader.crop_size, self.reader.margin
        return self.reader([rectify(pixels, quad, size, margin) for quad in quads])

    def describe(self, image: Image, detections: Sequence[Detection]) -> list[PlateMark]:
        """Read the detected plates."""
        readings = self.read(image, [detection.quad for detection in detections])
        return [PlateMark.of(*pair) for pair in zip(detections, readings, strict=True)]


def _parts(model: ModelName) -> tuple[ModelName, ModelName]:
    """Return what to load as detector and as reader."""
    if model is None:
        return None, None
    detector, reader = Path(model) / _DETECTOR, Path(model) / _READER
    if detector.is_dir() or reader.is_dir():
        return detector if detector.is_dir() else None, reader if reader.is_dir() else None
    return (None, model) if locate_model(model).card.task == "reader" else (model, None)
