"""``platemark bench``: time every stage on this machine."""

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from platemark.apps.cli.common import (
    ModelOption,
    QuietOption,
    TextFormat,
    on_terminal,
    progress,
    report_console,
    workers_for,
)
from platemark.errors import InputError

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
    kind: Annotated[Kind, typer.Option(help="The marks to detect.")] = Kind.PLATE,
    rounds: Annotated[int, typer.Option(min=1, help="How often every photo is done.")] = 5,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Photos worked on at a time at most; default: all cores."),
    ] = None,
    model: ModelOption = None,
    compare: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Compare with an earlier run, saved with --format json."),
    ] = None,
    format: Annotated[  # noqa: A002 - the option is called so
        TextFormat | None,
        typer.Option("--format", help="Default: table on a terminal, json when piped."),
    ] = None,
    quiet: QuietOption = False,
) -> None:
    """Time every stage on this machine: milliseconds, photos per second, start, peak memory."""
    from platemark.apps.bench import bench as measure
    from platemark.apps.bench import bundled_photos, ratios

    before = None if compare is None else _saved(compare)
    photos = _photos(inputs) if inputs else bundled_photos(kind)
    with progress("bench", quiet=quiet) as tell:
        report = measure(
            photos,
            model,
            kind=kind,
            rounds=rounds,
            workers=workers_for(workers, None),
            progress=tell,
        )
    compared = {} if before is None else ratios(report.to_dict(), before)
    if (format or (TextFormat.TABLE if on_terminal() else TextFormat.JSON)) is TextFormat.JSON:
        found = report.to_dict() | ({"ratios": compared} if before is not None else {})
        typer.echo(json.dumps(found, indent=2))
    else:
        _print(report, compared)


def _saved(path: Path) -> dict[str, Any]:
    """The report of an earlier run.

    Raises:
        InputError: It cannot be read, or is none.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is no saved report: {error}", source=str(path)) from error
    return found if isinstance(found, dict) else {}


def _photos(inputs: list[str]) -> list[Path]:
    from platemark.imaging.sources import Unread, expand_inputs

    photos = []
    for item in expand_inputs(inputs):
        if isinstance(item, Unread):
            raise item.error
        photos.append(Path(str(item)))
    return photos


def _print(report: "BenchReport", compared: dict[str, float]) -> None:
    console = report_console()
    console.print(
        f"{report.machine}, {report.cores} cores; {report.photos} photos of "
        f"{report.megapixels:.1f} megapixels, {report.marks} {report.kind}s, {report.rounds} rounds"
    )
    table = Table("ms per photo", box=None, pad_edge=False, header_style="bold")
    for heading in ("mean", "median"):
        table.add_column(heading, justify="right")
    for name, stage in report.stages.items():
        table.add_row(name, f"{stage.mean:.1f}", f"{stage.median:.1f}")
    console.print(table)
    for count, speed in report.photos_per_second.items():
        console.print(f"{speed:.1f} photos per second, {count} at a time")
    console.print(f"{report.start_seconds:.2f} s for the command with one photo")
    if report.peak_memory_mb is not None:
        console.print(f"peak memory {report.peak_memory_mb:.0f} MB")
    for name, ratio in compared.items():
        console.print(f"{name}: {ratio:.2f} of what it was")
