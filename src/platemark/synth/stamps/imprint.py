"""One imprint of a stamp on a page, and what is true of it in the captured picture.

Quads are (4, 2) float pixels, clockwise from the design's own top left, in the continuous frame
where pixel (column j, row i) covers [j, j+1) x [i, i+1).
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from platemark.datasets.manifest import StampLine
from platemark.geometry import FloatArray, apply_homography, quad_to_box, translation
from platemark.imaging.image import Pixels
from platemark.masks import BoolMask, SoftMask
from platemark.synth.camera.ink import INK_SHARE, Alpha, Ink, full_ink, stamp_on, warp_on_page
from platemark.synth.camera.scan import Capture
from platemark.synth.outlines import Artwork
from platemark.synth.stamps.designs import Design

Box = tuple[float, float, float, float]

# Coverage is this much finer than the page, so that turning it blurs no strokes.
_FINER = 1.3
_MASTER_SIDE = 420
# With less of its ink to be seen an imprint is not to be found. Ink that darkens the paper by less
# (grey levels) is not seen, nor is what makes no more of a difference than noise and print do.
_LEAST_SHARE = 0.4
_LEAST_CONTRAST = 11.0
# Noise is what remains beside the mean of so large a part of the imprint.
_NOISE_SHARE = 1 / 8
# Median absolute deviations in a standard deviation of normal noise.
_DEVIATIONS = 1.4826
_LEAST_SIDES = (8, 16)
_LEAST_INK = 12


@dataclass(frozen=True)
class StampLabel:
    """The truth about one imprint in a picture.

    Attributes:
        box: (x0, y0, x1, y1) around its visible ink.
        quad: corners of its design, also where the ink is missing or beyond the picture's edge.
        shape: outer outline of the design.
        color: name of the ink's colour, ``black`` in pictures without colours.
        rotation: clockwise turn in degrees.
        identity: of the design.
        lines: texts of the design.
        places: (N, 2) for each line, middles of its characters, the corners of the design being
            those of the unit square; NaN for characters without ink.
        share: what each pixel has of the imprint's full ink.
    """

    box: Box
    quad: FloatArray
    shape: str
    color: str
    rotation: float
    identity: str
    lines: tuple[StampLine, ...]
    places: tuple[FloatArray, ...]
    share: SoftMask

    def mask(self, width: int, height: int) -> BoolMask:
        """The ink mask of the picture, (H, W) bool."""
        ink = np.zeros((height, width), bool)
        part, left, top = self.share.probability, self.share.left, self.share.top
        ink[top : top + part.shape[0], left : left + part.shape[1]] = part > INK_SHARE
        return ink

    def moved(self, left: int, top: int, width: int, height: int) -> Self:
        """The label in a window of the picture, in which all of the visible ink lies."""
        share, x, y = self.share.probability, self.share.left - left, self.share.top - top
        part = share[max(-y, 0) : max(height - y, 0), max(-x, 0) : max(width - x, 0)]
        x0, y0, x1, y1 = self.box
        return replace(
            self,
            box=(x0 - left, y0 - top, x1 - left, y1 - top),
            quad=self.quad - (left, top),
            share=SoftMask(np.ascontiguousarray(part), max(x, 0), max(y, 0)),
        )


@dataclass(frozen=True)
class Imprint:
    """One imprint on a page.

    Attributes:
        design: what is on the stamp.
        ink: what it was inked with.
        alpha: (H, W) float32, the ink in the stamp's own upright frame.
        quad: corners of the design in that frame.
        matrix: (3, 3) from that frame to the page.
    """

    design: Design
    ink: Ink
    alpha: Alpha
    quad: FloatArray
    matrix: FloatArray

    @classmethod
    def press(
        cls, design: Design, scale: float, angle: float, ink: Ink, rng: np.random.Generator
    ) -> Self:
        """Press a stamp with its middle on the page's origin.

        Args:
            design: what is on it.
            scale: pixels of the page per millimetre.
            angle: clockwise turn in degrees.
            ink: its ink.
            rng: decides on what the ink leaves open.
        """
        finer = scale * _FINER
        artwork = _rendered(design, finer)
        room = max(2, round(finer * (0.4 + 1.6 * (ink.strike > 0) + ink.smear)))
        border = (room, room, room, room)
        coverage = cv2.copyMakeBorder(artwork.coverage, *border, cv2.BORDER_CONSTANT)
        alpha = ink.print(np.asarray(coverage, np.uint8), rng, finer)
        quad = np.asarray(artwork.quad, np.float64) + room
        turn = np.radians(angle)
        cosine, sine = np.cos(turn) / _FINER, np.sin(turn) / _FINER
        rotation = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
        middle = quad.mean(axis=0)
        return cls(design, ink, alpha, quad, rotation @ translation(-middle[0], -middle[1]))

    def at(self, x: float, y: float) -> Self:
        """The imprint moved by (x, y)."""
        return replace(self, matrix=translation(x, y) @ self.matrix)

    def stamp(self, page: Pixels) -> SoftMask | None:
        """Lay it on a page in place; see :func:`~platemark.synth.camera.ink.stamp_on`."""
        return stamp_on(page, self.alpha, self.ink, self.matrix)

    @property
    def box(self) -> FloatArray:
        """(4,) box around the design on the page."""
        return quad_to_box(apply_homography(self.matrix, self.quad))

    def label(self, capture: Capture, plain: Capture) -> tuple[StampLabel | None, Box | None]:
        """What is to be said of the imprint in a captured picture.

        Args:
            capture: the captured page.
            plain: the same page without stamps, captured likewise.

        Returns:
            The label, or the box to ignore where the imprint can hardly be seen, or neither where
            nothing of it is in the picture.
        """
        height, width = capture.pixels.shape[:2]
        matrix = capture.to_picture @ self.matrix
        share = np.asarray(np.clip(self.alpha / full_ink(self.alpha), 0, 1), np.float32)
        found = warp_on_page(share, matrix, width, height)
        if found is None:
            return None, None
        soft = SoftMask(*found)
        seen = _visible(soft, capture, plain)
        ink = soft.probability > INK_SHARE
        if not ink.any():
            return None, None
        box = _bounds(ink, soft)
        whole = np.count_nonzero(share > INK_SHARE) * _area_change(matrix, self.quad)
        amount = np.count_nonzero(ink & seen)
        if amount < max(_LEAST_SHARE * whole, _LEAST_INK):
            return None, box
        if capture.tone == "bilevel":  # much of the ink vanishes; elsewhere it shows through print
            soft = replace(soft, probability=np.where(seen, soft.probability, np.float32(0)))
            box = _bounds(ink & seen, soft)
        sides = box[2] - box[0], box[3] - box[1]
        if min(sides) < _LEAST_SIDES[0] or max(sides) < _LEAST_SIDES[1]:
            return None, box
        quad = apply_homography(matrix, self.quad)
        across = quad[1] - quad[0] + quad[2] - quad[3]
        label = StampLabel(
            box,
            quad,
            self.design.shape,
            self.ink.name if capture.tone == "colour" else "black",
            float(np.degrees(np.arctan2(across[1], across[0]))),
            self.design.identity,
            self.design.lines,
            self.design.places,
            soft,
        )
        return label, None


def _bounds(ink: BoolMask, place: SoftMask) -> Box:
    """Box around the ink of a part of a picture."""
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    left, top = place.left, place.top
    return (
        float(left + columns[0]),
        float(top + rows[0]),
        float(left + columns[-1] + 1),
        float(top + rows[-1] + 1),
    )


def _area_change(matrix: FloatArray, quad: FloatArray) -> float:
    """How many pixels one pixel in the middle of a quad becomes."""
    middle = quad.mean(axis=0)
    steps = apply_homography(matrix, middle + np.array([(0, 0), (1, 0), (0, 1)]))
    (a, b), (c, d) = steps[1] - steps[0], steps[2] - steps[0]
    return float(abs(a * d - b * c))


def _visible(share: SoftMask, capture: Capture, plain: Capture) -> BoolMask:
    """Where a picture is darker for the imprint, in the channel that shows it best, (h, w).

    It is to be darker by more than the noise and the print of the page without stamps, of which the
    median deviation tells: a few letters beneath an imprint do not hide it, a page of static does.
    """
    bare, seen = (_smooth(share.cut(page.pixels), 3) for page in (plain, capture))
    side = 2 * max(3, round(_NOISE_SHARE * max(seen.shape) / 2)) + 1
    noise = np.median(np.abs(bare - _smooth(bare, side)), axis=(0, 1))
    least = np.maximum(_LEAST_CONTRAST, _DEVIATIONS * noise)
    return np.asarray((bare - seen > least).any(axis=2))


def _smooth(pixels: NDArray[np.generic], side: int) -> Alpha:
    return np.asarray(cv2.blur(np.asarray(pixels, np.float32), (side, side)), np.float32)


@lru_cache(maxsize=4)
def _master(design: Design) -> tuple[Artwork, float]:
    """The design rendered large, and its pixels per millimetre; imprints of it are made of this."""
    scale = _MASTER_SIDE / max(design.width_mm, design.height_mm)
    return design.draw(scale), scale


def _rendered(design: Design, scale: float) -> Artwork:
    """The design at a scale; small ones are reduced from a large one, which is faster."""
    master, own_scale = _master(design)
    zoom = scale / own_scale
    if zoom > 1:
        return design.draw(scale)
    height, width = master.coverage.shape
    size = (max(1, round(width * zoom)), max(1, round(height * zoom)))
    coverage = cv2.resize(master.coverage, size, interpolation=cv2.INTER_AREA)
    factors = np.array(size) / (width, height)
    return Artwork(np.asarray(coverage, np.uint8), (master.quad * factors).astype(np.float32))
