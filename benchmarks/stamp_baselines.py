"""Platemark's stamp models beside methods without learning, by the protocol of `evaluate stamps`.

    python benchmarks/stamp_baselines.py MANIFEST [--split test] [--limit 300] [--json FILE]

Finding stamps: a threshold of colour, and Hough circles. Telling them apart: SIFT with RANSAC, ORB
and a perceptual hash, each on the annotated boxes. README.md beside this file says what is counted.
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from platemark.apps.cli.evaluate_tables import mask_table, retrieval_table, stamp_detection_table
from platemark.datasets import Manifest
from platemark.errors import ModelError
from platemark.evaluate import (
    Imprint,
    Retrieval,
    StampEvaluation,
    evaluate_stamps,
)
from platemark.evaluate.detection import false_marks
from platemark.evaluate.stamps import ALL
from platemark.geometry import box_to_quad
from platemark.imaging.image import Image, Pixels
from platemark.imaging.sources import expand_inputs
from platemark.imaging.warp import rectify
from platemark.masks import InkMask
from platemark.pipeline import Pipeline
from platemark.stamps.pipeline import StampPipeline
from platemark.types import Detection, StampMark, as_quad

OURS = "platemark"
PAGE_SIDE = 1000
"""Long side to which pages are scaled for the baselines, in pixels; smaller ones stay."""
CROP_SIDE = 256
"""Long side to which imprints are scaled for the baselines, in pixels."""
SHORTEST, LONGEST, SLIMMEST = 0.03, 0.6, 6.0
"""Sides of a stamp as a fraction of the page's long side, and its greatest aspect ratio."""
LEAST_COLOUR = 0.02
"""Imprints with a smaller share of coloured pixels are taken for grey scans."""
RATIO = 0.75
"""Lowe's ratio test: the best match must be this much nearer than the second."""


class FindBoxes(Protocol):
    """Finds stamps on a scaled page (H, W, 3): boxes (x0, y0, x1, y1) and scores in 0..1."""

    def __call__(self, page: Pixels) -> list[tuple[Sequence[float], float]]: ...


def by_colour(page: Pixels) -> list[tuple[Sequence[float], float]]:
    """Coloured pixels, joined to blots; the larger a blot and the fuller of ink, the better."""
    ink = coloured(page)
    reach = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (25, 25))
    blots = cv2.morphologyEx(ink.astype(np.uint8), cv2.MORPH_CLOSE, reach)
    contours, _ = cv2.findContours(blots, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    side = max(page.shape[:2])
    found: list[tuple[Sequence[float], float]] = []
    for x, y, width, height in map(cv2.boundingRect, contours):
        short, long = min(width, height), max(width, height)
        if short >= SHORTEST * side and long <= LONGEST * side and long <= SLIMMEST * short:
            share = float(ink[y : y + height, x : x + width].mean())
            score = min(1.0, short / (0.2 * side)) * min(1.0, 4.0 * share)
            found.append(((x, y, x + width, y + height), score))
    return found


def coloured(page: Pixels) -> NDArray[np.bool_]:
    """(H, W) bool: pixels that are neither grey nor white, nor nearly black."""
    smooth = cv2.GaussianBlur(page, (3, 3), 0)
    _, saturation, value = cv2.split(cv2.cvtColor(smooth, cv2.COLOR_RGB2HSV))
    return np.asarray((saturation > 40) & (value > 40))


def dark(grey: Pixels) -> NDArray[np.bool_]:
    """(H, W) bool: what Otsu's threshold takes for ink."""
    _, ink = cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY_INV + cv2.THRESH_OTSU)
    return np.asarray(ink > 0)


def by_circles(page: Pixels) -> list[tuple[Sequence[float], float]]:
    """Circles of the Hough transform; the more of the circumference votes, the better."""
    grey = cv2.medianBlur(cv2.cvtColor(page, cv2.COLOR_RGB2GRAY), 5)
    side = max(grey.shape)
    circles = cv2.HoughCirclesWithAccumulator(
        grey,
        cv2.HOUGH_GRADIENT_ALT,
        dp=1.5,
        minDist=SHORTEST * side,
        param1=300,
        param2=0.5,
        minRadius=round(SHORTEST * side / 2),
        maxRadius=round(LONGEST * side / 4),
    )
    if circles is None:
        return []
    # a clean ring has an inner and an outer edge, so two votes for each step of its circumference
    return [
        ((x - r, y - r, x + r, y + r), float(min(1.0, votes / (4.0 * np.pi * r))))
        for x, y, r, votes in circles.reshape(-1, 4).tolist()
    ]


class Baseline(Pipeline[StampMark]):
    """A baseline in the place of the stamp pipeline: its ink is what is coloured, else dark.

    Args:
        find: Finds boxes on a scaled page.
        min_score: Least score of a stamp.
    """

    def __init__(self, find: FindBoxes, min_score: float) -> None:
        self._find, self._min_score = find, min_score
        super().__init__(self._detect)

    def _detect(self, image: Image, *, min_score: float | None = None) -> list[Detection]:
        """Find stamps, best first."""
        page, scale = scaled(image.pixels, PAGE_SIDE)
        least = self._min_score if min_score is None else min_score
        detections = []
        for box, score in self._find(page):
            limits = [image.width, image.height] * 2
            x0, y0, x1, y1 = np.clip(np.divide(box, scale), 0, limits).tolist()
            if score >= least and x1 > x0 and y1 > y0:
                quad = as_quad(box_to_quad((x0, y0, x1, y1)))
                detections.append(Detection("stamp", score, (x0, y0, x1, y1), quad))
        return sorted(detections, key=lambda detection: -detection.score)

    def describe(self, image: Image, detections: Sequence[Detection]) -> list[StampMark]:
        """Take what is coloured within each box for its ink, or what is dark if little is."""
        return [self._mark(image, detection) for detection in detections]

    @staticmethod
    def _mark(image: Image, detection: Detection) -> StampMark:
        left, top = (max(0, int(value)) for value in detection.box[:2])
        right, bottom = (int(np.ceil(value)) for value in detection.box[2:])
        part = image.pixels[top:bottom, left:right]
        ink = coloured(part)
        if ink.mean() < LEAST_COLOUR:
            ink = dark(np.asarray(cv2.cvtColor(part, cv2.COLOR_RGB2GRAY), dtype=np.uint8))
        mask = InkMask.of(ink, (image.height, image.width), left, top)
        where = detection.score, detection.box, detection.quad
        return StampMark(*where, shape="other", color="other", rotation=None, mask=mask)


def scaled(pixels: Pixels, long_side: int) -> tuple[Pixels, float]:
    """Bring a picture to a long side, never enlarged, and say by which factor."""
    scale = min(1.0, long_side / max(pixels.shape[:2]))
    small = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.uint8), scale


Features = Any  # keypoints and descriptors of OpenCV, or the bits of a hash


@dataclass(frozen=True)
class Matcher:
    """Compares imprints two by two.

    Attributes:
        describe: What is remembered of an imprint (H, W, 3).
        compare: How alike two imprints are, higher for more.
    """

    describe: Callable[[Pixels], Features]
    compare: Callable[[Features, Features], float]


def sift() -> Matcher:
    """Inliers of a similarity transform between SIFT keypoints (Lowe 2004; RANSAC)."""
    detector, matcher = cv2.SIFT_create(500), cv2.BFMatcher(cv2.NORM_L2)

    def compare(a: Features, b: Features) -> float:
        pairs = good_matches(matcher, a, b)
        if len(pairs) < 3:
            return 0.0
        source = np.array([a[0][pair.queryIdx].pt for pair in pairs])
        target = np.array([b[0][pair.trainIdx].pt for pair in pairs])
        cv2.setRNGSeed(0)
        _, inliers = cv2.estimateAffinePartial2D(
            source, target, method=cv2.RANSAC, ransacReprojThreshold=5.0
        )
        return 0.0 if inliers is None else float(inliers.sum())

    return Matcher(lambda crop: detector.detectAndCompute(grey_of(crop), None), compare)


def orb() -> Matcher:
    """Matches of ORB keypoints that pass the ratio test (Rublee et al. 2011)."""
    detector, matcher = cv2.ORB_create(500), cv2.BFMatcher(cv2.NORM_HAMMING)
    return Matcher(
        lambda crop: detector.detectAndCompute(grey_of(crop), None),
        lambda a, b: float(len(good_matches(matcher, a, b))),
    )


def good_matches(matcher: cv2.BFMatcher, a: Features, b: Features) -> list[cv2.DMatch]:
    """Matches of the descriptors that pass Lowe's ratio test."""
    if a[1] is None or b[1] is None:
        return []
    pairs = matcher.knnMatch(a[1], b[1], k=2)
    return [p[0] for p in pairs if len(p) == 2 and p[0].distance < RATIO * p[1].distance]


def perceptual_hash() -> Matcher:
    """64 bits of the cosine transform of the deskewed imprint, the best of four quarter turns."""

    def describe(crop: Pixels) -> Features:
        upright = deskewed(grey_of(crop))
        return np.stack([hash_bits(np.rot90(upright, turn)) for turn in range(4)])

    def compare(a: Features, b: Features) -> float:
        return float(1.0 - np.min(np.mean(a != b[0], axis=1)))

    return Matcher(describe, compare)


def hash_bits(grey: Pixels) -> NDArray[np.bool_]:
    """pHash: which of the 64 lowest frequencies of a 32 x 32 picture are above their median."""
    small = cv2.resize(np.ascontiguousarray(grey), (32, 32), interpolation=cv2.INTER_AREA)
    low = cv2.dct(small.astype(np.float32))[:8, :8].ravel()
    return np.asarray(low > np.median(low[1:]))


def deskewed(grey: Pixels) -> Pixels:
    """Turn an imprint so that the smallest rectangle around its ink (Otsu) is upright."""
    points = cv2.findNonZero(dark(grey).astype(np.uint8))
    if points is None:
        return grey
    corners = cv2.boxPoints(cv2.minAreaRect(points)).astype(np.float64)
    width, height = np.linalg.norm(corners[1] - corners[0]), np.linalg.norm(corners[2] - corners[1])
    if min(width, height) < 2:
        return grey
    return rectify(np.repeat(grey[..., None], 3, axis=2), corners).pixels[..., 0]


def grey_of(crop: Pixels) -> Pixels:
    """Grey (h, w) uint8 with the long side of `CROP_SIDE`."""
    grey = np.asarray(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    factor = CROP_SIDE / max(grey.shape)
    size = tuple(max(1, round(side * factor)) for side in grey.shape[::-1])
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


FINDERS: Mapping[str, tuple[FindBoxes, float]] = {
    "colour threshold": (by_colour, 0.0),
    "Hough circles": (by_circles, 0.4),
}
"""How each finds stamps, and the least score it takes, set on the train split."""
MATCHERS: Mapping[str, Callable[[], Matcher]] = {
    "SIFT + RANSAC": sift,
    "ORB": orb,
    "perceptual hash": perceptual_hash,
}


def known_imprints(manifest: Manifest, limit: int) -> list[Imprint]:
    """Imprints of known identity, whole identities in the order of the manifest up to a limit."""
    by_identity: dict[str, list[Imprint]] = {}
    for entry in manifest:
        for stamp in entry.stamps if entry.kind != "isolated" else ():
            imprint = Imprint.of(manifest.path(entry), entry, stamp)
            if imprint is not None:
                by_identity.setdefault(imprint.identity, []).append(imprint)
    chosen: list[Imprint] = []
    for imprints in by_identity.values():
        if len(chosen) + len(imprints) > limit:
            break
        chosen += imprints
    return chosen


def match_all(matcher: Matcher, imprints: Sequence[Imprint]) -> tuple[Retrieval, float, float]:
    """Compare all imprints; milliseconds for each to describe and for each pair to compare."""
    start = time.perf_counter()
    features = [matcher.describe(cut_out(imprint)) for imprint in imprints]
    described = time.perf_counter()
    table = np.full((len(imprints), len(imprints)), -np.inf, dtype=np.float32)
    for first, second in zip(*np.triu_indices(len(imprints), 1), strict=True):
        alike = matcher.compare(features[first], features[second])
        table[first, second] = table[second, first] = alike
    compared = time.perf_counter()
    pairs = max(1, len(imprints) * (len(imprints) - 1) // 2)
    times = (described - start) * 1e3 / max(1, len(imprints)), (compared - described) * 1e3 / pairs
    return Retrieval(tuple(imprints), table), *times


def cut_out(imprint: Imprint) -> Pixels:
    """The annotated box of an imprint, upright as it lies on the page."""
    pixels = Image.read(imprint.path).pixels
    return rectify(pixels, box_to_quad(imprint.box)).pixels


def ours_among(evaluation: StampEvaluation, imprints: Sequence[Imprint]) -> Retrieval:
    """Our similarities of the same imprints."""
    whole = evaluation.retrieval["annotated"]
    place = {imprint: index for index, imprint in enumerate(whole.imprints)}
    chosen = [place[imprint] for imprint in imprints]
    return Retrieval(tuple(imprints), whole.similarity[np.ix_(chosen, chosen)])


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("manifest", type=Path, help="JSON Lines, as `platemark evaluate` takes")
    parser.add_argument("--split", choices=("train", "dev", "test"), default="test")
    parser.add_argument("--model", help="stamp models, as for `platemark stamps`")
    parser.add_argument("--negatives", type=Path, help="a folder of pages without stamps")
    parser.add_argument(
        "--limit", type=int, default=300, help="imprints that are compared two by two"
    )
    parser.add_argument("--threads", type=int, default=1, help="for each system alike")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    return parser.parse_args()


def finders(
    manifest: Manifest, options: argparse.Namespace, console: Console
) -> dict[str, StampEvaluation]:
    """What each system finds, ours first where its models are there."""
    folder = options.negatives
    pages = [Path(str(page)) for page in expand_inputs([folder])] if folder else []
    found: dict[str, StampEvaluation] = {}
    try:
        ours = StampPipeline.from_pretrained(options.model, threads=options.threads)
        found[OURS] = evaluate_stamps(manifest, ours, negatives=pages)
    except ModelError as error:
        console.print(f"{OURS}: {error.message}", markup=False)
    return found | {
        name: evaluate_stamps(manifest, Baseline(*finder), negatives=pages)
        for name, finder in FINDERS.items()
    }


def matchers(
    evaluation: StampEvaluation | None, imprints: Sequence[Imprint], console: Console
) -> dict[str, Retrieval]:
    """How alike each system finds the imprints, ours first where its models are there."""
    found = {} if evaluation is None else {OURS: ours_among(evaluation, imprints)}
    for name, make in MATCHERS.items():
        found[name], per_imprint, per_pair = match_all(make(), imprints)
        console.print(f"{name}: {per_imprint:.2f} ms per imprint, {per_pair:.3f} ms per pair")
    return found


def report(
    console: Console, found: Mapping[str, StampEvaluation], told: Mapping[str, Retrieval]
) -> dict[str, Any]:
    """Print the tables of `evaluate stamps` with a row for each system; return the figures."""
    detection = named((name, one.detection()) for name, one in found.items() if one.scenes)
    masks = named((name, one.masks()) for name, one in found.items())
    retrieval = {name: one.scores() for name, one in told.items() if one.origins()}
    empty = {name: false_marks(one.negatives) for name, one in found.items() if one.negatives}
    if detection:
        console.print(stamp_detection_table(detection))
    if masks:
        console.print(mask_table(masks))
    if retrieval:
        console.print(retrieval_table(retrieval))
    for name, (per_page, with_any) in empty.items():
        console.print(f"{name}: {per_page:.3f} false marks per page on {with_any.n} empty pages")
    parts: dict[str, Mapping[str, Any]] = {
        "detection": detection,
        "masks": masks,
        "retrieval": retrieval,
    }
    figures = {
        part: {name: one.to_dict() for name, one in rows.items()} for part, rows in parts.items()
    }
    return figures | {"false_marks_per_empty_page": {name: one[0] for name, one in empty.items()}}


def named(parts: Iterable[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """The figures of each system and set of pages by one name."""
    return {
        name if part == ALL else f"{name}, {part}": figures
        for name, sets in parts
        for part, figures in sets.items()
    }


def main() -> int:
    options = arguments()
    cv2.setNumThreads(options.threads)
    manifest = Manifest.read(options.manifest, split=options.split)
    console = Console()
    if not console.is_terminal:
        console.width = 160
    found = finders(manifest, options, console)
    imprints = known_imprints(manifest, options.limit)
    figures = report(console, found, matchers(found.get(OURS), imprints, console))
    if options.json:
        run = {
            "manifest": options.manifest.name,
            "split": options.split,
            "imprints_compared": len(imprints),
            "threads": options.threads,
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        }
        options.json.write_text(json.dumps(run | figures, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
