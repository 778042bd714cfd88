"""Patches found again: the map between two views, or that there is none."""

import cv2
import numpy as np
import pytest

from platemark.geometry import apply_homography
from platemark.matching.alignment import laid_on
from platemark.matching.patches import moved_patches
from platemark.matching.template import MIDDLE, InkTemplate


def lettered(seed: int) -> InkTemplate:
    """A frame with rows of letters, none of which is like another for long."""
    rng = np.random.default_rng(seed)
    ink = np.zeros((300, 300), np.uint8)
    cv2.rectangle(ink, (20, 20), (280, 280), 255, 6)
    for row in range(5):
        text = "".join(rng.choice(list("ABCDEFGHKLMNPRSTVXZ2345678"), 7))
        cv2.putText(ink, text, (34, 75 + 46 * row), cv2.FONT_HERSHEY_SIMPLEX, 1.4, 255, 5)
    return InkTemplate.of(ink)


@pytest.mark.parametrize("seed", range(4))
def test_a_shift_of_several_strokes_is_found(seed: int) -> None:
    stamp = lettered(seed)
    strokes = stamp.level(MIDDLE).strokes
    off = np.array([[1.03, 0.04, 0.11], [-0.03, 0.97, -0.08], [0.0, 0.0, 1.0]])
    moved = moved_patches(strokes, laid_on(strokes, off, MIDDLE))
    assert moved is not None
    corners = stamp.corners
    assert np.abs(apply_homography(off @ moved, corners) - corners).max() < 0.04


def test_nothing_is_found_on_empty_paper() -> None:
    strokes = lettered(0).level(MIDDLE).strokes
    assert moved_patches(strokes, np.zeros_like(strokes)) is None
    assert moved_patches(np.zeros_like(strokes), strokes) is None
