"""Pictures of a fixed camera are straightened, and what is found there is where it was."""

from collections.abc import Sequence

import cv2
import numpy as np
import pytest

from platemark.geometry import quad_to_box
from platemark.imaging.image import Image, Pixels
from platemark.imaging.prewarp import Prewarp
from platemark.plates.pipeline import PlatePipeline
from platemark.types import Crop, Detection, Reading

SEEN = ((100.0, 120.0), (220.0, 160.0), (224.0, 200.0), (96.0, 150.0))
PICTURE = (0, 0, 320, 240)


def photo() -> Pixels:
    """A dark photo of a white plate that is seen askew."""
    pixels = np.full((240, 320, 3), 60, np.uint8)
    corners = np.rint(np.array(SEEN) * 16 - 8).astype(np.int32)
    return cv2.fillConvexPoly(pixels, corners, (255, 255, 255), cv2.LINE_AA, 4)


def white(image: Image) -> list[Detection]:
    """What is white, as an upright box."""
    rows, columns = np.nonzero(image.pixels[..., 0] > 160)
    if not len(rows):
        return []
    return [
        Detection.given("plate", (columns.min(), rows.min(), columns.max() + 1.0, rows.max() + 1.0))
    ]


def nothing(crops: Sequence[Crop]) -> list[Reading]:
    return [Reading(None, 0.0) for _ in crops]


def test_a_rectangle_becomes_upright_where_it_is() -> None:
    view = Prewarp(SEEN, ratio=4.0).view(320, 240, PICTURE)
    shown = view.straighten(photo())
    assert shown.shape[1::-1] == view.size
    (found,) = white(Image(shown))
    x0, y0, x1, y1 = found.box
    assert (x1 - x0) / (y1 - y0) == pytest.approx(4.0, rel=0.06)
    filled = shown[int(y0) + 2 : int(y1) - 2, int(x0) + 2 : int(x1) - 2]
    assert filled.min() > 200
    back = view.original(found, 320, 240)
    np.testing.assert_allclose(back.quad, SEEN, atol=2.0)
    np.testing.assert_allclose(back.box, quad_to_box(SEEN), atol=2.0)


def test_marks_of_a_pipeline_are_in_pixels_of_the_original_picture() -> None:
    plain = PlatePipeline(white, nothing)
    straight = plain.with_prewarp(Prewarp(SEEN))
    (mark,) = straight(photo()).marks
    np.testing.assert_allclose(mark.quad, SEEN, atol=2.0)
    assert np.abs(np.array(plain(photo())[0].quad) - SEEN).max() > 20
    around, elsewhere = (90, 110, 230, 210), (0, 0, 80, 80)
    (within,) = straight.with_region_of_interest(around)(photo()).marks
    np.testing.assert_allclose(within.quad, SEEN, atol=2.0)
    assert not straight.with_region_of_interest(elsewhere)(photo()).marks
    mask = np.zeros((24, 32), bool)
    mask[12:, 8:] = True
    assert len(straight.with_region_of_interest(mask)(photo())) == 1
    assert straight.with_prewarp(None)(photo()).marks == plain(photo()).marks


def test_what_a_region_shows_alone_is_straightened() -> None:
    whole = Prewarp(SEEN).view(320, 240, PICTURE).size
    part = Prewarp(SEEN).view(320, 240, (90, 110, 230, 210)).size
    assert part[0] * part[1] < whole[0] * whole[1] / 2


@pytest.mark.parametrize("lens", [(-0.2, 0.03), (0.15, 0.0)])
def test_lines_that_a_lens_bends_become_straight(lens: tuple[float, float]) -> None:
    view = Prewarp(lens=lens).view(320, 240, PICTURE)
    middle = np.array(view.size) / 2.0
    np.testing.assert_allclose(view.to_image(middle), (160, 120), atol=0.6)
    # A straight line as the lens shows it, straightened again.
    along = np.linspace(0.1, 0.9, 60)[:, None]
    line = view.to_image(np.array(view.size) * np.hstack([along, np.full_like(along, 0.2)]))
    assert np.ptp(line[:, 1]) > 2.0
    pixels = np.zeros((240, 320, 3), np.uint8)
    cv2.polylines(pixels, [np.rint(line).astype(np.int32)], False, (255, 255, 255), 2)
    rows, _ = np.nonzero(view.straighten(pixels)[..., 0] > 128)
    assert np.ptp(rows) <= 4


def test_nothing_beyond_the_horizon_is_shown() -> None:
    # The plane of a road: its far end is above the picture's middle.
    road = ((150.0, 130.0), (170.0, 130.0), (260.0, 230.0), (60.0, 230.0))
    width, height = Prewarp(road).view(320, 240, PICTURE).size
    assert width <= 640
    assert height <= 480
    assert Prewarp(road).view(320, 240, (0, 0, 320, 20)).size == (1, 1)


def test_numbers_in_a_text_are_a_prewarp() -> None:
    text = "100,120 220,160 224,200 96,150 ratio=4.64 lens=-0.2,0.03"
    assert Prewarp.parse(text) == Prewarp(SEEN, 4.64, (-0.2, 0.03))
    assert Prewarp.parse("lens=-0.1") == Prewarp(lens=(-0.1, 0.0))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no prewarp"),
        ("1,2 3,4 5,6", "no prewarp"),
        ("a,b c,d e,f g,h", "no prewarp"),
        ("lens=1,2,3", "no prewarp"),
        ("zoom=2", "no prewarp"),
        ("0,0 10,0 10,10 0,10 ratio=-1", "positive"),
        ("ratio=4", "corners"),
        ("0,0 0,10 10,10 10,0", "clockwise"),
        ("0,0 nan,0 10,10 0,10", "finite"),
        ("lens=-0.5", "fold"),
    ],
)
def test_what_is_no_prewarp_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Prewarp.parse(text)
