"""Teaches the reader: crops rectified by corners as inexact as the detector's, CTC loss."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from platemark.imaging.image import Pixels, read_grey
from platemark.imaging.warp import rectified
from platemark.models.card import ModelCard
from platemark.train.batches import Batch
from platemark.train.calibrate import calibrate_reader
from platemark.train.loop import Schedule
from platemark.train.pictures import NO_MARKS, Listed, MixedExamples, learning_splits

ALPHABET = (
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÜ"
    "京津冀晋蒙辽吉黑沪苏浙皖闽赣鲁豫鄂湘粤桂琼渝川贵云藏陕甘青宁新警学挂领港澳使"
)
HEIGHT, WIDTH = 48, 160
MARGIN = 0.04
_CONTEXT = 0.35
_MAX_STORED_HEIGHT = 110
_HELD_OUT = 0.12
_CALIBRATION_CROPS = 400


@dataclass(frozen=True)
class TextCrop:
    """One plate kept in memory.

    Attributes:
        pixels: (H, W) grey cut-out with some surroundings.
        quad: (4, 2) corners in it.
        classes: (L,) its text, see :func:`encode`.
        loose: whether the corners are those of a box, which fits less well.
    """

    pixels: Pixels
    quad: NDArray[np.float32]
    classes: NDArray[np.int64]
    loose: bool


def encode(text: str) -> NDArray[np.int64] | None:
    """Classes of a text (blank is 0), or None if it has a character that the alphabet lacks."""
    if not text or any(char not in ALPHABET for char in text):
        return None
    return np.array([ALPHABET.index(char) + 1 for char in text], np.int64)


class ReaderTask(MixedExamples[TextCrop]):
    """Data and loss of the reader; see :class:`platemark.train.loop.Task`.

    Args:
        manifests: annotated pictures: train is learned from, dev held out.
        real_share: part of every batch that is real, where there are real plates.
    """

    judged_by = "exact"

    def __init__(self, manifests: Sequence[Path], real_share: float = 0.12) -> None:
        super().__init__(real_share)
        for listed in learning_splits(manifests):
            self._load(listed)

    def _load(self, listed: Listed) -> None:
        record = listed.entry
        texts = [plate for plate in record.plates if plate.text and encode(plate.text) is not None]
        if not texts:
            return
        grey = read_grey(listed.path)
        for plate in texts:
            text = plate.text or ""
            corners = plate.corners.astype(np.float32)
            crop = _cut(grey, corners, text, plate.quad is None)
            if record.synthetic:
                self.synthetic.extend([crop] * listed.weight)
            elif listed.is_held_out(text, _HELD_OUT):  # so one car is on one side only
                self.validation.append(crop)
            else:
                self.real.extend([crop] * listed.weight)

    def lacking(self) -> str | None:
        """Texts to be told from each other."""
        texts = {tuple(crop.classes) for crop in (*self.synthetic, *self.real)}
        one = "all plates show the same text; a reader needs plates of different texts"
        return NO_MARKS if not texts else one if len(texts) == 1 else None

    def batch(self, schedule: Schedule, step: int) -> Batch:
        """(N, 1, H, W) float32 pictures, (sum of lengths,) classes, (N,) lengths."""
        rng = np.random.default_rng((schedule.seed, step))
        chosen = self.choose(schedule.batch, rng)
        pictures = np.stack([augment(crop, rng) for crop in chosen])
        classes = np.concatenate([crop.classes for crop in chosen])
        lengths = np.array([len(crop.classes) for crop in chosen])
        return scale(pictures), torch.from_numpy(classes), torch.from_numpy(lengths)

    def losses(self, net: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """The CTC loss per plate (Graves et al. 2006)."""
        pictures, classes, lengths = batch
        log_probs = net(pictures)
        steps = torch.full((len(pictures),), log_probs.shape[1], dtype=torch.long)
        loss = functional.ctc_loss(
            log_probs.transpose(0, 1), classes, steps, lengths, zero_infinity=True
        )
        return {"ctc": loss}

    def calibrate(self, folder: Path) -> ModelCard:
        """Fit text scores on held-out real plates and on synthetic ones augmented afresh."""
        rng = np.random.default_rng(0)
        picked = rng.permutation(len(self.synthetic))[:_CALIBRATION_CROPS]
        crops = [_rectified(crop.pixels, crop.quad) for crop in self.validation]
        crops += [augment(self.synthetic[i], rng) for i in picked]
        known = self.validation + [self.synthetic[i] for i in picked]
        texts = ["".join(ALPHABET[label - 1] for label in crop.classes) for crop in known]
        return calibrate_reader(
            folder, [np.repeat(crop[..., None], 3, axis=2) for crop in crops], texts
        )

    @torch.no_grad()
    def validate(self, net: nn.Module) -> dict[str, float]:
        """Exact matches on held-out real plates, greedy decoding, exact corners."""
        if not self.validation:
            return {}
        device = next(net.parameters()).device
        correct = 0
        for start in range(0, len(self.validation), 64):
            chunk = self.validation[start : start + 64]
            pictures = scale(np.stack([_rectified(crop.pixels, crop.quad) for crop in chunk]))
            best = net(pictures.to(device)).argmax(-1).cpu().numpy()
            correct += sum(
                collapse(row) == crop.classes.tolist()
                for row, crop in zip(best, chunk, strict=True)
            )
        return {"exact": round(correct / len(self.validation), 4), "plates": len(self.validation)}


def scale(pictures: Pixels) -> Tensor:
    """(N, H, W) grey levels to the network's (N, 1, H, W) in -1..1, as the exported graph does."""
    return torch.from_numpy(pictures).float().div_(127.5).sub_(1.0).unsqueeze(1)


def collapse(classes: NDArray[np.int64]) -> list[int]:
    """Greedy CTC decoding: repeats merged, blanks dropped."""
    kept = classes[np.insert(classes[1:] != classes[:-1], 0, True)]
    return [int(value) for value in kept if value]


def augment(crop: TextCrop, rng: np.random.Generator) -> Pixels:
    """The crop as (H, W) grey with corners, light and sharpness a little off, never the same."""
    quad = inexact(crop.quad, crop.loose, rng)
    flat = _rectified(crop.pixels, quad).astype(np.float32)
    flat = (flat - 128) * float(rng.uniform(0.6, 1.3)) + 128 + float(rng.normal(0, 18))
    if rng.random() < 0.2:
        flat = np.asarray(cv2.GaussianBlur(flat, (0, 0), float(rng.uniform(0.4, 1.5))), np.float32)
    if rng.random() < 0.3:
        flat += rng.normal(0, rng.uniform(1, 12), flat.shape).astype(np.float32)
    if rng.random() < 0.04:
        flat = 255 - flat
    return np.clip(flat, 0, 255).astype(np.uint8)


def _rectified(pixels: Pixels, quad: NDArray[np.floating]) -> Pixels:
    """(H, W) grey of the size that the network takes."""
    return rectified(pixels, quad, (WIDTH, HEIGHT), MARGIN)[0]


def inexact(
    quad: NDArray[np.float32], loose: bool, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Corners (4, 2) as a detector may give them; ``loose`` where they are those of a box."""
    side_x = (quad[1] - quad[0] + quad[2] - quad[3]) / 2
    side_y = (quad[3] - quad[0] + quad[2] - quad[1]) / 2
    spread = 0.03 if loose else 0.022
    wobble = rng.normal(0, spread, (4, 2)) + rng.normal(0, spread, (1, 2))
    wobble[:, 0] *= 0.7
    if rng.random() < 0.3:
        wobble += np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * rng.uniform(-0.02, 0.08, 2)
    moved = quad + wobble[:, :1] * side_x + wobble[:, 1:] * side_y
    if loose and rng.random() < 0.3:
        moved = _rotate(moved, float(rng.normal(0, 0.05)))
    return np.asarray(moved, np.float32)


def _rotate(quad: NDArray[np.floating], angle: float) -> NDArray[np.float32]:
    centre = quad.mean(axis=0)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.asarray((quad - centre) @ turn.T + centre, np.float32)


def _cut(grey: Pixels, quad: NDArray[np.float32], text: str, loose: bool) -> TextCrop:
    classes = encode(text)
    assert classes is not None, "texts are filtered before they are cut"
    return TextCrop(*cut_out(grey, quad), classes, loose)


def cut_out(pixels: Pixels, quad: NDArray[np.float32]) -> tuple[Pixels, NDArray[np.float32]]:
    """Crop a plate and its surroundings, shrunk if far larger than the networks see it.

    Args:
        pixels: (H, W) or (H, W, 3) uint8.
        quad: (4, 2) corners of the plate.

    Returns:
        The cut-out and the corners in it.
    """
    low, high = quad.min(axis=0), quad.max(axis=0)
    pad = _CONTEXT * (high - low)[1]
    x0, y0 = np.maximum(np.floor(low - pad), 0).astype(int)
    x1, y1 = np.minimum(np.ceil(high + pad), pixels.shape[1::-1]).astype(int)
    part, quad = pixels[y0:y1, x0:x1], quad - np.array([x0, y0], np.float32)
    shrink = _MAX_STORED_HEIGHT / part.shape[0]
    if shrink < 1:
        size = (max(1, round(part.shape[1] * shrink)), _MAX_STORED_HEIGHT)
        quad = quad * np.array([size[0] / part.shape[1], size[1] / part.shape[0]], np.float32)
        part = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)
    return np.ascontiguousarray(part), quad.astype(np.float32)
