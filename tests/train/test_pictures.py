"""What the tasks share: memory, held-out keys."""

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from platemark.errors import DatasetError  # noqa: E402
from platemark.imaging.image import Image  # noqa: E402
from platemark.train.pictures import Memory, is_held_out, learning_splits  # noqa: E402


def test_pictures_beyond_the_room_are_kept_as_jpeg() -> None:
    ramp = np.tile(np.arange(100, dtype=np.uint8)[None, :, None], (80, 1, 3))
    ramp[..., 2] = 200
    memory = Memory(ramp.nbytes + 1)
    first, second = memory.keep(ramp), memory.keep(ramp)
    assert first is ramp
    assert isinstance(second, bytes)
    assert len(second) < ramp.nbytes / 4
    assert np.abs(Image.read(second).pixels.astype(int) - ramp).max() <= 4


def test_held_out_keys_are_about_the_share_and_always_the_same() -> None:
    keys = [f"images/{number}.jpg" for number in range(5000)]
    chosen = [key for key in keys if is_held_out(key, 0.08)]
    assert len(chosen) == pytest.approx(400, rel=0.2)
    assert all(is_held_out(key, 0.2) for key in chosen)
    assert is_held_out("images/a.jpg", 0.08) == is_held_out("images/a.jpg", 0.08)


def listed(file: Path, *rows: dict[str, object]) -> Path:
    """A manifest of 9x9 pictures of the train split."""
    size = {"width": 9, "height": 9, "split": "train", "stamps": []}
    file.parent.mkdir(exist_ok=True)
    file.write_text("\n".join(json.dumps(size | row) for row in rows))
    return file


def test_a_picture_counts_once_however_its_manifests_name_it(tmp_path: Path) -> None:
    first = listed(tmp_path / "all.jsonl", {"image": "a.png"}, {"image": "b.png"})
    second = listed(tmp_path / "sub" / "part.jsonl", {"image": "../b.png"}, {"image": "b.png"})
    found = learning_splits([first, second, second])
    assert [(one.path.resolve(), one.weight) for one in found] == [
        (tmp_path / "a.png", 1),
        (tmp_path / "b.png", 3),
        (tmp_path / "sub" / "b.png", 2),
    ]


def test_other_marks_of_one_picture_are_refused(tmp_path: Path) -> None:
    first = listed(tmp_path / "all.jsonl", {"image": "a.png"})
    other = {"image": "a.png", "stamps": [{"box": [1, 1, 5, 5]}]}
    second = listed(tmp_path / "more.jsonl", other)
    with pytest.raises(DatasetError, match=r"a\.png is listed before with other marks"):
        learning_splits([first, second])
    assert learning_splits([listed(second, other | {"split": "test"})]) == []


def test_the_dev_split_is_held_out_where_there_is_one(tmp_path: Path) -> None:
    rows = [{"image": f"{number}.png"} for number in range(40)]
    drawn = listed(tmp_path / "drawn.jsonl", *rows)
    split = listed(
        tmp_path / "split.jsonl",
        *({"image": f"s{number}.png", "split": "train"} for number in range(40)),
        {"image": "dev.png", "split": "dev"},
        {"image": "test.png", "split": "test"},
    )
    found = learning_splits([drawn, split])
    held = [one.entry.image for one in found if one.is_held_out(one.entry.image, 0.2)]
    assert len(found) == 81
    assert held[-1] == "dev.png"
    assert 0 < len(held[:-1]) < 20
    assert all(not name.startswith("s") for name in held)
