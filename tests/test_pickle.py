"""Pipelines and stages go to other processes, which load the models again."""

import pickle
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from numpy.typing import NDArray

import platemark as pm
from platemark.registry.opening import open_store

Draw = Callable[..., NDArray[np.float32]]


@pytest.fixture
def page(tmp_path: Path, draw_stamp: Draw) -> Path:
    """A page with a stamp."""
    paper = np.full((400, 460, 3), 240, np.uint8)
    draw_stamp(paper, "circle", (200, 200), 300, "blue")
    PIL.Image.fromarray(paper).save(path := tmp_path / "page.png")
    return path


def test_other_processes_find_the_same(stamp_models: Path, page: Path, tmp_path: Path) -> None:
    with pm.Registry.open(tmp_path / "stamps.db") as registry:
        stamps = pm.StampPipeline.from_pretrained(stamp_models, threads=1, registry=registry)
        registry.add("ACME", stamps(page)[0])
        here = stamps(page)
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            (there,) = pool.map(stamps, [page])
    assert there.marks == here.marks
    assert there[0].identity is not None
    assert np.array_equal(np.asarray(there.plot()), np.asarray(here.plot()))


def test_stages_come_back_the_same(page: Path) -> None:
    plates = pm.PlatePipeline.from_pretrained(threads=1)
    again = pickle.loads(pickle.dumps(plates))
    # one network for all that uses it
    assert again.verifier.reader is again.reader
    assert again.reader.model.card == plates.reader.model.card
    assert (again.sure_score, again.verifier.odds) == (plates.sure_score, plates.verifier.odds)
    for stage in (pm.Detector, pm.Segmenter, pm.Embedder, pm.Comparer, pm.PlateReader):
        kind = {"kind": "stamp"} if stage is pm.Detector else {}
        one = stage.from_pretrained(threads=1, **kind)
        assert pickle.loads(pickle.dumps(one)).model.folder == one.model.folder
    # the grammars of the plate formats go along, the networks do not
    assert len(pickle.dumps(plates)) < 1_000_000


def test_a_registry_is_pickled_by_its_url(tmp_path: Path) -> None:
    with pm.Registry.open(tmp_path / "a.db") as registry:
        assert len(pickle.loads(pickle.dumps(registry))) == 0
    bare = pm.Registry(open_store(str(tmp_path / "a.db"), False))
    with pytest.raises(TypeError, match="open it by URL"):
        pickle.dumps(bare)
