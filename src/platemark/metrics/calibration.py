"""Whether scores keep what they promise."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from platemark.metrics.arrays import scores_and_flags


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
