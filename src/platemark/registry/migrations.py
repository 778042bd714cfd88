"""How the tables of a registry came to be, step by step.

A step is never changed once it was released; a change of the tables is a new step at the end. A
registry remembers by name the steps it has had, so an older one is brought up to date when it is
opened, and a newer one, which has had steps unknown here, is refused.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from platemark.errors import RegistryError


@dataclass(frozen=True, slots=True)
class Dialect:
    """The types of columns, by the names that `MIGRATIONS` has for them.

    Attributes:
        types: SQL types by name.
    """

    types: Mapping[str, str]


SQLITE = Dialect(
    {
        "serial": "INTEGER PRIMARY KEY AUTOINCREMENT",
        "name": "TEXT",
        "bytes": "BLOB",
        "vector": "BLOB",
    }
)
POSTGRES = Dialect(
    {
        "serial": "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
        "name": 'TEXT COLLATE "C"',
        "bytes": "BYTEA",
        "vector": "vector",
    }
)


@dataclass(frozen=True, slots=True)
class Migration:
    """One step.

    Attributes:
        name: Number and what it does; steps are sorted by it.
        statements: SQL, with the types of a `Dialect` in braces.
        rewrites: Whether every design is written again, once all steps are done, since what is
            derived from it has changed.
    """

    name: str
    statements: tuple[str, ...]
    rewrites: bool = False

    def sql(self, dialect: Dialect) -> list[str]:
        """The statements for a dialect."""
        return [statement.format(**dialect.types) for statement in self.statements]


LEDGER = "CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY, applied TEXT NOT NULL)"
"""Makes the table of the steps a registry has had."""

MIGRATIONS = (
    Migration(
        "0001_designs_and_samples",
        (
            "CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL)",
            """CREATE TABLE designs (
                id TEXT PRIMARY KEY,
                name {name} NOT NULL UNIQUE,
                notes TEXT NOT NULL,
                tags TEXT NOT NULL,
                owner TEXT NOT NULL,
                words TEXT NOT NULL,
                created TEXT NOT NULL,
                changed TEXT NOT NULL,
                retired TEXT
            )""",
            # A number that only grows tells which samples an index has not seen yet.
            """CREATE TABLE samples (
                number {serial},
                id TEXT NOT NULL UNIQUE,
                design TEXT NOT NULL REFERENCES designs (id) ON DELETE CASCADE,
                created TEXT NOT NULL,
                source TEXT NOT NULL,
                page BIGINT NOT NULL,
                box TEXT NOT NULL,
                digest TEXT NOT NULL
            )""",
            "CREATE INDEX samples_by_design ON samples (design)",
            "CREATE INDEX samples_by_digest ON samples (digest)",
            # Vectors lie apart from pictures, so that all of them are read quickly.
            """CREATE TABLE vectors (
                number BIGINT PRIMARY KEY REFERENCES samples (number) ON DELETE CASCADE,
                model TEXT NOT NULL,
                vector {vector} NOT NULL
            )""",
            """CREATE TABLE pictures (
                number BIGINT PRIMARY KEY REFERENCES samples (number) ON DELETE CASCADE,
                picture {bytes} NOT NULL,
                ink {bytes} NOT NULL
            )""",
        ),
    ),
    Migration(
        "0002_texts",
        (
            "ALTER TABLE samples ADD COLUMN text TEXT",
            "ALTER TABLE samples ADD COLUMN words TEXT NOT NULL DEFAULT ''",
        ),
        rewrites=True,
    ),
)


def missing(applied: Iterable[str], where: str) -> list[Migration]:
    """Return the steps that a registry has not had yet, in order.

    Args:
        applied: Names of the steps it has had.
        where: What to call the registry.

    Raises:
        RegistryError: It has had steps that are unknown here.
    """
    had = set(applied)
    known = [migration.name for migration in MIGRATIONS]
    unknown = sorted(had.difference(known))
    if unknown:
        raise RegistryError(
            f"{where} was made by a newer platemark, which changed its tables ({unknown[0]}); "
            "open it with that version, or a later one",
            source=where,
        )
    return [migration for migration in MIGRATIONS if migration.name not in had]
