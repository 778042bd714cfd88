"""Patches of one imprint found again on another that lies on it nearly rightly.

Gradients lead no farther than a stroke is wide. A patch with some letters is found again by its
correlation much farther away, and what most patches say together is not misled by those that hit
upon a like letter (block matching with RANSAC, Fischler and Bolles 1981).
"""

import cv2
import numpy as np

from platemark.geometry import FloatArray
from platemark.matching.template import REACH, Picture

# Side of a patch, from one to the next, and how far it is searched for, in pixels of a view.
_PATCH, _STEP, _LOOK = 20, 10, 14
_LEAST_STROKES = 8.0
_LEAST_ALIKE = 0.35
_LEAST_PATCHES = 4
# In units of the frame.
_TOLERANCE = 0.025
_TRIES = 500
_MOST_GROWN = 1.6


def moved_patches(strokes: Picture, other: Picture) -> FloatArray | None:
    """How the strokes of a view have to be moved to lie on those of another.

    Args:
        strokes: (S, S) of the view, see `platemark.matching.template.Level`.
        other: (S, S) of the other imprint as it lies on the first.

    Returns:
        An affine map (3, 3) of the frame; None where too few patches agree on any.
    """
    side = len(strokes)
    border = _PATCH // 2 + _LOOK
    found = [
        match
        for y in range(border, side - border + 1, _STEP)
        for x in range(border, side - border + 1, _STEP)
        if (match := _found(strokes, other, x, y)) is not None
    ]
    if len(found) < _LEAST_PATCHES:
        return None
    here, there = np.array(found, np.float32).swapaxes(0, 1) * (2.0 * REACH / side) - REACH
    affine, agree = cv2.estimateAffine2D(
        np.ascontiguousarray(here),
        np.ascontiguousarray(there),
        ransacReprojThreshold=_TOLERANCE,
        maxIters=_TRIES,
    )
    if affine is None or np.count_nonzero(agree) < _LEAST_PATCHES:
        return None
    grown = float(np.linalg.det(affine[:, :2]))
    if not 1.0 / _MOST_GROWN < grown < _MOST_GROWN:
        return None
    return np.vstack([affine, [0.0, 0.0, 1.0]])


def _found(
    strokes: Picture, other: Picture, x: int, y: int
) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """A place (x, y) of a view and where the patch around it is on the other, if it is there."""
    half, far = _PATCH // 2, _PATCH // 2 + _LOOK
    patch = strokes[y - half : y + half, x - half : x + half]
    around = other[y - far : y + far, x - far : x + far]
    if min(float((part * part).sum()) for part in (patch, around)) < _LEAST_STROKES:
        return None
    alike = cv2.matchTemplate(around, patch, cv2.TM_CCOEFF_NORMED)
    _, most, _, (right, down) = cv2.minMaxLoc(alike)
    return ((x, y), (x + right - _LOOK, y + down - _LOOK)) if most >= _LEAST_ALIKE else None
