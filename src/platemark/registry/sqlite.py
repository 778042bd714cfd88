"""A registry in one SQLite file, for one machine."""

import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from platemark.errors import RegistryError, RegistryUnavailable
from platemark.registry.index import GRAPH_FROM, Graph, VectorIndex
from platemark.registry.migrations import SQLITE, missing
from platemark.registry.records import Vector, new_id
from platemark.registry.sql import Row, SqlStore
from platemark.registry.store import Hit

# "PMRK": says in the file's header that it is a registry of platemark.
APPLICATION = 0x504D524B
WAIT_S = 30.0
"""Another process that is writing is waited for so long."""

_READ = 5000
_EPOCH = "vectors"
_READ_ONLY = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM)
_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_NO_REGISTRY = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)


class SqliteStore(SqlStore):
    """Keeps rows and vectors in a SQLite file, in WAL mode; may be shared by threads.

    What was kept is on the disk (``synchronous=FULL``). While the file is open, two files of SQLite
    lie beside it; with very many vectors, ``FILE.graph`` holds the index of them.

    Args:
        path: The file.
        create: Make it where it does not exist.
        graph_from: From so many vectors on the index is a graph.

    Raises:
        RegistryUnavailable: It does not exist, or cannot be opened.
        RegistryError: It is no registry, or one of a newer version.
    """

    DIALECT = SQLITE

    def __init__(self, path: Path, *, create: bool = True, graph_from: int = GRAPH_FROM) -> None:
        self._path, self._lock, self._graph_from = path, threading.RLock(), graph_from
        self._index: VectorIndex | None = None
        if not create and not path.exists():
            raise RegistryUnavailable(
                f"{path} does not exist; add a stamp to make it", source=str(path)
            )
        with self._errors():
            self._connection, self._writable = self._connect()
        try:
            self._prepare()
        except BaseException:
            self._connection.close()
            raise

    def _connect(self) -> tuple[sqlite3.Connection, bool]:
        name = self._path.resolve().as_uri()
        # A file that nobody may write to, in a folder where SQLite may put nothing beside it, is
        # read as it is.
        ways = [("mode=rwc", True), ("mode=ro", False)]
        log = self._path.with_name(f"{self._path.name}-wal")
        if not log.exists() or not log.stat().st_size:
            ways.append(("mode=ro&immutable=1", False))
        for options, writable in ways:
            connection = sqlite3.connect(
                f"{name}?{options}",
                uri=True,
                timeout=WAIT_S,
                isolation_level=None,
                check_same_thread=False,
            )
            try:
                connection.execute("PRAGMA foreign_keys=ON")
                connection.execute("PRAGMA synchronous=FULL")
                connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
                if writable:
                    connection.execute("BEGIN IMMEDIATE")
                    connection.execute("ROLLBACK")
                return connection, writable
            except sqlite3.OperationalError as error:
                connection.close()
                code = error.sqlite_errorcode & 0xFF
                if code not in (*_READ_ONLY, sqlite3.SQLITE_CANTOPEN) or options == ways[-1][0]:
                    raise
            except BaseException:
                connection.close()
                raise
        raise AssertionError("the last way to open a file returns or raises")

    def _prepare(self) -> None:
        """See that the file is a registry, and bring its tables up to date.

        Raises:
            RegistryError: It is none, or one of a newer version.
        """
        ((application,),) = self._rows("PRAGMA application_id")
        ((tables,),) = self._rows("SELECT count(*) FROM sqlite_schema")
        if application != APPLICATION and (application or tables or not self._writable):
            raise RegistryError(
                f"{self._path} is no registry of platemark but a database of something else; "
                "name another file",
                source=str(self._path),
            )
        if not self._writable:
            applied = [name for (name,) in self._rows("SELECT name FROM migrations")]
            if missing(applied, str(self._path)):
                raise RegistryError(
                    f"{self._path} is of an older version and read-only; open it once where it "
                    "may be changed",
                    source=str(self._path),
                )
            return
        self._rows("PRAGMA journal_mode=WAL")
        with self.writing():
            self._rows(f"PRAGMA application_id={APPLICATION}")
            self._migrate(str(self._path))
            if "id" not in self.settings():
                self.set_settings({"id": new_id()})

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn what SQLite raises into errors that say what to do."""
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            raise self._explained(code, str(error)) from error

    def _explained(self, code: int, reason: str) -> RegistryError:
        name = str(self._path)
        if code in _NO_REGISTRY:
            return RegistryError(f"{name} is no registry, or damaged: {reason}", source=name)
        if code in _READ_ONLY:
            return RegistryError(f"{name} is read-only: nothing was changed", source=name)
        if code in _FULL:
            return RegistryError(
                f"{name} could not be written, is the disk full? ({reason}); nothing was changed",
                source=name,
            )
        if code in _BUSY:
            return RegistryUnavailable(
                f"{name} is in use: another process has been writing for {WAIT_S:.0f} seconds; "
                "try again later",
                source=name,
            )
        return RegistryUnavailable(f"{name} cannot be used: {reason}", source=name)

    def _rows(self, sql: str, values: Sequence[object] = ()) -> list[Row]:
        with self._lock, self._errors():
            rows: list[Row] = self._connection.execute(sql, tuple(values)).fetchall()
            return rows

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Begin a change; others that write are waited for."""
        with self._transaction("BEGIN IMMEDIATE"):
            if not self._writable:
                raise self._explained(sqlite3.SQLITE_READONLY, "")
            yield

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Begin a look at the store, in which nothing changes by what others do."""
        with self._transaction("BEGIN"):
            yield

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[None]:
        with self._lock:
            self._rows(begin if self._writable else "BEGIN")
            try:
                yield
                self._rows("COMMIT")
            except BaseException:
                # A commit that failed for a full disk may have been rolled back already.
                if self._connection.in_transaction:
                    self._rows("ROLLBACK")
                raise

    def _to_column(self, vector: Vector) -> bytes:
        return np.asarray(vector, dtype="<f4").tobytes()

    def _from_column(self, value: Any) -> Vector:
        return np.frombuffer(value, dtype="<f4").astype(np.float32)

    def set_dimensions(self, dimensions: int) -> None:
        """Vectors of any number of dimensions are kept alike."""

    def replace_vectors(self, model: str, vectors: Mapping[str, Vector]) -> None:
        """Replace the vectors of all samples, and make the indices of the old ones void."""
        super().replace_vectors(model, vectors)
        self.set_settings({_EPOCH: new_id()})

    def nearest(self, vector: Vector, count: int) -> list[Hit]:
        """Return the samples of designs that are not retired nearest to a vector."""
        index = self._fresh_index(len(vector))
        index.build(wait=False)
        wanted = count
        while True:
            near = index.search(vector, wanted)
            hits = self._living(near.numbers.tolist(), near.similarities.tolist())
            if len(hits) >= count or len(near.numbers) < wanted:
                return hits[:count]
            wanted *= 4  # some of them are of designs that are retired or gone

    def build_index(self) -> None:
        """Make the index of vectors now, if there are enough for one."""
        dimensions = self.settings().get("dimensions")
        if dimensions is not None:
            self._fresh_index(int(dimensions)).build(wait=True)

    def _living(self, numbers: list[int], similarities: list[float]) -> list[Hit]:
        """Hits among samples by their numbers, without those of designs that are retired."""
        found: dict[int, tuple[str, str]] = {}
        for start in range(0, len(numbers), _READ):
            batch = numbers[start : start + _READ]
            marks = ", ".join("?" * len(batch))
            for number, sample, design in self._rows(
                "SELECT number, samples.id, design FROM samples JOIN designs ON "
                f"designs.id = design WHERE retired IS NULL AND number IN ({marks})",
                batch,
            ):
                found[number] = (sample, design)
        pairs = zip(numbers, similarities, strict=True)
        return [Hit(*found[number], similarity) for number, similarity in pairs if number in found]

    def _fresh_index(self, dimensions: int) -> VectorIndex:
        """The index, with all vectors that there are now."""
        with self._lock, self.reading():
            settings = self.settings()
            made_of = f"{settings.get('id')} {settings.get(_EPOCH)}"
            index = self._index
            if index is None or index.made_of != made_of:
                index = self._new_index(dimensions, made_of)
            with self._errors():
                rows = self._connection.execute(
                    "SELECT number, vector FROM vectors WHERE number > ? ORDER BY number",
                    (index.last,),
                )
                while batch := rows.fetchmany(_READ):
                    numbers = np.array([number for number, _ in batch], dtype=np.int64)
                    vectors = self._from_column(b"".join(value for _, value in batch))
                    index.append(numbers, vectors.reshape(len(batch), -1))
            self._index = index
            return index

    def _new_index(self, dimensions: int, made_of: str) -> VectorIndex:
        path = self._path.with_name(f"{self._path.name}.graph")
        return VectorIndex(dimensions, made_of, path, self._still_good, self._graph_from)

    def _still_good(self, graph: Graph) -> bool:
        """Whether a graph is of the vectors that are here now.

        It is not where an older copy of the file took the place of the one it was made of, and too
        slow where most of its vectors are gone.
        """
        ((samples,),) = self._rows("SELECT count(*) FROM samples")
        kept = self._rows("SELECT vector FROM vectors WHERE number = ?", (graph.last,))
        if len(graph) > 2 * samples or not kept:
            return False
        return np.array_equal(self._from_column(kept[0][0]), graph.last_vector)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()
