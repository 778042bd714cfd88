"""Who looks waits for nobody: readers go on while others write, or wait to write.

No test here measures time. A writer that holds its change is another process (or, for PostgreSQL,
another connection), which is asked after the reading whether it holds it still: had a reader
waited for it, the reader would not have come to its end.
"""

import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from platemark.apps.cli import app
from platemark.errors import RegistryError, RegistryUnavailable
from platemark.registry import Registry
from platemark.registry.postgres import _WRITER
from platemark.registry.sql import SqlStore
from platemark.types import StampMark

from .test_files import run_writer, unprivileged

MakeMark = Callable[..., StampMark]
Commit = Callable[[], None]
Held = Callable[[str], AbstractContextManager[Commit]]


@contextmanager
def held_database(url: str) -> Iterator[Commit]:
    with psycopg.connect(url) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_WRITER,))
        connection.execute("UPDATE platemark.designs SET notes = 'held'")
        yield connection.commit


@pytest.fixture
def held(held_file: Held) -> Held:
    """Another changes a registry, given by its URL, while the block runs."""

    def hold(url: str) -> AbstractContextManager[Commit]:
        return held_database(url) if url.startswith("postgres") else held_file(url)

    return hold


@pytest.fixture
def filled(url: str, make_mark: MakeMark) -> str:
    """URL of a registry with two designs."""
    with Registry.open(url) as registry:
        registry.add("ACME", make_mark(1))
        registry.add("Other", make_mark(2), duplicates="allow")
    return url


def look(registry: Registry, make_mark: MakeMark, folder: Path) -> None:
    """Look at a registry of ACME and Other in every way there is."""
    assert [design.name for design in registry.designs()] == ["ACME", "Other"]
    assert len(registry) == 2
    (sample,) = registry.samples("ACME")
    assert registry.picture(sample.id).ink.any()
    assert registry.identify(make_mark(1))[0].design.name == "ACME"
    assert registry.model == "tiny@1"
    assert registry.export(folder / "all.zip") == 2


def test_a_registry_is_opened_and_read_while_another_process_writes(
    filled: str, held: Held, make_mark: MakeMark, tmp_path: Path
) -> None:
    with held(filled) as commit:
        with Registry.open(filled, create=False) as registry:
            look(registry, make_mark, tmp_path)
        commit()


@pytest.mark.parametrize("words", [["list"], ["show", "ACME"], ["export", "{folder}/all.zip"]])
def test_commands_that_look_end_while_another_process_writes(
    tmp_path: Path, held_file: Held, make_mark: MakeMark, words: Sequence[str]
) -> None:
    file = tmp_path / "stamps.db"
    with Registry.open(file) as registry:
        registry.add("ACME", make_mark(1))
    given = [word.format(folder=tmp_path) for word in words]
    command = [sys.executable, "-m", "platemark", "registry", given[0], "--registry", str(file)]
    with held_file(str(file)) as commit:
        done = subprocess.run([*command, *given[1:]], capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        commit()
    assert "ACME" in done.stdout + done.stderr or (tmp_path / "all.zip").exists()


def test_a_thread_that_waits_to_write_delays_no_other(
    filled: str,
    held: Held,
    make_mark: MakeMark,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(SqlStore, "WAIT_S", 600.0)  # however slow the machine is
    begun, failures = threading.Event(), []
    with Registry.open(filled) as registry:
        run = registry._store._run  # type: ignore[attr-defined]

        def seen(connection: Any, sql: str, values: Sequence[object]) -> Any:
            if sql.startswith(("BEGIN IMMEDIATE", "SELECT pg_advisory")):
                begun.set()
            return run(connection, sql, values)

        monkeypatch.setattr(registry._store, "_run", seen)

        def add() -> None:
            try:
                registry.add("New", make_mark(3), duplicates="allow")
            except RegistryError as error:
                failures.append(error)

        waiting = threading.Thread(target=add)
        with held(filled) as commit:
            waiting.start()
            assert begun.wait(300)
            look(registry, make_mark, tmp_path)
            assert waiting.is_alive()
            commit()
        waiting.join(300)
        assert not failures
        assert [design.name for design in registry.designs()] == ["ACME", "New", "Other"]


def test_a_change_is_seen_whole_or_not_at_all(filled: str, make_mark: MakeMark) -> None:
    with Registry.open(filled) as registry, Registry.open(filled) as other:
        with registry._store.reading():
            before = registry._store.count()
            other.add("New", make_mark(3), duplicates="allow")
            assert registry._store.count() == before
        assert registry._store.count() == before + 1


def test_who_cannot_write_in_time_is_told_why(
    filled: str, held: Held, make_mark: MakeMark, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SqlStore, "WAIT_S", 0.1)
    with Registry.open(filled) as registry, held(filled) as commit:
        with pytest.raises(RegistryUnavailable, match=r"is in use: others have been writing"):
            registry.add("New", make_mark(3), duplicates="allow")
        assert len(registry) == 2
        commit()
        assert registry.add("New", make_mark(3), duplicates="allow").new_design


def test_a_registry_that_was_closed_says_so(filled: str) -> None:
    registry = Registry.open(filled)
    registry.close()
    with pytest.raises(RegistryUnavailable, match="closed"):
        registry.designs()


@pytest.fixture(params=["with its index", "without its index"])
def left_behind(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A registry of a process that was killed: all of it is still in the log of SQLite."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "stamps.db"
        code = """
registry.add("ACME", mark_of(1))
registry.add("Other", mark_of(2), duplicates="allow")
print("added", flush=True)
sys.stdin.readline()
"""
        with run_writer(path, code) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == "added\n"
            child.send_signal(signal.SIGKILL)
        log, index = (path.with_name(f"stamps.db-{end}") for end in ("wal", "shm"))
        assert log.stat().st_size
        without_log = sqlite3.connect(f"{path.as_uri()}?immutable=1", uri=True)
        assert without_log.execute("SELECT name FROM sqlite_schema").fetchall() == []
        without_log.close()
        if request.param == "without its index":
            index.unlink()
        yield path


def test_a_read_only_folder_with_a_log_left_behind_opens(
    left_behind: Path, make_mark: MakeMark, tmp_path: Path
) -> None:
    before = {path.name: path.read_bytes() for path in left_behind.parent.iterdir()}
    with unprivileged(left_behind.parent), tempfile.TemporaryDirectory() as own:
        with Registry.open(left_behind, create=False) as registry:
            look(registry, make_mark, Path(own))
            with pytest.raises(RegistryError, match="is read-only: nothing was changed"):
                registry.remove("ACME")
        words = ["registry", "list", "--registry", str(left_behind), "--format", "jsonl"]
        listed = CliRunner().invoke(app, words)
        assert listed.exit_code == 0, listed.output
        assert "ACME" in listed.output
    assert {path.name: path.read_bytes() for path in left_behind.parent.iterdir()} == before
    copy = tmp_path / "copy"
    shutil.copytree(left_behind.parent, copy)
    with Registry.open(copy / "stamps.db") as registry:  # where it may be written nothing is lost
        look(registry, make_mark, tmp_path)
    assert [path.name for path in copy.iterdir()] == ["stamps.db"]


def test_what_is_added_later_is_seen_in_a_read_only_folder(make_mark: MakeMark) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "stamps.db"
        with Registry.open(path) as registry:
            registry.add("ACME", make_mark(1))
        with unprivileged(Path(name)):
            reader = Registry.open(path)
            assert len(reader) == 1
        with Registry.open(path) as registry:
            registry.add("Other", make_mark(2), duplicates="allow")
        with unprivileged(Path(name)):
            assert [design.name for design in reader.designs()] == ["ACME", "Other"]
            reader.close()


def test_a_copy_in_another_journal_mode_is_read_and_goes_on(
    tmp_path: Path, held_file: Held, make_mark: MakeMark
) -> None:
    path, copy = tmp_path / "stamps.db", tmp_path / "copy.db"
    with Registry.open(path) as registry:
        registry.add("ACME", make_mark(1))
    connection = sqlite3.connect(path)
    connection.execute("VACUUM INTO ?", (str(copy),))
    connection.close()
    with held_file(str(copy)) as commit:
        with Registry.open(copy) as registry:
            assert [design.name for design in registry.designs()] == ["ACME"]
        commit()
    with Registry.open(copy) as registry:
        registry.add("Other", make_mark(2), duplicates="allow")
        assert len(registry) == 2
