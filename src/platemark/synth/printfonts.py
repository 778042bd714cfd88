"""Fonts of print: the files at hand, sorted by script and by what they are good for."""

import re
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
from PIL import ImageFont

from platemark.errors import DatasetError
from platemark.synth.prose import PROBES, SCRIPTS, one_of
from platemark.synth.stampfonts import StampFonts
from platemark.synth.typefaces import BUNDLED_FONTS

_FONT_SUFFIXES = {".ttf", ".otf", ".ttc"}
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


FontSource = StampFonts | Path | None
"""Where print fonts come from: the folder of the fonts of stamps, a folder, the bundled fonts."""


def print_fonts(source: FontSource) -> PrintFonts:
    """The print fonts of a source, read once in a process.

    Raises:
        DatasetError: The folder has no fonts, or one that cannot be read.
    """
    return _load(source.folder if isinstance(source, StampFonts) else source)


@cache
def _load(folder: Path | None) -> PrintFonts:
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
