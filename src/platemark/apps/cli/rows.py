"""Rows of a report: as a table for people, as JSON Lines for programs."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, TextIO

import typer
from rich.markup import escape
from rich.table import Table

from platemark.apps.cli.common import on_terminal, report_console
from platemark.apps.cli.output import ResultFormat, standard_output

Row = Mapping[str, Any]


class RowFormat(StrEnum):
    """How rows are printed."""

    TABLE = "table"
    JSONL = "jsonl"


RowFormatOption = Annotated[
    RowFormat | None,
    typer.Option("--format", help="Default: table on a terminal, jsonl when piped."),
]


@dataclass(frozen=True)
class RowLayout:
    """How rows of one sort are shown in a table.

    Attributes:
        headings: Of the columns.
        lines: The lines of the table, each with a text for each column, that a row makes.
    """

    headings: Sequence[str]
    lines: Callable[[Row], Iterable[Sequence[object]]]


def chosen_format(wanted: RowFormat | None) -> RowFormat:
    """The format asked for, or else the usual one."""
    return wanted or (RowFormat.TABLE if on_terminal() else RowFormat.JSONL)


def print_rows(
    rows: Iterable[Row],
    layout: RowLayout,
    wanted: RowFormat | None,
    stream: TextIO | None = None,
) -> int:
    """Print rows, JSON as it comes, and return how many have an ``error``.

    Args:
        rows: What to print.
        layout: How a table shows it.
        wanted: The format asked for; None for the usual one of standard output.
        stream: Where to; None for standard output.
    """
    if chosen_format(wanted) is RowFormat.TABLE:
        return _print_table(rows, layout, stream or standard_output(ResultFormat.TABLE))
    stream = stream or standard_output(ResultFormat.JSONL)
    failed = 0
    for row in rows:
        failed += "error" in row
        stream.write(json.dumps(row, ensure_ascii=False) + "\n")
        stream.flush()
    return failed


def _print_table(rows: Iterable[Row], layout: RowLayout, stream: TextIO) -> int:
    table = Table(*layout.headings, box=None, pad_edge=False, header_style="bold")
    failed = 0
    for row in rows:
        if "error" in row:
            failed += 1
            cells = [escape(str(row["source"])), f"[red]{row['error']['code']}[/red]"]
            table.add_row(*cells)
            continue
        for line in layout.lines(row):
            table.add_row(*("" if cell is None else escape(str(cell)) for cell in line))
    if table.row_count:
        report_console(stream).print(table)
    return failed


def one_line(*keys: str) -> Callable[[Row], Iterator[Sequence[object]]]:
    """Make a line of a row's values by key; lists with commas between."""

    def lines(row: Row) -> Iterator[Sequence[object]]:
        values = (row[key] for key in keys)
        yield [", ".join(value) if isinstance(value, list) else value for value in values]

    return lines
