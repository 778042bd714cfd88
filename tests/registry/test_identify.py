"""Candidates in order, and how sure is sure enough."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from platemark.errors import DuplicateDesign, InvalidDesign, NoStampFound
from platemark.registry import Registry
from platemark.registry.calibration import (
    SHARES,
    Calibration,
    Logistic,
    bundled_calibrations,
    calibration_of,
)
from platemark.registry.identify import by_design, rank
from platemark.registry.records import Design, is_id, new_id, now
from platemark.registry.store import Hit
from platemark.types import StampMark

MakeMark = Callable[..., StampMark]
Direction = Callable[..., NDArray[np.float32]]
MODELS = {"embedder": "e@1", "segmenter": "s@1", "comparer": "c@1"}
MEASURED = Calibration(
    Logistic(-5.0, 6.0), 1000, 2000, ((0.1, 0.8), (0.01, 0.9), (0.001, 0.99)), MODELS
)


def test_thresholds_grow_stricter_with_the_registry_and_the_share() -> None:
    assert MEASURED.least_score(0.01, 10) == MEASURED.least_score(0.01, 1000) == 0.9
    assert MEASURED.least_score(0.01, 10_000) == pytest.approx(0.99)
    assert 0.8 < MEASURED.least_score(0.03, 1000) < 0.9
    assert MEASURED.least_score(0.5, 1) == 0.8
    assert MEASURED.least_score(1e-9, 1) == 0.99
    for share in (0.0, 1.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="share of false accepts"):
            MEASURED.least_score(share, 1)


@given(st.floats(1e-6, 0.5), st.floats(1e-6, 0.5), st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_smaller_share_is_never_laxer(a: float, b: float, few: int, many: int) -> None:
    few, many = sorted((few, many))
    low, high = sorted((a, b))
    assert MEASURED.least_score(low, few) >= MEASURED.least_score(high, few) - 1e-12
    assert MEASURED.least_score(low, many) >= MEASURED.least_score(low, few) - 1e-12


def test_a_share_of_less_than_one_unknown_stamp_is_not_measured() -> None:
    assert MEASURED.measures(0.001, 1000)
    assert MEASURED.measures(0.0005, 10)
    assert not MEASURED.measures(0.0004, 10)
    assert not MEASURED.measures(0.001, 10_000)
    with pytest.raises(ValueError, match="share of false accepts"):
        MEASURED.measures(2.0, 1)


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=300))
def test_measured_thresholds_accept_no_more_than_their_share(scores: list[float]) -> None:
    made = Calibration.measured(scores, 10, MODELS, Logistic(0.0, 1.0))
    assert made.strangers == len(scores)
    for share, least in made.thresholds:
        assert sum(score >= least for score in scores) <= share * len(scores)
    if len(scores) >= 10:
        assert [share for share, _ in made.thresholds] == [
            share for share in SHARES if share * len(scores) >= 1.0
        ]
    assert not made.measures(0.9 / len(scores), 10)


@given(st.floats(-1, 1))
def test_scores_of_embeddings_alone_are_probabilities(similarity: float) -> None:
    for logistic in (MEASURED.uncompared, Logistic(-1e6, 1e6)):
        assert 0.0 <= logistic.probability(similarity) <= 1.0


def test_calibrations_survive_json_and_hold_for_their_models_alone() -> None:
    assert Calibration.from_dict(MEASURED.to_dict()) == MEASURED
    rough = calibration_of(MODELS)
    assert rough.least_score(0.001, 1000) > rough.least_score(0.1, 1000)
    assert not rough.measures(0.1, 1)
    for known in bundled_calibrations()[1:]:
        assert calibration_of(known.models) == known
        assert calibration_of(known.models | {"segmenter": "another@1"}) == rough


def test_thresholds_of_ones_own_are_kept_while_the_models_stay(
    registry: Registry, make_mark: MakeMark, direction: Direction
) -> None:
    from dataclasses import replace

    for number in range(3):
        vector = direction(number)
        registry.add(f"design {number}", make_mark(number, picture=number, vector=vector, side=160))
    stranger = make_mark(9, picture=9, vector=direction(9), side=160)
    steps: list[tuple[int, int]] = []
    measured, alike = registry.calibrate(
        [stranger, replace(stranger, embedding=None)],
        "s@1",
        progress=lambda done, total: steps.append((done, total)),
    )
    assert (measured.strangers, measured.designs) == (4, 3)
    assert measured.models["segmenter"] == "s@1"
    assert measured.models["embedder"] == registry.model
    assert steps == [(1, 3), (2, 3), (3, 3)]
    assert {one.design for one in alike} == {one.id for one in registry.designs()}
    assert all(one.other not in ("", one.design) for one in alike)
    assert registry.calibration("s@1") == Calibration.from_dict(measured.to_dict())
    assert registry.calibration("s@2").strangers == 0


def test_thresholds_take_two_designs(registry: Registry, make_mark: MakeMark) -> None:
    registry.add("ACME", make_mark(1))
    with pytest.raises(InvalidDesign, match="two designs"):
        registry.calibrate([], "s@1")


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
    ranked = rank(best, designs, MEASURED, 0.9, {"s1": 0.05, "s2": 0.999})
    assert [one.design.name for one in ranked] == ["right", "near copy", "far", "farther"]
    assert [one.accepted for one in ranked] == [True, False, False, False]
    scores = [one.score for one in ranked]
    assert scores == sorted(scores, reverse=True)


def test_what_was_not_compared_is_not_accepted() -> None:
    hits = [Hit("s1", "d", 1.0)]
    designs = {"d": Design(new_id(), "d", now(), now())}
    assert not rank(hits, designs, MEASURED, 0.0, {})[0].accepted


def test_ids_are_ulids_that_sort_by_age() -> None:
    ids = [new_id() for _ in range(100)]
    assert len(set(ids)) == 100
    assert all(is_id(one) for one in ids)
    assert [one[:10] for one in ids] == sorted(one[:10] for one in ids)


def test_near_copies_are_told_apart_by_their_ink(
    registry: Registry, make_mark: MakeMark, direction: Direction
) -> None:
    # The vectors are the wrong way round; the ink is not, and decides.
    registry._calibration = MEASURED
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
    registry._calibration = Calibration(Logistic(-5.0, 6.0), 1000, 10, ((0.1, 0.5),))
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
