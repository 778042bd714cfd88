"""Emblems of stamps, each defined by its name and a number alone, with any number of variants.

Every artist draws into the box from -1 to 1 (x right, y down) from a random generator of its own.
"""

from functools import lru_cache

import numpy as np

from platemark.synth.outlines import (
    Points,
    Shape,
    ellipse,
    fill,
    mirrored,
    placed,
    rectangle,
    smooth,
    stroke,
    xy,
)
from platemark.synth.pictograms import PICTOGRAMS, Artist, Rng, charge


@lru_cache(maxsize=512)
def emblem(name: str, variant: int) -> tuple[Shape, ...]:
    """The shapes of an emblem in the box from -1 to 1.

    Args:
        name: one of :data:`EMBLEMS`.
        variant: any number from 0.

    Raises:
        ValueError: There is no emblem of that name.
    """
    if name not in EMBLEMS:
        raise ValueError(f"there is no emblem {name!r}; there are: {', '.join(EMBLEMS)}")
    return tuple(EMBLEMS[name](np.random.default_rng((variant, len(name)))))


def _shield_outline(rng: Rng) -> Points:
    waist = rng.uniform(0.0, 0.4)
    half = xy(0, -1, 0.82, -1, 0.82, waist, 0.55, 0.62, 0, 1)
    if rng.random() < 0.4:
        half = xy(0, -0.85, 0.4, -1, 0.85, -0.8, 0.74, waist, 0.5, 0.6, 0, 1)
    return mirrored(half[:-1]) if rng.random() < 0.2 else mirrored(_smooth_tail(half))


def _smooth_tail(half: Points) -> Points:
    return np.vstack([half[:2], smooth(half[2:], closed=False), half[-1:]])


def _clip_rows(outline: Points, y0: float, y1: float) -> Points:
    """The part of a clockwise outline, symmetric about x = 0, between two heights."""
    rows = np.linspace(y0, y1, 24)
    right = outline[: len(outline) // 2]
    reach = np.interp(rows, right[:, 1], right[:, 0])
    return np.vstack([np.column_stack([reach, rows]), np.column_stack([-reach[::-1], rows[::-1]])])


def _shield(rng: Rng) -> list[Shape]:
    outline = _shield_outline(rng)
    inner = outline * 0.87
    shapes = [fill(outline), fill(inner, ink=False)]
    division = int(rng.integers(6))
    if division == 0:
        shapes.append(fill(_clip_rows(inner, -0.9, -0.3)))
    elif division == 1:
        shapes += [fill(_clip_rows(inner, y, y + 0.13)) for y in np.arange(-0.7, 0.7, 0.3)]
    elif division == 2:
        shapes.append(fill(xy(-0.6, 0.1, 0, -0.45, 0.6, 0.1, 0.6, 0.32, 0, -0.2, -0.6, 0.32)))
    elif division == 3:
        shapes += [fill(rectangle(0.1, 1.1, x, -0.2)) for x in (-0.45, -0.15, 0.15, 0.45)]
    elif division == 4:
        shapes += [fill(rectangle(0.09, 1.7)), fill(rectangle(1.45, 0.09, 0, -0.1))]
    if division in (4, 5) or rng.random() < 0.3:
        spots, size = [(0.0, -0.1)], 0.5
        if division == 4:
            spots, size = [(-0.38, -0.5), (0.38, 0.3), (0.38, -0.5), (-0.38, 0.3)], 0.24
        for x, y in spots[: int(rng.integers(1, len(spots) + 1))]:
            shapes += placed([fill(ellipse(1, 1), ink=False)], x, y, size * 1.05)
            shapes += placed(charge(rng), x, y, size)
    return shapes


def _wreath(rng: Rng) -> list[Shape]:
    leaves, spread = int(rng.integers(7, 14)), rng.uniform(0.8, 0.9)
    gap = rng.uniform(12, 40)
    leaf = smooth(xy(0, -0.2, 0.07, 0, 0, 0.2, -0.07, 0)) * rng.uniform(0.75, 1.1)
    shapes = []
    for turn in np.linspace(gap, 172, leaves):
        for side in (-1, 1):
            x, y = np.sin(np.radians(turn)), -np.cos(np.radians(turn))
            for tilt, reach in ((25, spread - 0.1), (-25, spread + 0.04)):
                shapes.append(
                    fill(leaf).moved(side * x * reach, y * reach, 1, float(side * (turn + tilt)))
                )
    if rng.random() < 0.75:
        shapes += placed(charge(rng), 0, 0, 0.5)
    return shapes


def _cog(rng: Rng) -> list[Shape]:
    teeth, depth = int(rng.integers(8, 21)), rng.uniform(0.72, 0.86)
    step = 2 * np.pi / teeth
    angles = (np.arange(teeth)[:, None] + np.array([0.0, 0.12, 0.4, 0.52])) * step
    radii = np.tile([depth, 1.0, 1.0, depth], teeth)
    turn = angles.ravel()
    outline = np.column_stack([radii * np.sin(turn), -radii * np.cos(turn)])
    hole = rng.uniform(0.25, 0.62)
    shapes = [fill(outline), fill(ellipse(hole, hole), ink=False)]
    if hole > 0.42:
        shapes += placed(charge(rng), 0, 0, hole * 0.7)
    return shapes


def _eagle(rng: Rng) -> list[Shape]:
    feathers, span = int(rng.integers(4, 8)), rng.uniform(0.8, 1.0)
    lift = rng.uniform(-0.1, 0.35)
    shapes = [fill(smooth(xy(0, -0.5, 0.24, -0.3, 0.2, 0.3, 0, 0.5, -0.2, 0.3, -0.24, -0.3)))]
    for hand in (-1, 1):
        for way in np.linspace(0, 1, feathers):
            root = np.array([0.16 + 0.12 * way, -0.28 - 0.14 * way])
            angle = np.radians(150 - 125 * way - 30 * lift)
            reach = span * (0.62 + 0.3 * way)
            tip = root + reach * np.array([np.sin(angle), -np.cos(angle)]) * (0.86, 0.8)
            normal = np.array([np.cos(angle), np.sin(angle)]) * 0.085
            feather = smooth(
                np.stack([root, (root + tip) / 2 + normal, tip, (root + tip) / 2 - normal])
            )
            shapes.append(fill(feather * (hand, 1)))
    for angle in np.radians(np.linspace(-38, 38, int(rng.choice([3, 5])))):
        tip = np.array([0.9 * np.sin(angle) * 0.7, 0.35 + 0.62 * np.cos(angle)])
        side = np.array([np.cos(angle), -np.sin(angle)]) * 0.07
        root = np.array([0.0, 0.3])
        shapes.append(fill(np.stack([root - side, tip - side, tip + side, root + side])))
    head = smooth(xy(0.02, -0.45, 0.1, -0.72, 0.22, -0.8, 0.44, -0.66, 0.26, -0.64, 0.2, -0.45))
    sides = (-1, 1) if rng.random() < 0.6 else (int(rng.choice([-1, 1])),)
    shapes += [fill(head * (hand, 1)) for hand in sides]
    if rng.random() < 0.5:
        shapes += placed(PICTOGRAMS["crown"](rng), 0, -0.88, 0.14)
    if rng.random() < 0.6:
        shield = _shield_outline(rng)
        shapes += placed([fill(shield * 1.2, ink=False), fill(shield)], 0, 0.02, 0.22)
        shapes += [s.inverted() for s in placed(PICTOGRAMS["plain-star"](rng), 0, 0.0, 0.12)]
    return shapes


def _drop(rng: Rng) -> list[Shape]:
    half = smooth(xy(0, -1, 0.3, -0.35, 0.62, 0.35, 0.42, 0.8, 0, 1), closed=False)
    shapes = [fill(mirrored(half))]
    if rng.random() < 0.5:
        shapes += [s.inverted() for s in placed(charge(rng), 0, 0.35, 0.38)]
    return shapes


def _globe(rng: Rng) -> list[Shape]:
    width = rng.uniform(0.05, 0.09)
    shapes = [stroke(ellipse(0.94, 0.94), width * 1.3, closed=True)]
    for reach in (0.0, 0.36, 0.7)[: int(rng.integers(2, 4))]:
        shapes.append(stroke(ellipse(max(reach, 0.001), 0.94), width, closed=True))
    for y in np.linspace(-0.55, 0.55, int(rng.choice([2, 3, 5]))):
        reach = np.sqrt(0.94**2 - y**2)
        shapes.append(stroke(xy(-reach, y, reach, y), width))
    if rng.random() < 0.3:
        shapes += [fill(xy(-1, 0.15, 1, -0.25, 1, 0.1, -1, 0.5), ink=False)]
        shapes += [fill(xy(-1, 0.25, 1, -0.15, 1, 0.0, -1, 0.4))]
    return shapes


def _book(rng: Rng) -> list[Shape]:
    depth = rng.uniform(0.1, 0.25)
    page = xy(0, -0.45, 0.3, -0.45 - depth, 0.95, -0.5, 0.95, 0.5, 0.3, 0.5 - depth, 0, 0.6)
    shapes = [stroke(page, 0.08, closed=True), stroke(page * (-1, 1), 0.08, closed=True)]
    for y in np.linspace(-0.25, 0.3, int(rng.integers(2, 5))):
        for side in (-1, 1):
            shapes.append(stroke(xy(side * 0.2, y - 0.1, side * 0.78, y - 0.02), 0.06))
    return shapes


def _wheat(rng: Rng) -> list[Shape]:
    grain = smooth(xy(0, -0.16, 0.08, 0, 0, 0.16, -0.08, 0))
    shapes = [stroke(xy(0, -0.7, 0, 1), 0.05), fill(grain).moved(0, -0.82)]
    for y in np.linspace(-0.65, 0.35, int(rng.integers(4, 8))):
        shapes += [fill(grain).moved(side * 0.13, float(y), 1, side * 32.0) for side in (-1, 1)]
    return shapes


def _snake_staff(rng: Rng) -> list[Shape]:
    turns, width = rng.uniform(1.5, 3), rng.uniform(0.07, 0.11)
    y = np.linspace(-0.6, 0.85, 60)
    swing = 0.34 * (1 - 0.6 * (y + 0.6) / 1.45)
    shapes = [stroke(xy(0, -0.95, 0, 1), width), fill(ellipse(0.11, 0.11, 0, -0.92))]
    phases = (0.0, np.pi) if rng.random() < 0.3 else (0.0,)
    for phase in phases:
        x = swing * np.sin(turns * 2 * np.pi * (y + 0.6) / 1.45 + phase + 1.2)
        shapes += [
            stroke(np.column_stack([x, y]), width),
            fill(ellipse(0.1, 0.08, float(x[0]), -0.62)),
        ]
    return shapes


def _blob(rng: Rng) -> list[Shape]:
    """The outline of a country that is on no map."""
    count = int(rng.integers(14, 40))
    turn = np.sort(rng.uniform(0, 2 * np.pi, count))
    radius = rng.uniform(0.55, 1.0, count) * np.where(np.abs(np.sin(turn)) > 0.8, 0.75, 1)
    outline = np.column_stack([radius * np.sin(turn), -radius * np.cos(turn)])
    return [fill(outline)]


def _arrows(rng: Rng) -> list[Shape]:
    head = xy(0, -1, 0.5, -0.35, 0.18, -0.35, 0.18, 0.9, -0.18, 0.9, -0.18, -0.35, -0.5, -0.35)
    count = int(rng.integers(1, 5))
    step = 360 / count
    return [
        s for i in range(count) for s in placed([fill(head * 0.5 + (0, -0.5))], 0, 0, 1, i * step)
    ]


def _check(rng: Rng) -> list[Shape]:
    width = rng.uniform(0.16, 0.3)
    return [stroke(xy(-0.75, 0.05, -0.25, 0.62, 0.8, -0.65), width)]


def _flag(rng: Rng) -> list[Shape]:
    x = np.linspace(-0.7, 0.9, 16)
    wave = rng.uniform(0.04, 0.14) * np.sin(x * rng.uniform(2.5, 5) + rng.uniform(0, 6))

    def band(top: float, bottom: float) -> Points:
        upper, lower = np.column_stack([x, top + wave]), np.column_stack([x, bottom + wave])
        return np.vstack([upper, lower[::-1]])

    stripes = rng.choice([2, 3, 5])
    edges = np.linspace(-0.85, 0.05, stripes + 1)
    first = int(rng.integers(2))
    inked = [fill(band(edges[k], edges[k + 1])) for k in range(first, stripes, 2)]
    return [
        stroke(xy(-0.78, -1, -0.78, 1), 0.08),
        stroke(band(-0.85, 0.05), 0.06, closed=True),
        *inked,
    ]


def _signature(rng: Rng) -> list[Shape]:
    """Handwriting: a pen that runs to the right in loops, with a flourish."""
    loops = int(rng.integers(4, 10))
    t = np.linspace(0, 1, loops * 16)
    swing = np.interp(t, np.linspace(0, 1, loops), rng.uniform(0.08, 0.5, loops))
    swing[: len(t) // loops] *= 1.6
    phase = 2 * np.pi * loops * t + np.interp(
        t, np.linspace(0, 1, loops), rng.uniform(-1, 1, loops)
    )
    x = -0.85 + 1.6 * t + 0.14 * np.cos(phase)
    y = -0.1 * t + swing * np.sin(phase) * 0.55
    pen = rng.uniform(0.02, 0.045)
    shapes = [stroke(np.column_stack([x, y]), pen)]
    if rng.random() < 0.6:
        ends = rng.uniform(-0.3, 0.45, 3)
        flourish = smooth(xy(-0.9, ends[0], 0.1, ends[1], 0.98, ends[2]), closed=False)
        shapes.append(stroke(flourish, pen))
    return shapes


def _barcode(rng: Rng) -> list[Shape]:
    widths = rng.choice([1, 1, 1, 2, 2, 3, 4], size=int(rng.integers(41, 72)))
    ends = np.cumsum(widths) / widths.sum() * 2 - 1
    starts = np.concatenate([[-1.0], ends[:-1]])
    height = 0.3
    bars = [
        xy(a, -height, b, -height, b, height, a, height) for a, b in zip(starts, ends, strict=True)
    ]
    return [fill(*bars[::2])]


def _matrix(rng: Rng) -> list[Shape]:
    """A square block of modules with three finders, as QR codes have."""
    count = int(rng.choice([17, 21, 21, 25, 29]))
    cells = rng.random((count, count)) < 0.5
    for row, column in ((0, 0), (0, count - 7), (count - 7, 0)):
        cells[max(row - 1, 0) : row + 8, max(column - 1, 0) : column + 8] = False
        cells[row : row + 7, column : column + 7] = True
        cells[row + 1 : row + 6, column + 1 : column + 6] = False
        cells[row + 2 : row + 5, column + 2 : column + 5] = True
    size = 2 / count
    rows, columns = np.nonzero(cells)
    return [
        fill(
            *(
                rectangle(size, size, (c + 0.5) * size - 1, (r + 0.5) * size - 1)
                for r, c in zip(rows, columns, strict=True)
            )
        )
    ]


def _guilloche(rng: Rng) -> list[Shape]:
    lobes, inner = int(rng.integers(7, 24)), rng.uniform(0.45, 0.8)
    turn = np.linspace(0, 2 * np.pi, 720)
    shapes = []
    for phase in np.linspace(0, 2 * np.pi, int(rng.integers(2, 5)), endpoint=False):
        radius = (1 + inner) / 2 + (1 - inner) / 2 * np.sin(lobes * turn + phase)
        shapes.append(
            stroke(np.column_stack([radius * np.sin(turn), -radius * np.cos(turn)]), 0.02)
        )
    return shapes


EMBLEMS: dict[str, Artist] = {
    **PICTOGRAMS,
    "shield": _shield,
    "wreath": _wreath,
    "cog": _cog,
    "eagle": _eagle,
    "drop": _drop,
    "globe": _globe,
    "book": _book,
    "wheat": _wheat,
    "snake-staff": _snake_staff,
    "flag": _flag,
    "arrows": _arrows,
    "check": _check,
    "blob": _blob,
    "signature": _signature,
    "barcode": _barcode,
    "matrix": _matrix,
    "guilloche": _guilloche,
}
"""The artists by name."""

_NO_SYMBOLS = ("signature", "barcode", "matrix", "guilloche", "check", "arrows")
SYMBOLS: tuple[str, ...] = tuple(name for name in EMBLEMS if name not in _NO_SYMBOLS)
"""Names that stand for themselves in the middle of a seal."""
