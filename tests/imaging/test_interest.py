from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from platemark.errors import UnreadableImage
from platemark.imaging.interest import RegionOfInterest


def test_a_box_and_a_polygon_are_parsed_and_have_an_inside() -> None:
    box = RegionOfInterest.parse("10, 20,110,60")
    assert box.contains((50.0, 40.0), 640, 480)
    assert not box.contains((50.0, 61.0), 640, 480)
    triangle = RegionOfInterest.parse("0,0 100,0 0,100")
    assert triangle.contains((20.0, 20.0), 640, 480)
    assert not triangle.contains((80.0, 80.0), 640, 480)


def test_what_is_searched_has_a_margin_and_stays_in_the_picture() -> None:
    box = RegionOfInterest.of((100.0, 100.0, 200.0, 300.0))
    assert box.window(640, 480) == (90, 80, 210, 320)
    assert box.window(150, 200) == (90, 80, 150, 200)
    assert box.window(90, 90) is None


def test_a_mask_is_stretched_to_the_picture() -> None:
    mask = np.zeros((10, 20), bool)
    mask[5:, 10:] = True
    region = RegionOfInterest.of(mask)
    assert region.window(200, 100) == (90, 45, 200, 100)
    assert region.contains((150.0, 75.0), 200, 100)
    assert not region.contains((99.0, 75.0), 200, 100)
    assert not region.contains((150.0, 49.0), 200, 100)
    # A centre may lie on the very edge.
    assert region.contains((200.0, 100.0), 200, 100)


def test_a_mask_is_read_from_a_picture(tmp_path: Path) -> None:
    mask = np.zeros((10, 20), np.uint8)
    mask[:, :5] = 255
    PIL.Image.fromarray(mask).save(tmp_path / "mask.png")
    region = RegionOfInterest.read(tmp_path / "mask.png")
    assert region.mask is not None
    assert region.mask.sum() == 50
    PIL.Image.fromarray(mask * 0).save(tmp_path / "black.png")
    with pytest.raises(ValueError, match="white"):
        RegionOfInterest.read(tmp_path / "black.png")
    with pytest.raises(UnreadableImage):
        RegionOfInterest.read(tmp_path / "none.png")


@pytest.mark.parametrize(
    "text", ["", "1,2,3", "1,2,3,4,5", "a,b,c,d", "10,10,5,20", "0,0 nan,1 2,2", "1,2 3,4 5"]
)
def test_what_is_no_region_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="region of interest"):
        RegionOfInterest.parse(text)


def test_arrays_that_are_no_region_are_refused() -> None:
    for value in ([1, 2, 3], np.zeros((4, 3)), [[0, 0], [1, 1]]):
        with pytest.raises(ValueError, match="region of interest"):
            RegionOfInterest.of(value)
