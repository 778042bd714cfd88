import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from platemark.errors import ModelCorrupt, ModelMismatch, ModelNotFound
from platemark.models import store
from platemark.models.store import bundled_names, find_model, list_models, locate_model

MakeModel = Callable[..., Path]


@pytest.fixture
def bundled(
    make_detector: MakeModel, make_reader: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The tiny models in the place of those that come with the package."""
    folder = make_detector().parent
    make_reader()
    monkeypatch.setattr(store, "BUNDLED", folder)
    return folder


def test_none_gives_the_bundled_model_of_the_task(bundled: Path) -> None:
    assert find_model(task="detector", kind="plate").card.name == "plate-detector"
    assert find_model(task="reader", kind="plate").card.name == "plate-reader"
    with pytest.raises(ModelNotFound, match="stamp-detector"):
        find_model(task="detector", kind="stamp")


def test_a_name_a_folder_and_a_file_give_the_same_model(bundled: Path) -> None:
    folder = bundled / "plate-reader"
    found = [
        find_model(model, task="reader", kind="plate")
        for model in ("plate-reader", folder, str(folder), folder / "model.onnx")
    ]
    assert {model.onnx for model in found} == {folder / "model.onnx"}


def test_an_unknown_name_lists_the_names_there_are(bundled: Path) -> None:
    with pytest.raises(ModelNotFound, match="plate-detector, plate-reader") as caught:
        locate_model("plate-redaer")
    assert caught.value.names == ("plate-detector", "plate-reader")


def test_a_name_does_not_lead_out_of_the_bundled_folder(bundled: Path) -> None:
    with pytest.raises(ModelNotFound):
        locate_model("plate-reader/../plate-detector")


def test_a_folder_or_onnx_without_card_says_so(bundled: Path, tmp_path: Path) -> None:
    shutil.copy(bundled / "plate-reader" / "model.onnx", tmp_path / "model.onnx")
    for model in (tmp_path, tmp_path / "model.onnx"):
        with pytest.raises(ModelNotFound, match=r"has no card\.json"):
            locate_model(model)


def test_a_model_of_another_task_is_refused(bundled: Path) -> None:
    with pytest.raises(ModelMismatch, match="plate-reader is a plate reader, but a plate detector"):
        find_model("plate-reader", task="detector", kind="plate")
    with pytest.raises(ModelMismatch, match="stamp"):
        find_model("plate-reader", task="reader", kind="stamp")


def test_a_changed_file_is_found_by_its_digest(bundled: Path) -> None:
    path = bundled / "plate-reader" / "model.onnx"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(ModelCorrupt, match="sha256") as caught:
        find_model("plate-reader", task="reader", kind="plate")
    assert caught.value.file == str(path)
    assert caught.value.expected != caught.value.actual


def test_a_cut_off_or_missing_file_is_found(bundled: Path) -> None:
    path = bundled / "plate-reader" / "model.onnx"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ModelCorrupt, match="found 100 bytes"):
        locate_model("plate-reader").verify()
    path.unlink()
    with pytest.raises(ModelCorrupt, match="found no file"):
        locate_model("plate-reader").verify()


def test_an_onnx_that_the_card_does_not_name_is_refused(bundled: Path) -> None:
    path = bundled / "plate-reader" / "model.onnx"
    other = path.rename(path.with_name("other.onnx"))
    shutil.copy(other, path)
    with pytest.raises(ModelCorrupt, match=r"other\.onnx"):
        find_model(other, task="reader", kind="plate")


def test_list_models_gives_all_that_are_bundled(bundled: Path) -> None:
    (bundled / "notes").mkdir()
    assert bundled_names() == ["plate-detector", "plate-reader"]
    assert [model.card.name for model in list_models()] == bundled_names()
