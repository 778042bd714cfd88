"""Work off the event loop: a bounded number of requests share a few worker threads."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from math import ceil
from time import perf_counter
from typing import Any, TypeVar

from platemark.apps.figures import Figures
from platemark.errors import Overloaded

T = TypeVar("T")

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
        figures: Are told how much there is to do.
    """

    def __init__(self, workers: int, places: int, figures: Figures) -> None:
        self._workers, self._places, self._figures = workers, places, figures
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="platemark-worker")
        self._lock = threading.Lock()
        self._taken = 0
        self._mean_seconds = 0.05

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
            self._figures.refused.inc()
            raise Overloaded(
                f"{self._places} requests are being worked on or wait, as many as are taken on; "
                "try again later",
                retry_after=self._retry_after(),
            )
        self._figures.in_flight.inc()
        try:
            yield
        finally:
            self._figures.in_flight.dec()
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

    def _submit(self, work: Callable[[], T]) -> "Future[T]":
        self._figures.waiting.inc()
        future = self._pool.submit(self._done, work)
        # A piece that is cancelled while it waits never gets to `_done`.
        future.add_done_callback(self._dropped)
        return future

    def _dropped(self, future: "Future[Any]") -> None:
        if future.cancelled():
            self._figures.waiting.dec()

    def _done(self, work: Callable[[], T]) -> T:
        self._figures.waiting.dec()
        start = perf_counter()
        try:
            return work()
        finally:
            seconds = perf_counter() - start
            self._mean_seconds += _NEWEST * (seconds - self._mean_seconds)

    def close(self) -> None:
        """Finish what has begun, drop what waits."""
        self._pool.shutdown(wait=True, cancel_futures=True)
