from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from platemark.geometry import apply_homography
from platemark.matching import InkTemplate
from platemark.tasks.comparer import TOO_LITTLE_INK, TOO_SMALL, match_ink

Ink = NDArray[np.uint8]
Imprint = Callable[..., Ink]
CORNERS = np.array([[110.0, 110.0], [340.0, 110.0], [340.0, 340.0], [110.0, 340.0]])
turns, zooms = st.floats(-180.0, 180.0), st.floats(0.7, 1.4)


def truth(turn: float, zoom: float) -> NDArray[np.float64]:
    """Where `CORNERS` of the upright imprint are in the turned and zoomed one."""
    angle = -np.radians(turn)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return zoom * (CORNERS - 225.0) @ rotation.T + 225.0 * round(450 * zoom) / 450.0


@settings(max_examples=12, deadline=None, derandomize=True)
@given(turn=turns, zoom=zooms)
def test_an_imprint_is_found_however_it_is_turned_and_zoomed(
    imprint: Imprint, turn: float, zoom: float
) -> None:
    match = match_ink(imprint(), imprint(turn=turn, zoom=zoom))
    assert match.score > 0.5
    moved = apply_homography(match.transform, CORNERS)
    assert np.abs(moved - truth(turn, zoom)).max() < 2.0 * max(zoom, 1.0)


@settings(max_examples=6, deadline=None, derandomize=True)
@given(turn=turns, zoom=zooms, letter=st.sampled_from("RK"))
def test_the_other_way_round_is_the_same(
    imprint: Imprint, turn: float, zoom: float, letter: str
) -> None:
    a = imprint()
    b = imprint("NOTARY OFFICE", "No 4821/7", f"{letter}IVERTON", turn=turn, zoom=zoom)
    there, back = match_ink(a, b), match_ink(b, a)
    assert there.score == back.score
    assert there.doubt == back.doubt
    assert len(there.regions) == len(back.regions)
    both = there.transform @ back.transform
    assert np.abs(both / both[2, 2] - np.eye(3)).max() < 1e-6


@pytest.mark.parametrize(
    ("line", "text", "most"),
    [
        # Of this the comparer is not sure enough; it must at least be less sure than of the same.
        (0, "NOTARY OFFIGE", 0.9),
        (0, "NOTABY OFFICE", 0.1),
        (1, "No 4827/7", 0.2),
        (1, "No 4821/1", 0.2),
        (1, "No 4824/7", 0.1),
        (2, "RIVERTOM", 0.1),
        (2, "RIVENTON", 0.2),
        (2, "HIVERTON", 0.8),
    ],
)
def test_one_letter_changed_is_another_stamp(
    imprint: Imprint, line: int, text: str, most: float
) -> None:
    same = match_ink(imprint(), imprint(turn=31.0, zoom=1.1))
    lines = ["NOTARY OFFICE", "No 4821/7", "RIVERTON"]
    lines[line] = text
    match = match_ink(imprint(), imprint(*lines, turn=31.0, zoom=1.1))
    assert match.score < min(most, same.score - 0.02)


def test_the_letter_that_differs_is_shown(imprint: Imprint) -> None:
    match = match_ink(imprint(), imprint("NOTARY OFFICE", "No 4821/7", "HIVERTON", turn=-20.0))
    assert len(match.regions)
    x0, y0, x1, y1 = match.regions[0]
    # The first letter of the lowest line, in the margin of 75 pixels that the imprint has.
    assert x0 < 75 + 90 < x1 + 15
    assert y0 < 75 + 225 < y1


def test_another_stamp_is_another(imprint: Imprint) -> None:
    other = imprint("CITY ARCHIVE", "RECEIVED", "12 MAY")
    assert match_ink(imprint(), other).score < 0.1


@pytest.mark.parametrize("missing", [0.3, 0.5])
def test_missing_ink_is_no_difference(imprint: Imprint, missing: float) -> None:
    match = match_ink(imprint(), imprint(turn=80.0, missing=missing))
    assert match.score > 0.5


def test_thick_and_thin_strokes_are_one_stamp(imprint: Imprint) -> None:
    thick = cv2.dilate(imprint(turn=10.0), np.ones((3, 3), np.uint8))
    assert match_ink(imprint(), np.asarray(thick, np.uint8)).score > 0.5


def test_a_mirror_image_is_refused(imprint: Imprint) -> None:
    mirrored = np.ascontiguousarray(imprint()[:, ::-1])
    match = match_ink(imprint(), mirrored)
    assert match.score < 0.3
    assert np.linalg.det(match.transform[:2, :2]) > 0.0


def test_templates_are_matched_like_masks(imprint: Imprint) -> None:
    a, b = imprint(), imprint(turn=45.0)
    first = InkTemplate.of(a)
    whole = match_ink(a, b)
    for _ in range(2):
        match = match_ink(first, InkTemplate.of(b))
        assert match.score == whole.score
        assert np.array_equal(match.transform, whole.transform)


def test_bool_masks_are_sure_ink(imprint: Imprint) -> None:
    ink = imprint() > 127
    assert match_ink(ink, ink).score == match_ink(*[255 * ink.astype(np.uint8)] * 2).score


def test_without_ink_nothing_is_said(imprint: Imprint) -> None:
    for empty in (np.zeros((40, 60), np.uint8), np.zeros((1, 1), bool)):
        match = match_ink(imprint(), empty)
        assert (match.score, match.doubt) == (0.5, TOO_LITTLE_INK)
        assert np.array_equal(match.transform, np.eye(3))


def test_of_tiny_imprints_nothing_is_said(imprint: Imprint) -> None:
    assert match_ink(imprint(zoom=0.1), imprint()).doubt == TOO_SMALL


@pytest.mark.parametrize("mask", [np.zeros((4, 4, 3), np.uint8), np.zeros((0, 4), np.uint8)])
def test_what_is_no_mask_is_refused(mask: Ink) -> None:
    with pytest.raises(ValueError, match="an ink mask is"):
        match_ink(mask, mask)


def test_numbers_that_are_no_uint8_are_refused() -> None:
    with pytest.raises(ValueError, match="float64"):
        InkTemplate.of(np.zeros((4, 4)))  # type: ignore[arg-type]


def test_a_picture_of_another_size_than_its_ink_is_refused() -> None:
    with pytest.raises(ValueError, match="of the same size"):
        InkTemplate.of(np.zeros((9, 9), bool), np.zeros((9, 8, 3), np.uint8))
