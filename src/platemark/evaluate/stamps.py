"""Stamps: detection, segmentation, retrieval.

What is counted:

- *detection*, over scenes: a mark is right when it overlaps a stamp that no better mark has taken,
  at IoU 0.5. Precision and recall are those of the pipeline's own threshold. Average precision
  also counts the candidates below it; AP50-95 is its mean over IoU 0.50, 0.55 ... 0.95. Recall at
  precision 0.9 is the most that any threshold finds while nine marks in ten are right, with its
  interval by the bootstrap over pages. What lies in a region to ignore counts neither way. The same
  for stamps without a frame and rectangular ones, which are hardest to tell from print, and for the
  others: all false marks count against either, and marks of the other sort neither way.
- *false marks*, over scenes without stamps, and over pages that are known to have none.
- *masks*, where the ink is annotated: IoU of the ink mask, once from the annotated box and once
  from end to end, where a stamp that was not found has 0.
- *retrieval*, over scenes and crops: see `platemark.evaluate.retrieval`. The imprints are cropped
  by their annotated boxes (``annotated``), and by what the detector found of them (``detected``).
- *reading*, where the pipeline reads and texts are annotated: see `platemark.evaluate.stamp_text`.

An image that fails stays in the count with all its stamps missed, and is listed as an error.
Isolated artwork was never on paper; such rows are skipped.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from platemark import metrics
from platemark.datasets import Manifest, ManifestEntry
from platemark.datasets.manifest import StampAnnotation
from platemark.evaluate.detection import (
    FOUND_IOU,
    DetectionScores,
    Evaluation,
    Matches,
    Outcome,
    Progress,
    candidates,
    examine,
    false_marks,
    grouped,
    judge_all,
    match,
    number,
    per_image,
    reliability,
)
from platemark.evaluate.masks import MaskScores, annotated_ink
from platemark.evaluate.retrieval import Imprint, Retrieval, cosine_similarity, group, origin
from platemark.evaluate.stamp_text import StampReadings
from platemark.imaging.image import Image
from platemark.masks import BoolMask
from platemark.metrics import Rate
from platemark.pipeline import Pipeline
from platemark.types import Box, Detection, Mark, StampMark, as_quad

IOU_THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
PRECISION = 0.9
BAD_MASK = 0.5
"""Masks with a lower IoU are failures."""
ALL = "all"
TEXT_SHAPES = ("other", "rectangle")
"""Outlines of stamps that may be nothing but lines of text."""

T = TypeVar("T")


@dataclass(frozen=True)
class StampOutcome:
    """What became of one annotated stamp.

    Attributes:
        truth: The annotation.
        mark: The mark that took this stamp at `FOUND_IOU`, None where it was missed.
        given: What the pipeline makes of the annotated box, None where the image failed.
        mask_iou: IoU of the ink from end to end, 0 where missed; None where no ink is annotated.
        given_mask_iou: The same from the annotated box.
    """

    truth: StampAnnotation
    mark: StampMark | None
    given: StampMark | None
    mask_iou: float | None
    given_mask_iou: float | None

    @property
    def bad_mask(self) -> bool:
        """Whether the ink was segmented badly although the stamp was found."""
        return self.mark is not None and self.mask_iou is not None and self.mask_iou < BAD_MASK


@dataclass(frozen=True)
class PageOutcome(Outcome):
    """What became of one page or crop.

    Attributes:
        stamps: One per annotated stamp.
    """

    stamps: tuple[StampOutcome, ...]

    @property
    def origin(self) -> str:
        """Where the page comes from, such as ``real``."""
        return origin(self.entry)

    @property
    def missed(self) -> tuple[StampOutcome, ...]:
        """Stamps of a page that were not found; a crop is no test of a detector."""
        if self.entry.kind != "scene":
            return ()
        return tuple(stamp for stamp in self.stamps if stamp.mark is None)

    @property
    def failed(self) -> bool:
        """Whether anything was missed, badly segmented or found without being there."""
        return (
            self.result.error is not None
            or bool(self.false_marks or self.missed)
            or any(stamp.bad_mask for stamp in self.stamps)
        )


@dataclass(frozen=True)
class StampDetectionScores:
    """How well the stamps of a set of pages are found.

    Attributes:
        pages: Number of pages.
        stamps: Number of annotated stamps on them.
        precision: At the pipeline's threshold, IoU 0.5.
        recall: At the pipeline's threshold, IoU 0.5.
        average_precision: AP at IoU 0.5.
        mean_average_precision: Mean of the AP at IoU 0.50, 0.55 ... 0.95.
        recall_at_precision: Most that is found while nine marks in ten are right.
        recall_interval: Its 95% interval, by the bootstrap over pages.
        false_per_empty_page: False marks per page without stamps; NaN without such pages.
        empty_pages: Pages without stamps that have false marks.
        elapsed_ms: Mean and median milliseconds per page, from pixels to marks.
    """

    pages: int
    stamps: int
    precision: Rate
    recall: Rate
    average_precision: float
    mean_average_precision: float
    recall_at_precision: Rate
    recall_interval: tuple[float, float]
    false_per_empty_page: float
    empty_pages: Rate
    elapsed_ms: tuple[float, float]

    @classmethod
    def of(cls, outcomes: Sequence[PageOutcome]) -> Self:
        """Count over a set of pages."""
        total = sum(len(outcome.stamps) for outcome in outcomes)
        levels = [DetectionScores.of(outcomes, total, iou) for iou in IOU_THRESHOLDS]
        scores, correct, ignored = candidates(outcomes, FOUND_IOU)
        pages = [page for page, o in enumerate(outcomes) for _ in o.candidates]
        totals = [len(outcome.stamps) for outcome in outcomes]
        looked_at = [outcome for outcome in outcomes if outcome.result.error is None]
        empty = [len(outcome.false_marks) for outcome in looked_at if not outcome.entry.stamps]
        return cls(
            len(outcomes),
            total,
            levels[0].precision,
            levels[0].recall,
            levels[0].average_precision,
            float(np.mean([level.average_precision for level in levels])),
            metrics.recall_at_precision(scores, correct, total, PRECISION, ignore=ignored),
            metrics.recall_at_precision_interval(
                scores, correct, pages, totals, PRECISION, ignore=ignored
            ),
            *per_image(empty),
            metrics.mean_and_median([outcome.result.elapsed_ms for outcome in looked_at]),
        )

    def to_dict(self) -> dict[str, object]:
        """Return the JSON object."""
        return {
            "pages": self.pages,
            "stamps": self.stamps,
            "precision": self.precision.to_dict(),
            "recall": self.recall.to_dict(),
            "ap50": number(self.average_precision),
            "ap50_95": number(self.mean_average_precision),
            f"recall_at_precision_{PRECISION}": self.recall_at_precision.to_dict()
            | {"interval": [number(end) for end in self.recall_interval]},
            "false_marks_per_empty_page": number(self.false_per_empty_page),
            "empty_pages_with_false_marks": self.empty_pages.to_dict(),
            "elapsed_ms": dict(zip(("mean", "median"), map(number, self.elapsed_ms), strict=True)),
        }


@dataclass(frozen=True)
class StampEvaluation(Evaluation[PageOutcome]):
    """The outcome of every page and crop, and the metrics over any part of them."""

    @cached_property
    def scenes(self) -> list[PageOutcome]:
        """The pages; crops are no test of a detector."""
        return [outcome for outcome in self.outcomes if outcome.entry.kind == "scene"]

    def detection(self) -> dict[str, StampDetectionScores]:
        """Metrics over all pages, and by origin where there are several."""
        return _parts(self.scenes, StampDetectionScores.of)

    def detection_by_group(self) -> dict[str, StampDetectionScores]:
        """Metrics for the pages of each source, by name."""
        groups = grouped(self.scenes, lambda outcome: group(outcome.entry))
        return {name: StampDetectionScores.of(pages) for name, pages in groups.items()}

    def detection_by_outline(self) -> dict[str, StampDetectionScores]:
        """Metrics for stamps that may be text alone, and for the others; see `TEXT_SHAPES`."""
        sorts = {"frameless and rectangular": True, "other outlines": False}
        parts = {
            name: [_restricted(outcome, text) for outcome in self.scenes]
            for name, text in sorts.items()
        }
        return {
            name: StampDetectionScores.of(outcomes)
            for name, outcomes in parts.items()
            if any(outcome.stamps for outcome in outcomes)
        }

    def masks(self) -> dict[str, MaskScores]:
        """Metrics over all stamps whose ink is annotated, and by origin."""
        scores = _parts(self.outcomes, _mask_scores)
        return {name: score for name, score in scores.items() if score.n}

    @cached_property
    def reading(self) -> StampReadings | None:
        """What was read of the stamps in their annotated boxes; None where nothing was read."""
        stamps = [stamp for outcome in self.outcomes for stamp in outcome.stamps]
        if not any(stamp.given and stamp.given.lines for stamp in stamps):
            return None
        return StampReadings.of((stamp.truth, stamp.given) for stamp in stamps)

    @cached_property
    def retrieval(self) -> dict[str, Retrieval]:
        """The imprints of known identity, cropped by ``annotated`` boxes and as ``detected``."""
        known = [
            (imprint, stamp)
            for outcome in self.outcomes
            for stamp in outcome.stamps
            if (imprint := Imprint.of(outcome.path, outcome.entry, stamp.truth)) is not None
        ]
        imprints = tuple(imprint for imprint, _ in known)
        cuts = {
            "annotated": [stamp.given for _, stamp in known],
            "detected": [stamp.mark for _, stamp in known],
        }
        return {
            name: Retrieval(imprints, cosine_similarity([_vector(mark) for mark in marks]))
            for name, marks in cuts.items()
        }

    def to_dict(self) -> dict[str, object]:
        """Return all metrics as one JSON object."""
        mean, with_any = false_marks(self.negatives)
        kinds = grouped(self.outcomes, lambda outcome: outcome.entry.kind)
        return {
            "split": self.split,
            "images": {kind: len(outcomes) for kind, outcomes in kinds.items()},
            "detection": _dicts(self.detection()),
            "outlines": _dicts(self.detection_by_outline()),
            "groups": _dicts(self.detection_by_group()),
            "masks": _dicts(self.masks()),
            "retrieval": {
                cut: retrieval.to_dict()
                for cut, retrieval in self.retrieval.items()
                if retrieval.origins()
            },
            "reading": None if self.reading is None else self.reading.to_dict(),
            "reliability": {"detection": reliability(*self.detection_reliability())},
            "negatives": {
                "pages": with_any.n,
                "false_marks_per_page": number(mean),
                "pages_with_false_marks": with_any.to_dict(),
            },
            "errors": [result.to_dict() for result in self.errors],
        }


def evaluate_stamps(
    manifest: Manifest,
    pipeline: Pipeline[StampMark],
    *,
    negatives: Sequence[Path] = (),
    progress: Progress | None = None,
) -> StampEvaluation:
    """Run a pipeline on annotated pages and crops and judge every answer.

    Args:
        manifest: The annotated images, already cut down to the split to measure.
        pipeline: The pipeline as users run it, with its own thresholds.
        negatives: Pages that show no stamp.
        progress: Called with (images done, images in all).

    Returns:
        The outcome of every image. Images that fail are part of it; no error is raised for them.
    """
    entries = [entry for entry in manifest if entry.kind != "isolated"]
    return StampEvaluation(
        *judge_all(
            entries, lambda entry: _judge(manifest, entry, pipeline), negatives, pipeline, progress
        )
    )


@dataclass(frozen=True, eq=False)
class _Given:
    """What is made of an annotated box, and the annotated ink (H, W) of the page, if any."""

    mark: StampMark
    ink: BoolMask | None


def _judge(manifest: Manifest, entry: ManifestEntry, pipeline: Pipeline[StampMark]) -> PageOutcome:
    path = manifest.path(entry)

    def describe(image: Image) -> list[_Given]:
        marks = pipeline.describe(image, [_detection(stamp) for stamp in entry.stamps])
        inks = [annotated_ink(manifest, entry, stamp) for stamp in entry.stamps]
        return [_Given(*pair) for pair in zip(marks, inks, strict=True)]

    result, found, given = examine(path, entry, pipeline, describe, len(entry.stamps))
    truth: list[Box] = [stamp.box for stamp in entry.stamps]
    matches, _ = match(result.marks, truth, IOU_THRESHOLDS, entry.ignore)
    candidate_matches, _ = match(found, truth, IOU_THRESHOLDS, entry.ignore)
    taken = matches[FOUND_IOU].tolist()
    stamps = tuple(
        _stamp_outcome(stamp, _stamp(result.marks[taken.index(i)]) if i in taken else None, own)
        for i, (stamp, own) in enumerate(zip(entry.stamps, given, strict=True))
    )
    scores = np.array([detection.score for detection in found], dtype=np.float64)
    return PageOutcome(path, entry, result, matches, scores, candidate_matches, stamps)


def _restricted(outcome: PageOutcome, text: bool) -> PageOutcome:
    """The outcome with the stamps of one sort alone; marks of the others are to be ignored."""
    kept = [
        index
        for index, stamp in enumerate(outcome.stamps)
        if (stamp.truth.shape in TEXT_SHAPES) == text
    ]
    places = np.full(len(outcome.stamps), metrics.IGNORED, dtype=np.int64)
    places[kept] = np.arange(len(kept))

    def moved(matches: Matches) -> Matches:
        return {
            iou: np.array([places[t] if t >= 0 else t for t in taken], dtype=np.int64)
            for iou, taken in matches.items()
        }

    return replace(
        outcome,
        matches=moved(outcome.matches),
        candidate_matches=moved(outcome.candidate_matches),
        stamps=tuple(outcome.stamps[index] for index in kept),
    )


def _detection(stamp: StampAnnotation) -> Detection:
    return Detection("stamp", 1.0, stamp.box, as_quad(stamp.corners))


def _stamp(mark: Mark) -> StampMark:
    if not isinstance(mark, StampMark):
        raise TypeError(f"a pipeline for stamps finds stamps, not a {mark.kind}")
    return mark


def _stamp_outcome(
    truth: StampAnnotation, mark: StampMark | None, given: _Given | None
) -> StampOutcome:
    if given is None:  # the image failed
        return StampOutcome(truth, mark, None, None if truth.mask is None else 0.0, None)
    if given.ink is None:
        return StampOutcome(truth, mark, given.mark, None, None)
    found, own = (
        0.0 if m is None else metrics.mask_iou(m.mask.to_array(), given.ink)
        for m in (mark, given.mark)
    )
    return StampOutcome(truth, mark, given.mark, found, own)


def _vector(mark: StampMark | None) -> NDArray[np.float32] | None:
    return None if mark is None or mark.embedding is None else mark.embedding.vector


def _mask_scores(outcomes: Iterable[PageOutcome]) -> MaskScores:
    return MaskScores.of(
        (str(outcome.path), stamp.given_mask_iou or 0.0, stamp.mask_iou)
        for outcome in outcomes
        for stamp in outcome.stamps
        if stamp.mask_iou is not None
    )


def _parts(
    outcomes: Sequence[PageOutcome], score: Callable[[Sequence[PageOutcome]], T]
) -> dict[str, T]:
    """Metrics over all outcomes, and over those of each origin where there are several."""
    origins = grouped(outcomes, lambda outcome: outcome.origin)
    parts = {ALL: outcomes} | (origins if len(origins) > 1 else {})
    return {name: score(part) for name, part in parts.items()}


class _Scores(Protocol):
    def to_dict(self) -> dict[str, object]: ...


def _dicts(scores: Mapping[str, _Scores]) -> dict[str, object]:
    return {name: score.to_dict() for name, score in scores.items()}
