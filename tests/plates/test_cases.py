"""Photos from public bug reports, read by the bundled models."""

from pathlib import Path

import pytest

from platemark.imaging.draw import rectify
from platemark.imaging.image import Image
from platemark.plates.pipeline import PlatePipeline
from platemark.types import PlateMark

CASES = Path(__file__).parents[1] / "cases"
KNOWN = CASES / "plate_ok.jpg"


@pytest.fixture(scope="module")
def pipeline() -> PlatePipeline:
    return PlatePipeline.from_pretrained(threads=1)


def only(pipeline: PlatePipeline, name: str) -> PlateMark:
    (mark,) = pipeline(CASES / name).marks
    assert isinstance(mark, PlateMark)
    return mark


def test_zero_and_the_letter_are_told_by_the_format(pipeline: PlatePipeline) -> None:
    mark = only(pipeline, "format_ru.jpg")
    assert (mark.text, mark.matches_format) == ("P777OM977", True)
    assert mark.region is not None
    assert mark.region.code == "ru"


def test_lettering_matches_no_format(pipeline: PlatePipeline) -> None:
    mark = only(pipeline, "sticker.jpg")
    assert mark.matches_format is False
    assert pipeline.with_parts(classifier=None)(CASES / "sticker.jpg")[0].region is None


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("AI4921CB", "match"),
        ("ai 4921-cb", "match"),
        ("АІ4921СВ", "match"),  # Cyrillic letters
        ("AI4921BC", "mismatch"),
        ("KA1730HK", "mismatch"),
        ("Ж777", "unsure"),  # a letter that the reader does not know
    ],
)
def test_what_a_user_typed_is_checked(pipeline: PlatePipeline, text: str, verdict: str) -> None:
    told = pipeline.verify(KNOWN, text)
    assert told.verdict == verdict
    assert (told.score >= 0.5) is (verdict == "match")


def test_without_a_plate_nothing_is_said(pipeline: PlatePipeline) -> None:
    blank = Image.read(KNOWN).pixels[:200, :200]
    assert pipeline.verify(blank, "AI4921CB").verdict == "unsure"
    with pytest.raises(ValueError, match="neither letters nor digits"):
        pipeline.verify(blank, " - ")


def test_a_picture_that_is_one_plate_is_read_whole(pipeline: PlatePipeline) -> None:
    mark = only(pipeline, "plate_ok.jpg")
    crop = rectify(Image.read(KNOWN).pixels, mark.quad).pixels
    assert pipeline.read_crop(crop).text == mark.text
    (alone,) = pipeline.cropped()(crop).marks
    assert alone.box == (0, 0, crop.shape[1], crop.shape[0])
