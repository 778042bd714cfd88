"""Vectors and texts of all samples recomputed, while others go on to use the registry."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from platemark.masks import InkCrop
from platemark.registry import pictures
from platemark.registry.records import Vector, kept_text
from platemark.registry.store import Store
from platemark.types import Embedding

EmbedInk = Callable[[Sequence[NDArray[np.uint8]]], NDArray[np.float32]]
"""Makes vectors (N, D) of unit length of ink (h, w) uint8, 255 where it is surely ink."""
ReadInk = Callable[[InkCrop], str | None]
"""Says what an imprint says, lines separated by ``" / "``; None where it cannot be read."""
Progress = Callable[[int, int], None]
"""Is told how many are done, and of how many."""

_BATCH = 64


def replace_vectors(store: Store, embed: EmbedInk, model: str, progress: Progress) -> int:
    """Recompute the vectors of all samples and then replace them all at once.

    Args:
        store: Of the samples.
        embed: Makes vectors of ink.
        model: Name and version of what does, ``name@version``.
        progress: Is told how far it has come.

    Returns:
        How many there are.

    Raises:
        RegistryError: A picture is corrupt, or the store cannot be written.
    """
    made: dict[str, Vector] = {}

    def make(ids: list[str]) -> None:
        left = [id_ for id_ in ids if id_ not in made]
        for start in range(0, len(left), _BATCH):
            batch = list(store.stored(left[start : start + _BATCH]))
            vectors = embed([pictures.decode_ink(stored) for stored in batch])
            for stored, vector in zip(batch, vectors, strict=True):
                made[stored.sample.id] = Embedding(vector, model).vector
            progress(len(made), len(ids))

    make([sample.id for sample in store.samples()])
    with store.writing():
        # Those that came meanwhile, so that none keeps a vector of the old model.
        ids = [sample.id for sample in store.samples()]
        make(ids)
        vectors = {id_: made[id_] for id_ in ids}
        if vectors:
            dimensions = len(next(iter(vectors.values())))
            store.replace_vectors(model, vectors)
            store.set_dimensions(dimensions)
            store.set_settings({"model": model, "dimensions": str(dimensions)})
    return len(vectors)


def replace_texts(store: Store, read: ReadInk, progress: Progress) -> int:
    """Read all samples again, and keep what each says.

    Args:
        store: Of the samples.
        read: Reads an imprint.
        progress: Is told how far it has come.

    Returns:
        How many could be read.

    Raises:
        RegistryError: A picture is corrupt, or the store cannot be written.
    """
    ids = [sample.id for sample in store.samples()]
    texts: dict[str, str | None] = {}
    for stored in store.stored(ids):
        texts[stored.sample.id] = kept_text(read(pictures.decode(stored)))
        progress(len(texts), len(ids))
    with store.writing():
        store.set_texts(texts)
    return sum(text is not None for text in texts.values())
