"""Fine-tuning on composites: what is learned from, when it ends, which detector is taken."""

import json
import signal
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest

torch = pytest.importorskip("torch")

from platemark.metrics.rates import Rate  # noqa: E402
from platemark.models.card import ModelCard  # noqa: E402
from platemark.stamps.pipeline import StampPipeline  # noqa: E402
from platemark.train.composites import CompositeStudio, Overlay  # noqa: E402
from platemark.train.finetune import CompositeTask, _stopped_by_interrupt  # noqa: E402
from platemark.train.learn import Lengths, learn, model_name  # noqa: E402
from platemark.train.loop import Schedule  # noqa: E402
from platemark.train.nets.detector import DetectorNet  # noqa: E402
from platemark.usecases.reference import read_reference  # noqa: E402


def label() -> np.ndarray:
    pixels = np.full((120, 180, 3), (250, 190, 20), np.uint8)
    cv2.putText(pixels, "FRESH", (14, 78), 0, 1.5, (190, 20, 20), 6, cv2.LINE_AA)
    return pixels


@pytest.fixture(scope="module")
def task() -> CompositeTask:
    opaque = np.full((120, 180), 255, np.uint8)
    studio = CompositeStudio({"fresh": [Overlay.of_label(label(), opaque)]})
    return CompositeTask(studio, seed=0)


def test_a_batch_is_the_same_each_time_and_has_marks_and_windows_without(
    task: CompositeTask,
) -> None:
    schedule = Schedule(batch=8, rate=1e-3, seed=3)
    first, second = (task.batch(schedule, 4) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    pictures, boxes, _, _, ignore, present = first
    assert pictures.shape == (8, 256, 256, 3)
    counted = present & ~ignore
    assert 0 < int(counted.any(dim=1).sum()) < 8
    sides = boxes[counted][:, 2:] - boxes[counted][:, :2]
    assert float(sides.min()) > 4
    assert task.batch(schedule, 5)[0].shape == (3, 448, 448, 3)


def test_what_is_held_out_is_whole_pictures_with_marks(task: CompositeTask) -> None:
    assert len(task.validation) == 12
    assert 0 < sum(len(scene.boxes) for scene in task.validation) <= 12


def test_steps_on_composites_lower_the_loss(task: CompositeTask) -> None:
    torch.manual_seed(0)
    net = DetectorNet()
    optimiser = torch.optim.AdamW(net.parameters(), lr=2e-3)
    batch = task.batch(Schedule(batch=4, rate=2e-3), 0)
    totals = []
    for _ in range(8):
        loss = torch.stack(list(task.losses(net.train(), batch).values())).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        totals.append(float(loss.detach()))
    assert totals[-1] < totals[0]


def test_the_first_interrupt_ends_the_fine_tuning_and_the_second_the_run() -> None:
    said: list[str] = []
    # Where the tests run in the background, it is ignored.
    usual = signal.default_int_handler
    signal.signal(signal.SIGINT, usual)
    with _stopped_by_interrupt(said.append) as stopped:
        assert not stopped.is_set()
        signal.raise_signal(signal.SIGINT)
        assert stopped.is_set()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is usual
    assert len(said) == 1


def test_a_fine_tuned_model_comes_out_whole_and_the_better_detector_is_taken(
    tmp_path: Path,
) -> None:
    picture = tmp_path / "fresh.png"
    PIL.Image.fromarray(label()).save(picture)
    reference = read_reference(StampPipeline.from_pretrained(), picture, (0, 0, 180, 120))
    stages: list[str] = []
    learned = learn(
        [reference],
        tmp_path / "model",
        lengths=Lengths(minutes=0.02, choosing=4, reporting=4),
        threads=1,
        report=lambda line: None,
        progress=lambda stage, done, total: stages.append(stage),
    )
    assert list(dict.fromkeys(stages)) == [
        "bundled detector",
        "fine-tuning",
        "fine-tuned",
        "report",
    ]
    training = ModelCard.read(tmp_path / "model" / "card.json").training
    assert training["steps"] >= 1
    precisions = training["average_precision"]
    better = precisions["fine-tuned"] > precisions["bundled detector"]
    assert learned.fine_tuned is better
    assert isinstance(learned.recall, Rate)
    assert json.loads(learned.to_json())["detector"] == training["detector"]
    assert not list((tmp_path / "model").glob(".fine-tuning-*"))
    StampPipeline.from_pretrained(tmp_path / "model")(label())


@pytest.mark.parametrize(
    ("names", "name"), [(["Seal 1", "b"], "seal-1-b"), (["Печать"], "taught-marks")]
)
def test_a_model_is_named_after_its_marks(names: list[str], name: str) -> None:
    assert model_name(names) == name
