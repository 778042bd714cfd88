"""How long every stage takes on this machine, how much it does in a second, on how much memory."""

import os
import platform
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from pathlib import Path
from statistics import mean, median
from typing import Any

import cv2

from platemark.apps.timed import Timed
from platemark.errors import InputError
from platemark.imaging.image import Image
from platemark.models.store import BUNDLED, ModelName
from platemark.pipeline import Pipeline
from platemark.plates.pipeline import PlatePipeline
from platemark.stamps.pipeline import StampPipeline

# The stages between decoding and the rest, by the parts of a pipeline that do them.
_STAGES = {
    "detector": "detect",
    "verifier": "verify",
    "segmenter": "segment",
    "embedder": "embed",
    "classifier": "classify",
    "reader": "read",
}
_PIPELINES: dict[str, type[PlatePipeline] | type[StampPipeline]] = {
    "plate": PlatePipeline,
    "stamp": StampPipeline,
}
_STARTS = 2

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
        cores: CPU cores the process may use.
        kind: The marks that were detected.
        photos: Number of different photos or pages.
        megapixels: Mean size of a photo.
        marks: Marks found in all of them.
        rounds: How often every photo was done.
        stages: Time of every stage of one photo at a time, the last of all that is no other.
        photos_per_second: From file to result, by number of workers.
        start_seconds: From the start of the command to its end, for one photo; the least of two.
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
    stages: dict[str, StageTime]
    photos_per_second: dict[str, float]
    start_seconds: float
    peak_memory_mb: float | None

    def to_dict(self) -> dict[str, Any]:
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
    workers: int = 1,
    progress: Progress | None = None,
) -> BenchReport:
    """Time every stage, the whole with every number of workers, and the start of the command.

    Args:
        photos: Photos or pages to time.
        model: As for the `from_pretrained` of the pipeline.
        kind: ``plate`` or ``stamp``.
        rounds: How often every photo is done; one more round warms up.
        workers: Pictures worked on at a time at most.
        progress: Called with (steps done, steps in all).

    Raises:
        InputError: There are no photos, or one cannot be read.
        ModelError: The models cannot be used.
    """
    if not photos:
        raise InputError("there are no photos to time; name some, or a folder of them")
    cv2.setNumThreads(1)
    pipeline = _PIPELINES[kind].from_pretrained(model)
    sizes, marks = [], 0
    for photo in photos:
        image = Image.read(photo)
        sizes.append(image.width * image.height)
        marks += len(pipeline(image))
    steps = workers + 2
    tell = progress or _silent
    stages = _stages(pipeline, photos, rounds)
    tell(1, steps)
    speeds = {}
    for count in range(1, workers + 1):
        speeds[str(count)] = _photos_per_second(pipeline, photos, rounds, count)
        tell(1 + count, steps)
    start = _start_seconds(photos[0], model, kind)
    tell(steps, steps)
    return BenchReport(
        machine=f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}",
        cores=os.cpu_count() or 1,
        kind=kind,
        photos=len(photos),
        megapixels=mean(sizes) / 1e6,
        marks=marks,
        rounds=rounds,
        stages=stages,
        photos_per_second=speeds,
        start_seconds=start,
        peak_memory_mb=_peak_memory_mb(),
    )


def ratios(now: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, float]:
    """How the values of a report compare with those of an earlier one, by name.

    Args:
        now: `BenchReport.to_dict`.
        before: The same of an earlier run, from its JSON.

    Returns:
        Each value that both have, divided by what it was: below 1, a time or the memory is less.

    Raises:
        InputError: The reports are not of the same kind and photos, or ``before`` is none.
    """
    try:
        for key in ("kind", "photos", "megapixels"):
            if now[key] != before[key]:
                raise InputError(
                    f"the reports cannot be compared: {key} is {now[key]}, it was {before[key]}"
                )
        values, earlier = _values(now), _values(before)
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(
            "the report to compare with is none of platemark bench --format json"
        ) from error
    return {name: values[name] / earlier[name] for name in values if earlier.get(name)}


def _values(report: Mapping[str, Any]) -> dict[str, float]:
    stages = {f"{name} ms": stage["mean"] for name, stage in report["stages"].items()}
    speeds = {
        f"photos per second, {count} at a time": speed
        for count, speed in report["photos_per_second"].items()
    }
    others = {"start s": report["start_seconds"], "memory MB": report["peak_memory_mb"]}
    found = {**stages, **speeds, **others}
    return {name: float(value) for name, value in found.items() if value is not None}


def _silent(done: int, total: int) -> None:
    pass


class _Clock:
    """Adds up what each stage takes."""

    def __init__(self) -> None:
        self.spent: defaultdict[str, float] = defaultdict(float)

    @contextmanager
    def time(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.spent[stage] += 1e3 * (time.perf_counter() - start)


def _stages(
    pipeline: PlatePipeline | StampPipeline, photos: Sequence[Path], rounds: int
) -> dict[str, StageTime]:
    clock = _Clock()
    there = [part for part in _STAGES if getattr(pipeline, part, None) is not None]
    timed = pipeline.with_parts(
        **{
            part: Timed(getattr(pipeline, part), partial(clock.time, _STAGES[part]))
            for part in there
        }
    )
    names = ["decode", *(_STAGES[part] for part in there)]
    times: dict[str, list[float]] = {name: [] for name in (*names, "rest")}
    for _, photo in product(range(rounds), photos):
        clock.spent.clear()
        with clock.time("whole"):
            with clock.time("decode"):
                image = Image.read(photo)
            timed(image)
        for name in names:
            times[name].append(clock.spent[name])
        times["rest"].append(clock.spent["whole"] - sum(clock.spent[name] for name in names))
    return {name: StageTime(mean(values), median(values)) for name, values in times.items()}


def _photos_per_second(
    pipeline: Pipeline[Any], photos: Sequence[Path], rounds: int, workers: int
) -> float:
    started = time.perf_counter()
    results = pipeline.stream([*photos] * rounds, workers=workers)
    return sum(1 for _ in results) / (time.perf_counter() - started)


def _start_seconds(photo: Path, model: ModelName, kind: str) -> float:
    words = [sys.executable, "-m", "platemark", f"{kind}s", str(photo), "--quiet"]
    if model is not None:
        words += ["--model", str(model)]
    times = []
    for _ in range(_STARTS):
        started = time.perf_counter()
        subprocess.run(words, stdout=subprocess.DEVNULL, check=True)
        times.append(time.perf_counter() - started)
    return min(times)


def _peak_memory_mb() -> float | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
