"""Hard negatives: what stands on documents and is no stamp, for a detector to leave alone."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from platemark.imaging.image import Image, Pixels
from platemark.synth.camera.ink import MM_PER_INCH, print_ink
from platemark.synth.canvas import Colour
from platemark.synth.documents import graphics, logos, objects
from platemark.synth.documents.layouts import letterhead
from platemark.synth.documents.logos import corner
from platemark.synth.documents.pen import handwriting, mark, pen_colour, ring, signature
from platemark.synth.documents.printing import print_fonts
from platemark.synth.documents.prose import one_of
from platemark.synth.documents.typesetting import Sheet

Rng = np.random.Generator
Artist = Callable[[Sheet, Rng], None]


def add_clutter(
    page: Pixels,
    rng: Rng,
    dpi: float,
    fonts: Path | None,
    photos: Sequence[Path] = (),
) -> Pixels:
    """Draw things on a page that are no stamps: none on some pages, up to a dozen on others.

    Args:
        page: (H, W, 3) uint8 RGB, changed in place.
        rng: decides on what, how many and where.
        dpi: resolution of the page, by which things have their true size.
        fonts: where print fonts come from.
        photos: files of photos without stamps, some of which are laid on the page.

    Returns:
        The same page.

    Raises:
        DatasetError: The fonts or a photo cannot be read.
    """
    names, shares = list(CLUTTER), np.array([weight for _, weight in CLUTTER.values()])
    for _ in range(min(int(rng.geometric(0.28)) - 1, 12)):
        sheet = Sheet.draw(page, dpi / MM_PER_INCH, print_fonts(fonts), rng)
        name = str(rng.choice(names, p=shares / shares.sum()))
        if name == "photo" and photos and rng.random() < 0.6:
            _lay_photo(sheet, rng, one_of(photos, rng))
        else:
            CLUTTER[name][0](sheet, rng)
    return page


def _lay_photo(sheet: Sheet, rng: Rng, path: Path) -> None:
    pixels, tall = Image.read(path).pixels, float(rng.uniform(20, 80))
    wide = tall * pixels.shape[1] / pixels.shape[0]
    graphics.paste(sheet, pixels, *corner(sheet, rng, wide, tall), tall)


def _signature(sheet: Sheet, rng: Rng) -> None:
    wide, tall = float(rng.uniform(20, 75)), float(rng.uniform(8, 28))
    mask, colour = signature(*_pixels(sheet, wide, tall), sheet.scale, rng)
    sheet.ink(mask, *_pixels(sheet, *corner(sheet, rng, wide, tall)), colour)


def _note(sheet: Sheet, rng: Rng) -> None:
    """A few lines by pen."""
    wide, tall = float(rng.uniform(15, 70)), float(rng.uniform(5, 12))
    x, y = corner(sheet, rng, wide, tall)
    colour = pen_colour(rng)
    for row in range(int(rng.integers(1, 5))):
        mask = handwriting(
            *_pixels(sheet, wide * float(rng.uniform(0.6, 1)), tall), sheet.scale, rng
        )
        sheet.ink(mask, *_pixels(sheet, x, y + row * 0.8 * tall), colour)


def _pen_ring(sheet: Sheet, rng: Rng) -> None:
    """A word circled by pen."""
    wide = float(rng.uniform(8, 50))
    tall = wide * float(rng.uniform(0.3, 1.0))
    _stroke(sheet, rng, wide, tall, ring)


def _ringed_note(sheet: Sheet, rng: Rng) -> None:
    """A number or a name by pen, circled by the same pen, as graders and auditors do."""
    tall = float(rng.uniform(4, 14))
    wide = tall * float(rng.uniform(0.9, 3.0))
    x, y = corner(sheet, rng, wide, tall)
    colour = pen_colour(rng)
    word = handwriting(*_pixels(sheet, 0.7 * wide, 0.6 * tall), sheet.scale, rng)
    sheet.ink(word, *_pixels(sheet, x + 0.15 * wide, y + 0.2 * tall), colour)
    size = _pixels(sheet, wide, tall)
    breadth = sheet.scale * float(rng.uniform(0.3, 0.8))
    circle = ring(max(size[0], 4), max(size[1], 4), breadth, rng)
    print_ink(sheet.pixels, circle, *_pixels(sheet, x, y), colour)


def _pen_mark(sheet: Sheet, rng: Rng) -> None:
    """A tick, a cross, an arrow."""
    _stroke(sheet, rng, float(rng.uniform(4, 40)), float(rng.uniform(4, 16)), mark)


def _stroke(
    sheet: Sheet,
    rng: Rng,
    wide: float,
    tall: float,
    hand: Callable[[int, int, float, Rng], Pixels],
) -> None:
    breadth = sheet.scale * float(rng.uniform(0.3, 0.9))
    size = _pixels(sheet, wide, tall)
    shape = hand(max(size[0], 4), max(size[1], 4), breadth, rng)
    column, row = _pixels(sheet, *corner(sheet, rng, wide, tall))
    print_ink(sheet.pixels, shape, column, row, pen_colour(rng))


def _letterhead(sheet: Sheet, rng: Rng) -> None:
    """A company's name and address, where the top of the page is free."""
    if logos.is_clear(sheet, (0, 0, sheet.width, 0.12 * sheet.height)):
        letterhead(sheet, rng, float(rng.uniform(6, 18)))


def _redaction(sheet: Sheet, rng: Rng) -> None:
    """Black or white bars over words."""
    x, y = corner(sheet, rng, 50, 20)
    colour: Colour = (12, 12, 12)
    for row in range(int(rng.integers(1, 4))):
        left = max(x + float(rng.normal(0, 6)), 0)
        top = max(y + row * 6, 0)
        sheet.fill((left, top, left + float(rng.uniform(10, 60)), top + 4), colour)


def _pixels(sheet: Sheet, first: float, second: float) -> tuple[int, int]:
    return round(first * sheet.scale), round(second * sheet.scale)


CLUTTER: dict[str, tuple[Artist, float]] = {
    "logo": (logos.logo, 5.0),
    "icon": (logos.icon, 1.5),
    "flag": (logos.flag, 0.6),
    "sticker": (logos.sticker, 0.8),
    "matrix-code": (graphics.matrix_code, 2.0),
    "barcode": (graphics.barcode, 1.5),
    "chart": (graphics.chart, 1.5),
    "circle": (graphics.circle, 2.0),
    "heading": (graphics.heading, 2.0),
    "boxes": (graphics.boxes, 1.5),
    "check-boxes": (graphics.check_boxes, 0.8),
    "side-text": (graphics.side_text, 0.8),
    "watermark": (graphics.watermark, 0.8),
    "photo": (graphics.photo, 1.5),
    "coffee-ring": (objects.coffee_ring, 1.2),
    "fingerprint": (objects.fingerprint, 0.8),
    "coin": (objects.coin, 0.5),
    "rubber-band": (objects.rubber_band, 0.4),
    "paper-clip": (objects.paper_clip, 0.4),
    "hole": (objects.hole, 0.5),
    "highlight": (objects.highlight, 1.0),
    "tape": (objects.tape, 0.4),
    "blot": (objects.blot, 0.5),
    "signature": (_signature, 3.0),
    "note": (_note, 2.5),
    "pen-ring": (_pen_ring, 1.2),
    "ringed-note": (_ringed_note, 1.2),
    "pen-mark": (_pen_mark, 1.2),
    "letterhead": (_letterhead, 1.0),
    "redaction": (_redaction, 0.4),
}
"""What is added, by name, and how often relative to the others."""
