import json
from pathlib import Path
from typing import Any

import pytest

from platemark.errors import ModelCorrupt
from platemark.models.card import (
    DetectorPreprocess,
    EmbedderPreprocess,
    ModelCard,
    ReaderDecode,
    ReaderPreprocess,
    SegmenterPreprocess,
)

DETECTOR: dict[str, Any] = {
    "name": "plate-detector",
    "version": "1",
    "task": "detector",
    "kind": "plate",
    "files": {"model.onnx": {"bytes": 5, "sha256": "0" * 64}},
    "preprocess": {
        "long_side": 640,
        "second_look": {"long_side": 1920, "below_score": 0.5},
        "refine": {"below_width": 40},
    },
    "thresholds": {"min_score": 0.4},
    "calibration": {"scale": 1.2, "bias": -0.3},
    "metrics": [
        {
            "name": "recall",
            "dataset": "plates",
            "split": "test",
            "n": 100,
            "value": 0.97,
            "interval": [0.94, 0.99],
            "command": "platemark evaluate plates",
        }
    ],
    "training": {"command": "platemark train detector", "seed": 1, "minutes": 240},
}
READER: dict[str, Any] = DETECTOR | {
    "name": "plate-reader",
    "task": "reader",
    "preprocess": {"height": 48, "width": 160, "margin": 0.04},
    "decode": {"alphabet": "ABC"},
}


@pytest.mark.parametrize("data", [DETECTOR, READER])
def test_a_card_comes_back_from_its_file(tmp_path: Path, data: dict[str, Any]) -> None:
    card = ModelCard.model_validate(data)
    card.write(tmp_path / "card.json")
    assert ModelCard.read(tmp_path / "card.json") == card
    written = json.loads((tmp_path / "card.json").read_text())
    assert written["training"] == data["training"]
    assert written["metrics"][0]["interval"] == [0.94, 0.99]


def test_the_preprocess_section_tells_the_tasks_apart() -> None:
    assert isinstance(ModelCard.model_validate(DETECTOR).preprocess, DetectorPreprocess)
    reader = ModelCard.model_validate(READER)
    assert isinstance(reader.preprocess, ReaderPreprocess)
    assert isinstance(reader.decode, ReaderDecode)


@pytest.mark.parametrize(
    ("task", "section"), [("segmenter", SegmenterPreprocess), ("embedder", EmbedderPreprocess)]
)
def test_sections_of_the_same_keys_are_told_apart_by_the_task(
    tmp_path: Path, task: str, section: type
) -> None:
    fields = DETECTOR | {"task": task, "kind": "stamp", "preprocess": {"side": 160, "margin": 0.1}}
    card = ModelCard.model_validate(fields)
    assert card.preprocess == section(side=160, margin=0.1)
    card.write(tmp_path / "card.json")
    assert ModelCard.read(tmp_path / "card.json") == card


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"name": "Plate Detector"}, "name"),
        ({"files": {"model.onnx": {"bytes": 5, "sha256": "short"}}}, r"files\.model\.onnx\.sha256"),
        ({"preprocess": {"long_sied": 640}}, "preprocess"),
        ({"calibration": {"temperature": 0}}, r"calibration\.temperature"),
        ({"colour": "red"}, "colour"),
        ({"metrics": [{"name": "recall"}]}, "metrics.0"),
    ],
)
def test_a_wrong_card_says_where(tmp_path: Path, change: dict[str, Any], place: str) -> None:
    path = tmp_path / "card.json"
    path.write_text(json.dumps(DETECTOR | change))
    with pytest.raises(ModelCorrupt, match=f"card.json.* at {place}"):
        ModelCard.read(path)


@pytest.mark.parametrize("text", ["", "not JSON", "[]"])
def test_what_is_no_card_says_so(tmp_path: Path, text: str) -> None:
    path = tmp_path / "card.json"
    path.write_text(text)
    with pytest.raises(ModelCorrupt, match="expected a model card") as caught:
        ModelCard.read(path)
    assert caught.value.file == str(path)
    with pytest.raises(ModelCorrupt, match="No such file"):
        ModelCard.read(tmp_path / "none.json")
