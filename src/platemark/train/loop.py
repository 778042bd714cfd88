"""The training loop: a schedule, an optimiser, an average of the weights, checkpoints, a log.

The same loop trains every network. It runs for a number of minutes (the cosine schedule follows the
clock, summed over resumed runs) or for a number of epochs (the schedule follows the steps and the
run is reproducible from its seed).
"""

import copy
import csv
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from platemark.errors import ModelMismatch
from platemark.models.card import ModelCard
from platemark.train.batches import Batch, ahead


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to learn.

    Attributes:
        batch: pictures per step.
        rate: peak learning rate of AdamW.
        weight_decay: AdamW's decoupled decay, on matrices and kernels only.
        warmup: steps of linear warm-up.
        minutes: length of the run by the clock, or None.
        epochs: length of the run in passes over the data, when ``minutes`` is None.
        average: decay of the exponential moving average of the weights.
        checkpoint_minutes: how often the state is written.
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
    seed: int = 0
    workers: int = 0


class Task(Protocol):
    """What differs between the networks: the data and the loss."""

    def batch(self, schedule: Schedule, step: int) -> Batch:
        """Batch number ``step`` of the run, always the same; may be called in other processes."""
        ...

    def size(self) -> int:
        """Examples of one pass over the data."""
        ...

    def marks(self) -> int:
        """Labelled marks to learn from, each counted once."""
        ...

    def steps_per_epoch(self, schedule: Schedule) -> int:
        """Batches in one pass over the data."""
        ...

    def losses(self, net: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Named terms; their sum is minimised."""
        ...

    def calibrate(self, folder: Path) -> ModelCard:
        """Fit the scores of the exported model in ``folder`` on held-out training data."""
        ...

    def validate(self, net: nn.Module) -> dict[str, float]:
        """Figures on held-out training data; nothing of the test split."""
        ...


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
    """Train ``net`` and return the averaged weights in a copy of it, in evaluation mode.

    ``checkpoint.pt`` (weights, average, optimiser, clock), ``log.csv`` and ``schedule.json`` are
    written to ``output``. ``go_on`` is told after every step what share of the run is done, and
    ends it by saying no.

    Raises:
        ModelMismatch: The checkpoint to resume from is damaged or of another network.
    """
    output.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(schedule.seed)
    # PyTorch takes both at once; its stubs know no memory format.
    net.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(_decay_groups(net, schedule.weight_decay), lr=schedule.rate)
    averaged = copy.deepcopy(net).requires_grad_(False)
    step, seconds = 0, 0.0
    checkpoint = output / "checkpoint.pt"
    if resume and checkpoint.exists():
        step, seconds = _load(checkpoint, net, averaged, optimiser, device)
        report(f"resumed at step {step}, {seconds / 60:.1f} minutes in")
    elif resume:
        report(f"there is no checkpoint in {output} yet: starting at step 0")
    (output / "schedule.json").write_text(json.dumps(asdict(schedule), indent=2))
    limit = None if schedule.minutes is None else 60 * schedule.minutes
    total_steps = max(1, round(schedule.epochs * task.steps_per_epoch(schedule)))
    scaler = torch.amp.GradScaler(enabled=device == "cuda")
    precision = _Precision(device, trial=schedule.minutes is not None)
    log = _Log(output / "log.csv", resume)
    started, last_saved = time.monotonic() - seconds, time.monotonic()
    for batch in ahead(partial(task.batch, schedule), step, schedule.workers):
        seconds = time.monotonic() - started
        progress = step / total_steps if limit is None else seconds / limit
        if progress >= 1:
            break
        _set_rate(optimiser, _rate(schedule, step, progress))
        net.train()
        batch = tuple(part.to(device) for part in batch)
        with precision.autocast():
            losses = task.losses(net, batch)
        loss = torch.stack(list(losses.values())).sum()
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(scaler.scale(loss))
        scaler.unscale_(optimiser)
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        scaler.step(optimiser)
        scaler.update()
        _update_average(averaged, net, min(schedule.average, (step + 1) / (step + 10)))
        precision.learn(time.monotonic() - started - seconds)
        step += 1
        log.add({name: float(value.detach()) for name, value in losses.items()})
        if not go_on(progress):
            break
        if step % 100 == 0:
            report(log.flush(step, seconds, optimiser.param_groups[0]["lr"]))
        if time.monotonic() - last_saved > schedule.checkpoint_minutes * 60:
            last_saved = time.monotonic()
            _save(checkpoint, net, averaged, optimiser, step, last_saved - started)
            report(f"  held out: {task.validate(averaged.eval())}")
    if log.pending:
        report(log.flush(step, seconds, optimiser.param_groups[0]["lr"]))
    _save(checkpoint, net, averaged, optimiser, step, seconds)
    averaged.eval()
    report(
        f"finished: {step} steps, {seconds / 60:.1f} minutes, held out: {task.validate(averaged)}"
    )
    return averaged


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


def _save(
    path: Path,
    net: nn.Module,
    averaged: nn.Module,
    optimiser: torch.optim.Optimizer,
    step: int,
    seconds: float,
) -> None:
    state = {
        "net": net.state_dict(),
        "average": averaged.state_dict(),
        "optimiser": optimiser.state_dict(),
        "step": step,
        "seconds": seconds,
    }
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)


def _load(
    path: Path, net: nn.Module, averaged: nn.Module, optimiser: torch.optim.Optimizer, device: str
) -> tuple[int, float]:
    """Put a checkpoint's state into a run; return its steps and seconds so far."""
    state = read_checkpoint(path, device)
    try:
        net.load_state_dict(state["net"])
        averaged.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
    except (RuntimeError, ValueError) as error:
        raise ModelMismatch(
            f"{path} is of another network; train into another folder, or without resuming",
            source=str(path),
        ) from error
    return int(state["step"]), float(state["seconds"])


def read_checkpoint(path: Path, device: str) -> dict[str, Any]:
    """The parts of a checkpoint.

    Raises:
        ModelMismatch: It is damaged or none.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
        return {key: state[key] for key in ("net", "average", "optimiser", "step", "seconds")}
    except (RuntimeError, KeyError, ValueError, EOFError, TypeError, UnpicklingError) as error:
        raise ModelMismatch(
            f"{path} is damaged or no checkpoint; train into another folder, or without resuming",
            source=str(path),
        ) from error


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
    """Means of the loss terms, one CSV row per flush."""

    def __init__(self, path: Path, resume: bool) -> None:
        self.path = path
        self._sums: dict[str, float] = {}
        self._count = 0
        if not resume:
            path.unlink(missing_ok=True)

    @property
    def pending(self) -> bool:
        """Whether steps have been added since the last flush."""
        return self._count > 0

    def add(self, losses: dict[str, float]) -> None:
        for name, value in losses.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._count += 1

    def flush(self, step: int, seconds: float, rate: float) -> str:
        row: dict[str, Any] = {
            "step": step,
            "minutes": round(seconds / 60, 2),
            "rate": f"{rate:.2e}",
        }
        row |= {name: round(total / self._count, 5) for name, total in self._sums.items()}
        fresh = not self.path.exists()
        with self.path.open("a", newline="") as file:
            writer = csv.DictWriter(file, row)
            if fresh:
                writer.writeheader()
            writer.writerow(row)
        self._sums, self._count = {}, 0
        return " ".join(f"{key}={value}" for key, value in row.items())
