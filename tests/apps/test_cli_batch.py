"""``platemark batch`` with the bundled models."""

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet
from typer.testing import CliRunner, Result

from platemark.apps.cli import app

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def without_time(line: str) -> dict[str, object]:
    return {key: value for key, value in json.loads(line).items() if key != "elapsed_ms"}


def test_the_rows_are_those_of_plates_and_are_done_once(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("golf-front.jpg", "audi-rear.jpg"):
        shutil.copy(EXAMPLES / "photos" / name, folder)
    (folder / "bad.jpg").write_bytes(b"no picture")
    words = ("batch", folder, "--output", tmp_path / "out", "--workers", 2)
    first = run(*words)
    assert first.exit_code == 1, first.output
    assert "bad.jpg is not an image" in first.stderr
    assert "3 inputs are done; 3 pages of them now" in first.stderr
    plates = run("plates", folder, "--format", "jsonl", "--quiet").stdout.splitlines()
    part = tmp_path / "out" / "part-00000.jsonl"
    lines = part.read_text(encoding="utf-8").splitlines()
    assert list(map(without_time, lines)) == list(map(without_time, plates))
    assert sum(bool(json.loads(line).get("marks")) for line in lines) == 2
    again = run(*words)
    assert (again.exit_code, again.stdout) == (0, "")
    assert "3 inputs are done; 0 pages" in again.stderr
    other = run(*words, "--kind", "stamps")
    assert other.exit_code == 1
    assert "a batch with other kind" in other.stderr


def test_stamps_in_parquet(tmp_path: Path) -> None:
    letter = EXAMPLES / "documents" / "letter-seal.jpg"
    words = ("batch", letter, "-o", tmp_path, "--kind", "stamps", "--format", "parquet", "-q")
    done = run(*words, "--embedding")
    assert (done.exit_code, done.output) == (0, "")
    (row,) = pyarrow.parquet.read_table(tmp_path / "part-00000.parquet").to_pylist()
    assert row["source"] == str(letter)
    assert len(row["marks"][0]["embedding"]) > 100


def test_options_for_stamps_are_wrong_for_plates(tmp_path: Path) -> None:
    assert run("batch", tmp_path, "--output", tmp_path, "--read").exit_code == 2
    assert run("batch", tmp_path).exit_code == 2


def test_results_are_posted(tmp_path: Path, receiver: Any) -> None:
    shutil.copy(EXAMPLES / "photos" / "golf-front.jpg", tmp_path)
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    receiver.answers = [500]
    words = ("batch", tmp_path, "-o", tmp_path / "out", "--workers", 1, "--webhook", receiver.url)
    done = run(*words)
    assert done.exit_code == 1, done.output
    posted = [json.loads(body)["data"] for _, body in receiver.got]
    assert [Path(row["source"]).name for row in posted] == ["bad.jpg", "bad.jpg", "golf-front.jpg"]
    part = (tmp_path / "out" / "part-00000.jsonl").read_text(encoding="utf-8")
    assert posted[1:] == [json.loads(line) for line in part.splitlines()]
    run(*words)
    assert len(receiver.got) == 3
