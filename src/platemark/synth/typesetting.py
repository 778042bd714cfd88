"""Print on paper: fonts for running text, and a sheet on which lines, paragraphs and rules are set.

Positions and lengths are in millimetres from the sheet's top-left corner, y downwards; type sizes
are in points. Ink multiplies with what is under it, as on paper.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PilImage
from PIL import ImageDraw, ImageFont

from platemark.errors import DatasetError
from platemark.imaging.image import Pixels
from platemark.synth.lettering import Colour
from platemark.synth.prose import PROBES, SCRIPTS, Prose, one_of
from platemark.synth.typefaces import BUNDLED_FONTS

MM_PER_INCH = 25.4
_POINT = MM_PER_INCH / 72
_FONT_SUFFIXES = {".ttf", ".otf", ".ttc"}
_BOLD = re.compile(r"bold|black|heavy|semi|medium|extra", re.IGNORECASE)
_SLANTED = re.compile(r"italic|oblique|slant", re.IGNORECASE)
_NARROW_STROKES = re.compile(r"thin|light|hair", re.IGNORECASE)
_TYPEWRITER = re.compile(r"mono|courier|cursor|cmuntt|OCR", re.IGNORECASE)
_DISPLAY = re.compile(
    r"RG2014|DIN|Nummernschild|RoadUA|plate|Bebas|Title|Decorat|Poster|Art|Outline|Shadow|OCR",
    re.IGNORECASE,
)
Align = Literal["left", "centre", "right"]


@dataclass(frozen=True)
class PrintFace:
    """A font file for print.

    Attributes:
        path: the file.
        scripts: those of :data:`platemark.synth.prose.SCRIPTS` that it covers.
        plain: upright, of normal weight and made for running text.
    """

    path: Path
    scripts: frozenset[str]
    plain: bool

    def at(self, pixels: float) -> ImageFont.FreeTypeFont:
        """The font at a size in pixels per em, in steps of a quarter pixel."""
        return _font(self.path, max(round(pixels * 4), 8) / 4, "arabic" in self.scripts)


@lru_cache(maxsize=512)
def _font(path: Path, pixels: float, shaped: bool) -> ImageFont.FreeTypeFont:
    # Shaping is slow, and only joined scripts need it.
    engine = ImageFont.Layout.RAQM if shaped else ImageFont.Layout.BASIC
    return ImageFont.truetype(str(path), pixels, layout_engine=engine)


class PrintFonts:
    """Fonts for typeset pages, sorted by the scripts they cover.

    Args:
        folder: fonts of the user (.ttf, .otf, .ttc), joined to the bundled ones; None for those
            alone.

    Raises:
        DatasetError: The folder has no fonts, or one of them cannot be read.
    """

    def __init__(self, folder: Path | None = None) -> None:
        own = _font_files(folder) if folder else []
        if folder and not own:
            raise DatasetError("there are no fonts in it (.ttf, .otf, .ttc)", file=folder)
        probed = (_probe(path) for path in _font_files(BUNDLED_FONTS) + own)
        self.faces: tuple[PrintFace, ...] = tuple(face for face in probed if face.scripts)
        self.scripts: tuple[str, ...] = tuple(
            script for script in SCRIPTS if any(script in face.scripts for face in self.faces)
        )

    def body(self, script: str, rng: np.random.Generator) -> PrintFace:
        """A face for running text in ``script``."""
        faces = [face for face in self.faces if script in face.scripts]
        plain = [face for face in faces if face.plain]
        return one_of(plain or [face for face in faces if _readable(face)] or faces, rng)

    def typewriter(self, script: str, rng: np.random.Generator) -> PrintFace:
        """A face whose letters are equally broad, or one for running text where there is none."""
        faces = [
            face
            for face in self.faces
            if script in face.scripts and _TYPEWRITER.search(face.path.stem)
        ]
        return one_of(faces, rng) if faces else self.body(script, rng)

    def display(self, script: str, rng: np.random.Generator) -> PrintFace:
        """A face for headings in ``script``, of any weight and cut."""
        return one_of([face for face in self.faces if script in face.scripts], rng)


@lru_cache(maxsize=None)
def load_fonts(folder: Path | None) -> PrintFonts:
    """The print fonts of a folder, read once in a process; see :class:`PrintFonts`."""
    return PrintFonts(folder)


def _font_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in _FONT_SUFFIXES)


def _readable(face: PrintFace) -> bool:
    return not _DISPLAY.search(face.path.stem)


def _probe(path: Path) -> PrintFace:
    try:
        font = ImageFont.truetype(str(path), 20, layout_engine=ImageFont.Layout.BASIC)
    except OSError as error:
        raise DatasetError(f"the font cannot be read ({error})", file=path) from error
    missing = bytes(font.getmask("\uffff"))
    scripts = frozenset(
        script
        for script, probe in PROBES.items()
        if all(bytes(mask := font.getmask(c)) != missing and mask.getbbox() for c in probe)
    )
    style = path.stem + " " + " ".join(name or "" for name in font.getname())
    odd = any(rule.search(style) for rule in (_BOLD, _SLANTED, _NARROW_STROKES, _DISPLAY))
    return PrintFace(path, scripts, not odd)


@dataclass(frozen=True)
class Style:
    """How text is set.

    Attributes:
        face: the font.
        points: size of the em.
        colour: RGB of the ink.
        leading: distance of baselines, in ems.
    """

    face: PrintFace
    points: float
    colour: Colour = (25, 25, 25)
    leading: float = 1.25

    @property
    def step(self) -> float:
        """Distance of baselines in millimetres."""
        return self.points * _POINT * self.leading

    def sized(self, factor: float, colour: Colour | None = None) -> "Style":
        """The same face larger or smaller, in another ink if one is given."""
        return replace(self, points=self.points * factor, colour=colour or self.colour)


@dataclass
class Sheet:
    """A sheet being printed.

    Attributes:
        pixels: (H, W, 3) uint8 RGB, changed in place.
        scale: pixels per millimetre.
        fonts: the fonts at hand.
        prose: the writer of its text.
        body: style of running text.
        head: style of headings.
        accent: a second ink, for lines and headings.
    """

    pixels: Pixels
    scale: float
    fonts: PrintFonts
    prose: Prose
    body: Style
    head: Style
    accent: Colour = (25, 25, 25)
    light: Colour = field(default=(225, 225, 225))

    @property
    def width(self) -> float:
        """Millimetres."""
        return self.pixels.shape[1] / self.scale

    @property
    def height(self) -> float:
        """Millimetres."""
        return self.pixels.shape[0] / self.scale

    def px(self, *lengths: float) -> tuple[int, ...]:
        """Millimetres as whole pixels."""
        return tuple(round(length * self.scale) for length in lengths)

    def font(self, style: Style) -> ImageFont.FreeTypeFont:
        """The style's font at the sheet's resolution."""
        return style.face.at(style.points * _POINT * self.scale)

    def length(self, text: str, style: Style) -> float:
        """Width of a text in millimetres."""
        return float(self.font(style).getlength(text)) / self.scale

    def text(
        self, x: float, y: float, text: str, style: Style | None = None, align: Align = "left"
    ) -> None:
        """Set one line with its baseline at ``y`` and its left end, middle or right end at ``x``."""
        style = style or self.body
        font = self.font(style)
        left, top, right, bottom = (int(side) for side in font.getbbox(text, anchor="ls"))
        if right <= left or bottom <= top:
            return
        shift = {"left": 0.0, "centre": 0.5, "right": 1.0}[align] * right
        block = PilImage.new("L", (right - left + 2, bottom - top + 2))
        ImageDraw.Draw(block).text((1 - left, 1 - top), text, 255, font, anchor="ls")
        column, row = round(x * self.scale - shift), round(y * self.scale)
        self.ink(np.asarray(block), column + left - 1, row + top - 1, style.colour)

    def lines(
        self,
        x: float,
        y: float,
        lines: Sequence[str],
        style: Style | None = None,
        align: Align = "left",
    ) -> float:
        """Set lines below each other, the first with its baseline at ``y``; the next baseline."""
        style = style or self.body
        for line in lines:
            self.text(x, y, line, style, align)
            y += style.step
        return y

    def paragraph(
        self,
        x: float,
        y: float,
        width: float,
        words: Sequence[str],
        style: Style | None = None,
        *,
        indent: float = 0.0,
        justified: bool = False,
    ) -> float:
        """Set words as a paragraph whose first baseline is at ``y``; the next baseline.

        What does not fit above the lower edge of the sheet is left out.
        """
        style = style or self.body
        font, step = self.font(style), style.step
        rows = _break(words, font, width * self.scale, indent * self.scale, self.prose.space)
        rows = rows[: max(0, math.floor((self.height - y) / step))]
        if not rows:
            return y
        rise = math.ceil(font.size * 1.1)
        size = (math.ceil(width * self.scale) + 4, math.ceil(len(rows) * step * self.scale) + rise)
        block = PilImage.new("L", size)
        draw = ImageDraw.Draw(block)
        for index, row in enumerate(rows):
            baseline = rise + index * step * self.scale
            inset = indent * self.scale if index == 0 else 0.0
            spread = justified and index < len(rows) - 1
            _set_row(draw, row, font, baseline, (inset, size[0] - 4), self.prose, spread)
        column, top = self.px(x, y)
        self.ink(np.asarray(block), column, top - rise, style.colour)
        return y + len(rows) * step

    def rule(
        self,
        start: tuple[float, float],
        end: tuple[float, float],
        weight: float = 0.25,
        colour: Colour | None = None,
    ) -> None:
        """Print a horizontal or vertical line; ``weight`` is its breadth in millimetres."""
        (x0, x1), (y0, y1) = sorted((start[0], end[0])), sorted((start[1], end[1]))
        half = weight / 2
        if y1 - y0 < x1 - x0:
            self.fill((x0, y0 - half, x1, y1 + half), colour or self.body.colour)
        else:
            self.fill((x0 - half, y0, x1 + half, y1), colour or self.body.colour)

    def fill(self, box: tuple[float, float, float, float], colour: Colour) -> None:
        """Print a filled rectangle, at least one pixel broad."""
        x0, y0, x1, y1 = self.px(*box)
        patch = self.pixels[max(y0, 0) : max(y1, y0 + 1), max(x0, 0) : max(x1, x0 + 1)]
        patch[:] = cv2.multiply(patch, (*colour, 255), scale=1 / 255) if patch.size else patch

    def frame(
        self,
        box: tuple[float, float, float, float],
        weight: float = 0.25,
        colour: Colour | None = None,
    ) -> None:
        """Print the outline of a rectangle."""
        x0, y0, x1, y1 = box
        for start, end in (
            ((x0, y0), (x1, y0)),
            ((x0, y1), (x1, y1)),
            ((x0, y0), (x0, y1)),
            ((x1, y0), (x1, y1)),
        ):
            self.rule(start, end, weight, colour)

    def ink(self, mask: NDArray[np.uint8], x: int, y: int, colour: Colour) -> None:
        """Print ``colour`` through a mask whose top-left pixel is (x, y)."""
        print_ink(self.pixels, mask, x, y, colour)


def print_ink(
    pixels: Pixels, mask: NDArray[np.uint8], x: int, y: int, colour: Colour, density: float = 1.0
) -> None:
    """Multiply a colour into a picture through a mask, in place; clipped at the edges.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        mask: (h, w) uint8 coverage.
        x: column of the mask's left edge.
        y: row of the mask's top edge.
        colour: RGB of full coverage on white.
        density: 0..1, how much of the ink there is.
    """
    x0, y0 = max(x, 0), max(y, 0)
    x1, y1 = min(x + mask.shape[1], pixels.shape[1]), min(y + mask.shape[0], pixels.shape[0])
    if x1 <= x0 or y1 <= y0:
        return
    cover = np.ascontiguousarray(mask[y0 - y : y1 - y, x0 - x : x1 - x])
    ramp = np.arange(256, dtype=np.float32)[:, None] / 255 * density
    through = 255 - ramp * (255 - np.array(colour, np.float32))
    table = np.round(through).astype(np.uint8).reshape(1, 256, 3)
    passed = cv2.LUT(cv2.merge([cover, cover, cover]), table)
    patch = pixels[y0:y1, x0:x1]
    patch[:] = cv2.multiply(patch, passed, scale=1 / 255)


def _break(
    words: Sequence[str],
    font: ImageFont.FreeTypeFont,
    width: float,
    indent: float,
    space: str,
) -> list[list[str]]:
    """Words as rows no wider than ``width`` pixels, greedily."""
    lengths = {word: font.getlength(word) for word in set(words)}
    gap = font.getlength(space) if space else 0.0
    rows: list[list[str]] = [[]]
    used = indent
    for word in words:
        if rows[-1] and used + lengths[word] > width:
            rows.append([])
            used = 0.0
        rows[-1].append(word)
        used += lengths[word] + gap
    return rows if rows[0] else []


def _set_row(
    draw: ImageDraw.ImageDraw,
    row: Sequence[str],
    font: ImageFont.FreeTypeFont,
    baseline: float,
    ends: tuple[float, float],
    prose: Prose,
    spread: bool,
) -> None:
    if not prose.rightward:
        draw.text((ends[1] - ends[0], baseline), prose.space.join(row), 255, font, anchor="rs")
        return
    if not spread or len(row) < 2:
        draw.text((ends[0], baseline), prose.space.join(row), 255, font, anchor="ls")
        return
    lengths = [font.getlength(word) for word in row]
    gap = (ends[1] - ends[0] - sum(lengths)) / (len(row) - 1)
    x = ends[0]
    for word, length in zip(row, lengths, strict=True):
        draw.text((x, baseline), word, 255, font, anchor="ls")
        x += length + gap
