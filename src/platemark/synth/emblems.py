"""Emblems of stamps, each drawn by its name and a number alone: there is no end to the variants.

Every artist draws into the box from -1 to 1 (x right, y down) from a random generator of its own.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from platemark.synth.outlines import (
    Points,
    Shape,
    ellipse,
    grown,
    rectangle,
    regular,
    rounded,
)

Rng = np.random.Generator
Artist = Callable[[Rng], list[Shape]]


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


def _fill(*polygons: Points, ink: bool = True) -> Shape:
    return Shape(polygons, ink)


def _stroke(points: Points, width: float, *, closed: bool = False, ink: bool = True) -> Shape:
    return Shape((points,), ink, width, closed)


def _mirrored(points: Points) -> Points:
    """A half outline (from top to bottom, x >= 0) and its mirror image."""
    return np.vstack([points, points[::-1] * (-1, 1)])


def _placed(shapes: list[Shape], x: float, y: float, size: float, angle: float = 0) -> list[Shape]:
    return [shape.moved(x, y, size, angle) for shape in shapes]


def _xy(*numbers: float) -> Points:
    return np.array(numbers, dtype=np.float64).reshape(-1, 2)


def _smooth(points: Points, closed: bool = True) -> Points:
    """A Catmull-Rom curve through the points."""
    wrap = (
        np.vstack([points[-1:], points, points[:2]])
        if closed
        else np.vstack([points[:1], points, points[-1:]])
    )
    t = np.linspace(0, 1, 8, endpoint=False)[:, None]
    p0, p1, p2, p3 = wrap[:-3, None], wrap[1:-2, None], wrap[2:-1, None], wrap[3:, None]
    curve = 0.5 * (
        2 * p1
        + (p2 - p0) * t
        + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2
        + (3 * p1 - p0 - 3 * p2 + p3) * t**3
    )
    return np.asarray(curve.reshape(-1, 2))


def star_points(points: int, inner: float, turn: float = 0.0) -> Points:
    """(2N, 2) outline of a star with outer radius 1."""
    outer = regular(points, 1.0, turn)
    notches = regular(points, inner, turn + 180 / points)
    return np.stack([outer, notches], axis=1).reshape(-1, 2)


def _star(rng: Rng) -> list[Shape]:
    corners = int(rng.choice([5, 5, 5, 5, 4, 6, 8, 12]))
    inner = 0.382 if corners == 5 else float(rng.uniform(0.3, 0.6))
    outline = star_points(corners, inner)
    if rng.random() < 0.2:
        return [_fill(outline), _fill(outline * 0.72, ink=False)]
    if rng.random() < 0.12:
        return [_fill(outline), _fill(outline * 0.8, ink=False), _fill(outline * 0.5)]
    return [_fill(outline)]


def _plain_star(rng: Rng) -> list[Shape]:
    return [_fill(star_points(5, 0.382))]


def _rosette(rng: Rng) -> list[Shape]:
    petals, shapes = int(rng.integers(5, 17)), []
    length, width = rng.uniform(0.55, 0.95), rng.uniform(0.35, 0.9)
    petal = ellipse(width / petals * 1.6, length / 2, 0, -1 + length / 2)
    for turn in np.arange(petals) * (360 / petals):
        shapes += [_fill(petal).moved(0, 0, 1, float(turn))]
    hole = rng.uniform(0.12, 0.4)
    return [*shapes, _fill(ellipse(hole, hole), ink=False), _fill(ellipse(hole * 0.6, hole * 0.6))]


def _sun(rng: Rng) -> list[Shape]:
    rays, core = int(rng.integers(8, 25)), rng.uniform(0.35, 0.6)
    star = star_points(rays, core + rng.uniform(0.08, 0.15))
    gap = core + 0.06
    return [_fill(star), _fill(ellipse(gap, gap), ink=False), _fill(ellipse(core, core))]


def _cross(rng: Rng) -> list[Shape]:
    half = rng.uniform(0.16, 0.36)
    flare = half * rng.choice([1.0, 1.0, 1.9])
    arm = _xy(-half, -half, -flare, -1, flare, -1, half, -half)
    arms = [_fill(arm).moved(0, 0, 1, turn) for turn in (0.0, 90.0, 180.0, 270.0)]
    shapes = [*arms, _fill(rectangle(2 * half, 2 * half))]
    if rng.random() < 0.4:
        shapes = [_fill(ellipse(1, 1)), *[s.inverted() for s in _placed(shapes, 0, 0, 0.72)]]
    elif rng.random() < 0.4:
        shapes = [_stroke(ellipse(0.94, 0.94), 0.09, closed=True), *_placed(shapes, 0, 0, 0.7)]
    return shapes


def _crown(rng: Rng) -> list[Shape]:
    tips = int(rng.integers(3, 8))
    x = np.linspace(-0.95, 0.95, 2 * tips - 1)
    height = np.where(
        np.arange(2 * tips - 1) % 2 == 0, -0.65 + 0.25 * np.abs(x) * rng.choice([-1, 1]), 0.1
    )
    zigzag = np.column_stack([x, height])
    body = np.vstack([zigzag, _xy(0.8, 0.5, -0.8, 0.5)])
    balls = [_fill(ellipse(0.1, 0.1, *point)) for point in zigzag[::2]]
    band = _fill(rectangle(1.6, rng.uniform(0.12, 0.25), 0, 0.72))
    return [_fill(body), *balls, band]


def _shield_outline(rng: Rng) -> Points:
    waist = rng.uniform(0.0, 0.4)
    half = _xy(0, -1, 0.82, -1, 0.82, waist, 0.55, 0.62, 0, 1)
    if rng.random() < 0.4:
        half = _xy(0, -0.85, 0.4, -1, 0.85, -0.8, 0.74, waist, 0.5, 0.6, 0, 1)
    return _mirrored(half[:-1]) if rng.random() < 0.2 else _mirrored(_smooth_tail(half))


def _smooth_tail(half: Points) -> Points:
    return np.vstack([half[:2], _smooth(half[2:], closed=False), half[-1:]])


def _clip_rows(outline: Points, y0: float, y1: float) -> Points:
    """The part of a clockwise outline, symmetric about x = 0, between two heights."""
    rows = np.linspace(y0, y1, 24)
    right = outline[: len(outline) // 2]
    reach = np.interp(rows, right[:, 1], right[:, 0])
    return np.vstack([np.column_stack([reach, rows]), np.column_stack([-reach[::-1], rows[::-1]])])


def _shield(rng: Rng) -> list[Shape]:
    outline = _shield_outline(rng)
    inner = outline * 0.87
    shapes = [_fill(outline), _fill(inner, ink=False)]
    division = int(rng.integers(6))
    if division == 0:
        shapes.append(_fill(_clip_rows(inner, -0.9, -0.3)))
    elif division == 1:
        shapes += [_fill(_clip_rows(inner, y, y + 0.13)) for y in np.arange(-0.7, 0.7, 0.3)]
    elif division == 2:
        shapes.append(_fill(_xy(-0.6, 0.1, 0, -0.45, 0.6, 0.1, 0.6, 0.32, 0, -0.2, -0.6, 0.32)))
    elif division == 3:
        shapes += [_fill(rectangle(0.1, 1.1, x, -0.2)) for x in (-0.45, -0.15, 0.15, 0.45)]
    elif division == 4:
        shapes += [_fill(rectangle(0.09, 1.7)), _fill(rectangle(1.45, 0.09, 0, -0.1))]
    if division in (4, 5) or rng.random() < 0.3:
        spots: tuple[tuple[float, float], ...] = (
            (-0.38, -0.5),
            (0.38, 0.3),
            (0.38, -0.5),
            (-0.38, 0.3),
        )
        size = 0.24
        if division != 4:
            spots, size = ((0.0, -0.1),), 0.5
        for x, y in spots[: int(rng.integers(1, len(spots) + 1))]:
            charge = str(rng.choice(_CHARGES))
            shapes += _placed([_fill(ellipse(1, 1), ink=False)], x, y, size * 1.05)
            shapes += _placed(EMBLEMS[charge](rng), x, y, size)
    return shapes


def _wreath(rng: Rng) -> list[Shape]:
    leaves, spread = int(rng.integers(7, 14)), rng.uniform(0.8, 0.9)
    gap = rng.uniform(12, 40)
    leaf = _smooth(_xy(0, -0.2, 0.07, 0, 0, 0.2, -0.07, 0)) * rng.uniform(0.75, 1.1)
    shapes = []
    for turn in np.linspace(gap, 172, leaves):
        for side in (-1, 1):
            x, y = np.sin(np.radians(turn)), -np.cos(np.radians(turn))
            for tilt, reach in ((25, spread - 0.1), (-25, spread + 0.04)):
                shapes.append(
                    _fill(leaf).moved(side * x * reach, y * reach, 1, float(side * (turn + tilt)))
                )
    if rng.random() < 0.75:
        shapes += _placed(EMBLEMS[str(rng.choice(_CHARGES))](rng), 0, 0, 0.5)
    return shapes


def _cog(rng: Rng) -> list[Shape]:
    teeth, depth = int(rng.integers(8, 21)), rng.uniform(0.72, 0.86)
    step = 2 * np.pi / teeth
    angles = (np.arange(teeth)[:, None] + np.array([0.0, 0.12, 0.4, 0.52])) * step
    radii = np.tile([depth, 1.0, 1.0, depth], teeth)
    turn = angles.ravel()
    outline = np.column_stack([radii * np.sin(turn), -radii * np.cos(turn)])
    hole = rng.uniform(0.25, 0.62)
    shapes = [_fill(outline), _fill(ellipse(hole, hole), ink=False)]
    if hole > 0.42:
        shapes += _placed(EMBLEMS[str(rng.choice(_CHARGES))](rng), 0, 0, hole * 0.7)
    return shapes


def _scales(rng: Rng) -> list[Shape]:
    tilt, drop = rng.uniform(-0.2, 0.2), rng.uniform(0.5, 0.75)
    width = rng.uniform(0.05, 0.09)
    shapes = [_stroke(_xy(0, -0.85, 0, 0.8), width), _fill(rectangle(0.8, 0.12, 0, 0.88))]
    shapes.append(_stroke(_xy(-0.72, -0.6 + tilt, 0.72, -0.6 - tilt), width))
    for side in (-1, 1):
        x, y = 0.72 * side, -0.6 - side * tilt
        shapes.append(_stroke(_xy(x - 0.26, y + drop, x, y, x + 0.26, y + drop), width * 0.6))
        bowl = ellipse(0.28, 0.2, x, y + drop)
        shapes.append(_fill(bowl[bowl[:, 1] >= y + drop - 1e-9]))
    return [*shapes, _fill(ellipse(0.1, 0.1, 0, -0.9))]


def _globe(rng: Rng) -> list[Shape]:
    width = rng.uniform(0.05, 0.09)
    shapes = [_stroke(ellipse(0.94, 0.94), width * 1.3, closed=True)]
    for reach in (0.0, 0.36, 0.7)[: int(rng.integers(2, 4))]:
        shapes.append(_stroke(ellipse(max(reach, 0.001), 0.94), width, closed=True))
    for y in np.linspace(-0.55, 0.55, int(rng.choice([2, 3, 5]))):
        reach = np.sqrt(0.94**2 - y**2)
        shapes.append(_stroke(_xy(-reach, y, reach, y), width))
    if rng.random() < 0.3:
        shapes += [_fill(_xy(-1, 0.15, 1, -0.25, 1, 0.1, -1, 0.5), ink=False)]
        shapes += [_fill(_xy(-1, 0.25, 1, -0.15, 1, 0.0, -1, 0.4))]
    return shapes


def _anchor(rng: Rng) -> list[Shape]:
    width = rng.uniform(0.12, 0.18)
    low = ellipse(0.72, 0.7, 0, 0.15)
    arc = low[low[:, 1] > 0.3]
    ends = [
        _fill(_xy(0, -0.26, 0.2, 0.12, -0.2, 0.12)).moved(side * 0.72, 0.28, 1) for side in (-1, 1)
    ]
    return [
        _stroke(_xy(0, -0.6, 0, 0.85), width),
        _stroke(arc[np.argsort(arc[:, 0])], width),
        _stroke(_xy(-0.42, -0.38, 0.42, -0.38), width * 0.9),
        _stroke(ellipse(0.16, 0.16, 0, -0.8), width * 0.6, closed=True),
        *ends,
    ]


def _ship(rng: Rng) -> list[Shape]:
    shapes = [_fill(_smooth(_xy(-0.95, 0.3, 0, 0.4, 0.95, 0.25, 0.6, 0.7, -0.65, 0.7)))]
    for x in np.linspace(-0.5, 0.4, int(rng.integers(1, 4))):
        top = rng.uniform(-0.95, -0.7)
        shapes += [_stroke(_xy(x, top, x, 0.4), 0.06)]
        shapes += [_fill(_smooth(_xy(x + 0.05, top + 0.08, x + 0.36, -0.2, x + 0.05, 0.15)))]
    wave = np.linspace(-1, 1, 41)
    shapes += [_stroke(np.column_stack([wave, 0.85 + 0.06 * np.sin(wave * 14)]), 0.06)]
    return shapes


def _tree(rng: Rng) -> list[Shape]:
    if rng.random() < 0.5:
        tiers = int(rng.integers(2, 5))
        tops = np.linspace(-1, 0.1, tiers)
        shapes = [
            _fill(_xy(0, top, 0.3 + 0.14 * i, top + 0.62, -0.3 - 0.14 * i, top + 0.62))
            for i, top in enumerate(tops)
        ]
    else:
        lobes = rng.uniform(0.5, 0.75, int(rng.integers(7, 12)))
        turn = np.linspace(0, 2 * np.pi, len(lobes), endpoint=False)
        shapes = [
            _fill(
                _smooth(
                    np.column_stack(
                        [lobes * np.sin(turn) * 1.25, -0.3 - lobes * np.cos(turn) * 0.95]
                    )
                )
            )
        ]
    return [*shapes, _fill(_xy(-0.08, 0.1, 0.08, 0.1, 0.16, 1, -0.16, 1))]


def _building(rng: Rng) -> list[Shape]:
    columns = int(rng.integers(3, 8))
    shapes = [_fill(_xy(0, -0.95, 0.95, -0.42, -0.95, -0.42)), _fill(rectangle(1.7, 0.12, 0, -0.3))]
    for x in np.linspace(-0.72, 0.72, columns):
        shapes.append(_fill(rectangle(0.9 / columns, 0.85, float(x), 0.2)))
    shapes += [_fill(rectangle(1.75, 0.12, 0, 0.7)), _fill(rectangle(2, 0.14, 0, 0.88))]
    hole = ellipse(0.11, 0.11, 0, -0.62)
    return [*shapes, _fill(hole, ink=False)] if rng.random() < 0.5 else shapes


def _book(rng: Rng) -> list[Shape]:
    depth = rng.uniform(0.1, 0.25)
    page = _xy(0, -0.45, 0.3, -0.45 - depth, 0.95, -0.5, 0.95, 0.5, 0.3, 0.5 - depth, 0, 0.6)
    shapes = [_stroke(page, 0.08, closed=True), _stroke(page * (-1, 1), 0.08, closed=True)]
    for y in np.linspace(-0.25, 0.3, int(rng.integers(2, 5))):
        for side in (-1, 1):
            shapes.append(_stroke(_xy(side * 0.2, y - 0.1, side * 0.78, y - 0.02), 0.06))
    return shapes


def _eagle(rng: Rng) -> list[Shape]:
    feathers, span = int(rng.integers(4, 8)), rng.uniform(0.8, 1.0)
    lift = rng.uniform(-0.1, 0.35)
    shapes = [_fill(_smooth(_xy(0, -0.5, 0.24, -0.3, 0.2, 0.3, 0, 0.5, -0.2, 0.3, -0.24, -0.3)))]
    for hand in (-1, 1):
        for way in np.linspace(0, 1, feathers):
            root = np.array([0.16 + 0.12 * way, -0.28 - 0.14 * way])
            angle = np.radians(150 - 125 * way - 30 * lift)
            reach = span * (0.62 + 0.3 * way)
            tip = root + reach * np.array([np.sin(angle), -np.cos(angle)]) * (0.86, 0.8)
            normal = np.array([np.cos(angle), np.sin(angle)]) * 0.085
            feather = _smooth(
                np.stack([root, (root + tip) / 2 + normal, tip, (root + tip) / 2 - normal])
            )
            shapes.append(_fill(feather * (hand, 1)))
    for angle in np.radians(np.linspace(-38, 38, int(rng.choice([3, 5])))):
        tip = np.array([0.9 * np.sin(angle) * 0.7, 0.35 + 0.62 * np.cos(angle)])
        side = np.array([np.cos(angle), -np.sin(angle)]) * 0.07
        root = np.array([0.0, 0.3])
        shapes.append(_fill(np.stack([root - side, tip - side, tip + side, root + side])))
    head = _smooth(_xy(0.02, -0.45, 0.1, -0.72, 0.22, -0.8, 0.44, -0.66, 0.26, -0.64, 0.2, -0.45))
    sides = (-1, 1) if rng.random() < 0.6 else (int(rng.choice([-1, 1])),)
    shapes += [_fill(head * (hand, 1)) for hand in sides]
    if rng.random() < 0.5:
        shapes += _placed(_crown(rng), 0, -0.88, 0.14)
    if rng.random() < 0.6:
        shield = _shield_outline(rng)
        shapes += _placed([_fill(shield * 1.2, ink=False), _fill(shield)], 0, 0.02, 0.22)
        shapes += [s.inverted() for s in _placed(_plain_star(rng), 0, 0.0, 0.12)]
    return shapes


def _bird(rng: Rng) -> list[Shape]:
    lift = rng.uniform(-0.2, 0.2)
    body = _xy(
        -0.95,
        0.35,
        -0.4,
        0.1,
        0.1,
        -0.05,
        0.5,
        -0.3,
        0.75,
        -0.32,
        0.95,
        -0.2,
        0.7,
        -0.1,
        0.5,
        0.25,
        0.0,
        0.5,
        -0.5,
        0.42,
    )
    wing = _xy(0.25, 0.05, -0.1, -0.95 + lift, -0.35, -0.75 + lift, -0.35, 0.1)
    return [
        _fill(_smooth(body)),
        _fill(_smooth(wing)),
        _fill(ellipse(0.04, 0.04, 0.68, -0.24), ink=False),
    ]


def _fish(rng: Rng) -> list[Shape]:
    fat = rng.uniform(0.28, 0.5)
    body = _smooth(_xy(-0.6, 0, -0.1, -fat, 0.55, -fat * 0.7, 0.98, 0, 0.55, fat * 0.7, -0.1, fat))
    tail = _xy(-0.5, 0, -1, -fat, -0.85, 0, -1, fat)
    return [_fill(body), _fill(tail), _fill(ellipse(0.06, 0.06, 0.66, -0.08), ink=False)]


def _horse(rng: Rng) -> list[Shape]:
    raise_leg = rng.uniform(-0.15, 0.15)
    outline = _xy(
        -0.75, 0.95, -0.7, 0.35, -0.8, -0.05, -0.95, 0.4, -0.98, 0.1, -0.8, -0.2, 0.1, -0.2,
        0.4, -0.75, 0.5, -0.95, 0.6, -0.75, 0.95, -0.45, 0.85, -0.32, 0.6, -0.4, 0.45, 0.1,
        0.6 + raise_leg, 0.5, 0.5 + raise_leg, 0.95, 0.4 + raise_leg, 0.95, 0.25, 0.3,
        -0.35, 0.3, -0.5, 0.95,
    )  # fmt: skip
    return [_fill(rounded(outline, 0.08))]


def _lion(rng: Rng) -> list[Shape]:
    mane = star_points(int(rng.integers(12, 19)), 0.8) * 0.36 + (0.52, -0.42)
    body = _xy(
        -0.7,
        -0.25,
        0.3,
        -0.35,
        0.55,
        0.1,
        0.5,
        0.95,
        0.3,
        0.95,
        0.22,
        0.3,
        -0.4,
        0.3,
        -0.42,
        0.95,
        -0.62,
        0.95,
        -0.75,
        0.3,
    )
    tail = _smooth(_xy(-0.7, -0.1, -0.95, -0.35, -0.8, -0.75, -0.6, -0.85), closed=False)
    face = ellipse(0.17, 0.2, 0.6, -0.38)
    return [
        _fill(rounded(body, 0.1)),
        _stroke(tail, 0.08),
        _fill(mane),
        _fill(face, ink=False),
        _fill(ellipse(0.05, 0.05, 0.7, -0.34)),
    ]


def _wheat(rng: Rng) -> list[Shape]:
    grain = _smooth(_xy(0, -0.16, 0.08, 0, 0, 0.16, -0.08, 0))
    shapes = [_stroke(_xy(0, -0.7, 0, 1), 0.05), _fill(grain).moved(0, -0.82)]
    for y in np.linspace(-0.65, 0.35, int(rng.integers(4, 8))):
        shapes += [_fill(grain).moved(side * 0.13, float(y), 1, side * 32.0) for side in (-1, 1)]
    return shapes


def _snake_staff(rng: Rng) -> list[Shape]:
    turns, width = rng.uniform(1.5, 3), rng.uniform(0.07, 0.11)
    y = np.linspace(-0.6, 0.85, 60)
    swing = 0.34 * (1 - 0.6 * (y + 0.6) / 1.45)
    shapes = [_stroke(_xy(0, -0.95, 0, 1), width), _fill(ellipse(0.11, 0.11, 0, -0.92))]
    phases = (0.0, np.pi) if rng.random() < 0.3 else (0.0,)
    for phase in phases:
        x = swing * np.sin(turns * 2 * np.pi * (y + 0.6) / 1.45 + phase + 1.2)
        shapes += [
            _stroke(np.column_stack([x, y]), width),
            _fill(ellipse(0.1, 0.08, float(x[0]), -0.62)),
        ]
    return shapes


def _key(rng: Rng) -> list[Shape]:
    teeth = [_fill(rectangle(0.1, rng.uniform(0.2, 0.4), x, 0.2)) for x in (0.6, 0.75, 0.9)]
    return [
        _stroke(ellipse(0.3, 0.3, -0.6, 0), 0.14, closed=True),
        _fill(rectangle(1.3, 0.14, 0.32, 0)),
        *teeth[: int(rng.integers(1, 4))],
    ]


def _torch(rng: Rng) -> list[Shape]:
    flame = _xy(
        0,
        -1,
        0.2,
        -0.7,
        0.12 + rng.uniform(0, 0.25),
        -0.4,
        0.1,
        -0.1,
        -0.1,
        -0.1,
        -0.32,
        -0.42,
        -0.1,
        -0.62,
    )
    return [
        _fill(_smooth(flame)),
        _fill(_xy(-0.28, -0.02, 0.28, -0.02, 0.2, 0.16, -0.2, 0.16)),
        _fill(_xy(-0.14, 0.2, 0.14, 0.2, 0.05, 1, -0.05, 1)),
    ]


def _mountain(rng: Rng) -> list[Shape]:
    x = np.linspace(-1, 1, int(rng.choice([5, 7])))
    y = np.where(np.arange(len(x)) % 2 == 1, rng.uniform(-0.8, -0.1, len(x)), 0.25)
    y[0] = y[-1] = 0.6
    ridge = np.column_stack([x, y])
    sun = ellipse(0.17, 0.17, float(rng.uniform(-0.6, 0.6)), -0.8)
    return [_fill(np.vstack([ridge, _xy(1, 0.75, -1, 0.75)])), _fill(sun)]


def _drop(rng: Rng) -> list[Shape]:
    half = _smooth(_xy(0, -1, 0.3, -0.35, 0.62, 0.35, 0.42, 0.8, 0, 1), closed=False)
    shapes = [_fill(_mirrored(half))]
    if rng.random() < 0.5:
        shapes += [
            s.inverted() for s in _placed(EMBLEMS[str(rng.choice(_CHARGES))](rng), 0, 0.35, 0.38)
        ]
    return shapes


def _compass(rng: Rng) -> list[Shape]:
    ring = rng.uniform(0.5, 0.75)
    long, short = star_points(4, 0.16), star_points(4, 0.25, 45) * 0.62
    return [_stroke(ellipse(ring, ring), 0.06, closed=True), _fill(short), _fill(long)]


def _blob(rng: Rng) -> list[Shape]:
    """The outline of a country that is on no map."""
    count = int(rng.integers(14, 40))
    turn = np.sort(rng.uniform(0, 2 * np.pi, count))
    radius = rng.uniform(0.55, 1.0, count) * np.where(np.abs(np.sin(turn)) > 0.8, 0.75, 1)
    outline = np.column_stack([radius * np.sin(turn), -radius * np.cos(turn)])
    return [_fill(outline)]


def _logo(rng: Rng) -> list[Shape]:
    """Some abstract polygon repeated round the middle."""
    folds = int(rng.integers(2, 9))
    corners = rng.uniform((-0.35, -1), (0.45, -0.12), (int(rng.integers(3, 6)), 2))
    corners = corners[np.argsort(np.arctan2(corners[:, 1] + 0.55, corners[:, 0]))]
    part = _smooth(corners) if rng.random() < 0.5 else corners
    part = part / max(1.0, float(np.linalg.norm(part, axis=1).max()))
    parts = [_fill(part).moved(0, 0, 1, 360 * i / folds) for i in range(folds)]
    frame = rng.random()
    if frame < 0.2:
        return [_fill(ellipse(1, 1)), *[s.inverted() for s in _placed(parts, 0, 0, 0.8)]]
    if frame < 0.35:
        side = regular(int(rng.integers(3, 9)), 1.0)
        return [_fill(side, grown(side, -0.1)), *_placed(parts, 0, 0, 0.45)]
    return parts


def _arrows(rng: Rng) -> list[Shape]:
    head = _xy(0, -1, 0.5, -0.35, 0.18, -0.35, 0.18, 0.9, -0.18, 0.9, -0.18, -0.35, -0.5, -0.35)
    count = int(rng.integers(1, 5))
    step = 360 / count
    return [
        s for i in range(count) for s in _placed([_fill(head * 0.5 + (0, -0.5))], 0, 0, 1, i * step)
    ]


def _check(rng: Rng) -> list[Shape]:
    width = rng.uniform(0.16, 0.3)
    return [_stroke(_xy(-0.75, 0.05, -0.25, 0.62, 0.8, -0.65), width)]


def _flag(rng: Rng) -> list[Shape]:
    x = np.linspace(-0.7, 0.9, 16)
    wave = 0.1 * np.sin(x * 4)
    cloth = np.vstack(
        [np.column_stack([x, -0.85 + wave]), np.column_stack([x[::-1], 0.05 + wave[::-1]])]
    )
    shapes = [_stroke(_xy(-0.78, -1, -0.78, 1), 0.08), _stroke(cloth, 0.06, closed=True)]
    band = np.vstack(
        [np.column_stack([x, -0.55 + wave]), np.column_stack([x[::-1], -0.25 + wave[::-1]])]
    )
    return [*shapes, _fill(band)]


def _hammer(rng: Rng) -> list[Shape]:
    tool = [_fill(rectangle(0.16, 1.7, 0, 0.15)), _fill(rectangle(0.8, 0.3, 0, -0.75))]
    other = [
        _fill(rectangle(0.14, 1.7, 0, 0.15)),
        _stroke(_smooth(_xy(-0.6, -0.4, -0.3, -0.75, 0.3, -0.75, 0.6, -0.4), closed=False), 0.14),
    ]
    second = other if rng.random() < 0.5 else tool
    return [*_placed(tool, 0, 0, 0.95, 42), *_placed(second, 0, 0, 0.95, -42)]


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
    shapes = [_stroke(np.column_stack([x, y]), pen)]
    if rng.random() < 0.6:
        ends = rng.uniform(-0.3, 0.45, 3)
        flourish = _smooth(_xy(-0.9, ends[0], 0.1, ends[1], 0.98, ends[2]), closed=False)
        shapes.append(_stroke(flourish, pen))
    return shapes


def _barcode(rng: Rng) -> list[Shape]:
    widths = rng.choice([1, 1, 1, 2, 2, 3, 4], size=int(rng.integers(41, 72)))
    ends = np.cumsum(widths) / widths.sum() * 2 - 1
    starts = np.concatenate([[-1.0], ends[:-1]])
    height = 0.3
    bars = [
        _xy(a, -height, b, -height, b, height, a, height) for a, b in zip(starts, ends, strict=True)
    ]
    return [_fill(*bars[::2])]


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
        _fill(
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
            _stroke(np.column_stack([radius * np.sin(turn), -radius * np.cos(turn)]), 0.02)
        )
    return shapes


EMBLEMS: dict[str, Artist] = {
    "plain-star": _plain_star, "star": _star, "rosette": _rosette, "sun": _sun, "cross": _cross,
    "crown": _crown, "shield": _shield, "wreath": _wreath, "cog": _cog, "scales": _scales,
    "globe": _globe, "anchor": _anchor, "ship": _ship, "tree": _tree, "building": _building,
    "book": _book, "eagle": _eagle, "bird": _bird, "fish": _fish, "horse": _horse, "lion": _lion,
    "wheat": _wheat, "snake-staff": _snake_staff, "key": _key, "torch": _torch,
    "mountain": _mountain, "drop": _drop, "compass": _compass, "blob": _blob, "logo": _logo,
    "arrows": _arrows, "check": _check, "flag": _flag, "hammer": _hammer,
    "signature": _signature, "barcode": _barcode, "matrix": _matrix, "guilloche": _guilloche,
}  # fmt: skip
"""The artists by name; the last four are no emblems for the middle of a seal."""

_CHARGES = (
    "plain-star", "star", "rosette", "sun", "cross", "crown", "cog", "scales", "anchor", "ship",
    "tree", "building", "bird", "fish", "horse", "lion", "key", "torch", "mountain", "compass",
    "logo", "hammer",
)  # fmt: skip
_NO_SYMBOLS = ("signature", "barcode", "matrix", "guilloche", "check", "arrows")
SYMBOLS: tuple[str, ...] = tuple(name for name in EMBLEMS if name not in _NO_SYMBOLS)
"""Names that stand for themselves in the middle of a seal."""
