"""Stamps in pictures with exact labels: pages for the detector, imprints close up, clean artwork.

Pictures are (H, W, 3) uint8 RGB; points are (x, y) in the continuous frame where pixel (column j,
row i) covers [j, j+1) x [i, i+1).
"""

from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from platemark.datasets.manifest import StampShape
from platemark.geometry import FloatArray
from platemark.imaging.image import Pixels
from platemark.synth.camera.backgrounds import surface
from platemark.synth.camera.ink import MM_PER_INCH, Ink, print_ink
from platemark.synth.camera.scan import Capture, Scanner
from platemark.synth.documents.clutter import add_clutter
from platemark.synth.documents.pages import PageStudio
from platemark.synth.documents.pen import signature
from platemark.synth.stamps.designs import Design, DesignStudio
from platemark.synth.stamps.glyphs import StampFonts
from platemark.synth.stamps.imprint import Box, Imprint, StampLabel
from platemark.synth.stamps.lettering import RingText, StraightText

_LONG_SIDES = (500, 1400)
# Most scans and imprints in files are in order; the others are there to be found as well.
_USUAL_SCANS, _SOUND_INKS = 0.55, 0.5
IMPRINT_SIDES = (80.0, 480.0)
"""Least and greatest long side in pixels of imprints close up, unless others are asked for."""


class Scene(NamedTuple):
    """A picture, (H, W, 3) uint8 RGB; its stamps; boxes of stamps too faint or too cut to find."""

    pixels: Pixels
    stamps: list[StampLabel]
    ignore: list[Box]


class Paper(NamedTuple):
    """Paper to stamp on, (H, W, 3) uint8 RGB, and its pixels per millimetre."""

    pixels: Pixels
    scale: float


class StampStudio:
    """Everything needed to make pictures of stamps; one per process, as fonts are cached in it.

    Args:
        fonts: folder of fonts beside the bundled ones, or None.
        backgrounds: folder of pictures of pages without stamps, or None to typeset all pages.
        shapes: new stamps have one of these outlines; empty for any.

    Raises:
        DatasetError: There are no fonts or pictures where they were to be.
    """

    def __init__(
        self,
        fonts: Path | None = None,
        backgrounds: Path | None = None,
        shapes: Collection[StampShape] = (),
    ) -> None:
        self.fonts = StampFonts(fonts)
        self.designs = DesignStudio(self.fonts, shapes)
        self._pages = PageStudio(fonts, backgrounds)

    def scene(self, rng: np.random.Generator, paper: Paper | None = None) -> Scene:
        """A page, or a part of one, with any number of stamps and with things like stamps.

        Args:
            rng: decides on everything.
            paper: the page, from :meth:`paper`, which is left as it is; None for a new one.
        """
        pixels, scale = paper or self.paper(rng)
        paper = Paper(pixels.copy(), scale)
        count = int(rng.choice([0, 1, 2, 3, 5, 14], p=[0.3, 0.35, 0.18, 0.08, 0.06, 0.03]))
        if count > 3:
            count = int(rng.integers(count - 1, 2 * count - 3))
        dpi = paper.scale * MM_PER_INCH
        if count == 0 or rng.random() < 0.6:
            add_clutter(paper.pixels, rng, dpi, self.fonts.folder)
        imprints: list[Imprint] = []
        for _ in range(count):
            size = float(rng.uniform(0.35, 0.6)) if count > 6 else _size(rng)
            imprint = self._imprint(paper, size, rng)
            imprints.append(_placed(imprint, paper.pixels, [i.box for i in imprints], rng))
            if rng.random() < 0.25:
                _sign(paper, imprints[-1].box, rng)
        scanner = Scanner.usual(rng) if rng.random() < _USUAL_SCANS else Scanner.draw(rng)
        capture, plain = _captured(scanner, paper, imprints, rng)
        labels = [imprint.label(capture, plain) for imprint in imprints]
        stamps = [label for label, _ in labels if label is not None]
        return Scene(capture.pixels, stamps, [box for _, box in labels if box is not None])

    def paper(self, rng: np.random.Generator) -> Paper:
        """A whole page mostly; else part of a page, nearer; or no document at all."""
        kind = str(rng.choice(["page", "part", "near", "surface"], p=[0.68, 0.2, 0.06, 0.06]))
        low, high = _LONG_SIDES
        long_side = float(np.exp(rng.uniform(np.log(low), np.log(high))))
        if kind == "surface":
            height, width = round(long_side * float(rng.uniform(0.6, 1))), round(long_side)
            return Paper(surface(height, width, rng), float(rng.uniform(2, 10)))
        if kind == "page":
            dpi = max(long_side * float(rng.uniform(1, 1.3)) / 297 * MM_PER_INCH, 48.0)
            return _fitted(Paper(self._pages.page(rng, dpi), dpi / MM_PER_INCH))
        dpi = float(rng.uniform(100, 200))
        page = self._pages.page(rng, dpi)
        window = long_side * (0.8 if kind == "part" else 0.5)
        part = _window(page, round(window), round(window * float(rng.uniform(0.6, 1.4))), rng)
        zoom = 1.0 if kind == "part" else float(rng.uniform(1, 2.5))
        return _fitted(Paper(part, zoom * dpi / MM_PER_INCH))

    def _imprint(self, paper: Paper, size: float, rng: np.random.Generator) -> Imprint:
        """A stamp of a new design, not larger than the page."""
        design = self.designs.design(rng)
        room = 1.05 * max(paper.pixels.shape[:2]) / max(design.width_mm, design.height_mm)
        scale = min(size * paper.scale, room)
        ink = Ink.sound(rng) if rng.random() < _SOUND_INKS else Ink.draw(rng)
        return Imprint.press(design, scale, _angle(design, rng), ink, rng)

    def papers(self, rng: np.random.Generator) -> list[Paper]:
        """A few pages with clutter at different resolutions, for :meth:`imprint`."""
        papers = []
        for dpi in (70.0, 110.0, 160.0):
            page = self._pages.page(rng, dpi)
            add_clutter(page, rng, dpi, self.fonts.folder)
            papers.append(Paper(page, dpi / MM_PER_INCH))
        return papers

    def imprint(
        self,
        design: Design,
        rng: np.random.Generator,
        papers: list[Paper] | None = None,
        sides: tuple[float, float] = IMPRINT_SIDES,
    ) -> tuple[Pixels, StampLabel]:
        """One imprint close up on paper, cropped with a margin as a detector would crop it.

        Args:
            design: what is on the stamp.
            rng: decides on everything else.
            papers: what it may be stamped on, see :meth:`papers`; None for new ones.
            sides: least and greatest long side of the design on the paper, in pixels.

        Returns:
            The picture, the imprint and a margin around it, and its label.
        """
        papers = papers or self.papers(rng)
        if rng.random() < 0.7 and _dated(design):
            design = self.designs.redated(design, rng)
        found = None
        for _ in range(4):
            if found is None:
                found = self._close_up(design, papers, Ink.draw(rng), Scanner.draw(rng), rng, sides)
        while found is None:
            white = [Paper(np.full((64, 64, 3), 255, np.uint8), 4.0)]
            found = self._close_up(design, white, Ink("blue", (30, 60, 190)), Scanner(), rng, sides)
        return found

    def _close_up(
        self,
        design: Design,
        papers: list[Paper],
        ink: Ink,
        scanner: Scanner,
        rng: np.random.Generator,
        sides: tuple[float, float],
    ) -> tuple[Pixels, StampLabel] | None:
        """Stamp, capture and cut; None where the imprint can hardly be seen."""
        side = float(np.exp(rng.uniform(*np.log(sides))))
        scale = side / max(design.width_mm, design.height_mm)
        imprint = Imprint.press(design, scale, _angle(design, rng), ink, rng)
        reach = (imprint.box[2:] - imprint.box[:2]) * 0.8 + 6
        width, height = np.ceil(2 * reach).astype(int).tolist()
        canvas = _patch(papers, scale, width, height, rng)
        imprint = imprint.at(width / 2, height / 2)
        if rng.random() < 0.2:
            _sign(Paper(canvas, scale), imprint.box, rng)
        if rng.random() < 0.08:
            other = Imprint.press(self.designs.design(rng), scale, 0.0, Ink.draw(rng), rng)
            x, y = rng.choice([-1, 1], 2) * rng.uniform(0.6, 1.2, 2) * reach
            other.at(width / 2 + x, height / 2 + y).stamp(canvas)
        capture, plain = _captured(scanner, Paper(canvas, scale), [imprint], rng)
        label, _ = imprint.label(capture, plain)
        return None if label is None else _cut(capture.pixels, label, rng)

    def artwork(self, design: Design) -> tuple[Pixels, FloatArray]:
        """The clean design, (H, W) uint8 coverage with a long side of 256, and its quad."""
        artwork = design.draw(248 / max(design.width_mm, design.height_mm))
        height, width = artwork.coverage.shape
        zoom = 256 / max(height, width)
        size = (round(width * zoom), round(height * zoom))
        method = cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR
        pixels = np.asarray(cv2.resize(artwork.coverage, size, interpolation=method), np.uint8)
        return pixels, artwork.quad * (np.array(size) / (width, height))


def _captured(
    scanner: Scanner, paper: Paper, imprints: list[Imprint], rng: np.random.Generator
) -> tuple[Capture, Capture]:
    """The paper stamped and captured, and as it would have been captured without stamps."""
    dpi, moment = paper.scale * MM_PER_INCH, int(rng.integers(2**63))
    plain = scanner.capture(paper.pixels, np.random.default_rng(moment), dpi)
    if not imprints:
        return plain, plain
    for imprint in imprints:
        imprint.stamp(paper.pixels)
    return scanner.capture(paper.pixels, np.random.default_rng(moment), dpi), plain


def _fitted(paper: Paper) -> Paper:
    """The paper with a long side within the limits, but not enlarged much."""
    long_side = max(paper.pixels.shape[:2])
    low, high = _LONG_SIDES
    zoom = float(np.clip(1.0, low / long_side, high / long_side)) if long_side else 1.0
    zoom = min(zoom, 1.8)
    if abs(zoom - 1) < 1e-3:
        return paper
    method = cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC
    pixels = cv2.resize(paper.pixels, None, fx=zoom, fy=zoom, interpolation=method)
    return Paper(np.asarray(pixels, np.uint8), paper.scale * zoom)


def _window(page: Pixels, width: int, height: int, rng: np.random.Generator) -> Pixels:
    """A random part of a page, the whole of a side where that is shorter."""
    rows, columns = page.shape[:2]
    width, height = min(width, columns), min(height, rows)
    x, y = int(rng.integers(columns - width + 1)), int(rng.integers(rows - height + 1))
    return page[y : y + height, x : x + width].copy()


def _patch(
    papers: list[Paper], scale: float, width: int, height: int, rng: np.random.Generator
) -> Pixels:
    """A part (height, width, 3) of one of the papers, at about ``scale`` pixels per millimetre."""
    near = sorted(papers, key=lambda paper: abs(np.log(paper.scale / scale)))
    paper = near[int(rng.integers(min(2, len(near))))]
    zoom = float(np.clip(scale / paper.scale, 0.5, 1.6))
    size = round(width / zoom), round(height / zoom)
    windows = [_window(paper.pixels, *size, rng) for _ in range(2)]
    # Of two places the lighter one mostly: stamps are set beside pictures and black bars.
    part = (
        max(windows, key=lambda w: float(w[::4, ::4].mean())) if rng.random() < 0.8 else windows[0]
    )
    method = cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(part, (width, height), interpolation=method), np.uint8)


def _dated(design: Design) -> bool:
    """Whether a design has a date that is set again for every imprint."""
    return any(isinstance(e, RingText | StraightText) and e.date for e in design.elements)


def _size(rng: np.random.Generator) -> float:
    """How much larger an imprint is than it should be beside the print of its page."""
    if rng.random() < 0.2:
        return float(np.exp(rng.uniform(np.log(0.5), np.log(2))))
    return float(rng.uniform(0.85, 1.15))


def _angle(design: Design, rng: np.random.Generator) -> float:
    """Mostly nearly upright; round stamps often, others seldom at any angle."""
    if rng.random() < (0.35 if design.shape == "circle" else 0.08):
        return float(rng.uniform(-180, 180))
    return float(np.clip(rng.normal(0, 7), -25, 25))


def _placed(
    imprint: Imprint, page: Pixels, taken: list[FloatArray], rng: np.random.Generator
) -> Imprint:
    """The imprint somewhere on the page, mostly without hiding another."""
    size = np.array(page.shape[1::-1], np.float64)
    half = (imprint.box[2:] - imprint.box[:2]) / 2
    allowed = 0.5 if rng.random() < 0.15 else 0.02
    for _ in range(8):
        placed = imprint.at(*_spot(size, half, taken, rng))
        if all(_covered(placed.box, box) < allowed for box in taken):
            break
    return placed


def _spot(
    size: FloatArray, half: FloatArray, taken: list[FloatArray], rng: np.random.Generator
) -> tuple[float, float]:
    """Middle of an imprint: in the lower part, anywhere, across an edge, or beside another."""
    chance = rng.random()
    inner = np.maximum(size - 2 * half, 0)
    if taken and chance < 0.15:
        box = taken[int(rng.integers(len(taken)))]
        spot = (box[:2] + box[2:]) / 2 + rng.uniform(-1.2, 1.2, 2) * (
            (box[2:] - box[:2]) / 2 + half
        )
    elif chance < 0.25:
        spot = half + rng.random(2) * inner
        side, end = int(rng.integers(2)), float(rng.integers(2))
        spot[side] = end * size[side] + (1 - 2 * end) * rng.uniform(-0.7, 0.9) * half[side]
    elif chance < 0.6:
        spot = half + rng.random(2) * inner * (1, 0.45) + inner * (0, 0.55)
    else:
        spot = half + rng.random(2) * inner
    return float(spot[0]), float(spot[1])


def _covered(box: FloatArray, other: FloatArray) -> float:
    """Share of the smaller of two boxes that the other covers."""
    sides = np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2])
    if (sides <= 0).any():
        return 0.0
    areas = [float((b[2:] - b[:2]).prod()) for b in (box, other)]
    return float(sides.prod()) / max(min(areas), 1e-6)


def _sign(paper: Paper, box: FloatArray, rng: np.random.Generator) -> None:
    """A signature across a stamp or beside it."""
    wanted = float(box[2] - box[0]) * float(rng.uniform(0.6, 1.6))
    width = round(float(np.clip(wanted, 15 * paper.scale, 90 * paper.scale)))
    height = round(width * float(rng.uniform(0.2, 0.55)))
    mask, colour = signature(width, height, paper.scale, rng)
    spot = box[:2] + rng.uniform(-0.4, 1.1, 2) * (box[2:] - box[:2]) - (width / 2, height / 2)
    print_ink(paper.pixels, mask, round(float(spot[0])), round(float(spot[1])), colour)


def _cut(pixels: Pixels, label: StampLabel, rng: np.random.Generator) -> tuple[Pixels, StampLabel]:
    """The part of a picture about a stamp, with a margin of 8 to 15 % of its longer side."""
    x0, y0, x1, y1 = label.box
    margins = rng.uniform(0.08, 0.15, 4) * max(x1 - x0, y1 - y0)
    left, top = max(0, round(x0 - margins[0])), max(0, round(y0 - margins[1]))
    right = min(pixels.shape[1], round(x1 + margins[2]))
    bottom = min(pixels.shape[0], round(y1 + margins[3]))
    cut = np.ascontiguousarray(pixels[top:bottom, left:right])
    return cut, label.moved(left, top, right - left, bottom - top)
