"""Sets of synthetic images: made by several processes, written with their masks and manifest."""

import json
import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from threading import Thread
from typing import Any, Protocol

import cv2
import numpy as np

from platemark.datasets.manifest import SYNTHETIC
from platemark.imaging.image import Pixels, to_jpeg, to_png
from platemark.masks import BoolMask

CHUNK = 50
_PER_FOLDER = 1000
_JPEG_QUALITY = 95


@dataclass(frozen=True)
class Picture:
    """One made picture.

    Attributes:
        pixels: (H, W, 3) uint8 RGB, stored as JPEG, or (H, W) uint8 grey, stored as PNG.
        row: its line of the manifest, but for what the writer knows: name, size, source, split.
        masks: ink masks (H, W) of its stamps in the order of ``row["stamps"]``; empty for none.
    """

    pixels: Pixels
    row: dict[str, Any]
    masks: tuple[BoolMask, ...] = ()


class Order(Protocol):
    """What to make; it goes to every process, so it must pickle."""

    def open(self) -> Callable[[int], Picture]:
        """Load what all pictures need; returns what makes picture i, always the same for an i."""


def write_pictures(
    order: Order,
    output: Path,
    count: int,
    *,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Make pictures and write them; they are the same with any number of workers.

    Args:
        order: what to make.
        output: folder for ``images/``, ``masks/`` and ``annotations.jsonl``; made if missing.
        count: number of pictures.
        workers: processes; None for one per core.
        progress: called with (done, count).

    Returns:
        The manifest, in the package's annotation format.
    """
    output.mkdir(parents=True, exist_ok=True)
    chunks = [range(start, min(start + CHUNK, count)) for start in range(0, count, CHUNK)]
    manifest = output / "annotations.jsonl"
    done = 0
    with manifest.open("w", encoding="utf-8") as lines:
        for rows in _in_order(order, output, chunks, workers):
            lines.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            done += len(rows)
            if progress:
                progress(done, count)
    return manifest


def _in_order(
    order: Order, output: Path, chunks: list[range], workers: int | None
) -> Iterator[list[dict[str, Any]]]:
    if workers == 1 or len(chunks) == 1:
        cv2.setNumThreads(1)
        yield from map(partial(_make, order.open(), output), chunks)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _start_worker, (order,)) as pool:
        try:
            yield from pool.map(partial(_make_in_worker, output), chunks)
        finally:
            pool.shutdown(cancel_futures=True)


_order: Order


def _start_worker(order: Order) -> None:
    global _order
    _order = order
    cv2.setNumThreads(1)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process when the one that started it does, however that came about.

    A killed parent cannot tell its workers, which would generate all that is queued.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None, "called only in workers"
    parent.join()
    os._exit(1)


@cache
def _worker() -> Callable[[int], Picture]:
    """What makes pictures here: typefaces and photos are loaded once per process.

    They are loaded with the first chunk, whose errors reach the caller, unlike those of a start.
    """
    return _order.open()


def _make_in_worker(output: Path, indices: range) -> list[dict[str, Any]]:
    return _make(_worker(), output, indices)


def _make(make: Callable[[int], Picture], output: Path, indices: range) -> list[dict[str, Any]]:
    return [_write(make(index), output, index) for index in indices]


def _write(picture: Picture, output: Path, index: int) -> dict[str, Any]:
    """Store a picture and its masks; returns its line of the manifest."""
    place = f"{index // _PER_FOLDER:04d}/{index:07d}"
    pixels = picture.pixels
    grey = pixels.ndim == 2
    name = f"images/{place}.{'png' if grey else 'jpg'}"
    _save(output / name, to_png(pixels) if grey else to_jpeg(pixels, _JPEG_QUALITY))
    row = {
        "image": name,
        "source": SYNTHETIC,
        "width": pixels.shape[1],
        "height": pixels.shape[0],
        "split": "train",
        **picture.row,
    }
    for number, (stamp, mask) in enumerate(zip(row.get("stamps", ()), picture.masks, strict=False)):
        stamp["mask"] = f"masks/{place}-{number}.png"
        ink = np.where(mask, 255, 0).astype(np.uint8)
        _save(output / stamp["mask"], to_png(ink, bilevel=True))
    return row


def _save(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
