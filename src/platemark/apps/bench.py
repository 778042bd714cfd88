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

import cv2

from platemark.errors import InputError
from platemark.imaging.draw import rectify
from platemark.imaging.image import Image
from platemark.models.store import BUNDLED, ModelName
from platemark.plates.pipeline import PlatePipeline

STAGES = ("decode", "detect", "rectify", "read")
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
        photos: Number of different photos.
        megapixels: Mean size of a photo.
        plates: Plates found in all of them.
        rounds: How often every photo was done.
        stages: Time of every stage per photo by number of threads.
        photos_per_second: From file to result, one after another, by number of threads.
        peak_memory_mb: Most memory the process ever held, in 10^6 bytes; None where the system
            does not tell.
    """

    machine: str
    cores: int
    photos: int
    megapixels: float
    plates: int
    rounds: int
    stages: dict[int, dict[str, StageTime]]
    photos_per_second: dict[int, float]
    peak_memory_mb: float | None

    def to_dict(self) -> dict[str, object]:
        """Return the JSON object."""
        return asdict(self)


def bundled_photos() -> list[Path]:
    """Photos that come with the models."""
    return sorted(BUNDLED.glob("plate-detector/sample.*g"))


def bench_plates(
    photos: Sequence[Path],
    model: ModelName = None,
    *,
    rounds: int = 5,
    progress: Progress | None = None,
) -> BenchReport:
    """Time decoding, detection, rectification and reading, and the whole.

    Args:
        photos: Photos to time.
        model: As for `PlatePipeline.from_pretrained`.
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
    plates = 0
    for step, threads in enumerate(THREADS):
        cv2.setNumThreads(threads)
        pipeline = PlatePipeline.from_pretrained(model, threads=threads)
        plates = sum(len(pipeline(image).marks) for image in images)
        stages[threads] = _stages(pipeline, photos, rounds)
        speeds[threads] = _photos_per_second(pipeline, photos, rounds)
        if progress:
            progress(step + 1, len(THREADS))
    return BenchReport(
        machine=f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}",
        cores=os.cpu_count() or 1,
        photos=len(photos),
        megapixels=mean(image.width * image.height for image in images) / 1e6,
        plates=plates,
        rounds=rounds,
        stages=stages,
        photos_per_second=speeds,
        peak_memory_mb=_peak_memory_mb(),
    )


def _stages(pipeline: PlatePipeline, photos: Sequence[Path], rounds: int) -> dict[str, StageTime]:
    times = [_stage_times(pipeline, photo) for _, photo in product(range(rounds), photos)]
    columns = zip(STAGES, zip(*times, strict=True), strict=True)
    return {name: StageTime(mean(values), median(values)) for name, values in columns}


def _stage_times(pipeline: PlatePipeline, photo: Path) -> tuple[float, float, float, float]:
    """Milliseconds of every stage on one photo, in the order of `STAGES`."""
    clock = [time.perf_counter()]
    image = Image.read(photo)
    clock.append(time.perf_counter())
    detections = pipeline.detector(image)
    clock.append(time.perf_counter())
    reader = pipeline.reader
    crops = [
        rectify(image.pixels, found.quad, reader.crop_size, reader.margin) for found in detections
    ]
    clock.append(time.perf_counter())
    reader(crops)
    clock.append(time.perf_counter())
    decoding, detecting, rectifying, reading = (1e3 * (b - a) for a, b in pairwise(clock))
    return decoding, detecting, rectifying, reading


def _photos_per_second(pipeline: PlatePipeline, photos: Sequence[Path], rounds: int) -> float:
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
