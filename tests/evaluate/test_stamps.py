import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from platemark.datasets import Manifest, ManifestEntry
from platemark.evaluate import StampEvaluation, evaluate_stamps
from platemark.evaluate.detection import match
from platemark.metrics import FALSE, IGNORED
from platemark.pipeline import Pipeline
from platemark.types import Detection, StampMark

SIZE = (240, 320)
LEFT, RIGHT = (20, 40, 100, 120), (180, 60, 280, 140)
SURE, UNSURE = 255, 100


Paint = Callable[..., Path]
Draw = Callable[[str, int, int], NDArray[np.bool_]]
Evaluate = Callable[..., StampEvaluation]


def entry(image: str, *stamps: dict[str, object], **fields: object) -> ManifestEntry:
    height, width = SIZE
    return ManifestEntry.model_validate(
        {"image": image, "width": width, "height": height, "split": "test", "stamps": stamps}
        | fields
    )


@pytest.fixture
def evaluate(tmp_path: Path, blot_pipeline: Pipeline[StampMark]) -> Evaluate:
    """Judge the pipeline for blots on entries of a manifest."""

    def run(*entries: ManifestEntry, negatives: Sequence[Path] = ()) -> StampEvaluation:
        return evaluate_stamps(Manifest(tmp_path, entries), blot_pipeline, negatives=negatives)

    return run


def test_everything_right(paint_stamps: Paint, evaluate: Evaluate) -> None:
    paint_stamps("images/a/1.png", (LEFT, "x", SURE), (RIGHT, "y", SURE))
    rows = entry("images/a/1.png", {"box": LEFT}, {"box": RIGHT})
    scores = evaluate(rows).detection()["all"]
    assert (scores.pages, scores.stamps) == (1, 2)
    assert (scores.precision.value, scores.recall.value) == (1, 1)
    assert (scores.average_precision, scores.mean_average_precision) == (1, 1)
    assert scores.recall_at_precision.value == 1
    assert scores.elapsed_ms[0] > 0


def test_missed_false_and_unsure_stamps(paint_stamps: Paint, evaluate: Evaluate) -> None:
    unsure = (20, 150, 100, 230)
    stamps = (LEFT, "x", SURE), (RIGHT, "y", SURE), (unsure, "d", UNSURE)
    paint_stamps("images/a/1.png", *stamps)
    evaluation = evaluate(entry("images/a/1.png", {"box": LEFT}, {"box": unsure}))
    scores = evaluation.detection()["all"]
    assert (scores.precision.hits, scores.precision.n) == (1, 2)
    assert (scores.recall.hits, scores.recall.n) == (1, 2)
    # the false mark and the right one are equally sure, so no threshold is right nine times in ten
    assert scores.recall_at_precision.hits == 0
    assert scores.average_precision == pytest.approx(2 / 3)
    (outcome,) = evaluation.outcomes
    assert [mark.box for mark in outcome.false_marks] == [RIGHT]
    assert [stamp.truth.box for stamp in outcome.missed] == [unsure]


def test_stamps_that_may_be_text_alone_are_scored_by_themselves(
    paint_stamps: Paint, evaluate: Evaluate
) -> None:
    third = (20, 150, 100, 230)
    paint_stamps("images/a/1.png", (LEFT, "x", SURE), (RIGHT, "y", SURE), (third, "d", SURE))
    rows = entry("images/a/1.png", {"box": LEFT, "shape": "other"}, {"box": RIGHT, "shape": "oval"})
    evaluation = evaluate(rows)
    parts = evaluation.detection_by_outline()
    assert list(parts) == ["frameless and rectangular", "other outlines"]
    for scores in parts.values():
        assert (scores.stamps, scores.recall.hits) == (1, 1)
        assert (scores.precision.hits, scores.precision.n) == (1, 2)  # what is false counts twice
        assert scores.empty_pages.n == 0
    assert evaluation.detection()["all"].precision.n == 3
    alone = evaluate(entry("images/a/1.png", {"box": LEFT, "shape": "rectangle"}))
    assert list(alone.detection_by_outline()) == ["frameless and rectangular"]
    figures = evaluation.to_dict()["outlines"]
    assert isinstance(figures, dict)
    assert figures["other outlines"]["recall_at_precision_0.9"]["n"] == 1


def test_loose_boxes_count_at_low_overlap_only(paint_stamps: Paint, evaluate: Evaluate) -> None:
    paint_stamps("images/a/1.png", (LEFT, "x", SURE))
    loose = (*LEFT[:2], LEFT[2] + 35, LEFT[3])  # IoU 80 / 115 = 0.696
    scores = evaluate(entry("images/a/1.png", {"box": loose})).detection()["all"]
    assert scores.average_precision == 1
    assert scores.mean_average_precision == pytest.approx(4 / 10)


def test_what_lies_in_an_ignored_region_counts_neither_way(
    paint_stamps: Paint, evaluate: Evaluate
) -> None:
    paint_stamps("images/a/1.png", (LEFT, "x", SURE), (RIGHT, "y", SURE))
    around = [RIGHT[0] - 5, RIGHT[1] - 5, RIGHT[2] + 5, RIGHT[3] + 5]
    rows = entry("images/a/1.png", {"box": LEFT}, ignore=[around])
    evaluation = evaluate(rows)
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


def test_a_stamp_beside_an_ignored_region_still_counts(
    paint_stamps: Paint, evaluate: Evaluate
) -> None:
    paint_stamps("images/a/1.png", (LEFT, "x", SURE))
    rows = entry("images/a/1.png", {"box": LEFT}, ignore=[[0, 0, 90, 200]])
    assert evaluate(rows).detection()["all"].recall.value == 1


def test_pages_without_stamps_origins_and_groups(
    tmp_path: Path, paint_stamps: Paint, evaluate: Evaluate
) -> None:
    paint_stamps("images/a/1.png", (LEFT, "x", SURE))
    paint_stamps("images/a/2.png")
    paint_stamps("images/b/1.png", (LEFT, "x", SURE), (RIGHT, "y", SURE))
    rows = [
        entry("images/a/1.png", {"box": LEFT}, origin="real"),
        entry("images/a/2.png", origin="real"),
        entry("images/b/1.png", origin="composite"),
    ]
    evaluation = evaluate(*rows, negatives=[tmp_path / "images/a/2.png"])
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


def test_masks_from_the_box_and_from_end_to_end(
    tmp_path: Path, paint_stamps: Paint, evaluate: Evaluate, ink_of: Draw
) -> None:
    paint_stamps("images/a/1.png", (LEFT, "x", SURE), (RIGHT, "y", UNSURE))
    for name, (x0, y0, x1, y1), figure in (("1", LEFT, "xd"), ("2", RIGHT, "y")):
        mask = np.zeros(SIZE, np.uint8)
        mask[y0:y1, x0:x1] = 255 * ink_of(figure, x1 - x0, y1 - y0)
        mask[200:, :10] = 255  # ink of something else, outside the box
        PIL.Image.fromarray(mask).save(tmp_path / f"{name}.png")
    rows = entry("images/a/1.png", {"box": LEFT, "mask": "1.png"}, {"box": RIGHT, "mask": "2.png"})
    masks = evaluate(rows).masks()["all"]
    wrong = ink_of("x", 80, 80).sum() / ink_of("xd", 80, 80).sum()
    assert masks.n == 2
    assert masks.given.value == pytest.approx((1 + wrong) / 2)
    assert masks.end_to_end.value == pytest.approx(wrong / 2)


@pytest.mark.parametrize(("shape", "value"), [((9, 9), 255), (SIZE, 0)])
def test_a_mask_that_cannot_be_is_an_error(
    tmp_path: Path, shape: tuple[int, int], value: int, paint_stamps: Paint, evaluate: Evaluate
) -> None:
    paint_stamps("images/a/1.png", (LEFT, "x", SURE))
    PIL.Image.fromarray(np.full(shape, value, np.uint8)).save(tmp_path / "m.png")
    rows = entry("images/a/1.png", {"box": LEFT, "mask": "m.png"})
    (error,) = evaluate(rows).errors
    assert error.error is not None
    assert error.error.code == "dataset_error"
    assert "m.png" in error.error.message


def test_retrieval_by_annotated_and_by_detected_boxes(
    paint_stamps: Paint, evaluate: Evaluate
) -> None:
    figures = {"1": ("x", SURE), "2": ("x", UNSURE), "3": ("y", SURE), "4": ("y", SURE)}
    rows = []
    for name, (figure, red) in figures.items():
        paint_stamps(f"images/a/{name}.png", (LEFT, figure, red))
        stamp = {"box": LEFT, "identity": figure}
        rows.append(entry(f"images/a/{name}.png", stamp, kind="crop", origin="real"))
    alone = {"box": LEFT, "identity": "alone"}
    paint_stamps("images/a/5.png", (LEFT, "d", SURE))
    paint_stamps("images/a/6.png", (LEFT, "d", SURE))
    rows += [entry("images/a/5.png", alone), entry("images/a/6.png", {"box": LEFT})]
    rows += [entry("images/a/6.png", alone, kind="isolated")]
    evaluation = evaluate(*rows)
    annotated = evaluation.retrieval["annotated"].scores()
    assert (annotated.queries, annotated.gallery, annotated.identities) == (4, 4, 2)
    assert (annotated.cmc[1].hits, annotated.mean_average_precision) == (4, 1.0)
    assert annotated.equal_error.value == 0.0
    detected = evaluation.retrieval["detected"]
    # the unsure one is not found: neither it nor the other imprint of its stamp has an answer
    assert detected.scores().cmc[1].hits == 2
    assert {rate.hits for rate in detected.by_identity("real").values()} == {0, 2}
    assert [miss.nearest is None for miss in detected.misses()] == [False, True]


def test_images_that_fail_are_errors_and_their_stamps_missed(
    tmp_path: Path, evaluate: Evaluate
) -> None:
    (tmp_path / "bad.png").write_bytes(b"")
    rows = entry("bad.png", {"box": LEFT, "identity": "x", "mask": "gone.png"})
    evaluation = evaluate(rows)
    scores = evaluation.detection()["all"]
    assert (scores.recall.hits, scores.recall.n) == (0, 1)
    assert evaluation.masks()["all"].end_to_end.value == 0.0
    assert [result.error.code for result in evaluation.errors if result.error] == [
        "unreadable_image"
    ]
    text = json.dumps(evaluation.to_dict(), allow_nan=False)
    assert "bad.png" in text


def test_report_is_json_without_nan(paint_stamps: Paint, evaluate: Evaluate) -> None:
    paint_stamps("images/a/1.png")
    report = evaluate(entry("images/a/1.png", kind="crop")).to_dict()
    assert json.loads(json.dumps(report, allow_nan=False))["images"] == {"crop": 1}
