from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from platemark.errors import ModelMismatch
from platemark.models.onnx import OnnxModel
from platemark.models.store import locate_model
from platemark.tasks.plate_reader import PlateReader
from platemark.types import Crop

MakeModel = Callable[..., Path]
Stripes = Callable[[str], NDArray[np.uint8]]


def test_crops_are_read_one_for_one(make_reader: MakeModel, stripes: Stripes) -> None:
    reader = PlateReader.from_pretrained(make_reader(), threads=1)
    texts = ["AB", "A A", "BBAB", " B"] * 20
    readings = reader([stripes(text) for text in texts])
    assert [reading.text for reading in readings] == ["AB", "AA", "BAB", "B"] * 20
    assert reader([]) == []


def test_a_crop_and_its_pixels_read_alike(make_reader: MakeModel, stripes: Stripes) -> None:
    reader = PlateReader.from_pretrained(make_reader())
    crop = Crop(stripes("A B"), np.eye(3))
    assert reader([crop]) == reader([crop.pixels])


def test_characters_and_score_of_a_sure_text(make_reader: MakeModel, stripes: Stripes) -> None:
    (reading,) = PlateReader.from_pretrained(make_reader())([stripes("A B A")])
    assert "".join(item.char for item in reading.characters) == reading.text == "ABA"
    assert all(item.score > 0.999 for item in reading.characters)
    assert reading.score > 0.99


def doubtful(stripes: Stripes) -> NDArray[np.uint8]:
    """``A?`` where the second is a little nearer to an A than to a B."""
    pixels = stripes("A B")
    pixels[:, 40:60] = 185
    return pixels


def test_a_doubtful_character_has_alternatives(make_reader: MakeModel, stripes: Stripes) -> None:
    (reading,) = PlateReader.from_pretrained(make_reader())([doubtful(stripes)])
    assert reading.text == "AA"
    assert reading.characters[0].score > 0.99 > 0.8 > reading.characters[1].score
    assert reading.alternatives[0].text == "AB"
    assert reading.score > reading.alternatives[0].score > 0.1
    total = reading.score + sum(item.score for item in reading.alternatives)
    assert 0.98 < total <= 1.0 + 1e-9


def test_calibration_changes_scores_not_texts(make_reader: MakeModel, stripes: Stripes) -> None:
    crops = [doubtful(stripes)]
    (raw,) = PlateReader.from_pretrained(make_reader())(crops)
    (soft,) = PlateReader.from_pretrained(make_reader(calibration={"temperature": 3.0}))(crops)
    (low,) = PlateReader.from_pretrained(make_reader(calibration={"bias": -2.0}))(crops)
    assert raw.text == soft.text == low.text
    assert soft.score < raw.score
    logit = np.log(raw.score / (1 - raw.score)) - 2.0
    assert low.score == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-6)
    assert low.score + sum(item.score for item in low.alternatives) <= 1.0 + 1e-9


def test_the_card_limits_the_alternatives(make_reader: MakeModel, stripes: Stripes) -> None:
    decode = {"alphabet": "AB", "alternatives": 1}
    (reading,) = PlateReader.from_pretrained(make_reader(decode=decode))([doubtful(stripes)])
    assert len(reading.alternatives) == 1


def test_nothing_legible_is_no_text(make_reader: MakeModel, stripes: Stripes) -> None:
    (reading,) = PlateReader.from_pretrained(make_reader())([stripes("")])
    assert (reading.text, reading.score, reading.characters) == (None, 0.0, ())


def test_the_card_says_how_crops_are_cut(make_reader: MakeModel) -> None:
    spec = {"height": 16, "width": 64, "margin": 0.04}
    reader = PlateReader.from_pretrained(make_reader(preprocess=spec))
    assert reader.crop_size == (64, 16)
    assert reader.margin == 0.04


def test_a_detector_is_no_reader(make_detector: MakeModel) -> None:
    with pytest.raises(ModelMismatch, match="is no reader"):
        PlateReader(OnnxModel(locate_model(make_detector())))


@pytest.mark.parametrize(
    ("crop", "mistake"),
    [
        (np.zeros((16, 64), np.uint8), ValueError),
        (np.zeros((16, 64, 3)), ValueError),
        (np.zeros((0, 64, 3), np.uint8), ValueError),
        ("plate.jpg", TypeError),
    ],
)
def test_what_is_no_crop_is_a_mistake(
    make_reader: Callable[..., Path], crop: Any, mistake: type[Exception]
) -> None:
    with pytest.raises(mistake, match="a crop is"):
        PlateReader.from_pretrained(make_reader())([crop])
