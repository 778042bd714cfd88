import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from typer.testing import CliRunner

from platemark.apps.bench import STAGES, THREADS
from platemark.apps.cli import app

Paint = Callable[..., Path]


def run(*words: object) -> str:
    result = CliRunner().invoke(app, ["bench", *map(str, words)])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.usefixtures("painted_models")
def test_every_stage_is_timed_with_every_number_of_threads(paint: Paint) -> None:
    photo = paint("car.png", ((20, 100, 120, 125), "AB12CD"))
    report = json.loads(run(photo, "--rounds", "2"))
    assert (report["photos"], report["marks"], report["rounds"]) == (1, 1, 2)
    assert set(report["stages"]) == {str(threads) for threads in THREADS}
    for stages in report["stages"].values():
        assert list(stages) == list(STAGES["plate"])
        assert all(time["mean"] > 0 for time in stages.values())
    assert all(speed > 0 for speed in report["photos_per_second"].values())
    assert report["peak_memory_mb"] is None or report["peak_memory_mb"] > 10


@pytest.mark.usefixtures("painted_models")
def test_table_shows_every_stage(paint: Paint) -> None:
    table = run(paint("car.png"), "--rounds", "1", "--format", "table")
    for part in (*STAGES["plate"], "photos per second", "2 threads"):
        assert part in table


@pytest.mark.usefixtures("painted_models")
def test_a_photo_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["bench", str(tmp_path / "missing.jpg")])
    assert result.exit_code == 1
    assert "missing.jpg" in result.stderr


def test_the_bundled_photos_are_the_default() -> None:
    report = json.loads(run("--rounds", "1"))
    assert report["photos"] >= 1
    assert report["marks"] >= 1


def test_the_stages_of_stamps_are_timed_too(stamp_models: Path, tmp_path: Path) -> None:
    page = np.full((300, 400, 3), 240, np.uint8)
    page[100:200, 100:300] = (40, 60, 170)
    PIL.Image.fromarray(page).save(tmp_path / "page.png")
    words = (tmp_path / "page.png", "--kind", "stamp", "--model", stamp_models, "--rounds", "1")
    report = json.loads(run(*words))
    assert (report["kind"], report["photos"], report["marks"]) == ("stamp", 1, 1)
    for stages in report["stages"].values():
        assert list(stages) == list(STAGES["stamp"])
