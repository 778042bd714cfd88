"""A batch on a Ray cluster of two nodes, each of processes of its own, one of which is killed.

It takes Ray, which is large, and a minute: `make ray` runs it, not the suite.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
import ray
from ray.cluster_utils import Cluster

from platemark.apps.batch import Tally
from platemark.apps.batch_ray import run_on_ray
from platemark.imaging.image import Image
from platemark.pipeline import Pipeline
from platemark.types import PlateMark
from platemark.usecases.batch import Batch, PartFormat
from platemark.usecases.export import PLATES

COUNT, POISON = 64, 13


class Seen(Pipeline[PlateMark]):
    """Finds nothing, takes its time, and notes where it looked; ends at a poisoned page."""

    def __init__(self, seen: Path) -> None:
        super().__init__(self.detect)
        self.seen = seen

    def detect(self, image: Image) -> list[Any]:
        with self.seen.open("a") as stream:
            stream.write(f"{image.source}\n")
        time.sleep(0.1)
        if image.width == POISON:
            os._exit(1)
        return []

    def describe(self, image: Image, detections: Any) -> list[PlateMark]:
        return []


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """Two nodes with a core each, the first of which is the head."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    one = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    one.add_node(num_cpus=1)
    ray.init(address=one.address, log_to_driver=False)
    yield one
    ray.shutdown()
    one.shutdown()


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


def rows(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for part in sorted(out.glob("part-*")) for line in lines(part)]


def run(out: Path, folder: Path, pipeline: Seen) -> tuple[Tally, list[str]]:
    said: list[str] = []
    batch = Batch.open(out, [str(folder)], {}, format=PartFormat.JSONL, layout=PLATES)
    tally = run_on_ray(batch, pipeline, None, progress=lambda tally: None, report=said.append)
    return tally, said


def test_a_node_is_killed_and_nothing_is_lost(cluster: Cluster, tmp_path: Path) -> None:
    folder, seen, out = tmp_path / "in", tmp_path / "seen", tmp_path / "out"
    folder.mkdir()
    for number in range(COUNT):
        PIL.Image.new("RGB", (20, 10)).save(folder / f"{number:03}.png")
    (folder / "bad.jpg").write_bytes(b"no picture")
    PIL.Image.new("RGB", (POISON, 10)).save(folder / "poison.png")
    pipeline = Seen(seen)
    # By value, since the workers cannot import this file.
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    (node,) = cluster.worker_nodes

    def kill() -> None:
        while len(lines(seen)) < COUNT // 3:
            time.sleep(0.05)
        cluster.remove_node(node, allow_graceful=False)

    killer = threading.Thread(target=kill)
    killer.start()
    tally, said = run(out, folder, pipeline)
    killer.join()
    assert not cluster.worker_nodes
    assert (tally.inputs, tally.pages, tally.failed) == (COUNT + 2, COUNT + 2, 2)
    found = [Path(row["source"]).name for row in rows(out)]
    assert found == [*(f"{number:03}.png" for number in range(COUNT)), "bad.jpg", "poison.png"]
    failed = {Path(row["source"]).name: row["error"]["code"] for row in rows(out) if "error" in row}
    assert failed == {"bad.jpg": "unreadable_image", "poison.png": "worker_lost"}
    assert len(said) == 2
    # What was in hand on the node is done again, nothing else; the poison is tried twice.
    assert len(lines(seen)) <= COUNT + 2 + 2
    assert not list((out / ".batch").glob("notes-*"))
    again, _ = run(out, folder, pipeline)
    assert (again.inputs, again.pages) == (COUNT + 2, 0)
