"""A recipe: all that decides what a training makes, as data in a TOML file.

::

    kind = "plate"                      # or "stamp"
    task = "reader"
    seed = 1
    parent = "plate-reader"             # a model, a run, or "nothing"; the bundled model by default

    [[data]]
    manifest = "my-photos/annotations.jsonl"
    weight = 2                          # sampled twice as often

    [[synthetic]]                       # generated before the first step
    pictures = "crops"
    count = 3000
    formats = "xx-arcadia.toml"

    [schedule]
    minutes = 20

Paths are relative to the file. What a recipe leaves out is the default of the task; a resolved
recipe (`platemark.train.run.resolve`) states all of it, and the digests of what it learns from.
"""

import os
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from platemark.errors import RecipeError
from platemark.files import replace_file
from platemark.models.hub import HUB_PREFIX
from platemark.models.store import bundled_names

RECIPE_NAME = "recipe.toml"
"""The resolved recipe in the folder of a run."""
NOTHING = "nothing"
"""As ``parent``: start with random weights."""

TASKS = {
    "plate": ("detector", "reader", "classifier"),
    "stamp": ("detector", "verifier", "reader", "segmenter", "embedder", "comparer"),
}
"""What can be trained, by kind of mark."""

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Share = Annotated[float, Field(ge=0, le=1)]
Option = bool | int | float | str | tuple[int | float, ...]


class _Table(BaseModel):
    """A table of a recipe: frozen, and a misspelt key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DataSet(_Table):
    """Annotated images.

    Attributes:
        manifest: Their manifest: ``train`` is learned from, ``dev`` chosen by.
        weight: How often they are sampled, in relation to those of weight 1.
        sha256: Digest of the manifest; None takes it as it is.
    """

    manifest: Path
    weight: PositiveInt = 1
    sha256: Digest | None = None


class SyntheticSet(_Table):
    """Images generated before the first step; options left out are those of ``platemark synth``.

    Attributes:
        count: How many images.
        seed: Of the images.
        weight: How often they are sampled, in relation to those of weight 1.
        folder: Where they are kept for other runs; by default in the folder of the run.
        sha256: Digest of their manifest; None takes what this version generates.
        fonts: Typefaces beside the bundled ones.
        backgrounds: Folder of pictures that show no marks of this kind.
    """

    count: PositiveInt
    seed: NonNegativeInt = 0
    weight: PositiveInt = 1
    folder: Path | None = None
    sha256: Digest | None = None
    fonts: Path | None = None
    backgrounds: Path | None = None

    def options(self) -> dict[str, Any]:
        """What the generator is told beside folder, count and seed."""
        told = self.model_dump(exclude_none=True, exclude=_NO_OPTIONS)
        return told | {"kind": told.pop("pictures")}


_NO_OPTIONS = {"count", "seed", "weight", "folder", "sha256"}


class PlatePictures(SyntheticSet):
    """Synthetic plates.

    Attributes:
        pictures: ``scenes`` for the detector, ``crops`` for reader and classifier.
        over: Manifest of photos over whose plates new ones are painted.
        formats: A plate format of one's own, or a folder of them.
        regions: Only plates of these formats.
        lines: Only plates of this number of lines.
    """

    pictures: Literal["scenes", "crops"]
    over: Path | None = None
    formats: Path | None = None
    regions: tuple[str, ...] = ()
    lines: Annotated[int, Field(ge=1, le=3)] | None = None


class StampPictures(SyntheticSet):
    """Synthetic stamps.

    Attributes:
        pictures: ``scenes`` or ``pasted`` for detector and verifier, ``imprints`` and ``artworks``
            for the others.
        imprints_per_design: Number of imprints in a row of one design.
        near_copies: Share of the designs that differ from an earlier one in a detail alone.
        sides: Least and greatest long side of imprints, in pixels.
        shapes: Only stamps of these outlines.
        masks: Whether the ink masks are written.
        real: Manifest of scans whose stamps are pasted.
    """

    pictures: Literal["scenes", "pasted", "imprints", "artworks"]
    imprints_per_design: PositiveInt | None = None
    near_copies: Share | None = None
    sides: tuple[float, float] | None = None
    shapes: tuple[str, ...] = ()
    masks: bool = True
    real: Path | None = None


class Parent(_Table):
    """The model that a run starts from.

    Attributes:
        model: A bundled model, a Hugging Face repository (``hf:USER/NAME``), a model folder or
            file, or the folder of an earlier run.
        sha256: Digest of its network; None takes it as it is.
    """

    model: str
    sha256: Digest | None = None


class ScheduleOptions(_Table):
    """Length and speed of a run; see `platemark.train.loop.Schedule`."""

    batch: PositiveInt | None = None
    rate: PositiveFloat | None = None
    weight_decay: Annotated[float, Field(ge=0)] | None = None
    warmup: PositiveInt | None = None
    minutes: PositiveFloat | None = None
    epochs: PositiveFloat | None = None
    average: Annotated[float, Field(ge=0, lt=1)] | None = None
    checkpoint_minutes: PositiveFloat | None = None
    checks: NonNegativeInt | None = None
    patience: PositiveInt | None = None

    @model_validator(mode="after")
    def _has_one_length(self) -> Self:
        if self.minutes is not None and self.epochs is not None:
            raise ValueError("give minutes or epochs, not both")
        return self


def _as_parent(value: Any) -> Any:
    return {"model": value} if isinstance(value, str) and value != NOTHING else value


class Recipe(_Table):
    """All that decides what a training makes.

    Attributes:
        task: The stage to train.
        seed: Of weights, order and augmentation.
        parent: What it starts from: None for the bundled model, `NOTHING` for random weights.
        data: Annotated images.
        synthetic: Generated images.
        augmentation: How examples are made, by the names of the task.
        network: Sizes of the network, by its names.
        schedule: Length and speed.
    """

    kind: Literal["plate", "stamp"]
    task: str
    seed: NonNegativeInt = 0
    parent: Annotated[Parent | Literal["nothing"] | None, BeforeValidator(_as_parent)] = None
    data: tuple[DataSet, ...] = ()
    synthetic: tuple[SyntheticSet, ...] = ()
    augmentation: dict[str, Option] = {}
    network: dict[str, Option] = {}
    schedule: ScheduleOptions = ScheduleOptions()

    @model_validator(mode="after")
    def _learns_from_something(self) -> Self:
        if not self.data and not self.synthetic:
            raise ValueError("there is nothing to learn from: give [[data]] or [[synthetic]]")
        return self

    def write(self, path: Path) -> None:
        """Write the recipe as TOML, its paths relative to the file's folder where they can be."""
        import tomlkit  # of the extra that trains

        table = _map_paths(self.model_dump(exclude_none=True), lambda p: _seen_from(path.parent, p))
        with replace_file(path) as file:
            file.write(tomlkit.dumps(_plain(table)).encode())

    def stated(self) -> dict[str, Any]:
        """The recipe as JSON, of paths only the last two parts: the rest is private."""
        table = _map_paths(
            self.model_dump(exclude_none=True, exclude_defaults=False),
            lambda path: "/".join(Path(path).parts[-2:]),
        )
        stated: dict[str, Any] = _plain(table)
        return stated


class PlateRecipe(Recipe):
    """A recipe for plates."""

    kind: Literal["plate"]
    task: Literal["detector", "reader", "classifier"]
    synthetic: tuple[PlatePictures, ...] = ()


class StampRecipe(Recipe):
    """A recipe for stamps.

    Attributes:
        segmenter: Finds the ink that embedder and comparer learn from; None for the bundled one.
        detector: Proposes the candidates that a verifier learns from; None for the bundled one.
        fonts: Typefaces beside the bundled ones, in which the reader's text is set.
    """

    kind: Literal["stamp"]
    task: Literal["detector", "verifier", "reader", "segmenter", "embedder", "comparer"]
    synthetic: tuple[StampPictures, ...] = ()
    segmenter: str | None = None
    detector: str | None = None
    fonts: Path | None = None

    @model_validator(mode="after")
    def _uses_what_it_names(self) -> Self:
        for key, tasks in USED_BY.items():
            if getattr(self, key) is not None and self.task not in tasks:
                raise ValueError(f"{key} is for a {' or '.join(tasks)}, not for a {self.task}")
        return self


USED_BY = {"segmenter": ("embedder", "comparer"), "detector": ("verifier",), "fonts": ("reader",)}
"""What recipes of stamps may name, and the tasks that use it."""

_RECIPES: TypeAdapter[PlateRecipe | StampRecipe] = TypeAdapter(
    Annotated[PlateRecipe | StampRecipe, Field(discriminator="kind")]
)
_PATHS = {"manifest", "folder", "fonts", "backgrounds", "over", "formats", "real"}
_MODELS = {"model", "segmenter", "detector"}


def read_recipe(path: Path, changes: Iterable[str] = ()) -> Recipe:
    """Read a recipe; its paths become relative to the working folder.

    Args:
        path: The TOML file.
        changes: What is to be otherwise, each ``KEY=VALUE`` as in ``schedule.minutes=60`` or
            ``data.0.weight=2``; a value is TOML, or else a text.

    Raises:
        RecipeError: The file cannot be read, a key is unknown or missing, or a value is not one
            that it takes; names file and key.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"cannot be read: {error.strerror or error}", file=path) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RecipeError(f"is not TOML: {error}", file=path) from error
    table = _map_paths(table, lambda name: _seen_from(Path(), path.parent / name))
    for change in changes:
        _set(table, change, path)
    return as_recipe(table, path)


def as_recipe(table: Mapping[str, Any], file: Path | None = None) -> Recipe:
    """Check a table and make it a recipe.

    Args:
        table: As TOML has it.
        file: Where it stands, for the error.

    Raises:
        RecipeError: See `read_recipe`.
    """
    try:
        return _RECIPES.validate_python(table)
    except ValidationError as error:
        first = error.errors()[0]
        places = [str(part) for part in first["loc"]]
        # The kind, by which pydantic tells the two sorts of recipes apart, is no place in the file.
        if places[:1] == [table.get("kind")]:
            del places[0]
        if first["type"].startswith("union_tag"):
            places = ["kind"]
        message = first["msg"].removeprefix("Value error, ")
        raise RecipeError(message, file=file, key=".".join(places)) from error


def _set(table: dict[str, Any], change: str, file: Path) -> None:
    """Change one value of a table."""
    key, equals, value = (part.strip() for part in change.partition("="))
    if not equals or not key:
        raise RecipeError(f"{change!r} is not KEY=VALUE, such as schedule.minutes=60", key="--set")
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value
    *before, last = key.split(".")
    place: Any = table
    try:
        for part in before:
            place = place[int(part)] if isinstance(place, list) else place.setdefault(part, {})
        place[int(last) if isinstance(place, list) else last] = parsed
    except (ValueError, IndexError, TypeError, AttributeError) as error:
        raise RecipeError("there is no such place to set", file=file, key=key) from error


def _map_paths(value: Any, change: Callable[[Path], str], key: str = "") -> Any:
    """A table with its paths changed; names of bundled models and of repositories stay."""
    if isinstance(value, Mapping):
        return {name: _map_paths(one, change, name) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_map_paths(one, change, key) for one in value]
    if not isinstance(value, str | Path):
        return value
    named = key in _MODELS | {"parent"} and str(value) not in {NOTHING, *bundled_names()}
    if key in _PATHS or (named and not str(value).startswith(HUB_PREFIX)):
        return change(Path(value))
    return value


def _seen_from(folder: Path, path: Path) -> str:
    """A path relative to a folder; absolute where there is no way, as to another drive."""
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:
        return str(path.resolve())


def _plain(value: Any) -> Any:
    """A value of which TOML and JSON know every part, and nothing is empty."""
    if isinstance(value, Mapping):
        parts = {name: _plain(one) for name, one in value.items()}
        return {name: one for name, one in parts.items() if one not in ({}, [])}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(one) for one in value]
    return value.as_posix() if isinstance(value, Path) else value
