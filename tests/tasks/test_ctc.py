from collections import defaultdict
from itertools import groupby, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from platemark.tasks.ctc import BLANK, beam_search, greedy, label_scores, soften


@st.composite
def frames(draw: st.DrawFn, most_frames: int = 5) -> NDArray[np.float64]:
    """Distributions (T, C) over a few classes; some are sure, some are not."""
    shape = draw(st.integers(1, most_frames)), draw(st.integers(2, 4))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return soften(random.normal(size=shape) * draw(st.sampled_from([0.5, 2.0, 6.0])))


def collapse(path: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(label for label, _ in groupby(path) if label != BLANK)


def enumerate_paths(probabilities: NDArray[np.float64]) -> dict[tuple[int, ...], float]:
    """The definition: the probability of a sequence is that of all its paths together."""
    count, classes = probabilities.shape
    total: defaultdict[tuple[int, ...], float] = defaultdict(float)
    for path in product(range(classes), repeat=count):
        total[collapse(path)] += float(probabilities[range(count), path].prod())
    return total


@given(frames())
def test_beam_search_without_limits_is_exact(probabilities: NDArray[np.float64]) -> None:
    truth = enumerate_paths(probabilities)
    found = beam_search(probabilities, width=10**6, floor=0.0)
    assert {item.labels for item in found} == set(truth)
    for item in found:
        assert item.probability == pytest.approx(truth[item.labels])
    scores = [item.probability for item in found]
    assert scores == sorted(scores, reverse=True)


@given(frames())
def test_a_narrow_beam_never_claims_too_much(probabilities: NDArray[np.float64]) -> None:
    truth = enumerate_paths(probabilities)
    found = beam_search(probabilities, width=4)
    assert 1 <= len(found) <= 4
    for item in found:
        assert item.probability <= truth[item.labels] + 1e-9


@given(frames())
def test_greedy_follows_the_most_probable_path(probabilities: NDArray[np.float64]) -> None:
    count, classes = probabilities.shape
    best = max(
        product(range(classes), repeat=count),
        key=lambda path: probabilities[range(count), path].prod(),
    )
    found = greedy(probabilities)
    assert found.labels == collapse(best)
    assert found.probability == pytest.approx(probabilities[range(count), best].prod())


@given(frames(), st.integers(0, 3))
def test_label_scores_are_those_of_the_best_path(
    probabilities: NDArray[np.float64], rank: int
) -> None:
    hypotheses = beam_search(probabilities, width=10**6, floor=0.0)
    labels = hypotheses[min(rank, len(hypotheses) - 1)].labels
    count, classes = probabilities.shape
    paths = [p for p in product(range(classes), repeat=count) if collapse(p) == labels]
    best = max(paths, key=lambda path: probabilities[range(count), path].prod())
    runs, time = [], 0
    for label, run in groupby(best):
        end = time + len(list(run))
        if label != BLANK:
            runs.append(float(probabilities[time:end, label].max()))
        time = end
    assert label_scores(probabilities, labels) == pytest.approx(runs)


def sure(*path: int) -> NDArray[np.float64]:
    return soften(np.eye(4)[list(path)] * 9)


def test_repeats_need_a_blank_between_them() -> None:
    assert greedy(sure(1, 1, 0, 1, 2, 2)).labels == (1, 1, 2)
    assert beam_search(sure(1, 1, 0, 1, 2, 2))[0].labels == (1, 1, 2)
    assert beam_search(sure(0, 0, 0))[0].labels == ()
    assert len(label_scores(sure(1, 1, 0, 1, 2, 2), (1, 1, 2))) == 3


def test_the_beam_finds_what_the_best_path_misses() -> None:
    # The blank is the best class of both frames, yet most paths spell a 1.
    probabilities = np.array([[0.6, 0.4], [0.6, 0.4]])
    assert greedy(probabilities).labels == ()
    best, other = beam_search(probabilities)
    assert (best.labels, other.labels) == ((1,), ())
    assert best.probability == pytest.approx(0.64)


def test_too_many_labels_for_the_frames_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="2 frames are too few for 2 labels"):
        label_scores(sure(1, 1), (1, 1))
    assert label_scores(sure(1, 1), ()) == []


@given(frames(), st.floats(0.2, 5))
def test_soften_gives_distributions_flatter_with_temperature(
    probabilities: NDArray[np.float64], temperature: float
) -> None:
    logs = np.log(probabilities)
    assert np.allclose(soften(logs), probabilities)
    softer = soften(logs, temperature)
    assert np.allclose(softer.sum(axis=1), 1)
    flatter = softer.max(axis=1) <= probabilities.max(axis=1) + 1e-9
    assert (
        flatter.all()
        if temperature >= 1
        else (~flatter | np.isclose(softer, probabilities).all(1)).any()
    )
