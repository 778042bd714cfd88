"""Which candidates count: those that look like a taught mark, and which one they are."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from platemark.imaging.image import Image
from platemark.masks import SoftMask
from platemark.matching import InkTemplate
from platemark.models.card import LikenessOdds
from platemark.stamps.likeness import Likeness, Recognised, Sample
from platemark.tasks.comparer import InkMatch, Signals
from platemark.types import Box, Detection

ODDS = LikenessOdds(bias=-2.0, detector=0.0, similarity=2.0, ink=1.0)
PAGE = Image(np.full((100, 200, 3), 255, np.uint8))
LEFT, RIGHT = (0.0, 0.0, 100.0, 100.0), (100.0, 0.0, 200.0, 100.0)


class Ink:
    """All of a box is ink, as strong as the box is far to the right."""

    def __call__(self, image: Image, boxes: Sequence[Box]) -> list[SoftMask]:
        values = [np.float32(0.3 + box[0] / 200) for box in boxes]
        return [
            SoftMask(np.full((100, 100), value, np.float32), int(box[0]))
            for value, box in zip(values, boxes, strict=True)
        ]


class Strength:
    """Embeds how strong ink is: the weak one direction, the strong another."""

    name = "strength@1"

    def __call__(self, masks: Sequence[SoftMask]) -> NDArray[np.float32]:
        strong = [one.probability.mean() > 0.5 for one in masks]
        return np.array([[not one, one] for one in strong], np.float32)


class Compare:
    """Says that all it is asked about is the same stamp, as surely as told."""

    def __init__(self, score: float) -> None:
        self.score, self.asked = score, 0

    def __call__(self, a: InkTemplate, b: InkTemplate, /, *, quick: bool = False) -> InkMatch:
        self.asked += 1
        none = Signals(0.0, 0.0, 0, None)
        nowhere = np.eye(3), np.zeros((0, 4))
        return InkMatch(self.score, "same", *nowhere, self.score, 1.0, True, none)


def sample(name: str, strength: int) -> Sample:
    ink = np.full((50, 50), strength, np.uint8)
    return Sample.of(name, np.zeros((50, 50, 3), np.uint8), ink, Strength())


def likeness(score: float, *samples: Sample, min_score: float = 0.5) -> tuple[Likeness, Compare]:
    compare = Compare(score)
    return Likeness(samples, ODDS, Ink(), Strength(), compare, min_score=min_score), compare


CANDIDATES = [Detection.given("stamp", LEFT), Detection.given("stamp", RIGHT)]


def test_the_candidate_that_looks_like_the_sample_counts_and_is_named() -> None:
    verifier, compare = likeness(0.99, sample("strong", 200))
    (found,) = verifier(PAGE, CANDIDATES)
    assert isinstance(found, Recognised)
    assert found.box == RIGHT
    assert (found.identity.name, found.identity.accepted) == ("strong", True)
    assert found.identity.similarity == pytest.approx(1.0)
    assert compare.asked == 1  # the other one is not similar at all
    odds = -2.0 + 2.0 * 1.0 + np.log(0.99 / 0.01)
    assert found.score == pytest.approx(1 / (1 + np.exp(-odds)))


def test_each_candidate_is_the_mark_that_it_is_most_like() -> None:
    verifier, _ = likeness(0.99, sample("weak", 120), sample("strong", 200))
    found = verifier(PAGE, CANDIDATES)
    assert {one.box: one.identity.name for one in found if isinstance(one, Recognised)} == {
        LEFT: "weak",
        RIGHT: "strong",
    }


def test_a_near_copy_that_the_comparer_tells_apart_does_not_count() -> None:
    verifier, compare = likeness(0.02, sample("strong", 200))
    assert verifier(PAGE, CANDIDATES) == []
    assert compare.asked == 1


def test_the_least_score_can_be_changed() -> None:
    verifier, _ = likeness(0.02, sample("strong", 200))
    assert len(verifier.with_min_score(0.0)(PAGE, CANDIDATES)) == 2
    with pytest.raises(ValueError, match="probability"):
        verifier.with_min_score(2.0)


def test_nothing_to_look_at_is_nothing_found() -> None:
    verifier, compare = likeness(0.99, sample("strong", 200))
    assert verifier(PAGE, []) == []
    assert compare.asked == 0
