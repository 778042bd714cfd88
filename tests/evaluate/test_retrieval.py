import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from platemark.datasets import ManifestEntry
from platemark.evaluate import Imprint, Retrieval
from platemark.evaluate.retrieval import cosine_similarity, origin


def imprint(name: str, identity: str, family: str | None = None, origin: str = "real") -> Imprint:
    return Imprint(Path(name), (0, 0, 9, 9), identity, family, origin)


def circle(*degrees: float | None) -> list[list[float] | None]:
    """Unit vectors at angles, None for an imprint that was not found."""
    return [
        None if angle is None else [math.cos(math.radians(angle)), math.sin(math.radians(angle))]
        for angle in degrees
    ]


def test_a_near_copy_is_told_apart_and_counted_apart() -> None:
    imprints = [
        *(imprint(f"a{n}", "a", "firm") for n in range(2)),
        *(imprint(f"b{n}", "b", "firm") for n in range(2)),
        *(imprint(f"c{n}", "c", "other firm") for n in range(2)),
    ]
    # b1 lies nearer to the near-copy a1 than to b0
    retrieval = Retrieval(tuple(imprints), cosine_similarity(circle(0, 10, 30, 19, 120, 121)))
    scores = retrieval.scores()
    assert (scores.queries, scores.gallery, scores.identities) == (6, 5, 3)
    assert (scores.cmc[1].hits, scores.cmc[5].hits) == (4, 6)
    assert (scores.equal_error.same, scores.equal_error.different) == (3, 12)
    assert scores.near_copies.different == 4
    assert scores.near_copies.value > scores.equal_error.value
    (first, second) = retrieval.misses()
    assert (first.query.path.name, second.query.path.name) == ("a1", "b1")
    assert first.nearest is not None
    assert (first.nearest.identity, first.best_right.path.name) == ("b", "a0")
    assert first.similarity > first.right_similarity
    json.dumps(retrieval.to_dict(), allow_nan=False)


def test_lonely_imprints_ask_nothing_but_distract() -> None:
    imprints = (imprint("a0", "a"), imprint("lonely", "x"), imprint("a1", "a"))
    scores = Retrieval(imprints, cosine_similarity(circle(0, 10, 30))).scores()
    assert (scores.queries, scores.cmc[1].hits, scores.cmc[5].hits) == (2, 0, 2)
    assert scores.mean_average_precision == pytest.approx(0.5)
    assert math.isnan(scores.near_copies.value)


def test_what_was_not_found_fails_as_query_and_as_answer() -> None:
    imprints = (imprint("a0", "a"), imprint("a1", "a"), imprint("b0", "b"), imprint("b1", "b"))
    retrieval = Retrieval(imprints, cosine_similarity(circle(0, None, 50, 51)))
    assert retrieval.scores().cmc[5].hits == 2
    assert {name: rate.hits for name, rate in retrieval.by_identity("real").items()} == {
        "a": 0,
        "b": 2,
    }
    assert [miss.nearest.identity if miss.nearest else None for miss in retrieval.misses()] == [
        "b",
        None,
    ]


def test_an_origin_is_asked_among_all() -> None:
    imprints = (
        *(imprint(f"real{n}", "r", origin="real") for n in range(2)),
        *(imprint(f"drawn{n}", "d", origin="composite") for n in range(2)),
    )
    retrieval = Retrieval(imprints, cosine_similarity(circle(0, 20, 1, 90)))
    assert retrieval.origins() == ["composite", "real"]
    real = retrieval.scores("real")
    assert (real.queries, real.gallery, real.cmc[1].hits) == (2, 3, 0)
    assert (real.equal_error.same, real.equal_error.different) == (1, 0)


def test_no_imprints_at_all() -> None:
    scores = Retrieval((), cosine_similarity([])).scores()
    assert (scores.queries, scores.gallery) == (0, 0)
    json.dumps(scores.to_dict(), allow_nan=False)


vectors = st.lists(st.none() | st.lists(st.integers(-9, 9), min_size=3, max_size=3), max_size=6)


@given(vectors)
def test_cosine_similarity_equals_that_of_every_pair(rows: list[list[int] | None]) -> None:
    table = cosine_similarity(rows)
    for i, first in enumerate(rows):
        for j, second in enumerate(rows):
            if first is None or second is None:
                assert table[i, j] == -np.inf
                continue
            lengths = math.hypot(*first) * math.hypot(*second)
            expected = sum(a * b for a, b in zip(first, second, strict=True)) / (lengths or 1.0)
            assert table[i, j] == pytest.approx(expected, abs=1e-4)


def test_identity_family_and_origin_come_from_the_manifest() -> None:
    row = {"image": "images/a/1.png", "width": 9, "height": 9, "split": "test"}
    stamps = [{"box": [0, 0, 9, 9], "identity": "a"}, {"box": [0, 0, 5, 5]}]
    entry = ManifestEntry.model_validate(row | {"stamps": stamps, "family": "f", "origin": "real"})
    known, unknown = (Imprint.of(Path("1.png"), entry, stamp) for stamp in entry.stamps)
    assert known == Imprint(Path("1.png"), (0, 0, 9, 9), "a", "f", "real")
    assert unknown is None
    drawn = ManifestEntry.model_validate(row | {"stamps": stamps})
    assert Imprint.of(Path("1.png"), drawn, drawn.stamps[0]) == Imprint(
        Path("1.png"), (0, 0, 9, 9), "a", None, "a"
    )
    synthetic = ManifestEntry.model_validate(row | {"stamps": stamps, "source": "platemark synth"})
    assert origin(synthetic) == "platemark synth"
