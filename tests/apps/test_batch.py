"""Batches in processes: killed at random and gone on with, with pages that kill who does them."""

import json
import os
import random
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import PIL.Image
import pytest

SCRIPT = Path(__file__).with_name("batch_run.py")
POISON, SHAKY = 13, 14

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals differ there")


def save(path: Path, *widths: int) -> Path:
    first, *others = [PIL.Image.new("RGB", (width, 10)) for width in widths]
    path.parent.mkdir(exist_ok=True)
    first.save(path, **({"save_all": True, "append_images": others} if others else {}))
    return path


@pytest.fixture
def inputs(tmp_path: Path) -> list[str]:
    """A folder of pictures and documents, a tar file, and what is not there: 54 pages."""
    folder = tmp_path / "in"
    for number in range(30):
        save(folder / f"{number:02}.png", 20 + number)
    save(folder / "40.tif", *range(20, 30))
    save(folder / "41.pdf", 20, 30)
    (folder / "42.jpg").write_bytes(b"no picture")
    with tarfile.open(tmp_path / "shard.tar", "w") as archive:
        for path in sorted(folder.glob("0*.png")):
            archive.add(path, path.name)
    return [str(folder), str(tmp_path / "shard.tar"), str(tmp_path / "none.jpg")]


def start(out: Path, workers: int, *inputs: str) -> "subprocess.Popen[str]":
    out.parent.mkdir(exist_ok=True)
    words = [sys.executable, str(SCRIPT), str(out), str(out.with_name("seen")), str(workers)]
    return subprocess.Popen(
        [*words, *inputs],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        # Where the tests run in the background, Ctrl-C is ignored, also by what they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def run(out: Path, workers: int, *inputs: str) -> str:
    process = start(out, workers, *inputs)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return said


def rows(out: Path) -> list[dict[str, Any]]:
    """All rows in order, without the time they took."""
    found = []
    for part in sorted(out.glob("part-*.jsonl")):
        for line in part.read_text().splitlines():
            found.append({k: v for k, v in json.loads(line).items() if k != "elapsed_ms"})
    return found


def seen(out: Path) -> list[str]:
    """Lines of who did what."""
    file = out.with_name("seen")
    return file.read_text().splitlines() if file.exists() else []


def wait_for(out: Path, count: int, process: "subprocess.Popen[str]") -> None:
    while len(seen(out)) < count and process.poll() is None:
        time.sleep(0.002)


def test_results_are_the_same_with_any_number_of_workers(tmp_path: Path, inputs: list[str]) -> None:
    found = []
    for workers in (1, 2):
        out = tmp_path / f"{workers}" / "out"
        assert run(out, workers, *inputs).splitlines()[-1] == "35 54 2"
        found.append([part.name for part in sorted(out.glob("part-*"))])
        found.append(rows(out))
    assert found[:2] == found[2:]
    assert len(found[0]) == 7
    assert [row["page"] for row in found[1] if row["source"].endswith("40.tif")] == [*range(10)]
    codes = [row["error"]["code"] for row in found[1] if "error" in row]
    assert codes == ["unreadable_image"] * 2
    assert [row["source"] for row in found[1]][43:] == [
        *(f"{tmp_path}/shard.tar/{number:02}.png" for number in range(10)),
        f"{tmp_path}/none.jpg",
    ]


def test_killed_runs_lose_nothing_and_do_nothing_twice(tmp_path: Path, inputs: list[str]) -> None:
    whole, out = tmp_path / "whole" / "out", tmp_path / "killed" / "out"
    run(whole, 2, *inputs)
    chance = random.Random(22)
    kills = 0
    for goal in (4, 17, 34):
        process = start(out, 2, *inputs)
        wait_for(out, goal + chance.randrange(8), process)
        time.sleep(chance.uniform(0, 0.02))
        process.kill()
        kills += process.wait() == -signal.SIGKILL
    assert kills >= 2
    run(out, 2, *inputs)
    assert rows(out) == rows(whole)
    # What a worker had in hand is done again, nothing else.
    assert len(seen(out)) <= len(seen(whole)) + 2 * kills
    assert list((out / ".batch").glob("part-*")) == []
    before = len(seen(out))
    assert run(out, 2, *inputs).splitlines()[-1] == "35 0 0"
    assert len(seen(out)) == before


def test_a_page_that_kills_its_worker_is_an_error_of_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    for number in range(20):
        save(folder / f"{number:02}.png", POISON if number == 5 else 30)
    save(folder / "30.tif", 20, POISON, 30, SHAKY, 40)
    save(folder / "31.tif", POISON, 30)
    save(folder / "32.tif", 20, POISON, POISON, 30)
    save(folder / "33.png", SHAKY)
    out = tmp_path / "out"
    said = run(out, 2, str(folder)).splitlines()
    assert said[-1] == "24 30 5"
    assert sum("ended with signal SIGKILL, twice" in line for line in said) == 5
    places = [(Path(row["source"]).name, row.get("page", 0)) for row in rows(out)]
    assert places == [
        *((f"{number:02}.png", 0) for number in range(20)),
        *(("30.tif", page) for page in range(5)),
        ("31.tif", 0),  # whose first page ends the process: it is not opened once more
        *(("32.tif", page) for page in range(3)),  # neither is one with two of them
        ("33.png", 0),
    ]
    failed = [place for place, row in zip(places, rows(out), strict=True) if "error" in row]
    assert failed == [("05.png", 0), ("30.tif", 1), ("31.tif", 0), ("32.tif", 1), ("32.tif", 2)]
    assert {row["error"]["code"] for row in rows(out) if "error" in row} == {"worker_lost"}


def test_workers_that_others_kill_are_replaced(tmp_path: Path, inputs: list[str]) -> None:
    out = tmp_path / "out"
    process = start(out, 2, *inputs)
    for goal in (5, 20):
        wait_for(out, goal, process)
        os.kill(int(seen(out)[-1].split()[0]), signal.SIGKILL)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert len(rows(out)) == 54
    assert sum("error" in row for row in rows(out)) == 2


def test_ctrl_c_ends_it_with_the_page_in_hand(tmp_path: Path, inputs: list[str]) -> None:
    out = tmp_path / "out"
    process = start(out, 2, *inputs)
    wait_for(out, 6, process)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=300)
    assert process.returncode != 0
    run(out, 2, *inputs)
    assert len(rows(out)) == 54
    assert len(seen(out)) == 52  # all but the two that cannot be read, each once


def test_two_runs_do_not_fill_one_folder(tmp_path: Path, inputs: list[str]) -> None:
    out = tmp_path / "out"
    process = start(out, 1, *inputs)
    wait_for(out, 1, process)
    # It must not end before the other begins.
    process.send_signal(signal.SIGSTOP)
    other = start(out, 1, *inputs)
    said, _ = other.communicate(timeout=300)
    process.send_signal(signal.SIGCONT)
    assert other.returncode != 0
    assert "another run is writing" in said
    process.communicate(timeout=300)
    assert len(rows(out)) == 54
