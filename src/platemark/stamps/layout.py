"""Where a stamp's texts are: rings and straight lines found in its ink, as baselines.

Rings: the ink is unrolled about the outline's ellipse, which is moved and stretched until its
frames and texts run as straight as they can; rows that many strokes cross are bands of text.
Straight lines: what is within the rings, or all of a stamp that is not round, is turned so that its
rows of text are level (projection profiles; Postl 1986) and cut into blocks and lines by the empty
space between them (recursive X-Y cuts; Nagy and Seth 1984). Frames are taken out first.

All coordinates are continuous pixels of the mask.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from platemark.geometry import FloatArray, apply_homography, homography
from platemark.imaging.image import Pixels
from platemark.imaging.ink import Probability
from platemark.imaging.warp import values_at, warp
from platemark.masks import BoolMask
from platemark.stamps.baselines import RingLine, StraightLine
from platemark.stamps.outline import Outline, find_outline

Profile = NDArray[np.float64]

# Of the polar picture: its columns, and how many of its rows go from the outline to the centre.
_COLUMNS = 720
_ROWS = 96
# The outline is shrunk or enlarged, moved and stretched at most by this part of its mean radius.
_ADJUSTMENTS = (0.04, 0.02, 0.01)
# A row of text is crossed by at least this number of strokes in a whole turn, fewer in a part.
_LEAST_STROKES = 9
# Rows of letters are crossed by this part of the strokes that cross the middle of them.
_CROSSED = 0.5
# Heights of ring texts, in radii.
_LEAST_BAND, _MOST_BAND = 0.05, 0.42
# Lines lower than this (pixels) cannot be read.
_LEAST_CAPITAL = 5.0
_LEAST_INK = 24
# Strokes are sought in a picture of this longer side, enlarged at most so much.
_SIDE, _MOST_ZOOM = 360, 4.0
# They are within this part of the side from probable ink, and darker than what is around them.
_NEAR, _LEAST_PROBABILITY = 0.012, 0.35
_WINDOW, _STAND_OUT, _FAINTEST = 0.05, 12.0, 50.0
_SPECK = 5
# Rules: strokes longer than this part of the stamp.
_FRAME = 0.3
# Frames span at least this part of both sides of the ink and fill less of their box than letters.
_SPAN, _HOLLOW = 0.4, 0.35
# Circles within a band of text have so much ink.
_CIRCLE = 0.6
# Rows of a frame have so much ink, and lie so near the edge, as part of the height.
_SOLID, _BORDER = 0.82, 0.16
_POINTS = 6000
# Directions are tried in such steps (degrees). Another direction is proposed too if it is so far
# from the best and its rows are nearly as sharp.
_STEP, _OTHER_ANGLE, _NEARLY = 2.0, 20.0, 0.6
# Gaps between words are narrower than this many heights of a line.
_WIDE_GAP = 1.8
# Valleys between lines have at most this share of the ink of the lines beside them.
_VALLEY = 0.4
# Rows of a line's letters have at least this share of the ink of its fullest row.
_CORE = 0.18
# A line is at least so wide, in heights.
_LEAST_ASPECT = 0.5
# At most this number of the largest lines is kept: the rest are specks.
_MOST_LINES = 14


@dataclass(frozen=True, slots=True)
class Layout:
    """The lines of a stamp.

    Attributes:
        rings: Bands of text round the stamp, whole turns, outermost first; each as it is read
            outwards (clockwise). Where its texts begin and end, and whether they are read
            inwards, only reading tells.
        lines: Straight lines, as they are read with the stamp upright or upside down; those of
            one angle are read together, those of different angles are alternatives.
        outline: The figure around the stamp.
    """

    rings: tuple[RingLine, ...]
    lines: tuple[StraightLine, ...]
    outline: Outline


def find_layout(strength: Pixels, probability: Probability) -> Layout:
    """Find the lines of a stamp's texts.

    Args:
        strength: (h, w) uint8, how much of the stamp's ink lies on each pixel, dark where there is
            much; see `platemark.imaging.ink.ink_strength`.
        probability: (h, w) how probably each pixel is ink.

    Returns:
        Lines in pixels of the picture; none where there is no ink.
    """
    found = _strokes(strength, probability)
    if found is None:
        return Layout((), (), Outline("other", np.zeros((0, 2)), 0.0))
    ink, place = found
    outline = find_outline(ink)
    rings: tuple[RingLine, ...] = ()
    lines: list[StraightLine] = []
    areas = [ink]
    if outline.shape in ("circle", "oval"):
        rings, areas = _rings(ink, outline)
    for area in areas:
        lines += _straight(area, outline)
    return Layout(
        tuple(_moved_ring(ring, place) for ring in rings),
        tuple(_moved_line(line, place) for line in lines),
        replace(outline, points=outline.points / place.zoom + place.corner),
    )


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the picture in which lines are sought lies: its corner in the whole, and its zoom."""

    corner: FloatArray
    zoom: float


def _moved_ring(ring: RingLine, place: _Place) -> RingLine:
    x, y = np.array(ring.centre) / place.zoom + place.corner
    return replace(
        ring,
        centre=(float(x), float(y)),
        radii=(ring.radii[0] / place.zoom, ring.radii[1] / place.zoom),
        length=ring.length / place.zoom,
        capital=ring.capital / place.zoom,
    )


def _moved_line(line: StraightLine, place: _Place) -> StraightLine:
    x, y = np.array(line.start) / place.zoom + place.corner
    return replace(
        line,
        start=(float(x), float(y)),
        length=line.length / place.zoom,
        capital=line.capital / place.zoom,
    )


def _strokes(strength: Pixels, probability: Probability) -> tuple[BoolMask, _Place] | None:
    """The strokes of the ink at a size at which their gaps are pixels wide.

    The mask alone is too coarse: it joins letters and frames. It says where strokes may be, the
    picture where they are.
    """
    rows, columns = (np.flatnonzero((probability > 0.5).any(axis=axis)) for axis in (1, 0))
    if len(rows) < 4 or len(columns) < 4:
        return None
    pad = 2
    top, bottom = max(0, rows[0] - pad), min(len(probability), rows[-1] + 1 + pad)
    left, right = max(0, columns[0] - pad), min(probability.shape[1], columns[-1] + 1 + pad)
    zoom = min(_SIDE / max(bottom - top, right - left), _MOST_ZOOM)
    size = (max(8, round((right - left) * zoom)), max(8, round((bottom - top) * zoom)))
    way = cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC
    dark = 255.0 - cv2.resize(strength[top:bottom, left:right], size, interpolation=way)
    likely = cv2.resize(probability[top:bottom, left:right], size, interpolation=cv2.INTER_LINEAR)
    reach = 1 + 2 * round(_NEAR * max(size))
    near = cv2.dilate(likely, np.ones((reach, reach), np.uint8)) > _LEAST_PROBABILITY
    window = 1 + 2 * round(_WINDOW * max(size))
    around = cv2.blur(dark, (window, window))
    ink = near & (dark > np.maximum(around + _STAND_OUT, _FAINTEST))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(ink.astype(np.uint8), connectivity=8)
    kept = np.arange(count) > 0
    kept &= stats[:, cv2.CC_STAT_AREA] >= _SPECK
    ink = np.asarray(kept[labels])
    if not ink.any():
        return None
    return ink, _Place(np.array([left, top], np.float64), float(size[0] / (right - left)))


def upside_down(line: StraightLine) -> StraightLine:
    """The same line read from its other end."""
    end = line.points(line.length, 0.0)
    return replace(line, start=(float(end[0]), float(end[1])), angle=line.angle + 180.0)


def other_way(ring: RingLine) -> RingLine:
    """The same band read inwards instead of outwards, or the reverse, from the same place."""
    return replace(ring, inward=not ring.inward)


# --- rings ----------------------------------------------------------------------------------------


def _rings(ink: BoolMask, outline: Outline) -> tuple[tuple[RingLine, ...], list[BoolMask]]:
    """Bands of text round an ellipse; and the ink that straight lines may be of: what is within
    the outermost band and within the innermost, for one of them may be no ring of text."""
    frame = _fitted(ink, outline)
    radius = float(np.mean(frame.radii))
    polar, depth = _unrolled(ink, frame)
    bands = _bands(polar, depth, radius)
    rings = []
    for top, bottom in bands:
        middle, height = (depth[top] + depth[bottom - 1]) / 2, depth[bottom - 1] - depth[top]
        radii = (frame.radii[0] - middle, frame.radii[1] - middle)
        if height < _LEAST_CAPITAL or min(radii) < height:
            continue
        ring = replace(frame, radii=radii, capital=float(height))
        start = _emptiest(polar[top:bottom])
        ring = replace(ring, start=float(ring.start + 360.0 * start / _COLUMNS))
        rings.append(replace(ring, length=ring.circumference))
    depths = sorted({float(depth[bottom - 1]) for _, bottom in bands} or {0.0})
    inked = (polar > 0.5).mean(axis=1)
    areas = []
    for inside in dict.fromkeys((depths[0], depths[-1])):
        beyond = np.flatnonzero(
            (depth > inside) & (depth < inside + 0.12 * radius) & (inked > _CIRCLE)
        )
        areas.append(
            _within(ink, frame, (depth[beyond[-1]] if len(beyond) else inside) + 0.03 * radius)
        )
    return tuple(rings), areas


def _fitted(ink: BoolMask, outline: Outline) -> RingLine:
    """The ellipse of the outline, moved until circles about it are as sharp as they can be."""
    points = outline.points.astype(np.float32)
    centre, axes, turn = cv2.fitEllipseDirect(points)
    best = RingLine(
        (float(centre[0]), float(centre[1])), (axes[0] / 2, axes[1] / 2), float(turn), 0.0, 1.0, 1.0
    )
    soft = np.asarray(cv2.GaussianBlur(ink.astype(np.float32), (0, 0), 0.8), np.float32)
    score = _sharpness(soft, best)
    radius = float(np.mean(best.radii))
    for part in _ADJUSTMENTS:
        step, improved = part * radius, True
        while improved:
            improved = False
            for other in _neighbours(best, step):
                if (found := _sharpness(soft, other)) > score:
                    best, score, improved = other, found, True
            if part == _ADJUSTMENTS[0]:
                break
    return best


def _neighbours(ring: RingLine, step: float) -> Iterator[RingLine]:
    (x, y), (rx, ry) = ring.centre, ring.radii
    for sign in (step, -step):
        yield replace(ring, centre=(x + sign, y))
        yield replace(ring, centre=(x, y + sign))
        yield replace(ring, radii=(rx + sign, ry))
        yield replace(ring, radii=(rx, ry + sign))


def _sharpness(soft: NDArray[np.float32], ring: RingLine) -> float:
    """How much the ink differs from circle to circle about the ring's centre."""
    angles = np.linspace(0.0, 2 * np.pi, 180, endpoint=False)
    rx, ry = ring.radii
    parts = np.linspace(0.45, 1.02, 48)[:, None]
    local = np.stack([rx * parts * np.cos(angles), ry * parts * np.sin(angles)], axis=-1)
    turn = np.radians(ring.tilt)
    turned = local @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    values = values_at(soft, turned + ring.centre)
    return float(np.square(np.diff(values.mean(axis=1))).sum())


def _unrolled(ink: BoolMask, frame: RingLine) -> tuple[NDArray[np.float32], Profile]:
    """The ink by depth below the frame (rows) and turn (columns), and the depth of each row."""
    radius = float(np.mean(frame.radii))
    depth = np.linspace(-0.06, 0.8, _ROWS) * min(radius, min(frame.radii) * 1.1)
    along = (np.arange(_COLUMNS) + 0.5) / _COLUMNS * frame.circumference
    return values_at(ink.astype(np.float32), frame.points(along[None], -depth[:, None])), depth


def _bands(polar: NDArray[np.float32], depth: Profile, radius: float) -> list[tuple[int, int]]:
    """Rows [top, bottom) of bands of text in the unrolled ink, outermost first."""
    inked = polar > 0.5
    cover = inked.mean(axis=1)
    strokes = (inked & ~np.roll(inked, 1, axis=1)).sum(axis=1)
    # A row of a frame is inked nearly all round, or little where it is worn: few strokes.
    texty = (strokes >= _LEAST_STROKES) & (cover < 0.62) & (cover > 0.015)
    texty &= ~_frame_rows(cover)
    bands: list[tuple[int, int]] = []
    start: int | None = None
    for row in range(len(texty) + 1):
        inside = row < len(texty) and bool(texty[row])
        if inside and start is None:
            start = row
        elif not inside and start is not None:
            bands.append((start, row))
            start = None
    kept = []
    for top, bottom in [_core_rows(strokes, *band) for band in _joined(bands)]:
        height = depth[min(bottom, len(depth)) - 1] - depth[top]
        if _LEAST_BAND * radius <= height <= _MOST_BAND * radius:
            kept.append((top, bottom))
    return kept


def _core_rows(strokes: NDArray[np.int_], top: int, bottom: int) -> tuple[int, int]:
    """The rows of a band's letters: those that nearly as many strokes cross as any.

    Worn frames beside them, and what little reaches above and below, are crossed by fewer.
    """
    own = strokes[top:bottom]
    strong = np.flatnonzero(own > _CROSSED * np.percentile(own, 90))
    return top + int(strong[0]), top + int(strong[-1]) + 1


def _frame_rows(cover: Profile) -> NDArray[np.bool_]:
    """Rows whose ink stands out above the rows a little further on either side: thin circles."""
    reach = 3
    padded = np.pad(cover, reach)
    beside = np.maximum(padded[: len(cover)], padded[2 * reach :])
    return np.asarray((cover > 0.5) & (cover > 1.6 * beside), np.bool_)


def _joined(bands: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Bands separated by no more than one row are one."""
    joined: list[tuple[int, int]] = []
    for band in bands:
        if joined and band[0] - joined[-1][1] <= 1:
            joined[-1] = (joined[-1][0], band[1])
        else:
            joined.append(band)
    return joined


def _emptiest(band: NDArray[np.float32]) -> int:
    """Column in the middle of the widest empty stretch of a band that runs round."""
    ink = (band > 0.5).any(axis=0)
    if not ink.any():
        return 0
    first = int(np.flatnonzero(ink)[0])
    turned = np.roll(ink, -first)
    edges = np.flatnonzero(np.diff(np.concatenate([[True], turned, [True]]).astype(np.int8)))
    gaps = edges.reshape(-1, 2)
    if not len(gaps):
        return 0
    widest = gaps[int((gaps[:, 1] - gaps[:, 0]).argmax())]
    return int((first + (widest[0] + widest[1]) / 2) % _COLUMNS)


def _within(ink: BoolMask, frame: RingLine, depth: float) -> BoolMask:
    rx, ry = (max(radius - depth, 1.0) for radius in frame.radii)
    area = np.zeros(ink.shape, np.uint8)
    centre = tuple(round((value - 0.5) * 16) for value in frame.centre)
    axes = (round(rx * 16), round(ry * 16))
    cv2.ellipse(area, centre, axes, frame.tilt, 0, 360, 1, -1, shift=4)
    return np.asarray(ink & (area > 0))


# --- straight lines -------------------------------------------------------------------------------


def _straight(ink: BoolMask, outline: Outline) -> list[StraightLine]:
    """Straight lines of text, top first."""
    if ink.sum() < _LEAST_INK:
        return []
    if outline.shape == "rectangle":
        ink = _without_border(ink, outline)
    ink = _without_frames(ink)
    if ink.sum() < _LEAST_INK:
        return []
    lines = []
    for angle in _level_angles(ink, outline):
        level, to_mask = _turned(ink, angle)
        for x0, y0, x1, y1 in _blocks(_without_rules(level)):
            if y1 - y0 >= _LEAST_CAPITAL:
                x, y = to_mask @ np.array([x0, (y0 + y1) / 2, 1.0])
                lines.append(
                    StraightLine((float(x), float(y)), angle, float(x1 - x0), float(y1 - y0))
                )
    return sorted(lines, key=lambda line: -line.length * line.capital)[:_MOST_LINES]


def _without_border(ink: BoolMask, outline: Outline) -> BoolMask:
    """The ink within a rectangle's frame: rows along its sides that are inked nearly throughout."""
    quad = outline.points
    width = round(float(np.linalg.norm(quad[1] - quad[0])))
    height = round(float(np.linalg.norm(quad[2] - quad[1])))
    if min(width, height) < 12:
        return ink
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]])
    plane = homography(corners, quad)
    flat = warp(ink.astype(np.float32), homography(quad, corners), (width, height)) > 0.5
    # A frame that is a little tilted crosses several rows: ink of neighbouring rows counts too.
    rows = cv2.dilate(flat.astype(np.uint8), np.ones((3, 1), np.uint8)).mean(axis=1) > _SOLID
    columns = cv2.dilate(flat.astype(np.uint8), np.ones((1, 3), np.uint8)).mean(axis=0) > _SOLID
    top, bottom = _inset(rows), height - _inset(rows[::-1])
    left, right = _inset(columns), width - _inset(columns[::-1])
    inner = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    area = np.zeros(ink.shape, np.uint8)
    cv2.fillConvexPoly(area, np.rint(apply_homography(plane, inner)).astype(np.int32), 1)
    return np.asarray(ink & (area > 0))


def _without_frames(ink: BoolMask) -> BoolMask:
    """The ink without connected strokes that go round much of it: frames, arcs, crossing pens."""
    height, width = _extent(ink)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(ink.astype(np.uint8), connectivity=8)
    wide, high = stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]
    share = stats[:, cv2.CC_STAT_AREA] / np.maximum(wide * high, 1)
    spans = (wide > _SPAN * width) & (high > _SPAN * height)
    arcs = (np.hypot(wide, high) > _SPAN * np.hypot(width, height)) & (share < _HOLLOW / 2)
    kept = ~((spans & (share < _HOLLOW)) | arcs)
    kept[0] = False
    return np.asarray(kept[labels])


def _inset(solid: NDArray[np.bool_]) -> int:
    """Rows from the edge to behind the last solid one of the frame."""
    near = np.flatnonzero(solid[: max(3, round(_BORDER * len(solid)))])
    return int(near[-1]) + 2 if len(near) else 0


def _level_angles(ink: BoolMask, outline: Outline) -> list[float]:
    """Clockwise turns in (-90, 90] at which rows of ink and paper part sharply, the best first."""
    rows, columns = np.nonzero(ink)
    rng = np.random.default_rng(0)
    some = rng.permutation(len(rows))[:_POINTS]
    # Strewn within their pixels, or else the raster would be the sharpest of all lines.
    points = np.stack([columns, rows], axis=1)[some] + rng.random((len(some), 2))
    points -= points.mean(axis=0)
    coarse = np.arange(-90.0, 90.0, _STEP)
    if outline.shape == "rectangle":
        edge = outline.points[1] - outline.points[0]
        own = float(np.degrees(np.arctan2(edge[1], edge[0])))
        coarse = own + np.concatenate(
            [quarter + np.arange(-4.0, 4.1, _STEP) for quarter in (0, 90)]
        )
    levels = np.array([_levelness(points, angle) for angle in coarse])
    best = int(levels.argmax())
    apart = np.abs((coarse - coarse[best] + 90.0) % 180.0 - 90.0) > _OTHER_ANGLE
    chosen = [best]
    if apart.any():
        second = int(np.where(apart, levels, 0.0).argmax())
        if levels[second] > _NEARLY * levels[best]:
            chosen.append(second)
    angles = []
    for index in chosen:
        fine = coarse[index] + np.arange(-_STEP, _STEP + 0.1, 0.25)
        angle = float(fine[int(np.argmax([_levelness(points, angle) for angle in fine]))])
        angles.append(90.0 - (90.0 - angle) % 180.0)
    return angles


def _levelness(points: FloatArray, angle: float) -> float:
    """How steeply the share of points rises and falls from row to row."""
    turn = np.radians(angle)
    across = points @ np.array([-np.sin(turn), np.cos(turn)])
    bins = max(8, round(np.ptp(across) / 2.0))
    profile, _ = np.histogram(across, bins)
    share = np.asarray(cv2.blur(profile.astype(np.float64)[:, None], (1, 3)))[:, 0] / len(points)
    return float(np.square(np.diff(share, prepend=0.0, append=0.0)).sum())


def _turned(ink: BoolMask, angle: float) -> tuple[BoolMask, FloatArray]:
    """The ink turned level, and the (2, 3) affine from its points back to the mask's."""
    height, width = ink.shape
    turn = np.radians(angle)
    cosine, sine = np.cos(turn), np.sin(turn)
    side_x = int(np.ceil(abs(width * cosine) + abs(height * sine))) + 2
    side_y = int(np.ceil(abs(width * sine) + abs(height * cosine))) + 2
    matrix = np.array([[cosine, -sine], [sine, cosine]])
    shift = np.array([width, height]) / 2 - matrix @ np.array([side_x, side_y]) / 2
    to_mask = np.concatenate([matrix, shift[:, None]], axis=1)
    from_mask = np.linalg.inv(np.vstack([to_mask, (0.0, 0.0, 1.0)]))
    turned = warp(ink.astype(np.float32), from_mask, (side_x, side_y))
    return np.asarray(turned > 0.5), to_mask


def _without_rules(ink: BoolMask) -> BoolMask:
    """The level ink without rules and frames: strokes far longer than letters are."""
    source = ink.astype(np.uint8)
    height, width = _extent(ink)
    breadth = 7 if max(ink.shape) > 150 else 5
    rules = np.zeros(ink.shape, np.bool_)
    for length, across in ((width, (3, 1)), (height, (1, 3))):
        along = max(9, round(_FRAME * length))
        # Rules are a little tilted and broken: thickened across before long strokes are sought.
        thick = np.asarray(cv2.dilate(source, np.ones(across, np.uint8)), np.uint8)
        level = across == (3, 1)
        long = _opened(thick, (1, along) if level else (along, 1))
        solid = _opened(long, (breadth, 1) if level else (1, breadth))
        rules |= (long > 0) & (cv2.dilate(solid, np.ones((3, 3), np.uint8)) == 0)
    return np.asarray(ink & ~rules)


def _opened(ink: Pixels, size: tuple[int, int]) -> Pixels:
    return np.asarray(cv2.morphologyEx(ink, cv2.MORPH_OPEN, np.ones(size, np.uint8)), np.uint8)


def _extent(ink: BoolMask) -> tuple[int, int]:
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    return int(rows[-1] - rows[0] + 1), int(columns[-1] - columns[0] + 1)


def _blocks(ink: BoolMask) -> list[tuple[int, int, int, int]]:
    """Boxes (x0, y0, x1, y1) of lines: rows first, split at wide gaps, then each part's own rows
    where a line beside others is of another size."""
    boxes = []
    for y0, y1 in _rows_of(ink):
        part = ink[y0:y1]
        gap = max(3, round(_WIDE_GAP * (y1 - y0)))
        pieces = _runs(part.sum(axis=0).astype(np.float64), gap=gap, least=0.5)
        for x0, x1 in pieces:
            cell = part[:, x0:x1]
            for top, bottom in _rows_of(cell) if len(pieces) > 1 else [(0, y1 - y0)]:
                line = cell[top:bottom]
                columns = np.flatnonzero(line.any(axis=0))
                if line.sum() < _LEAST_INK or not len(columns):
                    continue
                first, last = int(columns[0]), int(columns[-1]) + 1
                core = _core(line)
                if last - first >= _LEAST_ASPECT * (core[1] - core[0]):
                    boxes.append((x0 + first, y0 + top + core[0], x0 + last, y0 + top + core[1]))
    return boxes


def _rows_of(ink: BoolMask) -> list[tuple[int, int]]:
    """Rows [start, end) of lines: where there is ink, split at the valleys between lines."""
    profile = np.asarray(cv2.blur(ink.sum(axis=1).astype(np.float64)[:, None], (1, 3)))[:, 0]
    if not profile.any():
        return []
    used = profile[profile > 0.5]
    floor = max(0.5, 0.1 * float(np.percentile(used, 85))) if len(used) else 0.5
    rows: list[tuple[int, int]] = []
    for start, end in _runs(profile, gap=1, least=floor):
        rows += _valleys(profile, start, end)
    return rows


def _valleys(profile: Profile, start: int, end: int) -> list[tuple[int, int]]:
    """Cut a run of rows where its ink falls far below what it is on both sides."""
    part = profile[start:end]
    before, behind = np.maximum.accumulate(part), np.maximum.accumulate(part[::-1])[::-1]
    deep = part / np.maximum(np.minimum(before, behind), 1e-9)
    least = round(_LEAST_CAPITAL)
    if len(part) < 2 * least:
        return [(start, end)]
    inner = deep[least:-least]
    if not len(inner) or inner.min() > _VALLEY:
        return [(start, end)]
    cut = start + least + int(inner.argmin())
    return _valleys(profile, start, cut) + _valleys(profile, cut, end)


def _core(line: BoolMask) -> tuple[int, int]:
    """Rows of a line without the few strokes that reach above and below its letters."""
    profile = line.sum(axis=1)
    strong = np.flatnonzero(profile > _CORE * profile.max())
    return int(strong[0]), int(strong[-1]) + 1


def _runs(profile: Profile, *, gap: int, least: float) -> list[tuple[int, int]]:
    """Stretches [start, end) above ``least``, joined over gaps shorter than ``gap``."""
    above = np.flatnonzero(profile > least)
    if not len(above):
        return []
    breaks = np.flatnonzero(np.diff(above) > gap)
    starts = np.concatenate([[above[0]], above[breaks + 1]])
    ends = np.concatenate([above[breaks], [above[-1]]]) + 1
    return [(int(start), int(end)) for start, end in zip(starts, ends, strict=True)]
