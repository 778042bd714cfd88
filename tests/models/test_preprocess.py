import numpy as np
import pytest

from platemark.models.card import DetectorPreprocess, ReaderPreprocess
from platemark.models.preprocess import letterbox_image, reader_input, resize


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
