from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platemark.geometry import apply_homography
from platemark.imaging.image import Pixels
from platemark.synth.camera.scan import Binarization, Scanner, Tone


def page(width: int = 240, height: int = 320) -> Pixels:
    paper = np.full((height, width, 3), (246, 240, 228), np.uint8)
    cv2.putText(paper, "scan", (40, 200), cv2.FONT_HERSHEY_SIMPLEX, 2, (30, 30, 30), 4, cv2.LINE_AA)
    cv2.circle(paper, (120, 90), 50, (60, 70, 190), 5, cv2.LINE_AA)
    return paper


def spots(paper: Pixels) -> np.ndarray:
    """Four black spots on white paper, on the page."""
    points = np.array([(50.0, 60.0), (190.0, 70.0), (180.0, 260.0), (45.0, 250.0)])
    rows, columns = np.mgrid[0 : paper.shape[0], 0 : paper.shape[1]] + 0.5
    nearest = np.min([np.hypot(columns - x, rows - y) for x, y in points], axis=0)
    paper[:] = (255 * np.clip(nearest - 4, 0, 1))[..., None]
    return points


def centres(pixels: Pixels, near: np.ndarray) -> np.ndarray:
    """Centroid of the darkness about each of some points."""
    dark = 255.0 - pixels.mean(axis=2)
    found = []
    for x, y in near:
        left, top = round(x) - 9, round(y) - 9
        part = np.clip(dark[top : top + 18, left : left + 18] - 110, 0, None)
        rows, columns = np.mgrid[0 : part.shape[0], 0 : part.shape[1]] + 0.5
        found.append(((columns * part).sum(), (rows * part).sum()) / part.sum() + (left, top))
    return np.array(found)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), dpi=st.floats(40, 250))
def test_a_seed_gives_the_same_picture_of_the_page_s_size(seed: int, dpi: float) -> None:
    shots = []
    for _ in range(2):
        rng = np.random.default_rng(seed)
        scanner = Scanner.draw(rng)
        shots.append(scanner.capture(page(), rng, dpi))
    first, second = shots
    assert (first.pixels == second.pixels).all()
    assert first.pixels.dtype == np.uint8
    sides = first.pixels.shape[:2]
    assert sides == ((240, 320) if round(scanner.skew / 90) % 2 else (320, 240))
    assert sorted(sides) == [240, 320]
    assert first.pixels.shape[2] == 3
    if first.tone != "colour":
        spread = np.ptp(first.pixels.astype(int), axis=2)
        assert spread.max() <= 2


def test_a_page_is_not_changed_by_its_capture() -> None:
    paper = page()
    for seed in range(10):
        rng = np.random.default_rng(seed)
        Scanner.draw(rng).capture(paper, rng)
    assert (paper == page()).all()


def test_a_plain_scanner_gives_the_page_itself() -> None:
    capture = Scanner().capture(page(), np.random.default_rng(0))
    assert (capture.pixels == page()).all()
    assert (capture.to_picture == np.eye(3)).all()


@pytest.mark.parametrize("skew", [0.0, 3.0, -12.0, 90.0, 181.0, 270.0])
@pytest.mark.parametrize("perspective", [0.0, 0.06])
def test_points_of_the_page_are_where_the_homography_takes_them(
    skew: float, perspective: float
) -> None:
    paper = page()
    points = spots(paper)
    device = "phone" if perspective else "flatbed"
    scanner = Scanner(device, skew=skew, perspective=perspective)
    rng = np.random.default_rng(5)
    if device == "phone":
        to_picture, width, height = scanner._view(240, 320, rng)
        pixels = scanner._seen(paper, to_picture, width, height, rng)
    else:
        capture = scanner.capture(paper, rng)
        pixels, to_picture = capture.pixels, capture.to_picture
    there = apply_homography(to_picture, points)
    inside = ((there > 12) & (there < np.array(pixels.shape[1::-1]) - 12)).all(axis=1)
    assert inside.any()
    assert np.abs(centres(pixels, there[inside]) - there[inside]).max() < 0.25


def test_masks_are_warped_with_the_page() -> None:
    mask = np.zeros((320, 240), np.float32)
    cv2.circle(mask, (120, 90), 50, 1.0, -1)
    paper = np.repeat(np.where(mask, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
    for skew in (0.0, 4.0, 94.0):
        capture = Scanner(skew=skew).capture(paper, np.random.default_rng(0))
        moved = capture.warp_mask(mask) > 0.5
        dark = capture.pixels.max(axis=2) < 128
        paper_there = capture.warp_mask(np.ones_like(mask)) > 0.99
        assert np.count_nonzero((moved ^ dark) & paper_there) < 0.02 * np.count_nonzero(moved)


@pytest.mark.parametrize("way", ["global", "sauvola", "ordered", "diffused"])
@pytest.mark.parametrize("fine", [False, True])
def test_black_and_white_keeps_print_and_paper_apart(way: Binarization, fine: bool) -> None:
    scanner = Scanner(tone="bilevel", binarization=way, fine=fine)
    capture = scanner.capture(page(), np.random.default_rng(2))
    if not fine:
        assert set(np.unique(capture.pixels)) <= {0, 255}
    ink, paper = page().max(axis=2) < 40, page().min(axis=2) > 220
    assert capture.pixels[ink].mean() < 60
    assert capture.pixels[paper].mean() > 200


def test_a_fax_is_coarser_down_the_page_than_across() -> None:
    paper = np.full((400, 400, 3), 255, np.uint8)
    for step in range(0, 400, 4):
        paper[:200, step : step + 2] = 0
        paper[200 + step // 2 : 201 + step // 2] = 0
    fax = Scanner("fax", "bilevel", fine=False)
    pixels = fax.capture(paper, np.random.default_rng(0), dpi=200.0).pixels[..., 0].astype(int)
    across = np.abs(np.diff(pixels[:200], axis=1)).mean()
    down = np.abs(np.diff(pixels[200:], axis=0)).mean()
    assert across > 2 * down


@pytest.mark.parametrize("tone", ["colour", "grey", "bilevel"])
def test_tones(tone: Tone) -> None:
    capture = Scanner(tone=tone).capture(page(), np.random.default_rng(0))
    assert capture.tone == tone
    coloured = np.ptp(capture.pixels.astype(int), axis=2).max() > 60
    assert coloured == (tone == "colour")


def test_settings_do_what_they_say() -> None:
    def seen(scanner: Scanner) -> np.ndarray:
        return scanner.capture(page(), np.random.default_rng(0)).pixels.astype(float)

    plain = seen(Scanner())
    assert seen(Scanner(white=0.9)).max() == 255
    assert seen(Scanner(black=0.3))[page().max(axis=2) < 40].max() == 0
    assert seen(Scanner(gamma=1.5)).mean() < plain.mean()
    assert np.std(seen(Scanner(noise=9))[:30, :30].mean(axis=2)) == pytest.approx(9, rel=0.25)
    edges = {
        name: np.abs(np.diff(seen(scanner), axis=1)).max()
        for name, scanner in {
            "plain": Scanner(),
            "blur": Scanner(blur=1.5),
            "sharp": Scanner(blur=1.5, halo=1.0),
        }.items()
    }
    assert edges["blur"] < edges["sharp"] <= edges["plain"] + 60
    warm = seen(replace(Scanner(), balance=(1.0, 1.0, 0.8))) - plain
    assert warm[..., 2].mean() < -30
    assert warm[..., 0].mean() == pytest.approx(0, abs=1)
