"""From manifests to a packaged model: data, network, schedule and export that belong together."""

import csv
import hashlib
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from platemark.errors import DatasetError, SettingsError
from platemark.models.card import ModelCard
from platemark.tasks import scripts
from platemark.tasks.detector import Detector
from platemark.tasks.segmenter import Segmenter
from platemark.train.comparer import ComparerTask
from platemark.train.detector import DetectorTask
from platemark.train.embedder import EmbedderTask
from platemark.train.export import (
    export_classifier,
    export_comparer,
    export_detector,
    export_embedder,
    export_reader,
    export_segmenter,
    export_strip_reader,
    export_verifier,
)
from platemark.train.loop import Schedule, Task, fit
from platemark.train.nets.classifier import ClassifierNet
from platemark.train.nets.comparer import ComparerNet
from platemark.train.nets.detector import DetectorNet
from platemark.train.nets.embedder import EmbedderNet
from platemark.train.nets.lcnet import PRETRAINED_READER, LcnetReaderNet
from platemark.train.nets.reader import ReaderNet
from platemark.train.nets.segmenter import SegmenterNet
from platemark.train.nets.verifier import PRETRAINED, VerifierNet
from platemark.train.plate_classifier import LINES, ClassifierTask, region_codes
from platemark.train.pretrained import start_from
from platemark.train.reader import ALPHABET, ReaderTask
from platemark.train.segmenter import SegmenterTask
from platemark.train.stamp_reader import StampReaderTask
from platemark.train.verifier import VerifierTask
from platemark.types import ORIENTATIONS


@dataclass(frozen=True)
class Recipe:
    """Everything that makes one kind of model.

    Attributes:
        load: manifests to data and loss.
        network: fresh weights.
        export: trained weights and training facts to a model folder.
        schedule: the defaults, of which callers change length, seed and batch.
        from_ink: whether it learns from the ink that a ``segmenter`` finds, which ``load`` takes.
        from_candidates: whether it learns from what a ``detector`` proposes, which ``load`` takes.
        pretrained: what a fresh network has learned before, as the card states it.
        sets_text: whether it learns from text that is set in ``fonts``, which ``load`` takes.
    """

    load: Callable[..., Task]
    network: Callable[[], nn.Module]
    export: Callable[[nn.Module, Path, Mapping[str, Any]], ModelCard]
    schedule: Schedule
    from_ink: bool = False
    from_candidates: bool = False
    pretrained: str = ""
    sets_text: bool = False


RECIPES: dict[tuple[str, str], Recipe] = {
    ("plate", "detector"): Recipe(
        DetectorTask,
        DetectorNet,
        export_detector,
        Schedule(batch=24, rate=2e-3, warmup=200, minutes=95),
    ),
    ("plate", "reader"): Recipe(
        ReaderTask,
        lambda: ReaderNet(len(ALPHABET) + 1),
        export_reader,
        Schedule(batch=128, rate=2e-3, minutes=110),
    ),
    ("plate", "classifier"): Recipe(
        ClassifierTask,
        lambda: ClassifierNet(len(region_codes()), len(LINES), len(ORIENTATIONS)),
        export_classifier,
        Schedule(batch=64, rate=2e-3, warmup=200, minutes=60),
    ),
    ("stamp", "detector"): Recipe(
        partial(DetectorTask, sides=(416, 640), real_share=0.5, kind="stamp"),
        partial(DetectorNet, surroundings=True, deeper=(3, 3, 1)),
        partial(export_detector, kind="stamp"),
        Schedule(batch=10, rate=2e-3, warmup=200, minutes=95),
    ),
    ("stamp", "reader"): Recipe(
        StampReaderTask,
        partial(LcnetReaderNet, scripts.ALPHABET, pretrained=True),
        export_strip_reader,
        Schedule(batch=32, rate=6e-4, warmup=150, minutes=120, checkpoint_minutes=5),
        pretrained=PRETRAINED_READER,
        sets_text=True,
    ),
    ("stamp", "verifier"): Recipe(
        VerifierTask,
        partial(VerifierNet, pretrained=True),
        export_verifier,
        Schedule(batch=32, rate=1e-3, warmup=40, minutes=10),
        from_candidates=True,
        pretrained=PRETRAINED,
    ),
    ("stamp", "segmenter"): Recipe(
        SegmenterTask,
        SegmenterNet,
        export_segmenter,
        Schedule(batch=16, rate=3e-3, warmup=200, minutes=60),
    ),
    ("stamp", "embedder"): Recipe(
        EmbedderTask,
        EmbedderNet,
        export_embedder,
        Schedule(batch=96, rate=2e-3, warmup=200, minutes=120),
        from_ink=True,
    ),
    ("stamp", "comparer"): Recipe(
        ComparerTask,
        ComparerNet,
        export_comparer,
        Schedule(batch=48, rate=1e-3, warmup=200, minutes=90, checkpoint_minutes=8),
        from_ink=True,
    ),
}
"""What can be trained, by kind of mark and task."""


def train(
    kind: str,
    task: str,
    data: Sequence[Path],
    output: Path,
    *,
    minutes: float | None = None,
    epochs: float | None = None,
    resume: bool = False,
    start: Path | None = None,
    segmenter: Path | None = None,
    detector: Path | None = None,
    fonts: Path | None = None,
    device: str = "cpu",
    seed: int = 0,
    batch: int | None = None,
    rate: float | None = None,
    threads: int | None = None,
    workers: int = 0,
    command: str = "",
    report: Callable[[str], None] = print,
) -> ModelCard:
    """Train a model; write ``model.onnx`` and ``card.json`` beside its checkpoint, log and curve.

    Args:
        kind: ``plate`` or ``stamp``.
        task: ``detector`` and ``reader`` for both, ``classifier`` for plates, ``verifier``,
            ``segmenter``, ``embedder`` and ``comparer`` for stamps.
        data: manifests; only their train splits are used. One listed twice has twice the weight.
        output: folder of the run.
        minutes: length by the clock; the recipe's own when neither this nor ``epochs`` is given.
        epochs: length in passes over the data; such a run is reproducible from its seed.
        resume: go on from the checkpoint in ``output``.
        start: weights to begin with: the folder of an earlier run of a like network, a model
            folder, an ``.onnx`` with its card, or the name of a bundled model.
        segmenter: finds the ink that embedder and comparer learn from: a model folder, an ``.onnx``
            with its card, or the name of a bundled model; the bundled one by default.
        detector: proposes the candidates that the verifier learns from: as ``segmenter``.
        fonts: typefaces beside the bundled ones, for what learns from text that it sets.
        device: ``cpu`` or ``cuda``.
        seed: of weights, order and augmentation.
        batch: pictures per step, the recipe's own by default.
        rate: peak learning rate, the recipe's own by default, which is for a network that knows
            nothing yet.
        threads: CPU threads, all cores by default.
        workers: processes that make batches, for a GPU that would wait for one thread of them.
        command: recorded in the card.
        report: receives a line of text now and then.

    Raises:
        ValueError: there is no recipe for this kind and task, or a length or a rate that is not
            positive.
        SettingsError: the device is not there, or this system cannot fork the workers.
        ModelMismatch: the checkpoint to resume or start from is missing, damaged or of another
            network.
        DatasetError: a manifest or picture cannot be read, or the train splits teach nothing.
    """
    if (kind, task) not in RECIPES:
        known = ", ".join(f"{known_kind} {known_task}" for known_kind, known_task in RECIPES)
        raise ValueError(f"nothing trains a {kind} {task}; there are: {known}")
    if any(length is not None and length <= 0 for length in (minutes, epochs)):
        raise ValueError(f"minutes and epochs are above 0, got {minutes} and {epochs}")
    if rate is not None and rate <= 0:
        raise ValueError(f"a learning rate is above 0, got {rate}")
    if workers and not hasattr(os, "fork"):
        raise SettingsError("batches are made in processes only where there is fork", key="workers")
    if device == "cuda" and not torch.cuda.is_available():
        raise SettingsError("PyTorch finds no CUDA device here; train on the CPU", key="device")
    recipe = RECIPES[kind, task]
    if threads:
        torch.set_num_threads(threads)
    own = recipe.schedule
    schedule = replace(
        own, seed=seed, batch=batch or own.batch, rate=rate or own.rate, workers=workers
    )
    if minutes is not None or epochs is not None:
        schedule = replace(schedule, minutes=minutes, epochs=epochs or 1.0)
    if segmenter is not None and not recipe.from_ink:
        raise ValueError(f"a {kind} {task} learns from pictures; no segmenter is asked")
    if detector is not None and not recipe.from_candidates:
        raise ValueError(f"a {kind} {task} learns from what is annotated; no detector is asked")
    if fonts is not None and not recipe.sets_text:
        raise ValueError(f"a {kind} {task} sets no text; no fonts are needed")
    parts: dict[str, Segmenter | Detector] = {}
    if recipe.from_ink:
        parts["segmenter"] = Segmenter.from_pretrained(segmenter, threads=threads)
    if recipe.from_candidates:
        parts["detector"] = Detector.from_pretrained(detector, kind=kind, threads=threads)
    learning = recipe.load(data, **parts, **({"fonts": fonts} if recipe.sets_text else {}))
    if learning.marks() == 0:
        raise DatasetError("no usable marks in the train splits", source=", ".join(map(str, data)))
    torch.manual_seed(seed)
    fresh = recipe.network()
    if start is not None:
        start_from(start, fresh, learning, schedule, task)
    net = fit(fresh, learning, schedule, output, resume=resume, device=device, report=report)
    draw_curve(output / "log.csv", output / "curve.png")
    facts = {
        "command": command,
        "data": [
            {"manifest": path.name, "sha256": _digest(path), "weight": weight}
            for path, weight in Counter(data).items()
        ],
        "marks": learning.marks(),
        "seed": seed,
        "held_out": learning.validate(net),
    }
    facts |= {name: part.model.card.label for name, part in parts.items()}
    if recipe.pretrained and start is None:
        facts["pretrained"] = recipe.pretrained
    recipe.export(net.cpu(), output, facts)
    return learning.calibrate(output)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def draw_curve(log: Path, picture: Path) -> None:
    """Plot the loss terms of ``log.csv`` over the minutes; needs a log of at least two rows."""
    if not log.exists():
        return
    with log.open(newline="") as file:
        rows = list(csv.DictReader(file))
    if len(rows) < 2:
        return
    from matplotlib.figure import Figure  # slow to import, and only needed at the end of a run

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    minutes = [float(row["minutes"]) for row in rows]
    for name in [name for name in rows[0] if name not in ("step", "minutes", "rate")]:
        axes.plot(minutes, [float(row[name]) for row in rows], label=name)
    axes.set(xlabel="minutes", ylabel="loss", yscale="log")
    axes.legend()
    figure.savefig(picture, dpi=120)
