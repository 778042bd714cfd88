"""Pascal VOC: an XML file for each image in ``Annotations``, lists of names in ``ImageSets``.

http://host.robots.ox.ac.uk/pascal/VOC. Coordinates are taken as the tools write them, from 0.
Beyond boxes there are what roLabelImg (``robndbox``), Roboflow (``polygon``) and CVAT
(``attributes``) add.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from math import degrees
from pathlib import Path, PurePosixPath
from typing import IO
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from platemark.datasets.foreign.files import open_text, xml_elements, xml_text
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
from platemark.errors import DatasetError
from platemark.splits import Split

_LISTS: dict[Split, str] = {"train": "train", "dev": "val", "test": "test"}
_SIDES = ("xmin", "ymin", "xmax", "ymax")


def files(folder: Path) -> list[Path]:
    """The annotation files of a folder."""
    return sorted(path for path in folder.rglob("*.xml") if "ImageSets" not in path.parts)


def read(files: Sequence[Path]) -> Read:
    """Read the files of one image each; splits are those of the folder, or of ``ImageSets``."""
    lists: dict[Path, dict[str, Split]] = {}
    for file in files:
        folder = file.parent.parent / "ImageSets" / "Main"
        if folder not in lists:
            lists = {folder: _splits(folder)}
        place = Place(file)
        found = False
        try:
            for root in xml_elements(file, "annotation"):
                found = True
                yield attempt(partial(_picture, root, place, lists[folder]), place)
        except DatasetError as error:
            yield error
        else:
            if not found:
                yield place.error("the file has no <annotation>, as one of Pascal VOC has")


def _splits(folder: Path) -> dict[str, Split]:
    found: dict[str, Split] = {}
    for split, name in _LISTS.items():
        if (file := folder / f"{name}.txt").exists():
            with open_text(file) as lines:
                found |= {line.split()[0]: split for line in lines if line.strip()}
    return found


def _picture(root: Element, place: Place, splits: Mapping[str, Split]) -> Picture:
    size = tuple(int(float(root.findtext(f"size/{side}") or 0)) for side in ("width", "height"))
    outlines = tuple(
        _outline(element, place.at(f"object.{number}"))
        for number, element in enumerate(root.iter("object"))
    )
    attributes = _attributes(root)
    name = root.findtext("filename") or ""
    split = splits.get(place.file.stem) or split_of(place.file.parent)
    return Picture(
        place,
        name if "." in name else f"{name or place.file.stem}.jpg",
        outlines,
        attributes,
        size=(size[0], size[1]) if all(size) else None,
        split=split,
        crop=attributes.get("kind") == "crop",
    )


def _attributes(element: Element) -> dict[str, str]:
    found = element.iterfind("attributes/attribute")
    return {each.findtext("name") or "": each.findtext("value") or "" for each in found}


def _outline(element: Element, place: Place) -> Outline:
    with faults_at(place):
        attributes: dict[str, str] = {**_attributes(element)}
        label, turned = element.findtext("name"), element.find("robndbox")
        if turned is not None:
            x, y, width, height, angle = (
                float(_text(turned, name)) for name in ("cx", "cy", "w", "h", "angle")
            )
            box = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
            return Outline(
                place, rotated(box, degrees(angle), (x, y)), label, attributes, ordered=True
            )
        x0, y0, x1, y1 = (float(_text(element, f"bndbox/{side}")) for side in _SIDES)
        polygon = element.find("polygon")
        if polygon is None:
            return Outline(place, ((x0, y0), (x1, y1)), label, attributes)
        count = len(polygon) // 2
        points = tuple(
            (float(_text(polygon, f"x{n}")), float(_text(polygon, f"y{n}")))
            for n in range(1, count + 1)
        )
        return Outline(place, points, label, attributes, (x0, y0, x1, y1))


def _text(element: Element, path: str) -> str:
    found = element.findtext(path)
    if found is None:
        raise KeyError(path)
    return found


def write(folder: Path, pictures: Iterable[Picture]) -> None:
    """Write ``Annotations`` and ``ImageSets/Main``; the images are to be in ``JPEGImages``."""
    lists = folder / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    with ExitStack() as stack:
        streams: dict[str | None, IO[str]] = {
            split: stack.enter_context((lists / f"{name}.txt").open("w", encoding="utf-8"))
            for split, name in _LISTS.items()
        }
        for picture in pictures:
            name = PurePosixPath(picture.image).relative_to("JPEGImages")
            file = folder / "Annotations" / name.with_suffix(".xml")
            file.parent.mkdir(parents=True, exist_ok=True)
            root = _element(picture, name)
            ElementTree.indent(root)
            ElementTree.ElementTree(root).write(file, encoding="utf-8", xml_declaration=True)
            streams[picture.split].write(f"{name.with_suffix('')}\n")


def _element(picture: Picture, name: PurePosixPath) -> Element:
    root = Element("annotation")
    width, height = picture.known_size
    _put(root, {"folder": "JPEGImages", "filename": str(name)}, picture.place)
    size = {"width": width, "height": height, "depth": 3}
    _put(ElementTree.SubElement(root, "size"), size, picture.place)
    _put(root, {"segmented": 0}, picture.place)
    _put_attributes(root, picture.attributes, picture.place)
    for outline in picture.outlines:
        element = ElementTree.SubElement(root, "object")
        flags = {"name": outline.label, "pose": "Unspecified", "truncated": 0, "difficult": 0}
        _put(element, flags, outline.place)
        bounds = dict(zip(_SIDES, outline.bounds, strict=True))
        _put(ElementTree.SubElement(element, "bndbox"), bounds, outline.place)
        if not outline.is_box:
            points = enumerate(outline.points, start=1)
            corners = {f"{axis}{n}": v for n, p in points for axis, v in zip("xy", p, strict=True)}
            _put(ElementTree.SubElement(element, "polygon"), corners, outline.place)
        _put_attributes(element, outline.attributes, outline.place)
    return root


def _put(element: Element, values: Mapping[str, object], place: Place) -> None:
    for name, value in values.items():
        ElementTree.SubElement(element, name).text = xml_text(encoded(value), place)


def _put_attributes(element: Element, attributes: Mapping[str, object], place: Place) -> None:
    if attributes:
        inner = ElementTree.SubElement(element, "attributes")
        for name, value in attributes.items():
            _put(ElementTree.SubElement(inner, "attribute"), {"name": name, "value": value}, place)
