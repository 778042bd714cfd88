"""``platemark evaluate``: how good the models are on annotated photos."""

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from platemark.apps.cli.common import (
    FAILED,
    ModelOption,
    QuietOption,
    TextFormat,
    ThreadsOption,
    load_pipeline,
    messages,
    on_terminal,
    progress,
    report_console,
    writable_folder,
)

if TYPE_CHECKING:
    from platemark.evaluate import PlateEvaluation, PlateScores, ReadingScores
    from platemark.metrics import Rate

_FOUND = ("precision", "recall", "AP")
_READ = ("exact", "folded", "CER")

app = typer.Typer(no_args_is_help=True, help="Score the models on annotated photos.")


@app.callback()
def _options() -> None:
    """Score the models on annotated photos."""


@app.command("plates")
def plates(
    manifest: Annotated[Path, typer.Argument(metavar="MANIFEST", help="Annotations, JSON Lines.")],
    split: Annotated[Literal["train", "test"], typer.Option(help="Which images.")] = "test",
    model: ModelOption = None,
    errors: Annotated[
        Path | None, typer.Option(help="Write failures as pictures to this folder.")
    ] = None,
    negatives: Annotated[
        Path | None, typer.Option(help="A folder of photos without plates, for false plates.")
    ] = None,
    format: Annotated[  # noqa: A002 - the option is called so
        TextFormat | None,
        typer.Option("--format", help="Default: table on a terminal, json when piped."),
    ] = None,
    threads: ThreadsOption = None,
    quiet: QuietOption = False,
) -> None:
    """Find and read the plates of annotated photos and count what was right.

    Shares have a Wilson 95% interval. Folded takes O for 0 and I for 1. Exit status 1 when some
    image could not be looked at; its plates count as missed.
    """
    folder = errors and writable_folder(errors, "--errors")
    from platemark.datasets import Manifest
    from platemark.evaluate import evaluate_plates

    annotated = Manifest.read(manifest, split=split)
    if not len(annotated):
        raise typer.BadParameter(f"{manifest} has no images of split {split}", param_hint="--split")
    pipeline = load_pipeline(model, threads=threads)
    photos = _photos(negatives) if negatives else []
    with progress("evaluate", quiet=quiet) as tell:
        evaluation = evaluate_plates(annotated, pipeline, negatives=photos, progress=tell)
    _print(evaluation, format or (TextFormat.TABLE if on_terminal() else TextFormat.JSON))
    if folder:
        from platemark.apps.cli.failures import write_failures

        images = write_failures(evaluation.outcomes, folder)
        if not quiet:
            messages().print(f"{images} images with failures: see {folder / 'index.html'}")
    for result in evaluation.errors:
        if result.error is not None:
            messages().print(f"error: {result.error.message}", style="red", markup=False)
    if evaluation.errors:
        raise typer.Exit(FAILED)


def _photos(folder: Path) -> list[Path]:
    from platemark.imaging.sources import Unread, expand_inputs

    if not folder.is_dir():
        raise typer.BadParameter(f"{folder} is not a folder", param_hint="--negatives")
    found = list(expand_inputs([folder]))
    for item in found:
        if isinstance(item, Unread):
            raise item.error
    return [Path(str(item)) for item in found]


def _print(evaluation: "PlateEvaluation", kind: TextFormat) -> None:
    if kind is TextFormat.JSON:
        typer.echo(json.dumps(evaluation.to_dict(), indent=2))
        return
    console = report_console()
    sets = _sets(evaluation)
    console.print(_detection_table(sets))
    console.print(_reading_table(sets))
    _print_reliability(evaluation, console)
    if evaluation.negatives:
        per_image, with_any = evaluation.false_plates()
        console.print(
            f"Photos without plates: {per_image:.3f} false plates per image; "
            f"{with_any.hits} of {with_any.n} have any."
        )


def _sets(evaluation: "PlateEvaluation") -> dict[str, "PlateScores"]:
    """Figures over all scenes, over all crops and for each source, by name."""
    overall = {"all scenes": "scene", "all crops": "crop"}
    scores = {name: evaluation.of_kind(kind) for name, kind in overall.items()}
    return {name: figures for name, figures in scores.items() if figures.images} | (
        evaluation.by_group()
    )


def _table(title: str, headings: list[str], rows: dict[str, list[str]]) -> Table:
    table = Table("", title=title or None, box=None, pad_edge=False, title_justify="left")
    for heading in headings:
        table.add_column(heading, justify="right")
    for name, cells in rows.items():
        table.add_row(name, *cells)
    return table


def _detection_table(sets: dict[str, "PlateScores"]) -> Table:
    thresholds = next(iter(sets.values())).detection
    found = [f"{name}\n@{iou:g}" for iou in thresholds for name in _FOUND]
    rows = {name: _detection_cells(scores) for name, scores in sets.items()}
    return _table("Detection", ["images", "plates", *found, "ms mean\nmedian"], rows)


def _detection_cells(scores: "PlateScores") -> list[str]:
    cells = [str(scores.images), str(scores.plates)]
    for found in scores.detection.values():
        area = _decimal(found.average_precision)
        cells += [_share(found.precision), _share(found.recall), area]
    return [*cells, "\n".join(f"{value:.1f}" for value in scores.elapsed_ms)]


def _reading_table(sets: dict[str, "PlateScores"]) -> Table:
    read = [f"{part}\n{name}" for part in ("end to end", "reader") for name in _READ]
    rows = {
        name: [
            str(scores.end_to_end.exact.n),
            *_reading_cells(scores.end_to_end),
            *_reading_cells(scores.reader),
        ]
        for name, scores in sets.items()
        if scores.end_to_end.exact.n
    }
    return _table("Reading", ["texts", *read], rows)


def _reading_cells(scores: "ReadingScores") -> list[str]:
    return [
        _share(scores.exact),
        _share(scores.folded),
        _decimal(scores.character_error_rate),
    ]


def _print_reliability(evaluation: "PlateEvaluation", console: Console) -> None:
    from platemark.metrics import expected_calibration_error, reliability

    pairs = {
        "detection": evaluation.detection_reliability(),
        "text": evaluation.text_reliability(),
    }
    for name, (scores, correct) in pairs.items():
        if not scores:
            continue
        error = _decimal(expected_calibration_error(scores, correct))
        console.print(f"Reliability of {name} scores: expected calibration error {error}")
        rows = {
            f"{row.low:.1f}-{row.high:.1f}": [
                str(row.n),
                f"{row.score:.3f}",
                f"{row.accuracy:.3f}",
            ]
            for row in reliability(scores, correct)
            if row.n
        }
        console.print(_table("", ["n", "mean score", "right"], rows))


def _share(rate: "Rate") -> str:
    if not rate.n:
        return "-"
    low, high = rate.interval
    return f"{rate.value:.3f}\n{low:.2f}-{high:.2f}"


def _decimal(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"
