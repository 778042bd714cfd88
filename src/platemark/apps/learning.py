"""Learning a stamp while the server runs: in a process of its own, one at a time."""

import os
import shutil
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from time import monotonic
from typing import Any

from platemark.errors import Forbidden, Overloaded, PlatemarkError, WorkerLost, class_of
from platemark.stamps.pipeline import StampPipeline

COMPOSITES = 40
"""Generated pictures that the report is on, and as many to choose by."""

# A run that no client has asked about for this long is ended, seconds.
_FORGOTTEN = 120.0
# Requests come first.
_NICE = 10
_SPAWN = get_context("spawn")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a lesson has come.

    Attributes:
        stage: What is being done.
        done: How much of that.
        total: Of how much.
        seconds: Since it began.
    """

    stage: str
    done: int
    total: int
    seconds: float


class Lesson:
    """One model that is being taught, or was; its folder goes with it.

    Attributes:
        error: Why it failed; None while it did not.
        report: What `Learned.to_json` says; None until it is done.
    """

    def __init__(
        self, pictures: Sequence[Path], minutes: float, composites: int, threads: int
    ) -> None:
        self.error: PlatemarkError | None = None
        self.report: str | None = None
        self._home = TemporaryDirectory(prefix="platemark-lesson-")
        self._threads = threads
        self._begun = self._asked = monotonic()
        self._stage: tuple[str, int, int] = ("starting", 0, 1)
        copies = [_copied(picture, Path(self._home.name)) for picture in pictures]
        here, there = _SPAWN.Pipe(duplex=False)
        given = (there, copies, self.folder, minutes, composites)
        self._process = _SPAWN.Process(target=_teach, args=given, daemon=True)
        self._process.start()
        there.close()
        self._ended = threading.Event()
        threading.Thread(target=self._listen, args=(here,), name="lesson", daemon=True).start()

    @property
    def folder(self) -> Path:
        """The folder of the model."""
        return Path(self._home.name) / "model"

    @property
    def running(self) -> bool:
        """Whether it goes on."""
        return not self._ended.is_set()

    def progress(self, wait: float = 0.0) -> Progress:
        """How far it has come, after some seconds or when it ends; that somebody asks keeps it."""
        self._asked = monotonic()
        self._ended.wait(wait)
        self._asked = monotonic()
        return Progress(*self._stage, self._asked - self._begun)

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._ended.wait()

    def close(self) -> None:
        """End it, and remove its folder."""
        self.stop()
        self._home.cleanup()

    @cached_property
    def pipeline(self) -> StampPipeline:
        """The model, once it is learned."""
        return StampPipeline.from_pretrained(self.folder, threads=self._threads)

    def archive(self) -> Path:
        """The folder of the model as a ZIP file, to take along."""
        made = shutil.make_archive(f"{self.folder}", "zip", self.folder.parent, self.folder.name)
        return Path(made)

    def _listen(self, here: Connection) -> None:
        """Take what the process tells, until it ends."""
        with here, suppress(EOFError, OSError):
            while True:
                if here.poll(1.0):
                    self._take(here.recv())
                elif monotonic() - self._asked > _FORGOTTEN:
                    self._process.terminate()
        self._process.join()
        if self.report is None and self.error is None:
            self.error = WorkerLost("the training was stopped before it was done")
        self._ended.set()

    def _take(self, told: tuple[Any, ...]) -> None:
        match told:
            case ("learned", str() as report):
                self.report = report
            case ("failed", str() as code, str() as message):
                self.error = class_of(code)(message)
            case (str() as stage, int() as done, int() as total):
                self._stage = (stage, done, max(1, total))


class Learning:
    """What of lessons a server allows: of a length, and one at a time.

    Args:
        most_minutes: Longest fine-tuning; 0 for no lessons at all.
        threads: CPU threads of what was learned, when it is used.
    """

    def __init__(self, most_minutes: float, threads: int = 1) -> None:
        self.most_minutes, self._threads = most_minutes, threads
        self._lock = threading.Lock()
        self._last: Lesson | None = None

    @property
    def allowed(self) -> bool:
        """Whether there are lessons."""
        return self.most_minutes > 0

    @property
    def fine_tunes(self) -> bool:
        """Whether what fine-tunes is installed."""
        return find_spec("torch") is not None

    def begin(self, pictures: Sequence[Path], minutes: float) -> Lesson:
        """Begin to teach a model to find what pictures show, one mark each.

        Args:
            pictures: Named as their marks; they are copied.
            minutes: Of fine-tuning; 0 for none.

        Raises:
            Forbidden: The server allows none, or none so long.
            Overloaded: One is going on.
        """
        if not self.allowed:
            raise Forbidden("this server does not learn; its setting learn_minutes allows it")
        if not 0 <= minutes <= self.most_minutes:
            raise Forbidden(
                f"this server fine-tunes for {self.most_minutes:g} minutes at most; choose less, "
                "or use platemark learn on a machine of your own"
            )
        with self._lock:
            if self._last is not None and self._last.running:
                raise Overloaded(
                    "another stamp is being learned, and this server learns one at a time; try "
                    "again in some minutes",
                    retry_after=60,
                )
            self._last = Lesson(pictures, minutes, COMPOSITES, self._threads)
            return self._last

    def close(self) -> None:
        """End what goes on."""
        if self._last is not None and self._last.running:
            self._last.stop()


def _copied(picture: Path, home: Path) -> Path:
    """A copy under the same name, in a folder of its own: two of one name are one mark."""
    return Path(shutil.copy(picture, mkdtemp(dir=home)))


def _teach(
    there: Connection, pictures: Sequence[Path], output: Path, minutes: float, composites: int
) -> None:
    """What the process does: learn, and tell how far it has come."""
    from platemark.train.learn import Lengths, learn
    from platemark.usecases.reference import read_reference

    with suppress(AttributeError, OSError):
        os.nice(_NICE)
    try:
        finder = StampPipeline.from_pretrained()
        references = [read_reference(finder, picture) for picture in pictures]
        learned = learn(
            references,
            output,
            lengths=Lengths(minutes, composites, composites),
            command=f"the web app, {minutes:g} minutes",
            report=lambda line: None,
            progress=lambda stage, done, total: there.send((stage, done, total)),
        )
        there.send(("learned", learned.to_json()))
    except PlatemarkError as error:
        there.send(("failed", error.code, error.message))
