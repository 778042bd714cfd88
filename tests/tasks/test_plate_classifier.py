"""The classifier of plates, with a network that goes by colour and by the brightest side."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from platemark.errors import ModelMismatch
from platemark.models.card import ClassifierPreprocess, ModelCard
from platemark.models.onnx import OnnxModel
from platemark.models.store import locate_model
from platemark.tasks.plate_classifier import PlateClassifier
from platemark.types import ORIENTATIONS, Crop, Obscured, Orientation, PlateClasses, Region

MakeModel = Callable[..., Path]


def plate(*colour: int, bright: str = "top") -> NDArray[np.uint8]:
    """A crop of one colour, bright at one side."""
    pixels = np.zeros((32, 128, 3), np.uint8)
    pixels[:] = colour
    side = {
        "top": np.s_[:8],
        "bottom": np.s_[24:],
        "left": np.s_[:, :32],
        "right": np.s_[:, 96:],
    }
    pixels[side[bright]] = np.minimum(pixels[side[bright]].astype(int) + 120, 255)
    return pixels


def test_one_crop_gives_one_answer_and_a_list_a_list(make_classifier: MakeModel) -> None:
    classifier = PlateClassifier.from_pretrained(make_classifier(), threads=1)
    one = classifier(plate(200, 0, 0))
    assert one.region.code == "eu-pl"
    several = classifier([plate(200, 0, 0), Crop(plate(0, 0, 200), np.eye(3))] * 20)
    assert [seen.region.code for seen in several] == ["eu-pl", "kz"] * 20
    assert several[0] == one
    assert classifier([]) == []


def test_regions_are_probabilities_highest_first(make_classifier: MakeModel) -> None:
    seen = PlateClassifier.from_pretrained(make_classifier())(plate(90, 100, 0))
    assert list(seen.regions)[:2] == ["eu-de", "eu-pl"]
    assert list(seen.regions.values()) == sorted(seen.regions.values(), reverse=True)
    assert sum(seen.regions.values()) == pytest.approx(1.0)
    flat = {"temperature": 3.0}
    soft = PlateClassifier.from_pretrained(make_classifier(calibration=flat))(plate(90, 100, 0))
    assert 0.25 < soft.region.score < seen.region.score


def test_lines_and_hidden_texts(make_classifier: MakeModel) -> None:
    classifier = PlateClassifier.from_pretrained(make_classifier())
    plain, hidden, tall = classifier([plate(200, 0, 0), plate(0, 200, 0), plate(0, 0, 200)])
    assert (plain.lines, tall.lines) == (1, 2)
    assert not plain.obscured.value
    assert plain.obscured.score < 0.5
    assert hidden.obscured.value
    assert hidden.obscured.score > 0.9
    strict = make_classifier(thresholds={"obscured": 0.9999999})
    seen = PlateClassifier.from_pretrained(strict)(plate(0, 200, 0))
    assert seen.obscured == Obscured(False, hidden.obscured.score)


@pytest.mark.parametrize(
    ("bright", "value", "turns"),
    [
        ("top", "upright", 0),
        ("right", "right", 1),
        ("bottom", "upside_down", 2),
        ("left", "left", 3),
    ],
)
def test_how_a_plate_stands(
    make_classifier: MakeModel, bright: str, value: str, turns: int
) -> None:
    seen = PlateClassifier.from_pretrained(make_classifier())(plate(90, 90, 90, bright=bright))
    assert (seen.orientation.value, seen.orientation.quarter_turns) == (value, turns)
    assert not seen.orientation.mirrored


def test_a_card_of_another_task_is_refused(make_reader: MakeModel) -> None:
    with pytest.raises(ModelMismatch, match="is no classifier"):
        PlateClassifier(OnnxModel(locate_model(make_reader())))


def test_the_card_of_a_classifier_is_told_from_that_of_a_reader(make_classifier: MakeModel) -> None:
    card = ModelCard.read(make_classifier() / "card.json")
    assert isinstance(card.preprocess, ClassifierPreprocess)


@pytest.mark.parametrize("crop", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32)])
def test_crops_of_another_shape_are_refused(
    make_classifier: MakeModel, crop: NDArray[np.uint8]
) -> None:
    with pytest.raises(ValueError, match="RGB"):
        PlateClassifier.from_pretrained(make_classifier())(crop)


def test_orientations_are_quarter_turns_clockwise_and_mirrored() -> None:
    turns = [Orientation(value, 1.0).quarter_turns for value in ORIENTATIONS]
    assert turns == [0, 1, 2, 3, 0]
    assert Orientation("mirrored", 1.0).mirrored
    with pytest.raises(ValueError, match="askew"):
        Orientation("askew", 1.0)


def test_classes_are_json() -> None:
    seen = PlateClasses(
        {"kz": 0.75, "kg": 0.25}, 2, Obscured(False, 0.1), {"upright": 0.1, "left": 0.9}
    )
    assert seen.region == Region("kz", 0.75)
    assert seen.to_dict() == {
        "region": {"code": "kz", "score": 0.75},
        "lines": 2,
        "obscured": {"value": False, "score": 0.1},
        "orientation": {"value": "left", "score": 0.9},
    }
