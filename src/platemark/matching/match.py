"""Two imprints matched: the probability that one stamp made both, and what tells them apart."""

import math
from dataclasses import dataclass

import numpy as np

from platemark.geometry import FloatArray
from platemark.matching.alignment import align
from platemark.matching.template import Ink, InkTemplate


@dataclass(frozen=True, eq=False)
class InkMatch:
    """How two imprints compare.

    Attributes:
        score: Probability that one stamp made both.
        transform: (3, 3) float64 homography from pixels of the first mask to pixels of the second;
            the identity where there was nothing to align.
        regions: (N, 4) boxes (x0, y0, x1, y1) in pixels of the first mask where they disagree,
            the worst first.
        doubt: Why the score says little, one of ``"too little ink"``, ``"too small"``,
            ``"too blurred"``, ``"not alignable"``; None where it can be relied on.
    """

    score: float
    transform: FloatArray
    regions: FloatArray
    doubt: str | None = None


def match_ink(a: InkTemplate | Ink, b: InkTemplate | Ink) -> InkMatch:
    """Match two imprints.

    It is symmetric: the other way round gives the same score and the inverse transform.

    Args:
        a: A mask (h, w) uint8, 255 where it is surely ink, or one made ready.
        b: Likewise.

    Raises:
        ValueError: A mask is of another shape or dtype.
    """
    first = a if isinstance(a, InkTemplate) else InkTemplate.of(a)
    second = b if isinstance(b, InkTemplate) else InkTemplate.of(b)
    if first.radius == 0.0 or second.radius == 0.0:
        return InkMatch(0.5, np.eye(3), np.zeros((0, 4)), "too little ink")
    if _key(second) < _key(first):
        swapped = _match(second, first)
        return InkMatch(
            swapped.score, np.linalg.inv(swapped.transform), swapped.regions, swapped.doubt
        )
    return _match(first, second)


def _key(template: InkTemplate) -> tuple[float, bytes]:
    """What puts any two imprints in one order, so that both directions are the same match."""
    return template.radius, template.mask.tobytes()


def _match(a: InkTemplate, b: InkTemplate) -> InkMatch:
    alignment = align(a, b)
    transform = np.linalg.solve(b.to_frame, alignment.matrix @ a.to_frame)
    score = 1.0 / (1.0 + math.exp(-12.0 * (alignment.agreement - 0.75)))
    return InkMatch(score, transform / transform[2, 2], np.zeros((0, 4)))
