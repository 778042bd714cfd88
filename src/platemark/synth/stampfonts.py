"""Fonts of stamps: glyph outlines of every font at hand, and which fonts cover a text."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image as PilImage
from PIL import ImageDraw, ImageFont, features

from platemark.errors import DatasetError
from platemark.synth.outlines import Points
from platemark.synth.typefaces import BUNDLED_FONTS

_SUFFIXES = {".ttf", ".otf", ".ttc"}
_CAP = 200  # pixels of a capital's height while its outline is traced
_SMOOTHING = 0.6  # pixels
_PROBE = 20  # pixels of the letters by which missing ones are told


@dataclass(frozen=True)
class Glyph:
    """The outline of a letter, or of a joined word, in heights of a capital letter.

    Attributes:
        points: (N, 2) corners of its closed outlines, one after another, to be filled by the
            even-odd rule; x from the glyph's origin, y down from the baseline.
        ends: index in ``points`` behind the last corner of each outline.
        advance: distance to the next glyph's origin.
        left, top, right, bottom: bounds of the ink; all 0 where there is none (a space).
    """

    points: Points
    ends: tuple[int, ...]
    advance: float
    left: float = 0.0
    top: float = 0.0
    right: float = 0.0
    bottom: float = 0.0


class StampFace:
    """One font, its glyphs traced when first asked for.

    Args:
        path: font file; of a collection its first font is taken.

    Raises:
        DatasetError: The file is no font that can be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.stem
        self._glyphs: dict[str, Glyph] = {}
        self._known: dict[str, bool] = {}
        try:
            self._probe = ImageFont.truetype(str(path), _PROBE)
            missing = self._probe.getmask("\U0010ffff")
            self._missing = missing.size, bytes(missing)
            _, top, _, bottom = ImageFont.truetype(str(path), 100).getbbox("H")
            height = bottom - top if self._has("H") else 70.0
            self._font = ImageFont.truetype(str(path), round(100 * _CAP / max(height, 1)))
        except OSError as error:
            raise DatasetError(f"the font cannot be read ({error})", file=path) from error
        self._ascent = self._font.getmetrics()[0]

    def _has(self, char: str) -> bool:
        if char not in self._known:
            mask = self._probe.getmask(char)
            inked = mask.getbbox() is not None or char.isspace()
            self._known[char] = inked and (mask.size, bytes(mask)) != self._missing
        return self._known[char]

    def covers(self, text: str) -> bool:
        """Whether the font has every character of ``text``; joining scripts need a shaper too."""
        if any(map(is_joining, text)) and not features.check("raqm"):
            return False
        return all(map(self._has, sorted(set(text))))

    def glyph(self, unit: str) -> Glyph:
        """The outline of a character, or of a word of a joining script."""
        found = self._glyphs.get(unit)
        if found is None:
            found = self._glyphs[unit] = self._trace(unit)
        return found

    def _trace(self, unit: str) -> Glyph:
        advance = self._font.getlength(unit) / _CAP
        x0, y0, x1, y1 = (round(value) for value in self._font.getbbox(unit))
        if unit.isspace() or x1 <= x0 or y1 <= y0:
            return Glyph(np.empty((0, 2)), (), advance)
        canvas = PilImage.new("L", (x1 - x0 + 4, y1 - y0 + 4))
        ImageDraw.Draw(canvas).text((2 - x0, 2 - y0), unit, font=self._font, fill=255)
        ink = (np.asarray(canvas) > 127).astype(np.uint8)
        contours, _ = cv2.findContours(ink, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        corner = np.array([x0 - 2 + 0.5, y0 - 2 + 0.5 - self._ascent])
        polygons = [
            (cv2.approxPolyDP(contour, _SMOOTHING, True)[:, 0] + corner) / _CAP
            for contour in contours
        ]
        if not polygons:
            return Glyph(np.empty((0, 2)), (), advance)
        points = np.vstack(polygons)
        ends = tuple(int(end) for end in np.cumsum([len(polygon) for polygon in polygons]))
        (left, top), (right, bottom) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
        return Glyph(points, ends, advance, left, top, right, bottom)


def is_joining(char: str) -> bool:
    """Whether a character is of a script whose letters join (Arabic)."""
    return "\u0600" <= char <= "\u06ff" or "\ufb50" <= char <= "\ufeff"


@cache
def load_face(path: Path) -> StampFace:
    """The face of a font file; each file is opened once in a process."""
    return StampFace(path)


class StampFonts:
    """The fonts that stamps are lettered with.

    Args:
        folder: fonts of the user beside the bundled ones; None for the bundled alone.

    Raises:
        DatasetError: The folder has no fonts, or one that cannot be read.
    """

    def __init__(self, folder: Path | None = None) -> None:
        files = _files(BUNDLED_FONTS)
        if folder is not None:
            own = _files(folder)
            if not own:
                raise DatasetError(
                    "there are no fonts in it (.ttf, .otf, .ttc); name a folder of fonts",
                    file=folder,
                )
            files |= own
        self.folder = folder
        self.faces = {stem: load_face(path) for stem, path in sorted(files.items())}

    def __reduce__(self) -> tuple[type["StampFonts"], tuple[Path | None]]:
        return StampFonts, (self.folder,)

    def covering(self, text: str) -> tuple[StampFace, ...]:
        """The faces that have every character of ``text``, by name."""
        return tuple(face for face in self.faces.values() if face.covers(text))


def _files(folder: Path) -> dict[str, Path]:
    paths = sorted(folder.rglob("*"))
    return {path.stem: path for path in paths if path.suffix.lower() in _SUFFIXES}
