"""What the detector learns from: windows of scenes whose labels stay on their plates."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from platemark.errors import UnreadableImage  # noqa: E402
from platemark.geometry import box_to_quad, iou_matrix, is_convex, nms  # noqa: E402
from platemark.imaging.image import Pixels, to_jpeg  # noqa: E402
from platemark.train.detector import (  # noqa: E402
    FRAMINGS,
    DetectorTask,
    LabelledScene,
    Window,
    _suppress,
    cut_window,
    normalise,
)
from platemark.train.loop import Schedule  # noqa: E402
from platemark.train.losses import Marks, detection_losses, iou  # noqa: E402
from platemark.train.nets.detector import DetectorNet  # noqa: E402

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
    flags = np.full(len(truth), known), np.zeros(len(truth), bool)
    return LabelledScene(to_jpeg(pixels, 98), boxes, truth, *flags)


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


def test_stamps_have_the_corners_of_their_boxes_however_they_are_turned() -> None:
    seen = 0
    for window in windows(scene([[200.0, 100], [260, 160], [200, 220], [140, 160]]), kind="stamp"):
        for box, quad in zip(window.boxes, window.quads, strict=True):
            assert quad.clip(0, SIDE) == pytest.approx(box_to_quad(box), abs=1e-3)
            seen += 1
        assert window.has_quad.all()
    assert seen > 20


def test_scenes_of_boxes_are_not_turned() -> None:
    upright = [[200.0, 130], [330, 130], [330, 170], [200, 170]]
    for window in windows(scene(upright, known=False), 30):
        for quad in window.quads:
            assert np.ptp(quad[[0, 1], 1]) == pytest.approx(0, abs=1e-3)


def test_a_scene_without_plates_gives_empty_windows() -> None:
    assert all(not len(window.boxes) for window in windows(scene(), 5))


def stamps(*boxes: list[float], ignored: int = 0) -> LabelledScene:
    """White boxes on grey, 480x320, the last of them to be ignored."""
    whole = scene(*([[a, b], [c, b], [c, d], [a, d]] for a, b, c, d in boxes), known=False)
    return replace(whole, ignore=np.arange(len(boxes)) >= len(boxes) - ignored)


def test_windows_of_stamps_show_them_small_to_large_and_mostly_whole() -> None:
    labelled = stamps([200.0, 130, 260, 190])
    sizes, whole = [], []
    for window in windows(labelled, 200, "stamp"):
        for (x0, y0, x1, y1), ignored in zip(window.boxes, window.ignore, strict=True):
            sizes.append(max(x1 - x0, y1 - y0))
            whole.append(not ignored and x1 - x0 > 0.7 * (y1 - y0) > 0.49 * (x1 - x0))
    assert min(sizes) < 20
    assert max(sizes) > 0.85 * SIDE
    assert np.mean(whole) > 0.85


def test_boxes_turn_by_quarters_with_their_windows() -> None:
    upright = lying = 0
    offsets = []
    for window in windows(stamps([180.0, 140, 280, 170]), 120, "stamp"):
        for (x0, y0, x1, y1), ignored in zip(window.boxes, window.ignore, strict=True):
            inside = min(x0, y0) > 1 and max(x1, y1) < SIDE - 1 and min(x1 - x0, y1 - y0) > 6
            if ignored or not inside:
                continue
            lying, upright = lying + (x1 - x0 > y1 - y0), upright + (x1 - x0 < y1 - y0)
            # the outer thirds of a mark stand out from its surroundings, one white, one black
            contrast = np.abs(window.pixels.mean(axis=2) - np.median(window.pixels))
            ink = contrast > 0.35 * contrast.max()
            found = np.flatnonzero(ink.any(axis=0)), np.flatnonzero(ink.any(axis=1))
            edges = [found[0][0], found[1][0], found[0][-1] + 1, found[1][-1] + 1]
            offsets.append(np.abs(np.array(edges) - (x0, y0, x1, y1)).max())
    assert np.median(offsets) < 2
    assert lying > 5 * upright > 0


def test_windows_of_stamps_are_not_mirrored() -> None:
    """The left third of a mark is black, its right third white."""
    framing = replace(FRAMINGS["stamp"], turned=0.0)
    seen = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        window = cut_window(stamps([200.0, 130, 290, 190]), SIDE, rng, framing)
        for box, ignored in zip(window.boxes, window.ignore, strict=True):
            if ignored or box[2] - box[0] < 12 or not 0 < box[0] < box[2] < SIDE:
                continue
            columns = np.linspace(box[0] + 2, box[2] - 2, 7).astype(int)
            row = window.pixels[int((box[1] + box[3]) / 2)].mean(axis=1)
            assert row[columns[0]] < row[columns[-1]]
            seen += 1
    assert seen > 30


def test_what_is_to_be_ignored_is_never_the_focus_and_stays_ignored() -> None:
    labelled = stamps([20.0, 20, 60, 60], [300.0, 200, 400, 300], ignored=1)
    shown = [window for window in windows(labelled, 80, "stamp") if len(window.boxes)]
    alone = [window for window in shown if window.ignore.all()]
    assert any(len(window.boxes) == 2 for window in shown)
    assert len(alone) < 0.3 * len(shown)
    for window in shown:
        square = window.boxes[:, 2] - window.boxes[:, 0]
        if len(square) == 2 and not window.ignore[0]:
            assert window.ignore[1]


def test_scenes_of_a_manifest_give_the_marks_of_their_kind(tmp_path: Path) -> None:
    for name in "ab":
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((200, 300, 3), 200, np.uint8))
    row = {"image": "a.png", "width": 300, "height": 200, "split": "train"}
    row |= {"source": "platemark synth"}
    both = {"plates": [{"box": [1, 1, 50, 20]}], "stamps": [{"box": [60, 60, 120, 120]}]}
    none = {"image": "b.png", "plates": []}
    manifest = tmp_path / "annotations.jsonl"
    rows = [row | both | {"ignore": [[150, 20, 200, 60]]}, row | none]
    manifest.write_text("\n".join(map(json.dumps, rows)))
    (labelled,) = DetectorTask([manifest], kind="stamp").synthetic
    assert labelled.boxes.tolist() == [[60, 60, 120, 120], [150, 20, 200, 60]]
    assert labelled.ignore.tolist() == [False, True]
    assert [len(scene.boxes) for scene in DetectorTask([manifest]).synthetic] == [2, 0]


def test_real_photos_and_a_few_synthetic_scenes_of_stamps_are_held_out(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.full((8, 8, 3), 200, np.uint8))
    rows = []
    for number in range(1500):
        (tmp_path / f"{number}.png").hardlink_to(tmp_path / "a.png")
        row = {"image": f"{number}.png", "width": 8, "height": 8, "split": "train"}
        row |= {"stamps": [], "plates": []}
        rows.append(row | {"source": "a scanner" if number % 3 == 0 else "platemark synth"})
    manifest = tmp_path / "annotations.jsonl"
    manifest.write_text("\n".join(map(json.dumps, rows)))
    stamps, plates = DetectorTask([manifest], kind="stamp"), DetectorTask([manifest])
    real = len(plates.validation)
    assert 20 < real < 60
    assert len(plates.synthetic) == 1000
    assert len(stamps.validation) == real + FRAMINGS["stamp"].held_out
    assert len(stamps.synthetic) == 1000 - FRAMINGS["stamp"].held_out


def test_scenes_listed_again_are_held_out_once_and_weigh_more(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.full((8, 8, 3), 200, np.uint8))
    stamp = {"box": [1, 1, 7, 7]}
    rows = []
    for number in range(1500):
        (tmp_path / f"{number}.png").hardlink_to(tmp_path / "a.png")
        row = {"image": f"{number}.png", "width": 8, "height": 8, "split": "train"}
        rows.append(row | {"source": "platemark synth", "stamps": [stamp] * (number % 3)})
    manifest, part = tmp_path / "annotations.jsonl", tmp_path / "part.jsonl"
    manifest.write_text("\n".join(map(json.dumps, rows)))
    part.write_text("\n".join(map(json.dumps, rows[:300])))
    once = DetectorTask([manifest], kind="stamp")
    again = DetectorTask([manifest, manifest, part], kind="stamp")
    assert len(again.validation) == len(once.validation) == FRAMINGS["stamp"].held_out
    held_out = {id(scene) for scene in again.validation}
    assert not held_out & {id(scene) for scene in again.synthetic}
    assert again.marks() == once.marks() == sum(len(scene.boxes) for scene in once.synthetic)
    assert 2 * once.size() < again.size() < 3 * once.size()
    assert len({id(scene) for scene in again.synthetic}) == once.size()


def test_a_stamp_that_fills_the_picture_is_learned() -> None:
    torch.manual_seed(0)
    net = DetectorNet((8, 8, 16, 16, 32), neck=16, surroundings=True)
    picture = np.full((1, 256, 256, 3), 240, np.uint8)
    cv2.circle(picture[0], (128, 128), 122, (30, 30, 200), 8)
    box = torch.tensor([[2.0, 2, 254, 254]])
    known = torch.tensor([False])
    marks = [Marks(box, torch.zeros(1, 4, 2), known, known)]
    optimiser = torch.optim.AdamW(net.parameters(), lr=5e-3)
    overlaps, losses = [], []
    for _ in range(40):
        predictions = net(normalise(torch.from_numpy(picture)))
        loss = torch.stack(list(detection_losses(predictions, marks).values())).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        best = int(predictions.logits[0].argmax())
        overlaps.append(float(iou(predictions.boxes[0, best].detach(), box[0])))
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]
    assert overlaps[-1] > overlaps[0]


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
    first, second, again = (task.batch(schedule, step) for step in (0, 1, 1))
    assert all(torch.equal(a, b) for a, b in zip(second, again, strict=True))
    assert first[0].shape == (3, 64, 64, 3)
    assert not torch.equal(first[0], second[0])


def test_a_missing_picture_is_named(tmp_path: Path) -> None:
    row = {"image": "gone.jpg", "width": 9, "height": 9, "plates": [], "split": "train"}
    manifest = tmp_path / "annotations.jsonl"
    manifest.write_text(json.dumps(row))
    with pytest.raises(UnreadableImage, match=r"gone\.jpg"):
        DetectorTask([manifest])
    manifest.write_text(json.dumps(row | {"split": "test"}))
    assert DetectorTask([manifest]).size() == 0
