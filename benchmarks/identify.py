"""Whose stamp is it: the registry, beside methods without learning.

    python benchmarks/identify.py TEST/annotations.jsonl [--json FILE]

The first identities of the manifest are known, by their first imprints; the others are unknown, and
so is one identity of every second family of near-copies: a forgery of the rest. README.md beside
this file says what is counted.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table
from stamp_baselines import MATCHERS, cut_out

from platemark.datasets import Manifest
from platemark.evaluate import Imprint
from platemark.imaging.image import Image
from platemark.metrics import Rate
from platemark.registry import Candidate, Registry
from platemark.registry.calibration import FALSE_ACCEPTS
from platemark.stamps.pipeline import StampPipeline
from platemark.types import Detection, StampMark


@dataclass(frozen=True)
class Split:
    """Imprints parted into what is known and what is asked.

    Attributes:
        known: Samples of the known identities.
        asked: Other imprints of these, and imprints of unknown identities.
        names: The known identities.
        families: The family of each known identity; near-copies share one.
    """

    known: tuple[Imprint, ...]
    asked: tuple[Imprint, ...]
    names: frozenset[str]
    families: Mapping[str, str | None]

    def answer(
        self, imprint: Imprint, named: str | None, similarity: float, score: float, accepted: bool
    ) -> "Answer":
        """What was said of an imprint, beside what is true of it."""
        truth = imprint.identity if imprint.identity in self.names else None
        copy = truth is None and imprint.family is not None
        copy = copy and imprint.family in self.families.values()
        return Answer(truth, copy, named, similarity, score, accepted)


@dataclass(frozen=True)
class Answer:
    """What was said of one imprint.

    Attributes:
        truth: Its identity; None where that is unknown.
        copy: Whether it is unknown, and differs from a known one in a detail alone.
        named: The identity it was most like; None where none was found.
        similarity: Of the vectors.
        score: How surely one stamp made both.
        accepted: Whether that was sure enough.
    """

    truth: str | None
    copy: bool
    named: str | None
    similarity: float
    score: float
    accepted: bool


def part(manifest: Manifest, identities: int, samples: int) -> Split:
    """Take the first identities of a manifest as known, by their first imprints.

    The last identity of every second family of several is never known.
    """
    by_identity: dict[str, list[Imprint]] = {}
    for entry in manifest:
        for stamp in entry.stamps:
            imprint = Imprint.of(manifest.path(entry), entry, stamp)
            if imprint is not None:
                by_identity.setdefault(imprint.identity, []).append(imprint)
    families: dict[str, list[str]] = {}
    for name, imprints in by_identity.items():
        families.setdefault(imprints[0].family or name, []).append(name)
    several = [members for members in families.values() if len(members) > 1]
    forged = {members[-1] for members in several[::2]}
    names = frozenset(islice((name for name in by_identity if name not in forged), identities))
    known = [one for name in names for one in by_identity[name][:samples]]
    asked = [
        one
        for name, imprints in by_identity.items()
        for one in imprints[samples if name in names else 0 :]
    ]
    return Split(
        tuple(known), tuple(asked), names, {name: by_identity[name][0].family for name in names}
    )


def spread(imprints: Sequence[Imprint], count: int | None) -> tuple[Imprint, ...]:
    """So many of the imprints, evenly spread over them; all of them by default."""
    if count is None or count >= len(imprints):
        return tuple(imprints)
    chosen = np.linspace(0, len(imprints) - 1, count).astype(int)
    return tuple(imprints[index] for index in chosen.tolist())


def marks(pipeline: StampPipeline, imprints: Sequence[Imprint]) -> Iterator[StampMark]:
    """The imprints as the pipeline sees them, each found by its annotated box."""
    for imprint in imprints:
        (mark,) = pipeline.describe(
            Image.read(imprint.path), [Detection.given("stamp", imprint.box)]
        )
        yield mark


def fill(registry: Registry, pipeline: StampPipeline, split: Split, console: Console) -> None:
    """Add the known imprints; those without ink are left out, and said so."""
    left_out = 0
    for imprint, mark in zip(split.known, marks(pipeline, split.known), strict=True):
        if mark.embedding is None:
            left_out += 1
        else:
            registry.add(imprint.identity, mark, duplicates="allow")
    if left_out:
        console.print(f"{left_out} samples show no ink")


def ask(
    registry: Registry, pipeline: StampPipeline, split: Split
) -> tuple[list[list[Candidate]], float]:
    """The candidates for each imprint asked about, and the median time it took to rank them."""
    found: list[list[Candidate]] = []
    times: list[float] = []
    for mark in marks(pipeline, split.asked):
        start = time.perf_counter()
        found.append(registry.identify(mark))
        times.append(1e3 * (time.perf_counter() - start))
    return found, float(np.median(times))


def answers(split: Split, found: Sequence[Sequence[Candidate]]) -> list[Answer]:
    """What the registry said."""
    said = []
    for imprint, candidates in zip(split.asked, found, strict=True):
        if not candidates:
            said.append(split.answer(imprint, None, -1.0, 0.0, False))
            continue
        best = candidates[0]
        given = best.design.name, best.similarity, best.score, best.accepted
        said.append(split.answer(imprint, *given))
    return said


def by_vector(split: Split, found: Sequence[Sequence[Candidate]]) -> list[Answer]:
    """What the vectors alone say, at the best threshold that accepts few enough unknown."""
    said = []
    for imprint, candidates in zip(split.asked, found, strict=True):
        best = max(candidates, key=lambda one: one.similarity, default=None)
        name, value = (best.design.name, best.similarity) if best else (None, -1.0)
        said.append(split.answer(imprint, name, value, value, False))
    return at_best_threshold(said)


def by_features(name: str, split: Split, asked: Sequence[Imprint]) -> list[Answer]:
    """What a method without learning says of some of the imprints, compared with all samples."""
    matcher = MATCHERS[name]()
    samples = [(one.identity, matcher.describe(cut_out(one))) for one in split.known]
    said = []
    for imprint in asked:
        own = matcher.describe(cut_out(imprint))
        value, best = max((matcher.compare(own, other), who) for who, other in samples)
        said.append(split.answer(imprint, best, value, value, False))
    return at_best_threshold(said)


def at_best_threshold(said: Sequence[Answer]) -> list[Answer]:
    """Accept from the lowest score on from which unknown ones are accepted no oftener than asked.

    It is chosen on the very imprints it is scored on: no other would do better.
    """
    strangers = (one for one in said if one.truth is None and not one.copy)
    unknown = sorted((one.score for one in strangers), reverse=True)
    least = unknown[int(FALSE_ACCEPTS * len(unknown))] if unknown else -np.inf
    return [replace(one, accepted=one.score > least) for one in said]


def figures(said: Sequence[Answer]) -> dict[str, Rate]:
    """Shares of the imprints of known stamps named rightly, and of unknown ones accepted."""
    known = [one for one in said if one.truth is not None]
    strangers = [one for one in said if one.truth is None and not one.copy]
    copies = [one for one in said if one.copy]
    return {
        "right": Rate(sum(one.accepted and one.named == one.truth for one in known), len(known)),
        "wrong": Rate(sum(one.accepted and one.named != one.truth for one in known), len(known)),
        "ranked first": Rate(sum(one.named == one.truth for one in known), len(known)),
        "unknown accepted": Rate(sum(one.accepted for one in strangers), len(strangers)),
        "copies accepted": Rate(sum(one.accepted for one in copies), len(copies)),
    }


def shown(rate: Rate) -> str:
    low, high = rate.interval
    return f"{rate.value:.4f} ({low:.4f}-{high:.4f})" if rate.n else "-"


def report(console: Console, rows: Mapping[str, Sequence[Answer]]) -> dict[str, Any]:
    heads = "right", "wrong", "ranked first", "unknown accepted", "copies accepted"
    table = Table("", "queries", *heads, box=None)
    for name, said in rows.items():
        rates = figures(said)
        table.add_row(name, str(len(said)), *(shown(rate) for rate in rates.values()))
    console.print(table)
    return {
        name: {key: rate.to_dict() for key, rate in figures(said).items()}
        for name, said in rows.items()
    }


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("manifest", type=Path, help="imprints with identities, JSON Lines")
    parser.add_argument("--known", type=int, default=1000, help="identities that are known")
    parser.add_argument("--samples", type=int, default=3, help="samples of each")
    parser.add_argument("--queries", type=int, help="imprints asked about, of all there are")
    parser.add_argument("--baselines", type=int, default=200, help="queries for SIFT and ORB")
    parser.add_argument("--model", help="stamp models, as for `platemark stamps`")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    cv2.setNumThreads(options.threads)
    console = Console(width=180)
    split = part(Manifest.read(options.manifest), options.known, options.samples)
    split = replace(split, asked=spread(split.asked, options.queries))
    pipeline = StampPipeline.from_pretrained(options.model, threads=options.threads)
    model = pipeline.embedder.name
    with (
        tempfile.TemporaryDirectory() as folder,
        Registry.open(Path(folder) / "known.db") as registry,
    ):
        fill(registry, pipeline, split, console)
        found, median = ask(registry, pipeline, split)
    console.print(
        f"{model}: {len(split.names)} known designs, {len(split.known)} samples, "
        f"{len(split.asked)} queries, {median:.0f} ms to identify one (median)"
    )
    rows = {
        "platemark": answers(split, found),
        "vectors alone, best threshold": by_vector(split, found),
    }
    asked = spread(split.asked, options.baselines)
    for name in ("SIFT + RANSAC", "ORB") if options.baselines else ():
        rows[f"{name}, best threshold"] = by_features(name, split, asked)
    data = report(console, rows)
    if options.json:
        run = {"manifest": str(options.manifest), "model": model, "median_ms": round(median, 1)}
        options.json.write_text(json.dumps(run | {"figures": data}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
