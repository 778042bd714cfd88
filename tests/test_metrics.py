import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from platemark import metrics

probabilities = st.floats(0, 1, allow_nan=False, width=32)
judged = st.lists(st.tuples(probabilities, st.booleans()), min_size=1, max_size=60)
short_text = st.text(alphabet="AB01", max_size=7)


def slow_edit_distance(a: str, b: str) -> int:
    if not a or not b:
        return len(a) + len(b)
    if a[0] == b[0]:
        return slow_edit_distance(a[1:], b[1:])
    return 1 + min(
        slow_edit_distance(a[1:], b),
        slow_edit_distance(a, b[1:]),
        slow_edit_distance(a[1:], b[1:]),
    )


def slow_average_precision(pairs: list[tuple[float, bool]], total: int) -> float:
    """Precision at every distinct score, best of all later ones, times the recall gained."""
    area, found = 0.0, 0
    levels = sorted({score for score, _ in pairs}, reverse=True)

    def precision(level: float) -> float:
        kept = [right for score, right in pairs if score >= level]
        return sum(kept) / len(kept)

    for level in levels:
        now = sum(right for score, right in pairs if score >= level)
        best = max(precision(lower) for lower in levels if lower <= level)
        area += (now - found) / total * best
        found = now
    return area


@given(short_text, short_text)
def test_edit_distance_equals_the_recursive_definition(a: str, b: str) -> None:
    assert metrics.edit_distance(a, b) == slow_edit_distance(a, b)


@given(judged, st.integers(0, 5))
def test_average_precision_equals_the_slow_definition(
    pairs: list[tuple[float, bool]], missed: int
) -> None:
    scores, correct = zip(*pairs, strict=True)
    total = sum(correct) + missed
    actual = metrics.average_precision(scores, correct, total)
    if total == 0:
        assert math.isnan(actual)
    else:
        assert actual == pytest.approx(slow_average_precision(pairs, total))


@given(judged, st.randoms())
def test_average_precision_does_not_depend_on_order(
    pairs: list[tuple[float, bool]], random: object
) -> None:
    total = max(1, sum(right for _, right in pairs))
    shuffled = list(pairs)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    first = metrics.average_precision(*zip(*pairs, strict=True), total)
    second = metrics.average_precision(*zip(*shuffled, strict=True), total)
    assert first == pytest.approx(second)


def test_average_precision_by_hand() -> None:
    # right, wrong, right of three truths: precision 1 up to 1/3, then 2/3 up to 2/3
    assert metrics.average_precision([0.9, 0.8, 0.7], [1, 0, 1], 3) == pytest.approx(5 / 9)
    assert metrics.average_precision([], [], 4) == 0.0
    with_ignored = metrics.average_precision([0.9, 0.8], [0, 1], 1, ignore=[True, False])
    assert with_ignored == 1.0


def test_average_precision_refuses_more_hits_than_truths() -> None:
    with pytest.raises(ValueError, match="1 to find"):
        metrics.average_precision([0.9, 0.8], [True, True], 1)


def test_a_truth_is_found_once_and_by_the_better_score() -> None:
    matches = metrics.match_detections([[0.8], [0.9]], [0.7, 0.6])
    assert matches.tolist() == [0, metrics.FALSE]


def test_a_detection_takes_the_truth_it_overlaps_most() -> None:
    matches = metrics.match_detections([[0.6, 0.7], [0.65, 0.55]], [0.9, 0.8])
    assert matches.tolist() == [1, 0]


def test_ignored_truth_is_neither_found_nor_missed() -> None:
    iou = [[0.0, 0.9], [0.0, 0.2], [0.7, 0.9]]
    matches = metrics.match_detections(iou, [0.9, 0.8, 0.7], ignore=[False, True])
    assert matches.tolist() == [metrics.IGNORED, metrics.FALSE, 0]


def test_matching_without_truth_or_detections() -> None:
    assert metrics.match_detections(np.zeros((2, 0)), [0.5, 0.4]).tolist() == [-1, -1]
    assert metrics.match_detections(np.zeros((0, 3)), []).tolist() == []
    with pytest.raises(ValueError, match="need"):
        metrics.match_detections(np.zeros((2, 1)), [0.5])


@given(st.integers(0, 6), st.integers(0, 6), st.randoms(use_true_random=False))
def test_matching_is_one_to_one_above_the_threshold(p: int, t: int, random: object) -> None:
    iou = np.array([[random.random() for _ in range(t)] for _ in range(p)]).reshape(p, t)  # type: ignore[attr-defined]
    scores = [random.random() for _ in range(p)]  # type: ignore[attr-defined]
    matches = metrics.match_detections(iou, scores, threshold=0.5)
    taken = matches[matches >= 0]
    assert len(set(taken.tolist())) == len(taken)
    assert all(iou[i, m] >= 0.5 for i, m in enumerate(matches) if m >= 0)
    left = [j for j in range(t) if j not in taken]
    assert all(iou[i, j] < 0.5 for i in range(p) if matches[i] < 0 for j in left)


def test_precision_and_recall() -> None:
    precision, recall = metrics.precision_recall([1, 0, 1, 0], 4, ignore=[0, 0, 0, 1])
    assert (precision.hits, precision.n, recall.n) == (2, 3, 4)
    assert recall.value == 0.5


@pytest.mark.parametrize(
    ("text", "truth", "strict", "folded"),
    [
        ("AB-12 CD", "ab12cd", True, True),
        ("OI12", "0112", False, True),
        ("A1", "B1", False, False),
        (None, "A1", False, False),
        ("京A123", "京A123", True, True),
    ],
)
def test_exact_match(text: str | None, truth: str, strict: bool, folded: bool) -> None:
    assert metrics.exact_match(text, truth) is strict
    assert metrics.exact_match(text, truth, fold=True) is folded


def test_character_error_rate_is_over_all_characters() -> None:
    pairs = [("ABCD", "ABCD"), ("A", "AB"), (None, "XY")]
    assert metrics.character_error_rate(pairs) == pytest.approx(3 / 8)
    assert math.isnan(metrics.character_error_rate([("A", "")]))


@given(judged, st.integers(1, 12))
def test_reliability_counts_every_score_once(pairs: list[tuple[float, bool]], bins: int) -> None:
    scores, correct = zip(*pairs, strict=True)
    table = metrics.reliability(scores, correct, bins)
    assert sum(row.n for row in table) == len(pairs)
    assert sum(row.n * row.accuracy for row in table if row.n) == pytest.approx(sum(correct))
    for row in table:
        if row.n:
            assert row.low - 1e-9 <= row.score <= row.high + 1e-9
    assert 0 <= metrics.expected_calibration_error(scores, correct, bins) <= 1


def test_calibration_error_by_hand() -> None:
    # one bin promises 0.8 and keeps 0.5, the other promises 0.2 and keeps 0
    scores, correct = [0.8, 0.8, 0.2, 0.2], [True, False, False, False]
    assert metrics.expected_calibration_error(scores, correct, bins=2) == pytest.approx(0.25)
    assert math.isnan(metrics.expected_calibration_error([], []))


def test_the_interval_of_the_calibration_error_holds_it() -> None:
    random = np.random.default_rng(3)
    scores = random.random(2000)
    right = random.random(2000) < np.clip(scores - 0.2, 0, 1)
    low, high = metrics.calibration_error_interval(scores, right, resamples=200)
    assert low < metrics.expected_calibration_error(scores, right) < high < low + 0.1
    assert all(map(math.isnan, metrics.calibration_error_interval([], [])))


def test_coverage_of_known_scores() -> None:
    scores, right = [0.9, 0.8, 0.7, 0.7, 0.2], [True, True, True, False, False]
    covered = metrics.coverage_at_precision(scores, right, 0.75)
    assert (covered.threshold, covered.accepted) == (0.7, metrics.Rate(4, 5))
    covered = metrics.coverage_at_precision(scores, right, 0.99)
    assert (covered.threshold, covered.accepted) == (0.8, metrics.Rate(2, 5))
    assert metrics.coverage_at_precision([0.9], [False], 0.5).accepted == metrics.Rate(0, 1)


@given(judged, st.floats(0.1, 1.0))
def test_what_is_accepted_is_as_precise_as_wanted(
    pairs: list[tuple[float, bool]], wanted: float
) -> None:
    scores, right = zip(*pairs, strict=True)
    covered = metrics.coverage_at_precision(scores, right, wanted)
    kept = [good for score, good in pairs if score >= covered.threshold]
    if covered.accepted.hits:
        assert len(kept) == covered.accepted.hits
        assert sum(kept) >= wanted * len(kept) - 1e-9
    with pytest.raises(ValueError, match=r"0\.\.1"):
        metrics.reliability([1.2], [True])


def test_wilson_interval_known_values() -> None:
    # R: binom::binom.wilson(9, 10) and (0, 20)
    assert metrics.wilson_interval(9, 10) == pytest.approx((0.5958, 0.9821), abs=1e-4)
    assert metrics.wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)
    assert metrics.wilson_interval(0, 0) == (0.0, 1.0)
    with pytest.raises(ValueError, match="no share"):
        metrics.wilson_interval(3, 2)


@given(st.integers(0, 400), st.integers(1, 400))
def test_wilson_interval_holds_the_share_and_mirrors(hits: int, n: int) -> None:
    hits = min(hits, n)
    low, high = metrics.wilson_interval(hits, n)
    assert 0 <= low <= hits / n <= high <= 1
    mirrored = metrics.wilson_interval(n - hits, n)
    assert (low, high) == pytest.approx((1 - mirrored[1], 1 - mirrored[0]))


def test_rate_without_counts_has_no_value() -> None:
    nothing = {"value": None, "interval": [0.0, 1.0], "hits": 0, "n": 0}
    assert metrics.Rate(0, 0).to_dict() == nothing
    assert metrics.Rate(1, 2).to_dict()["value"] == 0.5


@given(judged, st.integers(0, 5), probabilities)
def test_recall_at_precision_equals_the_best_of_all_thresholds(
    pairs: list[tuple[float, bool]], missed: int, precision: float
) -> None:
    scores, correct = zip(*pairs, strict=True)
    total = sum(correct) + missed
    best = 0
    for level in set(scores):
        kept = [right for score, right in pairs if score >= level]
        if sum(kept) >= precision * len(kept):
            best = max(best, sum(kept))
    actual = metrics.recall_at_precision(scores, correct, total, precision)
    assert (actual.hits, actual.n) == (best, total)


def test_recall_at_precision_leaves_out_what_is_ignored() -> None:
    found = metrics.recall_at_precision([0.9, 0.8, 0.7], [0, 1, 1], 2, 0.9, ignore=[1, 0, 0])
    assert (found.hits, found.n) == (2, 2)
    assert metrics.recall_at_precision([], [], 3, 0.9).hits == 0


@given(
    st.lists(st.lists(st.tuples(st.sampled_from([0.2, 0.5, 0.9]), st.booleans())), min_size=1),
    st.integers(0, 3),
    st.integers(0, 5),
)
def test_bootstrap_of_recall_at_precision_is_that_of_images_drawn_again(
    images: list[list[tuple[float, bool]]], missed: int, seed: int
) -> None:
    totals = [sum(right for _, right in image) + missed for image in images]
    scores = [score for image in images for score, _ in image]
    correct = [right for image in images for _, right in image]
    places = [number for number, image in enumerate(images) for _ in image]
    actual = metrics.recall_at_precision_interval(
        scores, correct, places, totals, 0.9, resamples=20, seed=seed
    )
    expected = []
    for picked in metrics.rates.bootstrap(len(images), 20, seed):
        again = [n for n, times in enumerate(picked) for _ in range(int(times))]
        pairs = [pair for n in again for pair in images[n]]
        total = sum(totals[n] for n in again)
        found = (
            metrics.recall_at_precision(*zip(*pairs, strict=True), total, 0.9) if pairs else None
        )
        if total:
            expected.append(found.value if found else 0.0)
    if not expected:
        assert np.isnan(actual).all()
        return
    assert actual == pytest.approx(tuple(np.quantile(expected, [0.025, 0.975])))


def test_bootstrap_of_recall_at_precision_leaves_out_what_is_ignored() -> None:
    found = metrics.recall_at_precision_interval(
        [0.9, 0.8], [0, 1], [0, 1], [1, 1], 0.9, ignore=[1, 0]
    )
    assert found == (0.0, 1.0)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30))
def test_mask_overlap_equals_that_of_sets(pixels: list[tuple[bool, bool]]) -> None:
    first, second = ({i for i, pair in enumerate(pixels) if pair[part]} for part in (0, 1))
    masks = np.array(pixels).T.reshape(2, 1, -1)
    actual = metrics.mask_iou(*masks)
    if not first | second:
        assert math.isnan(actual)
    else:
        assert actual == pytest.approx(len(first & second) / len(first | second))


def test_masks_of_different_size_are_not_compared() -> None:
    with pytest.raises(ValueError, match="equal shape"):
        metrics.mask_iou(np.ones((2, 3)), np.ones((3, 2)))


@st.composite
def compared(draw: st.DrawFn) -> tuple[list[list[float]], list[int]]:
    """A similarity of up to eight items, with ties and gaps, and their labels."""
    n = draw(st.integers(0, 8))
    level = st.sampled_from([-np.inf, 0.0, 0.25, 0.5, 1.0])
    rows = [draw(st.lists(level, min_size=n, max_size=n)) for _ in range(n)]
    return rows, draw(st.lists(st.integers(0, 2), min_size=n, max_size=n))


def slow_nearest(rows: list[list[float]], labels: list[int], k: int) -> list[list[int]]:
    answers = []
    for query, row in enumerate(rows):
        others = [i for i in range(len(row)) if i != query and row[i] > -np.inf]
        others.sort(key=lambda i: (-row[i], labels[i] == labels[query]))
        answers.append((others + [-1] * k)[:k])
    return answers


@given(compared(), st.integers(1, 6))
def test_nearest_equals_a_sort_of_all_others(
    case: tuple[list[list[float]], list[int]], k: int
) -> None:
    rows, labels = case
    actual = metrics.nearest(np.array(rows).reshape(len(rows), len(rows)), labels, k)
    expected = slow_nearest(rows, labels, k)
    # equals of one sort may come in any order
    for query, (mine, slow) in enumerate(zip(actual.tolist(), expected, strict=True)):
        seen = [
            [(rows[query][i], labels[i] == labels[query]) if i >= 0 else None for i in answer]
            for answer in (mine, slow)
        ]
        assert seen[0] == seen[1]
        assert len({i for i in mine if i >= 0}) == sum(i >= 0 for i in slow)


def test_nearest_refuses_what_is_not_square() -> None:
    with pytest.raises(ValueError, match=r"need \(N, N\)"):
        metrics.nearest(np.zeros((2, 3)), [0, 1], 1)


answers = st.lists(
    st.tuples(st.lists(st.booleans(), min_size=5, max_size=5), st.integers(1, 9)),
    min_size=1,
    max_size=12,
)


@given(answers, st.integers(1, 5))
def test_cmc_and_average_precision_equal_their_definitions(
    queries: list[tuple[list[bool], int]], k: int
) -> None:
    queries = [(right, max(relevant, sum(right))) for right, relevant in queries]
    rights, relevant = zip(*queries, strict=True)
    assert metrics.cmc(rights, k).hits == sum(any(right[:k]) for right in rights)
    expected = []
    for right, possible in queries:
        at_hits = [sum(right[: i + 1]) / (i + 1) for i in range(k) if right[i]]
        expected.append(sum(at_hits) / min(possible, k))
    actual = metrics.average_precision_at(rights, relevant, k)
    assert actual.tolist() == pytest.approx(expected)
    assert np.all((actual >= 0) & (actual <= 1 + 1e-12))


def slow_equal_error_rate(pairs: list[tuple[float, bool]]) -> float:
    """Both error rates at every threshold, joined by lines; where the lines cross."""
    same = [score for score, right in pairs if right]
    different = [score for score, right in pairs if not right]
    curve = [(0.0, 1.0)]
    for level in sorted({score for score, _ in pairs}, reverse=True):
        accepted = sum(score >= level for score in different) / len(different)
        refused = sum(score < level for score in same) / len(same)
        curve.append((accepted, refused))
    for (a0, r0), (a1, r1) in pairwise(curve):
        if a1 >= r1:
            share = (r0 - a0) / ((r0 - a0) + (a1 - r1))
            return a0 + share * (a1 - a0)
    raise AssertionError("the curves cross at the latest where all are accepted")


@given(judged)
def test_equal_error_rate_equals_the_crossing_of_both_curves(
    pairs: list[tuple[float, bool]],
) -> None:
    scores, same = zip(*pairs, strict=True)
    actual = metrics.equal_error_rate(scores, same)
    if all(same) or not any(same):
        assert math.isnan(actual)
    else:
        assert actual == pytest.approx(slow_equal_error_rate(pairs), abs=1e-9)


@given(judged, st.data())
def test_a_pair_of_weight_two_counts_as_two_pairs(
    pairs: list[tuple[float, bool]], data: st.DataObject
) -> None:
    weights = [data.draw(st.integers(0, 3)) for _ in pairs]
    repeated = [pair for pair, weight in zip(pairs, weights, strict=True) for _ in range(weight)]
    scores, same = zip(*pairs, strict=True)
    actual = metrics.equal_error_rate(scores, same, weights)
    again = metrics.equal_error_rate([s for s, _ in repeated], [r for _, r in repeated])
    assert actual == pytest.approx(again, nan_ok=True)


def test_equal_error_rate_by_hand() -> None:
    assert metrics.equal_error_rate([0.9, 0.8, 0.2, 0.1], [1, 1, 0, 0]) == 0.0
    assert metrics.equal_error_rate([0.9, 0.8, 0.2, 0.1], [0, 0, 1, 1]) == 1.0
    assert metrics.equal_error_rate([0.5, 0.5], [1, 0]) == 0.5
    # not compared at all is refused together, not in the order of the input
    assert metrics.equal_error_rate([-np.inf, -np.inf], [1, 0]) == 0.5


def draw_pairs(
    identities: int, imprints: int, noise: float
) -> tuple[list[float], list[bool], list[tuple[int, int]]]:
    generator = np.random.default_rng(1)
    labels = np.repeat(np.arange(identities), imprints)
    first, second = np.triu_indices(len(labels), 1)
    same = labels[first] == labels[second]
    scores = same + noise * generator.standard_normal(len(same))
    groups = np.stack([labels[first], labels[second]], axis=1)
    return scores.tolist(), same.tolist(), groups.tolist()


def test_interval_of_the_equal_error_rate() -> None:
    few, many = draw_pairs(6, 4, 0.6), draw_pairs(40, 4, 0.6)
    intervals = [metrics.equal_error_interval(*pairs) for pairs in (few, many)]
    for (low, high), pairs in zip(intervals, (few, many), strict=True):
        assert low <= metrics.equal_error_rate(*pairs[:2]) <= high
    assert np.diff(intervals[1]) < np.diff(intervals[0])
    assert metrics.equal_error_interval(*few, seed=0) == intervals[0]
    assert metrics.equal_error_interval(*few, seed=1) != intervals[0]
    assert all(math.isnan(end) for end in metrics.equal_error_interval([0.5], [True], [(0, 0)]))
    assert all(math.isnan(end) for end in metrics.equal_error_interval([], [], []))


def test_interval_of_a_mean_is_that_of_its_groups() -> None:
    generator = np.random.default_rng(0)
    values, single = generator.random(200), np.arange(200)
    low, high = metrics.mean_interval(values, single)
    standard_error = values.std() / np.sqrt(200)
    assert high - low == pytest.approx(2 * 1.96 * standard_error, rel=0.15)
    # ten copies of a value are one finding, not ten
    repeated = metrics.mean_interval(np.repeat(values[:20], 10), np.repeat(np.arange(20), 10))
    assert repeated[1] - repeated[0] > 2 * (high - low)
    assert metrics.mean_interval([0.5, 0.5], [1, 1]) == (0.5, 0.5)
    assert all(math.isnan(end) for end in metrics.mean_interval([], []))
