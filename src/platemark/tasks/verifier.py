"""Scores the candidates of a detector again, each seen from near with its surroundings."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Self

import numpy as np

from platemark.errors import ModelMismatch
from platemark.geometry import FloatArray, coverage_matrix
from platemark.imaging.image import Image, ImageInput
from platemark.models.card import VerifierDecode, VerifierPreprocess
from platemark.models.onnx import OnnxModel
from platemark.models.preprocess import verifier_input
from platemark.models.store import ModelName, find_model
from platemark.tasks.calibrate import checked_score, logit, sigmoid
from platemark.tasks.stage import Stage
from platemark.types import Box, Detection

_BATCH = 16
_DEFAULT_MIN_SCORE = 0.5
# Of two candidates of which one covers so much of the other, one is the stamp.
_WITHIN = 0.8


class Verifier(Stage[VerifierPreprocess]):
    """Tells stamps from what a detector takes for them; may be shared by threads.

    A detector proposes at a low score; the verifier judges a crop of each candidate and joins
    both: ``logit(detector) + weight * logit(crop)``, calibrated, is the log-odds of a stamp.

    Args:
        model: A network with the input ``crops`` (N, S, S, 3) uint8 RGB, and the output
            ``log_odds`` (N,) float32.
        min_score: Least score of a detection that counts; by default that of the card.

    Raises:
        ModelMismatch: The model's card is not that of a verifier.
        ValueError: ``min_score`` is no probability.
    """

    TASK, KIND = "verifier", "stamp"
    PREPROCESS = VerifierPreprocess

    def __init__(self, model: OnnxModel, *, min_score: float | None = None) -> None:
        super().__init__(model)
        if not isinstance(model.card.decode, VerifierDecode):
            raise ModelMismatch(f"model {model.card.name} is no verifier")
        self._weight = model.card.decode.weight
        stated = model.card.thresholds.get("min_score", _DEFAULT_MIN_SCORE)
        self._min_score = stated if min_score is None else checked_score(min_score)

    @classmethod
    def from_pretrained(
        cls,
        model: ModelName = None,
        *,
        threads: int | None = None,
        min_score: float | None = None,
    ) -> Self:
        """Load a verifier.

        Args:
            model: None for the bundled one, a bundled name, a model folder, or an ``.onnx`` with
                its card beside it.
            threads: Threads for one run, see `OnnxModel`; by default one.
            min_score: Least score of a detection that counts; by default that of the card.

        Raises:
            ModelNotFound: There is no such model.
            ModelCorrupt: A file differs from the model's card.
            ModelMismatch: The model is of another task, or for other marks.
        """
        found = find_model(model, task=cls.TASK, kind=cls.KIND)
        return cls(OnnxModel(found, threads=threads), min_score=min_score)

    @property
    def candidate_score(self) -> float:
        """Least score of the detector's candidates that are worth a crop."""
        return self._model.card.thresholds.get("candidate_score", 0.0)

    def with_min_score(self, min_score: float) -> Self:
        """Return the same verifier with another least score.

        Raises:
            ValueError: ``min_score`` is no probability.
        """
        return type(self)(self._model, min_score=min_score)

    def __call__(self, image: ImageInput, detections: Sequence[Detection]) -> list[Detection]:
        """Score candidates again and keep those that count; of one within another, the better.

        Args:
            image: A path, bytes, an (H, W, 3) uint8 RGB array, a PIL image or an `Image`.
            detections: What the detector found there from `candidate_score` on.

        Returns:
            Detections with their new scores, highest score first.

        Raises:
            UnreadableImage: The input is no image.
            InferenceFailed: The network did not run.
            ValueError: A box is not within the image.
        """
        odds = self.crop_log_odds(image, [detection.box for detection in detections])
        joined = logit([detection.score for detection in detections]) + self._weight * odds
        calibration = self._model.card.calibration
        scores = sigmoid(calibration.scale * joined + calibration.bias)
        boxes = [detection.box for detection in detections]
        within = coverage_matrix(boxes, boxes) >= _WITHIN
        kept: list[int] = []
        for index in np.argsort(-scores, kind="stable").tolist():
            if scores[index] < self._min_score:
                break
            if not (within[index] | within[:, index])[kept].any():
                kept.append(index)
        return [replace(detections[index], score=float(scores[index])) for index in kept]

    def crop_log_odds(self, image: ImageInput, boxes: Sequence[Box]) -> FloatArray:
        """What the network says of boxes by itself, without the scores of a detector.

        Args:
            image: As for a call.
            boxes: (x0, y0, x1, y1) each, in pixels of the image.

        Returns:
            (N,) log-odds of a stamp, neither weighted nor calibrated.

        Raises:
            InferenceFailed: The network did not run.
            UnreadableImage: The image cannot be read.
        """
        pixels = Image.read(image).pixels
        crops = [verifier_input(pixels, box, self._spec) for box in boxes]
        parts = [
            self._model.run(crops=np.stack(crops[start : start + _BATCH]))["log_odds"]
            for start in range(0, len(crops), _BATCH)
        ]
        return np.concatenate(parts).astype(np.float64) if parts else np.zeros(0)
