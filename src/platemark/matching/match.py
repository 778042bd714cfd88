"""Two imprints matched: the probability that one stamp made both, and what tells them apart."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from platemark.geometry import FloatArray, apply_homography, box_to_quad, quad_to_box
from platemark.matching.alignment import align
from platemark.matching.evidence import COARSER, Evidence, gather
from platemark.matching.judge import Judge, pair_features
from platemark.matching.template import REACH, Ink, InkTemplate

TOO_LITTLE_INK, TOO_SMALL = "too little ink", "too small"
# Smaller imprints, in pixels, show no letters.
_LEAST_SIDE = 40.0
# Pixels of ink that both have, for each pixel of the long side.
_LEAST_SHARED = 1.0
_MOST_REGIONS = 12


@dataclass(frozen=True, eq=False)
class InkMatch:
    """How two imprints compare.

    Attributes:
        score: Probability that one stamp made both.
        transform: (3, 3) float64 homography from pixels of the first mask to pixels of the second;
            the identity where there was nothing to align.
        regions: (N, 4) boxes (x0, y0, x1, y1) in pixels of the first mask where they disagree,
            the worst first.
        doubt: Why the score says little, `TOO_LITTLE_INK` or `TOO_SMALL`; None where it can be
            relied on.
    """

    score: float
    transform: FloatArray
    regions: FloatArray
    doubt: str | None = None


def match_ink(a: InkTemplate | Ink, b: InkTemplate | Ink, *, quick: bool = False) -> InkMatch:
    """Match two imprints.

    It is symmetric: the other way round gives the same score and the inverse transform.

    Args:
        a: A mask (h, w) uint8, 255 where it is surely ink, or one made ready.
        b: Likewise.
        quick: Do not search longer where the first guesses of an alignment do not fit. Strangers,
            as most candidates of a search are, take less than half the time; now and then an
            imprint with much ink missing is not recognised.

    Raises:
        ValueError: A mask is of another shape or dtype.
    """
    first = a if isinstance(a, InkTemplate) else InkTemplate.of(a)
    second = b if isinstance(b, InkTemplate) else InkTemplate.of(b)
    if first.radius == 0.0 or second.radius == 0.0:
        return InkMatch(0.5, np.eye(3), np.zeros((0, 4)), TOO_LITTLE_INK)
    if _key(second) < _key(first):
        turned = _match(second, first, quick=quick)
        regions = quad_to_box(apply_homography(turned.transform, box_to_quad(turned.regions)))
        back = _matrix(np.linalg.inv(turned.transform))
        return InkMatch(turned.score, back, regions, turned.doubt)
    return _match(first, second, quick=quick)


def _key(template: InkTemplate) -> tuple[float, bytes]:
    """What puts any two imprints in one order, so that both directions are the same match."""
    return template.radius, template.mask.tobytes()


def _match(a: InkTemplate, b: InkTemplate, *, quick: bool) -> InkMatch:
    judge = Judge.fitted()
    alignment = align(a, b, quick=quick)
    transform = _matrix(np.linalg.inv(b.to_frame) @ alignment.matrix @ a.to_frame)
    evidence = gather(a, b, alignment.matrix)
    if len(evidence.places) == 0:
        return InkMatch(0.5, np.eye(3), np.zeros((0, 4)), TOO_LITTLE_INK)
    doubts = judge.places(evidence.features)
    odds = float(judge.pairs(pair_features(evidence, doubts, alignment)[None])[0])
    return InkMatch(
        1.0 / (1.0 + math.exp(-min(max(odds, -50.0), 50.0))),
        transform,
        _regions(evidence, doubts, judge.marked, _matrix(np.linalg.inv(a.to_frame))),
        _doubt(a, b, evidence),
    )


def _matrix(values: NDArray[np.floating]) -> FloatArray:
    """A homography with the weight 1 in its corner."""
    return np.asarray(values / values[2, 2], dtype=np.float64)


def _doubt(a: InkTemplate, b: InkTemplate, evidence: Evidence) -> str | None:
    """Why nothing should be said of two imprints, if there is a reason."""
    if 2.0 * min(a.radius, b.radius) < _LEAST_SIDE:
        return TOO_SMALL
    if evidence.inked < _LEAST_SHARED * evidence.side:
        return TOO_LITTLE_INK
    return None


def _regions(
    evidence: Evidence, doubts: FloatArray, marked: float, to_mask: FloatArray
) -> FloatArray:
    """Boxes (N, 4) in pixels of the first mask around places in doubt, the worst first."""
    step = 2.0 / evidence.side * COARSER
    columns, rows = np.rint((evidence.places + REACH) / step - 0.5).astype(int).T
    strength = np.full((rows.max() + 2, columns.max() + 2), -np.inf)
    strength[rows, columns] = doubts
    # Doubt fades towards its edges, so that what hangs together is taken down to even odds.
    bad = np.asarray(strength > 0.0, dtype=np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(bad, connectivity=8)
    found = []
    for number in range(1, count):
        worst = float(strength[labels == number].max())
        if worst >= marked:
            left, top, width, height = stats[number][:4].tolist()
            corners = step * np.array([[left, top], [left + width, top + height]]) - REACH
            found.append((worst, quad_to_box(apply_homography(to_mask, corners))))
    found.sort(key=lambda region: -region[0])
    return np.array([box for _, box in found[:_MOST_REGIONS]]).reshape(-1, 4)
