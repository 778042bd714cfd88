"""Fine-tunes the bundled stamp detector on composites of the marks that it is to find."""

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from platemark.geometry import box_to_quad
from platemark.parallel import usable_cores
from platemark.train.batches import Batch
from platemark.train.composites import Composite, CompositeStudio
from platemark.train.detector import (
    DetectorTask,
    LabelledScene,
    Window,
    label_window,
    stack_windows,
)
from platemark.train.loop import Schedule, fit
from platemark.train.pictures import photometric
from platemark.train.pretrained import start_from
from platemark.train.stages import STAGES

_START = "stamp-detector"
_SCHEDULE = Schedule(batch=8, rate=5e-4, warmup=25, average=0.99, checkpoint_minutes=1e6, checks=0)
_HELD_OUT = 12


class CompositeTask(DetectorTask):
    """Windows with the wanted marks and with distractors, made when they are needed.

    Args:
        studio: Makes them.
        seed: Of the pictures that are held out to fit the scores on.
    """

    def __init__(self, studio: CompositeStudio, seed: int) -> None:
        super().__init__([], kind="stamp")
        self._studio = studio
        for number in range(_HELD_OUT):
            made = studio.picture(np.random.default_rng((seed, 3, number)))
            self.validation.append(_scene(made))

    def size(self) -> int:
        """Examples of one pass; there are any number of them."""
        return 1000

    def marks(self) -> int:
        """Marks to learn from; there are any number of them."""
        return self.size()

    def batch(self, schedule: Schedule, step: int) -> Batch:
        """As that of `DetectorTask`."""
        rng = np.random.default_rng((schedule.seed, 4, step))
        side = self.sides[step % len(self.sides)]
        count = max(1, round(schedule.batch * (self.sides[0] / side) ** 2))
        return stack_windows([self._window(side, rng) for _ in range(count)])

    def _window(self, side: int, rng: np.random.Generator) -> Window:
        made = self._studio.window(side, rng)
        scene = _scene(made)
        return label_window(photometric(made.pixels, rng), scene, None, scene.quads)


def finetune(
    studio: CompositeStudio,
    output: Path,
    minutes: float,
    seed: int,
    threads: int | None,
    report: Callable[[str], None],
    progress: Callable[[str, int, int], None],
) -> Mapping[str, Any]:
    """Fine-tune the bundled detector and write its folder.

    Args:
        studio: Makes what it learns from.
        output: The folder.
        minutes: For how long; Ctrl-C ends it earlier.
        seed: Of weights and composites.
        threads: CPU threads; by default all cores.
        report: Receives a line of text now and then.
        progress: Is told the seconds that are done, and of how many.

    Returns:
        What the card is to say of it.
    """
    torch.set_num_threads(threads or usable_cores())
    task = CompositeTask(studio, seed)
    stage = STAGES["stamp", "detector"]
    schedule = replace(_SCHEDULE, minutes=minutes, seed=seed)
    torch.manual_seed(seed)
    net = stage.network()
    start_from(_START, net, task, schedule, "detector")
    seconds = 60 * minutes
    steps = 0

    def go_on(share: float) -> bool:
        nonlocal steps
        steps += 1
        progress("fine-tuning", round(seconds * min(share, 1.0)), round(seconds))
        return not stopped.is_set()

    with _stopped_by_interrupt(report) as stopped:
        trained = fit(net, task, schedule, output, report=report, go_on=go_on)
    facts = {"fine_tuned_from": _START, "steps": steps}
    stage.export(trained, output, facts)
    task.calibrate(output)
    return facts


@contextmanager
def _stopped_by_interrupt(report: Callable[[str], None]) -> Iterator[threading.Event]:
    """An event that the first Ctrl-C sets; the second one interrupts as usual."""
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return
    usual = signal.getsignal(signal.SIGINT)

    def stop(number: int, frame: object) -> None:
        signal.signal(signal.SIGINT, usual)
        report("Interrupted: keeping what was learned so far; once more to end at once")
        stopped.set()

    signal.signal(signal.SIGINT, stop)
    try:
        yield stopped
    finally:
        signal.signal(signal.SIGINT, usual)


def _scene(made: Composite) -> LabelledScene:
    boxes = np.array([mark.box for mark in made.marks], np.float32).reshape(-1, 4)
    quads = box_to_quad(boxes).astype(np.float32).reshape(-1, 4, 2)
    ignore = np.array([not mark.counts for mark in made.marks], bool)
    return LabelledScene(made.pixels, boxes, quads, np.zeros(len(boxes), bool), ignore)
