import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from platemark.datasets import Manifest, ManifestEntry, PlateAnnotation
from platemark.evaluate import PlateEvaluation, evaluate_plates
from platemark.plates.pipeline import PlatePipeline

Paint = Callable[..., Path]
LEFT, RIGHT = (20, 100, 120, 125), (180, 60, 280, 85)


def entry(image: str, *plates: tuple[tuple[float, ...], str | None], kind: str = "scene"):  # type: ignore[no-untyped-def]
    return ManifestEntry(
        image=image,
        width=320,
        height=240,
        plates=tuple(PlateAnnotation(box=box, text=text) for box, text in plates),
        kind=kind,
        split="test",
    )


def evaluate(
    root: Path, pipeline: PlatePipeline, *entries: ManifestEntry, negatives: tuple[Path, ...] = ()
) -> PlateEvaluation:
    return evaluate_plates(Manifest(root, entries), pipeline, negatives=negatives)


def test_everything_right(tmp_path: Path, paint: Paint, painted_pipeline: PlatePipeline) -> None:
    paint("images/a/1.png", (LEFT, "AB12CD"), (RIGHT, "KA777"))
    rows = entry("images/a/1.png", (LEFT, "AB-12 CD"), (RIGHT, "KA777"))
    scores = evaluate(tmp_path, painted_pipeline, rows).of_kind("scene")
    for found in scores.detection.values():
        assert (found.precision.value, found.recall.value, found.average_precision) == (1, 1, 1)
    for read in (scores.end_to_end, scores.reader):
        assert (read.exact.value, read.folded.value, read.character_error_rate) == (1, 1, 0)
    assert scores.elapsed_ms[0] > 0


def test_missed_misread_and_false_plates_are_counted(
    tmp_path: Path, paint: Paint, painted_pipeline: PlatePipeline
) -> None:
    paint("images/a/1.png", (LEFT, "AB12CD"), (RIGHT, "KA777"))
    missed = (150.0, 180.0, 250.0, 205.0)
    rows = entry("images/a/1.png", (LEFT, "AB12CE"), (missed, "XY99"))
    evaluation = evaluate(tmp_path, painted_pipeline, rows)
    scores = evaluation.of_kind("scene")
    assert (scores.detection[0.5].precision.hits, scores.detection[0.5].precision.n) == (1, 2)
    assert (scores.detection[0.5].recall.hits, scores.detection[0.5].recall.n) == (1, 2)
    assert (scores.end_to_end.exact.hits, scores.end_to_end.exact.n) == (0, 2)
    assert scores.end_to_end.character_error_rate == pytest.approx((1 + 4) / 10)
    (outcome,) = evaluation.outcomes
    assert [mark.text for mark in outcome.false_marks] == ["KA777"]
    assert [plate.mark is None for plate in outcome.plates] == [False, True]
    assert outcome.failed


def test_iou_thresholds_differ(
    tmp_path: Path, paint: Paint, painted_pipeline: PlatePipeline
) -> None:
    paint("images/a/1.png", (LEFT, "AB12CD"))
    wide = (LEFT[0], LEFT[1], LEFT[2] + 60, LEFT[3])  # IoU 100 / 160
    scores = evaluate(tmp_path, painted_pipeline, entry("images/a/1.png", (wide, "AB12CD")))
    detection = scores.of_kind("scene").detection
    assert (detection[0.5].recall.hits, detection[0.75].recall.hits) == (1, 0)
    assert (detection[0.5].average_precision, detection[0.75].average_precision) == (1, 0)


def test_folding_takes_o_for_zero(
    tmp_path: Path, paint: Paint, painted_pipeline: PlatePipeline
) -> None:
    paint("images/a/1.png", (LEFT, "O0I1"))
    scores = evaluate(tmp_path, painted_pipeline, entry("images/a/1.png", (LEFT, "0011")))
    read = scores.of_kind("scene").end_to_end
    assert (read.exact.hits, read.folded.hits) == (0, 1)


def test_average_precision_counts_candidates_below_the_threshold(
    tmp_path: Path, paint: Paint, painted_pipeline: PlatePipeline
) -> None:
    paint("images/a/1.png", (LEFT, "AB12CD"), red=110)
    evaluation = evaluate(tmp_path, painted_pipeline, entry("images/a/1.png", (LEFT, "AB12CD")))
    found = evaluation.of_kind("scene").detection[0.5]
    assert (found.recall.hits, found.average_precision) == (0, 1)
    assert evaluation.of_kind("scene").reader.exact.hits == 1


def test_a_plate_without_text_counts_for_detection_only(
    tmp_path: Path, paint: Paint, painted_pipeline: PlatePipeline
) -> None:
    paint("images/a/1.png", (LEFT, "AB12CD"))
    evaluation = evaluate(tmp_path, painted_pipeline, entry("images/a/1.png", (LEFT, None)))
    scores = evaluation.of_kind("scene")
    assert (scores.detection[0.5].recall.n, scores.end_to_end.exact.n) == (1, 0)
    assert math.isnan(scores.end_to_end.character_error_rate)
    assert not evaluation.outcomes[0].failed


def test_failed_images_are_errors_and_their_plates_missed(
    tmp_path: Path, paint: Paint, painted_pipeline: PlatePipeline
) -> None:
    paint("images/a/1.png", (LEFT, "AB12CD"))
    (tmp_path / "images/a/2.png").write_bytes(b"")
    small = tmp_path / "images/a/3.png"
    PIL.Image.fromarray(np.zeros((10, 10, 3), np.uint8)).save(small)
    rows = [entry(f"images/a/{n}.png", (LEFT, "AB12CD")) for n in (1, 2, 3, 4)]
    evaluation = evaluate(tmp_path, painted_pipeline, *rows)
    codes = [result.error.code for result in evaluation.errors if result.error]
    assert codes == ["unreadable_image", "dataset_error", "unreadable_image"]
    scores = evaluation.of_kind("scene")
    assert (scores.images, scores.detection[0.5].recall.hits, scores.plates) == (4, 1, 4)
    assert (scores.end_to_end.exact.hits, scores.end_to_end.exact.n) == (1, 4)
    assert "10x10" in json.dumps(evaluation.to_dict()["errors"])


def test_groups_kinds_and_negatives(
    tmp_path: Path, paint: Paint, painted_pipeline: PlatePipeline
) -> None:
    paint("images/a/1.png", (LEFT, "AB12CD"))
    paint("images/b/1.png", (LEFT, "KA777"))
    clean = paint("clean.png")
    badge = paint("badge.png", (LEFT, "XY99"))
    rows = [
        entry("images/a/1.png", (LEFT, "AB12CD")),
        entry("images/b/1.png", (LEFT, "XY99"), kind="crop"),
    ]
    evaluation = evaluate(tmp_path, painted_pipeline, *rows, negatives=(clean, badge))
    groups = evaluation.by_group()
    assert {name: s.end_to_end.exact.hits for name, s in groups.items()} == {"a": 1, "b": 0}
    assert evaluation.of_kind("crop").images == evaluation.of_kind("scene").images == 1
    per_image, with_any = evaluation.false_plates()
    assert (per_image, with_any.hits, with_any.n) == (0.5, 1, 2)


def test_annotated_photos_without_plates_count_as_such(
    tmp_path: Path, paint: Paint, painted_pipeline: PlatePipeline
) -> None:
    paint("images/neg/1.png", (LEFT, "XY99"))
    paint("images/neg/2.png")
    rows = [entry("images/neg/1.png"), entry("images/neg/2.png")]
    per_image, with_any = evaluate(tmp_path, painted_pipeline, *rows).false_plates()
    assert (per_image, with_any.hits, with_any.n) == (0.5, 1, 2)


def test_reliability_pairs_scores_with_truth(
    tmp_path: Path, paint: Paint, painted_pipeline: PlatePipeline
) -> None:
    paint("images/a/1.png", (LEFT, "AB12CD"), (RIGHT, "KA777"))
    evaluation = evaluate(tmp_path, painted_pipeline, entry("images/a/1.png", (LEFT, "AB12CD")))
    scores, right = evaluation.detection_reliability()
    assert (scores, sorted(right)) == ([1.0, 1.0], [False, True])
    assert evaluation.text_reliability() == ([pytest.approx(0.9)], [True])


def test_report_is_json_without_nan(
    tmp_path: Path, paint: Paint, painted_pipeline: PlatePipeline
) -> None:
    paint("images/a/1.png")
    evaluation = evaluate(tmp_path, painted_pipeline, entry("images/a/1.png"))
    text = json.dumps(evaluation.to_dict(), allow_nan=False)
    assert json.loads(text)["overall"]["scene"]["detection"]["0.5"]["average_precision"] is None
