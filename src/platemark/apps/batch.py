"""A batch in processes of this machine: a page at a time each, a new one for one that dies."""

import signal
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from platemark.client.webhook import Outbox
from platemark.errors import WorkerLost
from platemark.imaging.sources import PageRead
from platemark.pipeline import Pipeline
from platemark.types import Result
from platemark.usecases.batch import Batch, Begun, Ended, Part, Reached, Told

# Not forked: the networks of this process have threads and locks, which a fork would break.
_CONTEXT = get_context("spawn")
# For a worker that is to end to finish the page it has in hand.
_PATIENCE_S = 60.0
# This many ends of workers in a row that no page is to blame for are too many.
_MOST_DEATHS = 3


@dataclass
class Tally:
    """How far a run has come.

    Attributes:
        inputs: Inputs that are done, in earlier runs too.
        pages: Pages that this run did.
        failed: Those of them that could not be processed.
    """

    inputs: int = 0
    pages: int = 0
    failed: int = 0


def run_local(
    batch: Batch,
    pipeline: Pipeline[Any],
    workers: int,
    *,
    progress: Callable[[Tally], None],
    report: Callable[[str], None],
    outbox: Outbox | None = None,
) -> Tally:
    """Do what is left of a batch.

    A page during which a worker dies is done once more, by another; if that dies too, the page has
    an error of its own and the rest is gone on with.

    Args:
        batch: What to do; no other run may be at it.
        pipeline: Is pickled for the workers.
        workers: Processes.
        progress: Is told how far the run is.
        report: Is told what was wrong with a page.
        outbox: Gets the results too, for a webhook; those of a page that was begun before a kill
            may be put there twice, with one id.

    Returns:
        What was done.

    Raises:
        WorkerLost: Workers die before they begin.
        OSError: The folder cannot be written.
    """
    with batch.alone(), ExitStack() as stack:
        return _Run(batch, pipeline, progress, report, outbox, stack).do(workers)


@dataclass(eq=False)
class _Worker:
    """A process, what it has in hand and what it has told of that.

    Attributes:
        process: The process.
        pipe: Takes parts there, and brings back what was told.
        part: What it has in hand.
        begun: The page it has in hand.
        reached: Inputs of the part that are done.
        told: Whether it has begun anything.
    """

    process: BaseProcess
    pipe: "Connection[Part | None, Told | None]"
    part: Part | None = None
    begun: Begun | None = None
    reached: int = 0
    told: bool = False

    def give(self, part: Part | None) -> None:
        """Have it do a part; None for no more."""
        self.part, self.begun, self.reached = part, None, 0
        with suppress(OSError):  # it is dead, which its end of the pipe says too
            self.pipe.send(part)

    def close(self) -> None:
        """Let it finish the page it has in hand, and end."""
        self.pipe.close()
        self.process.join(_PATIENCE_S)
        if self.process.exitcode is None:
            self.process.kill()
        self.process.join()


class _Run:
    def __init__(
        self,
        batch: Batch,
        pipeline: Pipeline[Any],
        progress: Callable[[Tally], None],
        report: Callable[[str], None],
        outbox: Outbox | None,
        stack: ExitStack,
    ) -> None:
        self._batch, self._pipeline, self._outbox = batch, pipeline, outbox
        self._progress, self._report, self._stack = progress, report, stack
        self._tally = Tally()
        self._again: deque[Part] = deque()
        self._deaths: Counter[tuple[int, Begun | None]] = Counter()
        self._stillborn = 0

    def do(self, workers: int) -> Tally:
        left = self._left()
        busy: list[_Worker] = []
        while True:
            while len(busy) < workers and (part := self._next(left)):
                busy.append(worker := self._start())
                worker.give(part)
            if not busy:
                return self._tally
            ready = wait([worker.pipe for worker in busy])
            for worker in [worker for worker in busy if worker.pipe in ready]:
                if not self._hear(worker):
                    busy.remove(worker)
                    worker.close()
                    self._mourn(worker)
                elif worker.part is None:
                    worker.give(part := self._next(left))
                    if part is None:
                        busy.remove(worker)
            self._progress(self._tally)

    def _left(self) -> Iterator[Part]:
        for part in self._batch.parts():
            if self._batch.is_done(part):
                self._tally.inputs += len(part.inputs)
            else:
                yield part

    def _next(self, left: Iterator[Part]) -> Part | None:
        return self._again.popleft() if self._again else next(left, None)

    def _start(self) -> _Worker:
        pipe, end = _CONTEXT.Pipe()
        process = _CONTEXT.Process(
            target=_work, args=(self._batch, self._pipeline, self._outbox, end), daemon=True
        )
        process.start()
        end.close()  # so that the pipe ends with the process
        worker = _Worker(process, pipe)
        self._stack.callback(worker.close)
        return worker

    def _hear(self, worker: _Worker) -> bool:
        """Take what a worker tells; whether it is alive."""
        try:
            told = worker.pipe.recv()
        except (EOFError, OSError):
            return False
        worker.told = True
        match told:
            case Begun():
                worker.begun = told
            case Ended(error):
                worker.begun = None
                self._tally.pages += 1
                self._fail(error)
            case Reached(inputs):
                self._tally.inputs += inputs - worker.reached
                worker.reached = inputs
            case None:
                worker.part = None
        return True

    def _mourn(self, worker: _Worker) -> None:
        """Have the part of a worker that died done by another one."""
        how = _ending(worker.process.exitcode)
        self._stillborn = 0 if worker.told else self._stillborn + 1
        if worker.part is None:
            return
        self._again.append(worker.part)
        self._tally.inputs -= worker.reached
        place = worker.part.number, worker.begun
        self._deaths[place] += worker.told
        if max(self._stillborn, self._deaths[worker.part.number, None]) >= _MOST_DEATHS:
            raise WorkerLost(f"workers end with {how}, whatever they do; see what they said above")
        if worker.begun is not None and self._deaths[place] > 1:
            self._tally.pages += 1
            lost = self._batch.blame(worker.part, worker.begun, how)
            post(self._outbox, self._batch, lost)
            self._fail(lost.error.message if lost.error else None)

    def _fail(self, error: str | None) -> None:
        if error is not None:
            self._tally.failed += 1
            self._report(error)


def _ending(status: int | None) -> str:
    if status is not None and status < 0:
        with suppress(ValueError):
            return f"signal {signal.Signals(-status).name}"
    return f"exit status {status}"


def post(outbox: Outbox | None, batch: Batch, result: Result) -> None:
    """Have a webhook, where there is one, get the row of a page."""
    if outbox is not None:
        key = f"{batch.folder.resolve()}\n{result.source}\n{result.page}"
        outbox.put("result", result.to_dict(embedding=batch.layout.embedding), key)


def processing(
    batch: Batch, pipeline: Pipeline[Any], outbox: Outbox | None
) -> Callable[[PageRead], Result]:
    """What does a page in a process that does nothing else."""
    import cv2

    warnings.filterwarnings("ignore", module="PIL")
    cv2.setNumThreads(1)

    def process(read: PageRead) -> Result:
        result = pipeline.result(read())
        post(outbox, batch, result)
        return result

    return process


def _work(
    batch: Batch,
    pipeline: Pipeline[Any],
    outbox: Outbox | None,
    pipe: "Connection[Told | None, Part | None]",
) -> None:
    """Do parts until there are no more, or the parent process is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's to decide
    process = processing(batch, pipeline, outbox)
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while (part := pipe.recv()) is not None:
            batch.do(part, process, pipe.send)
            pipe.send(None)
