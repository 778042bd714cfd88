"""One picture of a mark: where the mark is in it, and its cut-out without the paper."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from platemark.errors import InputError, NoStampFound, SeveralStamps
from platemark.geometry import is_convex
from platemark.imaging.image import Image, Pixels, read_alpha
from platemark.imaging.warp import rectified
from platemark.masks import SoftMask
from platemark.stamps.pipeline import StampPipeline
from platemark.types import Box, Detection, StampMark
from platemark.usecases.enrol import differ

# Smaller marks (longer side in pixels) show nothing that tells them from others.
_LEAST_SIDE = 48.0
# Grey levels between what is seen of a mark and what is about it.
_LEAST_CONTRAST = 18.0
# Paper is light and even: its median grey level, and the median deviation from that.
_LIGHT, _EVEN = 150.0, 12.0
# Colours of one paper, and the channels of one, differ no more (grey levels).
_TINTED = 45.0
# An opaque picture with transparent surroundings fills so much of its outline; ink does not.
_FILLED = 0.75
# A mark turned by more than this (degrees) is turned upright, with so much room about it.
_TURNED, _ROOM = 3.0, 0.06


@dataclass(frozen=True, eq=False)
class Reference:
    """A mark as its picture shows it, upright where that is known.

    Attributes:
        name: What it is called.
        source: Where the picture is from.
        pixels: (h, w, 3) uint8 RGB, the mark with a little of what is about it.
        box: Where the mark is in these pixels.
        ink: (h, w) uint8, 255 where the segmenter finds ink with high confidence.
        alpha: (h, w) uint8, how opaque it is; None for ink, which lets the paper through.
    """

    name: str
    source: str
    pixels: Pixels
    box: Box
    ink: NDArray[np.uint8]
    alpha: NDArray[np.uint8] | None


def read_reference(
    pipeline: StampPipeline, path: Path, box: Box | None = None, *, name: str | None = None
) -> Reference:
    """Find the mark of a picture and cut it out.

    A stamp is found by the pipeline; a picture in which none is found is taken as a whole, and one
    with transparent parts as it is. What does not lie on white paper is something opaque, such as a
    label.

    Args:
        pipeline: Finds stamps and their ink.
        path: The picture.
        box: Where the mark is in it; None to detect it.
        name: What it is called; by default as the file.

    Raises:
        UnreadableImage: The picture cannot be read.
        SeveralStamps: It shows different stamps; the message has their boxes.
        NoStampFound: It shows next to nothing.
        InputError: The mark is too small, or the box is not within the picture.
    """
    image, alpha = Image.read(path), read_alpha(path)
    if box is None:
        box = _find(pipeline, image) if alpha is None else _opaque(alpha, image.source)
    box = _checked(image, box)
    if alpha is None and not _on_paper(image, box):
        alpha = _rectangle(image, box)
    elif alpha is not None and not _is_filled(alpha):
        alpha = None
    if alpha is None:
        image, box = _upright(pipeline, image, box)
    image, alpha, box = _cropped(image, alpha, box)
    (mask,) = pipeline.segmenter(image, [box])
    return Reference(name or path.stem, image.source, image.pixels, box, _whole(mask, image), alpha)


def _find(pipeline: StampPipeline, image: Image) -> Box:
    """The box of the one stamp of a picture; where none is found, of all that is not blank."""
    found: Sequence[StampMark] = pipeline.marks(image)
    if not found:
        return _content(image)
    if differ(pipeline, found):
        places = "; ".join(",".join(f"{value:.0f}" for value in mark.box) for mark in found)
        raise SeveralStamps(
            f"{image.source} shows different stamps; say which is meant with a box, one of: "
            f"{places}",
            source=image.source,
        )
    return found[0].box


def _content(image: Image) -> Box:
    """The box of all that differs from the paper at the edge of a picture; the whole without paper.

    Raises:
        NoStampFound: Nothing differs.
    """
    pixels = image.pixels.astype(np.int16)
    rim = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    colour = np.median(rim, axis=0)
    differs = (np.abs(pixels - colour).max(axis=2) > _LEAST_CONTRAST).astype(np.uint8)
    differs = np.asarray(cv2.morphologyEx(differs, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8)))
    rows, columns = np.flatnonzero(differs.any(axis=1)), np.flatnonzero(differs.any(axis=0))
    if not len(rows):
        raise NoStampFound(
            f"{image.source} shows nothing: all of it has about one colour; give a picture in "
            "which the mark is darker or lighter than what is about it",
            source=image.source,
        )
    even = float(np.median(np.abs(rim - colour))) <= _EVEN
    if not even or colour.mean() < _LIGHT or np.ptp(colour) > _TINTED:
        return (0.0, 0.0, float(image.width), float(image.height))
    return (float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))


def _checked(image: Image, box: Box) -> Box:
    """A box as far as the picture goes.

    Raises:
        InputError: It is not within the picture, or the mark is too small.
        NoStampFound: There is no contrast.
    """
    x0, y0, x1, y1 = box
    inside = (max(x0, 0.0), max(y0, 0.0), min(x1, float(image.width)), min(y1, float(image.height)))
    width, height = inside[2] - inside[0], inside[3] - inside[1]
    if width < 1 or height < 1:
        raise InputError(
            f"the box {box} is not on {image.source}, which has {image.width}x{image.height} "
            "pixels",
            source=image.source,
        )
    if max(width, height) < _LEAST_SIDE:
        raise InputError(
            f"the mark in {image.source} has {width:.0f}x{height:.0f} pixels, and at least "
            f"{_LEAST_SIDE:.0f} are needed on its longer side; give a larger picture",
            source=image.source,
        )
    left, top, right, bottom = (round(value) for value in inside)
    grey = cv2.cvtColor(image.pixels[top:bottom, left:right], cv2.COLOR_RGB2GRAY)
    dark, light = np.percentile(grey, (2, 98))
    if light - dark < _LEAST_CONTRAST:
        raise NoStampFound(
            f"the mark in {image.source} has no contrast: {light - dark:.0f} grey levels, and at "
            f"least {_LEAST_CONTRAST:.0f} are needed; give a picture with more light",
            source=image.source,
        )
    return inside


def _on_paper(image: Image, box: Box) -> bool:
    """Whether what is between the strokes of a mark is paper: light, even and nearly white.

    The paper goes on about the mark, where the picture shows that.
    """
    left, top, right, bottom = (round(value) for value in box)
    inside = image.pixels[top:bottom, left:right].reshape(-1, 3).astype(np.float64)
    grey = inside.mean(axis=1)
    ground = inside[grey >= np.percentile(grey, 60)]
    light = np.median(ground, axis=0)
    even = float(np.median(np.abs(ground - light))) <= _EVEN
    if not even or light.mean() < _LIGHT or np.ptp(light) > _TINTED:
        return False
    beside = np.ones(image.pixels.shape[:2], bool)
    beside[top:bottom, left:right] = False
    return not beside.any() or bool(
        np.percentile(image.pixels[beside].mean(axis=1), 75) > light.mean() - _TINTED
    )


def _opaque(alpha: NDArray[np.uint8], source: str) -> Box:
    """The box of what is not transparent.

    Raises:
        NoStampFound: Nothing is opaque.
    """
    rows, columns = (np.flatnonzero((alpha > 16).any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        raise NoStampFound(f"{source} is transparent all over: it shows no mark", source=source)
    return (float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))


def _rectangle(image: Image, box: Box) -> NDArray[np.uint8]:
    alpha = np.zeros((image.height, image.width), np.uint8)
    left, top, right, bottom = (round(value) for value in box)
    alpha[top:bottom, left:right] = 255
    return alpha


def _is_filled(alpha: NDArray[np.uint8]) -> bool:
    """Whether what is opaque fills its outline, as a label does, and ink does not."""
    rows, columns = np.nonzero(alpha > 127)
    if not len(rows):
        return False
    hull = cv2.convexHull(np.column_stack([columns, rows]).astype(np.int32))
    return len(rows) >= _FILLED * max(float(cv2.contourArea(hull)), 1.0)


def _upright(pipeline: StampPipeline, image: Image, box: Box) -> tuple[Image, Box]:
    """The picture of a mark that is known to be turned, upright and with little about it."""
    (mark,) = pipeline.describe(image, [Detection.given("stamp", box)])
    turned = mark.rotation is not None and abs(mark.rotation) > _TURNED
    if not turned or mark.shape == "other" or not is_convex(mark.quad):
        return image, box
    pixels, _ = rectified(image.pixels, mark.quad, margin=_ROOM)
    height, width = pixels.shape[:2]
    room = np.array([width, height]) * _ROOM / (1 + 2 * _ROOM)
    inner = (*room.tolist(), *(np.array([width, height]) - room).tolist())
    return replace(image, pixels=pixels, file=None), inner


def _cropped(
    image: Image, alpha: NDArray[np.uint8] | None, box: Box
) -> tuple[Image, NDArray[np.uint8] | None, Box]:
    """The part of a picture about a box."""
    room = _ROOM * max(box[2] - box[0], box[3] - box[1])
    left, top = max(0, int(box[0] - room)), max(0, int(box[1] - room))
    right, bottom = int(box[2] + room) + 1, int(box[3] + room) + 1
    part = replace(image, pixels=image.pixels[top:bottom, left:right].copy(), file=None)
    moved = (box[0] - left, box[1] - top, box[2] - left, box[3] - top)
    return part, None if alpha is None else alpha[top:bottom, left:right].copy(), moved


def _whole(mask: SoftMask, image: Image) -> NDArray[np.uint8]:
    """A mask as one of the whole picture."""
    whole = np.zeros((image.height, image.width), np.uint8)
    ink = mask.to_uint8()
    whole[mask.top : mask.top + ink.shape[0], mask.left : mask.left + ink.shape[1]] = ink
    return whole
