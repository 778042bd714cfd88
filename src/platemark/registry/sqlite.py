"""A registry in one SQLite file, for one machine."""

import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
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

_READ = 5000
_EPOCH = "vectors"
_READ_ONLY = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM)
_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_NO_REGISTRY = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)


class _Unlocked(sqlite3.Connection):
    """A connection to a file in a folder where nothing can be written, so that nothing is locked.

    It is used once: who may write there could change the file without its noticing.
    """


class SqliteStore(SqlStore[sqlite3.Connection]):
    """Keeps rows and vectors in a SQLite file, in WAL mode; may be shared by threads.

    Readers never wait: a file that is as it should be is opened and read while another process
    writes. What was kept is on the disk (``synchronous=FULL``). While the file is open, two files
    of SQLite lie beside it; with very many vectors, ``FILE.graph`` holds the index of them.

    Args:
        path: The file.
        create: Make it where it does not exist.
        graph_from: From this number of vectors on the index is a graph.

    Raises:
        RegistryUnavailable: It does not exist, or cannot be opened.
        RegistryError: It is no registry, or one of a newer version.
    """

    DIALECT = SQLITE

    def __init__(self, path: Path, *, create: bool = True, graph_from: int = GRAPH_FROM) -> None:
        super().__init__()
        self._path, self._graph_from = path, graph_from
        self._mode = "rwc" if create else "rw"
        self._index: VectorIndex | None = None
        self._index_lock = threading.Lock()
        if not create and not path.exists():
            raise RegistryUnavailable(
                f"{path} does not exist; add a stamp to make it", source=str(path)
            )
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise
        self._mode = "rw"  # a file that is removed later is not created again without its tables

    def _connect(self) -> sqlite3.Connection:
        with self._errors():
            try:
                return self._opened(f"mode={self._mode}")
            except sqlite3.OperationalError as error:
                code = error.sqlite_errorcode & 0xFF
                if code not in (*_READ_ONLY, sqlite3.SQLITE_CANTOPEN) or not self._path.is_file():
                    raise
                return self._unlocked()

    def _unlocked(self) -> sqlite3.Connection:
        """Open a file that SQLite cannot lock, since it may put nothing into the folder."""
        log = self._path.with_name(f"{self._path.name}-wal")
        if not log.exists() or not log.stat().st_size:
            return self._opened("mode=ro&immutable=1", _Unlocked)
        # What a writer that was killed left in the log belongs to the registry. With locks off and
        # exclusive mode, SQLite indexes the log in memory, not in a file beside it.
        vfs = "win32-none" if os.name == "nt" else "unix-none"
        return self._opened(f"mode=ro&vfs={vfs}", _Unlocked, "PRAGMA locking_mode=EXCLUSIVE")

    def _opened(
        self, options: str, kind: type[sqlite3.Connection] = sqlite3.Connection, *first: str
    ) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{self._path.resolve().as_uri()}?{options}",
            uri=True,
            timeout=self.WAIT_S,
            isolation_level=None,
            check_same_thread=False,
            factory=kind,
        )
        try:
            for statement in (*first, "PRAGMA foreign_keys=ON", "PRAGMA synchronous=FULL"):
                connection.execute(statement)
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self) -> None:
        """Check that the file is a registry, and bring its tables up to date.

        Where they are, nothing is written and no lock is awaited.

        Raises:
            RegistryError: It is none, or one of a newer version.
        """
        with self.reading():
            ((application,),) = self._rows("PRAGMA application_id")
            ((tables,),) = self._rows("SELECT count(*) FROM sqlite_schema")
            if application != APPLICATION and (application or tables):
                raise RegistryError(
                    f"{self._path} is no registry of platemark but a database of something else; "
                    "name another file",
                    source=str(self._path),
                )
            applied = [n for (n,) in self._rows("SELECT name FROM migrations")] if tables else []
        if not missing(applied, str(self._path)):
            return
        try:
            with self.writing():
                self._rows(f"PRAGMA application_id={APPLICATION}")
                self._migrate(str(self._path))
                if "id" not in self.settings():
                    self.set_settings({"id": new_id()})
        except RegistryError as error:
            if not applied or isinstance(error, RegistryUnavailable):
                raise
            raise RegistryError(
                f"{self._path} is of an older version, and cannot be brought up to date: "
                f"{error.message}; open it once where it may be changed",
                source=str(self._path),
            ) from error

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
            return RegistryError(f"{name} is no registry, or corrupt: {reason}", source=name)
        if code in _READ_ONLY:
            return RegistryError(f"{name} is read-only: nothing was changed", source=name)
        if code in _FULL:
            return RegistryError(
                f"{name} could not be written, is the disk full? ({reason}); nothing was changed",
                source=name,
            )
        if code in _BUSY:
            return RegistryUnavailable(
                f"{name} is in use: others have been writing for {self.WAIT_S:.0f} seconds; "
                "try again later",
                source=name,
            )
        return RegistryUnavailable(f"{name} cannot be used: {reason}", source=name)

    def _run(self, connection: sqlite3.Connection, sql: str, values: Sequence[object]) -> list[Row]:
        return connection.execute(sql, tuple(values)).fetchall()

    def _in_transaction(self, connection: sqlite3.Connection) -> bool:
        # A commit that failed for a full disk may have been rolled back already.
        return connection.in_transaction

    def _reusable(self, connection: sqlite3.Connection) -> bool:
        return not isinstance(connection, _Unlocked) and not connection.in_transaction

    def writing(self) -> AbstractContextManager[None]:
        """Begin a change; others that write are waited for."""
        # Says so where it is so already; a copy of a registry may not be in this mode.
        return self._transaction("PRAGMA journal_mode=WAL", "BEGIN IMMEDIATE")

    def reading(self) -> AbstractContextManager[None]:
        """Begin a read transaction, in which nothing changes by what others do."""
        return self._transaction("BEGIN")

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
        with self._index_lock, self.reading(), self._borrowed() as connection:
            settings = self.settings()
            made_of = f"{settings.get('id')} {settings.get(_EPOCH)}"
            index = self._index
            if index is None or index.made_of != made_of:
                index = self._new_index(dimensions, made_of)
            with self._errors():
                rows = connection.execute(
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
