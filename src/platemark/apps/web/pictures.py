"""Pictures within pages: nothing that is shown becomes a file that could be asked for."""

import base64
import io

import numpy as np
import PIL.Image

from platemark.geometry import FloatArray
from platemark.imaging.image import Pixels
from platemark.imaging.warp import warp
from platemark.masks import InkCrop
from platemark.types import Box, Comparison

_PAGE_SIDE, _CROP_SIDE = 1600, 420
_MARGIN, _LEAST_OVERLAY, _MOST_OVERLAY = 0.12, 480, 900


def data_url(picture: PIL.Image.Image) -> str:
    """A picture as an address that holds it: PNG where paper is transparent, else JPEG."""
    stream = io.BytesIO()
    if picture.mode == "RGBA":
        picture.save(stream, "PNG")
        kind = "png"
    else:
        picture.convert("RGB").save(stream, "JPEG", quality=85)
        kind = "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(stream.getvalue()).decode()}"


def page_url(pixels: Pixels) -> str:
    """A page (H, W, 3) uint8 RGB, made smaller where it is larger than any screen shows."""
    return data_url(shrunk(PIL.Image.fromarray(pixels), _PAGE_SIDE))


def crop_url(picture: PIL.Image.Image) -> str:
    """The crop of a mark."""
    return data_url(shrunk(picture, _CROP_SIDE))


def ink_picture(crop: InkCrop) -> PIL.Image.Image:
    """The imprint of a sample (RGBA): its own colours, opaque where there is ink."""
    return PIL.Image.fromarray(np.dstack([crop.pixels, crop.ink]))


def overlay(a: Pixels, b: Pixels, comparison: Comparison) -> tuple[str, str]:
    """The first imprint with some paper around it, and the second as it lies on the first.

    Args:
        a: The first picture, (H, W, 3) uint8 RGB.
        b: The second.
        comparison: Of the two.
    """
    left, top, right, bottom = _around(comparison.a, a.shape[1], a.shape[0])
    size = (right - left, bottom - top)
    zoom = min(max(1.0, _LEAST_OVERLAY / max(size)), _MOST_OVERLAY / max(size))
    shown = (max(1, round(size[0] * zoom)), max(1, round(size[1] * zoom)))
    to_page = np.array([[1.0 / zoom, 0.0, left], [0.0, 1.0 / zoom, top], [0.0, 0.0, 1.0]])
    return (
        data_url(PIL.Image.fromarray(_seen(a, to_page, shown))),
        data_url(PIL.Image.fromarray(_seen(b, np.array(comparison.transform) @ to_page, shown))),
    )


def _seen(pixels: Pixels, to_page: FloatArray, size: tuple[int, int]) -> Pixels:
    return warp(pixels, np.linalg.inv(to_page), size, fill=255)


def _around(box: Box, width: int, height: int) -> tuple[int, int, int, int]:
    x0, y0, x1, y1 = box
    reach = _MARGIN * max(x1 - x0, y1 - y0)
    left, top = max(0, int(x0 - reach)), max(0, int(y0 - reach))
    return left, top, min(width, round(x1 + reach) + 1), min(height, round(y1 + reach) + 1)


def shrunk(picture: PIL.Image.Image, side: int) -> PIL.Image.Image:
    """A picture whose longer side has no more pixels than told."""
    if max(picture.size) <= side:
        return picture
    smaller = picture.copy()
    smaller.thumbnail((side, side))
    return smaller
