"""Candidates in order, and how sure is sure enough."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from platemark.errors import DuplicateDesign, NoStampFound
from platemark.registry import Registry
from platemark.registry.calibration import Calibration, Logistic, calibration_of
from platemark.registry.identify import by_design, rank
from platemark.registry.records import Design, is_id, new_id, now
from platemark.registry.store import Hit
from platemark.types import StampMark

MakeMark = Callable[..., StampMark]
Direction = Callable[..., NDArray[np.float32]]
INK_ALONE = Calibration(
    Logistic(0.0, 0.0, 1.0), Logistic(-5.0, 6.0), 1000, ((0.1, 0.8), (0.01, 0.9), (0.001, 0.99))
)


def test_thresholds_grow_stricter_with_the_registry_and_the_share() -> None:
    assert INK_ALONE.least_score(0.01, 10) == INK_ALONE.least_score(0.01, 1000) == 0.9
    assert INK_ALONE.least_score(0.01, 10_000) == pytest.approx(0.99)
    assert 0.8 < INK_ALONE.least_score(0.03, 1000) < 0.9
    assert INK_ALONE.least_score(0.5, 1) == 0.8
    assert INK_ALONE.least_score(1e-9, 1) == 0.99
    for share in (0.0, 1.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="share of false accepts"):
            INK_ALONE.least_score(share, 1)


@given(st.floats(1e-6, 0.5), st.floats(1e-6, 0.5), st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_smaller_share_is_never_laxer(a: float, b: float, few: int, many: int) -> None:
    few, many = sorted((few, many))
    low, high = sorted((a, b))
    assert INK_ALONE.least_score(low, few) >= INK_ALONE.least_score(high, few) - 1e-12
    assert INK_ALONE.least_score(low, many) >= INK_ALONE.least_score(low, few) - 1e-12


@given(st.floats(-1, 1), st.floats(0, 1))
def test_scores_are_probabilities_and_grow_with_the_match(similarity: float, match: float) -> None:
    for logistic in (INK_ALONE.compared, Logistic(-1e6, 1e6, 1e6)):
        assert 0.0 <= logistic.probability(similarity, match) <= 1.0
    assert INK_ALONE.compared.probability(0.0, 0.9) > INK_ALONE.compared.probability(0.9, 0.5)


def test_calibrations_survive_json_and_every_model_has_one() -> None:
    assert Calibration.from_dict(INK_ALONE.to_dict()) == INK_ALONE
    unknown = calibration_of("nobody@0")
    assert unknown.least_score(0.001, 1000) > unknown.least_score(0.1, 1000)


def test_designs_are_ranked_by_what_the_ink_says() -> None:
    hits = [
        Hit("s1", "near copy", 0.97),
        Hit("s2", "right", 0.95),
        Hit("s3", "right", 0.94),
        Hit("s4", "far", 0.2),
        Hit("s5", "farther", 0.1),
    ]
    grouped = by_design(hits[::-1])
    assert [[hit.sample for hit in own] for own in grouped] == [
        ["s1"],
        ["s2", "s3"],
        ["s4"],
        ["s5"],
    ]
    best = [own[0] for own in grouped]
    designs = {hit.design: Design(new_id(), hit.design, now(), now()) for hit in best}
    ranked = rank(best, designs, INK_ALONE, 0.9, {"s1": 0.05, "s2": 0.999})
    assert [one.design.name for one in ranked] == ["right", "near copy", "far", "farther"]
    assert [one.accepted for one in ranked] == [True, False, False, False]
    scores = [one.score for one in ranked]
    assert scores == sorted(scores, reverse=True)


def test_what_was_not_compared_is_not_accepted() -> None:
    hits = [Hit("s1", "d", 1.0)]
    designs = {"d": Design(new_id(), "d", now(), now())}
    assert not rank(hits, designs, INK_ALONE, 0.0, {})[0].accepted


def test_ids_are_ulids_that_sort_by_age() -> None:
    ids = [new_id() for _ in range(100)]
    assert len(set(ids)) == 100
    assert all(is_id(one) for one in ids)
    assert [one[:10] for one in ids] == sorted(one[:10] for one in ids)


def test_near_copies_are_told_apart_by_their_ink(
    registry: Registry, make_mark: MakeMark, direction: Direction
) -> None:
    # The vectors are the wrong way round; the ink is not, and decides.
    registry._calibration = INK_ALONE
    first = make_mark(0, picture=111_222, vector=direction(1), side=160)
    second = make_mark(0, picture=111_888, vector=direction(2), side=160)
    registry.add("222", first, duplicates="allow")
    registry.add("888", second, duplicates="allow")
    query = make_mark(0, picture=111_888, vector=direction(1, near=0.01), side=170)
    by_vector = registry.identify(query, looks=0)
    assert [one.design.name for one in by_vector] == ["222", "888"]
    assert [one.design.name for one in registry.identify(query)] == ["888", "222"]


@pytest.fixture
def easily_sure(registry: Registry) -> Registry:
    """A registry that takes half a chance for certainty."""
    registry._calibration = Calibration(
        Logistic(0.0, 0.0, 1.0), Logistic(-5.0, 6.0), 1000, ((0.1, 0.5),)
    )
    return registry


def test_a_stamp_that_has_another_name_is_said_to_or_refused(
    easily_sure: Registry, make_mark: MakeMark, direction: Direction
) -> None:
    near = make_mark(0, picture=5, vector=direction(1, near=0.1), side=170)
    easily_sure.add("ACME", make_mark(0, picture=5, vector=direction(1), side=160))
    with pytest.raises(DuplicateDesign, match="seems to be that of 'ACME'"):
        easily_sure.add("ACME Ltd", near, duplicates="refuse")
    assert len(easily_sure) == 1
    added = easily_sure.add("ACME Ltd", near)
    assert (added.new_design, [one.design.name for one in added.alike]) == (True, ["ACME"])
    assert easily_sure.add("ACME", near, duplicates="allow").alike == ()


def test_a_sample_of_its_own_design_is_no_duplicate(
    easily_sure: Registry, make_mark: MakeMark, direction: Direction
) -> None:
    easily_sure.add("ACME", make_mark(0, picture=5, vector=direction(1), side=160))
    other = make_mark(0, picture=5, vector=direction(1, near=0.1), side=170)
    assert easily_sure.add("ACME", other, duplicates="refuse").alike == ()


def test_a_mark_without_ink_or_crop_cannot_be_added(
    registry: Registry, make_mark: MakeMark
) -> None:
    from dataclasses import replace

    registry.add("ACME", make_mark(1))
    with pytest.raises(NoStampFound, match=r"of page\.png at \(10, 20, 58, 68\)"):
        registry.add("ACME", replace(make_mark(2), embedding=None))
    assert registry.identify(replace(make_mark(2), embedding=None)) == []
    for act in (registry.identify, lambda mark: registry.add("ACME", mark)):
        with pytest.raises(ValueError, match="has no crop"):
            act(replace(make_mark(2), crop=None))
    assert registry.design("ACME").samples == 1


def test_an_empty_registry_knows_nobody(registry: Registry, make_mark: MakeMark) -> None:
    assert registry.identify(make_mark(1)) == []
    assert registry.model is None
    registry.check_model("any@1")
