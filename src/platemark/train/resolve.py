"""Resolves a recipe: states what it leaves open, generates its pictures, and checks its digests."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from platemark.errors import DatasetError, ModelMismatch, RecipeError
from platemark.files import replace_file
from platemark.plates.formats import format_files
from platemark.synth import plates, stamps
from platemark.train.loop import Schedule
from platemark.train.pretrained import source_file
from platemark.train.recipe import NOTHING, Option, Parent, Recipe, ScheduleOptions, SyntheticSet
from platemark.train.stages import STAGES

_ORDER_NAME = "order.json"
# A network that knows much already forgets it at the rate of one that knows nothing.
_FINE_TUNING_RATE, _FINE_TUNING_MINUTES = 0.25, 30.0


def complete(recipe: Recipe) -> Recipe:
    """State all options that a recipe leaves open; no file is read.

    Raises:
        RecipeError: The recipe asks for what its task does not have.
    """
    stage = STAGES[recipe.kind, recipe.task]
    return recipe.model_copy(
        update={
            "parent": recipe.parent or Parent(model=f"{recipe.kind}-{recipe.task}"),
            "augmentation": _with_defaults(recipe.augmentation, stage.augmentation, "augmentation"),
            "network": _with_defaults(recipe.network, stage.sizes, "network"),
            "schedule": _resolved_schedule(recipe, stage.schedule),
        }
    )


def resolve(recipe: Recipe, output: Path, report: Callable[[str], None] = print) -> Recipe:
    """State all that a recipe leaves open, and the digests of all that it learns from.

    Args:
        recipe: What to resolve; its synthetic pictures are generated, unless they are there.
        output: Folder of the run, for those that state no folder.
        report: Receives a line of text now and then.

    Raises:
        RecipeError: The recipe asks for what its task does not have.
        ModelError: The parent cannot be used, or its digest is not the one stated.
        DatasetError: A manifest cannot be read, or its digest is not the one stated.
    """
    recipe = complete(recipe)
    parent = recipe.parent
    if isinstance(parent, Parent):
        digest = _digest(source_file(parent.model, recipe.task))
        if parent.sha256 not in (None, digest):
            raise ModelMismatch(
                f"{parent.model} is not the parent that the recipe states: sha256 {digest} "
                f"instead of {parent.sha256}; use that model, or leave the digest out",
                source=parent.model,
            )
        parent = Parent(model=parent.model, sha256=digest)
    data = [
        one.model_copy(
            update={"sha256": _digest(one.manifest, one.sha256, f"data.{number}.sha256")}
        )
        for number, one in enumerate(recipe.data)
    ]
    synthetic = [
        _generated(one, recipe.kind, number, output, report)
        for number, one in enumerate(recipe.synthetic)
    ]
    known = {"parent": parent, "data": tuple(data), "synthetic": tuple(synthetic)}
    return recipe.model_copy(update=known)


def _resolved_schedule(recipe: Recipe, own: Schedule) -> ScheduleOptions:
    if recipe.parent != NOTHING:
        minutes = None if own.minutes is None else min(own.minutes, _FINE_TUNING_MINUTES)
        own = replace(own, rate=_FINE_TUNING_RATE * own.rate, minutes=minutes)
    usual = {name: getattr(own, name) for name in ScheduleOptions.model_fields}
    given = recipe.schedule.model_dump(exclude_none=True)
    del usual["minutes" if "epochs" in given else "epochs"]
    return ScheduleOptions(**usual | given)


def _with_defaults(
    given: Mapping[str, Option], known: Mapping[str, Any], table: str
) -> dict[str, Option]:
    for name, value in given.items():
        key = f"{table}.{name}"
        if name not in known:
            names = ", ".join(known) or "none"
            raise RecipeError(f"there is no such option; this task has: {names}", key=key)
        if not _is_like(value, known[name]):
            raise RecipeError(f"expected something like {known[name]!r}, got {value!r}", key=key)
        if name.endswith("_share") and not 0 <= float(value) <= 1:  # type: ignore[arg-type]
            raise RecipeError(f"a share is in 0..1, got {value!r}", key=key)
    return {**known, **given}


def _is_like(value: Option, usual: Any) -> bool:
    """Whether a value is of the type of the usual one; a whole number may stand for any."""
    if isinstance(usual, tuple):
        return (
            isinstance(value, tuple)
            and len(value) > 0
            and all(_is_like(one, usual[0]) for one in value)
        )
    if isinstance(usual, float):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is type(usual)


def _generated(
    wanted: SyntheticSet, kind: str, number: int, output: Path, report: Callable[[str], None]
) -> SyntheticSet:
    """A set with its folder and digest, its pictures generated unless the folder has them."""
    folder = wanted.folder or output / "synthetic" / str(number)
    order = _order(wanted)
    known = folder / _ORDER_NAME
    manifest = folder / "annotations.jsonl"
    if not known.exists() or json.loads(known.read_text(encoding="utf-8")) != order:
        if wanted.folder is not None and manifest.exists():
            raise RecipeError(
                f"{folder} holds other pictures; choose another folder or remove it",
                key=f"synthetic.{number}.folder",
            )
        report(f"generating {wanted.count} synthetic {order['kind']} in {folder}")
        generate = plates.generate if kind == "plate" else stamps.generate
        try:
            generate(folder, wanted.count, wanted.seed, **wanted.options())
        except ValueError as error:
            raise RecipeError(str(error), key=f"synthetic.{number}") from error
        with replace_file(known) as file:
            file.write(json.dumps(order, indent=2).encode() + b"\n")
    digest = _digest(manifest, wanted.sha256, f"synthetic.{number}.sha256")
    return wanted.model_copy(update={"folder": folder, "sha256": digest})


def _order(wanted: SyntheticSet) -> dict[str, Any]:
    """What tells one set of synthetic pictures from another, as JSON."""
    order = {"count": wanted.count, "seed": wanted.seed, **wanted.options()}
    formats = order.get("formats")
    if formats is not None:
        order["formats"] = [_digest(file) for file in format_files(formats)]
    stated: dict[str, Any] = json.loads(json.dumps(order, default=str))
    return stated


def _digest(path: Path, stated: str | None = None, key: str | None = None) -> str:
    """The digest of a file, which is the one stated, if any is.

    Raises:
        DatasetError: The file cannot be read, or has changed.
    """
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DatasetError(f"cannot be read ({error.strerror})", file=path) from error
    if stated is not None and digest != stated:
        raise DatasetError(
            f"is not what the recipe states: sha256 {digest} instead of {stated}; use that file, "
            "or leave the digest out",
            file=path,
            key=key,
        )
    return digest


def manifests_of(recipe: Recipe) -> list[Path]:
    """Every manifest of a resolved recipe, as often as its weight says."""
    listed = [path for one in recipe.data for path in [one.manifest] * one.weight]
    for one in recipe.synthetic:
        assert one.folder is not None, "resolved recipes have the folders"
        listed += [one.folder / "annotations.jsonl"] * one.weight
    return listed
