"""Fits how the comparer joins what its network, alignment, local features and embeddings say.

    python recipes/fusion.py --real data/stamps/annotations.jsonl \\
        --synthetic runs/fusion/annotations.jsonl --comparer models/bundled/stamp-comparer

Real pairs are of the train split, synthetic ones of `platemark synth stamps --kind imprints`. The
weights go to the comparer's card. recipes/stamps.md says with what data the bundled one was fitted.
"""

import argparse
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np

from platemark.datasets import Manifest
from platemark.evaluate.pairs import ImprintPair, KnownImprint, imprint_pairs, known_imprints
from platemark.geometry import box_to_quad
from platemark.imaging.image import Image
from platemark.stamps.pipeline import StampPipeline
from platemark.tasks.comparer import Comparer, Signals
from platemark.train.calibrate import fit_fusion
from platemark.types import Detection, StampMark, as_quad

# Most pairs of one stamp from one identity, and of two stamps for each imprint: the most similar
# one of another identity, and others at random.
_OF_IDENTITY, _NEAREST, _OTHERS = 8, 1, 1
# What all synthetic pairs weigh, in parts of what the real ones do.
_SYNTHETIC = 0.3


def main() -> None:
    """Read the command line, compare all pairs, fit, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--real", type=Path, required=True, metavar="MANIFEST")
    parser.add_argument("--without", nargs="*", default=[], help="identities to be left out")
    parser.add_argument("--synthetic", type=Path, required=True, metavar="MANIFEST")
    parser.add_argument("--pairs", type=int, default=110, help="most synthetic pairs of each kind")
    parser.add_argument("--comparer", type=Path, required=True, metavar="FOLDER")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    pipeline = StampPipeline.from_pretrained(threads=1)
    comparer = Comparer.from_pretrained(options.comparer, threads=1)

    @cache
    def mark(known: KnownImprint) -> StampMark:
        quad = as_quad(box_to_quad(known.box))
        (found,) = pipeline.describe(
            Image.read(known.path), [Detection("stamp", 1, known.box, quad)]
        )
        return found

    def seen(pairs: Sequence[ImprintPair]) -> Iterator[tuple[ImprintPair, Signals]]:
        for pair in pairs:
            match = comparer(mark(pair.a), mark(pair.b))
            if match.doubt is None and match.signals.similarity is not None:
                yield pair, match.signals

    real = list(seen(real_pairs(Manifest.read(options.real), set(options.without), mark)))
    known = known_imprints(Manifest.read(options.synthetic))
    synthetic = list(seen(list(imprint_pairs(known, options.pairs, seed=1))))
    signals = [signal for _, signal in (*real, *synthetic)]
    alike = [pair.kind != "different" for pair, _ in (*real, *synthetic)]
    weights = [*weighed([pair for pair, _ in real])]
    weights += [
        _SYNTHETIC * len(real) / len(synthetic) * one for one in weighed([p for p, _ in synthetic])
    ]
    card = fit_fusion(options.comparer, pipeline.embedder.name, signals, alike, weights)
    print(f"{len(real)} real and {len(synthetic)} synthetic pairs: {card.fusion}")


def real_pairs(
    manifest: Manifest, without: set[str], mark: Callable[[KnownImprint], StampMark]
) -> list[ImprintPair]:
    """Pairs of real imprints of the train split: of one stamp, and of two."""
    chosen = tuple(entry for entry in manifest if entry.split == "train")
    imprints = [
        one
        for one in known_imprints(replace(manifest, entries=chosen))
        if one.imprint.origin == "real" and one.imprint.identity not in without
    ]
    embeddings = [mark(one).embedding for one in imprints]
    imprints = [one for one, made in zip(imprints, embeddings, strict=True) if made is not None]
    rng = np.random.default_rng(0)
    names = np.array([one.imprint.identity for one in imprints])
    pairs: list[ImprintPair] = []
    for name in sorted(set(names.tolist())):
        same = list(combinations(np.flatnonzero(names == name).tolist(), 2))
        for index in rng.permutation(len(same))[:_OF_IDENTITY].tolist():
            a, b = same[index]
            pairs.append(ImprintPair("same", imprints[a], imprints[b]))
    vectors = np.stack([made.vector for made in embeddings if made is not None])
    different: set[tuple[int, int]] = set()
    for index, name in enumerate(names):
        others = np.flatnonzero(names != name)
        nearest = others[np.argsort(-(vectors[others] @ vectors[index]))][:_NEAREST]
        for other in (*nearest.tolist(), *rng.choice(others, _OTHERS).tolist()):
            different.add((min(index, other), max(index, other)))
    return pairs + [
        ImprintPair("different", imprints[a], imprints[b]) for a, b in sorted(different)
    ]


def weighed(pairs: Sequence[ImprintPair]) -> list[float]:
    """Weights of pairs: half for those of one design, where no identity counts for very many."""
    alike = [pair.kind != "different" for pair in pairs]
    names = [pair.a.imprint.family or pair.a.imprint.identity for pair in pairs]
    counts = Counter(name for name, same in zip(names, alike, strict=True) if same)
    raw = np.array(
        [counts[name] ** -0.5 if same else 1.0 for name, same in zip(names, alike, strict=True)]
    )
    same = np.array(alike)
    for chosen in (same, ~same):
        raw[chosen] *= len(pairs) / 2.0 / raw[chosen].sum()
    return raw.tolist()


if __name__ == "__main__":
    main()
