"""Reads upright strips of a stamp's text."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from platemark.errors import ModelMismatch
from platemark.imaging.image import Pixels
from platemark.models.card import ReaderDecode, StripPreprocess
from platemark.models.onnx import OnnxModel
from platemark.models.preprocess import strip_input
from platemark.tasks import ctc
from platemark.tasks.calibrate import calibrate
from platemark.tasks.stage import Stage


@dataclass(frozen=True, slots=True)
class StripCharacter:
    """One character of a strip.

    Attributes:
        char: The character; of letters that look alike in several scripts the Latin one.
        score: Probability that it is this one.
        middle: Column of its middle, in pixels of the strip.
    """

    char: str
    score: float
    middle: float


class StampReader(Stage[StripPreprocess]):
    """Reads the text of upright strips; may be shared by threads.

    Args:
        model: A network with the input ``strips`` (N, H, W) uint8 grey of any width and the output
            ``log_probs`` (N, T, C), class 0 the blank.

    Raises:
        ModelMismatch: The model's card is not that of a reader of strips.
    """

    TASK, KIND = "reader", "stamp"
    PREPROCESS = StripPreprocess

    def __init__(self, model: OnnxModel) -> None:
        super().__init__(model)
        decode = model.card.decode
        if not isinstance(decode, ReaderDecode):
            raise ModelMismatch(f"model {model.card.name} is no reader")
        self._decode = decode

    @property
    def strip(self) -> StripPreprocess:
        """How strips are cut for it."""
        return self._spec

    @property
    def legible_score(self) -> float:
        """Lines with a lower score are not taken for read."""
        return self._model.card.thresholds.get("legible_score", 0.5)

    def __call__(self, strips: Sequence[Pixels]) -> list[list[StripCharacter]]:
        """Read strips, the characters of each from left to right, in the same order.

        Args:
            strips: (H, W) uint8 grey each, upright, cut as `strip` says; of any width.

        Raises:
            InferenceFailed: The network did not run.
            ValueError: A strip is of another shape or type.
        """
        return [self._characters(strip, self.log_probs(strip)) for strip in strips]

    def text_score(self, scores: Sequence[float]) -> float:
        """Probability that a text whose characters have these scores is right, calibrated."""
        return float(calibrate(np.prod(scores), self._model.card.calibration)) if scores else 0.0

    def log_probs(self, strip: Pixels) -> NDArray[np.float32]:
        """Log-probabilities (T, C) of the frames of a strip."""
        if strip.ndim != 2 or 0 in strip.shape or strip.dtype != np.uint8:
            raise ValueError(f"a strip is (H, W) uint8 grey, got {strip.shape} of {strip.dtype}")
        found = self._model.run(strips=strip_input(strip, self._spec)[None])["log_probs"][0]
        return np.asarray(found, np.float32)

    @property
    def alphabet(self) -> str:
        """Character of each class; class 0 is the blank, class 1 the first character."""
        return self._decode.alphabet

    def _characters(self, strip: Pixels, log_probs: NDArray[np.float32]) -> list[StripCharacter]:
        probabilities = ctc.soften(log_probs, self._model.card.calibration.temperature)
        path = probabilities.argmax(axis=1)
        starts = np.flatnonzero(np.diff(path, prepend=ctc.BLANK) != 0)
        ends = np.append(starts[1:], len(path))[: len(starts)]
        column = strip.shape[1] * self._spec.height / strip.shape[0]
        frames = (-(-round(column) // self._spec.multiple) * self._spec.multiple) / len(path)
        scale = frames * strip.shape[0] / self._spec.height
        return [
            StripCharacter(
                self._decode.alphabet[int(path[start]) - 1],
                float(probabilities[start:end, path[start]].max()),
                scale * (start + end) / 2,
            )
            for start, end in zip(starts, ends, strict=True)
            if path[start] != ctc.BLANK
        ]
