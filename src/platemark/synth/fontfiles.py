"""The font library: the font files at hand, how they are loaded, and the characters each has.

Plates draw glyphs as masks, stamps trace their outlines, documents set lines of print; all three
find, open and judge fonts here.
"""

from functools import cache
from pathlib import Path

from PIL import ImageFont, features

from platemark.errors import DatasetError

BUNDLED_FONTS = Path(__file__).with_name("fonts")
_SUFFIXES = {".ttf", ".otf", ".ttc"}
_PROBE_SIZE = 20  # pixels per em at which glyphs are compared with that of a missing character
_NO_CHARACTER = "\uffff"  # no font has it, so it is rendered as the glyph of missing characters


def is_joining(char: str) -> bool:
    """Whether a character is of a script whose letters join (Arabic)."""
    return "\u0600" <= char <= "\u06ff" or "\ufb50" <= char <= "\ufeff"


class FontFile:
    """One font file.

    Args:
        path: the file; of a collection its first font is taken.

    Raises:
        DatasetError: The file is no font that can be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._probe = ImageFont.truetype(str(path), _PROBE_SIZE)
        except OSError as error:
            raise DatasetError(f"the font cannot be read ({error})", file=path) from error
        missing = self._probe.getmask(_NO_CHARACTER)
        self._missing = missing.size, bytes(missing)
        self._known: dict[str, bool] = {}

    @property
    def style(self) -> str:
        """Names of the file, the family and the style, in which weight and slant are named."""
        return " ".join([self.path.stem, *(name or "" for name in self._probe.getname())])

    def sized(
        self, pixels: float, layout: ImageFont.Layout | None = None
    ) -> ImageFont.FreeTypeFont:
        """The font at ``pixels`` per em; without a ``layout`` it shapes text where it can."""
        return ImageFont.truetype(str(self.path), pixels, layout_engine=layout)

    def has(self, char: str) -> bool:
        """Whether it has a glyph for a character; any font has blanks."""
        if char not in self._known:
            mask = self._probe.getmask(char)
            inked = mask.getbbox() is not None or char.isspace()
            self._known[char] = inked and (mask.size, bytes(mask)) != self._missing
        return self._known[char]

    def covers(self, text: str) -> bool:
        """Whether it has every character of ``text``, and joining scripts can be shaped."""
        if any(map(is_joining, text)) and not features.check("raqm"):
            return False
        return all(map(self.has, sorted(set(text))))


@cache
def load_font(path: Path) -> FontFile:
    """A font file; each is opened once in a process."""
    return FontFile(path)


def find_fonts(folder: Path) -> dict[str, Path]:
    """The font files (.ttf, .otf, .ttc) of a folder and its subfolders by stem, sorted by path.

    Raises:
        DatasetError: There are none.
    """
    paths = sorted(folder.rglob("*"))
    found = {path.stem: path for path in paths if path.suffix.lower() in _SUFFIXES}
    if not found:
        raise DatasetError(
            "there are no fonts in it (.ttf, .otf, .ttc); name a folder of fonts", file=folder
        )
    return found


def all_fonts(folder: Path | None) -> dict[str, Path]:
    """The bundled fonts by stem, sorted by it, with those of a folder beside or in place of them.

    Raises:
        DatasetError: There is a folder, and it has no fonts.
    """
    found = find_fonts(BUNDLED_FONTS) | (find_fonts(folder) if folder else {})
    return dict(sorted(found.items()))
