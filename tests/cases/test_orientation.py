"""Photos that were taken upside down or on their side, without EXIF, and mirrored ones."""

from pathlib import Path

import numpy as np
import pytest

from platemark.geometry import quad_to_box
from platemark.imaging.image import Image
from platemark.plates.pipeline import PlatePipeline
from platemark.types import PlateMark

CASES = Path(__file__).parent
TEXT = "AI4921CB"


@pytest.fixture(scope="module")
def pipeline() -> PlatePipeline:
    return PlatePipeline.from_pretrained(threads=1)


def only(pipeline: PlatePipeline, image: Image) -> PlateMark:
    (mark,) = pipeline(image).marks
    assert isinstance(mark, PlateMark)
    return mark


def test_a_photo_that_stands_upside_down_is_read(pipeline: PlatePipeline) -> None:
    mark = only(pipeline, Image.read(CASES / "files" / "upside_down.jpg"))
    assert (mark.text, mark.mirrored) == (TEXT, False)
    (x0, y0), _, (x1, y1), _ = mark.quad
    assert x0 > x1
    assert y0 > y1


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_a_photo_is_read_however_it_is_turned(pipeline: PlatePipeline, turns: int) -> None:
    photo = Image.read(CASES / "plate_ok.jpg").pixels
    mark = only(pipeline, Image(np.rot90(photo, -turns)))
    assert mark.text == TEXT
    assert mark.region is not None
    assert mark.region.code.startswith("eu-ua")
    box = quad_to_box(mark.quad)
    assert np.abs(box - mark.box).max() < 0.1 * np.ptp(mark.box)
    # along the plate, from its own top-left corner to its own top-right
    along = np.subtract(mark.quad[1], mark.quad[0])
    expected = ((1, 0), (0, 1), (-1, 0), (0, -1))[turns]
    assert along @ expected > 0.9 * np.linalg.norm(along)


def test_a_mirrored_photo_is_said_to_be(pipeline: PlatePipeline) -> None:
    mark = only(pipeline, Image.read(CASES / "files" / "mirrored.jpg"))
    assert (mark.text, mark.text_score, mark.mirrored) == (None, 0.0, True)


def test_an_upside_down_crop_is_read(pipeline: PlatePipeline) -> None:
    photo = Image.read(CASES / "plate_ok.jpg")
    (x0, y0, x1, y1) = (round(value) for value in only(pipeline, photo).box)
    crop = np.ascontiguousarray(photo.pixels[y0:y1, x0:x1][::-1, ::-1])
    assert pipeline.read_crop(crop).text == TEXT
