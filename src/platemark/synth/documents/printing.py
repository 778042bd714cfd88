"""Fonts of print: the files at hand, sorted by script and use; lines of text as ink masks."""

import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import cv2
import numpy as np
from PIL import ImageFont

from platemark.imaging.image import Pixels
from platemark.synth.documents.prose import PROBES, SCRIPTS, one_of
from platemark.synth.fontfiles import BUNDLED_FONTS, FontFile, find_fonts, is_joining, load_font

_SMALLEST = 14.0  # pixels per em below which letters are rendered larger and reduced
_LARGEST_KEPT = 44.0  # pixels per em above which words are not kept
_WORDS = re.compile(r"\d|[\u3000-\u9fff]|[^\d\s\u3000-\u9fff]+|\s+")
_BOLD = re.compile(r"bold|black|heavy|semi|medium|extra", re.IGNORECASE)
_SLANTED = re.compile(r"italic|oblique|slant", re.IGNORECASE)
_NARROW_STROKES = re.compile(r"thin|light|hair", re.IGNORECASE)
_TYPEWRITER = re.compile(r"mono|courier|cursor|cmuntt|OCR", re.IGNORECASE)
_DISPLAY = re.compile(
    r"RG2014|DIN|Nummernschild|RoadUA|plate|Bebas|Title|Decorat|Poster|Art|Outline|Shadow|OCR",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class PrintFace:
    """A font file for print.

    Attributes:
        path: the file.
        scripts: those of :data:`platemark.synth.documents.prose.SCRIPTS` that it covers.
        plain: upright, of normal weight and made for running text.
    """

    path: Path
    scripts: frozenset[str]
    plain: bool


class PrintFonts:
    """Fonts for typeset pages, sorted by the scripts they cover.

    Args:
        folder: fonts of the user (.ttf, .otf, .ttc), joined to the bundled ones; None for those
            alone.

    Raises:
        DatasetError: The folder has no fonts, or one of them cannot be read.
    """

    def __init__(self, folder: Path | None = None) -> None:
        own = find_fonts(folder).values() if folder else ()
        probed = [_probe(load_font(path)) for path in (*find_fonts(BUNDLED_FONTS).values(), *own)]
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


@cache
def print_fonts(folder: Path | None) -> PrintFonts:
    """The print fonts of a folder beside the bundled ones, read once in a process.

    Raises:
        DatasetError: The folder has no fonts, or one that cannot be read.
    """
    return PrintFonts(folder)


def _readable(face: PrintFace) -> bool:
    return not _DISPLAY.search(face.path.stem)


def _probe(font: FontFile) -> PrintFace:
    scripts = frozenset(script for script, probe in PROBES.items() if all(map(font.has, probe)))
    odd = any(rule.search(font.style) for rule in (_BOLD, _SLANTED, _NARROW_STROKES, _DISPLAY))
    return PrintFace(font.path, scripts, not odd)


@dataclass(frozen=True)
class Line:
    """A piece of text as ink.

    Attributes:
        mask: (H, W) uint8 coverage; empty for blanks.
        left: column of the mask's corner from the origin of the text.
        top: row of the mask's corner from the baseline.
        advance: distance to the origin of what follows, in pixels.
    """

    mask: Pixels
    left: int
    top: int
    advance: float


def set_line(text: str, face: PrintFace, size: float) -> Line:
    """A line of text, put together from words that are rendered once.

    Args:
        text: what it says.
        face: the font.
        size: pixels per em, kept to a quarter pixel.
    """
    if size > _LARGEST_KEPT or any(map(is_joining, text)):
        return _draw(text, face.path, round(size * 4))
    return _joined([set_word(word, face, size) for word in _WORDS.findall(text)])


def set_word(text: str, face: PrintFace, size: float) -> Line:
    """A word that is likely to come again; see :func:`set_line`."""
    return _word(text, face.path, max(round(size * 4), 8))


def lay_word(mask: Pixels, word: Line, x: int, y: int) -> None:
    """Add a word to a mask, its origin at (x, y); what is outside is cut off."""
    column, row = x + word.left, y + word.top
    height, width = word.mask.shape
    if column < 0 or row < 0:
        cut = word.mask[max(-row, 0) :, max(-column, 0) :]
        column, row = max(column, 0), max(row, 0)
        height, width = cut.shape
    else:
        cut = word.mask
    part = mask[row : row + height, column : column + width]
    np.maximum(part, cut[: part.shape[0], : part.shape[1]], out=part)


def _joined(parts: Sequence[Line]) -> Line:
    """Pieces of text one after another."""
    x, placed = 0.0, []
    for part in parts:
        if part.mask.size:
            placed.append((round(x), part))
        x += part.advance
    if not placed:
        return Line(np.zeros((0, 0), np.uint8), 0, 0, x)
    left = min(start + part.left for start, part in placed)
    right = max(start + part.left + part.mask.shape[1] for start, part in placed)
    top = min(part.top for _, part in placed)
    bottom = max(part.top + part.mask.shape[0] for _, part in placed)
    mask = np.zeros((bottom - top, right - left), np.uint8)
    for start, part in placed:
        lay_word(mask, part, start - left, -top)
    return Line(mask, left, top, x)


@lru_cache(maxsize=8192)
def _word(text: str, path: Path, quarters: int) -> Line:
    """A word put together from letters; very small ones are reduced, as a scanner does."""
    zoom = max(1, math.ceil(4 * _SMALLEST / quarters))
    if any(map(is_joining, text)):
        line = _draw(text, path, quarters * zoom)
    else:
        line = _joined([_letter(letter, path, quarters * zoom) for letter in text])
    if zoom == 1 or not line.mask.size:
        return Line(line.mask, line.left, line.top, line.advance / zoom)
    left, top = line.left // zoom, line.top // zoom
    width = -(-(line.left + line.mask.shape[1]) // zoom) - left
    height = -(-(line.top + line.mask.shape[0]) // zoom) - top
    block = np.zeros((height * zoom, width * zoom), np.uint8)
    lay_word(block, line, -left * zoom, -top * zoom)
    small = cv2.resize(block, (width, height), interpolation=cv2.INTER_AREA)
    return Line(np.asarray(small, np.uint8), left, top, line.advance / zoom)


@lru_cache(maxsize=16384)
def _letter(letter: str, path: Path, quarters: int) -> Line:
    return _draw(letter, path, quarters)


@cache
def _present(letter: str, path: Path) -> str:
    """The letter; where the font lacks it, the same without its accent, or a blank."""
    for choice in (letter, unicodedata.normalize("NFD", letter)[0]):
        if is_joining(choice) or load_font(path).has(choice):
            return choice
    return " "


def _draw(text: str, path: Path, quarters: int) -> Line:
    """Draw text afresh, ``quarters`` quarter pixels per em."""
    text = "".join(_present(letter, path) for letter in text)
    font = _font(path, quarters / 4, any(map(is_joining, text)))
    core, (left, top) = font.getmask2(text, "L", anchor="ls")
    width, height = core.size
    mask = np.frombuffer(bytes(core), np.uint8).reshape(height, width)
    return Line(mask, left, top, float(font.getlength(text)))


@lru_cache(maxsize=512)
def _font(path: Path, pixels: float, shaped: bool) -> ImageFont.FreeTypeFont:
    # Shaping is slow, and only joined scripts need it.
    engine = ImageFont.Layout.RAQM if shaped else ImageFont.Layout.BASIC
    return load_font(path).sized(pixels, engine)
