"""Teaches the stamp reader: strips set on the fly and strips cut from whole imprints, CTC loss."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from platemark.datasets.manifest import Manifest, ManifestEntry
from platemark.imaging.image import Image, Pixels
from platemark.imaging.warp import warp
from platemark.metrics.text import edit_distance
from platemark.models.card import ModelCard
from platemark.models.preprocess import stretch_contrast
from platemark.stamps.baselines import (
    STRIP_HEIGHT,
)
from platemark.tasks.scripts import ALPHABET
from platemark.tasks.segmenter import Segmenter
from platemark.tasks.stamp_reader import StampReader
from platemark.train.batches import Batch
from platemark.train.calibrate import calibrate_strip_reader
from platemark.train.cuts import CUT_HEIGHT, CutStrip, cut_strips
from platemark.train.loop import Schedule, Stateless
from platemark.train.pictures import NO_MARKS, Listed, learning_splits
from platemark.train.reader import collapse, scale
from platemark.train.strips import DrawnStrip, StripPress, turned
from platemark.train.transcripts import transcribed_strips

WIDTHS = (128, 256, 384, 512)
"""Columns of the strips of a batch; all of one batch are as wide."""
_STRIDE = 4
_HELD_OUT = 0.04
_FRESH = 0.34
_POOL = 1024
_ANCHOR = 0.5
_ILLEGIBLE = 0.2
_TURNED = 0.05
_CLASS_OF = {char: index + 1 for index, char in enumerate(ALPHABET)}
_VALIDATION = 600


def encode(text: str) -> NDArray[np.int64]:
    """Classes of a folded text; blank is 0."""
    return np.array([_CLASS_OF[char] for char in text], np.int64)


class StampReaderTask(Stateless):
    """Data and loss of the stamp reader; see :class:`platemark.train.loop.Task`.

    Args:
        manifests: imprints with lines, places and masks, and real stamps with texts; only the train
            split is used.
        fonts: folder of typefaces beside the bundled ones, or None.
        cut_share: part of every batch that is cut from imprints.
    """

    judged_by = "-cer"

    def __init__(
        self, manifests: Sequence[Path], fonts: Path | None = None, cut_share: float = 0.45
    ) -> None:
        self._press = StripPress(fonts)
        self._share = cut_share
        self._pools: dict[int, list[DrawnStrip]] = {width: [] for width in WIDTHS}
        self._cuts: dict[int, list[CutStrip]] = {width: [] for width in WIDTHS}
        self._held: list[CutStrip] = []
        for listed in learning_splits(manifests):
            self._load(listed)

    def _load(self, listed: Listed) -> None:
        held = listed.is_held_out(manifest_group(listed.entry), _HELD_OUT)
        for strip in self._strips(Manifest(listed.root, (listed.entry,)), listed.entry):
            width = next((w for w in WIDTHS if strip.pixels.shape[1] <= w + 16), None)
            if width is None:
                continue
            if held:
                self._held.append(strip)
            else:
                self._cuts[width] += [strip] * listed.weight

    def _strips(self, manifest: Manifest, entry: ManifestEntry) -> list[CutStrip]:
        """Lines cut by the places of their characters, of real stamps as the bundled reader can."""
        written = [stamp for stamp in entry.stamps if stamp.text and not stamp.lines]
        if not written:
            return cut_strips(manifest, entry)
        image = Image.read(manifest.path(entry))
        teacher = _teacher()
        return [strip for stamp in written for strip in transcribed_strips(image, stamp, *teacher)]

    def size(self) -> int:
        """Lines cut from imprints, each as often as its weight says."""
        return sum(map(len, self._cuts.values()))

    def marks(self) -> int:
        """Lines cut from imprints, each counted once."""
        return len({id(strip) for cuts in self._cuts.values() for strip in cuts})

    def lacking(self) -> str | None:
        """Lines that may be cut from imprints."""
        return None if self.size() else NO_MARKS

    def steps_per_epoch(self, schedule: Schedule) -> int:
        """Batches in which about every cut strip comes once."""
        return max(1, round(self.size() / (self._share * schedule.batch)))

    def batch(self, schedule: Schedule, step: int) -> Batch:
        """(N, 1, H, W) float32 strips, classes, lengths, (N, L) classes and frames of anchors.

        Synthetic strips are used about three times, each time a little otherwise (data echoing,
        Choi et al. 2019): setting one takes longer than learning from it.
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
        search for the alignment. The worst strips of a batch, which are illegible, teach
        nothing."""
        strips, classes, lengths, anchors = batch
        log_probs = net(strips)
        ctc = ctc_per_character(log_probs, classes, lengths)
        legible = ctc <= torch.quantile(ctc.detach(), 1.0 - _ILLEGIBLE)
        rows, frames, labels = anchors[legible[anchors[:, 0]]].unbind(1)
        anchor = functional.nll_loss(log_probs[rows, frames], labels)
        return {"ctc": ctc[legible].mean(), "anchor": _ANCHOR * anchor}

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


@cache
def _teacher() -> tuple[Segmenter, StampReader]:
    """The bundled models that find which line of a real stamp is which of its texts."""
    return Segmenter.from_pretrained(threads=1), StampReader.from_pretrained(threads=1)


def ctc_per_character(log_probs: Tensor, classes: Tensor, lengths: Tensor) -> Tensor:
    """(N,) CTC losses of strips, each by the length of its text; log_probs (N, T, C)."""
    steps = torch.full((len(log_probs),), log_probs.shape[1], dtype=torch.long)
    losses = functional.ctc_loss(
        log_probs.transpose(0, 1), classes, steps, lengths, reduction="none", zero_infinity=True
    )
    return losses / (lengths + 2)


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
    """A synthetic strip, moved and relit a little."""
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
    drop = STRIP_HEIGHT / 2 - grow * CUT_HEIGHT / 2 + rise
    matrix = np.array([[across, slant, shift - slant * CUT_HEIGHT / 2], [0.0, grow, drop]])
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
