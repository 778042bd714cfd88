"""What the metrics share: checked arrays."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def scores_and_flags(
    scores: ArrayLike, correct: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    confidence = np.asarray(scores, dtype=np.float64)
    right = np.asarray(correct, dtype=bool)
    if confidence.ndim != 1 or confidence.shape != right.shape:
        raise ValueError(f"scores {confidence.shape} and correct {right.shape} must be equal (N,)")
    return confidence, right


def last_of_equals(ordered: NDArray[np.float64]) -> NDArray[np.int64]:
    """Index of the last of each run of equal values."""
    changes = np.flatnonzero(ordered[1:] != ordered[:-1])
    return np.append(changes, len(ordered) - 1) if len(ordered) else changes
