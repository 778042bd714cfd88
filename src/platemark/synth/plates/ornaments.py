"""What plates carry besides their text: bands, flags, seals, stickers, screws, printed scenery."""

import cv2
import numpy as np

from platemark.imaging.image import Pixels
from platemark.plates.formats import Band
from platemark.synth.canvas import draw_flag, parse_colour
from platemark.synth.plates.lettering import Area, write_text
from platemark.synth.plates.typefaces import FontLibrary


def draw_scenery(canvas: Pixels, rng: np.random.Generator) -> None:
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


def draw_band(
    canvas: Pixels, band: Band, area: Area, fonts: FontLibrary, rng: np.random.Generator
) -> None:
    """Paint a coloured strip along a side, with its emblem and text, and take its room away."""
    height, width = canvas.shape[:2]
    if band.side == "top":
        thickness = round(height * (band.size or 0.2))
        area.top = max(area.top, thickness)
        _draw_top_band(canvas[:thickness], band, fonts, rng)
        return
    thickness = round(width * (band.size or min(0.085, 0.42 * height / width)))
    if band.side == "left":
        area.left = max(area.left, thickness)
        _draw_side_band(canvas[:, :thickness], band, fonts, rng)
    else:
        area.right = min(area.right, width - thickness)
        _draw_side_band(canvas[:, width - thickness :], band, fonts, rng)


def _draw_top_band(strip: Pixels, band: Band, fonts: FontLibrary, rng: np.random.Generator) -> None:
    strip[:] = parse_colour(band.colour)
    height, width = strip.shape[:2]
    middle = (width / 2, height / 2)
    write_text(strip, band.text, fonts, rng, *middle, 0.6 * height, (245, 245, 245))
    if band.emblem != "none":
        draw_flag(strip, band.emblem, (width - int(1.6 * height), 3, width - 6, height - 3))


def _draw_side_band(
    strip: Pixels, band: Band, fonts: FontLibrary, rng: np.random.Generator
) -> None:
    colour = parse_colour(band.colour)
    strip[:] = colour
    height, width = strip.shape[:2]
    _emblem(strip, band.emblem, (3, round(0.1 * height), width - 3, round(0.5 * height)))
    if band.text:
        size = min(0.26 * height, 1.15 * width / len(band.text))
        ink = (20, 20, 20) if sum(colour) > 450 else (245, 245, 245)
        spot = (width / 2, 0.76 * height)
        write_text(strip, band.text, fonts, rng, *spot, size, ink, 0.8 * width)


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
        draw_flag(canvas, emblem, (x0, middle - half, x1, middle + half))


def draw_seal(
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


def draw_stickers(canvas: Pixels, rng: np.random.Generator, fonts: FontLibrary) -> None:
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


def draw_bolts(canvas: Pixels, rng: np.random.Generator) -> None:
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
