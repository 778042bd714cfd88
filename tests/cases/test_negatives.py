"""A negative has the stamps of its positive."""

from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest

from platemark.imaging.image import Image
from platemark.imaging.ink import positive
from platemark.stamps.pipeline import StampPipeline

FILES = Path(__file__).parent / "files"
EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def pipeline() -> StampPipeline:
    return StampPipeline.from_pretrained(threads=1)


def test_a_negative_shows_one_stamp(pipeline: StampPipeline) -> None:
    (mark,) = pipeline(FILES / "negative.jpg").marks
    assert mark.shape == "circle"


def test_white_ink_on_black_is_black(pipeline: StampPipeline) -> None:
    page = PIL.Image.open(EXAMPLES / "documents" / "letter-seal.jpg").convert("L")
    (seen,) = pipeline(page).marks
    (mark,) = pipeline(PIL.ImageOps.invert(page)).marks
    assert (mark.box, mark.shape, mark.color) == (seen.box, seen.shape, "black")


def test_what_is_no_negative_stays_as_it_is() -> None:
    paths = [*(EXAMPLES / "documents").glob("*.jpg"), *(EXAMPLES / "photos").glob("*.jpg")]
    assert len(paths) > 10
    table = np.full((800, 1000, 3), 30, np.uint8)
    table[200:500, 300:520] = 240  # a sheet of paper on it
    for image in (*map(Image.read, paths), Image(table), Image(np.zeros((50, 60, 3), np.uint8))):
        assert positive(image) is image
