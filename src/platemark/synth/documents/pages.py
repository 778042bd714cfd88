"""Document pages without stamps: typeset on paper of many kinds, or cut from real scans."""

import math
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from platemark.imaging.image import Image, Pixels
from platemark.synth.camera.backgrounds import picture_files
from platemark.synth.camera.ink import MM_PER_INCH
from platemark.synth.camera.wear import age, lay_on_desk
from platemark.synth.canvas import Colour
from platemark.synth.documents import layouts, ornate
from platemark.synth.documents.layouts import A4, A5, LETTER, Layout
from platemark.synth.documents.logos import head_logo
from platemark.synth.documents.printing import print_fonts
from platemark.synth.documents.prose import one_of
from platemark.synth.documents.typesetting import Sheet

_DPI_RANGE = (40.0, 200.0)
_DRAWING_DPI = 100.0
_RECEIPTS = ((58.0, 120.0), (80.0, 150.0), (80.0, 220.0), (76.0, 180.0))
LAYOUTS: dict[str, Layout] = {
    "letter": Layout(layouts.letter, weight=2.0),
    "contract": Layout(layouts.contract, weight=2.0),
    "typescript": Layout(layouts.typescript, machine=True),
    "form": Layout(layouts.form, (A4, A4, LETTER, A5), 1.5, "form"),
    "invoice": Layout(layouts.invoice, weight=1.5),
    "ledger": Layout(layouts.ledger, (A4, (297.0, 210.0)), 0.5, "form"),
    "receipt": Layout(layouts.receipt, _RECEIPTS, 1.0, "thermal", machine=True),
    "newspaper": Layout(layouts.newspaper, (A4, (260.0, 360.0)), 0.5, "old"),
    "notes": Layout(layouts.notes, (A4, A5), 0.6, "old"),
    "certificate": Layout(ornate.certificate, (A4, (297.0, 210.0)), 1.2, "fine"),
    "identity": Layout(ornate.identity, ((125.0, 88.0), (105.0, 74.0)), 0.4, "fine", machine=True),
    "cheque": Layout(ornate.cheque, ((180.0, 80.0), (160.0, 70.0)), 0.4, "fine", machine=True),
    "label": Layout(ornate.label, ((120.0, 90.0), (100.0, 150.0), A5), 0.6, "package"),
    "blank": Layout(layouts.blank, (A4, A5), 0.4, "form"),
}
"""The kinds of documents that are typeset, by name."""
_STOCKS: dict[str, tuple[Colour, ...]] = {
    "office": ((255, 255, 255),) * 4 + ((252, 251, 248), (246, 246, 244), (248, 244, 234)),
    "form": (
        (255, 255, 255),
        (250, 248, 240),
        (214, 226, 242),
        (212, 236, 214),
        (248, 218, 226),
        (250, 240, 190),
        (228, 226, 222),
    ),
    "old": ((240, 230, 205), (226, 208, 170), (228, 226, 220), (216, 212, 204), (252, 252, 250)),
    "thermal": ((250, 250, 250), (240, 240, 242), (226, 226, 228), (236, 226, 230)),
    "fine": ((253, 252, 247), (248, 242, 226), (238, 244, 238), (255, 255, 255)),
    "package": ((255, 255, 255), (236, 222, 190), (190, 155, 115), (225, 235, 245), (245, 215, 90)),
}


class PageStudio:
    """Document pages without end; one per process, as fonts and listings are cached in it.

    Args:
        fonts: folder of fonts beside the bundled ones; None for the bundled alone.
        backgrounds: folder of pictures of real pages without stamps, from which half of the pages
            are cut; None to typeset all.

    Raises:
        DatasetError: There are no fonts or pictures where they were to be.
    """

    def __init__(self, fonts: Path | None, backgrounds: Path | None = None) -> None:
        self.fonts = print_fonts(fonts)
        self._series = _picture_series(backgrounds) if backgrounds else ()
        sizes = np.sqrt([len(series) for series in self._series])
        self._series_shares = sizes / max(sizes.sum(), 1.0)
        weights = np.array([layout.weight for layout in LAYOUTS.values()])
        self._shares = weights / weights.sum()

    def page(self, rng: np.random.Generator, dpi: float) -> Pixels:
        """A page as it lies there, before any scanner or camera.

        Args:
            rng: decides on everything.
            dpi: resolution of the picture, 40 to 200; a scan of 300 dpi is 1.5 times finer than
                the finest.

        Returns:
            (H, W, 3) uint8 RGB; the whole page or a part of it, maybe with what it lies on.

        Raises:
            ValueError: ``dpi`` is out of range.
        """
        if not _DPI_RANGE[0] <= dpi <= _DPI_RANGE[1]:
            raise ValueError(f"dpi must be {_DPI_RANGE[0]:.0f} to {_DPI_RANGE[1]:.0f}, not {dpi}")
        if self._series and rng.random() < 0.5:
            return self.cut(rng, dpi)
        page = self.typeset(str(rng.choice(list(LAYOUTS), p=self._shares)), rng, dpi)
        return lay_on_desk(page, rng, dpi) if rng.random() < 0.15 else page

    def typeset(self, kind: str, rng: np.random.Generator, dpi: float) -> Pixels:
        """A page of one of :data:`LAYOUTS`, (H, W, 3) uint8 RGB.

        Raises:
            ValueError: There is no such kind.
        """
        if kind not in LAYOUTS:
            raise ValueError(f"there is no layout {kind!r}; there are: {', '.join(LAYOUTS)}")
        layout = LAYOUTS[kind]
        width, height = one_of(layout.sizes, rng)
        # Below 100 dpi type is rendered larger and then reduced, as a scanner averages it.
        zoom = max(1, math.ceil(_DRAWING_DPI / dpi))
        scale = zoom * dpi / MM_PER_INCH
        white = np.full((round(height * scale), round(width * scale), 3), 255, np.uint8)
        points = (7.5, 10.0) if layout.machine else (8.0, 13.0)
        sheet = Sheet.draw(white, scale, self.fonts, rng, points=points, machine=layout.machine)
        layout.draw(sheet, rng)
        if layout.stock in ("office", "form", "fine") and rng.random() < 0.4:
            head_logo(sheet, rng)
        size = (round(width * dpi / MM_PER_INCH), round(height * dpi / MM_PER_INCH))
        if zoom > 1:
            white = np.asarray(cv2.resize(white, size, interpolation=cv2.INTER_AREA), np.uint8)
        colour = np.array(one_of(_STOCKS[layout.stock], rng)) + rng.normal(0, 2.5, 3)
        return age(white, colour.clip(0, 255), rng, dpi)

    def cut(self, rng: np.random.Generator, dpi: float) -> Pixels:
        """A window of a real page, its tones changed a little, at about the wanted resolution.

        Only with backgrounds.
        """
        series = self._series[int(rng.choice(len(self._series), p=self._series_shares))]
        pixels = Image.read(one_of(series, rng)).pixels
        own_dpi = float(np.exp(rng.uniform(np.log(85), np.log(190))))
        scale = min(dpi / own_dpi, 1.6)
        height, width = pixels.shape[:2]
        if rng.random() < 0.4:
            height, width = (round(side * float(rng.uniform(0.45, 1))) for side in (height, width))
        top = int(rng.integers(0, pixels.shape[0] - height + 1))
        left = int(rng.integers(0, pixels.shape[1] - width + 1))
        window = pixels[top : top + height, left : left + width]
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        size = (max(32, round(width * scale)), max(32, round(height * scale)))
        window = np.asarray(cv2.resize(window, size, interpolation=how), np.uint8)
        return _recoloured(window, rng)


def _recoloured(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """The picture on paper of another tint and with ink of another darkness."""
    ramp = np.arange(256, dtype=np.float32)[:, None] / 255
    ramp = ramp ** float(np.exp(rng.normal(0, 0.15)))
    paper = 255 - np.abs(rng.normal(0, 4, 3))
    if rng.random() < 0.25:
        stock = one_of(tuple(_STOCKS), rng)
        paper = np.array(one_of(_STOCKS[stock], rng), np.float64)
    ink = float(rng.uniform(0, 50)) if rng.random() < 0.4 else 0.0
    table = (ink + ramp * (paper - ink)).clip(0, 255).astype(np.uint8).reshape(1, 256, 3)
    return np.asarray(cv2.LUT(pixels, table), np.uint8)


@lru_cache(maxsize=8)
def _picture_series(folder: Path) -> tuple[tuple[Path, ...], ...]:
    """The pictures of a folder, those together whose names begin alike up to a dash.

    A long series, such as scans of one shop's receipts, is so kept from crowding out the others.
    """
    series: dict[str, list[Path]] = {}
    for path in picture_files(folder):
        series.setdefault(path.stem.partition("-")[0], []).append(path)
    return tuple(tuple(group) for group in series.values())
