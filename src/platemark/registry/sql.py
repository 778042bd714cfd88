"""The rows of a registry in SQL; what SQLite and PostgreSQL have in common."""

import json
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, Generic, Protocol, TypeVar

from platemark.errors import RegistryUnavailable
from platemark.registry import migrations
from platemark.registry.migrations import LEDGER, Dialect
from platemark.registry.records import Design, Sample, StoredSample, Vector, now
from platemark.registry.store import DesignFilter, Hit
from platemark.tasks.scripts import search_key

Row = Sequence[Any]
_Item = TypeVar("_Item")

_BATCH = 200
_DESIGN = """
    SELECT id, name, created, changed, notes, tags, owner, retired,
        (SELECT count(*) FROM samples WHERE samples.design = designs.id)
    FROM designs
"""
_SAMPLE = """
    SELECT samples.id, design, created, model, source, page, box, digest, text
    FROM samples JOIN vectors ON vectors.number = samples.number
"""
_STORED = """
    SELECT samples.id, design, created, model, source, page, box, digest, text, vector, picture, ink
    FROM samples JOIN vectors ON vectors.number = samples.number
    JOIN pictures ON pictures.number = samples.number
"""
_SAID = (
    r"(words LIKE ? ESCAPE '\' OR EXISTS (SELECT 1 FROM samples "
    r"WHERE samples.design = designs.id AND samples.words LIKE ? ESCAPE '\'))"
)
# Words beyond this number are not searched: a database takes no condition of any size.
_MOST_WORDS = 100


class _Closes(Protocol):
    def close(self) -> None: ...


Connection = TypeVar("Connection", bound=_Closes)


class SqlStore(ABC, Generic[Connection]):
    """A store that speaks SQL; see `platemark.registry.store.Store`.

    Every statement borrows a connection, and a thread within `writing` or `reading` keeps its own
    until the block ends. No lock is shared, so a thread that waits to write delays no other.
    """

    DIALECT: Dialect
    WAIT_S = 30.0
    """Others that are writing are waited for so long."""

    def __init__(self) -> None:
        self._idle: list[Connection] = []
        self._own = threading.local()
        self._closed = False

    @abstractmethod
    def _connect(self) -> Connection:
        """Open a connection, which commits every statement outside of a transaction at once."""

    @abstractmethod
    def _run(self, connection: Connection, sql: str, values: Sequence[object]) -> list[Row]:
        """Run a statement with ``?`` for values, and return its rows, if it has any."""

    @abstractmethod
    def _in_transaction(self, connection: Connection) -> bool:
        """Whether a transaction has begun that is to be rolled back."""

    @abstractmethod
    def _reusable(self, connection: Connection) -> bool:
        """Whether a connection without a transaction may serve another statement."""

    @abstractmethod
    def _errors(self) -> AbstractContextManager[None]:
        """Turn what the library raises into errors that say what to do."""

    @abstractmethod
    def writing(self) -> AbstractContextManager[None]:
        """Begin a change."""

    @abstractmethod
    def reading(self) -> AbstractContextManager[None]:
        """Begin a read transaction."""

    def _rows(self, sql: str, values: Sequence[object] = ()) -> list[Row]:
        """Run a statement with ``?`` for values, and return its rows, if it has any."""
        with self._borrowed() as connection, self._errors():
            return self._run(connection, sql, values)

    @contextmanager
    def _borrowed(self) -> Iterator[Connection]:
        """The connection of the block this thread is in, or one of its own for the moment."""
        own: Connection | None = getattr(self._own, "connection", None)
        if own is not None:
            yield own
            return
        if self._closed:
            raise RegistryUnavailable("the registry is closed; open it again")
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._connect()
        try:
            yield connection
        finally:
            if self._closed or not self._reusable(connection):
                connection.close()
            else:
                self._idle.append(connection)

    @contextmanager
    def _transaction(self, *begin: str) -> Iterator[None]:
        """Run statements that begin a transaction; the block ends it."""
        with self._borrowed() as connection:
            self._own.connection = connection
            try:
                for statement in begin:
                    self._rows(statement)
                yield
                self._rows("COMMIT")
            except BaseException:
                if self._in_transaction(connection):
                    self._rows("ROLLBACK")
                raise
            finally:
                self._own.connection = None

    def close(self) -> None:
        """Close the connections; those in use when they are given back."""
        self._closed = True
        self._close_idle()

    def _close_idle(self) -> None:
        with suppress(IndexError):
            while True:
                self._idle.pop().close()

    @abstractmethod
    def _to_column(self, vector: Vector) -> object:
        """A vector as the store keeps it."""

    @abstractmethod
    def _from_column(self, value: Any) -> Vector:
        """A vector from what the store kept."""

    def _migrate(self, where: str) -> None:
        """Bring the tables up to date, within `writing`.

        Raises:
            RegistryError: The registry is newer than this version.
        """
        self._rows(LEDGER)
        applied = [name for (name,) in self._rows("SELECT name FROM migrations")]
        steps = migrations.missing(applied, where)
        for migration in steps:
            for statement in migration.sql(self.DIALECT):
                self._rows(statement)
            self._rows("INSERT INTO migrations VALUES (?, ?)", (migration.name, now()))
        if any(migration.rewrites for migration in steps):
            for design in self.designs(DesignFilter()):
                self.put_design(design)

    def settings(self) -> Mapping[str, str]:
        """Return what the registry remembers about itself."""
        rows: list[tuple[str, str]] = [tuple(row) for row in self._rows("SELECT * FROM settings")]
        return dict(rows)

    def set_settings(self, values: Mapping[str, str]) -> None:
        """Change some of the settings."""
        for item in values.items():
            self._rows(
                "INSERT INTO settings VALUES (?, ?) "
                "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                item,
            )

    def design(self, id_: str) -> Design | None:
        """Return a design by its id."""
        return _first(_design(row) for row in self._rows(f"{_DESIGN} WHERE id = ?", (id_,)))

    def design_named(self, name: str) -> Design | None:
        """Return a design by its name."""
        return _first(_design(row) for row in self._rows(f"{_DESIGN} WHERE name = ?", (name,)))

    def designs(self, wanted: DesignFilter) -> list[Design]:
        """Return designs, sorted by name."""
        conditions = ["1 = 1"]
        values: list[object] = []
        if wanted.retired is not None:
            conditions.append(f"retired IS {'NOT ' if wanted.retired else ''}NULL")
        for word in sorted(set(search_key(wanted.text).split()))[:_MOST_WORDS]:
            conditions.append(_SAID)
            values += [_containing(word)] * 2
        sql = f"{_DESIGN} WHERE {' AND '.join(conditions)} ORDER BY name, id"
        if wanted.limit is not None or wanted.offset:
            # Neither dialect has an offset without a limit that both understand.
            values += [2**62 if wanted.limit is None else wanted.limit, wanted.offset]
            sql += " LIMIT ? OFFSET ?"
        return [_design(row) for row in self._rows(sql, values)]

    def count(self, retired: bool | None = None) -> int:
        """Return how many designs there are."""
        test = {None: "", True: "WHERE retired IS NOT NULL", False: "WHERE retired IS NULL"}
        ((number,),) = self._rows(f"SELECT count(*) FROM designs {test[retired]}")
        return int(number)

    def put_design(self, design: Design) -> None:
        """Add a design, or change the one of its id."""
        self._rows(
            "INSERT INTO designs (id, name, notes, tags, owner, words, created, changed, retired) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
            "name = excluded.name, notes = excluded.notes, tags = excluded.tags, "
            "owner = excluded.owner, words = excluded.words, changed = excluded.changed, "
            "retired = excluded.retired",
            (
                design.id,
                design.name,
                design.notes,
                json.dumps(design.tags, ensure_ascii=False),
                design.owner,
                search_key("\n".join((design.name, design.owner, design.notes, *design.tags))),
                design.created,
                design.changed,
                design.retired,
            ),
        )

    def delete_design(self, id_: str) -> None:
        """Remove a design and its samples."""
        self._rows("DELETE FROM designs WHERE id = ?", (id_,))

    def samples(self, design: str | None = None) -> list[Sample]:
        """Return the samples of a design, or all, oldest first."""
        which, values = ("WHERE design = ?", (design,)) if design is not None else ("", ())
        rows = self._rows(f"{_SAMPLE} {which} ORDER BY samples.number", values)
        return [_sample(row) for row in rows]

    def sample(self, id_: str) -> Sample | None:
        """Return a sample by its id."""
        rows = self._rows(f"{_SAMPLE} WHERE samples.id = ?", (id_,))
        return _first(_sample(row) for row in rows)

    def samples_of_digest(self, digest: str) -> list[Sample]:
        """Return the samples with these very pictures."""
        rows = self._rows(f"{_SAMPLE} WHERE digest = ? ORDER BY samples.number", (digest,))
        return [_sample(row) for row in rows]

    def stored(self, ids: Sequence[str]) -> Iterator[StoredSample]:
        """Return samples with all that is kept of them, in the order of their ids as given."""
        for start in range(0, len(ids), _BATCH):
            batch = ids[start : start + _BATCH]
            rows = self._rows(f"{_STORED} WHERE samples.id IN ({_marks(batch)})", batch)
            found = {row[0]: row for row in rows}
            for row in (found[id_] for id_ in batch if id_ in found):
                vector, picture, ink = row[9:]
                yield StoredSample(_sample(row), self._from_column(vector), picture, ink)

    def put_sample(self, stored: StoredSample) -> None:
        """Add a sample."""
        sample = stored.sample
        ((number,),) = self._rows(
            "INSERT INTO samples (id, design, created, source, page, box, digest, text, words) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING number",
            (
                sample.id,
                sample.design,
                sample.created,
                sample.source,
                sample.page,
                json.dumps(sample.box),
                sample.digest,
                sample.text,
                search_key(sample.text or ""),
            ),
        )
        vector = self._to_column(stored.vector)
        self._rows("INSERT INTO vectors VALUES (?, ?, ?)", (number, sample.model, vector))
        self._rows("INSERT INTO pictures VALUES (?, ?, ?)", (number, stored.picture, stored.ink))

    def set_texts(self, texts: Mapping[str, str | None]) -> None:
        """Replace what some samples say."""
        for id_, text in texts.items():
            self._rows(
                "UPDATE samples SET text = ?, words = ? WHERE id = ?",
                (text, search_key(text or ""), id_),
            )

    def move_samples(self, ids: Sequence[str], design: str) -> None:
        """Give samples to another design."""
        for start in range(0, len(ids), _BATCH):
            batch = ids[start : start + _BATCH]
            sql = f"UPDATE samples SET design = ? WHERE id IN ({_marks(batch)})"
            self._rows(sql, (design, *batch))

    def delete_samples(self, ids: Sequence[str]) -> None:
        """Remove samples."""
        for start in range(0, len(ids), _BATCH):
            batch = ids[start : start + _BATCH]
            self._rows(f"DELETE FROM samples WHERE id IN ({_marks(batch)})", batch)

    def replace_vectors(self, model: str, vectors: Mapping[str, Vector]) -> None:
        """Replace the vectors of all samples by those of a model."""
        for id_, vector in vectors.items():
            self._rows(
                "UPDATE vectors SET model = ?, vector = ? "
                "WHERE number = (SELECT number FROM samples WHERE id = ?)",
                (model, self._to_column(vector), id_),
            )

    @abstractmethod
    def set_dimensions(self, dimensions: int) -> None:
        """Make ready for vectors of this many dimensions."""

    @abstractmethod
    def nearest(self, vector: Vector, count: int) -> list[Hit]:
        """Return the samples of designs that are not retired nearest to a vector."""

    @abstractmethod
    def build_index(self) -> None:
        """Make the index of vectors now."""


def _first(items: Iterator[_Item]) -> _Item | None:
    return next(items, None)


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def _containing(text: str) -> str:
    r"""A pattern of LIKE, escaped with ``\``, for what contains a text."""
    for char in "\\%_":
        text = text.replace(char, f"\\{char}")
    return f"%{text}%"


def _design(row: Row) -> Design:
    id_, name, created, changed, notes, tags, owner, retired, samples = row
    return Design(
        id_, name, created, changed, notes, tuple(json.loads(tags)), owner, retired, samples
    )


def _sample(row: Row) -> Sample:
    id_, design, created, model, source, page, box, digest, text = row[:9]
    return Sample(id_, design, created, model, source, page, tuple(json.loads(box)), digest, text)
