"""Layout finds bands and lines of text however a stamp is turned."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platemark.imaging.image import Pixels
from platemark.stamps.baselines import RingLine
from platemark.stamps.layout import find_layout, other_way, upside_down

SIDE = 300


def seal(turn: float, gap: float = 60.0) -> Pixels:
    """Two frames, between them letters (bars) but for a gap that begins at ``turn``."""
    picture = np.full((SIDE, SIDE), 255, np.uint8)
    centre = (SIDE // 2, SIDE // 2)
    for radius in (130, 88):
        cv2.circle(picture, centre, radius, 40, 3, cv2.LINE_AA)
    for degrees in np.arange(turn + gap, turn + 360.0, 9.0):
        ray = np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])
        ends = [
            np.rint((np.array(centre) + ray * way) * 16).astype(int).tolist() for way in (99, 119)
        ]
        cv2.line(picture, ends[0], ends[1], 40, 5, cv2.LINE_AA, 4)
    return picture


def probability(picture: Pixels) -> np.ndarray:
    return (picture < 128).astype(np.float32)


@settings(max_examples=12, deadline=None)
@given(st.floats(0, 360))
def test_a_ring_text_begins_behind_its_widest_gap_at_any_rotation(turn: float) -> None:
    picture = seal(turn)
    (ring, *_) = find_layout(picture, probability(picture)).rings
    assert np.mean(ring.radii) == pytest.approx(109, abs=4)
    assert ring.capital == pytest.approx(20, abs=7)
    x, y = ring.points(0.0, 0.0) - SIDE / 2
    behind = (np.degrees(np.arctan2(y, x)) - turn) % 360
    assert 5 < behind < 55


def test_the_other_way_begins_at_the_same_point() -> None:
    ring = RingLine((0, 0), (50, 40), 10.0, 30.0, 100.0, 9.0)
    assert other_way(ring).points(0.0, 0.0) == pytest.approx(ring.points(0.0, 0.0))
    assert other_way(other_way(ring)) == ring


def words(angle: float) -> Pixels:
    """Three lines of words without a frame, turned clockwise."""
    picture = np.full((SIDE, SIDE), 255, np.uint8)
    for row, text in enumerate(("RECEIVED", "12 MAY 1998", "OFFICE No 4")):
        cv2.putText(picture, text, (40, 110 + 42 * row), cv2.FONT_HERSHEY_SIMPLEX, 1.0, 40, 3)
    matrix = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), -angle, 1.0)
    return np.asarray(cv2.warpAffine(picture, matrix, (SIDE, SIDE), borderValue=255), np.uint8)


@pytest.mark.parametrize("angle", [-70.0, -20.0, 0.0, 7.5, 45.0, 88.0])
def test_lines_without_a_frame_are_found_at_their_angle(angle: float) -> None:
    picture = words(angle)
    found = find_layout(picture, probability(picture))
    lines = [line for line in found.lines if abs((line.angle - angle + 90) % 180 - 90) < 2]
    assert len(lines) == 3
    for line in lines:
        assert line.capital == pytest.approx(22, abs=5)
        assert 120 < line.length < 240


def test_a_line_upside_down_runs_back_along_itself() -> None:
    picture = words(10.0)
    line = find_layout(picture, probability(picture)).lines[0]
    back = upside_down(line)
    assert back.points(0.0, 0.0) == pytest.approx(line.points(line.length, 0.0))
    assert back.points(5.0, 3.0) == pytest.approx(line.points(line.length - 5.0, -3.0))


def test_a_frame_is_no_line() -> None:
    picture = np.full((160, 320), 255, np.uint8)
    cv2.rectangle(picture, (20, 20), (300, 140), 40, 4)
    cv2.putText(picture, "POSTED", (70, 100), cv2.FONT_HERSHEY_SIMPLEX, 1.7, 40, 5)
    lines = find_layout(picture, probability(picture)).lines
    level = [line for line in lines if abs(line.angle) < 3]
    assert len(level) == 1
    assert level[0].capital == pytest.approx(37, abs=8)


def test_where_there_is_no_ink_there_are_no_lines() -> None:
    blank = np.full((50, 60), 255, np.uint8)
    layout = find_layout(blank, np.zeros((50, 60), np.float32))
    assert layout.rings == ()
    assert layout.lines == ()


def test_a_stamp_of_a_few_pixels_has_no_lines_that_fail() -> None:
    picture = np.full((30, 30), 255, np.uint8)
    cv2.circle(picture, (15, 15), 9, 30, 2)
    layout = find_layout(picture, probability(picture))
    assert all(ring.capital > 0 and ring.length > 0 for ring in layout.rings)
