from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from platemark.errors import InferenceFailed, ModelMismatch
from platemark.models.card import FileEntry, ModelCard
from platemark.models.onnx import OnnxModel
from platemark.models.store import LocalModel, locate_model

MakeModel = Callable[..., Path]


@pytest.mark.parametrize("threads", [None, 1, 2])
def test_named_inputs_give_named_outputs(make_reader: MakeModel, threads: int | None) -> None:
    model = OnnxModel(locate_model(make_reader()), threads=threads)
    outputs = model.run(crops=np.zeros((3, 16, 64), np.uint8))
    assert list(outputs) == ["log_probs"]
    assert outputs["log_probs"].shape == (3, 8, 3)
    assert model.card.name == "plate-reader"


def test_inputs_that_do_not_fit_fail_with_their_shapes(make_reader: MakeModel) -> None:
    model = OnnxModel(locate_model(make_reader()))
    with pytest.raises(InferenceFailed, match=r"plate-reader failed on .*\(1, 10, 64\)"):
        model.run(crops=np.zeros((1, 10, 64), np.uint8))
    with pytest.raises(InferenceFailed):
        model.run(images=np.zeros((1, 16, 64), np.uint8))


def test_a_card_that_states_other_names_does_not_fit(make_reader: MakeModel) -> None:
    folder = make_reader(outputs={"text": "string (N,)"})
    with pytest.raises(ModelMismatch, match="has the outputs log_probs, its card states text"):
        OnnxModel(locate_model(folder))


def test_a_file_that_is_no_network_does_not_load(tmp_path: Path, make_reader: MakeModel) -> None:
    card = locate_model(make_reader()).card
    path = tmp_path / "model.onnx"
    path.write_bytes(b"no network")
    with pytest.raises(ModelMismatch, match="plate-reader cannot be loaded"):
        OnnxModel(LocalModel(card, tmp_path, path))


def test_a_network_has_no_threads_of_its_own_unless_told(make_reader: MakeModel) -> None:
    model = OnnxModel(locate_model(make_reader()))
    options = model._session.get_session_options()
    assert options.intra_op_num_threads == 1
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


def test_zero_threads_is_a_mistake(make_reader: MakeModel) -> None:
    with pytest.raises(ValueError, match="threads"):
        OnnxModel(locate_model(make_reader()), threads=0)


def test_a_model_may_be_shared_by_threads(make_reader: MakeModel) -> None:
    model = OnnxModel(locate_model(make_reader()), threads=1)
    crops = [np.full((1, 16, 64), level, np.uint8) for level in range(0, 256, 5)]
    alone = [model.run(crops=crop)["log_probs"] for crop in crops]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda crop: model.run(crops=crop)["log_probs"], crops))
    assert np.array_equal(alone, together)


def test_every_bundled_model_is_whole_and_runs() -> None:
    from platemark.models.store import list_models

    for model in list_models():
        model.verify()
        assert isinstance(OnnxModel(model).card, ModelCard)
        path = model.folder / "model.onnx"
        digest = sha256(path.read_bytes()).hexdigest()
        assert model.card.files["model.onnx"] == FileEntry(bytes=path.stat().st_size, sha256=digest)
