import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from typer.testing import CliRunner

from platemark.apps.bench import ratios
from platemark.apps.cli import app
from platemark.errors import InputError

Paint = Callable[..., Path]


def run(*words: object) -> str:
    result = CliRunner().invoke(app, ["bench", *map(str, words)])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.usefixtures("painted_models")
def test_every_stage_and_every_number_of_workers_is_timed(paint: Paint) -> None:
    photo = paint("car.png", ((20, 100, 120, 125), "AB12CD"))
    report = json.loads(run(photo, "--rounds", "2", "--workers", 3))
    assert (report["photos"], report["marks"], report["rounds"]) == (1, 1, 2)
    assert list(report["stages"]) == ["decode", "detect", "read", "rest"]
    assert all(time["mean"] > 0 for time in report["stages"].values())
    assert list(report["photos_per_second"]) == ["1", "2", "3"]
    assert all(speed > 0 for speed in report["photos_per_second"].values())
    assert report["start_seconds"] > 0
    assert report["peak_memory_mb"] is None or report["peak_memory_mb"] > 10


@pytest.mark.usefixtures("painted_models")
def test_table_shows_every_stage(paint: Paint) -> None:
    table = run(paint("car.png"), "--rounds", "1", "--format", "table", "--workers", 2)
    for part in ("decode", "detect", "read", "photos per second, 2 at a time", "for the command"):
        assert part in table


@pytest.mark.usefixtures("painted_models")
def test_a_run_is_compared_with_an_earlier_one(paint: Paint, tmp_path: Path) -> None:
    photo, saved = paint("car.png"), tmp_path / "before.json"
    words = (photo, "--rounds", "1", "--workers", 1)
    before = json.loads(run(*words))
    now = json.loads(json.dumps(before))
    now["stages"]["decode"]["mean"] *= 2
    now["photos_per_second"] = {"1": before["photos_per_second"]["1"] * 3, "2": 100.0}
    found = ratios(now, before)
    assert found.pop("decode ms") == pytest.approx(2)
    assert found.pop("photos per second, 1 at a time") == pytest.approx(3)
    assert set(found) == {"detect ms", "read ms", "rest ms", "start s", "memory MB"}
    assert set(found.values()) == {1.0}
    for change in ({"kind": "stamp"}, {"photos": 7}, {"stages": None}):
        with pytest.raises(InputError, match="compare"):
            ratios(now, {**before, **change})
    before["stages"]["decode"]["mean"] = 1e6
    saved.write_text(json.dumps(before))
    table = run(*words, "--compare", saved, "--format", "table")
    assert "decode ms: 0.00 of what it was" in table
    result = CliRunner().invoke(app, ["bench", str(photo), "--compare", str(photo)])
    assert result.exit_code == 1
    assert "no saved report" in result.stderr


@pytest.mark.usefixtures("painted_models")
def test_a_photo_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["bench", str(tmp_path / "missing.jpg")])
    assert result.exit_code == 1
    assert "missing.jpg" in result.stderr


def test_the_bundled_photos_are_the_default() -> None:
    report = json.loads(run("--rounds", "1", "--workers", 1))
    assert report["photos"] >= 1
    assert report["marks"] >= 1


def test_the_stages_of_stamps_are_timed_too(stamp_models: Path, tmp_path: Path) -> None:
    page = np.full((300, 400, 3), 240, np.uint8)
    page[100:200, 100:300] = (40, 60, 170)
    PIL.Image.fromarray(page).save(tmp_path / "page.png")
    words = (tmp_path / "page.png", "--kind", "stamp", "--model", stamp_models, "--rounds", "1")
    report = json.loads(run(*words))
    assert (report["kind"], report["photos"], report["marks"]) == ("stamp", 1, 1)
    assert list(report["stages"]) == ["decode", "detect", "segment", "embed", "rest"]
