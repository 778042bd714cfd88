"""Teaches the comparer: pairs of drawn imprints, of one stamp and of its near-copies.

Where near-copies differ is known, since the clean designs are: it is where one has ink and the
other has none. A difference that the imprints do not show, because either has no ink there, is not
learned from.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from platemark.datasets.manifest import Manifest, ManifestEntry, StampAnnotation, family_of
from platemark.geometry import FloatArray, apply_homography, homography
from platemark.imaging.image import Image, Pixels
from platemark.matching.overlay import drawn, frame_to_canvas
from platemark.matching.template import InkTemplate, centred
from platemark.models.card import ComparerPreprocess, ModelCard
from platemark.synth.photos import read_grey, read_photo
from platemark.tasks.segmenter import Segmenter
from platemark.train.calibrate import calibrate_comparer
from platemark.train.loop import Batch, Schedule
from platemark.train.nets.comparer import LOOKS, STRIDE
from platemark.train.pictures import ahead, is_held_out, relight, shrink

_HELD_OUT = 0.06
_VALIDATED = 400
_CALIBRATED = 300
_STORED_LONG_SIDE = 400
_WIDE = 1.7
"""Designs so many times longer than they are high are compared on lower canvases."""

Kind = Literal["same", "near", "misplaced", "different"]
_SHARES: dict[Kind, float] = {"same": 0.46, "near": 0.42, "misplaced": 0.05, "different": 0.07}
_UNCLEAR = 255

SPEC = ComparerPreprocess(content=256, margin=16)
_SIDE, _LOW = SPEC.content + 2 * SPEC.margin, 192
_INK_ALONE = 0.12
_MISLAID = (0.0015, 0.014)
"""Corners are off by this part of the diagonal, in the middle of an alignment's errors."""
_MOST_CHANGED = 0.3
_LEAST_SHOWN = 0.3


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

    picture: Pixels
    found: Pixels
    exact: Pixels
    corners: FloatArray
    text: str | None


@dataclass
class PairedDesign:
    """One stamp: its imprints, and its clean artwork (PNG bytes) with its corners and its text."""

    imprints: list[PairedImprint] = field(default_factory=list)
    artwork: Pixels | None = None
    corners: FloatArray = field(default_factory=lambda: np.zeros((4, 2)))
    text: str | None = None
    wide: bool = False

    def coverage(self) -> Pixels:
        """(H, W) uint8, 255 for ink."""
        assert self.artwork is not None, "designs without artwork are left out"
        return _grey(self.artwork)


Family = list[PairedDesign]


class Pair(NamedTuple):
    """Two imprints, their designs, and what is known of them."""

    kind: Kind
    a: PairedImprint
    b: PairedImprint
    designs: tuple[PairedDesign, PairedDesign]


class ComparerTask:
    """Data and loss of the comparer; see :class:`platemark.train.loop.Task`.

    Args:
        manifests: annotated pictures of the train split: ``crop`` imprints that have a mask and a
            quad, and the ``isolated`` artworks of their designs; near-copies share the key
            ``family``.
        segmenter: finds the ink of the imprints as it will be found in use; the bundled one by
            default.
    """

    def __init__(self, manifests: Sequence[Path], segmenter: Segmenter | None = None) -> None:
        self._segmenter = segmenter or Segmenter.from_pretrained()
        known: dict[str, dict[str, PairedDesign]] = {}
        for path in manifests:
            self._load(path, known)
        self.families: list[Family] = []
        self.validation: list[Family] = []
        for name, designs in sorted(known.items()):
            usable = [
                design
                for design in designs.values()
                if design.imprints and design.artwork is not None
            ]
            if sum(len(design.imprints) for design in usable) > 1:
                held_out = is_held_out(name, _HELD_OUT)
                (self.validation if held_out else self.families).append(usable)
        self._wide = [family for family in self.families if family[0].wide]
        self._other = [family for family in self.families if not family[0].wide]

    def _load(self, path: Path, known: dict[str, dict[str, PairedDesign]]) -> None:
        manifest = Manifest.read(path, split="train")
        for entry in manifest:
            for stamp in entry.stamps:
                if stamp.identity is None or stamp.quad is None:
                    continue
                family = known.setdefault(family_of(entry, stamp) or stamp.identity, {})
                design = family.setdefault(stamp.identity, PairedDesign())
                if entry.kind == "isolated":
                    design.artwork = _png(read_photo(manifest.path(entry)).max(axis=2))
                    design.corners, design.text = stamp.corners, stamp.text
                    sides = np.linalg.norm(np.diff(stamp.corners[:3], axis=0), axis=1)
                    design.wide = bool(sides.max() > _WIDE * sides.min())
                elif stamp.mask:
                    design.imprints.append(self._imprint(manifest, entry, stamp))

    def _imprint(
        self, manifest: Manifest, entry: ManifestEntry, stamp: StampAnnotation
    ) -> PairedImprint:
        pixels = read_photo(manifest.path(entry))
        exact = read_grey(manifest.root / str(stamp.mask))
        (soft,) = self._segmenter(Image.read(pixels), [stamp.box])
        found = np.zeros(pixels.shape[:2], np.uint8)
        height, width = soft.probability.shape
        part = found[soft.top : soft.top + height, soft.left : soft.left + width]
        part[:] = np.rint(255 * soft.probability)
        corners = stamp.corners
        factor = _STORED_LONG_SIDE / max(pixels.shape[:2])
        if factor < 1:
            before = pixels.shape[1::-1]
            pixels, exact, found = (shrink(one, factor) for one in (pixels, exact, found))
            corners = corners * (np.array(pixels.shape[1::-1]) / before)
        quality = [cv2.IMWRITE_JPEG_QUALITY, 92]
        picture = np.asarray(cv2.imencode(".jpg", pixels[..., ::-1], quality)[1], np.uint8)
        return PairedImprint(picture, _png(found), _png(exact), corners, stamp.text)

    def size(self) -> int:
        """Imprints to learn from."""
        return sum(len(design.imprints) for family in self.families for design in family)

    def steps_per_epoch(self, schedule: Schedule) -> int:
        """Batches that show about every imprint once."""
        return max(1, self.size() // (2 * schedule.batch))

    def batches(self, schedule: Schedule, start: int) -> Iterator[Batch]:
        """Pairs as :func:`drawn_pair` gives them, stacked; every third batch of wide designs."""
        return ahead(partial(self._batch, schedule), start)

    def _batch(self, schedule: Schedule, step: int) -> Batch:
        rng = np.random.default_rng((schedule.seed, step))
        wide = bool(self._wide) and (step % 3 == 2 or not self._other)
        pool = self._wide if wide else self._other
        count = round(1.5 * schedule.batch) if wide else schedule.batch
        turned = int(rng.integers(2))
        made: list[SeenPair] = []
        while len(made) < count:
            pair = draw_pair(pool, self.families, rng)
            seen = None if pair is None else drawn_pair(pair, wide, rng)
            if seen is not None:
                made.append(seen)
        return _stacked(made, turned)

    def losses(self, net: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Of the pairs, and of the places where designs differ, do not, or have no ink."""
        canvases, maps, same, known = batch
        odds, differs = net(scale(canvases))
        pair = functional.binary_cross_entropy_with_logits(odds, same, reduction="none")
        target = (maps == 1).float()
        entropy = functional.binary_cross_entropy_with_logits(differs, target, reduction="none")
        wrong = entropy * (maps != _UNCLEAR)
        there, elsewhere = maps == 1, maps == 0
        return {
            "pair": (pair * known).sum() / known.sum().clamp(min=1),
            "differs": (wrong * there).sum() / there.sum().clamp(min=64),
            "agrees": (wrong * elsewhere).sum() / elsewhere.sum().clamp(min=1)
            + (wrong * elsewhere).amax(dim=(1, 2)).mean() * 0.02,
        }

    def calibrate(self, folder: Path) -> ModelCard:
        """Fit the scores to held-out pairs that are aligned as in use."""
        rng = np.random.default_rng(1)
        tries = _CALIBRATED if self.validation else 0
        drawn_pairs = [draw_pair(self.validation, self.validation, rng) for _ in range(tries)]
        return calibrate_comparer(
            folder,
            [
                (template(pair.a), template(pair.b), pair.kind == "same")
                for pair in drawn_pairs
                if pair is not None and pair.kind != "misplaced"
            ],
        )

    @torch.no_grad()
    def validate(self, net: nn.Module) -> dict[str, float]:
        """Share of held-out pairs judged rightly, by kind, where they are laid nearly right."""
        rng = np.random.default_rng(0)
        device = next(net.parameters()).device
        right: dict[str, list[bool]] = {}
        for _ in range(_VALIDATED if self.validation else 0):
            pair = draw_pair(self.validation, self.validation, rng)
            seen = None if pair is None else drawn_pair(pair, False, rng)
            if pair is not None and seen is not None and seen.known:
                odds, _ = net(scale(torch.from_numpy(seen.canvas[None]).to(device)))
                right.setdefault(pair.kind, []).append(bool((odds > 0).item() == seen.same))
        return {kind: round(float(np.mean(said)), 4) for kind, said in sorted(right.items())}


class SeenPair(NamedTuple):
    """A pair on its canvas.

    Attributes:
        canvas: (H, W, 6) uint8, as of :func:`platemark.matching.overlay.overlay`.
        differs: (H / 4, W / 4) uint8: 1 where the designs differ, 0 where they do not, 255 unclear.
        same: whether one stamp made both, and they are laid on each other rightly.
        known: whether the imprints show it.
    """

    canvas: Pixels
    differs: Pixels
    same: bool
    known: bool


def scale(canvases: Tensor) -> Tensor:
    """(N, H, W, 6) uint8 to the network's (N, 6, H, W) float32 in 0..1, as the exported graph."""
    floats = canvases.permute(0, 3, 1, 2).float().div(255.0)
    return floats.contiguous(memory_format=torch.channels_last)


def _stacked(pairs: list[SeenPair], turned: int) -> Batch:
    """The batch, at times with rows and columns exchanged."""
    canvases = torch.from_numpy(np.stack([pair.canvas for pair in pairs]))
    maps = torch.from_numpy(np.stack([pair.differs for pair in pairs]))
    if turned:
        canvases, maps = canvases.transpose(1, 2), maps.transpose(1, 2)
    same = torch.tensor([float(pair.same) for pair in pairs])
    known = torch.tensor([float(pair.known) for pair in pairs])
    return canvases, maps, same, known


def draw_pair(
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
        stranger = others[int(rng.integers(len(others)))]
        if stranger is family:
            return None
        second = stranger[int(rng.integers(len(stranger)))]
    a = first.imprints[int(rng.integers(len(first.imprints)))]
    b = second.imprints[int(rng.integers(len(second.imprints)))]
    redated = a.text != first.text or b.text != second.text
    if a is b or (kind == "same" and a.text != b.text) or (kind == "near" and redated):
        return None
    return Pair(kind, a, b, (first, second))


def template(imprint: PairedImprint) -> InkTemplate:
    """An imprint as it is matched in use."""
    return InkTemplate.of(_grey(imprint.found), _colour(imprint.picture))


def drawn_pair(pair: Pair, wide: bool, rng: np.random.Generator) -> SeenPair | None:
    """A pair on a canvas, never the same twice: relit, nearly aligned; None where one has no ink.

    Args:
        pair: the imprints.
        wide: whether the canvas is a low one.
        rng: decides on the rest.
    """
    a, b = (_disturbed(imprint, rng) for imprint in (pair.a, pair.b))
    if 0.0 in (a.radius, b.radius):
        return None
    corners_a, corners_b = (
        apply_homography(ink.to_frame, imprint.corners)
        for ink, imprint in ((a, pair.a), (b, pair.b))
    )
    matrix = _laid(pair.kind, corners_a, corners_b, rng)
    size = (_SIDE, _LOW if wide else _SIDE)
    upright = wide and a.half[1] > a.half[0]
    width, height = size[::-1] if upright else size
    to_canvas = frame_to_canvas(SPEC, width, height)
    b_to_canvas = to_canvas @ np.linalg.inv(matrix)
    canvas = drawn(SPEC, a, b, (to_canvas, b_to_canvas), (width, height))
    differs, known = _differences(pair, (a, b), (to_canvas, b_to_canvas), (width, height))
    if rng.random() < 0.5:
        canvas = np.concatenate([canvas[..., LOOKS:], canvas[..., :LOOKS]], axis=2)
    turns = int(upright) + 2 * int(rng.integers(2))
    turns += 0 if wide else int(rng.integers(2))
    canvas, differs = (np.rot90(picture, turns) for picture in (canvas, differs))
    if rng.random() < 0.5:
        canvas, differs = canvas[:, ::-1], differs[:, ::-1]
    same = pair.kind == "same"
    return SeenPair(np.ascontiguousarray(canvas), np.ascontiguousarray(differs), same, known)


def _disturbed(imprint: PairedImprint, rng: np.random.Generator) -> InkTemplate:
    """An imprint in another light, at times with exact ink, with less detail or without picture."""
    ink = _grey(imprint.exact if rng.random() < 0.15 else imprint.found)
    pixels = relight(_colour(imprint.picture), rng)
    if rng.random() < 0.2:
        factor = float(rng.uniform(0.4, 0.9))
        size = pixels.shape[1::-1]
        pixels, ink = (
            np.asarray(cv2.resize(shrink(one, factor), size), np.uint8) for one in (pixels, ink)
        )
    return InkTemplate.of(ink, pixels if rng.random() > _INK_ALONE else None)


def _laid(
    kind: Kind, corners_a: FloatArray, corners_b: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """Homography (3, 3) between the frames: nearly the right one, as an alignment finds it."""
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
    unclear = np.full(small[::-1], _UNCLEAR, np.uint8)
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
        _lay(_grey(imprint.exact), matrix @ ink.to_frame, size)
        for imprint, ink, matrix in zip((pair.a, pair.b), inks, to_canvas, strict=True)
    ]
    change = np.abs(designs[0] - designs[1])
    differs = (change > 0.5).astype(np.float32)
    amount = _blurred(differs, SPEC.content / 64)
    ink = _blurred(np.maximum(*designs), SPEC.content / 64)
    clear = (amount > 0.25 * ink) & (amount > 0.06)
    apart = _blurred(change, SPEC.content / 20) < 0.01
    known = bool(clear.any()) and all(
        _shown(design, printed, clear) for design, printed in zip(designs, exact, strict=True)
    )
    if float(differs.sum()) > _MOST_CHANGED * float(np.maximum(*designs).sum()):
        return unclear, known  # a line moved along, and its letters with it
    unclear[cv2.resize(apart.astype(np.uint8), small, interpolation=cv2.INTER_NEAREST) > 0] = 0
    if known:
        there = cv2.resize(clear.astype(np.float32), small, interpolation=cv2.INTER_AREA) > 0.5
        unclear[there] = 1
    return unclear, known


def _shown(
    design: NDArray[np.float32], printed: NDArray[np.float32], where: NDArray[np.bool_]
) -> bool:
    """Whether an imprint has ink where its design has some, in the places that matter."""
    wanted = float(design[where].sum())
    near = cv2.dilate(printed, np.ones((5, 5), np.uint8))
    return wanted < 20.0 or float(np.minimum(design, near)[where].sum()) > _LEAST_SHOWN * wanted


def _lay(picture: Pixels, matrix: FloatArray, size: tuple[int, int]) -> NDArray[np.float32]:
    """A picture (H, W) uint8 taken to the canvas, in 0..1."""
    seen = cv2.warpPerspective(picture, centred(matrix), size, flags=cv2.INTER_LINEAR)
    return np.asarray(seen, np.float32) / np.float32(255)


def _blurred(picture: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.float32)


def _png(picture: Pixels) -> Pixels:
    return np.asarray(cv2.imencode(".png", picture)[1], np.uint8)


def _grey(coded: Pixels) -> Pixels:
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE), np.uint8)


def _colour(coded: Pixels) -> Pixels:
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR_RGB), np.uint8)
