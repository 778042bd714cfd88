"""Whether scores keep what they promise."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from platemark.metrics.arrays import scores_and_flags
from platemark.metrics.rates import Rate, middle


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


def reliability(scores: ArrayLike, correct: ArrayLike, bins: int = 10) -> list[ReliabilityBin]:
    """Compare scores with what came true, in equal-width bins over 0..1.

    Args:
        scores: (N,) probabilities in 0..1.
        correct: (N,) bool.
        bins: Number of bins.

    Raises:
        ValueError: Shapes that differ, a score outside 0..1, or no bins.
    """
    confidence, right = scores_and_flags(scores, correct)
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


def calibration_error_interval(
    scores: ArrayLike, correct: ArrayLike, *, resamples: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """95% interval of `expected_calibration_error` by the bootstrap; NaN twice for no scores.

    Resampling adds scatter of its own to the gaps: the interval lies high for few scores.
    """
    confidence, right = scores_and_flags(scores, correct)
    generator = np.random.default_rng(seed)
    picked = (generator.integers(len(right), size=len(right)) for _ in range(resamples))
    if not len(right):
        return float("nan"), float("nan")
    errors = [expected_calibration_error(confidence[index], right[index]) for index in picked]
    return middle(errors)


@dataclass(frozen=True)
class Coverage:
    """How much is accepted at the threshold that leaves a wanted share of it right.

    Attributes:
        threshold: The least score that is accepted; 1 where nothing can be.
        accepted: The share of all that is accepted.
    """

    threshold: float
    accepted: Rate

    def to_dict(self) -> dict[str, object]:
        """Return the JSON object."""
        return {"threshold": self.threshold, **self.accepted.to_dict()}


def coverage_at_precision(scores: ArrayLike, correct: ArrayLike, precision: float) -> Coverage:
    """Accept as much as can be so that at least ``precision`` of it is right.

    The point of the risk-coverage curve (El-Yaniv and Wiener 2010) at that risk.

    Args:
        scores: (N,) higher for what is more probably right.
        correct: (N,) bool.
        precision: Share of the accepted that is to be right.
    """
    confidence, right = scores_and_flags(scores, correct)
    order = np.argsort(-confidence, kind="stable")
    ranked, hits = confidence[order], np.cumsum(right[order])
    # What has the same score is accepted together.
    last = np.append(ranked[1:] != ranked[:-1], True)[: len(ranked)]
    enough = last & (hits >= precision * np.arange(1, len(ranked) + 1))
    if not enough.any():
        return Coverage(1.0, Rate(0, len(ranked)))
    accepted = int(np.flatnonzero(enough)[-1]) + 1
    return Coverage(float(ranked[accepted - 1]), Rate(accepted, len(ranked)))
