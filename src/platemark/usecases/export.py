"""Results as rows, JSON Lines and CSV; file names of the pictures that go with them."""

import csv
import hashlib
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import IO, TYPE_CHECKING, Any, Protocol, TextIO

from platemark.errors import MissingExtra

if TYPE_CHECKING:
    import pandas

    from platemark.types import Result


@dataclass(frozen=True)
class Layout:
    """How marks of one kind stand in a table.

    Attributes:
        kind: What they are called.
        fields: Columns of the CSV between the box and the error, by `values`.
        values: The fields of a mark's JSON object.
        embedding: Whether JSON Lines have the embeddings of stamps.
        presence: Whether JSON Lines, CSV and table say if a page bears a wanted stamp.
        expectation: Whether the CSV says if a page shows a plate with an expected text.
    """

    kind: str
    fields: tuple[str, ...]
    values: Callable[[Mapping[str, Any]], Mapping[str, object]]
    embedding: bool = False
    presence: bool = False
    expectation: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns of the CSV."""
        return (
            *("source", "page", "width", "height", "kind", "score", "x0", "y0", "x1", "y1"),
            *self.fields,
            *(("present",) if self.presence else ()),
            *(("expected",) if self.expectation else ()),
            *("error_code", "error_message"),
        )

    @property
    def event_columns(self) -> tuple[str, ...]:
        """All columns of the CSV of events of a video."""
        return ("source", "start", "end", "frame", "frames", *self.columns[4:])

    def event_row(self, data: Mapping[str, Any]) -> dict[str, object]:
        """The JSON object of an event, or of what was wrong with a video, by column."""
        if "error" in data:
            error = data["error"]
            return {
                "source": data["source"],
                "error_code": error["code"],
                "error_message": error["message"],
            }
        row = {**data, **self.values(data), **self._corners(data)}
        return {column: row.get(column) for column in self.event_columns}

    @staticmethod
    def _corners(mark: Mapping[str, Any]) -> dict[str, object]:
        return dict(zip(("x0", "y0", "x1", "y1"), mark["box"], strict=True))

    def rows(self, result: "Result") -> list[dict[str, object]]:
        """A row for each mark by column; one for a page without marks, or with an error."""
        page: dict[str, object] = {"source": result.source, "page": result.page}
        if (error := result.error) is not None:
            return [page | {"error_code": error.code, "error_message": error.message}]
        page |= {"width": result.width, "height": result.height}
        if self.presence:
            page["present"] = str(bears(result)).lower()
        if self.expectation and result.expected is not None:
            page["expected"] = result.expected.verdict
        rows: list[dict[str, object]] = []
        for mark in result.to_dict()["marks"]:
            row = page | {"kind": mark["kind"], "score": mark["score"], **self.values(mark)}
            rows.append(row | self._corners(mark))
        return rows or [page]


def _plate_values(mark: Mapping[str, Any]) -> Mapping[str, object]:
    same = ("text", "text_score", "lines")
    hidden = mark["obscured"]
    return {
        **{key: mark[key] for key in same},
        "region": (mark["region"] or {}).get("code"),
        "obscured": str(hidden["value"]).lower() if hidden else None,
        "watch": mark.get("watch", {}).get("text"),
    }


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


PLATES = Layout(
    "plate", ("text", "text_score", "region", "lines", "obscured", "watch"), _plate_values
)
STAMPS = Layout(
    "stamp",
    (
        *("shape", "color", "rotation", "text", "text_score"),
        *("identity", "design", "similarity", "accepted"),
    ),
    _stamp_values,
)
LAYOUTS = {layout.kind: layout for layout in (PLATES, STAMPS)}


def bears(result: "Result") -> bool:
    """Whether a page bears a stamp; where it is known whose stamps they are, a known one."""
    identities = (getattr(mark, "identity", None) for mark in result.marks)
    return any(identity is None or identity.accepted for identity in identities)


def to_pandas(results: "Result | Iterable[Result]") -> "pandas.DataFrame":
    """Return a table with a row for each mark, with the columns of the CSV of their kinds.

    A page without marks, or with an error, has a row of its own.

    Args:
        results: One result or many, such as what `Pipeline.stream` gives.

    Raises:
        MissingExtra: pandas is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise MissingExtra("platemark.to_pandas", "pandas") from error
    from platemark.types import Result

    listed = [results] if isinstance(results, Result) else list(results)
    kinds = dict.fromkeys(mark.kind for result in listed for mark in result) or {PLATES.kind: None}
    layouts = [LAYOUTS[kind] for kind in kinds]
    rows = [
        row
        for result in listed
        for row in (LAYOUTS[result[0].kind] if len(result) else layouts[0]).rows(result)
    ]
    columns = dict.fromkeys(column for layout in layouts for column in layout.columns)
    return pandas.DataFrame(rows, columns=list(columns))


class ResultWriter(Protocol):
    """Prints results one by one."""

    def write(self, result: "Result") -> None:
        """Take one result."""

    def close(self) -> None:
        """Print what is still held back."""


def json_line(result: "Result", *, embedding: bool = False, presence: bool = False) -> str:
    """A result as one line of JSON, its end included.

    Args:
        result: Of one page.
        embedding: As for `Result.to_dict`.
        presence: Whether it says if the page bears a wanted stamp, see `bears`.
    """
    data = result.to_dict(embedding=embedding)
    if presence and result.error is None:
        data["present"] = bears(result)
    return json.dumps(data, ensure_ascii=False) + "\n"


class JsonLinesWriter:
    """One JSON object per result, each out as soon as it is there."""

    def __init__(self, stream: TextIO, layout: Layout = PLATES) -> None:
        self._stream, self._layout = stream, layout

    def write(self, result: "Result") -> None:
        """Print the result; a line is written whole, so an interrupt leaves none half done."""
        line = json_line(result, embedding=self._layout.embedding, presence=self._layout.presence)
        self._stream.write(line)
        self._stream.flush()

    def close(self) -> None:
        """Nothing is held back."""


class CsvWriter:
    """One row per mark; an image without marks, or with an error, has a row of its own.

    Args:
        stream: Is written to.
        layout: The kind of marks.
        headed: Whether a row with the names of the columns comes first.
    """

    def __init__(self, stream: TextIO, layout: Layout = PLATES, *, headed: bool = True) -> None:
        self._rows, self._layout = CsvRows(stream, layout.columns, headed=headed), layout

    def write(self, result: "Result") -> None:
        """Print the rows of the result."""
        self._rows.write(self._layout.rows(result))

    def close(self) -> None:
        """Nothing is held back."""


class CsvRows:
    """Rows of CSV, out as soon as they are there.

    Args:
        stream: Is written to.
        columns: Names of the columns.
        headed: Whether a row with these comes first.
    """

    def __init__(self, stream: TextIO, columns: Sequence[str], *, headed: bool = True) -> None:
        self._stream, self._columns = stream, columns
        if headed:
            self.write([dict(zip(columns, columns, strict=True))])

    def write(self, rows: Iterable[Mapping[str, object]]) -> None:
        """Print rows by column, so that an interrupt leaves none half done."""
        buffer = io.StringIO()
        csv.DictWriter(buffer, self._columns, lineterminator="\n").writerows(rows)
        self._stream.write(buffer.getvalue())
        self._stream.flush()


# Of the columns of `Layout.fields`, by the names that Arrow has for them; others are text.
_COLUMN_TYPES = {
    "text_score": "float64",
    "lines": "int32",
    "rotation": "float64",
    "similarity": "float64",
}


def write_parquet(rows: Iterable[Mapping[str, Any]], stream: IO[bytes], layout: Layout) -> None:
    """Write results as Parquet: a row for each, its marks a list of records.

    A mark has its score, box, quad and the fields of the layout, and its embedding where the layout
    has it.

    Args:
        rows: JSON objects of results.
        stream: Is written to.
        layout: The kind of marks.

    Raises:
        MissingExtra: pyarrow is not installed.
    """
    from platemark.stamps.vectors import require_parquet

    require_parquet()
    import pyarrow
    import pyarrow.parquet

    numbers = pyarrow.list_(pyarrow.float64())
    mark = [("score", pyarrow.float64()), ("box", numbers), ("quad", pyarrow.list_(numbers))]
    for name in layout.fields:
        mark.append((name, pyarrow.type_for_alias(_COLUMN_TYPES.get(name, "string"))))
    if layout.embedding:
        mark.append(("embedding", pyarrow.list_(pyarrow.float32())))
    schema = pyarrow.schema(
        [
            ("source", pyarrow.string()),
            *((name, pyarrow.int32()) for name in ("page", "width", "height")),
            ("elapsed_ms", pyarrow.float64()),
            *((name, pyarrow.string()) for name in ("error_code", "error_message")),
            ("marks", pyarrow.list_(pyarrow.struct(mark))),
        ]
    )
    names = [name for name, _ in mark]
    table = [
        {
            "page": 0,
            **row,
            **{f"error_{key}": value for key, value in row.get("error", {}).items()},
            "marks": [
                {name: {**one, **layout.values(one)}.get(name) for name in names}
                for one in row.get("marks", ())
            ],
        }
        for row in rows
    ]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(table, schema), stream)


# Bytes; file systems take names of 255, and the page, the number and the suffix follow.
_LONGEST_STEM = 180


class PictureNames:
    """File names for the pictures of results, different for every source and page of a run.

    The name is that of the source, and of a page after the first its number, counted from 1, as
    three digits, so that names sort as the pages do. A second source of the same name, from another
    folder, gets a short digest of its path added, so that names do not depend on the machine; so
    does a name that is too long, which is cut.
    """

    def __init__(self) -> None:
        self._owners: dict[str, tuple[str, int]] = {}

    def stem(self, source: str, page: int) -> str:
        """Return the file name, without suffix, for the pictures of one page of a source."""
        plain = PurePath(source).stem if source != "-" else "stdin"
        # a file name need not be text, see os.fsdecode
        path = f"{source}\n{page}".encode(errors="surrogatepass")
        digest = hashlib.sha256(path).hexdigest()
        if len(name := plain.encode(errors="surrogatepass")) > _LONGEST_STEM:
            plain = f"{name[:_LONGEST_STEM].decode(errors='ignore')}-{digest[:8]}"
        if page:
            plain = f"{plain}-page{page + 1:03d}"
        names = (plain, *(f"{plain}-{digest[:length]}" for length in range(8, 65)))
        return next(name for name in names if self._claim(name, (source, page)))

    def _claim(self, name: str, owner: tuple[str, int]) -> bool:
        # file systems that ignore case must not lose a picture either
        return self._owners.setdefault(name.casefold(), owner) == owner
