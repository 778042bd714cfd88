"""Local features of imprints, and how many of them one similarity transform explains.

Letters, emblems and worn places of one stamp lie alike in all its imprints, while print, signatures
and folds do not move with them (SIFT, Lowe 2004; RANSAC, Fischler and Bolles 1981).
"""

from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from platemark.imaging.image import Pixels

# Longer side of the picture in which features are found, in pixels.
_SIDE = 400
# Ink of at least this probability has features about it, up to this many pixels away.
_LIKELY, _ABOUT = 100, 7
_MOST, _CONTRAST = 800, 0.02
# The best match of a feature is nearer than this share of the second best (Lowe's ratio test).
_RATIO = 0.8
# How far a feature may lie from where the transform takes it, in pixels; trials of RANSAC.
_TOLERANCE, _TRIALS, _LEAST_PAIRS = 5.0, 3000, 3
_MOST_GROWN = 2.5


@dataclass(frozen=True, eq=False)
class Keypoints:
    """Features of one picture.

    Attributes:
        points: (N, 2) float32, in pixels of the picture.
        descriptors: (N, 128) float32.
    """

    points: NDArray[np.float32]
    descriptors: NDArray[np.float32]

    @classmethod
    def of(cls, grey: NDArray[np.uint8], where: NDArray[np.uint8] | None) -> Self:
        """Find the features of a picture (h, w) where another of its size is not 0."""
        finder = cv2.SIFT.create(_MOST, contrastThreshold=_CONTRAST)
        found, descriptors = finder.detectAndCompute(grey, where)
        if descriptors is None:
            return cls(np.zeros((0, 2), np.float32), np.zeros((0, 128), np.float32))
        points = np.array([point.pt for point in found], dtype=np.float32)
        return cls(points, np.asarray(descriptors, dtype=np.float32))


@dataclass(frozen=True, eq=False)
class LocalFeatures:
    """Features of one imprint.

    Attributes:
        seen: Those of its picture, about its ink.
        ink: Those of its ink alone, which does not fade or darken with the paper.
    """

    seen: Keypoints
    ink: Keypoints

    @classmethod
    def of(cls, pixels: Pixels, ink: NDArray[np.uint8]) -> Self:
        """Find the features of an imprint.

        Args:
            pixels: (h, w, 3) uint8 RGB.
            ink: (h, w) uint8, 255 where it is surely ink.
        """
        factor = _SIDE / max(ink.shape)
        size = tuple(max(1, round(side * factor)) for side in ink.shape[::-1])
        how = cv2.INTER_AREA if factor < 1.0 else cv2.INTER_CUBIC
        darkest, mask = (
            np.asarray(cv2.resize(one, size, interpolation=how), dtype=np.uint8)
            for one in (pixels.min(axis=2), ink)
        )
        about = np.ones((2 * _ABOUT + 1, 2 * _ABOUT + 1), np.uint8)
        inked = np.asarray(cv2.dilate((mask >= _LIKELY).astype(np.uint8), about), dtype=np.uint8)
        return cls(Keypoints.of(darkest, inked), Keypoints.of(np.uint8(255) - mask, None))


def match_features(a: LocalFeatures, b: LocalFeatures) -> int:
    """Count the features of ``a`` that are found again in ``b``, turned, zoomed and shifted alike.

    It is not symmetric: who needs that gives both in one order.
    """
    return max(_agreeing(a.seen, b.seen), _agreeing(a.ink, b.ink))


def _agreeing(a: Keypoints, b: Keypoints) -> int:
    pairs = _alike(a.descriptors, b.descriptors)
    if len(pairs) < _LEAST_PAIRS:
        return 0
    similar, agree = cv2.estimateAffinePartial2D(
        a.points[pairs[:, 0]],
        b.points[pairs[:, 1]],
        method=cv2.RANSAC,
        ransacReprojThreshold=_TOLERANCE,
        maxIters=_TRIALS,
    )
    if similar is None:
        return 0
    zoom = float(np.hypot(similar[0, 0], similar[1, 0]))
    return int(np.count_nonzero(agree)) if 1.0 / _MOST_GROWN < zoom < _MOST_GROWN else 0


def _alike(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.intp]:
    """Indices (K, 2) of descriptors that pass the ratio test, each of ``b`` at most once."""
    if len(a) < 2 or len(b) < 2:
        return np.zeros((0, 2), np.intp)
    nearest: dict[int, tuple[float, int]] = {}
    for best, second in cv2.BFMatcher(cv2.NORM_L2).knnMatch(a, b, 2):
        if best.distance >= _RATIO * second.distance:
            continue
        known = nearest.get(best.trainIdx)
        if known is None or best.distance < known[0]:
            nearest[best.trainIdx] = (best.distance, best.queryIdx)
    return np.array([(own, other) for other, (_, own) in nearest.items()], np.intp).reshape(-1, 2)
