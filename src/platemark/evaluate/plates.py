"""Plates: found, read, found and read.

What is counted:

- *detection*: a mark is right when it overlaps a plate that no better mark has taken, at IoU 0.5
  and 0.75. Average precision also counts the candidates below the pipeline's threshold.
- *end to end*: an annotated text is right when some mark with IoU >= 0.5 shows exactly it, letters
  and digits only. *Folded* takes O for 0 and I for 1, as some published metrics do.
- *reader*: the text read from the annotated corners, without the detector.
- what is said beside the text: see `platemark.evaluate.plate_classes`.

An image that fails stays in the count with all its plates missed, and is listed as an error.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from platemark import metrics
from platemark.datasets import Manifest, ManifestEntry, PlateAnnotation
from platemark.evaluate.detection import (
    FOUND_IOU,
    DetectionScores,
    Evaluation,
    Outcome,
    Progress,
    examine,
    false_marks,
    grouped,
    judge_all,
    match,
    number,
    reliability,
)
from platemark.evaluate.plate_classes import ClassOutcome, ClassScores, stood
from platemark.imaging.image import Image
from platemark.metrics import Coverage, Rate
from platemark.plates.pipeline import PlatePipeline
from platemark.types import PlateClasses, PlateMark, Reading

IOU_THRESHOLDS = (FOUND_IOU, 0.75)
PRECISIONS = (0.95, 0.99, 0.999)


@dataclass(frozen=True)
class ReadingScores:
    """How well texts are read.

    Attributes:
        exact: Exact match.
        folded: The same with O=0 and I=1.
        listed: Exact match of the text or one of its alternatives.
        character_error_rate: Edits for each character of the truth.
    """

    exact: Rate
    folded: Rate
    listed: Rate
    character_error_rate: float

    def to_dict(self) -> dict[str, object]:
        """Return the JSON object."""
        return {
            "exact": self.exact.to_dict(),
            "folded": self.folded.to_dict(),
            "listed": self.listed.to_dict(),
            "character_error_rate": number(self.character_error_rate),
        }


@dataclass(frozen=True)
class PlateScores:
    """All metrics of a set of images.

    Attributes:
        images: Number of images.
        plates: Number of annotated plates in them.
        detection: Metrics of the detector by IoU threshold.
        end_to_end: Metrics of the whole pipeline on plates with an annotated text.
        reader: Metrics of the reader alone on the annotated corners of the same plates.
        elapsed_ms: Mean and median milliseconds per image, from pixels to marks.
    """

    images: int
    plates: int
    detection: dict[float, DetectionScores]
    end_to_end: ReadingScores
    reader: ReadingScores
    elapsed_ms: tuple[float, float]

    def to_dict(self) -> dict[str, object]:
        """Return the JSON object."""
        return {
            "images": self.images,
            "plates": self.plates,
            "detection": {str(iou): scores.to_dict() for iou, scores in self.detection.items()},
            "end_to_end": self.end_to_end.to_dict(),
            "reader": self.reader.to_dict(),
            "elapsed_ms": dict(
                zip(("mean", "median"), map(number, self.elapsed_ms), strict=True),
            ),
        }


@dataclass(frozen=True)
class PlateOutcome:
    """What became of one annotated plate.

    Attributes:
        truth: The annotation.
        mark: The mark that took this plate at IoU 0.5, None where it was missed.
        said: What counts end to end: the mark that shows the truth, else ``mark``.
        reading: What the reader says about the annotated corners.
    """

    truth: PlateAnnotation
    mark: PlateMark | None
    said: PlateMark | None
    reading: Reading | None

    @property
    def text(self) -> str | None:
        """The text that counts end to end."""
        return self.said.text if self.said else None

    @property
    def right(self) -> bool:
        """Whether the text was read end to end; a plate without annotated text is right."""
        return self.truth.text is None or metrics.exact_match(self.text, self.truth.text)


@dataclass(frozen=True)
class ImageOutcome(Outcome):
    """What became of one photo.

    Attributes:
        plates: One per annotated plate.
        classes: What is said of each beside its text.
    """

    plates: tuple[PlateOutcome, ...]
    classes: tuple[ClassOutcome, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether anything in the image was missed, misread or found without being there."""
        return (
            self.result.error is not None
            or bool(self.false_marks)
            or any(plate.mark is None or not plate.right for plate in self.plates)
        )


@dataclass(frozen=True)
class PlateEvaluation(Evaluation[ImageOutcome]):
    """The outcome of every photo, and the metrics over any part of them."""

    def of_kind(self, kind: str) -> PlateScores:
        """Metrics over all images of a kind, ``scene`` or ``crop``."""
        return score([outcome for outcome in self.outcomes if outcome.entry.kind == kind])

    def by_group(self) -> dict[str, PlateScores]:
        """Metrics for each source folder, by name."""
        groups = grouped(self.outcomes, lambda outcome: outcome.entry.group)
        return {name: score(outcomes) for name, outcomes in groups.items()}

    def false_plates(self) -> tuple[float, Rate]:
        """False plates per photo without plates, and the share of such photos that have any.

        Annotated photos that are listed as without plates count too.
        """
        bare = [one.result for one in self.outcomes if _shows_no_plate(one.entry)]
        return false_marks([*bare, *self.negatives])

    def text_reliability(self) -> tuple[list[float], list[bool]]:
        """Text score of every plate with annotated text, and whether the text was right.

        Of scenes the marks found count, of crops, which are one plate each, what was read from the
        annotated corners.
        """
        pairs = [
            (reading.score, metrics.exact_match(reading.text, plate.truth.text))
            for outcome in self.outcomes
            for plate in outcome.plates
            for reading in [
                plate.reading if outcome.entry.kind == "crop" else plate.mark and plate.mark.reading
            ]
            if reading is not None and plate.truth.text is not None
        ]
        return [pair[0] for pair in pairs], [pair[1] for pair in pairs]

    def text_coverage(self) -> dict[float, Coverage]:
        """How many of those plates are accepted where 95%, 99% or 99.9% of them are to be right."""
        pairs = self.text_reliability()
        return {wanted: metrics.coverage_at_precision(*pairs, wanted) for wanted in PRECISIONS}

    def classes(self) -> ClassScores:
        """Metrics of what is said of plates beside their text."""
        return ClassScores.of([one for outcome in self.outcomes for one in outcome.classes])

    def to_dict(self) -> dict[str, object]:
        """Return all metrics as one JSON object."""
        per_image, with_any = self.false_plates()
        kinds = ("scene", "crop")
        counts = {kind: sum(o.entry.kind == kind for o in self.outcomes) for kind in kinds}
        return {
            "split": self.split,
            "images": counts,
            "overall": {kind: self.of_kind(kind).to_dict() for kind in kinds if counts[kind]},
            "groups": {name: scores.to_dict() for name, scores in self.by_group().items()},
            "reliability": {
                "detection": reliability(*self.detection_reliability()),
                "text": reliability(*self.text_reliability()),
            },
            "text_coverage": {
                str(wanted): one.to_dict() for wanted, one in self.text_coverage().items()
            },
            "classes": self.classes().to_dict(),
            "negatives": {
                "images": with_any.n,
                "false_plates_per_image": number(per_image),
                "images_with_false_plates": with_any.to_dict(),
            },
            "errors": [result.to_dict() for result in self.errors],
        }


def evaluate_plates(
    manifest: Manifest,
    pipeline: PlatePipeline,
    *,
    negatives: Sequence[Path] = (),
    progress: Progress | None = None,
) -> PlateEvaluation:
    """Run a pipeline on annotated images and judge every answer.

    Args:
        manifest: The annotated images, already cut down to the split to measure.
        pipeline: The pipeline as users run it, with its own thresholds.
        negatives: Photos that show no plate.
        progress: Called with (images done, images in all).

    Returns:
        The outcome of every image. Images that fail are part of it; no error is raised for them.
    """
    return PlateEvaluation(
        *judge_all(
            manifest.entries,
            lambda entry: _judge(manifest.path(entry), entry, pipeline),
            negatives,
            pipeline,
            progress,
        )
    )


def score(outcomes: Sequence[ImageOutcome]) -> PlateScores:
    """Count the metrics over a set of images."""
    plates = [plate for outcome in outcomes for plate in outcome.plates]
    read = [plate for plate in plates if plate.truth.text is not None]
    looked_at = [o.result.elapsed_ms for o in outcomes if o.result.error is None]
    return PlateScores(
        images=len(outcomes),
        plates=len(plates),
        detection={iou: DetectionScores.of(outcomes, len(plates), iou) for iou in IOU_THRESHOLDS},
        end_to_end=_reading_scores((plate.said, plate.truth.text) for plate in read),
        reader=_reading_scores((plate.reading, plate.truth.text) for plate in read),
        elapsed_ms=metrics.mean_and_median(looked_at),
    )


def _shows_no_plate(entry: ManifestEntry) -> bool:
    listed = "plates" in entry.model_fields_set
    return entry.kind == "scene" and listed and not entry.plates and not entry.ignore


def _judge(path: Path, entry: ManifestEntry, pipeline: PlatePipeline) -> ImageOutcome:
    result, candidates, said = examine(
        path, entry, pipeline, lambda image: _ask(pipeline, image, entry), len(entry.plates)
    )
    marks = [mark for mark in result.marks if isinstance(mark, PlateMark)]
    truth = [plate.box for plate in entry.plates]
    matches, overlap = match(marks, truth, IOU_THRESHOLDS, entry.ignore)
    candidate_matches, _ = match(candidates, truth, IOU_THRESHOLDS, entry.ignore)
    taken = matches[FOUND_IOU].tolist()
    plates = tuple(
        _plate_outcome(plate, marks, overlap[:, index], taken, index, one.reading if one else None)
        for index, (plate, one) in enumerate(zip(entry.plates, said, strict=True))
    )
    classes = tuple(
        _class_outcome(pipeline, plate, one, crop=entry.kind == "crop")
        for plate, one in zip(plates, said, strict=True)
    )
    scores = np.array([candidate.score for candidate in candidates], dtype=np.float64)
    return ImageOutcome(path, entry, result, matches, scores, candidate_matches, plates, classes)


@dataclass(frozen=True)
class _Said:
    """What is said of a plate from its annotated corners."""

    reading: Reading
    classes: PlateClasses | None
    stood: tuple[str, ...]


def _ask(pipeline: PlatePipeline, image: Image, entry: ManifestEntry) -> list[_Said]:
    corners = [plate.corners for plate in entry.plates]
    readings, classes = pipeline.read(image, corners), pipeline.classify(image, corners)
    stands = [stood(pipeline, image, quad) for quad in corners]
    return [_Said(*one) for one in zip(readings, classes, stands, strict=True)]


def _class_outcome(
    pipeline: PlatePipeline, plate: PlateOutcome, said: _Said | None, *, crop: bool
) -> ClassOutcome:
    classes = said.classes if said else None
    seen = classes if crop else plate.mark
    reading = plate.reading if crop else plate.mark.reading if plate.mark else None
    text = reading.text if reading else None
    return ClassOutcome(
        truth=plate.truth,
        found=reading is not None,
        region=reading.region if reading else None,
        by_text=pipeline.decoder.grammar.region(text) if text else None,
        known=frozenset([*pipeline.decoder.formats, *(classes.regions if classes else ())]),
        lines=seen.lines if seen else None,
        obscured=seen.obscured if seen else None,
        stood=said.stood if said else (),
    )


def _plate_outcome(
    truth: PlateAnnotation,
    marks: Sequence[PlateMark],
    overlap: NDArray[np.float64],
    taken: Sequence[int],
    index: int,
    reading: Reading | None,
) -> PlateOutcome:
    mark = marks[taken.index(index)] if index in taken else None
    near = [m for m, iou in zip(marks, overlap, strict=True) if iou >= FOUND_IOU]
    showing = [
        m
        for fold in (False, True)
        for m in near
        if truth.text and metrics.exact_match(m.text, truth.text, fold=fold)
    ]
    best = showing[0] if showing else mark
    return PlateOutcome(truth, mark, best, reading)


def _reading_scores(
    pairs: Iterable[tuple[PlateMark | Reading | None, str | None]],
) -> ReadingScores:
    said = [(one, truth or "") for one, truth in pairs]
    texts = [(one.text if one else None, truth) for one, truth in said]
    listed = sum(
        any(
            metrics.exact_match(text, truth)
            for text in (one.text, *(a.text for a in one.alternatives))
        )
        for one, truth in said
        if one
    )
    strict = sum(metrics.exact_match(text, truth) for text, truth in texts)
    folded = sum(metrics.exact_match(text, truth, fold=True) for text, truth in texts)
    return ReadingScores(
        Rate(strict, len(texts)),
        Rate(folded, len(texts)),
        Rate(listed, len(texts)),
        metrics.character_error_rate(texts),
    )
