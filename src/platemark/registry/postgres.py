"""A registry in PostgreSQL with pgvector, for several servers that share one."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from platemark.errors import MissingExtra, RegistryError, RegistryUnavailable
from platemark.registry.migrations import POSTGRES, missing
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


class PostgresStore(SqlStore["psycopg.Connection[Any]"]):
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
        super().__init__()
        self._psycopg, self._register = psycopg, pgvector.psycopg.register_vector
        self._url, self._place = url, "the registry in PostgreSQL"
        connection = self._open()
        self._idle.append(connection)
        try:
            self._prepare()
            with self._errors():
                self._register(connection)  # not before there are tables with vectors
        except BaseException:
            self.close()
            raise

    def _open(self) -> "psycopg.Connection[Any]":
        with self._errors():
            connection = self._psycopg.connect(
                self._url,
                autocommit=True,
                connect_timeout=CONNECT_S,
                # Plans that were prepared fail when reindex gives the vectors another size.
                prepare_threshold=None,
            )
            connection.execute(f"SET search_path = {SCHEMA}, public")
            return connection

    def _connect(self) -> "psycopg.Connection[Any]":
        connection = self._open()
        with self._errors():
            self._register(connection)
        return connection

    def _prepare(self) -> None:
        """Bring the tables up to date; where they are, nothing is written and no lock is awaited.

        Raises:
            RegistryError: The registry is one of a newer version.
        """
        ((ledger,),) = self._rows("SELECT to_regclass(?)::text", (f"{SCHEMA}.migrations",))
        if ledger is not None:
            applied = [name for (name,) in self._rows("SELECT name FROM migrations")]
            if not missing(applied, self._place):
                return
        with self.writing():
            self._rows(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
            self._rows("CREATE EXTENSION IF NOT EXISTS vector")
            self._migrate(self._place)
            if "id" not in self.settings():
                self.set_settings({"id": new_id()})

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
        except errors.LockNotAvailable as error:
            raise RegistryUnavailable(
                f"{self._place} is in use: others have been writing for {self.WAIT_S:.0f} "
                "seconds; try again later"
            ) from error
        except self._psycopg.Error as error:
            raise RegistryUnavailable(
                f"{self._place} does not do what is asked: {_first_line(error)}"
            ) from error

    def _run(
        self, connection: "psycopg.Connection[Any]", sql: str, values: Sequence[object]
    ) -> list[Row]:
        text = sql.replace("%", "%%").replace("?", "%s") if values else sql
        try:
            cursor = connection.execute(text, tuple(values) or None)
        except self._psycopg.OperationalError:
            if connection.closed:
                self._close_idle()  # what ended this connection ended the others
            raise
        return list(cursor.fetchall()) if cursor.description is not None else []

    def _in_transaction(self, connection: "psycopg.Connection[Any]") -> bool:
        status = self._psycopg.pq.TransactionStatus
        return connection.info.transaction_status in (status.INTRANS, status.INERROR)

    def _reusable(self, connection: "psycopg.Connection[Any]") -> bool:
        idle = self._psycopg.pq.TransactionStatus.IDLE
        return connection.info.transaction_status == idle

    def writing(self) -> AbstractContextManager[None]:
        """Begin a change; others that write are waited for."""
        return self._transaction(
            "BEGIN",
            f"SET LOCAL lock_timeout = {round(1000 * self.WAIT_S)}",
            f"SELECT pg_advisory_xact_lock({_WRITER})",
        )

    def reading(self) -> AbstractContextManager[None]:
        """Begin a read transaction, in which nothing changes by what others do."""
        return self._transaction("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

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


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
