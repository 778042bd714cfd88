"""What the detector learns from: windows of scenes whose labels stay on their plates."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from platemark.errors import DatasetError  # noqa: E402
from platemark.geometry import iou_matrix, is_convex, nms  # noqa: E402
from platemark.imaging.image import Pixels  # noqa: E402
from platemark.train.detector import (  # noqa: E402
    FRAMINGS,
    DetectorTask,
    LabelledScene,
    Window,
    _suppress,
    cut_window,
)
from platemark.train.loop import Schedule  # noqa: E402

SIDE = 192


GREY = 114


def fill(pixels: Pixels, quad: np.ndarray, value: int) -> None:
    """Paint a quad given in continuous pixels, to a sixteenth of a pixel."""
    corners = ((np.asarray(quad) - 0.5) * 16).round().astype(np.int32)
    cv2.fillConvexPoly(pixels, corners, (value,) * 3, shift=4)


def scene(*quads: list[list[float]], known: bool = True) -> LabelledScene:
    """White plates on grey whose own left third is black, 480x320."""
    pixels = np.full((320, 480, 3), GREY, np.uint8)
    for quad in quads:
        corners = np.array(quad)
        fill(pixels, corners, 255)
        fill(pixels, left_third(corners), 0)
    truth = np.array(quads, np.float32).reshape(-1, 4, 2)
    boxes = np.concatenate([truth.min(axis=1), truth.max(axis=1)], axis=1)
    jpeg = np.asarray(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 98])[1], np.uint8)
    flags = np.full(len(truth), known), np.zeros(len(truth), bool)
    return LabelledScene(jpeg, boxes, truth, *flags)


def left_third(quad: np.ndarray) -> np.ndarray:
    inner = quad + (quad[[1, 0, 3, 2]] - quad) / 3
    return np.array([quad[0], inner[0], inner[3], quad[3]])


PLATE = [[200.0, 130], [330, 145], [326, 190], [198, 172]]


def windows(labelled: LabelledScene, count: int = 60, kind: str = "plate") -> list[Window]:
    framing = FRAMINGS[kind]
    return [
        cut_window(labelled, SIDE, np.random.default_rng(seed), framing) for seed in range(count)
    ]


def mask(quad: np.ndarray) -> np.ndarray:
    painted = np.zeros((SIDE, SIDE, 3), np.uint8)
    fill(painted, quad, 255)
    return painted[..., 0] > 0


def test_labels_stay_on_their_plates() -> None:
    mirrored: list[bool] = []
    offsets = []
    for window in windows(scene(PLATE), 120):
        assert window.pixels.shape == (SIDE, SIDE, 3)
        if not len(window.boxes) or window.ignore[0] or np.ptp(window.quads[0, :, 0]) < 40:
            continue
        if (window.quads[0] < 1).any() or (window.quads[0] > SIDE - 1).any():
            continue
        quad = window.quads[0].astype(float)
        assert is_convex(quad)
        contrast = window.pixels.mean(axis=2) - np.median(window.pixels[~mask(quad)])
        plate, expected = np.abs(contrast) > 0.5 * contrast.max(), mask(quad)
        assert (plate & expected).sum() > 0.8 * (plate | expected).sum()
        offsets.append(np.argwhere(plate).mean(axis=0) - np.argwhere(expected).mean(axis=0))
        black_left, black_right = (
            contrast[mask(left_third(quad[order]))].mean() < 0
            for order in ([0, 1, 2, 3], [1, 0, 3, 2])
        )
        assert black_left != black_right
        mirrored.append(bool(black_right))
    assert 15 < sum(mirrored) < len(mirrored) - 15
    assert np.abs(np.mean(offsets, axis=0)).max() < 0.15


def test_boxes_are_those_of_the_quads_inside_the_window() -> None:
    for window in windows(scene(PLATE, [[20.0, 20], [90, 20], [90, 45], [20, 45]])):
        expected = np.concatenate([window.quads.min(axis=1), window.quads.max(axis=1)], axis=1)
        assert window.boxes == pytest.approx(expected.clip(0, SIDE), abs=1e-3)
        areas = (expected[:, 2:] - expected[:, :2]).prod(axis=1)
        inside = (window.boxes[:, 2:] - window.boxes[:, :2]).prod(axis=1)
        assert window.ignore[inside < 0.74 * areas].all()


def test_scenes_of_boxes_are_not_turned() -> None:
    upright = [[200.0, 130], [330, 130], [330, 170], [200, 170]]
    for window in windows(scene(upright, known=False), 30):
        for quad in window.quads:
            assert np.ptp(quad[[0, 1], 1]) == pytest.approx(0, abs=1e-3)


def test_a_scene_without_plates_gives_empty_windows() -> None:
    assert all(not len(window.boxes) for window in windows(scene(), 5))


def test_suppression_agrees_with_the_geometry() -> None:
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 60, (40, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(10, 40, (40, 2))], axis=1)
    scores = rng.random(40)
    kept = _suppress(torch.from_numpy(boxes), torch.from_numpy(scores), 0.3).numpy()
    sure = scores > 0.3
    assert kept == pytest.approx(boxes[sure][nms(boxes[sure], scores[sure])])
    overlaps = iou_matrix(kept, kept) - np.eye(len(kept))
    assert overlaps.max() < 0.5


def test_batches_depend_on_the_seed_and_the_step_alone(scenes: Path) -> None:
    task, schedule = DetectorTask([scenes], sides=[64]), Schedule(batch=3, rate=1e-3, seed=3)
    stream = task.batches(schedule, 0)
    first, second = next(stream), next(stream)
    again = next(task.batches(schedule, 1))
    assert all(torch.equal(a, b) for a, b in zip(second, again, strict=True))
    assert first[0].shape == (3, 64, 64, 3)
    assert not torch.equal(first[0], second[0])


def test_a_missing_picture_is_named(tmp_path: Path) -> None:
    row = {"image": "gone.jpg", "width": 9, "height": 9, "plates": [], "split": "train"}
    manifest = tmp_path / "annotations.jsonl"
    manifest.write_text(json.dumps(row))
    with pytest.raises(DatasetError, match=r"gone\.jpg"):
        DetectorTask([manifest])
    manifest.write_text(json.dumps(row | {"split": "test"}))
    assert DetectorTask([manifest]).size() == 0
