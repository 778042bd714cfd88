"""Stamp designs: composed from a random generator, pure data, rendered at any resolution.

Convention: millimetres, x to the right, y down; a drawing is (H, W) uint8 ink coverage.
"""

import hashlib
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import get_args

import numpy as np

from platemark.datasets.manifest import StampLine, StampShape
from platemark.geometry import FloatArray
from platemark.synth.outlines import Artwork, Bounds, Shape, extent, rasterize
from platemark.synth.stamps import marks, seals
from platemark.synth.stamps.drafting import Draft
from platemark.synth.stamps.elements import Element
from platemark.synth.stamps.glyphs import StampFonts
from platemark.synth.stamps.lettering import Lettering, RingText, StraightText
from platemark.synth.stamps.nearcopies import changed
from platemark.synth.stamps.phrases import Language, load_languages

__all__ = ["Artwork", "Design", "DesignStudio", "StampFonts"]

Layout = Callable[[Draft], StampShape]
_LEAST, _MOST = 5.0, 80.0  # millimetres of the longer side
_ATTEMPTS = 40
_ATTEMPTS_AT_SHAPE = 1000
_VISIBLE_SCALE = 8.0  # pixels per millimetre of a scan at 200 dpi


@dataclass(frozen=True)
class Design:
    """One stamp as it was cut: pure data, equal where its content is equal.

    Attributes:
        shape: outer outline, as in the manifest.
        style: kind of stamp: company, notary, post, paid ...
        language: code of the language of its texts.
        elements: what it is made of, in the order of drawing (mm, the origin in its middle).
        bounds: (x0, y0, x1, y1) of its ink in millimetres.
        fonts: the fonts it is lettered with; no part of its content.
    """

    shape: StampShape
    style: str
    language: str
    elements: tuple[Element, ...]
    bounds: Bounds
    fonts: StampFonts = field(repr=False, compare=False)

    @property
    def identity(self) -> str:
        """Hex digest of the content; designs that differ in the day of a dater alone share it."""
        fixed = tuple(
            replace(element, text="")
            if isinstance(element, RingText | StraightText) and element.date
            else element
            for element in self.elements
        )
        # Spelt as in the first version, so that data sets keep their identities.
        content = repr((self.shape, fixed)).replace("lettering=Lettering(", "look=Lettering(")
        return hashlib.sha256(content.encode()).hexdigest()[:32]

    @property
    def lines(self) -> tuple[StampLine, ...]:
        """Its texts: those round the ring first, then the straight ones."""
        return tuple(
            StampLine(text=text.text, path="ring" if isinstance(text, RingText) else "straight")
            for text in self._texts
        )

    @property
    def places(self) -> tuple[FloatArray, ...]:
        """Where the characters of each line stand: middles (N, 2) of their ink, or NaN.

        The bounds are the unit square, so that a homography from it to a quad gives the places in
        a picture.
        """
        corner, size = np.array(self.bounds[:2]), np.array([self.width_mm, self.height_mm])
        return tuple((text.places(self.fonts) - corner) / size for text in self._texts)

    @property
    def _texts(self) -> tuple[RingText | StraightText, ...]:
        rings = [element for element in self.elements if isinstance(element, RingText)]
        rows = [element for element in self.elements if isinstance(element, StraightText)]
        return (*rings, *rows)

    @property
    def width_mm(self) -> float:
        """True width in millimetres."""
        return self.bounds[2] - self.bounds[0]

    @property
    def height_mm(self) -> float:
        """True height in millimetres."""
        return self.bounds[3] - self.bounds[1]

    def draw(self, scale: float) -> Artwork:
        """Draw it upright, antialiased; equal designs give equal pixels.

        Args:
            scale: pixels per millimetre.

        Raises:
            ValueError: The scale is not positive.
        """
        if not scale > 0:
            raise ValueError(f"scale is {scale}, must be above 0 pixels per millimetre")
        return rasterize(_shapes(self.elements, self.fonts), self.bounds, scale)


def _differ(first: Artwork, second: Artwork) -> bool:
    """Whether any ink of two drawings is elsewhere."""
    a, b = first.coverage.astype(np.int16), second.coverage.astype(np.int16)
    return a.shape != b.shape or bool((np.abs(a - b) > 100).any())


@lru_cache(maxsize=32)  # a new design is measured, then rendered, often more than once
def _shapes(elements: tuple[Element, ...], fonts: StampFonts) -> list[Shape]:
    return [shape for element in elements for shape in element.shapes(fonts)]


class DesignStudio:
    """Composes stamp designs; one per process, as glyph outlines are cached in its fonts.

    Args:
        fonts: the fonts to letter with; languages that none of them covers are left out.
        shapes: new designs have one of these outlines; empty for any.
    """

    def __init__(self, fonts: StampFonts, shapes: Collection[StampShape] = ()) -> None:
        self.fonts = fonts
        self._shapes = frozenset(shapes or get_args(StampShape))
        languages = {language.code: language for language in load_languages()}
        covering = {code: fonts.covering(lang.alphabet) for code, lang in languages.items()}
        self.languages: dict[str, Language] = {
            code: language for code, language in languages.items() if covering[code]
        }
        self._faces = {code: [face.name for face in faces] for code, faces in covering.items()}
        weights = np.array([language.weight for language in self.languages.values()])
        self._shares = weights / weights.sum()

    def design(self, rng: np.random.Generator) -> Design:
        """Compose a new design; the state of the generator decides everything."""
        for _ in range(_ATTEMPTS_AT_SHAPE):
            made = self._design_of_any_shape(rng)
            if made.shape in self._shapes:
                return made
        raise RuntimeError("no layout gave a stamp of these shapes")  # pragma: no cover

    def _design_of_any_shape(self, rng: np.random.Generator) -> Design:
        code = str(rng.choice(list(self.languages), p=self._shares))
        language = self.languages[code]
        layouts = _CHINESE if language.cjk else _LAYOUTS
        weights = np.array([weight for _, _, weight in layouts])
        for _ in range(_ATTEMPTS):
            style, layout, _ = layouts[int(rng.choice(len(layouts), p=weights / weights.sum()))]
            made = self._compose(layout, style, language, rng)
            if made is not None:
                return made
        raise RuntimeError("no layout gave a stamp of a possible size")  # pragma: no cover

    def near_copy(self, design: Design, rng: np.random.Generator) -> Design:
        """A forger's copy: one letter, digit, name, emblem or line is another; a new identity.

        Raises:
            ValueError: The design has nothing that could be changed.
        """
        language = self.languages[design.language]
        longer = max(design.width_mm, design.height_mm)
        original = design.draw(_VISIBLE_SCALE)
        for _ in range(_ATTEMPTS):
            elements = changed(design.elements, language, self.fonts, longer, rng)
            bounds = extent(_shapes(elements, self.fonts))
            copy = replace(design, elements=elements, bounds=bounds)
            # two variants of an emblem may come out alike
            if _differ(original, copy.draw(_VISIBLE_SCALE)):
                return copy
        raise ValueError(f"no change of this {design.style} stamp can be seen")

    def redated(self, design: Design, rng: np.random.Generator) -> Design:
        """The same stamp on another day: its dates are new, its identity is not."""
        language = self.languages[design.language]
        elements = tuple(
            replace(element, text=language.today(rng))
            if isinstance(element, StraightText) and element.date
            else element
            for element in design.elements
        )
        return replace(design, elements=elements, bounds=extent(_shapes(elements, self.fonts)))

    def _compose(
        self, layout: Layout, style: str, language: Language, rng: np.random.Generator
    ) -> Design | None:
        draft = Draft(rng, language, self.fonts, self._lettering(language, rng))
        draft.upper = bool(rng.random() < 0.82)
        shape = layout(draft)
        elements = tuple(draft.elements)
        texts = [element for element in elements if isinstance(element, RingText | StraightText)]
        if all(text.date for text in texts):  # a day alone does not tell whose stamp it is
            return None
        bounds = extent(_shapes(elements, self.fonts))
        longer = max(bounds[2] - bounds[0], bounds[3] - bounds[1])
        if not _LEAST <= longer <= _MOST:
            return None
        name = draft.kind if style == "seal" else style
        return Design(shape, name, language.code, elements, bounds, self.fonts)

    def _lettering(self, language: Language, rng: np.random.Generator) -> Lettering:
        face = str(rng.choice(self._faces[language.code]))
        plain = rng.random() < 0.6
        return Lettering(
            face=face,
            size=1.0,
            stretch=round(float(rng.uniform(0.8, 1.2)), 2),
            spacing=0.0 if plain else round(float(rng.uniform(0, 0.25)), 2),
            weight=round(float(rng.uniform(0.005, 0.035)), 3) if rng.random() < 0.25 else 0.0,
            slant=0.21 if rng.random() < 0.07 else 0.0,
        )


_LAYOUTS: tuple[tuple[str, Layout, float], ...] = (
    ("seal", seals.round_seal, 28),
    ("seal", seals.oval_seal, 10),
    ("post", seals.post_dater, 4),
    ("banner", seals.banner_seal, 3),
    ("inspection", seals.inspection_disc, 4),
    ("mark", marks.word_mark, 14),
    ("dater", marks.dater, 6),
    ("seal", marks.address_block, 9),
    ("form", marks.form, 4),
    ("seal", marks.square_block, 4),
    ("seal", marks.triangle, 7),
    ("seal", marks.polygon, 4),
    ("inspection", marks.inspection_box, 3),
    ("inventory", marks.inventory, 3),
)
"""(style, layout, weight); the style "seal" stands for the kind that the layout chose."""

_CHINESE: tuple[tuple[str, Layout, float], ...] = (
    ("seal", seals.star_seal, 50),
    ("chop", marks.chop, 20),
    ("mark", marks.word_mark, 12),
    ("dater", marks.dater, 4),
    ("seal", seals.oval_seal, 4),
    ("seal", marks.address_block, 5),
    ("seal", seals.round_seal, 5),
)
