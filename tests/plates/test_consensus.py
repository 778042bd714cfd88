"""The second opinion on plates that were not read surely."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from platemark.geometry import is_convex, quad_area
from platemark.plates.consensus import agree, other_views
from platemark.types import Alternative, Character, Reading

QUAD = np.array([[10.0, 10.0], [110.0, 14.0], [108.0, 36.0], [12.0, 34.0]])


def reading(text: str | None, score: float, *others: tuple[str, float]) -> Reading:
    characters = tuple(Character(char, score) for char in text or "")
    return Reading(text, score, characters, tuple(Alternative(*other) for other in others))


def test_views_are_the_same_plate_from_all_sides() -> None:
    views = other_views(QUAD)
    assert all(is_convex(view) for view in views)
    assert quad_area(views[0]) > quad_area(QUAD) > quad_area(views[1])
    np.testing.assert_allclose(np.mean(views[2:], axis=0), QUAD)


def test_the_text_most_views_show_wins_over_one_surer_view() -> None:
    joined = agree([reading("AB12", 0.8), reading("AB17", 0.6), reading("AB17", 0.5)])
    assert joined.text == "AB17"
    assert joined.score == pytest.approx(1.1 / 3)
    assert [character.score for character in joined.characters] == [0.6] * 4


def test_alternatives_count_as_much_as_their_score() -> None:
    joined = agree(
        [reading("AB12", 0.5, ("AB17", 0.45)), reading("AB17", 0.5, ("AB12", 0.1), ("AB1", 0.05))]
    )
    assert joined.text == "AB17"
    assert [other.text for other in joined.alternatives] == ["AB12", "AB1"]


def test_nothing_legible_stays_nothing() -> None:
    assert agree([reading(None, 0.0), reading(None, 0.0)]).text is None


@given(st.lists(st.floats(0.01, 1.0), min_size=1, max_size=7))
def test_views_that_agree_keep_the_text_and_a_score_between_theirs(scores: list[float]) -> None:
    joined = agree([reading("AB12", score) for score in scores])
    assert joined.text == "AB12"
    assert min(scores) - 1e-9 <= joined.score <= max(scores) + 1e-9
