import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from platemark.stamps.similarity import cosine_similarity, heat_map, similarity_rows


def unit(count: int, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, 8)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@given(st.integers(0, 1200), st.integers(0, 100))
def test_rows_in_parts_are_the_whole_matrix(count: int, seed: int) -> None:
    vectors = unit(count, seed)
    parts = list(similarity_rows(vectors))
    assert sum(len(part) for part in parts) == count
    if count:
        assert np.allclose(np.concatenate(parts), vectors @ vectors.T, atol=1e-6)


def test_similarity_is_within_its_bounds() -> None:
    vectors = unit(50)
    matrix = cosine_similarity(vectors, -vectors)
    assert matrix.min() >= -1.0
    assert matrix.max() <= 1.0
    assert np.allclose(np.diag(matrix), -1.0)


@pytest.mark.parametrize("count", [0, 1, 3, 40, 90, 2500])
def test_the_picture_has_a_size_that_can_be_looked_at(count: int) -> None:
    labels = [f"in/contract.pdf#{number}/0" for number in range(count)]
    picture = heat_map(unit(count), labels)
    assert picture.mode == "RGB"
    assert 80 < picture.width < 2400
    assert 120 < picture.height < 2400


def test_pairs_that_are_alike_are_bright() -> None:
    vectors = np.repeat(np.eye(3, 8, dtype=np.float32), 20, axis=0)
    pixels = np.asarray(heat_map(vectors, [])).astype(int).sum(axis=2)
    cells = pixels[12 : 12 + 60 * 26, 12 : 12 + 60 * 26]
    bright = cells[13::26, 13::26] > 400
    assert np.array_equal(bright, (vectors @ vectors.T) > 0.5)
