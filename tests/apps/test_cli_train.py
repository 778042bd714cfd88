import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from platemark.apps.cli import app


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["train", *map(str, words)])


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """A few synthetic crops to learn from."""
    words = ["synth", "plates", "--output", str(tmp_path / "crops"), "--kind", "crops"]
    made = CliRunner().invoke(app, [*words, "--count", "12", "--workers", "1"])
    assert made.exit_code == 0, made.output
    return Path(made.stdout.strip())


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    """A few synthetic scenes to learn from."""
    words = ["synth", "plates", "--output", str(tmp_path / "scenes"), "--kind", "scenes"]
    made = CliRunner().invoke(app, [*words, "--count", "4", "--workers", "1"])
    assert made.exit_code == 0, made.output
    return Path(made.stdout.strip())


def test_models_are_trained_packaged_and_run(manifest: Path, scenes: Path, tmp_path: Path) -> None:
    output = tmp_path / "models" / "plate-reader"
    words = ("--kind", "plate", "--epochs", "1", "--threads", "1", "--start-from", "nothing")
    steps = ("--batch", "4", "--rate", "0.001")
    result = run("reader", *words, *steps, "--data", manifest, manifest, "--output", output)
    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == str(output)
    card = json.loads((output / "card.json").read_text())
    assert (card["task"], card["kind"]) == ("reader", "plate")
    assert [one["weight"] for one in card["training"]["recipe"]["data"]] == [2]
    command = card["training"]["command"]
    assert command.startswith("platemark train reader --data")
    assert "--kind plate --start-from nothing --epochs 1 --batch 4 --rate 0.001" in command
    schedule = tomllib.loads((output / "recipe.toml").read_text())["schedule"]
    assert (schedule["batch"], schedule["rate"]) == (4, 0.001)
    verified = CliRunner().invoke(app, ["models", "verify", str(output)])
    assert verified.exit_code == 0
    # what was learned in a few steps runs as any other model does
    words = ("--data", scenes, "--epochs", "1", "--batch", "2", "--threads", "1", "--quiet")
    words += ("--start-from", "nothing")
    result = run("detector", *words, "--output", output.parent / "plate-detector")
    assert (result.exit_code, result.stderr) == (0, "")
    photo = next(scenes.parent.rglob("*.jpg"))
    words = ("--model", output.parent, "--format", "jsonl", "--min-score", "0.9")
    found = CliRunner().invoke(app, ["plates", str(photo), *map(str, words)])
    assert found.exit_code == 0, found.output
    line = json.loads(found.stdout)
    assert line["source"] == str(photo)
    assert line["marks"] == []


def test_without_torch_the_extra_is_named(manifest: Path, tmp_path: Path) -> None:
    words = ["train", "reader", "--data", str(manifest), "--output", str(tmp_path / "run")]
    code = "import sys; sys.modules['torch'] = None; from platemark.apps.cli import app; app()"
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 2
    assert "[train]" in done.stderr


def test_an_interrupt_says_how_to_go_on(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("platemark.train.run.fit", interrupted)
    result = run("reader", "--data", manifest, "--output", tmp_path / "run", "--epochs", "1")
    assert result.exit_code == 130
    assert "--resume" in result.stderr


def test_a_recipe_is_trained_with_other_values(manifest: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        'kind = "plate"\ntask = "reader"\nparent = "nothing"\n'
        '[[data]]\nmanifest = "crops/annotations.jsonl"\n'
        "[schedule]\nminutes = 60\nbatch = 4\n"
    )
    output = tmp_path / "run"
    shorter = ("--set", "schedule.minutes=0.01", "--set", "seed=3")
    result = run(recipe, *shorter, "--output", output, "--threads", "1")
    assert result.exit_code == 0, result.output
    assert "no dev split" in result.stderr
    training = json.loads((output / "card.json").read_text())["training"]
    assert training["recipe"]["seed"] == 3
    assert training["recipe"]["schedule"]["minutes"] == 0.01
    assert "--set schedule.minutes=0.01 --set seed=3 --output" in training["command"]
    result = run(recipe, "--set", "schedule.minuts=1", "--output", output)
    assert result.exit_code == 2
    assert f"{recipe}: schedule.minuts: Extra inputs" in result.stderr
    result = run(recipe, "--minutes", "1", "--output", output)
    assert result.exit_code == 2
    assert "--set" in result.stderr


def test_wrong_usage(manifest: Path, tmp_path: Path) -> None:
    output = ("--output", tmp_path / "run")
    assert run("segmenter", "--data", manifest, *output).exit_code == 2
    assert run("reader", "--data", tmp_path / "nowhere", *output).exit_code == 2
    both = ("--minutes", "1", "--epochs", "1")
    assert run("reader", "--data", manifest, *output, *both).exit_code == 2
    ink = ("--segmenter", tmp_path)
    assert run("reader", "--data", manifest, *output, *ink).exit_code == 2
    for nothing in (("--minutes", "0"), ("--epochs", "0"), ("--minutes", "-1"), ("--rate", "0")):
        assert run("reader", "--data", manifest, *output, *nothing).exit_code == 2
