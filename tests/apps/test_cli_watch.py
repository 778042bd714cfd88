"""``platemark watch`` on videos with known marks and times, and on folders files drop into."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.Image
import pytest
from typer.testing import CliRunner, Result

from platemark.apps.cli import app
from platemark.plates.pipeline import PlatePipeline

PHOTOS = Path(__file__).parents[2] / "examples" / "photos"
SIZE = (640, 480)


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["watch", *map(str, words)])


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of a car that draws nearer, one of nothing, one of another; 8 frames a second."""
    path = tmp_path_factory.mktemp("clips") / "gate.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 8, SIZE)
    for name, count in (("golf-front", 16), (None, 8), ("suv-malaysia", 8)):
        for number in range(count):
            if name is None:
                frame = np.full((SIZE[1], SIZE[0], 3), 120, np.uint8)
            else:
                with PIL.Image.open(PHOTOS / f"{name}.jpg") as photo:
                    side = 0.15 - 0.01 * number
                    cut = (side * photo.width, 0, (1 - side) * photo.width, photo.height)
                    near = photo.convert("RGB").resize(SIZE, box=cut if side > 0 else None)
                frame = np.asarray(near)[..., ::-1]
            writer.write(np.ascontiguousarray(frame))
    writer.release()
    return path


@pytest.fixture(scope="module")
def texts() -> list[str | None]:
    """What the photos say."""
    plates = PlatePipeline.from_pretrained()
    return [plates(PHOTOS / f"{name}.jpg")[0].text for name in ("golf-front", "suv-malaysia")]


def test_one_event_for_each_vehicle(clip: Path, texts: list[str | None], tmp_path: Path) -> None:
    done = run(clip, "--annotated", tmp_path / "drawn", "--quiet")
    assert (done.exit_code, done.stderr) == (0, "")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["text"] for row in rows] == texts
    assert [(row["start"], row["end"]) for row in rows] == [(0.0, 1.875), (3.0, 3.875)]
    assert {row["source"] for row in rows} == {str(clip)}
    names = sorted(path.name for path in (tmp_path / "drawn").iterdir())
    assert names == [f"gate-{row['frame']:06d}-{row['text']}.jpg" for row in rows]
    with PIL.Image.open(tmp_path / "drawn" / names[0]) as picture:
        assert picture.size == SIZE


def test_files_and_rates_and_tables(clip: Path, texts: list[str | None], tmp_path: Path) -> None:
    target = tmp_path / "events.jsonl"
    done = run(tmp_path / "none.mp4", clip, "--rate", 4, "--output", target)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "none.mp4 does not exist" in done.stderr
    failed, *rows = [json.loads(line) for line in target.read_text().splitlines()]
    assert failed["error"]["code"] == "unreadable_image"
    assert [row["text"] for row in rows] == texts
    assert rows[0]["frames"] == 8
    table = run(clip, "--rate", 2, "--format", "table", "--regions", "eu-de")
    assert table.exit_code == 0
    assert str(texts[1]) in table.stdout
    assert run(clip, "--regions", "nowhere").exit_code == 2
    assert run(clip, "--rate", 0).exit_code == 2


def test_events_as_csv_are_added_to_a_file_and_posted(
    clip: Path, texts: list[str | None], tmp_path: Path, receiver: Any
) -> None:
    receiver.answers = [503]
    target = tmp_path / "events.csv"
    words = (clip, "--rate", 2, "--output", target, "--quiet", "--state", tmp_path / "state")
    for _ in range(2):
        done = run(*words, "--webhook", receiver.url)
        assert (done.exit_code, done.stdout) == (0, ""), done.output
    with target.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["text"] for row in rows] == [*texts, *texts]
    assert (rows[0]["start"], rows[0]["kind"]) == ("0.0", "plate")
    posted = [json.loads(body)["data"]["text"] for _, body in receiver.got]
    assert posted == [texts[0], *texts, *texts]


def test_stamps_of_a_video(tmp_path: Path) -> None:
    clip = tmp_path / "desk.mp4"
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"mp4v"), 4, (700, 900))
    letter = PHOTOS.parent / "documents" / "letter-seal.jpg"
    with PIL.Image.open(letter) as page:
        for shift in (None, 40, 20, 0, 20, 40, None):
            frame = PIL.Image.new("RGB", (700, 900), "grey")
            if shift is not None:
                frame.paste(page.convert("RGB").resize((640, 880)), (shift, 0))
            writer.write(np.ascontiguousarray(np.asarray(frame)[..., ::-1]))
    writer.release()
    done = run(clip, "--kind", "stamp", "--read", "--annotated", tmp_path / "drawn", "--quiet")
    assert (done.exit_code, done.stderr) == (0, ""), done.output
    (event,) = map(json.loads, done.stdout.splitlines())
    assert (event["kind"], event["start"], event["end"], event["frames"]) == (
        *("stamp", 0.25, 1.25),
        5,
    )
    assert event["text"]
    assert len(list((tmp_path / "drawn").iterdir())) == 1
    table = run(clip, "--kind", "stamp", "--rate", 2, "--format", "table")
    assert event["color"] in table.stdout


def slow_copy(source: Path, target: Path) -> None:
    content = source.read_bytes()
    with target.open("wb") as stream:
        for start in range(0, len(content), len(content) // 5):
            stream.write(content[start : start + len(content) // 5])
            stream.flush()
            time.sleep(0.1)


def test_a_folder_that_files_drop_into(
    texts: list[str | None], tmp_path: Path, receiver: Any
) -> None:
    folder, target = tmp_path / "in", tmp_path / "rows.csv"
    folder.mkdir()
    (folder / "bad.jpg").write_bytes(b"no picture")
    receiver.answers = [500]
    words = (folder, "--settle", 0.3, "--stop-after", 1.5, "--output", target)
    drawn = ("--annotated", tmp_path / "drawn")
    copy = threading.Timer(0.5, slow_copy, (PHOTOS / "golf-front.jpg", folder / "golf.jpg"))
    copy.start()
    done = run(*words, *drawn, "--webhook", receiver.url, "--webhook-secret", "of our own")
    copy.join()
    assert done.exit_code == 1, done.output
    assert "bad.jpg is not an image" in done.stderr
    assert "answered 500" in done.stderr
    assert [path.name for path in (tmp_path / "drawn").iterdir()] == ["golf.jpg"]
    again = run(*words, "--quiet")
    assert (again.exit_code, again.output) == (0, "")
    shutil.copy(PHOTOS / "suv-malaysia.jpg", folder)
    assert run(*words, "--quiet").exit_code == 0
    with target.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["error_code"] for row in rows] == ["unreadable_image", "", ""]
    assert [row["text"] for row in rows[1:]] == texts
    posted = [json.loads(body)["data"] for _, body in receiver.got]
    assert [Path(row["source"]).name for row in posted] == ["bad.jpg", "bad.jpg", "golf.jpg"]
    assert all(headers["webhook-signature"].startswith("v1,") for headers, _ in receiver.got)


@pytest.mark.skipif(sys.platform == "win32", reason="signals differ there")
def test_a_folder_over_kills(tmp_path: Path) -> None:
    folder, target = tmp_path / "in", tmp_path / "rows.jsonl"
    folder.mkdir()
    with PIL.Image.open(PHOTOS / "golf-front.jpg") as photo:
        small = photo.convert("RGB").resize((320, 240))
    for number in range(24):
        small.save(folder / f"{number:02}.jpg")
    words = [sys.executable, "-m", "platemark", "watch", folder, "--output", target, "--quiet"]
    for goal in (3, 9, None):
        process = subprocess.Popen([*map(str, words), "--settle", "0"])
        most = 24 if goal is None else goal
        until = time.monotonic() + 120
        while not target.exists() or target.read_bytes().count(b"\n") < most:
            assert time.monotonic() < until
            time.sleep(0.005)
        if goal is None:
            time.sleep(0.3)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    sources = [Path(json.loads(line)["source"]).name for line in target.read_text().splitlines()]
    assert sorted(sources) == [f"{number:02}.jpg" for number in range(24)]


def test_options_that_do_not_fit_are_wrong_usage(clip: Path, tmp_path: Path) -> None:
    for words in (
        (tmp_path, clip),
        (tmp_path, "--rate", 2),
        (clip, "--settle", 2),
        (clip, "--read"),
        (clip, "--kind", "stamp", "--regions", "pl"),
        (tmp_path, "--annotated", tmp_path / "drawn"),
        (clip, "--webhook", "no address"),
    ):
        done = run(*words, *(() if tmp_path in words else ("--state", tmp_path / "state")))
        assert done.exit_code == 2, words


def test_a_camera_that_is_not_there_is_an_error() -> None:
    done = run(99, "--quiet")
    assert done.exit_code == 1
    assert "99: there is no such camera" in done.stderr
