"""What an actor of a batch on Ray does, without Ray; `make ray` runs a cluster."""

import json
import pickle
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import PIL.Image
import pytest

from platemark.apps.batch_ray import PartActor, run_on_ray
from platemark.errors import MissingExtra
from platemark.imaging.image import Image
from platemark.pipeline import Pipeline
from platemark.types import Detection, PlateMark
from platemark.usecases.batch import Batch, PartFormat
from platemark.usecases.export import PLATES

POISON, SHAKY = 13, 14


class Died(BaseException):
    """The actor ended, as a process does that is killed."""


class Seen(Pipeline[PlateMark]):
    """Finds nothing; ends at a poisoned page, and once at a shaky one."""

    def __init__(self) -> None:
        super().__init__(self.detect)
        self.seen: list[str] = []

    def detect(self, image: Image) -> list[Detection]:
        again = image.source in self.seen
        self.seen.append(image.source)
        if image.width == POISON or (image.width == SHAKY and not again):
            raise Died
        return []

    def describe(self, image: Image, detections: Sequence[Detection]) -> list[PlateMark]:
        return []


def do(batch: Batch, pipeline: Seen, tmp_path: Path) -> dict[str, Any]:
    """Do the one part of a batch, with a new actor for each that ends."""
    (part,) = batch.parts()
    row = {"part": pickle.dumps(part), "inputs": len(part.inputs)}
    for _ in range(10):
        try:
            return PartActor(batch, pipeline, None, str(tmp_path))(row)
        except Died:
            continue
    raise AssertionError("the actors do not come to an end")


def test_actors_go_on_where_others_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    for number, width in enumerate((20, SHAKY, 20, POISON, 20)):
        PIL.Image.new("RGB", (width, 10)).save(tmp_path / "in" / f"{number}.png")
    (tmp_path / "in" / "0.jpg").write_bytes(b"no picture")
    batch = Batch.open(tmp_path / "out", ["in"], {}, format=PartFormat.JSONL, layout=PLATES)
    pipeline = Seen()
    done = do(batch, pipeline, tmp_path)
    assert (done["inputs"], done["pages"]) == (6, 6)
    assert [error.split()[0] for error in done["errors"]] == ["in/0.jpg", "in/3.png,"]
    rows = [json.loads(line) for line in (tmp_path / "out/part-00000.jsonl").open()]
    assert [row["source"] for row in rows] == [
        *("in/0.jpg", "in/0.png", "in/1.png", "in/2.png", "in/3.png", "in/4.png")
    ]
    codes = [row["error"]["code"] for row in rows if "error" in row]
    assert codes == ["unreadable_image", "worker_lost"]
    # What was in hand is done again, nothing else; the poison is tried twice.
    assert [name.split("/")[1][0] for name in pipeline.seen] == list("0112334")
    assert not list((tmp_path / "out" / ".batch").glob("notes-*"))
    assert do(batch, pipeline, tmp_path)["pages"] == 0


def test_without_ray_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    batch = Batch.open(tmp_path / "out", ["in"], {}, format=PartFormat.JSONL, layout=PLATES)
    with pytest.raises(MissingExtra, match=r"\[ray\]"):
        run_on_ray(batch, Seen(), 1, progress=lambda tally: None, report=lambda error: None)
