import json
from hashlib import sha256
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from platemark.apps.cli import app

NETWORK = b"not a network, but bytes with a digest"


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["models", *map(str, words)])


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model folder whose file is as its card says."""
    folder = tmp_path / "plate-reader-2"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(NETWORK)
    entry = {"bytes": len(NETWORK), "sha256": sha256(NETWORK).hexdigest()}
    figure = {
        "name": "exact match",
        "dataset": "street",
        "split": "test",
        "n": 40,
        "value": 0.95,
        "interval": [0.84, 0.99],
        "command": "platemark evaluate plates street.jsonl",
    }
    card = {
        "name": "plate-reader-2",
        "version": "2.0",
        "task": "reader",
        "kind": "plate",
        "files": {"model.onnx": entry},
        "preprocess": {"height": 48, "width": 160},
        "decode": {"alphabet": "AB01"},
        "metrics": [figure],
        "limits": ["no Arabic script"],
    }
    (folder / "card.json").write_text(json.dumps(card))
    return folder


def test_show_prints_the_card(model: Path) -> None:
    card = json.loads(run("show", model).stdout)
    assert (card["name"], card["metrics"][0]["value"]) == ("plate-reader-2", 0.95)
    table = run("show", model, "--format", "table").stdout
    for part in (
        "plate-reader-2",
        "exact match",
        "0.840-0.990",
        "no Arabic script",
        "street.jsonl",
    ):
        assert part in table


def test_verify_finds_a_changed_file(model: Path) -> None:
    assert run("verify", model).exit_code == 0
    (model / "model.onnx").write_bytes(NETWORK[:-1] + b"!")
    result = run("verify", model)
    assert result.exit_code == 1
    assert "sha256" in result.stderr
    assert "model.onnx" in result.stderr


def test_an_unknown_model_lists_the_names() -> None:
    result = run("show", "no-such-model")
    assert result.exit_code == 2
    assert "plate-detector" in result.stderr


def test_bundled_models_are_listed_and_whole() -> None:
    listed = json.loads(run("list").stdout)
    assert [row["name"] for row in listed] == [
        "plate-classifier",
        "plate-detector",
        "plate-reader",
        "stamp-comparer",
        "stamp-detector",
        "stamp-embedder",
        "stamp-reader",
        "stamp-segmenter",
        "stamp-verifier",
    ]
    plates = [row["bytes"] for row in listed if row["name"].startswith("plate")]
    assert sum(plates) <= 12_000_000
    assert sum(row["bytes"] for row in listed) <= 40_000_000
    table = run("list", "--format", "table").stdout
    assert "plate-reader" in table
    assert run("verify").exit_code == 0
