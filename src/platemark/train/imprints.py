"""Ink as a segmenter would find it, simulated from clean artwork fast enough to train from.

The complete synthesis (``platemark.synth``) draws paper, ink and scanner; here only what is left of
them in an ink mask is simulated, in about a millisecond: turn and perspective, uneven pressure,
ink that spreads or is missing, a second strike, print that crosses and what of it is taken for ink,
and the limited detail of a scan.
"""

import math
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from platemark.geometry import homography
from platemark.imaging.image import Pixels
from platemark.imaging.warp import warp
from platemark.models.preprocess import ink_input
from platemark.train.pictures import shrink

Ink = NDArray[np.floating]

_LETTERS = "ABCDEFGHIKLMNOPRSTUVXYZabcdeghiklmnorstuz0123456789,.-/"


class Source(NamedTuple):
    """What an imprint is simulated from.

    Attributes:
        coverage: (H, W) uint8, 255 where the ink is.
        round: whether it is turned by any angle as often as by another.
        clean: whether it is artwork; else the ink of an imprint, with wear and turn of its own.
    """

    coverage: Pixels
    round: bool
    clean: bool


def simulate(source: Source, side: int, rng: np.random.Generator) -> Pixels:
    """One imprint of a stamp as the embedder's input, (side, side) uint8, never the same twice."""
    for _ in range(3):
        made = _simulate(source, side, rng)
        if (made > 127).mean() > 0.01:  # else next to nothing was left
            return made
    return ink_input(np.asarray(source.coverage / 255, np.float32), side)


def _simulate(source: Source, side: int, rng: np.random.Generator) -> Pixels:
    low, high = (0.45, 0.75) if rng.random() < 0.15 else (0.75, 1.3)
    extent = round(side * float(rng.uniform(low, high)))
    ink: Ink = _lay(source, extent, rng).astype(np.float32) / 255
    if source.clean:
        ink = _wear(ink, rng)
    elif rng.random() < 0.3:
        ink = _press(ink, rng)
    ink = _cross(ink, rng)
    if rng.random() < 0.12:
        _cut_off(ink, rng)
    return ink_input(np.asarray(ink, np.float32), side)


def _lay(source: Source, extent: int, rng: np.random.Generator) -> Pixels:
    """Turned, stretched a little and in perspective, its longer side about ``extent`` pixels."""
    coverage = source.coverage
    factor = extent / max(coverage.shape)
    if factor < 0.7:
        coverage = shrink(coverage, factor)
    height, width = coverage.shape
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)
    zoom = extent / max(height, width) * np.exp(rng.normal(0, 0.025, 2))
    centred = (corners - corners.mean(axis=0)) * zoom
    angle = _angle(source, rng)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    spread = 0.02 if rng.random() < 0.25 else 0.006
    target = centred @ turn.T + rng.normal(0, spread * extent, (4, 2))
    low, high = target.min(axis=0) - 6, target.max(axis=0) + 6
    columns, rows = np.ceil(high - low).astype(int).tolist()
    return warp(coverage, homography(corners, target - low), (columns, rows))


def _angle(source: Source, rng: np.random.Generator) -> float:
    """Radians: any for round stamps, mostly little for others, at times a quarter turn."""
    chance = rng.random()
    if source.round or chance < 0.15:
        return float(rng.uniform(0, 2 * math.pi))
    quarter = math.pi / 2 * int(rng.integers(4)) if chance < 0.25 else 0.0
    return quarter + float(rng.normal(0, math.radians(6)))


def _wear(ink: Ink, rng: np.random.Generator) -> Ink:
    """A second strike, ink that spreads or is short, uneven pressure, grain."""
    if rng.random() < 0.08:
        shift = rng.uniform(-0.04, 0.04, 2) * ink.shape
        moved = np.roll(ink, shift.astype(int), (0, 1))
        ink = np.maximum(ink, moved * float(rng.uniform(0.4, 0.9)))
    sigma = float(rng.uniform(0.4, 1.1))
    ink = np.asarray(cv2.GaussianBlur(ink, (0, 0), sigma), np.float32)
    ink = _press(ink, rng)
    if rng.random() < 0.5:
        grain = rng.random(ink.shape, np.float32) - 0.5
        ink = ink * (1 + float(rng.uniform(0.3, 1.6)) * _smooth(grain, rng))
    # A threshold on blurred ink thins or thickens strokes by parts of a pixel.
    softness = float(rng.uniform(0.15, 0.6))
    level = softness / 2 + float(rng.uniform(0.03, 0.3))
    return np.asarray(np.clip((ink - level) / softness + 0.5, 0, 1), np.float32)


def _smooth(noise: Ink, rng: np.random.Generator) -> Ink:
    side = int(rng.choice([1, 3, 3, 5]))
    return np.asarray(cv2.blur(noise, (side, side)), np.float32) * side


def _press(ink: Ink, rng: np.random.Generator) -> Ink:
    """Pressure that falls to one side, and patches where the ink is weak or missing."""
    height, width = ink.shape
    if rng.random() < 0.5:
        direction = rng.uniform(0, 2 * math.pi)
        across = np.linspace(-1, 1, width, dtype=np.float32) * math.cos(direction)
        along = np.linspace(-1, 1, height, dtype=np.float32) * math.sin(direction)
        ink = ink * (1 - float(rng.uniform(0, 0.45)) * (across[None] + along[:, None] + 0.3))
    if rng.random() < 0.55:
        share = float(rng.uniform(0.02, 0.25))
        ink = ink * (1 - float(rng.uniform(0.5, 1)) * _patches(height, width, share, rng))
    return ink


def _patches(height: int, width: int, share: float, rng: np.random.Generator) -> Ink:
    """(H, W) 1 in smooth patches that cover about ``share``, 0 outside, soft between."""
    cells = int(rng.integers(4, 16))
    coarse = rng.random((cells, cells), np.float32)
    field = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    level = np.quantile(coarse, 1 - share)
    return np.asarray(np.clip((field - level) * 8 + 0.5, 0, 1), np.float32)


def _cross(ink: Ink, rng: np.random.Generator) -> Ink:
    """Print, rules and strokes: their parts over the ink are missing, or others are added to it."""
    if rng.random() < 0.5:
        return ink
    height, width = ink.shape
    print_ = np.zeros((height, width), np.uint8)
    if rng.random() < 0.6:
        _draw_text(print_, rng)
    if rng.random() < 0.5:
        _draw_strokes(print_, rng)
    if rng.random() < 0.2:
        specks = (rng.random((8, 2)) * (width, height)).astype(int)
        for x, y in specks.tolist():
            cv2.circle(print_, (x, y), int(rng.integers(1, 3)), 255, -1)
    over = print_.astype(np.float32) / 255
    if rng.random() < 0.5:
        return ink * (1 - float(rng.uniform(0.3, 1)) * over)
    parts = _patches(height, width, float(rng.uniform(0.05, 0.35)), rng)
    return np.maximum(ink, over * parts * float(rng.uniform(0.4, 1)))


def _draw_text(canvas: Pixels, rng: np.random.Generator) -> None:
    height, width = canvas.shape
    size = float(rng.uniform(0.25, 0.7))
    pitch = int(size * rng.uniform(30, 60))
    for y in range(int(rng.integers(0, pitch)), height + 10, pitch):
        letters = rng.integers(0, len(_LETTERS), int(width / (14 * size)) + 1)
        text = "".join(_LETTERS[i] if i % 5 else " " for i in letters)
        x = int(rng.integers(-10, width // 3))
        cv2.putText(
            canvas, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, size, 255, 1 + (size > 0.5), cv2.LINE_AA
        )


def _draw_strokes(canvas: Pixels, rng: np.random.Generator) -> None:
    """Rules of a form, or the curves of a signature."""
    height, width = canvas.shape
    thickness = int(rng.integers(1, 3))
    if rng.random() < 0.5:
        for _ in range(int(rng.integers(1, 4))):
            if rng.random() < 0.7:
                y = int(rng.integers(height))
                ends = (0, y), (width, y + int(rng.normal(0, 3)))
            else:
                x = int(rng.integers(width))
                ends = (x, 0), (x + int(rng.normal(0, 3)), height)
            cv2.line(canvas, *ends, 255, thickness, cv2.LINE_AA)
        return
    steps = rng.normal((0.07, 0), 0.22, (14, 2)).cumsum(axis=0) * (width, 0.7 * height)
    curve = cv2.resize(steps.astype(np.float32), (2, 70), interpolation=cv2.INTER_CUBIC)
    start = rng.random(2) * (0.3 * width, height)
    points = (curve + start).round().astype(np.int32)
    cv2.polylines(canvas, [points.reshape(-1, 1, 2)], False, 255, thickness, cv2.LINE_AA)


def _cut_off(ink: Ink, rng: np.random.Generator) -> None:
    """Take one side away, as the edge of a page or of a loose box does."""
    height, width = ink.shape
    share = float(rng.uniform(0.02, 0.12))
    rows, columns = max(1, round(share * height)), max(1, round(share * width))
    side = int(rng.integers(4))
    part = (ink[:rows], ink[-rows:], ink[:, :columns], ink[:, -columns:])[side]
    part[:] = 0
