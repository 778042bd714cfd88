"""One imprint laid on another: turned, zoomed, shifted, slightly slanted; never mirrored.

No correspondences are needed. Guesses come from the spectra, which do not know of shifts, and from
unwrapping about likely centres, for round stamps; each is tried on coarse views. The best are
refined by gradients, on finer and finer views with more and more freedom (Baker and Matthews 2004,
Lucas-Kanade 20 years on: the inverse compositional algorithm), with weights that leave out what
only one of both has ink of; where gradients lead nowhere, patches that are found again do.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from platemark.geometry import FloatArray
from platemark.imaging.warp import warp
from platemark.matching.patches import moved_patches
from platemark.matching.template import (
    COARSE,
    DIRECTIONS,
    FINE,
    MIDDLE,
    REACH,
    RING_STEP,
    ROOM,
    TURNS,
    ZOOMS,
    InkTemplate,
    Picture,
    frame_to_view,
)

# Guesses of each kind that are tried, of those the ones refined, of those the ones to the end.
_SPECTRAL_GUESSES, _UNWRAPPED_GUESSES = 6, 4
_REFINED, _DISTINCT, _FINISHED = 8, 4, 2
# Alignments of which a corner moves by more than this, in units of the frame, are different ways.
_ANOTHER_WAY = 0.2
# Another way that agrees less than this part of the best is not tried.
_NEARLY_AS_GOOD = 0.75
# Rings of a spectrum over which zooms are sought: from 0.55 to 1.8.
_ZOOM_RINGS = 9
_APART = 0.08
# With less agreement the search goes on with more guesses.
_CLEAR = 0.5

# The parameters of a homography, as columns: those of turning, zooming and shifting; those of an
# affine map; all.
_SIMILAR = np.array(
    [
        [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0],
        [0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0],
        [0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0],
        [0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0],
    ]
).T
_AFFINE = np.eye(8)[:, :6]
_PROJECTIVE = np.eye(8)


@dataclass(frozen=True, eq=False)
class Alignment:
    """How an imprint lies on another.

    Attributes:
        agreement: How alike the strokes are where both have ink, about 0..1.
        matrix: (3, 3) homography from the frame of the first to that of the second.
    """

    agreement: float
    matrix: FloatArray


def align(a: InkTemplate, b: InkTemplate, *, quick: bool = False) -> list[Alignment]:
    """Lay an imprint on another; different stamps are laid on each other somehow, too.

    Most of a round seal fits itself upside down as well, so that the best few ways are returned.

    Args:
        a: The first imprint, which has ink.
        b: The second, likewise.
        quick: Leave it at the first guesses, also where they do not fit.

    Returns:
        Different alignments, at most `_FINISHED`, best first.
    """
    found = _search(a, b, 1)
    if quick or found[0].agreement >= _CLEAR:
        return found
    return _distinct([*found, *_search(a, b, 2)])


def _distinct(found: list[Alignment]) -> list[Alignment]:
    """The best alignments, without those that are nearly one that is better, or are far worse."""
    kept: list[Alignment] = []
    ranked = sorted(found, key=lambda alignment: -alignment.agreement)
    for alignment in ranked:
        if kept and alignment.agreement < _NEARLY_AS_GOOD * ranked[0].agreement:
            break
        if all(np.abs(alignment.matrix - other.matrix).max() > _ANOTHER_WAY for other in kept):
            kept.append(alignment)
    return kept[:_FINISHED]


def _search(a: InkTemplate, b: InkTemplate, effort: int) -> list[Alignment]:
    """The best alignments among guesses; more of each sort with more effort."""
    guesses = _guesses(a, b, effort)
    found = [
        _followed(a, b, matrix, far=effort > 1)
        for freedom in [_SIMILAR, _AFFINE][:effort]
        for matrix in _coarsely(a, b, guesses, freedom)[: effort * _DISTINCT]
    ]
    ends = [
        Alignment(*_improve(a, b, alignment.matrix, MIDDLE, _PROJECTIVE, 6))
        for alignment in _distinct(found)
    ]
    return _distinct([Alignment(*_improve(a, b, end.matrix, FINE, _PROJECTIVE, 4)) for end in ends])


def _coarsely(
    a: InkTemplate, b: InkTemplate, guesses: Sequence[FloatArray], freedom: FloatArray
) -> list[FloatArray]:
    """Guesses refined on coarse views, those that become the same once, best first."""
    refined: list[tuple[float, FloatArray]] = []
    for matrix in guesses:
        value, better = _improve(a, b, matrix, COARSE, freedom, 8)
        if all(np.abs(better - other).max() > _APART for _, other in refined):
            refined.append((value, better))
    refined.sort(key=lambda found: -found[0])
    return [matrix for _, matrix in refined]


def _followed(a: InkTemplate, b: InkTemplate, matrix: FloatArray, *, far: bool) -> Alignment:
    """Follow the gradients from here, or if ``far`` also from where patches are found again."""
    straight = Alignment(*_improve(a, b, matrix, MIDDLE, _AFFINE, 5))
    if not far:
        return straight
    seen = laid_on(b.level(MIDDLE).strokes, matrix, MIDDLE)
    moved = moved_patches(a.level(MIDDLE).strokes, seen)
    if moved is None:
        return straight
    around = Alignment(*_improve(a, b, matrix @ moved, MIDDLE, _AFFINE, 5))
    return max(straight, around, key=lambda alignment: alignment.agreement)


def _guesses(a: InkTemplate, b: InkTemplate, effort: int) -> list[FloatArray]:
    """The best guesses, as homographies between the frames, best first."""
    turns = [
        *_spectral_turns(a, b, effort * _SPECTRAL_GUESSES),
        *_unwrapped_turns(a, b, effort * _UNWRAPPED_GUESSES),
    ]
    tried = [_shifted(a, b, *turn) for turn in turns]
    tried.sort(key=lambda guess: -guess[0])
    return [matrix for _, matrix in tried[: effort * _REFINED]]


def _spectral_turns(a: InkTemplate, b: InkTemplate, count: int) -> Iterator[tuple[float, float]]:
    """Turns (radians) and zooms for which the spectra agree; half a turn more agrees as well."""
    shape = (DIRECTIONS, 2 * (a.spectrum.shape[1] - 1))
    alike = np.fft.irfft2(np.conj(a.spectrum) * b.spectrum, shape)
    shifts = np.r_[0:_ZOOM_RINGS, -_ZOOM_RINGS:0]
    alike = alike[:, shifts]
    for _ in range(count):
        direction, ring = np.unravel_index(int(np.argmax(alike)), alike.shape)
        turn = np.pi * float(direction) / DIRECTIONS
        zoom = float(np.exp(-shifts[ring] * RING_STEP))
        yield turn, zoom
        yield turn + np.pi, zoom
        around = (int(direction) + np.arange(-4, 5)) % DIRECTIONS
        near = np.abs(shifts - shifts[ring]) <= 2
        alike[np.ix_(around, near)] = -np.inf


def _unwrapped_turns(a: InkTemplate, b: InkTemplate, count: int) -> Iterator[tuple[float, float]]:
    """Turns (radians) and zooms for which the unwrapped imprints agree."""
    products = np.einsum("fr,kfr->kf", np.conj(a.unwrapped), b.unwrapped_about)
    alike = np.fft.irfft(products, TURNS, axis=1)
    centres = len(alike) // len(ZOOMS)
    for _ in range(count):
        row, step = np.unravel_index(int(np.argmax(alike)), alike.shape)
        yield 2.0 * np.pi * float(step) / TURNS, ZOOMS[int(row) // centres]
        alike[:, (int(step) + np.arange(-4, 5)) % TURNS] = -np.inf


def _shifted(a: InkTemplate, b: InkTemplate, turn: float, zoom: float) -> tuple[float, FloatArray]:
    """How well coarse views agree at the best shift, and the homography between the frames."""
    cosine, sine = zoom * np.cos(turn), zoom * np.sin(turn)
    matrix = np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
    turned = warp(a.coarse_strokes, _between_views(matrix, COARSE), (COARSE, COARSE))
    spectrum = np.fft.rfft2(turned, ROOM)
    alike = np.fft.irfft2(np.conj(spectrum) * b.coarse_spectrum, ROOM)
    shift = np.array(np.unravel_index(int(np.argmax(alike)), ROOM))
    value = float(alike.max()) / (float(np.linalg.norm(turned)) + 1e-6)
    down, right = np.where(shift > np.array(ROOM) // 2, shift - ROOM, shift) * 2.0 * REACH / COARSE
    matrix[:2, 2] = right, down
    return value, matrix


def _improve(
    a: InkTemplate, b: InkTemplate, matrix: FloatArray, side: int, freedom: FloatArray, steps: int
) -> tuple[float, FloatArray]:
    """Agreement and the refined homography, or the given one where the refined agrees less."""
    better = refine(a, b, matrix, side, freedom, steps)
    given = agreement(a, b, matrix, side)
    # A mirror image is no imprint of the same stamp.
    if np.linalg.det(better[:2, :2]) <= 0.0:
        return given, matrix
    value = agreement(a, b, better, side)
    return (value, better) if value >= given else (given, matrix)


def refine(
    a: InkTemplate, b: InkTemplate, matrix: FloatArray, side: int, freedom: FloatArray, steps: int
) -> FloatArray:
    """Follow the gradients of the strokes of ``a`` until they meet those of ``b``.

    Args:
        a: The first imprint.
        b: The second.
        matrix: (3, 3) homography from the frame of the first to that of the second, nearly right.
        side: Side of the views.
        freedom: (8, M) the parameters of a homography that may change, as columns.
        steps: Most steps.
    """
    own, other = a.level(side), b.level(side)
    slopes = np.asarray(own.slopes @ freedom, dtype=np.float32)
    x, y = own.points.T
    unit, middle = side / (2.0 * REACH), side / 2.0 - 0.5
    for _ in range(steps):
        (h00, h01, h02), (h10, h11, h12), (h20, h21, _) = matrix.astype(np.float32)
        depth = h20 * x + h21 * y + 1.0
        column = unit * (h00 * x + h01 * y + h02) / depth + middle
        row = unit * (h10 * x + h11 * y + h12) / depth + middle
        seen = cv2.remap(other.both, column[None], row[None], cv2.INTER_LINEAR)[0]
        error = seen[:, 0] - own.values
        less = np.minimum(seen[:, 1], own.densities)
        more = np.maximum(seen[:, 1], own.densities)
        weight = np.clip(2.0 * less / (more + 1e-3) - 0.2, 0.0, 1.0) / (1.0 + (error / 0.8) ** 2)
        weighted = slopes * weight[:, None]
        normal = np.asarray(weighted.T @ slopes, dtype=np.float64)
        damping = np.full(len(normal), 2e-3 * float(np.diag(normal).mean()) + 1e-9)
        # A page under a scanner is flat, and a photo of one nearly so.
        damping[6:] = 0.1 * np.diag(normal)[6:]
        step = freedom @ -np.linalg.solve(normal + np.diag(damping), weighted.T @ error)
        change = np.eye(3) - np.append(step, 0.0).reshape(3, 3)
        matrix = matrix @ np.linalg.inv(change)
        matrix = matrix / matrix[2, 2]
        if np.abs(step).max() < 3e-4:
            break
    return matrix


def agreement(a: InkTemplate, b: InkTemplate, matrix: FloatArray, side: int) -> float:
    """How alike strokes are where both have ink, times the root of the share where they do."""
    own = a.level(side)
    seen = laid_on(b.level(side).both, matrix, side)
    strokes, density = seen[..., 0], seen[..., 1]
    less, more = np.minimum(own.density, density), np.maximum(own.density, density)
    weight = less * more / (more + np.float32(0.02))
    energy = float((own.strokes**2 * weight).sum()) * float((strokes**2 * weight).sum())
    alike = float((own.strokes * strokes * weight).sum()) / (energy**0.5 + 1e-9)
    grown = max(float(np.linalg.det(matrix[:2, :2])), 1e-6)
    whole = min(float(own.density.sum()), float(b.level(side).density.sum()) / grown)
    return float(alike * (float(less.sum()) / (whole + 1e-6)) ** 0.5)


def laid_on(picture: Picture, matrix: FloatArray, side: int) -> Picture:
    """A view of ``b`` (side, side, ...) as it lies in the frame of ``a``."""
    return warp(picture, np.linalg.inv(_between_views(matrix, side)), (side, side))


def _between_views(matrix: FloatArray, side: int) -> FloatArray:
    """A homography between frames as one between points of views."""
    to_view = frame_to_view(side)
    return np.asarray(to_view @ matrix @ np.linalg.inv(to_view))
