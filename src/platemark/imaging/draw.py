"""Pictures annotated with marks, crops of marks, and two imprints laid on each other."""

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
import PIL.Image
import PIL.ImageColor
import PIL.ImageDraw
import PIL.ImageFont
from numpy.typing import NDArray

from platemark.errors import UnreadableImage
from platemark.geometry import FloatArray, apply_homography, box_to_quad, quad_to_box
from platemark.imaging.image import Image, Pixels
from platemark.imaging.ink import lift_ink
from platemark.imaging.sources import open_pages
from platemark.imaging.warp import rectify, warp
from platemark.masks import BoolMask, InkMask
from platemark.types import Mark, Quad, StampMark

_COLOURS = {"plate": "#00c853", "stamp": "#ff6d00"}
_SYSTEM_FONTS = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "LiberationSans-Regular.ttf",
    "Arial.ttf",
)


def draw_marks(pixels: Pixels, marks: Sequence[Mark]) -> Pixels:
    """Draw the corners, text and score of marks, and round the ink of stamps.

    Lines and letters grow with the picture.

    Args:
        pixels: (H, W, 3) uint8 RGB; not changed.
        marks: Marks in pixels of this picture.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    picture = PIL.Image.fromarray(pixels)
    pen = PIL.ImageDraw.Draw(picture)
    for mark in marks:
        if isinstance(mark, StampMark):
            line = max(1, _line_width(picture) // 3)
            _draw_ink(pen, mark.mask, _colour(mark.kind), line)
    draw_outlines(picture, [(mark.kind, mark.quad, _label(mark)) for mark in marks])
    return np.array(picture)


def draw_outlines(picture: PIL.Image.Image, outlines: Sequence[tuple[str, Quad, str]]) -> None:
    """Draw corners and texts onto a picture; lines and letters grow with it.

    Args:
        picture: RGB; changed.
        outlines: Kind, four corners in pixels and text, empty for none, of each mark.
    """
    pen = PIL.ImageDraw.Draw(picture)
    line, font = _line_width(picture), system_font(max(12, round(max(picture.size) / 45)))
    for kind, quad, _ in outlines:
        pen.line([*quad, quad[0], quad[1]], fill=_colour(kind), width=line, joint="curve")
    # Labels come last, so that no outline crosses a text.
    for kind, quad, text in outlines:
        if text:
            _draw_label(pen, quad, _colour(kind), text, font, picture.size, line)


def _line_width(picture: PIL.Image.Image) -> int:
    return max(2, round(max(picture.size) / 400))


def _colour(kind: str) -> str:
    return _COLOURS.get(kind, "#2979ff")


def draw_page(file: str, page: int, marks: Sequence[Mark]) -> PIL.Image.Image:
    """Read a page of a file again and draw marks on it.

    Raises:
        UnreadableImage: It is missing, or has fewer pages.
    """
    pages = open_pages(file)
    if page >= len(pages):
        raise UnreadableImage(f"{file} was changed: it has no page {page} now", source=file)
    return draw_image(pages.read(page), marks)


def draw_image(image: Image, marks: Sequence[Mark]) -> PIL.Image.Image:
    """Draw marks on an image, as a PIL picture; see `draw_marks`."""
    return PIL.Image.fromarray(draw_marks(image.pixels, marks))


def _draw_ink(pen: PIL.ImageDraw.ImageDraw, mask: InkMask, colour: str, line: int) -> None:
    """Draw a line round the ink, a little off it, so that it hides no stroke."""
    ink, left, top = mask.crop()
    reach = 2 + round(0.02 * max(ink.shape))
    wide = cv2.dilate(
        np.pad(ink.astype(np.uint8), reach + 1),
        cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1,) * 2),
    )
    contours, _ = cv2.findContours(wide, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    for contour in contours:
        points = np.add(contour.reshape(-1, 2), (left - reach - 0.5, top - reach - 0.5)).tolist()
        pen.line([(x, y) for x, y in [*points, points[0]]], fill=colour, width=line)


def cut_out(pixels: Pixels, mask: InkMask) -> PIL.Image.Image:
    """Take the ink of a stamp off its paper.

    Args:
        pixels: The page, (H, W, 3) uint8 RGB.
        mask: The ink.

    Returns:
        An RGBA picture, tight around the ink: transparent paper, and ink as opaque as it is strong.
        One transparent pixel where there is no ink.

    Raises:
        ValueError: The mask is that of a page of another size.
    """
    if mask.size != pixels.shape[:2]:
        raise ValueError(
            f"the mask is of a page of another size, {mask.size}, not {pixels.shape[:2]}"
        )
    ink, left, top = mask.crop()
    # A little of what is around shows the paper, and takes in the soft rims of strokes.
    reach = 2 + round(0.05 * max(ink.shape))
    height, width = pixels.shape[:2]
    x0, y0 = max(0, left - reach), max(0, top - reach)
    x1, y1 = min(width, left + ink.shape[1] + reach), min(height, top + ink.shape[0] + reach)
    around = np.zeros((y1 - y0, x1 - x0), dtype=bool)
    around[top - y0 :, left - x0 :][: ink.shape[0], : ink.shape[1]] = ink
    layer = PIL.Image.fromarray(lift_ink(pixels[y0:y1, x0:x1], around))
    return layer.crop(layer.getchannel("A").getbbox() or (0, 0, 1, 1))


def cut_mark(pixels: Pixels, mark: Mark) -> PIL.Image.Image:
    """Cut a mark out of its picture: a plate rectified (RGB), a stamp without its paper (RGBA)."""
    if isinstance(mark, StampMark):
        return cut_out(pixels, mark.mask)
    return PIL.Image.fromarray(rectify(pixels, mark.quad).pixels)


def _label(mark: Mark) -> str:
    """The text of a mark, or colour and shape of a stamp, and the score; empty for an illegible
    plate.
    """
    if mark.text:
        return f"{mark.text} {mark.text_score:.0%}"
    return f"{mark.color} {mark.shape} {mark.score:.0%}" if isinstance(mark, StampMark) else ""


def _draw_label(
    pen: PIL.ImageDraw.ImageDraw,
    quad: Quad,
    colour: str,
    text: str,
    font: PIL.ImageFont.FreeTypeFont | PIL.ImageFont.ImageFont,
    size: tuple[int, int],
    line: int,
) -> None:
    """Write above the mark, or below it where there is no room, within the picture."""
    left, top, right, bottom = pen.textbbox((0, 0), text, font=font)
    width, height = right - left + 2 * line, bottom - top + 2 * line
    x0, y0, _, y1 = quad_to_box(quad)
    y = y0 - height - line if y0 >= height + line else y1 + line
    x, y = (max(0.0, min(v, s - w)) for v, s, w in ((x0, size[0], width), (y, size[1], height)))
    pen.rectangle((x, y, x + width, y + height), fill=colour)
    red, green, blue = PIL.ImageColor.getrgb(colour)[:3]
    ink = "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 110 else "white"
    pen.text((x + line - left, y + line - top), text, fill=ink, font=font)


@lru_cache(maxsize=16)
def system_font(size: int) -> PIL.ImageFont.FreeTypeFont | PIL.ImageFont.ImageFont:
    """Return a font of the system, which knows most scripts, or else the Latin one of Pillow."""
    for name in _SYSTEM_FONTS:
        try:
            return PIL.ImageFont.truetype(name, size)
        except OSError:
            continue
    return PIL.ImageFont.load_default(size)


_PANEL = 480
_GAP = 16
_BAND = 40
# Colours that also the colour-blind tell apart (Okabe and Ito 2008).
_ONLY_A, _ONLY_B, _BOTH, _RING = "#0072b2", "#e69f00", "#3c3c3c", "#c2006b"


def draw_difference(
    a: BoolMask, b: BoolMask, transform: FloatArray, regions: FloatArray, caption: str
) -> PIL.Image.Image:
    """Draw two imprints, one laid on the other.

    From left to right: the first, the second as it lies on the first, and both, in two colours and
    a third where they meet, with rings around what disagrees. A legend tells the colours.

    Args:
        a: (h, w) bool, the ink of the first.
        b: (h', w') bool, the ink of the second.
        transform: (3, 3) homography from pixels of the first to pixels of the second.
        regions: (N, 4) boxes in pixels of the first where they disagree.
        caption: What is said of them.

    Returns:
        An RGB picture.
    """
    first, second, _ = _laid(a, b, transform)
    nothing = np.zeros_like(first)
    panels = [
        PIL.Image.fromarray(_two_inks(first, nothing)),
        PIL.Image.fromarray(_two_inks(nothing, second)),
        draw_overlay(a, b, transform, regions),
    ]
    height, width = first.shape
    size = (3 * width + 4 * _GAP, height + 2 * _BAND + 2 * _GAP)
    picture = PIL.Image.new("RGB", size, "white")
    pen, font = PIL.ImageDraw.Draw(picture), system_font(18)
    for number, panel in enumerate(panels):
        corner = (_GAP + number * (width + _GAP), _BAND + _GAP)
        picture.paste(panel, corner)
        pen.rectangle(
            (*(side - 1 for side in corner), corner[0] + width, corner[1] + height),
            outline="#d0d0d0",
        )
    pen.text((_GAP, _BAND / 2 + 4), caption, fill="black", font=font, anchor="lm")
    _draw_legend(pen, (_GAP, size[1] - _BAND / 2), bool(len(regions)))
    return picture


def draw_overlay(
    a: BoolMask, b: BoolMask, transform: FloatArray, regions: FloatArray
) -> PIL.Image.Image:
    """Draw one imprint laid on the other, with a numbered ring around each place that disagrees.

    Args:
        a: (h, w) bool, the ink of the first.
        b: (h', w') bool, the ink of the second.
        transform: (3, 3) homography from pixels of the first to pixels of the second.
        regions: (N, 4) boxes in pixels of the first where they disagree.

    Returns:
        An RGB picture in the two colours of the inks and a third where they meet.
    """
    first, second, to_panel = _laid(a, b, transform)
    picture = PIL.Image.fromarray(_two_inks(first, second))
    pen = PIL.ImageDraw.Draw(picture)
    for number, box in enumerate(regions, 1):
        ringed = quad_to_box(apply_homography(to_panel, box_to_quad(box)))
        _draw_ring(pen, ringed, picture.size, str(number))
    return picture


def _laid(
    a: BoolMask, b: BoolMask, transform: FloatArray
) -> tuple[NDArray[np.float32], NDArray[np.float32], FloatArray]:
    """Ink of both on panels of one size, and the homography (3, 3) from the first to its panel."""
    to_panel, width, height = _panel(a)
    second = _inked(b, to_panel @ np.linalg.inv(transform), width, height)
    return _inked(a, to_panel, width, height), second, to_panel


def _panel(ink: BoolMask) -> tuple[FloatArray, int, int]:
    """Homography (3, 3) from an imprint to a panel that shows it with a margin; its size."""
    height, width = ink.shape
    zoom = _PANEL / (1.2 * max(width, height))
    margin = 0.1 * max(width, height)
    shift = zoom * margin
    matrix = np.array([[zoom, 0.0, shift], [0.0, zoom, shift], [0.0, 0.0, 1.0]])
    return matrix, round(zoom * (width + 2 * margin)), round(zoom * (height + 2 * margin))


def _inked(ink: BoolMask, matrix: FloatArray, width: int, height: int) -> NDArray[np.float32]:
    """How much of each pixel (height, width) of a panel is ink, 0..1."""
    fine = 2
    to_fine = np.diag([fine, fine, 1.0]) @ matrix
    seen = warp(ink.astype(np.float32), to_fine, (fine * width, fine * height))
    return np.asarray(cv2.resize(seen, (width, height), interpolation=cv2.INTER_AREA), np.float32)


def _two_inks(a: NDArray[np.float32], b: NDArray[np.float32]) -> Pixels:
    """Paper (H, W, 3) with two inks, in a third colour where both are."""
    both = np.minimum(a, b)
    picture = np.full((*a.shape, 3), 255.0, dtype=np.float32)
    for share, colour in ((a - both, _ONLY_A), (b - both, _ONLY_B), (both, _BOTH)):
        ink = np.array(PIL.ImageColor.getrgb(colour)[:3], dtype=np.float32)
        picture += share[..., None] * (ink - 255.0)
    return np.rint(picture).clip(0, 255).astype(np.uint8)


def _draw_ring(
    pen: PIL.ImageDraw.ImageDraw, box: FloatArray, size: tuple[int, int], number: str
) -> None:
    """A ring around a box, a little off it, with a light rim so that it stands out of the ink."""
    x, y = (box[:2] + box[2:]) / 2.0
    # The ellipse through the corners of a box is wider than the box by the root of two.
    wide, high = np.maximum((box[2:] - box[:2]) * 0.71 + 6.0, 14.0)
    x0, y0, x1, y1 = (
        max(0, x - wide),
        max(0, y - high),
        min(size[0], x + wide),
        min(size[1], y + high),
    )
    if x1 - x0 > 4 and y1 - y0 > 4:
        pen.ellipse((x0 - 2, y0 - 2, x1 + 2, y1 + 2), outline="white", width=7)
        pen.ellipse((x0, y0, x1, y1), outline=_RING, width=3)
        place, font = (min(x1, size[0] - 20), max(y0, 9)), system_font(18)
        pen.text(place, number, _RING, font, "lm", stroke_width=3, stroke_fill="white")


def _draw_legend(pen: PIL.ImageDraw.ImageDraw, place: tuple[float, float], ringed: bool) -> None:
    font = system_font(16)
    x, y = place
    signs = [(_ONLY_A, "only in A"), (_ONLY_B, "only in B"), (_BOTH, "in both")]
    for colour, text in [*signs, (_RING, "they disagree")] if ringed else signs:
        if colour == _RING:
            pen.ellipse((x, y - 8, x + 16, y + 8), outline=colour, width=3)
        else:
            pen.rectangle((x, y - 8, x + 16, y + 8), fill=colour)
        pen.text((x + 24, y), text, fill="black", font=font, anchor="lm")
        x += 24 + pen.textlength(text, font=font) + 28
