"""Flat plates: what formats name is drawn, and what they misname is an error."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from platemark.errors import DatasetError, FormatError
from platemark.imaging.image import Pixels
from platemark.plates.formats import Band, Drawing, Field, Sample, load_formats
from platemark.plates.notation import RowToken
from platemark.synth.canvas import parse_colour
from platemark.synth.fontfiles import BUNDLED_FONTS
from platemark.synth.plates.texture import Texture, draw_plate
from platemark.synth.plates.typefaces import FontLibrary, Typeface


@pytest.fixture(scope="module")
def fonts() -> FontLibrary:
    return FontLibrary()


LOOK = Drawing(
    size=(520, 112),
    rows=("AB|12",),
    grounds=("#ffffff",),
    inks=("#000000",),
    fonts=("din",),
    bolts=0.0,
)


def sample(drawing: Drawing) -> Sample:
    """A plate with the drawing's own rows, taken as they are."""
    kinds = {" ": "gap", "|": "field"}
    rows = tuple(
        tuple(
            RowToken(kinds[char]) if char in kinds else RowToken("char", char)  # type: ignore[arg-type]
            for char in row
        )
        for row in drawing.rows
    )
    return Sample("test", drawing, rows)


def draw(fonts: FontLibrary, drawing: Drawing, seed: int = 0) -> Texture:
    return draw_plate(sample(drawing), fonts, np.random.default_rng(seed))


def has_colour(pixels: Pixels, code: str) -> bool:
    return bool((pixels == parse_colour(code)).all(axis=2).any())


@pytest.mark.parametrize("code", sorted(load_formats()))
def test_every_format_can_be_drawn_with_the_bundled_fonts(fonts: FontLibrary, code: str) -> None:
    plate_format = load_formats()[code]
    for seed in range(4):
        rng = np.random.default_rng(seed)
        texture = draw_plate(plate_format.sample(rng), fonts, rng)
        assert plate_format.matches(texture.text)
        assert texture.format_code == code
        assert texture.pixels.shape[:2] == texture.alpha.shape
        assert texture.pixels.std() > 5


def test_chinese_characters_stand_beside_the_letters_of_a_typeface_of_plates(
    fonts: FontLibrary,
) -> None:
    rng = np.random.default_rng(0)
    face = fonts.choose("din", "京A12345", rng)
    assert face.covers("京A12345")
    assert face.path.stem != "NotoSansCJKsc-Plates"
    alone = Typeface(face.path)
    assert alone.glyph("京") is None
    assert np.array_equal(face.glyph("A").mask, alone.glyph("A").mask)


def test_every_emblem_of_the_formats_can_be_drawn(fonts: FontLibrary) -> None:
    drawings = [look for plate_format in load_formats().values() for look in plate_format.drawings]
    bands = {band.emblem for look in drawings for band in look.bands}
    fields = {look.field.emblem for look in drawings if look.field}
    for emblem in bands:
        draw(fonts, replace(LOOK, bands=(Band("left", "#003399", "X", emblem),)))
    for emblem in fields:
        draw(fonts, replace(LOOK, field=Field(emblem=emblem)))


@pytest.mark.parametrize("emblem", ["flag:atlantis", "flag:", "moon"])
def test_an_unknown_emblem_is_an_error(fonts: FontLibrary, emblem: str) -> None:
    for side in ("left", "top"):
        with pytest.raises(FormatError, match="emblem"):
            draw(fonts, replace(LOOK, bands=(Band(side, "#003399", "X", emblem),)))  # type: ignore[arg-type]


def test_a_top_band_has_the_flag_it_names_and_no_other(fonts: FontLibrary) -> None:
    brazil, argentina = "#009739", "#74acdf"
    for emblem, there, absent in (
        ("none", (), (brazil, argentina)),
        ("flag:br", (brazil,), (argentina,)),
        ("flag:ar", (argentina,), (brazil,)),
    ):
        drawn = draw(fonts, replace(LOOK, bands=(Band("top", "#003a9b", "BRASIL", emblem, 0.22),)))
        assert all(has_colour(drawn.pixels, colour) for colour in there)
        assert not any(has_colour(drawn.pixels, colour) for colour in absent)


def test_a_field_stands_in_its_own_row(fonts: FontLibrary) -> None:
    one = draw(fonts, LOOK)
    two = draw(fonts, replace(LOOK, size=(280, 200), rows=("A", "CD|12")))
    ink = [plate.pixels.mean(axis=2) < 100 for plate in (one, two)]
    right = [dark[:, round(0.78 * dark.shape[1]) :] for dark in ink]
    assert right[0].any()
    half = right[1].shape[0] // 2
    assert not right[1][: half - 4].any(), "the field of the second row is in the first"
    assert right[1][half:].any()
    assert (one.text, two.text) == ("AB12", "ACD12")


def test_letters_may_be_lower_than_digits(fonts: FontLibrary) -> None:
    def height(rows: tuple[str, ...]) -> int:
        drawn = draw(fonts, replace(LOOK, rows=rows, letter_height=0.6))
        dark = np.flatnonzero((drawn.pixels.mean(axis=2) < 100).any(axis=1))
        return int(dark[-1] - dark[0])

    assert height(("HHH",)) < 0.75 * height(("111",))


def test_fonts_of_a_folder_come_first(tmp_path: Path) -> None:
    source = BUNDLED_FONTS / "RG2014F.ttf"
    (tmp_path / "din1451alt.ttf").write_bytes(source.read_bytes())
    library = FontLibrary(tmp_path)
    chosen = {library.choose("din", "A", np.random.default_rng(seed)).path for seed in range(20)}
    assert tmp_path / "din1451alt.ttf" in chosen


def test_folders_of_fonts_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no fonts"):
        FontLibrary(tmp_path)
    (tmp_path / "broken.ttf").write_bytes(b"not a font")
    with pytest.raises(DatasetError, match=r"broken\.ttf"):
        FontLibrary(tmp_path)


def test_a_text_that_no_font_has(fonts: FontLibrary) -> None:
    with pytest.raises(FormatError, match="漢"):
        fonts.choose("din", "漢", np.random.default_rng(0))


def test_the_licences_travel_with_the_fonts() -> None:
    licences = "".join(path.read_text("utf-8") for path in BUNDLED_FONTS.glob("LICENSE-*.txt"))
    for path in BUNDLED_FONTS.glob("*.?tf"):
        assert path.name in licences
