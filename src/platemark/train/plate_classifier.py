"""Teaches the classifier of plates: region, lines, orientation and hidden texts of rectified crops.

Texts are hidden and crops turned and mirrored on the fly, real ones too, so that every plate shows
every state.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from platemark.datasets.manifest import PlateAnnotation
from platemark.imaging.image import Image, Pixels
from platemark.imaging.warp import rectified
from platemark.models.card import ClassifierPreprocess, ModelCard
from platemark.plates.formats import UNKNOWN_REGION, load_formats, regions_meant
from platemark.synth.plates.censor import obscured
from platemark.synth.plates.typefaces import FontLibrary
from platemark.train.batches import Batch
from platemark.train.calibrate import calibrate_classifier
from platemark.train.detector import normalise
from platemark.train.loop import Schedule
from platemark.train.nets.classifier import Answers
from platemark.train.pictures import (
    Listed,
    MixedExamples,
    coarsen,
    learning_splits,
    photometric,
)
from platemark.train.reader import cut_out, inexact
from platemark.types import ORIENTATIONS

SPEC = ClassifierPreprocess(height=48, width=160, margin=0.08)
LINES = (1, 2, 3)
REAL_ONLY = ("kr",)
"""Regions without a plate format that enough real photos show."""
_HELD_OUT = 0.1
# Shares of the crops of a batch whose text is hidden, and that stand otherwise than upright.
_HIDDEN, _TURNED = 0.18, 0.28
# Of those: turned right, upside down, left, mirrored.
_WAYS = (0.2, 0.3, 0.2, 0.3)
_WEIGHTS = {"region": 1.0, "lines": 0.4, "orientation": 0.7, "obscured": 0.7}
_NOT_ANNOTATED = -1
# Regions with few synthetic plates come this much more often than their number says.
_EVENNESS = 0.5


def region_codes() -> tuple[str, ...]:
    """The codes that the network knows: those of the plate formats, and none of them last.

    Plates of free texts, which no country issues, are of none.
    """
    formats = load_formats()
    generated = [code for code, known in formats.items() if code != "xx-vanity"]
    return (*sorted({*generated, *REAL_ONLY}), UNKNOWN_REGION)


@dataclass(frozen=True)
class PlateCrop:
    """One plate kept in memory.

    Attributes:
        pixels: (H, W, 3) uint8 RGB cut-out with some surroundings.
        quad: (4, 2) corners in it.
        loose: whether the corners are those of a box, which fits less well.
        regions: (R,) float32, 1 for each region code that it may have, all 0 where unannotated.
        lines: place of its number of lines in `LINES`, -1 where unannotated.
        obscured: 1 where a part of the text is hidden, 0 where none is, -1 where unannotated.
        generated_as: the region code of a synthetic plate.
    """

    pixels: Pixels
    quad: NDArray[np.float32]
    loose: bool
    regions: NDArray[np.float32]
    lines: int
    obscured: int
    generated_as: str = ""


class ClassifierTask(MixedExamples[PlateCrop]):
    """Data and loss of the classifier; see :class:`platemark.train.loop.Task`.

    Args:
        manifests: annotated pictures: train is learned from, dev held out.
        real_share: part of every batch that is real, where there are real plates.
    """

    judged_by = "region"

    def __init__(self, manifests: Sequence[Path], real_share: float = 0.3) -> None:
        super().__init__(real_share)
        self._codes = region_codes()
        self._fonts = FontLibrary()
        for listed in learning_splits(manifests):
            self._load(listed)

    def _load(self, listed: Listed) -> None:
        record = listed.entry
        if not record.plates:
            return
        pixels = Image.read(listed.path).pixels
        for plate in record.plates:
            crop = self._crop(pixels, plate, synthetic=record.synthetic)
            if record.synthetic:
                self.synthetic.extend([crop] * listed.weight)
            elif listed.is_held_out(plate.text or record.image, _HELD_OUT):
                self.validation.append(crop)
            else:
                self.real.extend([crop] * listed.weight)

    def _crop(self, pixels: Pixels, plate: PlateAnnotation, *, synthetic: bool) -> PlateCrop:
        cut, quad = cut_out(pixels, plate.corners.astype(np.float32))
        meant = {plate.region} if synthetic else regions_meant(plate.region, self._codes)
        if plate.region is not None and meant.isdisjoint(self._codes):
            meant = {UNKNOWN_REGION}
        hidden = plate.obscured
        if hidden is None and synthetic and plate.text is not None:
            hidden = False
        return PlateCrop(
            cut,
            quad,
            plate.quad is None,
            np.array([code in meant for code in self._codes], np.float32),
            LINES.index(plate.lines) if plate.lines in LINES else _NOT_ANNOTATED,
            _NOT_ANNOTATED if hidden is None else int(hidden),
            (plate.region or "") if synthetic else "",
        )

    @cached_property
    def _chances(self) -> NDArray[np.float64]:
        """How often each synthetic crop is chosen: regions with few plates somewhat more often."""
        counts = Counter(crop.generated_as for crop in self.synthetic)
        weights = np.array([counts[crop.generated_as] ** -_EVENNESS for crop in self.synthetic])
        return np.cumsum(weights / weights.sum())

    def lacking(self) -> str | None:
        """Regions to be told from each other."""
        crops = (*self.synthetic, *self.real)
        known = {crop.regions.tobytes() for crop in crops if crop.regions.any()}
        one = "all plates are of one region; a classifier needs plates of several"
        return one if len(known) == 1 else super().lacking()

    def choose(self, count: int, rng: np.random.Generator) -> list[PlateCrop]:
        """Crops for a batch, the real ones first."""
        if not self.synthetic:
            return super().choose(count, rng)
        real = round(self.real_share * count)
        places = np.searchsorted(self._chances, rng.random(count - real))
        chosen = [self.real[i] for i in rng.integers(0, max(len(self.real), 1), real)]
        return chosen + [self.synthetic[min(i, len(self.synthetic) - 1)] for i in places]

    def batch(self, schedule: Schedule, step: int) -> Batch:
        """(N, H, W, 3) uint8 crops; (N, R) float32 regions that fit, (N,) int64 lines, orientations
        and whether a part is hidden, all 0 or -1 where there is nothing to learn."""
        rng = np.random.default_rng((schedule.seed, step))
        shown = [self._shown(crop, rng) for crop in self.choose(schedule.batch, rng)]
        pictures, regions, *classes = zip(*shown, strict=True)
        return (
            torch.from_numpy(np.stack(pictures)),
            torch.from_numpy(np.stack(regions)),
            *(torch.tensor(values) for values in classes),
        )

    def _shown(
        self, crop: PlateCrop, rng: np.random.Generator
    ) -> tuple[Pixels, NDArray[np.float32], int, int, int]:
        """A crop as a camera and a detector may give it, never the same, and what it teaches."""
        quad = inexact(crop.quad, crop.loose, rng)
        pixels, hidden = _rectified(crop.pixels, quad), crop.obscured
        if rng.random() < _HIDDEN:
            pixels, hidden = hide(pixels, self._fonts, rng), 1
        pixels = photometric(coarsen(pixels, rng), rng)
        if rng.random() >= _TURNED:
            return pixels, crop.regions, crop.lines, 0, hidden
        way = 1 + int(rng.choice(len(_WAYS), p=_WAYS))
        # The pipeline turns such plates and asks again.
        return stand(pixels, way, rng), 0 * crop.regions, _NOT_ANNOTATED, way, hidden

    def losses(self, net: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy of each head. Where an annotation leaves several regions, as ``eu``, it is
        that of their sum."""
        crops, regions, lines, orientations, hidden = batch
        said: Answers = net(normalise(crops))
        known = regions.sum(dim=1) > 0
        kept = torch.where(regions[known] > 0, said.regions[known], -torch.inf)
        region = (said.regions[known].logsumexp(1) - kept.logsumexp(1)).sum() / max(len(crops), 1)
        known_hidden = hidden >= 0
        terms = {
            "region": region,
            "lines": functional.cross_entropy(
                said.lines, lines, ignore_index=_NOT_ANNOTATED, reduction="sum"
            )
            / len(crops),
            "orientation": functional.cross_entropy(said.orientations, orientations),
            "obscured": functional.binary_cross_entropy_with_logits(
                said.obscured[known_hidden], hidden[known_hidden].float(), reduction="sum"
            )
            / len(crops),
        }
        return {name: _WEIGHTS[name] * term for name, term in terms.items()}

    def calibrate(self, folder: Path) -> ModelCard:
        """Fit region and obscured scores on held-out real plates, as they are and with some texts
        hidden."""
        rng = np.random.default_rng(0)
        crops = [_rectified(crop.pixels, crop.quad) for crop in self.validation]
        seen = [
            (crop, one.regions, one.obscured)
            for crop, one in zip(crops, self.validation, strict=True)
        ]
        few = rng.permutation(len(crops))[: len(crops) // 10]
        seen += [(hide(crops[i], self._fonts, rng), self.validation[i].regions, 1) for i in few]
        return calibrate_classifier(
            folder,
            [crop for crop, _, _ in seen],
            np.array([regions for _, regions, _ in seen]).reshape(len(seen), -1),
            np.array([hidden for _, _, hidden in seen]),
        )

    @torch.no_grad()
    def validate(self, net: nn.Module) -> dict[str, float]:
        """Shares right on held-out real plates; each also stands in every other way, and has its
        text hidden once."""
        if not self.validation:
            return {}
        rng = np.random.default_rng(1)
        upright = [_rectified(crop.pixels, crop.quad) for crop in self.validation]
        hidden = [hide(crop, self._fonts, rng) for crop in upright]
        said, odds = _ask(net, upright), _ask(net, hidden).obscured
        regions = np.stack([crop.regions for crop in self.validation])
        lines = np.array([crop.lines for crop in self.validation])
        known, counted = regions.any(axis=1), lines >= 0
        best = said.regions.argmax(1).numpy()
        stood = [
            (_ask(net, [stand(crop, way, rng) for crop in upright]).orientations.argmax(1) == way)
            for way in range(1, len(ORIENTATIONS))
        ]
        stood.append(said.orientations.argmax(1) == 0)
        open_ = np.array([crop.obscured == 0 for crop in self.validation])
        wins = np.greater.outer(odds.numpy(), said.obscured.numpy()[open_])
        return {
            "region": _share(regions[known, best[known]] > 0),
            "lines": _share(said.lines.argmax(1).numpy()[counted] == lines[counted]),
            "orientation": _share(torch.stack(stood).numpy()),
            "obscured_auc": _share(wins),
            "plates": len(upright),
        }


def hide(crop: Pixels, fonts: FontLibrary, rng: np.random.Generator) -> Pixels:
    """A rectified crop (H, W, 3) whose text is hidden in whole or in part; its margin stays."""
    height, width = crop.shape[:2]
    rim = SPEC.margin / (1 + 2 * SPEC.margin)
    y, x = round(rim * height), round(rim * width)
    hidden = crop.copy()
    hidden[y : height - y, x : width - x] = obscured(
        crop[y : height - y, x : width - x], fonts, rng
    )
    return hidden


def stand(crop: Pixels, way: int, rng: np.random.Generator) -> Pixels:
    """A rectified crop (H, W, 3) of a plate that stands in a way, a place in `ORIENTATIONS`."""
    if ORIENTATIONS[way] == "mirrored":
        flipped = crop[:, ::-1] if rng.random() < 0.8 else crop[::-1]
        return np.ascontiguousarray(flipped)
    turned = np.ascontiguousarray(np.rot90(crop, -way))
    if turned.shape == crop.shape:
        return turned
    return np.asarray(cv2.resize(turned, crop.shape[1::-1], interpolation=cv2.INTER_AREA), np.uint8)


def _rectified(pixels: Pixels, quad: NDArray[np.floating]) -> Pixels:
    return rectified(pixels, quad, (SPEC.width, SPEC.height), SPEC.margin)[0]


def _ask(net: nn.Module, crops: Sequence[Pixels]) -> Answers:
    device = next(net.parameters()).device
    parts = [
        net(normalise(torch.from_numpy(np.stack(crops[start : start + 64])).to(device)))
        for start in range(0, len(crops), 64)
    ]
    return Answers(*(torch.cat(values).float().cpu() for values in zip(*parts, strict=True)))


def _share(right: NDArray[np.bool_]) -> float:
    return round(float(right.mean()), 4) if right.size else 0.0
