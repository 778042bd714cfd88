from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from platemark.geometry import is_convex
from platemark.masks import SoftMask
from platemark.stamps.appearance import Appearance, describe_ink, ink_color

Draw = Callable[..., NDArray[np.float32]]
SHAPES = ("circle", "oval", "rectangle", "triangle", "other")
COLORS = ("blue", "red", "green", "violet", "brown", "black")
# Hypothesis draws again within one call of a fixture; these draw on nothing that is kept.
drawn = settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])


def described(page: NDArray[np.uint8], ink: NDArray[np.float32]) -> Appearance:
    found = describe_ink(page, SoftMask(ink))
    assert found is not None
    return found


def between(a: float, b: float) -> float:
    """Angle between two lines."""
    return abs((a - b + 90) % 180 - 90)


def paper(size: int = 500, grey: int = 235) -> NDArray[np.uint8]:
    return np.full((size, size, 3), grey, np.uint8)


@pytest.mark.parametrize("shape", SHAPES)
@drawn
@given(
    turn=st.floats(-180, 180),
    size=st.floats(140, 420),
    color=st.sampled_from(COLORS),
    grey=st.integers(170, 255),
)
def test_shape_color_and_rotation_of_a_whole_imprint(
    draw_stamp: Draw, shape: str, turn: float, size: float, color: str, grey: int
) -> None:
    page = paper(grey=grey)
    if shape == "other":  # its text takes less than half of that
        size *= 2.0
    ink = draw_stamp(page, shape, (250, 250), size, color, turn=turn)
    found = described(page, ink)
    assert (found.shape, found.color) == (shape, color)
    assert found.rotation is not None
    assert between(found.rotation, turn) < 5


@pytest.mark.parametrize("shape", ["circle", "oval", "rectangle", "triangle"])
@drawn
@given(turn=st.floats(-180, 180), where=st.floats(0, 360), data=st.data())
def test_the_shape_holds_where_ink_is_missing(
    draw_stamp: Draw, shape: str, turn: float, where: float, data: st.DataObject
) -> None:
    page = paper()
    ink = draw_stamp(page, shape, (250, 250), 300, turn=turn)
    reach = data.draw(st.floats(100, 170))
    cosine, sine = np.cos(np.radians(where)), np.sin(np.radians(where))
    y, x = np.mgrid[0:500, 0:500] - 249.5
    # What lies beyond a line is not printed: up to a fifth of the frame.
    ink[x * cosine + y * sine > reach] = 0.0
    frame = draw_stamp(paper(), shape, (250, 250), 300, turn=turn, text=())
    lost = frame[x * cosine + y * sine > reach].sum() / frame.sum()
    assume(lost < 0.2)
    assert described(page, ink).shape == shape


@drawn
@given(turn=st.floats(-90, 90), x=st.floats(200, 300), y=st.floats(200, 300))
def test_corners_run_clockwise_from_the_own_top_left(
    draw_stamp: Draw, turn: float, x: float, y: float
) -> None:
    assume(abs(turn) < 85)
    page = paper()
    found = described(page, draw_stamp(page, "rectangle", (x, y), 300, turn=turn))
    cosine, sine = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    half = np.array([[-150, -80], [150, -80], [150, 80], [-150, 80]])
    own = half @ np.array([[cosine, sine], [-sine, cosine]]) + (x, y)
    assert is_convex(found.quad)
    assert np.abs(np.subtract(found.quad, own)).max() < 6


def test_corners_are_those_of_the_page(draw_stamp: Draw) -> None:
    page = paper()
    ink = draw_stamp(page, "circle", (300, 200), 160, turn=30)
    part = SoftMask(ink[100:300, 200:400].copy(), left=200, top=100)
    found = describe_ink(page, part)
    assert found is not None
    assert np.allclose(np.mean(found.quad, axis=0), (300, 200), atol=2)


def test_a_triangle_stands_on_its_base(draw_stamp: Draw) -> None:
    for turn in (-150, -100, -30, 0, 45, 100, 170):
        page = paper()
        found = described(page, draw_stamp(page, "triangle", (250, 250), 300, turn=turn, text=()))
        assert found.rotation is not None
        # All sides are nearly of one length: without text, a third of a turn looks the same.
        assert min(abs((found.rotation - turn + 60) % 120 - 60), 60) < 4


@pytest.mark.parametrize("turn", [0, 20, 75])
def test_a_round_stamp_without_lines_does_not_tell_its_rotation(
    draw_stamp: Draw, turn: float
) -> None:
    page = paper()
    ink = draw_stamp(page, "circle", (250, 250), 300, turn=turn, text=())
    assert described(page, ink).rotation is None
    star = np.zeros((500, 500), np.uint8)
    for spoke in range(5):
        end = 60 * np.exp(1j * np.radians(turn + 72 * spoke - 90))
        tip = (round(250 + end.real), round(250 + end.imag))
        cv2.line(star, (250, 250), tip, 255, 10)
    assert described(page, np.maximum(ink, star.astype(np.float32) / 255)).rotation is None


def test_strewn_specks_are_no_part_of_the_outline(draw_stamp: Draw) -> None:
    page = paper()
    ink = draw_stamp(page, "circle", (200, 200), 200, turn=10)
    ink[480:484, 470:476] = ink[10:13, 400:404] = 1.0
    found = described(page, ink)
    assert found.shape == "circle"
    assert np.max(found.quad) < 340


@pytest.mark.parametrize("color", COLORS)
def test_print_beneath_does_not_change_the_color(draw_stamp: Draw, color: str) -> None:
    page = paper()
    for row in range(110, 400, 24):
        cv2.putText(page, "words " * 6, (40, row), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (25,) * 3, 2)
    ink = draw_stamp(page, "circle", (250, 250), 300, color)
    assert ink_color(page, ink) == color


def test_a_grey_scan_has_black_ink(draw_stamp: Draw) -> None:
    page = paper()
    ink = draw_stamp(page, "circle", (250, 250), 300, "blue")
    grey = np.repeat(cv2.cvtColor(page, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    assert ink_color(np.asarray(grey, np.uint8), ink) == "black"


def test_without_ink_there_is_nothing_to_describe() -> None:
    page = paper(50)
    assert describe_ink(page, SoftMask(np.zeros((50, 50), np.float32))) is None
    assert ink_color(page, np.zeros((50, 50), np.float32)) == "other"
    assert ink_color(page, np.ones((50, 50), np.float32)) in ("other", "black")


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (2, 2), (3, 200)])
def test_odd_masks_are_described_too(size: tuple[int, int]) -> None:
    page = np.zeros((*size, 3), np.uint8)
    found = described(page, np.ones(size, np.float32))
    assert is_convex(found.quad)
