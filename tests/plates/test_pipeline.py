import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest
from numpy.typing import NDArray

import platemark as pm
from platemark.errors import ModelNotFound
from platemark.models import store

MakeModel = Callable[..., Path]
Stripes = Callable[[str], NDArray[np.uint8]]


def photo(plate: NDArray[np.uint8], x: int = 200, y: int = 150) -> NDArray[np.uint8]:
    """A dark photo with a plate in a white frame, which is what the tiny detector finds."""
    pixels = np.full((480, 640, 3), 60, np.uint8)
    height, width = plate.shape[:2]
    pixels[y : y + height, x : x + width] = plate
    cv2.rectangle(pixels, (x, y), (x + width - 1, y + height - 1), (255, 255, 255), 1)
    return pixels


@pytest.fixture
def models(make_detector: MakeModel, make_reader: MakeModel) -> Path:
    make_detector(preprocess={"long_side": 640})
    return make_reader().parent


@pytest.fixture
def plates(models: Path) -> pm.PlatePipeline:
    return pm.PlatePipeline.from_pretrained(models, threads=1)


def test_a_plate_is_found_and_read(plates: pm.PlatePipeline, stripes: Stripes) -> None:
    result = plates(photo(stripes(" A B BA")))
    (mark,) = result.marks
    assert mark.box == (200, 150, 360, 182)
    assert mark.text == "ABBA"
    assert mark.text_score > 0.5
    assert mark.region is mark.lines is mark.obscured is None


def test_a_photo_without_plates_has_no_marks(plates: pm.PlatePipeline) -> None:
    result = plates(np.full((480, 640, 3), 60, np.uint8))
    assert (result.marks, result.error) == ((), None)


def test_the_json_is_that_of_the_interface(
    plates: pm.PlatePipeline, stripes: Stripes, tmp_path: Path
) -> None:
    path = tmp_path / "car.png"
    PIL.Image.fromarray(photo(stripes(" A B"))).save(path)
    data = json.loads(json.dumps(plates(path).to_dict()))
    assert list(data) == ["source", "page", "width", "height", "marks", "elapsed_ms"]
    assert (data["source"], data["width"], data["height"]) == (str(path), 640, 480)
    (mark,) = data["marks"]
    assert list(mark) == [
        "kind",
        "score",
        "box",
        "quad",
        "text",
        "text_score",
        "characters",
        "alternatives",
        "matches_format",
        "region",
        "lines",
        "obscured",
    ]
    assert [item["char"] for item in mark["characters"]] == ["A", "B"]
    assert pm.Result.from_dict(data).to_dict() == data


def test_known_corners_are_read_without_the_detector(
    plates: pm.PlatePipeline, stripes: Stripes
) -> None:
    plate = stripes("  B A")
    pixels = np.full((200, 400, 3), 60, np.uint8)
    corners = np.array([[40.0, 30.0], [340.0, 60.0], [330.0, 140.0], [50.0, 100.0]])
    source = np.array([[0, 0], [160, 0], [160, 32], [0, 32]]) - 0.5
    warp = cv2.getPerspectiveTransform(
        source.astype(np.float32), (corners - 0.5).astype(np.float32)
    )
    cv2.warpPerspective(plate, warp, (400, 200), pixels, borderMode=cv2.BORDER_TRANSPARENT)
    upside_down = corners[[2, 3, 0, 1]]
    readings = plates.read(pixels, [corners, upside_down])
    assert [reading.text for reading in readings] == ["BA", "AB"]
    assert plates.read(pixels, []) == []


def test_min_score_is_that_of_the_detector(models: Path, stripes: Stripes) -> None:
    strict = pm.PlatePipeline.from_pretrained(models, min_score=0.95)
    assert strict(photo(stripes(" A"))).marks == ()


def test_one_model_takes_the_place_of_the_bundled_one(
    models: Path, make_reader: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "BUNDLED", models)
    own = make_reader("own-reader", decode={"alphabet": "XY"})
    (tmp := models.parent / "elsewhere").mkdir()
    own = own.rename(tmp / "own-reader")

    def names(model: object) -> tuple[str, str]:
        pipeline = pm.PlatePipeline.from_pretrained(model)  # type: ignore[arg-type]
        return pipeline.detector.model.card.name, pipeline.reader.model.card.name

    usual = ("plate-detector", "plate-reader")
    assert names(None) == names(models) == names("plate-detector") == names("plate-reader") == usual
    assert names(own) == names(own / "model.onnx") == ("plate-detector", "own-reader")
    assert names(models / "plate-detector" / "model.onnx") == usual
    with pytest.raises(ModelNotFound, match="plate-detector, plate-reader"):
        pm.PlatePipeline.from_pretrained("nothing")
