"""LabelMe: a JSON file for each image, https://github.com/wkentaro/labelme.

What it does not know of a shape or an image it keeps, so attributes stand beside its own keys.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from math import dist
from pathlib import Path, PurePosixPath
from typing import Any

from platemark.datasets.foreign.files import dumps, read_json
from platemark.datasets.outlines import (
    Outline,
    Picture,
    Place,
    Read,
    attempt,
    faults_at,
    split_of,
)
from platemark.types.base import Point

_VERSION = "5.5.0"
_OF_IMAGE = {"version", "flags", "shapes", "imagePath", "imageData", "imageHeight", "imageWidth"}
_OF_SHAPE = {"label", "points", "group_id", "shape_type", "flags", "mask"}


def files(folder: Path) -> list[Path]:
    """The annotation files of a folder."""
    return sorted(folder.rglob("*.json"))


def read(files: Sequence[Path]) -> Read:
    """Read the files of one image each."""
    for file in files:
        yield attempt(partial(_read_file, file), Place(file))


def _read_file(file: Path) -> Picture:
    stated, place = read_json(file), Place(file)
    outlines = (
        _outline(shape, place.at(f"shapes.{number}"))
        for number, shape in enumerate(stated["shapes"])
    )
    attributes = {key: value for key, value in stated.items() if key not in _OF_IMAGE}
    split = attributes.pop("split", None) or split_of(file.parent)
    size = (stated.get("imageWidth"), stated.get("imageHeight"))
    return Picture(
        place,
        stated["imagePath"],
        tuple(outlines),
        attributes,
        size=(int(size[0]), int(size[1])) if size[0] and size[1] else None,
        split=split,
        crop=attributes.get("kind") == "crop",
    )


def _outline(shape: Mapping[str, Any], place: Place) -> Outline:
    with faults_at(place):
        points: list[Point] = [(float(x), float(y)) for x, y in shape["points"]]
        kind = shape.get("shape_type") or "polygon"
        attributes = {key: value for key, value in shape.items() if key not in _OF_SHAPE}
        attributes |= {name: True for name, is_set in (shape.get("flags") or {}).items() if is_set}
        if kind == "circle":
            (x, y), edge = points
            radius = dist((x, y), edge)
            points = [(x - radius, y - radius), (x + radius, y + radius)]
        elif kind == "rectangle":
            xs, ys = zip(*points, strict=True)
            points = [(min(xs), min(ys)), (max(xs), max(ys))]
        elif kind not in ("polygon", "linestrip", "oriented_rectangle"):
            raise place.error(f"a {kind} is no area; draw a polygon or a rectangle")
        return Outline(place, tuple(points), shape["label"], attributes)


def write(folder: Path, pictures: Iterable[Picture]) -> None:
    """Write a file beside each image."""
    for picture in pictures:
        image = PurePosixPath(picture.image)
        width, height = picture.known_size
        stated = {
            **picture.attributes,
            "split": picture.split,
            "version": _VERSION,
            "flags": {},
            "shapes": [_shape(outline) for outline in picture.outlines],
            "imagePath": image.name,
            "imageData": None,
            "imageHeight": height,
            "imageWidth": width,
        }
        file = folder / image.with_suffix(".json")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dumps(stated) + "\n", encoding="utf-8")


def _shape(outline: Outline) -> dict[str, Any]:
    described = outline.described()
    return {
        "label": outline.label,
        "points": [list(point) for point in outline.points],
        "group_id": None,
        "shape_type": "rectangle" if outline.is_box else "polygon",
        "flags": {},
        "description": described.pop("text", ""),
        **described,
    }
