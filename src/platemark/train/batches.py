"""Batches made while the one before is in use: by a thread, or by processes that share the data."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import cv2
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

Batch = tuple[Tensor, ...]


def prefetch(make: Callable[[int], Batch], start: int, workers: int = 0) -> Iterator[Batch]:
    """Yield batches ``start``, ``start + 1`` and so on, each made while the one before is in use.

    Args:
        make: makes the batch of a number.
        start: the first number.
        workers: processes to make them in; 0 for a thread of this one.
    """
    if workers:
        # Forked, so that pictures in memory are shared, not copied.
        yield from DataLoader(
            _Numbered(make),
            batch_size=None,
            sampler=count(start),
            num_workers=workers,
            worker_init_fn=_begin,
            multiprocessing_context="fork",
        )
        return
    with ThreadPoolExecutor(1) as threads:
        step = start
        waiting = threads.submit(make, step)
        while True:
            step += 1
            ready, waiting = waiting.result(), threads.submit(make, step)
            yield ready


class _Numbered(Dataset[Batch]):
    """Batches by their numbers."""

    def __init__(self, make: Callable[[int], Batch]) -> None:
        self._make = make

    def __getitem__(self, step: int) -> Batch:
        return self._make(step)


def _begin(_worker: int) -> None:
    """OpenCV's threads do not survive a fork; there are processes enough."""
    cv2.setNumThreads(0)
