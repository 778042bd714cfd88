"""A plate as it leaves the press: a flat, clean picture of one sample of a plate format.

Ground, bands with flags or stars, text rows with their gaps, seals and dashes, the region field,
captions, stickers, screws and the rim. What happens to it on the road and in the camera is in
:mod:`platemark.synth.scene`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from platemark.errors import FormatError
from platemark.imaging.image import Pixels
from platemark.plates.formats import Band, Caption, Drawing, Field, RowToken, Sample
from platemark.synth.typefaces import CAP_HEIGHT, FontLibrary, Typeface

Colour = tuple[int, int, int]

_ROW_PIXELS = 72


@dataclass(frozen=True)
class _Flag:
    """A flag as it shows at a few pixels: stripes, from the left if upright, else from the top.

    A cross lies over the stripes, its colours from the outer edge to the middle.
    """

    stripes: tuple[str, ...]
    upright: bool = False
    cross: tuple[str, ...] = ()


_FLAGS = {
    "am": _Flag(("#d90012", "#0033a0", "#f2a800")),
    "ar": _Flag(("#74acdf", "#ffffff", "#74acdf")),
    "bg": _Flag(("#ffffff", "#00966e", "#d62612")),
    "br": _Flag(("#009739", "#fedd00", "#009739")),
    "by": _Flag(("#c8313e", "#c8313e", "#4aa657")),
    "ee": _Flag(("#0072ce", "#000000", "#ffffff")),
    "gb": _Flag(("#012169",), cross=("#ffffff", "#c8102e")),
    "ge": _Flag(("#ffffff",), cross=("#ff0000",)),
    "hu": _Flag(("#cd2a3e", "#ffffff", "#436f4d")),
    "kg": _Flag(("#e8112d", "#ffef00", "#e8112d")),
    "kz": _Flag(("#00afca", "#fec50c", "#00afca")),
    "lt": _Flag(("#fdb913", "#006a44", "#c1272d")),
    "lv": _Flag(("#9e3039", "#9e3039", "#ffffff", "#9e3039", "#9e3039")),
    "md": _Flag(("#0046ae", "#ffd200", "#cc092f"), upright=True),
    "no": _Flag(("#ba0c2f",), cross=("#ffffff", "#00205b")),
    "pl": _Flag(("#ffffff", "#dc143c")),
    "ro": _Flag(("#002b7f", "#fcd116", "#ce1126"), upright=True),
    "ru": _Flag(("#ffffff", "#0039a6", "#d52b1e")),
    "sk": _Flag(("#ffffff", "#0b4ea2", "#ee1c25")),
    "ua": _Flag(("#0057b7", "#ffd700")),
    "uz": _Flag(("#0099b5", "#ffffff", "#1eb53a")),
}


@dataclass(frozen=True)
class Texture:
    """A flat plate.

    Attributes:
        pixels: (H, W, 3) uint8 RGB.
        alpha: (H, W) uint8, 0 outside the rounded corners.
        text: what it says: letters and digits, rows from top to bottom.
        rows: number of text rows.
        format_code: the plate format it was drawn from.
    """

    pixels: Pixels
    alpha: Pixels
    text: str
    rows: int
    format_code: str


@dataclass
class _Area:
    """The part of the plate still free for text, in texture pixels."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True)
class _Script:
    """How a row is lettered: typeface, ink, width of glyphs, weight of strokes, lower letters."""

    face: Typeface
    ink: Colour
    stretch: float = 1.0
    stroke: int = 0
    letter_height: float = 1.0

    def height(self, char: str) -> float:
        """Height of a character as a fraction of that of a digit."""
        return self.letter_height if char.isalpha() else 1.0


def parse_colour(code: str) -> Colour:
    """``#rrggbb`` as an RGB triple."""
    value = int(code.lstrip("#"), 16)
    return value >> 16 & 255, value >> 8 & 255, value & 255


def draw_plate(sample: Sample, fonts: FontLibrary, rng: np.random.Generator) -> Texture:
    """Draw one sample of a plate format as a flat texture.

    Args:
        sample: the text and look, from :meth:`platemark.plates.formats.PlateFormat.sample`.
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
    area = _Area(0.02 * width, 0.04 * height, 0.98 * width, 0.96 * height)
    if drawing.stickers > 0 and drawing.size[0] / drawing.size[1] < 2.6:
        _artwork(canvas, rng)
    for band in drawing.bands:
        _draw_band(canvas, band, area, fonts, rng)
    for caption in drawing.captions:
        _draw_caption(canvas, caption, area, ink, fonts, rng)
    _draw_rows(canvas, sample, area, ink, fonts, rng)
    _emboss_rim(canvas, drawing, ink, rng)
    if rng.random() < drawing.stickers:
        _draw_stickers(canvas, rng, fonts)
    if rng.random() < drawing.bolts:
        _draw_bolts(canvas, rng)
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


def _blend(canvas: Pixels, mask: Pixels, x: int, y: int, colour: Colour) -> None:
    """Lay ``colour`` on the canvas through ``mask``, whose top-left is at (x, y); clipped."""
    x0, y0 = max(x, 0), max(y, 0)
    x1, y1 = min(x + mask.shape[1], canvas.shape[1]), min(y + mask.shape[0], canvas.shape[0])
    if x1 <= x0 or y1 <= y0:
        return
    cover = mask[y0 - y : y1 - y, x0 - x : x1 - x, None].astype(np.float32) / 255
    patch = canvas[y0:y1, x0:x1]
    patch[:] = (patch * (1 - cover) + np.array(colour, np.float32) * cover + 0.5).astype(np.uint8)


def _artwork(canvas: Pixels, rng: np.random.Generator) -> None:
    """Draw scenery behind the text, as on many plates of the United States: hills, suns, washes."""
    if rng.random() < 0.45:
        return
    height, width = canvas.shape[:2]
    layer = canvas.copy()
    for _ in range(int(rng.integers(1, 5))):
        colour = tuple(int(c) for c in rng.integers(40, 255, 3))
        if rng.random() < 0.5:
            base = int(rng.uniform(0.3, 1.0) * height)
            xs = np.linspace(0, width, 9)
            ys = base - rng.uniform(0, 0.45) * height * rng.random(9)
            hill = [*np.stack([xs, ys], 1).tolist(), [width, height], [0, height]]
            cv2.fillPoly(layer, [np.array(hill, np.int32)], colour, cv2.LINE_AA)
        else:
            centre = (int(rng.uniform(0, width)), int(rng.uniform(0, height)))
            axes = (
                int(rng.uniform(0.05, 0.3) * width),
                int(rng.uniform(0.05, 0.4) * height),
            )
            cv2.ellipse(layer, centre, axes, rng.uniform(0, 180), 0, 360, colour, -1, cv2.LINE_AA)
    strength = float(rng.uniform(0.08, 0.6))
    canvas[:] = cv2.addWeighted(
        cv2.GaussianBlur(layer, (0, 0), rng.uniform(0.5, 6)), strength, canvas, 1 - strength, 0
    )


def _draw_band(
    canvas: Pixels, band: Band, area: _Area, fonts: FontLibrary, rng: np.random.Generator
) -> None:
    height, width = canvas.shape[:2]
    colour = parse_colour(band.colour)
    if band.side == "top":
        thickness = round(height * (band.size or 0.2))
        box = (0, 0, width, thickness)
        area.top = max(area.top, thickness)
    else:
        thickness = round(width * (band.size or min(0.085, 0.42 * height / width)))
        box = (
            (0, 0, thickness, height)
            if band.side == "left"
            else (width - thickness, 0, width, height)
        )
        if band.side == "left":
            area.left = max(area.left, thickness)
        else:
            area.right = min(area.right, width - thickness)
    x0, y0, x1, y1 = box
    canvas[y0:y1, x0:x1] = colour
    light = sum(colour) > 450
    if band.side == "top":
        write_text(
            canvas,
            band.text,
            fonts,
            rng,
            (x0 + x1) / 2,
            (y0 + y1) / 2,
            0.6 * thickness,
            (245, 245, 245),
        )
        if band.emblem != "none":
            box = (x1 - int(1.6 * thickness), y0 + 3, x1 - 6, y1 - 3)
            _draw_flag(canvas, band.emblem, box)
        return
    emblem_box = (x0 + 3, y0 + round(0.1 * height), x1 - 3, y0 + round(0.5 * height))
    _emblem(canvas, band.emblem, emblem_box)
    if band.text:
        size = min(0.26 * height, 1.15 * (x1 - x0) / max(len(band.text), 1))
        text_colour = (20, 20, 20) if light else (245, 245, 245)
        write_text(
            canvas,
            band.text,
            fonts,
            rng,
            (x0 + x1) / 2,
            y0 + 0.76 * height,
            size,
            text_colour,
            0.8 * (x1 - x0),
        )


def _emblem(canvas: Pixels, emblem: str, box: tuple[int, int, int, int]) -> None:
    """Draw the stars of the European Union, or a flag in the middle of the box."""
    x0, y0, x1, y1 = box
    if emblem == "stars":
        centre = ((x0 + x1) / 2, (y0 + y1) / 2)
        radius = 0.42 * min(x1 - x0, y1 - y0)
        for angle in np.arange(12) * np.pi / 6:
            star = (
                round(centre[0] + radius * np.cos(angle)),
                round(centre[1] + radius * np.sin(angle)),
            )
            cv2.circle(canvas, star, max(1, round(radius * 0.14)), (250, 215, 40), -1, cv2.LINE_AA)
    elif emblem != "none":
        middle = (y0 + y1) // 2
        half = max(3, round((x1 - x0) * 0.36))
        _draw_flag(canvas, emblem, (x0, middle - half, x1, middle + half))


def _draw_flag(canvas: Pixels, emblem: str, box: tuple[int, int, int, int]) -> None:
    """Fill the box with the flag that an emblem ``flag:xx`` names.

    Raises:
        FormatError: There is no such emblem.
    """
    flag = _FLAGS.get(emblem.removeprefix("flag:")) if emblem.startswith("flag:") else None
    if flag is None:
        known = ", ".join(["none", "stars", *(f"flag:{country}" for country in _FLAGS)])
        raise FormatError(f"there is no emblem {emblem!r}, only {known}", key="emblem")
    x0, y0, x1, y1 = max(box[0], 0), max(box[1], 0), box[2], box[3]
    face = canvas[y0:y1, x0:x1]
    lined = face.transpose(1, 0, 2) if flag.upright else face
    edges = np.linspace(0, len(lined), len(flag.stripes) + 1).round().astype(int)
    for stripe, start, stop in zip(flag.stripes, edges[:-1], edges[1:], strict=True):
        lined[start:stop] = parse_colour(stripe)
    middle = np.array(face.shape[:2]) / 2
    for index, colour in enumerate(flag.cross):
        half = 0.2 * len(face) / (index + 1)
        (top, left), (bottom, right) = np.round([middle - half, middle + half]).astype(int)
        face[top : max(bottom, top + 1)] = parse_colour(colour)
        face[:, left : max(right, left + 1)] = parse_colour(colour)


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
    _blend(canvas, mask, round(x - target[0] / 2), round(top), colour)


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


def _draw_caption(
    canvas: Pixels,
    caption: Caption,
    area: _Area,
    ink: Colour,
    fonts: FontLibrary,
    rng: np.random.Generator,
) -> None:
    height, width = canvas.shape[:2]
    size = caption.height * height * float(rng.uniform(0.75, 1.1))
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
    area: _Area,
    ink: Colour,
    fonts: FontLibrary,
    rng: np.random.Generator,
) -> None:
    drawing = sample.drawing
    face = fonts.choose(str(rng.choice(drawing.fonts)), sample.text, rng)
    share = (area.bottom - area.top) / len(sample.rows)
    stroke = int(rng.choice([-3, 0, 0, 0, 3]))
    for index, row in enumerate(sample.rows):
        top = area.top + index * share
        size = min(drawing.char_height * canvas.shape[0] / len(sample.rows), 0.92 * share)
        size *= float(rng.uniform(0.92, 1.05 if drawing.size[0] / drawing.size[1] > 2.6 else 1.2))
        main, field_tokens = _split_field(row)
        right = area.right
        if field_tokens:
            look = drawing.field or Field()
            frame = _Area(area.left, top, right, top + share)
            if len(sample.rows) == 1:
                frame = _Area(area.left, 0, right, canvas.shape[0])
            script = _Script(face, ink)
            right = _draw_field(canvas, field_tokens, look, frame, area.top, script, fonts, rng)
        room = _Area(area.left, top, right, top + share)
        stretch = drawing.stretch * float(rng.uniform(0.92, 1.08))
        script = _Script(face, ink, stretch, stroke, drawing.letter_height)
        _draw_tokens(canvas, main, room, size, script, rng)


def _split_field(row: Sequence[RowToken]) -> tuple[Sequence[RowToken], Sequence[RowToken]]:
    for index, token in enumerate(row):
        if token.kind == "field":
            return row[:index], row[index + 1 :]
    return row, ()


def _draw_field(
    canvas: Pixels,
    tokens: Sequence[RowToken],
    look: Field,
    frame: _Area,
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
    left = width * (1 - look.size)
    if rng.random() < 0.8:
        ends = (round(left), round(frame.top)), (round(left), round(frame.bottom))
        cv2.line(canvas, *ends, script.ink, max(1, round(0.02 * height)))
    has_caption = bool(look.caption or look.emblem != "none")
    size = look.char_height * height
    inset = (height - size) / 2 - 0.1 * height
    top = max(first_line, frame.top) if has_caption else frame.top + inset
    bottom = top + size * 1.2 if has_caption else frame.bottom - inset
    _draw_tokens(canvas, tokens, _Area(left, top, frame.right, bottom), size, script, rng)
    y = frame.top + 0.82 * height
    if look.caption:
        x = left + 0.36 * (width - left)
        write_text(canvas, look.caption, fonts, rng, x, y, 0.15 * height, script.ink)
    if look.emblem != "none":
        half = round(0.07 * height)
        x0 = round(left + 0.64 * (width - left))
        box = (x0, round(y) - half, round(x0 + 0.24 * (width - left)), round(y) + half)
        _draw_flag(canvas, look.emblem, box)
    return float(left - 0.01 * width)


def _draw_tokens(
    canvas: Pixels,
    tokens: Sequence[RowToken],
    room: _Area,
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
            _draw_seal(canvas, (x + step / 2, y + size / 2), 0.42 * min(step, size), rng)
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
    glyph = script.face.glyph(char)
    if glyph is None:
        return
    mask, wide = glyph.mask, scale * script.stretch * squeeze
    if script.stroke:
        padded = cv2.copyMakeBorder(mask, 0, 0, 4, 4, cv2.BORDER_CONSTANT)
        kernel = np.ones((abs(script.stroke), abs(script.stroke)), np.uint8)
        change = cv2.dilate if script.stroke > 0 else cv2.erode
        mask = np.asarray(change(padded, kernel), np.uint8)
    target = (max(1, round(mask.shape[1] * wide)), max(1, round(mask.shape[0] * scale)))
    left = origin[0] + (glyph.left - (4 if script.stroke else 0)) * wide
    top = origin[1] - (CAP_HEIGHT + script.face.headroom) * scale
    small = np.asarray(cv2.resize(mask, target, interpolation=cv2.INTER_AREA), np.uint8)
    _blend(canvas, small, round(left), round(top), script.ink)


def _draw_seal(
    canvas: Pixels, centre: tuple[float, float], radius: float, rng: np.random.Generator
) -> None:
    """Draw a seal, coat of arms or inspection disc: small coloured marks between the groups."""
    x, y = centre
    count = int(rng.integers(1, 3))
    for index in range(count):
        offset = 0.0 if count == 1 else (index - 0.5) * 2.1 * radius
        radius_here = radius * float(rng.uniform(0.7, 1.05))
        spot = (round(x), round(y + offset))
        colour = tuple(int(c) for c in rng.integers(30, 255, 3))
        if rng.random() < 0.65:
            cv2.circle(canvas, spot, max(2, round(radius_here)), colour, -1, cv2.LINE_AA)
        else:
            half = round(radius_here * 0.85)
            tip = np.array(
                [
                    [spot[0] - half, spot[1] - half],
                    [spot[0] + half, spot[1] - half],
                    [spot[0] + half, spot[1] + half // 3],
                    [spot[0], spot[1] + round(1.3 * half)],
                    [spot[0] - half, spot[1] + half // 3],
                ]
            )
            cv2.fillPoly(canvas, [tip], colour, cv2.LINE_AA)
        for _ in range(int(rng.integers(0, 5))):
            detail = tuple(int(c) for c in rng.integers(0, 255, 3))
            point = (
                spot[0] + rng.normal(0, radius_here / 3, 2)[0],
                spot[1] + rng.normal(0, radius_here / 3),
            )
            cv2.circle(
                canvas,
                (round(point[0]), round(point[1])),
                max(1, round(radius_here * 0.2)),
                detail,
                -1,
                cv2.LINE_AA,
            )


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


def _draw_stickers(canvas: Pixels, rng: np.random.Generator, fonts: FontLibrary) -> None:
    """Validation stickers in the corners or on the rim, with a month or a year on them."""
    height, width = canvas.shape[:2]
    for _ in range(int(rng.integers(1, 4))):
        w, h = (
            round(width * float(rng.uniform(0.08, 0.16))),
            round(height * float(rng.uniform(0.12, 0.22))),
        )
        x = 3 if rng.random() < 0.5 else width - w - 3
        y = 3 if rng.random() < 0.55 else height - h - 3
        x += int(rng.integers(0, max(1, width // 20))) * (1 if x < width / 2 else -1)
        colour = tuple(int(c) for c in rng.integers(60, 255, 3))
        cv2.rectangle(canvas, (x, y), (x + w, y + h), colour, -1)
        text = str(rng.choice(["JAN", "MAR", "DEC", "10-12", "07", "2009", "13", "5", "06 14"]))
        dark = sum(colour) > 380
        write_text(
            canvas,
            text,
            fonts,
            rng,
            x + w / 2,
            y + h / 2,
            0.55 * h,
            (15, 15, 15) if dark else (240, 240, 240),
            0.85 * w,
        )


def _draw_bolts(canvas: Pixels, rng: np.random.Generator) -> None:
    height, width = canvas.shape[:2]
    radius = max(2, round(0.035 * height * float(rng.uniform(0.8, 1.6))))
    y = round(height * float(rng.choice([0.1, 0.5, 0.9, 0.88])))
    spread = float(rng.uniform(0.12, 0.42))
    for side in (-1, 1):
        centre = (round(width / 2 + side * spread * width), y)
        shade = int(rng.integers(30, 230))
        cv2.circle(canvas, centre, radius, (shade, shade, shade), -1, cv2.LINE_AA)
        cv2.circle(
            canvas,
            (centre[0] + 1, centre[1] + 1),
            max(1, radius // 2),
            (shade // 2,) * 3,
            1,
            cv2.LINE_AA,
        )
