"""Hard negatives: drawn within the page, the same from the same seed, on any size of page."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from platemark.synth.documents.clutter import CLUTTER, add_clutter
from platemark.synth.documents.pen import handwriting, mark, ring, signature
from platemark.synth.documents.printing import print_fonts
from platemark.synth.documents.typesetting import Sheet


def _sheet(seed: int, height: int = 300, width: int = 240, scale: float = 3.0) -> Sheet:
    page = np.full((height, width, 3), 250, np.uint8)
    return Sheet.draw(page, scale, print_fonts(None), np.random.default_rng(seed))


@pytest.mark.parametrize("name", CLUTTER)
def test_each_kind_draws_and_is_deterministic(name: str) -> None:
    artist, _ = CLUTTER[name]
    changed = 0
    for seed in range(6):
        sheets = [_sheet(seed), _sheet(seed)]
        for sheet in sheets:
            artist(sheet, np.random.default_rng(seed))
        np.testing.assert_array_equal(sheets[0].pixels, sheets[1].pixels)
        changed += bool((sheets[0].pixels != 250).any())
    assert changed >= 3


@pytest.mark.parametrize("name", CLUTTER)
@pytest.mark.parametrize(("height", "width", "scale"), [(32, 48, 1.6), (60, 500, 7.9)])
def test_each_kind_fits_small_pages(name: str, height: int, width: int, scale: float) -> None:
    for seed in range(3):
        sheet = _sheet(seed, height, width, scale)
        CLUTTER[name][0](sheet, np.random.default_rng(seed))
        assert sheet.pixels.shape == (height, width, 3)


def test_clutter_is_drawn_in_place_from_the_seed() -> None:
    pages = [np.full((500, 400, 3), 255, np.uint8) for _ in range(2)]
    for page in pages:
        for seed in range(5):
            assert add_clutter(page, np.random.default_rng(seed), 60, None) is page
    np.testing.assert_array_equal(pages[0], pages[1])
    assert (pages[0] != 255).any()


def test_some_pages_stay_clean_and_none_is_covered() -> None:
    shares = []
    for seed in range(24):
        page = np.full((700, 500, 3), 255, np.uint8)
        add_clutter(page, np.random.default_rng(seed), 60, None)
        shares.append(float((page < 250).any(axis=2).mean()))
    assert min(shares) == 0.0
    assert np.median(shares) < 0.4


def test_photos_are_laid_on_the_page(tmp_path: Path) -> None:
    photo = np.full((60, 90, 3), (40, 200, 90), np.uint8)
    cv2.imwrite(str(tmp_path / "photo.png"), photo)
    page = np.full((700, 500, 3), 255, np.uint8)
    for seed in range(120):
        add_clutter(page, np.random.default_rng(seed), 60, None, [tmp_path / "photo.png"])
        if (page == (90, 200, 40)).all(axis=2).any():
            return
    pytest.fail("no photo was laid on the page")


@pytest.mark.parametrize("scale", [1.6, 4.0, 8.0])
def test_pen_strokes_have_ink_in_their_mask(scale: float) -> None:
    for seed in range(8):
        rng = np.random.default_rng(seed)
        signed, colour = signature(round(40 * scale), round(15 * scale), scale, rng)
        assert signed.shape == (round(15 * scale), round(40 * scale))
        assert max(colour) < 256
        masks = [
            signed,
            handwriting(round(50 * scale), round(8 * scale), scale, rng),
            ring(50, 30, 2.0, rng),
            mark(50, 30, 2.0, rng),
        ]
        for mask in masks:
            assert mask.dtype == np.uint8
            assert 0.002 < (mask > 40).mean() < 0.6
