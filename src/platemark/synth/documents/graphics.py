"""Printed graphics that are no text: codes, charts, boxes, circles, watermarks, headings."""

from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from platemark.imaging.image import Pixels
from platemark.imaging.warp import warp
from platemark.synth.camera.backgrounds import smooth_noise
from platemark.synth.camera.ink import print_ink
from platemark.synth.canvas import Colour
from platemark.synth.documents.layouts import fitted, table
from platemark.synth.documents.logos import BRIGHT, clear_corner, corner, lay
from platemark.synth.documents.ornate import guilloche, head_and_shoulders, rosette
from platemark.synth.documents.printing import set_line
from platemark.synth.documents.prose import digits, one_of
from platemark.synth.documents.typesetting import Sheet

Rng = np.random.Generator
_BLACK: Colour = (20, 20, 20)


def matrix_code(sheet: Sheet, rng: Rng) -> None:
    """A pattern like a QR code (three finder squares) or a Data Matrix (two solid sides)."""
    count = int(rng.choice([21, 25, 29, 33, 41]))
    cells = (rng.random((count, count)) < 0.5).astype(np.uint8)
    if rng.random() < 0.8:
        finder = np.ones((8, 8), np.uint8)
        finder[[1, 5], 1:6] = finder[1:6, [1, 5]] = 0
        finder[7] = finder[:, 7] = 0
        cells[:8, :8] = finder
        cells[:8, -8:] = finder[:, ::-1]
        cells[-8:, :8] = finder[::-1]
        cells[-9:-4, -9:-4] = np.pad(np.pad([[1]], 1), 1, constant_values=1)
    else:
        cells[:, 0] = cells[-1] = 1
        cells[0, 1:] = np.arange(1, count) % 2 == 0
    colour = np.array(_BLACK if rng.random() < 0.85 else one_of(BRIGHT, rng), np.uint8)
    art = np.where(np.pad(cells, 2)[..., None] > 0, colour, np.uint8(255))
    side = float(rng.uniform(12, 40))
    large = np.repeat(np.repeat(art, 8, axis=0), 8, axis=1).astype(np.uint8)
    lay(sheet, large, *corner(sheet, rng, side, side), side)


def barcode(sheet: Sheet, rng: Rng) -> None:
    """Bars of four breadths with digits beneath, seldom standing on end."""
    widths = rng.choice([1, 1, 2, 2, 3, 4], int(rng.integers(30, 90)))
    bars = np.repeat(np.arange(len(widths)) % 2 == 0, widths)
    art = np.full((60, len(bars) * 3 + 12, 3), 255, np.uint8)
    art[: int(rng.integers(30, 50)), 6:-6][:, np.repeat(bars, 3)] = 15
    if rng.random() < 0.7:
        mask = set_line(digits(12, rng), sheet.body.face, 14).mask
        art[44:] = 255
        print_ink(art, mask, (art.shape[1] - mask.shape[1]) // 2, 46, _BLACK)
    if rng.random() < 0.2:
        art = np.ascontiguousarray(np.rot90(art))
    tall = float(rng.uniform(8, 22)) * (art.shape[0] / 60 if art.shape[0] > art.shape[1] else 1)
    wide = tall * art.shape[1] / art.shape[0]
    lay(sheet, art, *corner(sheet, rng, wide, tall), tall)


def chart(sheet: Sheet, rng: Rng) -> None:
    """A pie, ring, bar or line chart, some with a caption."""
    artist = one_of((_pie, _pie, _bars, _curves), rng)
    art = artist(rng)
    tall = float(rng.uniform(20, 70))
    x, y = corner(sheet, rng, tall, tall)
    lay(sheet, art, x, y, tall)
    if rng.random() < 0.5:
        sheet.text(x, y + tall + sheet.body.step, sheet.prose.phrase(3, rng))


def _pie(rng: Rng) -> Pixels:
    art = np.full((240, 240, 3), 255, np.uint8)
    ends = np.cumsum(np.r_[0, rng.dirichlet(np.full(int(rng.integers(2, 8)), 2.0))]) * 360
    turn = float(rng.uniform(0, 360))
    for start, end in pairwise(ends.tolist()):
        box = ((120, 120), (114, 114), turn, start, end)
        cv2.ellipse(art, *box, one_of(BRIGHT, rng), -1, cv2.LINE_AA)
        if rng.random() < 0.5:
            cv2.ellipse(art, *box, (255, 255, 255), 3, cv2.LINE_AA)
    if rng.random() < 0.4:
        cv2.circle(art, (120, 120), int(rng.integers(40, 90)), (255, 255, 255), -1, cv2.LINE_AA)
    return art


def _bars(rng: Rng) -> Pixels:
    count = int(rng.integers(3, 12))
    art = np.full((200, 30 * count + 20, 3), 255, np.uint8)
    colours = [one_of(BRIGHT, rng) for _ in range(int(rng.integers(1, 4)))]
    for index in range(count):
        top, left = int(rng.integers(10, 170)), 20 + 30 * index
        cv2.rectangle(art, (left, top), (left + 20, 190), colours[index % len(colours)], -1)
    cv2.polylines(art, [np.array([[10, 5], [10, 192], [art.shape[1] - 4, 192]])], False, _BLACK, 2)
    return art


def _curves(rng: Rng) -> Pixels:
    art = np.full((200, 300, 3), 255, np.uint8)
    for y in range(10, 191, 36):
        cv2.line(art, (10, y), (295, y), (205, 205, 205), 1)
    for _ in range(int(rng.integers(1, 4))):
        ys = 100 + np.cumsum(rng.normal(0, 16, 15))
        points = np.column_stack([np.linspace(12, 294, 15), ys.clip(8, 190)]).round()
        cv2.polylines(art, [points.astype(np.int32)], False, one_of(BRIGHT, rng), 3, cv2.LINE_AA)
    cv2.rectangle(art, (10, 6), (296, 192), _BLACK, 2)
    return art


def circle(sheet: Sheet, rng: Rng) -> None:
    """Printed circles and ovals: bullets, targets, dotted places for a seal, numbers in rings."""
    radius = float(np.exp(rng.uniform(np.log(2), np.log(26))))
    x, y = corner(sheet, rng, 2 * radius, 2 * radius)
    side = 256
    mask = np.zeros((side, side), np.uint8)
    fine = max(1, round(side * float(rng.uniform(0.1, 0.5)) / (2 * radius)))
    kind = int(rng.integers(5))
    flat = 1.0 if rng.random() < 0.7 else float(rng.uniform(0.4, 0.9))
    axes = (118, round(118 * flat))
    if kind == 0:
        cv2.ellipse(mask, (128, 128), axes, 0, 0, 360, 255, -1, cv2.LINE_AA)
    elif kind == 1:
        for start in range(0, 360, 12):
            cv2.ellipse(mask, (128, 128), axes, 0, start, start + 6, 255, fine, cv2.LINE_AA)
    else:
        cv2.ellipse(mask, (128, 128), axes, 0, 0, 360, 255, min(fine, 30), cv2.LINE_AA)
    colour = one_of((_BLACK, _BLACK, (150, 150, 150), *BRIGHT), rng)
    art = np.full((side, side, 3), 255, np.uint8)
    print_ink(art, mask, 0, 0, colour)
    lay(sheet, art, x, y, 2 * radius)
    if kind in (1, 2) and rng.random() < 0.6:
        text = one_of(("L.S.", "М.П.", digits(1, rng), digits(2, rng), "A", "i", "!"), rng)
        style = fitted(sheet, text, sheet.body, 1.2 * radius)
        sheet.text(x + radius, y + radius + 0.3 * style.step, text, style, "centre")


def heading(sheet: Sheet, rng: Rng) -> None:
    """A line in coloured or large type, sometimes on a bar or between rules."""
    text = sheet.prose.company(rng) if rng.random() < 0.5 else sheet.prose.heading(rng)
    style = sheet.head.sized(float(rng.uniform(0.8, 2.5)), one_of(BRIGHT, rng))
    style = fitted(sheet, text, style, 0.8 * sheet.width)
    wide = sheet.length(text, style)
    spot = clear_corner(sheet, rng, wide, 1.2 * style.step)
    if spot is None:
        return
    x, y = spot
    if rng.random() < 0.3:
        sheet.fill((x - 2, y, x + wide + 2, y + 1.2 * style.step), sheet.light)
    sheet.text(x, y + 0.85 * style.step, text, style)
    if rng.random() < 0.3:
        sheet.rule((x, y + 1.2 * style.step), (x + wide, y + 1.2 * style.step), 0.4, style.colour)


def boxes(sheet: Sheet, rng: Rng) -> None:
    """A small printed table, or a block of text in a frame, in the ink of the page."""
    wide, tall = float(rng.uniform(25, 90)), float(rng.uniform(10, 45))
    wide, tall = min(wide, 0.8 * sheet.width), min(tall, 0.6 * sheet.height)
    spot = clear_corner(sheet, rng, wide, tall)
    if spot is None:
        return
    x, y = (max(value, 1.0) for value in spot)
    if rng.random() < 0.5:
        table(sheet, rng, (x, y, x + wide, y + tall), int(rng.integers(2, 6)), 3)
        return
    lines = sheet.prose.words(max(3, int(wide * tall / 90)), rng)
    end = sheet.paragraph(x + 1.5, y + sheet.body.step, wide - 3, lines)
    sheet.frame((x, y, x + wide, end), float(rng.uniform(0.15, 0.5)), sheet.accent)


def check_boxes(sheet: Sheet, rng: Rng) -> None:
    """A column of small squares or rings with words, some ticked."""
    side, pitch = float(rng.uniform(2.5, 4.5)), float(rng.uniform(5, 9))
    count = int(rng.integers(2, 7))
    x, y = corner(sheet, rng, 40, count * pitch)
    for row in range(count):
        top = y + row * pitch
        sheet.frame((x, top, x + side, top + side), 0.3)
        if rng.random() < 0.4:
            sheet.text(x + side / 2, top + side, one_of("xXvV", rng), align="centre")
        sheet.text(x + side + 2, top + side - 0.4, sheet.prose.phrase(2, rng))


def side_text(sheet: Sheet, rng: Rng) -> None:
    """A number or line of small print along the edge, turned by a right angle."""
    text = digits(8, rng) if rng.random() < 0.6 else sheet.prose.phrase(5, rng)
    size = sheet.body.points * float(rng.uniform(0.6, 1.3)) * 0.353 * sheet.scale
    mask = set_line(text, sheet.body.face, size).mask
    turned = np.ascontiguousarray(np.rot90(mask, 1 if rng.random() < 0.6 else 3))
    height, width = sheet.pixels.shape[:2]
    x = width - 2 * turned.shape[1] if rng.random() < 0.7 else turned.shape[1]
    y = int(rng.integers(0, max(1, height - turned.shape[0])))
    sheet.ink(turned, x, y, sheet.body.colour)


def watermark(sheet: Sheet, rng: Rng) -> None:
    """A pale word across the page, or a pale rosette or field of waves."""
    tone = one_of(((232, 232, 232), (222, 230, 240), (240, 226, 226), (228, 238, 228)), rng)
    kind = int(rng.integers(3))
    if kind == 0:
        text = one_of(("DRAFT", "SAMPLE", "SPECIMEN", sheet.prose.company(rng)), rng)
        mask = set_line(text, sheet.head.face, 120).mask
        if not mask.size:  # a face of another script has none of the letters
            return
        wide, tall = mask.shape[1], mask.shape[0]
        turn = cv2.getRotationMatrix2D((wide / 2, tall / 2), float(rng.uniform(-50, 50)), 0.95)
        turn[1, 2] += (wide - tall) / 2
        square = warp(mask, turn, (wide, wide))
        across = round(0.8 * sheet.pixels.shape[1])
        reduced = cv2.resize(square, (across, across), interpolation=cv2.INTER_AREA)
        small = np.asarray(reduced, np.uint8)
        row = int(rng.integers(0, max(1, sheet.pixels.shape[0] - across)))
        sheet.ink(small, round(0.1 * sheet.pixels.shape[1]), row, tone)
    elif kind == 1:
        radius = float(rng.uniform(0.1, 0.45)) * sheet.width
        rosette(sheet, rng, *corner(sheet, rng, 0, 0), radius, tone)
    else:
        x, y = corner(sheet, rng, 80, 40)
        guilloche(sheet, rng, (max(x, 0), max(y, 0), x + 80, y + 40), tone)


def photo(sheet: Sheet, rng: Rng) -> None:
    """A printed photo: a portrait, or soft shapes in many tones, with or without a rim."""
    tall = float(rng.uniform(18, 60))
    art = head_and_shoulders(180, 240, rng) if rng.random() < 0.5 else landscape(rng)
    if rng.random() < 0.3:
        art = np.asarray(cv2.copyMakeBorder(art, 6, 6, 6, 6, cv2.BORDER_CONSTANT, value=(255,) * 3))
    wide = tall * art.shape[1] / art.shape[0]
    x, y = corner(sheet, rng, wide, tall)
    paste(sheet, art, x, y, tall)


def landscape(rng: Rng) -> Pixels:
    """Soft clouds of colour over a ramp, like a scene out of focus, (240, 320, 3) uint8 RGB."""
    ramp = np.linspace(0, 1, 240)[:, None, None]
    top, bottom = rng.uniform(20, 255, (2, 3))
    picture = top + (bottom - top) * ramp + np.zeros((240, 320, 1))
    for _ in range(int(rng.integers(2, 6))):
        noise = smooth_noise(240, 320, int(rng.integers(3, 24)), rng)[..., None]
        cover = np.clip((noise - float(rng.uniform(0.4, 0.7))) * float(rng.uniform(3, 30)), 0, 1)
        picture += (rng.uniform(0, 255, 3) - picture) * cover
    if rng.random() < 0.3:
        picture[:] = picture.mean(axis=2, keepdims=True)
    return np.asarray(np.clip(picture, 0, 255), np.uint8)


def paste(sheet: Sheet, art: NDArray[np.uint8], x: float, y: float, tall: float) -> None:
    """Lay a picture on the page, hiding what is under it."""
    height = max(3, sheet.px(tall)[0])
    width = max(3, round(height * art.shape[1] / art.shape[0]))
    small = cv2.resize(art, (width, height), interpolation=cv2.INTER_AREA)
    column, row = (max(value, 0) for value in sheet.px(x, y))
    patch = sheet.pixels[row : row + height, column : column + width]
    patch[:] = small[: patch.shape[0], : patch.shape[1]]
