"""Which store keeps the registry that a URL names."""

from pathlib import Path

from platemark.errors import RegistryError
from platemark.registry.store import Store


def open_store(url: str, create: bool) -> Store:
    """Open the store of a URL.

    Args:
        url: A SQLite file, also as ``sqlite:///path``; or ``postgresql://...``.
        create: Make a file that does not exist.

    Raises:
        RegistryUnavailable: The file does not exist, or the server does not answer.
        RegistryError: It is no registry, one of a newer version, or the URL is not known.
        MissingExtra: The library for the server is not installed.
    """
    scheme, separator, rest = url.partition("://")
    if separator and scheme in ("postgresql", "postgres"):
        from platemark.registry.postgres import PostgresStore

        return PostgresStore(url)
    if separator and scheme != "sqlite":
        raise RegistryError(
            f"{scheme}:// is no place for a registry; name a file, or postgresql://...", source=url
        )
    from platemark.registry.sqlite import SqliteStore

    # As in other tools, sqlite:///file is relative and sqlite:////file is not.
    return SqliteStore(Path(rest.removeprefix("/") if separator else url), create=create)
