"""Marks laid on any ground: what a detector of one stamp, label or logo learns and is scored on.

All marks, the wanted one, other stamps and altered copies of the wanted one, are laid in the same
way, so that nothing but their appearance distinguishes them. Pictures are (H, W, 3) uint8 RGB;
points are (x, y) in the continuous frame where pixel (column j, row i) covers [j, j+1) x [i, i+1).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal, Self, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from platemark.errors import DatasetError, InputError
from platemark.geometry import (
    FloatArray,
    apply_homography,
    box_to_quad,
    clip_boxes,
    coverage_matrix,
    homography,
    quad_to_box,
    translation,
)
from platemark.imaging.image import Image, Pixels, compressed
from platemark.imaging.sources import IMAGE_SUFFIXES
from platemark.imaging.warp import warp
from platemark.synth.camera.backgrounds import random_window, smooth_noise, surface
from platemark.synth.camera.ink import Ink, print_ink
from platemark.synth.camera.scan import Scanner
from platemark.synth.camera.scene import Pose, tilted_quad
from platemark.synth.documents.pages import PageStudio
from platemark.synth.documents.pen import signature
from platemark.synth.stamps.designs import DesignStudio
from platemark.synth.stamps.glyphs import StampFonts
from platemark.synth.stamps.imprint import Imprint

_OTHER_SIDE = 220.0
_GROUND_DPI = (60.0, 130.0)
# Of the built-in grounds this share is plain things rather than paper; of all, where there is a
# folder of pictures, this share is built in.
_SURFACES, _BUILT_IN = 0.3, 0.25
_KEPT_GROUNDS, _KEPT_OTHERS = 40, 60
_GROUND_SIDE = 1400
# Ink is laid on paper: on a darker ground (grey levels) some is put beneath it.
_DARK_GROUND = 130.0
_PLACES = 6
_LEAST_SIDE = 14.0
# What shows less of itself is neither to be found nor to be missed.
_LEAST_SEEN = 0.55
_OUTLINE_POINTS = 64

Part = Literal["learn", "choose", "report"]
"""What composites are for."""


@dataclass(frozen=True, eq=False)
class Overlay:
    """A mark without its paper.

    Attributes:
        keep: (H, W, 3) float32 in 0..1, what is left of the light of the ground.
        light: (H, W, 3) float32 in 0..255, the light of its own; None for ink, which has none.
        outline: (P, 2) points about all that is seen of it.
    """

    keep: NDArray[np.float32]
    light: NDArray[np.float32] | None
    outline: FloatArray

    @classmethod
    def of_ink(cls, keep: NDArray[np.float32]) -> Self:
        """Ink of which is known what it leaves of the light, (H, W, 3) float32 in 0..1."""
        return cls(keep, None, _outline(keep.min(axis=2) < 0.75))

    @classmethod
    def of_label(cls, pixels: Pixels, alpha: NDArray[np.uint8]) -> Self:
        """Something opaque: (H, W, 3) uint8 RGB, and (H, W) uint8, 255 where it is."""
        share = np.asarray(alpha[..., None] / np.float32(255), np.float32)
        keep = np.repeat(1.0 - share, 3, axis=2).astype(np.float32)
        return cls(keep, np.asarray(pixels * share, np.float32), _outline(alpha > 127))

    @property
    def size(self) -> FloatArray:
        """Width and height (2,) of what is seen of it."""
        return np.asarray(np.ptp(self.outline, axis=0))

    def shrunk(self, factor: float) -> Self:
        """The same with fewer pixels, each the mean of those it stands for; at most as many."""
        if factor >= 0.8:
            return self
        height, width = self.keep.shape[:2]
        size = max(2, round(width * factor)), max(2, round(height * factor))
        parts = [
            None
            if part is None
            else np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.float32)
            for part in (self.keep, self.light)
        ]
        assert parts[0] is not None
        return type(self)(parts[0], parts[1], self.outline * (np.array(size) / (width, height)))

    def worn(self, rng: np.random.Generator) -> Self:
        """The same inked and worn in another way: paler, patchy, of another colour; or lit so."""
        if self.light is not None:
            light = self.light * np.float32(np.exp(rng.normal(0, 0.15)))
            return replace(self, light=np.minimum(light, np.float32(255)))
        keep = self.keep
        if rng.random() < 0.12:
            keep = np.repeat(keep.mean(axis=2, keepdims=True), 3, axis=2)
        elif rng.random() < 0.12:
            keep = keep[..., rng.permutation(3)]
        keep = keep ** np.float32(np.exp(rng.normal(0.0, 0.35)))
        if rng.random() < 0.4:
            height, width = keep.shape[:2]
            noise = smooth_noise(height, width, int(rng.integers(3, 14)), rng)
            inked = np.clip(3.0 * (noise - float(rng.uniform(0.0, 0.4))), 0.0, 1.0)
            keep = 1.0 - (1.0 - keep) * inked[..., None]
        return replace(self, keep=np.asarray(keep, np.float32))

    def altered(self, rng: np.random.Generator) -> Self:
        """A near-copy: some parts exchanged, so that outline and manner stay and the text does not.

        With few pixels it may be mirrored instead.
        """
        keep, light = self.keep.copy(), None if self.light is None else self.light.copy()
        low, size = self.outline.min(axis=0), self.size
        if size.min() < 16 or rng.random() < 0.15:
            flipped = [None if part is None else part[:, ::-1] for part in (keep, light)]
            assert flipped[0] is not None
            mirrored = self.outline * (-1, 1) + (keep.shape[1], 0)
            return type(self)(np.ascontiguousarray(flipped[0]), flipped[1], mirrored)
        for _ in range(int(rng.integers(2, 5))):
            patch = np.maximum(size * rng.uniform(0.14, 0.32, 2), 4.0).astype(int)
            first, second = (
                (low + rng.random(2) * (size - patch)).clip(0).astype(int) for _ in range(2)
            )
            for part in (keep, light):
                if part is not None:
                    _exchange(part, first, second, patch)
        return type(self)(keep, light, self.outline)


@dataclass(frozen=True, eq=False)
class Laid:
    """A wanted mark in a picture.

    Attributes:
        name: What it is called.
        box: (4,) in pixels of the picture, as far as the picture goes.
        counts: Whether enough of it is seen.
    """

    name: str
    box: FloatArray
    counts: bool


@dataclass(frozen=True, eq=False)
class Composite:
    """A picture, (H, W, 3) uint8 RGB, and the wanted marks in it."""

    pixels: Pixels
    marks: tuple[Laid, ...]


class CompositeStudio:
    """Makes composites; one per process, as grounds are cached in it.

    Args:
        marks: The wanted marks by name, one or more of each.
        backgrounds: Folder of pictures that do not show them; None for paper and plain surfaces.
        seed: Decides on grounds and on other stamps.
        part: What they are for: each has grounds and other stamps of its own, as far as the
            folder has pictures.

    Attributes:
        pictures: Those of the folder that its grounds are.

    Raises:
        DatasetError: There are no pictures in the folder, or, later, none that can be read.
    """

    def __init__(
        self,
        marks: Mapping[str, Sequence[Overlay]],
        backgrounds: Path | None = None,
        *,
        seed: int = 0,
        part: Part = "learn",
    ) -> None:
        self._marks = {name: tuple(overlays) for name, overlays in marks.items()}
        self.pictures = _pictures(backgrounds, part) if backgrounds else []
        self._seed = (seed, get_args(Part).index(part))
        fonts = StampFonts(None)
        self._designs, self._pages = DesignStudio(fonts, ()), PageStudio(fonts.folder)
        self._ground = lru_cache(maxsize=_KEPT_GROUNDS)(self._make_ground)
        self._other = lru_cache(maxsize=_KEPT_OTHERS)(self._make_other)

    def window(self, side: int, rng: np.random.Generator) -> Composite:
        """A square part of a picture, with marks of any size."""
        return self._compose(side, side, (_LEAST_SIDE, 0.95 * side), rng)

    def picture(self, rng: np.random.Generator) -> Composite:
        """A whole picture as a scanner or a phone gives it, with marks of 6 to 50% of its length.

        The wanted mark is missing in a third of them.
        """
        long_side = int(rng.integers(640, 1100))
        height, width = long_side, round(long_side * float(rng.uniform(0.6, 1.0)))
        if rng.random() < 0.4:
            height, width = width, height
        made = self._compose(height, width, (0.06 * long_side, 0.5 * long_side), rng)
        capture = Scanner.usual(rng).capture(made.pixels, rng)
        sides = capture.pixels.shape[1::-1]
        marks = []
        for mark in made.marks:
            corners = apply_homography(capture.to_picture, box_to_quad(mark.box))
            marks.append(replace(mark, box=clip_boxes(quad_to_box(corners), *sides)))
        return Composite(capture.pixels, tuple(marks))

    def _compose(
        self, height: int, width: int, sides: tuple[float, float], rng: np.random.Generator
    ) -> Composite:
        ground = self._ground(int(rng.integers(_KEPT_GROUNDS)))
        canvas = random_window(ground, height, width, rng)
        name = str(rng.choice(list(self._marks)))
        wanted = self._marks[name][int(rng.integers(len(self._marks[name])))]
        taken: list[FloatArray] = []
        marks: list[Laid] = []
        if rng.random() < 0.67:
            laid = _lay(canvas, wanted.worn(rng), sides, taken, rng)
            if laid is not None:
                seen = laid.seen * _hide(canvas, laid.box, rng)
                box = clip_boxes(laid.box, width, height)
                marks.append(Laid(name, np.asarray(box), seen >= _LEAST_SEEN))
        for _ in range(int(rng.poisson(0.8))):
            other = self._other(int(rng.integers(_KEPT_OTHERS)))
            _lay(canvas, other.worn(rng), sides, taken, rng)
        if rng.random() < 0.3:
            _lay(canvas, wanted.altered(rng).worn(rng), sides, taken, rng)
        if rng.random() < 0.4:
            canvas = compressed(canvas, int(rng.integers(40, 95)))
        return Composite(canvas, tuple(marks))

    def _make_ground(self, index: int) -> Pixels:
        rng = np.random.default_rng((*self._seed, 1, index))
        if self.pictures and rng.random() >= _BUILT_IN:
            return self._photo(int(rng.integers(len(self.pictures))))
        if rng.random() < _SURFACES:
            return surface(int(rng.integers(500, 1000)), int(rng.integers(500, 1000)), rng)
        return self._pages.page(rng, float(rng.uniform(*_GROUND_DPI)))

    def _photo(self, index: int) -> Pixels:
        """A picture of the folder, or the next one that can be read.

        Raises:
            DatasetError: None can be.
        """
        for path in (*self.pictures[index:], *self.pictures[:index]):
            try:
                pixels = Image.read(path).pixels
            except InputError:
                continue
            scale = min(1.0, _GROUND_SIDE / max(pixels.shape[:2]))
            size = max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale))
            return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
        raise DatasetError(
            "no picture in it can be read; give JPEG, PNG or WebP", file=self.pictures[0].parent
        )

    def _make_other(self, index: int) -> Overlay:
        rng = np.random.default_rng((*self._seed, 2, index))
        design = self._designs.design(rng)
        scale = _OTHER_SIDE / max(design.width_mm, design.height_mm)
        imprint = Imprint.press(design, scale, 0.0, Ink.sound(rng), rng)
        sides = np.ceil(imprint.box[2:] - imprint.box[:2]).astype(int) + 8
        page = np.full((sides[1], sides[0], 3), 255, np.uint8)
        imprint.at(sides[0] / 2, sides[1] / 2).stamp(page)
        return Overlay.of_ink(np.asarray(page / np.float32(255), np.float32))


@dataclass(frozen=True, eq=False)
class _Placed:
    """Where an overlay came to lie: its whole box (4,), and how much of it is in the picture."""

    box: FloatArray
    seen: float


def _lay(
    canvas: Pixels,
    overlay: Overlay,
    sides: tuple[float, float],
    taken: list[FloatArray],
    rng: np.random.Generator,
) -> _Placed | None:
    """Lay a mark on a picture, in place, at any size, turn and tilt.

    Args:
        canvas: The picture.
        overlay: The mark.
        sides: Least and greatest longer side in pixels.
        taken: Boxes that it does not touch, to which its own is added.
        rng: Decides on everything.

    Returns:
        Where it is; None where there is no room for it.
    """
    height, width = canvas.shape[:2]
    own = overlay.size
    longer = float(np.exp(rng.uniform(*np.log(sides))))
    across = float(own[0] / own.max() * longer)
    aspect = float(own[0] / own[1])
    tilted = rng.random() < 0.3
    flat = box_to_quad((-across / 2, -across / aspect / 2, across / 2, across / aspect / 2))
    quad = tilted_quad(across, aspect, rng, Pose(15.0, 10.0, 0.0)) if tilted else flat
    turn = float(rng.uniform(-np.pi, np.pi)) if rng.random() < 0.35 else float(rng.normal(0, 0.1))
    cosine, sine = np.cos(turn), np.sin(turn)
    quad = quad @ np.array([[cosine, sine], [-sine, cosine]])
    fine = overlay.shrunk(1.5 * longer / float(own.max()))
    corners = box_to_quad(np.concatenate([fine.outline.min(axis=0), fine.outline.max(axis=0)]))
    matrix = homography(corners, quad)
    box = quad_to_box(apply_homography(matrix, fine.outline))
    spot = _spot(canvas, box, taken, rng, ink=overlay.light is None)
    if spot is None:
        return None
    box = box + np.tile(spot, 2)
    taken.append(box)
    matrix = translation(*spot) @ matrix
    inside = clip_boxes(box, width, height)
    left, top = np.maximum(np.floor(inside[:2]).astype(int) - 2, 0).tolist()
    right, bottom = np.minimum(np.ceil(inside[2:]).astype(int) + 2, (width, height)).tolist()
    part = canvas[top:bottom, left:right]
    if overlay.light is None and float(part.mean()) < _DARK_GROUND:
        _lay_paper(canvas, quad + spot, rng)
    to_part, size = translation(-left, -top) @ matrix, (right - left, bottom - top)
    lit = part * warp(fine.keep, to_part, size, fill=1.0)
    if fine.light is not None:
        lit += warp(fine.light, to_part, size)
    part[:] = np.rint(lit).clip(0, 255)
    return _Placed(box, float(coverage_matrix(box, (0.0, 0.0, width, height))[0, 0]))


def _spot(
    canvas: Pixels,
    box: FloatArray,
    taken: Sequence[FloatArray],
    rng: np.random.Generator,
    *,
    ink: bool,
) -> FloatArray | None:
    """By how much to move a box to a free place: ink mostly to the lightest of some."""
    sides = np.array(canvas.shape[1::-1], np.float64)
    size = box[2:] - box[:2]
    beyond = 0.4 * size if rng.random() < 0.12 else np.zeros(2)  # across the edge of the picture
    room = sides - size + 2 * beyond
    if (room < 0).any():
        return None
    free: list[tuple[float, FloatArray]] = []
    for _ in range(_PLACES):
        corner = rng.random(2) * room - beyond
        moved = np.concatenate([corner, corner + size])
        if all(coverage_matrix(moved, other)[0, 0] < 0.02 for other in taken):
            left, top, right, bottom = clip_boxes(moved, *canvas.shape[1::-1]).astype(int).tolist()
            light = float(canvas[top : bottom + 1 : 3, left : right + 1 : 3].mean()) if ink else 0.0
            free.append((light, corner - box[:2]))
    if not free:
        return None
    lightest = max(free, key=lambda place: place[0])
    return (lightest if rng.random() < 0.7 else free[0])[1]


def _lay_paper(canvas: Pixels, quad: FloatArray, rng: np.random.Generator) -> None:
    """Glue a piece of light paper beneath a mark, in place."""
    middle = quad.mean(axis=0)
    corners = middle + (quad - middle) * rng.uniform(1.1, 1.6)
    tone = np.clip(rng.uniform(185, 250) + rng.normal(0, 8, 3), 0, 255).tolist()
    cv2.fillConvexPoly(canvas, np.rint(corners * 16).astype(np.int32), tone, cv2.LINE_AA, 4)


def _hide(canvas: Pixels, box: FloatArray, rng: np.random.Generator) -> float:
    """Write or lay something over a part of a mark at times, in place.

    Returns:
        How much of it still shows.
    """
    size = box[2:] - box[:2]
    chance = rng.random()
    if chance < 0.12:
        width, height = (float(rng.uniform(0.6, 1.2)) * size).round().astype(int).tolist()
        mask, colour = signature(width, height, float(size.max()) / 38.0, rng)
        x, y = (box[:2] + rng.uniform(-0.3, 0.4, 2) * size).round().astype(int).tolist()
        print_ink(canvas, mask, x, y, colour)
    elif chance < 0.24:
        share = float(rng.uniform(0.1, 0.5))
        axis, end = int(rng.integers(2)), int(rng.integers(2))
        cover = box.copy()
        cover[axis + 2 * (1 - end)] = (
            cover[axis] + share * size[axis] if not end else cover[axis + 2]
        )
        if end:
            cover[axis] = cover[axis + 2] - share * size[axis]
        left, top, right, bottom = (
            clip_boxes(cover, *canvas.shape[1::-1]).round().astype(int).tolist()
        )
        canvas[top:bottom, left:right] = rng.uniform(20, 250, 3)
        return 1.0 - share
    return 1.0


def _exchange(
    part: NDArray[np.float32], first: FloatArray, second: FloatArray, size: NDArray[np.int_]
) -> None:
    """Exchange two rectangles (top left x, y each) of a picture, in place."""
    (x, y), (u, v), (w, h) = first.tolist(), second.tolist(), size.tolist()
    h = min(h, part.shape[0] - y, part.shape[0] - v)
    w = min(w, part.shape[1] - x, part.shape[1] - u)
    kept = part[y : y + h, x : x + w].copy()
    part[y : y + h, x : x + w] = part[v : v + h, u : u + w]
    part[v : v + h, u : u + w] = kept


def _outline(seen: NDArray[np.bool_]) -> FloatArray:
    """Points about what is seen (H, W), (P, 2): its convex hull."""
    rows, columns = np.nonzero(seen)
    if not len(rows):
        return box_to_quad((0.0, 0.0, seen.shape[1], seen.shape[0]))
    points = np.concatenate([np.column_stack([columns + dx, rows + dy]) for dx, dy in _CORNERS])
    hull = cv2.convexHull(points.astype(np.float32))[:, 0]
    return np.asarray(hull[:: max(1, len(hull) // _OUTLINE_POINTS)], np.float64)


_CORNERS = ((0, 0), (1, 0), (1, 1), (0, 1))


def _pictures(folder: Path, part: Part) -> list[Path]:
    """Pictures of a folder: every fifth to choose by, every fifth to report on, the rest to learn.

    All of them where there are fewer.
    """
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
    if not found:
        raise DatasetError("there are no pictures in it to lay the mark on", file=folder)
    parts: tuple[Part, ...] = ("report", "choose", "learn", "learn", "learn")
    own = [path for number, path in enumerate(found) if parts[number % len(parts)] == part]
    return own if len(found) >= len(parts) else found
