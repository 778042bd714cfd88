"""How long every stage takes on this machine, on how much memory."""

import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise, product
from pathlib import Path
from statistics import mean, median
from typing import Any

import cv2

from platemark.errors import InputError
from platemark.imaging.image import Image
from platemark.models.store import BUNDLED, ModelName
from platemark.pipeline import Pipeline
from platemark.plates.pipeline import PlatePipeline, crops_for
from platemark.stamps.appearance import describe_ink
from platemark.stamps.pipeline import StampPipeline

STAGES = {
    "plate": ("decode", "detect", "rectify", "read"),
    "stamp": ("decode", "detect", "verify", "segment", "describe", "embed"),
}
THREADS = (1, 2)

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class StageTime:
    """Milliseconds per photo of one stage, over all photos and rounds."""

    mean: float
    median: float


@dataclass(frozen=True)
class BenchReport:
    """What was measured, and on what.

    Attributes:
        machine: Processor architecture, system and Python.
        cores: CPU cores the system reports.
        kind: The marks that were looked for.
        photos: Number of different photos or pages.
        megapixels: Mean size of a photo.
        marks: Marks found in all of them.
        rounds: How often every photo was done.
        stages: Time of every stage per photo by number of threads.
        photos_per_second: From file to result, one after another, by number of threads.
        peak_memory_mb: Most memory the process ever held, in 10^6 bytes; None where the system
            does not tell.
    """

    machine: str
    cores: int
    kind: str
    photos: int
    megapixels: float
    marks: int
    rounds: int
    stages: dict[int, dict[str, StageTime]]
    photos_per_second: dict[int, float]
    peak_memory_mb: float | None

    def to_dict(self) -> dict[str, object]:
        """Return the JSON object."""
        return asdict(self)


def bundled_photos(kind: str = "plate") -> list[Path]:
    """Photos with marks of a kind that come with the models."""
    return sorted(BUNDLED.glob(f"{kind}-detector/sample.*g"))


def bench(
    photos: Sequence[Path],
    model: ModelName = None,
    *,
    kind: str = "plate",
    rounds: int = 5,
    progress: Progress | None = None,
) -> BenchReport:
    """Time every stage, see `STAGES`, and the whole.

    Args:
        photos: Photos or pages to time.
        model: As for the `from_pretrained` of the pipeline.
        kind: ``plate`` or ``stamp``.
        rounds: How often every photo is done; one more round warms up.
        progress: Called with (numbers of threads done, numbers of threads in all).

    Raises:
        InputError: There are no photos, or one cannot be read.
        ModelError: The models cannot be used.
    """
    if not photos:
        raise InputError("there are no photos to time; name some, or a folder of them")
    images = [Image.read(photo) for photo in photos]
    stages: dict[int, dict[str, StageTime]] = {}
    speeds: dict[int, float] = {}
    marks = 0
    for step, threads in enumerate(THREADS):
        cv2.setNumThreads(threads)
        pipeline = _PIPELINES[kind].from_pretrained(model, threads=threads)
        marks = sum(len(pipeline(image).marks) for image in images)
        stages[threads] = _stages(pipeline, photos, rounds)
        speeds[threads] = _photos_per_second(pipeline, photos, rounds)
        if progress:
            progress(step + 1, len(THREADS))
    return BenchReport(
        machine=f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}",
        cores=os.cpu_count() or 1,
        kind=kind,
        photos=len(photos),
        megapixels=mean(image.width * image.height for image in images) / 1e6,
        marks=marks,
        rounds=rounds,
        stages=stages,
        photos_per_second=speeds,
        peak_memory_mb=_peak_memory_mb(),
    )


_PIPELINES: dict[str, type[PlatePipeline] | type[StampPipeline]] = {
    "plate": PlatePipeline,
    "stamp": StampPipeline,
}


def _stages(
    pipeline: PlatePipeline | StampPipeline, photos: Sequence[Path], rounds: int
) -> dict[str, StageTime]:
    clocks = [_clock(pipeline, photo) for _, photo in product(range(rounds), photos)]
    times = [[1e3 * (b - a) for a, b in pairwise(clock)] for clock in clocks]
    names = STAGES["plate" if isinstance(pipeline, PlatePipeline) else "stamp"]
    columns = zip(names, zip(*times, strict=True), strict=True)
    return {name: StageTime(mean(values), median(values)) for name, values in columns}


def _clock(pipeline: PlatePipeline | StampPipeline, photo: Path) -> list[float]:
    """When each stage on one photo began, in seconds, and when the last ended."""
    clock = [time.perf_counter()]
    image = Image.read(photo)
    clock.append(time.perf_counter())
    detections = pipeline.detector(image)
    clock.append(time.perf_counter())
    if isinstance(pipeline, PlatePipeline):
        crops = crops_for(pipeline.reader, image.pixels, [found.quad for found in detections])
        clock.append(time.perf_counter())
        pipeline.reader(crops)
    else:
        if pipeline.verifier is not None:
            detections = pipeline.verifier(image, detections)
        clock.append(time.perf_counter())
        masks = pipeline.segmenter(image, [found.box for found in detections])
        clock.append(time.perf_counter())
        for mask in masks:
            describe_ink(image.pixels, mask)
        clock.append(time.perf_counter())
        pipeline.embedder(masks)
    clock.append(time.perf_counter())
    return clock


def _photos_per_second(pipeline: Pipeline[Any], photos: Sequence[Path], rounds: int) -> float:
    started = time.perf_counter()
    for _, photo in product(range(rounds), photos):
        pipeline(photo)
    return rounds * len(photos) / (time.perf_counter() - started)


def _peak_memory_mb() -> float | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
