from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from platemark.errors import ModelMismatch
from platemark.masks import SoftMask
from platemark.models.onnx import OnnxModel
from platemark.models.store import locate_model
from platemark.tasks.embedder import Embedder


@pytest.fixture
def embedder(stamp_models: Path) -> Embedder:
    return Embedder.from_pretrained(stamp_models / "stamp-embedder", threads=1)


def random_masks(count: int, seed: int = 0) -> list[NDArray[np.float32]]:
    rng = np.random.default_rng(seed)
    return [
        np.repeat(np.repeat(rng.random((4, 4), dtype=np.float32), 20, axis=0), 20, axis=1)
        for _ in range(count)
    ]


def test_every_mask_has_a_vector_of_unit_length_in_order(embedder: Embedder) -> None:
    masks = random_masks(40)
    vectors = embedder(masks)
    assert vectors.shape == (40, 16)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-6)
    assert np.allclose(vectors[33:35], embedder(masks[33:35]), atol=1e-6)


def test_where_a_mask_lies_and_how_large_it_is_does_not_matter(embedder: Embedder) -> None:
    (mask,) = random_masks(1)
    large = np.repeat(np.repeat(mask, 2, axis=0), 2, axis=1)
    padded = np.pad(mask, ((3, 10), (30, 5)))
    first, *others = embedder([mask, SoftMask(mask, 70, 40), large, padded])
    assert min(float(first @ other) for other in others) > 0.99


def test_yes_or_no_masks_are_taken_too(embedder: Embedder) -> None:
    ink = np.eye(40, dtype=bool)
    assert np.array_equal(embedder([ink]), embedder([ink.astype(np.float32)]))


def test_a_mask_without_ink_has_a_vector_too(embedder: Embedder) -> None:
    vectors = embedder([np.zeros((9, 9), np.float32), *random_masks(1)])
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0)


def test_no_masks_no_vectors(embedder: Embedder) -> None:
    assert embedder([]).shape == (0, 0)


def test_the_name_is_that_of_the_model_and_its_version(embedder: Embedder) -> None:
    assert embedder.name == "stamp-embedder@1"


def test_a_mask_of_another_shape_is_a_mistake(embedder: Embedder) -> None:
    with pytest.raises(ValueError, match="an ink mask is"):
        embedder([np.zeros((4, 4, 3), np.float32)])


def test_another_model_is_refused(stamp_models: Path) -> None:
    with pytest.raises(ModelMismatch, match="is a stamp segmenter"):
        Embedder.from_pretrained(stamp_models / "stamp-segmenter")
    with pytest.raises(ModelMismatch, match="is no embedder"):
        Embedder(OnnxModel(locate_model(stamp_models / "stamp-segmenter")))
