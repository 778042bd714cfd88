"""How the characters of a plate depart from the typefaces at hand.

Few typefaces of plates can be had, and those of countries differ just where characters are alike:
how square an O is beside a D, whether 0 has the shape of O and 1 that of I. A reader that has seen
one shape for each takes the shapes of an unseen typeface for other characters.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from platemark.imaging.image import Pixels
from platemark.synth.plates.typefaces import CAP_HEIGHT

_ROUND = frozenset("0OQDCGUJ35689SB")
_TWINS = ({"0": "O"}, {"O": "0"}, {"1": "I"}, {"I": "1"}, {"0": "O", "1": "I"})
_STEPS = 8


@dataclass(frozen=True)
class Letterforms:
    """The letterforms of one plate.

    Attributes:
        square: how far round strokes go out into their corners, 0 for not at all, 1 for a square.
        twins: characters that have the shape of another.
    """

    square: float = 0.0
    twins: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def draw(cls, rng: np.random.Generator, *, ruled: bool) -> Self:
        """Those of a random country.

        Args:
            rng: decides.
            ruled: whether the place in the text tells letters from digits, so that they may share
                a shape.
        """
        square = (
            round(float(rng.uniform(0.15, 0.7)) * _STEPS) / _STEPS if rng.random() < 0.35 else 0
        )
        shared = ruled and rng.random() < 0.45
        return cls(square, _TWINS[int(rng.integers(len(_TWINS)))] if shared else {})

    def shown(self, char: str) -> str:
        """The character whose shape is used for ``char``."""
        return self.twins.get(char, char)

    def shape(self, char: str, mask: Pixels, headroom: int) -> Pixels:
        """The ink of a glyph in these letterforms.

        Args:
            char: the character.
            mask: (H, W) uint8 from :class:`platemark.synth.plates.typefaces.Typeface`.
            headroom: rows above the body of a capital.
        """
        if not self.square or char not in _ROUND:
            return mask
        shaped = mask.copy()
        body = mask[headroom : headroom + CAP_HEIGHT]
        columns, rows = _squaring(body.shape[1], len(body), self.square)
        shaped[headroom : headroom + CAP_HEIGHT] = cv2.remap(
            body, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        return shaped


@lru_cache(maxsize=1024)
def _squaring(
    width: int, height: int, strength: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Where each pixel comes from when a disc grows into its square (elliptical grid mapping)."""
    x = (np.arange(width, dtype=np.float32)[None] + 0.5) * 2 / width - 1
    y = (np.arange(height, dtype=np.float32)[:, None] + 0.5) * 2 / height - 1
    inward_x = x * (1 - strength + strength * np.sqrt(1 - y**2 / 2))
    inward_y = y * (1 - strength + strength * np.sqrt(1 - x**2 / 2))
    columns = ((inward_x + 1) * width / 2 - 0.5).astype(np.float32)
    rows = ((inward_y + 1) * height / 2 - 0.5).astype(np.float32)
    return columns, rows
