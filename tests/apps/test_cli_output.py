import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from platemark.apps.cli.output import WRITERS, ResultFormat, usual_format
from platemark.types import Failure, Obscured, PlateMark, Region, Result
from platemark.usecases.export import PictureNames

QUAD = ((1.0, 2.0), (9.0, 2.0), (9.0, 4.0), (1.0, 4.0))
PLATE = PlateMark(0.9, (1.0, 2.0, 9.0, 4.0), QUAD, "AB12", 0.8, region=Region("eu-de", 0.7))
BLANK = PlateMark(0.6, (1.0, 2.0, 9.0, 4.0), QUAD)
RESULTS = [
    Result("in/two.jpg", 0, 640, 480, (PLATE, BLANK), 12.3),
    Result("in/[none].tif", 3, 640, 480),
    Result("in/bad.jpg", error=Failure("unreadable_image", "in/bad.jpg is empty (0 bytes)")),
]


def printed(kind: ResultFormat, results: list[Result] = RESULTS) -> str:
    stream = io.StringIO()
    writer = WRITERS[kind](stream)
    for result in results:
        writer.write(result)
    writer.close()
    return stream.getvalue()


def test_json_lines_are_the_results() -> None:
    lines = [json.loads(line) for line in printed(ResultFormat.JSONL).splitlines()]
    assert lines == [result.to_dict() for result in RESULTS]


def test_a_json_line_is_out_as_soon_as_its_result_is_there() -> None:
    stream = io.StringIO()
    writer = WRITERS[ResultFormat.JSONL](stream)
    writer.write(RESULTS[0])
    assert json.loads(stream.getvalue()) == RESULTS[0].to_dict()


def test_csv_has_a_row_per_mark_and_one_for_an_image_without() -> None:
    rows = list(csv.DictReader(io.StringIO(printed(ResultFormat.CSV))))
    assert [row["source"] for row in rows] == ["in/two.jpg"] * 2 + ["in/[none].tif", "in/bad.jpg"]
    assert [row["text"] for row in rows] == ["AB12", "", "", ""]
    assert (rows[0]["region"], rows[0]["x1"], rows[2]["page"]) == ("eu-de", "9.0", "3")
    assert rows[3]["error_code"] == "unreadable_image"


def test_table_names_every_input() -> None:
    table = printed(ResultFormat.TABLE)
    for part in ("in/two.jpg", "AB12", "not legible", "in/[none].tif page 4", "no plate"):
        assert part in table
    assert "unreadable_image" in table


def test_table_without_results_prints_nothing() -> None:
    assert printed(ResultFormat.TABLE, []) == ""


folders = st.sampled_from(["", "a/", "b/", "a/b/", "/data/"])
stems = st.sampled_from(["car", "Car", "car-page002", "doc"])
sources = st.builds(lambda f, s, e: f + s + e, folders, stems, st.sampled_from([".jpg", ".png"]))


@given(st.lists(st.tuples(sources, st.integers(0, 2)), unique=True, max_size=30))
def test_pictures_of_different_sources_and_pages_never_share_a_name(
    pages: list[tuple[str, int]],
) -> None:
    names = PictureNames()
    given_out = [names.stem(*page) for page in pages]
    assert len({name.casefold() for name in given_out}) == len(pages)
    assert [names.stem(*page) for page in pages] == given_out
    assert all(Path(name).name == name for name in given_out)


@pytest.mark.parametrize(
    ("source", "page", "name"),
    [("in/car.jpg", 0, "car"), ("scan.pdf", 2, "scan-page003"), ("-", 0, "stdin")],
)
def test_a_picture_is_called_as_its_source(source: str, page: int, name: str) -> None:
    assert PictureNames().stem(source, page) == name


@pytest.mark.parametrize("letter", ["n", "ü", "字", "\udcfc"])
def test_names_of_pictures_fit_file_systems(letter: str) -> None:
    names = PictureNames()
    long = letter * (250 // len(letter.encode(errors="surrogateescape")))
    stems = {names.stem(f"{folder}/{long}.jpg", page) for folder in "ab" for page in (0, 999)}
    assert len(stems) == 4
    assert all(len(f"{stem}-100.png".encode()) <= 255 for stem in stems)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_tables_fit_the_terminal(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "platemark.apps.cli.output.report_console", lambda stream: Console(file=stream, width=width)
    )
    long = Result(f"{'folder/' * 20}car.jpg", 0, 4000, 3000, (PLATE,), 1234.5)
    lines = printed(ResultFormat.TABLE, [*RESULTS, long]).splitlines()
    assert max(map(len, lines)) <= width
    assert ("box" in lines[0], "ms" in lines[0]) == (width >= 80, True)
    assert "folder/car.jpg" in lines[-1]


def test_a_table_row_is_out_as_soon_as_its_result_is_there() -> None:
    stream = io.StringIO()
    writer = WRITERS[ResultFormat.TABLE](stream)
    for number, result in enumerate(RESULTS, 1):
        writer.write(result)
        assert result.source in stream.getvalue()
        assert stream.getvalue().count("score") == 1, number


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.csv", "csv"), ("a.CSV", "csv"), ("a.jsonl", "jsonl"), ("a.txt", "table"), ("a", "jsonl")],
)
def test_the_suffix_of_the_output_chooses_the_format(name: str, kind: str) -> None:
    assert usual_format(Path(name)) == kind


def test_a_wide_table_says_what_plates_look_like(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "platemark.apps.cli.output.report_console", lambda stream: Console(file=stream, width=120)
    )
    place = (0.9, (1.0, 2.0, 9.0, 4.0), QUAD)
    marks = (
        replace(PLATE, lines=2, obscured=Obscured(False, 0.1)),
        replace(PLATE, obscured=Obscured(True, 0.9)),
        PlateMark(*place, mirrored=True),
    )
    lines = printed(ResultFormat.TABLE, [Result("a.jpg", 0, 40, 30, marks)]).splitlines()
    heading, plain, hidden, mirrored = (" ".join(line.split()) for line in lines)
    assert heading == "source plate region lines text score box ms"
    assert plain.startswith("a.jpg AB12 eu-de 2 0.80")
    assert "AB12 obscured 0.80" in hidden
    assert mirrored.startswith("mirrored 0.00")
    (row, *_) = csv.DictReader(
        io.StringIO(printed(ResultFormat.CSV, [Result("a.jpg", 0, 40, 30, marks[1:2])]))
    )
    assert (row["obscured"], row["lines"]) == ("true", "")
