"""What the evaluations of every kind of mark share: running the pipeline, matching, counting."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from platemark import metrics
from platemark.datasets import ManifestEntry
from platemark.errors import DatasetError, PlatemarkError
from platemark.geometry import FloatArray, iou_matrix
from platemark.imaging.image import Image
from platemark.metrics import Rate
from platemark.pipeline import Pipeline
from platemark.types import Box, Detection, Failure, Mark, Result

FOUND_IOU = 0.5
"""Overlap from which on a mark counts as found."""
CANDIDATE_SCORE = 0.02
"""Detections from this score on enter the precision-recall curve."""

Progress = Callable[[int, int], None]
Matches = dict[float, NDArray[np.int64]]
T = TypeVar("T")


class Boxed(Protocol):
    """A detection or a mark."""

    @property
    def box(self) -> Box:
        """Bounding box in pixels of the image."""

    @property
    def score(self) -> float:
        """Probability that it is a mark."""


@dataclass(frozen=True)
class Outcome:
    """What became of one image.

    Attributes:
        path: Where the image lies.
        entry: Its line of the manifest.
        result: What the pipeline answered.
        matches: For each mark of the result the annotation it took, by IoU threshold, see
            `match`.
        candidates: Scores (P,) of the detections from `CANDIDATE_SCORE` on.
        candidate_matches: What each candidate took, by IoU threshold.
    """

    path: Path
    entry: ManifestEntry
    result: Result
    matches: Matches
    candidates: NDArray[np.float64]
    candidate_matches: Matches

    @property
    def false_marks(self) -> tuple[Mark, ...]:
        """Marks that overlap no annotation at `FOUND_IOU` and lie in no ignored region."""
        marks = zip(self.result.marks, self.matches[FOUND_IOU], strict=True)
        return tuple(mark for mark, match in marks if match == metrics.FALSE)


OutcomeT = TypeVar("OutcomeT", bound=Outcome)


@dataclass(frozen=True)
class DetectionScores:
    """How well marks are found, at one IoU threshold."""

    precision: Rate
    recall: Rate
    average_precision: float

    @classmethod
    def of(cls, outcomes: Iterable[Outcome], total: int, iou: float) -> Self:
        """Count over a set of images with ``total`` annotated marks."""
        outcomes = list(outcomes)
        marks = np.array([m for o in outcomes for m in o.matches[iou]], dtype=np.int64)
        ignored = marks == metrics.IGNORED
        precision, recall = metrics.precision_recall(marks >= 0, total, ignore=ignored)
        scores, correct, skipped = candidates(outcomes, iou)
        area = metrics.average_precision(scores, correct, total, ignore=skipped)
        return cls(precision, recall, area)

    def to_dict(self) -> dict[str, object]:
        """Return the JSON object."""
        return {
            "precision": self.precision.to_dict(),
            "recall": self.recall.to_dict(),
            "average_precision": number(self.average_precision),
        }


@dataclass(frozen=True)
class Evaluation(Generic[OutcomeT]):
    """The outcome of every image.

    Attributes:
        outcomes: One per image of the manifest that is evaluated, in its order.
        negatives: What the pipeline answered on pictures without marks.
    """

    outcomes: tuple[OutcomeT, ...]
    negatives: tuple[Result, ...] = ()

    @property
    def split(self) -> str:
        """Names of the splits of the images; ``synthetic`` for generated ones."""
        entries = [outcome.entry for outcome in self.outcomes]
        return ", ".join(sorted({"synthetic" if e.synthetic else e.split for e in entries}))

    @property
    def errors(self) -> tuple[Result, ...]:
        """Results of the images that could not be evaluated."""
        results = (*(outcome.result for outcome in self.outcomes), *self.negatives)
        return tuple(result for result in results if result.error is not None)

    def detection_reliability(self) -> tuple[list[float], list[bool]]:
        """Score of every mark found in scenes, and whether it was one at `FOUND_IOU`."""
        pairs = [
            (mark.score, bool(match >= 0))
            for outcome in self.outcomes
            if outcome.entry.kind == "scene"
            for mark, match in zip(outcome.result.marks, outcome.matches[FOUND_IOU], strict=True)
            if match != metrics.IGNORED
        ]
        return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def grouped(
    outcomes: Iterable[OutcomeT], key: Callable[[OutcomeT], str]
) -> dict[str, list[OutcomeT]]:
    """Outcomes by a name that each has, in the order of the names."""
    groups: dict[str, list[OutcomeT]] = {}
    for outcome in outcomes:
        groups.setdefault(key(outcome), []).append(outcome)
    return {name: groups[name] for name in sorted(groups)}


def candidates(
    outcomes: Iterable[Outcome], iou: float
) -> tuple[list[float], NDArray[np.bool_], NDArray[np.bool_]]:
    """Score of every candidate, whether it is right, and whether it is not to be counted."""
    outcomes = list(outcomes)
    scores = [score for outcome in outcomes for score in outcome.candidates.tolist()]
    taken = [match for outcome in outcomes for match in outcome.candidate_matches[iou].tolist()]
    matches = np.array(taken, dtype=np.int64)
    return scores, matches >= 0, matches == metrics.IGNORED


def per_image(counts: Sequence[int]) -> tuple[float, Rate]:
    """Mean of what was found falsely on each image, and the share of images that have any."""
    mean = sum(counts) / len(counts) if counts else float("nan")
    return mean, Rate(sum(count > 0 for count in counts), len(counts))


def false_marks(negatives: Iterable[Result]) -> tuple[float, Rate]:
    """False marks per image without marks, and the share of such images that have any."""
    return per_image([len(result.marks) for result in negatives if result.error is None])


def examine(
    path: Path,
    entry: ManifestEntry,
    pipeline: Pipeline[Any],
    describe: Callable[[Image], Sequence[T]],
    annotated: int,
) -> tuple[Result, Sequence[Detection], list[T | None]]:
    """Run a pipeline on an annotated image.

    Args:
        path: Where the image lies.
        entry: Its line of the manifest.
        pipeline: The pipeline as users run it.
        describe: What else is asked about every annotated mark.
        annotated: How many there are.

    Returns:
        Its answer; the detections from `CANDIDATE_SCORE` on; what ``describe`` says. Where the
        image cannot be evaluated: the error, no detections, and None for every mark.
    """
    try:
        image = Image.read(path)
        _check_size(image, entry)
        return (
            pipeline(path),
            pipeline.with_min_score(CANDIDATE_SCORE).find(image),
            [*describe(image)],
        )
    except PlatemarkError as error:
        return _failed(path, error), [], [None] * annotated


def judge_all(
    entries: Sequence[ManifestEntry],
    judge: Callable[[ManifestEntry], OutcomeT],
    negatives: Sequence[Path],
    pipeline: Pipeline[Any],
    progress: Progress | None,
) -> tuple[tuple[OutcomeT, ...], tuple[Result, ...]]:
    """Judge every image, then run the pipeline on the pictures without marks.

    Args:
        entries: The annotated images.
        judge: What became of one of them.
        negatives: Pictures that show no mark.
        pipeline: The pipeline as users run it.
        progress: Called with (images done, images in all).

    Returns:
        The outcomes, and what the pipeline answered on ``negatives``.
    """
    total = len(entries) + len(negatives)
    tell = progress or (lambda done, total: None)
    outcomes: list[OutcomeT] = []
    for entry in entries:
        outcomes.append(judge(entry))
        tell(len(outcomes), total)
    answers: list[Result] = []
    for path in negatives:
        answers.append(_result(path, pipeline))
        tell(len(outcomes) + len(answers), total)
    return tuple(outcomes), tuple(answers)


def _result(path: Path, pipeline: Pipeline[Any]) -> Result:
    """Run a pipeline on an image; what fails is the result's error."""
    try:
        return pipeline(path)
    except PlatemarkError as error:
        return _failed(path, error)


def _failed(path: Path, error: PlatemarkError) -> Result:
    return Result(str(path), error=Failure(error.code, error.message))


def _check_size(image: Image, entry: ManifestEntry) -> None:
    if (image.width, image.height) != (entry.width, entry.height):
        raise DatasetError(
            f"{image.source} has {image.width}x{image.height} pixels but its manifest states "
            f"{entry.width}x{entry.height}, so its annotations do not fit; correct the manifest",
            source=image.source,
        )


def match(
    found: Sequence[Boxed],
    truth: Sequence[Box],
    thresholds: Iterable[float],
    ignore: Sequence[Box] = (),
) -> tuple[Matches, FloatArray]:
    """Assign what was found in one image to what is annotated there.

    What takes no annotation and has its centre or more than half of its area in a region to
    ignore is `metrics.IGNORED`; the rest of it is `metrics.FALSE`.

    Args:
        found: Detections or marks.
        truth: Annotated boxes.
        thresholds: IoU from which on a finding counts.
        ignore: Regions that are neither mark nor background.

    Returns:
        What each finding took, by threshold, see `metrics.match_detections`; IoU (P, T).
    """
    boxes = np.array([item.box for item in found], dtype=np.float64).reshape(-1, 4)
    overlap = iou_matrix(boxes, np.array(truth, dtype=np.float64).reshape(-1, 4))
    scores = [item.score for item in found]
    outside = _lies_in(boxes, np.array(ignore, dtype=np.float64).reshape(-1, 4))
    matches = {}
    for iou in thresholds:
        taken = metrics.match_detections(overlap, scores, threshold=iou)
        matches[iou] = np.where((taken == metrics.FALSE) & outside, metrics.IGNORED, taken)
    return matches, overlap


def _lies_in(boxes: FloatArray, regions: FloatArray) -> NDArray[np.bool_]:
    """Whether each box (P, 4) has its centre or over half of its area in one region (R, 4)."""
    centres = (boxes[:, None, :2] + boxes[:, None, 2:]) / 2
    held = np.all((centres >= regions[:, :2]) & (centres < regions[:, 2:]), axis=2)
    upper = np.maximum(boxes[:, None, :2], regions[:, :2])
    lower = np.minimum(boxes[:, None, 2:], regions[:, 2:])
    shared = np.clip(lower - upper, 0.0, None).prod(axis=2)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return np.asarray(np.any(held | (shared > areas[:, None] / 2), axis=1))


def reliability(scores: ArrayLike, correct: ArrayLike) -> dict[str, object]:
    """Calibration error and bins of scores, as a JSON object."""
    return {
        "expected_calibration_error": number(metrics.expected_calibration_error(scores, correct)),
        "interval": [number(end) for end in metrics.calibration_error_interval(scores, correct)],
        "bins": [row.to_dict() for row in metrics.reliability(scores, correct)],
    }


def number(value: float) -> float | None:
    """A metric as JSON has it: None for NaN."""
    return None if math.isnan(value) else value
