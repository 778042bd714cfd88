"""Teaches the verifier: crops of what a detector proposes, stamps and what it takes for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from platemark.datasets.manifest import ManifestEntry
from platemark.geometry import FloatArray, iou_matrix
from platemark.imaging.image import Image, Pixels
from platemark.models.card import ModelCard, VerifierPreprocess
from platemark.models.preprocess import verifier_input
from platemark.tasks.detector import Detector
from platemark.train.batches import Batch
from platemark.train.calibrate import Judged, calibrate_verifier
from platemark.train.detector import normalise
from platemark.train.loop import Schedule
from platemark.train.pictures import (
    NO_MARKS,
    Listed,
    Memory,
    MixedExamples,
    coarsen,
    learning_splits,
    photometric,
    shrink,
)

SPEC = VerifierPreprocess(side=128, context=1.4, outside=0.5)
CANDIDATE_SCORE = 0.01
"""Least score of the detector's candidates."""
WEIGHT = 0.5
"""What the log-odds of a crop count until they are calibrated."""
_MOST_CANDIDATES = 24
# From this score of the detector on a false candidate is a hard one. Parts of a batch that are
# stamps, hard and easy others.
_HARD_SCORE = 0.05
_SHARES = (0.5, 0.35, 0.15)
_RIGHT_IOU = 0.5
# From here to `_RIGHT_IOU` a box holds half a stamp, which is neither lesson.
_UNCLEAR_IOU = 0.35
_HELD_OUT = 0.08
_MOST_HELD_OUT = 60
# Somewhat more than the network sees, so that windows may be jittered.
_STORED = 1.3
_DECODED_BYTES = 2**30


@dataclass(frozen=True)
class CandidateCrop:
    """A candidate kept in memory with its surroundings.

    Attributes:
        stored: (H, W, 3) uint8 RGB, or a JPEG.
        box: (4,) of the candidate in it.
        right: whether it is a stamp.
        hard: whether the detector takes it for one with some confidence.
    """

    stored: Pixels | bytes
    box: NDArray[np.float32]
    right: bool
    hard: bool = True

    def pixels(self) -> Pixels:
        """(H, W, 3) uint8 RGB."""
        return Image.read(self.stored).pixels


class VerifierTask(MixedExamples[CandidateCrop]):
    """Data and loss of the verifier; see :class:`platemark.train.loop.Task`.

    Stamps are those that the detector proposes and, since it misses some, all that are annotated;
    the rest of what it proposes are the others.

    Args:
        manifests: annotated pictures, of which scenes are used: train is learned from, dev held
            out.
        real_share: part of every batch from real pages as they are.
        detector: proposes the candidates; the bundled one by default.
    """

    judged_by = "auc"

    def __init__(
        self,
        manifests: Sequence[Path],
        real_share: float = 0.6,
        detector: Detector | None = None,
    ) -> None:
        super().__init__(real_share)
        self._detector = detector or Detector.from_pretrained(kind="stamp")
        self._memory = Memory(_DECODED_BYTES)
        self._pages: list[Judged] = []
        self._synthetic_held_out = 0
        for listed in learning_splits(manifests, kind="scene"):
            if "stamps" in listed.entry.model_fields_set:
                self._load(listed)

    def _load(self, listed: Listed) -> None:
        pixels, entry = Image.read(listed.path).pixels, listed.entry
        page = judge(listed.path, entry, self._detector, pixels)
        real = not entry.synthetic
        spare = real or self._synthetic_held_out < _MOST_HELD_OUT
        held_out = spare and listed.is_held_out(entry.image, _HELD_OUT)
        crops = [
            self._cut(pixels, np.asarray(one.box), right == 1, one.score >= _HARD_SCORE)
            for one, right in zip(page.candidates, page.right, strict=True)
            if right >= 0
        ]
        if held_out:
            self._synthetic_held_out += not real
            self._pages.append(page)
            self.validation += crops
            return
        crops += [self._cut(pixels, np.asarray(stamp.box), True) for stamp in entry.stamps]
        (self.real if real else self.synthetic).extend(crops * listed.weight)

    def _cut(
        self, pixels: Pixels, box: FloatArray, right: bool, hard: bool = True
    ) -> CandidateCrop:
        """Keep a candidate and its surroundings, shrunk where the network would not see more."""
        longer = max(float((box[2:] - box[:2]).max()), 1.0)
        reach = _STORED * SPEC.context * longer / 2
        centre = (box[:2] + box[2:]) / 2
        left, top = np.maximum(np.floor(centre - reach), 0).astype(int)
        right_edge, bottom = np.minimum(np.ceil(centre + reach), pixels.shape[1::-1]).astype(int)
        part = pixels[top:bottom, left:right_edge]
        own = (box - np.array([left, top, left, top])).astype(np.float32)
        factor = _STORED * SPEC.side / (SPEC.context * longer)
        if factor < 1:
            before = part.shape[1]
            part = shrink(part, factor)
            own = own * np.float32(part.shape[1] / before)
        return CandidateCrop(self._memory.keep(np.ascontiguousarray(part)), own, right, hard)

    def lacking(self) -> str | None:
        """Stamps, or anything that the detector takes for one."""
        sorts = {crop.right for crop in (*self.synthetic, *self.real)}
        if True not in sorts:
            return NO_MARKS
        one = "the detector proposes nothing but stamps on these pages; add pages without stamps"
        return one if False not in sorts else None

    def marks_of(self, example: CandidateCrop) -> int:
        """One for a stamp."""
        return int(example.right)

    def choose(self, count: int, rng: np.random.Generator) -> list[CandidateCrop]:
        """Crops for a batch: half of them stamps, most others such as the detector mistakes."""
        real = round(self.real_share * count)
        chosen: list[CandidateCrop] = []
        for sorts, share in zip(self._sorts, (real, count - real), strict=True):
            there = np.array(_SHARES) * [bool(pool) for pool in sorts]
            if share and there.any():
                for sort in rng.choice(len(sorts), share, p=there / there.sum()):
                    chosen.append(sorts[sort][int(rng.integers(len(sorts[sort])))])
        return chosen

    @cached_property
    def _sorts(self) -> list[list[list[CandidateCrop]]]:
        """Stamps, hard and easy others: of the real pages, and of the synthetic ones."""
        return [
            [
                [one for one in pool if one.right],
                [one for one in pool if not one.right and one.hard],
                [one for one in pool if not one.right and not one.hard],
            ]
            for pool in (self.real, self.synthetic)
        ]

    def batch(self, schedule: Schedule, step: int) -> Batch:
        """(N, S, S, 3) uint8 crops, (N,) float32 whether each is a stamp."""
        rng = np.random.default_rng((schedule.seed, step))
        chosen = self.choose(schedule.batch, rng)
        crops = torch.from_numpy(np.stack([augment(one, rng) for one in chosen]))
        return crops, torch.tensor([float(one.right) for one in chosen])

    def losses(self, net: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy."""
        crops, right = batch
        odds = net(normalise(crops))
        return {"right": functional.binary_cross_entropy_with_logits(odds, right)}

    def calibrate(self, folder: Path) -> ModelCard:
        """Fit weight and scores on the held-out pages."""
        return calibrate_verifier(folder, self._pages)

    @torch.no_grad()
    def validate(self, net: nn.Module) -> dict[str, float]:
        """How probably a held-out stamp gets better odds than a false candidate."""
        device = next(net.parameters()).device
        odds: dict[bool, list[float]] = {True: [], False: []}
        for start in range(0, len(self.validation), 32):
            part = self.validation[start : start + 32]
            crops = [verifier_input(one.pixels(), one.box.tolist(), SPEC) for one in part]
            said = net(normalise(torch.from_numpy(np.stack(crops)).to(device))).cpu().tolist()
            for one, value in zip(part, said, strict=True):
                odds[one.right].append(value)
        if not all(odds.values()):
            return {}
        wins = np.greater.outer(odds[True], odds[False]).mean()
        return {"auc": round(float(wins), 4), "candidates": len(self.validation)}


def judge(
    path: Path,
    entry: ManifestEntry,
    detector: Detector,
    pixels: Pixels | None = None,
    least: float = CANDIDATE_SCORE,
) -> Judged:
    """Let a detector propose candidates on an annotated page, and say which are stamps.

    Args:
        path: Where the page lies.
        entry: Its line of the manifest.
        detector: Proposes them.
        pixels: The page, (H, W, 3) uint8 RGB, where it was read already.
        least: Least score of a candidate.
    """
    page = Image.read(path).pixels if pixels is None else pixels
    found = detector(page, min_score=least)[:_MOST_CANDIDATES]
    boxes = np.array([one.box for one in found], np.float64).reshape(-1, 4)
    truth = np.array([stamp.box for stamp in entry.stamps], np.float64).reshape(-1, 4)
    overlap = iou_matrix(boxes, truth).max(axis=1, initial=0.0)
    right = np.where(overlap >= _RIGHT_IOU, 1, np.where(overlap >= _UNCLEAR_IOU, -1, 0))
    if entry.ignore:
        beside = iou_matrix(boxes, np.array(entry.ignore)).max(axis=1) > 0
        right = np.where((right == 0) & beside, -1, right)
    return Judged(path, tuple(found), tuple(right.tolist()))


def augment(candidate: CandidateCrop, rng: np.random.Generator) -> Pixels:
    """A crop (S, S, 3) uint8 RGB, never the same twice: of other place, size, exposure, detail."""
    pixels = candidate.pixels()
    size = np.tile(candidate.box[2:] - candidate.box[:2], 2)
    box = candidate.box + rng.normal(0, 0.03, 4).clip(-0.08, 0.08) * size
    box[:2], box[2:] = box[:2].clip(0, None), box[2:].clip(None, pixels.shape[1::-1])
    zoom = float(np.exp(rng.normal(0, 0.08)).clip(0.85, 1.2))
    spec = SPEC.model_copy(update={"context": SPEC.context * zoom})
    crop = verifier_input(pixels, box.tolist(), spec)
    if rng.random() < 0.05:
        crop = np.ascontiguousarray(np.rot90(crop, int(rng.integers(1, 4))))
    return photometric(coarsen(crop, rng), rng)
