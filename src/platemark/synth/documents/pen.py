"""What a pen leaves on paper: signatures, handwriting, rings, arrows and ticks, as ink masks.

Strokes are Catmull-Rom curves through random points, of the breadth of a pen tip that
changes with the speed of the hand. All sizes are in pixels; masks are (H, W) uint8 coverage.
"""

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from platemark.imaging.image import Pixels
from platemark.synth.canvas import Colour
from platemark.synth.outlines import smooth

Points = NDArray[np.float64]
_FRACTION_BITS = 4
_PENS: tuple[Colour, ...] = ((25, 45, 160), (40, 60, 190), (15, 20, 60), (20, 20, 25), (60, 60, 65))


def pen_colour(rng: np.random.Generator) -> Colour:
    """The ink of a ball-point or fountain pen: mostly blue or black, seldom red or green."""
    if rng.random() < 0.08:
        return (190, 30, 40) if rng.random() < 0.7 else (20, 120, 60)
    base = np.array(_PENS[int(rng.integers(len(_PENS)))]) + rng.integers(-12, 13, 3)
    red, green, blue = (int(value) for value in base.clip(0, 255))
    return red, green, blue


def curve(points: Points, closed: bool = False) -> Points:
    """The line of a pen through (N, 2) points."""
    return smooth(points, closed, density=10)


def strokes(
    width: int, height: int, paths: Iterable[Points], breadth: float, rng: np.random.Generator
) -> Pixels:
    """Draw pen strokes; thinner than a pixel they become paler instead.

    Args:
        width: of the mask.
        height: of the mask.
        paths: (N, 2) points of each stroke.
        breadth: mean breadth of the pen tip.
        rng: lets the pressure vary along a stroke.
    """
    zoom = 2 if breadth < 2.5 else 1
    mask = np.zeros((max(height, 1) * zoom, max(width, 1) * zoom), np.uint8)
    for path in paths:
        fixed = np.round(path * zoom * (1 << _FRACTION_BITS)).astype(np.int32)
        pieces = max(1, len(path) // 14)
        pressure = rng.uniform(0.6, 1.35, pieces)
        for piece, press in zip(
            np.array_split(np.arange(len(path)), pieces), pressure, strict=True
        ):
            part = fixed[piece[0] : piece[-1] + 2]
            thick = max(1, round(breadth * zoom * float(press)))
            cv2.polylines(mask, [part], False, 255, thick, cv2.LINE_AA, _FRACTION_BITS)
    if zoom > 1:
        size = (max(width, 1), max(height, 1))
        mask = np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_AREA), np.uint8)
    return np.asarray(cv2.convertScaleAbs(mask, alpha=min(1.0, 0.45 + 0.6 * breadth)), np.uint8)


def _cursive(rises: Points, drops: Points, loops: Points) -> Points:
    """A run of joined letters, one apart, on a baseline at 0 (y down).

    Args:
        rises: (N,) height of each letter above the line.
        drops: (N,) how far each goes below it.
        loops: (N,) how far its top leans forward: near 0 for zigzags, larger for loops.
    """
    count = len(rises)
    t = np.linspace(0, count, count * 12)
    rise, drop, loop = (np.interp(t, np.arange(count) + 0.5, row) for row in (rises, drops, loops))
    wave = 0.5 - 0.5 * np.cos(2 * np.pi * t)
    return np.column_stack([t + loop * np.sin(2 * np.pi * t), drop * (1 - wave) - rise * wave])


def signature(
    width: int, height: int, scale: float, rng: np.random.Generator
) -> tuple[Pixels, Colour]:
    """A signature within ``width`` x ``height`` pixels, and its ink.

    Args:
        width: room for it.
        height: room for it.
        scale: pixels per millimetre, which sets the breadth of the pen.
        rng: the hand.
    """
    width, height = max(width, 8), max(height, 6)
    count = int(rng.integers(3, 14))
    fading = np.exp(-np.arange(count) * float(rng.uniform(0.0, 0.35)))
    rises = fading * rng.uniform(0.3, 1.1, count)
    capitals = rng.random(count) < 0.15
    capitals[0] = True
    rises[capitals] = rng.uniform(1.6, 3.2, int(capitals.sum()))
    drops = np.where(rng.random(count) < 0.2, rng.uniform(0.5, 2.0, count), 0.0)
    drops += rng.normal(0, 0.1, count)
    loops = float(rng.uniform(0, 0.7)) * rng.uniform(0.2, 1.6, count)
    word = _cursive(rises, drops, loops)
    tail = word[-1] + np.array([rng.uniform(0, 3), rng.normal(0, 0.3)])
    paths = [np.vstack([word, tail])]
    if rng.random() < 0.45:
        x = np.linspace(count, 0, 4) if rng.random() < 0.5 else np.linspace(0, count, 4)
        paths.append(curve(np.column_stack([x, rng.uniform(0.4, 1.1) + rng.normal(0, 0.25, 4)])))
    if rng.random() < 0.35:
        middle = np.array([float(rng.uniform(0, 0.5)) * count, -0.8])
        paths.append(curve(_loop(rng) * (float(rng.uniform(0.6, 2.0)), 1.2) + middle, closed=True))
    turn = float(rng.uniform(-0.3, 0.06))
    lean = np.array([[1.0, turn], [float(rng.uniform(-0.9, 0.1)), 1.0]])
    paths = [path @ lean for path in paths]
    everything = np.vstack(paths)
    low, span = everything.min(axis=0), np.ptp(everything, axis=0).clip(1e-6)
    placed = [(0.04 + 0.92 * (path - low) / span) * (width, height) for path in paths]
    breadth = scale * float(rng.uniform(0.25, 0.7))
    return strokes(width, height, placed, breadth, rng), pen_colour(rng)


def _loop(rng: np.random.Generator) -> Points:
    turn = np.linspace(0, 2 * np.pi, 7, endpoint=False)
    radius = rng.uniform(0.5, 1.2, 7)
    return np.column_stack([radius * np.cos(turn), radius * np.sin(turn)])


def handwriting(width: int, height: int, scale: float, rng: np.random.Generator) -> Pixels:
    """A line of illegible words, lower-case letters about a third of ``height`` tall."""
    width, height = max(width, 4), max(height, 4)
    size = height * float(rng.uniform(0.22, 0.34))
    lean, loose = float(rng.uniform(-0.1, 0.6)), float(rng.uniform(0.02, 0.5))
    step = size * float(rng.uniform(0.55, 0.95))
    paths: list[Points] = []
    x = 0.5 * size
    while x < width - 2 * size:
        count = int(rng.integers(1, 9))
        tall = np.where(rng.random(count) < 0.25, rng.uniform(1.6, 2.2, count), 1.0)
        deep = np.where(rng.random(count) < 0.12, 0.9, 0.0) + rng.normal(0, 0.06, count)
        loops = loose * rng.uniform(-0.2, 1.5, count)
        letters = _cursive(tall * rng.uniform(0.6, 1.1, count), deep, loops)
        across = x + letters[:, 0] * step - lean * letters[:, 1] * size
        paths.append(np.column_stack([across, 0.68 * height + letters[:, 1] * size]))
        x += count * step + size * float(rng.uniform(0.5, 1.2))
    return strokes(width, height, paths, scale * float(rng.uniform(0.2, 0.45)), rng)


def ring(width: int, height: int, breadth: float, rng: np.random.Generator) -> Pixels:
    """An oval penned round something by hand, its ends not meeting."""
    turn = np.linspace(0, 2 * np.pi * float(rng.uniform(0.92, 1.6)), 16) + rng.uniform(0, 6.3)
    reach = 0.42 + rng.normal(0, 0.015, 16).cumsum() * 0.5
    points = 0.5 + np.column_stack([np.cos(turn), np.sin(turn)]) * reach[:, None].clip(0.3, 0.48)
    return strokes(width, height, [curve(points) * (width, height)], breadth, rng)


def mark(width: int, height: int, breadth: float, rng: np.random.Generator) -> Pixels:
    """A tick, cross, arrow, underline or scribble."""
    kinds: tuple[list[list[tuple[float, float]]], ...] = (
        [[(0.1, 0.5), (0.35, 0.9), (0.9, 0.1)]],
        [[(0.1, 0.1), (0.9, 0.9)], [(0.9, 0.1), (0.1, 0.9)]],
        [[(0.05, 0.8), (0.5, 0.5), (0.95, 0.2)], [(0.7, 0.15), (0.95, 0.2), (0.8, 0.5)]],
        [[(0.02, 0.5), (0.5, 0.56), (0.98, 0.48)]],
        [[(0.05 + 0.1 * i, 0.15 if i % 2 else 0.85) for i in range(10)]],
    )
    chosen = kinds[int(rng.integers(len(kinds)))]
    paths = [curve(np.array(line) + rng.normal(0, 0.03, (len(line), 2))) for line in chosen]
    placed = [path.clip(0.02, 0.98) * (width, height) for path in paths]
    return strokes(width, height, placed, breadth, rng)
