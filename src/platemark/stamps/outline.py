"""The outer outline of an imprint: which simple figure its frame is.

It is found where parts of the frame are missing, and where ink that is none of it, such as a
signature or another stamp, reaches beyond it.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import cv2
import numpy as np

from platemark.geometry import FloatArray, quad_area
from platemark.masks import BoolMask

# Lengths are fractions of the imprint's longer side, which counts as this many pixels at least.
_LEAST_SIDE = 75.0
# Ink is on an outline when it is so near; half of the score is for being within half of that.
_NEAR = 0.02
# What a figure pays for the share of the ink that lies beyond it, and one with straight sides for
# ink all along just within it, as blocks of text have it, but no frame. The insets are fractions of
# the shortest side.
_BEYOND, _WITHIN = 1.5, 0.5
_INSETS = (0.04, 0.05, 0.06, 0.07, 0.08)
# With less score than this a figure is no frame.
_FRAMED = {"circle": 0.55, "oval": 0.55, "rectangle": 0.64, "triangle": 0.62}
_ROUND = 0.87
_FLATTEST = 0.45
_LONGEST_AXIS = (0.3, 1.3)
_RIM_POINTS = 600
_SAMPLES = 360
_ELLIPSES, _REFINED = 160, 4
_MOST_LINES = 8
# A side of a frame holds this share of the rim at least.
_LEAST_OF_RIM = 0.04
# What is thinner is no rectangle.
_THINNEST = 0.04
# How far the angles between sides are from those of a rectangle, seen aslant.
_ASLANT = 15.0
# Turns at the corners of a triangle.
_TRIANGLE_TURNS = (75.0, 155.0)


@dataclass(frozen=True)
class Outline:
    """The figure around an imprint.

    Attributes:
        shape: One of `platemark.types.STAMP_SHAPES`.
        points: (N, 2) points along the figure, clockwise; the corners alone of a figure that has
            some, the convex hull of the ink where the shape is ``"other"``.
        score: How much of the figure has ink on it, less what the ink beyond it counts; 1 for a
            whole frame, 0 where the shape is ``"other"``.
    """

    shape: str
    points: FloatArray
    score: float


def find_outline(ink: BoolMask) -> Outline:
    """Find the outer shape of an imprint.

    Shapes are proposed by the outer rim of the ink: ellipses through few of its points, fitted to
    all that are near (random sample consensus with local optimisation; Chum 2003), and polygons of
    three or four of its straight lines (Hough transform). The outline is the one with most ink
    along it and least beyond it.

    Args:
        ink: (h, w) bool with some ink, stray specks removed.

    Returns:
        The outline in continuous pixels of the mask.
    """
    rim = _rim(ink)
    side = max(_LEAST_SIDE, float(np.ptp(rim, axis=0).max()))
    judge = _Judge(ink, side)
    best = Outline("other", _hull(ink), 0.0)
    shapes = [*_ellipses(rim, side), *_polygons(rim, side)]
    along = [judge.along(points) for _, points in shapes]
    for index in np.argsort(along)[::-1]:
        shape, points = shapes[index]
        if along[index] <= best.score:
            break
        score = along[index] - _BEYOND * judge.beyond(points) - _WITHIN * judge.within(points)
        if score > max(best.score, _FRAMED[shape]):
            best = Outline(shape, points, score)
    return best


class _Judge:
    """Says how well a figure frames ink.

    Args:
        ink: (h, w) bool.
        side: What lengths are fractions of.
    """

    def __init__(self, ink: BoolMask, side: float) -> None:
        # Room around it for shapes that leave the mask.
        self._room = round(side / 4)
        self._ink = np.pad(ink, self._room)
        paper = cv2.distanceTransform((~self._ink).astype(np.uint8), cv2.DIST_L2, 5)
        self._distance = np.asarray(paper, dtype=np.float64)
        self._near = _NEAR * side

    def along(self, points: FloatArray) -> float:
        """Share of a closed polygon (N, 2) that has ink on it, in 0..1."""
        distance = self._distances(points)
        near, nearer = (np.mean(distance <= self._near * part) for part in (1.0, 0.5))
        return float(near + nearer) / 2.0

    def within(self, points: FloatArray) -> float:
        """Least share of ink along the polygons just within one with straight sides, or 0."""
        if len(points) > 4:
            return 0.0
        shortest = float(np.linalg.norm(np.roll(points, -1, axis=0) - points, axis=1).min())
        inner = (_inset(points, part * shortest) for part in _INSETS)
        return min(float(np.mean(self._distances(polygon) == 0.0)) for polygon in inner)

    def beyond(self, points: FloatArray) -> float:
        """Share of the ink that lies outside of a polygon (N, 2) and not on it."""
        inside = np.zeros(self._ink.shape, np.uint8)
        corners = np.round(points + self._room - 0.5).astype(np.int32)
        thickness = 1 + 2 * round(self._near)
        cv2.polylines(cv2.fillPoly(inside, [corners], 1), [corners], True, 1, thickness)
        return float(np.mean(inside[self._ink] == 0))

    def _distances(self, points: FloatArray) -> FloatArray:
        """Distances to ink along a closed polygon (N, 2), in even steps."""
        following = np.roll(points, -1, axis=0)
        lengths = np.linalg.norm(following - points, axis=1)
        steps = np.maximum(1, np.round(_SAMPLES * lengths / max(lengths.sum(), 1e-9))).astype(int)
        edge = np.repeat(np.arange(len(points)), steps)
        first = np.cumsum(steps) - steps
        part = (np.arange(len(edge)) - first[edge] + 0.5) / steps[edge]
        places = points[edge] + part[:, None] * (following - points)[edge]
        height, width = self._distance.shape
        column, row = (np.floor(places) + self._room).astype(int).T
        held = np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)
        return np.asarray(self._distance[held] + np.hypot(row - held[0], column - held[1]))


def _hull(ink: BoolMask) -> FloatArray:
    """Convex hull (N, 2) of the pixels of ink as squares, clockwise on the screen."""
    contours, _ = cv2.findContours(ink.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    centres = np.concatenate(contours).reshape(-1, 2).astype(np.float32)
    steps = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], dtype=np.float32)
    corners = (centres[:, None] + steps).reshape(-1, 2)
    hull = cv2.convexHull(corners, clockwise=False)
    return np.asarray(hull, dtype=np.float64).reshape(-1, 2)


def _rim(ink: BoolMask) -> FloatArray:
    """Points (N, 2) of ink seen from outside: the ends of its rows, columns and diagonals."""
    height, width = ink.shape
    rows, columns = np.nonzero(ink)
    points = []
    for line, place in (
        (rows, columns),
        (columns, rows),
        (rows + columns, columns),
        (rows - columns + width, columns),
    ):
        order = np.argsort(line * width * height + place)
        begins = np.flatnonzero(np.diff(line[order], prepend=-1))
        ends = np.append(begins[1:], len(order)) - 1
        points.append(order[np.concatenate([begins, ends])])
    chosen = np.concatenate(points)
    chosen = chosen[:: math.ceil(len(chosen) / _RIM_POINTS)]
    return np.asarray(np.stack([columns, rows], axis=1)[chosen] + 0.5, dtype=np.float64)


def _ellipses(rim: FloatArray, side: float) -> Iterator[tuple[str, FloatArray]]:
    """Circles and ovals that many points of a rim are near to."""
    middle = rim.mean(axis=0)
    points = (rim - middle) / side
    # The same for the same number of points, so that equal imprints have equal outlines.
    chosen = np.random.default_rng(0).integers(0, len(rim), (_ELLIPSES, 6))
    centres, forms = _fit_ellipses(points[chosen])
    near = np.count_nonzero(_on_ellipses(points, centres, forms), axis=1)
    angles = np.linspace(0.0, 2.0 * np.pi, _SAMPLES, endpoint=False)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    for index in np.argsort(-near, kind="stable")[:_REFINED]:
        centre, form = centres[index, None], forms[index, None]
        for _ in range(3):
            (held,) = _on_ellipses(points, centre, form)
            refined = _fit_ellipses(points[None, held])
            if len(refined[0]):
                centre, form = refined
        sizes, directions = np.linalg.eigh(form[0])
        axes = sizes**-0.5
        shape = "circle" if axes.min() >= _ROUND * axes.max() else "oval"
        # An even number of reflections keeps it clockwise on the screen.
        directions[:, 0] *= np.sign(np.linalg.det(directions))
        yield shape, side * (circle * axes @ directions.T + centre) + middle


def _fit_ellipses(points: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Fit ellipses to sets of points, each at least six (Halir and Flusser 1998).

    Args:
        points: (B, N, 2), in lengths of the imprint's side.

    Returns:
        Centres (K, 2) and forms (K, 2, 2) of those that a stamp may have: points ``p`` of an
        ellipse have ``(p - centre) @ form @ (p - centre) == 1``.
    """
    if points.shape[1] < 6:
        return np.empty((0, 2)), np.empty((0, 2, 2))
    x, y = np.moveaxis(points, -1, 0)
    squares = np.stack([x * x, x * y, y * y], axis=-1)
    lines = np.stack([x, y, np.ones_like(x)], axis=-1)
    mixed = np.swapaxes(squares, 1, 2) @ lines
    # The ridge is for points on one line.
    normal = np.swapaxes(lines, 1, 2) @ lines + 1e-9 * np.eye(3)
    by_squares = -np.linalg.solve(normal, np.swapaxes(mixed, 1, 2))
    scatter = np.swapaxes(squares, 1, 2) @ squares + mixed @ by_squares
    constrained = np.stack([scatter[:, 2] / 2.0, -scatter[:, 1], scatter[:, 0] / 2.0], axis=1)
    solutions = np.linalg.eig(constrained)[1].real
    best = np.argmax(4.0 * solutions[:, 0] * solutions[:, 2] - solutions[:, 1] ** 2, axis=1)
    conic = np.take_along_axis(solutions, best[:, None, None], axis=2)
    a, b, c = np.moveaxis(conic[..., 0], 1, 0)
    d, e, f = np.moveaxis((by_squares @ conic)[..., 0], 1, 0)
    width = 4.0 * a * c - b * b
    with np.errstate(divide="ignore", invalid="ignore"):
        centres = np.stack([b * e - 2.0 * c * d, b * d - 2.0 * a * e], axis=1) / width[:, None]
        weight = -(f + (d * centres[:, 0] + e * centres[:, 1]) / 2.0)
        forms = np.stack([a, b / 2.0, b / 2.0, c], axis=1).reshape(-1, 2, 2) / weight[:, None, None]
    forms[~np.isfinite(forms).all(axis=(1, 2))] = 0.0
    sizes = np.linalg.eigvalsh(forms)
    least, most = (1.0 / (part / 2.0) ** 2 for part in _LONGEST_AXIS)
    fits = (sizes[:, 0] > most) & (sizes[:, 0] < least)
    fits &= sizes[:, 0] >= _FLATTEST**2 * sizes[:, 1]
    return centres[fits], forms[fits]


def _on_ellipses(points: FloatArray, centres: FloatArray, forms: FloatArray) -> BoolMask:
    """Which points (N, 2) are near to ellipses, (K, N)."""
    offsets = points - centres[:, None]
    radii = np.sqrt(np.einsum("kni,kij,knj->kn", offsets, forms, offsets))
    # The mean of the half axes.
    reach = (np.linalg.eigvalsh(forms) ** -0.5).mean(axis=1)
    return np.asarray(np.abs(radii - 1.0) * reach[:, None] <= _NEAR)


def turn_matrix(degrees: float) -> FloatArray:
    """Matrix (2, 2) that turns a point, as a column, clockwise on the screen."""
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[cosine, -sine], [sine, cosine]])


def _polygons(rim: FloatArray, side: float) -> Iterator[tuple[str, FloatArray]]:
    """Triangles and rectangles, clockwise, whose sides are straight lines of a rim.

    The smallest rectangle around it is one of them, for frames that a whole side is missing from.
    """
    smallest = cv2.minAreaRect(rim.astype(np.float32))
    if min(smallest[1]) > _THINNEST * side:
        yield "rectangle", _clockwise(np.asarray(cv2.boxPoints(smallest), dtype=np.float64))
    middle = rim.mean(axis=0)
    lines = _lines(rim - middle, side)
    for count, shape in ((3, "triangle"), (4, "rectangle")):
        least, most = _TRIANGLE_TURNS if count == 3 else (90.0 - _ASLANT, 90.0 + _ASLANT)
        for chosen in combinations(range(len(lines)), count):
            normals, offsets = lines[list(chosen), :2], lines[list(chosen), 2]
            turns = np.diff(_angles(normals), append=_angles(normals[:1]) + 360.0)
            if turns.min() < least or turns.max() > most:
                continue
            yield shape, _corners(normals, offsets) + middle


def _clockwise(corners: FloatArray) -> FloatArray:
    return corners if quad_area(corners) > 0 else corners[::-1]


def _corners(normals: FloatArray, offsets: FloatArray) -> FloatArray:
    """Where each of the lines (L, 2), (L,) in turn meets the one before it, (L, 2)."""
    pairs = np.stack([np.roll(normals, 1, axis=0), normals], axis=1)
    sides = np.stack([np.roll(offsets, 1), offsets], axis=1)
    return np.asarray(np.linalg.solve(pairs, sides[..., None])[..., 0], dtype=np.float64)


def _inset(corners: FloatArray, distance: float) -> FloatArray:
    """A convex polygon (N, 2), clockwise, with its sides moved inwards."""
    along = np.roll(corners, -1, axis=0) - corners
    outward = np.stack([along[:, 1], -along[:, 0]], axis=1)
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    return _corners(outward, (outward * corners).sum(axis=1) - distance)


def _angles(normals: FloatArray) -> FloatArray:
    return np.asarray(np.degrees(np.arctan2(normals[:, 1], normals[:, 0])), dtype=np.float64)


def _lines(points: FloatArray, side: float) -> FloatArray:
    """Straight lines along which many of points (N, 2) lie.

    Returns:
        (L, 3): the outward normals and the distances from the origin, by the angle of the normal.
    """
    directions = np.radians(np.arange(0.0, 180.0, 1.0))
    normals = np.stack([np.cos(directions), np.sin(directions)])
    step = _NEAR * side / 2.0
    least = max(6, round(_LEAST_OF_RIM * len(points)))
    lines: list[tuple[float, float, float]] = []
    left = points
    while len(lines) < _MOST_LINES and len(left) >= least:
        cells = np.round(left @ normals / step).astype(int)
        lowest = int(cells.min())
        cells -= lowest
        rows = int(cells.max()) + 1
        flat = (cells + rows * np.arange(len(directions))).ravel()
        votes = np.bincount(flat, minlength=rows * len(directions))
        direction, cell = divmod(int(votes.argmax()), rows)
        normal, offset = normals[:, direction], (cell + lowest) * step
        for _ in range(2):
            near = left[np.abs(left @ normal - offset) < 1.5 * step]
            if len(near) >= 3:
                # The direction in which they spread least.
                normal = np.linalg.svd(near - near.mean(axis=0), full_matrices=False)[2][1]
                offset = float(near.mean(axis=0) @ normal)
        on_line = np.abs(left @ normal - offset) < 1.5 * step
        if on_line.sum() < least:
            break
        outward = 1.0 if offset >= 0.0 else -1.0
        lines.append((*(outward * normal).tolist(), outward * offset))
        left = left[~on_line]
    found = np.array(lines).reshape(-1, 3)
    return found[np.argsort(_angles(found[:, :2]))]
