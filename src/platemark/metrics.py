"""Figures that say how good detections, readings and scores are. Pure numpy.

Nothing here knows images or models: functions take overlaps, scores, flags and strings.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

FALSE = -1
"""In the answer of `match_detections`: it overlaps no free truth."""
IGNORED = -2
"""In the answer of `match_detections`: it overlaps only truth that is not to be scored."""

_LOOK_ALIKES = str.maketrans("OI", "01")


@dataclass(frozen=True)
class Rate:
    """A share with its Wilson 95% interval.

    Attributes:
        hits: How many were right.
        n: Out of how many.
    """

    hits: int
    n: int

    @property
    def value(self) -> float:
        """``hits / n``; NaN where nothing was counted."""
        return self.hits / self.n if self.n else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson 95% interval (low, high)."""
        return wilson_interval(self.hits, self.n)

    def to_dict(self) -> dict[str, object]:
        """Return value, interval and counts; the value is None where nothing was counted."""
        return {
            "value": self.value if self.n else None,
            "interval": list(self.interval),
            "hits": self.hits,
            "n": self.n,
        }


@dataclass(frozen=True)
class ReliabilityBin:
    """Scores in ``[low, high)`` (the last bin includes 1): what they promised and what came true.

    Attributes:
        low: Lower edge of the bin.
        high: Upper edge of the bin.
        n: Number of scores in the bin.
        score: Mean score in the bin, NaN for an empty bin.
        accuracy: Share of the bin that was right, NaN for an empty bin.
    """

    low: float
    high: float
    n: int
    score: float
    accuracy: float

    def to_dict(self) -> dict[str, object]:
        """Return the fields; mean score and accuracy of an empty bin are None."""
        return {
            "low": self.low,
            "high": self.high,
            "n": self.n,
            "score": self.score if self.n else None,
            "accuracy": self.accuracy if self.n else None,
        }


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
    confidence, right = _scores_and_flags(scores, correct)
    if ignore is not None:
        keep = ~np.asarray(ignore, dtype=bool)
        confidence, right = confidence[keep], right[keep]
    if right.sum() > total:
        raise ValueError(f"{right.sum()} detections are right but there were {total} to find")
    if total == 0:
        return float("nan")
    if not len(confidence):
        return 0.0
    order = np.argsort(-confidence, kind="stable")
    confidence, right = confidence[order], right[order]
    ends = np.append(np.flatnonzero(np.diff(confidence)), len(confidence) - 1)
    hits = np.cumsum(right)[ends]
    precision = hits / (ends + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(hits, prepend=0) / total * envelope))


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


def normalize_text(text: str | None, *, fold: bool = False) -> str:
    """Reduce a plate text to what is compared: upper case, letters and digits only.

    Args:
        text: Any text; None gives the empty string.
        fold: Also write O as 0 and I as 1, as some published figures do.
    """
    kept = "".join(char for char in (text or "").upper() if char.isalnum())
    return kept.translate(_LOOK_ALIKES) if fold else kept


def exact_match(text: str | None, truth: str, *, fold: bool = False) -> bool:
    """Whether a reading equals the truth after `normalize_text` of both."""
    return normalize_text(text, fold=fold) == normalize_text(truth, fold=fold)


def edit_distance(a: str, b: str) -> int:
    """Levenshtein distance: least number of inserted, deleted and replaced characters."""
    previous = list(range(len(b) + 1))
    for row, char in enumerate(a, start=1):
        current = [row]
        for column, other in enumerate(b, start=1):
            replaced = previous[column - 1] + (char != other)
            current.append(min(replaced, previous[column] + 1, current[column - 1] + 1))
        previous = current
    return previous[-1]


def character_error_rate(pairs: Iterable[tuple[str | None, str]]) -> float:
    """Edits needed over all texts, divided by the characters of all truths.

    Args:
        pairs: (reading, truth); both are reduced with `normalize_text`, no reading is empty text.

    Returns:
        0 for perfect, may pass 1; NaN where the truths hold no character.
    """
    edits = characters = 0
    for reading, truth in pairs:
        wanted = normalize_text(truth)
        edits += edit_distance(normalize_text(reading), wanted)
        characters += len(wanted)
    return edits / characters if characters else float("nan")


def reliability(scores: ArrayLike, correct: ArrayLike, bins: int = 10) -> list[ReliabilityBin]:
    """Compare scores with what came true, in equal-width bins over 0..1.

    Args:
        scores: (N,) probabilities in 0..1.
        correct: (N,) bool.
        bins: Number of bins.

    Raises:
        ValueError: Shapes that differ, a score outside 0..1, or no bins.
    """
    confidence, right = _scores_and_flags(scores, correct)
    if bins < 1:
        raise ValueError(f"bins is {bins}: need at least 1")
    if not np.all((confidence >= 0) & (confidence <= 1)):
        raise ValueError("scores must be in 0..1")
    edges = np.linspace(0.0, 1.0, bins + 1)
    index = np.clip(np.searchsorted(edges, confidence, side="right") - 1, 0, bins - 1)
    counts = np.bincount(index, minlength=bins)
    with np.errstate(invalid="ignore"):
        means = np.bincount(index, weights=confidence, minlength=bins) / counts
        shares = np.bincount(index, weights=right, minlength=bins) / counts
    rows = zip(edges[:-1], edges[1:], counts, means, shares, strict=True)
    return [
        ReliabilityBin(float(low), float(high), int(n), float(mean), float(share))
        for low, high, n, mean, share in rows
    ]


def expected_calibration_error(scores: ArrayLike, correct: ArrayLike, bins: int = 10) -> float:
    """Mean gap between score and accuracy over the bins of `reliability`, weighted by their size.

    Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017.

    Returns:
        0 for perfectly calibrated; NaN for no scores.
    """
    table = [row for row in reliability(scores, correct, bins) if row.n]
    total = sum(row.n for row in table)
    gaps = sum(row.n * abs(row.score - row.accuracy) for row in table)
    return gaps / total if total else float("nan")


def wilson_interval(hits: int, n: int, z: float = 1.959963984540054) -> tuple[float, float]:
    """Score interval of a share (Wilson 1927); (0, 1) where nothing was counted.

    Args:
        hits: How many were right, 0..n.
        n: Out of how many.
        z: Standard normal quantile; the default gives 95%.

    Raises:
        ValueError: Counts that are no share.
    """
    if not 0 <= hits <= n:
        raise ValueError(f"{hits} of {n} is no share")
    if n == 0:
        return 0.0, 1.0
    share = hits / n
    centre = share + z * z / (2 * n)
    spread = z * float(np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)))
    scale = 1 + z * z / n
    # the ends are exact where rounding would leave the share just outside its own interval
    low = 0.0 if hits == 0 else (centre - spread) / scale
    high = 1.0 if hits == n else (centre + spread) / scale
    return low, high


def mean_and_median(values: Sequence[float]) -> tuple[float, float]:
    """Mean and median; NaN twice for no values."""
    if not values:
        return float("nan"), float("nan")
    return float(np.mean(values)), float(np.median(values))


def _scores_and_flags(
    scores: ArrayLike, correct: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    confidence = np.asarray(scores, dtype=np.float64)
    right = np.asarray(correct, dtype=bool)
    if confidence.ndim != 1 or confidence.shape != right.shape:
        raise ValueError(f"scores {confidence.shape} and correct {right.shape} must be equal (N,)")
    return confidence, right
