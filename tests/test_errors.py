import inspect
import re

import pytest

from platemark import errors
from platemark.errors import DatasetError, MissingExtra, ModelCorrupt, ModelNotFound, PlatemarkError

CLASSES = [
    item
    for _, item in inspect.getmembers(errors, inspect.isclass)
    if issubclass(item, PlatemarkError)
]


def test_codes_are_unique_and_follow_the_class_names() -> None:
    for item in CLASSES:
        assert item.code == re.sub(r"(?<=[a-z])(?=[A-Z])", "_", item.__name__).lower()


def test_docstring_draws_every_class_under_its_parent() -> None:
    drawn = {}
    depth_of: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"( {4}[│├└─ ]*)(\w+) {2,}(\w+)", line)
        if match:
            depth = (len(match[1]) - 4) // 3
            depth_of[depth:] = [match[2]]
            drawn[match[2]] = (depth_of[depth - 1] if depth else "Exception", match[3])
    assert drawn == {item.__name__: (item.__base__.__name__, item.code) for item in CLASSES}


def test_to_dict_is_the_json_error_object() -> None:
    error = errors.UnreadableImage("in/bad.jpg is not an image", source="in/bad.jpg")
    assert error.to_dict() == {
        "code": "unreadable_image",
        "message": "in/bad.jpg is not an image",
    }
    assert error.source == "in/bad.jpg"
    assert str(error) == error.message


@pytest.mark.parametrize(
    ("error", "parts"),
    [
        (ModelNotFound("no x", names=["a", "b"]), ["no x", "a, b"]),
        (ModelNotFound("no x"), ["none"]),
        (ModelCorrupt("differs", file="m.onnx", expected="1", actual="2"), ["m.onnx", "1", "2"]),
        (DatasetError("no box", file="m.jsonl", line=3), ["m.jsonl:3: no box"]),
        (errors.FormatError("bad", file="ru.toml", key="patterns"), ["ru.toml: patterns: bad"]),
        (errors.SettingsError("is no number", key="threads"), ["threads: is no number"]),
        (MissingExtra("reading HEIC", "heif"), ["reading HEIC", "pip install ", "[heif]'"]),
    ],
)
def test_messages_name_what_matters(error: PlatemarkError, parts: list[str]) -> None:
    for part in parts:
        assert part in error.message
