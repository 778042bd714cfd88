"""How well things are found: matching, precision, recall, average precision, mask overlap."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from platemark.metrics.arrays import last_of_equals, scores_and_flags
from platemark.metrics.rates import Rate, bootstrap, middle

FALSE = -1
"""In the answer of `match_detections`: it overlaps no free truth."""
IGNORED = -2
"""In the answer of `match_detections`: it overlaps only truth that is not to be scored."""


def match_detections(
    iou: ArrayLike,
    scores: ArrayLike,
    *,
    threshold: float = 0.5,
    ignore: ArrayLike | None = None,
) -> NDArray[np.int64]:
    """Assign the detections of one image to its truth, best score first (PASCAL VOC and COCO rule).

    A detection takes the free truth it overlaps most, if that overlap reaches the threshold. Truth
    marked in ``ignore`` is neither found nor missed: a detection that overlaps nothing else is
    left out of the count.

    Args:
        iou: (P, T) overlap of each detection with each truth, 0..1.
        scores: (P,) scores of the detections.
        threshold: Least overlap that counts.
        ignore: (T,) bool, truth that is not to be scored; None scores all.

    Returns:
        (P,) int64: index of the truth taken, `FALSE` or `IGNORED`, in the order of the input.

    Raises:
        ValueError: Shapes that do not fit together.
    """
    confidence = np.asarray(scores, dtype=np.float64)
    overlap = np.asarray(iou, dtype=np.float64)
    if overlap.ndim != 2 or confidence.shape != overlap.shape[:1]:
        raise ValueError(f"iou is {overlap.shape} and scores {confidence.shape}: need (P, T), (P,)")
    truths = overlap.shape[1]
    skip = np.zeros(truths, dtype=bool) if ignore is None else np.asarray(ignore, dtype=bool)
    if skip.shape != (truths,):
        raise ValueError(f"ignore is {skip.shape}: need ({truths},)")
    free = ~skip
    matches = np.full(len(confidence), FALSE, dtype=np.int64)
    for index in np.argsort(-confidence, kind="stable"):
        candidates = np.where(free, overlap[index], -1.0)
        best = int(np.argmax(candidates)) if truths else 0
        if truths and candidates[best] >= threshold:
            matches[index] = best
            free[best] = False
        elif np.any(overlap[index][skip] >= threshold):
            matches[index] = IGNORED
    return matches


def average_precision(
    scores: ArrayLike, correct: ArrayLike, total: int, *, ignore: ArrayLike | None = None
) -> float:
    """Area under the precision-recall curve, all-point interpolation (PASCAL VOC since 2010).

    Detections with equal scores enter the curve together, so their order does not matter.

    Args:
        scores: (P,) scores of the detections of all images.
        correct: (P,) bool, whether each was right.
        total: Number of truths there were to find.
        ignore: (P,) bool, detections to leave out of the count; None leaves out none.

    Returns:
        0..1, or NaN where there was nothing to find.

    Raises:
        ValueError: Shapes that differ, or more right detections than truths.
    """
    found, hits = _curve(scores, correct, total, ignore)
    if total == 0:
        return float("nan")
    envelope = np.maximum.accumulate((hits / found)[::-1])[::-1]
    return float(np.sum(np.diff(hits, prepend=0) / total * envelope))


def recall_at_precision(
    scores: ArrayLike,
    correct: ArrayLike,
    total: int,
    precision: float,
    *,
    ignore: ArrayLike | None = None,
) -> Rate:
    """Most that is found by any threshold whose precision is at least the one asked for.

    Args:
        scores: (P,) scores of the detections of all images.
        correct: (P,) bool, whether each was right.
        total: Number of truths there were to find.
        precision: Least share of right detections, 0..1.
        ignore: (P,) bool, detections to leave out of the count; None leaves out none.

    Returns:
        Recall at that threshold; none found where no threshold is precise enough.

    Raises:
        ValueError: Shapes that differ, or more right detections than truths.
    """
    found, hits = _curve(scores, correct, total, ignore)
    return Rate(int(np.max(hits[hits >= precision * found], initial=0)), total)


def recall_at_precision_interval(
    scores: ArrayLike,
    correct: ArrayLike,
    images: ArrayLike,
    totals: ArrayLike,
    precision: float,
    *,
    ignore: ArrayLike | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """95% interval of `recall_at_precision`: the bootstrap over images.

    What is found in one image is not independent, and the threshold is chosen again each time, so
    that an interval of a share would be too narrow.

    Args:
        scores: (P,) scores of the detections of all images.
        correct: (P,) bool, whether each was right.
        images: (P,) int, the number of the image of each, 0..I-1.
        totals: (I,) number of truths in each image.
        precision: Least share of right detections, 0..1.
        ignore: (P,) bool, detections to leave out of the count; None leaves out none.
        resamples: How often images are resampled.
        seed: Fixes the bootstrap.

    Returns:
        (low, high): the 2.5% and 97.5% quantiles; NaN twice where there was nothing to find.
    """
    confidence, right = scores_and_flags(scores, correct)
    place, truths = np.asarray(images, dtype=np.int64), np.asarray(totals, dtype=np.float64)
    if ignore is not None:
        keep = ~np.asarray(ignore, dtype=bool)
        confidence, right, place = confidence[keep], right[keep], place[keep]
    order = np.argsort(-confidence, kind="stable")
    ends = last_of_equals(confidence[order])
    right, place = right[order], place[order]
    values: list[float] = []
    for picked in bootstrap(len(truths), resamples, seed):
        found, hits = np.cumsum(picked[place])[ends], np.cumsum(picked[place] * right)[ends]
        total = float(picked @ truths)
        most = float(np.max(hits[hits >= precision * found], initial=0.0))
        values.append(most / total if total else float("nan"))
    return middle(values)


def precision_recall(
    correct: ArrayLike, total: int, *, ignore: ArrayLike | None = None
) -> tuple[Rate, Rate]:
    """Precision and recall of a set of detections.

    Args:
        correct: (P,) bool, whether each detection was right.
        total: Number of truths there were to find.
        ignore: (P,) bool, detections to leave out of the count; None leaves out none.
    """
    right = np.asarray(correct, dtype=bool)
    if ignore is not None:
        right = right[~np.asarray(ignore, dtype=bool)]
    hits = int(right.sum())
    return Rate(hits, len(right)), Rate(hits, total)


def mask_iou(a: ArrayLike, b: ArrayLike) -> float:
    """Intersection over union of two masks.

    Args:
        a: (H, W) bool or 0 for outside.
        b: (H, W), the same.

    Returns:
        0..1, or NaN where both are empty.

    Raises:
        ValueError: Shapes that differ.
    """
    first, second = np.asarray(a, dtype=bool), np.asarray(b, dtype=bool)
    if first.shape != second.shape:
        raise ValueError(f"masks of equal shape are compared, got {first.shape} and {second.shape}")
    union = int(np.count_nonzero(first | second))
    return int(np.count_nonzero(first & second)) / union if union else float("nan")


def _curve(
    scores: ArrayLike, correct: ArrayLike, total: int, ignore: ArrayLike | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many were found, and how many of them rightly, from the strictest threshold on."""
    confidence, right = scores_and_flags(scores, correct)
    if ignore is not None:
        keep = ~np.asarray(ignore, dtype=bool)
        confidence, right = confidence[keep], right[keep]
    if right.sum() > total:
        raise ValueError(f"{right.sum()} detections are right but there were {total} to find")
    order = np.argsort(-confidence, kind="stable")
    ends = last_of_equals(confidence[order])
    return ends + 1, np.cumsum(right[order], dtype=np.int64)[ends]
