"""How well equal things are told from different ones by their similarity."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from platemark.metrics.arrays import last_of_equals, scores_and_flags
from platemark.metrics.rates import Rate, bootstrap, middle


def nearest(similarity: ArrayLike, labels: ArrayLike, k: int) -> NDArray[np.int64]:
    """The ``k`` items most similar to each item, itself left out, best first.

    Among equally similar items those with another label come first, so that a coarse similarity
    wins nothing by its ties.

    Args:
        similarity: (N, N); -inf where an item cannot be compared.
        labels: (N,) int.
        k: How many.

    Returns:
        (N, k) int64 indices; -1 where there are no more that can be compared.

    Raises:
        ValueError: Shapes that do not fit together.
    """
    table, own = np.asarray(similarity), np.asarray(labels)
    if table.shape != (len(own), len(own)):
        raise ValueError(f"similarity is {table.shape} for {len(own)} labels: need (N, N)")
    found = np.full((len(own), k), -1, dtype=np.int64)
    for index in range(len(own)):
        row = np.array(table[index], dtype=np.float64)
        row[index] = -np.inf
        last = np.partition(row, -k)[-k] if k < len(row) else -np.inf
        candidates = np.flatnonzero((row >= last) & (row > -np.inf))
        order = np.lexsort((own[candidates] == own[index], -row[candidates]))[:k]
        found[index, : len(order)] = candidates[order]
    return found


def cmc(correct: ArrayLike, k: int) -> Rate:
    """Cumulative match characteristic: queries with a right item among their first ``k``.

    Args:
        correct: (Q, K) bool, whether the items answered, best first, are right; K >= k.
        k: Rank up to which hits count.
    """
    right = np.asarray(correct, dtype=bool)
    return Rate(int(right[:, :k].any(axis=1).sum()), len(right))


def average_precision_at(correct: ArrayLike, relevant: ArrayLike, k: int) -> NDArray[np.float64]:
    """Average precision of the first ``k`` answers to each query; its mean is mAP@k.

    Precision is taken at every right answer and divided by the most right answers there could be,
    the smaller of ``relevant`` and ``k``.

    Args:
        correct: (Q, K) bool, whether the items answered, best first, are right; K >= k.
        relevant: (Q,) how many right items there are, at least 1.
        k: Rank up to which hits count.

    Returns:
        (Q,) 0..1.
    """
    right = np.asarray(correct, dtype=bool)[:, :k]
    precision = np.cumsum(right, axis=1) / np.arange(1, right.shape[1] + 1)
    possible = np.minimum(np.asarray(relevant), k)
    return np.asarray((precision * right).sum(axis=1) / possible, dtype=np.float64)


def equal_error_rate(scores: ArrayLike, same: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Where as many different pairs are accepted as same pairs are refused.

    The two error rates are taken at every distinct score and joined by straight lines (the ROC
    curve); the answer is where they cross.

    Args:
        scores: (P,) similarity of pairs, higher for more alike.
        same: (P,) bool, whether they are the same.
        weights: (P,) how often each pair counts; None counts each once.

    Returns:
        0..1; NaN where pairs of one sort are missing.

    Raises:
        ValueError: Shapes that differ.
    """
    confidence, right = scores_and_flags(scores, same)
    counts = np.ones(len(right)) if weights is None else np.asarray(weights, dtype=np.float64)
    order = np.argsort(-confidence)
    ends = last_of_equals(confidence[order])
    return _crossing(right[order], counts[order], ends)


def _crossing(
    same: NDArray[np.bool_], weights: NDArray[np.float64], ends: NDArray[np.int64]
) -> float:
    """Equal error rate of pairs, the most similar first; ``ends`` closes runs of equal scores."""
    accepted = np.cumsum(weights * same)
    mistaken = np.cumsum(weights * ~same)
    if not len(ends) or not accepted[-1] or not mistaken[-1]:
        return float("nan")
    refused = np.append(1.0, 1.0 - accepted[ends] / accepted[-1])
    false = np.append(0.0, mistaken[ends] / mistaken[-1])
    gap = false - refused
    after = int(np.argmax(gap >= 0))
    share = -gap[after - 1] / (gap[after] - gap[after - 1])
    return float(false[after - 1] + share * (false[after] - false[after - 1]))


def equal_error_interval(
    scores: ArrayLike,
    same: ArrayLike,
    groups: ArrayLike,
    *,
    resamples: int = 200,
    seed: int = 0,
) -> tuple[float, float]:
    """95% interval of `equal_error_rate`: the bootstrap over groups of what is compared.

    Groups are resampled with replacement, and a pair counts as often as both its groups were
    picked: pairs that share a group are not independent. Source: the vertex bootstrap of
    Snijders and Borgatti, Non-parametric standard errors and tests for network statistics, 1999.

    Args:
        scores: (P,) similarity of pairs, higher for more alike.
        same: (P,) bool, whether they are the same.
        groups: (P, 2) int, the group (the identity) of either side.
        resamples: How often groups are resampled.
        seed: Fixes the bootstrap.

    Returns:
        (low, high): the 2.5% and 97.5% quantiles; NaN twice where pairs of one sort are missing.
    """
    confidence, right = scores_and_flags(scores, same)
    sides = np.asarray(groups, dtype=np.int64).reshape(-1, 2)
    order = np.argsort(-confidence)
    ends, right = last_of_equals(confidence[order]), right[order]
    first, second = sides[order].T
    within = first == second
    rates = [
        _crossing(right, np.where(within, picked[first], picked[first] * picked[second]), ends)
        for picked in bootstrap(sides.max(initial=-1) + 1, resamples, seed)
    ]
    return middle(rates)
