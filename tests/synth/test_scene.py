"""The camera and geometry of synthesis; training rectifies plates as inference does."""

from types import SimpleNamespace
from typing import Any, cast

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from platemark import PlatePipeline, PlateReader
from platemark.geometry import is_convex
from platemark.imaging.image import Pixels
from platemark.imaging.warp import rectified, rectify
from platemark.models.card import Calibration, ReaderDecode, ReaderPreprocess
from platemark.plates.formats import load_formats
from platemark.synth.camera.scene import Camera, Pose, Quad, paste, tilted_quad
from platemark.synth.plates.texture import draw_plate
from platemark.synth.plates.typefaces import FontLibrary

SEEDS = st.integers(0, 2**32 - 1)


def smooth_picture(height: int, width: int, seed: int) -> Pixels:
    """Soft blobs of colour, which a bilinear warp hardly changes."""
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), 6)
    low, high = soft.min(), soft.max()
    return np.asarray((soft - low) / (high - low) * 255, np.uint8)


def placed(quad: Quad, room: float = 20.0) -> tuple[Quad, tuple[int, int]]:
    """The quad moved into a picture with some room around it, and that picture's height, width."""
    moved = quad - quad.min(axis=0) + room
    width, height = np.ceil(moved.max(axis=0) + room).astype(int)
    return moved, (int(height), int(width))


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, width=st.floats(120, 400), aspect=st.floats(1.0, 5.0))
def test_rectifying_undoes_pasting(seed: int, width: float, aspect: float) -> None:
    rng = np.random.default_rng(seed)
    quad, size = placed(tilted_quad(width, aspect, rng, Pose(15, 9, 5)) + rng.random(2))
    assert is_convex(quad)
    plate = smooth_picture(round(110 / aspect) + 10, 110, seed)
    canvas = np.zeros((*size, 3), np.uint8)
    paste(canvas, plate, np.full(plate.shape[:2], 255, np.uint8), quad)
    back = rectify(canvas, quad, (plate.shape[1], plate.shape[0])).pixels
    inner = np.s_[3:-3, 3:-3]
    assume(back[inner].size)
    assert np.abs(back[inner].astype(float) - plate[inner]).mean() < 4


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS, margin=st.floats(0.0, 0.3))
def test_the_margin_is_a_share_of_the_plate(seed: int, margin: float) -> None:
    quad, size = placed(tilted_quad(150, 3, np.random.default_rng(seed), Pose(15, 9, 5)), 100)
    canvas = np.zeros((*size, 3), np.uint8)
    white = np.full((50, 150, 3), 255, np.uint8)
    paste(canvas, white, white[..., 0], quad)
    flat = rectify(canvas, quad, (300, 100), margin).pixels[..., 0] / 255
    assert flat.mean() == pytest.approx((1 + 2 * margin) ** -2, abs=0.03)


def test_what_is_outside_the_canvas_is_clipped() -> None:
    white = np.full((10, 20, 3), 255, np.uint8)
    canvas = np.zeros((30, 30, 3), np.uint8)
    left = np.array([[-20.0, 5], [-5, 5], [-5, 15], [-20, 15]])
    paste(canvas, white, white[..., 0], left)
    assert not canvas.any()
    paste(canvas, white, white[..., 0], left + np.array([12, 0]))
    assert canvas[6:14, :6].min() == 255
    assert not canvas[:, 8:].any()


def test_a_plain_camera_changes_nothing() -> None:
    camera = Camera(
        gain=1.0,
        contrast=1.0,
        balance=(1.0, 1.0, 1.0),
        blur=0.0,
        motion=0.0,
        motion_angle=0.0,
        noise=0.0,
        jpeg=None,
        halo=0.0,
    )
    picture = smooth_picture(40, 60, 1)
    shot = camera.shoot(picture, np.random.default_rng(0))
    assert np.abs(shot.astype(int) - picture).max() <= 1


class _Recorder:
    """Stands for the reader's network and keeps what it is given."""

    def __init__(self) -> None:
        self.card = SimpleNamespace(
            preprocess=ReaderPreprocess(height=48, width=160, margin=0.04),
            decode=ReaderDecode(alphabet="AB"),
            calibration=Calibration(),
        )
        self.crops: list[Pixels] = []

    def run(self, crops: Pixels) -> dict[str, NDArray[np.float32]]:
        self.crops.extend(crops)
        return {"log_probs": np.log(np.full((len(crops), 4, 3), 1 / 3, np.float32))}


def as_inference_sees(picture: Pixels, quad: Quad) -> Pixels:
    """What the network is given for this quad, (48, 160) grey."""
    recorder = _Recorder()
    reader = PlateReader(cast("Any", recorder))
    PlatePipeline(cast("Any", None), reader).read(picture, [quad])
    return recorder.crops[0]


def plate_photo(width: float, seed: int) -> tuple[Pixels, Quad]:
    """A sharp plate about ``width`` px wide, and its corners."""
    rng = np.random.default_rng(seed)
    texture = draw_plate(load_formats()["eu-de"].sample(rng), FontLibrary(), rng)
    aspect = texture.pixels.shape[1] / texture.pixels.shape[0]
    quad, size = placed(tilted_quad(width, aspect, rng, Pose(10, 5, 3)) + rng.random(2))
    picture = np.full((*size, 3), 90, np.uint8)
    paste(picture, texture.pixels, texture.alpha, quad)
    return picture, quad


@pytest.mark.parametrize("width", [40, 100, 200, 300])
def test_training_rectifies_as_inference_does(width: float) -> None:
    for seed in range(4):
        picture, quad = plate_photo(width, seed)
        grey = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)
        flat = rectified(grey, quad, (160, 48), 0.04)[0]
        assert np.abs(as_inference_sees(picture, quad).astype(float) - flat).max() <= 2


def test_inference_does_not_alias() -> None:
    """Stripes of one pixel far finer than the crop come out as their mean."""
    picture = np.zeros((400, 1400, 3), np.uint8)
    picture[:, ::2] = 200
    quad = np.array([[100.0, 100], [1300, 100], [1300, 300], [100, 300]])
    crop = as_inference_sees(picture, quad).astype(float)
    assert crop[:, 4:-4].mean() == pytest.approx(100, abs=2)
    assert crop[:, 4:-4].std() < 12
