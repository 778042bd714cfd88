"""``platemark evaluate stamps``: its report, its pictures and its exit status."""

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner, Result

from platemark.apps.cli import app
from platemark.pipeline import Pipeline
from platemark.stamps.pipeline import StampPipeline

Paint = Callable[..., Path]
LEFT, RIGHT = (20, 40, 100, 120), (180, 60, 280, 140)


@pytest.fixture(autouse=True)
def _blot_models(monkeypatch: pytest.MonkeyPatch, blot_pipeline: Pipeline) -> None:
    monkeypatch.setattr(StampPipeline, "from_pretrained", lambda *_, **__: blot_pipeline)


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["evaluate", "stamps", *map(str, words)])


def row(image: str, *stamps: dict[str, object], **fields: object) -> dict[str, object]:
    usual = {"image": image, "width": 320, "height": 240, "kind": "scene", "split": "test"}
    return usual | {"stamps": stamps} | fields


@pytest.fixture
def manifest(
    tmp_path: Path, paint_stamps: Paint, ink_of: Callable[[str, int, int], NDArray[np.bool_]]
) -> Path:
    """A page with a stamp missed and another found falsely, and crops that mix up two stamps."""
    paint_stamps("images/a/page.png", (LEFT, "x", 255))
    mask = np.zeros((240, 320), np.uint8)
    mask[LEFT[1] : LEFT[3], LEFT[0] : LEFT[2]] = 255
    PIL.Image.fromarray(mask).save(tmp_path / "solid.png")
    crops = {"1": ("x", "one"), "2": ("y", "one"), "3": ("x", "other"), "4": ("y", "other")}
    for name, (figure, _) in crops.items():
        paint_stamps(f"images/b/{name}.png", (LEFT, figure, 255))
    paint_stamps("images/c/page.png", (LEFT, "x", 255))
    rows = [
        row("images/a/page.png", {"box": RIGHT, "text": "ACME"}, origin="real"),
        row("images/c/page.png", {"box": LEFT, "mask": "solid.png"}, origin="real"),
        *(
            row(f"images/b/{name}.png", {"box": LEFT, "identity": identity}, kind="crop")
            for name, (_, identity) in crops.items()
        ),
    ]
    file = tmp_path / "annotations.jsonl"
    file.write_text("\n".join(json.dumps(line) for line in rows))
    return file


def test_json_report(manifest: Path) -> None:
    result = run(manifest, "--format", "json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["detection"]["all"]["recall"]["value"] == 0.5
    assert report["detection"]["all"]["precision"]["value"] == 0.5
    assert report["masks"]["all"]["n"] == 1
    assert report["retrieval"]["annotated"]["overall"]["queries"] == 4
    assert report["groups"]["c"]["ap50"] == 1.0


def test_table_report(manifest: Path, tmp_path: Path) -> None:
    table = run(manifest, "--format", "table", "--negatives", tmp_path / "images/c").stdout
    for part in ("AP50-95", "Ink masks", "leave one out", "detected, all", "CMC@5", "0.500"):
        assert part in table
    assert "1.000 false marks per page; 1 of 1 have any" in table


def failures(folder: Path) -> Sequence[dict[str, str]]:
    with (folder / "index.csv").open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_failures_are_pictures_with_an_index(manifest: Path, tmp_path: Path) -> None:
    folder = tmp_path / "errors"
    assert run(manifest, "--errors", folder).exit_code == 0
    rows = failures(folder)
    found = {(line["problem"], Path(line["source"]).parent.name, line["truth"]) for line in rows}
    assert {("missed", "a", "ACME"), ("false", "a", ""), ("mask", "c", "")} <= found
    mixed = [line for line in rows if line["problem"] == "neighbour"]
    assert mixed
    assert all({line["truth"], line["reading"]} == {"one", "other"} for line in mixed)
    for line in rows:
        with PIL.Image.open(folder / line["picture"]) as picture:
            assert picture.width > 320


def test_an_image_that_fails_is_named_and_gives_1(manifest: Path, tmp_path: Path) -> None:
    (tmp_path / "images/a/page.png").write_bytes(b"")
    result = run(manifest, "--errors", tmp_path / "errors")
    assert result.exit_code == 1
    assert "page.png" in result.stderr
    assert "error" in {line["problem"] for line in failures(tmp_path / "errors")}


def test_what_cannot_be_used_is_wrong_usage(manifest: Path, tmp_path: Path) -> None:
    assert run(manifest, "--split", "train").exit_code == 2
    assert run(manifest, "--negatives", tmp_path / "nowhere").exit_code == 2
