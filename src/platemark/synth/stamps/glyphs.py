"""Fonts of stamps: glyph outlines of every font at hand, and which fonts cover a text."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image as PilImage
from PIL import ImageDraw

from platemark.synth.fontfiles import FontFile, all_fonts, load_font
from platemark.synth.outlines import Points

_CAP = 200  # pixels of a capital's height while its outline is traced
_SMOOTHING = 0.6  # pixels


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
        file: the font file.
    """

    def __init__(self, file: FontFile) -> None:
        self.name = file.path.stem
        self.path = file.path
        self._file = file
        self._glyphs: dict[str, Glyph] = {}
        _, top, _, bottom = file.sized(100).getbbox("H")
        height = bottom - top if file.has("H") else 70.0
        self._font = file.sized(round(100 * _CAP / max(height, 1)))
        self._ascent = self._font.getmetrics()[0]

    def covers(self, text: str) -> bool:
        """Whether the font has every character of ``text``, and joining scripts can be shaped."""
        return self._file.covers(text)

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


@cache
def load_face(path: Path) -> StampFace:
    """The face of a font file; its glyphs are traced once in a process.

    Raises:
        DatasetError: The file is no font that can be read.
    """
    return StampFace(load_font(path))


class StampFonts:
    """The fonts that stamps are lettered with.

    Args:
        folder: fonts of the user beside the bundled ones; None for the bundled alone.

    Raises:
        DatasetError: The folder has no fonts, or one that cannot be read.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self.faces = {stem: load_face(path) for stem, path in all_fonts(folder).items()}

    def __reduce__(self) -> tuple[type["StampFonts"], tuple[Path | None]]:
        return StampFonts, (self.folder,)

    def covering(self, text: str) -> tuple[StampFace, ...]:
        """The faces that have every character of ``text``, by name."""
        return tuple(face for face in self.faces.values() if face.covers(text))
