"""Printed logos, icons, flags and stickers: crisp, filled and of several colours, unlike stamps."""

import cv2
import numpy as np
from numpy.typing import NDArray

from platemark.imaging.image import Pixels
from platemark.synth.camera.ink import print_ink
from platemark.synth.canvas import Colour, draw_flag
from platemark.synth.documents.printing import set_line
from platemark.synth.documents.prose import digits, one_of
from platemark.synth.documents.typesetting import Sheet
from platemark.synth.emblems import SYMBOLS, emblem
from platemark.synth.outlines import Points, ellipse, rasterize, rectangle, regular, rounded

Rng = np.random.Generator
_SIDE = 240
_FLAGS = ("pl", "ru", "ua", "ro", "hu", "no", "gb", "bg", "lt", "ee", "am", "ge")
_CLEAR = 14.0  # standard deviation of the levels of a place without print is below this
_UNIT = (-1.0, -1.0, 1.0, 1.0)
BRIGHT: tuple[Colour, ...] = (
    (215, 30, 40),
    (20, 70, 160),
    (0, 130, 80),
    (245, 150, 20),
    (110, 40, 130),
    (0, 150, 200),
    (30, 30, 30),
    (120, 120, 125),
    (250, 205, 30),
    (130, 20, 40),
    (90, 170, 50),
)
"""Inks of logos, charts and other coloured print."""


def logo(sheet: Sheet, rng: Rng) -> None:
    """A company's logo somewhere on the sheet, seldom more than a sixth of its width."""
    artist = one_of((_badge, _badge, _ring_badge, _wordmark, _abstract, _monogram, _crest), rng)
    art = artist(sheet, rng)
    tall = float(np.exp(rng.uniform(np.log(8), np.log(45))))
    worded = artist in (_wordmark, _crest)
    _place(sheet, rng, art, tall, clear=worded or rng.random() < 0.5)


def head_logo(sheet: Sheet, rng: Rng) -> None:
    """A logo at the head of a page, left, right or in the middle, if there is room."""
    artist = one_of((_badge, _wordmark, _wordmark, _abstract, _monogram, _crest, _crest), rng)
    art, tall = artist(sheet, rng), float(rng.uniform(9, 24))
    wide = tall * art.shape[1] / art.shape[0]
    x = one_of((14.0, (sheet.width - wide) / 2, sheet.width - 14 - wide), rng)
    y = float(rng.uniform(4, 15))
    if is_clear(sheet, (x, y, x + wide, y + tall)):
        lay(sheet, art, x, y, tall)


def icon(sheet: Sheet, rng: Rng) -> None:
    """A row of small symbols of one colour, as on packages and forms."""
    colour, side = one_of(BRIGHT, rng), float(rng.uniform(4, 16))
    x, y = corner(sheet, rng, side, side)
    for index in range(int(rng.integers(1, 6))):
        art = np.full((_SIDE, _SIDE, 3), 255, np.uint8)
        if rng.random() < 0.4:
            _print(art, _cover(_outline(rng)), colour)
            _paint(art, _symbol(rng, 0.6), (255, 255, 255))
        else:
            _print(art, _symbol(rng, 0.95), colour)
        lay(sheet, art, x + index * side * 1.4, y, side)


def flag(sheet: Sheet, rng: Rng) -> None:
    """A flag with a thin edge."""
    art = np.full((_SIDE, round(_SIDE * float(rng.uniform(1.3, 2))), 3), 255, np.uint8)
    draw_flag(art, f"flag:{one_of(_FLAGS, rng)}", (0, 0, art.shape[1], art.shape[0]))
    cv2.rectangle(art, (0, 0), (art.shape[1] - 1, art.shape[0] - 1), (120, 120, 120), 3)
    _place(sheet, rng, art, float(rng.uniform(4, 25)))


def sticker(sheet: Sheet, rng: Rng) -> None:
    """A coloured sticker with a price or number, which hides what is under it."""
    outline = one_of((_disc(0.95), _burst(rng), rounded(rectangle(1.9, 1.2), 0.2)), rng)
    art = np.full((_SIDE, _SIDE, 3), 255, np.uint8)
    cover = _cover(outline)
    ground = one_of((*BRIGHT, (255, 255, 255), (255, 235, 90)), rng)
    _paint(art, cover, ground)
    ink = (255, 255, 255) if sum(ground) < 380 else (30, 30, 30)
    text = one_of(
        (f"-{digits(2, rng)}%", f"{digits(1, rng)}.99", "NEW", "BIO", digits(3, rng)), rng
    )
    _paint(art, _words(sheet, text, 1.3), ink)
    side = max(3, sheet.px(float(rng.uniform(10, 40)))[0])
    small = np.asarray(cv2.resize(art, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
    mask = np.asarray(cv2.resize(cover, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
    x, y = sheet.px(*corner(sheet, rng, side / sheet.scale, side / sheet.scale))
    print_ink(sheet.pixels, mask, x + max(1, side // 40), y + max(1, side // 40), (150, 150, 150))
    cover_up(sheet.pixels, small, mask, x, y)


def cover_up(pixels: Pixels, art: Pixels, mask: Pixels, x: int, y: int) -> None:
    """Lay something opaque on a page, its corner at pixel (x, y), clipped at the edges.

    Args:
        pixels: (H, W, 3) uint8 RGB, changed in place.
        art: (h, w, 3) uint8 RGB.
        mask: (h, w) uint8, 0 where the page shows.
        x: column.
        y: row.
    """
    patch = pixels[max(y, 0) : max(y + art.shape[0], 0), max(x, 0) : max(x + art.shape[1], 0)]
    rows = slice(max(-y, 0), max(-y, 0) + patch.shape[0])
    columns = slice(max(-x, 0), max(-x, 0) + patch.shape[1])
    share = mask[rows, columns, None].astype(np.float32) / 255
    patch[:] = (patch + (art[rows, columns] - patch.astype(np.float32)) * share).astype(np.uint8)


def _badge(sheet: Sheet, rng: Rng) -> Pixels:
    """A filled shape, maybe edged in a second colour, with a symbol left white in it."""
    art = np.full((_SIDE, _SIDE, 3), 255, np.uint8)
    first, second = one_of(BRIGHT, rng), one_of(BRIGHT, rng)
    outline = _outline(rng)
    _print(art, _cover(outline), first)
    if rng.random() < 0.5:
        _paint(art, _cover(outline * 0.86), (255, 255, 255))
        _paint(art, _cover(outline * float(rng.uniform(0.7, 0.82))), second)
    ink = one_of(((255, 255, 255), (255, 255, 255), (250, 215, 60)), rng)
    _paint(art, _symbol(rng, float(rng.uniform(0.45, 0.6))), ink)
    return art


def _ring_badge(sheet: Sheet, rng: Rng) -> Pixels:
    """A round badge with white words in a filled ring around a symbol in other colours."""
    art = np.full((_SIDE, _SIDE, 3), 255, np.uint8)
    ring, core, third = (one_of(BRIGHT, rng) for _ in range(3))
    inner = float(rng.uniform(0.55, 0.7))
    _print(art, _cover(_disc(0.98)), ring)
    text = f"{sheet.prose.company(rng)} · "
    strip = set_line(text, sheet.head.face, 40).mask
    band = round(_SIDE / 2 * (0.95 - inner))
    turn = cv2.resize(strip, (720, max(4, round(band * 0.75))), interpolation=cv2.INTER_AREA)
    flat = np.zeros((720, _SIDE // 2), np.uint8)
    start = round(_SIDE / 2 * (inner + 0.03))
    flat[:, start : start + len(turn)] = turn.T[:, ::-1][:, : flat.shape[1] - start]
    centre = (_SIDE / 2, _SIDE / 2)
    size = (_SIDE, _SIDE)
    how = cv2.WARP_INVERSE_MAP | cv2.WARP_FILL_OUTLIERS | cv2.INTER_LINEAR
    words = cv2.warpPolar(flat, size, centre, _SIDE / 2, how)
    _paint(art, np.asarray(words, np.uint8), (255, 255, 255))
    _paint(art, _cover(_disc(inner)), core)
    _paint(art, _symbol(rng, 0.75 * inner), one_of((third, (255, 255, 255)), rng))
    return art


def _wordmark(sheet: Sheet, rng: Rng) -> Pixels:
    """A name in display type, often beside a badge."""
    colour = one_of(BRIGHT, rng)
    text = sheet.prose.company(rng)[: int(rng.integers(4, 18))].strip() or "Co"
    mask = set_line(text, sheet.head.face, 90).mask
    badge = _badge(sheet, rng) if rng.random() < 0.6 else np.full((_SIDE, 10, 3), 255, np.uint8)
    art = np.full((_SIDE, badge.shape[1] + 30 + mask.shape[1], 3), 255, np.uint8)
    art[:, : badge.shape[1]] = badge
    print_ink(art, mask, badge.shape[1] + 20, (_SIDE - mask.shape[0]) // 2, colour)
    if rng.random() < 0.4:
        second = set_line(sheet.prose.phrase(3, rng), sheet.body.face, 30).mask
        print_ink(art, second, badge.shape[1] + 20, _SIDE - 60, (110, 110, 110))
    return art


def _abstract(sheet: Sheet, rng: Rng) -> Pixels:
    """Overlapping discs, stripes or nested rings of several colours."""
    art = np.full((_SIDE, _SIDE, 3), 255, np.uint8)
    kind, count = int(rng.integers(4)), int(rng.integers(2, 6))
    for index in range(count):
        colour = one_of(BRIGHT, rng)
        if kind == 0:
            radius, at = float(rng.uniform(0.3, 0.55)), rng.uniform(-0.45, 0.45, 2)
            _print(art, _cover(_disc(radius) + at), colour)
        elif kind == 1:
            radius = 0.95 * (1 - index / count)
            _paint(art, _cover(_disc(radius)), colour if index % 2 == 0 else (255,) * 3)
        elif kind == 2:
            slant = np.array([[-0.9, 0.5], [-0.3, -0.9], [0.0, -0.9], [-0.6, 0.5]])
            _print(art, _cover(slant + np.array([0.35, 0.1]) * index), colour)
        else:
            sides = regular(int(rng.integers(3, 9)), 0.9 - 0.15 * index, float(rng.uniform(0, 90)))
            _paint(art, _cover(sides), colour)
    return art


def _monogram(sheet: Sheet, rng: Rng) -> Pixels:
    """One to three letters, white in a filled shape or coloured by themselves."""
    art = np.full((_SIDE, _SIDE, 3), 255, np.uint8)
    text = sheet.prose.company(rng)[: int(rng.integers(1, 4))].strip()
    words = _words(sheet, text or "A", float(rng.uniform(0.9, 1.3)))
    if rng.random() < 0.7:
        _print(art, _cover(_outline(rng)), one_of(BRIGHT, rng))
        _paint(art, words, (255, 255, 255))
    else:
        _print(art, words, one_of(BRIGHT, rng))
    return art


def _crest(sheet: Sheet, rng: Rng) -> Pixels:
    """A symbol in two tones over a name, as at the head of official letters."""
    art = np.full((_SIDE, _SIDE, 3), 255, np.uint8)
    colour = one_of(((30, 30, 30), (30, 30, 30), *BRIGHT), rng)
    _print(art, _symbol(rng, 0.7, -0.25), colour)
    text = sheet.prose.company(rng)
    mask = _words(sheet, text, 1.9, 0.75)
    _print(art, mask, one_of(((30, 30, 30), colour), rng))
    return art


def _outline(rng: Rng) -> Points:
    """A closed outline that fills the box from -1 to 1."""
    kind = int(rng.integers(7))
    if kind < 2:
        return _disc(0.97)
    if kind == 2:
        return _disc(0.97) * (1.0, float(rng.uniform(0.55, 0.8)))
    if kind == 3:
        return rounded(rectangle(1.9, 1.9), float(rng.uniform(0, 0.5)))
    if kind == 4:
        return rounded(regular(int(rng.integers(3, 9)), 0.97), 0.1)
    if kind == 5:
        top = np.array([[-0.85, -0.9], [0.85, -0.9], [0.85, 0.1], [0.5, 0.65], [0, 0.95]])
        return np.vstack([top, top[1:-1][::-1][:2] * (-1, 1)])
    return rounded(rectangle(1.95, float(rng.uniform(0.7, 1.3))), 0.15)


def _disc(radius: float) -> Points:
    return ellipse(_SIDE, _SIDE) * (radius / _SIDE)


def _burst(rng: Rng) -> Points:
    count = int(rng.integers(10, 28))
    turn = np.arange(2 * count) * np.pi / count
    radius = np.where(np.arange(2 * count) % 2, float(rng.uniform(0.75, 0.9)), 0.97)
    return np.column_stack([radius * np.sin(turn), -radius * np.cos(turn)])


def _cover(outline: Points) -> Pixels:
    """A filled polygon in the box from -1 to 1 as a mask of the artwork's size."""
    mask = np.zeros((_SIDE, _SIDE), np.uint8)
    points = np.round((outline + 1) * (_SIDE / 2 * 16)).astype(np.int32)
    cv2.fillPoly(mask, [points], 255, cv2.LINE_AA, 4)
    return mask


def _symbol(rng: Rng, size: float, rise: float = 0.0) -> Pixels:
    shapes = emblem(one_of(SYMBOLS, rng), int(rng.integers(10_000)))
    moved = [shape.moved(0.0, rise, size) for shape in shapes]
    return rasterize(moved, _UNIT, _SIDE / 2, margin=0).coverage


def _words(sheet: Sheet, text: str, width: float, drop: float = 0.0) -> Pixels:
    """A text centred in a mask of the artwork's size, about ``width`` of 2 wide."""
    mask = set_line(text, sheet.head.face, 100).mask
    whole = np.zeros((_SIDE, _SIDE), np.uint8)
    if not mask.size:  # the face of a script may draw nothing for digits
        return whole
    scale = min(width * _SIDE / 2 / mask.shape[1], 0.6 * _SIDE / mask.shape[0])
    size = (max(2, round(mask.shape[1] * scale)), max(2, round(mask.shape[0] * scale)))
    small = np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_AREA), np.uint8)
    left = (_SIDE - size[0]) // 2
    top = round((_SIDE * (1 + drop) - size[1]) / 2)
    part = whole[top : top + size[1], left : left + size[0]]
    part[:] = small[: part.shape[0]]
    return whole


def _print(art: Pixels, mask: Pixels, colour: Colour) -> None:
    print_ink(art, mask, 0, 0, colour)


def _paint(art: Pixels, mask: Pixels, colour: Colour) -> None:
    share = mask[..., None].astype(np.float32) / 255
    art[:] = (art * (1 - share) + np.array(colour, np.float32) * share).astype(np.uint8)


def corner(sheet: Sheet, rng: Rng, width: float, height: float) -> tuple[float, float]:
    """Where a thing goes: anywhere, with a liking for the top of the page."""
    x = float(rng.uniform(-0.1 * width, max(sheet.width - 0.9 * width, 0.1)))
    reach = 0.2 if rng.random() < 0.3 else 1.0
    return x, float(rng.uniform(0, max(reach * sheet.height - 0.9 * height, 0.1)))


def clear_corner(sheet: Sheet, rng: Rng, width: float, height: float) -> tuple[float, float] | None:
    """Where printed text goes: a place of this size without print, or None where none is found.

    Words over other words are what a stamp without a frame resembles.
    """
    for _ in range(8):
        x, y = corner(sheet, rng, width, height)
        if is_clear(sheet, (x, y, x + width, y + height)):
            return x, y
    return None


def is_clear(sheet: Sheet, box: tuple[float, float, float, float]) -> bool:
    """Whether there is no print yet in a box (millimetres)."""
    x0, y0, x1, y1 = (max(side, 0) for side in sheet.px(*box))
    patch = sheet.pixels[y0:y1:2, x0:x1:2, 1]
    return bool(patch.size) and float(patch.std()) < _CLEAR


def _place(sheet: Sheet, rng: Rng, art: Pixels, tall: float, clear: bool = False) -> None:
    wide = tall * art.shape[1] / art.shape[0]
    tall *= min(1.0, 0.7 * sheet.width / wide)
    wide = tall * art.shape[1] / art.shape[0]
    spot = (clear_corner if clear else corner)(sheet, rng, wide, tall)
    if spot is not None:
        lay(sheet, art, *spot, tall)


def lay(sheet: Sheet, art: NDArray[np.uint8], x: float, y: float, tall: float) -> None:
    """Print artwork on white, ``tall`` millimetres high, with its corner at (x, y)."""
    height = max(3, sheet.px(tall)[0])
    width = max(3, round(height * art.shape[1] / art.shape[0]))
    how = cv2.INTER_AREA if height < art.shape[0] else cv2.INTER_LINEAR
    small = cv2.resize(art, (width, height), interpolation=how)
    column, row = sheet.px(x, y)
    x0, y0 = max(column, 0), max(row, 0)
    patch = sheet.pixels[y0 : max(row + height, 0), x0 : max(column + width, 0)]
    if patch.size:
        cut = small[y0 - row :, x0 - column :][: patch.shape[0], : patch.shape[1]]
        patch[:] = cv2.multiply(patch, np.ascontiguousarray(cut), scale=1 / 255)
