"""Many pieces of work at a time: how many, and their results in order on bounded memory."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

ItemT = TypeVar("ItemT")
DoneT = TypeVar("DoneT")

# Items in hand or prefetched for each worker, so that a slow one does not hold up the others.
_PREFETCH = 4


def usable_cores() -> int:
    """CPU cores this process may use, which in a container can be fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def map_in_order(
    work: Callable[[ItemT], DoneT], items: Iterable[ItemT], workers: int
) -> Generator[DoneT, None, None]:
    """Do items in threads and give the results in the order of the items, each as soon as can be.

    Items are taken by the thread that asks for results, a few for each worker before the result
    it is given, however many there are. When it asks no more, what has begun is finished, and what
    waits is dropped.

    Args:
        work: Does one item; an error that it raises is raised in the place of the result.
        items: What is to be done.
        workers: Threads; with one there is none but the caller's, and nothing is prefetched.

    Raises:
        ValueError: ``workers`` is below 1.
    """
    if workers < 1:
        raise ValueError(f"workers is at least 1, got {workers}")
    return _in_order(work, items, workers)


def _in_order(
    work: Callable[[ItemT], DoneT], items: Iterable[ItemT], workers: int
) -> Generator[DoneT, None, None]:
    if workers == 1:
        yield from map(work, items)
        return
    pool = ThreadPoolExecutor(workers, "platemark-worker")
    pending: deque[Future[DoneT]] = deque()
    try:
        for item in items:
            pending.append(pool.submit(work, item))
            while pending and (pending[0].done() or len(pending) >= _PREFETCH * workers):
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
