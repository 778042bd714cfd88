"""The loop: it learns, goes on where it stopped, and repeats itself from a seed."""

import copy
import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from platemark.errors import ModelMismatch  # noqa: E402
from platemark.train.batches import Batch  # noqa: E402
from platemark.train.loop import Schedule, fit  # noqa: E402
from platemark.train.nets.reader import ReaderNet  # noqa: E402
from platemark.train.reader import ALPHABET, ReaderTask  # noqa: E402

SCHEDULE = Schedule(batch=15, rate=1e-2, warmup=5, minutes=None, epochs=10, seed=4)


class Interrupted(ReaderTask):
    """A task whose run is broken off before step ``last``."""

    def __init__(self, task: ReaderTask, last: int) -> None:
        self.__dict__.update(vars(task))
        self._last = last

    def batch(self, schedule: Schedule, step: int) -> Batch:
        if step == self._last:
            raise KeyboardInterrupt
        return super().batch(schedule, step)


def equal(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


def loss(task: ReaderTask, net: torch.nn.Module) -> float:
    batch = task.batch(replace(SCHEDULE, batch=30), 999)
    with torch.no_grad():
        return float(task.losses(net.eval(), batch)["ctc"])


def test_processes_make_the_same_batches_as_a_thread(
    task: ReaderTask, net: Callable[[], ReaderNet], tmp_path: Path
) -> None:
    schedule = replace(SCHEDULE, epochs=0.2)
    torch.manual_seed(1)
    begun = net()
    alone = fit(copy.deepcopy(begun), task, schedule, tmp_path / "alone")
    helped = fit(copy.deepcopy(begun), task, replace(schedule, workers=2), tmp_path / "helped")
    assert equal(alone, helped)


def test_twenty_steps_lower_the_loss(
    task: ReaderTask, net: Callable[[], ReaderNet], tmp_path: Path
) -> None:
    before = loss(task, net())
    told: list[str] = []
    learned = fit(net(), task, SCHEDULE, tmp_path, report=told.append)
    assert not learned.training
    assert loss(task, learned) < before
    assert "20 steps" in told[-1]
    with (tmp_path / "log.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["step"] == "20"
    assert float(row["ctc"]) > 0


def test_a_seed_repeats_a_run_by_epochs(
    task: ReaderTask, net: Callable[[], ReaderNet], tmp_path: Path
) -> None:
    short = replace(SCHEDULE, epochs=3)
    runs = [fit(net(), task, short, tmp_path / str(i), report=str) for i in range(2)]
    other = fit(net(), task, replace(short, seed=5), tmp_path / "other", report=str)
    assert equal(*runs)
    assert not equal(runs[0], other)


def test_a_run_goes_on_where_it_was_broken_off(
    task: ReaderTask, net: Callable[[], ReaderNet], tmp_path: Path
) -> None:
    schedule = replace(SCHEDULE, epochs=4, checkpoint_minutes=0.0)
    whole = fit(net(), task, schedule, tmp_path / "whole", report=str)
    broken, told = tmp_path / "broken", list[str]()
    with pytest.raises(KeyboardInterrupt):
        fit(net(), Interrupted(task, 3), schedule, broken, report=str)
    resumed = fit(net(), task, schedule, broken, resume=True, report=told.append)
    assert told[0].startswith("resumed at step 3")
    assert "8 steps" in told[-1]
    assert equal(whole, resumed)


def test_without_resume_a_run_starts_anew(
    task: ReaderTask, net: Callable[[], ReaderNet], tmp_path: Path
) -> None:
    short = replace(SCHEDULE, epochs=1)
    runs = [fit(net(), task, short, tmp_path, report=str) for _ in range(2)]
    assert equal(*runs)
    finished = fit(net(), task, short, tmp_path, resume=True, report=str)
    assert equal(runs[0], finished)


def test_what_cannot_be_resumed(
    task: ReaderTask, net: Callable[[], ReaderNet], tmp_path: Path
) -> None:
    short = replace(SCHEDULE, epochs=1)
    other = ReaderNet(len(ALPHABET) + 1, channels=(8, 8, 8, 8), layers=1)
    fit(other, task, short, tmp_path / "other", report=str)
    for folder in ("other", "damaged"):
        checkpoint = tmp_path / folder / "checkpoint.pt"
        if folder == "damaged":
            checkpoint.parent.mkdir()
            checkpoint.write_bytes(b"damaged")
        with pytest.raises(ModelMismatch, match=folder):
            fit(net(), task, short, tmp_path / folder, resume=True, report=str)


def test_a_run_by_the_clock_ends(
    task: ReaderTask, net: Callable[[], ReaderNet], tmp_path: Path
) -> None:
    told: list[str] = []
    fit(net(), task, replace(SCHEDULE, minutes=0.01), tmp_path, report=told.append)
    assert told[-1].startswith("finished")
    assert not (tmp_path / "checkpoint.partial").exists()
