"""Licence plates: the parts and the order of the steps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from platemark.imaging.draw import rectify
from platemark.imaging.image import Image, ImageInput, Pixels
from platemark.models.store import ModelName, choose_parts
from platemark.pipeline import Pipeline
from platemark.plates.consensus import agree, other_views, prefer_formats
from platemark.tasks.detector import Detector
from platemark.tasks.plate_reader import PlateReader
from platemark.types import Detection, PlateMark, Reading


@dataclass(frozen=True)
class Gate:
    """Which detections are taken for plates: sure ones, and doubtful ones that can be read.

    Attributes:
        sure: Detections with this score pass, whatever they show.
        legible: Others pass when the product of detection score and text score reaches this.
    """

    sure: float
    legible: float

    @classmethod
    def of(cls, thresholds: Mapping[str, float]) -> Self | None:
        """The gate that a detector's card states, or None."""
        if "sure_score" not in thresholds or "legible_score" not in thresholds:
            return None
        return cls(thresholds["sure_score"], thresholds["legible_score"])

    def admits(self, detection: Detection, reading: Reading) -> bool:
        """Whether a detection that reads so counts as a plate."""
        return detection.score >= self.sure or detection.score * reading.score >= self.legible


class PlatePipeline(Pipeline):
    """Finds licence plates, flattens each by its corners, and reads it.

    Args:
        detector: Finds the plates.
        reader: Reads a rectified plate.
        sure_score: Plates read with a lower score get a second opinion, see `read`.
        gate: Which detections count as plates once they are read; by default all.
    """

    def __init__(
        self,
        detector: Detector,
        reader: PlateReader,
        *,
        sure_score: float = 0.0,
        gate: Gate | None = None,
    ) -> None:
        super().__init__(detector, self.describe)
        self.detector = detector
        self.reader = reader
        self.sure_score = sure_score
        self.gate = gate

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
            min_score: Least score of a plate, however it reads; by default the detector's card
                decides, where it says so with the help of the reading, see `Gate`.

        Raises:
            ModelNotFound: There is no such model.
            ModelCorrupt: A file differs from the model's card.
            ModelMismatch: The model neither finds nor reads plates.
        """
        parts = choose_parts(model, "plate", ("detector", "reader"))
        detector = Detector.from_pretrained(parts["detector"], threads=threads, min_score=min_score)
        reader = PlateReader.from_pretrained(parts["reader"], threads=threads)
        gate = Gate.of(detector.model.card.thresholds) if min_score is None else None
        return cls(detector, reader, sure_score=reader.sure_score, gate=gate)

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
        return self._ask_again(pixels, quads, self._read(pixels, quads))

    def _ask_again(
        self, pixels: Pixels, quads: Sequence[ArrayLike], first: Sequence[Reading]
    ) -> list[Reading]:
        readings = list(first)
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
        """Read the detected plates; what is neither surely a plate nor legible is dropped."""
        readings = self._read(image.pixels, [detection.quad for detection in detections])
        pairs = list(zip(detections, readings, strict=True))
        if self.gate is not None:
            pairs = [pair for pair in pairs if self.gate.admits(*pair)]
        plates = [detection for detection, _ in pairs]
        quads = [plate.quad for plate in plates]
        final = self._ask_again(image.pixels, quads, [reading for _, reading in pairs])
        return [PlateMark.of(*pair) for pair in zip(plates, final, strict=True)]
