"""Folders that others put files into, as cameras do by FTP: each file once, when it is whole."""

import json
import os
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from heapq import heappop, heappush
from pathlib import Path
from queue import Empty, Queue
from time import monotonic, time
from typing import IO, Generic, Self, TextIO, TypeVar

from platemark.errors import InputError, MissingExtra
from platemark.files import lock_file, replace_file
from platemark.imaging.sources import DOCUMENT_SUFFIXES, expand_inputs

DoneT = TypeVar("DoneT")

# A file that somebody has open for writing rests so long at least before it is taken all the same.
_OPEN_S = 10.0
# Folders are listed so often, since systems lose notices when very many come at a time.
_LIST_AGAIN_S = 60.0
_JOURNAL, _LOCK = "files.jsonl", "lock"
# The journal is rewritten after this many files, or as many as are known where those are more.
_LEAST_NOTES = 10_000


@dataclass(frozen=True, slots=True)
class Arrival:
    """A file as it is when it is taken; one that changes later is another arrival.

    Attributes:
        path: The file, named by the folder as that was given.
        size: In bytes.
        modified: When it was changed last, in nanoseconds since 1970.
    """

    path: str
    size: int
    modified: int

    @classmethod
    def of(cls, path: str) -> Self | None:
        """A file as it is now; None where there is none."""
        try:
            said = os.stat(path)  # noqa: PTH116 - a name need not be text
        except OSError:
            return None
        return cls(path, said.st_size, said.st_mtime_ns)

    def key(self, page: int) -> str:
        """What tells what is found on a page from all else, whenever it is found."""
        return f"{_key(self.path)}\n{self.size}\n{self.modified}\n{page}"


class FolderJournal:
    """Which files are done, on the disk; keeps a file of results in step with that.

    Args:
        folder: Where it is kept; is made.
        output: File that results are added to; what a kill left there of the results of a file that
            is not done is taken away. None where they go elsewhere.

    Raises:
        InputError: Another process has it open.
        OSError: The folder cannot be written.
    """

    def __init__(self, folder: Path, output: Path | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._held = (folder / _LOCK).open("wb")
        if not lock_file(self._held, wait=False):
            self._held.close()
            raise InputError(
                f"another run keeps its journal in {folder}; wait for it, or choose another folder",
                source=str(folder),
            )
        self._output = None if output is None else os.path.abspath(output)  # noqa: PTH100
        self._done: dict[str, Arrival] = {}
        self._file = folder / _JOURNAL
        if self._file.exists():
            self._read()
        self._notes, self._left = self._compacted(), _LEAST_NOTES

    def close(self) -> None:
        """Let others open it."""
        self._notes.close()
        self._held.close()

    def __enter__(self) -> Self:
        """Return the journal itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close it."""
        self.close()

    def knows(self, arrival: Arrival) -> bool:
        """Whether a file is done as it is."""
        return self._done.get(_key(arrival.path)) == _absolute(arrival)

    @contextmanager
    def recording(self, arrival: Arrival, output: TextIO | None = None) -> Iterator[None]:
        """Note that a file is done at the end of the block, which writes its results.

        Args:
            arrival: The file.
            output: The file of results, open for adding to it.
        """
        if output is not None:
            output.flush()
            begun = {"output": self._output, "bytes": os.fstat(output.fileno()).st_size}
            self._note(_noted(arrival, **begun))
        yield
        self._note(_noted(arrival))
        self._done[_key(arrival.path)] = _absolute(arrival)
        self._left -= 1
        if not self._left:
            self._notes.close()
            self._notes, self._left = self._compacted(), _LEAST_NOTES + len(self._done)

    def _note(self, line: bytes) -> None:
        self._notes.write(line)
        self._notes.flush()

    def _compacted(self) -> IO[bytes]:
        """Write what is to be known, and open the file for more; files that are gone need not be,
        so that it stays small where the folder is emptied now and then."""
        self._done = {path: one for path, one in self._done.items() if Arrival.of(path)}
        with replace_file(self._file) as stream:
            stream.writelines(map(_noted, self._done.values()))
        return self._file.open("ab")

    def _read(self) -> None:
        begun: dict[str, object] | None = None
        for line in self._file.read_bytes().splitlines():
            try:
                said = json.loads(line)
                arrival = Arrival(said["path"], said["size"], said["modified"])
            except (ValueError, KeyError, TypeError):  # what a kill left of a line
                continue
            begun = said if "output" in said else None
            if begun is None:
                self._done[arrival.path] = arrival
        if begun is not None and self._output is not None and begun["output"] == self._output:
            _shorten(self._output, int(str(begun["bytes"])))


def _shorten(path: str, size: int) -> None:
    """Take away what a file has beyond a size."""
    with suppress(FileNotFoundError), Path(path).open("r+b") as stream:
        if stream.seek(0, os.SEEK_END) > size:
            stream.truncate(size)


def _key(path: str) -> str:
    return os.path.abspath(path)  # noqa: PTH100 - a name need not be text


def _absolute(arrival: Arrival) -> Arrival:
    return Arrival(_key(arrival.path), arrival.size, arrival.modified)


def _noted(arrival: Arrival, **more: object) -> bytes:
    """A line of the journal; a name that is no text is escaped, as JSON does by itself."""
    path, size, modified = _key(arrival.path), arrival.size, arrival.modified
    return json.dumps({"path": path, "size": size, "modified": modified, **more}).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class _Finished(Generic[DoneT]):
    arrival: Arrival
    future: "Future[DoneT]"


@dataclass(frozen=True, slots=True)
class _Notice:
    """Something happened to a file: the kind of event, as watchdog calls it."""

    kind: str
    path: str


@dataclass(slots=True)
class _Waiting:
    """A file that may not be whole: as it was last, when to check again, if somebody writes."""

    seen: Arrival
    due: float
    open: bool = False


def watch_folders(
    folders: Sequence[str],
    process: Callable[[Arrival], DoneT],
    done: Callable[[Arrival], bool] = lambda arrival: False,
    *,
    settle: float = 1.0,
    workers: int = 1,
    poll: bool = False,
    stop_after: float | None = None,
    suffixes: Collection[str] = DOCUMENT_SUFFIXES,
) -> Generator[tuple[Arrival, DoneT], None, None]:
    """Do the files that are in folders and their subfolders, and those that come, without end.

    A file is taken when it was renamed into place, or closed and not changed for a while; where the
    system does not say who has a file open, when it was not changed for a while. Names that begin
    with a dot, or end otherwise than pictures and documents do, as those of unfinished uploads,
    wait until they are renamed.

    Args:
        folders: The folders.
        process: Does a file, in any thread.
        done: Whether a file need not be done; is asked before it is taken.
        settle: For how many seconds a file has not changed when it is taken.
        workers: Files that are done at a time.
        poll: Compare listings of the folders every second, where the system gives no notice of
            changes, as on network drives.
        stop_after: End when nothing has come for this many seconds; None for never.
        suffixes: Ends, in lower case, of the names of files that are taken.

    Yields:
        Each file and what ``process`` gave for it, as soon as that is there, in no order.

    Raises:
        InputError: A folder is not there, or cannot be watched.
        MissingExtra: watchdog is not installed.
        ValueError: ``workers`` is below 1.
    """
    for folder in folders:
        if not Path(folder).is_dir():
            raise InputError(f"{folder} is no folder; make it first", source=folder)
    return _Watch(folders, process, done, settle, tuple(suffixes)).run(workers, poll, stop_after)


class _Watch(Generic[DoneT]):
    def __init__(
        self,
        folders: Sequence[str],
        process: Callable[[Arrival], DoneT],
        done: Callable[[Arrival], bool],
        settle: float,
        suffixes: tuple[str, ...],
    ) -> None:
        self._folders, self._process, self._done = folders, process, done
        self._settle, self._suffixes = settle, suffixes
        self._signals: Queue[_Notice | _Finished[DoneT]] = Queue()
        self._waiting: dict[str, _Waiting] = {}
        # When to check which file; what was put off since is there once more.
        self._due: list[tuple[float, str]] = []
        self._ready: dict[str, Arrival] = {}
        self._busy: set[str] = set()

    def run(
        self, workers: int, poll: bool, stop_after: float | None
    ) -> Generator[tuple[Arrival, DoneT], None, None]:
        pool = ThreadPoolExecutor(workers, "platemark-worker")
        try:
            with _observing(self._folders, self._signals, poll):
                list_at, active = 0.0, monotonic()
                while True:
                    if (now := monotonic()) >= list_at:
                        self._list(now)
                        list_at = now + _LIST_AGAIN_S
                    self._take(now)
                    self._submit(pool, workers)
                    if self._busy or self._waiting:
                        active = now
                    stop_at = None if stop_after is None else active + stop_after
                    if stop_at is not None and now >= stop_at:
                        return
                    times = [list_at, stop_at, self._due[0][0] if self._due else None]
                    until = min(moment for moment in times if moment is not None)
                    for finished in self._signalled(max(until - now, 0.0)):
                        yield finished.arrival, finished.future.result()
                        self._busy.discard(finished.arrival.path)
        finally:
            pool.shutdown(cancel_futures=True)

    def _signalled(self, timeout: float) -> "Iterator[_Finished[DoneT]]":
        """Wait for signals and take all that are there; those of files that are done are given."""
        with_wait = True
        while True:
            try:
                signal = self._signals.get(with_wait, timeout if with_wait else None)
            except Empty:
                return
            with_wait = False
            if isinstance(signal, _Finished):
                yield signal
            else:
                self._notice(signal)

    def _list(self, now: float) -> None:
        for path in expand_inputs(list(self._folders), self._suffixes):
            if not isinstance(path, str) or path in self._waiting or path in self._ready:
                continue
            arrival = Arrival.of(path)
            if arrival is not None and not self._done(arrival):
                age = time() - arrival.modified / 1e9
                self._wait(arrival, now + max(self._settle - max(age, 0.0), 0.0))

    def _notice(self, notice: _Notice) -> None:
        path, now = notice.path, monotonic()
        name = os.path.basename(path)  # noqa: PTH119 - a name need not be text
        if name.startswith(".") or not name.lower().endswith(self._suffixes) or self._hidden(path):
            return
        waiting = self._waiting.get(path)
        if notice.kind in ("opened", "closed_no_write") and waiting is None:
            return  # whoever reads it, as we do
        arrival = Arrival.of(path)
        if notice.kind == "deleted" or arrival is None:
            self._waiting.pop(path, None)
            return
        if waiting is None and self._done(arrival):
            return
        open_now = notice.kind == "opened" or (
            notice.kind == "modified" and waiting is not None and waiting.open
        )
        rest = 0.0 if notice.kind == "moved" else self._settle
        self._wait(arrival, now + (max(rest, _OPEN_S) if open_now else rest), open_now)

    def _hidden(self, path: str) -> bool:
        """Whether it lies in a subfolder whose name begins with a dot."""
        above = next(one for one in self._folders if path.startswith(one))
        return any(part.startswith(".") for part in Path(path[len(above) :]).parts)

    def _wait(self, arrival: Arrival, due: float, open_now: bool = False) -> None:
        self._ready.pop(arrival.path, None)
        self._waiting[arrival.path] = _Waiting(arrival, due, open_now)
        heappush(self._due, (due, arrival.path))

    def _take(self, now: float) -> None:
        """Get ready what is due and has not changed."""
        while self._due and self._due[0][0] <= now:
            due, path = heappop(self._due)
            waiting = self._waiting.get(path)
            if waiting is None or waiting.due != due:
                continue
            arrival = Arrival.of(path)
            if arrival is None or self._done(arrival):
                del self._waiting[path]
            elif arrival != waiting.seen or path in self._busy:
                self._wait(arrival, now + max(self._settle, 0.1), waiting.open)
            else:
                del self._waiting[path]
                self._ready[path] = arrival

    def _submit(self, pool: ThreadPoolExecutor, workers: int) -> None:
        while self._ready and len(self._busy) < workers:
            path = next(iter(self._ready))
            arrival = self._ready.pop(path)
            self._busy.add(path)
            future = pool.submit(self._process, arrival)
            future.add_done_callback(partial(self._finish, arrival))

    def _finish(self, arrival: Arrival, future: "Future[DoneT]") -> None:
        self._signals.put(_Finished(arrival, future))


@contextmanager
def _observing(
    folders: Sequence[str], signals: "Queue[_Notice | _Finished[DoneT]]", poll: bool
) -> Iterator[None]:
    """Put what happens to the files of folders into a queue during the block."""
    try:
        from watchdog.events import FileSystemEvent, FileSystemEventHandler
        from watchdog.observers import Observer
        from watchdog.observers.polling import PollingObserver
    except ImportError as error:
        raise MissingExtra("watching a folder", "watch") from error

    class Handler(FileSystemEventHandler):
        def on_any_event(self, event: FileSystemEvent) -> None:
            if not event.is_directory:
                place = event.dest_path if event.event_type == "moved" else event.src_path
                signals.put(_Notice(event.event_type, os.fsdecode(place)))

    observer = PollingObserver() if poll else Observer()
    for folder in folders:
        observer.schedule(Handler(), folder, recursive=True)
    try:
        observer.start()
    except OSError as error:
        raise InputError(
            f"{', '.join(folders)} cannot be watched: {error.strerror or error}; try --poll",
            source=folders[0],
        ) from error
    try:
        yield
    finally:
        observer.stop()
        observer.join()
