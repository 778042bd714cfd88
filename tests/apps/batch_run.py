"""Runs a batch whose pages are quick to do and note that they are; run by test_batch.py.

    python batch_run.py OUT SEEN WORKERS INPUT...

Whoever does a page writes its process, source and page to the file SEEN first. A page 13 pixels
wide ends the process that does it; one 14 wide does so the first time.
"""

import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from platemark.apps.batch import run_local
from platemark.imaging.image import Image
from platemark.pipeline import Pipeline
from platemark.types import Detection, PlateMark
from platemark.usecases.batch import Batch, PartFormat
from platemark.usecases.export import PLATES

POISON, SHAKY = 13, 14


class Seen(Pipeline[PlateMark]):
    """Finds nothing, and notes where it looked."""

    def __init__(self, seen: Path) -> None:
        super().__init__(self.detect)
        self.seen = seen

    def detect(self, image: Image) -> list[Detection]:
        """Look."""
        again = image.width == SHAKY and f"{image.source} {image.page}\n" in self.seen.read_text()
        with self.seen.open("a") as stream:
            stream.write(f"{os.getpid()} {image.source} {image.page}\n")
        time.sleep(0.005)
        if image.width == POISON or (image.width == SHAKY and not again):
            os.kill(os.getpid(), signal.SIGKILL)
        return []

    def describe(self, image: Image, detections: Sequence[Detection]) -> list[PlateMark]:
        """Describe nothing."""
        return []


if __name__ == "__main__":
    out, seen, workers, *inputs = sys.argv[1:]
    Path(seen).touch()
    batch = Batch.open(Path(out), inputs, {}, format=PartFormat.JSONL, layout=PLATES)
    tally = run_local(
        batch,
        Seen(Path(seen)),
        int(workers),
        progress=lambda tally: None,
        report=lambda error: print(error, flush=True),
    )
    print(tally.inputs, tally.pages, tally.failed)
