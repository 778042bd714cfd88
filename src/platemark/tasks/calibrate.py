"""Raw scores become probabilities that hold, with the numbers of the model's card."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from platemark.models.card import Calibration


def calibrate(scores: ArrayLike, calibration: Calibration) -> NDArray[np.float64]:
    """Apply logistic calibration, ``sigmoid(scale * logit(score) + bias)``; keeps the order."""
    raw = np.clip(np.asarray(scores, dtype=np.float64), 1e-9, 1.0 - 1e-9)
    logit = calibration.scale * np.log(raw / (1.0 - raw)) + calibration.bias
    calibrated: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-logit))
    return calibrated
