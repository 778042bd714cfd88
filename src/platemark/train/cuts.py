"""Strips for the stamp reader cut from imprints whose characters' places are known."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from platemark.datasets.manifest import Manifest, ManifestEntry, StampAnnotation, StampLine
from platemark.geometry import FloatArray, apply_homography, homography
from platemark.imaging.image import Image, Pixels, read_grey
from platemark.imaging.ink import ink_strength
from platemark.stamps.baselines import CAPITAL, RingLine, StraightLine, unwrap
from platemark.tasks.scripts import fold

CUT_HEIGHT = 48
"""Rows of a cut strip: more than the network sees, so that it can be moved."""
CUT_MARGIN = 0.8
"""What it shows before and behind its text, in heights of a capital."""
_LEAST_PITCH = 5.0
_LEAST_CAPITAL = 4.0


@dataclass(frozen=True)
class CutStrip:
    """A line cut from an imprint, with more around it than the network sees.

    Attributes:
        pixels: (CUT_HEIGHT, W) uint8 grey.
        text: Folded text.
        middles: (L,) columns of the middles of its characters, NaN for spaces.
    """

    pixels: Pixels
    text: str
    middles: NDArray[np.float32]


def cut_strips(manifest: Manifest, entry: ManifestEntry) -> list[CutStrip]:
    """The lines of the imprints of a picture whose characters' places are known, unwrapped."""
    strips: list[CutStrip] = []
    picture: Pixels | None = None
    for stamp in entry.stamps:
        lines = [
            line for line in stamp.lines if len(line.places) == len(line.text) and fold(line.text)
        ]
        if not lines or stamp.mask is None:
            continue
        if picture is None:
            picture = Image.read(manifest.path(entry)).pixels
        mask = read_grey(manifest.root / stamp.mask)
        strength = ink_strength(picture, (mask > 127).astype(np.float32))
        if strength is not None:
            cuts = (_cut(strength, mask, stamp, line) for line in lines)
            strips += [cut for cut in cuts if cut is not None]
    return strips


def _cut(
    strength: Pixels, mask: Pixels, stamp: StampAnnotation, line: StampLine
) -> CutStrip | None:
    known = [(char, place) for char, place in zip(line.text, line.places, strict=True)]
    inked = np.array([place for _, place in known if place is not None], np.float64)
    if len(inked) < 1:
        return None
    plane = np.eye(3)
    corners = stamp.corners
    side = np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1)
    width, height = (side[0] + side[2]) / 2, (side[1] + side[3]) / 2
    flat = np.array([[0, 0], [width, 0], [width, height], [0, height]])
    plane = homography(flat, corners)
    local = apply_homography(np.linalg.inv(plane), inked)
    if len(inked) > 1:
        pitch = float(np.median(np.linalg.norm(np.diff(local, axis=0), axis=1)))
    else:
        pitch = 0.3 * min(width, height)
    if pitch < _LEAST_PITCH:
        return None
    baseline = _ring(local, (width, height)) if line.path == "ring" else _straight(local, pitch)
    if baseline is None:
        return None
    probe = unwrap(mask, baseline, height=72, capital=36.0, margin=0.0, to_picture=plane)
    capital = _capital(probe.pixels > 127, baseline.capital)
    if capital < _LEAST_CAPITAL:
        return None
    baseline = replace(baseline, capital=capital)
    strip = unwrap(
        strength,
        baseline,
        height=CUT_HEIGHT,
        capital=CAPITAL,
        margin=CUT_MARGIN,
        to_picture=plane,
    )
    places = baseline.places(local)
    columns = (places[:, 0] - strip.to_line[0, 2]) / strip.to_line[0, 0]
    middles = iter(columns.astype(np.float32))
    full = [np.nan if place is None else next(middles) for _, place in known]
    return _folded(strip.pixels, line.text, np.array(full, np.float32))


def _folded(pixels: Pixels, text: str, middles: NDArray[np.float32]) -> CutStrip | None:
    """Folded text with the places of the characters that folding keeps."""
    kept: list[str] = []
    columns: list[float] = []
    for char, middle in zip(text, middles, strict=True):
        shape = fold(char)
        if shape is None:
            return None
        if not shape and (not kept or kept[-1] == " "):
            continue
        kept.append(shape or " ")
        columns.append(float(middle) if shape else float("nan"))
    while kept and kept[-1] == " ":
        kept.pop()
        columns.pop()
    if not kept:
        return None
    return CutStrip(pixels, "".join(kept), np.array(columns, np.float32))


def _straight(places: FloatArray, pitch: float) -> StraightLine | RingLine | None:
    if len(places) == 1:
        x, y = places[0]
        return StraightLine((x - pitch / 2, y), 0.0, pitch, pitch)
    reach = places[-1] - places[0]
    length = float(np.linalg.norm(reach))
    if length < 1.0:
        return None
    direction = reach / length
    # The fit of all middles, not of the two at the ends, which may be a comma's.
    normal = np.array([-direction[1], direction[0]])
    offsets = (places - places[0]) @ direction
    rises = (places - places[0]) @ normal
    slope, rise = np.polyfit(offsets, rises, 1) if len(places) > 3 else (0.0, float(rises.mean()))
    angle = np.degrees(np.arctan2(direction[1], direction[0]) + np.arctan(slope))
    start = places[0] + normal * rise
    turn = np.radians(angle)
    start = start - np.array([np.cos(turn), np.sin(turn)]) * pitch / 2
    return StraightLine((float(start[0]), float(start[1])), float(angle), length + pitch, pitch)


def _ring(places: FloatArray, size: tuple[float, float]) -> StraightLine | RingLine | None:
    """The ellipse about the middle of the stamp, as far within its outline as the text lies."""
    if len(places) < 2:
        return None
    centre = (size[0] / 2, size[1] / 2)
    offsets = places - centre
    inset = np.linspace(0.0, 0.49 * min(size), 200)
    radii = np.array(size) / 2 - inset[:, None]
    errors = np.abs(np.hypot(offsets[:, 0] / radii[:, :1], offsets[:, 1] / radii[:, 1:]) - 1.0)
    best = int((np.median(errors, axis=1) * radii.min(axis=1)).argmin())
    rx, ry = radii[best]
    angles = np.unwrap(np.arctan2(offsets[:, 1] * rx, offsets[:, 0] * ry))
    inward = bool(angles[-1] < angles[0])
    pitch = float(np.median(np.linalg.norm(np.diff(places, axis=0), axis=1)))
    probe = RingLine(centre, (rx, ry), 0.0, float(np.degrees(angles[0])), 1.0, pitch, inward)
    around = probe.circumference
    along = probe.places(places)[:, 0]
    length = float(along[-1] if along[-1] < around - 1e-6 else 0.0)
    lead = np.degrees(pitch / 2 / max((rx + ry) / 2, 1.0)) * (-1.0 if inward else 1.0)
    start = float(np.degrees(angles[0]) - lead)
    return RingLine(centre, (float(rx), float(ry)), 0.0, start, length + pitch, pitch, inward)


def _capital(ink: NDArray[np.bool_], capital: float) -> float:
    """Height of the capitals, from a probe of 72 rows in which one of ``capital`` has 36."""
    rows = ink.mean(axis=1)
    middle = len(rows) // 2
    peak = float(rows[middle - 12 : middle + 12].max()) if ink.any() else 0.0
    if peak <= 0.02:
        return 0.0
    low = high = middle
    while low > 0 and rows[low - 1] > 0.18 * peak:
        low -= 1
    while high < len(rows) and rows[high] > 0.18 * peak:
        high += 1
    return (high - low) * capital / 36.0
