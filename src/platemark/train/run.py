"""From a recipe to a packaged model, with all that it takes to make the model again."""

import csv
import hashlib
import json
import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from platemark.datasets import Manifest
from platemark.errors import DatasetError, RecipeError, SettingsError
from platemark.evaluate import (
    PlateEvaluation,
    StampEvaluation,
    evaluate_plates,
    evaluate_stamps,
)
from platemark.evaluate.card import Metrics, card_metrics
from platemark.files import replace_file
from platemark.models.card import CARD_NAME, FileEntry, Metric, ModelCard
from platemark.plates.formats import FORMATS_FOLDER, format_files
from platemark.plates.pipeline import PlatePipeline
from platemark.stamps.pipeline import StampPipeline
from platemark.tasks.detector import Detector
from platemark.tasks.segmenter import Segmenter
from platemark.train.loop import CHECKPOINT_NAME, Schedule, Task, fit, quality_of, read_checkpoint
from platemark.train.pretrained import start_from
from platemark.train.recipe import (
    NOTHING,
    RECIPE_NAME,
    USED_BY,
    Parent,
    PlatePictures,
    Recipe,
    StampRecipe,
    read_recipe,
)
from platemark.train.resolve import manifests_of, resolve
from platemark.train.stages import STAGES, Stage

RUN_NAME = "run.json"
"""What a run was started with beside its recipe: command, commit and versions."""

_LIBRARIES = ("numpy", "onnx", "onnxruntime", "opencv-python-headless", "pillow", "torch")
# What a resumed run may have otherwise: how long it goes on.
_LENGTHS = {"minutes", "epochs", "checks", "patience", "checkpoint_minutes"}


@dataclass(frozen=True)
class Machine:
    """What a run computes with; a recipe says nothing of it.

    Attributes:
        device: ``cpu`` or ``cuda``.
        threads: CPU threads, all cores by default.
        workers: Processes that make batches, for a GPU that would wait for one thread of them.
    """

    device: str = "cpu"
    threads: int | None = None
    workers: int = 0

    def check(self) -> None:
        """Check that it is there.

        Raises:
            SettingsError: The device is not there, or this system cannot fork the workers.
        """
        if self.workers and not hasattr(os, "fork"):
            raise SettingsError(
                "batches are made in processes only where there is fork", key="workers"
            )
        if self.device == "cuda" and not torch.cuda.is_available():
            raise SettingsError("PyTorch finds no CUDA device here; train on the CPU", key="device")


@dataclass(frozen=True)
class Compared:
    """A figure on the dev split, of the trained model and of the bundled one.

    Attributes:
        name: What is measured, and where.
        n: On how many.
        bundled: Of the bundled model.
        trained: Of the trained model.
        bundled_interval: 95% interval, or None.
        trained_interval: 95% interval, or None.
    """

    name: str
    n: int
    bundled: float
    trained: float
    bundled_interval: tuple[float, float] | None
    trained_interval: tuple[float, float] | None


@dataclass(frozen=True)
class Trained:
    """What a training made.

    Attributes:
        card: Of the model.
        attempts: What each attempt reached by held-out examples, more is better; empty where
            nothing was held out.
        compared: The metrics beside those of the bundled model; empty without a dev split.
    """

    card: ModelCard
    attempts: tuple[float, ...]
    compared: tuple[Compared, ...]


def train(
    recipe: Recipe,
    output: Path,
    *,
    attempts: int = 1,
    resume: bool = False,
    machine: Machine = Machine(),
    command: str = "",
    report: Callable[[str], None] = print,
) -> Trained:
    """Train a model; write ``model.onnx`` and ``card.json`` beside its checkpoint, logs and plot.

    Before the first step the resolved recipe (``recipe.toml``) and what it runs with (``run.json``)
    are written; the card has both.

    Args:
        recipe: What to make.
        output: Folder of the run.
        attempts: Runs with one seed after another; the best by held-out examples is kept.
        resume: Go on from the checkpoints in ``output``.
        machine: What to compute with.
        command: Recorded in the card.
        report: Receives a line of text now and then.

    Raises:
        RecipeError: The recipe asks for what its task does not have, or is not that of the run to
            resume.
        SettingsError: The machine has not what is asked of it.
        ModelError: The parent, or a model that the recipe names, cannot be used; or the checkpoint
            to resume or start from is corrupt or of another network.
        DatasetError: A manifest or picture cannot be read, or the train splits teach nothing.
        FormatError: A plate format of the recipe cannot be used.
        PlatemarkError: A checkpoint cannot be written; the one before stays as it was.
    """
    machine.check()
    if machine.threads:
        torch.set_num_threads(machine.threads)
    stage = STAGES[recipe.kind, recipe.task]
    output.mkdir(parents=True, exist_ok=True)
    resolved = resolve(recipe, output, report)
    if resume:
        _check_same(resolved, output / RECIPE_NAME)
    resolved.write(output / RECIPE_NAME)
    learning, parts = _load(resolved, stage, machine.threads)
    facts = {"command": command, **_environment(), "machine": asdict(machine), **parts}
    with replace_file(output / RUN_NAME) as file:
        file.write(json.dumps(facts, indent=2).encode() + b"\n")
    run = _Run(resolved, stage, machine, facts, report)
    folders = [output] if attempts == 1 else [output / f"attempt-{i + 1}" for i in range(attempts)]
    qualities: list[float | None] = []
    for number, folder in enumerate(folders):
        if attempts > 1:
            report(f"attempt {number + 1} of {attempts}, seed {resolved.seed + number}")
        qualities.append(run.attempt(learning, folder, resolved.seed + number, resume=resume))
    reached = tuple(quality for quality in qualities if quality is not None)
    if attempts > 1:
        best = max(range(attempts), key=lambda i: (qualities[i] is not None, qualities[i] or 0.0))
        _keep(folders[best], output, _spread(learning, reached, best), report)
    compared = _beside_bundled(resolved, output, machine.threads, report)
    card = _state_metrics(output, resolved, compared, command)
    return Trained(card, reached, compared)


def _load(recipe: Recipe, stage: Stage, threads: int | None) -> tuple[Task, dict[str, str]]:
    """The data, and the models that help to make examples of them, by what they are for.

    Raises:
        DatasetError: They teach nothing.
    """
    options: dict[str, Any] = dict(recipe.augmentation)
    labels = {}
    if isinstance(recipe, StampRecipe):
        if recipe.task in USED_BY["segmenter"]:
            segmenter = Segmenter.from_pretrained(recipe.segmenter, threads=threads)
            options["segmenter"], labels["segmenter"] = segmenter, segmenter.model.card.label
        if recipe.task in USED_BY["detector"]:
            finder = Detector.from_pretrained(recipe.detector, kind="stamp", threads=threads)
            options["detector"], labels["detector"] = finder, finder.model.card.label
        if recipe.task in USED_BY["fonts"]:
            options["fonts"] = recipe.fonts
    listed = manifests_of(recipe)
    learning = stage.load(listed, **options)
    if problem := learning.lacking():
        raise DatasetError(problem, source=", ".join(map(str, dict.fromkeys(listed))))
    return learning, labels


@dataclass(frozen=True)
class _Run:
    """What the attempts of a run have in common."""

    recipe: Recipe
    stage: Stage
    machine: Machine
    facts: Mapping[str, Any]
    report: Callable[[str], None]

    def attempt(self, learning: Task, folder: Path, seed: int, *, resume: bool) -> float | None:
        """Train and package once; returns what it reached by held-out examples."""
        schedule = _schedule(self.recipe, seed, self.machine.workers)
        torch.manual_seed(seed)
        parent = self.recipe.parent
        # The weights of a parent take the place of published ones.
        published = {"pretrained": parent == NOTHING} if self.stage.pretrained else {}
        net = self.stage.network(**self.recipe.network, **published)
        if isinstance(parent, Parent):
            start_from(parent.model, net, learning, schedule, self.recipe.task)
        trained = fit(
            net,
            learning,
            schedule,
            folder,
            resume=resume,
            device=self.machine.device,
            report=self.report,
        )
        plot_run(folder / "log.csv", folder / "checks.csv", folder / "curve.png")
        metrics = learning.validate(trained)
        facts: dict[str, Any] = {
            **self.facts,
            "recipe": self.recipe.model_copy(update={"seed": seed}).stated(),
            "marks": learning.marks(),
            "steps": read_checkpoint(folder / CHECKPOINT_NAME, "cpu")["step"],
            "held_out": metrics,
        }
        if self.stage.pretrained and parent == NOTHING:
            facts["pretrained"] = self.stage.pretrained
        self.stage.export(trained.cpu(), folder, facts)
        if self.recipe.task == "reader":
            _pack_formats(self.recipe, folder)
        learning.calibrate(folder)
        return quality_of(learning, metrics)


def _pack_formats(recipe: Recipe, folder: Path) -> None:
    """Put the plate formats of one's own that a reader learned into its folder and card."""
    plate_sets = (one for one in recipe.synthetic if isinstance(one, PlatePictures))
    files = [file for one in plate_sets if one.formats for file in format_files(one.formats)]
    if not files:
        return
    card, entries = ModelCard.read(folder / CARD_NAME), {}
    (folder / FORMATS_FOLDER).mkdir(exist_ok=True)
    for file in files:
        data, name = file.read_bytes(), f"{FORMATS_FOLDER}/{file.name}"
        (folder / name).write_bytes(data)
        entries[name] = FileEntry(bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    card.model_copy(update={"files": card.files | entries}).write(folder / CARD_NAME)


def _schedule(recipe: Recipe, seed: int, workers: int) -> Schedule:
    options = recipe.schedule.model_dump(exclude_none=True)
    return Schedule(**{"minutes": None} | options, seed=seed, workers=workers)


def _check_same(recipe: Recipe, file: Path) -> None:
    """Check that a run to resume is one of this recipe.

    Raises:
        RecipeError: It is of another one; names what differs.
    """
    if not file.exists():
        return
    before, now = read_recipe(file).stated(), recipe.stated()
    for stated in (before, now):
        stated["schedule"] = {k: v for k, v in stated["schedule"].items() if k not in _LENGTHS}
    different = [key for key in before | now if before.get(key) != now.get(key)]
    if different:
        raise RecipeError(
            "the run to resume has another one; resume with its recipe, or train into another "
            "folder",
            file=file,
            key=different[0],
        )


def _environment() -> dict[str, Any]:
    """The code that a run runs: commit, if it is that of a checkout, and versions."""
    known = ["platemark", *_LIBRARIES]
    versions = {"python": platform.python_version()}
    for name in known:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    commit = _commit(Path(__file__).parent)
    return ({"commit": commit} if commit else {}) | {"versions": versions}


def _commit(folder: Path) -> str | None:
    """The commit of a checkout, ``-dirty`` where files were changed since; None without one."""
    words = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        said = subprocess.run(words, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return said.stdout.strip() or None


def _spread(learning: Task, reached: Sequence[float], best: int) -> dict[str, Any]:
    """What the card says of several attempts."""
    stated: dict[str, Any] = {"figure": learning.judged_by, "best": best + 1}
    if reached:
        values = [round(value, 4) for value in reached]
        spread = {"mean": round(fmean(values), 4), "least": min(values), "most": max(values)}
        stated |= {"values": values, **spread}
    return stated


def _keep(
    chosen: Path, output: Path, spread: Mapping[str, Any], report: Callable[[str], None]
) -> None:
    """Put the model of the best attempt into the folder of the run."""
    card = ModelCard.read(chosen / CARD_NAME)
    for name in card.files:
        (output / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(chosen / name, output / name)
    training = card.training | {"attempts": dict(spread)}
    card.model_copy(update={"training": training}).write(output / CARD_NAME)
    if "values" in spread:
        report(
            f"attempts: {spread['figure']} {spread['least']} to {spread['most']}, mean "
            f"{spread['mean']}; kept {chosen.name}"
        )


def _beside_bundled(
    recipe: Recipe, output: Path, threads: int | None, report: Callable[[str], None]
) -> tuple[Compared, ...]:
    """Evaluate the trained model and the bundled one on the dev splits of the data."""
    compared: list[Compared] = []
    for path in dict.fromkeys(one.manifest for one in recipe.data):
        manifest = Manifest.read(path, split="dev")
        if not len(manifest):
            continue
        report(f"evaluating beside the bundled model on {len(manifest)} images of dev in {path}")
        bundled, trained = (
            {one["name"]: one for one in _metrics(recipe, manifest, model, threads)}
            for model in (None, output)
        )
        compared += [
            Compared(
                name,
                metric["n"],
                bundled[name]["value"],
                metric["value"],
                bundled[name].get("interval"),
                metric.get("interval"),
            )
            for name, metric in trained.items()
            if name in bundled
        ]
    return tuple(compared)


def _metrics(
    recipe: Recipe, manifest: Manifest, model: Path | None, threads: int | None
) -> Metrics:
    """Evaluate the pipeline with a model in the place of its stage; None for the bundled one."""
    evaluation: PlateEvaluation | StampEvaluation
    if recipe.kind == "plate":
        evaluation = evaluate_plates(
            manifest, PlatePipeline.from_pretrained(model, threads=threads)
        )
    else:
        read = recipe.task == "reader"
        found = StampPipeline.from_pretrained(model, threads=threads, read=read)
        evaluation = evaluate_stamps(manifest, found)
    return card_metrics(recipe.kind, recipe.task, evaluation.to_dict())


def _state_metrics(
    output: Path, recipe: Recipe, compared: Sequence[Compared], command: str
) -> ModelCard:
    """Write the metrics of the trained model into its card."""
    card = ModelCard.read(output / CARD_NAME)
    names = ", ".join("/".join(one.manifest.parts[-2:]) for one in recipe.data)
    metrics = tuple(
        Metric(
            name=one.name,
            dataset=names,
            split="dev",
            n=one.n,
            value=one.trained,
            interval=one.trained_interval,
            command=command,
        )
        for one in compared
    )
    card = card.model_copy(update={"metrics": metrics})
    card.write(output / CARD_NAME)
    return card


def plot_run(log: Path, checks: Path, picture: Path) -> None:
    """Plot the losses of ``log.csv`` and the metrics of ``checks.csv`` over the minutes.

    There is no plot of fewer than two rows.
    """
    series = {name: _rows(path) for name, path in (("loss", log), ("held out", checks))}
    series = {name: rows for name, rows in series.items() if len(rows) > 1}
    if not series:
        return
    from matplotlib.figure import Figure  # slow to import, and only needed at the end of a run

    figure = Figure(figsize=(7, 4 * len(series)), layout="constrained")
    for axes, (label, rows) in zip(
        figure.subplots(len(series), squeeze=False)[:, 0], series.items(), strict=True
    ):
        minutes = [float(row["minutes"]) for row in rows]
        for name in rows[0].keys() - {"step", "minutes", "rate"}:
            values = [float(row[name]) for row in rows]
            if label == "loss" or max(values) <= 1:  # counts of examples are no shares
                axes.plot(minutes, values, label=name)
        axes.set(xlabel="minutes", ylabel=label, yscale="log" if label == "loss" else "linear")
        axes.legend()
    figure.savefig(picture, dpi=120)


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
