"""The loop: it learns, goes on where it stopped, and repeats itself from a seed."""

import copy
import csv
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from platemark.errors import ModelMismatch, PlatemarkError  # noqa: E402
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


def test_a_resumed_run_writes_no_row_twice(
    task: ReaderTask, net: Callable[[], ReaderNet], tmp_path: Path
) -> None:
    schedule = replace(SCHEDULE, epochs=4, checks=8)  # a check before every step and at the end
    judged, checkpoint = [0.1] * 20, tmp_path / "checkpoint.pt"
    fit(net(), Judged(task, judged), replace(schedule, epochs=1), tmp_path, report=str)
    early = checkpoint.read_bytes()
    log = tmp_path / "log.csv"
    assert steps_of(log) == [2]
    fit(net(), Judged(task, judged), schedule, tmp_path, resume=True, report=str)
    told = steps_of(log), steps_of(tmp_path / "checks.csv")
    assert told[0] == [2, 8]
    assert told[1] == sorted(told[1])
    # As after a kill: the rows are there, the checkpoint is an earlier one.
    checkpoint.write_bytes(early)
    log.write_bytes(log.read_bytes() + b"9,0.1")
    fit(net(), Judged(task, judged), schedule, tmp_path, resume=True, report=str)
    assert (steps_of(log), steps_of(tmp_path / "checks.csv")) == told


def steps_of(log: Path) -> list[int]:
    with log.open(newline="") as file:
        return [int(row["step"]) for row in csv.DictReader(file)]


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


class Judged(ReaderTask):
    """A task whose checks give what they are told to, and that remembers how often it was asked."""

    def __init__(self, task: ReaderTask, figures: list[float]) -> None:
        self.__dict__.update(vars(task))
        self._figures = figures
        self._asked = torch.zeros(1)

    def validate(self, net: torch.nn.Module) -> dict[str, float]:
        self._asked += 1
        return {"exact": self._figures[int(self._asked) - 1]}

    def state(self) -> dict[str, torch.Tensor]:
        return {"asked": self._asked}

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        self._asked = state.get("asked", torch.zeros(1))


def test_the_best_check_is_kept_and_patience_ends_a_run(
    task: ReaderTask, net: Callable[[], ReaderNet], tmp_path: Path
) -> None:
    schedule = replace(SCHEDULE, epochs=5, checks=10)  # a check after every step
    best = fit(net(), Judged(task, [0.1] * 3 + [0.5] + [0.2] * 9), schedule, tmp_path / "all")
    until = fit(net(), Judged(task, [0.1] * 4), replace(schedule, epochs=2), tmp_path / "four")
    assert not equal(best, until)  # another schedule: the rates differ
    told: list[str] = []
    patient = replace(schedule, patience=3)
    judged = Judged(task, [0.1] * 3 + [0.5] + [0.2] * 9)
    ended = fit(net(), judged, patient, tmp_path / "patient", report=told.append)
    assert equal(best, ended)
    assert any("no better in 3 checks" in line for line in told)
    with (tmp_path / "patient" / "checks.csv").open(newline="") as file:
        exact = [float(row["exact"]) for row in csv.DictReader(file)]
    assert exact == [0.1, 0.1, 0.1, 0.5, 0.2, 0.2, 0.2, 0.2]


def test_what_a_task_remembers_and_the_best_weights_are_resumed(
    task: ReaderTask, net: Callable[[], ReaderNet], tmp_path: Path
) -> None:
    schedule = replace(SCHEDULE, epochs=4, checks=8, checkpoint_minutes=0.0)
    figures = [0.1, 0.9, *[0.2] * 8]

    class Broken(Judged):
        def batch(self, schedule: Schedule, step: int) -> Batch:
            if step == 5:
                raise KeyboardInterrupt
            return super().batch(schedule, step)

    whole = fit(net(), Judged(task, figures), schedule, tmp_path / "whole", report=str)
    with pytest.raises(KeyboardInterrupt):
        fit(net(), Broken(task, figures), schedule, tmp_path / "broken", report=str)
    resumed = Judged(task, figures)
    again = fit(net(), resumed, schedule, tmp_path / "broken", resume=True, report=str)
    assert equal(whole, again)
    assert resumed.state()["asked"] == 8  # checks before the interruption and after it


def test_a_full_disk_leaves_the_checkpoint_before_whole(
    task: ReaderTask, net: Callable[[], ReaderNet], tmp_path: Path
) -> None:
    resource = pytest.importorskip("resource")
    short = replace(SCHEDULE, epochs=1)
    fit(net(), task, short, tmp_path, report=str)
    checkpoint = tmp_path / "checkpoint.pt"
    before = checkpoint.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, hard))
    try:
        longer = replace(SCHEDULE, epochs=2)
        with pytest.raises(PlatemarkError, match=r"step 4 cannot be written.*--resume"):
            fit(net(), task, longer, tmp_path, resume=True, report=str)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert checkpoint.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint.pt", "log.csv"]
    fit(net(), task, replace(SCHEDULE, epochs=2), tmp_path, resume=True, report=str)


def test_a_run_by_the_clock_ends(
    task: ReaderTask, net: Callable[[], ReaderNet], tmp_path: Path
) -> None:
    told: list[str] = []
    fit(net(), task, replace(SCHEDULE, minutes=0.01), tmp_path, report=told.append)
    assert told[-1].startswith("finished")
    assert not (tmp_path / "checkpoint.partial").exists()
