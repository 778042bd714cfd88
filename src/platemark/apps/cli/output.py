"""Results as a table, as JSON Lines or as CSV; names of the pictures that go with them."""

import csv
import hashlib
import io
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Protocol, TextIO

import typer
from rich.markup import escape
from rich.table import Table

from platemark.apps.cli.common import on_terminal, report_console

if TYPE_CHECKING:
    from platemark.types import Result

# A file name need not be text: in JSON the escape that stands for its bytes gives it back.
_UNWRITABLE = "backslashreplace"


class ResultFormat(StrEnum):
    """How results are printed."""

    TABLE = "table"
    JSONL = "jsonl"
    CSV = "csv"


@dataclass(frozen=True)
class Layout:
    """How marks of one kind are shown.

    Attributes:
        kind: What they are called.
        fields: Columns of the CSV between the box and the error, by `values`.
        values: The fields of a mark's JSON object.
        headings: Columns of the table between the source and the box, by `cells`.
        cells: The table's texts for a mark's JSON object, with Rich markup.
        embedding: Whether JSON Lines have the vectors of stamps.
    """

    kind: str
    fields: tuple[str, ...]
    values: Callable[[Mapping[str, Any]], Mapping[str, object]]
    headings: tuple[str, ...]
    cells: Callable[[Mapping[str, Any]], tuple[str, ...]]
    embedding: bool = False


def _plate_values(mark: Mapping[str, Any]) -> Mapping[str, object]:
    same = ("text", "text_score", "lines")
    return {**{key: mark[key] for key in same}, "region": (mark["region"] or {}).get("code")}


def _plate_cells(mark: Mapping[str, Any]) -> tuple[str, ...]:
    text = escape(mark["text"]) if mark["text"] else "[dim]not legible[/dim]"
    return text, f"{mark['text_score']:.2f}", f"{mark['score']:.2f}"


def _stamp_values(mark: Mapping[str, Any]) -> Mapping[str, object]:
    same = ("shape", "color", "rotation", "text", "text_score")
    known = mark["identity"] or {}
    identity = {
        "identity": known.get("name") if known.get("accepted") else None,
        "design": known.get("design"),
        "similarity": known.get("similarity"),
        "accepted": str(known["accepted"]).lower() if known else None,
    }
    return {key: mark[key] for key in same} | identity


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


PLATES = Layout(
    "plate",
    ("text", "text_score", "region", "lines"),
    _plate_values,
    ("plate", "text score", "score"),
    _plate_cells,
)
STAMPS = Layout(
    "stamp",
    (
        *("shape", "color", "rotation", "text", "text_score"),
        *("identity", "design", "similarity", "accepted"),
    ),
    _stamp_values,
    ("stamp", "rotation", "score"),
    _stamp_cells,
)
KNOWN_STAMPS = replace(STAMPS, headings=(*STAMPS.headings, "known as"), cells=_known_cells)


class ResultWriter(Protocol):
    """Prints results one by one."""

    def write(self, result: "Result") -> None:
        """Take one result."""

    def close(self) -> None:
        """Print what is still held back."""


class JsonLinesWriter:
    """One JSON object per result, each out as soon as it is there."""

    def __init__(self, stream: TextIO, layout: Layout = PLATES) -> None:
        self._stream, self._embedding = stream, layout.embedding

    def write(self, result: "Result") -> None:
        """Print the result; a line is written whole, so an interrupt leaves none half done."""
        data = result.to_dict(embedding=self._embedding)
        self._stream.write(json.dumps(data, ensure_ascii=False) + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Nothing is held back."""


class CsvWriter:
    """One row per mark; an image without marks, or with an error, has a row of its own."""

    def __init__(self, stream: TextIO, layout: Layout = PLATES) -> None:
        self._stream, self._layout = stream, layout
        self._columns = (
            *("source", "page", "width", "height", "kind", "score", "x0", "y0", "x1", "y1"),
            *layout.fields,
            *("error_code", "error_message"),
        )
        self._write_rows([dict(zip(self._columns, self._columns, strict=True))])

    def write(self, result: "Result") -> None:
        """Print the rows of the result."""
        self._write_rows(_csv_rows(result, self._layout))

    def close(self) -> None:
        """Nothing is held back."""

    def _write_rows(self, rows: list[dict[str, object]]) -> None:
        buffer = io.StringIO()
        csv.DictWriter(buffer, self._columns, lineterminator="\n").writerows(rows)
        self._stream.write(buffer.getvalue())
        self._stream.flush()


def _csv_rows(result: "Result", layout: Layout) -> list[dict[str, object]]:
    page: dict[str, object] = {"source": result.source, "page": result.page}
    if result.error is not None:
        return [
            page | {"error_code": result.error.code, "error_message": result.error.message},
        ]
    page |= {"width": result.width, "height": result.height}
    rows: list[dict[str, object]] = []
    for mark in result.to_dict()["marks"]:
        row = page | {"kind": mark["kind"], "score": mark["score"], **layout.values(mark)}
        rows.append(row | dict(zip(("x0", "y0", "x1", "y1"), mark["box"], strict=True)))
    return rows or [page]


class TableWriter:
    """A table for people, printed when all results are there."""

    def __init__(self, stream: TextIO, layout: Layout = PLATES) -> None:
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


class _MakeWriter(Protocol):
    def __call__(self, stream: TextIO, layout: Layout = ...) -> ResultWriter: ...


WRITERS: dict[ResultFormat, _MakeWriter] = {
    ResultFormat.TABLE: TableWriter,
    ResultFormat.JSONL: JsonLinesWriter,
    ResultFormat.CSV: CsvWriter,
}


class PictureNames:
    """File names for the pictures of results, different for every source and page of a run.

    The name is that of the source. A second source of the same name, from another folder, gets a
    short digest of its path added, so that names do not depend on the machine.
    """

    def __init__(self) -> None:
        self._owners: dict[str, tuple[str, int]] = {}

    def stem(self, source: str, page: int) -> str:
        """Return the file name, without suffix, for the pictures of one page of a source."""
        plain = PurePath(source).stem if source != "-" else "stdin"
        if page:
            plain = f"{plain}-page{page}"
        # a file name need not be text, see os.fsdecode
        path = f"{source}\n{page}".encode(errors="surrogatepass")
        digest = hashlib.sha256(path).hexdigest()
        names = (plain, *(f"{plain}-{digest[:length]}" for length in range(8, 65)))
        return next(name for name in names if self._claim(name, (source, page)))

    def _claim(self, name: str, owner: tuple[str, int]) -> bool:
        # file systems that ignore case must not lose a picture either
        return self._owners.setdefault(name.casefold(), owner) == owner


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
