"""A batch on Ray: the worker of a local batch, in the actors of a Ray Data pool.

It runs on this machine, or on the cluster that ``RAY_ADDRESS`` or ``ray start`` makes known. All
nodes see the inputs and the folder of results under the same paths. What a node that dies had in
hand, Ray gives to another, which goes on where the journal of the part ends.
"""

import json
import os
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from platemark.apps.batch import Tally, post, processing
from platemark.client.webhook import Outbox
from platemark.errors import MissingExtra
from platemark.pipeline import Pipeline
from platemark.usecases.batch import Batch, Begun, Ended, Part, Told

# Blocks of the data set; one has several parts where there are more.
_MOST_BLOCKS = 10_000
# A page that was begun so often and never ended is to blame for the ends of its workers.
_MOST_TRIES = 2


def run_on_ray(
    batch: Batch,
    pipeline: Pipeline[Any],
    workers: int | None,
    *,
    progress: Callable[[Tally], None],
    report: Callable[[str], None],
    outbox: Outbox | None = None,
) -> Tally:
    """Do what is left of a batch; see `platemark.apps.batch.run_local`.

    Args:
        batch: What to do; no other run may be at it.
        pipeline: Is pickled for the workers.
        workers: Actors, with a core each; None for as many as the cluster has.
        progress: Is told how far the run is, after each part.
        report: Is told what was wrong with a page.
        outbox: Gets the results too.

    Raises:
        MissingExtra: Ray is not installed.
    """
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingExtra("--engine ray", "ray") from error
    batch = replace(batch, folder=batch.folder.resolve())
    tally = Tally()
    with batch.alone(), _connected(ray):
        left = []
        for part in batch.parts():
            if batch.is_done(part):
                tally.inputs += len(part.inputs)
            else:
                left.append({"part": pickle.dumps(part), "inputs": len(part.inputs)})
        progress(tally)
        if not left:
            return tally
        cores = max(int(ray.cluster_resources().get("CPU", 1)), 1)
        done = ray.data.from_items(left, override_num_blocks=min(len(left), _MOST_BLOCKS)).map(
            PartActor,
            fn_constructor_args=(batch, pipeline, outbox, str(Path.cwd())),
            concurrency=(1, min(workers or cores, len(left))),
            num_cpus=1,
        )
        for row in done.iter_rows():
            tally.inputs += row["inputs"]
            tally.pages += row["pages"]
            for message in row["errors"]:
                tally.failed += 1
                report(message)
            progress(tally)
    return tally


@contextmanager
def _connected(ray: Any) -> Iterator[None]:
    """Use the cluster that is there, or one of this machine's own during the block."""
    ours = not ray.is_initialized()
    if ours:
        ray.init(log_to_driver=False, logging_level="ERROR")
    ray.data.DataContext.get_current().enable_progress_bars = False
    try:
        yield
    finally:
        if ours:
            ray.shutdown()


class PartActor:
    """Does parts, one at a time."""

    def __init__(
        self, batch: Batch, pipeline: Pipeline[Any], outbox: Outbox | None, directory: str
    ) -> None:
        os.chdir(directory)  # of names that are not absolute
        self._batch, self._outbox = batch, outbox
        self._process = processing(batch, pipeline, outbox)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Do a part, or what another actor left of it."""
        part: Part = pickle.loads(row["part"])
        notes = _Notes(self._batch.notes_file(part))
        if (poison := notes.hopeless()) is not None:
            lost = self._batch.blame(part, poison, "an unknown status")
            post(self._outbox, self._batch, lost)
            notes.end(lost.error.message if lost.error else None)

        def tell(told: Told) -> None:
            if isinstance(told, Begun):
                notes.begin(told)
            elif isinstance(told, Ended):
                notes.end(told.error)

        self._batch.do(part, self._process, tell)
        notes.forget()
        return {"inputs": row["inputs"], "pages": notes.pages, "errors": notes.errors}


class _Notes:
    """How far the actors that had a part came with it, those that ended meanwhile included.

    Args:
        file: Keeps the notes.

    Attributes:
        pages: Pages that are done.
        errors: What was wrong with some of them.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            said = json.loads(file.read_text())
        except (OSError, ValueError):  # none yet, or what a kill left of them
            said = {"begun": None, "tries": 0, "pages": 0, "errors": []}
        self.pages: int = said["pages"]
        self.errors: list[str] = said["errors"]
        # The page that another actor had in hand when it ended, and which try that was.
        self._before = said["begun"] and Begun(*said["begun"])
        self._tries: int = said["tries"]
        self._now: Begun | None = None

    def hopeless(self) -> Begun | None:
        """The page that was begun too often and never ended, if there is one."""
        return self._before if self._tries >= _MOST_TRIES else None

    def begin(self, begun: Begun) -> None:
        """Note that a page is begun; the last one that is done may be opened before it."""
        if begun != self._now:
            self._now = begun
            self._write(begun, self._tries + 1 if begun == self._before else 1)

    def end(self, error: str | None) -> None:
        """Note that it is ended, and what was wrong with it."""
        self._before, self._tries, self._now = None, 0, None
        self.pages += 1
        if error is not None:
            self.errors.append(error)
        self._write(None, 0)

    def forget(self) -> None:
        """Note that the part is done."""
        self._file.unlink(missing_ok=True)

    def _write(self, begun: Begun | None, tries: int) -> None:
        place = begun and (begun.source, begun.page)
        said = {"begun": place, "tries": tries, "pages": self.pages, "errors": self.errors}
        self._file.write_text(json.dumps(said))
