"""Lettering in plate pictures: text centred at a point, ink laid through a mask."""

from dataclasses import dataclass

import cv2
import numpy as np

from platemark.imaging.image import Pixels
from platemark.synth.canvas import Colour, blend
from platemark.synth.plates.typefaces import CAP_HEIGHT, FontLibrary, Typeface


@dataclass
class Area:
    """The part of the plate still free for text, in texture pixels."""

    left: float
    top: float
    right: float
    bottom: float


def write_text(
    canvas: Pixels,
    text: str,
    fonts: FontLibrary,
    rng: np.random.Generator,
    x: float,
    y: float,
    size: float,
    colour: Colour,
    width: float | None = None,
) -> None:
    """Write small text centred at (x, y), capitals ``size`` px high, narrowed to ``width``."""
    face = fonts.choose("sans-bold", text.replace(" ", ""), rng) if text.strip() else None
    if face is None or size < 2:
        return
    line = _line_mask(face, text, 0.04)
    scale = size / CAP_HEIGHT
    wide = line.shape[1] * scale
    target = (max(1, round(min(wide, width or wide))), max(1, round(line.shape[0] * scale)))
    mask = np.asarray(cv2.resize(line, target, interpolation=cv2.INTER_AREA), np.uint8)
    top = y - size / 2 - face.headroom * scale
    blend(canvas, mask, round(x - target[0] / 2), round(top), colour)


def _line_mask(face: Typeface, text: str, tracking: float) -> Pixels:
    """A line of text at ``CAP_HEIGHT``; ``tracking`` is room per character, in cap heights."""
    x = 0.0
    placed: list[tuple[int, Pixels]] = []
    for char in text:
        glyph = face.glyph(char) if char != " " else None
        if glyph is not None:
            placed.append((round(x + glyph.left), glyph.mask))
        x += (glyph.advance if glyph else 0.4 * CAP_HEIGHT) + tracking * CAP_HEIGHT
    rows = CAP_HEIGHT + face.headroom + CAP_HEIGHT // 8
    offset = max(0, -min((left for left, _ in placed), default=0))
    line = np.zeros((rows, max(1, round(x) + offset + 8)), np.uint8)
    for left, mask in placed:
        left += offset
        view = line[:, left : left + mask.shape[1]]
        np.maximum(view, mask[:, : view.shape[1]], out=view)
    return line
