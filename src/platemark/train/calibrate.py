"""Makes scores mean what they say: a logistic curve fitted on held-out marks, kept in the card.

The scores come from the packaged model through the same stage that users run, so that whatever
decoding does to them is part of what is fitted (Platt 1999).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from platemark.datasets import Manifest
from platemark.errors import ModelMismatch
from platemark.evaluate import evaluate_plates
from platemark.geometry import iou_matrix
from platemark.imaging.image import Image, Pixels
from platemark.matching import InkTemplate
from platemark.metrics import exact_match
from platemark.models.card import (
    CARD_NAME,
    Calibration,
    DesignOdds,
    DetailOdds,
    Fusion,
    ModelCard,
    PlateOdds,
    TextOdds,
    VerifierDecode,
)
from platemark.models.onnx import OnnxModel
from platemark.models.store import find_model, locate_model
from platemark.plates.pipeline import Gate, PlatePipeline, crops_for, hidden_odds
from platemark.tasks.calibrate import logit, sigmoid
from platemark.tasks.comparer import Comparer, Signals
from platemark.tasks.ctc import soften
from platemark.tasks.detector import Detector
from platemark.tasks.plate_reader import PlateReader
from platemark.tasks.segmenter import Segmenter
from platemark.tasks.stamp_reader import StampReader
from platemark.tasks.verifier import Verifier
from platemark.types import Detection

_LEAST_SCORE = 0.02
# Least score of detections that tell what a gate is to let pass.
_GATED_SCORE = 0.05
_RIGHT_IOU = 0.5
_SAME_PLACE = 0.3
_PRIOR = 1e-2
_MASK_SCORES = np.arange(0.2, 0.81, 0.05)
_DEFAULT_MASK_SCORE = 0.5
_TEMPERATURES = np.round(np.arange(0.5, 3.01, 0.05), 2)
_LIMITS = (0.2, 5.0)
_RIDGE = 0.3
# From this size on, and laid on each other so well, no two real imprints of one stamp of the train
# and dev splits were separated by the network at the threshold for different designs. Smaller ones
# are of one stamp unless the network is very certain: near-copies are rare.
_LEAST_SIDE, _LEAST_AGREEMENT = 160.0, 0.7
_ILLEGIBLE = DetailOdds(bias=1.8, ink=0.7)
_FUSED_THRESHOLDS = {"same": 0.55, "different": 0.25, "another_design": 0.1}
# What the log-odds of the detector and of a crop count at least.
_LEAST_SLOPE = 0.02


@dataclass(frozen=True)
class Judged:
    """What a detector proposes on an annotated page.

    Attributes:
        path: Where the page lies.
        candidates: What it proposes, highest score first.
        right: For each 1 for a mark, 0 for none, -1 where it counts neither way.
    """

    path: Path
    candidates: tuple[Detection, ...]
    right: tuple[int, ...]


def platt(scores: ArrayLike, right: ArrayLike, rounds: int = 50) -> Calibration:
    """Fit ``sigmoid(scale * logit(score) + bias)`` to outcomes by Newton's method.

    The fit is held weakly to the identity, so that few outcomes change little.

    Args:
        scores: (N,) raw scores in 0..1.
        right: (N,) whether each was right.
        rounds: Newton steps at most.
    """
    raw = np.clip(np.asarray(scores, np.float64), 1e-6, 1 - 1e-6)
    logits, truth = np.log(raw / (1 - raw)), np.asarray(right, np.float64)
    inputs = np.stack([logits, np.ones_like(logits)])
    identity, weights = np.array([1.0, 0.0]), np.array([1.0, 0.0])
    for _ in range(rounds):
        guess = 1 / (1 + np.exp(-weights @ inputs))
        gradient = inputs @ (guess - truth) + _PRIOR * (weights - identity)
        curvature = (inputs * (guess * (1 - guess))) @ inputs.T + _PRIOR * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        weights = weights - np.clip(step, -1, 1)
        if np.abs(step).max() < 1e-6:
            break
    return Calibration(scale=float(np.clip(weights[0], *_LIMITS)), bias=float(weights[1]))


def calibrate_reader(folder: Path, crops: Sequence[Pixels], texts: Sequence[str]) -> ModelCard:
    """Fit the text scores of the reader in ``folder`` on rectified RGB crops of known text."""
    _update(folder, calibration=Calibration())
    readings = PlateReader.from_pretrained(folder)(crops)
    scores = [reading.score for reading in readings]
    right = [reading.text == text for reading, text in zip(readings, texts, strict=True)]
    return _update(folder, calibration=platt(scores, right))


def calibrate_classifier(
    folder: Path,
    crops: Sequence[Pixels],
    regions: NDArray[np.float32],
    obscured: NDArray[np.int64],
) -> ModelCard:
    """Fit how much the classifier in ``folder`` says of region and obscured plates holds.

    The temperature of the regions is that of the best likelihood (Guo et al. 2017).

    Args:
        folder: that of the model.
        crops: (H, W, 3) uint8 RGB each, rectified.
        regions: (N, R) 1 for each code that is right, all 0 where unannotated.
        obscured: (N,) 1 where a part is hidden, 0 where none is, -1 where unannotated.
    """
    _update(folder, calibration=Calibration())
    if not crops:
        return ModelCard.read(folder / CARD_NAME)
    model = OnnxModel(find_model(folder, task="classifier", kind="plate"))
    said = [model.run(crops=np.stack(crops[i : i + 64])) for i in range(0, len(crops), 64)]
    logits, odds = (np.concatenate([one[name] for one in said]) for name in ("regions", "obscured"))
    known, annotated = regions.any(axis=1), obscured >= 0
    fits = {
        float(t): np.log((soften(logits[known], t) * regions[known]).sum(axis=1) + 1e-9).mean()
        for t in _TEMPERATURES
    }
    temperature = max(fits, key=lambda t: fits[t]) if known.any() else 1.0
    fitted = platt(sigmoid(odds[annotated]), obscured[annotated])
    return _update(folder, calibration=fitted.model_copy(update={"temperature": temperature}))


def calibrate_strip_reader(
    folder: Path, strips: Sequence[Pixels], texts: Sequence[str]
) -> ModelCard:
    """Fit the text scores of the stamp reader in ``folder`` on grey strips of known folded text."""
    _update(folder, calibration=Calibration())
    reader = StampReader.from_pretrained(folder)
    readings = reader(strips)
    scores = [reader.text_score([char.score for char in reading]) for reading in readings]
    read = ["".join(char.char for char in reading) for reading in readings]
    return _update(
        folder, calibration=platt(scores, [a == b for a, b in zip(read, texts, strict=True)])
    )


def calibrate_texts(folder: Path, manifest: Manifest) -> ModelCard:
    """Fit the scores of texts once plate formats had their say, and write them to a reader's card.

    Args:
        folder: that of the reader.
        manifest: annotated photos that the reader was not trained on.
    """
    _update(folder, text_calibration=None, text_odds=None)
    pipeline = PlatePipeline.from_pretrained(str(folder))
    scores, right = evaluate_plates(manifest, pipeline).text_reliability()
    card = _update(folder, text_calibration=platt(scores, right))
    pipeline = PlatePipeline.from_pretrained(str(folder))
    return (
        _update(folder, text_odds=_text_odds(pipeline, manifest)) if pipeline.classifier else card
    )


def _text_odds(pipeline: PlatePipeline, manifest: Manifest) -> TextOdds | None:
    """Fit how text scores join what the classifier says; whatever is read of a plate that is
    annotated as obscured, without a text, is wrong."""
    signals: list[tuple[float, float]] = []
    truth: list[float] = []
    for entry in manifest.entries:
        plates = [one for one in entry.plates if one.text is not None or one.obscured]
        image, corners = Image.read(manifest.path(entry)), [one.corners for one in plates]
        read, seen = pipeline.read(image, corners), pipeline.classify(image, corners)
        for plate, reading, classes in zip(plates, read, seen, strict=True):
            if classes is not None and reading.text is not None:
                signals.append((float(logit(reading.score)), hidden_odds(classes)))
                truth.append(float(exact_match(reading.text, plate.text or "")))
    if len(set(truth)) < 2:  # nothing to tell apart
        return None
    bias, text, hidden = logistic(np.array(signals), np.array(truth), np.ones(len(truth)))
    return TextOdds(bias=bias, text=max(text, _LEAST_SLOPE), hidden=min(hidden, 0.0))


def calibrate_gate(folder: Path, manifest: Manifest) -> ModelCard:
    """Fit which detections of the detector in ``folder`` count as plates, read by the bundled
    reader or the one beside it.

    Args:
        folder: that of the detector.
        manifest: annotated photos, some without plates.
    """
    card = ModelCard.read(folder / CARD_NAME)
    pipeline = PlatePipeline.from_pretrained(str(folder))
    gate = Gate(pipeline.reader, card.gate or PlateOdds(bias=0, detector=1, text=0, lettering=0))
    find = pipeline.with_min_score(_GATED_SCORE).find
    signals: list[tuple[float, float, float]] = []
    truth: list[bool] = []
    for entry in manifest.entries:
        if entry.kind != "scene":
            continue
        image = Image.read(manifest.path(entry))
        found = find(image)
        overlaps = iou_matrix(
            [one.box for one in found], [plate.box for plate in entry.plates]
        ).max(axis=1, initial=0.0)
        crops = crops_for(pipeline.reader, image.pixels, [one.quad for one in found])
        said = pipeline.reader(crops) if crops else ()
        for one, reading, overlap in zip(found, said, overlaps, strict=True):
            if not _SAME_PLACE <= overlap < _RIGHT_IOU:
                signals.append((float(logit(one.score)), *gate.signals(reading)))
                truth.append(bool(overlap >= _RIGHT_IOU))
    if len(set(truth)) < 2:  # nothing to tell apart
        return card
    bias, *weights = logistic(np.array(signals), np.array(truth, np.float64), np.ones(len(truth)))
    detector, text, lettering = weights
    fitted = gate.odds.model_copy(
        update={
            "bias": bias,
            "detector": max(detector, _LEAST_SLOPE),
            "text": max(text, 0.0),
            "lettering": lettering,
        }
    )
    return _update(folder, gate=fitted)


def calibrate_plates(folder: Path, manifest: Manifest) -> ModelCard:
    """Fit the text scores of a reader, or the gate of a detector, to annotated photos.

    Raises:
        ModelNotFound: there is no model in ``folder``.
        ModelCorrupt: it cannot be used.
        ModelMismatch: it neither finds nor reads plates.
    """
    card = locate_model(folder).card
    fits = {"reader": calibrate_texts, "detector": calibrate_gate}
    if card.task not in fits:
        raise ModelMismatch(
            f"{folder} is a {card.kind} {card.task}: readers and detectors of plates are calibrated"
        )
    return fits[card.task](folder, manifest)


def calibrate_detector(
    folder: Path,
    photos: Sequence[Pixels],
    boxes: Sequence[NDArray[np.float32]],
    ignored: Sequence[NDArray[np.float32]],
) -> ModelCard:
    """Fit the scores of the detector in ``folder`` on RGB photos.

    Args:
        folder: that of the model.
        photos: (H, W, 3) uint8 RGB each.
        boxes: (M, 4) marks of each.
        ignored: (K, 4) places of each where findings are neither right nor wrong.
    """
    card = _update(folder, calibration=Calibration())
    detector = Detector.from_pretrained(folder, kind=card.kind, min_score=_LEAST_SCORE)
    scores: list[float] = []
    right: list[bool] = []
    for photo, truth, neither in zip(photos, boxes, ignored, strict=True):
        for found in detector(photo):
            hit = bool((iou_matrix(found.box, truth) >= _RIGHT_IOU).any())
            if hit or not (iou_matrix(found.box, neither) >= _SAME_PLACE).any():
                scores.append(found.score)
                right.append(hit)
    return _update(folder, calibration=platt(scores, right))


def calibrate_verifier(folder: Path, pages: Iterable[Judged]) -> ModelCard:
    """Fit weight and scores of the verifier in ``folder`` on what a detector proposes on pages.

    Args:
        folder: that of the model.
        pages: annotated pages that it has not learned from.
    """
    verifier = Verifier.from_pretrained(folder)
    inputs: list[tuple[float, float]] = []
    outcomes: list[int] = []
    for page in pages:
        counted = [index for index, right in enumerate(page.right) if right >= 0]
        found = [page.candidates[index] for index in counted]
        odds = verifier.crop_log_odds(Image.read(page.path), [one.box for one in found])
        first = logit([one.score for one in found])
        inputs += zip(first.tolist(), odds.tolist(), strict=True)
        outcomes += [page.right[index] for index in counted]
    if len(set(outcomes)) < 2:  # nothing to tell apart
        return ModelCard.read(folder / CARD_NAME)
    truth = np.array(outcomes, np.float64)
    bias, *slopes = logistic(np.array(inputs), truth, np.ones(len(truth)))
    detector, crop = (max(slope, _LEAST_SLOPE) for slope in slopes)
    return _update(
        folder,
        decode=VerifierDecode(weight=crop / detector),
        calibration=Calibration(scale=detector, bias=bias),
    )


def calibrate_segmenter(
    folder: Path,
    pictures: Sequence[Pixels],
    boxes: Sequence[NDArray[np.float32]],
    masks: Sequence[NDArray[np.bool_]],
) -> ModelCard:
    """Choose the ``mask_score`` of the segmenter in ``folder`` that gives the best mean IoU.

    Args:
        folder: that of the model.
        pictures: (H, W, 3) uint8 RGB each.
        boxes: (4,) the stamp in each.
        masks: (H, W) bool, where its ink is.
    """
    segmenter = Segmenter.from_pretrained(folder)
    overlaps: list[NDArray[np.float64]] = []
    for pixels, box, mask in zip(pictures, boxes, masks, strict=True):
        (soft,) = segmenter(pixels, [box])
        found = soft.probability[None] >= _MASK_SCORES[:, None, None]
        height, width = soft.probability.shape
        truth = mask[soft.top : soft.top + height, soft.left : soft.left + width]
        union = (found | truth).sum(axis=(1, 2))
        overlaps.append((found & truth).sum(axis=(1, 2)) / np.maximum(union, 1))
    best = _MASK_SCORES[np.argmax(np.mean(overlaps, axis=0))] if overlaps else _DEFAULT_MASK_SCORE
    return _update(folder, thresholds={"mask_score": round(float(best), 3)})


def calibrate_embedder(
    folder: Path,
    ink: NDArray[np.uint8],
    designs: NDArray[np.int64],
    families: NDArray[np.int64],
) -> ModelCard:
    """Find the cosines at which as many same as different pairs are taken for the other.

    ``same`` holds among all pairs, ``same_in_family`` where all different pairs are near-copies.

    Args:
        folder: that of the model.
        ink: (N, S, S) uint8 inputs of the network.
        designs: (N,) equal for imprints of one design.
        families: (N,) equal for near-copies.
    """
    model = OnnxModel(find_model(folder, task="embedder", kind="stamp"))
    vectors = np.concatenate(
        [model.run(ink=ink[start : start + 32])["embedding"] for start in range(0, len(ink), 32)]
        or [np.zeros((0, 1), np.float32)]
    )
    first, second = np.triu_indices(len(vectors), 1)
    cosines = (vectors @ vectors.T)[first, second]
    same = designs[first] == designs[second]
    near = families[first] == families[second]
    thresholds = {"same": equal_error_score(cosines, same)}
    thresholds["same_in_family"] = equal_error_score(cosines[near], same[near])
    return _update(folder, thresholds={k: round(v, 4) for k, v in thresholds.items() if v})


def calibrate_comparer(
    folder: Path, pairs: Sequence[tuple[InkTemplate, InkTemplate, bool]]
) -> ModelCard:
    """Fit the scores of the comparer in ``folder`` on pairs that are aligned as in use.

    Args:
        folder: that of the model.
        pairs: two imprints each, and whether one stamp made both.
    """
    _update(folder, calibration=Calibration())
    comparer = Comparer.from_pretrained(folder)
    found = [comparer(a, b) for a, b, _ in pairs]
    clear = [match.doubt is None for match in found]
    scores = [float(sigmoid(match.signals.ink)) for match in compress(found, clear)]
    return _update(folder, calibration=platt(scores, [one[2] for one in compress(pairs, clear)]))


def fit_fusion(
    folder: Path,
    embedder: str,
    signals: Sequence[Signals],
    alike: ArrayLike,
    weights: ArrayLike,
) -> ModelCard:
    """Fit how the comparer in ``folder`` tells one design from two.

    Near-copies count as one design: what sets them apart is a detail, which the network tells where
    it is to be seen. Sizes and odds for that were chosen on the dev split.

    Args:
        folder: that of the model.
        embedder: name and version of the model whose embeddings the signals compare.
        signals: (P,) of pairs of imprints, each with a similarity.
        alike: (P,) whether both are of one design, or near-copies.
        weights: (P,) how much each pair counts.
    """
    columns = np.array(
        [(s.ink, s.agreement, np.log1p(s.features), s.similarity) for s in signals], np.float64
    )
    truth, weight = np.asarray(alike, np.float64), np.asarray(weights, np.float64)
    names = ("bias", "ink", "agreement", "features", "similarity")
    fitted = [
        DesignOdds(**dict(zip(names, logistic(columns[:, :count], truth, weight), strict=False)))
        for count in (4, 3)
    ]
    fusion = Fusion(
        embedder=embedder,
        design=fitted[0],
        unembedded=fitted[1],
        legible=DetailOdds(bias=0.0, ink=1.0),
        illegible=_ILLEGIBLE,
        least_side=_LEAST_SIDE,
        least_agreement=_LEAST_AGREEMENT,
    )
    return _update(folder, fusion=fusion, thresholds=_FUSED_THRESHOLDS)


def logistic(
    inputs: NDArray[np.float64], truth: NDArray[np.float64], weights: NDArray[np.float64]
) -> list[float]:
    """Offset and weights (1 + K,) of a logistic regression on inputs (P, K), by Newton's method.

    It is held weakly to small weights of inputs of unit deviation, so that pairs which
    can be separated altogether do not drive the weights beyond all bounds.
    """
    mean, spread = inputs.mean(axis=0), inputs.std(axis=0) + 1e-9
    columns = np.column_stack([np.ones(len(inputs)), (inputs - mean) / spread])
    held = _RIDGE * np.eye(columns.shape[1])
    held[0, 0] = 1e-6
    found = np.zeros(columns.shape[1])
    for _ in range(100):
        guess = sigmoid(columns @ found)
        gradient = columns.T @ (weights * (guess - truth)) + held @ found
        curvature = (columns * (weights * guess * (1 - guess))[:, None]).T @ columns + held
        step = np.linalg.solve(curvature, gradient)
        found = found - np.clip(step, -2, 2)
        if np.abs(step).max() < 1e-8:
            break
    slopes = found[1:] / spread
    return [round(float(value), 4) for value in (found[0] - slopes @ mean, *slopes)]


def equal_error_score(scores: NDArray[np.float32], same: NDArray[np.bool_]) -> float | None:
    """The score at which as large a part of the same pairs is below as of the others above.

    Args:
        scores: (P,) of pairs, higher for more alike.
        same: (P,) whether they are the same.

    Returns:
        The score; None where pairs of one sort are missing.
    """
    if same.all() or not same.any():
        return None
    order = np.argsort(scores, kind="stable")
    refused = np.cumsum(same[order]) / same.sum()
    mistaken = 1 - np.cumsum(~same[order]) / (~same).sum()
    return float(scores[order][np.argmax(refused >= mistaken)])


def _update(folder: Path, **changes: Any) -> ModelCard:
    path = folder / CARD_NAME
    card = ModelCard.read(path)
    if "thresholds" in changes:
        changes["thresholds"] = card.thresholds | changes["thresholds"]
    card = card.model_copy(update=changes)
    card.write(path)
    return card
