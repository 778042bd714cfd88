"""A registry in a file when things go wrong: no registry, no space, no rights, others at it."""

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from platemark.errors import RegistryError, RegistryUnavailable
from platemark.registry import Registry
from platemark.types import StampMark

MakeMark = Callable[..., StampMark]
NOBODY = 65534


def test_a_file_of_something_else_is_no_registry(tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(5000))
    before = picture.read_bytes()
    with pytest.raises(RegistryError, match=r"picture\.png is no registry"):
        Registry.open(picture)
    assert picture.read_bytes() == before


def test_a_database_of_something_else_is_no_registry(tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE designs (colour TEXT)")
    connection.close()
    before = other.read_bytes()
    with pytest.raises(RegistryError, match="a database of something else"):
        Registry.open(other)
    assert other.read_bytes() == before


def test_a_corrupt_registry_is_said_to_be_one(tmp_path: Path, make_mark: MakeMark) -> None:
    path = tmp_path / "stamps.db"
    with Registry.open(path) as registry:
        for seed in range(5):
            registry.add(f"stamp {seed}", make_mark(seed), duplicates="allow")
    data = bytearray(path.read_bytes())
    data[4096:] = os.urandom(len(data) - 4096)
    path.write_bytes(data)
    with pytest.raises(RegistryError, match="corrupt"):
        Registry.open(path).designs()


def test_what_is_not_there_is_made_only_where_that_was_asked(tmp_path: Path) -> None:
    with pytest.raises(RegistryUnavailable, match="does not exist"):
        Registry.open(tmp_path / "none.db", create=False)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(RegistryUnavailable, match="cannot be used"):
        Registry.open(tmp_path / "no" / "folder" / "stamps.db")
    with pytest.raises(RegistryUnavailable, match="cannot be used"):
        Registry.open(tmp_path)


def test_urls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_mark: MakeMark) -> None:
    monkeypatch.chdir(tmp_path)
    with Registry.open("sqlite:///a b.db") as registry:
        registry.add("ACME", make_mark(1))
    with Registry.open(f"sqlite:///{tmp_path}/a b.db", create=False) as registry:
        assert len(registry) == 1
    with pytest.raises(RegistryError, match="mysql:// is no place"):
        Registry.open("mysql://localhost/stamps")
    with pytest.raises(RegistryUnavailable, match="PostgreSQL"):
        Registry.open("postgresql://nobody@localhost:1/none")


def test_one_file_is_left_and_can_be_copied(tmp_path: Path, make_mark: MakeMark) -> None:
    with Registry.open(tmp_path / "stamps.db") as registry:
        registry.add("ACME", make_mark(1))
    assert [path.name for path in tmp_path.iterdir()] == ["stamps.db"]


@contextmanager
def unprivileged(folder: Path) -> Iterator[None]:
    """Let nobody write to a folder and what is in it; not even root, who is somebody else then."""
    files = [folder, *folder.iterdir()]
    for path in files:
        path.chmod(0o555 if path.is_dir() else 0o444)
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        for path in files:
            path.chmod(path.stat().st_mode | stat.S_IWUSR)


def test_a_read_only_file_is_read_and_not_changed(make_mark: MakeMark) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "stamps.db"
        with Registry.open(path) as registry:
            registry.add("ACME", make_mark(1))
        before = path.read_bytes()
        with unprivileged(Path(name)), Registry.open(path) as registry:
            assert registry.identify(make_mark(1))[0].design.name == "ACME"
            for act in (
                lambda: registry.add("Other", make_mark(2)),
                lambda: registry.remove("ACME"),
            ):
                with pytest.raises(RegistryError, match="is read-only: nothing was changed"):
                    act()
        assert path.read_bytes() == before


def test_a_full_disk_is_said_to_be_and_loses_nothing(tmp_path: Path, make_mark: MakeMark) -> None:
    path = tmp_path / "stamps.db"
    with Registry.open(path) as registry:
        registry.add("ACME", make_mark(1))
        # The database may not grow: SQLite answers as it does on ENOSPC.
        ((pages,),) = registry._store._rows("PRAGMA page_count")  # type: ignore[attr-defined]
        registry._store._rows(f"PRAGMA max_page_count={pages}")  # type: ignore[attr-defined]
        big = make_mark(2, side=400)
        with pytest.raises(RegistryError, match="is the disk full"):
            registry.add("Other", big, duplicates="allow")
        assert [design.name for design in registry.designs()] == ["ACME"]
        registry._store._rows("PRAGMA max_page_count=1000000")  # type: ignore[attr-defined]
        registry.add("Other", big, duplicates="allow")
    with Registry.open(path) as registry:
        assert [design.name for design in registry.designs()] == ["ACME", "Other"]


WRITER = """
import resource, signal, sys
from pathlib import Path
sys.path[:0] = {path!r}
from conftest import mark_of
from platemark.errors import RegistryError
from platemark.registry import Registry
registry = Registry.open({file!r})
"""


def run_writer(file: Path, code: str) -> "subprocess.Popen[str]":
    """Start a process that has a registry open."""
    here = str(Path(__file__).parent)
    start = WRITER.format(path=[here, *sys.path], file=str(file))
    return subprocess.Popen(
        [sys.executable, "-c", start + code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_write_that_the_system_refuses_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "stamps.db"
    code = """
size = sum(f.stat().st_size for f in Path({file!r}).parent.iterdir()) + 200_000
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
for seed in range(1000):
    try:
        registry.add(f"stamp {{seed}}", mark_of(seed, side=200), duplicates="allow")
    except RegistryError as error:
        print("refused", error.message)
        break
    print(seed, flush=True)
"""
    done = run_writer(path, code.format(file=str(path)))
    output, _ = done.communicate(timeout=300)
    *kept, refused = output.splitlines()
    assert "nothing was changed" in refused
    with Registry.open(path) as registry:
        names = {design.name for design in registry.designs()}
        assert names == {f"stamp {seed}" for seed in kept}
        assert kept
        assert all(registry.picture(s.id) for name in names for s in registry.samples(name))


def test_two_processes_add_at_once(tmp_path: Path) -> None:
    path = tmp_path / "stamps.db"
    code = """
sys.stdin.readline()
for step in range(20):
    registry.add(f"stamp {{step}}", mark_of({first} + step), duplicates="allow")
"""
    workers = [run_writer(path, code.format(first=first)) for first in (0, 500)]
    for worker in workers:  # both are ready, and begin together
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    for worker in workers:
        worker.communicate(timeout=300)
        assert worker.returncode == 0
    with Registry.open(path) as registry:
        assert [design.samples for design in registry.designs()] == [2] * 20


def test_a_file_of_the_first_version_still_opens(tmp_path: Path, make_mark: MakeMark) -> None:
    golden = Path(__file__).parents[1] / "golden" / "registry-0001.db"
    path = tmp_path / "stamps.db"
    shutil.copy(golden, path)
    with Registry.open(path) as registry:
        kept, gone = registry.designs()
        assert (kept.name, kept.notes, kept.tags) == ("ACME Ltd ☂", "kept by 0.1.0", ("a",))
        assert (kept.owner, kept.retired, gone.retired is None) == ("us", None, False)
        (sample,) = registry.samples(kept.id)
        crop = make_mark(1).crop
        assert crop is not None
        assert (registry.picture(sample.id).ink == crop.ink).all()
        assert [one.design.name for one in registry.identify(make_mark(1))] == [kept.name]
