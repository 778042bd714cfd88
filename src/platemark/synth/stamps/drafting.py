"""Drafting: one stamp in the making, with texts fitted into rows and bands."""

import math
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np

from platemark.synth.emblems import SYMBOLS
from platemark.synth.outlines import LineStyle, rectangle
from platemark.synth.stamps.elements import Corner, Element, Figure, Frame, Panel
from platemark.synth.stamps.glyphs import StampFonts
from platemark.synth.stamps.lettering import (
    Lettering,
    RingText,
    StraightText,
    ellipse_path,
    measure,
)
from platemark.synth.stamps.phrases import Language

T = TypeVar("T")

_LEAST_SIZE = 0.75  # millimetres of a capital: nothing smaller is cut into rubber
_NARROWEST = 0.68
_LINE_STYLES: tuple[LineStyle, ...] = (
    "plain",
    "dashed",
    "dotted",
    "wave",
    "rope",
    "ticks",
    "beads",
)
_RIM_STYLES: tuple[LineStyle, ...] = (
    "toothed",
    "scallop",
    "rope",
    "ticks",
    "dotted",
    "beads",
    "wave",
)


@dataclass
class Draft:
    """A design in the making.

    Attributes:
        rng: where every choice comes from.
        language: of its texts.
        fonts: the fonts at hand.
        lettering: lettering of the design; its texts vary it.
        kind: kind of stamp, names the templates of its texts.
        upper: whether its texts are in capitals.
        elements: what it has so far.
    """

    rng: np.random.Generator
    language: Language
    fonts: StampFonts
    lettering: Lettering
    kind: str = "company"
    upper: bool = True
    elements: list[Element] = field(default_factory=list)

    def chance(self, share: float) -> bool:
        """True in ``share`` of the calls."""
        return bool(self.rng.random() < share)

    def between(self, low: float, high: float) -> float:
        """A number between two, to a hundredth."""
        return round(float(self.rng.uniform(low, high)), 2)

    def among(self, choices: tuple[T, ...] | list[T]) -> T:
        """One of some choices."""
        return choices[int(self.rng.integers(len(choices)))]

    def case(self, text: str) -> str:
        """A text in the case of this design; Greek capitals go without accents."""
        if not self.upper:
            return text
        raised = text.upper()
        if self.language.code == "el":
            raised = raised.translate(str.maketrans("ΆΈΉΊΌΎΏ", "ΑΕΗΙΟΥΩ"))
        return raised

    def phrase(self, slot: str) -> str:
        """A phrase for this kind of stamp, in its case."""
        return self.case(self.language.phrase(self.kind, slot, self.rng))

    def core_rows(self) -> list[str]:
        """Lines for the middle of the stamp."""
        return [part.strip() for part in self.phrase("core").split(" / ")]

    def symbol(self) -> tuple[str, int]:
        """Name and variant of an emblem."""
        return self.among(SYMBOLS), int(self.rng.integers(1 << 16))

    def figure(self, x: float, y: float, size: float, *, ink: bool = True) -> None:
        """Draw some emblem."""
        name, variant = self.symbol()
        self.elements.append(
            Figure(name, variant, round(x, 3), round(y, 3), round(size, 3), ink=ink)
        )

    def line_style(self, plain: float = 0.8) -> LineStyle:
        """A style for an inner line."""
        return "plain" if self.chance(plain) else self.among(_LINE_STYLES)

    def rim_style(self) -> LineStyle:
        """A style for an ornamental border."""
        return self.among(_RIM_STYLES)

    def varied(self) -> Lettering:
        """The lettering of the design with its width and spacing varied for one text."""
        stretch = self.lettering.stretch * float(self.rng.uniform(0.92, 1.08))
        return replace(self.lettering, stretch=round(stretch, 3))

    def aspect(self, text: str) -> float:
        """Natural width of a line of text over its height."""
        unit = measure(text, self.lettering, self.fonts)
        return unit.width / (unit.above + unit.below)

    def row(
        self,
        text: str,
        y: float,
        width: float,
        height: float,
        *,
        x: float = 0.0,
        lettering: Lettering | None = None,
        ink: bool = True,
        date: bool = False,
        angle: float = 0.0,
        left: bool = False,
    ) -> StraightText | None:
        """Set a line of text as large as fits a box; nothing where it would be too small to cut.

        Args:
            text: the line.
            y: middle of the box.
            width: of the box.
            height: of the box; accents and descenders stay inside.
            x: middle of the box.
            lettering: lettering; its size is replaced.
            ink: False for white letters.
            date: whether the text is a date that changes from imprint to imprint.
            angle: clockwise turn of the box about its middle.
            left: whether the text starts at the left of the box, not in its middle.
        """
        if not text or width <= 0:
            return None
        lettering = lettering or self.varied()
        unit = measure(text, replace(lettering, size=1.0), self.fonts)
        size = min(height / (unit.above + unit.below), width / (unit.width * _NARROWEST))
        if size < _LEAST_SIZE:
            return None
        size = math.floor(size * 100) / 100
        drop = (unit.above - unit.below) / 2 * size
        if left:
            x += min(0.0, (unit.width * size - width) / 2)
        turn = math.radians(angle)
        made = StraightText(
            text,
            replace(lettering, size=size),
            round(width, 3),
            ink,
            date,
            x=round(x - drop * math.sin(turn), 3),
            y=round(y + drop * math.cos(turn), 3),
            angle=angle,
        )
        self.elements.append(made)
        return made

    def rows(
        self,
        texts: list[str],
        top: float,
        bottom: float,
        width: float,
        *,
        x: float = 0.0,
        ink: bool = True,
        left: bool = False,
        bend: tuple[float, float] | None = None,
    ) -> None:
        """Stack lines between two heights; some are larger than others.

        Args:
            texts: the lines.
            top: upper end of the stack.
            bottom: its lower end.
            width: of every line; of an ellipse (``bend``) the chord is taken instead.
            x: middle.
            ink: False for white letters.
            left: whether the lines start at the left.
            bend: half axes of the ellipse about the origin that holds the stack.
        """
        shares = self.rng.choice([1.0, 1.0, 1.0, 1.5], len(texts))
        heights = shares / shares.sum() * (bottom - top)
        y = top
        for text, height in zip(texts, heights.tolist(), strict=True):
            room = width
            if bend:
                edge = max(abs(y), abs(y + height))
                room = 2 * bend[0] * math.sqrt(max(0.0, 1 - (edge / bend[1]) ** 2))
            self.row(text, y + height / 2, room, height * 0.8, x=x, ink=ink, left=left)
            y += height

    def ring_text(
        self,
        text: str,
        outer: tuple[float, float],
        band: float,
        *,
        middle: float = 0.0,
        share: float = 0.9,
        outward: bool = True,
        ink: bool = True,
        spread: bool = False,
        lettering: Lettering | None = None,
    ) -> float:
        """Set a text in a band round the origin, as large as fits.

        Args:
            text: the text.
            outer: half axes of the band's outer edge.
            band: its width; the ink stays inside.
            middle: degrees clockwise from the top.
            share: of the whole round that the text may take.
            outward: whether its tops point outwards.
            ink: False for white letters.
            spread: whether the letters are spaced to fill the share.
            lettering: lettering; its size is replaced.

        Returns:
            The share of the round that it takes; 0 where it would be too small to cut.
        """
        lettering = lettering or self.varied()
        unit = measure(text, replace(lettering, size=1.0), self.fonts)
        size = band / (unit.above + unit.below)
        short = min(outer) - band
        if short <= 0:
            return 0.0
        # the letters' feet crowd on the inner edge of a band, so the room is that of the inner edge
        around = ellipse_path(outer[0] - 0.7 * band, outer[1] - 0.7 * band).length
        size = min(size, around * share / (unit.width * _NARROWEST))
        if size < _LEAST_SIZE:
            return 0.0
        size = math.floor(size * 100) / 100
        if spread and len(text) > 1:
            spare = (around * share / size - unit.width) / (len(text) - 1)
            lettering = replace(
                lettering, spacing=round(lettering.spacing + min(max(spare, 0.0), 0.9), 3)
            )
            unit = measure(text, replace(lettering, size=1.0), self.fonts)
        slack = (band - (unit.above + unit.below) * size) / 2
        drop = slack + ((unit.above if outward else unit.below) - (0.5 if outward else -0.5)) * size
        if not outward:
            drop = slack + (unit.below + 0.5) * size
        rx, ry = outer[0] - drop, outer[1] - drop
        length = ellipse_path(rx, ry).length
        room = length * share
        self.elements.append(
            RingText(
                text,
                replace(lettering, size=size),
                round(room, 3),
                ink,
                rx=round(rx, 3),
                ry=round(ry, 3),
                middle=middle,
                outward=outward,
                bent=self.chance(0.1),
            )
        )
        return min(unit.width * size, room) / length

    def box(
        self,
        width: float,
        height: float,
        line: float,
        *,
        style: LineStyle = "plain",
        radius: float = 0.0,
    ) -> None:
        """Draw a rectangular frame whose ink has the given size."""
        inner = corners(width - line, height - line)
        self.elements.append(Frame(inner, line, style, radius))

    def rule(
        self, x0: float, y0: float, x1: float, y1: float, width: float, *, ink: bool = True
    ) -> None:
        """Draw a straight line."""
        ends = ((round(x0, 3), round(y0, 3)), (round(x1, 3), round(y1, 3)))
        self.elements.append(Frame(ends, width, closed=False, ink=ink))

    def panel(
        self, width: float, height: float, *, x: float = 0.0, y: float = 0.0, radius: float = 0.0,
        ink: bool = True,
    ) -> None:  # fmt: skip
        """Draw a filled rectangle."""
        self.elements.append(Panel(corners(width, height, x, y), radius, ink))


def corners(width: float, height: float, x: float = 0.0, y: float = 0.0) -> tuple[Corner, ...]:
    """The corners of a rectangle about (x, y), to a thousandth."""
    return tuple((round(a, 3), round(b, 3)) for a, b in rectangle(width, height, x, y).tolist())
