from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platemark.geometry import translation
from platemark.imaging.image import Pixels
from platemark.masks import SoftMask
from platemark.stamps.appearance import ink_color
from platemark.synth.camera.ink import INK_SHARE, Ink, full_ink, stamp_on, warp_on_page
from platemark.types import INK_COLORS

BLUE = Ink("blue", (40, 70, 200))
SCALE = 8.0


def seal(side: int = 200, border: int = 24) -> Pixels:
    """A ring with a bar across."""
    coverage = np.zeros((side, side), np.uint8)
    middle = side // 2
    cv2.circle(coverage, (middle, middle), middle - border, 255, 6, cv2.LINE_AA)
    cv2.line(coverage, (border + 20, middle), (side - border - 20, middle), 255, 10)
    return coverage


def amount(ink: Ink, seed: int = 0) -> float:
    return float(ink.print(seal(), np.random.default_rng(seed), SCALE).sum())


def page(width: int = 300, height: int = 260) -> Pixels:
    paper = np.full((height, width, 3), 250, np.uint8)
    cv2.putText(paper, "print", (30, 140), cv2.FONT_HERSHEY_SIMPLEX, 3, (20, 20, 20), 5)
    return paper


def test_sound_ink_prints_the_design() -> None:
    alpha = BLUE.print(seal(), np.random.default_rng(0), SCALE)
    assert alpha.dtype == np.float32
    assert np.abs(alpha - seal() / 255).max() < 1e-6


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_any_ink_prints_shares_and_is_drawn_from_the_seed(seed: int) -> None:
    ink = Ink.draw(np.random.default_rng(seed))
    assert ink.name in INK_COLORS
    assert ink == Ink.draw(np.random.default_rng(seed))
    prints = [ink.print(seal(120, 30), np.random.default_rng(seed), 4.0) for _ in range(2)]
    assert (prints[0] == prints[1]).all()
    assert prints[0].dtype == np.float32
    assert 0 <= prints[0].min() <= prints[0].max() <= 1
    assert prints[0].any()


def test_colours_bear_the_names_that_the_appearance_gives_them() -> None:
    right = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        ink = replace(Ink.draw(rng), body=0.0, repel=0.0)
        alpha = replace(BLUE, strength=ink.strength).print(seal(), rng, SCALE)
        paper = np.full((200, 200, 3), 250, np.uint8)
        stamp_on(paper, alpha, ink, np.eye(3))
        right += ink_color(paper, alpha / full_ink(alpha)) == ink.name
    assert right >= 57


@pytest.mark.parametrize(
    ("change", "least", "most"),
    [
        ({"strength": 0.5}, 0.49, 0.51),
        ({"missing": 0.3}, 0.4, 0.95),
        ({"uneven": 0.8}, 0.4, 0.95),
        ({"tilt": 0.9}, 0.2, 0.95),
        ({"grain": 0.6}, 0.4, 0.95),
        ({"gain": 0.3, "spread": 0.15}, 1.1, 2.0),
        ({"gain": -0.2, "spread": 0.15}, 0.4, 0.95),
        ({"strike": 0.8}, 1.1, 2.0),
        ({"smear": 2.0}, 1.1, 4.0),
        ({"rim": 0.7}, 0.5, 0.99),
    ],
)
def test_every_fault_takes_ink_away_or_adds_some(
    change: dict[str, float], least: float, most: float
) -> None:
    shares = [amount(replace(BLUE, **change), seed) / amount(BLUE) for seed in range(8)]  # type: ignore[arg-type]
    assert least < np.mean(shares) < most


def test_missing_ink_is_about_the_share_that_was_asked_for() -> None:
    area = Ink("blue", (40, 70, 200), missing=0.3)
    solid = np.full((200, 200), 255, np.uint8)
    shares = [float(area.print(solid, np.random.default_rng(s), SCALE).mean()) for s in range(20)]
    assert np.mean(shares) == pytest.approx(0.7, abs=0.06)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 1000),
    x=st.floats(-60, 200),
    y=st.floats(-60, 160),
    turn=st.floats(-3.2, 3.2),
)
def test_mask_is_where_the_page_changed(seed: int, x: float, y: float, turn: float) -> None:
    alpha = BLUE.print(seal(), np.random.default_rng(seed), SCALE)
    before = np.full((260, 300, 3), 250, np.uint8)
    after = before.copy()
    rotation = np.array(
        [[np.cos(turn), -np.sin(turn), x], [np.sin(turn), np.cos(turn), y], [0, 0, 1]]
    )
    soft = stamp_on(after, alpha, BLUE, translation(100, 100) @ rotation @ translation(-100, -100))
    # The red channel goes from 250 by full ink down to 250 * 40 / 255.
    change = (before[..., 0].astype(float) - after[..., 0]) / (250 * (1 - 40 / 255))
    assert (after <= before).all()
    if soft is None:
        assert not change.any()
        return
    whole = np.zeros(before.shape[:2], np.float32)
    height, width = soft.probability.shape
    whole[soft.top : soft.top + height, soft.left : soft.left + width] = soft.probability
    assert np.abs(whole - change).max() < 0.01
    sure = np.abs(whole - INK_SHARE) > 0.01
    assert ((whole > INK_SHARE) == (change > INK_SHARE))[sure].all()


def test_pale_ink_is_as_much_ink_as_strong_ink() -> None:
    masks = []
    for strength in (1.0, 0.3):
        ink = replace(BLUE, strength=strength)
        alpha = ink.print(seal(), np.random.default_rng(0), SCALE)
        soft = stamp_on(page(), alpha, ink, translation(20, 20))
        assert isinstance(soft, SoftMask)
        masks.append(soft.probability > INK_SHARE)
    assert (masks[0] == masks[1]).all()


def test_print_shows_through_ink_and_may_keep_it_off() -> None:
    solid = np.full((200, 260), 255, np.uint8)
    results = {}
    for name, ink in (
        ("multiply", BLUE),
        ("body", replace(BLUE, body=0.5)),
        ("repel", replace(BLUE, repel=1.0)),
    ):
        paper = page()
        alpha = ink.print(solid, np.random.default_rng(0), SCALE)
        stamp_on(paper, alpha, ink, translation(10, 20))
        results[name] = paper[60:180, 30:250]
    dark = page()[60:180, 30:250].max(axis=2) <= 20
    light = page()[60:180, 30:250].min(axis=2) > 240
    assert dark.any()
    assert results["multiply"][dark].max() < 25
    assert results["body"][dark][:, 2].min() > 80
    assert (results["repel"][dark] == 20).all()
    for pixels in results.values():
        assert np.abs(pixels[light] - np.array([39, 69, 196], float)).max() < 25


def test_what_lies_beside_the_page_changes_nothing() -> None:
    paper = page()
    assert (
        stamp_on(paper, BLUE.print(seal(), np.random.default_rng(0)), BLUE, translation(900, 0))
        is None
    )
    assert (paper == page()).all()


def test_warp_counts_from_the_corner_of_the_first_pixel() -> None:
    values = np.zeros((4, 4), np.float32)
    values[1, 2] = 1
    found = warp_on_page(values, np.diag([3.0, 3.0, 1.0]), 100, 100)
    assert found is not None
    part, left, top = found
    ys, xs = np.nonzero(part > 0.99)
    assert (xs.mean() + left + 0.5, ys.mean() + top + 0.5) == pytest.approx((7.5, 4.5))
