"""How fast and how surely the nearest vectors of a registry are found.

    platemark synth stamps --kind artworks --near-copies 0.3 --count 2000 --seed 7 --output ARTWORKS
    python benchmarks/registry_search.py ARTWORKS/annotations.jsonl --count 100000 1000000
    python benchmarks/registry_search.py ARTWORKS/annotations.jsonl --count 50000 --libraries
    python benchmarks/registry_search.py ARTWORKS/annotations.jsonl --postgres postgresql://host/empty

With ``--postgres`` the search is that of a registry in PostgreSQL, filled by COPY: its tables, its
index and its joins, over a connection. The database is one without a registry, and keeps it.

The vectors are those that the bundled embedder makes of drawn designs, and more like them: mixtures
of two of them with noise along the directions in which they spread. Neighbours of vectors without
structure are found badly by any graph, and no stamps are like that.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from platemark.datasets import Manifest
from platemark.imaging.image import Image
from platemark.registry.index import VectorIndex, VectorTable
from platemark.registry.postgres import SCHEMA, PostgresStore
from platemark.tasks.embedder import Embedder

NEAREST, SAMPLES = 10, 3
Vectors = NDArray[np.float32]
Search = Callable[[Vectors, int], Any]
"""Numbers (K,) of the vectors nearest to one (D,), nearest first."""


def embedded(manifest: Manifest, model: str | None) -> Vectors:
    """Vectors (N, D) of the artworks of a manifest, white where there is ink."""
    embedder = Embedder.from_pretrained(model, threads=1)
    inks = (Image.read(manifest.path(entry)).pixels[..., 0] for entry in manifest)
    return embedder([ink.astype(np.float32) / 255.0 for ink in inks])


def more_like(vectors: Vectors, count: int, seed: int) -> Vectors:
    """Make vectors (count, D) with the structure of some (N, D)."""
    rng = np.random.default_rng(seed)
    centred = vectors - vectors.mean(axis=0)
    _, spread, axes = np.linalg.svd(centred, full_matrices=False)
    scales = (0.3 / np.sqrt(len(vectors)) * spread).astype(np.float32)
    made = np.empty((count, vectors.shape[1]), np.float32)
    for start in range(0, count, 10_000):
        part = made[start : start + 10_000]
        first, second = rng.integers(len(vectors), size=(2, len(part)))
        share = rng.random((len(part), 1), np.float32)
        noise = rng.standard_normal((len(part), len(scales)), np.float32) * scales
        part[:] = share * vectors[first] + (1 - share) * vectors[second] + noise @ axes
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    return made


def measure(search: Search, queries: Vectors, truth: list[set[int]]) -> tuple[float, float, float]:
    """Recall at ten, and the median and the 95th percentile of milliseconds for a query."""
    for query in queries[:20]:
        search(query, NEAREST)
    times, hits = [], 0
    for query, right in zip(queries, truth, strict=True):
        start = time.perf_counter()
        found = search(query, NEAREST)
        times.append(1e3 * (time.perf_counter() - start))
        hits += len(right.intersection(np.asarray(found).tolist()))
    return hits / (NEAREST * len(truth)), *np.percentile(times, [50, 95]).tolist()


def exactly(vectors: Vectors) -> Search:
    table = VectorTable(vectors.shape[1])
    table.append(np.arange(len(vectors)), vectors)
    return lambda query, count: table.search(query, count).numbers


def by_graph(vectors: Vectors) -> Search:
    """The index that a registry has for so many vectors."""
    index = VectorIndex(vectors.shape[1], "benchmark", graph_from=1)
    index.append(np.arange(len(vectors)), vectors)
    index.build(wait=True)
    assert index.has_graph
    return lambda query, count: index.search(query, count).numbers


def by_hnswlib(vectors: Vectors) -> Search:
    import hnswlib

    index = hnswlib.Index("ip", vectors.shape[1])
    index.init_index(len(vectors), M=32, ef_construction=80)
    index.set_num_threads(1)
    index.add_items(vectors)
    index.set_ef(160)
    return lambda query, count: index.knn_query(query, count)[0][0]


def by_usearch(vectors: Vectors) -> Search:
    from usearch.index import Index

    index = Index(
        ndim=vectors.shape[1], metric="ip", connectivity=32, expansion_add=80, expansion_search=160
    )
    index.add(np.arange(len(vectors)), vectors, threads=1)
    return lambda query, count: index.search(query, count).keys


def by_postgres(url: str, vectors: Vectors) -> Search:
    """The search of a registry in PostgreSQL with so many samples, three of each design."""
    import pgvector.psycopg
    import psycopg
    from psycopg import sql

    with psycopg.connect(url) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
    store = PostgresStore(url)
    designs = [(f"d{number:09}",) for number in range(-(-len(vectors) // SAMPLES))]
    with psycopg.connect(url) as connection:
        connection.execute(f"SET search_path = {SCHEMA}, public")
        pgvector.psycopg.register_vector(connection)

        def copy(table: str, columns: str, rows: Iterable[tuple[object, ...]]) -> None:
            names = sql.SQL(", ").join(map(sql.Identifier, columns.split()))
            command = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), names)
            with connection.cursor().copy(command) as target:
                for row in rows:
                    target.write_row(row)

        empty = ("", "", "", "", "", "")
        copy(
            "designs",
            "id name notes tags owner words created changed",
            ((id_, id_, *empty) for (id_,) in designs),
        )
        copy(
            "samples",
            "id design created source page box digest",
            ((str(n), *designs[n // SAMPLES], "", "", 0, "", str(n)) for n in range(len(vectors))),
        )
        numbers = dict(connection.execute("SELECT id, number FROM samples").fetchall())
        copy(
            "vectors",
            "number model vector",
            ((numbers[str(n)], "benchmark", vector) for n, vector in enumerate(vectors)),
        )
    store.set_dimensions(vectors.shape[1])
    with psycopg.connect(url) as connection:
        connection.execute(f"ANALYZE {SCHEMA}.vectors, {SCHEMA}.samples, {SCHEMA}.designs")
    return lambda query, count: [int(hit.sample) for hit in store.nearest(query, count)]


OTHERS = {"hnswlib": by_hnswlib, "usearch": by_usearch}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("manifest", type=Path, help="artworks, as `platemark synth` draws them")
    parser.add_argument("--count", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--model", help="an embedder")
    parser.add_argument("--no-graph", action="store_true", help="the exact search alone")
    parser.add_argument("--postgres", metavar="URL", help="a registry in an empty database too")
    parser.add_argument("--libraries", action="store_true", help="other graphs too, if installed")
    options = parser.parse_args()
    real = embedded(Manifest.read(options.manifest), options.model)
    ways: dict[str, Callable[[Vectors], Search]] = {"exact": exactly}
    if not options.no_graph:
        ways["graph of the registry (faiss)"] = by_graph
    if options.postgres:
        ways["PostgreSQL (pgvector)"] = partial(by_postgres, options.postgres)
    if options.libraries:
        ways |= {name: way for name, way in OTHERS.items() if find_spec(name)}
    table = Table("vectors", "search", "recall@10", "p50 ms", "p95 ms", "made in s", box=None)
    for count in options.count:
        vectors, queries = more_like(real, count, 1), more_like(real, options.queries, 2)
        exact = exactly(vectors)
        truth = [set(np.asarray(exact(query, NEAREST)).tolist()) for query in queries]
        for name, way in ways.items():
            start = time.perf_counter()
            search = way(vectors)
            made = time.perf_counter() - start
            recall, median, slow = measure(search, queries, truth)
            figures = (f"{recall:.4f}", f"{median:.2f}", f"{slow:.2f}", f"{made:.0f}")
            table.add_row(f"{count:,}", name, *figures)
    Console(width=120).print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
