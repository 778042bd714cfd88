"""From one picture of a stamp, label or logo to a model that finds it, and how well it does.

The bundled detector proposes, or one fine-tuned on composites, whichever does better; what it
proposes is compared with the picture, see `platemark.stamps.likeness`. Nothing here needs PyTorch
but the fine-tuning.
"""

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.Image
from numpy.typing import NDArray

from platemark.errors import MissingExtra
from platemark.geometry import FloatArray, iou_matrix
from platemark.imaging.draw import draw_image
from platemark.imaging.image import Image
from platemark.metrics.detection import FALSE, average_precision, match_detections
from platemark.metrics.rates import Rate
from platemark.models.card import (
    CARD_NAME,
    MODEL_NAME,
    FileEntry,
    Likeness,
    LikenessOdds,
    Metric,
    ModelCard,
    TaughtSample,
)
from platemark.models.store import find_model
from platemark.parallel import map_in_order, usable_cores
from platemark.stamps import likeness
from platemark.stamps.likeness import CANDIDATE_SCORE
from platemark.stamps.pipeline import StampPipeline
from platemark.synth.stamps.pasted import cut_out
from platemark.tasks.detector import Detector
from platemark.train.calibrate import logistic
from platemark.train.composites import Composite, CompositeStudio, Overlay, Part
from platemark.types import Detection
from platemark.usecases.reference import Reference

FOUND_IOU = 0.5
"""From this overlap on a mark is found."""

CHOOSING, REPORTING = 80, 80
"""Composites by which weights and thresholds are chosen, and others that the report is on."""

_EXAMPLES = 6
_FALSE_ALARMS = 0.01
_SCORES = (0.3, 0.9)
# For ink: a comparison that is certain decides. On 24 real pages of the train and dev splits, with
# 12 stamps taught from one cut-out each, they and 0.5 kept 18 of the 18 imprints that the detector
# proposed and took nothing else for them (288 pairs of page and stamp). Composites, whose altered
# copies are nearer than real strangers, gave odds that kept 10 to 16.
_INK_ODDS, _INK_SCORE = LikenessOdds(bias=-2.0, detector=0.5, similarity=3.0, ink=1.0), 0.5
_LARGEST = 320.0
# Where so little of what is dark in a cut-out is ink, the segmenter does not know such marks.
_LEAST_INK = 0.35
_INK = 127  # of 255, from which on a pixel is ink


Progress = Callable[[str, int, int], None]
"""Is told the name of a stage, how much of it is done, and of how much."""


@dataclass(frozen=True)
class Lengths:
    """How much is done.

    Attributes:
        minutes: Of fine-tuning; 0 for none.
        choosing: Composites to choose by.
        reporting: Composites of the report.
    """

    minutes: float = 10.0
    choosing: int = CHOOSING
    reporting: int = REPORTING


@dataclass(frozen=True)
class Learned:
    """A model that was taught, and how well it does on composites over unseen grounds.

    Attributes:
        card: Of the model.
        recall: Marks found, of those in the composites.
        false_alarms: Composites with something found that is no such mark, of all.
        fine_tuned: Whether its detector is the fine-tuned one.
    """

    card: ModelCard
    recall: Rate
    false_alarms: Rate
    fine_tuned: bool

    def to_json(self) -> str:
        """Return the report as JSON."""
        return json.dumps(
            {
                "model": self.card.name,
                "classes": list(self.card.classes),
                "detector": "fine-tuned" if self.fine_tuned else "bundled",
                "recall": self.recall.to_dict(),
                "false_alarms": self.false_alarms.to_dict(),
            }
        )


def learn(
    references: Sequence[Reference],
    output: Path,
    *,
    backgrounds: Path | None = None,
    lengths: Lengths = Lengths(),
    seed: int = 0,
    threads: int | None = None,
    command: str = "",
    report: Callable[[str], None] = print,
    progress: Progress = lambda stage, done, total: None,
) -> Learned:
    """Teach a model to find marks, and write its folder.

    The folder is a model from the start: whatever ends the run early leaves one. Ctrl-C while the
    detector is fine-tuned ends that alone.

    Args:
        references: Pictures of the marks; those of one name are one mark.
        output: The folder of the model; it gets ``model.onnx``, ``card.json``, the cut-outs, and
            ``examples`` of the report.
        backgrounds: Folder of pictures without the marks; every fifth is kept for the choice and
            every fifth for the report.
        lengths: How much is done.
        seed: Of composites and fine-tuning.
        threads: CPU threads; by default all cores.
        command: Recorded in the card.
        report: Receives a line of text now and then.
        progress: Is told how far it has come.

    Raises:
        MissingExtra: Fine-tuning is asked for and PyTorch is not installed.
        DatasetError: The folder of backgrounds has no pictures.
        OSError: The folder cannot be written.
    """
    finetune = _finetuning() if lengths.minutes > 0 else None
    marks: dict[str, list[Overlay]] = {}
    for one in references:
        marks.setdefault(one.name, []).append(_overlay(one))

    def studio(part: Part) -> CompositeStudio:
        return CompositeStudio(marks, backgrounds, seed=seed, part=part)

    facts: dict[str, Any] = {"command": command, "seed": seed, "minutes": lengths.minutes}
    facts["backgrounds"] = "built in" if backgrounds is None else backgrounds.name
    output.mkdir(parents=True, exist_ok=True)
    _write_first(references, output, facts)
    choosing = list(_composites(studio("choose"), lengths.choosing, (seed, 1)))
    known = None if any(one.alpha is not None for one in references) else _INK_ODDS
    measure = partial(_Candidates.see, choosing, known, threads, progress)
    candidates = [measure(output, "bundled detector")]
    with tempfile.TemporaryDirectory(dir=output, prefix=".fine-tuning-") as place:
        if finetune is not None:
            tuned = Path(place)
            facts |= finetune(
                studio("learn"), tuned, lengths.minutes, seed, threads, report, progress
            )
            _take_card(output, tuned)
            candidates.append(measure(tuned, "fine-tuned"))
        facts["average_precision"] = {
            one.stage: round(one.average_precision, 4) for one in candidates
        }
        best = max(candidates, key=lambda one: one.average_precision)
        fine_tuned = best is not candidates[0]
        if fine_tuned:
            shutil.copy(Path(place) / MODEL_NAME, output / MODEL_NAME)
            shutil.copy(Path(place) / CARD_NAME, output / CARD_NAME)
    facts["detector"] = "fine-tuned" if fine_tuned else "bundled"
    card = ModelCard.read(output / CARD_NAME)
    assert card.likeness is not None
    card = card.model_copy(
        update={
            "likeness": card.likeness.model_copy(update={"odds": best.odds}),
            "thresholds": {"min_score": _INK_SCORE if known else best.least_score()},
            "training": facts,
        }
    )
    card.write(output / CARD_NAME)
    scored = _score(output, studio("report"), lengths.reporting, (seed, 2), threads, progress)
    recall, false_alarms = scored
    card = card.model_copy(update={"metrics": _metrics(recall, false_alarms, command)})
    card.write(output / CARD_NAME)
    return Learned(card, recall, false_alarms, fine_tuned)


def model_name(names: Iterable[str]) -> str:
    """A name for a model of marks: lower case, without what a card's name may not have."""
    plain = re.sub(r"[^a-z0-9._-]+", "-", "-".join(names).lower()).strip("-._")
    return plain[:60] or "taught-marks"


def _finetuning() -> Callable[..., Mapping[str, Any]]:
    try:
        from platemark.train.finetune import finetune
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("platemark"):
            raise
        raise MissingExtra("learning with --minutes above 0", "train") from error
    return finetune


def _overlay(reference: Reference) -> Overlay:
    """The mark of a reference without its paper, and without what else is written there."""
    if reference.alpha is not None:
        overlay = Overlay.of_label(reference.pixels, reference.alpha)
    else:
        cut = cut_out(reference.pixels, reference.box)
        keep = cut.light
        left, top = np.rint(np.array(reference.box[:2]) - cut.box[:2]).astype(int).tolist()
        near = np.asarray(cv2.dilate(reference.ink, np.ones((3, 3), np.uint8)), np.float32)
        ink = near[top : top + keep.shape[0], left : left + keep.shape[1], None]
        cleaned = 1.0 - (1.0 - keep) * np.minimum(ink * (1.5 / 255), 1.0)
        dark = float((1.0 - keep).sum())
        enough = float((1.0 - cleaned).sum()) >= _LEAST_INK * dark
        overlay = Overlay.of_ink(np.asarray(cleaned if enough else keep, np.float32))
    return overlay.shrunk(_LARGEST / float(overlay.size.max()))


def _write_first(references: Sequence[Reference], output: Path, facts: Mapping[str, Any]) -> None:
    """Write the model that needs no learning: the bundled detector and the odds for ink."""
    bundled = find_model(task="detector", kind="stamp")
    shutil.copy(bundled.onnx, output / MODEL_NAME)
    samples: list[TaughtSample] = []
    for number, one in enumerate(references, 1):
        file = f"reference-{number:02d}.png"
        # What is opaque and shows no ink is known by its outline.
        alpha = one.ink if one.alpha is None or one.ink.max() > _INK else one.alpha
        PIL.Image.fromarray(np.dstack([one.pixels, alpha])).save(output / file)
        samples.append(TaughtSample(name=one.name, file=file))
    names = tuple(dict.fromkeys(one.name for one in references))
    pipeline = StampPipeline.from_pretrained()
    card = bundled.card.model_copy(
        update={
            "name": model_name(names),
            "version": "1.0.0",
            "files": _entries(output, [MODEL_NAME, *(one.file for one in samples)]),
            "likeness": Likeness(
                samples=tuple(samples), embedder=pipeline.embedder.name, odds=_INK_ODDS
            ),
            "thresholds": {"min_score": _INK_SCORE},
            "classes": names,
            "metrics": (),
            "training": dict(facts),
            "limits": (
                "near-copies that differ in a small detail are distinguished only where the "
                "imprint is large enough to show it",
                "measured on composites: real pages may be harder",
            ),
        }
    )
    card.write(output / CARD_NAME)


def _take_card(output: Path, tuned: Path) -> None:
    """Give a fine-tuned detector the card of the first model, with its own file and calibration."""
    first, own = ModelCard.read(output / CARD_NAME), ModelCard.read(tuned / CARD_NAME)
    assert first.likeness is not None
    for sample in first.likeness.samples:
        shutil.copy(output / sample.file, tuned / sample.file)
    card = first.model_copy(
        update={
            "files": first.files | own.files,
            "preprocess": own.preprocess,
            "calibration": own.calibration,
        }
    )
    card.write(tuned / CARD_NAME)


def _entries(folder: Path, names: Iterable[str]) -> dict[str, FileEntry]:
    contents = {name: (folder / name).read_bytes() for name in names}
    return {
        name: FileEntry(bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
        for name, data in contents.items()
    }


def _composites(studio: CompositeStudio, count: int, seed: tuple[int, int]) -> Iterable[Composite]:
    return (studio.picture(np.random.default_rng((*seed, number))) for number in range(count))


@dataclass(frozen=True)
class _Candidates:
    """What a detector proposes on composites, and what is seen of it.

    Attributes:
        stage: What the detector is called.
        signals: (C, 3) of all candidates.
        right: (C,) whether each is a wanted mark.
        picture: (C,) the number of its composite.
        total: Marks there were to find.
        pictures: Composites there were.
        odds: How the signals join.
    """

    stage: str
    signals: FloatArray
    right: NDArray[np.bool_]
    picture: NDArray[np.intp]
    total: int
    pictures: int
    odds: LikenessOdds

    @classmethod
    def see(
        cls,
        composites: Sequence[Composite],
        odds: LikenessOdds | None,
        threads: int | None,
        progress: Progress,
        folder: Path,
        stage: str,
    ) -> "_Candidates":
        """Run the model of a folder on composites; without odds they are fitted to them."""
        pipeline = StampPipeline.from_pretrained(folder, threads=threads)
        detector = Detector.from_pretrained(
            folder, kind="stamp", threads=threads, min_score=CANDIDATE_SCORE
        )
        verifier = pipeline.verifier
        assert isinstance(verifier, likeness.Likeness)
        rows: list[tuple[float, float, float]] = []
        right: list[bool] = []
        picture: list[int] = []

        def process(composite: Composite) -> tuple[list[Detection], list[likeness.Signals]]:
            image = Image(composite.pixels)
            found = detector(image)
            return found, verifier.signals(image, found)

        processed = map_in_order(process, composites, _workers(threads))
        for number, (composite, (found, seen)) in enumerate(
            zip(composites, processed, strict=True)
        ):
            scores = [verifier.probability(one) for one in seen]
            matches = _matches([one.box for one in found[: len(seen)]], scores, composite)
            for one, match in zip(seen, matches, strict=True):
                if match == FALSE or match >= 0:
                    rows.append(one.values)
                    right.append(match >= 0 and composite.marks[match].name == one.name)
                    picture.append(number)
            progress(stage, number + 1, len(composites))
        signals, truth = np.array(rows).reshape(-1, 3), np.array(right, bool)
        total = sum(mark.counts for one in composites for mark in one.marks)
        numbers = np.array(picture, np.intp)
        odds = odds or _fit(signals, truth)
        return cls(stage, signals, truth, numbers, total, len(composites), odds)

    @property
    def scores(self) -> FloatArray:
        """(C,) probabilities, by the odds."""
        odds = self.odds
        weights = np.array([odds.detector, odds.similarity, odds.ink])
        return np.asarray(1.0 / (1.0 + np.exp(-(odds.bias + self.signals @ weights))))

    @property
    def average_precision(self) -> float:
        """Of the candidates by their probabilities."""
        return average_precision(self.scores, self.right, max(self.total, int(self.right.sum()), 1))

    def least_score(self) -> float:
        """The least score with no more false alarms than wanted, within limits."""
        worst = np.zeros(self.pictures)
        np.maximum.at(worst, self.picture[~self.right], self.scores[~self.right])
        # At least one: a single near-copy would else set the threshold for all.
        allowed = max(1, round(_FALSE_ALARMS * self.pictures))
        level = float(np.sort(worst)[::-1][allowed]) + 0.01
        return round(float(np.clip(level, *_SCORES)), 3)


def _fit(signals: FloatArray, right: NDArray[np.bool_]) -> LikenessOdds:
    """Fit the weights of signals, none of them negative; those for ink where nothing tells."""
    used = [0, 1, 2]
    while used and right.any() and not right.all():
        inputs = signals[:, used]
        bias, *slopes = logistic(inputs, right.astype(np.float64), np.ones(len(right)))
        if min(slopes) >= 0:
            weights = dict(zip(used, slopes, strict=True))
            names = ("detector", "similarity", "ink")
            return LikenessOdds(
                bias=bias, **{name: weights.get(i, 0.0) for i, name in enumerate(names)}
            )
        used.pop(int(np.argmin(slopes)))
    return _INK_ODDS


def _matches(
    boxes: Sequence[Sequence[float]], scores: Sequence[float], composite: Composite
) -> NDArray[np.int64]:
    """Which wanted mark each box is; see `match_detections`."""
    truth = np.array([mark.box for mark in composite.marks]).reshape(-1, 4)
    overlap = iou_matrix(np.array(boxes).reshape(-1, 4), truth)
    ignore = np.array([not mark.counts for mark in composite.marks], bool)
    return match_detections(overlap, scores, threshold=FOUND_IOU, ignore=ignore)


def _score(
    folder: Path,
    studio: CompositeStudio,
    count: int,
    seed: tuple[int, int],
    threads: int | None,
    progress: Progress,
) -> tuple[Rate, Rate]:
    """Marks found and composites with a false alarm; the first composites are kept as examples."""
    pipeline = StampPipeline.from_pretrained(folder, threads=threads)
    examples = folder / "examples"
    examples.mkdir(exist_ok=True)

    def process(composite: Composite) -> tuple[Composite, Sequence[Detection]]:
        return composite, pipeline.find(Image(composite.pixels))

    hits = total = alarms = 0
    processed = map_in_order(process, _composites(studio, count, seed), _workers(threads))
    for number, (composite, found) in enumerate(processed):
        matches = _matches([one.box for one in found], [one.score for one in found], composite)
        hits += len({match for match in matches.tolist() if match >= 0})
        total += sum(mark.counts for mark in composite.marks)
        alarms += bool((matches == FALSE).any())
        if number < _EXAMPLES:
            image = Image(composite.pixels)
            marks = pipeline.describe(image, found)
            draw_image(image, marks).save(examples / f"{number + 1:02d}.jpg", quality=88)
        progress("report", number + 1, count)
    return Rate(hits, total), Rate(alarms, count)


def _workers(threads: int | None) -> int:
    """Composites that are processed at a time: all cores, unless the threads are given."""
    return usable_cores() if threads is None else 1


def _metrics(recall: Rate, false_alarms: Rate, command: str) -> tuple[Metric, ...]:
    rates = {"recall at IoU 0.5": recall, "pictures with a false alarm": false_alarms}
    return tuple(
        Metric(
            name=name,
            dataset="composites over unseen grounds",
            split="synthetic",
            n=rate.n,
            value=rate.value,
            interval=rate.interval,
            command=command,
        )
        for name, rate in rates.items()
        if rate.n
    )
