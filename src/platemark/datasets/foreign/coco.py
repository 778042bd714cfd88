"""COCO's object detection JSON, https://cocodataset.org/#format-data.

Annotations may stand before or behind the images and in any order, so they are first laid down in a
temporary file, of which memory holds where those of each image are.
"""

import json
import tempfile
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any

from platemark.datasets.foreign.files import dumps, json_items, write_joined
from platemark.datasets.jsonstream import Item
from platemark.datasets.outlines import (
    Outline,
    Picture,
    Place,
    Read,
    attempt,
    faults_at,
    split_of,
)
from platemark.errors import DatasetError
from platemark.types.base import Point

FILE_NAME = "annotations.json"
_CATEGORIES = ("plate", "stamp", "ignore")
_OF_IMAGE = {"id", "file_name", "width", "height", "license", "flickr_url", "coco_url"}
_OF_IMAGE |= {"date_captured", "split", "attributes"}
_OF_MARK = {"id", "image_id", "category_id", "bbox", "segmentation", "area", "iscrowd"}
_OF_MARK |= {"attributes", "keypoints", "num_keypoints", "score"}


class _Annotations:
    """The annotations of a file by image.

    Args:
        lines: An empty file to lay them down in.
    """

    def __init__(self, lines: IO[bytes]) -> None:
        self._lines, self._length = lines, 0
        self._starts: dict[Any, array[int]] = {}

    def add(self, image: Any, item: Item) -> None:
        """Lay down an annotation of the image with an id."""
        self._starts.setdefault(image, array("q")).append(self._length)
        line = (json.dumps([item.key, item.value, item.line]) + "\n").encode()
        self._lines.write(line)
        self._length += len(line)

    def pop(self, image: Any) -> Iterator[Item]:
        """Take out the annotations of an image."""
        for start in self._starts.pop(image, ()):
            self._lines.seek(start)
            yield Item(*json.loads(self._lines.readline()))

    def rest(self) -> Iterator[Item]:
        """Take out the annotations of the images that were not asked for."""
        for image in list(self._starts):
            yield from self.pop(image)


def read(files: Sequence[Path]) -> Read:
    """Read the images of files with their annotations."""
    for file in files:
        yield from _read_file(file)


def _read_file(file: Path) -> Read:
    with tempfile.TemporaryFile() as lines:
        annotations = _Annotations(lines)
        categories: dict[Any, str] = {}
        for part, item in json_items(file, "categories", "annotations"):
            place = Place(file, item.line, f"{part}.{item.key}")
            try:
                with faults_at(place):
                    if part == "categories":
                        categories[item.value["id"]] = item.value["name"]
                    else:
                        annotations.add(item.value["image_id"], item)
            except DatasetError as error:
                yield error
        for part, item in json_items(file, "images"):
            place = Place(file, item.line, f"{part}.{item.key}")
            yield attempt(partial(_picture, item.value, place, annotations, categories), place)
        for item in annotations.rest():
            place = Place(file, item.line, f"annotations.{item.key}")
            yield place.error(f"no image has the id {item.value['image_id']!r}; remove it")


def _picture(
    image: Mapping[str, Any],
    place: Place,
    annotations: _Annotations,
    categories: Mapping[Any, str],
) -> Picture:
    outlines = []
    for item in annotations.pop(image["id"]):
        at = Place(place.file, item.line, f"annotations.{item.key}")
        with faults_at(at):
            outlines.append(_outline(item.value, at, categories))
    attributes = {key: value for key, value in image.items() if key not in _OF_IMAGE}
    attributes |= image.get("attributes") or {}
    return Picture(
        place,
        image["file_name"],
        tuple(outlines),
        attributes,
        size=(image["width"], image["height"]) if image.get("width") else None,
        split=image.get("split") or split_of(place.file.stem),
        crop=attributes.get("kind") == "crop",
        labels=tuple(categories.values()) if "looked_for" not in attributes else (),
    )


def _outline(mark: Mapping[str, Any], place: Place, categories: Mapping[Any, str]) -> Outline:
    category = mark["category_id"]
    if category not in categories:
        raise place.error(f"no category has the id {category!r}")
    x, y, width, height = map(float, mark["bbox"])
    box = (x, y, x + width, y + height)
    attributes = {key: value for key, value in mark.items() if key not in _OF_MARK}
    attributes |= mark.get("attributes") or {}
    polygons = mark.get("segmentation")
    points: tuple[Point, ...] = (box[:2], box[2:])
    if isinstance(polygons, list) and len(polygons) == 1:
        numbers = map(float, polygons[0])
        points = tuple(zip(numbers, numbers, strict=True))
    return Outline(place, points, categories[category], attributes, box)


def write(file: Path, pictures: Iterable[Picture]) -> None:
    """Write the images and their annotations as one file."""
    with (
        file.open("w", encoding="utf-8") as stream,
        tempfile.TemporaryFile("w+", encoding="utf-8") as marks,
    ):
        labels: set[str] = set()
        stream.write('{"images": [\n')
        write_joined(stream, _images(pictures, marks, labels))
        stream.write('],\n"annotations": [\n')
        marks.seek(0)
        write_joined(stream, (line.rstrip("\n") for line in marks))
        categories = [
            {"id": number, "name": name, "supercategory": "mark"}
            for number, name in enumerate(_CATEGORIES, start=1)
            if name in labels
        ]
        stream.write(f'],\n"categories": {dumps(categories)}}}\n')


def _images(pictures: Iterable[Picture], marks: IO[str], labels: set[str]) -> Iterator[str]:
    written = 0
    for number, picture in enumerate(pictures, start=1):
        labels.update(picture.labels)
        for outline in picture.outlines:
            labels.add(str(outline.label))
            written += 1
            marks.write(dumps({"id": written, "image_id": number, **_mark(outline)}) + "\n")
        width, height = picture.known_size
        image = {"id": number, "file_name": picture.image, "width": width, "height": height}
        yield dumps({**image, "split": picture.split, "attributes": picture.attributes})


def _mark(outline: Outline) -> dict[str, Any]:
    x0, y0, x1, y1 = outline.bounds
    return {
        "category_id": 1 + _CATEGORIES.index(str(outline.label)),
        "bbox": [x0, y0, x1 - x0, y1 - y0],
        "area": (x1 - x0) * (y1 - y0),
        "iscrowd": 0,
        "segmentation": [] if outline.is_box else [[v for point in outline.points for v in point]],
        "attributes": outline.attributes,
    }
