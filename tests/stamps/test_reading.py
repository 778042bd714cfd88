"""Stamps read with the bundled model: rings at any rotation, both ways; what is not to be read."""

import cv2
import numpy as np
import pytest

from platemark.imaging.image import Pixels
from platemark.metrics.text import edit_distance
from platemark.models.store import bundled_names
from platemark.stamps.reading import StampText, read_stamp
from platemark.synth.stamps.glyphs import StampFonts
from platemark.synth.stamps.lettering import Lettering, RingText, StraightText, Text
from platemark.tasks.stamp_reader import StampReader

pytestmark = pytest.mark.skipif(
    "stamp-reader" not in bundled_names(), reason="the models are not bundled"
)
SIDE, SCALE = 340, 8.0
LOOK = Lettering("LiberationSans-Bold", 2.8, spacing=0.12)
BLUE = (40, 60, 160)
FONTS = StampFonts()


@pytest.fixture(scope="module")
def reader() -> StampReader:
    return StampReader.from_pretrained(threads=1)


def ring(text: str, middle: float = 0.0, *, outward: bool = True) -> RingText:
    return RingText(text, LOOK, 60.0, rx=16.0, ry=16.0, middle=middle, outward=outward)


def seal(*texts: Text, frames: bool = True) -> Pixels:
    """Blue ink on white; millimetres about the middle."""
    ink = np.zeros((SIDE, SIDE), np.uint8)
    for text in texts:
        for shape in text.shapes(FONTS):
            polygons = [
                np.rint((points * SCALE + SIDE / 2) * 16).astype(np.int32)
                for points in shape.polygons
            ]
            cv2.fillPoly(ink, polygons, 255, cv2.LINE_AA, 4)
    if frames:
        for radius in (12.6, 19.4):
            cv2.circle(ink, (SIDE // 2, SIDE // 2), round(radius * SCALE), 255, 3, cv2.LINE_AA)
    share = cv2.GaussianBlur(ink, (0, 0), 0.8)[..., None] / 255.0
    return np.asarray(np.rint(255 + share * (np.array(BLUE) - 255.0)), np.uint8)


def read(picture: Pixels, reader: StampReader) -> StampText:
    return read_stamp(picture, (picture[..., 0] < 150).astype(np.float32), reader)


def near(found: StampText, wanted: str, most: float = 0.25) -> bool:
    """Whether a line is the text but for few letters; the network is small."""
    return any(
        edit_distance(line.text.replace(" ", ""), wanted.replace(" ", "")) <= most * len(wanted)
        for line in found.lines
        if line.text
    )


@pytest.mark.parametrize("middle", [0.0, 65.0, 180.0, 290.0])
def test_a_ring_is_read_wherever_it_begins(middle: float, reader: StampReader) -> None:
    found = read(seal(ring("SUMMIT TRADING LIMITED", middle)), reader)
    assert near(found, "SUMMIT TRADING LIMITED")
    assert all(line.path == "ring" for line in found.lines if line.text and len(line.text) > 8)


def test_a_ring_is_read_in_both_directions(reader: StampReader) -> None:
    found = read(seal(ring("NORTHERN BANK"), ring("MANCHESTER", 180.0, outward=False)), reader)
    assert near(found, "NORTHERN BANK")
    assert near(found, "MANCHESTER")


def test_cyrillic_is_told_from_latin_letters_of_its_shape(reader: StampReader) -> None:
    found = read(seal(ring("НОТАРИУС ГОРОДА МОСКВЫ")), reader)
    assert near(found, "НОТАРИУС ГОРОДА МОСКВЫ")
    line = max((line for line in found.lines if line.text), key=lambda line: line.score)
    assert line.script == "cyrillic"


@pytest.mark.parametrize("turn", [0.0, 30.0, 90.0, 180.0])
def test_straight_lines_are_read_however_they_are_turned(turn: float, reader: StampReader) -> None:
    rows = [
        StraightText(text, LOOK, 36.0, y=4.5 * row - 3.0)
        for row, text in enumerate(("RECEIVED", "12 MAY 1998"))
    ]
    matrix = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), -turn, 1.0)
    upright = seal(*rows, frames=False)
    picture = cv2.warpAffine(upright, matrix, (SIDE, SIDE), borderValue=(255, 255, 255))
    found = read(np.asarray(picture, np.uint8), reader)
    assert near(found, "RECEIVED")
    assert near(found, "12 MAY 1998")


def test_characters_lie_where_they_stand(reader: StampReader) -> None:
    found = read(seal(ring("SUMMIT TRADING LIMITED")), reader)
    line = max((line for line in found.lines if line.text), key=lambda line: len(line.places))
    radii = np.linalg.norm(np.array(line.places) - SIDE / 2, axis=1) / SCALE
    assert radii == pytest.approx(np.full(len(radii), 16.0), abs=1.5)
    assert line.text is not None
    assert len(line.places) == len(line.characters) == len(line.text)


def test_a_mirrored_stamp_is_said_to_be_mirrored(reader: StampReader) -> None:
    picture = seal(ring("RECEIVED BY THE FINANCE OFFICE"))
    found = read(np.ascontiguousarray(picture[:, ::-1]), reader)
    assert found.mirrored
    assert found.text is None


def test_an_emblem_without_text_says_nothing(reader: StampReader) -> None:
    picture = np.full((SIDE, SIDE, 3), 255, np.uint8)
    star = np.array([[np.sin(a), -np.cos(a)] for a in np.arange(0, 10, 2) * 2 * np.pi / 5 * 2])
    cv2.fillPoly(picture, [np.rint(star * 80 + SIDE / 2).astype(np.int32)], BLUE)
    cv2.circle(picture, (SIDE // 2, SIDE // 2), 150, BLUE, 4)
    found = read(picture, reader)
    assert found.text is None or len(found.text) <= 2


@pytest.mark.parametrize("side", [8, 30])
def test_stamps_of_a_few_pixels_have_no_text(side: int, reader: StampReader) -> None:
    small = cv2.resize(seal(ring("SUMMIT TRADING LIMITED")), (side, side))
    found = read(np.asarray(small, np.uint8), reader)
    assert found.text is None
    assert found.score == 0.0


def test_half_a_stamp_is_read_as_far_as_it_goes(reader: StampReader) -> None:
    picture = seal(ring("SUMMIT TRADING LIMITED"), StraightText("PAID", LOOK, 20.0))[
        : SIDE // 2 + 30
    ]
    found = read(np.ascontiguousarray(picture), reader)
    assert not found.mirrored
    assert 0.0 <= found.score <= 1.0


def test_a_script_that_is_not_known_is_null(reader: StampReader) -> None:
    blank = np.full((60, 80, 3), 255, np.uint8)
    assert read(blank, reader).lines == ()
    assert read(blank, reader).text is None
