"""Fit what judges matched imprints, `src/platemark/matching/judge.json`, on drawn imprints.

    python recipes/fit_matching.py IMPRINTS ARTWORKS [--pairs 1200] [--model MODEL] [--output FILE]

IMPRINTS is a manifest of `platemark synth stamps --kind imprints --near-copies`, ARTWORKS one of
the same seed and fonts with ``--kind artworks``, which says where near-copies differ. Ink comes
from the imprints' exact masks and from the segmenter, half and half. To be run anew when the
segmenter changes. Needs the extra ``train``.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from platemark.datasets import Manifest
from platemark.evaluate.pairs import ImprintPair, KnownImprint, imprint_pairs, known_imprints
from platemark.geometry import FloatArray, apply_homography, homography
from platemark.imaging.image import Image
from platemark.matching.alignment import Alignment, align
from platemark.matching.evidence import PLACE_FEATURES, Evidence, gather
from platemark.matching.judge import Judge, Network, pair_features
from platemark.matching.template import REACH, Ink, InkTemplate
from platemark.stamps.pipeline import StampPipeline
from platemark.tasks.segmenter import Segmenter

SHARES = {"same": 1.0, "near": 1.0, "different": 0.3}
"""How many pairs of each kind are taken, of what is asked for."""
FOLDS = 4
"""One design in so many is held out to report on."""
WELL_LAID = 0.02
"""Corners of a design that are laid on each other this well, as a part of its diagonal."""
PLACES_OF_A_PAIR = 60
MINING_ROUNDS = 2
ALONE = PLACE_FEATURES.index("less alone letter")


@dataclass(frozen=True, eq=False)
class Case:
    """A pair after alignment.

    Attributes:
        pair: The pair.
        evidence: The evidence.
        alignment: How they were laid.
        labels: (N,) of every place: 1 the designs differ there, 0 they do not, NaN unclear.
        held_out: Whether it is for reporting only.
    """

    pair: ImprintPair
    evidence: Evidence
    alignment: Alignment
    labels: NDArray[np.float32]
    held_out: bool


class Inks:
    """Gives the ink of imprints: the exact mask, or what the segmenter makes of the picture."""

    def __init__(self, segmenter: Segmenter) -> None:
        self._segmenter = segmenter

    def exact(self, known: KnownImprint) -> Ink:
        """The mask of the manifest."""
        return known.ink()

    def segmented(self, known: KnownImprint) -> Ink:
        """The ink that the segmenter finds, (H, W) of the picture."""
        image = Image.read(known.path)
        (mask,) = self._segmenter(image, [known.box])
        ink = np.zeros((image.height, image.width), np.uint8)
        height, width = mask.probability.shape
        found = mask.probability > self._segmenter.mask_score
        ink[mask.top : mask.top + height, mask.left : mask.left + width] = 255 * found
        return ink


@dataclass(frozen=True, eq=False)
class Artwork:
    """The clean design of an identity: coverage (H, W) uint8, its corners (4, 2), what it says."""

    coverage: NDArray[np.uint8]
    corners: FloatArray
    text: str | None


def artworks(manifest: Manifest) -> dict[str, Artwork]:
    """The designs by identity."""
    found = {}
    for entry in manifest:
        (stamp,) = entry.stamps
        coverage = cv2.imread(str(manifest.path(entry)), cv2.IMREAD_GRAYSCALE)
        if stamp.identity is not None and coverage is not None:
            found[stamp.identity] = Artwork(
                np.asarray(coverage, np.uint8), stamp.corners, stamp.text
            )
    return found


def labelled(
    pair: ImprintPair, evidence: Evidence, first: InkTemplate, designs: dict[str, Artwork]
) -> NDArray[np.float32]:
    """Where the designs of a pair differ, for every place of its evidence."""
    if pair.kind == "same":
        return np.zeros(len(evidence.places), np.float32)
    unclear = np.full(len(evidence.places), np.nan, np.float32)
    arts = [designs.get(known.imprint.identity) for known in (pair.a, pair.b)]
    if pair.kind != "near" or None in arts:
        return unclear
    # A dater's artwork shows another date than its imprints.
    if any(art.text != known.text for art, known in zip(arts, (pair.a, pair.b), strict=True)):
        return unclear
    size = round(evidence.side * REACH)
    corners = apply_homography(first.to_frame, pair.a.corners)
    seen = [_drawn(art, (corners + REACH) * size / (2.0 * REACH), size) for art in arts]
    differ = (np.abs(seen[0] - seen[1]) > 0.5).astype(np.float32)
    letter = evidence.side / 64.0
    amount = cv2.GaussianBlur(differ, (0, 0), letter)
    ink = cv2.GaussianBlur(np.maximum(*seen), (0, 0), letter)
    about = cv2.GaussianBlur(np.abs(seen[0] - seen[1]), (0, 0), evidence.side / 20.0)
    column, row = ((evidence.places + REACH) * size / (2.0 * REACH)).astype(int).T
    unclear[about[row, column] < 0.01] = 0.0
    clear = (amount > 0.25 * ink) & (amount > 0.06)
    unclear[clear[row, column]] = 1.0
    return unclear


def _drawn(art: Artwork, corners: FloatArray, size: int) -> NDArray[np.float32]:
    """A design as its corners lie in a view."""
    matrix = homography(art.corners, corners)
    seen = cv2.warpPerspective(art.coverage, matrix, (size, size), flags=cv2.INTER_LINEAR)
    return np.asarray(seen, np.float32) / np.float32(255.0)


def examined(
    pair: ImprintPair, inks: tuple[Ink, Ink], designs: dict[str, Artwork], *, held_out: bool
) -> Case | None:
    """Lay the imprints of a pair on each other; None where one has no ink."""
    first, second = (InkTemplate.of(ink) for ink in inks)
    if 0.0 in (first.radius, second.radius):
        return None
    alignment = align(first, second)
    evidence = gather(first, second, alignment.matrix)
    labels = labelled(pair, evidence, first, designs)
    if pair.kind in ("same", "near"):
        matrix = np.linalg.inv(second.to_frame) @ alignment.matrix @ first.to_frame
        moved = apply_homography(matrix, pair.a.corners)
        diagonal = float(np.linalg.norm(pair.b.corners[2] - pair.b.corners[0]))
        if np.linalg.norm(moved - pair.b.corners, axis=1).max() > WELL_LAID * diagonal:
            labels = np.full_like(labels, np.nan)
    return Case(pair, evidence, alignment, labels, held_out)


def fit(
    features: NDArray[np.floating], labels: NDArray[np.floating], hidden: int, epochs: int
) -> Network:
    """Fit a network with one hidden layer, or none, to features (N, F) and labels (N,) in 0..1."""
    torch.manual_seed(0)
    mean, scale = features.mean(axis=0), features.std(axis=0) + 1e-6
    inputs = torch.tensor((features - mean) / scale, dtype=torch.float32)
    wanted = torch.tensor(labels, dtype=torch.float32)
    width = inputs.shape[1]
    sizes = [width, hidden, 1] if hidden else [width, 1]
    full = [torch.nn.Linear(*pair) for pair in pairwise(sizes)]
    net = torch.nn.Sequential(*[part for layer in full for part in (torch.nn.Tanh(), layer)][1:])
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-2, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    for _ in range(epochs):
        for batch in torch.randperm(len(inputs)).split(min(1024, max(32, len(inputs) // 16))):
            loss = torch.nn.functional.binary_cross_entropy_with_logits(
                net(inputs[batch])[:, 0], wanted[batch]
            )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        schedule.step()
    layers = tuple(
        (
            layer.weight.detach().numpy().T.astype(np.float64),
            layer.bias.detach().numpy().astype(np.float64),
        )
        for layer in full
    )
    return Network(mean.astype(np.float64), scale.astype(np.float64), layers)


def fit_places(cases: list[Case]) -> Network:
    """Fit what judges places, then once more with those places that it took for worst.

    A pair is judged by its worst places, so it matters how bad the worst of a good pair look.
    """
    rng = np.random.default_rng(0)
    alone = [case.evidence.features[:, ALONE] for case in cases]
    features, labels = _chosen_places(cases, alone, rng)
    for _ in range(MINING_ROUNDS):
        network = fit(features, labels, 24, 30)
        odds = [network(case.evidence.features) for case in cases]
        more_features, more_labels = _chosen_places(cases, odds, rng)
        features = np.concatenate([features, more_features])
        labels = np.concatenate([labels, more_labels])
    return fit(features, labels, 24, 40)


def _chosen_places(
    cases: list[Case], badness: Sequence[NDArray[np.floating]], rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Features and labels of some places of each pair, half of them among the worst."""
    features, labels = [], []
    for case, bad in zip(cases, badness, strict=True):
        for label in (0.0, 1.0):
            known = np.flatnonzero(case.labels == label)
            worst = known[np.argsort(-bad[known])[: max(PLACES_OF_A_PAIR, len(known) // 20)]]
            for some in (known, worst):
                picked = rng.permutation(some)[: PLACES_OF_A_PAIR // 2]
                features.append(case.evidence.features[picked])
                labels.append(np.full(len(picked), label))
    return np.concatenate(features).astype(np.float64), np.concatenate(labels)


def report(name: str, odds: FloatArray, cases: list[Case]) -> None:
    """Print how well pairs are judged, by kind."""
    print(f"{name}: {len(cases)} pairs")
    for kind in SHARES:
        own = np.array([case.pair.kind == kind for case in cases])
        right = (odds[own] > 0) == (kind == "same")
        print(f"  {kind:10} {right.mean():.3f} of {own.sum()} right")


def main() -> None:
    """Fit and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("imprints", type=Path)
    parser.add_argument("artworks", type=Path)
    parser.add_argument("--pairs", type=int, default=1200, help="pairs of each kind")
    parser.add_argument("--exact", type=float, default=0.5, help="share of exact masks")
    parser.add_argument("--model", help="stamp models, as for `platemark stamps`")
    parser.add_argument(
        "--output", type=Path, default=Path("src/platemark/matching/judge.json"), metavar="FILE"
    )
    options = parser.parse_args()
    cv2.setNumThreads(1)
    designs = artworks(Manifest.read(options.artworks))
    known = known_imprints(Manifest.read(options.imprints))
    inks = Inks(StampPipeline.from_pretrained(options.model, threads=1).segmenter)
    rng = np.random.default_rng(0)
    cases = []
    pairs = list(imprint_pairs(known, options.pairs))
    for pair in pairs:
        if rng.random() > SHARES.get(pair.kind, 0.0):
            continue
        look = inks.exact if rng.random() < options.exact else inks.segmented
        family = pair.a.imprint.family or pair.a.imprint.identity
        held_out = sum(family.encode()) % FOLDS == 0
        case = examined(pair, (look(pair.a), look(pair.b)), designs, held_out=held_out)
        if case is not None and len(case.evidence.places):
            cases.append(case)
    fitting = [case for case in cases if not case.held_out]
    places = fit_places(fitting)
    judged = np.stack(
        [
            pair_features(case.evidence, places(case.evidence.features), case.alignment)
            for case in cases
        ]
    )
    held_out = np.array([case.held_out for case in cases])
    same = np.array([case.pair.kind == "same" for case in cases], dtype=np.float64)
    verdicts = fit(judged[~held_out], same[~held_out], 0, 150)
    odds = verdicts(judged)
    report("fitted on", odds[~held_out], fitting)
    report("held out", odds[held_out], [case for case in cases if case.held_out])
    judge = Judge(places, verdicts, 2.0)
    options.output.write_text(json.dumps(judge.to_dict(), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
