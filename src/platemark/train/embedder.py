"""Teaches the embedder: imprints of one design near each other, near-copies of it apart.

And to tell letters, which near-copies differ in.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from platemark.datasets.manifest import Manifest, StampAnnotation, family_of
from platemark.imaging.image import Image, Pixels
from platemark.metrics import average_precision_at, cmc, nearest
from platemark.models.card import ModelCard
from platemark.synth.photos import read_photo
from platemark.tasks.segmenter import Segmenter
from platemark.train.calibrate import calibrate_embedder
from platemark.train.imprints import Source, simulate
from platemark.train.letters import Letters
from platemark.train.loop import Batch, Schedule
from platemark.train.losses import DesignMemory, contrastive_loss, letter_loss
from platemark.train.nets.embedder import EmbedderNet, places
from platemark.train.pictures import ahead, is_held_out, shrink

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


class Sample(NamedTuple):
    """A picture of a design.

    Attributes:
        source: its ink.
        letters: what stands where in it, in pixels of its ink.
    """

    source: Source
    letters: Letters


class Simulated(NamedTuple):
    """Inputs, and what is known of them.

    Attributes:
        ink: (N, S, S) uint8.
        designs: (N,) numbers of designs.
        families: (N,) numbers of families.
        letters: (M, 3) picture, place and number of each letter.
        known: (N,) bool, whether the letters are known.
    """

    ink: Pixels
    designs: NDArray[np.int64]
    families: NDArray[np.int64]
    letters: NDArray[np.int64]
    known: NDArray[np.bool_]


@dataclass
class Design:
    """One stamp: what its imprints are made from.

    Attributes:
        artworks: clean pictures of it; one is enough.
        imprints: what a segmenter found of imprints of it.
        number: of the design, among those to learn from or among those held out.
    """

    artworks: list[Sample] = field(default_factory=list)
    imprints: list[Sample] = field(default_factory=list)
    number: int = 0

    def draw(self, count: int, imprint_share: float, rng: np.random.Generator) -> list[Sample]:
        """Some of its pictures, each an imprint with the probability given where there are both.

        No picture comes twice before all of its sort have been drawn.
        """
        drawn: list[Sample] = []
        rest: dict[bool, list[Sample]] = {True: [], False: []}
        for _ in range(count):
            imprint = bool(self.imprints) and (
                not self.artworks or bool(rng.random() < imprint_share)
            )
            if not rest[imprint]:
                pool = self.imprints if imprint else self.artworks
                rest[imprint] = [pool[index] for index in rng.permutation(len(pool)).tolist()]
            drawn.append(rest[imprint].pop())
        return drawn


Family = list[Design]


class EmbedderTask:
    """Data and loss of the embedder; see :class:`platemark.train.loop.Task`.

    Args:
        manifests: annotated pictures of the train split: ``isolated`` artwork, and ``crop``
            imprints. Stamps need an ``identity``; near-copies share the key ``family``, of the
            stamp or of its picture.
        imprints: pictures of each design in a batch.
        imprint_share: part of the pictures that are of real or drawn imprints, not simulated from
            artwork, for designs that have both.
        segmenter: finds the ink of the imprints as it will be found in use; the bundled one by
            default.
    """

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
        for path in manifests:
            _load(path, segmenter, known)
        self.families: list[Family] = []
        self.validation: list[Family] = []
        for name, designs in sorted(known.items()):
            spare = len(self.validation) < _MOST_HELD_OUT
            held_out = spare and is_held_out(name, _HELD_OUT)
            (self.validation if held_out else self.families).append(list(designs.values()))
        for families in (self.families, self.validation):
            for number, design in enumerate(chain.from_iterable(families)):
                design.number = number
        self._memory: DesignMemory | None = None

    def size(self) -> int:
        """Designs to learn from; a single one teaches nothing."""
        designs = sum(len(family) for family in self.families)
        return designs if designs > 1 else 0

    def steps_per_epoch(self, schedule: Schedule) -> int:
        """Batches that show about every design once."""
        return max(1, self.size() * self.imprints // schedule.batch)

    def batches(self, schedule: Schedule, start: int) -> Iterator[Batch]:
        """What :class:`Simulated` has, as tensors."""
        return ahead(partial(self._batch, schedule), start)

    def _batch(self, schedule: Schedule, step: int) -> Batch:
        rng = np.random.default_rng((schedule.seed, step))
        chosen = [
            (design.number, family, sample)
            for family, design in self._choose(schedule.batch, rng)
            for sample in design.draw(self.imprints, self.imprint_share, rng)
        ]
        return tuple(map(torch.from_numpy, _simulated(chosen, rng)))

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
        """Of the designs of the batch, of all that were seen before, and of letters."""
        ink, designs, families, letters, known = batch
        assert isinstance(net, EmbedderNet)
        vectors, rates = net.embed(scale(ink))
        if self._memory is None:
            self._memory = DesignMemory(self.size(), vectors.shape[1])
        losses = {
            "contrast": contrastive_loss(vectors, designs, families, _TEMPERATURE, _NEAR_WEIGHT),
            "remembered": self._memory.loss(vectors, designs, _TEMPERATURE),
            "letters": letter_loss(rates, letters, known),
        }
        if net.training:
            self._memory.see(vectors, designs)
        return losses

    def calibrate(self, folder: Path) -> ModelCard:
        """Find the cosines that part same from different, on imprints of held-out families."""
        held = self._held_out()
        return calibrate_embedder(folder, held.ink, held.designs, held.families)

    @torch.no_grad()
    def validate(self, net: nn.Module) -> dict[str, float]:
        """Retrieval among imprints of held-out families, each asking for the others of its design.

        ``near`` is the share of imprints that are nearer to all of their design than to any
        near-copy, ``letters`` that of letters than which nothing is likelier where they stand.
        """
        held = self._held_out()
        if not len(held.ink):
            return {}
        assert isinstance(net, EmbedderNet)
        device = next(net.parameters()).device
        parts = [net.embed(scale(torch.from_numpy(part).to(device))) for part in _chunks(held.ink)]
        vectors = torch.cat([vectors for vectors, _ in parts]).cpu().numpy()
        likeliest = torch.cat([rates.argmax(dim=1) for _, rates in parts]).cpu().numpy()
        picture, place, number = held.letters.T
        cosines = vectors @ vectors.T
        correct = held.designs[nearest(cosines, held.designs, 5)] == held.designs[:, None]
        others = np.bincount(held.designs)[held.designs] - 1
        precision = average_precision_at(correct, others, 5)
        figures = {
            "cmc1": cmc(correct, 1).value,
            "map5": float(precision.mean()),
            "near": _told_from_near_copies(cosines, held.designs, held.families),
        }
        if len(number):
            figures["letters"] = float((likeliest[picture, place] == number).mean())
        rounded = {name: round(figure, 4) for name, figure in figures.items()}
        return rounded | {"imprints": len(held.ink)}

    def _held_out(self) -> Simulated:
        """Pictures of the families held out, the same at every call."""
        rng = np.random.default_rng(0)
        chosen = [
            (design.number, number, sample)
            for number, family in enumerate(self.validation)
            for design in family
            for sample in design.draw(_VALIDATION_IMPRINTS, self.imprint_share, rng)
        ]
        return _simulated(chosen, rng)


def _simulated(chosen: Sequence[tuple[int, int, Sample]], rng: np.random.Generator) -> Simulated:
    """Samples, each with the numbers of its design and family, as the network sees them."""
    ink: list[Pixels] = []
    letters: list[NDArray[np.int64]] = []
    for index, (_, _, sample) in enumerate(chosen):
        made, matrix = simulate(sample.source, SIDE, rng)
        ink.append(made)
        seen = sample.letters.moved(matrix)
        where = places(seen.points, seen.ring, SIDE)
        letters.append(np.stack([np.full_like(where, index), where, seen.numbers], axis=1))
    numbers = np.array([(design, family) for design, family, _ in chosen], np.int64).reshape(-1, 2)
    return Simulated(
        np.array(ink, np.uint8).reshape(-1, SIDE, SIDE),
        numbers[:, 0].copy(),
        numbers[:, 1].copy(),
        np.concatenate([np.zeros((0, 3), np.int64), *letters]),
        np.array([sample.letters.known for _, _, sample in chosen], bool),
    )


def scale(ink: Tensor) -> Tensor:
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


def _load(path: Path, segmenter: Segmenter, known: dict[str, dict[str, Design]]) -> None:
    """Add the designs of a manifest to those known, by family and identity."""
    manifest = Manifest.read(path, split="train")
    for entry in manifest:
        for stamp in entry.stamps:
            if entry.kind == "scene" or stamp.identity is None:
                continue
            sample = _sample(manifest.path(entry), entry.kind == "isolated", stamp, segmenter)
            if sample is None:
                continue
            family = family_of(entry, stamp) or stamp.identity
            design = known.setdefault(family, {}).setdefault(stamp.identity, Design())
            (design.artworks if sample.source.clean else design.imprints).append(sample)


def _sample(
    picture: Path, artwork: bool, stamp: StampAnnotation, segmenter: Segmenter
) -> Sample | None:
    """The ink of a stamp, cut out and shrunk where the network would not see more; None if none."""
    pixels = read_photo(picture)
    left, top = 0, 0
    if artwork:
        ink = _coverage(pixels)
    else:
        (found,) = segmenter(Image.read(pixels), [stamp.box])
        ink = np.asarray(np.rint(255 * found.probability), np.uint8)
        left, top = found.left, found.top
    rows, columns = (np.flatnonzero((ink > 127).any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return None
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = ink.shape
    factor = _STORED_LONG_SIDE / max(height, width)
    ink = shrink(ink, factor) if factor < 1 else ink.copy()
    zoom = np.diag([ink.shape[1] / width, ink.shape[0] / height, 1.0])
    shift = np.array([[1.0, 0.0, -left - columns[0]], [0.0, 1.0, -top - rows[0]], [0.0, 0.0, 1.0]])
    letters = Letters.of(stamp.lines).moved(zoom @ shift)
    return Sample(Source(ink, stamp.shape in _ROUND, artwork), letters)


def _coverage(artwork: Pixels) -> Pixels:
    """(H, W) uint8 ink of artwork (H, W, 3): white on black, or of any colour on white."""
    border = np.concatenate([artwork[0], artwork[-1], artwork[:, 0], artwork[:, -1]])
    if np.median(border) < 128:
        return np.asarray(artwork.max(axis=2), np.uint8)
    darkness = 255 - artwork.min(axis=2).astype(np.float32)
    return np.asarray(255 * darkness / max(1.0, float(darkness.max())), np.uint8)
