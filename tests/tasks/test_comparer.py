import numpy as np
import pytest

from platemark.errors import ModelMismatch
from platemark.models.onnx import OnnxModel
from platemark.models.store import locate_model
from platemark.tasks.comparer import Comparer


@pytest.fixture(scope="module")
def comparer() -> Comparer:
    return Comparer.from_pretrained(threads=1)


def test_exchanged_imprints_are_judged_alike(comparer: Comparer) -> None:
    canvas = np.random.default_rng(0).integers(0, 256, (144, 288, 6), np.uint8)
    there = comparer.judge(canvas)
    back = comparer.judge(np.concatenate([canvas[..., 3:], canvas[..., :3]], axis=2))
    assert there.score == pytest.approx(back.score, abs=1e-4)
    assert np.abs(there.differs - back.differs).max() < 1e-3
    assert there.differs.shape == (36, 72)
    assert 0.0 <= there.differs.min() <= there.differs.max() <= 1.0
    assert 0.0 < there.score < 1.0


def test_blank_canvases_are_judged_too(comparer: Comparer) -> None:
    assert 0.0 < comparer.judge(np.zeros((64, 64, 6), np.uint8)).score < 1.0


def test_thresholds_leave_room_for_doubt(comparer: Comparer) -> None:
    assert 0.0 < comparer.threshold("different") < comparer.threshold("same") < 1.0


def test_another_model_is_refused() -> None:
    with pytest.raises(ModelMismatch, match="is no comparer"):
        Comparer(OnnxModel(locate_model("stamp-embedder"), threads=1))
