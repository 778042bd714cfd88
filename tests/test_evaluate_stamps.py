import json
import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from platemark.datasets import Manifest, ManifestEntry
from platemark.evaluate import StampEvaluation, evaluate_stamps
from platemark.evaluate.detection import match
from platemark.imaging.image import Image
from platemark.masks import InkMask
from platemark.metrics import FALSE, IGNORED
from platemark.pipeline import Pipeline
from platemark.types import Detection, Embedding, StampMark

SIZE = (240, 320)
LEFT, RIGHT = (20, 40, 100, 120), (180, 60, 280, 140)
SURE, UNSURE = 255, 100


class Blots:
    """Finds red blots; the fuller the red of the brightest pixel, the better the score."""

    def __call__(self, image: Image, *, min_score: float | None = None) -> list[Detection]:
        red = _ink(image.pixels).astype(np.uint8)
        count, labels, stats, _ = cv2.connectedComponentsWithStats(red, connectivity=8)
        found = []
        for label in range(1, count):
            x, y, width, height, _ = stats[label].tolist()
            score = float(image.pixels[labels == label].max()) / 255
            box = (x, y, x + width, y + height)
            quad = ((x, y), (x + width, y), (x + width, y + height), (x, y + height))
            found.append(Detection("stamp", score, box, quad))
        return [one for one in found if one.score >= (0.5 if min_score is None else min_score)]


class BlotPipeline(Pipeline):
    """Cuts blots out by their colour; the vector is the ink, brought to 8 by 8."""

    def __init__(self) -> None:
        self.detector = Blots()
        super().__init__(self.detector, self.describe)

    def describe(self, image: Image, detections: Sequence[Detection]) -> list[StampMark]:
        return [self._mark(image, detection) for detection in detections]

    @staticmethod
    def _mark(image: Image, detection: Detection) -> StampMark:
        x0, y0, x1, y1 = (int(value) for value in detection.box)
        ink = _ink(image.pixels[y0:y1, x0:x1])
        small = cv2.resize(ink.astype(np.float32), (8, 8), interpolation=cv2.INTER_AREA).ravel()
        vector = np.append(small - small.mean(), 0.01)
        return StampMark(
            detection.score,
            detection.box,
            detection.quad,
            "other",
            "red",
            None,
            InkMask.of(ink, (image.height, image.width), x0, y0),
            embedding=Embedding(vector / np.linalg.norm(vector), "blots@1"),
        )


def _ink(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return np.asarray((pixels[..., 0] > 60) & (pixels[..., 1] < 20))


def paint(path: Path, *stamps: tuple[Sequence[int], str, int]) -> None:
    """Save a grey page with red stamps: a box, its figure and how red it is."""
    pixels = np.full((*SIZE, 3), 180, np.uint8)
    for (x0, y0, x1, y1), figure, red in stamps:
        width, height = x1 - x0, y1 - y0
        part = pixels[y0:y1, x0:x1]
        part[ink_of(figure, width, height)] = (red, 0, 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(pixels).save(path)


def ink_of(figure: str, width: int, height: int) -> NDArray[np.bool_]:
    """A frame, crossed by what tells one figure from another."""
    ink = np.zeros((height, width), np.uint8)
    cv2.rectangle(ink, (0, 0), (width - 1, height - 1), 1, 3)
    if "x" in figure:
        cv2.line(ink, (0, height // 2), (width, height // 2), 1, 9)
    if "y" in figure:
        cv2.line(ink, (width // 2, 0), (width // 2, height), 1, 9)
    if "d" in figure:
        cv2.line(ink, (0, 0), (width, height), 1, 9)
    return ink.astype(bool)


def entry(image: str, *stamps: dict[str, object], **fields: object) -> ManifestEntry:
    height, width = SIZE
    return ManifestEntry.model_validate(
        {"image": image, "width": width, "height": height, "split": "test", "stamps": stamps}
        | fields
    )


def evaluate(
    root: Path, *entries: ManifestEntry, negatives: Sequence[Path] = ()
) -> StampEvaluation:
    return evaluate_stamps(Manifest(root, entries), BlotPipeline(), negatives=negatives)


def test_everything_right(tmp_path: Path) -> None:
    paint(tmp_path / "images/a/1.png", (LEFT, "x", SURE), (RIGHT, "y", SURE))
    rows = entry("images/a/1.png", {"box": LEFT}, {"box": RIGHT})
    scores = evaluate(tmp_path, rows).detection()["all"]
    assert (scores.pages, scores.stamps) == (1, 2)
    assert (scores.precision.value, scores.recall.value) == (1, 1)
    assert (scores.average_precision, scores.mean_average_precision) == (1, 1)
    assert scores.recall_at_precision.value == 1
    assert scores.elapsed_ms[0] > 0


def test_missed_false_and_unsure_stamps(tmp_path: Path) -> None:
    unsure = (20, 150, 100, 230)
    stamps = (LEFT, "x", SURE), (RIGHT, "y", SURE), (unsure, "d", UNSURE)
    paint(tmp_path / "images/a/1.png", *stamps)
    evaluation = evaluate(tmp_path, entry("images/a/1.png", {"box": LEFT}, {"box": unsure}))
    scores = evaluation.detection()["all"]
    assert (scores.precision.hits, scores.precision.n) == (1, 2)
    assert (scores.recall.hits, scores.recall.n) == (1, 2)
    # the false mark and the right one are equally sure, so no threshold is right nine times in ten
    assert scores.recall_at_precision.hits == 0
    assert scores.average_precision == pytest.approx(2 / 3)
    (outcome,) = evaluation.outcomes
    assert [mark.box for mark in outcome.false_marks] == [RIGHT]
    assert [stamp.truth.box for stamp in outcome.missed] == [unsure]


def test_loose_boxes_count_at_low_overlap_only(tmp_path: Path) -> None:
    paint(tmp_path / "images/a/1.png", (LEFT, "x", SURE))
    loose = (*LEFT[:2], LEFT[2] + 35, LEFT[3])  # IoU 80 / 115 = 0.696
    scores = evaluate(tmp_path, entry("images/a/1.png", {"box": loose})).detection()["all"]
    assert scores.average_precision == 1
    assert scores.mean_average_precision == pytest.approx(4 / 10)


def test_what_lies_in_an_ignored_region_counts_neither_way(tmp_path: Path) -> None:
    paint(tmp_path / "images/a/1.png", (LEFT, "x", SURE), (RIGHT, "y", SURE))
    around = [RIGHT[0] - 5, RIGHT[1] - 5, RIGHT[2] + 5, RIGHT[3] + 5]
    rows = entry("images/a/1.png", {"box": LEFT}, ignore=[around])
    evaluation = evaluate(tmp_path, rows)
    scores = evaluation.detection()["all"]
    assert (scores.precision.hits, scores.precision.n, scores.average_precision) == (1, 1, 1)
    assert evaluation.outcomes[0].false_marks == ()
    assert evaluation.detection_reliability() == ([1.0], [True])


@given(st.tuples(*[st.integers(0, 30)] * 4), st.tuples(*[st.integers(0, 30)] * 4))
def test_ignored_is_by_centre_or_by_half_of_the_area(
    found: tuple[int, ...], region: tuple[int, ...]
) -> None:
    (x, y, w, h), (left, top, width, height) = found, region
    detection = Detection("stamp", 0.9, (x, y, x + w + 1, y + h + 1), ((0, 0),) * 4)
    right, bottom = left + width + 1, top + height + 1
    matches, _ = match([detection], [], [0.5], [(left, top, right, bottom)])
    covered = sum(
        left <= column < right and top <= row < bottom
        for row in range(y, y + h + 1)
        for column in range(x, x + w + 1)
    )
    centre = left <= x + (w + 1) / 2 < right and top <= y + (h + 1) / 2 < bottom
    inside = centre or covered > (w + 1) * (h + 1) / 2
    assert matches[0.5].tolist() == [IGNORED if inside else FALSE]


def test_a_stamp_beside_an_ignored_region_still_counts(tmp_path: Path) -> None:
    paint(tmp_path / "images/a/1.png", (LEFT, "x", SURE))
    rows = entry("images/a/1.png", {"box": LEFT}, ignore=[[0, 0, 90, 200]])
    assert evaluate(tmp_path, rows).detection()["all"].recall.value == 1


def test_pages_without_stamps_origins_and_groups(tmp_path: Path) -> None:
    paint(tmp_path / "images/a/1.png", (LEFT, "x", SURE))
    paint(tmp_path / "images/a/2.png")
    paint(tmp_path / "images/b/1.png", (LEFT, "x", SURE), (RIGHT, "y", SURE))
    rows = [
        entry("images/a/1.png", {"box": LEFT}, origin="real"),
        entry("images/a/2.png", origin="real"),
        entry("images/b/1.png", origin="composite"),
    ]
    evaluation = evaluate(tmp_path, *rows, negatives=[tmp_path / "images/a/2.png"])
    scores = evaluation.detection()
    assert list(scores) == ["all", "composite", "real"]
    assert (scores["all"].false_per_empty_page, scores["all"].empty_pages.n) == (1.0, 2)
    assert (scores["real"].false_per_empty_page, scores["real"].recall.value) == (0.0, 1.0)
    assert math.isnan(scores["composite"].average_precision)
    assert {name: s.pages for name, s in evaluation.detection_by_group().items()} == {
        "a": 2,
        "b": 1,
    }
    assert evaluation.to_dict()["negatives"]["false_marks_per_page"] == 0.0  # type: ignore[index]


def test_masks_from_the_box_and_from_end_to_end(tmp_path: Path) -> None:
    paint(tmp_path / "images/a/1.png", (LEFT, "x", SURE), (RIGHT, "y", UNSURE))
    for name, (x0, y0, x1, y1), figure in (("1", LEFT, "xd"), ("2", RIGHT, "y")):
        mask = np.zeros(SIZE, np.uint8)
        mask[y0:y1, x0:x1] = 255 * ink_of(figure, x1 - x0, y1 - y0)
        mask[200:, :10] = 255  # ink of something else, outside the box
        PIL.Image.fromarray(mask).save(tmp_path / f"{name}.png")
    rows = entry("images/a/1.png", {"box": LEFT, "mask": "1.png"}, {"box": RIGHT, "mask": "2.png"})
    masks = evaluate(tmp_path, rows).masks()["all"]
    wrong = ink_of("x", 80, 80).sum() / ink_of("xd", 80, 80).sum()
    assert masks.n == 2
    assert masks.given.value == pytest.approx((1 + wrong) / 2)
    assert masks.end_to_end.value == pytest.approx(wrong / 2)


@pytest.mark.parametrize(("shape", "value"), [((9, 9), 255), (SIZE, 0)])
def test_a_mask_that_cannot_be_is_an_error(
    tmp_path: Path, shape: tuple[int, int], value: int
) -> None:
    paint(tmp_path / "images/a/1.png", (LEFT, "x", SURE))
    PIL.Image.fromarray(np.full(shape, value, np.uint8)).save(tmp_path / "m.png")
    rows = entry("images/a/1.png", {"box": LEFT, "mask": "m.png"})
    (error,) = evaluate(tmp_path, rows).errors
    assert error.error is not None
    assert error.error.code == "dataset_error"
    assert "m.png" in error.error.message


def test_retrieval_by_annotated_and_by_detected_boxes(tmp_path: Path) -> None:
    figures = {"1": ("x", SURE), "2": ("x", UNSURE), "3": ("y", SURE), "4": ("y", SURE)}
    rows = []
    for name, (figure, red) in figures.items():
        paint(tmp_path / f"images/a/{name}.png", (LEFT, figure, red))
        stamp = {"box": LEFT, "identity": figure}
        rows.append(entry(f"images/a/{name}.png", stamp, kind="crop", origin="real"))
    alone = {"box": LEFT, "identity": "alone"}
    paint(tmp_path / "images/a/5.png", (LEFT, "d", SURE))
    paint(tmp_path / "images/a/6.png", (LEFT, "d", SURE))
    rows += [entry("images/a/5.png", alone), entry("images/a/6.png", {"box": LEFT})]
    rows += [entry("images/a/6.png", alone, kind="isolated")]
    evaluation = evaluate(tmp_path, *rows)
    annotated = evaluation.retrieval["annotated"].scores()
    assert (annotated.queries, annotated.gallery, annotated.identities) == (4, 4, 2)
    assert (annotated.cmc[1].hits, annotated.mean_average_precision) == (4, 1.0)
    assert annotated.equal_error.value == 0.0
    detected = evaluation.retrieval["detected"]
    # the unsure one is not found: neither it nor the other imprint of its stamp has an answer
    assert detected.scores().cmc[1].hits == 2
    assert {rate.hits for rate in detected.by_identity("real").values()} == {0, 2}
    assert [miss.nearest is None for miss in detected.misses()] == [False, True]


def test_images_that_fail_are_errors_and_their_stamps_missed(tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"")
    rows = entry("bad.png", {"box": LEFT, "identity": "x", "mask": "gone.png"})
    evaluation = evaluate(tmp_path, rows)
    scores = evaluation.detection()["all"]
    assert (scores.recall.hits, scores.recall.n) == (0, 1)
    assert evaluation.masks()["all"].end_to_end.value == 0.0
    assert [result.error.code for result in evaluation.errors if result.error] == [
        "unreadable_image"
    ]
    text = json.dumps(evaluation.to_dict(), allow_nan=False)
    assert "bad.png" in text


def test_report_is_json_without_nan(tmp_path: Path) -> None:
    paint(tmp_path / "images/a/1.png")
    report = evaluate(tmp_path, entry("images/a/1.png", kind="crop")).to_dict()
    assert json.loads(json.dumps(report, allow_nan=False))["images"] == {"crop": 1}
