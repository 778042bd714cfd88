"""JSON of any size, item by item."""

import io
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

from platemark.datasets import Dataset, ManifestEntry, jsonstream
from platemark.datasets.jsonstream import JsonStream
from platemark.errors import DatasetError

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


@pytest.fixture(scope="module", autouse=True)
def _small_chunks() -> Iterator[None]:
    """Read three characters at a time, so that every value is cut somewhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jsonstream, "_CHUNK", 3)
        yield


def stream(text: str) -> JsonStream:
    return JsonStream(io.StringIO(text), Path("some.json"))


@given(
    content=st.dictionaries(st.text(max_size=3), values, max_size=4) | st.lists(values, max_size=4),
    indent=st.sampled_from([None, 1]),
)
def test_items_are_those_of_json(content: Any, indent: int | None) -> None:
    text = json.dumps(content, indent=indent, ensure_ascii=False)
    reader = stream(text)
    found = [(item.key, item.value) for item in reader.items()]
    pairs = content.items() if isinstance(content, dict) else enumerate(content)
    assert found == [(str(key), value) for key, value in pairs]
    assert reader.peek() == ""


def test_items_know_their_lines() -> None:
    items = stream('{\n "a": [1,\n 2],\n\n "b":\n 3}').items()
    assert [(item.key, item.line) for item in items] == [("a", 2), ("b", 6)]


def test_members_may_be_passed() -> None:
    reader = stream('{"a": {"b": [1, {"c": 2}]}, "d": 1e3, "e": [7]}')
    found = {}
    for key in reader.members():
        if key == "e":
            found = {item.key: item.value for item in reader.items()}
        else:
            reader.skip()
    assert found == {"0": 7}


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ('{"a": 1,\n "b" 2}', 2, "':'"),
        ('{"a": 1\n "b": 2}', 2, "','"),
        ("[1,\n\n tru]", 3, "not JSON"),
        ('["a', 1, "not JSON"),
        ('"text"', 1, "an object or an array"),
        ("", 1, "an object or an array"),
        ("[" * 100_000, 1, "nested too deeply"),
    ],
)
def test_what_is_no_json_is_named(text: str, line: int, reason: str) -> None:
    with pytest.raises(DatasetError, match=reason) as caught:
        list(stream(text).items())
    assert (caught.value.file, caught.value.line) == ("some.json", line)


def peak_of(folder: Path, count: int) -> int:
    """Bytes that reading a COCO file of so many images takes at most."""
    images = [{"id": n, "file_name": "car.png", "width": 20, "height": 10} for n in range(count)]
    marks = [
        {"id": n, "image_id": n, "category_id": 1, "bbox": [1, 1, 5, 5], "note": "x" * 500}
        for n in reversed(range(count))
    ]
    file = folder / f"{count}.json"
    categories = [{"id": 1, "name": "plate"}]
    file.write_text(json.dumps({"images": images, "annotations": marks, "categories": categories}))
    tracemalloc.start()
    read = sum(isinstance(entry, ManifestEntry) for entry in Dataset.open(file))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert read == count
    return peak


def test_memory_does_not_grow_with_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jsonstream, "_CHUNK", 1 << 14)
    PIL.Image.new("RGB", (20, 10)).save(tmp_path / "car.png")
    peak_of(tmp_path, 10)
    few, many = peak_of(tmp_path, 200), peak_of(tmp_path, 1000)
    # The note of each image alone would add 400 kB.
    assert many - few < 200_000
