from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from platemark.apps.cli import app
from platemark.datasets import Manifest


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["synth", "plates", *map(str, words)])


@pytest.mark.parametrize("kind", ["scenes", "crops"])
def test_images_and_manifest_are_written(tmp_path: Path, kind: str) -> None:
    result = run("--output", tmp_path, "--count", 2, "--seed", 3, "--kind", kind, "--workers", 1)
    assert result.exit_code == 0, result.output
    manifest = Manifest.read(result.stdout.strip())
    assert len(manifest) == 2
    assert {entry.kind for entry in manifest} == {kind.removesuffix("s")}
    assert all(manifest.path(entry).is_file() for entry in manifest)


def test_what_does_not_exist_is_wrong_usage(tmp_path: Path) -> None:
    for option in ("--fonts", "--backgrounds", "--over"):
        result = run("--output", tmp_path, "--count", 1, option, tmp_path / "nowhere")
        assert result.exit_code == 2
        assert option in result.stderr
