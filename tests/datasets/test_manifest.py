import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from platemark.datasets import Manifest, ManifestEntry, PlateAnnotation, write_manifest
from platemark.errors import DatasetError

LINE = {
    "image": "images/street/1.jpg",
    "width": 640,
    "height": 480,
    "plates": [{"box": [10, 20, 110, 45], "quad": None, "text": "AB12CD", "region": "eu-de"}],
    "kind": "scene",
    "split": "train",
    "camera": "left",
}

coordinates = st.floats(-100, 5000, allow_nan=False)
annotations = st.builds(
    lambda x, y, w, h, text, lines: PlateAnnotation(
        box=(x, y, x + w, y + h), text=text, lines=lines
    ),
    coordinates,
    coordinates,
    st.floats(1, 900),
    st.floats(1, 300),
    st.none() | st.text("AZ09Ä京", max_size=10),
    st.none() | st.integers(1, 3),
)
entries = st.builds(
    ManifestEntry,
    image=st.just("images/a/1.jpg"),
    width=st.integers(1, 9000),
    height=st.integers(1, 9000),
    plates=st.lists(annotations, max_size=3).map(tuple),
    kind=st.sampled_from(["scene", "crop"]),
    split=st.sampled_from(["train", "dev", "test"]),
)


def lines_of(tmp_path: Path, *rows: object) -> Path:
    file = tmp_path / "annotations.jsonl"
    text = (row if isinstance(row, str) else json.dumps(row) for row in rows)
    file.write_text("\n".join(text) + "\n", encoding="utf-8")
    return file


@given(rows=st.lists(entries, max_size=4))
def test_what_is_written_is_read_back(
    rows: list[ManifestEntry], tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("manifest") / "new" / "annotations.jsonl"
    write_manifest(file, rows)
    assert list(Manifest.read(file)) == rows


def test_unknown_keys_survive(tmp_path: Path) -> None:
    file = lines_of(tmp_path, LINE)
    copy = tmp_path / "copy.jsonl"
    write_manifest(copy, Manifest.read(file))
    assert json.loads(copy.read_text()) == LINE


def test_split_and_kind_choose_lines(tmp_path: Path) -> None:
    crop = LINE | {"kind": "crop"}
    held_out = LINE | {"split": "test"}
    file = lines_of(tmp_path, LINE, "", crop, held_out, LINE | {"split": "dev"})
    assert len(Manifest.read(file)) == 4
    assert [entry.split for entry in Manifest.read(file, split="dev")] == ["dev"]
    assert [entry.split for entry in Manifest.read(file, split="test")] == ["test"]
    assert [entry.kind for entry in Manifest.read(file, kind="crop")] == ["crop"]


def test_paths_are_relative_to_the_manifest(tmp_path: Path) -> None:
    manifest = Manifest.read(lines_of(tmp_path, LINE))
    assert manifest.path(manifest.entries[0]) == tmp_path / "images/street/1.jpg"


@pytest.mark.parametrize(
    ("image", "source", "group"),
    [
        ("images/street/1.jpg", "owner/repo", "street"),
        ("images/1.jpg", "owner/repo", "owner/repo"),
        ("1.jpg", None, ""),
    ],
)
def test_group_is_the_folder_else_the_source(image: str, source: str | None, group: str) -> None:
    entry = ManifestEntry(image=image, width=1, height=1, plates=(), split="test", source=source)
    assert entry.group == group


def test_corners_come_from_the_quad_else_the_box() -> None:
    box = PlateAnnotation(box=(1, 2, 5, 4))
    assert box.corners.tolist() == [[1, 2], [5, 2], [5, 4], [1, 4]]
    quad = ((1, 2), (5, 3), (5, 5), (1, 4))
    np.testing.assert_array_equal(PlateAnnotation(box=(1, 2, 5, 5), quad=quad).corners, quad)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("{broken", "Invalid JSON"),
        ({"image": "1.jpg"}, "width"),
        (LINE | {"split": "holdout"}, "split"),
        (LINE | {"plates": [{"box": [10, 20, 5, 45]}]}, "no area"),
        (LINE | {"plates": [{"box": [10, 20, 50, 45], "quad": [[1, 2], [3, 4]]}]}, "quad"),
        (
            LINE | {"plates": [{"box": [0, 0, 2, 2], "quad": [[0, 0], [0, 2], [2, 2], [2, 0]]}]},
            "clockwise",
        ),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, row: object, reason: str) -> None:
    file = lines_of(tmp_path, LINE, row)
    with pytest.raises(DatasetError, match=reason) as caught:
        Manifest.read(file)
    assert caught.value.line == 2
    assert str(file) in str(caught.value)


def test_a_missing_or_binary_file_is_a_dataset_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"nowhere\.jsonl"):
        Manifest.read(tmp_path / "nowhere.jsonl")
    binary = tmp_path / "picture.jpg"
    binary.write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(DatasetError, match="UTF-8"):
        Manifest.read(binary)
