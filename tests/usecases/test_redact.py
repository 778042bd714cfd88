"""Redacted documents: nothing is left to read, everything else is as it was."""

import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.Image
import pytest

import platemark as pm
from platemark import errors
from platemark.imaging.cover import STYLES, Style
from platemark.imaging.image import Image
from platemark.imaging.sources import open_pages, read_inputs
from platemark.pipeline import Pipeline
from platemark.usecases.redact import by_document, redact

EXAMPLES = Path(__file__).parents[2] / "examples"
PHOTOS = [
    EXAMPLES / "photos" / f"{name}.jpg" for name in ("golf-front", "dashcam-romania", "audi-rear")
]
LETTER = EXAMPLES / "documents" / "letter-seal.jpg"
ORIENTATION, GPS, MAKER, UPSIDE_DOWN = 0x0112, 0x8825, 0x010F, 3


@pytest.fixture(scope="module")
def plates() -> pm.PlatePipeline:
    """The bundled models for plates."""
    return pm.PlatePipeline.from_pretrained(threads=1)


@pytest.fixture(scope="module")
def stamps() -> pm.StampPipeline:
    """The bundled models for stamps, their reader too."""
    return pm.StampPipeline.from_pretrained(threads=1, read=True)


def saved(pixels: Any, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    PIL.Image.fromarray(pixels).save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("photo", PHOTOS, ids=lambda path: path.stem)
def test_our_own_reader_finds_nothing_legible(
    plates: pm.PlatePipeline, photo: Path, style: Style
) -> None:
    assert any(mark.text for mark in plates(photo))
    covered = plates.redact(photo, style)
    assert covered.marks
    assert not [mark for mark in plates(covered.image) if mark.text]
    read = plates.describe(covered.image, covered.marks)
    assert [mark.text for mark in read] == [None] * len(covered.marks)


@pytest.mark.parametrize("style", STYLES)
def test_stamps_lose_their_text_and_their_design(stamps: pm.StampPipeline, style: Style) -> None:
    before = stamps(LETTER).marks
    assert before[0].text
    covered = stamps.redact(LETTER, style)
    assert stamps(covered.image).marks == ()
    for mark in stamps.describe(covered.image, covered.marks):
        assert mark.text is None
        if mark.embedding is not None:
            likeness = np.dot(mark.embedding.vector, before[0].embedding.vector)
            assert likeness < 0.5


def test_a_plate_is_found_once_one_with_a_high_score_is_covered(plates: pm.PlatePipeline) -> None:
    photo = EXAMPLES / "photos" / "dashcam-romania.jpg"
    assert len(plates(photo)) == 1
    assert len(plates.redact(photo).marks) > 1


def test_a_plate_too_small_to_read_is_covered(plates: pm.PlatePipeline) -> None:
    pixels = Image.read(PHOTOS[0]).pixels
    small = cv2.resize(pixels, None, fx=0.2, fy=0.2, interpolation=cv2.INTER_AREA)
    page = np.full((400, 600, 3), 120, np.uint8)
    page[100 : 100 + len(small), 200 : 200 + small.shape[1]] = small
    assert not [mark for mark in plates(page) if mark.text]
    x0, y0, x1, y1 = 0.2 * np.array(plates(pixels)[0].box) + (200, 100, 200, 100)
    middle = slice(int(y0) + 1, int(y1) - 1), slice(int(x0) + 1, int(x1) - 1)
    assert not plates.redact(page, "box").image.pixels[middle].any()


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WEBP"])
def test_a_lossless_picture_keeps_format_and_other_pixels(
    plates: pm.PlatePipeline, kind: str
) -> None:
    pixels = Image.read(PHOTOS[0]).pixels
    options = {"lossless": True} if kind == "WEBP" else {}
    made = redact(saved(pixels, kind, **options), pipeline=plates, style="box")
    after = PIL.Image.open(io.BytesIO(made.data))
    assert (after.format, made.media_type) == (kind, f"image/{kind.lower()}")
    changed = (np.asarray(after) != pixels).any(axis=2)
    (mark,) = made.pages[0].marks
    x0, y0, x1, y1 = np.rint(mark.box).astype(int)
    assert changed[y0:y1, x0:x1].mean() > 0.9
    changed[y0 - 16 : y1 + 16, x0 - 16 : x1 + 16] = False
    assert not changed.any()


def test_a_jpeg_keeps_its_tables_and_profile_and_loses_place_time_and_thumbnail(
    plates: pm.PlatePipeline,
) -> None:
    exif = PIL.Image.Exif()
    exif[ORIENTATION], exif[MAKER] = UPSIDE_DOWN, "Maker of cameras"
    exif.get_ifd(GPS)[2] = (50.0, 27.0, 0.0)
    upright = Image.read(PHOTOS[0]).pixels
    options = {"exif": exif, "quality": 83, "icc_profile": b"a profile", "comment": b"by whom"}
    before = saved(np.ascontiguousarray(upright[::-1, ::-1]), "JPEG", dpi=(72, 72), **options)
    made = redact(before, pipeline=plates, style="box")
    assert made.suffix == ".jpg"
    was, after = (PIL.Image.open(io.BytesIO(data)) for data in (before, made.data))
    assert after.quantization == was.quantization  # type: ignore[attr-defined]
    assert after.info["icc_profile"] == b"a profile"
    assert after.info["dpi"] == (72, 72)
    assert not after.getexif()
    assert "comment" not in after.info
    assert b"Maker of cameras" not in made.data
    distance = np.abs(np.asarray(after).astype(int) - upright).max(axis=2)
    (mark,) = made.pages[0].marks
    x0, y0, x1, y1 = np.rint(mark.box).astype(int)
    distance[y0 - 32 : y1 + 32, x0 - 32 : x1 + 32] = 0
    # Upright now; a quality of 83 loses so much.
    assert distance.mean() < 4


def test_grey_stays_grey(plates: pm.PlatePipeline) -> None:
    grey = cv2.cvtColor(Image.read(PHOTOS[0]).pixels, cv2.COLOR_RGB2GRAY)
    made = redact(saved(grey, "PNG", dpi=(300, 300)), pipeline=plates, style="pixelate")
    after = PIL.Image.open(io.BytesIO(made.data))
    assert after.mode == "L"
    assert round(after.info["dpi"][0]) == 300


def test_every_page_of_a_document_is_covered(stamps: pm.StampPipeline, tmp_path: Path) -> None:
    contract = EXAMPLES / "contract.pdf"
    scans = [PIL.Image.fromarray(page.pixels) for page in map(open_pages(contract).read, (0, 1))]
    scans[0].save(tmp_path / "scan.tiff", save_all=True, append_images=scans[1:])
    for document in (contract, tmp_path / "scan.tiff"):
        made = redact(document, kind="stamp", style="box", pipeline=stamps)
        made.save(tmp_path / f"covered{made.suffix}")
        before, after = open_pages(document), open_pages(tmp_path / f"covered{made.suffix}")
        assert len(after) == len(before) == len(made.pages)
        for page in made.pages:
            was, now = (pages.read(page.page) for pages in (before, after))
            assert (now.width, now.height) == (was.width, was.height) == (page.width, page.height)
            for mark in page.marks:
                x0, y0, x1, y1 = np.rint(mark.box).astype(int)
                assert now.pixels[y0:y1, x0:x1].mean() < 2
        assert made.pages[0].marks


def test_a_pdf_has_no_text_left(stamps: pm.StampPipeline) -> None:
    made = redact(EXAMPLES / "contract.pdf", kind="stamp", pipeline=stamps)
    assert made.data.startswith(b"%PDF")
    assert b"/Font" not in made.data


def test_an_array_becomes_a_png_with_the_bundled_models() -> None:
    pixels = Image.read(LETTER).pixels
    for kind in ("plate", "stamp"):
        made = redact(pixels, kind=kind)  # type: ignore[arg-type]
        assert made.suffix == ".png"
        assert bool(made.pages[0].marks) or kind == "plate"


def test_a_min_score_of_ones_own_takes_the_place_of_the_usual_one(
    painted_pipeline: Pipeline[Any], paint: Any
) -> None:
    faint = paint("car.png", ((20, 100, 120, 125), "AB12CD"), red=120)
    assert painted_pipeline(faint).marks == ()
    assert len(painted_pipeline.redact(faint, "box").marks) == 1
    assert painted_pipeline.redact(faint, "box", min_score=0.5).marks == ()


def test_a_document_with_a_page_that_cannot_be_read_has_no_copy(
    painted_pipeline: Pipeline[Any], tmp_path: Path
) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(errors.UnreadableImage, match=r"broken\.png"):
        redact(tmp_path / "broken.png", pipeline=painted_pipeline)


def test_pages_are_parted_by_the_document_they_are_of(paint: Any, tmp_path: Path) -> None:
    one = paint("one.png")
    page = PIL.Image.open(one)
    page.save(tmp_path / "two.tif", save_all=True, append_images=[page, page])
    inputs = [str(one), str(tmp_path / "none.png"), str(tmp_path / "two.tif"), str(one), str(one)]
    counted = [
        (Path(name).name, len(list(pages))) for name, pages in by_document(read_inputs(inputs))
    ]
    assert counted == [
        ("one.png", 1),
        ("none.png", 1),
        ("two.tif", 3),
        ("one.png", 1),
        ("one.png", 1),
    ]
    # Also where the pages of one are left before they are all taken.
    assert [name for name, pages in by_document(read_inputs(inputs)) if next(pages)] == inputs
