"""The lanes of tests: what CI takes for a failure, what runs in which."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SKIPPED = {
    "test_by_itself": "import pytest\ndef test_it(): pytest.skip('not today')\n",
    "test_by_mark": "import pytest\n@pytest.mark.skip\ndef test_it(): ...\n",
    "test_whole_file": "import pytest\npytest.importorskip('nothing_of_this_name')\n",
    "test_fine": "def test_it(): ...\n",
}


@pytest.mark.parametrize(
    ("ci", "processes", "status", "outcome"),
    [
        ("", "0", 0, "1 passed, 3 skipped"),
        ("true", "0", 1, "1 failed, 1 passed, 2 errors"),
        ("true", "2", 1, "1 failed, 1 passed, 2 errors"),
    ],
)
def test_what_is_skipped_fails_in_ci_and_there_alone(
    tmp_path: Path, ci: str, processes: str, status: int, outcome: str
) -> None:
    for name, text in SKIPPED.items():
        (tmp_path / f"{name}.py").write_text(text)
    words = [
        "-m",
        "pytest",
        "-p",
        "conftest",
        "-n",
        processes,
        "--continue-on-collection-errors",
        str(tmp_path),
    ]
    path = os.pathsep.join([str(HERE), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, *words],
        cwd=tmp_path,
        env=os.environ | {"CI": ci, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == status, done.stdout + done.stderr
    assert outcome in done.stdout


def test_the_quick_lane_leaves_out_what_is_there() -> None:
    text = (HERE.parent / "Makefile").read_text().replace("\\\n", " ")
    (slow,) = re.findall(r"^SLOW_TESTS := (.*)$", text, re.MULTILINE)
    assert all((HERE / name).exists() for name in slow.split())
