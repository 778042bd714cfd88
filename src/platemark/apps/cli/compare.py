"""``platemark compare``: did one stamp make two imprints?"""

import json
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from platemark.apps.cli.common import (
    ModelOption,
    QuietOption,
    TextFormat,
    ThreadsOption,
    check_file,
    load_stamps,
    messages,
    on_terminal,
    report_console,
)
from platemark.apps.cli.find import keep_inputs
from platemark.apps.cli.output import open_output

if TYPE_CHECKING:
    from platemark.types import Comparison

REPORTS = (".html", ".pdf")
"""What the name of a report may end in."""


def compare(
    a: Annotated[
        str,
        typer.Argument(
            metavar="A",
            help="An image or PDF with a stamp; FILE#page=3 is its third page, by default the "
            "first that shows a stamp.",
            show_default=False,
        ),
    ],
    b: Annotated[str, typer.Argument(metavar="B", help="Another.", show_default=False)],
    format: Annotated[  # noqa: A002 - the option is called so
        TextFormat | None,
        typer.Option("--format", help="Default: table on a terminal, json when piped."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the result to this file.")
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the difference picture: .png, .jpg or any that Pillow knows.",
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write a page to be filed: .html or .pdf, with both imprints, what differs, and "
            "the models.",
        ),
    ] = None,
    page_a: Annotated[int | None, typer.Option(min=0, help="Page of A, counted from 0.")] = None,
    page_b: Annotated[int | None, typer.Option(min=0, help="Page of B, counted from 0.")] = None,
    cropped: Annotated[
        bool,
        typer.Option("--cropped", help="A and B are crops of one stamp: detect none."),
    ] = False,
    model: ModelOption = None,
    threads: ThreadsOption = None,
    quiet: QuietOption = False,
) -> None:
    """Compare two imprints: did one stamp make both? Score, verdict, reason, picture.

    Exit status: 0 they were compared, whatever came out; 1 an input failed; 2 wrong usage.
    """
    for path, option in ((output, "--output"), (picture, "--picture"), (report, "--report")):
        keep_inputs([a, b], path, option)
        if path is not None:
            check_file(path, option)
    if picture is not None:
        _check_suffix(picture)
    if report is not None and report.suffix.lower() not in REPORTS:
        raise typer.BadParameter(
            f"{report} is no report; its name ends in {' or '.join(REPORTS)}",
            param_hint="--report",
        )
    kind = format or (TextFormat.TABLE if output is None and on_terminal() else TextFormat.JSON)
    pipeline = load_stamps(model, threads=threads)
    from platemark.usecases.compare import compare as compare_inputs

    found = compare_inputs(a, b, pipeline=pipeline, page_a=page_a, page_b=page_b, cropped=cropped)
    if picture is not None:
        found.plot().save(picture)
        if not quiet:
            messages().print(f"the difference picture is {picture}", markup=False)
    if report is not None:
        from platemark.stamps.report import write_report

        write_report(found, report, [model.card for model in pipeline.models])
        if not quiet:
            messages().print(f"the report is {report}", markup=False)
    _write(found, kind, output)


def _check_suffix(picture: Path) -> None:
    """Check that a picture can be written in the format that its name asks for."""
    import PIL.Image

    if picture.suffix.lower() not in PIL.Image.registered_extensions():
        raise typer.BadParameter(
            f"{picture} names no picture format; use .png or .jpg", param_hint="--picture"
        )


def _write(found: "Comparison", kind: TextFormat, output: Path | None) -> None:
    with ExitStack() as stack:
        stream = stack.enter_context(open_output(output)) if output else None
        if kind is TextFormat.JSON:
            typer.echo(json.dumps(found.to_dict(), ensure_ascii=False), file=stream)
            return
        table = Table(box=None, pad_edge=False, show_header=False)
        table.add_row("verdict", f"[bold]{found.verdict}[/bold]")
        table.add_row("score", f"{found.score:.2f}")
        table.add_row("reason", found.reason)
        for name, box in (("A", found.a), ("B", found.b)):
            table.add_row(f"stamp in {name}", ", ".join(f"{side:.0f}" for side in box))
        report_console(stream).print(table)
