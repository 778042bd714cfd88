"""Plate formats from data: what a country's plate may say and its design.

A format is one TOML file in ``plates/formats``; its stem is the region code. Its patterns and rows
are written in the notation of `platemark.plates.notation`.

A table ``[defaults]`` holds keys that every ``[[drawings]]`` without them takes over.
"""

import difflib
import tomllib
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field as dataclass_field
from dataclasses import replace
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
import pydantic
from pydantic.dataclasses import dataclass

from platemark.errors import FormatError
from platemark.plates.notation import (
    NotationError,
    Piece,
    RowToken,
    Shape,
    alphabet,
    parse,
    shapes_of,
)

__all__ = [
    "FORMATS_FOLDER",
    "UNKNOWN_REGION",
    "Band",
    "Caption",
    "Drawing",
    "Field",
    "PlateFormat",
    "Sample",
    "candidates",
    "choose_formats",
    "format_files",
    "load_formats",
    "normalise",
    "read_formats",
    "regions_meant",
]

FORMATS_FOLDER = "formats"
"""Where a reader's folder has the plate formats that it was taught beside the packaged ones."""

UNKNOWN_REGION = "xx-unknown"
"""Region code of a plate of none of the formats, such as a dealer's board."""

_HOMOGLYPHS = str.maketrans("АВСЕНІКМОРТХУ", "ABCEHIKMOPTXY")

_PACKAGED = Path(__file__).with_name("formats")

Colour = Annotated[str, pydantic.Field(pattern=r"^#[0-9a-f]{6}$")]
Ground = Annotated[str, pydantic.Field(pattern=r"^#[0-9a-f]{6}(>#[0-9a-f]{6})?$")]
Fraction = Annotated[float, pydantic.Field(ge=0, le=1)]
Positive = Annotated[float, pydantic.Field(gt=0)]
FontStyle = Literal[
    "fe",
    "fe-narrow",
    "din",
    "din-narrow",
    "highway",
    "highway-narrow",
    "ua",
    "charles-wright",
    "mandatory",
    "condensed",
    "sans-bold",
]

_CONFIG = pydantic.ConfigDict(extra="forbid")


@dataclass(frozen=True, config=_CONFIG)
class Band:
    """A coloured strip along one side; `size` is its share of the width (top: of the height)."""

    side: Literal["left", "right", "top"]
    colour: Colour
    text: str = ""
    emblem: str = "none"
    size: Fraction = 0.08


@dataclass(frozen=True, config=_CONFIG)
class Field:
    """The design of the separate field at the right (the region of Russian and Kazakh plates).

    `size` is its share of the plate's width, `char_height` of the plate's height.
    """

    size: Fraction = 0.24
    char_height: Fraction = 0.5
    caption: str = ""
    emblem: str = "none"


@dataclass(frozen=True, config=_CONFIG)
class Caption:
    """Small print that is no plate text: one of `texts`, `height` is its share of the plate's."""

    place: Literal["top", "bottom"]
    texts: Annotated[tuple[str, ...], pydantic.Field(min_length=1)]
    height: Fraction = 0.15


@dataclass(frozen=True, config=_CONFIG)
class Drawing:
    """One design of a format: sizes in millimetres, colours ``#rrggbb``, shares in 0..1.

    Of `grounds` (a colour or the gradient ``#rrggbb>#rrggbb``), `inks` and `fonts` one each is
    picked. `char_height` is the height of capitals as a share of the plate's height, or, on a plate
    of several rows, of the row's share of it; `letter_height` is the height of letters as a share
    of that of digits; `caption_height` replaces the height of the captions. `stickers` and `bolts`
    are probabilities.
    """

    size: tuple[Positive, Positive]
    rows: Annotated[tuple[str, ...], pydantic.Field(min_length=1, max_length=3)]
    grounds: Annotated[tuple[Ground, ...], pydantic.Field(min_length=1)]
    inks: Annotated[tuple[Colour, ...], pydantic.Field(min_length=1)]
    fonts: Annotated[tuple[FontStyle, ...], pydantic.Field(min_length=1)]
    weight: Positive = 1.0
    char_height: Fraction = 0.68
    letter_height: Fraction = 1.0
    stretch: Positive = 1.0
    border: bool = False
    border_colour: Colour | None = None
    bands: tuple[Band, ...] = ()
    field: Field | None = None
    captions: tuple[Caption, ...] = ()
    caption_height: Fraction | None = None
    stickers: Fraction = 0.0
    bolts: Fraction = 0.5


@dataclass(frozen=True)
class Sample:
    """A made-up plate: the format's `code`, the drawing chosen, its rows from top to bottom.

    `ruled` says whether the place in the text tells letters from digits.
    """

    code: str
    drawing: Drawing
    rows: tuple[tuple[RowToken, ...], ...]
    ruled: bool = False

    @property
    def text(self) -> str:
        """Letters and digits only, rows from top to bottom."""
        return "".join(token.char for row in self.rows for token in row)


@dataclass(frozen=True, config=_CONFIG)
class PlateFormat:
    """The grammar and the designs of one kind of plate; `code` is its region code.

    `patterns` describe the text in reading order (a two-line plate: top line first), most usual
    first. `weight` says how often synthesis draws the format.
    """

    code: str
    name: str
    country: str
    alphabet: str
    patterns: Annotated[tuple[str, ...], pydantic.Field(min_length=1)]
    examples: Annotated[tuple[str, ...], pydantic.Field(min_length=3)]
    counterexamples: Annotated[tuple[str, ...], pydantic.Field(min_length=3)]
    drawings: Annotated[tuple[Drawing, ...], pydantic.Field(min_length=1)]
    weight: Positive = 1.0
    prefixes: tuple[str, ...] = dataclass_field(default=())

    @cached_property
    def _rows(self) -> dict[str, tuple[Piece, ...]]:
        rows = {row for drawing in self.drawings for row in drawing.rows}
        return {row: self._parse(row, row=True) for row in sorted(rows)}

    def _parse(self, notation: str, *, row: bool = False) -> tuple[Piece, ...]:
        return parse(notation, alphabet(self.alphabet), self.prefixes, row=row)

    @cached_property
    def shapes(self) -> tuple[tuple[Shape, ...], ...]:
        """The texts of each pattern."""
        return tuple(tuple(shapes_of(self._parse(pattern))) for pattern in self.patterns)

    @cached_property
    def strict(self) -> bool:
        """Whether every place is either for letters or for digits: a match tells something."""
        places = {place for shapes in self.shapes for shape in shapes for place in shape.places}
        return all(len({char.isdigit() for char in place}) == 1 for place in places)

    def matches(self, text: str) -> bool:
        """Whether `text`, normalised, is a whole plate of this format."""
        plain = normalise(text)
        return any(shape.matches(plain) for shapes in self.shapes for shape in shapes)

    def sample(self, rng: np.random.Generator) -> Sample:
        """Draw a plate: a drawing by weight, then every character evenly from what may stand there.

        The same state of `rng` gives the same plate.
        """
        weights = np.cumsum([drawing.weight for drawing in self.drawings])
        index = int(np.searchsorted(weights, rng.random() * weights[-1], side="right"))
        drawing = self.drawings[index]
        rows = tuple(
            tuple(token for piece in self._rows[row] for token in piece.sample(rng))
            for row in drawing.rows
        )
        return Sample(self.code, drawing, rows, self.strict)

    def with_lines(self, lines: int) -> Self | None:
        """This format with only the drawings of that number of lines; None where it has none."""
        drawings = tuple(drawing for drawing in self.drawings if len(drawing.rows) == lines)
        return replace(self, drawings=drawings) if drawings else None

    def problem(self) -> tuple[str, str] | None:
        """The first (key, message) at fault in the grammar, examples and rows; None when sound."""
        return next(self._problems(), None)

    def _problems(self) -> Iterator[tuple[str, str]]:
        try:
            alphabet(self.alphabet)
        except NotationError as error:
            yield "alphabet", str(error)
            return
        fits: list[Shape] = []
        for index, pattern in enumerate(self.patterns):
            try:
                fits += shapes_of(self._parse(pattern))
            except NotationError as error:
                yield f"patterns[{index}]", str(error)
                return
        for index, text in enumerate(self.examples):
            if not self.matches(text):
                yield f"examples[{index}]", f"{text!r} matches no pattern"
        for index, text in enumerate(self.counterexamples):
            if self.matches(text):
                yield f"counterexamples[{index}]", f"{text!r} matches a pattern"
        for index, drawing in enumerate(self.drawings):
            message = self._row_problem(drawing, fits)
            if message:
                yield f"drawings[{index}].rows", message

    def _row_problem(self, drawing: Drawing, fits: Sequence[Shape]) -> str | None:
        try:
            pieces = [piece for row in drawing.rows for piece in self._parse(row, row=True)]
        except NotationError as error:
            return str(error)
        for shape in shapes_of(pieces):
            if not any(fit.covers(shape) for fit in fits):
                text = shape.spell()
                return f"{list(drawing.rows)} can give {text!r}, which matches no pattern"
        return None


def normalise(text: str) -> str:
    """Upper case, letters and digits only, Cyrillic homoglyphs as Latin letters."""
    kept = "".join(c for c in unicodedata.normalize("NFC", text.upper()) if c.isalnum())
    return unicodedata.normalize("NFC", kept).translate(_HOMOGLYPHS)


_ADAPTER = pydantic.TypeAdapter(PlateFormat)


def load_formats(own: Path | None = None) -> dict[str, PlateFormat]:
    """Read the packaged formats, and those of `own` besides, by code in alphabetical order.

    A format of `own` with the code of a packaged one replaces it.

    Raises:
        FormatError: see `read_formats`.
    """
    formats = _packaged_formats() if own is None else _packaged_formats() | read_formats(own)
    return dict(sorted(formats.items()))


def format_files(own: Path) -> list[Path]:
    """The files of formats that are not part of the package.

    Args:
        own: A TOML file of one format, or a folder of such files.

    Raises:
        FormatError: There is no such file or folder, or no format in it.
    """
    files = sorted(own.glob("*.toml")) if own.is_dir() else [own] if own.is_file() else []
    if not files:
        raise FormatError(f"{own} is neither a plate format nor a folder of them", source=str(own))
    return files


def read_formats(own: Path) -> dict[str, PlateFormat]:
    """Read formats that are not part of the package, by code in alphabetical order.

    Args:
        own: A TOML file of one format, or a folder of such files.

    Raises:
        FormatError: See `format_files`; or a file is not TOML, has an unknown or missing key, a bad
            pattern, an example that does not match or a row that no pattern allows; the message
            names file and key.
    """
    files = format_files(own)
    formats = {path.stem: _read_format(path) for path in files}
    for path in files:
        if problem := formats[path.stem].problem():
            raise _fault(path, *problem)
    return formats


@cache
def _packaged_formats() -> dict[str, PlateFormat]:
    # The tests have checked these, which takes as long as reading them.
    return {path.stem: _read_format(path) for path in sorted(_PACKAGED.glob("*.toml"))}


def _read_format(path: Path) -> PlateFormat:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        plate_format = _ADAPTER.validate_python(_with_defaults(table))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FormatError(f"{path} is not TOML: {error}", source=str(path)) from error
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        raise _fault(path, _key(first["loc"]), first["msg"]) from error
    if plate_format.code != path.stem:
        raise _fault(path, "code", f"{plate_format.code!r} is not the file's stem {path.stem!r}")
    return plate_format


def _with_defaults(table: dict[str, Any]) -> dict[str, Any]:
    """The table with its ``[defaults]`` laid under every drawing."""
    defaults, drawings = table.pop("defaults", {}), table.get("drawings")
    if not isinstance(drawings, list) or not isinstance(defaults, dict):
        return table
    merged = [defaults | d if isinstance(d, dict) else d for d in drawings]
    return table | {"drawings": merged}


def _fault(path: Path, key: str, message: str) -> FormatError:
    return FormatError(f"{path}: {key}: {message}", source=str(path))


def _key(location: tuple[int | str, ...]) -> str:
    """The TOML path of a place, as in ``drawings[2].bands[0].side``."""
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return key.removeprefix(".")


def candidates(text: str, formats: Mapping[str, PlateFormat] | None = None) -> list[str]:
    """Codes of the formats (default: the packaged ones) whose grammar `text` matches."""
    known = load_formats() if formats is None else formats
    return [code for code, plate_format in known.items() if plate_format.matches(text)]


def regions_meant(label: str | None, codes: Iterable[str]) -> set[str]:
    """Region codes that an annotation leaves open.

    Args:
        label: The annotation: a code, the beginning of several up to a dash (``"eu"``,
            ``"eu-ua"``), a code with more detail than there is (``"us-ca"``), or None.
        codes: The codes there are.

    Returns:
        Those that fit; `UNKNOWN_REGION` alone where none does; none for None.
    """
    if label is None:
        return set()
    fitting = {code for code in codes if f"{code}-".startswith(f"{label}-")}
    while not fitting and "-" in label:
        label = label.rpartition("-")[0]
        fitting = {code for code in codes if code == label}
    return fitting or {UNKNOWN_REGION}


def choose_formats(
    formats: Mapping[str, PlateFormat], names: Iterable[str] | None, banned: Iterable[str] = ()
) -> dict[str, PlateFormat]:
    """Choose formats by name.

    Args:
        formats: All there are, by code.
        names: What to keep, None for all: codes (``"eu-ua-2015"``), beginnings of codes up to a
            dash (``"eu-ua"``, ``"eu"``), countries (``"pl"``), or ``"xx-unknown"`` for none.
        banned: What to leave out, in the same way.

    Raises:
        ValueError: No format has such a name.
    """
    kept = set(formats if names is None else _named(formats, names)) - _named(formats, banned)
    return {code: known for code, known in formats.items() if code in kept}


def _named(formats: Mapping[str, PlateFormat], names: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for name in names:
        wanted = name.strip().lower()
        codes = {
            code
            for code, known in formats.items()
            if code == wanted or code.startswith(f"{wanted}-") or known.country.lower() == wanted
        }
        if not codes and wanted != UNKNOWN_REGION:
            close = difflib.get_close_matches(wanted, formats, n=3, cutoff=0.3)
            raise ValueError(f"no plate format is called {name!r}; near it: {', '.join(close)}")
        found |= codes
    return found
