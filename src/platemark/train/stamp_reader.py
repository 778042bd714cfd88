"""Teaches the stamp reader: strips set on the fly and strips cut from whole imprints, CTC loss."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from platemark.datasets.manifest import Manifest, ManifestEntry, StampAnnotation, StampLine
from platemark.geometry import FloatArray, apply_homography, homography
from platemark.imaging.image import Image, Pixels, read_grey
from platemark.imaging.ink import ink_strength
from platemark.imaging.warp import warp
from platemark.metrics.text import edit_distance
from platemark.models.card import ModelCard
from platemark.models.preprocess import stretch_contrast
from platemark.stamps.baselines import (
    CAPITAL,
    STRIP_HEIGHT,
    Baseline,
    RingLine,
    StraightLine,
    unwrap,
)
from platemark.tasks.scripts import ALPHABET, fold
from platemark.train.batches import Batch
from platemark.train.calibrate import calibrate_strip_reader
from platemark.train.loop import Schedule
from platemark.train.pictures import Listed, is_held_out, train_split
from platemark.train.reader import collapse, scale
from platemark.train.strips import DrawnStrip, StripPress, turned

WIDTHS = (128, 256, 384, 512)
"""Columns of the strips of a batch; all of one batch are as wide."""
_STRIDE = 4
_CUT_HEIGHT = 48
_CUT_MARGIN = 0.8
_LEAST_PITCH = 5.0
_HELD_OUT = 0.04
_FRESH = 0.34
_POOL = 1024
_ANCHOR = 0.5
_TURNED = 0.05
_CLASS_OF = {char: index + 1 for index, char in enumerate(ALPHABET)}
_VALIDATION = 600


def encode(text: str) -> NDArray[np.int64]:
    """Classes of a folded text; blank is 0."""
    return np.array([_CLASS_OF[char] for char in text], np.int64)


@dataclass(frozen=True)
class CutStrip:
    """A line cut from an imprint, with more around it than the network sees.

    Attributes:
        pixels: (_CUT_HEIGHT, W) uint8 grey.
        text: Folded text.
        middles: (L,) columns of the middles of its characters, NaN for spaces.
    """

    pixels: Pixels
    text: str
    middles: NDArray[np.float32]


class StampReaderTask:
    """Data and loss of the stamp reader; see :class:`platemark.train.loop.Task`.

    Args:
        manifests: imprints with lines, places and masks; only the train split is used.
        fonts: folder of typefaces beside the bundled ones, or None.
        cut_share: part of every batch that is cut from imprints.
    """

    def __init__(
        self, manifests: Sequence[Path], fonts: Path | None = None, cut_share: float = 0.45
    ) -> None:
        self._press = StripPress(fonts)
        self._share = cut_share
        self._pools: dict[int, list[DrawnStrip]] = {width: [] for width in WIDTHS}
        self._cuts: dict[int, list[CutStrip]] = {width: [] for width in WIDTHS}
        self._held: list[CutStrip] = []
        for listed in train_split(manifests):
            self._load(listed)

    def _load(self, listed: Listed) -> None:
        held = is_held_out(manifest_group(listed.entry), _HELD_OUT)
        for strip in cut_strips(Manifest(listed.root, (listed.entry,)), listed.entry):
            width = next((w for w in WIDTHS if strip.pixels.shape[1] <= w + 16), None)
            if width is None:
                continue
            if held:
                self._held.append(strip)
            else:
                self._cuts[width] += [strip] * listed.weight

    def size(self) -> int:
        """Lines cut from imprints, each as often as its weight says."""
        return sum(map(len, self._cuts.values()))

    def marks(self) -> int:
        """Lines cut from imprints, each counted once."""
        return len({id(strip) for cuts in self._cuts.values() for strip in cuts})

    def steps_per_epoch(self, schedule: Schedule) -> int:
        """Batches in which about every cut strip comes once."""
        return max(1, round(self.size() / (self._share * schedule.batch)))

    def batch(self, schedule: Schedule, step: int) -> Batch:
        """(N, 1, H, W) float32 strips, classes, lengths, (N, L) classes and frames of anchors.

        Drawn strips are used about three times, each time a little otherwise (data echoing, Choi
        et al. 2019): setting one takes longer than learning from it.
        """
        rng = np.random.default_rng((schedule.seed, step))
        width = int(rng.choice(WIDTHS, p=(0.25, 0.35, 0.25, 0.15)))
        count = max(4, schedule.batch * 256 // width)
        cuts = self._cuts[width]
        many = round(self._share * count) if cuts else 0
        strips = [
            _presented(cuts[int(i)], width, rng) for i in rng.integers(0, max(1, len(cuts)), many)
        ]
        strips += [_again(strip, rng) for strip in self._drawn(width, count - many, rng)]
        return batch_of(strips)

    def _drawn(self, width: int, count: int, rng: np.random.Generator) -> list[DrawnStrip]:
        pool = self._pools[width]
        fresh = count if len(pool) < count else max(1, round(_FRESH * count))
        new = [self._press.draw(width, rng) for _ in range(fresh)]
        old = [pool[int(i)] for i in rng.integers(0, max(1, len(pool)), count - fresh)]
        for strip in new:
            if len(pool) < _POOL:
                pool.append(strip)
            else:
                pool[int(rng.integers(_POOL))] = strip
        return new + old

    def losses(self, net: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """The CTC loss per character (Graves et al. 2006); and, since the places of characters are
        known, the cross-entropy of each in the frame of its middle, which spares the network the
        search for the alignment."""
        strips, classes, lengths, anchors = batch
        log_probs = net(strips)
        steps = torch.full((len(strips),), log_probs.shape[1], dtype=torch.long)
        ctc = functional.ctc_loss(
            log_probs.transpose(0, 1), classes, steps, lengths, reduction="none", zero_infinity=True
        )
        rows, frames, labels = anchors.unbind(1)
        anchor = functional.nll_loss(log_probs[rows, frames], labels)
        return {"ctc": (ctc / (lengths + 2)).mean(), "anchor": _ANCHOR * anchor}

    def calibrate(self, folder: Path) -> ModelCard:
        """Fit text scores on held-out strips cut from imprints."""
        chosen = np.random.default_rng(5).permutation(len(self._held))[:_VALIDATION]
        held = [self._held[int(index)] for index in chosen]
        strips = [_presented(strip, strip.pixels.shape[1], None).pixels for strip in held]
        return calibrate_strip_reader(folder, strips, [strip.text for strip in held])

    @torch.no_grad()
    def validate(self, net: nn.Module) -> dict[str, float]:
        """Character error rate of greedy decoding on held-out cut strips."""
        rng = np.random.default_rng(5)
        errors = total = 0
        chosen = rng.permutation(len(self._held))[:_VALIDATION]
        for width in WIDTHS:
            own = [
                self._held[int(i)]
                for i in chosen
                if next(w for w in WIDTHS if self._held[int(i)].pixels.shape[1] <= w + 16) == width
            ]
            for start in range(0, len(own), 32):
                chunk = own[start : start + 32]
                shown = np.stack([_presented(strip, width, None).pixels for strip in chunk])
                best = net(scale(shown)).argmax(-1).cpu().numpy()
                for row, strip in zip(best, chunk, strict=True):
                    read = "".join(ALPHABET[label - 1] for label in collapse(row))
                    errors += edit_distance(read, strip.text)
                    total += len(strip.text)
        return {"cer": round(errors / max(1, total), 4), "lines": len(chosen)}


def manifest_group(entry: ManifestEntry) -> str:
    """What keeps imprints of one design on one side."""
    return entry.stamps[0].identity or entry.image if entry.stamps else entry.image


def batch_of(strips: Sequence[DrawnStrip]) -> Batch:
    """Strips of one width as tensors; see :meth:`StampReaderTask.batch`."""
    pixels = scale(np.stack([strip.pixels for strip in strips]))
    classes = np.concatenate([encode(strip.text) for strip in strips])
    lengths = np.array([len(strip.text) for strip in strips])
    last = strips[0].pixels.shape[1] // _STRIDE - 1
    anchors = [
        (row, min(max(int(middle) // _STRIDE, 0), last), _CLASS_OF[char])
        for row, strip in enumerate(strips)
        for char, middle in zip(strip.text, strip.middles, strict=True)
        if np.isfinite(middle)
    ]
    return (
        pixels,
        torch.from_numpy(classes),
        torch.from_numpy(lengths),
        torch.tensor(anchors or [(0, last, 0)]),
    )


def _again(strip: DrawnStrip, rng: np.random.Generator) -> DrawnStrip:
    """A drawn strip, moved and relit a little."""
    shift, rise = float(rng.uniform(-3, 3)), float(rng.uniform(-1, 1))
    matrix = np.array([[1.0, rng.normal(0, 0.03), shift], [0, 1.0, rise]])
    pixels = warp(strip.pixels, matrix, strip.pixels.shape[::-1], fill=None)
    return DrawnStrip(_relit(pixels, rng), strip.text, strip.middles + np.float32(shift))


def _relit(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    gain, light = float(rng.uniform(0.75, 1.1)), float(rng.normal(0, 8))
    levels = (pixels.astype(np.float32) - 128) * gain + 128 + light
    return np.asarray(np.clip(levels, 0, 255), np.uint8)


def _presented(strip: CutStrip, width: int, rng: np.random.Generator | None) -> DrawnStrip:
    """A cut strip in its frame: as it is without ``rng``, else as layout may err."""
    rise, shift, slant, grow, stretch = 0.0, -4.0, 0.0, 1.0, 1.0
    if rng is not None:
        rise, slant = float(rng.normal(0, 1.3)), float(rng.normal(0, 0.07))
        grow, stretch = float(np.exp(rng.normal(0, 0.1))), float(np.exp(rng.normal(0, 0.12)))
        shift = float(rng.uniform(-8, 2))
    across = grow * stretch
    across = min(across, width / max(1.0, strip.pixels.shape[1] - 12.0))
    if rng is not None:
        room = width - across * strip.pixels.shape[1]
        shift += float(rng.uniform(0, max(0.0, min(room, 40.0))))
    drop = STRIP_HEIGHT / 2 - grow * _CUT_HEIGHT / 2 + rise
    matrix = np.array([[across, slant, shift - slant * _CUT_HEIGHT / 2], [0.0, grow, drop]])
    paper = float(np.percentile(strip.pixels, 90))
    pixels = warp(strip.pixels, matrix, (width, STRIP_HEIGHT), fill=paper)
    text, middles = strip.text, strip.middles * across + shift
    if rng is not None:
        if rng.random() < 0.15:
            pixels = np.asarray(
                cv2.GaussianBlur(pixels, (0, 0), float(rng.uniform(0.4, 1.0))), np.uint8
            )
        if rng.random() < 0.2:
            noise = rng.standard_normal(pixels.shape, np.float32) * np.float32(rng.uniform(2, 12))
            pixels = np.clip(pixels + noise, 0, 255).astype(np.uint8)
        if rng.random() < _TURNED and len(text.replace(" ", "")) >= 4:
            pixels, text, middles = turned(pixels, rng), "", middles[:0]
    pixels = stretch_contrast(pixels)
    return DrawnStrip(
        pixels if rng is None else _relit(pixels, rng), text, middles.astype(np.float32)
    )


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
    capital, rise = _band(probe.pixels > 127, baseline.capital)
    if capital < 4.0:
        return None
    del rise
    baseline = _with_capital(baseline, capital)
    strip = unwrap(
        strength,
        baseline,
        height=_CUT_HEIGHT,
        capital=CAPITAL,
        margin=_CUT_MARGIN,
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


def _straight(places: FloatArray, pitch: float) -> Baseline | None:
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


def _ring(places: FloatArray, size: tuple[float, float]) -> Baseline | None:
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


def _band(ink: NDArray[np.bool_], capital: float) -> tuple[float, float]:
    """Height of the capitals from a probe of 72 rows at half that scale, and how far off it is."""
    rows = ink.mean(axis=1)
    scale_up = capital / 36.0
    middle = len(rows) // 2
    peak = float(rows[middle - 12 : middle + 12].max()) if ink.any() else 0.0
    if peak <= 0.02:
        return 0.0, 0.0
    low = high = middle
    while low > 0 and rows[low - 1] > 0.18 * peak:
        low -= 1
    while high < len(rows) and rows[min(high, len(rows) - 1)] > 0.18 * peak:
        high += 1
    return (high - low) * scale_up, (middle - (low + high) / 2) * scale_up


def _with_capital(line: Baseline, capital: float) -> Baseline:
    if isinstance(line, RingLine):
        return RingLine(
            line.centre, line.radii, line.tilt, line.start, line.length, capital, line.inward
        )
    assert isinstance(line, StraightLine)
    return StraightLine(line.start, line.angle, line.length, capital, line.slant)
