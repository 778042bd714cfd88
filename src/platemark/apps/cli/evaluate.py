"""``platemark evaluate``: how good the models are on annotated pictures."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from platemark.apps.cli.common import (
    FAILED,
    ModelOption,
    QuietOption,
    TextFormat,
    ThreadsOption,
    load_plates,
    load_stamps,
    messages,
    progress,
    writable_folder,
)
from platemark.splits import Split

if TYPE_CHECKING:
    from platemark.apps.cli.failures import FailureSheet
    from platemark.datasets import Manifest
    from platemark.evaluate import Evaluation

ManifestArgument = Annotated[
    Path, typer.Argument(metavar="MANIFEST", help="Annotations, JSON Lines.")
]
SplitOption = Annotated[Split, typer.Option(help="Which images; choose on dev, report on test.")]
ErrorsOption = Annotated[
    Path | None, typer.Option(help="Write failures as pictures to this folder.")
]
FormatOption = Annotated[TextFormat, typer.Option("--format", help="How the report is printed.")]

app = typer.Typer(no_args_is_help=True, help="Score the models on annotated pictures.")


@app.callback()
def _options() -> None:
    """Score the models on annotated pictures."""


@app.command("plates")
def plates(
    manifest: ManifestArgument,
    split: SplitOption = "test",
    model: ModelOption = None,
    errors: ErrorsOption = None,
    negatives: Annotated[
        Path | None, typer.Option(help="A folder of photos without plates, for false plates.")
    ] = None,
    format: FormatOption = TextFormat.TABLE,  # noqa: A002 - the option is called so
    threads: ThreadsOption = None,
    quiet: QuietOption = False,
    calibrate: Annotated[
        Path | None,
        typer.Option(
            metavar="MODEL",
            help="First fit the text scores of the reader, or what counts of a detector's finds, "
            "in this folder to these photos, and measure with it.",
        ),
    ] = None,
) -> None:
    """Find and read the plates of annotated photos and count what was right.

    Shares have a Wilson 95% interval. Folded takes O for 0 and I for 1. Exit status 1 when some
    image could not be processed; its plates count as missed.
    """
    folder = errors and writable_folder(errors, "--errors")
    from platemark.apps.cli.evaluate_tables import plate_report
    from platemark.evaluate import evaluate_plates

    annotated = _read(manifest, split)
    if calibrate is not None:
        from platemark.train.calibrate import calibrate_plates

        calibrate_plates(calibrate, annotated)
    pipeline = load_plates(model if calibrate is None else str(calibrate), threads=threads)
    photos = _pictures(negatives)
    with progress("evaluate", quiet=quiet) as tell:
        evaluation = evaluate_plates(annotated, pipeline, negatives=photos, progress=tell)
    if format is TextFormat.JSON:
        _print_json(evaluation.to_dict())
    else:
        plate_report(evaluation)
    if folder:
        from platemark.apps.cli.failures import plate_failures

        _write_failures(plate_failures(evaluation.outcomes), folder, quiet=quiet)
    _name_errors(evaluation)


@app.command("stamps")
def stamps(
    manifest: ManifestArgument,
    split: SplitOption = "test",
    model: ModelOption = None,
    errors: ErrorsOption = None,
    negatives: Annotated[
        Path | None, typer.Option(help="A folder of pages without stamps, for false marks.")
    ] = None,
    read: Annotated[
        bool, typer.Option("--read", help="Read the stamps too, and count characters and words.")
    ] = False,
    format: FormatOption = TextFormat.TABLE,  # noqa: A002 - the option is called so
    threads: ThreadsOption = None,
    quiet: QuietOption = False,
) -> None:
    """Find, segment and distinguish the stamps of annotated pages and count what was right.

    Shares have a Wilson 95% interval, means and equal error rates one by the bootstrap. In
    retrieval every imprint of known identity is asked about once, and all others are the gallery.
    Exit status 1 when some image could not be processed; its stamps count as missed.
    """
    folder = errors and writable_folder(errors, "--errors")
    from platemark.apps.cli.evaluate_tables import stamp_report
    from platemark.evaluate import evaluate_stamps

    annotated = _read(manifest, split)
    pipeline = load_stamps(model, threads=threads, read=read)
    pages = _pictures(negatives)
    with progress("evaluate", quiet=quiet) as tell:
        evaluation = evaluate_stamps(annotated, pipeline, negatives=pages, progress=tell)
    if format is TextFormat.JSON:
        _print_json(evaluation.to_dict())
    else:
        stamp_report(evaluation)
    if folder:
        from platemark.apps.cli.failures import stamp_failures

        _write_failures(stamp_failures(evaluation), folder, quiet=quiet)
    _name_errors(evaluation)


def _read(file: Path, split: Split) -> "Manifest":
    from platemark.datasets import Manifest

    manifest = Manifest.read(file, split=split)
    if not len(manifest):
        raise typer.BadParameter(f"{file} has no images of split {split}", param_hint="--split")
    return manifest


def _pictures(folder: Path | None) -> list[Path]:
    from platemark.imaging.sources import Unread, expand_inputs

    if folder is None:
        return []
    if not folder.is_dir():
        raise typer.BadParameter(f"{folder} is not a folder", param_hint="--negatives")
    found = list(expand_inputs([folder]))
    for item in found:
        if isinstance(item, Unread):
            raise item.error
    return [Path(str(item)) for item in found]


def _print_json(metrics: dict[str, object]) -> None:
    typer.echo(json.dumps(metrics, indent=2))


def _write_failures(sheets: "Iterable[FailureSheet]", folder: Path, *, quiet: bool) -> None:
    from platemark.apps.cli.failures import write_failures

    images = write_failures(sheets, folder)
    if not quiet:
        messages().print(f"{images} images with failures: see {folder / 'index.html'}")


def _name_errors(evaluation: "Evaluation[Any]") -> None:
    for result in evaluation.errors:
        if result.error is not None:
            messages().print(f"error: {result.error.message}", style="red", markup=False)
    if evaluation.errors:
        raise typer.Exit(FAILED)
