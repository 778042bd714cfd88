"""Where results go, and how they look as a table."""

import io
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import typer
from rich.markup import escape
from rich.table import Table

from platemark.apps.cli.common import on_terminal, report_console
from platemark.usecases import export
from platemark.usecases.export import CsvWriter, JsonLinesWriter, Layout, ResultWriter

if TYPE_CHECKING:
    from platemark.types import Result

# A file name need not be text: in JSON the escape that stands for its bytes gives it back.
_UNWRITABLE = "backslashreplace"


class ResultFormat(StrEnum):
    """How results are printed."""

    TABLE = "table"
    JSONL = "jsonl"
    CSV = "csv"


def _plate_cells(mark: Mapping[str, Any]) -> tuple[str, ...]:
    text = escape(mark["text"]) if mark["text"] else "[dim]not legible[/dim]"
    return text, f"{mark['text_score']:.2f}", f"{mark['score']:.2f}"


def _stamp_cells(mark: Mapping[str, Any]) -> tuple[str, ...]:
    rotation = "" if mark["rotation"] is None else f"{mark['rotation']:.0f}°"
    return f"{mark['color']} {mark['shape']}", rotation, f"{mark['score']:.2f}"


def _known_cells(mark: Mapping[str, Any]) -> tuple[str, ...]:
    known = mark["identity"]
    if known is None:
        name = "[dim]no known stamp[/dim]"
    elif known["accepted"]:
        name = escape(known["name"])
    else:
        name = f"[dim]unknown, most like {escape(known['name'])}[/dim]"
    return (*_stamp_cells(mark), name)


@dataclass(frozen=True, kw_only=True)
class TableLayout(Layout):
    """How marks of one kind are shown in a table for people.

    Attributes:
        headings: Columns of the table between the source and the box, by `cells`.
        cells: The table's texts for a mark's JSON object, with Rich markup.
    """

    headings: tuple[str, ...]
    cells: Callable[[Mapping[str, Any]], tuple[str, ...]]


PLATES = TableLayout(
    **vars(export.PLATES), headings=("plate", "text score", "score"), cells=_plate_cells
)
STAMPS = TableLayout(
    **vars(export.STAMPS), headings=("stamp", "rotation", "score"), cells=_stamp_cells
)
KNOWN_STAMPS = replace(STAMPS, headings=(*STAMPS.headings, "known as"), cells=_known_cells)


class TableWriter:
    """A table for people, printed when all results are there."""

    def __init__(self, stream: TextIO, layout: TableLayout = PLATES) -> None:
        self._console, self._layout = report_console(stream), layout
        first, *rest = layout.headings
        self._table = Table("source", first, box=None, pad_edge=False, header_style="bold")
        for name in (*rest, "box", "ms"):
            self._table.add_column(name, justify="right")

    def write(self, result: "Result") -> None:
        """Add the rows of the result."""
        name = escape(f"{result.source} page {result.page}" if result.page else result.source)
        empty = ("",) * len(self._layout.headings)
        if result.error is not None:
            self._table.add_row(name, f"[red]{result.error.code}[/red]", *empty)
            return
        elapsed = f"{result.elapsed_ms:.0f}"
        for mark in result.to_dict()["marks"]:
            corners = " ".join(f"{value:.0f}" for value in mark["box"])
            self._table.add_row(name, *self._layout.cells(mark), corners, elapsed)
            name = elapsed = ""
        if not result.marks:
            self._table.add_row(name, f"[dim]no {self._layout.kind}[/dim]", *empty[1:], "", elapsed)

    def close(self) -> None:
        """Print the table."""
        if self._table.row_count:
            self._console.print(self._table)


WRITERS: dict[ResultFormat, Callable[[TextIO, TableLayout], ResultWriter]] = {
    ResultFormat.TABLE: TableWriter,
    ResultFormat.JSONL: JsonLinesWriter,
    ResultFormat.CSV: CsvWriter,
}


def usual_format(output: Path | None) -> ResultFormat:
    """A table on a terminal, JSON Lines in a file or pipe."""
    return ResultFormat.JSONL if output or not on_terminal() else ResultFormat.TABLE


def standard_output(kind: ResultFormat) -> TextIO:
    """Standard output, ready for any file name and text; JSON and CSV are UTF-8 on every system.

    Raises:
        typer.BadParameter: It is closed.
    """
    if sys.stdout is None:
        raise typer.BadParameter("standard output is closed; name a file", param_hint="--output")
    if isinstance(sys.stdout, io.TextIOWrapper):
        encoding = None if kind is ResultFormat.TABLE else "utf-8"
        sys.stdout.reconfigure(encoding=encoding, errors=_UNWRITABLE)
    return sys.stdout


def open_output(path: Path, option: str = "--output") -> TextIO:
    """Open a file for results.

    Raises:
        typer.BadParameter: It cannot be written.
    """
    try:
        return path.open("w", encoding="utf-8", errors=_UNWRITABLE, newline="")
    except OSError as error:
        raise typer.BadParameter(
            f"cannot write to {path} ({error.strerror}); choose another file", param_hint=option
        ) from error
