"""Label Studio's JSON export, https://labelstud.io/guide/task_format.

Rectangles and polygons are in percent of the image. What else is asked of a region (text areas,
choices, numbers "per region") are results with the same id, named by their control.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from platemark.datasets.foreign.files import dumps, open_json, write_joined
from platemark.datasets.outlines import (
    Outline,
    Picture,
    Place,
    Read,
    attempt,
    encoded,
    faults_at,
    rotated,
    split_of,
)
from platemark.types.base import Point

FILE_NAME = "tasks.json"
_LOCAL = "/data/local-files/?d="
_SHAPES = ("rectangle", "polygon", "ellipse")
_IMAGE_KEYS = ("image", "img", "ocr", "photo", "picture")


def read(files: Sequence[Path]) -> Read:
    """Read the tasks of exports; of several annotations of one, the first that was kept."""
    for file in files:
        with open_json(file) as stream:
            for item in stream.items():
                place = Place(file, item.line, item.key)
                yield attempt(lambda found=item.value, at=place: _picture(found, at), place)  # type: ignore[misc]


def _picture(task: Mapping[str, Any], place: Place) -> Picture:
    data = dict(task["data"])
    key = next((key for key in _IMAGE_KEYS if key in data), next(iter(data), "image"))
    image = data.pop(key)
    kept = (one for one in task.get("annotations") or () if not one.get("was_cancelled"))
    results = next(kept, {"result": ()})["result"]
    described: dict[str, dict[str, Any]] = {}
    for result in results:
        if result["type"].removesuffix("labels") not in _SHAPES:
            value = result["value"]
            said = next((value[key] for key in (result["type"], "text") if key in value), None)
            said = said[0] if isinstance(said, list) and len(said) == 1 else said
            described.setdefault(result.get("id", ""), {})[result["from_name"]] = said
    marked = [
        (number, result)
        for number, result in enumerate(results)
        if result["type"].removesuffix("labels") in _SHAPES
    ]
    outlines = (
        _outline(result, described.get(result.get("id", ""), {}), place.at(f"result.{number}"))
        for number, result in marked
    )
    sizes = [(one.get("original_width"), one.get("original_height")) for _, one in marked]
    stated = (data.pop("width", None), data.pop("height", None))
    size = next((pair for pair in (*sizes, stated) if all(pair)), None)
    split = data.pop("split", None) or split_of(place.file.stem)
    return Picture(
        place,
        image,
        tuple(outlines),
        data,
        size=size,
        split=split,
        crop=data.get("kind") == "crop",
    )


def _outline(result: Mapping[str, Any], described: Mapping[str, Any], place: Place) -> Outline:
    with faults_at(place):
        value, shape = result["value"], result["type"]
        width, height = result["original_width"], result["original_height"]
        labels = value.get(shape) or value.get("labels") or [None]

        def pixels(x: float, y: float) -> Point:
            return round(x * width / 100, 4), round(y * height / 100, 4)

        if shape.startswith("polygon"):
            points = tuple(pixels(x, y) for x, y in value["points"])
            return Outline(place, points, labels[0], described)
        if shape.startswith("ellipse"):
            x, y, a, b = (value[key] for key in ("x", "y", "radiusX", "radiusY"))
            return Outline(
                place, (pixels(x - a, y - b), pixels(x + a, y + b)), labels[0], described
            )
        first = pixels(value["x"], value["y"])
        last = pixels(value["x"] + value["width"], value["y"] + value["height"])
        if turn := value.get("rotation"):
            corners = rotated((*first, *last), turn, first)
            return Outline(place, corners, labels[0], described, ordered=True)
        return Outline(place, (first, last), labels[0], described)


def write(file: Path, pictures: Iterable[Picture]) -> None:
    """Write tasks whose images Label Studio takes from its local files."""
    with file.open("w", encoding="utf-8") as stream:
        stream.write("[\n")
        write_joined(stream, _tasks(pictures))
        stream.write("]\n")


def _tasks(pictures: Iterable[Picture]) -> Iterator[str]:
    for number, picture in enumerate(pictures, start=1):
        width, height = picture.known_size
        data = {"image": _LOCAL + picture.image, "width": width, "height": height}
        results = [
            result
            for index, outline in enumerate(picture.outlines, start=1)
            for result in _results(outline, f"{number}-{index}", picture.known_size)
        ]
        data |= {**picture.attributes, "split": picture.split}
        yield dumps({"id": number, "data": data, "annotations": [{"result": results}]})


def _results(outline: Outline, name: str, size: tuple[int, int]) -> Iterator[dict[str, Any]]:
    width, height = size
    whole = {"id": name, "to_name": "image", "original_width": width, "original_height": height}
    if outline.is_box:
        x0, y0, x1, y1 = outline.bounds
        value = {
            **{"x": 100 * x0 / width, "y": 100 * y0 / height, "rotation": 0},
            **{"width": 100 * (x1 - x0) / width, "height": 100 * (y1 - y0) / height},
            "rectanglelabels": [outline.label],
        }
        yield {**whole, "from_name": "label", "type": "rectanglelabels", "value": value}
    else:
        points = [[100 * x / width, 100 * y / height] for x, y in outline.points]
        value = {"points": points, "closed": True, "polygonlabels": [outline.label]}
        yield {**whole, "from_name": "polygon", "type": "polygonlabels", "value": value}
    for key, said in outline.described().items():
        yield {**whole, "from_name": key, "type": "textarea", "value": {"text": [encoded(said)]}}
