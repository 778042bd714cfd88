"""Reads rectified plates."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from platemark.errors import ModelMismatch
from platemark.imaging.image import Pixels
from platemark.models.card import ReaderDecode, ReaderPreprocess
from platemark.models.onnx import OnnxModel
from platemark.models.preprocess import reader_input
from platemark.tasks import ctc
from platemark.tasks.calibrate import calibrate
from platemark.tasks.stage import CropStage, crop_pixels
from platemark.types import Alternative, Character, Crop, Frames, Reading

_BATCH = 32
# A path this probable leaves the alternatives no score that would show.
_CONFIDENT = 0.9999


class PlateReader(CropStage[ReaderPreprocess]):
    """Reads the text of rectified plates; may be shared by threads.

    Args:
        model: A network with the input ``crops`` (N, H, W) uint8 grey and the output ``log_probs``
            (N, T, C), class 0 the blank.

    Raises:
        ModelMismatch: The model's card is not that of a reader.
    """

    TASK, KIND = "reader", "plate"
    PREPROCESS = ReaderPreprocess

    def __init__(self, model: OnnxModel) -> None:
        super().__init__(model)
        decode = model.card.decode
        if not isinstance(decode, ReaderDecode):
            raise ModelMismatch(f"model {model.card.name} is no reader")
        self._decode = decode

    @property
    def sure_score(self) -> float:
        """Readings with this score need no second opinion; 0 where the card states none."""
        return self._model.card.thresholds.get("sure_score", 0.0)

    @property
    def legible_text(self) -> float:
        """Least score of a text that counts as legible; 0 where the card states none."""
        return self._model.card.thresholds.get("legible_text", 0.0)

    def __call__(self, crops: Sequence[Crop | Pixels]) -> list[Reading]:
        """Read crops, one reading for each in the same order.

        Args:
            crops: Rectified plates with the model's margin, as `Crop` or (H, W, 3) uint8 RGB.

        Raises:
            InferenceFailed: The network did not run.
            TypeError: A crop is neither.
            ValueError: Its pixels are of another shape or type.
        """
        inputs = [reader_input(crop_pixels(crop), self._spec) for crop in crops]
        readings: list[Reading] = []
        for start in range(0, len(inputs), _BATCH):
            batch = np.stack(inputs[start : start + _BATCH])
            log_probs = self._model.run(crops=batch)["log_probs"]
            readings.extend(self._reading(frames) for frames in log_probs)
        return readings

    def _reading(self, log_probs: NDArray[np.floating]) -> Reading:
        """Decode frames (T, C)."""
        calibration = self._model.card.calibration
        probabilities = ctc.compact(ctc.soften(log_probs, calibration.temperature))
        best, *others = self._search(probabilities)
        score = float(calibrate(best.probability, calibration))
        # What calibration takes from the best text goes to the others in proportion.
        share = (1.0 - score) / max(1.0 - best.probability, 1e-9)
        alternatives = tuple(
            Alternative(self._text(other.labels), min(1.0, other.probability * share))
            for other in others
            if other.labels
        )[: self._decode.alternatives]
        frames = (Frames(probabilities, self._decode.alphabet),)
        if not best.labels:
            return Reading(None, 0.0, (), alternatives, frames=frames)
        text = self._text(best.labels)
        certainties = ctc.label_scores(probabilities, best.labels)
        characters = tuple(Character(*pair) for pair in zip(text, certainties, strict=True))
        return Reading(text, score, characters, alternatives, frames=frames)

    def _search(self, probabilities: ctc.Probabilities) -> list[ctc.Hypothesis]:
        greedy = ctc.greedy(probabilities)
        if greedy.probability > _CONFIDENT:
            return [greedy]
        return ctc.beam_search(probabilities, self._decode.beam_width)

    def _text(self, labels: Sequence[int]) -> str:
        return "".join(self._decode.alphabet[label - 1] for label in labels)
