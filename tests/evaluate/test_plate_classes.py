"""What is said of plates beside their text, counted."""

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from platemark.datasets import Manifest, ManifestEntry, PlateAnnotation
from platemark.evaluate import evaluate_plates
from platemark.metrics import Ranking
from platemark.plates.pipeline import PlatePipeline
from platemark.types import ORIENTATIONS, Crop, Obscured, PlateClasses

Paint = Callable[..., Path]
LEFT, RIGHT = (20, 100, 120, 125), (180, 60, 280, 85)


class Bands:
    """Says that a plate stands as a green spot near its own top-left does."""

    def __init__(self, region: str, lines: int, hidden: float) -> None:
        self.regions = {region: 0.9, "kr": 0.06, "xx-unknown": 0.04}
        self.lines, self.hidden = lines, hidden

    def __call__(self, crops: Sequence[Crop]) -> list[PlateClasses]:
        return [self._classes(crop.pixels) for crop in crops]

    def _classes(self, pixels: np.ndarray) -> PlateClasses:  # type: ignore[type-arg]
        green = pixels[..., 1].astype(int) - np.maximum(pixels[..., 0], pixels[..., 2])
        where = np.argwhere(green > 200)
        value = "upright"
        if len(where):
            y, x = where.mean(axis=0) > np.array(pixels.shape[:2]) / 2
            # a wide spot tells the plate's own width from its height
            tall = np.ptp(where[:, 0]) / pixels.shape[0] > np.ptp(where[:, 1]) / pixels.shape[1]
            corner = {(0, 0): "upright", (0, 1): "right", (1, 1): "upside_down", (1, 0): "left"}
            value = corner[int(y), int(x)]
            if value in ("right", "left") and not tall:
                value = "mirrored"
        seen = Obscured(self.hidden > 0.5, self.hidden)
        return PlateClasses(self.regions, self.lines, seen, {value: 1.0})


def entry(*plates: dict[str, object], kind: str = "scene") -> ManifestEntry:
    return ManifestEntry.model_validate(
        {
            "image": "images/a/1.png",
            "width": 320,
            "height": 240,
            "plates": [PlateAnnotation.model_validate(plate) for plate in plates],
            "kind": kind,
            "split": "dev",
        }
    )


@pytest.mark.parametrize("kind", ["scene", "crop"])
def test_regions_lines_and_hidden_plates_are_counted(
    tmp_path: Path, paint: Paint, painted_pipeline: PlatePipeline, kind: str
) -> None:
    paint("images/a/1.png", (LEFT, "AB12CD"), (RIGHT, "KA777"))
    pipeline = painted_pipeline.with_parts(classifier=Bands("eu-it", 1, 0.2))
    plates = (
        {"box": LEFT, "text": "AB12CD", "region": "eu", "lines": 1, "obscured": False},
        {"box": RIGHT, "text": "KA777", "region": "eu-de", "lines": 2, "obscured": True},
    )
    evaluation = evaluate_plates(Manifest(tmp_path, (entry(*plates, kind=kind),)), pipeline)
    scores = evaluation.classes()
    assert (scores.region.hits, scores.region.n) == (1, 2)
    assert scores.region_by_text.n == 2
    assert (scores.lines.hits, scores.lines.n) == (1, 2)
    assert (scores.obscured.value, scores.obscured.positives, scores.obscured.negatives) == (
        *(0.5, 1, 1),
    )
    assert evaluation.to_dict()["classes"] == scores.to_dict()


def test_a_plate_that_is_missed_has_no_region(
    tmp_path: Path, paint: Paint, painted_pipeline: PlatePipeline
) -> None:
    paint("images/a/1.png", (LEFT, "AB12CD"))
    plates = {"box": LEFT, "region": "eu-it"}, {"box": RIGHT, "region": "eu-it"}
    pipeline = painted_pipeline.with_parts(classifier=Bands("eu-it", 1, 0.0))
    scores = evaluate_plates(Manifest(tmp_path, (entry(*plates),)), pipeline).classes()
    assert (scores.region.hits, scores.region.n) == (1, 1)


def test_without_a_classifier_the_text_alone_counts(
    tmp_path: Path, paint: Paint, painted_pipeline: PlatePipeline
) -> None:
    paint("images/a/1.png", (LEFT, "AB12CD"))
    manifest = Manifest(tmp_path, (entry({"box": LEFT, "region": "bd", "lines": 1}),))
    scores = evaluate_plates(manifest, painted_pipeline).classes()
    # no format has the text, and none has the annotated region
    assert (scores.region.hits, scores.region_by_text.hits, scores.region.n) == (1, 1, 1)
    assert (scores.lines.n, scores.orientation.n, scores.obscured.positives) == (0, 0, 0)


def test_every_way_to_stand_is_asked(
    tmp_path: Path, paint: Paint, painted_pipeline: PlatePipeline
) -> None:
    path = paint("images/a/1.png", (LEFT, "AB12CD"))

    pixels = cv2.imread(str(path))
    pixels[103:108, 25:60] = (0, 255, 0)
    cv2.imwrite(str(path), pixels)
    pipeline = painted_pipeline.with_parts(classifier=Bands("eu-it", 1, 0.0))
    manifest = Manifest(tmp_path, (entry({"box": LEFT, "region": "eu-it"}),))
    evaluation = evaluate_plates(manifest, pipeline)
    ((outcome,),) = (one.classes for one in evaluation.outcomes)
    assert outcome.stood == ORIENTATIONS
    scores = evaluation.classes()
    assert (scores.upright.value, scores.upright.n) == (1.0, 1)
    assert (scores.orientation.hits, scores.orientation.n) == (5, 5)


def test_a_ranking_is_the_share_of_pairs_in_order() -> None:
    perfect = Ranking.of([0.1, 0.2, 0.8, 0.9], [False, False, True, True])
    assert (perfect.value, perfect.interval) == (1.0, (1.0, 1.0))
    mixed = Ranking.of([0.1, 0.5, 0.5, 0.4], [False, False, True, True])
    assert mixed.value == pytest.approx((1 + 0.5 + 1 + 0) / 4)
    low, high = mixed.interval
    assert 0.0 <= low < mixed.value < high <= 1.0
    empty = Ranking.of([0.3], [True])
    assert np.isnan(empty.value)
    assert empty.to_dict()["auroc"] is None
    # Hanley and McNeil's worked example: 58 normal, 51 abnormal, area 0.893, error 0.032
    area, first, second = 0.893, 0.893 / 1.107, 2 * 0.893**2 / 1.893
    error = (area * (1 - area) + 50 * (first - area**2) + 57 * (second - area**2)) / (58 * 51)
    assert np.sqrt(error) == pytest.approx(0.032, abs=0.001)
