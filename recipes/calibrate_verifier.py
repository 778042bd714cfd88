"""Fits the scores of a trained verifier on annotated pages that it has not learned from.

    python recipes/calibrate_verifier.py runs/stamp-verifier data/stamps/annotations.jsonl \\
        --split dev --candidate-score 0.025 --recall 0.75

Writes weight, calibration and both thresholds to the run's card: the highest final score from which
on the share of the annotated stamps asked for is found.
"""

import argparse
import math
from pathlib import Path

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
    parser.add_argument("--candidate-score", type=float, default=0.025)
    parser.add_argument("--recall", type=float, default=0.75)
    arguments = parser.parse_args()
    detector = Detector.from_pretrained(arguments.detector, kind="stamp")
    manifest = Manifest.read(arguments.manifest, split=arguments.split, kind="scene")
    pages = [
        judge(manifest.path(entry), entry, detector, least=arguments.candidate_score)
        for entry in manifest
    ]
    card = calibrate_verifier(arguments.run, pages)
    wanted = math.ceil(arguments.recall * sum(len(entry.stamps) for entry in manifest))
    least = threshold(arguments.run, pages, wanted)
    stated = {"candidate_score": arguments.candidate_score, "min_score": least}
    card = card.model_copy(update={"thresholds": stated})
    card.write(arguments.run / CARD_NAME)
    print(f"{card.decode!r} {card.calibration!r} {card.thresholds}")


def threshold(run: Path, pages: list[Judged], wanted: int) -> float:
    """The highest final score, to two decimals, from which on so many candidates are right."""
    verifier = Verifier.from_pretrained(run, min_score=0.0)
    scores: list[float] = []
    for page in pages:
        boxes = [one.box for one in page.candidates]
        right = dict(zip(boxes, page.right, strict=True))
        verified = verifier(Image.read(page.path), page.candidates)
        scores += [one.score for one in verified if right[one.box] == 1]
    best = sorted(scores, reverse=True)[:wanted]
    return math.floor(100 * best[-1]) / 100 if len(best) == wanted else 0.0


if __name__ == "__main__":
    main()
