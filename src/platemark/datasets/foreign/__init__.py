"""Annotation formats of other tools: which there are, their files, and how to tell them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from platemark.datasets.foreign import (
    coco,
    cvat,
    labelme,
    labelstudio,
    nomeroff,
    table,
    via,
    voc,
    yolo,
)
from platemark.datasets.foreign.files import open_json, xml_elements
from platemark.datasets.outlines import Picture, Read
from platemark.errors import DatasetError

MANIFEST = "manifest"
MANIFEST_NAME = "annotations.jsonl"


@dataclass(frozen=True)
class Format:
    """One annotation format.

    Attributes:
        files: Its annotation files in a folder, best guess first.
        read: Reads annotation files.
        write: Writes a file, or a folder where `file_name` is None.
        file_name: Name of the one annotation file, or None where there are many.
        images: Where an image goes in the folder that is written: ``split``, ``name`` with the
            folders it is in, ``flat`` without.
        check: Raises what is wrong with a picture that the format cannot hold; None where it holds
            all.
    """

    files: Callable[[Path], Sequence[Path]]
    read: Callable[[Sequence[Path]], Read]
    write: Callable[[Path, Iterable[Picture]], None]
    file_name: str | None = None
    images: str = "images/{name}"
    check: Callable[[Picture], object] | None = None


def _named(*patterns: str) -> Callable[[Path], Sequence[Path]]:
    def files(folder: Path) -> Sequence[Path]:
        return [path for pattern in patterns for path in sorted(folder.rglob(pattern))]

    return files


def _json_of(name: str) -> Callable[[Path], Sequence[Path]]:
    """JSON files of a folder that have the content of a format."""

    def files(folder: Path) -> Sequence[Path]:
        return [path for path in sorted(folder.rglob("*.json")) if format_of_file(path) == name]

    return files


def _is_plate(picture: Picture) -> object:
    return picture.only_plate


_YOLO_FILES = _named("data.yaml", "*.yaml", "*.yml", "classes.txt")
_YOLO = partial(
    Format,
    files=lambda folder: _YOLO_FILES(folder)[:1],
    read=yolo.read,
    images="images/{split}/{name}",
)
FORMATS: Mapping[str, Format] = {
    "via": Format(_json_of("via"), via.read, via.write, via.FILE_NAME),
    "via1": Format(_json_of("via"), via.read, via.write_1, via.FILE_NAME),
    "coco": Format(_json_of("coco"), coco.read, coco.write, coco.FILE_NAME),
    "yolo": _YOLO(write=partial(yolo.write, variant="boxes")),
    "yolo-obb": _YOLO(write=partial(yolo.write, variant="obb")),
    "yolo-pose": _YOLO(write=partial(yolo.write, variant="pose")),
    "voc": Format(voc.files, voc.read, voc.write, images="JPEGImages/{flat}"),
    "labelstudio": Format(
        _json_of("labelstudio"), labelstudio.read, labelstudio.write, labelstudio.FILE_NAME
    ),
    "labelme": Format(labelme.files, labelme.read, labelme.write),
    "cvat": Format(_named("*.xml"), cvat.read, cvat.write, cvat.FILE_NAME),
    "csv": Format(_named("*.csv"), table.read, table.write, table.FILE_NAME, check=_is_plate),
    "nomeroff": Format(
        nomeroff.files, nomeroff.read, nomeroff.write, images="{split}/img/{flat}", check=_is_plate
    ),
}
"""The foreign formats by name, and beside them `MANIFEST`."""
FORMAT_NAMES = (MANIFEST, *FORMATS)


def format_of(source: Path) -> str:
    """The format of an annotation file or of a folder, told by its content.

    Raises:
        DatasetError: It is of none, or is not there.
    """
    if not source.exists():
        raise DatasetError("there is no such file or folder; check the path", file=source)
    if source.is_file():
        found = format_of_file(source)
    else:
        found = next(filter(None, map(format_of_file, _candidates(source))), None)
    if found is None:
        raise DatasetError(
            f"the annotations are of no format that is known; name it with --from "
            f"({', '.join(FORMAT_NAMES)})",
            file=source,
        )
    return found


def _candidates(folder: Path) -> Iterator[Path]:
    """Files of a folder that may tell its format: those that are about the whole come first."""
    for pattern in ("*.jsonl", "data.yaml", "*.yaml", "*.yml", "classes.txt"):
        yield from sorted(folder.glob(pattern))
    for pattern in ("*.json", "*.xml", "*.csv", "*.jsonl"):
        yield from sorted(folder.rglob(pattern))


def format_of_file(file: Path) -> str | None:
    """The format of an annotation file, told by its content; None for others."""
    by_suffix = {".jsonl": MANIFEST, ".yaml": "yolo", ".yml": "yolo", ".txt": "yolo", ".csv": "csv"}
    suffix = file.suffix.lower()
    if suffix == ".xml":
        for element in xml_elements(file, "annotation", "annotations", "meta", "image"):
            return "voc" if element.tag == "annotation" else "cvat"
        return None
    return _format_of_json(file) if suffix == ".json" else by_suffix.get(suffix)


_JSON_KEYS = {
    **dict.fromkeys(("images", "annotations", "categories"), "coco"),
    **dict.fromkeys(("shapes", "imagePath", "imageData"), "labelme"),
    **dict.fromkeys(("_via_settings", "_via_img_metadata"), "via"),
    **dict.fromkeys(("region_id", "count_lines", "moderation"), "nomeroff"),
}


def _format_of_json(file: Path) -> str | None:
    with open_json(file) as stream:
        is_list = stream.peek() == "["
        for key in stream.members():
            if is_list:
                task = stream.value()
                return "labelstudio" if isinstance(task, dict) and "data" in task else None
            if key in _JSON_KEYS:
                return _JSON_KEYS[key]
            value = stream.value()
            if isinstance(value, dict) and {"filename", "regions"} <= set(value):
                return "via"
    return None
