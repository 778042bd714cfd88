"""Pairs of synthetic imprints on a canvas, and where their designs differ.

Where near-copies differ is known, since the clean designs are: it is where one has ink and the
other has none. A difference that the imprints do not show, because either has no ink there, is not
learned from.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from platemark.evaluate.pairs import differing_places, shows_ink
from platemark.geometry import FloatArray, apply_homography, homography
from platemark.imaging.image import Image, Pixels, read_grey
from platemark.imaging.warp import warp
from platemark.matching.alignment import align
from platemark.matching.overlay import frame_to_canvas, on_canvas
from platemark.matching.template import INKED, InkTemplate
from platemark.models.card import ComparerPreprocess
from platemark.models.preprocess import ink_input
from platemark.train.nets.comparer import PLANES, STRIDE
from platemark.train.pictures import photometric, shrink

SPEC = ComparerPreprocess(content=256, margin=16)
"""How pairs are laid out, in training and in use."""
UNCLEAR = 255
"""What a map of differences has where it is not known."""

Kind = Literal["same", "near", "misplaced", "different"]
_SHARES: dict[Kind, float] = {"same": 0.42, "near": 0.35, "misplaced": 0.05, "different": 0.18}
# Shares of the strangers that are alike from afar, and that are laid as an alignment lays them.
_ALIKE, _ALIGNED = 0.7, 0.7
# Pixels of width and height of a design from afar; strangers like it that are known of each.
_AFAR, _MOST_ALIKE = 24, 12

_SIDE, _LOW = SPEC.content + 2 * SPEC.margin, 192
# Shares of the pairs that have exact ink, as of good scans, and that have no pictures.
_CLEAN, _INK_ALONE = 0.3, 0.25
# Corners are off by this part of the diagonal, in the middle of an alignment's errors.
_MISLAID = (0.0015, 0.014)
_MOST_CHANGED = 0.3
_LEAST_SHOWN = 0.3
# Pixels of the canvas that a window is wide and high: some letters and what is around them.
_WINDOW = 96


@dataclass(frozen=True, eq=False)
class PairedImprint:
    """One imprint kept in memory, as bytes of a JPEG and of PNGs of one size.

    Attributes:
        picture: the imprint and its surroundings.
        found: ink that the segmenter found in it, uint8 in 0..255.
        exact: its ink, 255 or 0.
        corners: (4, 2) of its design in it.
        text: what it says.
    """

    picture: bytes
    found: bytes
    exact: bytes
    corners: FloatArray
    text: str | None


@dataclass
class PairedDesign:
    """One stamp: its imprints, and its clean artwork (PNG bytes) with its corners and its text.

    Strangers that are ``alike`` from afar, such as other seals with a star in a ring, are those
    that a registry proposes for it.
    """

    imprints: list[PairedImprint] = field(default_factory=list)
    artwork: bytes | None = None
    corners: FloatArray = field(default_factory=lambda: np.zeros((4, 2)))
    text: str | None = None
    wide: bool = False
    alike: list["PairedDesign"] = field(default_factory=list)

    def coverage(self) -> Pixels:
        """(H, W) uint8, 255 for ink."""
        assert self.artwork is not None, "designs without artwork are left out"
        return read_grey(self.artwork)


Family = list[PairedDesign]


def find_alike(families: Sequence[Family]) -> None:
    """Note for every design the strangers that are most like it from afar.

    Args:
        families: of designs that have artwork, which is upright.
    """
    designs = [design for family in families for design in family]
    own = np.array([number for number, family in enumerate(families) for _ in family])
    seen = np.array([_from_afar(design) for design in designs])
    most = min(_MOST_ALIKE, len(designs) - 1)
    for start in range(0, len(designs), 256):
        some = slice(start, start + 256)
        likeness = np.where(own[some, None] == own, -np.inf, seen[some] @ seen.T)
        best = np.argpartition(-likeness, most, axis=1)[:, :most]
        for design, family, others in zip(designs[some], own[some], best.tolist(), strict=True):
            design.alike = [designs[other] for other in others if own[other] != family]


def _from_afar(design: PairedDesign) -> NDArray[np.float32]:
    """The artwork as a short vector (D,) of unit length, or 0 where it is all alike."""
    ink = ink_input(np.asarray(design.coverage(), np.float32) / np.float32(255), 4 * _AFAR)
    small = cv2.resize(ink, (_AFAR, _AFAR), interpolation=cv2.INTER_AREA).astype(np.float32)
    blurred = _blurred(small, 0.7).ravel()
    blurred -= blurred.mean()
    return blurred / np.float32(max(1e-6, float(np.linalg.norm(blurred))))


class Pair(NamedTuple):
    """Two imprints, their designs, and what is known of them."""

    kind: Kind
    a: PairedImprint
    b: PairedImprint
    designs: tuple[PairedDesign, PairedDesign]


class SeenPair(NamedTuple):
    """A pair on its canvas.

    Attributes:
        canvas: (H, W, 6) uint8, as of :func:`platemark.matching.overlay.overlay`.
        differs: (H / 4, W / 4) uint8: 1 where the designs differ, 0 where they do not, 255 unclear.
        same: whether one stamp made both, and they are laid on each other rightly; of a window,
            whether nothing differs in it.
        known: whether the imprints show it.
    """

    canvas: Pixels
    differs: Pixels
    same: bool
    known: bool


def sample_pair(
    families: Sequence[Family], others: Sequence[Family], rng: np.random.Generator
) -> Pair | None:
    """Two imprints of a random family, or one of it and a stranger; None where it has no such."""
    family = families[int(rng.integers(len(families)))]
    kinds = list(_SHARES)
    kind = kinds[int(rng.choice(len(kinds), p=list(_SHARES.values())))]
    first = family[int(rng.integers(len(family)))]
    second = first
    if kind == "near":
        copies = [design for design in family if design is not first]
        if not copies:
            return None
        second = copies[int(rng.integers(len(copies)))]
    elif kind == "different":
        strangers = others[int(rng.integers(len(others)))]
        if strangers is family:
            return None
        if first.alike and rng.random() < _ALIKE:
            strangers = first.alike
        second = strangers[int(rng.integers(len(strangers)))]
    a = first.imprints[int(rng.integers(len(first.imprints)))]
    b = second.imprints[int(rng.integers(len(second.imprints)))]
    redated = a.text != first.text or b.text != second.text
    if a is b or (kind == "same" and a.text != b.text) or (kind == "near" and redated):
        return None
    return Pair(kind, a, b, (first, second))


def template(imprint: PairedImprint) -> InkTemplate:
    """An imprint as it is matched in use."""
    return InkTemplate.of(read_grey(imprint.found), Image.read(imprint.picture).pixels)


def augmented_pair(pair: Pair, wide: bool, rng: np.random.Generator) -> SeenPair | None:
    """A pair on a canvas, nearly aligned, never the same twice; None where one has no ink.

    Args:
        pair: the imprints.
        wide: whether the canvas is a low one.
        rng: decides on the rest.
    """
    clean, alone = rng.random() < _CLEAN, rng.random() < _INK_ALONE
    a, b = (_augmented(imprint, clean, alone, rng) for imprint in (pair.a, pair.b))
    if 0.0 in (a.radius, b.radius):
        return None
    corners_a, corners_b = (
        apply_homography(ink.to_frame, imprint.corners)
        for ink, imprint in ((a, pair.a), (b, pair.b))
    )
    matrix = _laid(pair.kind, (a, b), (corners_a, corners_b), rng)
    size = (_SIDE, _LOW if wide else _SIDE)
    upright = wide and a.half[1] > a.half[0]
    width, height = size[::-1] if upright else size
    to_canvas = frame_to_canvas(SPEC, width, height)
    b_to_canvas = to_canvas @ np.linalg.inv(matrix)
    canvas = on_canvas(SPEC, a, b, (to_canvas, b_to_canvas), (width, height))
    differs, known = _differences(pair, (a, b), (to_canvas, b_to_canvas), (width, height))
    if rng.random() < 0.5:
        canvas = np.concatenate([canvas[..., PLANES:], canvas[..., :PLANES]], axis=2)
    turns = int(upright) + 2 * int(rng.integers(2))
    turns += 0 if wide else int(rng.integers(2))
    canvas, differs = (np.rot90(picture, turns) for picture in (canvas, differs))
    if rng.random() < 0.5:
        canvas, differs = canvas[:, ::-1], differs[:, ::-1]
    same = pair.kind == "same"
    return SeenPair(np.ascontiguousarray(canvas), np.ascontiguousarray(differs), same, known)


def windows(seen: SeenPair, rng: np.random.Generator) -> list[SeenPair]:
    """Three parts of a canvas that have ink, two with a difference where any is known.

    A changed letter is some hundredth of a stamp, so that a canvas shows little else. Parts of
    which it is not known whether they differ are left out.
    """
    inked = np.argwhere(seen.canvas[::STRIDE, ::STRIDE, [0, PLANES]].max(axis=2) >= INKED)
    changed = np.argwhere(seen.differs == 1)
    pools = [inked] + 2 * [changed if len(changed) else inked]
    parts = [_window(seen, pool[int(rng.integers(len(pool)))], rng) for pool in pools if len(pool)]
    return [part for part in parts if part.known]


def _window(seen: SeenPair, place: NDArray[np.intp], rng: np.random.Generator) -> SeenPair:
    """The window that has a place (2,) of the map, row and column, in its inner half."""
    side = _WINDOW // STRIDE
    first = place - rng.integers(side // 4, side - side // 4, 2)
    row, column = np.clip(first, 0, np.array(seen.differs.shape) - side).tolist()
    differs = seen.differs[row : row + side, column : column + side]
    top, left = STRIDE * row, STRIDE * column
    canvas = seen.canvas[top : top + _WINDOW, left : left + _WINDOW]
    shown = bool((differs == 1).any())
    return SeenPair(canvas, differs, not shown, shown or bool((differs == 0).all()))


def _augmented(
    imprint: PairedImprint, clean: bool, alone: bool, rng: np.random.Generator
) -> InkTemplate:
    """An imprint in another light, at times with less detail.

    Args:
        imprint: the imprint.
        clean: whether its ink is exact, as of a good scan; at times it is anyway.
        alone: whether it has no picture; at times it has none anyway.
        rng: decides on the rest.
    """
    ink = read_grey(imprint.exact if clean or rng.random() < 0.1 else imprint.found)
    pixels = photometric(Image.read(imprint.picture).pixels, rng)
    if rng.random() < 0.2:
        factor = float(rng.uniform(0.4, 0.9))
        size = pixels.shape[1::-1]
        pixels, ink = (
            np.asarray(cv2.resize(shrink(one, factor), size), np.uint8) for one in (pixels, ink)
        )
    return InkTemplate.of(ink, None if alone or rng.random() < 0.05 else pixels)


def _laid(
    kind: Kind,
    inks: tuple[InkTemplate, InkTemplate],
    corners: tuple[FloatArray, FloatArray],
    rng: np.random.Generator,
) -> FloatArray:
    """Homography (3, 3) between the frames: nearly the right one, as an alignment finds it."""
    corners_a, corners_b = corners
    if kind == "different" and rng.random() < _ALIGNED:
        ways = align(*inks, quick=True)
        return ways[int(rng.integers(len(ways)))].matrix
    if kind == "different":
        turned = _turning(float(rng.integers(4)) * np.pi / 2 + float(rng.normal(0, 0.2)))
        turned[:2, :2] *= np.exp(rng.normal(0, 0.05))
        return turned
    target = corners_b
    diagonal = float(np.linalg.norm(corners_b[2] - corners_b[0]))
    if kind == "misplaced":
        middle = corners_b.mean(axis=0)
        turn = np.pi if rng.random() < 0.5 else float(rng.uniform(0.1, 6.2))
        target = (corners_b - middle) @ _turning(turn)[:2, :2].T + middle
        target = target + rng.normal(0, 0.03, 2) * diagonal
    error = float(np.exp(rng.uniform(*np.log(_MISLAID)))) * diagonal
    target = target + rng.normal(0, 0.6 * error, 2) + rng.normal(0, 0.5 * error, (4, 2))
    return homography(corners_a, target)


def _turning(angle: float) -> FloatArray:
    """Homography (3, 3) that turns about the origin, by radians."""
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])


def _differences(
    pair: Pair,
    inks: tuple[InkTemplate, InkTemplate],
    to_canvas: tuple[FloatArray, FloatArray],
    size: tuple[int, int],
) -> tuple[Pixels, bool]:
    """Where the designs of a pair differ, and whether the imprints show it.

    Args:
        pair: the imprints.
        inks: the same as templates.
        to_canvas: homographies (3, 3) from the frame of each to the canvas.
        size: width and height of the canvas.

    Returns:
        The map of :class:`SeenPair`, and whether a difference is to be seen, or there is none.
    """
    small = (size[0] // STRIDE, size[1] // STRIDE)
    unclear = np.full(small[::-1], UNCLEAR, np.uint8)
    if pair.kind == "same":
        return np.zeros_like(unclear), True
    if pair.kind != "near":
        return unclear, True
    corners = apply_homography(to_canvas[0] @ inks[0].to_frame, pair.a.corners)
    designs = [
        _lay(design.coverage(), homography(design.corners, corners), size)
        for design in pair.designs
    ]
    exact = [
        _lay(read_grey(imprint.exact), matrix @ ink.to_frame, size)
        for imprint, ink, matrix in zip((pair.a, pair.b), inks, to_canvas, strict=True)
    ]
    change = np.abs(designs[0] - designs[1])
    clear = differing_places(designs[0], designs[1], SPEC.content)
    apart = _blurred(change, SPEC.content / 20) < 0.01
    known = bool(clear.any()) and all(
        shows_ink(design, printed, clear, _LEAST_SHOWN)
        for design, printed in zip(designs, exact, strict=True)
    )
    if np.count_nonzero(change > 0.5) > _MOST_CHANGED * float(np.maximum(*designs).sum()):
        return unclear, known  # a line moved along, and its letters with it
    unclear[cv2.resize(apart.astype(np.uint8), small, interpolation=cv2.INTER_NEAREST) > 0] = 0
    if known:
        there = cv2.resize(clear.astype(np.float32), small, interpolation=cv2.INTER_AREA) > 0.5
        unclear[there] = 1
    return unclear, known


def _lay(picture: Pixels, matrix: FloatArray, size: tuple[int, int]) -> NDArray[np.float32]:
    """A picture (H, W) uint8 taken to the canvas, in 0..1."""
    return warp(picture, matrix, size).astype(np.float32) / np.float32(255)


def _blurred(picture: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.float32)
