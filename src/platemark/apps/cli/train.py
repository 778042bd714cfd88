"""``platemark train``: teach a network and package it as a model."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from platemark.apps.cli.common import (
    INTERRUPTED,
    QuietOption,
    ThreadsOption,
    check_exists,
    messages,
    writable_folder,
)
from platemark.errors import MissingExtra
from platemark.models.store import bundled_names

if TYPE_CHECKING:
    from collections.abc import Callable

    from platemark.models.card import ModelCard


TASKS = {
    "plate": ("detector", "reader", "classifier"),
    "stamp": ("detector", "verifier", "reader", "segmenter", "embedder", "comparer"),
}
"""What can be trained, by kind of mark: the keys of the recipes, known without PyTorch."""


def train(
    task: Annotated[
        Literal[
            "detector", "reader", "classifier", "verifier", "segmenter", "embedder", "comparer"
        ],
        typer.Argument(help="What to train."),
    ],
    data: Annotated[
        list[Path],
        typer.Option(
            "--data",
            metavar="MANIFEST...",
            help="Annotated images; one or more. One given twice has twice the weight.",
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the run.")],
    more: Annotated[list[Path] | None, typer.Argument(hidden=True)] = None,
    kind: Annotated[Literal["plate", "stamp"], typer.Option(help="The marks it is for.")] = "plate",
    minutes: Annotated[float | None, typer.Option(min=0, help="Length by the clock.")] = None,
    epochs: Annotated[
        float | None,
        typer.Option(min=0, help="Length in passes over the data; repeatable from the seed."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint.")] = False,
    start: Annotated[
        Path | None,
        typer.Option(
            "--start-from",
            metavar="RUN|MODEL",
            help="Begin with the weights of an earlier run, or of a model: a folder, an .onnx or "
            "the name of a bundled one.",
        ),
    ] = None,
    segmenter: Annotated[
        Path | None,
        typer.Option(
            metavar="MODEL",
            help="Finds the ink that embedder and comparer learn from: a folder or an .onnx; by "
            "default the bundled one.",
        ),
    ] = None,
    detector: Annotated[
        Path | None,
        typer.Option(
            metavar="MODEL",
            help="Proposes the candidates that a verifier learns from: a folder or an .onnx; by "
            "default the bundled one.",
        ),
    ] = None,
    fonts: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Typefaces beside the bundled ones, for the reader of stamps."
        ),
    ] = None,
    device: Annotated[Literal["cpu", "cuda"], typer.Option(help="Where to compute.")] = "cpu",
    seed: Annotated[int, typer.Option(min=0, help="Of weights, order and augmentation.")] = 0,
    batch: Annotated[int | None, typer.Option(min=1, help="Images per step.")] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Peak learning rate; by default that of a network which knows nothing yet.",
        ),
    ] = None,
    threads: ThreadsOption = None,
    workers: Annotated[
        int, typer.Option(min=0, help="Processes that make batches; for a GPU, most of the cores.")
    ] = 0,
    quiet: QuietOption = False,
) -> None:
    """Train a network on annotated images and package it as a model.

    Only the train splits are used. The folder gets the checkpoint, a log and its curve, and at the
    end the model: model.onnx and card.json. Ctrl-C keeps the last checkpoint; --resume goes on.
    """
    if task not in TASKS[kind]:
        raise typer.BadParameter(
            f"nothing trains a {kind} {task}; for --kind {kind} there are {', '.join(TASKS[kind])}"
        )
    # "--data A B": an option takes one value, so what follows the first arrives as an argument
    manifests = [*data, *(more or ())]
    for manifest in manifests:
        check_exists(manifest, "--data")
    if minutes is not None and epochs is not None:
        raise typer.BadParameter("give --minutes or --epochs, not both")
    if 0 in (minutes, epochs, rate):
        raise typer.BadParameter("--minutes, --epochs and --rate are above 0")
    if start is not None and str(start) not in bundled_names():
        check_exists(start, "--start-from")
    if segmenter is not None and task not in ("embedder", "comparer"):
        raise typer.BadParameter(f"a {task} learns from pictures", param_hint="--segmenter")
    if fonts is not None and (kind, task) != ("stamp", "reader"):
        raise typer.BadParameter(f"a {kind} {task} sets no text", param_hint="--fonts")
    check_exists(segmenter, "--segmenter")
    if detector is not None and task != "verifier":
        raise typer.BadParameter(f"a {task} learns what is annotated", param_hint="--detector")
    check_exists(detector, "--detector")
    check_exists(fonts, "--fonts")
    folder = writable_folder(output, "--output")
    report = _ignore if quiet else _report
    words = ["platemark", "train", task, "--kind", kind, "--data", *map(str, manifests)]
    lengths = {"--minutes": minutes, "--epochs": epochs}
    numbers = lengths | {"--batch": batch, "--rate": rate, "--seed": seed}
    words += [word for key, v in numbers.items() if v is not None for word in (key, f"{v:g}")]
    models = {"--start-from": start, "--segmenter": segmenter, "--detector": detector}
    models |= {"--fonts": fonts}
    words += [word for key, v in models.items() if v is not None for word in (key, str(v))]
    try:
        card = _training()(
            kind,
            task,
            manifests,
            folder,
            minutes=minutes,
            epochs=epochs,
            resume=resume,
            start=start,
            segmenter=segmenter,
            detector=detector,
            fonts=fonts,
            device=device,
            seed=seed,
            batch=batch,
            rate=rate,
            threads=threads,
            workers=workers,
            command=shlex.join([*words, "--output", str(output)]),
            report=report,
        )
    except KeyboardInterrupt:
        messages().print(f"Interrupted. To go on from the last checkpoint in {folder}: --resume")
        raise typer.Exit(INTERRUPTED) from None
    report(f"{card.name} {card.version} is in {folder}")
    typer.echo(folder)


def _report(line: str) -> None:
    messages().print(line, markup=False)


def _ignore(line: str) -> None:
    """Take a message that nobody wants to see."""


def _training() -> "Callable[..., ModelCard]":
    try:
        from platemark.train.recipe import train as run
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("platemark"):
            raise
        raise MissingExtra("training", "train") from error
    return run
