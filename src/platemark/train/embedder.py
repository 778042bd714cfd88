"""Teaches the embedder: imprints of one design near each other, near-copies of it apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from platemark.datasets.manifest import StampAnnotation, family_of
from platemark.imaging.image import Image, Pixels
from platemark.metrics import average_precision_at, cmc, nearest
from platemark.models.card import ModelCard
from platemark.tasks.segmenter import Segmenter
from platemark.train.batches import Batch
from platemark.train.calibrate import calibrate_embedder
from platemark.train.imprints import Source, simulate
from platemark.train.loop import Schedule
from platemark.train.losses import DesignMemory, contrastive_loss
from platemark.train.pictures import NO_MARKS, Listed, learning_splits, shrink

SIDE = 192
_STORED_LONG_SIDE = 256
_HELD_OUT = 0.06
_MOST_HELD_OUT = 120
_VALIDATION_IMPRINTS = 4
_TEMPERATURE = 0.07
# Asks for a margin of 0.07 * log(4), a cosine of about 0.1, between a design and its near-copies.
_NEAR_WEIGHT = 4.0
# Designs of one family in a batch: the more there are, the fewer strangers.
_NEAR_COPIES = 4
_ROUND = ("circle", "oval")


@dataclass
class Design:
    """One stamp: what its imprints are made from.

    Attributes:
        artworks: clean pictures of it; one is enough.
        imprints: what a segmenter found of imprints of it.
        number: of the design, among those to learn from or among those held out.
    """

    artworks: list[Source] = field(default_factory=list)
    imprints: list[Source] = field(default_factory=list)
    number: int = 0

    def draw(self, count: int, imprint_share: float, rng: np.random.Generator) -> list[Source]:
        """Some of its pictures, each an imprint with the probability given where there are both.

        No picture comes twice before all of its sort have been sampled.
        """
        chosen: list[Source] = []
        rest: dict[bool, list[Source]] = {True: [], False: []}
        for _ in range(count):
            imprint = bool(self.imprints) and (
                not self.artworks or bool(rng.random() < imprint_share)
            )
            if not rest[imprint]:
                pool = self.imprints if imprint else self.artworks
                rest[imprint] = [pool[index] for index in rng.permutation(len(pool)).tolist()]
            chosen.append(rest[imprint].pop())
        return chosen


Family = list[Design]


class EmbedderTask:
    """Data and loss of the embedder; see :class:`platemark.train.loop.Task`.

    Args:
        manifests: annotated pictures of the train split: ``isolated`` artwork, and ``crop``
            imprints. Stamps need an ``identity``; near-copies share the key ``family``, of the
            stamp or of its picture.
        imprints: pictures of each design in a batch.
        imprint_share: part of the pictures that are of real or synthetic imprints, not simulated
            from artwork, for designs that have both.
        segmenter: finds the ink of the imprints as it will be found in use; the bundled one by
            default.
    """

    judged_by = "cmc1"

    def __init__(
        self,
        manifests: Sequence[Path],
        imprints: int = 2,
        imprint_share: float = 0.8,
        segmenter: Segmenter | None = None,
    ) -> None:
        self.imprints, self.imprint_share = imprints, imprint_share
        segmenter = segmenter or Segmenter.from_pretrained()
        known: dict[str, dict[str, Design]] = {}
        held_out: set[str] = set()
        for listed in learning_splits(manifests):
            names = _load(listed, segmenter, known)
            held_out |= {name for name in names if listed.is_held_out(name, _HELD_OUT)}
        self.families: list[Family] = []
        self.validation: list[Family] = []
        for name, designs in sorted(known.items()):
            spare = len(self.validation) < _MOST_HELD_OUT
            side = self.validation if spare and name in held_out else self.families
            side.append(list(designs.values()))
        for families in (self.families, self.validation):
            for number, design in enumerate(chain.from_iterable(families)):
                design.number = number
        self._memory = DesignMemory(self.size())

    def state(self) -> dict[str, Tensor]:
        """What is remembered of the designs."""
        return {"memory": self._memory.vectors}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Remember that, or, without it, nothing."""
        self._memory = DesignMemory(self.size(), state.get("memory"))

    def size(self) -> int:
        """Designs to learn from; a single one teaches nothing."""
        designs = sum(len(family) for family in self.families)
        return designs if designs > 1 else 0

    def marks(self) -> int:
        """Artworks and imprints of those designs, however often they are listed."""
        designs = chain.from_iterable(self.families) if self.size() else ()
        return sum(len(design.artworks) + len(design.imprints) for design in designs)

    def lacking(self) -> str | None:
        """Designs to be told from each other."""
        designs = sum(len(family) for family in self.families)
        one = "all pictures are of one design; an embedder needs several with an identity"
        return NO_MARKS if not designs else one if designs == 1 else None

    def steps_per_epoch(self, schedule: Schedule) -> int:
        """Batches that show about every design once."""
        return max(1, self.size() * self.imprints // schedule.batch)

    def batch(self, schedule: Schedule, step: int) -> Batch:
        """(N, S, S) uint8 ink, (N,) numbers of designs, (N,) numbers of families."""
        rng = np.random.default_rng((schedule.seed, step))
        ink: list[Pixels] = []
        labels: list[tuple[int, int]] = []
        for family, design in self._choose(schedule.batch, rng):
            for source in design.draw(self.imprints, self.imprint_share, rng):
                ink.append(simulate(source, SIDE, rng))
                labels.append((design.number, family))
        designs, families = torch.tensor(labels).T
        return torch.from_numpy(np.stack(ink)), designs, families

    def _choose(self, batch: int, rng: np.random.Generator) -> list[tuple[int, Design]]:
        """Numbers of families, and some designs of each: near-copies meet in one batch."""
        wanted = max(2, batch // self.imprints)
        chosen: list[tuple[int, Design]] = []
        for number in rng.permutation(len(self.families))[:wanted].tolist():
            family = self.families[number]
            some = rng.permutation(len(family))[: max(2, min(_NEAR_COPIES, wanted // 4))].tolist()
            chosen += [(number, family[index]) for index in some]
            if len(chosen) >= wanted:
                break
        return chosen[:wanted]

    def losses(self, net: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """The contrastive loss of the batch, and that beside all designs seen before."""
        ink, designs, families = batch
        vectors = net(normalise(ink))
        losses = {
            "contrast": contrastive_loss(vectors, designs, families, _TEMPERATURE, _NEAR_WEIGHT),
            "remembered": self._memory.loss(vectors, designs, _TEMPERATURE),
        }
        if net.training:
            self._memory.see(vectors, designs)
        return losses

    def calibrate(self, folder: Path) -> ModelCard:
        """Find the cosines that part same from different, on imprints of held-out families."""
        return calibrate_embedder(folder, *self._held_out())

    @torch.no_grad()
    def validate(self, net: nn.Module) -> dict[str, float]:
        """Retrieval among imprints of held-out families, each asking for the others of its design.

        ``near`` is the share of imprints that are nearer to all of their design than to any
        near-copy.
        """
        ink, designs, families = self._held_out()
        if not len(ink):
            return {}
        device = next(net.parameters()).device
        parts = [net(normalise(torch.from_numpy(part).to(device))).cpu() for part in _chunks(ink)]
        vectors = torch.cat(parts).numpy()
        cosines = vectors @ vectors.T
        correct = designs[nearest(cosines, designs, 5)] == designs[:, None]
        others = np.bincount(designs)[designs] - 1
        precision = average_precision_at(correct, others, 5)
        return {
            "cmc1": round(cmc(correct, 1).value, 4),
            "map5": round(float(precision.mean()), 4),
            "near": round(_told_from_near_copies(cosines, designs, families), 4),
            "imprints": len(ink),
        }

    def _held_out(self) -> tuple[Pixels, NDArray[np.int64], NDArray[np.int64]]:
        """Inputs (N, S, S), designs (N,) and families (N,): the same at every call."""
        rng = np.random.default_rng(0)
        ink: list[Pixels] = []
        labels: list[tuple[int, int]] = []
        for number, family in enumerate(self.validation):
            for design in family:
                for source in design.draw(_VALIDATION_IMPRINTS, self.imprint_share, rng):
                    ink.append(simulate(source, SIDE, rng))
                    labels.append((design.number, number))
        numbers = np.array(labels, np.int64).reshape(-1, 2)
        return np.array(ink, np.uint8).reshape(-1, SIDE, SIDE), numbers[:, 0], numbers[:, 1]


def normalise(ink: Tensor) -> Tensor:
    """(N, S, S) uint8 to the network's (N, 1, S, S) float32 in 0..1, as the exported graph."""
    return ink.float().div(255).unsqueeze(1)


def _chunks(ink: Pixels) -> list[Pixels]:
    return [ink[start : start + 64] for start in range(0, len(ink), 64)]


def _told_from_near_copies(
    cosines: NDArray[np.float32], designs: NDArray[np.int64], families: NDArray[np.int64]
) -> float:
    same = designs[:, None] == designs[None]
    near = (families[:, None] == families[None]) & ~same
    asked = near.any(axis=1)
    farthest = np.where(same, cosines, 2.0).min(axis=1)
    nearest_copy = np.where(near, cosines, -2.0).max(axis=1)
    return float((farthest > nearest_copy)[asked].mean()) if asked.any() else 1.0


def _load(listed: Listed, segmenter: Segmenter, known: dict[str, dict[str, Design]]) -> set[str]:
    """Add the designs of a picture to those known, by family and identity; returns the families."""
    entry, families = listed.entry, set()
    for stamp in entry.stamps:
        if entry.kind == "scene" or stamp.identity is None:
            continue
        source = _source(listed.path, entry.kind == "isolated", stamp, segmenter)
        if source is None:
            continue
        family = family_of(entry, stamp) or stamp.identity
        design = known.setdefault(family, {}).setdefault(stamp.identity, Design())
        (design.artworks if source.clean else design.imprints).append(source)
        families.add(family)
    return families


def _source(
    picture: Path, artwork: bool, stamp: StampAnnotation, segmenter: Segmenter
) -> Source | None:
    """The ink of a stamp, cropped and shrunk where the network would not see more; None if none."""
    pixels = Image.read(picture).pixels
    if artwork:
        ink = _coverage(pixels)
    else:
        (found,) = segmenter(pixels, [stamp.box])
        ink = found.to_uint8()
    rows, columns = (np.flatnonzero((ink > 127).any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return None
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    factor = _STORED_LONG_SIDE / max(ink.shape)
    ink = shrink(ink, factor) if factor < 1 else ink.copy()
    return Source(ink, stamp.shape in _ROUND, artwork)


def _coverage(artwork: Pixels) -> Pixels:
    """(H, W) uint8 ink of artwork (H, W, 3): white on black, or of any colour on white."""
    border = np.concatenate([artwork[0], artwork[-1], artwork[:, 0], artwork[:, -1]])
    if np.median(border) < 128:
        return np.asarray(artwork.max(axis=2), np.uint8)
    darkness = 255 - artwork.min(axis=2).astype(np.float32)
    return np.asarray(255 * darkness / max(1.0, float(darkness.max())), np.uint8)
