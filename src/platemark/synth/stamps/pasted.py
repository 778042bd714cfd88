"""Real imprints, cropped from annotated scans and pasted onto other real pages.

A generated stamp is only as varied as its generator; a real one brings its own wear, ink, print and
signature, and meets here the pages that a detector has to tell it from. An imprint is kept as what
it takes of the light of its paper, and multiplied onto the page, as ink is laid on print.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from platemark.datasets.manifest import Manifest, StampShape
from platemark.errors import DatasetError
from platemark.geometry import FloatArray, box_to_quad, iou_matrix, quad_to_box
from platemark.imaging.image import Image, ImageInput, Pixels, compressed
from platemark.imaging.warp import warp
from platemark.synth.documents.pages import PageStudio

_MARGIN = 0.06
# Long side of the window in which the lightest pixel is paper, as a share of the cut-out's.
_PAPER_WINDOW = 0.12
_PAGE_DPI = (70.0, 130.0)
_LEAST_SIDE = 14.0
# Stamps are set beside print rather than on it: the lightest of some places, for the most part.
_PLACES, _LIGHTEST = 6, 0.75


class CutOut(NamedTuple):
    """A real imprint without its paper.

    Attributes:
        light: (H, W, 3) float32 in 0..1, what is left of the light of the paper.
        box: (4,) of the imprint in it.
        size: its longer side as a share of that of its page.
        shape: its outline, where it is known.
    """

    light: NDArray[np.float32]
    box: FloatArray
    size: float
    shape: StampShape | None


class PastedStamp(NamedTuple):
    """Where an imprint was pasted: (4,) box in pixels of the page, and its outline."""

    box: FloatArray
    shape: StampShape | None


@dataclass(frozen=True)
class _Place:
    path: Path
    box: tuple[float, float, float, float]
    shape: StampShape | None


class PasteStudio:
    """Pages with real imprints; one per process.

    Args:
        imprints: manifest of annotated scans; only stamps of scenes of its train split are taken.
        pages: has the real pages to paste onto.
        shapes: only stamps of these outlines; empty for any.

    Raises:
        DatasetError: The manifest has no such stamps.
    """

    def __init__(
        self, imprints: Path, pages: PageStudio, shapes: tuple[StampShape, ...] = ()
    ) -> None:
        manifest = Manifest.read(imprints, split="train", kind="scene")
        self._places = [
            _Place(manifest.path(entry), stamp.box, stamp.shape)
            for entry in manifest
            for stamp in entry.stamps
            if not shapes or stamp.shape in shapes
        ]
        if not self._places:
            raise DatasetError("its train split has no such stamps to crop", file=imprints)
        # Rare outlines are as welcome as frequent ones.
        outlines = [place.shape for place in self._places]
        weights = np.array([outlines.count(shape) ** -0.5 for shape in outlines])
        self._shares = weights / weights.sum()
        self._pages = pages

    def scene(self, rng: np.random.Generator) -> tuple[Pixels, list[PastedStamp]]:
        """A page, (H, W, 3) uint8 RGB, with one to three imprints."""
        page = self._pages.cut(rng, float(rng.uniform(*_PAGE_DPI)))
        stamps: list[PastedStamp] = []
        for _ in range(int(rng.choice([1, 2, 3], p=[0.6, 0.3, 0.1]))):
            place = self._places[int(rng.choice(len(self._places), p=self._shares))]
            pasted = _paste(page, cut_out(place.path, place.box, place.shape), stamps, rng)
            stamps += [] if pasted is None else [pasted]
        if rng.random() < 0.5:
            page = compressed(page, int(rng.integers(35, 95)))
        return page, stamps


def cut_out(
    scan: ImageInput, box: tuple[float, float, float, float], shape: StampShape | None = None
) -> CutOut:
    """Cut an imprint out of a scan.

    The paper is the lightest that there is near each pixel; what lies beside the box fades out.

    Args:
        scan: A path or a picture, see `Image.read`.
        box: Where the imprint is in it, (x0, y0, x1, y1).
        shape: Its outline.

    Raises:
        UnreadableImage: The picture cannot be read.
    """
    pixels = Image.read(scan).pixels
    x0, y0, x1, y1 = box
    longer = max(x1 - x0, y1 - y0)
    margin = _MARGIN * longer
    left, top = max(0, int(x0 - margin)), max(0, int(y0 - margin))
    part = pixels[top : int(y1 + margin) + 1, left : int(x1 + margin) + 1].astype(np.float32)
    window = max(3, round(_PAPER_WINDOW * longer)) | 1
    paper = cv2.blur(cv2.dilate(part, np.ones((window, window), np.uint8)), (window, window))
    light = np.clip(part / np.maximum(paper, 1.0), 0.0, 1.0)
    inner = np.array(box) - (left, top, left, top)
    rows, columns = (np.arange(length) + 0.5 for length in part.shape[:2])
    beyond = np.maximum(
        np.maximum(inner[0] - columns, columns - inner[2])[None],
        np.maximum(inner[1] - rows, rows - inner[3])[:, None],
    )
    inside = np.clip(1.0 - beyond / max(margin, 1.0), 0.0, 1.0)[..., None]
    kept = np.asarray(1.0 - inside * (1.0 - light), np.float32)
    return CutOut(kept, inner, longer / max(pixels.shape[:2]), shape)


def _paste(
    page: Pixels, cut: CutOut, taken: list[PastedStamp], rng: np.random.Generator
) -> PastedStamp | None:
    """Multiply an imprint onto a page, turned a little and about as large as on its own page.

    Returns:
        Where it is; None where there is no room for it.
    """
    height, width = page.shape[:2]
    longer = float((cut.box[2:] - cut.box[:2]).max())
    wanted = cut.size * max(height, width) * float(np.exp(rng.normal(0.0, 0.25)))
    zoom = min(wanted / longer, 1.5)
    angle = float(rng.normal(0.0, 0.06)) + (np.pi / 2 * int(rng.integers(4)) * (rng.random() < 0.1))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * zoom
    own = quad_to_box(box_to_quad(cut.box) @ turn.T)
    size = own[2:] - own[:2]
    if (size > 0.95 * np.array([width, height])).any() or size.max() < _LEAST_SIDE:
        return None
    corner = _spot(page, size, taken, rng)
    if corner is None:
        return None
    matrix = np.column_stack([turn, corner - own[:2]])
    light = cut.light
    if zoom < 0.7:
        light = np.asarray(cv2.GaussianBlur(light, (0, 0), 0.4 / zoom), np.float32)
    laid = warp(light, matrix, (width, height), fill=1.0)
    if rng.random() < 0.15:
        laid = laid[..., rng.permutation(3)]
    strength = float(np.exp(rng.normal(0.0, 0.3)))
    page[:] = np.rint(page * laid**strength)
    return PastedStamp(np.concatenate([corner, corner + size]), cut.shape)


def _spot(
    page: Pixels, size: FloatArray, taken: list[PastedStamp], rng: np.random.Generator
) -> FloatArray | None:
    """Top left of a box of that size beside the others; mostly the lightest of several places."""
    room = np.array(page.shape[1::-1]) - size
    free: list[tuple[float, FloatArray]] = []
    for _ in range(_PLACES):
        corner = rng.random(2) * room
        box = np.concatenate([corner, corner + size])
        if not any(iou_matrix(box, other.box).any() for other in taken):
            left, top, right, bottom = box.astype(int).tolist()
            free.append((float(page[top : bottom + 1 : 2, left : right + 1 : 2].mean()), corner))
    if not free:
        return None
    lightest = max(free, key=lambda place: place[0])
    return (lightest if rng.random() < _LIGHTEST else free[0])[1]
