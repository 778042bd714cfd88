"""Makes scores mean what they say: a logistic curve fitted on held-out marks, kept in the card.

The scores come from the packaged model through the same stage that users run, so that whatever
decoding does to them is part of what is fitted (Platt 1999).
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from platemark.geometry import iou_matrix
from platemark.imaging.image import Pixels
from platemark.models.card import CARD_NAME, Calibration, ModelCard
from platemark.tasks.detector import Detector
from platemark.tasks.plate_reader import PlateReader

_LEAST_SCORE = 0.02
_RIGHT_IOU = 0.5
_SAME_PLACE = 0.3
_PRIOR = 1e-2
_LIMITS = (0.2, 5.0)


def platt(scores: ArrayLike, right: ArrayLike, rounds: int = 50) -> Calibration:
    """Fit ``sigmoid(scale * logit(score) + bias)`` to outcomes by Newton's method.

    The fit is held weakly to the identity, so that few outcomes change little.

    Args:
        scores: (N,) raw scores in 0..1.
        right: (N,) whether each was right.
        rounds: Newton steps at most.
    """
    raw = np.clip(np.asarray(scores, np.float64), 1e-6, 1 - 1e-6)
    logits, truth = np.log(raw / (1 - raw)), np.asarray(right, np.float64)
    inputs = np.stack([logits, np.ones_like(logits)])
    identity, weights = np.array([1.0, 0.0]), np.array([1.0, 0.0])
    for _ in range(rounds):
        guess = 1 / (1 + np.exp(-weights @ inputs))
        gradient = inputs @ (guess - truth) + _PRIOR * (weights - identity)
        curvature = (inputs * (guess * (1 - guess))) @ inputs.T + _PRIOR * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        weights = weights - np.clip(step, -1, 1)
        if np.abs(step).max() < 1e-6:
            break
    return Calibration(scale=float(np.clip(weights[0], *_LIMITS)), bias=float(weights[1]))


def calibrate_reader(folder: Path, crops: Sequence[Pixels], texts: Sequence[str]) -> ModelCard:
    """Fit the text scores of the reader in ``folder`` on rectified RGB crops of known text."""
    _write(folder, Calibration())
    readings = PlateReader.from_pretrained(folder)(crops)
    scores = [reading.score for reading in readings]
    right = [reading.text == text for reading, text in zip(readings, texts, strict=True)]
    return _write(folder, platt(scores, right))


def calibrate_detector(
    folder: Path,
    photos: Sequence[Pixels],
    boxes: Sequence[NDArray[np.float32]],
    ignored: Sequence[NDArray[np.float32]],
) -> ModelCard:
    """Fit the scores of the detector in ``folder`` on RGB photos.

    Args:
        folder: that of the model.
        photos: (H, W, 3) uint8 RGB each.
        boxes: (M, 4) marks of each.
        ignored: (K, 4) places of each where findings are neither right nor wrong.
    """
    card = _write(folder, Calibration())
    detector = Detector.from_pretrained(folder, kind=card.kind, min_score=_LEAST_SCORE)
    scores: list[float] = []
    right: list[bool] = []
    for photo, truth, neither in zip(photos, boxes, ignored, strict=True):
        for found in detector(photo):
            hit = bool((iou_matrix(found.box, truth) >= _RIGHT_IOU).any())
            if hit or not (iou_matrix(found.box, neither) >= _SAME_PLACE).any():
                scores.append(found.score)
                right.append(hit)
    return _write(folder, platt(scores, right))


def _write(folder: Path, calibration: Calibration) -> ModelCard:
    path = folder / CARD_NAME
    card = ModelCard.read(path).model_copy(update={"calibration": calibration})
    card.write(path)
    return card
