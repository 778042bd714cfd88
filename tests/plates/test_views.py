"""Other views of plates that stay in doubt, and which detections count."""

from collections.abc import Sequence

import numpy as np
import pytest

from platemark.geometry import is_convex, quad_area
from platemark.imaging.image import Image
from platemark.models.card import PlateOdds
from platemark.models.store import locate_model
from platemark.plates.pipeline import Gate, PlatePipeline, other_views
from platemark.types import Alternative, Character, Crop, Detection, Reading

QUAD = np.array([[10.0, 10.0], [110.0, 14.0], [108.0, 36.0], [12.0, 34.0]])


def reading(text: str, score: float) -> Reading:
    return Reading(text, score, tuple(Character(char, score) for char in text))


def test_views_are_the_same_plate_from_all_sides() -> None:
    views = other_views(QUAD)
    assert all(is_convex(view) for view in views)
    assert quad_area(views[0]) > quad_area(QUAD) > quad_area(views[1])
    np.testing.assert_allclose(np.mean(views[2:], axis=0), QUAD)


class Doubtful:
    """A reader that is unsure of the first view of a plate and agrees with itself on the others."""

    crop_size, margin = (160, 48), 0.04

    def __init__(self) -> None:
        self.seen: list[int] = []

    def __call__(self, crops: Sequence[Crop]) -> list[Reading]:
        self.seen.append(len(crops))
        text, score = ("AB12", 0.4) if len(self.seen) == 1 else ("AB17", 0.6)
        return [reading(text, score) for _ in crops]


def test_only_plates_that_were_not_read_surely_are_read_again() -> None:
    pixels = np.full((60, 140, 3), 128, np.uint8)
    reader = Doubtful()
    pipeline = PlatePipeline(lambda _: [], reader, sure_score=0.5)
    (joined,) = pipeline.read(pixels, [QUAD])
    assert reader.seen == [1, 4]
    assert joined.text == "AB17"
    easy = Doubtful()
    PlatePipeline(lambda _: [], easy, sure_score=0.3).read(pixels, [QUAD])
    assert easy.seen == [1]


class Says:
    """A reader that says one thing of every plate, and wants crops of no certain size."""

    def __init__(self, said: Reading) -> None:
        self._said = said

    def __call__(self, crops: Sequence[Crop]) -> list[Reading]:
        return [self._said for _ in crops]


@pytest.mark.parametrize(
    ("score", "text", "text_score", "kept"),
    [
        (0.9, "AB12", 0.0, True),
        (0.3, "AB12", 0.9, True),
        (0.3, "AB12", 0.1, False),
        (0.3, "TRUCK", 0.9, False),
        (0.8, "TRUCK", 0.9, True),
        (0.02, "AB12", 0.9, False),
    ],
)
def test_a_low_confidence_detection_counts_when_a_plate_is_read(
    score: float, text: str, text_score: float, kept: bool
) -> None:
    reader = Says(reading(text, text_score))
    gate = Gate(reader, PlateOdds(bias=0.0, detector=1.3, text=0.6, lettering=-1.6))
    detection = Detection("plate", score, (10, 10, 110, 36), QUAD.tolist())
    image = Image(np.full((60, 140, 3), 128, np.uint8))
    assert bool(gate(image, [detection])) is kept
    pipeline = PlatePipeline(lambda _: [detection], reader, verifier=gate)
    assert bool(pipeline(image).marks) is bool(pipeline.marks(image)) is kept
    (described,) = pipeline.describe(image, [detection])
    assert described.score == pytest.approx(gate.probability(detection, reading(text, text_score)))
    assert (described.score >= gate.odds.least) is kept


def test_a_card_without_a_gate_has_none() -> None:
    card = locate_model("plate-detector").card
    reader = Says(reading("AB12", 0.9))
    assert Gate.of(reader, card) == Gate(reader, card.gate)
    assert Gate.of(reader, card.model_copy(update={"gate": None})) is None


def test_a_text_below_the_threshold_is_null_and_the_first_alternative() -> None:
    said = Reading("AB12", 0.04, (Character("A", 0.3),), (Alternative("AB17", 0.03),))
    image = Image(np.full((60, 140, 3), 128, np.uint8))
    found = [Detection("plate", 0.9, (10, 10, 110, 36), QUAD.tolist())]
    for least, text in ((0.04, "AB12"), (0.05, None)):
        pipeline = PlatePipeline(lambda _: found, Says(said), legible_text=least)
        (mark,) = pipeline(image)
        assert mark.text == text
    assert (mark.text_score, mark.characters) == (0.0, ())
    assert [(one.text, pytest.approx(one.score)) for one in mark.alternatives] == [
        *(("AB12", 0.04), ("AB17", 0.03))
    ]
    # what is asked of known corners is what was read
    (asked,) = pipeline.read(image, [QUAD])
    assert (asked.text, asked.score) == ("AB12", pytest.approx(0.04))
