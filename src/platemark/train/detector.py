"""Teaches the detector: square windows of scenes, with marks of every size or without any."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from platemark.datasets.manifest import Annotation, Box
from platemark.geometry import box_to_quad, nms
from platemark.imaging.image import Image, Pixels
from platemark.imaging.warp import warp
from platemark.models.card import ModelCard
from platemark.train.batches import Batch
from platemark.train.calibrate import calibrate_detector
from platemark.train.loop import Schedule
from platemark.train.losses import Marks, detection_losses, iou
from platemark.train.pictures import (
    Listed,
    Memory,
    MixedExamples,
    learning_splits,
    photometric,
    shrink,
)

_HELD_OUT = 0.08
_GREY = 114
_SMALLEST = 9.0
_MAX_MARKS = 64
_DECODED_BYTES = 3 * 2**30


@dataclass(frozen=True)
class Framing:
    """How windows show the marks of one kind.

    Attributes:
        stored: pictures are kept with this long side at most, in pixels.
        validated: held-out pictures are processed with this long side, in pixels.
        least: the longer side of a mark is at least this, in pixels of the window,
        most: and at most this share of the window.
        zoom: pictures are enlarged by this at most.
        tilts: whether windows are at times tilted a little; a box is then that of the tilted
            corners, which holds for marks that fill their corners.
        mirrored: share of windows that are mirrored; print and stamps are never seen so, and what
            is to be told by the shape of its text is easier to learn without.
        turned: share of windows that are turned by quarters.
        held_out: synthetic scenes held out at most, beside real photos.
        corners: whether the corners of marks are learned; else those of their boxes are, since
            the rotation of a round seal cannot be told at such sizes.
        as_validated: share of windows at about the scale at which whole pictures will be
            processed; in the others the marks are of any size alike.
    """

    stored: int
    validated: int
    least: float
    most: float
    zoom: float
    tilts: bool
    mirrored: float
    turned: float
    held_out: int
    corners: bool
    as_validated: float


FRAMINGS = {
    "plate": Framing(
        800,
        512,
        least=15.0,
        most=0.8,
        zoom=1.8,
        tilts=True,
        mirrored=0.5,
        turned=0.0,
        held_out=0,
        corners=True,
        as_validated=0.0,
    ),
    "stamp": Framing(
        960,
        832,
        least=14.0,
        most=1.0,
        zoom=3.0,
        tilts=False,
        mirrored=0.0,
        turned=0.15,
        held_out=60,
        corners=False,
        as_validated=0.55,
    ),
}
"""How windows are cut, by kind of mark."""


@dataclass(frozen=True)
class LabelledScene:
    """A picture kept in memory, and its marks.

    Attributes:
        stored: the picture, shrunk as the framing says: (H, W, 3) uint8 RGB, or a JPEG.
        boxes: (M, 4) in its pixels.
        quads: (M, 4, 2); the corners of the box where they are not known.
        has_quad: (M,) bool.
        ignore: (M,) bool, whether it is neither a mark nor background.
    """

    stored: Pixels | bytes
    boxes: NDArray[np.float32]
    quads: NDArray[np.float32]
    has_quad: NDArray[np.bool_]
    ignore: NDArray[np.bool_]

    def pixels(self) -> Pixels:
        """(H, W, 3) uint8 RGB."""
        return Image.read(self.stored).pixels


class Window(NamedTuple):
    """A square cut of a scene: (S, S, 3) uint8 RGB, and the marks in it."""

    pixels: Pixels
    boxes: NDArray[np.float32]
    quads: NDArray[np.float32]
    has_quad: NDArray[np.bool_]
    ignore: NDArray[np.bool_]


class DetectorTask(MixedExamples[LabelledScene]):
    """Data and loss of the detector; see :class:`platemark.train.loop.Task`.

    Args:
        manifests: annotated pictures, of which scenes are used: train is learned from, dev held
            out.
        sides: width and height of the windows, multiples of 32, one after the other; batches of
            larger windows hold fewer of them, so that every step costs the same.
        real_share: part of every batch cut from real photos as they are.
        kind: the marks to learn, a key of :data:`FRAMINGS`.
    """

    judged_by = "f1"

    def __init__(
        self,
        manifests: Sequence[Path],
        sides: Sequence[int] = (256, 448),
        real_share: float = 0.3,
        kind: str = "plate",
    ) -> None:
        self.kind, self.framing = kind, FRAMINGS[kind]
        self.sides = tuple(sides)
        super().__init__(real_share)
        self._memory = Memory(_DECODED_BYTES)
        self._to_hold_out = self.framing.held_out
        for listed in learning_splits(manifests, kind="scene"):
            self._load(listed)

    def _load(self, listed: Listed) -> None:
        entry = listed.entry
        if f"{self.kind}s" not in entry.model_fields_set:
            return  # such marks are not annotated there
        pixels, factor = _read_stored(listed.path, self.framing.stored)
        marks = entry.stamps if self.kind == "stamp" else entry.plates
        scene = _labelled(self._memory.keep(pixels), factor, marks, entry.ignore)
        real = not entry.synthetic
        if listed.is_held_out(entry.image, _HELD_OUT) and (real or self._to_hold_out > 0):
            self._to_hold_out -= not real
            self.validation.append(scene)
        else:
            (self.real if real else self.synthetic).extend([scene] * listed.weight)

    def marks_of(self, example: LabelledScene) -> int:
        """Marks of a scene that count."""
        return int((~example.ignore).sum())

    def batch(self, schedule: Schedule, step: int) -> Batch:
        """(N, S, S, 3) uint8; boxes, quads, has_quad, ignore, present, padded to equal length."""
        rng = np.random.default_rng((schedule.seed, step))
        side = self.sides[step % len(self.sides)]
        size = max(1, round(schedule.batch * (self.sides[0] / side) ** 2))
        scenes = self.choose(size, rng)
        return stack_windows([cut_window(scene, side, rng, self.framing) for scene in scenes])

    def losses(self, net: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Score, box and corner terms."""
        pictures, boxes, quads, has_quad, ignore, present = batch
        predictions = net(normalise(pictures))
        marks = [
            Marks(
                boxes[i, present[i]],
                quads[i, present[i]],
                has_quad[i, present[i]],
                ignore[i, present[i]],
            )
            for i in range(len(pictures))
        ]
        return detection_losses(predictions, marks)

    def calibrate(self, folder: Path) -> ModelCard:
        """Fit detection scores on the held-out pictures."""
        photos = [scene.pixels() for scene in self.validation]
        boxes = [scene.boxes[~scene.ignore] for scene in self.validation]
        ignored = [scene.boxes[scene.ignore] for scene in self.validation]
        return calibrate_detector(folder, photos, boxes, ignored)

    @torch.no_grad()
    def validate(self, net: nn.Module) -> dict[str, float]:
        """Recall at IoU 0.5, false marks per held-out picture and F1, for scores over 0.3."""
        device = next(net.parameters()).device
        found = marks = false = 0
        for scene in self.validation:
            picture, boxes = _fit_picture(scene, self.framing.validated)
            predictions = net(normalise(torch.from_numpy(picture)[None]).to(device))
            kept = _suppress(predictions.boxes[0].cpu(), predictions.logits[0].sigmoid().cpu(), 0.3)
            overlaps = iou(kept[None], torch.from_numpy(boxes)[:, None])
            hits = (overlaps > 0.5).any(dim=1)[torch.from_numpy(~scene.ignore)]
            found, marks = found + int(hits.sum()), marks + len(hits)
            false += int((~(overlaps > 0.3).any(dim=0)).sum())
        if not marks:
            return {}
        return {
            "f1": round(2 * found / (found + false + marks), 4),
            "recall": round(found / marks, 4),
            "false": round(false / len(self.validation), 3),
            "marks": marks,
        }


def normalise(pictures: Tensor) -> Tensor:
    """(N, H, W, 3) uint8 to the network's (N, 3, H, W) float32 in -1..1, as the exported graph."""
    floats = pictures.permute(0, 3, 1, 2).float().div(127.5).sub(1.0)
    return floats.contiguous(memory_format=torch.channels_last)


def cut_window(
    scene: LabelledScene, side: int, rng: np.random.Generator, framing: Framing
) -> Window:
    """A square of the scene, scaled to give one of its marks a random size, at times mirrored."""
    pixels = scene.pixels()
    height, width = pixels.shape[:2]
    factor = float(np.exp(rng.uniform(np.log(0.45), np.log(1.3))))
    focus, size = rng.random(2) * [width, height], np.zeros(2)
    wanted_marks = np.flatnonzero(~scene.ignore)
    if len(wanted_marks) and rng.random() < 0.85:
        box = scene.boxes[rng.choice(wanted_marks)]
        focus = (box[:2] + box[2:]) / 2
        wanted = float(np.exp(rng.uniform(np.log(framing.least), np.log(framing.most * side))))
        factor = float(np.clip(wanted / (box[2:] - box[:2]).max(), 0.2, framing.zoom))
        size = box[2:] - box[:2] if rng.random() < 0.9 else size
    if framing.as_validated and rng.random() < framing.as_validated:
        factor = framing.validated / max(width, height) * float(np.exp(rng.uniform(-0.3, 0.3)))
    mirrored = rng.random() < framing.mirrored
    tilts = framing.tilts and bool(scene.has_quad[wanted_marks].all())
    matrix = factor * _linear(tilts, mirrored, framing.turned, rng)
    spot = _place(matrix, focus, np.abs(matrix) @ (size / 2), (width, height), side, rng)
    transform = np.column_stack([matrix, spot - matrix @ focus])
    window = photometric(_draw(pixels, transform, factor, side), rng)
    quads, outlines = (
        (corners @ transform[:, :2].T + transform[:, 2]).astype(np.float32)
        for corners in (scene.quads, scene.quads if tilts else box_to_quad(scene.boxes))
    )
    if mirrored:
        quads = quads[:, [1, 0, 3, 2]]
    return label_window(window, scene, quads if framing.corners else None, outlines)


def _linear(
    tilts: bool, mirrored: bool, turned: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """(2, 2) a slight tilt, a slight stretch, a mirror image, a turn by quarters."""
    angle = float(rng.normal(0, 0.06)) if tilts and rng.random() < 0.5 else 0.0
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix *= np.exp(rng.normal(0, 0.06, 2))[:, None]
    if mirrored:
        matrix[0] *= -1
    if rng.random() < turned:
        quarter = np.array([[0.0, -1.0], [1.0, 0.0]])
        matrix = np.linalg.matrix_power(quarter, int(rng.integers(1, 4))) @ matrix
    return matrix


def _draw(pixels: Pixels, transform: NDArray[np.float64], factor: float, side: int) -> Pixels:
    """The window (side, side, 3) of a picture that ``transform`` (2, 3) takes to it."""
    taken = transform
    if factor < 0.6:
        width = pixels.shape[1]
        pixels = shrink(pixels, 1.6 * factor)
        taken = np.column_stack([transform[:, :2] / (pixels.shape[1] / width), transform[:, 2]])
    return warp(pixels, taken, (side, side), fill=_GREY)


def _place(
    matrix: NDArray[np.float64],
    focus: NDArray[np.float64],
    reach: NDArray[np.float64],
    size: tuple[int, int],
    side: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Where the focus lands in the window: anywhere that leaves ``reach`` around it inside.

    The window stays on the picture where the picture is the larger of the two.
    """
    corners = np.array([[0, 0], [size[0], 0], [size[0], size[1]], [0, size[1]]]) - focus
    moved = corners @ matrix.T
    margin = np.clip(1.08 * reach, 0.12 * side, 0.5 * side)
    spot = rng.uniform(margin, side - margin)
    low, high = moved.min(axis=0), moved.max(axis=0)
    for axis in range(2):
        if high[axis] - low[axis] >= side:
            spot[axis] = np.clip(spot[axis], side - high[axis], -low[axis])
    return np.asarray(spot)


def label_window(
    pixels: Pixels,
    scene: LabelledScene,
    quads: NDArray[np.float32] | None,
    outlines: NDArray[np.float32],
) -> Window:
    """Keep the marks in the window; those cut off or tiny are to be ignored, not learned.

    Without ``quads`` the corners are those of the boxes.
    """
    boxes = np.concatenate([outlines.min(axis=1), outlines.max(axis=1)], axis=1).reshape(-1, 4)
    clipped = boxes.clip(0, len(pixels))
    size, whole = clipped[:, 2:] - clipped[:, :2], boxes[:, 2:] - boxes[:, :2]
    visible = size.prod(axis=1) / np.maximum(whole.prod(axis=1), 1e-6)
    inside = (size > 1).all(axis=1)
    ignore = scene.ignore | (visible < 0.75) | (whole.max(axis=1, initial=0) < _SMALLEST)
    kept = np.flatnonzero(inside)[:_MAX_MARKS]
    has_quad = scene.has_quad | (quads is None)
    if quads is None:
        quads = box_to_quad(boxes).astype(np.float32)
    return Window(pixels, clipped[kept], quads[kept], has_quad[kept], ignore[kept])


def stack_windows(windows: list[Window]) -> Batch:
    """The batch of windows of one size, see `DetectorTask.batch`."""
    n = len(windows)
    boxes = torch.zeros(n, _MAX_MARKS, 4)
    quads = torch.zeros(n, _MAX_MARKS, 4, 2)
    flags = torch.zeros(3, n, _MAX_MARKS, dtype=torch.bool)
    for i, window in enumerate(windows):
        count = len(window.boxes)
        boxes[i, :count] = torch.from_numpy(window.boxes)
        quads[i, :count] = torch.from_numpy(window.quads)
        flags[0, i, :count] = torch.from_numpy(window.has_quad)
        flags[1, i, :count] = torch.from_numpy(window.ignore)
        flags[2, i, :count] = True
    pixels = torch.from_numpy(np.stack([window.pixels for window in windows]))
    return pixels, boxes, quads, flags[0], flags[1], flags[2]


def _labelled(
    stored: Pixels | bytes, factor: np.float32, marks: Sequence[Annotation], ignore: Sequence[Box]
) -> LabelledScene:
    """A stored picture with its marks, and after them the boxes to ignore."""
    boxes = np.array([*(mark.box for mark in marks), *ignore], np.float32).reshape(-1, 4)
    corners = [*(mark.corners for mark in marks), *box_to_quad(np.reshape(ignore, (-1, 4)))]
    quads = np.array(corners, np.float32).reshape(-1, 4, 2)
    known = np.array([mark.quad is not None for mark in marks] + [False] * len(ignore), bool)
    ignored = np.arange(len(boxes)) >= len(marks)
    return LabelledScene(stored, boxes * factor, quads * factor, known, ignored)


def _read_stored(path: Path, long_side: int) -> tuple[Pixels, np.float32]:
    """The picture, its long side shrunk to ``long_side`` at most, and its scale."""
    pixels = Image.read(path).pixels
    factor = min(1.0, long_side / max(pixels.shape[:2]))
    if factor < 1:
        pixels = shrink(pixels, factor)
    return pixels, np.float32(factor)


def _fit_picture(scene: LabelledScene, long_side: int) -> tuple[Pixels, NDArray[np.float32]]:
    """The whole scene with its long side scaled, padded to multiples of 32, and its boxes."""
    pixels = scene.pixels()
    factor = long_side / max(pixels.shape[:2])
    pixels = shrink(pixels, factor)
    padding = [-side % 32 for side in pixels.shape[:2]]
    padded = cv2.copyMakeBorder(
        pixels, 0, padding[0], 0, padding[1], cv2.BORDER_CONSTANT, value=(_GREY,) * 3
    )
    return np.asarray(padded, np.uint8), scene.boxes * np.float32(factor)


def _suppress(boxes: Tensor, scores: Tensor, threshold: float) -> Tensor:
    """Greedy non-maximum suppression at IoU 0.5 of the boxes whose score exceeds the threshold."""
    order = scores.argsort(descending=True)
    order = order[scores[order] > threshold][:200]
    return boxes[order][torch.from_numpy(nms(boxes[order].numpy(), scores[order].numpy(), 0.5))]
