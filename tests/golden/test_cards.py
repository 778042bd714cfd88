"""The cards of the models that ship are read and written without loss."""

import json
from pathlib import Path

import pytest

from platemark.models.card import ModelCard
from platemark.models.store import BUNDLED

CARDS = sorted(BUNDLED.glob("*/card.json"))


def test_the_models_ship_with_their_samples() -> None:
    assert [card.parent.name for card in CARDS] == [
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
    for card in CARDS:
        assert (card.parent / "sample.png").is_file()
        assert json.loads((card.parent / "sample.json").read_text())


@pytest.mark.parametrize("path", CARDS, ids=lambda path: path.parent.name)
def test_a_card_is_written_as_it_was_read(path: Path, tmp_path: Path) -> None:
    ModelCard.read(path).write(tmp_path / "card.json")
    assert json.loads((tmp_path / "card.json").read_text()) == json.loads(path.read_text())


@pytest.mark.parametrize("path", CARDS, ids=lambda path: path.parent.name)
def test_a_card_says_where_the_model_is_from_and_how_good_it_is(path: Path) -> None:
    card = ModelCard.read(path)
    assert card.licence == "Apache-2.0"
    assert card.training["command"].startswith("platemark train")
    assert card.limits
    assert card.metrics
    for figure in card.metrics:
        assert figure.command
        assert figure.n > 0
