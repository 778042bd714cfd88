"""``platemark watch`` on a video with known plates and times."""

import json
from pathlib import Path

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
