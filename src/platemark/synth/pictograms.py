"""Pictograms of stamps: stars, tools, houses, beasts and marks of firms that never were.

Every artist draws into the box from -1 to 1 (x right, y down) from a random generator of its own.
"""

from collections.abc import Callable

import numpy as np

from platemark.synth.outlines import (
    Shape,
    ellipse,
    fill,
    grown,
    placed,
    rectangle,
    regular,
    rounded,
    smooth,
    star_points,
    stroke,
    xy,
)

Rng = np.random.Generator
Artist = Callable[[Rng], list[Shape]]


def _star(rng: Rng) -> list[Shape]:
    corners = int(rng.choice([5, 5, 5, 5, 4, 6, 8, 12]))
    inner = 0.382 if corners == 5 else float(rng.uniform(0.3, 0.6))
    outline = star_points(corners, inner)
    if rng.random() < 0.2:
        return [fill(outline), fill(outline * 0.72, ink=False)]
    if rng.random() < 0.12:
        return [fill(outline), fill(outline * 0.8, ink=False), fill(outline * 0.5)]
    return [fill(outline)]


def _plain_star(rng: Rng) -> list[Shape]:
    return [fill(star_points(5, 0.382))]


def _rosette(rng: Rng) -> list[Shape]:
    petals, shapes = int(rng.integers(5, 17)), []
    length, width = rng.uniform(0.55, 0.95), rng.uniform(0.35, 0.9)
    petal = ellipse(width / petals * 1.6, length / 2, 0, -1 + length / 2)
    for turn in np.arange(petals) * (360 / petals):
        shapes += [fill(petal).moved(0, 0, 1, float(turn))]
    hole = rng.uniform(0.12, 0.4)
    return [*shapes, fill(ellipse(hole, hole), ink=False), fill(ellipse(hole * 0.6, hole * 0.6))]


def _sun(rng: Rng) -> list[Shape]:
    rays, core = int(rng.integers(8, 25)), rng.uniform(0.35, 0.6)
    star = star_points(rays, core + rng.uniform(0.08, 0.15))
    gap = core + 0.06
    return [fill(star), fill(ellipse(gap, gap), ink=False), fill(ellipse(core, core))]


def _cross(rng: Rng) -> list[Shape]:
    half = rng.uniform(0.16, 0.36)
    flare = half * rng.choice([1.0, 1.0, 1.9])
    arm = xy(-half, -half, -flare, -1, flare, -1, half, -half)
    arms = [fill(arm).moved(0, 0, 1, turn) for turn in (0.0, 90.0, 180.0, 270.0)]
    shapes = [*arms, fill(rectangle(2 * half, 2 * half))]
    if rng.random() < 0.4:
        shapes = [fill(ellipse(1, 1)), *[s.inverted() for s in placed(shapes, 0, 0, 0.72)]]
    elif rng.random() < 0.4:
        shapes = [stroke(ellipse(0.94, 0.94), 0.09, closed=True), *placed(shapes, 0, 0, 0.7)]
    return shapes


def _crown(rng: Rng) -> list[Shape]:
    tips = int(rng.integers(3, 8))
    x = np.linspace(-0.95, 0.95, 2 * tips - 1)
    height = np.where(
        np.arange(2 * tips - 1) % 2 == 0, -0.65 + 0.25 * np.abs(x) * rng.choice([-1, 1]), 0.1
    )
    zigzag = np.column_stack([x, height])
    body = np.vstack([zigzag, xy(0.8, 0.5, -0.8, 0.5)])
    balls = [fill(ellipse(0.1, 0.1, *point)) for point in zigzag[::2]]
    band = fill(rectangle(1.6, rng.uniform(0.12, 0.25), 0, 0.72))
    return [fill(body), *balls, band]


def _scales(rng: Rng) -> list[Shape]:
    tilt, drop = rng.uniform(-0.2, 0.2), rng.uniform(0.5, 0.75)
    width = rng.uniform(0.05, 0.09)
    shapes = [stroke(xy(0, -0.85, 0, 0.8), width), fill(rectangle(0.8, 0.12, 0, 0.88))]
    shapes.append(stroke(xy(-0.72, -0.6 + tilt, 0.72, -0.6 - tilt), width))
    for side in (-1, 1):
        x, y = 0.72 * side, -0.6 - side * tilt
        shapes.append(stroke(xy(x - 0.26, y + drop, x, y, x + 0.26, y + drop), width * 0.6))
        bowl = ellipse(0.28, 0.2, x, y + drop)
        shapes.append(fill(bowl[bowl[:, 1] >= y + drop - 1e-9]))
    return [*shapes, fill(ellipse(0.1, 0.1, 0, -0.9))]


def _anchor(rng: Rng) -> list[Shape]:
    width = rng.uniform(0.12, 0.18)
    low = ellipse(0.72, 0.7, 0, 0.15)
    arc = low[low[:, 1] > 0.3]
    ends = [
        fill(xy(0, -0.26, 0.2, 0.12, -0.2, 0.12)).moved(side * 0.72, 0.28, 1) for side in (-1, 1)
    ]
    return [
        stroke(xy(0, -0.6, 0, 0.85), width),
        stroke(arc[np.argsort(arc[:, 0])], width),
        stroke(xy(-0.42, -0.38, 0.42, -0.38), width * 0.9),
        stroke(ellipse(0.16, 0.16, 0, -0.8), width * 0.6, closed=True),
        *ends,
    ]


def _ship(rng: Rng) -> list[Shape]:
    shapes = [fill(smooth(xy(-0.95, 0.3, 0, 0.4, 0.95, 0.25, 0.6, 0.7, -0.65, 0.7)))]
    for x in np.linspace(-0.5, 0.4, int(rng.integers(1, 4))):
        top = rng.uniform(-0.95, -0.7)
        shapes += [stroke(xy(x, top, x, 0.4), 0.06)]
        shapes += [fill(smooth(xy(x + 0.05, top + 0.08, x + 0.36, -0.2, x + 0.05, 0.15)))]
    wave = np.linspace(-1, 1, 41)
    shapes += [stroke(np.column_stack([wave, 0.85 + 0.06 * np.sin(wave * 14)]), 0.06)]
    return shapes


def _tree(rng: Rng) -> list[Shape]:
    if rng.random() < 0.5:
        tiers = int(rng.integers(2, 5))
        tops = np.linspace(-1, 0.1, tiers)
        shapes = [
            fill(xy(0, top, 0.3 + 0.14 * i, top + 0.62, -0.3 - 0.14 * i, top + 0.62))
            for i, top in enumerate(tops)
        ]
    else:
        lobes = rng.uniform(0.5, 0.75, int(rng.integers(7, 12)))
        turn = np.linspace(0, 2 * np.pi, len(lobes), endpoint=False)
        shapes = [
            fill(
                smooth(
                    np.column_stack(
                        [lobes * np.sin(turn) * 1.25, -0.3 - lobes * np.cos(turn) * 0.95]
                    )
                )
            )
        ]
    return [*shapes, fill(xy(-0.08, 0.1, 0.08, 0.1, 0.16, 1, -0.16, 1))]


def _building(rng: Rng) -> list[Shape]:
    columns = int(rng.integers(3, 8))
    shapes = [fill(xy(0, -0.95, 0.95, -0.42, -0.95, -0.42)), fill(rectangle(1.7, 0.12, 0, -0.3))]
    for x in np.linspace(-0.72, 0.72, columns):
        shapes.append(fill(rectangle(0.9 / columns, 0.85, float(x), 0.2)))
    shapes += [fill(rectangle(1.75, 0.12, 0, 0.7)), fill(rectangle(2, 0.14, 0, 0.88))]
    hole = ellipse(0.11, 0.11, 0, -0.62)
    return [*shapes, fill(hole, ink=False)] if rng.random() < 0.5 else shapes


def _bird(rng: Rng) -> list[Shape]:
    lift = rng.uniform(-0.2, 0.2)
    body = xy(
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
    wing = xy(0.25, 0.05, -0.1, -0.95 + lift, -0.35, -0.75 + lift, -0.35, 0.1)
    return [
        fill(smooth(body)),
        fill(smooth(wing)),
        fill(ellipse(0.04, 0.04, 0.68, -0.24), ink=False),
    ]


def _fish(rng: Rng) -> list[Shape]:
    fat = rng.uniform(0.28, 0.5)
    body = smooth(xy(-0.6, 0, -0.1, -fat, 0.55, -fat * 0.7, 0.98, 0, 0.55, fat * 0.7, -0.1, fat))
    tail = xy(-0.5, 0, -1, -fat, -0.85, 0, -1, fat)
    return [fill(body), fill(tail), fill(ellipse(0.06, 0.06, 0.66, -0.08), ink=False)]


def _horse(rng: Rng) -> list[Shape]:
    raise_leg = rng.uniform(-0.15, 0.15)
    outline = xy(
        -0.75, 0.95, -0.7, 0.35, -0.8, -0.05, -0.95, 0.4, -0.98, 0.1, -0.8, -0.2, 0.1, -0.2,
        0.4, -0.75, 0.5, -0.95, 0.6, -0.75, 0.95, -0.45, 0.85, -0.32, 0.6, -0.4, 0.45, 0.1,
        0.6 + raise_leg, 0.5, 0.5 + raise_leg, 0.95, 0.4 + raise_leg, 0.95, 0.25, 0.3,
        -0.35, 0.3, -0.5, 0.95,
    )  # fmt: skip
    return [fill(rounded(outline, 0.08))]


def _lion(rng: Rng) -> list[Shape]:
    mane = star_points(int(rng.integers(12, 19)), 0.8) * 0.36 + (0.52, -0.42)
    body = xy(
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
    tail = smooth(xy(-0.7, -0.1, -0.95, -0.35, -0.8, -0.75, -0.6, -0.85), closed=False)
    face = ellipse(0.17, 0.2, 0.6, -0.38)
    return [
        fill(rounded(body, 0.1)),
        stroke(tail, 0.08),
        fill(mane),
        fill(face, ink=False),
        fill(ellipse(0.05, 0.05, 0.7, -0.34)),
    ]


def _key(rng: Rng) -> list[Shape]:
    teeth = [fill(rectangle(0.1, rng.uniform(0.2, 0.4), x, 0.2)) for x in (0.6, 0.75, 0.9)]
    return [
        stroke(ellipse(0.3, 0.3, -0.6, 0), 0.14, closed=True),
        fill(rectangle(1.3, 0.14, 0.32, 0)),
        *teeth[: int(rng.integers(1, 4))],
    ]


def _torch(rng: Rng) -> list[Shape]:
    flame = xy(
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
        fill(smooth(flame)),
        fill(xy(-0.28, -0.02, 0.28, -0.02, 0.2, 0.16, -0.2, 0.16)),
        fill(xy(-0.14, 0.2, 0.14, 0.2, 0.05, 1, -0.05, 1)),
    ]


def _mountain(rng: Rng) -> list[Shape]:
    x = np.linspace(-1, 1, int(rng.choice([5, 7])))
    y = np.where(np.arange(len(x)) % 2 == 1, rng.uniform(-0.8, -0.1, len(x)), 0.25)
    y[0] = y[-1] = 0.6
    ridge = np.column_stack([x, y])
    sun = ellipse(0.17, 0.17, float(rng.uniform(-0.6, 0.6)), -0.8)
    return [fill(np.vstack([ridge, xy(1, 0.75, -1, 0.75)])), fill(sun)]


def _compass(rng: Rng) -> list[Shape]:
    ring = rng.uniform(0.5, 0.75)
    long, short = star_points(4, 0.16), star_points(4, 0.25, 45) * 0.62
    return [stroke(ellipse(ring, ring), 0.06, closed=True), fill(short), fill(long)]


def _logo(rng: Rng) -> list[Shape]:
    """Some abstract polygon repeated round the middle."""
    folds = int(rng.integers(2, 9))
    corners = rng.uniform((-0.35, -1), (0.45, -0.12), (int(rng.integers(3, 6)), 2))
    corners = corners[np.argsort(np.arctan2(corners[:, 1] + 0.55, corners[:, 0]))]
    part = smooth(corners) if rng.random() < 0.5 else corners
    part = part / max(1.0, float(np.linalg.norm(part, axis=1).max()))
    parts = [fill(part).moved(0, 0, 1, 360 * i / folds) for i in range(folds)]
    frame = rng.random()
    if frame < 0.2:
        return [fill(ellipse(1, 1)), *[s.inverted() for s in placed(parts, 0, 0, 0.8)]]
    if frame < 0.35:
        side = regular(int(rng.integers(3, 9)), 1.0)
        return [fill(side, grown(side, -0.1)), *placed(parts, 0, 0, 0.45)]
    return parts


def _hammer(rng: Rng) -> list[Shape]:
    tool = [fill(rectangle(0.16, 1.7, 0, 0.15)), fill(rectangle(0.8, 0.3, 0, -0.75))]
    other = [
        fill(rectangle(0.14, 1.7, 0, 0.15)),
        stroke(smooth(xy(-0.6, -0.4, -0.3, -0.75, 0.3, -0.75, 0.6, -0.4), closed=False), 0.14),
    ]
    second = other if rng.random() < 0.5 else tool
    return [*placed(tool, 0, 0, 0.95, 42), *placed(second, 0, 0, 0.95, -42)]


PICTOGRAMS: dict[str, Artist] = {
    "star": _star,
    "plain-star": _plain_star,
    "rosette": _rosette,
    "sun": _sun,
    "cross": _cross,
    "crown": _crown,
    "scales": _scales,
    "anchor": _anchor,
    "ship": _ship,
    "tree": _tree,
    "building": _building,
    "bird": _bird,
    "fish": _fish,
    "horse": _horse,
    "lion": _lion,
    "key": _key,
    "torch": _torch,
    "mountain": _mountain,
    "compass": _compass,
    "logo": _logo,
    "hammer": _hammer,
}
"""The artists by name."""

_CHARGES = (
    "plain-star", "star", "rosette", "sun", "cross", "crown", "scales", "anchor", "ship", "tree",
    "building", "bird", "fish", "horse", "lion", "key", "torch", "mountain", "compass", "logo",
    "hammer",
)  # fmt: skip


def charge(rng: Rng) -> list[Shape]:
    """A pictogram simple enough to stand small inside another emblem."""
    return PICTOGRAMS[str(rng.choice(_CHARGES))](rng)
