"""Teaches the detector: square windows of scenes, with plates of every size or without any."""

import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from platemark.datasets.manifest import Manifest
from platemark.geometry import nms
from platemark.imaging.image import Pixels
from platemark.models.card import ModelCard
from platemark.synth.photos import read_photo
from platemark.train.calibrate import calibrate_detector
from platemark.train.loop import Batch, Schedule
from platemark.train.losses import Marks, detection_losses, iou
from platemark.train.reader import SYNTHETIC

_STORED_LONG_SIDE = 800
_HELD_OUT = 0.08
_GREY = 114
_SMALLEST = 9.0
_MAX_MARKS = 24
_DECODED_BYTES = 11 * 2**30


@dataclass(frozen=True)
class LabelledScene:
    """A picture kept in memory, and its marks.

    Attributes:
        stored: the picture, its long side at most 800 px: (H, W, 3) uint8 RGB, or (B,) as JPEG.
        boxes: (M, 4) in its pixels.
        quads: (M, 4, 2); the corners of the box where they are not known.
        has_quad: (M,) bool.
    """

    stored: Pixels
    boxes: NDArray[np.float32]
    quads: NDArray[np.float32]
    has_quad: NDArray[np.bool_]

    def pixels(self) -> Pixels:
        """(H, W, 3) uint8 RGB."""
        if self.stored.ndim == 3:
            return self.stored
        return np.asarray(cv2.imdecode(self.stored, cv2.IMREAD_COLOR_RGB), np.uint8)


class Window(NamedTuple):
    """A square cut of a scene: (S, S, 3) uint8 RGB, and the marks in it."""

    pixels: Pixels
    boxes: NDArray[np.float32]
    quads: NDArray[np.float32]
    has_quad: NDArray[np.bool_]
    ignore: NDArray[np.bool_]


class DetectorTask:
    """Data and loss of the detector; see :class:`platemark.train.loop.Task`.

    Args:
        manifests: annotated pictures; only scenes of the train split are used.
        sides: width and height of the windows, multiples of 32, one after the other; batches of
            larger windows hold fewer of them, so that every step costs the same.
        real_share: part of every batch cut from real photos as they are.
    """

    def __init__(
        self,
        manifests: Sequence[Path],
        sides: Sequence[int] = (256, 448),
        real_share: float = 0.3,
    ) -> None:
        self.sides = tuple(sides)
        self.synthetic: list[LabelledScene] = []
        self.real: list[LabelledScene] = []
        self.validation: list[LabelledScene] = []
        self._room = _DECODED_BYTES
        for path in manifests:
            self._load(path)
        self.real_share = real_share if self.real and self.synthetic else float(bool(self.real))
        self._threads = ThreadPoolExecutor(1)

    def _load(self, path: Path) -> None:
        manifest = Manifest.read(path, split="train", kind="scene")
        for entry in manifest:
            quads = np.array([plate.corners for plate in entry.plates], np.float32).reshape(
                -1, 4, 2
            )
            boxes = np.array([plate.box for plate in entry.plates], np.float32).reshape(-1, 4)
            known = np.array([plate.quad is not None for plate in entry.plates], bool)
            pixels, factor = _read_stored(manifest.path(entry))
            scene = LabelledScene(self._keep(pixels), boxes * factor, quads * factor, known)
            if entry.source == SYNTHETIC:
                self.synthetic.append(scene)
            elif zlib.crc32(entry.image.encode()) % 1000 < 1000 * _HELD_OUT:
                self.validation.append(scene)
            else:
                self.real.append(scene)

    def _keep(self, pixels: Pixels) -> Pixels:
        """The picture as it is while there is room: decoding takes a quarter of the training."""
        self._room -= pixels.nbytes
        if self._room > 0:
            return pixels
        options = [cv2.IMWRITE_JPEG_QUALITY, 92]
        return np.asarray(cv2.imencode(".jpg", pixels[..., ::-1], options)[1], np.uint8)

    def size(self) -> int:
        """Labelled scenes to learn from."""
        return len(self.synthetic) + len(self.real)

    def steps_per_epoch(self, schedule: Schedule) -> int:
        """Batches that cut about one window from every scene."""
        return max(1, self.size() // schedule.batch)

    def batches(self, schedule: Schedule, start: int) -> Iterator[Batch]:
        """(N, S, S, 3) uint8; boxes, quads, has_quad, ignore, present, padded to equal length."""
        step = start
        waiting = self._threads.submit(self._batch, schedule, step)
        while True:
            step += 1
            ready, waiting = waiting.result(), self._threads.submit(self._batch, schedule, step)
            yield ready

    def _batch(self, schedule: Schedule, step: int) -> Batch:
        rng = np.random.default_rng((schedule.seed, step))
        side = self.sides[step % len(self.sides)]
        size = max(1, round(schedule.batch * (self.sides[0] / side) ** 2))
        real = round(self.real_share * size)
        pool = self.synthetic or self.real
        scenes = [self.real[i] for i in rng.integers(0, max(len(self.real), 1), real)]
        scenes += [pool[i] for i in rng.integers(0, len(pool), size - real)]
        return _stack([cut_window(scene, side, rng) for scene in scenes])

    def losses(self, net: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Score, box and corner terms."""
        pictures, boxes, quads, has_quad, ignore, present = batch
        predictions = net(scale(pictures))
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
        """Fit detection scores on the held-out photos."""
        photos = [scene.pixels() for scene in self.validation]
        return calibrate_detector(folder, photos, [scene.boxes for scene in self.validation])

    @torch.no_grad()
    def validate(self, net: nn.Module) -> dict[str, float]:
        """Recall at IoU 0.5 and false marks per held-out photo at 512 px, for scores over 0.3."""
        device = next(net.parameters()).device
        found = marks = false = 0
        for scene in self.validation:
            picture, boxes = _fit_picture(scene, 512)
            predictions = net(scale(torch.from_numpy(picture)[None]).to(device))
            kept = _suppress(predictions.boxes[0].cpu(), predictions.logits[0].sigmoid().cpu(), 0.3)
            overlaps = iou(kept[None], torch.from_numpy(boxes)[:, None])
            hits = (overlaps > 0.5).any(dim=1)
            found, marks = found + int(hits.sum()), marks + len(boxes)
            false += int((~(overlaps > 0.3).any(dim=0)).sum())
        if not marks:
            return {}
        return {
            "recall": round(found / marks, 4),
            "false": round(false / len(self.validation), 3),
            "marks": marks,
        }


def scale(pictures: Tensor) -> Tensor:
    """(N, H, W, 3) uint8 to the network's (N, 3, H, W) float32 in -1..1, as the exported graph."""
    floats = pictures.permute(0, 3, 1, 2).float().div(127.5).sub(1.0)
    return floats.contiguous(memory_format=torch.channels_last)


def cut_window(scene: LabelledScene, side: int, rng: np.random.Generator) -> Window:
    """A square of the scene, scaled to give one of its plates a random size, at times mirrored."""
    pixels = scene.pixels()
    height, width = pixels.shape[:2]
    factor = float(np.exp(rng.uniform(np.log(0.45), np.log(1.3))))
    focus = rng.random(2) * [width, height]
    reach = np.zeros(2)
    if len(scene.boxes) and rng.random() < 0.85:
        box = scene.boxes[int(rng.integers(len(scene.boxes)))]
        focus = (box[:2] + box[2:]) / 2
        wanted = float(np.exp(rng.uniform(np.log(15), np.log(0.8 * side))))
        factor = float(np.clip(wanted / (box[2] - box[0]), 0.25, 1.8))
        reach = (box[2:] - box[:2]) * factor / 2 if rng.random() < 0.9 else reach
    angle = float(rng.normal(0, 0.06)) if scene.has_quad.all() and rng.random() < 0.5 else 0.0
    stretch = np.exp(rng.normal(0, 0.06, 2))
    matrix = (
        factor
        * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        * stretch[:, None]
    )
    mirrored = rng.random() < 0.5
    if mirrored:
        matrix[0] *= -1
    spot = _place(matrix, focus, reach, (width, height), side, rng)
    transform = np.column_stack([matrix, spot - matrix @ focus])
    if factor < 0.6:
        pixels = _shrink(pixels, 1.6 * factor)
        drawn = np.column_stack([transform[:, :2] / (pixels.shape[1] / width), transform[:, 2]])
    else:
        drawn = transform
    shift = drawn[:, :2] @ [0.5, 0.5] - 0.5
    drawn = np.column_stack([drawn[:, :2], drawn[:, 2] + shift])
    window = cv2.warpAffine(pixels, drawn, (side, side), borderValue=(_GREY,) * 3)
    quads = (scene.quads @ transform[:, :2].T + transform[:, 2]).astype(np.float32)
    if mirrored:
        quads = quads[:, [1, 0, 3, 2]]
    return _label(_relight(np.asarray(window, np.uint8), rng), quads, scene.has_quad, side)


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
    drawn = corners @ matrix.T
    margin = np.clip(1.08 * reach, 0.12 * side, 0.5 * side)
    spot = rng.uniform(margin, side - margin)
    low, high = drawn.min(axis=0), drawn.max(axis=0)
    for axis in range(2):
        if high[axis] - low[axis] >= side:
            spot[axis] = np.clip(spot[axis], side - high[axis], -low[axis])
    return np.asarray(spot)


def _relight(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Exposure, contrast, colour cast, now and then grey or noisy."""
    out = pixels.astype(np.float32)
    if rng.random() < 0.12:
        out[:] = out.mean(axis=2, keepdims=True)
    gain = np.exp(rng.normal(0, 0.2)) * np.exp(rng.normal(0, 0.06, 3))
    out = (out - 128) * float(rng.uniform(0.7, 1.25)) + 128
    out = out * gain.astype(np.float32) + float(rng.normal(0, 8))
    if rng.random() < 0.2:
        out += rng.normal(0, rng.uniform(1, 10), out.shape).astype(np.float32)
    if rng.random() < 0.12:
        out = cv2.GaussianBlur(out, (0, 0), float(rng.uniform(0.4, 1.2)))
    return np.asarray(np.clip(out, 0, 255), np.uint8)


def _label(
    pixels: Pixels, quads: NDArray[np.float32], has_quad: NDArray[np.bool_], side: int
) -> Window:
    """Keep the marks in the window; those cut off or tiny are to be ignored, not learned."""
    boxes = np.concatenate([quads.min(axis=1), quads.max(axis=1)], axis=1).reshape(-1, 4)
    clipped = boxes.clip(0, side)
    size, whole = clipped[:, 2:] - clipped[:, :2], boxes[:, 2:] - boxes[:, :2]
    visible = size.prod(axis=1) / np.maximum(whole.prod(axis=1), 1e-6)
    inside = (size > 1).all(axis=1)
    ignore = (visible < 0.75) | (whole[:, 0] < _SMALLEST)
    kept = np.flatnonzero(inside)[:_MAX_MARKS]
    return Window(pixels, clipped[kept], quads[kept], has_quad[kept], ignore[kept])


def _stack(windows: list[Window]) -> Batch:
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


def _read_stored(path: Path) -> tuple[Pixels, np.float32]:
    """The picture, shrunk to the stored size, and its scale."""
    pixels = read_photo(path)
    factor = min(1.0, _STORED_LONG_SIDE / max(pixels.shape[:2]))
    if factor < 1:
        pixels = _shrink(pixels, factor)
    return pixels, np.float32(factor)


def _shrink(pixels: Pixels, factor: float) -> Pixels:
    method = cv2.INTER_AREA
    return np.asarray(
        cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=method), np.uint8
    )


def _fit_picture(scene: LabelledScene, long_side: int) -> tuple[Pixels, NDArray[np.float32]]:
    """The whole scene with its long side scaled, padded to multiples of 32, and its boxes."""
    pixels = scene.pixels()
    factor = long_side / max(pixels.shape[:2])
    pixels = _shrink(pixels, factor)
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
