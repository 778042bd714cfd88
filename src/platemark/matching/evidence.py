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

from platemark.geometry import FloatArray
from platemark.matching.alignment import laid_on
from platemark.matching.template import REACH, InkTemplate, Picture, blur

LONGEST = 288
"""Long side in pixels at which imprints are compared, where both have so many."""

PLACE_FEATURES = (
    *(
        f"{name} {window}"
        for window in ("near", "letter")
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
)
"""What is measured at every place; see `_places`."""

# Windows as parts of the long side: of strokes, of letters, of what is around.
_NEAR, _LETTER, _AROUND = 1.0 / 64.0, 1.0 / 36.0, 1.0 / 9.0
_LEAST_INK = 0.05
# Windows are worked out on pictures smaller by this, what is around by twice this.
_COARSER = 2


@dataclass(frozen=True, eq=False)
class Evidence:
    """Two imprints on each other, place by place.

    Attributes:
        places: (N, 2) points in the frame of the first imprint that have ink.
        features: (N, F) what was measured there, see `PLACE_FEATURES`.
        first: Shares of ink (S, S) of the first.
        second: Shares of ink (S, S) of the second as it lies on the first.
        side: Long side of the imprints at this resolution, in pixels.
    """

    places: FloatArray
    features: Picture
    first: Picture
    second: Picture
    side: float


def gather(a: InkTemplate, b: InkTemplate, matrix: FloatArray) -> Evidence:
    """Compare aligned imprints.

    Args:
        a: The first imprint.
        b: The second.
        matrix: (3, 3) homography from the frame of the first to that of the second.
    """
    side = max(16.0, min(2.0 * a.radius, 2.0 * b.radius, float(LONGEST)))
    size = 2 * _COARSER * round(side * REACH / (2 * _COARSER))
    first = a.view(size)
    second = _eased(first, laid_on(b.view(size), matrix, size), side)
    features, inked = _places(first, second, side)
    rows, columns = np.nonzero(inked)
    unit = size / _COARSER / (2.0 * REACH)
    places = (np.stack([columns, rows], axis=1) + 0.5) / unit - REACH
    return Evidence(places, features[rows, columns], first, second, side)


def _eased(first: Picture, second: Picture, side: float) -> Picture:
    """The second picture with what is left between the two taken off by smooth shifts.

    Shifts of windows larger than a letter (Lucas and Kanade 1981) follow stretched paper, but do not
    turn one letter into another.
    """
    window, most, steps = max(4.0, side / 20.0), max(2.0, side / 64.0), 3
    target, moving = blur(first, 1.0), blur(second, 1.0)
    across = cv2.Sobel(target, cv2.CV_32F, 1, 0, ksize=3, scale=0.125)
    down = cv2.Sobel(target, cv2.CV_32F, 0, 1, ksize=3, scale=0.125)
    here = blur(first, 3.0)
    rows, columns = np.indices(first.shape, dtype=np.float32)
    dx, dy = np.zeros_like(first), np.zeros_like(first)
    for _ in range(steps):
        seen = cv2.remap(moving, columns + dx, rows + dy, cv2.INTER_LINEAR)
        there = blur(np.asarray(seen, np.float32), 3.0)
        weight = (np.minimum(here, there) / (np.maximum(here, there) + 0.02)) ** 2
        error = (seen - target) * weight
        sums = np.dstack(
            [
                across * across * weight,
                across * down * weight,
                down * down * weight,
                across * error,
                down * error,
            ]
        )
        xx, xy, yy, xe, ye = cv2.split(_window(sums, window))
        # Towards no shift where there is little to go by.
        rest = 0.15 * (xx + yy) + 0.002
        xx, yy = xx + rest, yy + rest
        scale = 1.0 / (xx * yy - xy * xy)
        dx = np.clip(dx - (yy * xe - xy * ye) * scale, -most, most)
        dy = np.clip(dy - (xx * ye - xy * xe) * scale, -most, most)
    eased = cv2.remap(second, columns + dx, rows + dy, cv2.INTER_LINEAR)
    return np.asarray(eased, dtype=np.float32)


def _window(picture: Picture, sigma: float) -> Picture:
    """A Gaussian blur of wide windows, worked out on a smaller picture."""
    coarse = max(1, int(sigma / 3.0))
    height, width = picture.shape[:2]
    size = (max(1, width // coarse), max(1, height // coarse))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    soft = cv2.GaussianBlur(small, (0, 0), sigma / coarse)
    return np.asarray(cv2.resize(soft, (width, height), interpolation=cv2.INTER_LINEAR))


def _places(first: Picture, second: Picture, side: float) -> tuple[Picture, Picture]:
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
    size = (first.shape[1] // _COARSER, first.shape[0] // _COARSER)
    coarse = np.asarray(cv2.resize(channels, size, interpolation=cv2.INTER_AREA))
    around = _window(coarse, side * _AROUND / _COARSER)
    amount_a, amount_b, aa, bb, ab = (around[..., k] for k in (0, 1, 6, 7, 8))
    covered_a = around[..., 9] / (amount_a + 0.005)
    covered_b = around[..., 10] / (amount_b + 0.005)
    features: list[Picture] = []
    for window in (_NEAR, _LETTER):
        local = blur(coarse[..., :9], side * window / _COARSER)
        ink_a, ink_b = local[..., 0], local[..., 1]
        most = np.maximum(ink_a, ink_b) + np.float32(0.02)
        alone_a, alone_b, far_a, far_b = (local[..., k] / most for k in (2, 3, 4, 5))
        alike = local[..., 8] / np.sqrt(local[..., 6] * local[..., 7] + 1e-5)
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
        if window == _NEAR:
            inked = most > _LEAST_INK
    features += [
        np.minimum(covered_a, covered_b),
        np.maximum(covered_a, covered_b),
        ab / np.sqrt(aa * bb + 1e-6),
    ]
    return np.dstack(features).astype(np.float32), inked


def _grown(ink: Picture, reach: int) -> Picture:
    """Ink grown by so many pixels."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    return np.asarray(cv2.dilate(ink, disc), dtype=np.float32)
