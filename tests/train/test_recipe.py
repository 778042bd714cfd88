"""Recipes: what they take, and what they say of what they do not take."""

from pathlib import Path

import pytest

from platemark.errors import RecipeError
from platemark.train.recipe import StampRecipe, as_recipe, read_recipe

ROOT = Path(__file__).parents[2]
RECIPES = sorted(
    path
    for path in [*ROOT.glob("recipes/**/*.toml"), *ROOT.glob("examples/**/*.toml")]
    if "task =" in path.read_text()
)
TEXT = """
kind = "plate"
task = "reader"
parent = "runs/first"

[[data]]
manifest = "photos/annotations.jsonl"
weight = 2

[[synthetic]]
pictures = "crops"
count = 10
formats = "xx-test.toml"
regions = ["eu-de"]

[schedule]
minutes = 5
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A recipe."""
    path = tmp_path / "mine" / "recipe.toml"
    path.parent.mkdir()
    path.write_text(TEXT)
    return path


def test_paths_are_relative_to_the_recipe(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = read_recipe(file)
    assert recipe.data[0].manifest == Path("mine/photos/annotations.jsonl")
    assert recipe.synthetic[0].options()["formats"] == Path("mine/xx-test.toml")
    assert recipe.model_dump()["parent"]["model"] == "mine/runs/first"
    # A copy elsewhere means the same files.
    copy = tmp_path / "elsewhere" / "deep" / "copy.toml"
    copy.parent.mkdir(parents=True)
    recipe.write(copy)
    assert read_recipe(copy) == recipe


@pytest.mark.parametrize("parent", ["plate-reader", "hf:me/reader@v1", "nothing"])
def test_names_of_models_are_no_paths(file: Path, parent: str) -> None:
    recipe = read_recipe(file, [f"parent={parent}"])
    assert recipe.parent == parent or recipe.model_dump()["parent"]["model"] == parent


def test_values_are_changed_by_their_keys(file: Path) -> None:
    changes = ["schedule.minutes=60", "data.0.weight = 3", "network.channels=[8, 8, 16, 16]"]
    recipe = read_recipe(file, [*changes, "task=classifier", "seed=7"])
    assert (recipe.schedule.minutes, recipe.data[0].weight) == (60, 3)
    assert (recipe.task, recipe.seed) == ("classifier", 7)
    assert recipe.network == {"channels": (8, 8, 16, 16)}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("schedule.minuts=60", "schedule.minuts: Extra inputs are not permitted"),
        ("schedule.minutes=-1", "schedule.minutes: Input should be greater than 0"),
        ("schedule.epochs=2", "schedule: give minutes or epochs, not both"),
        ("data.0.weight=0", "data.0.weight: Input should be greater than 0"),
        ("data.1.weight=2", "data.1.weight: there is no such place to set"),
        ("synthetic.0.near_copies=0.5", "synthetic.0.near_copies: Extra inputs"),
        ("synthetic.0.pictures=imprints", "synthetic.0.pictures: Input should be 'scenes'"),
        ("task=segmenter", "task: Input should be 'detector', 'reader' or 'classifier'"),
        ("kind=car", "kind: Input tag 'car'"),
        ("parent.sha256=abc", "parent"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_key(file: Path, change: str, said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        read_recipe(file, [change])
    assert str(caught.value).startswith(f"{file}: {said}")


def test_a_change_without_a_value(file: Path) -> None:
    with pytest.raises(RecipeError, match="'schedule' is not KEY=VALUE"):
        read_recipe(file, ["schedule"])


def test_files_that_are_no_recipes(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"none.toml: cannot be read"):
        read_recipe(tmp_path / "none.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("task = ")
    with pytest.raises(RecipeError, match=r"broken.toml: is not TOML"):
        read_recipe(broken)
    empty = tmp_path / "empty.toml"
    empty.write_text('kind = "plate"\ntask = "reader"\n')
    with pytest.raises(RecipeError, match=r"empty.toml: there is nothing to learn from"):
        read_recipe(empty)


def test_what_another_task_uses_is_refused() -> None:
    table = {"kind": "stamp", "data": [{"manifest": "a.jsonl"}], "segmenter": "stamp-segmenter"}
    recipe = as_recipe(table | {"task": "embedder"})
    assert isinstance(recipe, StampRecipe)
    with pytest.raises(RecipeError, match="segmenter is for a embedder or comparer"):
        as_recipe(table | {"task": "reader"})


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_recipes_of_the_project_parse_and_resolve(path: Path) -> None:
    pytest.importorskip("torch")
    from platemark.train.resolve import complete

    assert complete(read_recipe(path)).schedule.batch


def test_every_bundled_model_has_a_recipe() -> None:
    from platemark.models.store import bundled_names

    names = {f"{recipe.kind}-{recipe.task}" for recipe in map(read_recipe, RECIPES)}
    assert names >= set(bundled_names())
