"""A registry in PostgreSQL with pgvector, for several servers that share one."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from platemark.errors import MissingExtra, RegistryError, RegistryUnavailable
from platemark.registry.migrations import POSTGRES
from platemark.registry.records import Vector, new_id
from platemark.registry.sql import Row, SqlStore
from platemark.registry.store import Hit

if TYPE_CHECKING:
    import psycopg

SCHEMA = "platemark"
"""The schema in which the tables lie."""

CONNECT_S = 10
# Any number, the same for all processes: who writes holds it.
_WRITER = 0x504D524B
_INDEX = "vectors_by_likeness"
# The more candidates the search of the graph keeps, the fewer near ones it misses.
_SEARCH_EFFORT = 200
_MOST_EFFORT = 1000


class PostgresStore(SqlStore):
    """Keeps rows and vectors in PostgreSQL; may be shared by threads.

    Vectors are found by an HNSW index of pgvector, which the server keeps up to date.

    Args:
        url: ``postgresql://user:password@host/database``, as for psql.

    Raises:
        MissingExtra: psycopg or pgvector is not installed.
        RegistryUnavailable: The server does not answer, or does not have pgvector.
        RegistryError: The registry is one of a newer version.
    """

    DIALECT = POSTGRES

    def __init__(self, url: str) -> None:
        try:
            import pgvector.psycopg
            import psycopg
        except ImportError as error:
            raise MissingExtra("a registry in PostgreSQL", "postgres") from error
        self._psycopg, self._register = psycopg, pgvector.psycopg.register_vector
        self._url, self._lock = url, threading.RLock()
        self._place = "the registry in PostgreSQL"
        # Within a transaction a connection that was lost is not replaced: half of it would be lost.
        self._changing = False
        self._connection = self._connect()

    def _connect(self) -> "psycopg.Connection[Any]":
        """Open a connection, with the tables up to date."""
        with self._errors():
            connection = self._psycopg.connect(
                self._url,
                autocommit=True,
                connect_timeout=CONNECT_S,
                # Plans that were prepared fail when reindex gives the vectors another size.
                prepare_threshold=None,
            )
        self._connection = connection
        try:
            self._rows(f"SET search_path = {SCHEMA}, public")
            with self.writing():
                self._rows(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
                self._rows("CREATE EXTENSION IF NOT EXISTS vector")
                self._migrate(self._place)
                if "id" not in self.settings():
                    self.set_settings({"id": new_id()})
            with self._errors():
                self._register(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn what psycopg raises into errors that say what to do."""
        errors = self._psycopg.errors
        try:
            yield
        except (errors.DiskFull, errors.ReadOnlySqlTransaction) as error:
            raise RegistryError(
                f"{self._place} could not be written: {_first_line(error)}; nothing was changed"
            ) from error
        except self._psycopg.Error as error:
            raise RegistryUnavailable(
                f"{self._place} does not do what is asked: {_first_line(error)}"
            ) from error

    def _rows(self, sql: str, values: Sequence[object] = ()) -> list[Row]:
        with self._lock, self._errors():
            if self._connection.closed and not self._changing:
                self._connection = self._connect()
            text = sql.replace("%", "%%").replace("?", "%s") if values else sql
            cursor = self._connection.execute(text, tuple(values) or None)
            return list(cursor.fetchall()) if cursor.description is not None else []

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Begin a change; others that write are waited for."""
        with self._transaction("BEGIN"):
            self._rows(f"SELECT pg_advisory_xact_lock({_WRITER})")
            yield

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Begin a look at the store, in which nothing changes by what others do."""
        with self._transaction("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"):
            yield

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[None]:
        with self._lock:
            self._rows(begin)
            self._changing = True
            try:
                yield
                self._rows("COMMIT")
            except BaseException:
                if not self._connection.closed:
                    self._rows("ROLLBACK")
                raise
            finally:
                self._changing = False

    def _to_column(self, vector: Vector) -> object:
        return np.asarray(vector, dtype=np.float32)

    def _from_column(self, value: Any) -> Vector:
        return np.asarray(value.to_numpy(), dtype=np.float32)

    def set_dimensions(self, dimensions: int) -> None:
        """Give the column of vectors its size, and make its index."""
        self._rows(f"DROP INDEX IF EXISTS {_INDEX}")
        self._rows(f"ALTER TABLE vectors ALTER COLUMN vector TYPE vector({int(dimensions)})")
        self.build_index()

    def replace_vectors(self, model: str, vectors: Mapping[str, Vector]) -> None:
        """Replace the vectors of all samples, also by those of another size."""
        self._rows(f"DROP INDEX IF EXISTS {_INDEX}")
        self._rows("ALTER TABLE vectors ALTER COLUMN vector TYPE vector")
        super().replace_vectors(model, vectors)

    def nearest(self, vector: Vector, count: int) -> list[Hit]:
        """Return the samples of designs that are not retired nearest to a vector."""
        effort = min(_MOST_EFFORT, max(_SEARCH_EFFORT, 2 * count))
        with self.reading():
            self._rows(f"SET LOCAL hnsw.ef_search = {effort}")
            self._rows("SET LOCAL hnsw.iterative_scan = strict_order")
            rows = self._rows(
                "SELECT samples.id, design, -(vector <#> ?) FROM vectors "
                "JOIN samples ON samples.number = vectors.number "
                "JOIN designs ON designs.id = design WHERE retired IS NULL "
                "ORDER BY vector <#> ? LIMIT ?",
                (vector, vector, count),
            )
        return [Hit(sample, design, float(similarity)) for sample, design, similarity in rows]

    def build_index(self) -> None:
        """Make the index of vectors; the server keeps it up to date."""
        self._rows(
            f"CREATE INDEX IF NOT EXISTS {_INDEX} ON vectors USING hnsw (vector vector_ip_ops)"
        )

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._connection.close()


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
