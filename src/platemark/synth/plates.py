"""``platemark synth plates``: annotated scenes and crops in a folder with their manifest."""

import json
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from platemark.imaging.image import Pixels
from platemark.plates.formats import load_formats
from platemark.synth.studio import PlateLabel, PlateStudio

PictureKind = Literal["scenes", "crops"]
_PER_FOLDER = 1000
_CHUNK = 50
_JPEG_QUALITY = 95


@dataclass(frozen=True)
class _Order:
    """What a worker process needs to make any picture of the set on its own."""

    output: Path
    seed: int
    kind: PictureKind
    fonts: Path | None
    backgrounds: Path | None
    over: Path | None
    regions: tuple[str, ...]


def generate(
    output: Path,
    count: int,
    seed: int,
    *,
    kind: PictureKind = "scenes",
    fonts: Path | None = None,
    backgrounds: Path | None = None,
    over: Path | None = None,
    regions: Sequence[str] = (),
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Make annotated pictures; a seed gives the same pictures with any number of workers.

    Args:
        output: folder for the pictures (``images/``) and ``annotations.jsonl``; made if missing.
        count: number of pictures.
        seed: picks every random choice; picture i depends on (seed, i) alone.
        kind: ``scenes`` (any number of plates, for the detector) or ``crops`` (one plate close up,
            for the reader).
        fonts: folder of fonts searched before the bundled ones.
        backgrounds: folder of photos without plates.
        over: manifest of real photos; part of the scenes paint new plates over the annotated ones
            (of its train split alone).
        regions: codes of the plate formats to draw; none for all.
        workers: processes; None for one per core.
        progress: called with (done, count).

    Returns:
        The manifest, in the package's annotation format.

    Raises:
        ValueError: There is no plate format of a code in ``regions``.
        DatasetError: A font, photo or manifest cannot be used; the message names it.
    """
    if unknown := set(regions) - set(load_formats()):
        raise ValueError(
            f"no plate format has the code {', '.join(sorted(unknown))}; "
            f"there are: {', '.join(load_formats())}"
        )
    (output / "images").mkdir(parents=True, exist_ok=True)
    order = _Order(output, seed, kind, fonts, backgrounds, over, tuple(regions))
    chunks = [range(start, min(start + _CHUNK, count)) for start in range(0, count, _CHUNK)]
    manifest = output / "annotations.jsonl"
    done = 0
    with manifest.open("w", encoding="utf-8") as lines:
        for rows in _in_order(order, chunks, workers):
            lines.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            done += len(rows)
            if progress:
                progress(done, count)
    return manifest


def _in_order(
    order: _Order, chunks: list[range], workers: int | None
) -> Iterator[list[dict[str, Any]]]:
    if workers == 1 or len(chunks) == 1:
        _start(order)
        yield from map(_make_chunk, chunks)
        return
    context = multiprocessing.get_context("spawn")
    with context.Pool(workers, initializer=_start, initargs=(order,)) as pool:
        yield from pool.imap(_make_chunk, chunks)


_worker: tuple[_Order, PlateStudio]


def _start(order: _Order) -> None:
    global _worker  # one studio per process: typefaces and photos are loaded once
    cv2.setNumThreads(1)
    formats = [load_formats()[code] for code in order.regions] or None
    _worker = order, PlateStudio(order.fonts, order.backgrounds, formats, order.over)


def _make_chunk(indices: range) -> list[dict[str, Any]]:
    return [_make(index) for index in indices]


def _make(index: int) -> dict[str, Any]:
    order, studio = _worker
    rng = np.random.default_rng((order.seed, index))
    labels: list[PlateLabel]
    if order.kind == "crops":
        picture, label = studio.crop(rng)
        labels = [label]
    else:
        picture, labels = studio.scene(rng)
    name = f"images/{index // _PER_FOLDER:04d}/{index:07d}.jpg"
    _save(order.output / name, picture)
    return {
        "image": name,
        "source": "platemark synth",
        "width": picture.shape[1],
        "height": picture.shape[0],
        "plates": [_plate_row(label) for label in labels],
        "kind": "crop" if order.kind == "crops" else "scene",
        "split": "train",
    }


def _plate_row(label: PlateLabel) -> dict[str, Any]:
    return {
        "box": [round(value, 2) for value in label.box],
        "quad": None if label.quad is None else np.round(label.quad, 2).tolist(),
        "text": label.text,
        "region": label.region,
        "lines": label.rows,
    }


def _save(path: Path, picture: Pixels) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    path.write_bytes(cv2.imencode(".jpg", picture[..., ::-1], options)[1].tobytes())
