import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from platemark.apps.cli import app
from platemark.datasets import Manifest


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["synth", *map(str, words)])


@pytest.mark.parametrize(
    ("mark", "kind", "entries"),
    [
        ("plates", "scenes", "scene"),
        ("plates", "crops", "crop"),
        ("stamps", "scenes", "scene"),
        ("stamps", "imprints", "crop"),
        ("stamps", "artworks", "isolated"),
    ],
)
def test_images_and_manifest_are_written(
    tmp_path: Path, mark: str, kind: str, entries: str
) -> None:
    words = ("--output", tmp_path, "--count", 2, "--seed", 3, "--kind", kind, "--workers", 1)
    result = run(mark, *words)
    assert result.exit_code == 0, result.output
    manifest = Manifest.read(result.stdout.strip())
    assert len(manifest) == 2
    assert {entry.kind for entry in manifest} == {entries}
    assert all(manifest.path(entry).is_file() for entry in manifest)


def test_plates_of_a_format_of_ones_own(tmp_path: Path) -> None:
    arcadia = Path(__file__).parents[2] / "examples" / "invented-country" / "xx-arcadia.toml"
    words = ("--count", 3, "--kind", "crops", "--workers", 1)
    result = run("plates", "--output", tmp_path / "own", "--formats", arcadia, *words)
    assert result.exit_code == 0, result.output
    plates = [plate for entry in Manifest.read(result.stdout.strip()) for plate in entry.plates]
    assert {plate.region for plate in plates} == {"xx-arcadia"}
    assert all(plate.text and plate.text[1::2].isdigit() for plate in plates)
    broken = tmp_path / "xx-broken.toml"
    broken.write_text(
        arcadia.read_text().replace("xx-arcadia", "xx-broken").replace('"@#@#@#@"', '"@#"')
    )
    result = run("plates", "--output", tmp_path / "no", "--formats", broken, *words)
    assert result.exit_code == 1
    assert f"{broken}: examples[0]" in result.stderr


def test_masks_may_be_left_out(tmp_path: Path) -> None:
    words = ("--count", 3, "--kind", "imprints", "--imprints-per-design", 2, "--workers", 1)
    for name, option in (("with", "--masks"), ("without", "--no-masks")):
        result = run("stamps", "--output", tmp_path / name, *words, option)
        manifest = Manifest.read(result.stdout.strip())
        masks = [stamp.mask for entry in manifest for stamp in entry.stamps]
        assert all((manifest.root / str(mask)).is_file() == (mask is not None) for mask in masks)
        assert (None in masks) == (name == "without")


@pytest.mark.parametrize(
    ("mark", "option"),
    [
        ("plates", "--fonts"),
        ("plates", "--backgrounds"),
        ("plates", "--over"),
        ("stamps", "--fonts"),
        ("stamps", "--backgrounds"),
        ("stamps", "--real"),
    ],
)
def test_what_does_not_exist_is_wrong_usage(tmp_path: Path, mark: str, option: str) -> None:
    result = run(mark, "--output", tmp_path, "--count", 1, option, tmp_path / "nowhere")
    assert result.exit_code == 2
    assert option in result.stderr


def test_more_near_copies_than_designs_are_wrong_usage(tmp_path: Path) -> None:
    result = run("stamps", "--output", tmp_path, "--count", 1, "--near-copies", 1.5)
    assert result.exit_code == 2
    assert "--near-copies" in result.stderr


@pytest.mark.parametrize("sides", [(200, 100), (8, 100)])
def test_sides_that_are_no_range_are_wrong_usage(tmp_path: Path, sides: tuple[int, int]) -> None:
    result = run("stamps", "--output", tmp_path, "--count", 1, "--sides", *sides)
    assert result.exit_code == 2
    assert "--sides" in result.stderr


@pytest.mark.parametrize(
    ("mark", "option", "asked", "unknown"),
    [
        ("stamps", "--shape", ("triangle", "oval"), "hexagon"),
        ("plates", "--region", ("il", "eu-si"), "atlantis"),
    ],
)
def test_only_marks_of_the_sorts_asked_for_are_drawn(
    tmp_path: Path, mark: str, option: str, asked: tuple[str, str], unknown: str
) -> None:
    words = ("--kind", "artworks" if mark == "stamps" else "crops", "--workers", 1)
    sorts = [word for sort in asked for word in (option, sort)]
    result = run(mark, "--output", tmp_path / "set", "--count", 8, *words, *sorts)
    assert result.exit_code == 0, result.output
    entries = Manifest.read(tmp_path / "set" / "annotations.jsonl")
    drawn = [stamp.shape for entry in entries for stamp in entry.stamps]
    drawn += [plate.region for entry in entries for plate in entry.plates]
    assert len(drawn) == 8
    assert set(drawn) <= set(asked)
    result = run(mark, "--output", tmp_path / "none", "--count", 1, option, unknown)
    assert result.exit_code == 2
    assert unknown in result.output


def test_plates_of_a_number_of_lines_are_generated(tmp_path: Path) -> None:
    words = ("--kind", "crops", "--workers", 1, "--lines", 2)
    result = run("plates", "--output", tmp_path / "set", "--count", 8, *words)
    assert result.exit_code == 0, result.output
    entries = Manifest.read(tmp_path / "set" / "annotations.jsonl")
    assert [plate.lines for entry in entries for plate in entry.plates] == [2] * 8
    result = run("plates", "--output", tmp_path / "none", "--count", 1, "--region", "us", *words)
    assert result.exit_code == 2
    assert "us has plates of 2" in result.output


def test_workers_end_when_the_command_is_killed(tmp_path: Path) -> None:
    words = ("synth", "stamps", "--output", tmp_path, "--count", 100_000, "--workers", 2)
    command = subprocess.Popen(
        [sys.executable, "-m", "platemark", *map(str, words)], stdout=subprocess.PIPE
    )
    while command.poll() is None and not any(tmp_path.rglob("*.jpg")):
        time.sleep(0.1)
    command.kill()
    # The workers share its standard output, which ends when the last of them does.
    command.communicate(timeout=60)
