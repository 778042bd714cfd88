"""Which designs an imprint may be of: nearest vectors first, then the ink itself.

Vectors find the few designs worth a closer look among very many; near-copies, which differ in a
letter or a number, have nearly the same vectors, and are told apart by laying the ink of one imprint
on that of the other.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from platemark.registry.calibration import Calibration
from platemark.registry.records import Candidate, Design
from platemark.registry.store import Hit

Compare = Callable[[str], float]
"""Probability that the stamp that made a sample, given by its id, made the imprint in question."""


@dataclass(frozen=True, slots=True)
class _Scored:
    hit: Hit
    score: float
    compared: bool


def best_by_design(hits: Sequence[Hit]) -> list[Hit]:
    """Keep the most similar sample of each design, most similar first."""
    best: dict[str, Hit] = {}
    for hit in sorted(hits, key=lambda hit: -hit.similarity):
        best.setdefault(hit.design, hit)
    return list(best.values())


def rank(
    hits: Sequence[Hit],
    designs: Mapping[str, Design],
    calibration: Calibration,
    least_score: float,
    compare: Compare,
    looks: int,
) -> list[Candidate]:
    """Rank the designs near to an imprint.

    Args:
        hits: The most similar sample of each design, most similar first.
        designs: The designs by id.
        calibration: Makes scores of similarities and comparisons.
        least_score: From this score on a candidate is accepted.
        compare: Compares the ink.
        looks: So many of the most similar designs are compared; the others come after them, and are
            not accepted.

    Returns:
        The candidates, surest first.
    """
    compared = [
        _Scored(hit, calibration.compared.probability(hit.similarity, compare(hit.sample)), True)
        for hit in hits[:looks]
    ]
    compared.sort(key=lambda scored: -scored.score)
    last = compared[-1].score if compared else 1.0
    others = [
        _Scored(hit, min(last, calibration.uncompared.probability(hit.similarity)), False)
        for hit in hits[looks:]
    ]
    return [
        Candidate(
            designs[scored.hit.design],
            scored.hit.sample,
            min(1.0, max(-1.0, scored.hit.similarity)),
            scored.score,
            scored.compared and scored.score >= least_score,
        )
        for scored in compared + others
    ]
