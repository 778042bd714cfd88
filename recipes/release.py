"""Puts a trained run into the package: model, card with measured figures, sample and its output.

    python recipes/release.py runs/plate-detector --evaluation evaluation.json \\
        --dataset "name of the data set" --limit "what it cannot do" \\
        --command "platemark evaluate plates MANIFEST --format json"

``--evaluation`` is what ``platemark evaluate plates ... --format json`` printed for this very
model. Without it the figures in the card stay as they are.
"""

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PilImage

from platemark.models.card import CARD_NAME, MODEL_NAME, Metric, ModelCard
from platemark.models.store import BUNDLED
from platemark.synth.scene import flatten
from platemark.synth.studio import PlateStudio
from platemark.tasks.detector import Detector
from platemark.tasks.plate_reader import PlateReader

SAMPLE_SEEDS = {"detector": 5, "reader": 6}
SPLIT = "test"


def main() -> None:
    """Read the command line and release."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--evaluation", type=Path)
    parser.add_argument("--dataset", default="")
    parser.add_argument("--command", default="")
    parser.add_argument("--limit", action="append", default=[])
    parser.add_argument("--training", type=json.loads, default={}, help="JSON added to the card")
    parser.add_argument("--min-score", type=float)
    arguments = parser.parse_args()
    card = ModelCard.read(arguments.run / CARD_NAME)
    folder = BUNDLED / card.name
    folder.mkdir(parents=True, exist_ok=True)
    if arguments.run.resolve() != folder.resolve():
        shutil.copyfile(arguments.run / MODEL_NAME, folder / MODEL_NAME)
    changes: dict[str, Any] = {"training": card.training | arguments.training}
    if arguments.limit:
        changes["limits"] = tuple(arguments.limit)
    if arguments.min_score is not None:
        changes["thresholds"] = card.thresholds | {"min_score": arguments.min_score}
    if arguments.evaluation:
        figures = json.loads(arguments.evaluation.read_text(encoding="utf-8"))
        chosen = detector_figures(figures) if card.task == "detector" else reader_figures(figures)
        changes["metrics"] = tuple(
            Metric(dataset=arguments.dataset, split=SPLIT, command=arguments.command, **figure)
            for figure in chosen
        )
    card.model_copy(update=changes).write(folder / CARD_NAME)
    write_sample(card.task, folder)


def detector_figures(evaluation: dict[str, Any]) -> list[dict[str, Any]]:
    """Recall, precision and average precision on scenes, and false plates on photos without any."""
    figures = []
    scenes = evaluation["overall"]["scene"]
    for threshold, scores in scenes["detection"].items():
        for name in ("recall", "precision"):
            figures.append(rate(f"{name} at IoU {threshold}, all scenes", scores[name]))
        precision = scores["average_precision"]
        name = f"average precision at IoU {threshold}, all scenes"
        figures.append({"name": name, "n": scenes["plates"], "value": precision})
    for group, scores in evaluation["groups"].items():
        if scores["plates"]:
            recall = scores["detection"]["0.5"]["recall"]
            figures.append(rate(f"recall at IoU 0.5, {group}", recall))
    negatives = evaluation["negatives"]
    if negatives["images"]:
        value = negatives["false_plates_per_image"]
        name = "false plates per photo without plates"
        figures.append({"name": name, "n": negatives["images"], "value": value})
    return figures


def reader_figures(evaluation: dict[str, Any]) -> list[dict[str, Any]]:
    """Exact matches from the annotated corners and end to end, strict and folded, by group."""
    figures = []
    for group, scores in evaluation["groups"].items():
        for stage, name in (("reader", "annotated corners"), ("end_to_end", "end to end")):
            for measure in ("exact", "folded"):
                figure = rate(f"{measure} match, {name}, {group}", scores[stage][measure])
                if figure["n"]:
                    figures.append(figure)
    return figures


def rate(name: str, figure: dict[str, Any]) -> dict[str, Any]:
    """One proportion with its interval as the card wants it."""
    return {
        "name": name,
        "n": figure["n"],
        "value": figure["value"],
        "interval": tuple(figure["interval"]),
    }


def write_sample(task: str, folder: Path) -> None:
    """Draw a synthetic picture, and write down what the model in ``folder`` says of it."""
    rng = np.random.default_rng(SAMPLE_SEEDS[task])
    studio = PlateStudio()
    said: dict[str, Any] = {}
    if task == "detector":
        picture, _ = studio.scene(rng)
        said["detections"] = [
            {"score": found.score, "box": found.box, "quad": found.quad}
            for found in Detector.from_pretrained(folder)(picture)
        ]
    else:
        reader = PlateReader.from_pretrained(folder)
        photo, label = studio.crop(rng)
        assert label.quad is not None, "a drawn crop has its corners"
        picture = flatten(photo, label.quad, reader.crop_size, reader.margin)
        (reading,) = reader([picture])
        said |= {"text": reading.text, "score": reading.score, "truth": label.text}
    PilImage.fromarray(picture).save(folder / "sample.png", optimize=True)
    (folder / "sample.json").write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
