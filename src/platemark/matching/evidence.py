"""What speaks for and against one stamp, once one imprint is laid on another.

Paper stretches and pressure varies: what is left between the imprints after alignment is taken off
by smooth shifts, as far as a stroke or two. Then every place is described by how much ink about it
has no counterpart in the other imprint, how alike the strokes are, and how well either is inked
around: ink that is only missing counts for little where the other is bare anyway, and for much
where everything else about it is there.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from platemark.geometry import FloatArray
from platemark.masks import BoolMask
from platemark.matching.alignment import laid_on
from platemark.matching.template import REACH, InkTemplate, Picture, blur

LONGEST = 288
"""Long side in pixels at which imprints are compared, where both have so many."""

PLACE_FEATURES = (
    *(
        f"{name} {window}"
        for window in ("stroke", "letter", "word")
        for name in (
            "more alone",
            "less alone",
            "more far alone",
            "less far alone",
            "alike",
            "balance",
            "amount",
            "alone where inked",
        )
    ),
    "less covered",
    "more covered",
    "alike around",
    "usually alone",
    "usually alike",
    "log side",
)
"""What is measured at every place; see `_places`."""

# Windows as parts of the long side: of strokes, letters and words, and what is around.
_WINDOWS, _AROUND = (1.0 / 110.0, 1.0 / 64.0, 1.0 / 36.0), 1.0 / 9.0
_LEAST_INK = 0.05
COARSER = 2
"""Places lie so many pixels apart: windows are worked out on pictures smaller by this."""

_EASING_STEPS = 3


@dataclass(frozen=True, eq=False)
class Evidence:
    """Two imprints on each other, place by place.

    Attributes:
        places: (N, 2) points in the frame of the first imprint that have ink.
        features: (N, F) what was measured there, see `PLACE_FEATURES`.
        covered: Shares of each imprint's ink that the other has as well, the lesser first.
        alike: Correlation of the two.
        inked: How many pixels both have ink in.
        side: Long side of the imprints at the resolution of the comparison, in pixels.
    """

    places: FloatArray
    features: Picture
    covered: tuple[float, float]
    alike: float
    inked: float
    side: float


def gather(a: InkTemplate, b: InkTemplate, matrix: FloatArray) -> Evidence:
    """Compare aligned imprints.

    Args:
        a: The first imprint.
        b: The second.
        matrix: (3, 3) homography from the frame of the first to that of the second.
    """
    wanted = max(16.0, min(2.0 * a.radius, 2.0 * b.radius, float(LONGEST)))
    size = 2 * COARSER * round(wanted * REACH / (2 * COARSER))
    side = size / REACH
    first, second = a.view(size), laid_on(b.view(size), matrix, size)
    left, top, right, bottom = _inked_part(np.maximum(first, second), side)
    first, second = first[top:bottom, left:right], second[top:bottom, left:right]
    second = _eased(first, second, side)
    features, inked = _places(first, second, side)
    rows, columns = np.nonzero(inked)
    step = COARSER * 2.0 * REACH / size
    corner = np.array([left, top]) / COARSER
    places = step * (np.stack([columns, rows], axis=1) + 0.5 + corner) - REACH
    return Evidence(places, features[rows, columns], *_overall(first, second), side)


def _inked_part(ink: Picture, side: float) -> tuple[int, int, int, int]:
    """The part of a view that has ink, and a margin: left, top, right, bottom, in whole places."""
    margin = round(side / 16.0)
    spans = []
    for axis in (0, 1):
        inked = np.flatnonzero(ink.max(axis=axis) > 0.2)
        first, last = (inked[0], inked[-1]) if len(inked) else (0, ink.shape[1 - axis] - 1)
        low = max(0, int(first) - margin) // COARSER * COARSER
        high = min(ink.shape[1 - axis], int(last) + 1 + margin)
        spans.append((low, low + (high - low) // COARSER * COARSER))
    (left, right), (top, bottom) = spans
    return left, top, right, bottom


def _eased(first: Picture, second: Picture, side: float) -> Picture:
    """The second picture with what is left between the two taken off by smooth shifts.

    Shifts of windows larger than a letter (Lucas and Kanade 1981) follow stretched paper, but do
    not turn one letter into another.
    """
    window, most = max(4.0, side / 20.0) / COARSER, max(2.0, side / 64.0) / COARSER
    size = (first.shape[1] // COARSER, first.shape[0] // COARSER)
    target, moving = (_resized(blur(ink, 1.0), size) for ink in (first, second))
    across = cv2.Sobel(target, cv2.CV_32F, 1, 0, ksize=3, scale=0.125)
    down = cv2.Sobel(target, cv2.CV_32F, 0, 1, ksize=3, scale=0.125)
    here = blur(target, 1.5)
    dx, dy = np.zeros_like(target), np.zeros_like(target)
    for _ in range(_EASING_STEPS):
        seen = _shifted(moving, dx, dy)
        there = blur(seen, 1.5)
        weight = (np.minimum(here, there) / (np.maximum(here, there) + 0.02)) ** 2
        slope_x, slope_y, error = across * weight, down * weight, seen - target
        sums = [slope_x * across, slope_x * down, slope_y * down, slope_x * error, slope_y * error]
        xx, xy, yy, xe, ye = (_window(total, window) for total in sums)
        # Towards no shift where there is little to go by.
        rest = 0.15 * (xx + yy) + 0.002
        xx, yy = xx + rest, yy + rest
        scale = 1.0 / (xx * yy - xy * xy)
        dx = np.clip(dx - (yy * xe - xy * ye) * scale, -most, most)
        dy = np.clip(dy - (xx * ye - xy * xe) * scale, -most, most)
    whole = first.shape[::-1]
    return _shifted(second, COARSER * _resized(dx, whole), COARSER * _resized(dy, whole))


def _shifted(picture: Picture, dx: Picture, dy: Picture) -> Picture:
    """What a picture shows so many pixels beside each pixel."""
    rows, columns = np.indices(picture.shape, dtype=np.float32)
    return np.asarray(cv2.remap(picture, columns + dx, rows + dy, cv2.INTER_LINEAR), np.float32)


def _resized(picture: Picture, size: tuple[int, int]) -> Picture:
    """A picture at another size (width, height)."""
    method = cv2.INTER_AREA if size[0] < picture.shape[1] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, size, interpolation=method), dtype=np.float32)


def _window(picture: Picture, sigma: float) -> Picture:
    """Nearly a Gaussian blur, by three box blurs, whose time does not grow with the window."""
    side = 2 * round(((4.0 * sigma * sigma + 1.0) ** 0.5 - 1.0) / 2.0) + 1
    for _ in range(3):
        picture = np.asarray(cv2.blur(picture, (side, side)), dtype=np.float32)
    return picture


def _places(first: Picture, second: Picture, side: float) -> tuple[Picture, BoolMask]:
    """Features (h, w, F) of every place of pictures made coarser, and which have ink (h, w)."""
    near_first, near_second = _grown(first, 1), _grown(second, 1)
    a, b = (blur(ink, 0.8) - _window(ink, side / 40.0) for ink in (first, second))
    channels = np.dstack(
        [
            first,
            second,
            np.maximum(first - near_second, 0.0),
            np.maximum(second - near_first, 0.0),
            np.maximum(first - _grown(second, 2), 0.0),
            np.maximum(second - _grown(first, 2), 0.0),
            a * a,
            b * b,
            a * b,
            np.minimum(first, near_second),
            np.minimum(second, near_first),
        ]
    )
    size = (first.shape[1] // COARSER, first.shape[0] // COARSER)
    coarse = _resized(channels, size)
    around = _window(coarse, side * _AROUND / COARSER)
    amount_a, amount_b, aa, bb, ab = (around[..., k] for k in (0, 1, 6, 7, 8))
    covered_a = around[..., 9] / (amount_a + 0.005)
    covered_b = around[..., 10] / (amount_b + 0.005)
    features: list[NDArray[np.floating]] = []
    amounts: list[NDArray[np.floating]] = []
    for window in _WINDOWS:
        local = blur(np.ascontiguousarray(coarse[..., :9]), side * window / COARSER)
        ink_a, ink_b = local[..., 0], local[..., 1]
        most = np.maximum(ink_a, ink_b) + np.float32(0.02)
        alone_a, alone_b, far_a, far_b = (local[..., k] / most for k in (2, 3, 4, 5))
        alike = local[..., 8] / np.sqrt(local[..., 6] * local[..., 7] + np.float32(1e-5))
        features += [
            np.maximum(alone_a, alone_b),
            np.minimum(alone_a, alone_b),
            np.maximum(far_a, far_b),
            np.minimum(far_a, far_b),
            alike,
            np.minimum(ink_a, ink_b) / most,
            np.log(most),
            np.maximum(alone_a * covered_a, alone_b * covered_b),
        ]
        amounts.append(most)
    inked = amounts[1] > _LEAST_INK
    features += [
        np.minimum(covered_a, covered_b),
        np.maximum(covered_a, covered_b),
        ab / np.sqrt(aa * bb + 1e-6),
    ]
    # How these imprints are on the whole: where all is ragged, one ragged place says little.
    usual = (features[8][inked].mean(), features[12][inked].mean(), np.log(side))
    features += [np.full_like(features[0], value) for value in usual]
    return np.dstack(features).astype(np.float32), inked


def _overall(first: Picture, second: Picture) -> tuple[tuple[float, float], float, float]:
    """What each has of the other, how alike they are, and how much ink both have."""
    shares = sorted(
        float(np.minimum(ink, _grown(other, 1)).sum()) / (float(ink.sum()) + 1e-6)
        for ink, other in ((first, second), (second, first))
    )
    a, b = first - first.mean(), second - second.mean()
    alike = float((a * b).sum()) / float(np.sqrt((a * a).sum() * (b * b).sum()) + 1e-6)
    return (shares[0], shares[1]), alike, float(np.minimum(first, second).sum())


def _grown(ink: Picture, reach: int) -> Picture:
    """Ink grown by so many pixels."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    return np.asarray(cv2.dilate(ink, disc), dtype=np.float32)
