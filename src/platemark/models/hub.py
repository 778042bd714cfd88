"""Models in repositories of the Hugging Face Hub: fetched into its cache, and put there.

A repository holds what a model folder holds (``card.json``, ``model.onnx`` ...), or several such
folders, as ``plate-detector`` and ``plate-reader``. Only data that cards name are fetched, never
code or pickles, and whoever loads them compares them with the digests of the card.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from platemark.errors import MissingExtra, ModelError, ModelNotFound
from platemark.models.card import CARD_NAME, ModelCard

HUB_PREFIX = "hf:"
_NAME = re.compile(r"[\w][\w.-]*/[\w][\w.-]*(@[\w./-]+)?")
_FETCHED = (CARD_NAME, f"*/{CARD_NAME}", "*.onnx", "*.png", "*.json", "*.toml")
_README = "README.md"


def is_hub_name(model: str) -> bool:
    """Whether a model is in a repository: ``hf:USER/NAME``, or ``USER/NAME`` where no path is so.

    Either may end in ``@REVISION``, a branch, tag or commit.
    """
    if model.startswith(HUB_PREFIX):
        return True
    known = Path(model).exists() or Path(model).parent.exists()
    return bool(_NAME.fullmatch(model)) and not model.endswith(".onnx") and not known


def fetch_model(model: str) -> Path:
    """Fetch what a repository holds into the cache, where it is not there yet.

    Args:
        model: See `is_hub_name`.

    Returns:
        The folder with it.

    Raises:
        ModelNotFound: There is no such repository or revision, or it has no card.
        ModelError: The hub cannot be reached, and the model is not in the cache.
        MissingExtra: The library is not installed.
    """
    hub = _library()
    repository, revision = _repository(model)
    try:
        folder = hub.snapshot_download(repository, revision=revision, allow_patterns=[*_FETCHED])
    except (hub.errors.RepositoryNotFoundError, hub.errors.RevisionNotFoundError) as error:
        raise ModelNotFound(
            f"{model}: there is no such model, neither on this machine nor as a repository of the "
            "Hugging Face Hub that you may read",
        ) from error
    except (hub.errors.HfHubHTTPError, hub.errors.LocalEntryNotFoundError, OSError) as error:
        raise ModelError(
            f"{model}: it is not on this machine, and the Hugging Face Hub cannot be reached "
            f"({error})",
            source=model,
        ) from error
    return Path(folder)


def push_model(folder: Path, model: str, *, private: bool = False) -> str:
    """Put a model folder, or a folder of several, into a repository, which is made if missing.

    Args:
        folder: What to put there; of it only cards and the files that they name.
        model: The repository, see `is_hub_name`; a revision is a branch, made if missing.
        private: Whether a repository that is made is private.

    Returns:
        The address of the commit.

    Raises:
        ModelNotFound: The folder has no card.
        ModelCorrupt: A file differs from its card.
        ModelError: The hub refuses it or cannot be reached.
        MissingExtra: The library is not installed.
    """
    from platemark.models.store import locate_model

    hub = _library()
    repository, revision = _repository(model)
    folders = _model_folders(folder)
    cards: dict[str, ModelCard] = {}
    files: dict[str, Path | bytes] = {}
    for place, one in folders.items():
        found = locate_model(one)
        found.verify()
        cards[place] = found.card
        for name in (CARD_NAME, *found.card.files):
            files[f"{place}{name}"] = one / name
    files[_README] = readme(repository, cards).encode()
    api = hub.HfApi()
    try:
        api.create_repo(repository, private=private, exist_ok=True)
        if revision is not None:
            api.create_branch(repository, branch=revision, exist_ok=True)
        commit = api.create_commit(
            repository,
            [hub.CommitOperationAdd(name, content) for name, content in sorted(files.items())],
            commit_message=", ".join(card.label for card in cards.values()),
            revision=revision,
        )
    except (hub.errors.HfHubHTTPError, OSError, ValueError) as error:
        raise ModelError(
            f"{model}: the Hugging Face Hub did not take it ({error}); sign in with `hf auth "
            "login`, or set HF_TOKEN to a token that may write",
            source=model,
        ) from error
    return str(commit.commit_url)


def readme(repository: str, cards: Mapping[str, ModelCard]) -> str:
    """The front page of a repository: what the hub's own card asks for, and how to use it.

    Args:
        repository: Its name.
        cards: Of its models, by their folder in it.
    """
    first = next(iter(cards.values()))
    tags = sorted({"onnx", *(part for card in cards.values() for part in (card.kind, card.task))})
    pipeline = "PlatePipeline" if first.kind == "plate" else "StampPipeline"
    lines = [
        "---",
        f"license: {first.licence.lower()}",
        "library_name: platemark",
        f"tags: [{', '.join(tags)}]",
        "---",
        f"# {repository}",
        "",
        *(f"- {card.label}: a {card.kind} {card.task}" for card in cards.values()),
        "",
        "```python",
        "import platemark as pm",
        "",
        f'pipeline = pm.{pipeline}.from_pretrained("{repository}")',
        "```",
        "",
        *_metrics_table(cards),
    ]
    return "\n".join(lines) + "\n"


def _metrics_table(cards: Mapping[str, ModelCard]) -> Iterator[str]:
    metrics = [metric for card in cards.values() for metric in card.metrics]
    if metrics:
        yield "| metric | data | split | n | value |"
        yield "| --- | --- | --- | --- | --- |"
    for metric in metrics:
        place = f"{metric.name} | {metric.dataset} | {metric.split}"
        yield f"| {place} | {metric.n} | {metric.value:.4g} |"


def _model_folders(folder: Path) -> dict[str, Path]:
    """Model folders by the place that they get in a repository."""
    if (folder / CARD_NAME).is_file():
        return {"": folder}
    found = {f"{card.parent.name}/": card.parent for card in sorted(folder.glob(f"*/{CARD_NAME}"))}
    if not found:
        raise ModelNotFound(f"{folder} has no {CARD_NAME}, and no folder with one")
    return found


def _repository(model: str) -> tuple[str, str | None]:
    """The name of a repository and its revision, if one is stated."""
    name, _, revision = model.removeprefix(HUB_PREFIX).partition("@")
    if not _NAME.fullmatch(name):
        raise ModelNotFound(f"{model} is no repository; expected hf:USER/NAME")
    return name, revision or None


def _library() -> Any:
    """The library of the hub, which is slow to import."""
    try:
        import huggingface_hub
    except ModuleNotFoundError as error:
        raise MissingExtra("a model in a repository", "hub") from error
    return huggingface_hub
