"""Where models are found: none, a name, a folder or an ``.onnx`` gives a verified local model.

So does a Hugging Face repository, ``hf:USER/NAME`` or ``USER/NAME``: see `platemark.models.hub`.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path

from platemark.errors import ModelCorrupt, ModelMismatch, ModelNotFound
from platemark.models.card import CARD_NAME, MODEL_NAME, ModelCard
from platemark.models.hub import fetch_model, is_hub_name

ModelName = str | os.PathLike[str] | None

BUNDLED = Path(__file__).parent / "bundled"
"""Folder of the models that come with the package, one folder each."""


@dataclass(frozen=True)
class LocalModel:
    """A model on this machine.

    Attributes:
        card: What is known about it.
        folder: Where its files are.
        onnx: The file with the network.
    """

    card: ModelCard
    folder: Path
    onnx: Path

    def verify(self) -> None:
        """Compare every file with its size and digest in the card.

        Raises:
            ModelCorrupt: A file is missing or differs.
        """
        for name, entry in self.card.files.items():
            path = self.folder / name
            if not path.is_file():
                raise _corrupt(self.card, path, f"{entry.bytes} bytes", "no file")
            size = path.stat().st_size
            if size != entry.bytes:
                raise _corrupt(self.card, path, f"{entry.bytes} bytes", f"{size} bytes")
            with path.open("rb") as file:
                digest = file_digest(file, "sha256").hexdigest()
            if digest != entry.sha256:
                raise _corrupt(self.card, path, f"sha256 {entry.sha256}", f"sha256 {digest}")
        if self.onnx.name not in self.card.files:
            raise _corrupt(self.card, self.folder / CARD_NAME, self.onnx.name, "no such file")


def _corrupt(card: ModelCard, path: Path, expected: str, actual: str) -> ModelCorrupt:
    return ModelCorrupt(
        f"model {card.name} differs from its card, install it again",
        file=path,
        expected=expected,
        actual=actual,
    )


def bundled_names() -> list[str]:
    """Names of the models that come with the package."""
    return sorted(card.parent.name for card in BUNDLED.glob(f"*/{CARD_NAME}"))


def list_models() -> list[LocalModel]:
    """Return the models that come with the package; their files are not yet verified.

    Raises:
        ModelCorrupt: A card cannot be used.
    """
    return [_from_folder(BUNDLED / name) for name in bundled_names()]


def find_model(model: ModelName = None, *, task: str, kind: str) -> LocalModel:
    """Find a model and verify its files.

    Args:
        model: None for the bundled default, a model folder, an ``.onnx`` with its card beside it,
            the name of a bundled model, or a Hugging Face repository.
        task: The stage it is for, such as ``"detector"``.
        kind: The marks it is for, such as ``"plate"``.

    Raises:
        ModelNotFound: There is no such model; lists the names there are.
        ModelCorrupt: Its card cannot be used, or a file differs from it.
        ModelMismatch: It is for another stage or for other marks.
    """
    found = locate_model(f"{kind}-{task}" if model is None else model)
    if (found.card.task, found.card.kind) != (task, kind):
        raise ModelMismatch(
            f"model {found.card.name} is a {found.card.kind} {found.card.task}, "
            f"but a {kind} {task} is needed"
        )
    found.verify()
    return found


def locate_model(model: str | os.PathLike[str]) -> LocalModel:
    """Find a model as `find_model` does, whatever its task; not yet verified.

    Raises:
        ModelNotFound: There is no such model; lists the names there are.
        ModelCorrupt: Its card cannot be used.
        MissingExtra: It is in a repository, and the library that fetches it is not installed.
    """
    path = _here(model)
    if path.is_dir():
        return _from_folder(path)
    if path.suffix == ".onnx" and path.is_file():
        return _with_card(path)
    if str(model) in bundled_names():
        return _from_folder(BUNDLED / str(model))
    raise ModelNotFound(
        f"{model} is no model folder, no .onnx file and no bundled model", names=bundled_names()
    )


def choose_parts(model: ModelName, kind: str, tasks: Sequence[str]) -> dict[str, ModelName]:
    """Say what to load for each stage of a pipeline.

    Args:
        model: None for the bundled models; a folder with folders such as ``plate-detector``, one
            for each stage that is not to be the bundled one; or one model (a bundled name, a model
            folder, an ``.onnx``), which takes the place of the bundled one of its task; either may
            be a Hugging Face repository.
        kind: The marks the pipeline is for.
        tasks: Its stages; a model of another task or kind is given to the first, which
            refuses it.

    Returns:
        A model for `find_model` by task.

    Raises:
        ModelNotFound: There is no such model.
        ModelCorrupt: Its card cannot be used.
        MissingExtra: It is in a repository, and the library that fetches it is not installed.
    """
    chosen: dict[str, ModelName] = dict.fromkeys(tasks)
    if model is None:
        return chosen
    model = _here(model)
    folders = {task: model / f"{kind}-{task}" for task in tasks}
    found = {task: folder for task, folder in folders.items() if folder.is_dir()}
    if not found:
        card = locate_model(model).card
        fits = card.kind == kind and card.task in tasks
        return chosen | {card.task if fits else tasks[0]: model}
    return chosen | found


def _here(model: str | os.PathLike[str]) -> Path:
    """Where a model is on this machine, fetched where it is in a repository."""
    name = os.fspath(model)
    return fetch_model(name) if is_hub_name(name) else Path(name)


def _from_folder(folder: Path) -> LocalModel:
    return _with_card(folder / MODEL_NAME)


def _with_card(onnx: Path) -> LocalModel:
    card = onnx.parent / CARD_NAME
    if not card.is_file():
        raise ModelNotFound(
            f"{onnx.parent} has no {CARD_NAME}, without which a model cannot be used",
            names=bundled_names(),
        )
    return LocalModel(ModelCard.read(card), onnx.parent, onnx)
