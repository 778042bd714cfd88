"""Ornate sheets: certificates, identity pages, cheques and labels, with guilloche and borders."""

import cv2
import numpy as np
from numpy.typing import NDArray

from platemark.synth.canvas import Colour
from platemark.synth.documents.layouts import fitted, signature_block
from platemark.synth.documents.prose import amount, date, digits, one_of
from platemark.synth.documents.typesetting import Sheet

Rng = np.random.Generator
Box = tuple[float, float, float, float]
_TINTS: tuple[Colour, ...] = (
    (200, 225, 205),
    (205, 215, 240),
    (240, 215, 215),
    (240, 230, 195),
    (225, 210, 235),
    (200, 232, 235),
)
_DEEP: tuple[Colour, ...] = (
    (30, 80, 60),
    (30, 50, 120),
    (120, 30, 40),
    (130, 95, 30),
    (70, 40, 110),
    (40, 40, 40),
)


def guilloche(sheet: Sheet, rng: Rng, box: Box, colour: Colour) -> None:
    """Print a field of interlaced waves, as on securities."""
    x0, y0, x1, y1 = sheet.px(*box)
    if x1 - x0 < 8 or y1 - y0 < 8:
        return
    mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
    xs = np.arange(0, x1 - x0 + 4, 4, dtype=np.float64)
    pitch = max(3.0, float(rng.uniform(1.2, 4.0)) * sheet.scale)
    waves = [float(w) for w in rng.uniform(0.02, 0.25, 2) / max(sheet.scale / 4, 0.5)]
    swing = float(rng.uniform(0.5, 3.0)) * pitch
    paths = []
    for index, base in enumerate(np.arange(-swing, y1 - y0 + swing, pitch / 2)):
        sign = 1 if index % 2 else -1
        rise = np.sin(xs * waves[0]) + 0.5 * np.sin(xs * waves[1] + base * 0.02)
        paths.append(np.column_stack([xs, base + sign * swing * 0.5 * rise]))
    _polylines(mask, paths)
    sheet.ink(mask, x0, y0, colour)


def rosette(sheet: Sheet, rng: Rng, x: float, y: float, radius: float, colour: Colour) -> None:
    """Print a round spirograph figure, as in the middle of a banknote."""
    reach = max(4, sheet.px(radius)[0])
    mask = np.zeros((2 * reach + 2, 2 * reach + 2), np.uint8)
    turn = np.linspace(0, 2 * np.pi, 200)
    lobes, depth = int(rng.integers(5, 24)), float(rng.uniform(0.05, 0.35))
    count = int(rng.integers(3, 12))
    paths = []
    for index in range(count):
        size = reach * (1 - depth) * (1 - 0.55 * index / count)
        length = size * (1 + depth * np.sin(lobes * turn + np.pi * index))
        paths.append(reach + 1 + np.column_stack([length * np.cos(turn), length * np.sin(turn)]))
    _polylines(mask, paths)
    column, row = sheet.px(x, y)
    sheet.ink(mask, column - reach, row - reach, colour)


def _polylines(mask: NDArray[np.uint8], paths: list[NDArray[np.float64]]) -> None:
    fixed = [np.round(path * 16).astype(np.int32) for path in paths]
    cv2.polylines(mask, fixed, False, 255, 1, cv2.LINE_AA, 4)


def border(sheet: Sheet, rng: Rng, inset: float, breadth: float, colour: Colour) -> None:
    """Print an ornamental frame: lines, waves, and squares or rosettes in the corners."""
    outer = (inset, inset, sheet.width - inset, sheet.height - inset)
    within = inset + breadth
    inner = (within, within, sheet.width - within, sheet.height - within)
    kind = int(rng.integers(4))
    if kind == 0:
        guilloche(sheet, rng, (outer[0], outer[1], outer[2], inner[1]), colour)
        guilloche(sheet, rng, (outer[0], inner[3], outer[2], outer[3]), colour)
        guilloche(sheet, rng, (outer[0], inner[1], inner[0], inner[3]), colour)
        guilloche(sheet, rng, (inner[2], inner[1], outer[2], inner[3]), colour)
    elif kind == 1:
        for x in np.arange(outer[0] + breadth / 2, outer[2], breadth * 1.1):
            for y in (outer[1] + breadth / 2, outer[3] - breadth / 2):
                rosette(sheet, rng, float(x), y, breadth * 0.45, colour)
        for y in np.arange(outer[1] + 1.6 * breadth, outer[3] - breadth, breadth * 1.1):
            for x in (outer[0] + breadth / 2, outer[2] - breadth / 2):
                rosette(sheet, rng, x, float(y), breadth * 0.45, colour)
    elif kind == 2:
        for box in ((outer[0], outer[1], outer[2], inner[1]), (outer[0], inner[3], *outer[2:])):
            sheet.fill(box, colour)
        sheet.fill((outer[0], inner[1], inner[0], inner[3]), colour)
        sheet.fill((inner[2], inner[1], outer[2], inner[3]), colour)
    sheet.frame(outer, 0.6, colour)
    sheet.frame(inner, 0.4, colour)
    if rng.random() < 0.5:
        for x in (inner[0], inner[2]):
            for y in (inner[1], inner[3]):
                rosette(sheet, rng, x, y, breadth, colour)


def certificate(sheet: Sheet, rng: Rng) -> None:
    """A diploma or certificate: frame, tint, centred lines, two who signed."""
    deep, tint = one_of(_DEEP, rng), one_of(_TINTS, rng)
    inset, breadth = float(rng.uniform(5, 12)), float(rng.uniform(3, 12))
    edge = inset + breadth
    if rng.random() < 0.6:
        guilloche(sheet, rng, (edge, edge, sheet.width - edge, sheet.height - edge), tint)
    if rng.random() < 0.5:
        middle = (sheet.width / 2, sheet.height * float(rng.uniform(0.4, 0.6)))
        rosette(sheet, rng, *middle, 0.28 * min(sheet.width, sheet.height), tint)
    if rng.random() < 0.85:
        border(sheet, rng, inset, breadth, deep)
    middle_x, y = sheet.width / 2, edge + 0.14 * sheet.height
    title = sheet.prose.heading(rng)
    room = sheet.width - 2 * edge - 16
    style = fitted(sheet, title, sheet.head.sized(float(rng.uniform(1.5, 3.0)), deep), room)
    sheet.text(middle_x, y, title, style, "centre")
    y += style.step
    for _ in range(int(rng.integers(3, 8))):
        line = sheet.prose.phrase(int(rng.integers(2, 7)), rng)
        big = sheet.body if rng.random() < 0.75 else sheet.head.sized(0.9)
        big = fitted(sheet, line, big, room)
        sheet.text(middle_x, y, line, big, "centre")
        y += big.step * float(rng.uniform(1.0, 1.8))
    foot = sheet.height - edge - 30
    for x in (edge + 8, sheet.width - edge - 8 - 0.32 * sheet.width):
        if rng.random() < 0.8:
            signature_block(sheet, rng, x, foot, 0.32 * sheet.width)
    if rng.random() < 0.5:
        sheet.text(middle_x, sheet.height - edge - 4, f"№ {digits(7, rng)}", align="centre")


def identity(sheet: Sheet, rng: Rng) -> None:
    """A page like that of a passport or card: tint, portrait, fields, machine-readable lines."""
    tint, deep = one_of(_TINTS, rng), one_of(_DEEP, rng)
    guilloche(sheet, rng, (0, 0, sheet.width, sheet.height), tint)
    rosette(sheet, rng, 0.6 * sheet.width, 0.5 * sheet.height, 0.3 * sheet.height, tint)
    sheet.text(5, 8, sheet.prose.company(rng), sheet.body.sized(1.1, deep))
    height = 0.42 * sheet.height
    portrait(sheet, rng, (6, 14, 6 + 0.77 * height, 14 + height))
    x, y = 12 + 0.77 * height, 16.0
    label = sheet.body.sized(0.6)
    while y < sheet.height - 26:
        sheet.text(x, y, sheet.prose.phrase(2, rng), label)
        value = one_of((sheet.prose.phrase(1, rng).upper(), date(rng), digits(9, rng)), rng)
        sheet.text(x, y + sheet.body.step, value)
        y += float(rng.uniform(2.0, 2.8)) * sheet.body.step
    letters = np.array(list("ABCDEFGHIJKLMNOPRSTUVXYZ0123456789<<<<<<<<<<"))
    for index in range(2):
        line = "".join(rng.choice(letters, 40))
        style = fitted(sheet, line, sheet.body, sheet.width - 10)
        sheet.text(5, sheet.height - 11 + 6 * index, line, style)


def portrait(sheet: Sheet, rng: Rng, box: Box) -> None:
    """A small picture of a head and shoulders, in soft tones of one colour or many."""
    x0, y0, x1, y1 = sheet.px(*box)
    patch = sheet.pixels[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)]
    if min(patch.shape[:2], default=0) < 6:
        return
    patch[:] = head_and_shoulders(patch.shape[1], patch.shape[0], rng)


def head_and_shoulders(width: int, height: int, rng: Rng) -> NDArray[np.uint8]:
    """A procedural portrait, (height, width, 3) uint8 RGB."""
    canvas = np.full((96, 72, 3), rng.integers(120, 245), np.uint8)
    canvas[:] = np.clip(canvas + np.linspace(-30, 30, 96)[:, None, None], 0, 255)
    skin = np.array([230, 190, 160]) * float(rng.uniform(0.45, 1.05))
    hair = np.array([70, 50, 40]) * float(rng.uniform(0.2, 2.4))
    coat = rng.integers(10, 200, 3)
    across = 36 + int(rng.integers(-4, 5))
    cv2.ellipse(canvas, (across, 98), (30, 30), 0, 0, 360, coat.tolist(), -1, cv2.LINE_AA)
    cv2.ellipse(canvas, (across, 36), (18, 23), 0, 0, 360, hair.tolist(), -1, cv2.LINE_AA)
    cv2.rectangle(canvas, (across - 6, 54), (across + 6, 72), (0.85 * skin).tolist(), -1)
    cv2.ellipse(canvas, (across, 43), (14, 19), 0, 0, 360, skin.tolist(), -1, cv2.LINE_AA)
    for x in (across - 6, across + 6):
        cv2.circle(canvas, (x, 41), 2, (40, 30, 30), -1, cv2.LINE_AA)
    cv2.ellipse(canvas, (across, 53), (5, 2), 0, 0, 360, (150, 80, 80), -1, cv2.LINE_AA)
    soft = cv2.GaussianBlur(canvas, (0, 0), 1.6)
    if rng.random() < 0.4:
        soft = cv2.cvtColor(cv2.cvtColor(soft, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return np.asarray(cv2.resize(soft, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def cheque(sheet: Sheet, rng: Rng) -> None:
    """A bank cheque: tint, payee and amount lines, number in machine type."""
    tint, deep = one_of(_TINTS, rng), one_of(_DEEP, rng)
    guilloche(sheet, rng, (0, 0, sheet.width, sheet.height), tint)
    bank = sheet.head.sized(0.9, deep)
    sheet.text(6, 9, sheet.prose.company(rng), bank)
    sheet.text(sheet.width - 6, 9, f"№ {digits(8, rng)}", align="right")
    for y in (22.0, 31.0, 40.0):
        sheet.text(6, y, sheet.prose.phrase(1, rng), sheet.body.sized(0.8))
        sheet.rule((28, y), (sheet.width - 50, y), 0.2, deep)
        if rng.random() < 0.7:
            sheet.text(30, y - 0.8, sheet.prose.phrase(4, rng))
    sheet.frame((sheet.width - 46, 18, sheet.width - 6, 27), 0.4, deep)
    sheet.text(sheet.width - 8, 24, amount(rng), align="right")
    signature_block(sheet, rng, sheet.width - 70, sheet.height - 26, 60)
    sheet.text(10, sheet.height - 5, f"{digits(6, rng)}  {digits(9, rng)}  {digits(10, rng)}")


def label(sheet: Sheet, rng: Rng) -> None:
    """A product label or one side of a package: blocks of colour, big words, small print."""
    colours = [one_of(_DEEP + _TINTS, rng) for _ in range(3)]
    for colour in colours[: int(rng.integers(1, 4))]:
        x0, y0 = rng.uniform(0, 0.7, 2) * (sheet.width, sheet.height)
        if rng.random() < 0.5:
            band = (0.0, float(y0), sheet.width, float(y0 + rng.uniform(5, 0.4 * sheet.height)))
            sheet.fill(band, colour)
        else:
            sheet.fill((float(x0), float(y0), float(x0) + 40, float(y0) + 30), colour)
    y = 10.0
    for _ in range(int(rng.integers(2, 6))):
        text = sheet.prose.company(rng)
        style = sheet.head.sized(float(rng.uniform(0.7, 3.0)), one_of((*_DEEP, (255, 40, 30)), rng))
        style = fitted(sheet, text, style, sheet.width - 10)
        y += style.step
        sheet.text(sheet.width / 2, y, text, style, "centre")
    words = sheet.prose.words(int(rng.integers(20, 80)), rng)
    y = sheet.paragraph(6, y + 6, sheet.width - 12, words, sheet.body.sized(0.8))
    sheet.frame((4, 4, sheet.width - 4, sheet.height - 4), float(rng.uniform(0.2, 1.2)), colours[0])
