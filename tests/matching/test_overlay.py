"""Where imprints lie on the canvas of the comparer."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from platemark.geometry import apply_homography
from platemark.matching.overlay import overlay
from platemark.matching.template import InkTemplate, planes_of
from platemark.models.card import ComparerPreprocess

Imprint = Callable[..., NDArray[np.uint8]]
SPEC = ComparerPreprocess(content=256, margin=16, multiple=16)


def block(width: int, height: int, left: int = 9, top: int = 5) -> NDArray[np.uint8]:
    """A filled rectangle with a hole, which is no square."""
    ink = np.zeros((height + 2 * top, width + 2 * left), np.uint8)
    ink[top : top + height, left : left + width] = 255
    ink[top + height // 3 : top + height // 2, left + width // 4 : left + width // 2] = 0
    return ink


@given(
    st.integers(40, 700), st.integers(40, 700), st.integers(0, 30), st.floats(0.6, 1.6)
)  # fmt: skip
def test_the_canvas_holds_both_and_no_more(width: int, height: int, left: int, zoom: float) -> None:
    a = InkTemplate.of(block(width, height, left))
    b = InkTemplate.of(block(round(zoom * width), round(zoom * height)))
    canvas, to_canvas = overlay(SPEC, a, b, np.eye(3))
    rows, columns = canvas.shape[:2]
    assert canvas.shape[2] == 6
    assert rows % 16 == columns % 16 == 0
    assert max(rows, columns) == 288
    assert min(rows, columns) <= 256 * min(width, height) / max(width, height) + 2 * 16 + 3 * 16
    corners = apply_homography(to_canvas, a.corners)
    assert corners.min() >= 16 - 1e-6
    assert np.ptp(corners, axis=0).max() == pytest.approx(256)
    inks = [np.asarray(canvas[..., channel] > 127, np.uint8) for channel in (0, 3)]
    around = [cv2.dilate(ink, np.ones((3, 3), np.uint8)) for ink in inks]
    assert (inks[0] & ~around[1]).sum() + (inks[1] & ~around[0]).sum() <= 0.01 * sum(inks).sum()


def test_ink_is_where_its_frame_says(imprint: Imprint) -> None:
    a, b = InkTemplate.of(imprint()), InkTemplate.of(imprint("CITY ARCHIVE", turn=30.0))
    canvas, to_canvas = overlay(SPEC, a, b, np.eye(3))
    rows, columns = np.nonzero(a.mask > 250)
    points = np.stack([columns, rows], axis=1) + 0.5
    at = apply_homography(to_canvas @ a.to_frame, points).astype(int)
    assert (canvas[at[:, 1], at[:, 0], 0] > 100).mean() > 0.97


def test_looks_do_not_depend_on_the_light() -> None:
    rng = np.random.default_rng(0)
    ink = (rng.random((60, 60)) > 0.8).astype(np.uint8) * 255
    paper = np.where(ink[..., None] > 0, (40, 60, 150), (240, 240, 235)).astype(np.uint8)
    bright, dark = planes_of(ink, paper), planes_of(ink, (paper * 0.6 + 10).astype(np.uint8))
    assert np.abs(bright.astype(int) - dark).max() <= 6
    on, off = bright[ink > 0].mean(axis=0), bright[ink == 0].mean(axis=0)
    assert on[1] < 40 < 200 < off[1]
    assert on[2] > 80 > 10 > off[2]


def test_ink_without_its_picture_is_black_on_white() -> None:
    canvas, _ = overlay(SPEC, *[InkTemplate.of(block(100, 60))] * 2, np.eye(3))
    inside = canvas[canvas[..., 0] > 250]
    outside = canvas[canvas[..., 0] == 0]
    assert inside[:, 1].max() < 30
    assert outside[:, 1].min() > 225
    assert canvas[..., 2].max() == 0
