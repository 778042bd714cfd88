"""Covering: which pixels change, and what is left in them of what was there."""

import itertools
from typing import Any

import numpy as np
import pytest

from platemark.imaging.cover import STYLES, Style, cover, is_covered
from platemark.types import Detection

LEVEL = Detection.given("plate", (60.0, 40.0, 160.0, 64.0))
TILTED = Detection(
    "plate", 0.9, (50.0, 30.0, 150.0, 90.0), ((52, 66), (140, 32), (148, 54), (60, 88))
)


def noise(size: tuple[int, int] = (120, 220)) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(3).integers(0, 256, (*size, 3), np.uint8)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("mark", [LEVEL, TILTED])
def test_no_pixel_changes_but_those_of_a_mark_and_its_margin(mark: Detection, style: Style) -> None:
    before = noise()
    after = cover(before, [mark], style, 0.25)
    changed = (before != after).any(axis=2)
    x0, y0, x1, y1 = mark.box
    reach = 0.25 * 60
    rows, columns = np.nonzero(changed)
    assert columns.min() >= x0 - reach - 2
    assert columns.max() <= x1 + reach + 2
    assert rows.min() >= y0 - reach - 2
    assert rows.max() <= y1 + reach + 2
    # A pixel may by chance keep its colour.
    assert changed[int(y0) : int(y1), int(x0) : int(x1)].mean() > 0.99


def test_the_margin_of_a_level_mark_is_as_stated() -> None:
    covered = (cover(noise() | 1, [LEVEL], "box", 0.25) == 0).all(axis=2)
    rows, columns = np.nonzero(covered)
    # 6 pixels, a quarter of the height; and one for edges that lie between pixels.
    assert (columns.min(), columns.max()) == (53, 166)
    assert (rows.min(), rows.max()) == (33, 70)


def test_a_quad_beyond_its_box_and_a_box_beyond_its_quad_are_covered() -> None:
    for mark in (
        Detection("plate", 0.9, (80, 40, 100, 60), ((60, 40), (160, 40), (160, 60), (60, 60))),
        Detection("plate", 0.9, (60, 40, 160, 60), ((80, 40), (100, 40), (100, 60), (80, 60))),
        Detection("plate", 0.9, (60, 40, 160, 60), ((60, 40), (60, 40), (60, 40), (60, 40))),
    ):
        assert not cover(noise(), [mark], "box", 0.0)[40:60, 60:160].any()


@pytest.mark.parametrize("style", STYLES)
def test_the_cover_of_a_text_is_that_of_every_text_with_its_means(
    style: Style, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Upside down and mirrored within each stretch, a mark has the same means, and cover."""
    seeded = np.random.default_rng
    monkeypatch.setattr(np.random, "default_rng", lambda _=None: seeded(5))
    one = noise((24, 96))
    other = np.concatenate([one[::-1, 47::-1], one[:, :47:-1]], axis=1)
    mark = Detection.given("plate", (0.0, 0.0, 96.0, 24.0))
    first, second = (cover(picture, [mark], style, 0.2) for picture in (one, other))
    assert (first == second).all()


@pytest.mark.parametrize("style", ["blur", "pixelate"])
def test_covers_differ_from_run_to_run_so_that_no_text_can_be_tried(style: Style) -> None:
    picture = noise()
    covers = [cover(picture, [LEVEL], style, 0.2)[40:64, 60:160] for _ in range(4)]
    for one, other in itertools.combinations(covers, 2):
        assert (one != other).any()


def test_what_lies_outside_the_picture_is_no_matter() -> None:
    marks = [Detection.given("plate", box) for box in ((-50, -20, 30, 10), (300, 300, 400, 320))]
    after = cover(noise(), marks, "box", 0.2)
    assert not after[:10, :30].any()
    assert (after[60:] == noise()[60:]).all()


def test_a_style_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="blur, box, pixelate"):
        cover(noise(), [], "smear", 0.2)  # type: ignore[arg-type]


def test_a_mark_within_one_that_was_covered_is_covered() -> None:
    inner, apart = (Detection.given("plate", box) for box in ((70, 45, 90, 60), (0, 0, 40, 20)))
    assert is_covered(inner, [LEVEL])
    assert not is_covered(apart, [LEVEL])
    assert not is_covered(inner, [])
