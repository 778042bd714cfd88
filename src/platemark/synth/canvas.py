"""Colours on a canvas: ink blended through a mask, and flags."""

from dataclasses import dataclass

import numpy as np

from platemark.errors import FormatError
from platemark.imaging.image import Pixels

Colour = tuple[int, int, int]


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


def parse_colour(code: str) -> Colour:
    """``#rrggbb`` as an RGB triple."""
    value = int(code.lstrip("#"), 16)
    return value >> 16 & 255, value >> 8 & 255, value & 255


def blend(canvas: Pixels, mask: Pixels, x: int, y: int, colour: Colour) -> None:
    """Lay ``colour`` on the canvas through ``mask``, whose top-left is at (x, y); clipped."""
    x0, y0 = max(x, 0), max(y, 0)
    x1, y1 = min(x + mask.shape[1], canvas.shape[1]), min(y + mask.shape[0], canvas.shape[0])
    if x1 <= x0 or y1 <= y0:
        return
    cover = mask[y0 - y : y1 - y, x0 - x : x1 - x, None].astype(np.float32) / 255
    patch = canvas[y0:y1, x0:x1]
    patch[:] = (patch * (1 - cover) + np.array(colour, np.float32) * cover + 0.5).astype(np.uint8)


def draw_flag(canvas: Pixels, emblem: str, box: tuple[int, int, int, int]) -> None:
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
