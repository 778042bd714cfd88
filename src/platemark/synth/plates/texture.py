"""A plate as it leaves the press: a flat, clean picture of one sample of a plate format.

Ground, bands with flags or stars, text rows with their gaps, seals and dashes, the region field,
captions, stickers, screws and the rim. What happens to it on the road and in the camera is in
:mod:`platemark.synth.camera.scene`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from platemark.imaging.image import Pixels
from platemark.plates.formats import Caption, Drawing, Field, Sample
from platemark.plates.notation import RowToken
from platemark.synth.canvas import Colour, blend, draw_flag, parse_colour
from platemark.synth.plates.letterforms import Letterforms
from platemark.synth.plates.lettering import Area, write_text
from platemark.synth.plates.ornaments import (
    draw_band,
    draw_bolts,
    draw_scenery,
    draw_seal,
    draw_stickers,
)
from platemark.synth.plates.typefaces import CAP_HEIGHT, FontLibrary, Typeface

_ROW_PIXELS = 72


@dataclass(frozen=True)
class Texture:
    """A flat plate.

    Attributes:
        pixels: (H, W, 3) uint8 RGB.
        alpha: (H, W) uint8, 0 outside the rounded corners.
        text: what it says: letters and digits, rows from top to bottom; None where it is hidden.
        rows: number of text rows.
        format_code: the plate format it was rendered from.
        obscured: whether something hides its text, or a part of it.
    """

    pixels: Pixels
    alpha: Pixels
    text: str | None
    rows: int
    format_code: str
    obscured: bool = False


@dataclass(frozen=True)
class _Script:
    """How a row is lettered: typeface, ink, letterforms, width, weight of strokes, low letters."""

    face: Typeface
    ink: Colour
    forms: Letterforms = field(default_factory=Letterforms)
    stretch: float = 1.0
    stroke: int = 0
    letter_height: float = 1.0

    def height(self, char: str) -> float:
        """Height of a character as a fraction of that of a digit."""
        return self.letter_height if char.isalpha() else 1.0


def draw_plate(sample: Sample, fonts: FontLibrary, rng: np.random.Generator) -> Texture:
    """Draw one sample of a plate format as a flat texture.

    Args:
        sample: the text and appearance, from :meth:`platemark.plates.formats.PlateFormat.sample`.
        fonts: typefaces by style.
        rng: decides on everything the format leaves open.
    """
    drawing = sample.drawing
    rows = len(sample.rows)
    height = round(_ROW_PIXELS * (1.0 if rows == 1 else 1.5 + 0.3 * (rows - 2)))
    if rows == 1 and drawing.size[0] / drawing.size[1] < 2.6:
        height = round(_ROW_PIXELS * 1.4)
    width = round(height * drawing.size[0] / drawing.size[1])
    ink = parse_colour(str(rng.choice(drawing.inks)))
    canvas = _ground(height, width, str(rng.choice(drawing.grounds)), rng)
    area = Area(0.02 * width, 0.04 * height, 0.98 * width, 0.96 * height)
    if drawing.stickers > 0 and drawing.size[0] / drawing.size[1] < 2.6:
        draw_scenery(canvas, rng)
    for band in drawing.bands:
        draw_band(canvas, band, area, fonts, rng)
    for caption in drawing.captions:
        share = drawing.caption_height or caption.height
        _draw_caption(canvas, caption, share, area, ink, fonts, rng)
    _draw_rows(canvas, sample, area, ink, fonts, rng)
    _emboss_rim(canvas, drawing, ink, rng)
    if rng.random() < drawing.stickers:
        draw_stickers(canvas, rng, fonts)
    if rng.random() < drawing.bolts:
        draw_bolts(canvas, rng)
    return Texture(canvas, _rounded_mask(height, width), sample.text, rows, sample.code)


def _ground(height: int, width: int, spec: str, rng: np.random.Generator) -> Pixels:
    stops = [np.array(parse_colour(code), np.float32) for code in spec.split(">")]
    jitter = rng.normal(0, 5, 3)
    ramp = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    column = stops[0] * (1 - ramp) + stops[-1] * ramp + jitter
    canvas = np.clip(np.broadcast_to(column, (height, width, 3)), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(canvas)


def _rounded_mask(height: int, width: int) -> Pixels:
    mask = np.zeros((height, width), np.uint8)
    radius = max(2, height // 12)
    cv2.rectangle(mask, (radius, 0), (width - 1 - radius, height - 1), 255, -1)
    cv2.rectangle(mask, (0, radius), (width - 1, height - 1 - radius), 255, -1)
    for x in (radius, width - 1 - radius):
        for y in (radius, height - 1 - radius):
            cv2.circle(mask, (x, y), radius, 255, -1, cv2.LINE_AA)
    return mask


def _draw_caption(
    canvas: Pixels,
    caption: Caption,
    share: float,
    area: Area,
    ink: Colour,
    fonts: FontLibrary,
    rng: np.random.Generator,
) -> None:
    height, width = canvas.shape[:2]
    size = share * height * float(rng.uniform(0.75, 1.1))
    text = str(rng.choice(caption.texts))
    text = text if rng.random() < 0.7 else text.upper()
    colour = ink if rng.random() < 0.5 else tuple(int(c) for c in rng.integers(0, 160, 3))
    top = caption.place == "top"
    y = area.top + 0.7 * size if top else area.bottom - 0.7 * size
    write_text(
        canvas,
        text,
        fonts,
        rng,
        width / 2,
        y,
        size * 0.85,
        (colour[0], colour[1], colour[2]),
        0.86 * width,
    )
    if top:
        area.top += 1.3 * size
    else:
        area.bottom -= 1.3 * size


def _draw_rows(
    canvas: Pixels,
    sample: Sample,
    area: Area,
    ink: Colour,
    fonts: FontLibrary,
    rng: np.random.Generator,
) -> None:
    drawing = sample.drawing
    face = fonts.choose(str(rng.choice(drawing.fonts)), sample.text, rng)
    forms = Letterforms.draw(rng, ruled=sample.ruled)
    share = (area.bottom - area.top) / len(sample.rows)
    stroke = int(rng.choice([-5, -3, 0, 0, 0, 3, 5]))
    for index, row in enumerate(sample.rows):
        top = area.top + index * share
        size = min(drawing.char_height * canvas.shape[0] / len(sample.rows), 0.92 * share)
        size *= float(rng.uniform(0.92, 1.05 if drawing.size[0] / drawing.size[1] > 2.6 else 1.2))
        main, field_tokens = _split_field(row)
        right = area.right
        if field_tokens:
            field = drawing.field or Field()
            frame = Area(area.left, top, right, top + share)
            if len(sample.rows) == 1:
                frame = Area(area.left, 0, right, canvas.shape[0])
            script = _Script(face, ink, forms)
            right = _draw_field(canvas, field_tokens, field, frame, area.top, script, fonts, rng)
        room = Area(area.left, top, right, top + share)
        stretch = drawing.stretch * float(rng.uniform(0.86, 1.14))
        script = _Script(face, ink, forms, stretch, stroke, drawing.letter_height)
        _draw_tokens(canvas, main, room, size, script, rng)


def _split_field(row: Sequence[RowToken]) -> tuple[Sequence[RowToken], Sequence[RowToken]]:
    for index, token in enumerate(row):
        if token.kind == "field":
            return row[:index], row[index + 1 :]
    return row, ()


def _draw_field(
    canvas: Pixels,
    tokens: Sequence[RowToken],
    field: Field,
    frame: Area,
    first_line: float,
    script: _Script,
    fonts: FontLibrary,
    rng: np.random.Generator,
) -> float:
    """Draw the boxed region number at the right of its row, as in Russia and Kazakhstan.

    Returns:
        Where the main text must end.
    """
    height, width = frame.bottom - frame.top, canvas.shape[1]
    left = width * (1 - field.size)
    if rng.random() < 0.8:
        ends = (round(left), round(frame.top)), (round(left), round(frame.bottom))
        cv2.line(canvas, *ends, script.ink, max(1, round(0.02 * height)))
    has_caption = bool(field.caption or field.emblem != "none")
    size = field.char_height * height
    inset = (height - size) / 2 - 0.1 * height
    top = max(first_line, frame.top) if has_caption else frame.top + inset
    bottom = top + size * 1.2 if has_caption else frame.bottom - inset
    _draw_tokens(canvas, tokens, Area(left, top, frame.right, bottom), size, script, rng)
    y = frame.top + 0.82 * height
    if field.caption:
        x = left + 0.36 * (width - left)
        write_text(canvas, field.caption, fonts, rng, x, y, 0.15 * height, script.ink)
    if field.emblem != "none":
        half = round(0.07 * height)
        x0 = round(left + 0.64 * (width - left))
        box = (x0, round(y) - half, round(x0 + 0.24 * (width - left)), round(y) + half)
        draw_flag(canvas, field.emblem, box)
    return float(left - 0.01 * width)


def _draw_tokens(
    canvas: Pixels,
    tokens: Sequence[RowToken],
    room: Area,
    size: float,
    script: _Script,
    rng: np.random.Generator,
) -> None:
    """Draw a row: glyphs, gaps and ornaments, about centred in the room and narrowed to fit it."""
    scale = size / CAP_HEIGHT
    tracking = float(rng.uniform(0.02, 0.14)) * size
    gap = float(rng.uniform(0.22, 0.5)) * size
    widths = []
    for token in tokens:
        glyph = script.face.glyph(token.char) if token.kind == "char" else None
        if glyph is not None:
            grow = scale * script.height(token.char)
            widths.append(glyph.advance * grow * script.stretch + tracking)
        else:
            widths.append(
                {"gap": gap, "dash": 0.45 * size, "dot": 0.25 * size, "emblem": 0.55 * size}.get(
                    token.kind, 0.0
                )
            )
    total = sum(widths)
    available = 0.96 * (room.right - room.left)
    squeeze = min(1.0, available / max(total, 1.0))
    if total < available and rng.random() < 0.5:
        spread = min((available - total) / max(len(tokens), 1), 0.12 * size)
        widths = [width + spread * float(rng.uniform(0, 1)) for width in widths]
        total = sum(widths)
    slack = available - total * squeeze
    x = (
        room.left
        + 0.02 * (room.right - room.left)
        + slack * float(np.clip(rng.normal(0.5, 0.08), 0, 1))
    )
    y = (room.top + room.bottom) / 2 - size / 2
    for token, width in zip(tokens, widths, strict=True):
        step = width * squeeze
        if token.kind == "char":
            grow = scale * script.height(token.char)
            _draw_glyph(canvas, script, token.char, (x, y + size), grow, squeeze)
        elif token.kind == "emblem":
            draw_seal(canvas, (x + step / 2, y + size / 2), 0.42 * min(step, size), rng)
        elif token.kind in ("dash", "dot"):
            long = 0.3 * size if token.kind == "dash" else 0.12 * size
            thick = 0.1 * size
            corner = (round(x + step / 2 - long / 2), round(y + size / 2 - thick / 2))
            cv2.rectangle(
                canvas, corner, (round(corner[0] + long), round(corner[1] + thick)), script.ink, -1
            )
        x += step


def _draw_glyph(
    canvas: Pixels,
    script: _Script,
    char: str,
    origin: tuple[float, float],
    scale: float,
    squeeze: float,
) -> None:
    """One glyph with its foot at ``origin``."""
    shown = script.forms.shown(char)
    glyph = script.face.glyph(shown) or script.face.glyph(char)
    if glyph is None:
        return
    mask = script.forms.shape(shown, glyph.mask, script.face.headroom)
    wide = scale * script.stretch * squeeze
    if script.stroke:
        padded = cv2.copyMakeBorder(mask, 0, 0, 4, 4, cv2.BORDER_CONSTANT)
        kernel = np.ones((abs(script.stroke), abs(script.stroke)), np.uint8)
        change = cv2.dilate if script.stroke > 0 else cv2.erode
        mask = np.asarray(change(padded, kernel), np.uint8)
    target = (max(1, round(mask.shape[1] * wide)), max(1, round(mask.shape[0] * scale)))
    left = origin[0] + (glyph.left - (4 if script.stroke else 0)) * wide
    top = origin[1] - (CAP_HEIGHT + script.face.headroom) * scale
    small = np.asarray(cv2.resize(mask, target, interpolation=cv2.INTER_AREA), np.uint8)
    blend(canvas, small, round(left), round(top), script.ink)


def _emboss_rim(canvas: Pixels, drawing: Drawing, ink: Colour, rng: np.random.Generator) -> None:
    height, width = canvas.shape[:2]
    if drawing.border:
        colour = parse_colour(drawing.border_colour) if drawing.border_colour else ink
        inset = round(float(rng.uniform(0.015, 0.05)) * height)
        cv2.rectangle(
            canvas,
            (inset, inset),
            (width - 1 - inset, height - 1 - inset),
            colour,
            max(1, round(float(rng.uniform(0.012, 0.035)) * height)),
            cv2.LINE_AA,
        )
