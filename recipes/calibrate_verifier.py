"""Fits the scores of a trained verifier on annotated pages that it has not learned from.

    python recipes/calibrate_verifier.py runs/stamp-verifier data/stamps/annotations.jsonl \\
        --split dev --candidate-score 0.02 --precision 0.9

Writes weight, calibration and both thresholds to the run's card: the final score from which on the
share of right marks is at least the precision asked for.
"""

import argparse
from pathlib import Path

import numpy as np

from platemark.datasets import Manifest
from platemark.imaging.image import Image
from platemark.models.card import CARD_NAME
from platemark.tasks.detector import Detector
from platemark.tasks.verifier import Verifier
from platemark.train.calibrate import Judged, calibrate_verifier
from platemark.train.verifier import judge


def main() -> None:
    """Read the command line, fit and write the card."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--split", default="dev")
    parser.add_argument("--detector", type=Path, help="by default the bundled one")
    parser.add_argument("--candidate-score", type=float, default=0.02)
    parser.add_argument("--precision", type=float, default=0.9)
    arguments = parser.parse_args()
    detector = Detector.from_pretrained(arguments.detector, kind="stamp")
    manifest = Manifest.read(arguments.manifest, split=arguments.split, kind="scene")
    pages = [
        judge(manifest.path(entry), entry, detector, least=arguments.candidate_score)
        for entry in manifest
    ]
    card = calibrate_verifier(arguments.run, pages)
    least = threshold(arguments.run, pages, arguments.precision)
    stated = {"candidate_score": arguments.candidate_score, "min_score": round(least, 3)}
    card = card.model_copy(update={"thresholds": stated})
    card.write(arguments.run / CARD_NAME)
    print(f"{card.decode!r} {card.calibration!r} {card.thresholds}")


def threshold(run: Path, pages: list[Judged], precision: float) -> float:
    """The lowest final score from which on so large a share of what is found is right."""
    verifier = Verifier.from_pretrained(run, min_score=0.0)
    pairs: list[tuple[float, int]] = []
    for page in pages:
        boxes = [one.box for one in page.candidates]
        right = dict(zip(boxes, page.right, strict=True))
        verified = verifier(Image.read(page.path), page.candidates)
        pairs += [(one.score, right[one.box]) for one in verified if right[one.box] >= 0]
    pairs.sort(reverse=True)
    hits = np.cumsum([right for _, right in pairs])
    precise = np.flatnonzero(hits >= precision * np.arange(1, len(pairs) + 1))
    return pairs[precise[-1]][0] if len(precise) else 1.0


if __name__ == "__main__":
    main()
