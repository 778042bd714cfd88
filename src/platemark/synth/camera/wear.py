"""What happens to paper: grain, yellowing, folds, holes, staples, stains, print from the back.

Pages are (H, W, 3) uint8 RGB; what was printed on white goes in, the page as it lies there comes
out. Lengths follow the resolution given.
"""

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from platemark.imaging.image import Pixels
from platemark.synth.camera.backgrounds import smooth_noise
from platemark.synth.camera.ink import MM_PER_INCH, print_ink

Rng = np.random.Generator
_TILE = 512


def age(printed: Pixels, paper: NDArray[np.float64], rng: Rng, dpi: float) -> Pixels:
    """Put what is printed on paper of a colour, with the marks of use.

    Args:
        printed: ink on white.
        paper: (3,) RGB of the paper.
        rng: decides what happened to it.
        dpi: resolution of the page.
    """
    scale = dpi / MM_PER_INCH
    if rng.random() < 0.3:  # as a program exports it, or as a scanner whitens it
        return _on_flat(printed, paper if rng.random() < 0.4 else np.full(3, 255.0))
    if rng.random() < 0.12:
        printed = _bleed_through(printed, rng, scale)
    page = _on_paper(printed, paper, rng)
    if rng.random() < 0.25:
        _fold(page, rng, scale)
    if rng.random() < 0.2:
        _punch(page, rng, scale)
    if rng.random() < 0.12:
        _staple(page, rng, scale)
    if rng.random() < 0.12:
        _stain(page, rng, scale)
    return page


def _on_flat(printed: Pixels, paper: NDArray[np.float64]) -> Pixels:
    table = np.arange(256)[:, None] * paper / 255
    return np.asarray(cv2.LUT(printed, table.round().astype(np.uint8).reshape(1, 256, 3)), np.uint8)


def _on_paper(printed: Pixels, paper: NDArray[np.float64], rng: Rng) -> Pixels:
    """Multiply ink with the paper, its cloudiness and its grain."""
    height, width = printed.shape[:2]
    cloud = np.ones((24, 24, 1), np.float32)
    if rng.random() < 0.5:
        depth = float(rng.uniform(0.01, 0.08))
        cloud = cloud - depth * smooth_noise(24, 24, int(rng.integers(2, 10)), rng)[..., None]
    if rng.random() < 0.15:
        rim = np.minimum.outer(np.hanning(26)[1:-1], np.hanning(26)[1:-1]) ** 0.4
        cloud = cloud * (0.8 + 0.2 * rim[..., None].astype(np.float32))
    shade = np.clip(cloud * paper.astype(np.float32), 0, 255).astype(np.uint8)
    ground = cv2.resize(shade, (width, height), interpolation=cv2.INTER_LINEAR)
    page = np.asarray(cv2.multiply(printed, ground, scale=1 / 255), np.uint8)
    if rng.random() < 0.6:
        _grain(page, float(rng.uniform(0.15, 1.0)), rng)
    return page


@lru_cache(maxsize=4)
def _grain_tile(coarse: int) -> Pixels:
    """A tile of paper fibre, (512, 512) uint8 from 0 for smooth paper upwards."""
    rng = np.random.default_rng(coarse)
    noise = rng.normal(0, 1, (_TILE, _TILE)).astype(np.float32)
    if coarse:
        noise = np.asarray(cv2.GaussianBlur(noise, (0, 0), 0.6 * coarse), np.float32)
        noise /= noise.std()
    return np.clip(8 + 7 * noise, 0, 255).astype(np.uint8)


def _grain(page: Pixels, strength: float, rng: Rng) -> None:
    tile = cv2.convertScaleAbs(_grain_tile(int(rng.integers(0, 4))), alpha=strength)
    tile = cv2.merge([tile, tile, tile])
    for top in range(0, page.shape[0], _TILE):
        for left in range(0, page.shape[1], _TILE):
            patch = page[top : top + _TILE, left : left + _TILE]
            cv2.subtract(patch, tile[: patch.shape[0], : patch.shape[1]], patch)


def _bleed_through(printed: Pixels, rng: Rng, scale: float) -> Pixels:
    """Faint mirrored print of the back of the sheet: here the same page upside down."""
    back = cv2.flip(printed, 1 if rng.random() < 0.5 else 0)
    small = cv2.resize(back, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    soft = cv2.GaussianBlur(small, (0, 0), 0.4 + 0.1 * scale)
    faint = cv2.convertScaleAbs(soft, alpha=(depth := float(rng.uniform(0.04, 0.16))))
    whole = cv2.resize(faint, (printed.shape[1], printed.shape[0]))
    lifted = cv2.add(whole, np.full_like(whole, round(255 * (1 - depth))))
    return np.asarray(cv2.multiply(printed, lifted, scale=1 / 255), np.uint8)


def _fold(page: Pixels, rng: Rng, scale: float) -> None:
    """Creases where the sheet was folded in two, three or four."""
    height, width = page.shape[:2]
    for turned in (False, True):
        parts = int(rng.choice([1, 2, 2, 3, 4]))
        side = width if turned else height
        for index in range(1, parts):
            at = round(side * index / parts + float(rng.normal(0, 0.006)) * side)
            reach = max(2, round(float(rng.uniform(0.4, 2.0)) * scale))
            low, high = max(at - reach, 0), min(at + reach, side)
            band = page[:, low:high] if turned else page[low:high]
            profile = np.linspace(-1, 1, high - low, dtype=np.float32)
            light = 1 + float(rng.uniform(-0.12, 0.08)) * (1 - np.abs(profile)) * np.sign(profile)
            light -= 0.06 * np.exp(-((profile * reach) ** 2))
            shape = (1, -1, 1) if turned else (-1, 1, 1)
            band[:] = np.clip(band * light.reshape(shape), 0, 255).astype(np.uint8)


def _punch(page: Pixels, rng: Rng, scale: float) -> None:
    """Two or four filing holes near the left edge, showing what is beneath."""
    tone = int(rng.choice([15, 40, 90, 235]))
    count, x = int(rng.choice([2, 2, 3, 4])), float(rng.uniform(7, 13)) * scale
    middle, gap = page.shape[0] * float(rng.uniform(0.4, 0.6)), 80.0 * scale
    radius = float(rng.uniform(2.4, 3.6)) * scale
    for index in range(count):
        y = middle + (index - (count - 1) / 2) * gap
        centre = (round(x * 16), round(y * 16))
        cv2.circle(page, centre, round(radius * 16), (tone,) * 3, -1, cv2.LINE_AA, 4)
        rim = max(0, tone - 40) if tone > 100 else tone + 30
        cv2.circle(page, centre, round(radius * 16), (rim,) * 3, 1, cv2.LINE_AA, 4)


def _staple(page: Pixels, rng: Rng, scale: float) -> None:
    start = rng.uniform(4, 14, 2) * scale
    turn = float(rng.uniform(-0.9, 0.9))
    end = start + 9 * scale * np.array([np.cos(turn), np.sin(turn)])
    thick = max(1, round(0.6 * scale))
    ends = [(round(x * 16), round(y * 16)) for x, y in (start, end)]
    shadow = [(x + 8, y + 12) for x, y in ends]
    cv2.line(page, shadow[0], shadow[1], (150, 148, 145), thick, cv2.LINE_AA, 4)
    cv2.line(page, ends[0], ends[1], (105, 105, 110), thick, cv2.LINE_AA, 4)


def _stain(page: Pixels, rng: Rng, scale: float) -> None:
    """Drops and smudges of something brown or grey."""
    for _ in range(int(rng.integers(1, 5))):
        size = max(6, round(float(rng.uniform(4, 40)) * scale))
        noise = smooth_noise(size, size, int(rng.integers(3, 7)), rng)
        rim = np.minimum.outer(np.hanning(size), np.hanning(size)).astype(np.float32)
        mask = np.clip((noise * 0.6 + rim - 0.75) * 900, 0, 255).astype(np.uint8)
        mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), 0.3 + size / 40), np.uint8)
        x, y = (int(rng.integers(-size // 2, side)) for side in page.shape[1::-1])
        colour = (200, 170, 120) if rng.random() < 0.6 else (180, 180, 178)
        print_ink(page, mask, x, y, colour, float(rng.uniform(0.2, 0.8)))


def lay_on_desk(page: Pixels, rng: Rng, dpi: float) -> Pixels:
    """The page upright on a desk or scanner lid, which shows around it."""
    room = [round(float(side) * dpi / MM_PER_INCH) for side in rng.uniform(0, 25, 4)]
    height, width = page.shape[:2]
    desk = _desk(height + room[0] + room[1], width + room[2] + room[3], rng)
    shadow = max(2, round(2 * dpi / MM_PER_INCH))
    under = desk[room[0] + shadow :, room[2] + shadow :][:height, :width]
    under[:] = (under * 0.6).astype(np.uint8)
    desk[room[0] : room[0] + height, room[2] : room[2] + width] = page
    return desk


def _desk(height: int, width: int, rng: Rng) -> Pixels:
    base = np.array([[140, 100, 65], [80, 55, 40], [30, 30, 32], [200, 200, 198], [95, 105, 110]])
    colour = base[int(rng.integers(len(base)))] + rng.normal(0, 10, 3)
    streaks = smooth_noise(8, max(64, width // 4), 60, rng)
    grain = cv2.resize(streaks, (width, height), interpolation=cv2.INTER_LINEAR)
    if rng.random() < 0.5:
        grain = np.ascontiguousarray(cv2.resize(streaks.T, (width, height)))
    tone = 0.75 + 0.5 * np.asarray(grain)[..., None] * float(rng.uniform(0, 1))
    return np.asarray(np.clip(tone * colour, 0, 255), np.uint8)
