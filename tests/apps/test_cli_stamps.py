import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner, Result

from platemark.apps.cli import app
from platemark.apps.cli.output import TableWriter, stamp_layout
from platemark.stamps.pipeline import StampPipeline
from platemark.types import Result as StampResult

Draw = Callable[..., NDArray[np.float32]]
MakePage = Callable[..., Path]


@pytest.fixture(autouse=True)
def tiny_models(stamp_pipeline: StampPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let everything that loads the bundled models get the tiny ones."""
    monkeypatch.setattr(StampPipeline, "from_pretrained", lambda *_, **__: stamp_pipeline)


@pytest.fixture
def make_page(tmp_path: Path, draw_stamp: Draw) -> MakePage:
    """Make a picture of a page with stamps of the shapes and inks given, side by side."""

    def make(name: str, *stamps: tuple[str, str]) -> Path:
        page = np.full((240, 240 * max(1, len(stamps)), 3), 240, np.uint8)
        for number, (shape, color) in enumerate(stamps):
            draw_stamp(page, shape, (120 + 240 * number, 120), 180, color)
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(page).save(path)
        return path

    return make


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["stamps", *map(str, words)])


def rows(result: Result) -> list[dict[str, object]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_piped_output_is_json_lines(make_page: MakePage) -> None:
    page = make_page("page.png", ("circle", "blue"), ("rectangle", "red"))
    result = run(page)
    assert (result.exit_code, result.stderr) == (0, "")
    (row,) = rows(result)
    looks = {(mark["shape"], mark["color"]) for mark in row["marks"]}  # type: ignore[attr-defined]
    assert looks == {("circle", "blue"), ("rectangle", "red")}
    assert StampResult.from_dict(row).to_dict() == row


def test_vectors_are_in_json_on_request(make_page: MakePage) -> None:
    page = make_page("page.png", ("circle", "blue"))
    (mark,) = rows(run(page))[0]["marks"]  # type: ignore[misc]
    assert "embedding" not in mark
    (mark,) = rows(run(page, "--embedding"))[0]["marks"]  # type: ignore[misc]
    assert len(mark["embedding"]) == 16
    assert mark["embedding_model"] == "stamp-embedder@1"


def test_table_and_csv_show_the_looks(make_page: MakePage) -> None:
    pages = [make_page("page.png", ("rectangle", "green")), make_page("blank.png")]
    table = run(*pages, "--format", "table").stdout
    assert "green rectangle" in table
    assert "no stamp" in table
    first, second = csv.DictReader(io.StringIO(run(*pages, "--format", "csv").stdout))
    assert (first["shape"], first["color"], first["identity"]) == ("rectangle", "green", "")
    assert abs(float(first["rotation"])) < 2
    assert second["kind"] == ""


def test_crops_have_transparent_paper(make_page: MakePage, tmp_path: Path) -> None:
    page = make_page("page.png", ("circle", "red"))
    assert run(page, "--crops", tmp_path / "cut", "--annotated", tmp_path / "drawn").exit_code == 0
    with PIL.Image.open(tmp_path / "cut/page-01.png") as crop:
        pixels = np.asarray(crop)
    assert pixels.shape[2] == 4
    assert abs(pixels.shape[0] - 180) < 8
    assert pixels[0, 0, 3] == 0
    assert 0.05 < (pixels[..., 3] > 128).mean() < 0.4
    strong = pixels[pixels[..., 3] > 200][:, :3].mean(axis=0)
    assert np.abs(strong - (200, 30, 40)).max() < 25
    assert (tmp_path / "drawn/page.jpg").is_file()


def test_similarities_of_all_stamps_are_a_matrix_and_a_picture(
    make_page: MakePage, tmp_path: Path
) -> None:
    one = make_page("one.png", ("circle", "blue"), ("rectangle", "red"))
    two = make_page("two.png", ("circle", "green"))
    pages = [PIL.Image.open(path) for path in (two, one)]
    pages[0].save(tmp_path / "scan.tiff", save_all=True, append_images=pages[1:])
    target = tmp_path / "out/similar.csv"
    assert run(one, make_page("blank.png"), tmp_path / "scan.tiff", "--similarity", target)
    header, *lines = csv.reader(target.open())
    assert header[1:] == [line[0] for line in lines]
    scan = tmp_path / "scan.tiff"
    assert header[1:] == [f"{one}#0/0", f"{one}#0/1", f"{scan}#0/0", f"{scan}#1/0", f"{scan}#1/1"]
    matrix = np.array([[float(value) for value in line[1:]] for line in lines])
    assert np.allclose(matrix, matrix.T)
    assert np.allclose(np.diag(matrix), 1.0)
    assert matrix[0, 3] > 0.999 > matrix[0, 1]
    with PIL.Image.open(tmp_path / "out/similar.csv.png") as picture:
        assert picture.width > 200


def test_without_stamps_the_matrix_is_empty(make_page: MakePage, tmp_path: Path) -> None:
    target = tmp_path / "similar.csv"
    assert run(make_page("blank.png"), "--similarity", target).exit_code == 0
    assert list(csv.reader(target.open())) == [[""]]
    assert (tmp_path / "similar.csv.png").is_file()


def test_vectors_are_written_for_numpy(make_page: MakePage, tmp_path: Path) -> None:
    page = make_page("page.png", ("circle", "blue"), ("triangle", "red"))
    target = tmp_path / "vectors.npz"
    assert run(page, "--embeddings", target).exit_code == 0
    with np.load(target) as data:
        assert data["vectors"].shape == (2, 16)
        assert data["sources"].tolist() == [str(page)] * 2
        assert data["indices"].tolist() == [0, 1]
        assert data["boxes"].shape == (2, 4)
        assert set(data["models"].tolist()) == {"stamp-embedder@1"}


def test_parquet_names_the_extra_before_the_work_begins(
    make_page: MakePage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platemark.stamps.vectors.find_spec", lambda _: None)
    monkeypatch.setattr(StampPipeline, "result", lambda *_: pytest.fail("the work began"))
    result = run(make_page("page.png"), "--embeddings", tmp_path / "vectors.parquet")
    assert result.exit_code == 2
    assert "[parquet]" in result.stderr


def test_vectors_are_written_as_parquet(make_page: MakePage, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    page = make_page("page.png", ("circle", "blue"), ("triangle", "red"))
    target = tmp_path / "vectors.parquet"
    assert run(page, "--embeddings", target).exit_code == 0
    table = parquet.read_table(target).to_pydict()
    assert table["source"] == [str(page)] * 2
    assert [len(vector) for vector in table["vector"]] == [16, 16]


def test_places_that_cannot_be_written_are_wrong_usage(
    make_page: MakePage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StampPipeline, "result", lambda *_: pytest.fail("the work began"))
    page = make_page("page.png")
    for words in (
        ("--embeddings", tmp_path / "vectors.txt"),
        ("--embeddings", tmp_path),
        ("--similarity", page),
        ("--similarity", page / "below-a-file.csv"),
    ):
        assert run(page, *words).exit_code == 2, words


def test_vectors_of_finished_pages_are_kept_when_one_fails_or_all_stops(
    make_page: MakePage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = [make_page(f"{number}.png", ("circle", "blue")) for number in range(3)]
    (tmp_path / "bad.png").write_bytes(b"no picture")
    target = tmp_path / "vectors.npz"
    result = run(pages[0], tmp_path / "bad.png", pages[1], "--embeddings", target)
    assert result.exit_code == 1
    with np.load(target) as data:
        assert len(data["vectors"]) == 2
    usual = StampPipeline.result

    def interrupted(self: StampPipeline, item: object) -> StampResult:
        if getattr(item, "source", "").endswith("2.png"):
            raise KeyboardInterrupt
        return usual(self, item)  # type: ignore[arg-type]

    monkeypatch.setattr(StampPipeline, "result", interrupted)
    result = run(*pages, "--embeddings", target)
    assert result.exit_code == 130
    assert "platemark stamps @left.txt" in result.stderr
    with np.load(target) as data:
        assert len(data["vectors"]) == 2


@pytest.mark.parametrize("known", [False, True])
def test_a_table_has_what_the_stamps_say(
    known: bool, stamp_pipeline: StampPipeline, make_page: MakePage
) -> None:
    stream = io.StringIO()
    writer = TableWriter(stream, stamp_layout(known=known, read=True))
    result = stamp_pipeline(make_page("page.png", ("circle", "blue")))
    (mark,) = result.marks
    mark = replace(mark, identity=None, text="FIRST BANK")
    writer.write(replace(result, marks=(mark,)))
    assert "FIRST BANK" in stream.getvalue()
    assert "circle" in stream.getvalue()
