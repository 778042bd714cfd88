"""Folders that files drop into, by real files that are written slowly, renamed and changed."""

import threading
import time
from pathlib import Path

import pytest

from platemark.errors import InputError
from platemark.usecases.folder import Arrival, FolderJournal, watch_folders

SETTLE = 0.3


class Watcher:
    """Watches a folder in a thread and notes what it took, when, and what was in it."""

    def __init__(self, folder: Path, **options: object) -> None:
        self.took: list[tuple[str, int]] = []
        self.times: list[float] = []
        self._folder = folder
        self._thread = threading.Thread(target=self._run, kwargs=options)
        self._thread.start()

    def _run(self, **options: object) -> None:
        journal = options.pop("journal", None)
        known = journal.knows if isinstance(journal, FolderJournal) else lambda arrival: False
        come = watch_folders(
            [str(self._folder)],
            lambda arrival: Path(arrival.path).read_bytes(),
            known,
            **{"settle": SETTLE, "stop_after": 1.0} | options,  # type: ignore[arg-type]
        )
        for arrival, content in come:
            if isinstance(journal, FolderJournal):
                with journal.recording(arrival):
                    pass
            self.took.append((str(Path(arrival.path).relative_to(self._folder)), len(content)))
            self.times.append(time.monotonic())

    def ended(self) -> list[tuple[str, int]]:
        self._thread.join(60)
        assert not self._thread.is_alive()
        return self.took


def slowly(path: Path, chunks: int = 6, pause: float = 0.15) -> None:
    with path.open("wb") as stream:
        for _ in range(chunks):
            stream.write(b"x" * 100)
            stream.flush()
            time.sleep(pause)


@pytest.mark.parametrize("poll", [False, True])
def test_files_are_taken_once_they_are_whole(tmp_path: Path, poll: bool) -> None:
    (tmp_path / "before.jpg").write_bytes(b"1234")
    # Listings tell a file that grows from one that rests, if it rests for longer than one of them.
    watcher = Watcher(tmp_path, poll=poll, settle=1.5 if poll else SETTLE)
    time.sleep(0.3)
    slowly(tmp_path / "slow.jpg")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "new.png").write_bytes(b"12")
    assert sorted(watcher.ended()) == [("before.jpg", 4), ("slow.jpg", 600), ("sub/new.png", 2)]


def test_a_writer_that_pauses_for_long_is_waited_for(tmp_path: Path) -> None:
    watcher = Watcher(tmp_path)
    time.sleep(0.3)
    slowly(tmp_path / "slow.jpg", 3, 3 * SETTLE)
    assert watcher.ended() == [("slow.jpg", 300)]


def test_one_that_is_added_to_and_closed_each_time_is_waited_for(tmp_path: Path) -> None:
    watcher = Watcher(tmp_path)
    time.sleep(0.3)
    for _ in range(6):
        with (tmp_path / "slow.jpg").open("ab") as stream:
            stream.write(b"x" * 100)
        time.sleep(SETTLE / 2)
    assert watcher.ended() == [("slow.jpg", 600)]


def test_uploads_under_other_names_wait_until_they_are_renamed(tmp_path: Path) -> None:
    watcher = Watcher(tmp_path, settle=5.0, stop_after=1.5)
    time.sleep(0.3)
    for name in (".car.jpg", "bus.jpg.part", "notes.txt"):
        (tmp_path / name).write_bytes(b"123")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "van.jpg").write_bytes(b"123")
    start = time.monotonic()
    (tmp_path / ".car.jpg").rename(tmp_path / "car.jpg")
    (tmp_path / "bus.jpg.part").rename(tmp_path / "bus.jpg")
    while len(watcher.took) < 2 and time.monotonic() < start + 4:
        time.sleep(0.02)
    assert sorted(watcher.took) == [("bus.jpg", 3), ("car.jpg", 3)]  # at once
    assert len(watcher.ended()) == 2


def test_a_file_is_taken_once_over_restarts_and_again_when_it_changes(tmp_path: Path) -> None:
    folder, state = tmp_path / "in", tmp_path / "state"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"1")
    for number, expected in enumerate([[("a.jpg", 1)], [("b.jpg", 2)], []]):
        with FolderJournal(state) as journal:
            if number == 1:
                (folder / "b.jpg").write_bytes(b"12")
            assert Watcher(folder, journal=journal, stop_after=0.3).ended() == expected
    with FolderJournal(state) as journal:
        watcher = Watcher(folder, journal=journal)
        time.sleep(0.3)
        (folder / "a.jpg").write_bytes(b"1234")
        assert watcher.ended() == [("a.jpg", 4)]


def test_what_a_kill_left_of_results_is_taken_away(tmp_path: Path) -> None:
    output = tmp_path / "rows.jsonl"
    (tmp_path / "a.jpg").touch()
    (tmp_path / "b.jpg").touch()
    first, second = (Arrival.of(str(tmp_path / name)) for name in ("a.jpg", "b.jpg"))
    assert first
    assert second
    with FolderJournal(tmp_path / "state", output) as journal, output.open("a") as stream:
        with journal.recording(first, stream):
            stream.write("row of a\n")
            stream.flush()
        journal.recording(second, stream).__enter__()
        stream.write("half a ro")
    with FolderJournal(tmp_path / "state", output) as journal:
        assert output.read_text() == "row of a\n"
        assert journal.knows(first)
        assert not journal.knows(second)
        output.write_text("row of a\nof others\n")
    with FolderJournal(tmp_path / "state", output):
        assert output.read_text() == "row of a\nof others\n"


def test_a_journal_forgets_files_that_are_gone(tmp_path: Path) -> None:
    file = tmp_path / "a.jpg"
    file.touch()
    arrival = Arrival.of(str(file))
    assert arrival
    with FolderJournal(tmp_path / "state") as journal, journal.recording(arrival):
        pass
    file.unlink()
    with FolderJournal(tmp_path / "state"):
        assert (tmp_path / "state" / "files.jsonl").read_bytes() == b""


def test_two_do_not_keep_one_journal(tmp_path: Path) -> None:
    with (
        FolderJournal(tmp_path),
        pytest.raises(InputError, match="another run keeps its journal"),
    ):
        FolderJournal(tmp_path)


def test_files_are_done_at_a_time_and_in_bounded_number(tmp_path: Path) -> None:
    for number in range(6):
        (tmp_path / f"{number}.jpg").touch()
    busy = most = 0
    lock = threading.Lock()

    def look(arrival: Arrival) -> str:
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)
        time.sleep(0.1)
        with lock:
            busy -= 1
        return arrival.path

    come = watch_folders([str(tmp_path)], look, settle=0.0, workers=2, stop_after=0.2)
    assert sorted(path for _, path in come) == [str(tmp_path / f"{n}.jpg") for n in range(6)]
    assert most == 2


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no folder"):
        watch_folders([str(tmp_path / "none")], lambda arrival: None)
