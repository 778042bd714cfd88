"""A pipeline with a classifier turns plates, skips mirrored ones, and asks pictures for regions."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import platemark as pm
from platemark.geometry import quad_to_box
from platemark.imaging.image import Image
from platemark.models.card import TextOdds
from platemark.plates.decoding import PlateDecoder
from platemark.types import ORIENTATIONS, Crop, Obscured, PlateClasses, Reading

MakeModel = Callable[..., Path]
Corners = NDArray[np.float64]

BOX = (50.0, 35.0, 250.0, 85.0)
CORNERS = np.array(pm.Detection.given("plate", BOX).quad)
PLATE = (slice(35, 85), slice(50, 250))


def photo(turns: int = 0, *, mirrored: bool = False) -> NDArray[np.uint8]:
    """A photo with a grey plate in its middle, its own top-left corner red, turned clockwise."""
    pixels = np.full((120, 300, 3), 60, np.uint8)
    pixels[PLATE] = 200
    pixels[35:60, 50:100] = (255, 0, 0)
    if mirrored:
        pixels[PLATE] = pixels[PLATE][:, ::-1].copy()
    return np.ascontiguousarray(np.rot90(pixels, -turns))


class Finder:
    """Finds the plate of `photo` where it lies along the picture."""

    def __call__(self, image: Image) -> Sequence[pm.Detection]:
        return [pm.Detection.given("plate", BOX)] if image.width > image.height else []


class Corner:
    """A classifier that goes by where the red corner is, and takes dark plates for hidden."""

    def __init__(self, **regions: float) -> None:
        self.regions = regions or {"kz": 0.8, "xx-unknown": 0.2}

    def __call__(self, crops: Sequence[Crop]) -> Sequence[PlateClasses]:
        return [self._classes(crop.pixels) for crop in crops]

    def _classes(self, pixels: NDArray[np.uint8]) -> PlateClasses:
        red = pixels[..., 0].astype(int) - pixels[..., 1]
        y, x = (int(v) for v in np.argwhere(red > 100).mean(axis=0))
        place = (x > pixels.shape[1] / 2) + 2 * (y > pixels.shape[0] / 2)
        value = ("upright", "right", "left", "upside_down")[place]
        hidden = float(pixels[-3, -3:].mean() < 100)
        stands = {way: 0.9 if way == value else 0.025 for way in ORIENTATIONS}
        return PlateClasses(self.regions, 2, Obscured(hidden > 0.5, hidden), stands)


class Reader:
    """Reads a plate whose red corner is at its top-left."""

    def __init__(self, text: str = "777ABC01", score: float = 0.9) -> None:
        self.text, self.score, self.crops = text, score, 0

    def __call__(self, crops: Sequence[Crop]) -> Sequence[Reading]:
        self.crops += len(crops)
        upright = [crop.pixels[5, 5, 0] > 200 > crop.pixels[5, 5, 1] for crop in crops]
        return [Reading(self.text, self.score) if up else Reading(None, 0.0) for up in upright]


def pipeline(classifier: Corner | None, reader: Reader | None = None) -> pm.PlatePipeline:
    odds = TextOdds(bias=-2.7, text=1.56, hidden=-0.42)
    return pm.PlatePipeline(Finder(), reader or Reader(), classifier=classifier, text_odds=odds)


@pytest.mark.parametrize("turns", range(4))
def test_a_plate_is_turned_and_its_corners_start_at_its_own_top_left(turns: int) -> None:
    (mark,) = pipeline(Corner())(photo(turns)).marks
    assert isinstance(mark, pm.PlateMark)
    assert mark.text == "777ABC01"
    x, y = mark.quad[0]
    red = photo(turns)[round(y) - 2 : round(y) + 2, round(x) - 2 : round(x) + 2]
    assert (red[..., 0].astype(int) - red[..., 1]).max() > 200
    assert quad_to_box(mark.quad).tolist() == list(mark.box)


def test_without_a_classifier_nothing_is_turned() -> None:
    (mark,) = pipeline(None)(photo(2)).marks
    assert isinstance(mark, pm.PlateMark)
    assert (mark.text, mark.lines, mark.obscured, mark.region) == (None, None, None, None)
    assert pipeline(None)(photo(1)).marks == ()
    assert pipeline(None).classify(photo(), [CORNERS]) == [None]


def test_corners_are_classified_as_they_are_given() -> None:
    turned = [np.roll(CORNERS, shift, axis=0) for shift in range(4)]
    seen = pipeline(Corner()).classify(photo(), turned)
    values = [one.orientation.value for one in seen if one is not None]
    assert values == ["upright", "right", "upside_down", "left"]
    assert pipeline(Corner()).read(photo(), turned[2:3])[0].text == "777ABC01"


def test_a_mirrored_plate_is_said_to_be_and_has_no_text() -> None:
    class Mirror(Corner):
        def _classes(self, pixels: NDArray[np.uint8]) -> PlateClasses:
            seen = super()._classes(pixels)
            return replace(seen, orientations={"upright": 0.3, "mirrored": 0.7})

    (mark,) = pipeline(Mirror())(photo(mirrored=True)).marks
    assert isinstance(mark, pm.PlateMark)
    assert (mark.text, mark.text_score, mark.mirrored) == (None, 0.0, True)
    assert mark.quad == pm.Detection.given("plate", BOX).quad
    assert mark.to_dict()["mirrored"] is True
    assert pm.PlateMark.from_dict(mark.to_dict()).mirrored


def test_a_plate_that_reads_well_is_not_turned() -> None:
    class Wrong(Corner):
        def _classes(self, pixels: NDArray[np.uint8]) -> PlateClasses:
            seen = super()._classes(pixels)
            return replace(seen, orientations={"upright": 0.4, "mirrored": 0.6})

    (mark,) = pipeline(Wrong())(photo()).marks
    assert isinstance(mark, pm.PlateMark)
    assert (mark.text, mark.mirrored) == ("777ABC01", False)


def test_an_obscured_plate_keeps_its_text_with_less_score() -> None:
    (plain,) = pipeline(Corner())(photo()).marks
    assert isinstance(plain, pm.PlateMark)
    assert plain.obscured == Obscured(False, 0.0)
    dark = photo()
    dark[75:85, 210:250] = 20
    (hidden,) = pipeline(Corner())(dark).marks
    assert isinstance(hidden, pm.PlateMark)
    assert hidden.obscured == Obscured(True, 1.0)
    assert hidden.text == plain.text
    assert hidden.text_score < 0.3 * plain.text_score
    assert "mirrored" not in hidden.to_dict()
    (alone,) = pipeline(Corner()).with_parts(text_odds=None)(dark).marks
    assert isinstance(alone, pm.PlateMark)
    assert hidden.text_score < alone.text_score < plain.text_score


def test_lines_are_those_of_the_picture() -> None:
    (mark,) = pipeline(Corner())(photo()).marks
    assert isinstance(mark, pm.PlateMark)
    assert mark.lines == 2


def test_picture_and_text_tell_the_region_together() -> None:
    def region(text: str, **regions: float) -> str | None:
        (mark,) = pipeline(Corner(**regions), Reader(text))(photo()).marks
        assert isinstance(mark, pm.PlateMark)
        return mark.region and mark.region.code

    both = {"eu-fr": 0.1, "eu-it": 0.8, "xx-unknown": 0.1}
    assert region("AB123CD", **both) == "eu-it"
    assert region("AB123CD", **both | {"eu-fr": 0.8, "eu-it": 0.1}) == "eu-fr"
    # a text of one format outweighs a picture that is not certain
    assert (region("AC4249CB", **both) or "").startswith("eu-ua")
    assert region("BRAND", **{"eu-fr": 0.1, "xx-unknown": 0.9}) == "xx-unknown"


def test_what_is_read_of_a_hidden_text_tells_less_of_the_region() -> None:
    read = [Reading("AC4249CB", 0.9)]
    picture = {"eu-it": 0.8, "xx-unknown": 0.2}
    decoder = PlateDecoder()
    for hidden, code in ((0.0, "eu-ua"), (0.99, "eu-it")):
        region = decoder(read, picture, hidden).region
        assert region is not None
        assert region.code.startswith(code)


def test_an_illegible_plate_has_the_region_of_its_picture() -> None:
    plates = pipeline(Corner(), Reader(score=0.05)).with_parts(legible_text=0.2)
    (mark,) = plates(photo()).marks
    assert isinstance(mark, pm.PlateMark)
    assert mark.text is None
    assert mark.region is not None
    assert mark.region.code == "kz"


def test_a_bundled_classifier_is_not_mixed_with_models_of_ones_own(
    make_detector: MakeModel, make_reader: MakeModel, make_classifier: MakeModel
) -> None:
    folder = make_detector().parent
    make_reader()
    assert pm.PlatePipeline.from_pretrained(folder).classifier is None
    make_classifier()
    loaded = pm.PlatePipeline.from_pretrained(folder)
    assert isinstance(loaded.classifier, pm.PlateClassifier)
    assert [model.card.task for model in loaded.models] == ["detector", "reader", "classifier"]
    assert loaded.with_parts(classifier=None).classifier is None
