"""How well scores rank one sort above another."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np


@dataclass(frozen=True)
class Ranking:
    """Area under the ROC curve: how often a positive scores above a negative, ties half.

    Attributes:
        value: The area; NaN where one sort is missing.
        interval: 95% interval (Hanley and McNeil 1982).
        positives: How many there are.
        negatives: Likewise.
    """

    value: float
    interval: tuple[float, float]
    positives: int
    negatives: int

    @classmethod
    def of(cls, scores: Sequence[float], positive: Sequence[bool]) -> Self:
        """Rank scores.

        Args:
            scores: (N,).
            positive: (N,) whether each is of the sort that should score high.
        """
        values, truth = np.asarray(scores, np.float64), np.asarray(positive, np.bool_)
        high, low = values[truth], values[~truth]
        if not (high.size and low.size):
            return cls(float("nan"), (0.0, 1.0), high.size, low.size)
        above = np.greater.outer(high, low).mean() + np.equal.outer(high, low).mean() / 2
        area = float(above)
        # Variances of the share that one positive, or one negative, wins.
        first, second = area / (2 - area), 2 * area**2 / (1 + area)
        spread = area * (1 - area)
        spread += (high.size - 1) * (first - area**2) + (low.size - 1) * (second - area**2)
        reach = 1.959963984540054 * float(np.sqrt(max(spread, 0.0) / (high.size * low.size)))
        interval = max(0.0, area - reach), min(1.0, area + reach)
        return cls(area, interval, high.size, low.size)

    def to_dict(self) -> dict[str, object]:
        """Return area, interval and counts; the area is None where one sort is missing."""
        return {
            "auroc": None if np.isnan(self.value) else self.value,
            "interval": list(self.interval),
            "positives": self.positives,
            "negatives": self.negatives,
        }
