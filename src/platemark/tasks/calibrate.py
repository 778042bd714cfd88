"""Raw scores become probabilities that hold, with the numbers of the model's card."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from platemark.models.card import Calibration


def calibrate(scores: ArrayLike, calibration: Calibration) -> NDArray[np.float64]:
    """Apply logistic calibration, ``sigmoid(scale * logit(score) + bias)``; keeps the order."""
    return sigmoid(calibration.scale * logit(scores) + calibration.bias)


def logit(scores: ArrayLike) -> NDArray[np.float64]:
    """Log-odds of probabilities; those nearer to 0 or 1 than 1e-9 are taken for it."""
    inside = np.clip(np.asarray(scores, dtype=np.float64), 1e-9, 1.0 - 1e-9)
    return np.asarray(np.log(inside / (1.0 - inside)), dtype=np.float64)


def sigmoid(odds: ArrayLike) -> NDArray[np.float64]:
    """Probabilities of log-odds."""
    return np.asarray(1.0 / (1.0 + np.exp(-np.asarray(odds, dtype=np.float64))), dtype=np.float64)


def checked_score(score: float) -> float:
    """A least score as it is.

    Raises:
        ValueError: It is no probability.
    """
    if not 0.0 <= score <= 1.0:
        raise ValueError(f"min_score is a probability in 0..1, got {score!r}")
    return score
