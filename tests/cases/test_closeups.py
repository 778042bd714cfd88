"""A plate that fills the picture is found once, without a flag."""

from pathlib import Path

import numpy as np
import pytest

from platemark.geometry import coverage_matrix
from platemark.imaging.image import Image
from platemark.plates.pipeline import PlatePipeline

FILES = Path(__file__).parent / "files"
PHOTOS = Path(__file__).parents[2] / "examples" / "photos"


@pytest.fixture(scope="module")
def pipeline() -> PlatePipeline:
    return PlatePipeline.from_pretrained(threads=1)


@pytest.mark.parametrize("name", ["closeup_de_i1.jpg", "closeup_ua_1.jpg"])
def test_a_plate_that_fills_the_picture_is_found_once(pipeline: PlatePipeline, name: str) -> None:
    image = Image.read(FILES / name)
    (mark,) = pipeline(image).marks
    inner = (0.1 * image.width, 0.3 * image.height, 0.9 * image.width, 0.7 * image.height)
    assert coverage_matrix(inner, mark.box)[0, 0] > 0.95


def test_a_plate_that_fills_the_picture_is_read(pipeline: PlatePipeline) -> None:
    assert [mark.text for mark in pipeline(FILES / "closeup_ua_1.jpg").marks] == ["AI4921CB"]


@pytest.mark.parametrize("margin", [0.0, 0.1, 0.5])
def test_a_plate_cut_out_of_a_photo_is_found_once(pipeline: PlatePipeline, margin: float) -> None:
    photo = Image.read(PHOTOS / "front-latvia.jpg").pixels
    x0, y0, x1, y1 = 154, 241, 220, 267
    around = round(margin * (x1 - x0))
    part = photo[y0 - around : y1 + around, x0 - around : x1 + around]
    (mark,) = pipeline(np.ascontiguousarray(part)).marks
    assert coverage_matrix((around + 7, around + 5, around + 59, around + 21), mark.box) > 0.9
