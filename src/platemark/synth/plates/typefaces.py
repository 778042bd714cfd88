"""Typefaces for synthesis: font files by style, and their glyphs as ink masks.

A style (``fe``, ``din``, ``highway`` ...) is what a plate format asks for. Every style is a list of
font-file stems, best first; a folder given by the user is searched before the fonts that travel
with the package, and any other font in that folder joins the ``sans-bold`` and ``condensed``
styles, so a folder of one's own widens the variety.
"""

import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PilImage
from PIL import ImageDraw, ImageFont

from platemark.errors import FormatError
from platemark.synth.fontfiles import FontFile, all_fonts, find_fonts, load_font

CAP_HEIGHT = 96
"""Height of a capital letter in a glyph mask, in pixels."""

_STYLES: dict[str, tuple[str, ...]] = {
    "fe": ("GL-Nummernschild-Mtl", "FE-FONT"),
    "fe-narrow": ("GL-Nummernschild-Eng", "GL-Nummernschild-Mtl"),
    "din": ("din1451alt", "RoadUA-Medium", "OSP-DIN"),
    "din-narrow": ("OSP-DIN", "licenseplate", "din1451alt"),
    "highway": ("RG2014C", "RG2014D", "RG2014EM"),
    "highway-narrow": ("RG2014B", "RG2014C"),
    "ua": ("RoadUA-Bold", "RoadUA-Medium", "Eu_ua_custom_np-Regular", "RG2014EM"),
    "charles-wright": ("RG2014EM", "RG2014D", "RoadUA-Bold"),
    "mandatory": ("din1451alt", "RG2014D", "RG2014C", "OSP-DIN"),
    "condensed": ("BebasNeue-Bold", "OSP-DIN", "licenseplate", "RG2014B"),
    "sans-bold": ("RG2014EM", "RoadUA-Bold", "RG2014E", "RG2014F"),
}
_FALLBACK: dict[str, tuple[str, ...]] = {
    "fe": ("RG2014D", "OSP-DIN"),
    "fe-narrow": ("RG2014B", "OSP-DIN"),
}
_OPEN_STYLES = ("sans-bold", "condensed")
# So often a plate has the typeface of another style: those of many countries cannot be had, and
# a reader that knows each country by one typeface fails where it is another.
_FOREIGN = 0.15


@dataclass(frozen=True)
class Glyph:
    """One character's ink.

    Attributes:
        mask: (H, W) uint8 coverage, tight in x; in y it spans the typeface's row, see
            :class:`Typeface`.
        left: side bearing before the ink, in mask pixels.
        advance: distance to the next character's origin, in mask pixels.
    """

    mask: NDArray[np.uint8]
    left: float
    advance: float


@dataclass
class Typeface:
    """A font at one size, with its glyphs cached as masks.

    Masks have ``CAP_HEIGHT`` rows for the body of a capital, ``headroom`` rows above for accents,
    and a few below. Glyphs that the font lacks come from the typeface ``lender``.
    """

    path: Path
    lender: "Typeface | None" = None
    _file: FontFile = field(init=False, repr=False)
    _font: ImageFont.FreeTypeFont = field(init=False, repr=False)
    _glyphs: dict[str, Glyph | None] = field(init=False, default_factory=dict, repr=False)
    headroom: int = field(init=False, default=CAP_HEIGHT // 4)

    def __post_init__(self) -> None:
        self._file = load_font(self.path)
        _, top, _, bottom = self._file.sized(200).getbbox("H")
        self._font = self._file.sized(round(200 * CAP_HEIGHT / max(bottom - top, 1)))

    def glyph(self, char: str) -> Glyph | None:
        """The ink of ``char``, or None when the font lacks it."""
        if char not in self._glyphs:
            lent = self.lender.glyph(char) if self.lender else None
            self._glyphs[char] = self._draw(char) or lent
        return self._glyphs[char]

    def covers(self, text: str) -> bool:
        """Whether the font has every character of ``text``."""
        return all(self.glyph(char) is not None for char in text)

    def _draw(self, char: str) -> Glyph | None:
        if char.isspace() or not self._file.has(char):
            return None
        _, cap_top, _, _ = self._font.getbbox("H")
        x0, _, x1, _ = self._font.getbbox(char)
        rows = CAP_HEIGHT + self.headroom + CAP_HEIGHT // 8
        canvas = PilImage.new("L", (int(x1 - x0) + 4, rows))
        ImageDraw.Draw(canvas).text(
            (2 - x0, self.headroom - cap_top), char, font=self._font, fill=255
        )
        pixels = np.asarray(canvas)
        columns = np.flatnonzero(pixels.any(axis=0))
        first, last = int(columns[0]), int(columns[-1]) + 1
        left = float(x0) + first - 2
        return Glyph(pixels[:, first:last].copy(), left, float(self._font.getlength(char)))


class FontLibrary:
    """The typefaces at hand, by style.

    Args:
        folder: fonts of the user, searched before the bundled ones; None for the bundled alone.

    Raises:
        DatasetError: The folder has no fonts, or one that cannot be read.
    """

    def __init__(self, folder: Path | None = None) -> None:
        own = find_fonts(folder) if folder else {}
        known = {stem for stems in _STYLES.values() for stem in stems}
        extra = tuple(sorted(stem for stem in own if stem not in known))
        self._styles: dict[str, tuple[Typeface, ...]] = {}
        faces = {stem: Typeface(path) for stem, path in all_fonts(folder).items()}
        for style, stems in _STYLES.items():
            wanted = stems + (extra if style in _OPEN_STYLES else ())
            found = [faces[stem] for stem in wanted if stem in faces]
            found = found or [faces[stem] for stem in _FALLBACK.get(style, ()) if stem in faces]
            self._styles[style] = tuple(found or faces.values())
        self.captions: tuple[Typeface, ...] = tuple(faces.values())
        self._joined: dict[tuple[Path, Path], Typeface] = {}

    def choose(self, style: str, text: str, rng: np.random.Generator) -> Typeface:
        """A typeface that covers ``text``: mostly of ``style``, whose first faces are likelier.

        Chinese characters have a typeface of their own beside that of the letters and digits.

        Raises:
            FormatError: No typeface has every character of the text.
        """
        chinese = "".join(char for char in text if _is_chinese(char))
        if chinese and chinese != text:
            latin = "".join(char for char in text if not _is_chinese(char))
            return self._join(self.choose(style, latin, rng), self.choose(style, chinese, rng))
        if rng.random() < _FOREIGN:
            foreign = self._styles[str(rng.choice(_OPEN_STYLES))]
            if covering := [face for face in foreign if face.covers(text)]:
                return covering[int(rng.integers(len(covering)))]
        faces = [face for face in self._styles.get(style, self.captions) if face.covers(text)]
        if not faces:
            faces = [face for face in self.captions if face.covers(text)]
        if not faces:
            raise FormatError(f"no font at hand has every character of {text!r}", key="alphabet")
        weights = 0.6 ** np.arange(len(faces))
        return faces[int(rng.choice(len(faces), p=weights / weights.sum()))]

    def _join(self, face: Typeface, lender: Typeface) -> Typeface:
        if face.path == lender.path:
            return face
        pair = face.path, lender.path
        if pair not in self._joined:
            self._joined[pair] = Typeface(face.path, lender)
        return self._joined[pair]


def _is_chinese(char: str) -> bool:
    return unicodedata.name(char, "").startswith("CJK UNIFIED")
