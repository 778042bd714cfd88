"""Work off the event loop: a bounded number of requests share a few worker threads."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from functools import partial
from math import ceil
from queue import Empty, SimpleQueue
from time import perf_counter
from typing import Any, TypeVar

from platemark.apps.metrics import Metrics
from platemark.errors import Overloaded

T = TypeVar("T")
_Piece = tuple["Future[Any]", Callable[[], Any]]

# Weight of the newest piece of work in the mean that Retry-After is reckoned from.
_NEWEST = 0.05
_LONGEST_RETRY = 60


class WorkQueue:
    """Runs pieces of work, one page each, first come first served; used by all threads.

    A request takes a place (`admit`) before its body is read, and keeps it until it is answered;
    within it, it has each of its pages done by `run` or `call`.

    Args:
        workers: Pieces done at a time.
        places: Requests taken on at a time.
        metrics: Are told how much there is to do.
    """

    def __init__(self, workers: int, places: int, metrics: Metrics) -> None:
        self._workers, self._places, self._metrics = workers, places, metrics
        self._lock = threading.Lock()
        self._taken = self._aside = 0
        self._mean_seconds = 0.05
        # Threads of our own, since none of the library's can be given a substitute.
        self._pieces: SimpleQueue[_Piece | None] = SimpleQueue()
        self._threads: set[threading.Thread] = set()
        self._closed = False
        with self._lock:
            for _ in range(workers):
                self._start_thread()

    @property
    def taken(self) -> int:
        """Requests taken on and not yet answered."""
        return self._taken

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Take a place for one request.

        Raises:
            Overloaded: There is none left.
        """
        with self._lock:
            full = self._taken >= self._places
            if not full:
                self._taken += 1
        if full:
            self._metrics.refused.inc()
            raise Overloaded(
                f"{self._places} requests are being worked on or wait, as many as are taken on; "
                "try again later",
                retry_after=self._retry_after(),
            )
        self._metrics.in_flight.inc()
        try:
            yield
        finally:
            self._metrics.in_flight.dec()
            with self._lock:
                self._taken -= 1

    def _retry_after(self) -> int:
        seconds = self._mean_seconds * self._places / self._workers
        return max(1, min(_LONGEST_RETRY, ceil(seconds)))

    def call(self, work: Callable[[], T]) -> T:
        """Have a piece of work done by a worker, from another thread, and wait for it."""
        return self._submit(work).result()

    async def run(self, work: Callable[[], T]) -> T:
        """Have a piece of work done by a worker, from the event loop.

        Work that has not begun when the caller is cancelled is not done.
        """
        return await asyncio.wrap_future(self._submit(work))

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Have another thread work in the place of this one, which is about to wait for others."""
        if threading.current_thread() not in self._threads:
            yield
            return
        with self._lock:
            self._aside += 1
            self._start_thread()
        try:
            yield
        finally:
            with self._lock:
                self._aside -= 1

    def _start_thread(self) -> None:
        thread = threading.Thread(target=self._serve, name="platemark-worker", daemon=True)
        self._threads.add(thread)
        thread.start()

    def _serve(self) -> None:
        """Do pieces until the end, or until there are enough threads without this one."""
        while self._do_next():
            with self._lock:
                if len(self._threads) - self._aside > self._workers:
                    self._threads.remove(threading.current_thread())
                    return

    def _do_next(self) -> bool:
        piece = self._pieces.get()
        if piece is None:
            self._pieces.put(None)  # for the other threads
            return False
        future, work = piece
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(work())
            except BaseException as error:
                future.set_exception(error)
            finally:
                del piece, future, work  # an error knows this frame: else they would stay with it
        return True

    def _submit(self, work: Callable[[], T]) -> "Future[T]":
        future: Future[T] = Future()
        # A piece that is cancelled while it waits never gets to `_done`.
        future.add_done_callback(self._dropped)
        with self._lock:
            if self._closed:
                raise RuntimeError("the queue is closed")
            self._metrics.waiting.inc()
            self._pieces.put((future, partial(self._done, work)))
        return future

    def _dropped(self, future: "Future[Any]") -> None:
        if future.cancelled():
            self._metrics.waiting.dec()

    def _done(self, work: Callable[[], T]) -> T:
        self._metrics.waiting.dec()
        start = perf_counter()
        try:
            return work()
        finally:
            seconds = perf_counter() - start
            self._mean_seconds += _NEWEST * (seconds - self._mean_seconds)

    def close(self) -> None:
        """Finish what has begun, drop what waits."""
        with self._lock:
            self._closed = True
            with suppress(Empty):
                while True:
                    if piece := self._pieces.get_nowait():
                        piece[0].cancel()
            self._pieces.put(None)
            threads = list(self._threads)
        for thread in threads:
            thread.join()
