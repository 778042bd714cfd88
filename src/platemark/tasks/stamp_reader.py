"""Reads upright strips of a stamp's text."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from platemark.errors import ModelMismatch
from platemark.imaging.image import Pixels
from platemark.models.card import ReaderDecode, StripPreprocess
from platemark.models.onnx import OnnxModel
from platemark.models.preprocess import strip_input
from platemark.tasks import ctc
from platemark.tasks.calibrate import calibrate
from platemark.tasks.scripts import possible_scripts
from platemark.tasks.stage import Stage
from platemark.types import SCRIPTS, StripCharacter

# Log-probability that a line may lose to be of one script.
_SCRIPT_COST = 6.0
# Digits among this many times as many letters, or the reverse, are misread if nearly as probable.
_MAJORITY, _NEARLY = 3, 0.15


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
        classes = ("", *decode.alphabet)
        self._letters = np.array([char.isalpha() for char in classes])
        self._digits = np.array([char.isdigit() for char in classes])
        self._space = classes.index(" ") if " " in classes else -1
        self._scripts = tuple(
            np.array([not (known := possible_scripts(char)) or script in known for char in classes])
            for script in SCRIPTS
        )

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
        return [self._characters(strip) for strip in strips]

    def text_score(self, scores: Sequence[float]) -> float:
        """Probability that a text whose characters have these scores is right, calibrated."""
        return float(calibrate(np.prod(scores), self._model.card.calibration)) if scores else 0.0

    def log_probs(self, strip: Pixels) -> NDArray[np.float32]:
        """Log-probabilities (T, C) of the frames of a strip."""
        return self._run(strip)[1]

    def _run(self, strip: Pixels) -> tuple[int, NDArray[np.float32]]:
        """Columns of the network's input, and the log-probabilities of its frames."""
        if strip.ndim != 2 or 0 in strip.shape or strip.dtype != np.uint8:
            raise ValueError(f"a strip is (H, W) uint8 grey, got {strip.shape} of {strip.dtype}")
        given = strip_input(strip, self._spec)
        log_probs = self._model.run(strips=given[None])["log_probs"][0]
        return given.shape[1], np.asarray(log_probs, np.float32)

    @property
    def alphabet(self) -> str:
        """Character of each class; class 0 is the blank, class 1 the first character."""
        return self._decode.alphabet

    def _characters(self, strip: Pixels) -> list[StripCharacter]:
        columns, log_probs = self._run(strip)
        probabilities = ctc.soften(log_probs, self._model.card.calibration.temperature)
        probabilities = self._of_one_script(probabilities)
        path = self._of_one_sort(probabilities)
        starts, ends = _runs(path)
        scale = columns / len(path) * strip.shape[0] / self._spec.height
        return [
            StripCharacter(
                self._decode.alphabet[int(path[start]) - 1],
                float(probabilities[start:end, path[start]].max()),
                scale * (start + end) / 2,
            )
            for start, end in zip(starts, ends, strict=True)
            if path[start] != ctc.BLANK
        ]

    def _of_one_script(self, probabilities: ctc.Probabilities) -> ctc.Probabilities:
        """Without the letters of other scripts, where the frames can do without them.

        A line has one script, seldom two: letters of another one are misread, unless they are too
        certain for that.
        """
        free = np.log(probabilities.max(axis=1)).sum()
        masked = [probabilities * allowed for allowed in self._scripts]
        costs = [free - np.log(np.maximum(one.max(axis=1), 1e-12)).sum() for one in masked]
        best = int(np.argmin(costs))
        return masked[best] if costs[best] < _SCRIPT_COST else probabilities

    def _of_one_sort(self, probabilities: ctc.Probabilities) -> NDArray[np.intp]:
        """The best class of each frame; a digit among letters, or a letter among digits, becomes
        the other where that is nearly as probable."""
        path = np.asarray(probabilities.argmax(axis=1), np.intp)
        starts, ends = _runs(path)
        inked = [run for run in zip(starts, ends, strict=True) if path[run[0]] != ctc.BLANK]
        for word in _words(inked, path, self._space):
            digits = sum(bool(self._digits[path[start]]) for start, _ in word)
            letters = sum(bool(self._letters[path[start]]) for start, _ in word)
            if not min(digits, letters) or max(digits, letters) < _MAJORITY * min(digits, letters):
                continue
            stray, wanted = (
                (self._digits, self._letters) if letters > digits else (self._letters, self._digits)
            )
            for start, end in word:
                if stray[path[start]]:
                    likely = (probabilities[start:end] * wanted).max(axis=0)
                    other = int(likely.argmax())
                    if likely[other] > _NEARLY * probabilities[start:end, path[start]].max():
                        path[start:end] = other
        return path


def _runs(path: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Starts and ends of the runs of one class; a blank run at the beginning is left out."""
    starts = np.flatnonzero(np.diff(path, prepend=ctc.BLANK) != 0)
    return starts, np.append(starts[1:], len(path))[: len(starts)]


def _words(
    runs: list[tuple[np.intp, np.intp]], path: NDArray[np.intp], space: int
) -> list[list[tuple[np.intp, np.intp]]]:
    words: list[list[tuple[np.intp, np.intp]]] = [[]]
    for run in runs:
        if path[run[0]] == space:
            words.append([])
        else:
            words[-1].append(run)
    return words
