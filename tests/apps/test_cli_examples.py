"""The command, with the models that ship, on real photos."""

import json
import os
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from typer.testing import CliRunner

from platemark.apps.cli import app
from platemark.datasets import Manifest
from platemark.types import Result

EXAMPLES = Path(__file__).parents[2] / "examples"
PHOTOS = sorted((EXAMPLES / "photos").glob("*.jpg"))
DOCUMENTS = sorted((EXAMPLES / "documents").glob("*.jpg"))
LEAST_RECALL, LEAST_EXACT, LEAST_FOLDED = 0.9, 0.6, 0.75


def test_demo_reads_the_plates_of_the_examples(tmp_path: Path) -> None:
    words = ["plates", str(EXAMPLES / "photos"), "--annotated", str(tmp_path), "--format", "table"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert len(list(tmp_path.glob("*.jpg"))) == len(PHOTOS)


def test_accuracy_on_the_examples_does_not_fall() -> None:
    manifest = EXAMPLES / "annotations.jsonl"
    assert len(Manifest.read(manifest, split="test")) == len(PHOTOS)
    done = CliRunner().invoke(app, ["evaluate", "plates", str(manifest), "--format", "json"])
    assert done.exit_code == 0, done.output
    scene = json.loads(done.stdout)["overall"]["scene"]
    assert scene["detection"]["0.5"]["recall"]["value"] >= LEAST_RECALL
    assert scene["end_to_end"]["exact"]["value"] >= LEAST_EXACT
    assert scene["end_to_end"]["folded"]["value"] >= LEAST_FOLDED


def test_results_are_the_same_with_any_number_of_workers() -> None:
    for words in (["plates", *map(str, PHOTOS[:6])], ["stamps", str(EXAMPLES / "contract.pdf")]):
        found = []
        for workers in ("1", "2"):
            done = CliRunner().invoke(app, [*words, "--workers", workers, "--format", "jsonl"])
            assert done.exit_code == 0, done.output
            rows = map(json.loads, done.stdout.splitlines())
            found.append([{**row, "elapsed_ms": None} for row in rows])
        assert found[0] == found[1]
        assert any(row["marks"] for row in found[0])


@pytest.mark.skipif(sys.platform == "win32", reason="signals differ there")
def test_ctrl_c_leaves_whole_lines(tmp_path: Path) -> None:
    for number in range(300):
        shutil.copy(PHOTOS[0], tmp_path / f"{number:03}{PHOTOS[0].suffix}")
    words = [sys.executable, "-m", "platemark", "plates", str(tmp_path), "--format", "jsonl"]
    process = subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "LC_ALL": "C"},
        # Where the tests run in the background, Ctrl-C is ignored, also by what they start.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.default_int_handler),
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    process.send_signal(signal.SIGINT)
    rest, messages = process.communicate(timeout=300)
    assert process.returncode == 130, messages
    lines = [first, *rest.splitlines(keepends=True)]
    assert 1 <= len(lines) < 300
    for line in lines:
        assert line.endswith(b"\n")
        assert Result.from_dict(json.loads(line)).error is None
    assert b"go on" in messages
