"""``platemark evaluate plates --calibrate`` fits a reader's text scores, or a detector's gate."""

import json
import shutil
from pathlib import Path

import PIL.Image
from typer.testing import CliRunner

import platemark as pm
from platemark.apps.cli import app
from platemark.models.card import ModelCard
from platemark.models.store import BUNDLED

CASES = Path(__file__).parents[1] / "cases"
# None of them is what the photo shows.
TEXTS = {"plate_ok.jpg": "AI4921BC", "format_ru.jpg": "P777OM97", "sticker.jpg": "XX0000"}


def test_the_fit_is_written_into_the_card_alone(tmp_path: Path) -> None:
    folder = tmp_path / "reader"
    shutil.copytree(BUNDLED / "plate-reader", folder)
    with (tmp_path / "dev.jsonl").open("w", encoding="utf-8") as manifest:
        for name, text in TEXTS.items():
            shutil.copy(CASES / name, tmp_path)
            width, height = PIL.Image.open(CASES / name).size
            plate = {"box": [0, 0, width, height], "quad": None, "text": text}
            size = {"width": width, "height": height, "kind": "crop", "split": "dev"}
            manifest.write(json.dumps({"image": name, **size, "plates": [plate]}) + "\n")
    before = ModelCard.read(folder / "card.json")
    words = ["evaluate", "plates", str(tmp_path / "dev.jsonl"), "--split", "dev", "--quiet"]
    more = ["--calibrate", str(folder), "--format", "json", "--threads", "1"]
    result = CliRunner().invoke(app, [*words, *more])
    assert result.exit_code == 0, result.output
    after = ModelCard.read(folder / "card.json")
    assert after.text_calibration is not None
    assert after.text_calibration != before.text_calibration
    # No text is right: what hides them cannot be told.
    assert after.text_odds is None
    kept = {"text_calibration": before.text_calibration, "text_odds": before.text_odds}
    assert after.model_copy(update=kept) == before
    figures = json.loads(result.stdout)
    assert figures["text_coverage"]["0.99"]["hits"] == 0
    assert figures["reliability"]["text"]["expected_calibration_error"] < 0.1


def test_the_gate_of_a_detector_is_fitted(tmp_path: Path) -> None:
    folder = tmp_path / "detector"
    shutil.copytree(BUNDLED / "plate-detector", folder)
    (found, *_) = pm.Detector.from_pretrained()(CASES / "plate_ok.jpg")
    truth = {"plate_ok.jpg": [{"box": found.box, "quad": None, "text": None}], "sticker.jpg": []}
    with (tmp_path / "train.jsonl").open("w", encoding="utf-8") as manifest:
        for name, plates in truth.items():
            shutil.copy(CASES / name, tmp_path)
            width, height = PIL.Image.open(CASES / name).size
            size = {"width": width, "height": height, "kind": "scene", "split": "train"}
            manifest.write(json.dumps({"image": name, **size, "plates": plates}) + "\n")
    before = ModelCard.read(folder / "card.json")
    words = ["evaluate", "plates", str(tmp_path / "train.jsonl"), "--split", "train", "--quiet"]
    result = CliRunner().invoke(app, [*words, "--calibrate", str(folder), "--format", "json"])
    assert result.exit_code == 0, result.output
    after = ModelCard.read(folder / "card.json")
    assert after.gate is not None
    assert after.gate != before.gate
    assert after.model_copy(update={"gate": before.gate}) == before
    wrong = CliRunner().invoke(app, [*words, "--calibrate", str(BUNDLED / "plate-classifier")])
    assert wrong.exit_code == 1
    assert "readers and detectors of plates" in " ".join(wrong.output.split())
