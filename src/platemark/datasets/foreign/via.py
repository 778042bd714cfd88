"""VGG Image Annotator, versions 1 and 2: projects and exported annotations.

https://www.robots.ox.ac.uk/~vgg/software/via. Version 1 numbers the regions in an object, version 2
lists them; a project of version 2 has settings beside ``_via_img_metadata``. What is told by the
structure of each image is not asked of the file, so that files in which versions are mixed are
read too. Nomeroff Net's ``via_region_data.json`` has the label in ``label`` or ``class``.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import cos, hypot, sin
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
    split_of,
)
from platemark.errors import DatasetError
from platemark.types.base import Point

FILE_NAME = "via_region_data.json"
_IMAGES = "_via_img_metadata"
_LABELS = ("label", "class", "type", "category", "object", "object_name", "name")
_WRITTEN = {"plate": "numberplate"}
"""Labels as Nomeroff Net's trainings expect them."""


def read(files: Sequence[Path]) -> Read:
    """Read the images of projects or of exported annotations."""
    for file in files:
        yield from _read_file(file)


def _read_file(file: Path) -> Read:
    with open_json(file) as stream:
        for key in stream.members():
            if key == _IMAGES:
                for item in stream.items():
                    yield _read_image(item.value, Place(file, item.line, f"{_IMAGES}.{item.key}"))
            elif key.startswith("_via_"):
                stream.skip()
            else:
                stream.peek()
                place = Place(file, stream.line, key)
                yield _read_image(stream.value(), place)


def _read_image(image: Any, place: Place) -> Picture | DatasetError:
    return attempt(lambda: _picture(image, place), place)


def _picture(image: Mapping[str, Any], place: Place) -> Picture:
    regions = image["regions"]
    numbered = regions.items() if isinstance(regions, dict) else enumerate(regions)
    outlines = (_outline(region, place.at(f"regions.{key}")) for key, region in numbered)
    attributes = dict(image.get("file_attributes") or {})
    split = attributes.pop("split", None) or split_of(place.file.parent.name)
    return Picture(
        place,
        image["filename"],
        tuple(outlines),
        attributes,
        split=split,
        crop=attributes.get("kind") == "crop",
    )


def _outline(region: Mapping[str, Any], place: Place) -> Outline:
    with faults_at(place):
        attributes = dict(region.get("region_attributes") or {})
        named = next((name for name in _LABELS if isinstance(attributes.get(name), str)), None)
        label = attributes.pop(named) if named else None
        shape = region["shape_attributes"]
    inner = place.at("shape_attributes")
    with faults_at(inner):
        return Outline(place, _points(shape, inner), label or None, attributes)


def _points(shape: Mapping[str, Any], place: Place) -> tuple[Point, ...]:
    name = shape["name"]
    if name in ("polygon", "polyline"):
        xs, ys = shape["all_points_x"], shape["all_points_y"]
        points = [(float(x), float(y)) for x, y in zip(xs, ys, strict=True)]
        # Version 1 closes its polygons with the first point.
        return tuple(points[:-1] if len(points) > 3 and points[0] == points[-1] else points)
    if name == "rect":
        x, y = float(shape["x"]), float(shape["y"])
        return (x, y), (x + float(shape["width"]), y + float(shape["height"]))
    if name in ("circle", "ellipse"):
        x, y = float(shape["cx"]), float(shape["cy"])
        a, b = (float(shape.get(key, shape.get("r", 0))) for key in ("rx", "ry"))
        turn = float(shape.get("theta", 0))
        across, down = hypot(a * cos(turn), b * sin(turn)), hypot(a * sin(turn), b * cos(turn))
        return (x - across, y - down), (x + across, y + down)
    raise place.error(f"a {name!r} is no area; draw a polygon or a rectangle")


def write(file: Path, pictures: Iterable[Picture]) -> None:
    """Write a project of version 2, which VIA opens."""
    with file.open("w", encoding="utf-8") as stream:
        settings = {"ui": {}, "core": {"filepath": {}, "default_filepath": ""}}
        stream.write(
            f'{{"_via_settings": {dumps(settings | {"project": {"name": "platemark"}})},\n'
            f'"{_IMAGES}": {{\n'
        )
        write_joined(stream, _images(pictures, numbered=False))
        region = {name: {"type": "text"} for name in ("label", "text", "region", "lines")}
        stream.write(f'}},\n"_via_attributes": {dumps({"region": region, "file": {}})}}}\n')


def write_1(file: Path, pictures: Iterable[Picture]) -> None:
    """Write annotations as version 1 exports and imports them."""
    with file.open("w", encoding="utf-8") as stream:
        stream.write("{\n")
        write_joined(stream, _images(pictures, numbered=True))
        stream.write("}\n")


def _images(pictures: Iterable[Picture], *, numbered: bool) -> Iterator[str]:
    for picture in pictures:
        regions = [_region(outline) for outline in picture.outlines]
        image = {
            "filename": picture.image,
            "size": -1,
            "regions": {str(n): region for n, region in enumerate(regions)}
            if numbered
            else regions,
            "file_attributes": {
                key: encoded(value)
                for key, value in {**picture.attributes, "split": picture.split}.items()
            },
        }
        yield f"{dumps(f'{picture.image}-1')}: {dumps(image)}"


def _region(outline: Outline) -> dict[str, Any]:
    if outline.is_box:
        x0, y0, x1, y1 = outline.bounds
        shape = {"name": "rect", "x": x0, "y": y0, "width": x1 - x0, "height": y1 - y0}
    else:
        xs, ys = zip(*outline.points, strict=True)
        shape = {"name": "polygon", "all_points_x": list(xs), "all_points_y": list(ys)}
    label = _WRITTEN.get(str(outline.label), outline.label)
    described = {key: encoded(value) for key, value in outline.described().items()}
    return {"shape_attributes": shape, "region_attributes": {"label": label, **described}}
