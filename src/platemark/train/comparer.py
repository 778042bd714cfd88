"""Teaches the comparer: pairs of synthetic imprints, of one stamp and of its near-copies."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from platemark.datasets.manifest import StampAnnotation, family_of
from platemark.geometry import FloatArray
from platemark.imaging.image import Image, read_grey, to_jpeg, to_png
from platemark.models.card import ModelCard
from platemark.tasks.segmenter import Segmenter
from platemark.train.batches import Batch
from platemark.train.calibrate import calibrate_comparer
from platemark.train.loop import Schedule, Stateless
from platemark.train.pairs import (
    Family,
    PairedDesign,
    PairedImprint,
    SeenPair,
    augmented_pair,
    find_alike,
    sample_pair,
    template,
    windows,
)
from platemark.train.pictures import KEPT_QUALITY, NO_MARKS, Listed, learning_splits, shrink

_HELD_OUT = 0.06
_VALIDATED = 400
_CALIBRATED = 300
_STORED_LONG_SIDE = 400
# In smaller imprints, in pixels, letters cannot be distinguished.
_LEAST_SIDE = 110.0
# Number of windows that take the time of a canvas.
_PER_CANVAS, _PER_WIDE_CANVAS = 6, 4
# Designs this many times longer than they are high are compared on lower canvases.
_WIDE = 1.7


class ComparerTask(Stateless):
    """Data and loss of the comparer; see :class:`platemark.train.loop.Task`.

    Args:
        manifests: annotated pictures of the train split: ``crop`` imprints that have a mask and a
            quad, and the ``isolated`` artworks of their designs; near-copies share the key
            ``family``.
        segmenter: finds the ink of the imprints as it will be found in use; the bundled one by
            default.
    """

    judged_by = "auc"

    def __init__(self, manifests: Sequence[Path], segmenter: Segmenter | None = None) -> None:
        self._segmenter = segmenter or Segmenter.from_pretrained()
        known: dict[str, dict[str, PairedDesign]] = {}
        held_out: set[str] = set()
        for listed in learning_splits(manifests):
            families = self._load(listed, known)
            held_out |= {name for name in families if listed.is_held_out(name, _HELD_OUT)}
        self.families: list[Family] = []
        self.validation: list[Family] = []
        for name, designs in sorted(known.items()):
            usable = [
                design
                for design in designs.values()
                if design.imprints and design.artwork is not None
            ]
            if sum(len(design.imprints) for design in usable) > 1:
                (self.validation if name in held_out else self.families).append(usable)
        find_alike(self.families)
        find_alike(self.validation)
        self._wide = [family for family in self.families if family[0].wide]
        self._other = [family for family in self.families if not family[0].wide]

    def _load(self, listed: Listed, known: dict[str, dict[str, PairedDesign]]) -> set[str]:
        entry, families = listed.entry, set()
        for stamp in entry.stamps:
            if stamp.identity is None or stamp.quad is None:
                continue
            name = family_of(entry, stamp) or stamp.identity
            families.add(name)
            design = known.setdefault(name, {}).setdefault(stamp.identity, PairedDesign())
            if entry.kind == "isolated":
                design.artwork = to_png(Image.read(listed.path).pixels.max(axis=2))
                design.corners, design.text = stamp.corners, stamp.text
                sides = _sides(stamp.corners)
                design.wide = bool(sides.max() > _WIDE * sides.min())
            elif stamp.mask and _sides(stamp.corners).max() >= _LEAST_SIDE:
                design.imprints.append(self._imprint(listed, stamp))
        return families

    def _imprint(self, listed: Listed, stamp: StampAnnotation) -> PairedImprint:
        pixels = Image.read(listed.path).pixels
        exact = read_grey(listed.root / str(stamp.mask))
        (soft,) = self._segmenter(pixels, [stamp.box])
        found = np.zeros(pixels.shape[:2], np.uint8)
        height, width = soft.probability.shape
        part = found[soft.top : soft.top + height, soft.left : soft.left + width]
        part[:] = soft.to_uint8()
        corners = stamp.corners
        factor = _STORED_LONG_SIDE / max(pixels.shape[:2])
        if factor < 1:
            before = pixels.shape[1::-1]
            pixels, exact, found = (shrink(one, factor) for one in (pixels, exact, found))
            corners = corners * (np.array(pixels.shape[1::-1]) / before)
        jpeg = to_jpeg(pixels, KEPT_QUALITY)
        return PairedImprint(jpeg, to_png(found), to_png(exact), corners, stamp.text)

    def size(self) -> int:
        """Imprints to learn from."""
        return sum(len(design.imprints) for family in self.families for design in family)

    def marks(self) -> int:
        """The same: no weight makes an imprint a pair with itself."""
        return self.size()

    def lacking(self) -> str | None:
        """Strangers: pairs of one design alone teach no difference."""
        if not self.size():
            return NO_MARKS
        one = "all imprints are of one design and its near-copies; a comparer needs others too"
        return one if len(self.families) < 2 else None

    def steps_per_epoch(self, schedule: Schedule) -> int:
        """Batches that show about every imprint once."""
        return max(1, 3 * self.size() // (2 * schedule.batch))

    def batch(self, schedule: Schedule, step: int) -> Batch:
        """Pairs as :func:`augmented_pair` gives them, stacked.

        Of three batches one is of :func:`windows`, of which many more take the time of a canvas,
        one of whole canvases, and one of whole ones of wide designs.
        """
        rng = np.random.default_rng((schedule.seed, step))
        whole = step % 3 != 0
        wide = whole and bool(self._wide) and (step % 3 == 2 or not self._other)
        pool = (self._wide if wide else self._other) if whole else self.families
        canvases = schedule.batch // (_PER_WIDE_CANVAS if wide else _PER_CANVAS)
        count = max(2, canvases) if whole else schedule.batch
        turned = int(rng.integers(2))
        made: list[SeenPair] = []
        while len(made) < count:
            pair = sample_pair(pool, self.families, rng)
            seen = None if pair is None else augmented_pair(pair, wide, rng)
            if seen is not None:
                made += [seen] if whole else windows(seen, rng)
        return _stacked(made[:count], turned)

    def losses(self, net: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Of the pairs, and of the places where designs differ, do not, or have no ink."""
        canvases, maps, same, known = batch
        odds, differs = net(normalise(canvases))
        pair = functional.binary_cross_entropy_with_logits(odds, same, reduction="none")
        target = (maps == 1).float()
        wrong = functional.binary_cross_entropy_with_logits(differs, target, reduction="none")
        there, elsewhere = maps == 1, maps == 0  # the others are unclear
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
        pairs = [sample_pair(self.validation, self.validation, rng) for _ in range(tries)]
        return calibrate_comparer(
            folder,
            [
                (template(pair.a), template(pair.b), pair.kind == "same")
                for pair in pairs
                if pair is not None and pair.kind != "misplaced"
            ],
        )

    @torch.no_grad()
    def validate(self, net: nn.Module) -> dict[str, float]:
        """Share of held-out pairs judged rightly, by kind, where they are laid nearly right.

        ``auc`` is how probably two imprints of one stamp get better odds than near-copies.
        """
        rng = np.random.default_rng(0)
        device = next(net.parameters()).device
        said: dict[str, list[float]] = {}
        for _ in range(_VALIDATED if self.validation else 0):
            pair = sample_pair(self.validation, self.validation, rng)
            seen = None if pair is None else augmented_pair(pair, False, rng)
            if pair is not None and seen is not None and seen.known:
                odds, _ = net(normalise(torch.from_numpy(seen.canvas[None]).to(device)))
                said.setdefault(pair.kind, []).append(float(odds))
        metrics = {
            kind: float(np.mean((np.array(odds) > 0) == (kind == "same")))
            for kind, odds in sorted(said.items())
        }
        if "same" in said and "near" in said:
            metrics["auc"] = float(np.mean(np.greater.outer(said["same"], said["near"])))
        return {name: round(value, 4) for name, value in metrics.items()}


def normalise(canvases: Tensor) -> Tensor:
    """(N, H, W, 6) uint8 to the network's (N, 6, H, W) float32 in 0..1, as the exported graph."""
    floats = canvases.permute(0, 3, 1, 2).float().div(255.0)
    return floats.contiguous(memory_format=torch.channels_last)


def _sides(corners: FloatArray) -> FloatArray:
    """Width and height (2,) of a quad (4, 2), in pixels."""
    return np.asarray(np.linalg.norm(np.diff(corners[:3], axis=0), axis=1), np.float64)


def _stacked(pairs: list[SeenPair], turned: int) -> Batch:
    """The batch, at times with rows and columns exchanged."""
    canvases = torch.from_numpy(np.stack([pair.canvas for pair in pairs]))
    maps = torch.from_numpy(np.stack([pair.differs for pair in pairs]))
    if turned:
        canvases, maps = canvases.transpose(1, 2), maps.transpose(1, 2)
    same = torch.tensor([float(pair.same) for pair in pairs])
    known = torch.tensor([float(pair.known) for pair in pairs])
    return canvases, maps, same, known
