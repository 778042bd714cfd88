"""`platemark.compare` beside methods without learning and the bare embedding, on the same pairs.

    python benchmarks/compare.py MANIFEST [--pairs 300] [--designs MANIFEST] [--real MANIFEST]

Pairs of imprints are judged: two of one stamp, of a stamp and its near-copy, of strangers.
README.md beside this file says what is counted.
"""

import argparse
import json
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from stamp_baselines import MATCHERS
from stamp_baselines import cut_out as boxed

from platemark.apps.cli.common import report_console
from platemark.datasets import Manifest
from platemark.evaluate.pairs import (
    KINDS,
    Artwork,
    ImprintPair,
    KnownImprint,
    artworks,
    imprint_pairs,
    known_imprints,
    shows_difference,
)
from platemark.imaging.image import Image
from platemark.masks import InkMask, SoftMask
from platemark.metrics import Rate
from platemark.stamps.pipeline import StampPipeline, cut_out
from platemark.tasks.embedder import Embedder
from platemark.tasks.segmenter import Segmenter
from platemark.types import StampMark, as_quad
from platemark.usecases.compare import compare

OURS, OURS_EXACT = "platemark", "platemark, exact ink"
EMBEDDING = "bare embedding"
NEAR_SHOWN = "near, shown"
SHOWN = ("same", "near", NEAR_SHOWN, "different", "redated")


@dataclass
class Answers:
    """What a method says of the pairs, in their order.

    Attributes:
        scores: Higher for more alike.
        verdicts: ``same``, ``different`` or ``unsure``; empty for a method that gives scores alone.
        milliseconds: Time for each pair, preparation included.
    """

    scores: list[float] = field(default_factory=list)
    verdicts: list[str] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)


def marked(known: KnownImprint, ink: SoftMask) -> StampMark:
    """The imprint as a stamp that was found, with this ink."""
    image = Image.read(known.path)
    x0, y0, x1, y1 = known.box
    quad = as_quad([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
    mask = InkMask.of(ink.probability > 0.5, (image.height, image.width), ink.left, ink.top)
    crop = cut_out(image, ink)
    return StampMark(1.0, known.box, quad, "other", "other", None, mask, crop=crop)


class Inks:
    """Ink of imprints, kept: each is in several pairs."""

    def __init__(self, segmenter: Segmenter) -> None:
        self._segmenter = segmenter
        self._found: dict[tuple[Path, Any], SoftMask] = {}

    def soft(self, known: KnownImprint) -> SoftMask:
        """What the segmenter finds in the annotated box."""
        key = (known.path, known.box)
        if key not in self._found:
            (self._found[key],) = self._segmenter(known.path, [known.box])
        return self._found[key]

    def found(self, known: KnownImprint) -> StampMark:
        """A mark with the ink that the segmenter finds."""
        return marked(known, self.soft(known))

    @staticmethod
    def exact(known: KnownImprint) -> StampMark:
        """A mark with the annotated ink."""
        return marked(known, SoftMask(known.ink().astype(np.float32) / np.float32(255)))


def by_compare(
    pairs: Sequence[ImprintPair],
    mark: Callable[[KnownImprint], StampMark],
    models: StampPipeline,
) -> Answers:
    """Judge pairs with `platemark.compare`."""
    answers = Answers()
    for pair in pairs:
        marks = mark(pair.a), mark(pair.b)
        start = time.perf_counter()
        found = compare(*marks, pipeline=models)
        answers.milliseconds.append((time.perf_counter() - start) * 1e3)
        answers.scores.append(found.score)
        answers.verdicts.append(found.verdict)
    return answers


def by_embedding(pairs: Sequence[ImprintPair], inks: Inks, embedder: Embedder) -> Answers:
    """Judge pairs by the cosine similarity of their vectors."""
    answers = Answers()
    for pair in pairs:
        masks = [inks.soft(pair.a), inks.soft(pair.b)]
        start = time.perf_counter()
        a, b = embedder(masks)
        answers.milliseconds.append((time.perf_counter() - start) * 1e3)
        answers.scores.append(float(a @ b))
    return answers


def by_matcher(pairs: Sequence[ImprintPair], name: str) -> Answers:
    """Judge pairs with a matcher of pictures."""
    matcher = MATCHERS[name]()
    answers = Answers()
    for pair in pairs:
        crops = [boxed(known.imprint) for known in (pair.a, pair.b)]
        start = time.perf_counter()
        score = matcher.compare(*(matcher.describe(crop) for crop in crops))
        answers.milliseconds.append((time.perf_counter() - start) * 1e3)
        answers.scores.append(score)
    return answers


def best_threshold(scores: NDArray[np.float64], same: NDArray[np.bool_]) -> float:
    """The score that parts same pairs from others best, both sorts weighing alike."""
    levels = np.unique(scores)
    right = [np.mean(scores[same] >= level) + np.mean(scores[~same] < level) for level in levels]
    return float(levels[int(np.argmax(right))])


def figures(
    pairs: Sequence[ImprintPair], answers: Answers, shown: NDArray[np.bool_]
) -> dict[str, Any]:
    """Pairs judged right, by kind; a method of scores alone gets the best threshold there is.

    Of the near-copies those that are ``shown`` (P,) are also counted by themselves.

    That threshold is taken from same pairs and near-copies of these very pairs, in its favour;
    where there are no near-copies, from same and different pairs.
    """
    kinds = np.array([pair.kind for pair in pairs])
    scores = np.array(answers.scores)
    made: dict[str, Any] = {}
    if answers.verdicts:
        verdicts = np.array(answers.verdicts)
    else:
        others = "near" if "near" in kinds else "different"
        known = np.isin(kinds, ("same", others))
        least = best_threshold(scores[known], kinds[known] == "same")
        verdicts = np.where(scores >= least, "same", "different")
        made["threshold"] = least
    counted = {kind: kinds == kind for kind in KINDS} | {NEAR_SHOWN: shown}
    for kind, own in counted.items():
        if own.any():
            wanted = "same" if kind == "same" else "different"
            rate = Rate(int(np.sum(verdicts[own] == wanted)), int(own.sum()))
            made[kind] = {**rate.to_dict(), "unsure": float(np.mean(verdicts[own] == "unsure"))}
    times = np.array(answers.milliseconds)
    made["ms"] = {"median": float(np.median(times)), "p95": float(np.percentile(times, 95))}
    return made


def show(title: str, results: dict[str, dict[str, Any]], console: Console) -> None:
    """Print figures as a table."""
    table = Table(title=title, box=None, pad_edge=False, header_style="bold", title_justify="left")
    table.add_column("judged right")
    kinds = [kind for kind in SHOWN if any(kind in made for made in results.values())]
    for heading in (*kinds, "ms a pair"):
        table.add_column(heading, justify="right")
    for name, made in results.items():
        cells = [_cell(made[kind]) if kind in made else "" for kind in kinds]
        table.add_row(name, *cells, f"{made['ms']['median']:.1f}")
    console.print(table)


def _cell(rate: dict[str, Any]) -> str:
    low, high = rate["interval"]
    unsure = f", {rate['unsure']:.0%} unsure" if rate["unsure"] else ""
    return f"{rate['value']:.3f} ({low:.3f}-{high:.3f}) of {rate['n']}{unsure}"


def shown_near(pairs: Sequence[ImprintPair], designs: dict[str, Artwork]) -> NDArray[np.bool_]:
    """(P,) whether a pair is of near-copies, and both imprints show what differs."""
    return np.array(
        [
            bool(designs) and pair.kind == "near" and shows_difference(pair, designs)
            for pair in pairs
        ]
    )


def real_pairs(manifest: Manifest, split: str) -> list[ImprintPair]:
    """All pairs of real imprints of known identity."""
    chosen = tuple(entry for entry in manifest if entry.split == split)
    known = [
        one
        for one in known_imprints(replace(manifest, entries=chosen))
        if one.imprint.origin == "real"
    ]
    return [
        ImprintPair("same" if a.imprint.identity == b.imprint.identity else "different", a, b)
        for a, b in combinations(known, 2)
    ]


def main() -> None:
    """Judge, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("manifest", type=Path, help="imprints of `platemark synth stamps`")
    parser.add_argument("--pairs", type=int, default=300, help="most pairs of each kind")
    parser.add_argument("--designs", type=Path, metavar="MANIFEST", help="artworks of that seed")
    parser.add_argument("--real", type=Path, metavar="MANIFEST", help="annotated real pages")
    parser.add_argument(
        "--split", choices=("train", "dev", "test"), default="test", help="of --real"
    )
    parser.add_argument("--model", help="stamp models, as for `platemark stamps`")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    console = report_console()
    models = StampPipeline.from_pretrained(options.model, threads=1)
    inks = Inks(models.segmenter)
    drawn = list(imprint_pairs(known_imprints(Manifest.read(options.manifest)), options.pairs))
    sets = {"drawn imprints": (drawn, True)}
    if options.real:
        sets["real imprints"] = (real_pairs(Manifest.read(options.real), options.split), False)
    made: dict[str, Any] = {"processor": platform.processor() or platform.machine()}
    designs = artworks(Manifest.read(options.designs)) if options.designs else {}
    for title, (pairs, exact) in sets.items():
        shown = shown_near(pairs, designs if exact else {})
        answers = {OURS_EXACT: by_compare(pairs, inks.exact, models)} if exact else {}
        answers[OURS] = by_compare(pairs, inks.found, models)
        answers[EMBEDDING] = by_embedding(pairs, inks, models.embedder)
        answers |= {name: by_matcher(pairs, name) for name in MATCHERS}
        made[title] = {name: figures(pairs, answer, shown) for name, answer in answers.items()}
        show(title, made[title], console)
    if options.json:
        options.json.write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
