"""Shapes of characters that no typeface at hand has."""

import numpy as np
import pytest

from platemark.synth.plates.letterforms import Letterforms
from platemark.synth.plates.typefaces import CAP_HEIGHT, FontLibrary, Typeface


@pytest.fixture(scope="module")
def face() -> Typeface:
    return FontLibrary().choose("din", "O0ID", np.random.default_rng(0))


def corner_ink(mask: np.ndarray, headroom: int) -> float:
    """Ink in the top-left eighth of the body."""
    body = mask[headroom : headroom + CAP_HEIGHT]
    return float(body[: CAP_HEIGHT // 8, : body.shape[1] // 8].mean())


def test_round_strokes_go_out_into_the_corners(face: Typeface) -> None:
    glyph = face.glyph("O")
    assert glyph is not None
    inks = [
        corner_ink(Letterforms(square).shape("O", glyph.mask, face.headroom), face.headroom)
        for square in (0.0, 0.4, 0.8)
    ]
    assert inks[0] < inks[1] < inks[2]


def test_straight_characters_keep_their_shape(face: Typeface) -> None:
    glyph = face.glyph("H")
    assert glyph is not None
    assert Letterforms(1.0).shape("H", glyph.mask, face.headroom) is glyph.mask


def test_only_where_the_place_rules_do_letters_and_digits_share_a_shape() -> None:
    free = [Letterforms.draw(np.random.default_rng(seed), ruled=False) for seed in range(60)]
    ruled = [Letterforms.draw(np.random.default_rng(seed), ruled=True) for seed in range(60)]
    assert not any(forms.twins for forms in free)
    assert {forms.shown("0") for forms in ruled} == {"0", "O"}
    assert {forms.shown("1") for forms in ruled} == {"1", "I"}
    assert all(forms.shown("A") == "A" for forms in ruled)
