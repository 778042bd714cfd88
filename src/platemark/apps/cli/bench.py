"""``platemark bench``: time every stage on this machine."""

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from platemark.apps.cli.common import (
    ModelOption,
    QuietOption,
    TextFormat,
    on_terminal,
    progress,
    report_console,
)

if TYPE_CHECKING:
    from platemark.apps.bench import BenchReport


class Kind(StrEnum):
    """The marks whose stages are timed."""

    PLATE = "plate"
    STAMP = "stamp"


def bench(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(metavar="INPUT", help="Photos; default: those of the models."),
    ] = None,
    kind: Annotated[Kind, typer.Option(help="The marks to look for.")] = Kind.PLATE,
    rounds: Annotated[int, typer.Option(min=1, help="How often every photo is done.")] = 5,
    model: ModelOption = None,
    format: Annotated[  # noqa: A002 - the option is called so
        TextFormat | None,
        typer.Option("--format", help="Default: table on a terminal, json when piped."),
    ] = None,
    quiet: QuietOption = False,
) -> None:
    """Time every stage on this machine: milliseconds, photos per second, peak memory."""
    from platemark.apps.bench import bench as measure
    from platemark.apps.bench import bundled_photos

    photos = _photos(inputs) if inputs else bundled_photos(kind)
    with progress("bench", quiet=quiet) as tell:
        report = measure(photos, model, kind=kind, rounds=rounds, progress=tell)
    if (format or (TextFormat.TABLE if on_terminal() else TextFormat.JSON)) is TextFormat.JSON:
        typer.echo(json.dumps(report.to_dict(), indent=2))
    else:
        _print(report)


def _photos(inputs: list[str]) -> list[Path]:
    from platemark.imaging.sources import Unread, expand_inputs

    photos = []
    for item in expand_inputs(inputs):
        if isinstance(item, Unread):
            raise item.error
        photos.append(Path(str(item)))
    return photos


def _print(report: "BenchReport") -> None:
    console = report_console()
    console.print(
        f"{report.machine}, {report.cores} cores; {report.photos} photos of "
        f"{report.megapixels:.1f} megapixels, {report.marks} {report.kind}s, {report.rounds} rounds"
    )
    table = Table("ms per photo", box=None, pad_edge=False, header_style="bold")
    for threads in report.stages:
        table.add_column(f"{_threads(threads)}\nmean", justify="right")
        table.add_column("\nmedian", justify="right")
    for name in next(iter(report.stages.values())):
        times = [stages[name] for stages in report.stages.values()]
        table.add_row(name, *(f"{ms:.1f}" for time in times for ms in (time.mean, time.median)))
    console.print(table)
    for threads, speed in report.photos_per_second.items():
        console.print(f"{speed:.1f} photos per second with {_threads(threads)}")
    if report.peak_memory_mb is not None:
        console.print(f"peak memory {report.peak_memory_mb:.0f} MB")


def _threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"
