"""Whether the loaded models still say of their samples what they said when they were released."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from platemark.apps.services import Services
from platemark.errors import PlatemarkError
from platemark.geometry import iou_matrix
from platemark.imaging.image import Image, Pixels
from platemark.models.onnx import OnnxModel
from platemark.tasks.calibrate import sigmoid
from platemark.tasks.comparer import Comparer
from platemark.tasks.detector import Detector
from platemark.tasks.embedder import Embedder
from platemark.tasks.plate_classifier import PlateClassifier
from platemark.tasks.plate_reader import PlateReader
from platemark.tasks.segmenter import Segmenter
from platemark.tasks.stamp_reader import StampReader
from platemark.tasks.verifier import Verifier

SAMPLE, SAID = "sample.png", "sample.json"
FINE = ("ok", "no sample to compare with")
# Processors round differently, and a thread more or less changes the order of sums.
_SCORE_SLACK = 0.02
_SAME_BOX = 0.9
_SAME_VECTOR = 0.99


def check_models(services: Services) -> dict[str, str]:
    """Run every loaded model on its sample.

    Returns:
        ``"ok"`` by the name of the model, or what is wrong with it.
    """
    models = (*services.plates.models, *services.stamps.models)
    return {model.card.name: check_model(model) for model in models}


def check_model(model: OnnxModel) -> str:
    """Run a model on its sample; ``"ok"``, or what is wrong."""
    folder = model.folder
    if not ((folder / SAMPLE).is_file() and (folder / SAID).is_file()):
        return FINE[1]
    try:
        said = json.loads((folder / SAID).read_text(encoding="utf-8"))
        check = _stamp_reader if model.card.name == "stamp-reader" else _CHECKS[model.card.task]
        return check(model, Image.read(folder / SAMPLE).pixels, said)
    except PlatemarkError as error:
        return error.message
    except (KeyError, ValueError, TypeError) as error:
        return f"its sample cannot be used: {error}"


def _detector(model: OnnxModel, picture: Pixels, said: Mapping[str, Any]) -> str:
    found, expected = Detector(model)(picture), said["detections"]
    if len(found) != len(expected):
        return f"finds {len(found)} marks instead of {len(expected)}"
    if not found:
        return "ok"
    overlaps = iou_matrix([one.box for one in found], [one["box"] for one in expected])
    off = max(abs(a.score - b["score"]) for a, b in zip(found, expected, strict=True))
    if overlaps.max(axis=0).min() < _SAME_BOX or off > _SCORE_SLACK:
        return "finds marks elsewhere, or with other scores"
    return "ok"


def _reader(model: OnnxModel, picture: Pixels, said: Mapping[str, Any]) -> str:
    (reading,) = PlateReader(model)([picture])
    if reading.text != said["text"] or abs(reading.score - said["score"]) > _SCORE_SLACK:
        return f"reads {reading.text} ({reading.score:.3f}) instead of {said['text']}"
    return "ok"


def _classifier(model: OnnxModel, picture: Pixels, said: Mapping[str, Any]) -> str:
    region = PlateClassifier(model)(picture).region
    if region.code != said["region"] or abs(region.score - said["score"]) > _SCORE_SLACK:
        return f"says {region.code} ({region.score:.3f}) instead of {said['region']}"
    return "ok"


def _stamp_reader(model: OnnxModel, picture: Pixels, said: Mapping[str, Any]) -> str:
    reader = StampReader(model)
    (characters,) = reader([np.ascontiguousarray(picture[..., 0])])
    text = "".join(char.char for char in characters)
    score = reader.text_score([char.score for char in characters])
    if text != said["text"] or abs(score - said["score"]) > _SCORE_SLACK:
        return f"reads {text} ({score:.3f}) instead of {said['text']}"
    return "ok"


def _verifier(model: OnnxModel, picture: Pixels, said: Mapping[str, Any]) -> str:
    odds = Verifier(model).crop_log_odds(picture, said["boxes"])
    off = np.abs(sigmoid(odds) - sigmoid(said["log_odds"])).max()
    return "ok" if off <= _SCORE_SLACK else f"gives scores that are off by {off:.3f}"


def _segmenter(model: OnnxModel, picture: Pixels, said: Mapping[str, Any]) -> str:
    (ink,) = Segmenter(model)(picture, [said["box"]])
    share = float(ink.probability.mean())
    return "ok" if abs(share - said["ink"]) <= _SCORE_SLACK else f"sees {share:.1%} ink"


def _embedder(model: OnnxModel, picture: Pixels, said: Mapping[str, Any]) -> str:
    ink = picture[..., 0].astype(np.float32) / 255
    (vector,) = Embedder(model)([ink])
    similarity = float(vector @ np.asarray(said["embedding"], dtype=np.float32))
    return "ok" if similarity >= _SAME_VECTOR else f"gives another vector ({similarity:.3f})"


def _comparer(model: OnnxModel, picture: Pixels, said: Mapping[str, Any]) -> str:
    # The sample shows the two imprints of a canvas beside each other.
    canvas = np.concatenate(np.split(picture, 2, axis=1), axis=2)
    score = Comparer(model).judge(canvas).score
    return "ok" if abs(score - said["score"]) <= _SCORE_SLACK else f"gives a score of {score:.3f}"


_CHECKS: dict[str, Callable[[OnnxModel, Pixels, Mapping[str, Any]], str]] = {
    "detector": _detector,
    "reader": _reader,
    "classifier": _classifier,
    "verifier": _verifier,
    "segmenter": _segmenter,
    "embedder": _embedder,
    "comparer": _comparer,
}
