"""Puts a trained run into the package: model, card with measured figures, sample and its output.

    python recipes/release.py runs/plate-detector --evaluation evaluation.json \\
        --dataset "name of the data set" --limit "what it cannot do" \\
        --command "platemark evaluate plates MANIFEST --format json"

``--evaluation`` is what ``platemark evaluate plates|stamps ... --format json`` printed for this
very model. Without it the figures in the card stay as they are; ``--append`` adds to those of other
data sets that the run's card already has.
"""

import argparse
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PilImage

from platemark.datasets import Manifest
from platemark.evaluate.card import Metrics, card_metrics, rate
from platemark.imaging.image import Image, Pixels
from platemark.imaging.warp import rectify
from platemark.masks import SoftMask
from platemark.matching import InkTemplate
from platemark.matching.alignment import align
from platemark.matching.overlay import overlay
from platemark.models.card import CARD_NAME, MODEL_NAME, Metric, ModelCard
from platemark.models.store import BUNDLED
from platemark.stamps.baselines import unwrap
from platemark.stamps.reading import find_pieces
from platemark.synth.plates.studio import PlateStudio
from platemark.synth.stamps.studio import StampStudio
from platemark.tasks.comparer import Comparer
from platemark.tasks.detector import Detector
from platemark.tasks.embedder import Embedder
from platemark.tasks.plate_classifier import PlateClassifier
from platemark.tasks.plate_reader import PlateReader
from platemark.tasks.segmenter import Segmenter
from platemark.tasks.stamp_reader import StampReader
from platemark.tasks.verifier import Verifier
from platemark.train.calibrate import calibrate_reader

SAMPLE_SEEDS = {
    ("plate", "detector"): 5,
    ("plate", "reader"): 6,
    ("plate", "classifier"): 7,
    ("stamp", "detector"): 6,
    ("stamp", "verifier"): 35,
    ("stamp", "segmenter"): 7,
    ("stamp", "embedder"): 8,
    ("stamp", "comparer"): 9,
    ("stamp", "reader"): 11,
}


def main() -> None:
    """Read the command line and release."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--evaluation", type=Path)
    parser.add_argument("--dataset", default="")
    parser.add_argument("--split", help="default: what the evaluation states")
    parser.add_argument("--append", action="store_true")
    parser.add_argument("--command", default="")
    parser.add_argument("--limit", action="append", default=[])
    parser.add_argument("--training", type=json.loads, default={}, help="JSON added to the card")
    parser.add_argument("--threshold", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument(
        "--calibrate", type=Path, metavar="MANIFEST", help="a plate reader: fit its text scores"
    )
    parser.add_argument("--version", help="a new one, so that vectors of others are not taken")
    arguments = parser.parse_args()
    card = ModelCard.read(arguments.run / CARD_NAME)
    folder = BUNDLED / card.name
    folder.mkdir(parents=True, exist_ok=True)
    if arguments.run.resolve() != folder.resolve():
        shutil.copyfile(arguments.run / MODEL_NAME, folder / MODEL_NAME)
    if arguments.calibrate:
        card.write(folder / CARD_NAME)
        card = fit_text_scores(folder, arguments.calibrate)
    changes: dict[str, Any] = {"training": card.training | arguments.training}
    if arguments.version:
        changes["version"] = arguments.version
    if arguments.limit:
        changes["limits"] = tuple(arguments.limit)
    if arguments.threshold:
        chosen = dict(pair.split("=") for pair in arguments.threshold)
        changes["thresholds"] = card.thresholds | {name: float(v) for name, v in chosen.items()}
    if arguments.evaluation:
        evaluation = json.loads(arguments.evaluation.read_text(encoding="utf-8"))
        compared = (card.kind, card.task) == ("stamp", "comparer")
        stated = (
            comparer_figures(evaluation)
            if compared
            else card_metrics(card.kind, card.task, evaluation)
        )
        figures = tuple(
            Metric(
                dataset=arguments.dataset,
                split=arguments.split or evaluation["split"],
                command=arguments.command,
                **figure,
            )
            for figure in stated
        )
        changes["metrics"] = (card.metrics if arguments.append else ()) + figures
    card.model_copy(update=changes).write(folder / CARD_NAME)
    write_sample(card.kind, card.task, folder)


def fit_text_scores(folder: Path, manifest: Path) -> ModelCard:
    """Calibrate a plate reader on the real plates of a dev split, cut out as users get them."""
    reader, annotated = PlateReader.from_pretrained(folder), Manifest.read(manifest, split="dev")
    crops, texts = [], []
    for entry in annotated:
        for plate in entry.plates:
            if plate.text:
                pixels = Image.read(annotated.path(entry)).pixels
                crop = rectify(pixels, plate.corners, reader.crop_size, reader.margin)
                crops.append(crop.pixels)
                texts.append(plate.text)
    return calibrate_reader(folder, crops, texts)


def comparer_figures(evaluation: dict[str, Any]) -> Metrics:
    """Pairs judged rightly by kind, of what `benchmarks/compare.py --json` wrote."""
    return [
        rate(f"judged right, {kind} pairs, {title}, {method}", figure)
        for title, methods in evaluation.items()
        if isinstance(methods, dict)
        for method, kinds in methods.items()
        if method.startswith("platemark")
        for kind, figure in kinds.items()
        if isinstance(figure, dict) and "n" in figure
    ]


def write_sample(kind: str, task: str, folder: Path) -> None:
    """Draw a synthetic picture, and write down what the model in ``folder`` says of it."""
    picture, said = SAMPLES[kind, task](folder, np.random.default_rng(SAMPLE_SEEDS[kind, task]))
    PilImage.fromarray(picture).save(folder / "sample.png", optimize=True)
    (folder / "sample.json").write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")


Sample = tuple[Pixels, dict[str, Any]]


def detector_sample(folder: Path, kind: str, picture: Pixels) -> Sample:
    """What a detector finds in a picture."""
    detections = Detector.from_pretrained(folder, kind=kind)(picture)
    found = [{"score": one.score, "box": one.box, "quad": one.quad} for one in detections]
    return picture, {"detections": found}


def reader_sample(folder: Path, rng: np.random.Generator) -> Sample:
    """What a reader reads on a drawn plate."""
    reader = PlateReader.from_pretrained(folder)
    photo, label = PlateStudio().crop(rng)
    assert label.quad is not None, "a drawn crop has its corners"
    picture = rectify(photo, label.quad, reader.crop_size, reader.margin).pixels
    (reading,) = reader([picture])
    return picture, {"text": reading.text, "score": reading.score, "truth": label.text}


def verifier_sample(folder: Path, rng: np.random.Generator) -> Sample:
    """What a verifier says of the stamps of a drawn page, and of a place without one."""
    picture, stamps, _ = StampStudio().scene(rng)
    boxes = [[round(side, 1) for side in stamp.box] for stamp in stamps] + [[0.0, 0.0, 60.0, 60.0]]
    odds = Verifier.from_pretrained(folder).crop_log_odds(picture, boxes)
    return picture, {"boxes": boxes, "log_odds": odds.tolist()}


def classifier_sample(folder: Path, rng: np.random.Generator) -> Sample:
    """What a classifier says of a synthetic plate."""
    classifier = PlateClassifier.from_pretrained(folder)
    photo, label = PlateStudio().crop(rng)
    assert label.quad is not None, "a synthetic crop has its corners"
    picture = rectify(photo, label.quad, classifier.crop_size, classifier.margin).pixels
    region = classifier(picture).region
    return picture, {"region": region.code, "score": region.score, "truth": label.region}


def segmenter_sample(folder: Path, rng: np.random.Generator) -> Sample:
    """How much ink a segmenter sees in a drawn imprint."""
    studio = StampStudio()
    picture, label = studio.imprint(studio.designs.design(rng), rng)
    (ink,) = Segmenter.from_pretrained(folder)(picture, [label.box])
    return picture, {"box": label.box, "ink": float(ink.probability.mean())}


def embedder_sample(folder: Path, rng: np.random.Generator) -> Sample:
    """The vector of a clean design, as grey levels of ink."""
    studio = StampStudio()
    ink = studio.artwork(studio.designs.design(rng))[0]
    (vector,) = Embedder.from_pretrained(folder)([SoftMask(ink / np.float32(255), 0, 0)])
    return ink, {"embedding": [round(float(value), 6) for value in vector]}


def comparer_sample(folder: Path, rng: np.random.Generator) -> Sample:
    """What a comparer says of two imprints of one stamp, shown beside each other."""
    studio, comparer = StampStudio(), Comparer.from_pretrained(folder)
    design = studio.designs.design(rng)
    templates = []
    for _ in range(2):
        picture, label = studio.imprint(design, rng, sides=(240.0, 320.0))
        ink = label.mask(picture.shape[1], picture.shape[0])
        templates.append(InkTemplate.of(ink, picture))
    alignment = align(*templates)[0]
    canvas, _ = overlay(comparer.spec, *templates, alignment.matrix)
    both = np.concatenate(np.split(canvas, 2, axis=2), axis=1)
    return both, {"score": comparer.judge(canvas).score}


def stamp_reader_sample(folder: Path, rng: np.random.Generator) -> Sample:
    """What a reader reads on the strip of a line of a synthetic imprint."""
    reader = StampReader.from_pretrained(folder)
    studio = StampStudio()
    picture, label = studio.imprint(studio.designs.design(rng), rng, sides=(300.0, 340.0))
    ink = label.mask(picture.shape[1], picture.shape[0]) > 0
    found = find_pieces(picture, ink.astype(np.float32), reader)
    best = max(found.pieces, key=lambda piece: piece.weight)
    strip = unwrap(found.strength, best.line).pixels
    (characters,) = reader([strip])
    text = "".join(char.char for char in characters)
    score = reader.text_score([char.score for char in characters])
    truth = [line.text for line in label.lines]
    return np.repeat(strip[..., None], 3, axis=2), {"text": text, "score": score, "truth": truth}


SAMPLES: dict[tuple[str, str], Callable[[Path, np.random.Generator], Sample]] = {
    ("plate", "detector"): lambda folder, rng: detector_sample(
        folder, "plate", PlateStudio().scene(rng)[0]
    ),
    ("stamp", "detector"): lambda folder, rng: detector_sample(
        folder, "stamp", StampStudio().scene(rng)[0]
    ),
    ("plate", "reader"): reader_sample,
    ("stamp", "verifier"): verifier_sample,
    ("plate", "classifier"): classifier_sample,
    ("stamp", "segmenter"): segmenter_sample,
    ("stamp", "embedder"): embedder_sample,
    ("stamp", "comparer"): comparer_sample,
    ("stamp", "reader"): stamp_reader_sample,
}


if __name__ == "__main__":
    main()
