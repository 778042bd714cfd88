"""Plates whose text is hidden: by people in a photo or on the car, by dirt and by light."""

from dataclasses import replace

import cv2
import numpy as np

from platemark.imaging.image import Pixels
from platemark.synth.camera.backgrounds import smooth_noise
from platemark.synth.canvas import Colour
from platemark.synth.plates.lettering import write_text
from platemark.synth.plates.texture import Texture
from platemark.synth.plates.typefaces import FontLibrary

_PLAIN = ((250, 250, 250), (235, 235, 235), (128, 128, 128), (12, 12, 12), (30, 30, 34))
_NAMES = [
    "auto",
    "auto-haus",
    "cars",
    "garage",
    "motors",
    "select",
    "trade",
    "sale",
    "sold",
    "second",
    "hand",
    "finance",
    "classic",
    "prime",
    "city",
]
# Shares of the ways that hide all of the text, and of those that hide a part.
_WHOLE = 0.45


def censored(texture: Texture, fonts: FontLibrary, rng: np.random.Generator) -> Texture:
    """The plate with its text hidden in whole or in part, and without a text."""
    return replace(texture, pixels=obscured(texture.pixels, fonts, rng), text=None, obscured=True)


def obscured(pixels: Pixels, fonts: FontLibrary, rng: np.random.Generator) -> Pixels:
    """A picture of a plate whose text cannot be read any more, in whole or in part.

    Args:
        pixels: (H, W, 3) uint8 RGB, the plate from edge to edge; it is not changed.
        fonts: Typefaces for the boards that dealers put over plates.
        rng: Picks what hides the text, and where.
    """
    whole = (_cover, _cover, _blur, _mosaic, _board, _scribble, _glare, _dirt)
    if rng.random() < _WHOLE:
        way = whole[int(rng.integers(len(whole)))]
        return way(pixels.copy(), fonts, rng)
    height, width = pixels.shape[:2]
    parts = (_disc, _scribble, _blob, _tape, _cover, _blur, _mosaic, _board, _glare, _dirt)
    way = parts[int(rng.integers(len(parts)))]
    # At least a character, which is about a tenth of the width.
    long = round(width * float(rng.uniform(0.18, 0.6)))
    start = round(float(rng.uniform(0.02, 0.98)) * (width - long))
    top = round(height * float(rng.choice([0.0, 0.0, 0.1, 0.3])))
    hidden = pixels.copy()
    hidden[top:, start : start + long] = way(hidden[top:, start : start + long].copy(), fonts, rng)
    return hidden


def _colour(rng: np.random.Generator) -> Colour:
    if rng.random() < 0.3:
        red, green, blue = rng.integers(0, 256, 3).tolist()
        return red, green, blue
    return _PLAIN[int(rng.integers(len(_PLAIN)))]


def _ground(pixels: Pixels) -> Colour:
    red, green, blue = np.percentile(pixels.reshape(-1, 3), 80, axis=0).astype(int).tolist()
    return red, green, blue


def _cover(pixels: Pixels, fonts: FontLibrary, rng: np.random.Generator) -> Pixels:
    """One colour over the plate, or over all but its rim and bands."""
    colour = np.array(_colour(rng), np.float32)
    height, width = pixels.shape[:2]
    rim = int(rng.choice([0, 0, height // 20, height // 10]))
    left = int(rng.choice([0, 0, width // 10]))
    opacity = 1.0 if rng.random() < 0.7 else float(rng.uniform(0.85, 1.0))
    inner = pixels[rim : height - rim, rim + left : width - rim]
    inner[:] = np.clip(inner + (colour - inner) * opacity, 0, 255).astype(np.uint8)
    return pixels


def _blur(pixels: Pixels, fonts: FontLibrary, rng: np.random.Generator) -> Pixels:
    sigma = float(rng.uniform(0.12, 0.3)) * pixels.shape[0]
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma), np.uint8)


def _mosaic(pixels: Pixels, fonts: FontLibrary, rng: np.random.Generator) -> Pixels:
    height, width = pixels.shape[:2]
    rows = int(rng.integers(2, 5))
    columns = max(2, round(rows * width / height))
    coarse = cv2.resize(pixels, (columns, rows), interpolation=cv2.INTER_AREA)
    return np.asarray(
        cv2.resize(coarse, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8
    )


def _board(pixels: Pixels, fonts: FontLibrary, rng: np.random.Generator) -> Pixels:
    """A dealer's or a site's board with its name, over most of the plate."""
    height, width = pixels.shape[:2]
    rim = rng.uniform(0.0, 0.15, 4) * height
    left, top = int(rim[0]), int(rim[1])
    right, bottom = int(width - rim[2]), int(height - rim[3])
    ground = _colour(rng) if rng.random() < 0.4 else (248, 248, 248)
    cv2.rectangle(pixels, (left, top), (right, bottom), ground, -1, cv2.LINE_AA)
    ink: Colour = (20, 20, 24) if sum(ground) > 360 else (235, 235, 235)
    if rng.random() < 0.4:
        red, green, blue = rng.integers(0, 200, 3).tolist()
        ink = (red, green, blue)
    middle, size = (left + right) / 2, float(rng.uniform(0.25, 0.5)) * (bottom - top)
    if rng.random() < 0.5:
        sign = np.array([left + size, (top + bottom) / 2]).round().astype(int).tolist()
        mark = rng.integers(0, 256, 3).tolist()
        cv2.circle(pixels, sign, max(1, round(0.8 * size)), mark, -1, cv2.LINE_AA)
        middle += size
    words = " ".join(rng.choice(_NAMES, int(rng.integers(1, 3))))
    name = words.title() if rng.random() < 0.7 else words.upper()
    room = 0.9 * (right - left) - 2 * size
    write_text(pixels, name, fonts, rng, middle, (top + bottom) / 2, size, ink, max(room, size))
    return pixels


def _scribble(pixels: Pixels, fonts: FontLibrary, rng: np.random.Generator) -> Pixels:
    """To and fro with a thick pen."""
    height, width = pixels.shape[:2]
    turns = max(3, round(float(rng.uniform(1.0, 3.0)) * width / height) + 2)
    xs = np.linspace(0.05, 0.95, turns) * width + rng.normal(0, 0.05 * height, turns)
    ys = np.where(np.arange(turns) % 2, 0.25, 0.75) * height + rng.normal(0, 0.12 * height, turns)
    if rng.random() < 0.4:  # along the plate, not across it
        xs = np.where(np.arange(turns) % 2, 0.06, 0.94) * width + rng.normal(0, 0.05 * width, turns)
        ys = np.linspace(0.25, 0.75, turns) * height + rng.normal(0, 0.08 * height, turns)
    stroke = [np.stack([xs, ys], axis=1).round().astype(np.int32)]
    thick = max(2, round(float(rng.uniform(0.2, 0.45)) * height))
    cv2.polylines(pixels, stroke, False, _colour(rng), thick, cv2.LINE_AA)
    return pixels


def _blob(pixels: Pixels, fonts: FontLibrary, rng: np.random.Generator) -> Pixels:
    """Spots of one colour that run into each other, as a correction brush leaves them."""
    height, width = pixels.shape[:2]
    colour = _colour(rng)
    for _ in range(int(rng.integers(2, 7))):
        centre = (rng.uniform(0.2, 0.8, 2) * [width, height]).round().astype(int).tolist()
        cv2.circle(
            pixels, centre, round(float(rng.uniform(0.25, 0.45)) * height), colour, -1, cv2.LINE_AA
        )
    return pixels


def _disc(pixels: Pixels, fonts: FontLibrary, rng: np.random.Generator) -> Pixels:
    """A disc over one character, often of the colour of the ground."""
    height, width = pixels.shape[:2]
    colour = _ground(pixels) if rng.random() < 0.6 else _colour(rng)
    centre = (rng.uniform(0.35, 0.65, 2) * [width, height]).round().astype(int).tolist()
    axes = (rng.uniform(0.3, 0.45, 2) * height).round().astype(int).tolist()
    cv2.ellipse(pixels, centre, axes, 0, 0, 360, colour, -1, cv2.LINE_AA)
    return pixels


def _tape(pixels: Pixels, fonts: FontLibrary, rng: np.random.Generator) -> Pixels:
    """A strip of tape or paper that lies askew."""
    height, width = pixels.shape[:2]
    size = (0.8 * width, float(rng.uniform(0.7, 1.3)) * height)
    box = cv2.boxPoints(((width / 2, height / 2), size, float(rng.normal(0, 10))))
    corners = np.round(box).astype(np.int32)
    cv2.fillConvexPoly(pixels, corners, _colour(rng), cv2.LINE_AA)
    return pixels


def _glare(pixels: Pixels, fonts: FontLibrary, rng: np.random.Generator) -> Pixels:
    """Light so strong that ground and ink are both white."""
    height, width = pixels.shape[:2]
    light = smooth_noise(height, width, int(rng.integers(2, 4)), rng)[..., None]
    strength = float(rng.uniform(1.5, 4.0))
    lit = pixels + strength * 255.0 * (0.35 + 0.65 * light)
    return np.asarray(np.clip(lit, 0, float(rng.uniform(225, 255))), np.uint8)


def _dirt(pixels: Pixels, fonts: FontLibrary, rng: np.random.Generator) -> Pixels:
    """Mud, snow or dust so thick that little shows through."""
    height, width = pixels.shape[:2]
    noise = smooth_noise(height, width, int(rng.integers(4, 16)), rng)
    cover = np.clip((noise - float(rng.uniform(0.15, 0.35))) * 5, 0, 1)[..., None]
    shade = float(rng.choice([rng.uniform(60, 150), rng.uniform(200, 245)]))
    mud = shade * np.array([1.05, 1.0, float(rng.uniform(0.75, 1.0))], np.float32)
    grain = rng.normal(0, 8, (height, width, 1))
    mixed = pixels + (mud + grain - pixels) * cover * float(rng.uniform(0.88, 1.0))
    return np.asarray(np.clip(mixed, 0, 255), np.uint8)
