"""Where results go, and their form as a table."""

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
    from rich.console import JustifyMethod

    from platemark.types import Result

# A file name need not be text: in JSON the escape that stands for its bytes gives it back.
_UNWRITABLE = "backslashreplace"

# Widths in characters of the columns of tables, and of the space between two.
_LEAST_SOURCE, _WIDEST_SOURCE = 16, 60
_BOX_WIDTH, _TIME_WIDTH, _GAP = 19, 5, 2
_TEXT_WIDTH = 28
_MIRRORED, _ILLEGIBLE = "[dim]mirrored[/dim]", "[dim]not legible[/dim]"
_FORMATS_OF_SUFFIXES = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".txt": "table"}


class ResultFormat(StrEnum):
    """How results are printed."""

    TABLE = "table"
    JSONL = "jsonl"
    CSV = "csv"


def _plate_cells(mark: Mapping[str, Any]) -> tuple[str, ...]:
    unread = _MIRRORED if mark.get("mirrored") else _ILLEGIBLE
    text = escape(mark["text"]) if mark["text"] else unread
    region = (mark["region"] or {}).get("code", "")
    hidden = mark["obscured"] is not None and mark["obscured"]["value"]
    kind = "[yellow]obscured[/yellow]" if hidden else escape(region)
    if mark.get("watch"):
        kind = "[red]watched[/red]"
    scores = f"{mark['text_score']:.2f}", f"{mark['score']:.2f}"
    return text, kind, "" if mark["lines"] is None else str(mark["lines"]), *scores


def _stamp_cells(mark: Mapping[str, Any]) -> tuple[str, ...]:
    rotation = "" if mark["rotation"] is None else f"{mark['rotation']:z.0f}°"
    return f"{mark['color']} {mark['shape']}", rotation, f"{mark['score']:.2f}"


def _known_cells(mark: Mapping[str, Any]) -> tuple[str, ...]:
    known = mark["identity"]
    if known is None:
        name = "[dim]unknown[/dim]"
    elif known["accepted"]:
        name = escape(known["name"])
    else:
        name = f"[dim]not {escape(known['name'])}[/dim]"
    stamp, _, score = _stamp_cells(mark)
    return stamp, name, score


@dataclass(frozen=True, kw_only=True)
class TableLayout(Layout):
    """How marks of one kind are shown in a table for people.

    Attributes:
        headings: Columns of the table between the source and the box, by `cells`.
        widths: Of these columns, in characters.
        cells: The table's texts for a mark's JSON object, with Rich markup.
        optional: Headings of columns that a narrow console leaves out.
    """

    headings: tuple[str, ...]
    widths: tuple[int, ...]
    cells: Callable[[Mapping[str, Any]], tuple[str, ...]]
    optional: tuple[str, ...] = ()

    def narrow(self) -> "TableLayout":
        """The layout without its optional columns."""
        kept = [i for i, heading in enumerate(self.headings) if heading not in self.optional]

        def cells(mark: Mapping[str, Any]) -> tuple[str, ...]:
            return tuple(self.cells(mark)[i] for i in kept)

        return replace(
            self,
            headings=tuple(self.headings[i] for i in kept),
            widths=tuple(self.widths[i] for i in kept),
            cells=cells,
            optional=(),
        )


PLATES = TableLayout(
    **vars(export.PLATES),
    headings=("plate", "region", "lines", "text", "score"),
    widths=(11, 12, 5, 4, 5),
    cells=_plate_cells,
    optional=("region", "lines"),
)
STAMPS = TableLayout(
    **vars(export.STAMPS),
    headings=("stamp", "turn", "score"),
    widths=(16, 5, 5),
    cells=_stamp_cells,
)
KNOWN_STAMPS = replace(
    STAMPS,
    headings=("stamp", "known as", "score"),
    widths=(16, 18, 5),
    cells=_known_cells,
)


def stamp_layout(*, known: bool, read: bool) -> TableLayout:
    """The layout of stamps, ``known`` with a column for whose they are, ``read`` for their text."""
    layout = KNOWN_STAMPS if known else STAMPS
    return _with_text(layout) if read else layout


def _with_text(layout: TableLayout) -> TableLayout:
    """The layout of stamps with a last column for what they say."""

    def cells(mark: Mapping[str, Any]) -> tuple[str, ...]:
        text = _MIRRORED if mark.get("mirrored") else _ILLEGIBLE
        return (*layout.cells(mark), escape(mark["text"]) if mark["text"] else text)

    headings, widths = (*layout.headings, "text"), (*layout.widths, _TEXT_WIDTH)
    return replace(layout, headings=headings, widths=widths, cells=cells)


class TableWriter:
    """A table for people, each row out as soon as its result is there.

    So the widths of the columns are fixed. Where the console is too narrow, optional columns are
    left out, then the boxes, then the times, and sources are cut at their start.
    """

    def __init__(self, stream: TextIO, layout: TableLayout = PLATES) -> None:
        self._console = report_console(stream)
        both = _TIME_WIDTH + _BOX_WIDTH + 2 * _GAP
        if layout.optional and self._spare(layout) < both:
            layout = layout.narrow()
        self._layout, spare = layout, self._spare(layout)
        self._timed = spare >= _TIME_WIDTH + _GAP
        self._boxed = spare >= both
        spare -= self._timed * (_TIME_WIDTH + _GAP) + self._boxed * (_BOX_WIDTH + _GAP)
        self._source_width = min(_LEAST_SOURCE + max(spare, 0), _WIDEST_SOURCE)
        self._headed = False

    def _spare(self, layout: TableLayout) -> int:
        """Characters of a line that the columns of a layout leave beside the shortest source."""
        return self._console.width - _LEAST_SOURCE - sum(w + _GAP for w in layout.widths)

    def write(self, result: "Result") -> None:
        """Print the rows of the result."""
        name = f"{result.source} page {result.page + 1}" if result.page else result.source
        if result.error is not None:
            self._print([])
            padded = f"{self._shown(name):{self._source_width}}"
            self._console.print(f"{padded}{' ' * _GAP}[red]{result.error.code}[/red]")
            return
        elapsed = f"{result.elapsed_ms:.0f}"
        rows = []
        for mark in result.to_dict()["marks"]:
            corners = " ".join(f"{value:.0f}" for value in mark["box"])
            rows.append((name, self._layout.cells(mark), corners, elapsed))
            name = elapsed = ""
        nothing = "not present" if self._layout.presence else f"no {self._layout.kind}"
        rows = rows or [(name, (f"[dim]{nothing}[/dim]",), "", elapsed)]
        if result.expected is not None:
            rows.append(("", (f"[bold]{result.expected.verdict}[/bold]",), "", ""))
        self._print(rows)

    def close(self) -> None:
        """Nothing is held back."""

    def _print(self, rows: list[tuple[str, tuple[str, ...], str, str]]) -> None:
        """Print rows of a source, the cells of a mark, its box and the time."""
        if not rows and self._headed:
            return
        table = Table(box=None, pad_edge=False, header_style="bold", show_header=not self._headed)
        self._headed = True
        columns = zip(self._layout.headings, self._layout.widths, strict=True)
        self._add_column(table, "source", self._source_width, "left")
        for number, (heading, width) in enumerate(columns):
            self._add_column(table, heading, width, "right" if number else "left")
        if self._boxed:
            self._add_column(table, "box", _BOX_WIDTH, "right")
        if self._timed:
            self._add_column(table, "ms", _TIME_WIDTH, "right")
        for source, cells, corners, elapsed in rows:
            empty = ("",) * (len(self._layout.headings) - len(cells))
            ends = (corners,) * self._boxed + (elapsed,) * self._timed
            table.add_row(self._shown(source), *cells, *empty, *ends)
        self._console.print(table)

    @staticmethod
    def _add_column(table: Table, heading: str, width: int, justify: "JustifyMethod") -> None:
        table.add_column(heading, width=width, justify=justify, no_wrap=True)

    def _shown(self, source: str) -> str:
        """The source, with an ellipsis for its start where it is too long."""
        over = len(source) - self._source_width
        return escape(source if over <= 0 else f"…{source[over + 1 :]}")


WRITERS: dict[ResultFormat, Callable[[TextIO, TableLayout], ResultWriter]] = {
    ResultFormat.TABLE: TableWriter,
    ResultFormat.JSONL: JsonLinesWriter,
    ResultFormat.CSV: CsvWriter,
}


def usual_format(output: Path | None) -> ResultFormat:
    """What the suffix of a file says, else JSON Lines; a table on a terminal, else JSON Lines."""
    if output is not None:
        return ResultFormat(_FORMATS_OF_SUFFIXES.get(output.suffix.lower(), "jsonl"))
    return ResultFormat.TABLE if on_terminal() else ResultFormat.JSONL


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


def open_output(path: Path, option: str = "--output", *, add: bool = False) -> TextIO:
    """Open a file for results; ``add``, after those that it has.

    Raises:
        typer.BadParameter: It cannot be written.
    """
    try:
        return path.open("a" if add else "w", encoding="utf-8", errors=_UNWRITABLE, newline="")
    except OSError as error:
        raise typer.BadParameter(
            f"cannot write to {path} ({error.strerror}); choose another file", param_hint=option
        ) from error
