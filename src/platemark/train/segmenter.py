"""Teaches the segmenter: boxes cropped as inexactly as a detector finds them, and their ink."""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from platemark.imaging.image import Image, Pixels, read_grey, to_png
from platemark.models.card import ModelCard
from platemark.models.preprocess import square_crop
from platemark.train.batches import Batch
from platemark.train.calibrate import calibrate_segmenter
from platemark.train.detector import normalise
from platemark.train.loop import Schedule
from platemark.train.losses import mask_losses
from platemark.train.pictures import (
    Listed,
    Memory,
    MixedExamples,
    coarsen,
    learning_splits,
    photometric,
    shrink,
)

SIDE = 320
MARGIN = 0.08
# Somewhat more than the network sees, so that windows may be a little smaller than the stamp.
_STORED_LONG_SIDE = round(1.1 * SIDE)
_CONTEXT = 0.3
_HELD_OUT = 0.08
_MOST_HELD_OUT = 200
_CALIBRATION_IMPRINTS = 100
_DECODED_BYTES = 6 * 2**30
# Part of the crops that are of pictures without stamps, places taken of each, and their sides.
_BARE_SHARE = 0.04
_BARE_PLACES = 8
_BARE_SIDES = (40.0, 500.0)


@dataclass(frozen=True)
class MaskedImprint:
    """One imprint kept in memory, with some surroundings.

    Attributes:
        stored: (H, W, 3) uint8 RGB, or a JPEG.
        coded_mask: a PNG of its size, white where the stamp's ink is.
        box: (4,) of the stamp in it.
        real: whether it is from a real scan or photo.
    """

    stored: Pixels | bytes
    coded_mask: bytes
    box: NDArray[np.float32]
    real: bool

    def pixels(self) -> Pixels:
        """(H, W, 3) uint8 RGB."""
        return Image.read(self.stored).pixels

    def mask(self) -> Pixels:
        """(H, W) uint8, 255 where the stamp's ink is."""
        return read_grey(self.coded_mask)


class SegmenterTask(MixedExamples[MaskedImprint]):
    """Data and loss of the segmenter; see :class:`platemark.train.loop.Task`.

    Args:
        manifests: annotated pictures; stamps of the train split that have a mask are used, be the
            picture a scene or a crop, and places of scenes known to have no stamp.
        real_share: part of every batch that is real, where there are real masks.
    """

    judged_by = "iou"

    def __init__(self, manifests: Sequence[Path], real_share: float = 0.06) -> None:
        super().__init__(real_share)
        self.bare: list[MaskedImprint] = []
        self._memory = Memory(_DECODED_BYTES)
        for listed in learning_splits(manifests):
            self._load(listed)

    def _load(self, listed: Listed) -> None:
        entry = listed.entry
        stamps = [stamp for stamp in entry.stamps if stamp.mask and entry.kind != "isolated"]
        bare = not entry.stamps and "stamps" in entry.model_fields_set and not entry.ignore
        if not stamps and not bare:
            return
        pixels, real = Image.read(listed.path).pixels, not entry.synthetic
        if bare:
            places = list(self._bare(pixels, zlib.crc32(entry.image.encode())))
            self.bare += places * listed.weight
            return
        masks = [read_grey(listed.root / str(stamp.mask)) for stamp in stamps]
        kept = [
            self._cut(pixels, mask, np.array(stamp.box, np.float32), real)
            for mask, stamp in zip(masks, stamps, strict=True)
        ]
        spare = len(self.validation) < _MOST_HELD_OUT
        if spare and listed.is_held_out(entry.image, _HELD_OUT):
            self.validation += kept
        else:
            (self.real if real else self.synthetic).extend(kept * listed.weight)

    def _bare(self, pixels: Pixels, seed: int) -> Iterator[MaskedImprint]:
        """Places of a picture without stamps: paper and print, of which nothing is ink."""
        rng = np.random.default_rng(seed)
        none = np.zeros(pixels.shape[:2], np.uint8)
        whole = np.array(pixels.shape[1::-1])
        for _ in range(_BARE_PLACES):
            size = np.minimum(rng.uniform(*_BARE_SIDES) * rng.uniform(0.4, 1.0, 2), whole)
            corner = rng.random(2) * (whole - size)
            yield self._cut(
                pixels, none, np.concatenate([corner, corner + size]).astype(np.float32), True
            )

    def _cut(
        self, pixels: Pixels, mask: Pixels, box: NDArray[np.float32], real: bool
    ) -> MaskedImprint:
        """Keep a stamp and its surroundings, shrunk where the network would not see more."""
        longer = float((box[2:] - box[:2]).max())
        pad = _CONTEXT * longer
        left, top = np.maximum(np.floor(box[:2] - pad), 0).astype(int)
        right, bottom = np.minimum(np.ceil(box[2:] + pad), pixels.shape[1::-1]).astype(int)
        part, ink = pixels[top:bottom, left:right], mask[top:bottom, left:right]
        box = box - np.array([left, top, left, top], np.float32)
        factor = _STORED_LONG_SIDE / longer
        if factor < 1:
            before = part.shape
            part, ink = shrink(part, factor), shrink(ink, factor)
            box = box * np.float32(part.shape[1] / before[1])
        kept = self._memory.keep(np.ascontiguousarray(part))
        return MaskedImprint(kept, to_png(ink), box, real)

    def batch(self, schedule: Schedule, step: int) -> Batch:
        """(N, S, S, 3) uint8 crops, (N, S, S) uint8 masks."""
        rng = np.random.default_rng((schedule.seed, step))
        chosen = self.choose(schedule.batch, rng)
        for place in np.flatnonzero(rng.random(len(chosen)) < _BARE_SHARE * bool(self.bare)):
            chosen[place] = self.bare[int(rng.integers(len(self.bare)))]
        crops, masks = zip(*(augment(imprint, rng) for imprint in chosen), strict=True)
        return torch.from_numpy(np.stack(crops)), torch.from_numpy(np.stack(masks))

    def losses(self, net: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy of the pixels and Dice of the masks."""
        crops, masks = batch
        return mask_losses(net(normalise(crops)), masks.float() / 255)

    def calibrate(self, folder: Path) -> ModelCard:
        """Choose the probability from which a pixel counts as ink, on held-out imprints."""
        rng = np.random.default_rng(0)
        chosen = rng.permutation(len(self.validation))[:_CALIBRATION_IMPRINTS]
        known = [self.validation[i] for i in chosen]
        return calibrate_segmenter(
            folder,
            [imprint.pixels() for imprint in known],
            [imprint.box for imprint in known],
            [imprint.mask() > 127 for imprint in known],
        )

    @torch.no_grad()
    def validate(self, net: nn.Module) -> dict[str, float]:
        """Mean IoU of the masks of held-out imprints at probability 0.5, exact boxes."""
        if not self.validation:
            return {}
        device = next(net.parameters()).device
        overlaps: list[float] = []
        for start in range(0, len(self.validation), 32):
            chunk = self.validation[start : start + 32]
            crops = [square_crop(i.pixels(), i.box.tolist(), MARGIN, SIDE)[0] for i in chunk]
            masks = [square_crop(i.mask(), i.box.tolist(), MARGIN, SIDE)[0] > 127 for i in chunk]
            found = net(normalise(torch.from_numpy(np.stack(crops)).to(device))).cpu().numpy() > 0
            both = (found & masks).sum(axis=(1, 2)) / (found | masks).sum(axis=(1, 2)).clip(1)
            overlaps += both.tolist()
        return {"iou": round(float(np.mean(overlaps)), 4), "imprints": len(overlaps)}


def augment(imprint: MaskedImprint, rng: np.random.Generator) -> tuple[Pixels, Pixels]:
    """A crop (S, S, 3) uint8 RGB and its mask (S, S) uint8, never the same twice.

    The box is off by a few percent; the crop is turned by quarters, mirrored, of other exposure and
    colour cast, at times of another ink, coarse or compressed.
    """
    pixels, mask = imprint.pixels(), imprint.mask()
    size = np.tile(imprint.box[2:] - imprint.box[:2], 2)
    spread = 0.1 if rng.random() < 0.15 else 0.03
    box = imprint.box + rng.normal(0, spread, 4).clip(-0.2, 0.2) * size
    box[:2], box[2:] = box[:2].clip(0, None), box[2:].clip(None, pixels.shape[1::-1])
    crop, _ = square_crop(pixels, box.tolist(), MARGIN, SIDE)
    ink, _ = square_crop(mask, box.tolist(), MARGIN, SIDE)
    turns, mirrored = int(rng.integers(4)), rng.random() < 0.5
    crop, ink = (np.rot90(picture, turns) for picture in (crop, ink))
    if mirrored:
        crop, ink = crop[:, ::-1], ink[:, ::-1]
    if rng.random() < 0.15:
        crop = crop[..., rng.permutation(3)]
    crop = photometric(coarsen(np.ascontiguousarray(crop), rng), rng)
    return crop, np.ascontiguousarray(ink)
