"""CVAT for images 1.1, https://docs.cvat.ai/docs/manual/advanced/xml_format."""

import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, tostring

from platemark.datasets.foreign.files import xml_elements, xml_text
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

FILE_NAME = "annotations.xml"
_BOX = ("xtl", "ytl", "xbr", "ybr")
_ABOUT = "image"
"""The tag whose attributes are those of the image."""


def read(files: Sequence[Path]) -> Read:
    """Read the images of exports."""
    for file in files:
        labels: tuple[str, ...] = ()
        for number, element in enumerate(xml_elements(file, "label", "image", "track")):
            if element.tag == "label":
                labels += (element.findtext("name") or "",)
                continue
            key = element.get("name") or element.get("id") or str(number)
            place = Place(file, key=f"{element.tag} {key}")
            if element.tag == "track":
                yield place.error('tracks of a video are not read; export "CVAT for images"')
            else:
                yield attempt(partial(_picture, element, place, labels), place)


def _picture(element: Element, place: Place, labels: tuple[str, ...]) -> Picture:
    outlines, attributes = [], {}
    for number, shape in enumerate(element):
        if shape.tag == "tag":
            if shape.get("label") == _ABOUT:
                attributes = _attributes(shape)
        else:
            outlines.append(_outline(shape, place.at(f"{shape.tag}.{number}")))
    width, height = element.get("width"), element.get("height")
    return Picture(
        place,
        element.attrib["name"],
        tuple(outlines),
        attributes,
        size=(int(width), int(height)) if width and height else None,
        split=split_of(element.get("subset") or "") or split_of(element.attrib["name"]),
        crop=attributes.get("kind") == "crop",
        labels=() if "looked_for" in attributes else tuple(x for x in labels if x != _ABOUT),
    )


def _attributes(element: Element) -> dict[str, str]:
    return {one.attrib["name"]: one.text or "" for one in element.iterfind("attribute")}


def _outline(shape: Element, place: Place) -> Outline:
    with faults_at(place):
        label, attributes = shape.attrib["label"], _attributes(shape)
        if shape.tag == "box":
            x0, y0, x1, y1 = (float(shape.attrib[side]) for side in _BOX)
            turn = float(shape.get("rotation") or 0)
            if turn:
                quad = rotated((x0, y0, x1, y1), turn, ((x0 + x1) / 2, (y0 + y1) / 2))
                return Outline(place, quad, label, attributes, ordered=True)
            return Outline(place, ((x0, y0), (x1, y1)), label, attributes)
        if shape.tag == "ellipse":
            x, y, a, b = (float(shape.attrib[key]) for key in ("cx", "cy", "rx", "ry"))
            return Outline(place, ((x - a, y - b), (x + a, y + b)), label, attributes)
        if shape.tag not in ("polygon", "polyline"):
            raise place.error(f"a <{shape.tag}> is no area; draw a polygon or a rectangle")
        pairs = (point.split(",") for point in shape.attrib["points"].split(";"))
        points = tuple((float(x), float(y)) for x, y in pairs)
        return Outline(place, points, label, attributes)


def write(file: Path, pictures: Iterable[Picture]) -> None:
    """Write a task's annotations."""
    with (
        file.open("w", encoding="utf-8") as stream,
        tempfile.TemporaryFile("w+", encoding="utf-8") as images,
    ):
        names: dict[str, None] = {}
        for number, picture in enumerate(pictures):
            element = _element(number, picture)
            names |= dict.fromkeys((*picture.labels, *(one.attrib["label"] for one in element)))
            images.write(tostring(element, encoding="unicode") + "\n")
        labels = "".join(f"<label><name>{name}</name></label>" for name in names)
        stream.write('<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version>')
        stream.write(
            f"<meta><task><mode>annotation</mode><labels>{labels}</labels></task></meta>\n"
        )
        images.seek(0)
        shutil.copyfileobj(images, stream)
        stream.write("</annotations>\n")


def _element(number: int, picture: Picture) -> Element:
    width, height = picture.known_size
    stated = {"id": number, "name": picture.image, "subset": picture.split}
    element = _made("image", {**stated, "width": width, "height": height}, picture.place)
    if picture.attributes:
        about = _made("tag", {"label": _ABOUT, "source": "manual"}, picture.place)
        _describe(about, picture.attributes, picture.place)
        element.append(about)
    for outline in picture.outlines:
        stated = {"label": outline.label, "source": "manual", "occluded": 0}
        if outline.is_box:
            sides = dict(zip(_BOX, outline.bounds, strict=True))
            shape = _made("box", {**stated, **sides}, outline.place)
        else:
            points = ";".join(f"{x},{y}" for x, y in outline.points)
            shape = _made("polygon", {**stated, "points": points}, outline.place)
        _describe(shape, outline.described(), outline.place)
        element.append(shape)
    return element


def _made(tag: str, attributes: Mapping[str, object], place: Place) -> Element:
    return Element(tag, {key: xml_text(encoded(v), place) for key, v in attributes.items()})


def _describe(element: Element, attributes: Mapping[str, object], place: Place) -> None:
    for name, value in attributes.items():
        inner = SubElement(element, "attribute", name=name)
        inner.text = xml_text(encoded(value), place)
