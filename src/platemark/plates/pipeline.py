"""Licence plates: the parts and the order of the steps."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from platemark.geometry import FloatArray, enlarge_quad, quad_to_box
from platemark.imaging.image import Image, ImageInput, Pixels
from platemark.imaging.prewarp import Prewarp
from platemark.imaging.warp import rectify
from platemark.models.card import Calibration, ModelCard, PlateOdds, TextOdds
from platemark.models.onnx import OnnxModel
from platemark.models.store import ModelName, bundled_names, choose_parts
from platemark.pipeline import Covering, Pipeline
from platemark.plates.decoding import PlateDecoder
from platemark.plates.formats import FORMATS_FOLDER, choose_formats, load_formats
from platemark.plates.together import merge_plates
from platemark.plates.watchlist import WatchList
from platemark.protocols import Classifies, Finds, Reads, Verifies
from platemark.tasks.calibrate import logit, sigmoid
from platemark.tasks.detector import Detector
from platemark.tasks.plate_classifier import PlateClassifier
from platemark.tasks.plate_reader import PlateReader
from platemark.types import (
    Crop,
    Detection,
    Expectation,
    MergedPlate,
    Orientation,
    PlateClasses,
    PlateMark,
    Reading,
    Result,
    as_box,
    as_quad,
)

_WIDER, _TIGHTER = 0.04, -0.035
_ACROSS = 0.03
_CLASSIFIER = "plate-classifier"
# Of a photo that shows no plate upright, plates that lie on their side count with such a score, and
# where the text is read with such a one.
_SIDEWAYS, _SIDEWAYS_TEXT = 0.45, 0.5
# A plate may stand in a way that has so much probability; which one is told by what is read then,
# and by the picture alone where nothing is.
_DOUBT, _UNREAD, _SETTLED = 0.02, 0.2, 0.6
# How much what is read counts for it beside the picture.
_READ = 4
# Probabilities of a hidden text below this count as this, and likewise above.
_LEAST_HIDDEN = 1e-3


@dataclass(frozen=True)
class Gate:
    """Which detections count as plates, by their score and by what is read of them.

    Attributes:
        reader: Reads those that their score does not decide.
        odds: How score and text join.
    """

    reader: Reads
    odds: PlateOdds

    @classmethod
    def of(cls, reader: Reads, card: ModelCard) -> Self | None:
        """The gate that a detector's card states, or None."""
        return None if card.gate is None else cls(reader, card.gate)

    def __call__(self, image: Image, detections: Sequence[Detection]) -> list[Detection]:
        """Return the detections that count, in their order."""
        decided = [self._counts(one, *self._worst) for one in detections]
        asked = [one.quad for one, counts in zip(detections, decided, strict=True) if not counts]
        crops = crops_for(self.reader, image.pixels, asked)
        said = iter(self.reader(crops) if crops else ())
        return [
            one
            for one, counts in zip(detections, decided, strict=True)
            if counts or self._counts(one, *self.signals(next(said)))
        ]

    def signals(self, reading: Reading) -> tuple[float, float]:
        """What the weights ``text`` and ``lettering`` are of."""
        if not any(char.isdigit() for char in reading.text or ""):
            return 0.0, 1.0
        return float(logit(max(reading.score, self.odds.least_text))), 0.0

    @property
    def _worst(self) -> tuple[float, float]:
        """The signals that speak most against a plate."""
        illegible = float(logit(self.odds.least_text))
        lettering = self.odds.lettering < self.odds.text * illegible
        return (0.0, 1.0) if lettering else (illegible, 0.0)

    def probability(self, found: Detection, reading: Reading) -> float:
        """Probability that a detection of which so much is read is a plate."""
        return self._probability(found, *self.signals(reading))

    def _counts(self, found: Detection, text: float, lettering: float) -> bool:
        return self._probability(found, text, lettering) >= self.odds.least

    def _probability(self, found: Detection, text: float, lettering: float) -> float:
        odds = self.odds.bias + self.odds.detector * float(logit(found.score))
        return float(sigmoid(odds + self.odds.text * text + self.odds.lettering * lettering))


def _whole_picture(image: Image) -> list[Detection]:
    return [Detection.given("plate", (0.0, 0.0, float(image.width), float(image.height)))]


@dataclass(frozen=True)
class _Seen:
    """What is seen of a plate.

    Attributes:
        quad: Its corners, from its own top-left on if it is not mirrored.
        first: What the reader said.
        reading: What is decided from that.
        classes: What the classifier said.
        mirrored: Whether it is the wrong way round.
    """

    quad: FloatArray
    first: Reading
    reading: Reading
    classes: PlateClasses | None
    mirrored: bool = False

    def honest(self, odds: TextOdds | None) -> Reading:
        """The reading with the score that it has by what the picture says of hidden texts, too.

        The scores of texts are calibrated on plates of which hardly any is obscured.
        """
        if odds is None or self.classes is None or self.reading.text is None:
            return self.reading
        before, hidden = self.reading.score, hidden_odds(self.classes)
        after = float(sigmoid(odds.bias + odds.text * logit(before) + odds.hidden * hidden))
        # Where the text gains, the others lose.
        rest = min(1.0, (1.0 - after) / max(1.0 - before, 1e-9))
        others = [replace(one, score=one.score * rest) for one in self.reading.alternatives]
        return replace(self.reading, score=after, alternatives=tuple(others))

    def standing(self, way: str, reading: Reading) -> float:
        """How much speaks for a way to stand, with what the reader says then."""
        chance = self.classes.orientations.get(way, 0.0) if self.classes else 0.0
        return float(chance * (reading.score + _UNREAD) ** _READ)


def hidden_odds(classes: PlateClasses) -> float:
    """Log-odds that a part of a plate's text is hidden, within bounds."""
    return float(logit(min(max(classes.obscured.score, _LEAST_HIDDEN), 1.0 - _LEAST_HIDDEN)))


def crops_for(part: Reads | Classifies, pixels: Pixels, quads: Sequence[ArrayLike]) -> list[Crop]:
    """Rectify quads (4, 2) of an image as a reader or classifier wants them.

    Raises:
        ValueError: A quad is not convex and clockwise.
    """
    size = getattr(part, "crop_size", None)
    margin = getattr(part, "margin", 0.0)
    return [rectify(pixels, quad, size, margin) for quad in quads]


def _turned_back(found: Detection, width: int) -> Detection:
    """A detection of a picture turned left, in pixels of the picture as it was, of this width."""
    quad = np.array([(width - y, x) for x, y in found.quad])
    box = quad_to_box([(width - y, x) for x in found.box[::2] for y in found.box[1::2]])
    return replace(found, box=as_box(box), quad=as_quad(quad))


def other_views(quad: FloatArray) -> list[FloatArray]:
    """Quads that a detector as good might have given: wider, tighter, moved up and down.

    Args:
        quad: (4, 2) corners, clockwise from the plate's top-left.
    """
    down = (quad[3] - quad[0] + quad[2] - quad[1]) / 2 * _ACROSS
    return [enlarge_quad(quad, _WIDER), enlarge_quad(quad, _TIGHTER), quad + down, quad - down]


class PlatePipeline(Pipeline[PlateMark]):
    """Finds licence plates, rectifies each by its corners, classifies and reads it.

    Args:
        detector: Finds the plates.
        reader: Reads rectified plates.
        decoder: Decides what a plate says and its region; by default under all packaged formats.
        sure_score: Plates read with a lower score are read from other views too, see `read`.
        legible_text: Marks whose text has a lower score have none: it is then the first of their
            alternatives.
        verifier: Says which detections count; by default all do. See `Gate`.
        expected: A text that results say of whether a plate shows it; None for none.
        classifier: Classifies rectified plates. With one, plates that lie on their side
            or upside down are turned, also in photos that were taken so, mirrored ones are not
            read, and marks have a region by picture and text, `lines` and `obscured`; None for
            regions that the text alone tells.
        text_odds: How text scores join what the classifier says of hidden texts; None for text
            scores alone.

    Attributes:
        watch_list: See `watching`; None for none.
        prewarp: See `with_prewarp`; None for pictures as they are.
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
        classifier: Classifies | None = None,
        text_odds: TextOdds | None = None,
    ) -> None:
        super().__init__(detector, verifier)
        self.reader = reader
        self.classifier = classifier
        self.text_odds = text_odds
        self.expected = expected
        self.watch_list: WatchList | None = None
        self.prewarp: Prewarp | None = None
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
            model: None for the bundled models; a folder with the folders ``plate-detector``,
                ``plate-reader`` and ``plate-classifier``, or some of them; or one model (a bundled
                name, a model folder, an ``.onnx`` with its card beside it), which takes the place
                of the bundled one. Where neither detector nor reader is the bundled one, there is
                no classifier unless it comes with them. Plate formats in the folder of a reader
                are expected beside the packaged ones.
            threads: Threads for one run, see `OnnxModel`; by default one.
            min_score: Least score of a plate, however it reads; by default the detector's card
                decides, where it says so with the help of the reading, see `Gate`.

        Raises:
            ModelNotFound: There is no such model.
            ModelCorrupt: A file differs from the model's card.
            ModelMismatch: The model neither finds, reads nor classifies plates.
            FormatError: A plate format in the folder of a reader cannot be used.
        """
        parts = choose_parts(model, "plate", ("detector", "reader", "classifier"))
        detector = Detector.from_pretrained(parts["detector"], threads=threads, min_score=min_score)
        reader = PlateReader.from_pretrained(parts["reader"], threads=threads)
        gate = Gate.of(reader, detector.model.card) if min_score is None else None
        own = reader.model.folder / FORMATS_FOLDER
        classifier = None
        bundled = parts["detector"] is None or parts["reader"] is None
        if parts["classifier"] is not None or (bundled and _CLASSIFIER in bundled_names()):
            classifier = PlateClassifier.from_pretrained(parts["classifier"], threads=threads)
        return cls(
            detector,
            reader,
            decoder=PlateDecoder(
                load_formats(own if own.is_dir() else None),
                calibration=reader.model.card.text_calibration or Calibration(),
            ),
            sure_score=reader.sure_score,
            legible_text=reader.legible_text,
            verifier=gate,
            classifier=classifier,
            text_odds=reader.model.card.text_odds,
        )

    @property
    def models(self) -> list[OnnxModel]:
        """The networks of those of its parts that have one."""
        parts = (self.detector, self.reader, self.classifier)
        models = [getattr(part, "model", None) for part in parts]
        return [model for model in models if isinstance(model, OnnxModel)]

    def _find_within(self, image: Image, window: tuple[int, int, int, int]) -> Sequence[Detection]:
        if self.prewarp is None:
            return super()._find_within(image, window)
        view = self.prewarp.view(image.width, image.height, window)
        straight = replace(image, pixels=view.straighten(image.pixels), file=None)
        back = [view.original(one, image.width, image.height) for one in self._find(straight)]
        return [one for one in back if one.box[0] < one.box[2] and one.box[1] < one.box[3]]

    def _find(self, image: Image) -> Sequence[Detection]:
        """Find the plates of an image; where there are none and plates can be classified, those
        that lie on their side and can be read."""
        found = super()._find(image)
        if found or self.classifier is None:
            return found
        turned = super()._find(Image(np.rot90(image.pixels), image.source, image.page))
        likely = [_turned_back(one, image.width) for one in turned if one.score >= _SIDEWAYS]
        seen = self._see(image.pixels, [one.quad for one in likely])
        return [
            one
            for one, plate in zip(likely, seen, strict=True)
            if plate.reading.score >= _SIDEWAYS_TEXT
        ]

    def with_prewarp(self, prewarp: Prewarp | str | None) -> Self:
        """Return a copy that finds plates in straightened pictures, as of a fixed camera.

        Marks stay in pixels of the original pictures, and plates are read from these. A region of
        interest is given in their pixels too.

        Args:
            prewarp: How to straighten: a `Prewarp`, or a text as `Prewarp.parse` takes it; None for
                not at all.

        Raises:
            ValueError: The text is none.
        """
        parsed = Prewarp.parse(prewarp) if isinstance(prewarp, str) else prewarp
        return self.with_parts(prewarp=parsed)

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

    def with_alternatives(self, most: int) -> Self:
        """Return a copy that gives at most this number of other texts of a plate, by default four.

        Raises:
            ValueError: ``most`` is negative.
        """
        if most < 0:
            raise ValueError(f"alternatives are 0 or more, not {most}")
        return self.with_parts(decoder=replace(self.decoder, alternatives=most))

    def watching(self, watch_list: WatchList | Iterable[str] | None) -> Self:
        """Return a copy whose marks say which text of a list they show, see `WatchList`.

        Args:
            watch_list: The list, or its texts; None for none.

        Raises:
            ValueError: A text has neither letters nor digits.
        """
        if watch_list is not None and not isinstance(watch_list, WatchList):
            watch_list = WatchList(watch_list)
        return self.with_parts(watch_list=watch_list)

    def merge(self, results: Iterable[Result]) -> list[MergedPlate]:
        """Merge the plates that several photos of one car show; see `merge_plates`.

        ::

            for plate in plates.merge(plates.stream("photos-of-one-car")):
                print(plate.reading.text, plate.reading.score, len(plate.views))

        Args:
            results: What this pipeline gave for the photos.

        Returns:
            A plate for each car, that in most photos first. Where a text is expected each says
            whether it shows it.
        """
        return [self._merged(one) for one in merge_plates(results, self.decoder)]

    def _merged(self, plate: MergedPlate) -> MergedPlate:
        reading, expected = plate.reading, None
        if reading.score < self.legible_text:
            reading = reading.illegible()
        if self.expected is not None:
            expected = self.decoder.verify([reading], self.expected)
        return replace(plate, reading=reading, expected=expected)

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

        What the reader says is decided under the plate formats, see `PlateDecoder`, by what the
        picture shows of the region. A plate that stays in doubt is read again from views that
        differ a little, and decided from all.

        Args:
            image: A path, bytes, an (H, W, 3) uint8 RGB array, a PIL image or an `Image`.
            quads: Corners (4, 2) in pixels of the image, clockwise from the plate's top-left.

        Raises:
            ValueError: A quad is not convex and clockwise.
            InferenceFailed: The network did not run.
        """
        return [
            plate.honest(self.text_odds) for plate in self._see(Image.read(image).pixels, quads)
        ]

    def classify(
        self, image: ImageInput, quads: Sequence[ArrayLike]
    ) -> list[PlateClasses] | list[None]:
        """Rectify and classify plates whose corners are known, in order; None without a classifier.

        Args:
            image: As for `read`.
            quads: As for `read`; corners that start elsewhere are said to be turned.

        Raises:
            InferenceFailed: A network did not run.
            UnreadableImage: The image cannot be read.
        """
        if self.classifier is None:
            return [None] * len(quads)
        crops = crops_for(self.classifier, Image.read(image).pixels, quads)
        return list(self.classifier(crops))

    def marks(self, image: Image) -> list[PlateMark]:
        """Find the plates of an image and read them, highest score first.

        With a `Gate` their scores are its probabilities, by detector and text.

        Raises:
            InferenceFailed: A network did not run.
        """
        return sorted(super().marks(image), key=lambda mark: -mark.score)

    def describe(self, image: Image, detections: Sequence[Detection]) -> list[PlateMark]:
        """Read detected plates: a mark for each, in the same order, legible or not."""
        seen = self._see(image.pixels, [detection.quad for detection in detections])
        marks = [self._mark(*pair) for pair in zip(detections, seen, strict=True)]
        if (listed := self.watch_list) is None:
            return marks
        return [replace(one, watch=listed.match(one.reading, self.decoder)) for one in marks]

    def _mark(self, detection: Detection, seen: _Seen) -> PlateMark:
        if isinstance(self.verifier, Gate):
            score = self.verifier.probability(detection, seen.first)
            detection = replace(detection, score=score)
        reading = seen.honest(self.text_odds)
        if reading.score < self.legible_text:
            reading = replace(reading.illegible(), region=reading.region if seen.classes else None)
        if seen.classes is None:
            return PlateMark.of(detection, reading)
        return PlateMark.of(
            replace(detection, quad=as_quad(seen.quad)),
            reading,
            lines=seen.classes.lines,
            obscured=seen.classes.obscured,
            mirrored=seen.mirrored,
        )

    def _see(self, pixels: Pixels, quads: Sequence[ArrayLike]) -> list[_Seen]:
        """Classify, turn and read plates."""
        corners = [np.asarray(quad, dtype=np.float64) for quad in quads]
        seen = self._turned(pixels, self._read(pixels, corners))
        unread = [
            i
            for i, plate in enumerate(seen)
            if plate.reading.score < self.sure_score and not plate.mirrored
        ]
        views = [other_views(seen[i].quad) for i in unread]
        others = crops_for(self.reader, pixels, [view for plate in views for view in plate])
        again = iter(self.reader(others) if others else ())
        for i, plate in zip(unread, views, strict=True):
            readings = [seen[i].first, *islice(again, len(plate))]
            seen[i] = replace(seen[i], reading=self._decide(readings, seen[i].classes))
        return seen

    def _decide(self, readings: Sequence[Reading], classes: PlateClasses | None) -> Reading:
        """What a plate says, by what was read of it and what its picture shows."""
        if classes is None:
            return self.decoder(readings)
        return self.decoder(readings, classes.regions, classes.obscured.score)

    def _read(self, pixels: Pixels, corners: Sequence[FloatArray]) -> list[_Seen]:
        """Classify and read plates as they stand."""
        classes = self.classify(pixels, corners)
        first = self.reader(crops_for(self.reader, pixels, corners))
        return [
            _Seen(quad, reading, self._decide([reading], one), one)
            for quad, reading, one in zip(corners, first, classes, strict=True)
        ]

    def _turned(self, pixels: Pixels, seen: list[_Seen]) -> list[_Seen]:
        """Plates that may stand otherwise than upright, read in each way and left in the best."""
        asked = [(i, way) for i, plate in enumerate(seen) for way in self._doubts(plate)]
        crops = [self._standing(pixels, seen[i].quad, way) for i, way in asked]
        said = self.reader(crops) if crops else []
        best = {i: ("upright", seen[i].standing("upright", seen[i].first)) for i, _ in asked}
        for (i, way), reading in zip(asked, said, strict=True):
            chance = seen[i].standing(way, reading)
            if chance > best[i][1]:
                best[i] = way, chance
        stands = {i: Orientation(way, 1.0) for i, (way, _) in best.items() if way != "upright"}
        turned = {i: one.quarter_turns for i, one in stands.items() if not one.mirrored}
        corners = [np.roll(seen[i].quad, -turns, axis=0) for i, turns in turned.items()]
        for i, plate in zip(turned, self._read(pixels, corners) if turned else (), strict=True):
            seen[i] = plate
        for i in stands.keys() - turned.keys():
            seen[i] = replace(seen[i], reading=Reading(None, 0.0), mirrored=True)
        return seen

    def _doubts(self, plate: _Seen) -> list[str]:
        """Ways that a plate may stand instead of upright."""
        if plate.classes is None or plate.standing("upright", plate.first) > _SETTLED:
            return []
        chances = plate.classes.orientations.items()
        return [way for way, chance in chances if way != "upright" and chance >= _DOUBT]

    def _standing(self, pixels: Pixels, quad: FloatArray, way: str) -> Crop:
        """The crop of a plate for the reader as if it stood so."""
        turns = Orientation(way, 1.0).quarter_turns
        (crop,) = crops_for(self.reader, pixels, [np.roll(quad, -turns, axis=0)])
        if way != "mirrored":
            return crop
        return Crop(np.ascontiguousarray(crop.pixels[:, ::-1]), crop.to_image)
