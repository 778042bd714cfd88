"""Marks drawn on pictures, and marks cut out of them."""

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
import PIL.Image
import PIL.ImageColor
import PIL.ImageDraw
import PIL.ImageFont
from numpy.typing import ArrayLike

from platemark.errors import UnreadableImage
from platemark.geometry import (
    FloatArray,
    box_to_quad,
    enlarge_quad,
    homography,
    is_convex,
    quad_to_box,
    rectified_size,
)
from platemark.imaging.image import Image, Pixels
from platemark.imaging.ink import lift_ink
from platemark.imaging.sources import open_pages
from platemark.masks import InkMask
from platemark.types import Crop, Mark, StampMark

_COLOURS = {"plate": "#00c853", "stamp": "#ff6d00"}
_SYSTEM_FONTS = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "LiberationSans-Regular.ttf",
    "Arial.ttf",
)


def rectify(
    pixels: Pixels, quad: ArrayLike, size: tuple[int, int] | None = None, margin: float = 0.0
) -> Crop:
    """Cut out a quad and turn it upright.

    What lies outside the picture repeats its edge. Where the crop is much smaller than the quad,
    the quad is first warped at a multiple of the size and then averaged, so that fine strokes stay.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        quad: (4, 2) convex corners in pixels of the picture, clockwise from the mark's top-left.
        size: Width and height of the crop in pixels; by default those of the quad.
        margin: What to take around the quad on each side, as a fraction of its width and height.

    Raises:
        ValueError: The quad is not convex and clockwise.
    """
    if not is_convex(quad):
        raise ValueError(f"only a convex, clockwise quad can be rectified, got {quad!r}")
    corners = enlarge_quad(quad, margin)
    own_width, own_height = rectified_size(corners)
    width, height = size or (own_width, own_height)
    fine_width = width * max(1, round(own_width / width))
    fine_height = height * max(1, round(own_height / height))
    x0, y0, region = _surroundings(pixels, corners)
    to_fine = homography(corners - (x0, y0), _rectangle(fine_width, fine_height))
    # OpenCV counts from the centres of pixels, the rest of the package from their corners.
    half = np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5], [0.0, 0.0, 1.0]])
    fine = cv2.warpPerspective(
        region,
        np.linalg.inv(half) @ to_fine @ half,
        (fine_width, fine_height),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    # This is a copy where there is nothing to average.
    crop = cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA)
    return Crop(np.asarray(crop, dtype=np.uint8), homography(_rectangle(width, height), corners))


def _rectangle(width: float, height: float) -> FloatArray:
    return box_to_quad((0.0, 0.0, width, height))


def _surroundings(pixels: Pixels, corners: FloatArray) -> tuple[int, int, Pixels]:
    """Return the part of a picture around a quad and where it starts.

    OpenCV does not warp pictures with a side of 32768 pixels or more.
    """
    height, width = pixels.shape[:2]
    x0, y0, x1, y1 = quad_to_box(corners)
    left, top = (int(np.clip(v - 2, 0, side - 1)) for v, side in ((x0, width), (y0, height)))
    right, bottom = max(left + 1, int(min(x1 + 3, width))), max(top + 1, int(min(y1 + 3, height)))
    return left, top, pixels[top:bottom, left:right]


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
    long_side = max(picture.size)
    line = max(2, round(long_side / 400))
    font = system_font(max(12, round(long_side / 45)))
    for mark in marks:
        colour = _COLOURS.get(mark.kind, "#2979ff")
        if isinstance(mark, StampMark):
            _draw_ink(pen, mark.mask, colour, max(1, line // 3))
        outline = [*mark.quad, mark.quad[0], mark.quad[1]]
        pen.line(outline, fill=colour, width=line, joint="curve")
    # Labels come last, so that no outline crosses a text.
    for mark in marks:
        _draw_label(pen, mark, font, picture.size, line)
    return np.array(picture)


def draw_page(file: str, page: int, marks: Sequence[Mark]) -> PIL.Image.Image:
    """Read a page of a file again and draw marks on it.

    Raises:
        UnreadableImage: It is no longer there, or has fewer pages.
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
    """Cut a mark out of its picture: a plate flattened (RGB), a stamp without its paper (RGBA)."""
    if isinstance(mark, StampMark):
        return cut_out(pixels, mark.mask)
    return PIL.Image.fromarray(rectify(pixels, mark.quad).pixels)


def _label(mark: Mark) -> str:
    if isinstance(mark, StampMark) and not mark.text:
        return f"{mark.color} {mark.shape} {mark.score:.0%}"
    return f"{mark.text or mark.kind} {mark.text_score if mark.text else mark.score:.0%}"


def _draw_label(
    pen: PIL.ImageDraw.ImageDraw,
    mark: Mark,
    font: PIL.ImageFont.FreeTypeFont | PIL.ImageFont.ImageFont,
    size: tuple[int, int],
    line: int,
) -> None:
    """Write above the mark, or below it where there is no room, within the picture."""
    text, colour = _label(mark), _COLOURS.get(mark.kind, "#2979ff")
    left, top, right, bottom = pen.textbbox((0, 0), text, font=font)
    width, height = right - left + 2 * line, bottom - top + 2 * line
    x0, y0, _, y1 = quad_to_box(mark.quad)
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
