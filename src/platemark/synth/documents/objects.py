"""Things that lie on paper or were spilt on it: coffee rings, fingerprints, coins, bands, clips."""

import cv2
import numpy as np

from platemark.imaging.image import Pixels
from platemark.synth.camera.backgrounds import smooth_noise
from platemark.synth.camera.ink import print_ink
from platemark.synth.canvas import Colour
from platemark.synth.documents.logos import BRIGHT, corner, cover_up
from platemark.synth.documents.pen import curve
from platemark.synth.documents.prose import one_of
from platemark.synth.documents.typesetting import Sheet

Rng = np.random.Generator


def coffee_ring(sheet: Sheet, rng: Rng) -> None:
    """The brown ring of a cup: uneven, broken, darker at its edges, with drops beside it."""
    radius = float(rng.uniform(22, 45))
    side = max(12, sheet.px(2.2 * radius)[0])
    ys, xs = np.mgrid[0:side, 0:side].astype(np.float32) / side * 2.2 - 1.1
    wobble = smooth_noise(side, side, 5, rng) * 0.06
    distance = np.hypot(xs, ys) + wobble
    breadth = float(rng.uniform(0.015, 0.06))
    edge = np.exp(-(((distance - 1.0) / breadth) ** 2))
    film = 0.25 * ((distance < 1.0) & (distance > 1 - 4 * breadth))
    gaps = np.clip(smooth_noise(side, side, 8, rng) * 2.2 - 0.3, 0.05, 1)
    mask = np.clip((edge + film) * gaps * 255, 0, 255).astype(np.uint8)
    brown: Colour = one_of(((150, 100, 55), (120, 85, 60), (170, 130, 80), (140, 50, 70)), rng)
    x, y = sheet.px(*corner(sheet, rng, 2 * radius, 2 * radius))
    print_ink(sheet.pixels, mask, x, y, brown, float(rng.uniform(0.25, 0.9)))


def fingerprint(sheet: Sheet, rng: Rng) -> None:
    """An inked thumb: curved ridges that fade towards an oval edge."""
    height = max(10, sheet.px(float(rng.uniform(14, 26)))[0])
    width = round(0.75 * height)
    ys, xs = np.mgrid[0:height, 0:width].astype(np.float32)
    xs, ys = xs / width - 0.5, ys / height - 0.5
    centre = rng.normal(0, 0.08, 2)
    warp = smooth_noise(height, width, 4, rng) * 0.25
    phase = np.hypot((xs - centre[0]) * 0.8, ys - centre[1]) + warp + 0.15 * ys
    ridges = 0.5 + 0.5 * np.sin(phase * float(rng.uniform(110, 170)))
    oval = np.clip((0.5 - np.hypot(xs / 0.95, ys / 0.98)) * 12, 0, 1)
    blots = np.clip(smooth_noise(height, width, 6, rng) * 2, 0.2, 1)
    mask = np.clip(ridges * oval * blots * 255, 0, 255).astype(np.uint8)
    ink: Colour = one_of(((30, 30, 40), (40, 40, 120), (150, 40, 60)), rng)
    x, y = sheet.px(*corner(sheet, rng, width / sheet.scale, height / sheet.scale))
    print_ink(sheet.pixels, mask, x, y, ink, float(rng.uniform(0.4, 0.9)))


def coin(sheet: Sheet, rng: Rng) -> None:
    """A coin or button seen from above: a metal disc with a rim, a sheen and a shadow."""
    side = max(8, sheet.px(float(rng.uniform(14, 32)))[0])
    tone = np.array(one_of(((195, 170, 100), (190, 190, 192), (175, 110, 75), (60, 60, 70)), rng))
    ys, xs = np.mgrid[0:160, 0:160].astype(np.float32) / 80 - 1
    light = 1 + 0.35 * (xs * float(rng.uniform(-1, 1)) + ys * float(rng.uniform(-1, 1)))
    relief = smooth_noise(160, 160, int(rng.integers(8, 26)), rng)
    slope = relief - np.roll(relief, 3, axis=(0, 1))
    radius = np.hypot(xs, ys)
    light += np.where(radius < 0.82, 1.6 * slope, 0) + np.where(radius > 0.88, 0.12, 0)
    art = np.clip(light[..., None] * tone, 0, 255).astype(np.uint8)
    mask = (np.clip((0.98 - radius) * 80, 0, 1) * 255).astype(np.uint8)
    small, cover = (
        np.asarray(cv2.resize(layer, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
        for layer in (art, mask)
    )
    x, y = sheet.px(*corner(sheet, rng, side / sheet.scale, side / sheet.scale))
    shift = max(1, side // 25)
    print_ink(sheet.pixels, cover, x + shift, y + shift, (130, 130, 130))
    cover_up(sheet.pixels, small, cover, x, y)


def rubber_band(sheet: Sheet, rng: Rng) -> None:
    """A closed loop of rubber thrown on the page, with its shadow."""
    side = float(rng.uniform(25, 70))
    turn = np.linspace(0, 2 * np.pi, 9, endpoint=False)
    radius = rng.uniform(0.25, 0.48, 9)
    points = 0.5 + np.column_stack([radius * np.cos(turn), radius * np.sin(turn)])
    tint = one_of(((190, 150, 90), (200, 60, 60), (60, 110, 180), (90, 160, 80)), rng)
    thick = max(1, round(float(rng.uniform(1.0, 2.2)) * sheet.scale))
    _loop(sheet, rng, curve(points, closed=True) * side, side, thick, tint)


def paper_clip(sheet: Sheet, rng: Rng) -> None:
    """A wire clip near an edge of the page."""
    outline = np.array(
        [[0.1, 0.3], [0.1, 0.85], [0.3, 1], [0.5, 0.85], [0.5, 0.15], [0.3, 0.05], [0.2, 0.2]]
    )
    wire = np.vstack([outline, [[0.2, 0.7], [0.3, 0.8], [0.4, 0.7], [0.4, 0.35]]])
    size = float(rng.uniform(22, 34))
    tint = one_of(((140, 142, 148), (190, 40, 40), (40, 90, 170), (170, 140, 60)), rng)
    path = curve((wire - 0.5) * (0.6, 1.0))
    angle = float(rng.uniform(0, 2 * np.pi))
    cos, sin = np.cos(angle), np.sin(angle)
    path = (path @ np.array([[cos, sin], [-sin, cos]]) + 0.5) * size
    _loop(sheet, rng, path, size, max(1, round(0.9 * sheet.scale)), tint)


def _loop(sheet: Sheet, rng: Rng, path: np.ndarray, size: float, thick: int, tint: Colour) -> None:
    """Draw a wire or band along ``path`` (millimetres), opaque, above its shadow."""
    reach = max(4, sheet.px(size)[0])
    mask = np.zeros((reach, reach), np.uint8)
    fixed = np.round(path * sheet.scale * 16).astype(np.int32)
    cv2.polylines(mask, [fixed], False, 255, thick, cv2.LINE_AA, 4)
    x, y = sheet.px(*corner(sheet, rng, size, size))
    print_ink(sheet.pixels, mask, x + max(1, thick // 2), y + thick, (170, 170, 170))
    art: Pixels = np.full((reach, reach, 3), tint, np.uint8)
    cover_up(sheet.pixels, art, mask, x, y)


def hole(sheet: Sheet, rng: Rng) -> None:
    """A round hole, tear or blot: a dark or light disc with a faint rim."""
    radius = sheet.px(float(rng.uniform(1.5, 7)))[0] * 16
    x, y = (round(value * sheet.scale * 16) for value in corner(sheet, rng, 6, 6))
    tone = int(rng.choice([10, 30, 70, 240]))
    cv2.circle(sheet.pixels, (x, y), max(radius, 24), (tone,) * 3, -1, cv2.LINE_AA, 4)
    cv2.circle(sheet.pixels, (x, y), max(radius, 24), (abs(tone - 50),) * 3, 1, cv2.LINE_AA, 4)


def highlight(sheet: Sheet, rng: Rng) -> None:
    """Bars of a highlighter pen over lines of text."""
    colour: Colour = one_of(
        ((255, 245, 70), (160, 250, 130), (255, 160, 200), (255, 200, 110)), rng
    )
    x, y = corner(sheet, rng, 60, 20)
    for row in range(int(rng.integers(1, 5))):
        wide, tall = max(4, sheet.px(float(rng.uniform(15, 90)))[0]), max(2, sheet.px(4.2)[0])
        mask = np.full((tall, wide), 255, np.uint8)
        mask[:, : max(1, tall // 3)] = 190
        column, line = sheet.px(x + float(rng.normal(0, 2)), y + row * 5.5)
        print_ink(sheet.pixels, mask, column, line, colour, float(rng.uniform(0.6, 1)))


def tape(sheet: Sheet, rng: Rng) -> None:
    """A strip of adhesive tape or a sticky note."""
    wide, tall = float(rng.uniform(20, 76)), float(rng.uniform(12, 76))
    x, y = corner(sheet, rng, wide, tall)
    colour = one_of(((255, 240, 140), (250, 190, 210), (235, 225, 190), (190, 225, 250)), rng)
    sheet.fill((max(x, 0) + 1, max(y, 0) + 1, x + wide + 1, y + tall + 1), (225, 225, 225))
    sheet.fill((max(x, 0), max(y, 0), x + wide, y + tall), colour)


def blot(sheet: Sheet, rng: Rng) -> None:
    """A blot of ink or paint with frayed edges, filled."""
    side = max(6, sheet.px(float(rng.uniform(4, 25)))[0])
    rim = np.minimum.outer(np.hanning(side), np.hanning(side)).astype(np.float32)
    mask = np.clip((rim + 0.6 * smooth_noise(side, side, 7, rng) - 0.7) * 1500, 0, 255)
    x, y = sheet.px(*corner(sheet, rng, side / sheet.scale, side / sheet.scale))
    print_ink(sheet.pixels, mask.astype(np.uint8), x, y, one_of(BRIGHT, rng), 0.8)
