"""What a registry acknowledged is there after the process is killed at any point."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROUNDS = int(os.environ.get("PLATEMARK_CRASH_ROUNDS", "15"))
"""Kills; `make crash` has some hundred."""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_processes_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    script = Path(__file__).with_name("crash.py")
    words = [sys.executable, str(script), str(tmp_path / "stamps.db"), str(ROUNDS), "1"]
    path = os.pathsep.join([*sys.path])
    done = subprocess.run(
        words,
        check=False,
        capture_output=True,
        text=True,
        timeout=3600,
        env=os.environ | {"PYTHONPATH": path},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{ROUNDS} kills" in done.stdout
    assert int(done.stdout.split()[2]) > 0
