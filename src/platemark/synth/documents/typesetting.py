"""Print on paper: a sheet on which lines, paragraphs and rules are set.

Positions and lengths are in millimetres from the sheet's top-left corner, y downwards; type sizes
are in points. Ink multiplies with what is under it, as on paper.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from platemark.imaging.image import Pixels
from platemark.synth.camera.ink import MM_PER_INCH, print_ink
from platemark.synth.canvas import Colour
from platemark.synth.documents.printing import PrintFace, PrintFonts, lay_word, set_line, set_word
from platemark.synth.documents.prose import Prose, one_of

_POINT = MM_PER_INCH / 72
_INKS: tuple[Colour, ...] = ((15, 15, 15), (30, 30, 30), (55, 55, 60), (80, 80, 82), (35, 35, 75))
_ACCENTS: tuple[Colour, ...] = (
    (20, 20, 20),
    (20, 60, 140),
    (160, 25, 35),
    (20, 110, 70),
    (200, 100, 20),
    (90, 40, 120),
    (0, 120, 160),
    (110, 110, 110),
)
_SCRIPT_SHARES = {"latin": 0.56, "cyrillic": 0.22, "han": 0.1, "arabic": 0.06, "greek": 0.06}
Align = Literal["left", "centre", "right"]


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
        light: a tint for grounds.
    """

    pixels: Pixels
    scale: float
    fonts: PrintFonts
    prose: Prose
    body: Style
    head: Style
    accent: Colour = (25, 25, 25)
    light: Colour = (225, 225, 225)

    @classmethod
    def draw(
        cls,
        pixels: Pixels,
        scale: float,
        fonts: PrintFonts,
        rng: np.random.Generator,
        *,
        points: tuple[float, float] = (8.0, 13.0),
        machine: bool = False,
    ) -> Self:
        """A sheet with a script, styles and inks of its own.

        Args:
            pixels: (H, W, 3) uint8 RGB to print on.
            scale: pixels per millimetre.
            fonts: the fonts at hand.
            rng: draws them.
            points: range of the size of running text.
            machine: mostly letters of equal breadth, as of typewriters and tills.
        """
        scripts = [script for script in fonts.scripts if script in _SCRIPT_SHARES]
        shares = np.array([_SCRIPT_SHARES[script] for script in scripts])
        script = str(rng.choice(scripts, p=shares / shares.sum()))
        choose = fonts.typewriter if machine and rng.random() < 0.7 else fonts.body
        size, ink, accent = float(rng.uniform(*points)), one_of(_INKS, rng), one_of(_ACCENTS, rng)
        body = Style(choose(script, rng), size, ink, float(rng.uniform(1.05, 1.6)))
        head = Style(fonts.display(script, rng), size * float(rng.uniform(1.2, 2)), ink, 1.2)
        red, green, blue = (int(255 - 0.2 * (255 - value)) for value in accent)
        light = (red, green, blue) if rng.random() < 0.5 else (225, 225, 225)
        return cls(pixels, scale, fonts, Prose(script), body, head, accent, light)

    @property
    def width(self) -> float:
        """Millimetres."""
        return float(self.pixels.shape[1] / self.scale)

    @property
    def height(self) -> float:
        """Millimetres."""
        return float(self.pixels.shape[0] / self.scale)

    def px(self, *lengths: float) -> tuple[int, ...]:
        """Millimetres as whole pixels."""
        return tuple(round(length * self.scale) for length in lengths)

    def em(self, style: Style) -> float:
        """Pixels per em of a style on this sheet."""
        return style.points * _POINT * self.scale

    def length(self, text: str, style: Style) -> float:
        """Width of a text in millimetres."""
        return set_line(text, style.face, self.em(style)).advance / self.scale

    def text(
        self, x: float, y: float, text: str, style: Style | None = None, align: Align = "left"
    ) -> None:
        """Set one line with its baseline at ``y`` and its left, middle or right at ``x``."""
        style = style or self.body
        line = set_line(text, style.face, self.em(style))
        shift = {"left": 0.0, "centre": 0.5, "right": 1.0}[align] * line.advance
        column, row = round(x * self.scale - shift), round(y * self.scale)
        self.ink(line.mask, column + line.left, row + line.top, style.colour)

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
        size, step = self.em(style), style.step
        room = width * self.scale
        rows = _break(words, style.face, size, room, indent * self.scale, self.prose.space)
        rows = rows[: max(0, math.floor((self.height - y) / step))]
        rise = math.ceil(1.1 * size)
        tall = math.ceil(len(rows) * step * self.scale)
        block = np.zeros((tall + rise, math.ceil(room) + 4), np.uint8)
        for index, row in enumerate(rows):
            baseline = rise + round(index * step * self.scale)
            start = round(indent * self.scale) if index == 0 else 0
            spread = room - start if justified and index < len(rows) - 1 else 0.0
            _set_row(block, row, style.face, size, (start, baseline), spread, self.prose)
        column, top = self.px(x, y)
        self.ink(block, column, top - rise, style.colour)
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
        patch[:] = (patch * (np.array(colour, np.float32) / 255)).astype(np.uint8)

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


def _break(
    words: Sequence[str], face: PrintFace, size: float, width: float, indent: float, space: str
) -> list[list[str]]:
    """Words as rows no wider than ``width`` pixels, greedily."""
    gap = set_word(space, face, size).advance if space else 0.0
    rows: list[list[str]] = [[]]
    used = indent
    for word in words:
        length = set_word(word, face, size).advance
        if rows[-1] and used + length > width:
            rows.append([])
            used = 0.0
        rows[-1].append(word)
        used += length + gap
    return rows if rows[0] else []


def _set_row(
    block: Pixels,
    row: Sequence[str],
    face: PrintFace,
    size: float,
    origin: tuple[int, int],
    spread: float,
    prose: Prose,
) -> None:
    """Set words from ``origin`` onwards, or towards the left, over ``spread`` pixels if not 0."""
    words = [set_word(word, face, size) for word in row]
    gap = set_word(prose.space, face, size).advance if prose.space else 0.0
    if spread and len(row) > 1:
        gap = max((spread - sum(word.advance for word in words)) / (len(row) - 1), 0.0)
    x = float(origin[0])
    for word in words:
        place = x if prose.rightward else block.shape[1] - x - word.advance
        lay_word(block, word, round(place), origin[1])
        x += word.advance + gap
