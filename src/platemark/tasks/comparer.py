"""Tells of two imprints that are laid on each other whether one stamp made both."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from platemark.models.card import ComparerPreprocess
from platemark.tasks.calibrate import calibrate
from platemark.tasks.stage import Stage


@dataclass(frozen=True, eq=False)
class Judgement:
    """What a comparer says of a pair.

    Attributes:
        score: Probability that one stamp made both.
        differs: (h, w) float32, how probably the designs differ in each place of the canvas; it has
            several pixels of the canvas for each.
    """

    score: float
    differs: NDArray[np.float32]


class Comparer(Stage[ComparerPreprocess]):
    """Judges pairs of imprints; may be shared by threads.

    Args:
        model: A network with the input ``pairs`` (N, H, W, 6) uint8 and the outputs ``same`` (N,)
            and ``differs`` (N, h, w) float32 in 0..1.

    Raises:
        ModelMismatch: The model's card is not that of a comparer.
    """

    TASK, KIND = "comparer", "stamp"
    PREPROCESS = ComparerPreprocess

    @property
    def spec(self) -> ComparerPreprocess:
        """How a canvas is drawn."""
        return self._spec

    def threshold(self, name: str) -> float:
        """A threshold of the card: ``same``, ``different`` or ``marked``."""
        return self._model.card.thresholds[name]

    def __call__(self, canvas: NDArray[np.uint8]) -> Judgement:
        """Judge a pair.

        Args:
            canvas: (H, W, 6) uint8, both sides multiples of the card's: ink, grey and
                colourfulness of one imprint, then of the other as it lies on it.

        Raises:
            InferenceFailed: The network did not run.
        """
        said = self._model.run(pairs=canvas[None])
        score = float(calibrate(said["same"], self._model.card.calibration)[0])
        return Judgement(score, np.asarray(said["differs"][0], dtype=np.float32))
