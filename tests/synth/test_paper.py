"""Document pages: the same from the same seed, of the right size, printed on paper."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from platemark.errors import DatasetError
from platemark.synth.camera.ink import print_ink
from platemark.synth.documents.pages import LAYOUTS, PageStudio
from platemark.synth.documents.printing import print_fonts, set_line
from platemark.synth.documents.prose import SCRIPTS, Prose
from platemark.synth.documents.typesetting import Sheet


@pytest.fixture(scope="module")
def studio() -> PageStudio:
    return PageStudio(None)


@pytest.mark.parametrize("kind", LAYOUTS)
def test_layout_is_deterministic_and_printed(studio: PageStudio, kind: str) -> None:
    first = studio.typeset(kind, np.random.default_rng(3), 60)
    second = studio.typeset(kind, np.random.default_rng(3), 60)
    other = studio.typeset(kind, np.random.default_rng(4), 60)
    assert first.dtype == np.uint8
    assert first.shape[2] == 3
    np.testing.assert_array_equal(first, second)
    assert first.shape != other.shape or np.any(first != other)
    if kind != "blank":
        assert np.ptp(first.max(axis=2)) > 60, "there is ink on it"
    assert np.median(first.max(axis=2)) > 120, "most of it is paper"


@pytest.mark.parametrize("dpi", [40, 75, 200])
def test_size_follows_resolution(studio: PageStudio, dpi: float) -> None:
    page = studio.typeset("letter", np.random.default_rng(0), dpi)
    inches = np.array(page.shape[:2]) / dpi
    sizes = np.array([(297, 210), (279.4, 215.9)]) / 25.4
    assert np.abs(inches - sizes).max(axis=1).min() < 1 / dpi


def test_pages_of_a_studio_are_whole_numbers_of_paper(studio: PageStudio) -> None:
    for seed in range(12):
        page = studio.page(np.random.default_rng(seed), 50)
        assert 50 < min(page.shape[:2]) <= max(page.shape[:2]) < 900
        assert page.flags.c_contiguous


def test_resolution_out_of_range_is_refused(studio: PageStudio) -> None:
    with pytest.raises(ValueError, match="40 to 200"):
        studio.page(np.random.default_rng(0), 300)


def test_unknown_layout_is_refused(studio: PageStudio) -> None:
    with pytest.raises(ValueError, match="no layout 'poster'"):
        studio.typeset("poster", np.random.default_rng(0), 100)


def test_half_of_the_pages_come_from_pictures(tmp_path: Path) -> None:
    green = np.zeros((300, 200, 3), np.uint8)
    green[..., 1] = 255
    cv2.imwrite(str(tmp_path / "page.png"), green)
    studio = PageStudio(None, tmp_path)
    rng = np.random.default_rng(0)
    pages = [studio.page(rng, 40) for _ in range(24)]
    cut = [page for page in pages if np.ptp(page.reshape(-1, 3), axis=0).max() < 3]
    greens = sum(int(page[0, 0, 1]) > int(page[0, 0, 0]) + 60 for page in cut)
    assert 6 <= greens <= 18


def test_folder_without_pictures_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no pictures"):
        PageStudio(None, tmp_path)


def test_folder_without_fonts_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no fonts"):
        PageStudio(tmp_path)


def test_damaged_font_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    with pytest.raises(DatasetError, match="cannot be read"):
        PageStudio(tmp_path)


def test_line_is_as_wide_as_it_says() -> None:
    face = print_fonts(None).body("latin", np.random.default_rng(0))
    for size in (6.0, 18.0, 80.0):
        line = set_line("Agreement 2024", face, size)
        assert line.mask.max() > 150
        assert abs(line.mask.shape[1] - line.advance) < 0.35 * size
        twice = set_line("Agreement 2024Agreement 2024", face, size)
        assert twice.advance == pytest.approx(2 * line.advance, rel=0.03)


def test_missing_accent_falls_back_to_the_letter() -> None:
    faces = [face for face in print_fonts(None).faces if face.path.stem == "OSP-DIN"]
    plain, accented = (set_line(text, faces[0], 20.0) for text in ("c", "\u010d\u0323"))
    assert accented.mask.any()
    assert accented.advance < 2 * plain.advance


def test_text_alignment() -> None:
    fonts = print_fonts(None)
    columns = {}
    for align in ("left", "centre", "right"):
        sheet = Sheet.draw(
            np.full((100, 400, 3), 255, np.uint8), 4.0, fonts, np.random.default_rng(1)
        )
        sheet.text(50.0, 15.0, "Hamburg", align=align)  # type: ignore[arg-type]
        columns[align] = np.flatnonzero((sheet.pixels < 200).any(axis=(0, 2))).mean()
    assert columns["right"] < columns["centre"] < columns["left"]
    assert columns["centre"] == pytest.approx(200, abs=4)


def test_paragraph_stays_in_its_column() -> None:
    fonts = print_fonts(None)
    rng = np.random.default_rng(2)
    sheet = Sheet.draw(np.full((600, 500, 3), 255, np.uint8), 4.0, fonts, rng)
    end = sheet.paragraph(20, 20, 80, Prose().words(120, rng), justified=True)
    rows, columns = np.nonzero((sheet.pixels < 200).any(axis=2))
    assert columns.min() >= 78
    assert columns.max() <= 404
    assert rows.max() <= end * 4.0
    assert end > 20 + 3 * sheet.body.step


def test_ink_multiplies_and_is_clipped() -> None:
    page = np.full((10, 10, 3), (200, 100, 255), np.uint8)
    mask = np.full((6, 6), 255, np.uint8)
    print_ink(page, mask, -3, 7, (255, 0, 128))
    np.testing.assert_array_equal(page[9, 0], (200, 0, 128))
    np.testing.assert_array_equal(page[0, 0], (200, 100, 255))
    print_ink(page, mask, 40, 40, (0, 0, 0))
    print_ink(page, np.zeros((0, 0), np.uint8), 2, 2, (0, 0, 0))


@pytest.mark.parametrize("script", SCRIPTS)
def test_prose_writes_as_many_words_as_asked(script: str) -> None:
    prose, rng = Prose(script), np.random.default_rng(5)
    words = prose.words(40, rng)
    assert len(words) == 40
    assert words[-1].endswith((".", "。"))
    assert prose.heading(rng)
    assert prose.company(rng)
