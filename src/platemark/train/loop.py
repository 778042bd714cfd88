"""The training loop: a schedule, an optimiser, an average of the weights, checkpoints, a log.

The same loop trains every network. It runs for a number of minutes (the cosine schedule follows the
clock, summed over resumed runs) or for a number of epochs (the schedule follows the steps and the
run is reproducible from its seed).
"""

import copy
import csv
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Protocol, Self

import torch
from torch import Tensor, nn

from platemark.errors import ModelMismatch, PlatemarkError
from platemark.files import replace_file
from platemark.models.card import ModelCard
from platemark.train.batches import Batch, prefetch


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to learn.

    Attributes:
        batch: batch size.
        rate: peak learning rate of AdamW.
        weight_decay: AdamW's decoupled decay, on matrices and kernels only.
        warmup: steps of linear warm-up.
        minutes: length of the run by the clock, or None.
        epochs: length of the run in epochs, when ``minutes`` is None.
        average: decay of the exponential moving average of the weights.
        checkpoint_minutes: how often the state is written.
        checks: how often, in equal parts of the run, it is judged by held-out examples beside at
            its end; the best average of the weights is kept.
        patience: checks without a better one after which the run ends, or None.
        seed: of the weights and of the order and augmentation of the data.
        workers: processes that make batches, which come to the same with any number of them; 0 for
            a thread, which is enough where the network takes longer than its batches.
    """

    batch: int
    rate: float
    weight_decay: float = 0.02
    warmup: int = 300
    minutes: float | None = 60.0
    epochs: float = 1.0
    average: float = 0.999
    checkpoint_minutes: float = 3.0
    checks: int = 20
    patience: int | None = None
    seed: int = 0
    workers: int = 0


class Task(Protocol):
    """What differs between the networks: the data and the loss."""

    @property
    def judged_by(self) -> str:
        """The figure of `validate` that tells the better of two networks; with a dash before it,
        less is better."""
        ...

    def batch(self, schedule: Schedule, step: int) -> Batch:
        """Batch number ``step`` of the run, always the same; may be called in other processes."""
        ...

    def size(self) -> int:
        """Examples of one pass over the data."""
        ...

    def marks(self) -> int:
        """Labelled marks to learn from, each counted once."""
        ...

    def lacking(self) -> str | None:
        """What the data lack to teach anything, in words, or None."""
        ...

    def steps_per_epoch(self, schedule: Schedule) -> int:
        """Batches in one pass over the data."""
        ...

    def state(self) -> dict[str, Tensor]:
        """What the task itself remembers of a run, for its checkpoint."""
        ...

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Begin with what was remembered; with nothing where there is nothing."""
        ...

    def losses(self, net: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Named terms; their sum is minimised."""
        ...

    def calibrate(self, folder: Path) -> ModelCard:
        """Fit the scores of the exported model in ``folder`` on held-out training data."""
        ...

    def validate(self, net: nn.Module) -> dict[str, float]:
        """Metrics on held-out training data; nothing of the test split."""
        ...


class Stateless:
    """A task that remembers nothing of a run."""

    def state(self) -> dict[str, Tensor]:
        """Nothing."""
        return {}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Nothing to do."""


def fit(
    net: nn.Module,
    task: Task,
    schedule: Schedule,
    output: Path,
    *,
    resume: bool = False,
    device: str = "cpu",
    report: Callable[[str], None] = print,
    go_on: Callable[[float], bool] = lambda share: True,
) -> nn.Module:
    """Train ``net`` and return its best averaged weights in a copy of it, in evaluation mode.

    Best by held-out examples; where there are none, the last. ``checkpoint.pt`` (all of `_State`),
    ``log.csv`` (losses) and ``checks.csv`` (metrics of the checks) are written to ``output``.
    ``go_on`` is told after every step what share of the run is done, and ends it by saying no.

    Raises:
        ModelMismatch: The checkpoint to resume from is corrupt or of another network.
        PlatemarkError: A checkpoint cannot be written; the one before stays as it was.
    """
    output.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(schedule.seed)
    state = _State.fresh(net, task, schedule, device)
    checkpoint = output / CHECKPOINT_NAME
    if resume and checkpoint.exists():
        state.load(checkpoint, device)
        report(f"resumed at step {state.step}, {state.seconds / 60:.1f} minutes in")
    elif resume:
        report(f"there is no checkpoint in {output} yet: starting at step 0")
    limit = None if schedule.minutes is None else 60 * schedule.minutes
    total_steps = max(1, round(schedule.epochs * task.steps_per_epoch(schedule)))
    precision = _Precision(device, trial=schedule.minutes is not None)
    log = _Log(output / "log.csv", state.step)
    checks = _Log(output / "checks.csv", state.step)
    started, last_saved = time.monotonic() - state.seconds, time.monotonic()

    def check() -> None:
        metrics = state.check()
        if metrics:
            checks.add(metrics)
            report("held out: " + checks.flush(state.step, state.seconds))

    for batch in prefetch(partial(task.batch, schedule), state.step, schedule.workers):
        state.seconds = time.monotonic() - started
        progress = state.step / total_steps if limit is None else state.seconds / limit
        if progress >= 1:
            break
        if state.checked < int(progress * schedule.checks):
            state.checked = int(progress * schedule.checks)
            check()
            if schedule.patience is not None and state.without_better >= schedule.patience:
                report(f"no better in {state.without_better} checks: ending")
                break
        _set_rate(state.optimiser, _rate(schedule, state.step, progress))
        net.train()
        batch = tuple(part.to(device) for part in batch)
        with precision.autocast():
            losses = task.losses(net, batch)
        loss = torch.stack(list(losses.values())).sum()
        state.learn(loss, schedule.average)
        precision.learn(time.monotonic() - started - state.seconds)
        log.add({name: float(value.detach()) for name, value in losses.items()})
        if not go_on(progress):
            break
        if state.step % 100 == 0:
            report(log.flush(state.step, state.seconds, state.rate))
        if time.monotonic() - last_saved > schedule.checkpoint_minutes * 60:
            last_saved = time.monotonic()
            state.seconds = last_saved - started
            state.save(checkpoint)
    if log.pending:
        report(log.flush(state.step, state.seconds, state.rate))
    check()
    state.save(checkpoint)
    report(f"finished: {state.step} steps, {state.seconds / 60:.1f} minutes")
    return state.best_network()


@dataclass
class _State:
    """What a run has come to: all that it needs to go on as if it had never ended.

    Attributes:
        net: What learns.
        average: The exponential moving average of its weights.
        optimiser: With the state of each weight.
        scaler: Of the losses, for half precision.
        task: What it remembers is part of the state.
        step: Steps taken.
        seconds: What they took.
        checked: Checks that were due.
        without_better: Checks since the best one.
        quality: What the best check gave, more is better; None before the first.
        best: The averaged weights then.
    """

    net: nn.Module
    average: nn.Module
    optimiser: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    task: Task
    step: int = 0
    seconds: float = 0.0
    checked: int = 0
    without_better: int = 0
    quality: float | None = None
    best: dict[str, Tensor] = field(default_factory=dict)

    @classmethod
    def fresh(cls, net: nn.Module, task: Task, schedule: Schedule, device: str) -> Self:
        """The state before the first step."""
        # PyTorch takes both at once; its stubs know no memory format.
        net.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        task.restore({})
        optimiser = torch.optim.AdamW(_decay_groups(net, schedule.weight_decay), lr=schedule.rate)
        scaler = torch.amp.GradScaler(enabled=device == "cuda")
        return cls(net, copy.deepcopy(net).requires_grad_(False), optimiser, scaler, task)

    @property
    def rate(self) -> float:
        """The learning rate of the last step."""
        return float(self.optimiser.param_groups[0]["lr"])

    def learn(self, loss: Tensor, average: float) -> None:
        """Take a step down the gradient of a loss, the average with it."""
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(self.scaler.scale(loss))
        self.scaler.unscale_(self.optimiser)
        nn.utils.clip_grad_norm_(self.net.parameters(), 5.0)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        _update_average(self.average, self.net, min(average, (self.step + 1) / (self.step + 10)))
        self.step += 1

    def check(self) -> dict[str, float]:
        """Judge the average by held-out examples, and keep it if none was better."""
        metrics = self.task.validate(self.average.eval())
        quality = quality_of(self.task, metrics)
        if quality is None:  # nothing is held out
            return metrics
        if self.quality is None or quality >= self.quality:
            self.quality, self.without_better = quality, 0
            self.best = copy.deepcopy(self.average.state_dict())
        else:
            self.without_better += 1
        return metrics

    def best_network(self) -> nn.Module:
        """The best average, in evaluation mode; the last where nothing was held out."""
        if self.best:
            self.average.load_state_dict(self.best)
        return self.average.eval()

    def save(self, path: Path) -> None:
        """Write the state; what was there before is replaced when the new one is whole.

        Raises:
            PlatemarkError: It cannot be written.
        """
        state = {
            "net": self.net.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "task": self.task.state(),
            "best": self.best,
            **{name: getattr(self, name) for name in _COUNTS},
        }
        try:
            with replace_file(path) as file:
                torch.save(state, file)
        # PyTorch says of a full disk that its archive could not be finished.
        except (OSError, RuntimeError) as error:
            raise PlatemarkError(
                f"{path}: the checkpoint of step {self.step} cannot be written ({error}); the one "
                "before is as it was: make room, then --resume",
                source=str(path),
            ) from error

    def load(self, path: Path, device: str) -> None:
        """Take over the state of a checkpoint.

        Raises:
            ModelMismatch: It is corrupt or of another network.
        """
        state = read_checkpoint(path, device)
        try:
            self.net.load_state_dict(state["net"])
            self.average.load_state_dict(state["average"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.scaler.load_state_dict(state["scaler"])
        except (RuntimeError, ValueError) as error:
            raise ModelMismatch(
                f"{path} is of another network; train into another folder, or without resuming",
                source=str(path),
            ) from error
        self.task.restore(state["task"])
        self.best = state["best"]
        for name in _COUNTS:
            setattr(self, name, state[name])


CHECKPOINT_NAME = "checkpoint.pt"
_COUNTS = ("step", "seconds", "checked", "without_better", "quality")
_PARTS = ("net", "average", "optimiser", "scaler", "task", "best", *_COUNTS)


def quality_of(task: Task, metrics: Mapping[str, float]) -> float | None:
    """The metric by which a task is judged, more is better; None where it is not among them."""
    name = task.judged_by.removeprefix("-")
    if name not in metrics:
        return None
    return -metrics[name] if task.judged_by.startswith("-") else metrics[name]


def _decay_groups(net: nn.Module, decay: float) -> list[dict[str, Any]]:
    matrices = [p for p in net.parameters() if p.ndim >= 2]
    vectors = [p for p in net.parameters() if p.ndim < 2]
    return [{"params": matrices, "weight_decay": decay}, {"params": vectors, "weight_decay": 0.0}]


def _rate(schedule: Schedule, step: int, progress: float) -> float:
    warm = min(1.0, (step + 1) / schedule.warmup)
    return schedule.rate * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0))))


def _set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = rate


@torch.no_grad()
def _update_average(averaged: nn.Module, net: nn.Module, decay: float) -> None:
    for mean, value in zip(averaged.state_dict().values(), net.state_dict().values(), strict=True):
        if mean.dtype.is_floating_point:
            mean.lerp_(value, 1 - decay)
        else:
            mean.copy_(value)


def read_checkpoint(path: Path, device: str) -> dict[str, Any]:
    """The parts of a checkpoint.

    Raises:
        ModelMismatch: It is corrupt, or none of this version.
    """
    state = _read_state(path, device)
    if missing := [name for name in _PARTS if name not in state]:
        raise ModelMismatch(
            f"{path} has no {missing[0]}: it is of another version; start from it instead",
            source=str(path),
        )
    return state


def _read_state(path: Path, device: str) -> dict[str, Any]:
    try:
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
        return dict(state)
    except (OSError, RuntimeError, ValueError, EOFError, TypeError, UnpicklingError) as error:
        raise ModelMismatch(
            f"{path} is corrupt or no checkpoint; train into another folder, or without resuming",
            source=str(path),
        ) from error


def best_weights(path: Path) -> dict[str, Tensor]:
    """The averaged weights of a checkpoint, the best where it says which those are.

    Raises:
        ModelMismatch: It is corrupt, or none.
    """
    state = _read_state(path, "cpu")
    weights: dict[str, Tensor] = state.get("best") or state.get("average") or {}
    return weights


class _Precision:
    """Mixed precision where it pays: always on a GPU; on a CPU if bfloat16 steps prove faster.

    Processors without native bfloat16 emulate it several times slower than float32. Without the
    trial a CPU stays with float32, since what the clock decides cannot be reproduced.
    """

    _TRIAL = 2

    def __init__(self, device: str, *, trial: bool) -> None:
        self.device = device
        self.use_low = device == "cuda"
        self._times: dict[bool, list[float]] = {True: [], False: []}
        self._left = 2 * self._TRIAL if trial and device == "cpu" else 0

    def autocast(self) -> torch.autocast:
        """The context for one step."""
        if self._left:
            self.use_low = self._left <= self._TRIAL
        dtype = torch.float16 if self.device == "cuda" else torch.bfloat16
        return torch.autocast(self.device, dtype, enabled=self.use_low)

    def learn(self, seconds: float) -> None:
        """Note how long a step took; after the trial, the faster precision stays."""
        if not self._left:
            return
        self._times[self.use_low].append(seconds)
        self._left -= 1
        if not self._left:
            self.use_low = min(self._times[True]) < min(self._times[False])


class _Log:
    """Means of metrics, one CSV row per flush; the step is its first column.

    Of a log that is there already, the rows up to ``step`` stay: a run that continues from there
    takes the steps of the others again, and writes their rows again.
    """

    def __init__(self, path: Path, step: int) -> None:
        self.path = path
        self._sums: dict[str, float] = {}
        self._count = 0
        if step and path.exists():
            self._cut(step)
        else:
            path.unlink(missing_ok=True)

    def _cut(self, step: int) -> None:
        header, *rows = self.path.read_bytes().splitlines(keepends=True) or [b""]

        def stays(row: bytes) -> bool:
            at = row.partition(b",")[0]
            return at.isdigit() and int(at) <= step

        with replace_file(self.path) as file:
            file.writelines([header, *filter(stays, rows)])

    @property
    def pending(self) -> bool:
        """Whether steps have been added since the last flush."""
        return self._count > 0

    def add(self, losses: dict[str, float]) -> None:
        for name, value in losses.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._count += 1

    def flush(self, step: int, seconds: float, rate: float | None = None) -> str:
        row: dict[str, Any] = {"step": step, "minutes": round(seconds / 60, 2)}
        if rate is not None:
            row["rate"] = f"{rate:.2e}"
        row |= {name: round(total / self._count, 5) for name, total in self._sums.items()}
        fresh = not self.path.exists()
        with self.path.open("a", newline="") as file:
            writer = csv.DictWriter(file, row)
            if fresh:
                writer.writeheader()
            writer.writerow(row)
        self._sums, self._count = {}, 0
        return " ".join(f"{key}={value}" for key, value in row.items())
