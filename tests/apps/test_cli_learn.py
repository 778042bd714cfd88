"""``platemark learn`` and ``platemark stamps --present``, end to end without fine-tuning."""

import builtins
import csv
import io
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.Image
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner, Result

import platemark as pm
from platemark.apps.cli import app
from platemark.models.card import ModelCard

Pixels = NDArray[np.uint8]
BLUE, RED = (40, 60, 190), (190, 40, 40)


def seal(text: str) -> Pixels:
    page = np.full((220, 220, 3), 252, np.uint8)
    for radius in (100, 76):
        cv2.circle(page, (110, 110), radius, BLUE, 4, cv2.LINE_AA)
    cv2.putText(page, text, (46, 122), 0, 1.2, BLUE, 4, cv2.LINE_AA)
    return page


def received() -> Pixels:
    page = np.full((120, 260, 3), 252, np.uint8)
    cv2.rectangle(page, (8, 8), (252, 112), RED, 5)
    cv2.putText(page, "RECEIVED", (22, 76), 0, 1.4, RED, 4, cv2.LINE_AA)
    return page


def page_with(*stamps: Pixels) -> Pixels:
    """A page with lines of print and the stamps below."""
    page = np.full((900, 680, 3), 252, np.uint8)
    for row in range(12):
        cv2.putText(page, "the parties agree as follows", (40, 60 + 30 * row), 0, 0.6, (20,) * 3, 1)
    for number, stamp in enumerate(stamps):
        height, width = stamp.shape[:2]
        page[480 : 480 + height, 60 + 300 * number : 60 + 300 * number + width] = stamp
    return page


def save(path: Path, pixels: Pixels) -> Path:
    PIL.Image.fromarray(pixels).save(path)
    return path


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of one seal, and beside it what was said when it was made."""
    home = tmp_path_factory.mktemp("taught")
    picture = save(home / "acme.png", seal("ACME"))
    words = ("--minutes", 0, "--composites", 8, "--format", "json", "--threads", 1, "--quiet")
    done = run("learn", picture, "--output", home / "model", *words)
    assert done.exit_code == 0, done.output
    (home / "report.json").write_text(done.stdout)
    return home


def test_the_report_and_the_card_say_what_was_measured(taught: Path) -> None:
    report = json.loads((taught / "report.json").read_text())
    assert (report["classes"], report["detector"]) == (["acme"], "bundled")
    assert report["recall"]["n"] > 0
    assert report["false_alarms"]["n"] == 8
    card = ModelCard.read(taught / "model" / "card.json")
    assert card.likeness is not None
    (sample,) = card.likeness.samples
    assert sample.name == "acme"
    assert {"model.onnx", sample.file} == set(card.files)
    assert [metric.n for metric in card.metrics] == [report["recall"]["n"], 8]
    assert card.training["command"].startswith("platemark learn ")
    assert len(list((taught / "model" / "examples").glob("*.jpg"))) == 6


def test_present_says_so_and_exits_with_3_where_it_is_not(taught: Path) -> None:
    bears = save(taught / "bears.png", page_with(received(), seal("ACME")))
    other = save(taught / "other.png", page_with(received()))
    model = ("--model", taught / "model", "--present")
    done = run("stamps", bears, *model)
    assert done.exit_code == 0, done.output
    (row,) = map(json.loads, done.stdout.splitlines())
    (mark,) = row["marks"]
    assert row["present"] is True
    assert (mark["identity"]["name"], mark["identity"]["accepted"]) == ("acme", True)
    assert mark["box"][0] > 300  # and not the red one beside it
    done = run("stamps", bears, other, *model, "--format", "csv")
    assert done.exit_code == 3
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [(row["identity"], row["present"]) for row in rows] == [("acme", "true"), ("", "false")]
    done = run("stamps", other, *model, "--format", "table")
    assert (done.exit_code, "not present" in done.stdout) == (3, True)


def test_an_input_that_fails_is_not_said_to_be_tested(taught: Path) -> None:
    (taught / "bad.png").write_bytes(b"no picture")
    done = run("stamps", taught / "bad.png", "--model", taught / "model", "--present")
    assert done.exit_code == 1
    assert "present" not in json.loads(done.stdout)


def test_python_and_single_stages_take_the_folder(taught: Path) -> None:
    page = page_with(received(), seal("ACME"))
    pipeline = pm.StampPipeline.from_pretrained(taught / "model")
    (mark,) = pipeline(page).marks
    assert mark.identity is not None
    assert mark.identity.name == "acme"
    assert len(pipeline.with_min_score(0.0)(page).marks) > 1
    assert len(pm.Detector.from_pretrained(taught / "model", kind="stamp")(page)) >= 1


def test_a_cut_out_that_was_changed_is_noticed(taught: Path, tmp_path: Path) -> None:
    shutil.copytree(taught / "model", tmp_path / "model")
    save(tmp_path / "model" / "reference-01.png", seal("OTHER"))
    done = run("stamps", taught / "acme.png", "--model", tmp_path / "model")
    assert done.exit_code == 1
    assert "differs from its card" in done.output


def test_what_cannot_be_learned_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    blank = save(tmp_path / "blank.png", np.full((200, 200, 3), 255, np.uint8))
    done = run("learn", blank, "--output", tmp_path / "out", "--minutes", 0)
    assert (done.exit_code, "shows nothing" in done.output) == (1, True)
    first, second = (save(tmp_path / f"{name}.png", seal(name)) for name in ("one", "two"))
    done = run("learn", first, second, "--box", "1,2,3,4", "--output", tmp_path / "out")
    assert (done.exit_code, "one picture" in done.output) == (2, True)
    done = run("learn", first, "--backgrounds", tmp_path / "none", "--output", tmp_path / "out")
    assert (done.exit_code, "--backgrounds" in done.output) == (2, True)
    assert not (tmp_path / "out").exists()


def test_fine_tuning_names_the_extra_that_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without_torch(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.split(".")[0] == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")
        return real(name, *args, **kwargs)

    for name in [name for name in sys.modules if name.startswith("platemark.train.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without_torch)
    picture = save(tmp_path / "acme.png", seal("ACME"))
    done = run("learn", picture, "--output", tmp_path / "out", "--minutes", 1)
    assert (done.exit_code, "train" in done.output) == (2, True)
    assert not (tmp_path / "out" / "model.onnx").exists()
