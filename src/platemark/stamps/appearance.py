"""The appearance of an imprint: its outline, the colour of its ink, how far it is turned.

Convention: ink masks and pixels are of the same part of a page, (h, w) and (h, w, 3) uint8 RGB;
points are continuous pixels of that part; angles are degrees, clockwise as seen on the screen.
"""

import colorsys
from dataclasses import dataclass

import cv2
import numpy as np

from platemark.geometry import FloatArray
from platemark.imaging.image import Pixels
from platemark.imaging.ink import Probability, ink_and_paper
from platemark.masks import BoolMask, SoftMask
from platemark.stamps.outline import Outline, find_outline, turn_matrix
from platemark.types import Quad, as_quad

_SIDE = 256
_THIN_INK = 0.3
# Parts with less of the ink than this are specks, not parts of the imprint.
_SPECK = 0.02
# A figure with two axes whose text does not tell which it is along is turned as its long one,
# unless that is steeper than this.
_STEEP = 60.0
# An ellipse within this share of the outline holds the straight lines, not the ring text.
_INNER = 0.62


@dataclass(frozen=True)
class Appearance:
    """The appearance of an imprint.
    Attributes:
        shape: Its outer outline, one of `platemark.types.STAMP_SHAPES`.
        color: Name of the ink's colour, one of `platemark.types.INK_COLORS`.
        rotation: Clockwise turn in degrees, or None where the imprint does not tell.
        quad: Corners of the upright rectangle around it, turned with it.
    """

    shape: str
    color: str
    rotation: float | None
    quad: Quad


def describe_ink(pixels: Pixels, mask: SoftMask) -> Appearance | None:
    """Describe an imprint.

    Args:
        pixels: The page, (H, W, 3) uint8 RGB.
        mask: Its ink.

    Returns:
        The appearance, the corners in pixels of the page; None where there is no ink.
    """
    ink, zoom = _small(mask.probability)
    if not ink.any():
        return None
    outline = find_outline(ink)
    rotation = ink_rotation(ink, outline)
    if rotation is not None:
        rotation = round(rotation, 1) + 0.0  # no negative zero
    corners = turned_bounds(outline.points, rotation or 0.0) / zoom + (mask.left, mask.top)
    color = ink_color(mask.cut(pixels), mask.probability)
    return Appearance(outline.shape, color, rotation, as_quad(corners))


def _small(probability: Probability) -> tuple[BoolMask, FloatArray]:
    """Ink without specks in a mask with sides of at most 256, and its zoom (2,) in x and y."""
    height, width = probability.shape
    scale = min(1.0, _SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(probability, size, interpolation=cv2.INTER_AREA)
    ink = np.asarray(small) > (_THIN_INK if scale < 1.0 else 0.5)
    reach = 1 + 2 * max(1, round(0.03 * max(size)))
    joined = cv2.dilate(ink.astype(np.uint8), np.ones((reach, reach), np.uint8))
    count, labels = cv2.connectedComponents(joined)
    amounts = np.bincount(labels[ink], minlength=count)
    kept = amounts >= _SPECK * max(int(amounts.sum()), 1)
    return ink & kept[labels], np.array(size) / (width, height)


def turned_bounds(points: FloatArray, degrees: float) -> FloatArray:
    """Smallest rectangle (4, 2) around points that is turned so, clockwise from its top-left."""
    turn = turn_matrix(degrees)
    own = points @ turn
    (x0, y0), (x1, y1) = own.min(axis=0), own.max(axis=0)
    return np.asarray(np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]) @ turn.T)


def ink_rotation(ink: BoolMask, outline: Outline) -> float | None:
    """How far an imprint is turned.

    A frame tells it but for halves or quarters of a turn, and the lines of text which of these;
    what is upside down cannot be told. A round stamp is turned as its straight lines of text, a
    stamp without frame as its lines.

    Args:
        ink: (h, w) bool.
        outline: Its outline.

    Returns:
        Degrees in (-90, 90], of triangles in (-180, 180]; None where there are no straight lines
        to tell.
    """
    inner = _within(ink, outline)
    match outline.shape:
        case "triangle":
            return _triangle_rotation(outline.points, _line_angle(inner))
        case "rectangle" | "oval":
            return _axis_rotation(outline.points, inner)
    # A stamp without frame or rings is lines of text, so that less tells their direction.
    return _line_angle(inner, _CLEARER if outline.shape == "other" else _CLEAR)


def _axis_rotation(points: FloatArray, inner: FloatArray) -> float:
    """Rotation in (-90, 90] of what has two axes: that along its text, or its long one."""
    _, (width, height), turn = cv2.minAreaRect(points.astype(np.float32))
    along = turn if width >= height else turn + 90.0
    long, short = _half_turn(along), _half_turn(along + 90.0)
    if len(inner):
        angles = np.add.outer((long, short), np.arange(-_STEP, _STEP + 0.1, 1.0))
        on_long, on_short = _sharpness(inner, angles.ravel()).reshape(2, -1).max(axis=1)
        if max(on_long, on_short) >= _CLEARER * min(on_long, on_short):
            return long if on_long > on_short else short
    return long if abs(long) <= _STEEP else short


def _triangle_rotation(corners: FloatArray, lines: float | None) -> float:
    """Rotation in (-180, 180] of a triangle that stands on the side opposite to its apex.

    The apex is the corner between sides of one length; where all are alike, the text decides, or
    else the least turn.
    """
    sides = np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1)
    turns = []
    for apex in range(3):
        right, left = corners[(apex + 1) % 3], corners[(apex + 2) % 3]
        turns.append(float(np.degrees(np.arctan2(*(right - left)[::-1]))))
    # Sides apex..right, right..left, left..apex: the base is in the middle.
    uneven = [abs(sides[apex] - sides[(apex + 2) % 3]) / sides.mean() for apex in range(3)]
    if np.ptp(sides) > 0.15 * sides.mean():
        return turns[int(np.argmin(uneven))]
    if lines is not None:
        return min(turns, key=lambda turn: (round(_between(turn, lines) / 15), abs(turn)))
    return min(turns, key=abs)


def _half_turn(degrees: float) -> float:
    """The same direction of a line, in (-90, 90]."""
    return 90.0 - (90.0 - degrees) % 180.0


def _between(a: float, b: float) -> float:
    """Angle between two lines, in 0..90."""
    return abs(_half_turn(a - b))


def _within(ink: BoolMask, outline: Outline) -> FloatArray:
    """Points (N, 2) of the ink that is not frame or ring text, about the middle of the outline.

    None at all where that is too little for lines of text.
    """
    least = max(_LEAST_POINTS, _LEAST_SHARE * np.count_nonzero(ink))
    middle = outline.points.mean(axis=0)
    if outline.shape != "other":
        inner = _INNER if outline.shape in ("circle", "oval") else 0.85
        figure = middle + inner * (outline.points - middle) - 0.5
        inside = np.zeros(ink.shape, np.uint8)
        cv2.fillPoly(inside, [np.round(16.0 * figure).astype(np.int32)], 1, shift=4)
        ink = ink & (inside > 0)
    points = np.asarray(np.stack(np.nonzero(ink)[::-1], axis=1) + 0.5 - middle, dtype=np.float64)
    return points[:: max(1, len(points) // _MOST_POINTS)] if len(points) >= least else points[:0]


_STEP = 2.0
_BINS = 24
_LEAST_POINTS, _LEAST_SHARE = 60, 0.04
_MOST_POINTS = 3000
# How much sharper the profile along text is than that of all other directions within rings, and
# than that across it where these two alone come into question.
_CLEAR, _CLEARER = 1.6, 1.3


def _line_angle(points: FloatArray, least: float = _CLEAR) -> float | None:
    """Direction in (-90, 90] of the straight lines of text among points (N, 2) of ink, or None.

    It is told where the profile along it is sharper than all others by the factor ``least``.

    The profile of ink across lines of text rises and falls steeply in their direction (projection
    profile analysis; Postl 1986).
    """
    if not len(points):
        return None
    coarse = np.arange(-90.0, 90.0, _STEP) + _STEP
    sharp = _sharpness(points, coarse)
    best = float(coarse[int(np.argmax(sharp))])
    apart = np.array([_between(angle, best) for angle in coarse])
    if sharp.max() < least * sharp[apart > 15.0].max():
        return None
    fine = best + np.arange(-_STEP, _STEP + 0.1, 0.25)
    return _half_turn(float(fine[int(np.argmax(_sharpness(points, fine)))]))


def _sharpness(points: FloatArray, angles: FloatArray) -> FloatArray:
    """How steeply the profiles of points (N, 2) across lines in directions (M,) change, as (M,).

    A point counts for the two bins that it is between, so that the profiles, and with them the
    answer, change little where the points do.
    """
    radians = np.radians(angles)
    across = points @ np.stack([-np.sin(radians), np.cos(radians)])
    reach = float(np.hypot(*points.T).max()) + 1.0
    places = (across + reach) * ((_BINS - 1) / (2.0 * reach))
    lower = places.astype(int)
    share = (places - lower).ravel()
    flat = (lower + _BINS * np.arange(len(angles))).ravel()
    count = _BINS * len(angles)
    profiles = np.bincount(flat, 1.0 - share, count) + np.bincount(flat + 1, share, count)
    # Over two bins, since the raster of the pixels shows in neighbouring ones.
    profiles = profiles.reshape(len(angles), _BINS)
    steps = (profiles[:, 2:] - profiles[:, :-2]) / len(points)
    return np.asarray((steps**2).sum(axis=1), dtype=np.float64)


# Upper ends of hues in degrees; above the last it is red again, and yellow has no name.
_HUES = ((13, "red"), (48, "brown"), (75, "other"), (172, "green"), (250, "blue"), (328, "violet"))
_GREY = 0.22


def ink_color(pixels: Pixels, probability: Probability) -> str:
    """Name the colour of ink.

    It is that of the ink alone: what it takes from each channel of the light that the paper around
    it gives back (optical density), so that grey paper and thin ink count for little.

    Args:
        pixels: (h, w, 3) uint8 RGB.
        probability: (h, w) how probably each pixel is ink.

    Returns:
        One of `platemark.types.INK_COLORS`.
    """
    colors = ink_and_paper(pixels, probability)
    if colors is None:
        return "other"
    ink, paper = colors
    taken = np.log(paper / ink)
    # The colour that the ink would have where it takes nine tenths of one channel.
    red, green, blue = np.exp(-taken * (np.log(10.0) / taken.max()))
    hue, saturation, _ = colorsys.rgb_to_hsv(red, green, blue)
    if saturation < _GREY or taken.min() > (1.0 - _GREY) * taken.max():
        return "black"
    return next((name for end, name in _HUES if 360.0 * hue < end), "red")
