"""Which cells answer for which mark, against a slow version; overlaps against the package's own."""

from math import exp, hypot

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from platemark.geometry import iou_matrix  # noqa: E402
from platemark.train.losses import (  # noqa: E402
    Marks,
    assign,
    detection_losses,
    generalised_iou,
    iou,
)
from platemark.train.nets.detector import Predictions  # noqa: E402

SEEDS = st.integers(0, 2**32 - 1)


def boxes(rng: np.random.Generator, count: int, side: float = 128) -> np.ndarray:
    corner, size = rng.uniform(0, side, (count, 2)), rng.uniform(4, side / 2, (count, 2))
    return np.concatenate([corner, corner + size], axis=1)


def predictions(rng: np.random.Generator, side: int = 96) -> Predictions:
    """What a network in training might say of a square picture."""
    places = [
        (x, y, stride)
        for stride in (8, 16, 32)
        for y in np.arange(stride / 2, side, stride)
        for x in np.arange(stride / 2, side, stride)
    ]
    cells = torch.tensor(places, dtype=torch.float64)
    centres, strides = cells[:, :2], cells[:, 2]
    reach = torch.from_numpy(rng.uniform(1, 30, (len(cells), 4)))
    found = torch.cat([centres - reach[:, :2], centres + reach[:, 2:]], dim=1)
    quads = found[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)
    logits = torch.from_numpy(rng.normal(0, 2, len(cells)))
    return Predictions(logits[None], found[None], quads[None], centres, strides)


def marks(rng: np.random.Generator, count: int, side: int = 96) -> Marks:
    truth = torch.from_numpy(boxes(rng, count, side).clip(0, side))
    quads = truth[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)
    known = torch.from_numpy(rng.random(count) < 0.7)
    return Marks(truth, quads, known, torch.from_numpy(rng.random(count) < 0.3))


@given(seed=SEEDS)
def test_overlaps_agree_with_the_geometry(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = boxes(rng, 5), boxes(rng, 4)
    first, second = torch.from_numpy(a)[:, None], torch.from_numpy(b)[None]
    expected = iou_matrix(a, b)
    assert iou(first, second).numpy() == pytest.approx(expected)
    low = np.minimum(a[:, None, :2], b[None, :, :2])
    high = np.maximum(a[:, None, 2:], b[None, :, 2:])
    hull = (high - low).prod(axis=2)
    areas = (a[:, 2:] - a[:, :2]).prod(axis=1)[:, None] + (b[:, 2:] - b[:, :2]).prod(axis=1)
    union = areas / (1 + expected)
    slack = generalised_iou(first, second).numpy()
    assert slack == pytest.approx(expected - (hull - union) / hull)


def test_generalised_iou_tells_near_from_far() -> None:
    box = torch.tensor([0.0, 0, 10, 10])
    near, far = torch.tensor([11.0, 0, 21, 10]), torch.tensor([90.0, 0, 100, 10])
    assert generalised_iou(box, box) == pytest.approx(1)
    assert generalised_iou(box, near) == pytest.approx(-1 / 21)
    assert generalised_iou(box, far) == pytest.approx(-0.8)


def slow_near(x: float, y: float, stride: float, box: list[float]) -> bool:
    width, height = box[2] - box[0], box[3] - box[1]
    across = abs(x - (box[0] + box[2]) / 2) < max(width / 2, 0.75 * stride)
    along = abs(y - (box[1] + box[3]) / 2) < max(height / 2, 0.75 * stride)
    return across and along and 0.75 * stride < max(width, height) < 24 * stride


def slow_assign(found: Predictions, truth: Marks) -> tuple[list[int], list[float], list[float]]:
    """The assignment cell by cell and mark by mark."""
    centres, strides = found.centres.tolist(), found.strides.tolist()
    cells = [(x, y, stride) for (x, y), stride in zip(centres, strides, strict=True)]
    scores = found.logits[0].sigmoid().tolist()
    metric: dict[int, dict[int, float]] = {}
    overlap: dict[int, dict[int, float]] = {}
    weight = [1.0] * len(cells)
    for mark, box in enumerate(truth.boxes.tolist()):
        near = [index for index, cell in enumerate(cells) if slow_near(*cell, box)]
        if truth.ignore[mark]:
            for index, (x, y, _) in enumerate(cells):
                if index in near or (box[0] < x < box[2] and box[1] < y < box[3]):
                    weight[index] = 0.0
            continue
        middle = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        overlap[mark], metric[mark] = {}, {}
        for index in near:
            x, y, stride = cells[index]
            same = float(iou_matrix(found.boxes[0, index].numpy(), box)[0, 0])
            overlap[mark][index] = same
            across = (x - middle[0]) / max((box[2] - box[0]) / 2, stride)
            along = (y - middle[1]) / max((box[3] - box[1]) / 2, stride)
            central = exp(-(hypot(across, along) ** 2) / (2 * 0.4**2))
            metric[mark][index] = (scores[index] ** 0.5 * same**4 + 1e-6) * central
    chosen = {mark: sorted(row, key=lambda i: -row[i])[:10] for mark, row in metric.items()}
    owner, target = [-1] * len(cells), [0.0] * len(cells)
    for index in range(len(cells)):
        claims = [mark for mark, row in chosen.items() if index in row]
        if claims:
            owner[index] = max(claims, key=lambda mark: overlap[mark][index])
            weight[index] = 1.0
    for mark, row in metric.items():
        mine = [index for index in range(len(cells)) if owner[index] == mark]
        for index in mine:
            best = max(row[i] for i in mine)
            target[index] = row[index] / best * max(0.1, *(overlap[mark][i] for i in mine))
    return owner, target, weight


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS, count=st.integers(0, 6))
def test_assignment_agrees_with_a_slow_version(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    found, truth = predictions(rng), marks(rng, count)
    owner, target, weight = assign(found, 0, truth)
    expected_owner, expected_target, expected_weight = slow_assign(found, truth)
    assert owner.tolist() == expected_owner
    assert target.tolist() == pytest.approx(expected_target, abs=1e-5)
    assert weight.tolist() == expected_weight


def test_a_tiny_mark_between_cells_still_has_a_cell() -> None:
    found = predictions(np.random.default_rng(0))
    box = torch.tensor([[45.0, 46, 52, 50]], dtype=torch.float64)
    known = torch.tensor([False])
    owner, target, _ = assign(found, 0, Marks(box, torch.zeros(1, 4, 2), known, known))
    assert (owner == 0).any()
    assert target.max() >= 0.1


def perfect(found: Predictions, truth: Marks) -> Predictions:
    """Predictions whose cells say the truth of the mark they answer for."""
    owner, _, _ = assign(found, 0, truth)
    mine = owner >= 0
    told, corners = found.boxes.clone(), found.quads.clone()
    told[0, mine], corners[0, mine] = truth.boxes[owner[mine]], truth.quads[owner[mine]]
    return Predictions(found.logits, told, corners, found.centres, found.strides)


def test_the_truth_costs_nothing_and_unknown_corners_teach_nothing() -> None:
    rng = np.random.default_rng(5)
    found, truth = predictions(rng), marks(rng, 4)
    all_known, none_ignored = torch.tensor([True] * 4), torch.tensor([False] * 4)
    truth = Marks(truth.boxes, truth.quads, all_known, none_ignored)
    guess = detection_losses(found, [truth])
    right = detection_losses(perfect(found, truth), [truth])
    assert guess["box"] > 0.1
    assert guess["corner"] > 0.1
    assert float(right["box"]) == pytest.approx(0, abs=1e-6)
    assert float(right["corner"]) == pytest.approx(0, abs=1e-6)
    unknown = Marks(truth.boxes, truth.quads, none_ignored, none_ignored)
    assert float(detection_losses(found, [unknown])["corner"]) == 0.0


def test_what_is_ignored_costs_nothing_at_any_scale() -> None:
    rng = np.random.default_rng(3)
    found = predictions(rng)
    whole = torch.tensor([[-1.0, -1, 97, 97]], dtype=torch.float64)
    unknown = torch.tensor([False])
    ignored = Marks(whole, torch.zeros(1, 4, 2), unknown, torch.tensor([True]))
    assert float(sum(detection_losses(found, [ignored]).values())) == 0.0
    part = Marks(whole / 2, torch.zeros(1, 4, 2), unknown, torch.tensor([True]))
    outside = float(detection_losses(found, [part])["score"])
    assert 0 < outside < float(detection_losses(found, [marks(rng, 0)])["score"])


def test_a_picture_without_marks_teaches_its_scores_alone() -> None:
    rng = np.random.default_rng(1)
    losses = detection_losses(predictions(rng), [marks(rng, 0)])
    assert float(losses["score"]) > 0
    assert float(losses["box"]) == float(losses["corner"]) == 0.0
