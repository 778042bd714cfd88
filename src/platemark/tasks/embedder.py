"""Makes a vector of each imprint: near for the same stamp, far for another."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from platemark.masks import SoftMask
from platemark.models.card import EmbedderPreprocess
from platemark.models.preprocess import ink_input
from platemark.tasks.stage import Stage

_BATCH = 32


class Embedder(Stage[EmbedderPreprocess]):
    """Embeds the ink of stamps; may be shared by threads.

    Args:
        model: A network with the input ``ink`` (N, S, S) uint8, 255 where it is surely ink, and
            the output ``embedding`` (N, D) float32 of unit length.

    Raises:
        ModelMismatch: The model's card is not that of an embedder.
    """

    TASK, KIND = "embedder", "stamp"
    PREPROCESS = EmbedderPreprocess

    def __call__(
        self, masks: Sequence[SoftMask | NDArray[np.floating] | NDArray[np.bool_]]
    ) -> NDArray[np.float32]:
        """Embed ink masks, one vector for each in the same order.

        Args:
            masks: What the segmenter gives, or (h, w) probabilities of ink in 0..1.

        Returns:
            (N, D) float32 of unit length; (0, 0) for no masks.

        Raises:
            InferenceFailed: The network did not run.
            ValueError: A mask is of another shape.
        """
        side, margin = self._spec.side, self._spec.margin
        inputs = [ink_input(_probability(mask), side, margin) for mask in masks]
        batches = [
            self._model.run(ink=np.stack(inputs[start : start + _BATCH]))["embedding"]
            for start in range(0, len(inputs), _BATCH)
        ]
        if not batches:
            return np.zeros((0, 0), dtype=np.float32)
        return _unit(np.concatenate(batches))


def _probability(mask: SoftMask | NDArray[np.floating] | NDArray[np.bool_]) -> NDArray[np.float32]:
    values = mask.probability if isinstance(mask, SoftMask) else np.asarray(mask)
    if values.ndim != 2 or 0 in values.shape:
        raise ValueError(f"an ink mask is (h, w), got {values.shape}")
    return np.asarray(values, dtype=np.float32)


def _unit(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    """Vectors (N, D) of unit length; one that has no direction gets the first axis."""
    made = np.asarray(vectors, dtype=np.float64)
    lengths = np.linalg.norm(made, axis=1)
    made[~(lengths > 1e-6)] = np.eye(1, made.shape[1])
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    return np.asarray(made, dtype=np.float32)
