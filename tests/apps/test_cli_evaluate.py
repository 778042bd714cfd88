import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from typer.testing import CliRunner, Result

from platemark.apps.cli import app

Paint = Callable[..., Path]
LEFT, RIGHT = (20, 100, 120, 125), (180, 60, 280, 85)

pytestmark = pytest.mark.usefixtures("painted_models")


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["evaluate", "plates", *map(str, words)])


@pytest.fixture
def manifest(tmp_path: Path, paint: Paint) -> Path:
    """Two photos: one read, one misread with a false plate."""
    paint("set/images/a/good.png", (LEFT, "AB12CD"))
    paint("set/images/b/bad.png", (LEFT, "AB12CD"), (RIGHT, "KA777"))
    rows = [
        {
            "image": f"images/{name}.png",
            "width": 320,
            "height": 240,
            "plates": [{"box": LEFT, "quad": None, "text": text}],
            "kind": "scene",
            "split": split,
        }
        for name, text, split in (
            ("a/good", "AB12CD", "test"),
            ("b/bad", "AB12CE", "test"),
            ("b/gone", "XX", "train"),
            ("a/good", "AB12CD", "dev"),
        )
    ]
    file = tmp_path / "set/annotations.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in rows))
    return file


def test_json_report(manifest: Path) -> None:
    result = run(manifest, "--format", "json")
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    scene = report["overall"]["scene"]
    assert scene["end_to_end"]["exact"]["value"] == 0.5
    assert scene["detection"]["0.5"]["precision"]["n"] == 3
    assert report["groups"]["a"]["end_to_end"]["exact"]["value"] == 1.0
    assert set(report["reliability"]) == {"detection", "text"}


def test_the_split_asked_for_is_measured_and_stated(manifest: Path) -> None:
    report = json.loads(run(manifest, "--split", "dev", "--format", "json").stdout)
    assert (report["split"], report["images"]) == ("dev", {"scene": 1, "crop": 0})
    rows = [json.loads(line) | {"source": "platemark synth"} for line in manifest.open()]
    manifest.write_text("\n".join(map(json.dumps, rows)))
    assert json.loads(run(manifest, "--format", "json").stdout)["split"] == "synthetic"


def test_table_report_names_groups_and_figures(manifest: Path) -> None:
    table = run(manifest).stdout
    for part in ("all scenes", "recall", "end to end", "Reliability", "0.500", "ms mean"):
        assert part in table


def test_false_plates_on_photos_without_plates(
    manifest: Path, tmp_path: Path, paint: Paint
) -> None:
    paint("clean/1.png")
    paint("clean/2.png", (LEFT, "XY99"))
    words = (manifest, "--negatives", tmp_path / "clean")
    report = json.loads(run(*words, "--format", "json").stdout)
    assert report["negatives"]["images"] == 2
    assert report["negatives"]["false_plates_per_image"] == 0.5
    table = run(*words).stdout
    assert "0.500 false plates per image" in table


def test_failures_are_pictures_with_an_index(manifest: Path, tmp_path: Path) -> None:
    folder = tmp_path / "errors"
    assert run(manifest, "--errors", folder).exit_code == 0
    rows = list(csv.DictReader((folder / "index.csv").open()))
    found = [(row["problem"], row["truth"], row["reading"]) for row in rows]
    assert found == [("misread", "AB12CE", "AB12CD"), ("false", "", "KA777")]
    assert {row["picture"] for row in rows} == {"bad.jpg"}
    assert "bad.jpg" in (folder / "index.html").read_text()
    with PIL.Image.open(folder / "bad.jpg") as picture:
        assert picture.width > 320
        photo = np.asarray(picture.convert("RGB"), dtype=np.int16)[:240, :320]
    red, green = photo[..., 0], photo[..., 1]
    around = (slice(95, 130), slice(15, 125))  # truth and reading of the left plate overlap
    assert (green[around] - red[around] > 80).any()
    assert (red[around] - green[around] > 80).any()


def test_an_image_that_fails_is_named_and_gives_1(manifest: Path, tmp_path: Path) -> None:
    (manifest.parent / "images/a/good.png").write_bytes(b"")
    result = run(manifest, "--errors", tmp_path / "errors", "--format", "json")
    assert result.exit_code == 1
    assert "good.png" in result.stderr
    assert json.loads(result.stdout)["overall"]["scene"]["detection"]["0.5"]["recall"]["n"] == 2
    assert "good.png" in (tmp_path / "errors/index.csv").read_text()


def test_a_manifest_that_cannot_be_used(manifest: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jsonl"
    broken.write_text("{}\n")
    result = run(broken)
    assert result.exit_code == 1
    assert "broken.jsonl:1" in result.stderr
    broken.write_text("")
    assert run(broken).exit_code == 2
    assert run(manifest, "--negatives", tmp_path / "nowhere").exit_code == 2


def test_stamps_with_models_from_a_folder(tmp_path: Path, stamp_models: Path) -> None:
    """From the models' files to the report: detector, segmenter and embedder as users load them."""
    box = [60, 50, 140, 130]
    for name in ("1", "2"):
        pixels = np.full((200, 300, 3), 235, np.uint8)
        pixels[box[1] : box[3], box[0] : box[2]] = (40, 60, 170)
        PIL.Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    ink = np.zeros((200, 300), np.uint8)
    ink[box[1] : box[3], box[0] : box[2]] = 255
    PIL.Image.fromarray(ink).save(tmp_path / "ink.png")
    stamp = {"box": box, "identity": "blue", "mask": "ink.png"}
    rows = [
        {"image": f"{name}.png", "width": 300, "height": 200, "split": "test", "stamps": [stamp]}
        for name in ("1", "2")
    ]
    file = tmp_path / "annotations.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in rows))
    words = ["evaluate", "stamps", str(file), "--model", str(stamp_models), "--format", "json"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["detection"]["all"]["recall"]["value"] == 1.0
    assert report["masks"]["all"]["annotated_box"]["value"] > 0.9
    assert report["retrieval"]["detected"]["overall"]["cmc@1"]["value"] == 1.0
