"""``platemark train``: teach a network and package it as a model."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.table import Table

from platemark.apps.cli.common import (
    INTERRUPTED,
    QuietOption,
    ThreadsOption,
    check_exists,
    messages,
    writable_folder,
)
from platemark.errors import MissingExtra, RecipeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from platemark.train.run import Machine, Trained


def train(
    what: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE.toml|TASK",
            help="A recipe; or, with --data, what to train: detector, reader or classifier for "
            "plates, detector, verifier, reader, segmenter, embedder or comparer for stamps.",
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the run.")],
    more: Annotated[list[Path] | None, typer.Argument(hidden=True)] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Another value in the recipe, such as schedule.minutes=60; may be repeated.",
        ),
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(
            "--data",
            metavar="MANIFEST...",
            help="Annotated images; one or more. One given twice has twice the weight.",
        ),
    ] = None,
    kind: Annotated[
        Literal["plate", "stamp"] | None, typer.Option(help="The marks it is for; default: plate.")
    ] = None,
    minutes: Annotated[float | None, typer.Option(min=0, help="Length by the clock.")] = None,
    epochs: Annotated[
        float | None,
        typer.Option(min=0, help="Length in epochs; repeatable from the seed."),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--start-from",
            metavar="RUN|MODEL|nothing",
            help="Begin with the weights of an earlier run or of a model, or with random ones; "
            "default: the bundled model.",
        ),
    ] = None,
    segmenter: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Finds the ink that embedder and comparer learn from: a folder or an .onnx; by "
            "default the bundled one.",
        ),
    ] = None,
    detector: Annotated[
        str | None,
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
    seed: Annotated[
        int | None, typer.Option(min=0, help="Of weights, order and augmentation; default: 0.")
    ] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Images per step.")] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Peak learning rate; by default a quarter of that of random weights, or that.",
        ),
    ] = None,
    attempts: Annotated[
        int,
        typer.Option(min=1, help="Runs with one seed after another; the best on dev is kept."),
    ] = 1,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint.")] = False,
    device: Annotated[Literal["cpu", "cuda"], typer.Option(help="Where to compute.")] = "cpu",
    threads: ThreadsOption = None,
    workers: Annotated[
        int, typer.Option(min=0, help="Processes that make batches; for a GPU, most of the cores.")
    ] = 0,
    quiet: QuietOption = False,
) -> None:
    """Train a network on annotated images, from a recipe or from options, and package it.

    The split train is learned from; dev, where there is one, chooses the best weights and ends a
    run with patience, and the model is evaluated on it beside the bundled one. The folder gets the
    resolved recipe, the checkpoint, logs and their plot, and at the end the model: model.onnx and
    card.json. Ctrl-C keeps the last checkpoint; --resume goes on.
    """
    from platemark.train.recipe import as_recipe, read_recipe

    manifests = [*(data or ()), *(more or ())]
    schedule = {"minutes": minutes, "epochs": epochs, "batch": batch, "rate": rate}
    options: dict[str, Any] = {
        "kind": kind,
        "seed": seed,
        "parent": start,
        "segmenter": segmenter,
        "detector": detector,
        "fonts": fonts,
    }
    if Path(what).suffix == ".toml":
        said = _given(options | schedule | {"data": manifests or None})
        if said:
            raise typer.BadParameter(
                f"{', '.join(said)}: a recipe says so itself; change it by --set KEY=VALUE"
            )
        recipe = read_recipe(Path(what), changes or ())
    else:
        if changes:
            raise typer.BadParameter(
                "it changes a recipe; options say the rest", param_hint="--set"
            )
        for path, option in [*((one, "--data") for one in manifests), (fonts, "--fonts")]:
            check_exists(path, option)
        table = _given(options) | {
            "task": what,
            "data": [
                {"manifest": path, "weight": manifests.count(path)}
                for path in dict.fromkeys(manifests)
            ],
            "schedule": _given(schedule),
        }
        recipe = as_recipe({"kind": "plate"} | table)
    folder = writable_folder(output, "--output")
    run, machine = _training()
    words = ["platemark", "train", what, *_words(options | schedule, manifests)]
    words += [word for change in changes or () for word in ("--set", change)]
    words += [] if attempts == 1 else ["--attempts", str(attempts)]
    try:
        trained = run(
            recipe,
            folder,
            attempts=attempts,
            resume=resume,
            machine=machine(device, threads, workers),
            command=shlex.join([*words, "--output", str(output)]),
            report=_ignore if quiet else _report,
        )
    except RecipeError as error:
        if error.file is not None or Path(what).suffix != ".toml":
            raise
        raise RecipeError(error.message, file=what) from error
    except KeyboardInterrupt:
        messages().print(f"Interrupted. To go on from the last checkpoint in {folder}: --resume")
        raise typer.Exit(INTERRUPTED) from None
    if not quiet:
        _print_comparison(trained)
        _report(f"{trained.card.name} {trained.card.version} is in {folder}")
    typer.echo(folder)


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _words(options: Mapping[str, Any], manifests: list[Path]) -> list[str]:
    """The options as they stand on the command line."""
    words = ["--data", *map(str, manifests)] if manifests else []
    for name, value in _given(options).items():
        option = "--start-from" if name == "parent" else f"--{name}"
        words += [option, f"{value:g}" if isinstance(value, float) else str(value)]
    return words


def _print_comparison(trained: "Trained") -> None:
    """Show the metrics of the trained model beside those of the bundled one."""
    if not trained.compared:
        _report("the data have no dev split: nothing to compare with the bundled model on")
        return
    table = Table("on dev", "n", "bundled", "trained", box=None, pad_edge=False)
    for one in trained.compared:
        bundled = _with_interval(one.bundled, one.bundled_interval)
        trained_figure = _with_interval(one.trained, one.trained_interval)
        table.add_row(one.name, str(one.n), bundled, trained_figure)
    messages().print(table)


def _with_interval(value: float, interval: tuple[float, float] | None) -> str:
    if interval is None:
        return f"{value:.3f}"
    low, high = interval
    return f"{value:.3f} ({low:.3f}-{high:.3f})"


def _report(line: str) -> None:
    messages().print(line, markup=False)


def _ignore(line: str) -> None:
    """Discard a message."""


def _training() -> "tuple[Callable[..., Trained], type[Machine]]":
    try:
        from platemark.train.run import Machine
        from platemark.train.run import train as run
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("platemark"):
            raise
        raise MissingExtra("training", "train") from error
    return run, Machine
