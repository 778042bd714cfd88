import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from platemark.geometry import apply_homography
from platemark.models.card import DetectorPreprocess, ReaderPreprocess
from platemark.models.preprocess import (
    ink_input,
    letterbox_image,
    reader_input,
    resize,
    square_crop,
)


def test_letterbox_scales_pads_and_says_how() -> None:
    pixels = np.full((480, 1280, 3), (10, 20, 30), np.uint8)
    tensor, fit = letterbox_image(pixels, DetectorPreprocess(long_side=640))
    assert tensor.shape == (1, 256, 640, 3)
    assert (fit.scaled_width, fit.scaled_height) == (640, 240)
    assert (tensor[0, :240] == (10, 20, 30)).all()
    assert (tensor[0, 240:] == 114).all()


def test_letterbox_takes_another_long_side_and_does_not_enlarge() -> None:
    pixels = np.zeros((300, 1000, 3), np.uint8)
    spec = DetectorPreprocess(long_side=640)
    assert letterbox_image(pixels, spec, long_side=960)[0].shape == (1, 288, 960, 3)
    assert letterbox_image(pixels, spec, long_side=1920)[1].scaled_width == 1000


def test_points_land_on_the_pixels_they_belong_to() -> None:
    pixels = np.zeros((900, 1200, 3), np.uint8)
    pixels[300:360, 600:840] = 255
    tensor, fit = letterbox_image(pixels, DetectorPreprocess(long_side=640))
    rows, columns = np.nonzero(tensor[0, :, :, 0] > 127)
    box = [[columns.min(), rows.min()], [columns.max() + 1, rows.max() + 1]]
    assert np.abs(fit.inverse(box) - [[600, 300], [840, 360]]).max() < 1.0


def test_reader_input_is_luma_of_bt_601() -> None:
    colours = np.array([(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)], np.uint8)
    crop = np.broadcast_to(colours[:, None, None], (4, 16, 32, 3))
    grey = [reader_input(one, ReaderPreprocess(height=16, width=32)) for one in crop.copy()]
    assert [int(one[0, 0]) for one in grey] == [76, 150, 29, 255]
    assert all(one.shape == (16, 32) and one.dtype == np.uint8 for one in grey)


@pytest.mark.parametrize(("width", "height"), [(160, 48), (20, 6), (400, 10)])
def test_reader_input_has_the_size_of_the_card(width: int, height: int) -> None:
    crop = np.zeros((30, 100, 3), np.uint8)
    spec = ReaderPreprocess(height=max(8, height), width=width)
    assert reader_input(crop, spec).shape == (max(8, height), width)


def test_resize_averages_where_it_shrinks() -> None:
    stripes = np.zeros((10, 100, 3), np.uint8)
    stripes[:, ::2] = 255
    assert np.abs(resize(stripes, 10, 5).astype(float) - 127.5).max() <= 1


@pytest.mark.parametrize("size", [(2339, 1654), (3509, 2481), (1201, 1603), (997, 901)])
def test_what_large_pictures_show_stays_in_its_place(size: tuple[int, int]) -> None:
    """Grey levels that rise with rows and columns are where they were, within a pixel or two."""
    rows, columns = size
    page = (np.arange(rows)[:, None] / rows + np.arange(columns) / columns) * 127
    small = resize(np.rint(page).astype(np.uint8), 300, 400).astype(float)
    expected = ((np.arange(400)[:, None] + 0.5) / 400 + (np.arange(300) + 0.5) / 300) * 127
    assert np.abs(small - expected).max() < 1.2


@given(
    x=st.floats(-10, 50),
    y=st.floats(-10, 30),
    width=st.floats(1, 60),
    height=st.floats(1, 60),
    margin=st.floats(0, 0.3),
)
def test_square_crop_and_its_matrix_agree(
    x: float, y: float, width: float, height: float, margin: float
) -> None:
    # The page says in every pixel where it is, so the crop shows where each of its pixels is from.
    rows, columns = np.mgrid[:40, :60]
    page = 4 * np.stack([columns, rows, np.zeros_like(rows)], axis=2).astype(np.uint8)
    box = (x, y, x + width, y + height)
    assume(min(box[2:]) > 1)
    crop, to_page = square_crop(page, box, margin, 64)
    centres = np.stack(np.meshgrid(np.arange(64) + 0.5, np.arange(64) + 0.5), axis=-1)
    around = margin * max(box[2] - box[0], box[3] - box[1])
    low = np.floor([max(0, x - around), max(0, y - around)])
    high = np.ceil([min(60, box[2] + around), min(40, box[3] + around)])
    # beyond what was taken, its outermost pixels are repeated
    expected = np.clip(apply_homography(to_page, centres) - 0.5, low, high - 1)
    assert crop.shape == (64, 64, 3)
    assert np.abs(crop[..., :2] / 4 - expected).max() < 0.4
    fitted = apply_homography(np.linalg.inv(to_page), [low, high])
    assert np.ptp(fitted, axis=0).max() == pytest.approx(64)
    assert fitted.sum(axis=0) == pytest.approx([64, 64], abs=1.01)
    assert to_page[0, 1] == to_page[1, 0] == 0


def test_square_crop_of_a_mask_follows_that_of_its_page() -> None:
    page = np.zeros((90, 150, 3), np.uint8)
    page[20:60, 40:120] = 255
    box = (35.0, 10.0, 125.0, 70.0)
    crop, to_page = square_crop(page, box, 0.08, 192)
    mask, same = square_crop(page[..., 0].copy(), box, 0.08, 192)
    assert (mask == crop[..., 0]).all()
    assert (to_page == same).all()


def test_square_crop_refuses_what_is_off_the_page() -> None:
    page = np.zeros((50, 80, 3), np.uint8)
    with pytest.raises(ValueError, match="80x50"):
        square_crop(page, (200, 10, 220, 30), 0.08, 64)


@given(
    left=st.integers(0, 60),
    top=st.integers(0, 60),
    width=st.integers(8, 90),
    height=st.integers(8, 90),
    margin=st.sampled_from([0.0, 0.1]),
)
def test_ink_input_is_tight_centred_and_keeps_the_aspect(
    left: int, top: int, width: int, height: int, margin: float
) -> None:
    probability = np.full((160, 160), 0.1, np.float32)
    probability[top : top + height, left : left + width] = 1.0
    ink = ink_input(probability, 100, margin)
    assert ink.dtype == np.uint8
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    found = np.array([columns[-1] + 1 - columns[0], rows[-1] + 1 - rows[0]])
    inner = 100 * (1 - 2 * margin)
    assert found == pytest.approx(inner * np.array([width, height]) / max(width, height), abs=1)
    assert columns[0] + columns[-1] + 1 == pytest.approx(100, abs=1)
    assert rows[0] + rows[-1] + 1 == pytest.approx(100, abs=1)
    assert ink.max() == 255


def test_ink_input_without_ink_is_empty() -> None:
    assert not ink_input(np.full((40, 60), 0.4, np.float32), 160).any()


def test_strewn_specks_do_not_widen_the_ink() -> None:
    probability = np.zeros((300, 300), np.float32)
    probability[100:200, 80:220] = 1.0
    clean = ink_input(probability, 160)
    probability[2, 2] = probability[297, 298] = 1.0
    assert (ink_input(probability, 160) == clean).all()
