"""Two imprints matched: the probability that one stamp made both, and what tells them apart."""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from platemark.geometry import FloatArray, apply_homography, box_to_quad, quad_to_box
from platemark.matching.alignment import align
from platemark.matching.overlay import overlay
from platemark.matching.template import Ink, InkTemplate, Looks
from platemark.tasks.comparer import Comparer, Judgement

TOO_LITTLE_INK, TOO_SMALL = "too little ink", "too small"
# Smaller imprints, in pixels, show no letters.
_LEAST_SIDE = 40.0
# Pixels of ink that both have on the canvas, for each pixel of its longer side.
_LEAST_SHARED = 1.0
_MOST_REGIONS = 12
# Where much is doubtful, only what nearly reaches the worst place is marked.
_NEARLY_WORST = 0.8


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


def match_ink(
    a: InkTemplate | Ink,
    b: InkTemplate | Ink,
    *,
    quick: bool = False,
    comparer: Comparer | None = None,
) -> InkMatch:
    """Match two imprints.

    It is symmetric: the other way round gives the same score and the inverse transform.

    Args:
        a: A mask (h, w) uint8, 255 where it is surely ink, or an imprint made ready.
        b: Likewise.
        quick: Do not search longer where the first guesses of an alignment do not fit. Strangers,
            as most candidates of a search are, take less than half the time; now and then an
            imprint with much ink missing is not recognised.
        comparer: Judges aligned imprints; by default the bundled one, loaded once.

    Raises:
        ValueError: A mask is of another shape or dtype.
        ModelError: The bundled comparer cannot be used.
        InferenceFailed: The network did not run.
    """
    first = a if isinstance(a, InkTemplate) else InkTemplate.of(a)
    second = b if isinstance(b, InkTemplate) else InkTemplate.of(b)
    if first.radius == 0.0 or second.radius == 0.0:
        return InkMatch(0.5, np.eye(3), np.zeros((0, 4)), TOO_LITTLE_INK)
    judge = comparer or bundled_comparer()
    if _key(second) < _key(first):
        turned = _match(second, first, judge, quick=quick)
        regions = quad_to_box(apply_homography(turned.transform, box_to_quad(turned.regions)))
        back = _matrix(np.linalg.inv(turned.transform))
        return InkMatch(turned.score, back, regions, turned.doubt)
    return _match(first, second, judge, quick=quick)


@lru_cache(maxsize=1)
def bundled_comparer() -> Comparer:
    """The comparer that comes with the package, on one thread: pairs are judged side by side."""
    return Comparer.from_pretrained(threads=1)


def _key(template: InkTemplate) -> tuple[float, bytes]:
    """What puts any two imprints in one order, so that both directions are the same match."""
    return template.radius, template.mask.tobytes()


@dataclass(frozen=True, eq=False)
class _Laid:
    """An alignment, judged."""

    matrix: FloatArray
    canvas: Looks
    to_canvas: FloatArray
    said: Judgement


def _match(a: InkTemplate, b: InkTemplate, comparer: Comparer, *, quick: bool) -> InkMatch:
    """Judge every way to lay one on the other: of one stamp they are if they are in one of them."""
    tried = []
    for alignment in align(a, b, quick=quick):
        canvas, to_canvas = overlay(comparer.spec, a, b, alignment.matrix)
        tried.append(_Laid(alignment.matrix, canvas, to_canvas, comparer(canvas)))
    best = max(tried, key=lambda laid: laid.said.score)
    transform = _matrix(np.linalg.inv(b.to_frame) @ best.matrix @ a.to_frame)
    to_mask = _matrix(np.linalg.inv(best.to_canvas @ a.to_frame))
    regions = _regions(best, comparer.threshold("marked"), to_mask)
    return InkMatch(best.said.score, transform, regions, _doubt(a, b, best.canvas))


def _matrix(values: NDArray[np.floating]) -> FloatArray:
    """A homography with the weight 1 in its corner."""
    return np.asarray(values / values[2, 2], dtype=np.float64)


def _doubt(a: InkTemplate, b: InkTemplate, canvas: Looks) -> str | None:
    """Why nothing should be said of two imprints, if there is a reason."""
    if 2.0 * min(a.radius, b.radius) < _LEAST_SIDE:
        return TOO_SMALL
    first, second = canvas[..., 0], canvas[..., canvas.shape[2] // 2]
    if float(np.minimum(first, second).sum()) / 255.0 < _LEAST_SHARED * max(canvas.shape[:2]):
        return TOO_LITTLE_INK
    return None


def _regions(laid: _Laid, marked: float, to_mask: FloatArray) -> FloatArray:
    """Boxes (N, 4) in pixels of the first mask around places that differ, the worst first."""
    differs = laid.said.differs
    step = laid.canvas.shape[0] / differs.shape[0]
    level = max(marked, _NEARLY_WORST * float(differs.max()))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        np.asarray(differs >= level, dtype=np.uint8), connectivity=8
    )
    found = []
    for number in range(1, count):
        left, top, width, height = stats[number][:4].tolist()
        box = step * np.array([left, top, left + width, top + height])
        worst = float(differs[labels == number].max())
        found.append((worst, quad_to_box(apply_homography(to_mask, box_to_quad(box)))))
    found.sort(key=lambda region: -region[0])
    return np.array([box for _, box in found[:_MOST_REGIONS]]).reshape(-1, 4)
