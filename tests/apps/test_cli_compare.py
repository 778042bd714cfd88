import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner, Result

from platemark.apps.cli import app
from platemark.stamps.pipeline import StampPipeline
from platemark.types import Comparison

Draw = Callable[..., NDArray[np.float32]]


@pytest.fixture(autouse=True)
def tiny_models(stamp_pipeline: StampPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let everything that loads the bundled models get the tiny ones."""
    monkeypatch.setattr(StampPipeline, "from_pretrained", lambda *_, **__: stamp_pipeline)


@pytest.fixture
def stamped(tmp_path: Path, draw_stamp: Draw) -> Callable[..., Path]:
    """Make a picture of a page with a stamp, or without."""

    def make(name: str, turn: float | None = None, text: tuple[str, ...] = ("ACME", "77")) -> Path:
        page = np.full((320, 320, 3), 240, np.uint8)
        if turn is not None:
            draw_stamp(page, "circle", (160, 160), 260, turn=turn, text=text)
        path = tmp_path / name
        PIL.Image.fromarray(page).save(path)
        return path

    return make


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["compare", *map(str, words)])


def test_piped_output_is_json(stamped: Callable[..., Path]) -> None:
    done = run(stamped("a.png", 0.0), stamped("b.png", 70.0))
    assert (done.exit_code, done.stderr) == (0, "")
    data = json.loads(done.stdout)
    assert data["verdict"] == "same"
    assert Comparison.from_dict(data).to_dict() == data


def test_the_table_says_the_same(stamped: Callable[..., Path]) -> None:
    a, b = stamped("a.png", 0.0), stamped("b.png", 70.0, ("BETA", "12"))
    done = run(a, b, "--format", "table")
    assert done.exit_code == 0
    assert "different" in done.stdout
    assert "they differ" in done.stdout
    assert "stamp in B" in done.stdout


def test_files_are_written(stamped: Callable[..., Path], tmp_path: Path) -> None:
    output, picture = tmp_path / "new" / "result.json", tmp_path / "new" / "difference.png"
    words = (stamped("a.png", 0.0), stamped("b.png", 5.0), "--output", output)
    done = run(*words, "--picture", picture)
    assert (done.exit_code, done.stdout) == (0, "")
    assert str(picture) in done.stderr
    assert json.loads(output.read_text(encoding="utf-8"))["verdict"] == "same"
    with PIL.Image.open(picture) as drawn:
        assert drawn.width > drawn.height
    assert run(*words, "--picture", picture, "--quiet").stderr == ""


@pytest.mark.parametrize("suffix", [".html", ".pdf"])
def test_a_report_is_written(stamped: Callable[..., Path], tmp_path: Path, suffix: str) -> None:
    report = tmp_path / f"report{suffix}"
    done = run(stamped("a.png", 0.0), stamped("b.png", 5.0), "--report", report)
    assert done.exit_code == 0
    assert json.loads(done.stdout)["verdict"] == "same"
    assert str(report) in done.stderr.replace("\n", "")
    assert report.read_bytes().startswith(b"%PDF" if suffix == ".pdf" else b"<!doctype html>")


def test_pages_of_a_pdf(stamped: Callable[..., Path], tmp_path: Path) -> None:
    sheets = [PIL.Image.open(stamped(f"{n}.png", turn)) for n, turn in ((0, None), (1, 30.0))]
    pdf = tmp_path / "contract.pdf"
    sheets[0].save(pdf, save_all=True, append_images=sheets[1:])
    a = stamped("a.png", 0.0)
    assert json.loads(run(a, pdf, "--page-b", 1).stdout)["verdict"] == "same"
    for page in (0, 2):
        done = run(a, pdf, "--page-b", page)
        assert done.exit_code == 1
        assert "contract.pdf" in done.stderr


def test_inputs_that_cannot_be_compared_are_named(
    stamped: Callable[..., Path], tmp_path: Path
) -> None:
    a, blank = stamped("a.png", 0.0), stamped("blank.png")
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff no picture")
    for name in (blank, broken, tmp_path / "missing.png"):
        done = run(a, name)
        assert (done.exit_code, done.stdout) == (1, "")
        assert name.name in done.stderr


def test_wrong_usage(stamped: Callable[..., Path], tmp_path: Path) -> None:
    a, b = stamped("a.png", 0.0), stamped("b.png", 5.0)
    (tmp_path / "folder").mkdir()
    for words in (
        ("--picture", tmp_path / "picture.txt"),
        ("--picture", a),
        ("--report", tmp_path / "report.docx"),
        ("--report", a),
        ("--output", b),
        ("--output", tmp_path / "folder"),
        ("--page-a", -1),
    ):
        assert run(a, b, *words).exit_code == 2, words
    assert run(a).exit_code == 2
    assert PIL.Image.open(a).size == (320, 320)
