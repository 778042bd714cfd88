"""Results as a table, as JSON Lines or as CSV; names of the pictures that go with them."""

import csv
import hashlib
import io
import json
from collections.abc import Callable
from enum import StrEnum
from pathlib import PurePath
from typing import TYPE_CHECKING, Protocol, TextIO

from rich.markup import escape
from rich.table import Table

from platemark.apps.cli.common import report_console

if TYPE_CHECKING:
    from platemark.types import Result


class ResultFormat(StrEnum):
    """How results are printed."""

    TABLE = "table"
    JSONL = "jsonl"
    CSV = "csv"


class ResultWriter(Protocol):
    """Prints results one by one."""

    def write(self, result: "Result") -> None:
        """Take one result."""

    def close(self) -> None:
        """Print what is still held back."""


class JsonLinesWriter:
    """One JSON object per result, each out as soon as it is there."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, result: "Result") -> None:
        """Print the result; a line is written whole, so an interrupt leaves none half done."""
        self._stream.write(json.dumps(result.to_dict(), ensure_ascii=False) + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Nothing is held back."""


class CsvWriter:
    """One row per mark; an image without marks, or with an error, has a row of its own."""

    COLUMNS = (
        *("source", "page", "width", "height", "kind", "score", "x0", "y0", "x1", "y1"),
        *("text", "text_score", "region", "lines", "error_code", "error_message"),
    )

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._write_rows([dict(zip(self.COLUMNS, self.COLUMNS, strict=True))])

    def write(self, result: "Result") -> None:
        """Print the rows of the result."""
        self._write_rows(_csv_rows(result))

    def close(self) -> None:
        """Nothing is held back."""

    def _write_rows(self, rows: list[dict[str, object]]) -> None:
        buffer = io.StringIO()
        csv.DictWriter(buffer, self.COLUMNS, lineterminator="\n").writerows(rows)
        self._stream.write(buffer.getvalue())
        self._stream.flush()


def _csv_rows(result: "Result") -> list[dict[str, object]]:
    page: dict[str, object] = {"source": result.source, "page": result.page}
    if result.error is not None:
        return [
            page | {"error_code": result.error.code, "error_message": result.error.message},
        ]
    page |= {"width": result.width, "height": result.height}
    rows: list[dict[str, object]] = []
    for mark in result.to_dict()["marks"]:
        row = page | {key: mark[key] for key in ("kind", "score", "text", "text_score", "lines")}
        row |= dict(zip(("x0", "y0", "x1", "y1"), mark["box"], strict=True))
        rows.append(row | {"region": (mark["region"] or {}).get("code")})
    return rows or [page]


class TableWriter:
    """A table for people, printed when all results are there."""

    def __init__(self, stream: TextIO) -> None:
        self._console = report_console(stream)
        self._table = Table("source", "plate", box=None, pad_edge=False, header_style="bold")
        for name in ("text score", "score", "box", "ms"):
            self._table.add_column(name, justify="right")

    def write(self, result: "Result") -> None:
        """Add the rows of the result."""
        name = escape(f"{result.source} page {result.page}" if result.page else result.source)
        if result.error is not None:
            self._table.add_row(name, f"[red]{result.error.code}[/red]", "", "", "", "")
            return
        elapsed = f"{result.elapsed_ms:.0f}"
        for mark in result.marks:
            corners = " ".join(f"{value:.0f}" for value in mark.box)
            text = escape(mark.text) if mark.text else "[dim]not legible[/dim]"
            scores = (f"{mark.text_score:.2f}", f"{mark.score:.2f}")
            self._table.add_row(name, text, *scores, corners, elapsed)
            name = elapsed = ""
        if not result.marks:
            self._table.add_row(name, "[dim]no plate[/dim]", "", "", "", elapsed)

    def close(self) -> None:
        """Print the table."""
        if self._table.row_count:
            self._console.print(self._table)


WRITERS: dict[ResultFormat, Callable[[TextIO], ResultWriter]] = {
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
