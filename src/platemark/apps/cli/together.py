"""The results of several photos of one car, printed as one object for each plate."""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TextIO

from platemark.apps.cli.output import ResultFormat
from platemark.apps.cli.rows import Row, RowFormat, RowLayout, print_rows

if TYPE_CHECKING:
    from platemark.plates.pipeline import PlatePipeline
    from platemark.types import Result

_PLATE = ("text", "text_score", "region")
_VIEW = ("source", "page", "score", "x0", "y0", "x1", "y1", "own_text", "own_text_score")
_COLUMNS = ("plate", *_PLATE, "expected", *_VIEW, "error_code", "error_message")


def _lines(row: Row) -> Iterator[list[object]]:
    views = row["views"]
    text, score = row["text"] or "not legible", f"{row['text_score']:.2f}"
    asked = row.get("expected", {}).get("verdict", "")
    yield [text, score, asked, len(views), views[0]["source"]]


_LAYOUT = RowLayout(("plate", "score", "expected", "photos", "clearest"), _lines)


class TogetherWriter:
    """Keeps the plates of all photos, and prints them merged when the last one is done.

    Args:
        pipeline: Merges them.
        stream: Where to print.
        kind: How; in CSV a plate has a row for each photo.
    """

    def __init__(self, pipeline: "PlatePipeline", stream: TextIO, kind: ResultFormat) -> None:
        self._pipeline, self._stream, self._kind = pipeline, stream, kind
        self._results: list[Result] = []

    def write(self, result: "Result") -> None:
        """Take the plates of one photo."""
        self._results.append(replace(result, draw=None))

    def close(self) -> None:
        """Print the merged plates, after the photos that failed."""
        failed = [one.to_dict() for one in self._results if one.error is not None]
        rows = [*failed, *(plate.to_dict() for plate in self._pipeline.merge(self._results))]
        if self._kind is ResultFormat.CSV:
            writer = csv.DictWriter(self._stream, _COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(_csv_rows(rows))
        else:
            print_rows(rows, _LAYOUT, RowFormat(self._kind.value), self._stream)


def _csv_rows(rows: list[dict[str, Any]]) -> Iterator[Mapping[str, object]]:
    number = 0
    for row in rows:
        if error := row.get("error"):
            place = {"source": row["source"], "page": row.get("page", 0)}
            yield place | {"error_code": error["code"], "error_message": error["message"]}
            continue
        number += 1
        plate = {"plate": number, **{key: row[key] for key in _PLATE}}
        plate["region"] = (row["region"] or {}).get("code")
        plate["expected"] = row.get("expected", {}).get("verdict")
        for view in row["views"]:
            box = dict(zip(("x0", "y0", "x1", "y1"), view["box"], strict=True))
            own = {"own_text": view["text"], "own_text_score": view["text_score"]}
            kept = {key: view[key] for key in ("source", "page", "score")}
            yield plate | kept | box | own
