"""Licence plates: the parts and the order of the steps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from platemark.geometry import FloatArray, enlarge_quad
from platemark.imaging.image import Image, ImageInput, Pixels
from platemark.imaging.warp import rectify
from platemark.models.card import Calibration
from platemark.models.store import ModelName, choose_parts
from platemark.pipeline import Covering, Pipeline
from platemark.plates.decoding import PlateDecoder
from platemark.plates.formats import choose_formats
from platemark.protocols import Finds, Reads, Verifies
from platemark.tasks.detector import Detector
from platemark.tasks.plate_reader import PlateReader
from platemark.types import Crop, Detection, Expectation, PlateMark, Reading, Result

_WIDER, _TIGHTER = 0.04, -0.035
_ACROSS, _ALONG = 0.03, 0.025


@dataclass(frozen=True)
class Gate:
    """Which detections count as plates: high-confidence ones, and low-confidence legible ones.

    Attributes:
        reader: Reads the low-confidence ones.
        sure: Detections with this score pass, whatever they show.
        legible: Others pass when the product of detection score and text score reaches this.
    """

    reader: Reads
    sure: float
    legible: float

    @classmethod
    def of(cls, reader: Reads, thresholds: Mapping[str, float]) -> Self | None:
        """The gate that a detector's card states, or None."""
        if "sure_score" not in thresholds or "legible_score" not in thresholds:
            return None
        return cls(reader, thresholds["sure_score"], thresholds["legible_score"])

    def __call__(self, image: Image, detections: Sequence[Detection]) -> list[Detection]:
        """Return the detections that count, in their order."""
        doubtful = [one for one in detections if one.score < self.sure]
        crops = crops_for(self.reader, image.pixels, [one.quad for one in doubtful])
        readings = iter(self.reader(crops))
        return [
            one
            for one in detections
            if one.score >= self.sure or one.score * next(readings).score >= self.legible
        ]


def _whole_picture(image: Image) -> list[Detection]:
    return [Detection.given("plate", (0.0, 0.0, float(image.width), float(image.height)))]


def crops_for(reader: Reads, pixels: Pixels, quads: Sequence[ArrayLike]) -> list[Crop]:
    """Rectify quads (4, 2) of an image as a reader wants them.

    Raises:
        ValueError: A quad is not convex and clockwise.
    """
    size = getattr(reader, "crop_size", None)
    margin = getattr(reader, "margin", 0.0)
    return [rectify(pixels, quad, size, margin) for quad in quads]


def other_views(quad: FloatArray) -> list[FloatArray]:
    """Quads that a detector as good might have given: wider, tighter, and moved each way.

    Args:
        quad: (4, 2) corners, clockwise from the plate's top-left.
    """
    down = (quad[3] - quad[0] + quad[2] - quad[1]) / 2 * _ACROSS
    right = (quad[1] - quad[0] + quad[2] - quad[3]) / 2 * _ALONG
    moved = [quad + step for step in (down, -down, right, -right)]
    return [enlarge_quad(quad, _WIDER), enlarge_quad(quad, _TIGHTER), *moved]


class PlatePipeline(Pipeline[PlateMark]):
    """Finds licence plates, rectifies each by its corners, and reads it.

    Args:
        detector: Finds the plates.
        reader: Reads rectified plates.
        decoder: Decides what a plate says and its region; by default under all packaged formats.
        sure_score: Plates read with a lower score are read from other views too, see `read`.
        legible_text: Marks whose text has a lower score have none: it is then the first of their
            alternatives.
        verifier: Says which detections count; by default all do. See `Gate`.
        expected: A text that results say of whether a plate shows it; None for none.
    """

    covering = Covering(min_score=0.05, margin=0.2)

    def __init__(
        self,
        detector: Finds,
        reader: Reads,
        *,
        decoder: PlateDecoder | None = None,
        sure_score: float = 0.0,
        legible_text: float = 0.0,
        verifier: Verifies | None = None,
        expected: str | None = None,
    ) -> None:
        super().__init__(detector, verifier)
        self.reader = reader
        self.expected = expected
        self.decoder = decoder or PlateDecoder()
        self.sure_score = sure_score
        self.legible_text = legible_text

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
            threads: Threads for one run, see `OnnxModel`; by default one.
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
        gate = Gate.of(reader, detector.model.card.thresholds) if min_score is None else None
        return cls(
            detector,
            reader,
            decoder=PlateDecoder(calibration=reader.model.card.text_calibration or Calibration()),
            sure_score=reader.sure_score,
            legible_text=reader.legible_text,
            verifier=gate,
        )

    def with_regions(
        self,
        names: Sequence[str] | None,
        *,
        banned: Sequence[str] = (),
        default: str | None = None,
    ) -> Self:
        """Return a copy that expects plates of some regions only.

        Other plates are still read, as free text.

        Args:
            names: Codes of plate formats, beginnings of them, or countries; None for all. See
                `platemark.plates.formats.choose_formats`.
            banned: What not to expect, in the same way.
            default: Code of the region to give where the text tells none.

        Raises:
            ValueError: No format has such a name.
        """
        formats = choose_formats(self.decoder.formats, names, banned)
        return self.with_parts(decoder=replace(self.decoder, formats=formats, default=default))

    def cropped(self) -> Self:
        """Return a copy for pictures that are one plate each, as gate cameras cut them out."""
        return self.with_parts(detector=_whole_picture, verifier=None)

    def read_crop(self, image: ImageInput) -> PlateMark:
        """Read a picture that is one plate; as for `read`."""
        whole = Image.read(image)
        return self.describe(whole, _whole_picture(whole))[0]

    def expecting(self, text: str) -> Self:
        """Return a copy whose results say whether a plate shows a text.

        Raises:
            ValueError: The text has neither letters nor digits.
        """
        self.decoder.verify((), text)
        return self.with_parts(expected=text)

    def verify(self, image: ImageInput, text: str) -> Expectation:
        """Say whether a picture shows a plate with a text, as a site asks of what users typed.

        Args:
            image: As for `__call__`.
            text: What is expected, in any spelling.

        Raises:
            ValueError: The text has neither letters nor digits.
        """
        return self._verified(self(image), text)

    def _result(self, image: Image) -> Result:
        result = super()._result(image)
        if self.expected is None:
            return result
        return replace(result, expected=self._verified(result, self.expected))

    def _verified(self, result: Result, text: str) -> Expectation:
        plates = [mark.reading for mark in result.marks if isinstance(mark, PlateMark)]
        return self.decoder.verify(plates, text)

    def read(self, image: ImageInput, quads: Sequence[ArrayLike]) -> list[Reading]:
        """Rectify and read plates whose corners are known, one reading for each in order.

        What the reader says is decided under the plate formats, see `PlateDecoder`. A plate that
        stays in doubt is read again from views that differ a little, and decided from all.

        Args:
            image: A path, bytes, an (H, W, 3) uint8 RGB array, a PIL image or an `Image`.
            quads: Corners (4, 2) in pixels of the image, clockwise from the plate's top-left.

        Raises:
            ValueError: A quad is not convex and clockwise.
            InferenceFailed: The network did not run.
        """
        pixels = Image.read(image).pixels
        first = self.reader(crops_for(self.reader, pixels, quads))
        readings = [self.decoder([reading]) for reading in first]
        unsure = [i for i, reading in enumerate(readings) if reading.score < self.sure_score]
        views = [other_views(np.asarray(quads[i], dtype=np.float64)) for i in unsure]
        if not views:
            return readings
        others = crops_for(self.reader, pixels, [view for plate in views for view in plate])
        again = iter(self.reader(others))
        for i, plate in zip(unsure, views, strict=True):
            readings[i] = self.decoder([first[i], *islice(again, len(plate))])
        return readings

    def describe(self, image: Image, detections: Sequence[Detection]) -> list[PlateMark]:
        """Read detected plates: a mark for each, in the same order, legible or not."""
        readings = [
            reading if reading.score >= self.legible_text else reading.illegible()
            for reading in self.read(image, [detection.quad for detection in detections])
        ]
        return [PlateMark.of(*pair) for pair in zip(detections, readings, strict=True)]
