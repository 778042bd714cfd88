import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from platemark.geometry import (
    apply_homography,
    box_to_quad,
    enlarge_quad,
    homography,
    pixel_centres,
    translation,
)
from platemark.imaging.warp import rectified, rectify, values_at, warp

QUAD = np.array([[60.0, 50.0], [240.0, 70.0], [236.0, 130.0], [64.0, 104.0]])


def ramp(width: int = 320, height: int = 200) -> np.ndarray:
    """A picture whose colour tells the place: red is x, green is y, in 255ths of the size."""
    y, x = np.mgrid[0:height, 0:width] + 0.5
    planes = (x * 255 / width, y * 255 / height, np.zeros_like(x))
    return np.stack(planes, axis=2).round().astype(np.uint8)


def place(pixels: np.ndarray, width: int = 320, height: int = 200) -> np.ndarray:
    return pixels[..., :2] * np.array([width / 255, height / 255])


@pytest.mark.parametrize("size", [None, (160, 48), (90, 27), (400, 200), (20, 6)])
@pytest.mark.parametrize("margin", [0.0, 0.04])
def test_a_crop_shows_what_its_matrix_says(size: tuple[int, int] | None, margin: float) -> None:
    crop = rectify(ramp(), QUAD, size, margin)
    height, width = crop.pixels.shape[:2]
    assert size in (None, (width, height))
    y, x = np.mgrid[0:height, 0:width] + 0.5
    truth = apply_homography(crop.to_image, np.stack([x, y], axis=2))
    # A grey level is 1.25 pixels here.
    assert np.abs(place(crop.pixels) - truth).max() < 2.0
    corners = apply_homography(crop.to_image, box_to_quad([0, 0, width, height]))
    assert np.allclose(corners, enlarge_quad(QUAD, margin))


def test_a_box_of_whole_pixels_is_cut_out_as_it_is() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    crop = rectify(pixels, box_to_quad([10, 20, 50, 45]))
    assert np.array_equal(crop.pixels, pixels[20:45, 10:50])


def test_a_plate_upside_down_is_turned_upright() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    crop = rectify(pixels, box_to_quad([10, 20, 50, 45])[[2, 3, 0, 1]])
    assert np.array_equal(crop.pixels, pixels[20:45, 10:50][::-1, ::-1])


def test_fine_stripes_average_when_they_shrink() -> None:
    stripes = np.zeros((400, 1600, 3), np.uint8)
    stripes[:, ::2] = 255
    crop = rectify(stripes, box_to_quad([0, 0, 1600, 400]), (100, 25))
    assert np.abs(crop.pixels.astype(float) - 127.5).max() < 3


def test_outside_the_picture_its_edge_goes_on() -> None:
    white = np.full((50, 50, 3), 255, np.uint8)
    for box in ([-30, -30, 20, 20], [40, 40, 90, 90], [60, 60, 90, 90]):
        assert rectify(white, box_to_quad(box)).pixels.min() == 255


def test_very_wide_pictures_can_be_cut() -> None:
    wide = np.zeros((40, 40000, 3), np.uint8)
    wide[:, 39900:] = 255
    assert rectify(wide, box_to_quad([39910, 5, 39990, 35])).pixels.min() == 255


@given(st.sampled_from([[0, 2, 1, 3], [3, 2, 1, 0]]))
def test_a_quad_that_cannot_be_rectified_is_a_mistake(order: list[int]) -> None:
    with pytest.raises(ValueError, match="convex"):
        rectify(ramp(), QUAD[order])


def test_homography_of_a_crop_is_inverse_to_the_quad() -> None:
    crop = rectify(ramp(), QUAD, (160, 48))
    there = homography(QUAD, box_to_quad([0, 0, 160, 48]))
    assert np.allclose(
        apply_homography(there, apply_homography(crop.to_image, [[80, 24]])), [[80, 24]]
    )


@pytest.mark.parametrize("margin", [0.0, 0.04])
def test_grey_is_rectified_as_colours_are(margin: float) -> None:
    grey, to_image = rectified(ramp()[..., 0], QUAD, (160, 48), margin)
    crop = rectify(ramp(), QUAD, (160, 48), margin)
    assert np.array_equal(grey, crop.pixels[..., 0])
    assert np.array_equal(to_image, crop.to_image)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("channels", [1, 2, 3, 6])
def test_whole_pixels_move_as_they_are(dtype: type, channels: int) -> None:
    shape = (30, 40, channels) if channels > 1 else (30, 40)
    picture = np.random.default_rng(0).integers(0, 256, shape).astype(dtype)
    moved = warp(picture, translation(3, -5), (40, 30))
    assert moved.dtype == dtype
    assert np.array_equal(moved[:25, 3:], picture[5:, :37])
    assert not moved[25:].any()
    affine = translation(3, -5)[:2]
    assert np.array_equal(warp(picture, affine, (40, 30)), moved)
    kept = warp(picture, translation(3, -5), (40, 30), fill=None)
    assert np.array_equal(kept[:25, :3], np.repeat(picture[5:, :1], 3, axis=1))
    filled = warp(picture, translation(3, -5), (40, 30), fill=7)
    assert (filled[25:] == 7).all()
    doubled = warp(picture, np.diag([2.0, 2.0, 1.0]), (80, 60), fill=None)
    pairs = doubled.reshape(30, 2, 40, 2, -1).astype(float).mean(axis=(1, 3))
    assert np.abs(pairs[1:-1, 1:-1].mean() - picture[1:-1, 1:-1].mean()) < 2


def test_channels_may_be_filled_apart() -> None:
    seen = warp(np.zeros((4, 4, 3), np.uint8), translation(4, 0), (4, 4), fill=(1, 2, 3))
    assert seen[0, 0].tolist() == [1, 2, 3]


def test_perspective_and_points_agree() -> None:
    matrix = homography(box_to_quad([0, 0, 160, 48]), QUAD)
    seen = warp(ramp(), np.linalg.inv(matrix), (160, 48))
    x, y = np.meshgrid(np.arange(160) + 0.5, np.arange(48) + 0.5)
    points = apply_homography(matrix, np.stack([x, y], axis=2))
    assert np.abs(values_at(ramp(), points).astype(int) - seen).max() <= 1
    assert np.abs(place(seen) - points).max() < 2


def test_the_centre_of_the_first_pixel_is_where_opencv_begins() -> None:
    matrix = homography(box_to_quad([0, 0, 160, 48]), QUAD)
    centre = apply_homography(pixel_centres(matrix), [[0.0, 0.0]])
    assert np.allclose(centre + 0.5, apply_homography(matrix, [[0.5, 0.5]]))


def test_values_outside_are_those_of_the_edge_or_none() -> None:
    picture = np.array([[1.0, 2.0]], np.float32)
    assert values_at(picture, [[(-5, 0.5), (1.5, 0.5), (9, 0.5)]]).tolist() == [[0, 2, 0]]
    assert values_at(picture, [[(-5, 0.5), (9, 0.5)]], fill=None).tolist() == [[1, 2]]
