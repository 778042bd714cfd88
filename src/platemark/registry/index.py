"""Nearest vectors in memory: exact while that is fast, by a graph where there are very many.

The graph is HNSW (Malkov and Yashunin 2018) of the library faiss, the extra ``index``. It is made
in the background, and kept in a file, so that it need not be made again when the registry is next
opened; a file that is missing, corrupt or of other vectors is rebuilt. Until there is a graph,
and for the vectors that came after it, the search is exact.
"""

import copy
import json
import threading
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from platemark.files import replace_file
from platemark.registry.records import Vector

Numbers = NDArray[np.int64]

GRAPH_FROM = 100_000
"""From this number of vectors on a graph is built: an exact search takes some 10 ms then."""

_NEIGHBOURS = 32
_BUILD_EFFORT = 80
_SEARCH_EFFORT = 160
# The graph takes in later vectors when they are this number, and this share of those it has.
_TAIL, _TAIL_SHARE = 20_000, 0.1
# Vectors taken in at a time, since searches wait meanwhile.
_STEP = 500
_FORMAT = "platemark graph 1"
_LONGEST_HEADER = 4096


class Near(NamedTuple):
    """Vectors near to one that was asked about, nearest first.

    Attributes:
        numbers: (K,) int64, the numbers of the vectors.
        similarities: (K,) float32, their cosine similarities.
    """

    numbers: Numbers
    similarities: Vector


class VectorTable:
    """Numbered vectors, searched exactly.

    Args:
        dimensions: Of the vectors.
    """

    def __init__(self, dimensions: int) -> None:
        self._numbers = np.zeros(0, dtype=np.int64)
        self._vectors = np.zeros((0, dimensions), dtype=np.float32)
        self._count = 0

    def __len__(self) -> int:
        """Return the number of vectors."""
        return self._count

    @property
    def numbers(self) -> Numbers:
        """(N,) the numbers, ascending."""
        return self._numbers[: self._count]

    @property
    def vectors(self) -> Vector:
        """(N, D) the vectors."""
        return self._vectors[: self._count]

    def append(self, numbers: Numbers, vectors: Vector) -> None:
        """Add vectors (K, D) with numbers (K,) that are greater than all before."""
        end = self._count + len(numbers)
        if end > len(self._numbers):
            # New arrays, never changed below the count, so that a search that is under way with
            # the old ones goes on unaffected.
            room = end + end // 4 + 64
            self._numbers = _grown(self._numbers, self._count, room)
            self._vectors = _grown(self._vectors, self._count, room)
        self._numbers[self._count : end] = numbers
        self._vectors[self._count : end] = vectors
        self._count = end

    def after(self, number: int) -> "VectorTable":
        """Return a table of the vectors with a greater number."""
        start = int(np.searchsorted(self.numbers, number, side="right"))
        table = VectorTable(self._vectors.shape[1])
        table.append(self.numbers[start:], self.vectors[start:])
        return table

    def snapshot(self) -> "VectorTable":
        """Return the table as it is now, whatever is added later; no vector is copied."""
        return copy.copy(self)

    def search(self, vector: Vector, count: int) -> Near:
        """Return the vectors nearest to one (D,), at most ``count``."""
        numbers, vectors = self.numbers, self.vectors
        similarity = vectors @ vector
        if count < len(numbers):
            chosen = np.argpartition(similarity, len(numbers) - count)[-count:]
            numbers, similarity = numbers[chosen], similarity[chosen]
        order = np.argsort(-similarity, kind="stable")
        return Near(numbers[order], similarity[order])


def _grown(values: NDArray[Any], count: int, room: int) -> NDArray[Any]:
    grown = np.empty((room, *values.shape[1:]), dtype=values.dtype)
    grown[:count] = values[:count]
    return grown


class Graph:
    """Numbered vectors, searched by a graph of neighbours; may be shared by threads.

    Args:
        dimensions: Of the vectors.
    """

    def __init__(self, dimensions: int, loaded: Any = None) -> None:
        import faiss

        self._dimensions = dimensions
        if loaded is None:
            flat = faiss.IndexHNSWFlat(dimensions, _NEIGHBOURS, faiss.METRIC_INNER_PRODUCT)
            flat.hnsw.efConstruction = _BUILD_EFFORT
            loaded = faiss.IndexIDMap(flat)
        self._index = loaded
        self._turn = threading.Lock()

    def __len__(self) -> int:
        """Return the number of vectors."""
        return int(self._index.ntotal)

    @property
    def last(self) -> int:
        """The greatest number."""
        import faiss

        return int(faiss.vector_to_array(self._index.id_map)[-1]) if len(self) else -1

    @property
    def last_vector(self) -> Vector:
        """(D,) the vector of the greatest number."""
        return np.asarray(self._index.index.reconstruct(len(self) - 1), dtype=np.float32)

    def append(self, table: VectorTable) -> None:
        """Take in vectors, some at a time, so that searches get their turns."""
        for start in range(0, len(table), _STEP):
            part = slice(start, start + _STEP)
            with self._turn:
                self._index.add_with_ids(table.vectors[part], table.numbers[part])

    def search(self, vector: Vector, count: int) -> Near:
        """Return the vectors nearest to one (D,), at most ``count``, but for some it may miss."""
        import faiss

        effort = max(_SEARCH_EFFORT, 2 * count)
        options = faiss.SearchParametersHNSW(efSearch=effort)  # type: ignore[attr-defined]
        with self._turn:
            similarity, numbers = self._index.search(vector[None], count, params=options)
        found = numbers[0] >= 0
        return Near(numbers[0][found], similarity[0][found])

    def save(self, path: Path, made_of: str) -> None:
        """Write the graph to a file, which is whole or not there at all.

        Args:
            path: The file.
            made_of: What tells the vectors from others.

        Raises:
            OSError: It cannot be written.
        """
        import faiss

        with self._turn:
            body = faiss.serialize_index(self._index)
        header = {"format": _FORMAT, "made_of": made_of, "bytes": len(body)}
        with replace_file(path) as stream:
            stream.write(json.dumps(header).encode() + b"\n")
            stream.write(body.data)

    @classmethod
    def load(cls, path: Path, made_of: str, dimensions: int) -> "Graph | None":
        """Read a graph, or return None where there is none of these vectors."""
        import faiss

        try:
            with path.open("rb") as stream:
                header = json.loads(stream.readline(_LONGEST_HEADER))
                wanted = {"format": _FORMAT, "made_of": made_of, "bytes": header["bytes"]}
                body = np.fromfile(stream, dtype=np.uint8)
            if header != wanted or len(body) != header["bytes"]:
                return None
            loaded = faiss.deserialize_index(body)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError):
            return None  # another program's file, or a corrupt one: a new one is made
        return cls(dimensions, loaded) if loaded.d == dimensions else None


class VectorIndex:
    """Vectors that only grow in number, and how to find the nearest; may be shared by threads.

    Args:
        dimensions: Of the vectors.
        made_of: What tells these vectors from those of another registry or model.
        path: Where the graph is kept; None keeps it in memory alone.
        still_good: Whether a graph that was kept is still one of these vectors.
        graph_from: From this number of vectors on there is a graph.
    """

    def __init__(
        self,
        dimensions: int,
        made_of: str,
        path: Path | None = None,
        still_good: Callable[[Graph], bool] = bool,
        graph_from: int = GRAPH_FROM,
    ) -> None:
        self.made_of, self._path, self._graph_from = made_of, path, graph_from
        self._table = VectorTable(dimensions)
        self._graph: Graph | None = None
        self._lock = threading.Lock()
        self._building: threading.Thread | None = None
        if path is not None and path.exists() and find_spec("faiss"):
            graph = Graph.load(path, made_of, dimensions)
            self._graph = graph if graph is not None and still_good(graph) else None

    def __len__(self) -> int:
        """Return the number of vectors."""
        with self._lock:
            return len(self._table) + (len(self._graph) if self._graph else 0)

    @property
    def last(self) -> int:
        """The greatest number; -1 without vectors."""
        with self._lock:
            if len(self._table):
                return int(self._table.numbers[-1])
            return self._graph.last if self._graph else -1

    @property
    def has_graph(self) -> bool:
        """Whether there is a graph."""
        return self._graph is not None

    def append(self, numbers: Numbers, vectors: Vector) -> None:
        """Add vectors (K, D) with numbers (K,) that are greater than all before."""
        with self._lock:
            self._table.append(numbers, vectors)

    def search(self, vector: Vector, count: int) -> Near:
        """Return the vectors nearest to one (D,), at most ``count``."""
        with self._lock:
            graph, table = self._graph, self._table.snapshot()
        near = table.search(vector, count)
        if graph is None:
            return near
        far = graph.search(vector, count)
        numbers = np.concatenate([near.numbers, far.numbers])
        similarity = np.concatenate([near.similarities, far.similarities])
        # A vector may be in both while the graph takes it in.
        numbers, first = np.unique(numbers, return_index=True)
        similarity = similarity[first]
        order = np.argsort(-similarity, kind="stable")[:count]
        return Near(numbers[order], similarity[order])

    def build(self, *, wait: bool) -> None:
        """Make the graph, or let it take in what came since, where there is enough of it.

        Args:
            wait: Return when it is made; otherwise it is made in the background.
        """
        with self._lock:
            known = len(self._graph) if self._graph else 0
            least = max(_TAIL, int(_TAIL_SHARE * known)) if known else self._graph_from
            if len(self._table) >= least and self._building is None and find_spec("faiss"):
                self._building = threading.Thread(target=self._build, daemon=True)
                self._building.start()
            building = self._building
        if wait and building is not None:
            building.join()

    def _build(self) -> None:
        try:
            with self._lock:
                table, graph = self._table.snapshot(), self._graph
            graph = graph or Graph(table.vectors.shape[1])
            graph.append(table)
            with self._lock:
                self._graph, self._table = graph, self._table.after(int(table.numbers[-1]))
            if self._path is not None:
                with suppress(OSError):  # a read-only folder: it is made again next time
                    graph.save(self._path, self.made_of)
        finally:
            with self._lock:
                self._building = None
