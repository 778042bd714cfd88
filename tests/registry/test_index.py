"""Nearest vectors in memory and by a graph that is kept in a file."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from platemark.registry import Registry
from platemark.registry.index import Graph, VectorIndex, VectorTable
from platemark.registry.sqlite import SqliteStore
from platemark.types import StampMark

MakeMark = Callable[..., StampMark]
Vectors = NDArray[np.float32]


def clustered(count: int, seed: int = 0, dimensions: int = 16) -> Vectors:
    """Vectors (count, D) in clusters, as those of stamps are."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(count // 10 + 1, dimensions))
    vectors = centres[np.arange(count) % len(centres)] + 0.3 * rng.normal(size=(count, dimensions))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def numbers(count: int) -> NDArray[np.int64]:
    return np.arange(count, dtype=np.int64) * 3 + 5


@given(st.integers(1, 60), st.integers(1, 80), st.integers(0, 5))
def test_the_table_finds_what_sorting_finds(count: int, wanted: int, seed: int) -> None:
    vectors, query = clustered(count, seed), clustered(1, seed + 100)[0]
    table = VectorTable(vectors.shape[1])
    for start in range(0, count, 7):  # grows in steps
        table.append(numbers(count)[start : start + 7], vectors[start : start + 7])
    near = table.search(query, wanted)
    order = np.argsort(-(vectors @ query), kind="stable")[:wanted]
    assert sorted(near.numbers.tolist()) == sorted(numbers(count)[order].tolist())
    assert np.allclose(near.similarities, (vectors @ query)[order], atol=1e-6)


def test_a_snapshot_stays_as_it_is() -> None:
    vectors = clustered(300)
    table = VectorTable(16)
    table.append(numbers(300)[:3], vectors[:3])
    snapshot = table.snapshot()
    table.append(numbers(300)[3:], vectors[3:])
    assert (len(snapshot), len(table)) == (3, 300)
    assert np.array_equal(snapshot.vectors, vectors[:3])
    assert table.after(int(numbers(300)[297])).numbers.tolist() == numbers(300)[298:].tolist()


def filled(count: int, path: Path | None = None, made_of: str = "these") -> VectorIndex:
    index = VectorIndex(16, made_of, path, lambda _: True, graph_from=200)
    missing = numbers(count) > index.last
    index.append(numbers(count)[missing], clustered(count)[missing])
    return index


def recall(index: VectorIndex, count: int) -> float:
    vectors, hits = clustered(count), 0
    for query in clustered(50, seed=9):
        right = numbers(count)[np.argsort(-(vectors @ query))[:10]]
        hits += len(np.intersect1d(index.search(query, 10).numbers, right))
    return hits / 500


def test_the_graph_finds_what_the_table_finds(tmp_path: Path) -> None:
    index = filled(600, tmp_path / "graph")
    assert recall(index, 600) == 1.0
    assert not index.has_graph
    index.build(wait=True)
    assert index.has_graph
    assert (len(index), index.last) == (600, int(numbers(600)[-1]))
    assert recall(index, 600) >= 0.99
    later = clustered(700)[600:]
    index.append(numbers(700)[600:], later)  # is found by the table beside the graph
    assert index.search(later[7], 1).numbers.tolist() == [numbers(700)[607]]


def test_few_vectors_need_no_graph(tmp_path: Path) -> None:
    index = filled(199, tmp_path / "graph")
    index.build(wait=True)
    assert not index.has_graph
    assert list(tmp_path.iterdir()) == []


def test_the_graph_is_kept_and_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "graph"
    filled(300, path).build(wait=True)
    monkeypatch.setattr(Graph, "append", lambda *_: pytest.fail("made again"))
    again = filled(300, path)
    assert again.has_graph
    assert recall(again, 300) >= 0.99


@pytest.mark.parametrize("harm", ["missing", "cut", "other vectors", "nonsense", "empty", "size"])
def test_a_graph_that_is_no_use_is_made_again(tmp_path: Path, harm: str) -> None:
    path = tmp_path / "graph"
    filled(300, path).build(wait=True)
    whole = path.read_bytes()
    made_of = "others" if harm == "other vectors" else "these"
    match harm:
        case "missing":
            path.unlink()
        case "cut":
            path.write_bytes(whole[:-100])
        case "nonsense":
            path.write_bytes(b"{}\n" + bytes(100))
        case "empty":
            path.write_bytes(b"")
        case "size":
            assert VectorIndex(8, "these", path, lambda _: True).has_graph is False
    index = filled(300, path, made_of)
    assert index.has_graph is (harm == "size")
    index.build(wait=True)
    assert recall(index, 300) >= 0.99
    assert filled(300, path, made_of).has_graph


def test_a_folder_that_cannot_be_written_costs_only_the_file(tmp_path: Path) -> None:
    index = filled(300, tmp_path / "no" / "folder" / "graph")
    index.build(wait=True)
    assert recall(index, 300) >= 0.99


@pytest.fixture
def many(tmp_path: Path, make_mark: MakeMark) -> Path:
    """A file with 60 designs of one sample each, for which there is a graph of 50 of them.

    Beside it lies ``early.db``, as the file was with 20 designs.
    """
    path = tmp_path / "stamps.db"
    for until in (20, 50, 60):
        registry = Registry(SqliteStore(path, graph_from=50))
        for seed in range(len(registry), until):
            registry.add(f"stamp {seed}", make_mark(seed), duplicates="allow")
        registry.build_index()
        registry.close()
        if until == 20:
            shutil.copy(path, tmp_path / "early.db")
    assert (tmp_path / "stamps.db.graph").exists()
    return path


def test_a_registry_with_a_graph_finds_what_it_must(many: Path, make_mark: MakeMark) -> None:
    registry = Registry(SqliteStore(many, graph_from=50))
    registry.remove("stamp 3")
    registry.retire("stamp 4")
    for seed in range(60):
        found = registry.identify(make_mark(seed), top_k=1, rerank=0)[0]
        assert (found.design.name == f"stamp {seed}") is (seed not in (3, 4))
    index = registry._store._index  # type: ignore[attr-defined]
    assert index.has_graph
    assert len(index._graph) == 50
    registry.close()


def test_an_older_copy_of_the_file_does_not_use_the_graph_of_the_newer(
    many: Path, make_mark: MakeMark
) -> None:
    shutil.copy(many.with_name("early.db"), many)
    registry = Registry(SqliteStore(many, graph_from=50))
    for seed in range(20, 60):  # their numbers are those of the stamps in the graph
        registry.add(f"other {seed}", make_mark(900 + seed), duplicates="allow")
    for seed in range(20, 60):
        best = registry.identify(make_mark(900 + seed), top_k=1, rerank=0)[0]
        assert best.design.name == f"other {seed}"
        assert best.similarity == pytest.approx(1.0, abs=1e-5)
    registry.close()


def test_reindex_makes_the_graph_void(many: Path, make_mark: MakeMark) -> None:
    registry = Registry(SqliteStore(many, graph_from=50))
    turned = -np.eye(8, dtype=np.float32)
    own = {tuple(make_mark(seed).crop.ink.ravel()): seed for seed in range(60)}  # type: ignore[union-attr]

    def embed(inks: list[NDArray[np.uint8]]) -> Vectors:
        seeds = [own[tuple(ink.ravel())] for ink in inks]
        return np.stack([make_mark(seed).embedding.vector @ turned for seed in seeds])  # type: ignore[union-attr]

    registry.identify(make_mark(1), rerank=0)
    registry.reindex(embed, "turned@1")  # type: ignore[arg-type]
    vector = make_mark(7).embedding.vector @ turned  # type: ignore[union-attr]
    query = make_mark(7, model="turned@1", vector=vector)
    found = registry.identify(query, top_k=1, rerank=0)[0]
    assert (found.design.name, found.similarity) == ("stamp 7", pytest.approx(1.0, abs=1e-5))
    registry.close()
