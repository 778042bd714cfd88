"""What every annotation format says: pictures with labelled outlines; and how the manifest has it.

A reader of a foreign format gives `Picture` objects and `entry_of` makes manifest entries of them;
`picture_of` goes the other way, for a writer.
"""

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal, TypeVar, cast, get_args
from urllib.parse import unquote

import cv2
import numpy as np
from pydantic import ValidationError

from platemark.datasets.manifest import (
    ManifestEntry,
    PlateAnnotation,
    StampAnnotation,
    first_fault,
    plate_text,
)
from platemark.errors import DatasetError, MissingImage, PlatemarkError
from platemark.geometry import is_convex, order_corners
from platemark.imaging.image import image_size
from platemark.imaging.sources import IMAGE_SUFFIXES
from platemark.splits import Split
from platemark.types.base import Point, Quad

MarkKind = Literal["plate", "stamp"]
Role = Literal["plate", "stamp", "ignore", "skip"]
"""What outlines of a label are: marks, places of ``ignore``, or nothing that is taken over."""

_ROLES: tuple[tuple[Role, str], ...] = (
    ("ignore", r"^(ignore|ignored|dont_?care|###)$"),
    ("plate", r"plate|number|licen[cs]e|^lpr?$|kennzeichen|matr[ií]cula|patente|номер"),
    ("stamp", r"stamp|seal|stempel|tampon|cachet|sello|timbro|печат|штамп"),
)
_NAMES = {
    **dict.fromkeys(("plate_text", "np", "number", "description", "transcription", "ocr"), "text"),
    **dict.fromkeys(("plate_region", "region_name", "country"), "region"),
    "count_lines": "lines",
}
"""What other tools call our fields; compared in lower case."""
_WORDS = ("text", "region", "color", "identity", "mask")
"""Fields that are texts, even if they could be numbers."""
_ORDERED, _MARGINS = "corners", "box_margins"
_SPLITS: dict[str, Split] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("dev", "val", "valid", "validation", "eval"), "dev"),
    **dict.fromkeys(("test", "testing"), "test"),
}
_IMAGE_FOLDERS = ("", "images", "img", "JPEGImages", "data")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a data set something stands.

    Attributes:
        file: The annotation file.
        line: Counted from 1, or None.
        key: Within the file or line, or empty.
    """

    file: Path
    line: int | None = None
    key: str = ""

    def at(self, key: object) -> "Place":
        """A place within this one."""
        return Place(self.file, self.line, f"{self.key}.{key}" if self.key else str(key))

    def error(self, message: str) -> DatasetError:
        """The error that names this place."""
        return DatasetError(message, file=self.file, line=self.line, key=self.key)

    def missing(self, image: str | Path) -> MissingImage:
        """The error that an image named here is not there."""
        return MissingImage(
            f"the image {str(image)!r} is not there; correct its name, or say where the images are "
            "with --images",
            file=self.file,
            line=self.line,
            key=self.key,
        )


@dataclass(frozen=True, slots=True)
class Outline:
    """One place marked in a picture.

    Attributes:
        place: Where it stands.
        points: Corners of a polygon in pixels, or two opposite corners of an upright box.
        label: Its class, or None where the format or the file has none.
        attributes: What else is known of it, by the names of the format.
        box: (x0, y0, x1, y1), where the format has one beside the points.
        ordered: Whether four points begin at the mark's own top-left and run clockwise; set by
            hand they begin anywhere.
    """

    place: Place
    points: tuple[Point, ...]
    label: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    box: tuple[float, float, float, float] | None = None
    ordered: bool = False

    @property
    def is_box(self) -> bool:
        """Whether it is an upright box."""
        return len(self.points) == 2

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """The smallest upright box around it."""
        if self.box is not None:
            return self.box
        xs, ys = zip(*self.points, strict=True)
        return (min(xs), min(ys), max(xs), max(ys))

    def described(self) -> dict[str, Any]:
        """All that formats with attributes, but without a box beside a polygon, write of it."""
        if self.box is None or self.is_box:
            return dict(self.attributes)
        x0, y0, x1, y1 = self.box
        left, top, right, bottom = Outline(self.place, self.points).bounds
        margins = (left - x0, top - y0, x1 - right, y1 - bottom)
        return {**self.attributes, _MARGINS: [round(value, 6) for value in margins]}


@dataclass(frozen=True, slots=True)
class Picture:
    """One image as an annotation format describes it.

    Attributes:
        place: Where it stands.
        image: Its path as the format names it.
        outlines: What is marked in it.
        attributes: What else is known of it.
        size: Width and height in pixels, or None where the format does not say.
        split: Its part of the data set as the format calls it, or None where it does not say.
        crop: Whether it is the crop of one mark; then the one outline without points is all of it.
        labels: All classes that were annotated, where the format lists them.
    """

    place: Place
    image: str
    outlines: tuple[Outline, ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)
    size: tuple[int, int] | None = None
    split: str | None = None
    crop: bool = False
    labels: tuple[str, ...] = ()

    @property
    def known_size(self) -> tuple[int, int]:
        """The size, for formats that state it.

        Raises:
            DatasetError: It is not known.
        """
        if self.size is None:
            raise self.place.error("the size of the image is not known")
        return self.size

    @property
    def only_plate(self) -> Outline:
        """The plate that the image is, with its text, for formats of crops.

        Raises:
            DatasetError: It is not the crop of one plate, or its text is not known.
        """
        if not self.crop or [outline.label for outline in self.outlines] != ["plate"]:
            raise self.place.error(
                "the format is of cropped plates, and the image is not one; crop them with "
                "platemark plates --crops"
            )
        if not self.outlines[0].attributes.get("text"):
            raise self.place.error("the plate has no text, which the format is of")
        return self.outlines[0]


Read = Iterator[Picture | DatasetError]
"""What a reader gives: pictures, and in the place of one that is wrong, why."""


@dataclass(frozen=True)
class Reading:
    """How foreign annotations are understood.

    Attributes:
        kind: What outlines without a label are.
        labels: What outlines of a label are, where its name does not say it.
        split: The part of images of which the data set says none.
        images: Folder of the images, where it is not beside the annotations.
        regions: Codes by number, for formats that number the regions.
    """

    kind: MarkKind = "plate"
    labels: Mapping[str, Role] = field(default_factory=dict)
    split: Split = "train"
    images: Path | None = None
    regions: Sequence[str] = ()

    def role(self, label: str | None, place: Place) -> Role:
        """What outlines of a label are.

        Raises:
            DatasetError: Its name does not say, and `labels` has it not.
        """
        role = self.kind if label is None else self._known_role(label)
        if role is None:
            raise place.error(
                f"whether {label!r} is a plate or a stamp is not known; say what it is with "
                f"--label '{label}=plate' (or stamp, ignore, skip)"
            )
        return role

    def kinds(self, labels: Iterable[str]) -> set[str]:
        """The kinds of marks among labels; those of which no mark may come are not asked for."""
        return {"plate", "stamp"} & {self._known_role(label) for label in labels}

    def _known_role(self, label: str) -> Role | None:
        if label in self.labels:
            return self.labels[label]
        found = (role for role, known in _ROLES if re.search(known, label, re.IGNORECASE))
        return next(found, None)


@contextmanager
def faults_at(place: Place) -> Iterator[None]:
    """Turn what foreign data makes of a reader into an error that names the place.

    Raises:
        DatasetError: Something was wrong.
    """
    try:
        yield
    except DatasetError:
        raise
    except ValidationError as error:
        key, message = first_fault(error)
        raise (place.at(key) if key else place).error(message) from error
    except PlatemarkError as error:
        raise place.error(error.message) from error
    except KeyError as error:
        raise place.error(f"{error.args[0]!r} is missing") from error
    except (ArithmeticError, AttributeError, IndexError, TypeError, ValueError) as error:
        raise place.error(f"is not as the format says ({error})") from error


def attempt(make: Callable[[], T], place: Place) -> T | DatasetError:
    """What a function gives, or the error that names the place; see `faults_at`."""
    try:
        with faults_at(place):
            return make()
    except DatasetError as error:
        return error


def as_role(value: str) -> Role:
    """A word as a role.

    Raises:
        ValueError: It is none.
    """
    if value not in get_args(Role):
        raise ValueError(f"{value!r} is none of {', '.join(get_args(Role))}")
    return cast(Role, value)


def split_of(path: str | PurePosixPath | Path) -> Split | None:
    """The part of a data set that a path names in one of its folders or words, the last one."""
    for part in reversed(PurePosixPath(path).parts):
        for word in reversed(re.split(r"[^a-z]+", part.lower())):
            if word in _SPLITS:
                return _SPLITS[word]
    return None


class ImageFinder:
    """Finds images that annotations name, beside these and where tools keep them.

    Args:
        file: The annotation file.
        images: Folder to search first.
    """

    def __init__(self, file: Path, images: Path | None = None) -> None:
        folder = file.parent
        # instances_train2017.json is of the images in ../train2017.
        named = file.stem.rpartition("_")[2]
        bases = [folder, folder.parent, folder.parent / named, folder.parent / "images" / named]
        near = [base / name for base in bases for name in _IMAGE_FOLDERS]
        self._folders = [*([images] if images else []), *near]

    def find(self, name: str, place: Place) -> Path:
        """Return the path of an image.

        Args:
            name: As the annotations have it: a path, an address or a file name.
            place: Where it is named.

        Raises:
            MissingImage: There is none.
        """
        path = unquote(name).replace("\\", "/").rpartition("?d=")[2]
        # Annotations of others may name any file of this machine: nothing but images is taken.
        tries = (
            (name, path, PurePosixPath(path).name)
            if Path(path).suffix.lower() in IMAGE_SUFFIXES
            else ()
        )
        for tried in dict.fromkeys(tries):
            for number, folder in enumerate(self._folders):
                if (found := folder / tried).is_file():
                    self._folders.insert(0, self._folders.pop(number))
                    return found
        raise place.missing(name)


def entry_of(picture: Picture, root: Path, finder: ImageFinder, reading: Reading) -> ManifestEntry:
    """Make a manifest entry of a picture.

    Args:
        picture: From a reader.
        root: Folder that the paths of the manifest start from.
        finder: Of its annotation file.
        reading: How labels are understood.

    Raises:
        DatasetError: The image is missing, or a mark is not one.
        PlatemarkError: The image has to be read for its size, and cannot be.
    """
    path = finder.find(picture.image, picture.place)
    width, height = picture.size or image_size(path)
    stated = dict(picture.attributes)
    looked_for = decoded(stated.pop("looked_for", []))
    kinds = reading.kinds((*picture.labels, *looked_for))
    scene_or_crop = "crop" if picture.crop else "scene"
    marks: dict[str, list[Any]] = {"plate": [], "stamp": [], "ignore": []}
    for outline in picture.outlines:
        role = reading.role(outline.label, outline.place)
        whole = Outline(outline.place, ((0, 0), (width, height)), attributes=outline.attributes)
        shown = outline if outline.points else whole
        if role == "ignore":
            marks[role].append(shown.bounds)
        elif role != "skip":
            model = PlateAnnotation if role == "plate" else StampAnnotation
            with faults_at(outline.place):
                marks[role].append(model(**_fields(shown, role)))
    kinds |= {kind for kind in ("plate", "stamp") if marks[kind]}
    fields: dict[str, Any] = {
        "image": Path(os.path.relpath(path, root)).as_posix(),
        "width": width,
        "height": height,
        **{f"{kind}s": marks[kind] for kind in sorted(kinds or {reading.kind})},
        **({"ignore": marks["ignore"]} if marks["ignore"] else {}),
        "kind": "isolated" if stated.get("kind") == "isolated" else scene_or_crop,
        "split": split_of(picture.split or "") or picture.split or reading.split,
    }
    return ManifestEntry(**(stated | fields))


def picture_of(entry: ManifestEntry, image: str, file: Path) -> Picture:
    """Describe a manifest entry for a writer.

    Args:
        entry: The image and its marks.
        image: Path of the image relative to the folder that is written to.
        file: What errors call the data set.
    """
    place = Place(file, key=entry.image)
    plates = [_outline(mark, "plate", place) for mark in entry.plates]
    stamps = [_outline(mark, "stamp", place) for mark in entry.stamps]
    ignore = [Outline(place, ((b[0], b[1]), (b[2], b[3])), "ignore") for b in entry.ignore]
    listed = [kind for kind in ("plate", "stamp") if f"{kind}s" in entry.model_fields_set]
    known = {"image", "width", "height", "plates", "stamps", "ignore", "split"}
    attributes = entry.model_dump(mode="json", exclude_defaults=True, exclude=known)
    if set(listed) != {outline.label for outline in (*plates, *stamps)}:
        attributes["looked_for"] = listed
    return Picture(
        place=place,
        image=image,
        outlines=(*plates, *stamps, *ignore),
        attributes=attributes,
        size=(entry.width, entry.height),
        split=entry.split,
        crop=entry.kind == "crop",
        labels=tuple(listed),
    )


def encoded(value: Any) -> str:
    """A value of an attribute as text, for formats whose attributes are texts."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def decoded(value: Any) -> Any:
    """A value that is no text, of which `encoded` may have made one."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _outline(mark: PlateAnnotation | StampAnnotation, label: MarkKind, place: Place) -> Outline:
    attributes = mark.model_dump(mode="json", exclude_defaults=True, exclude={"box", "quad"})
    x0, y0, x1, y1 = mark.box
    polygon = attributes.pop("polygon", None)
    if polygon is None and mark.quad is None:
        return Outline(place, ((x0, y0), (x1, y1)), label, attributes)
    points = tuple((float(x), float(y)) for x, y in polygon or cast(Quad, mark.quad))
    plain = Outline(place, points, label, attributes)
    if mark.quad is not None and _quad(plain, label) != mark.quad:
        plain = Outline(place, mark.quad, label, {**attributes, _ORDERED: "ordered"}, ordered=True)
    box = None if plain.bounds == mark.box else mark.box
    return Outline(place, plain.points, label, plain.attributes, box, plain.ordered)


def _fields(outline: Outline, kind: MarkKind) -> dict[str, Any]:
    model = PlateAnnotation if kind == "plate" else StampAnnotation
    fields: dict[str, Any] = {}
    for name, value in outline.attributes.items():
        known = _NAMES.get(name.lower(), name.lower())
        if value in (None, "") or name in (_ORDERED, _MARGINS, "box", "quad"):
            continue
        if known not in model.model_fields or known in fields:
            fields[name] = value
        elif known in _WORDS:
            fields[known] = str(value)
        else:
            fields[known] = decoded(value)
    if kind == "plate" and fields.get("text") is not None:
        fields["text"] = plate_text(fields["text"])
    if not outline.is_box:
        fields["quad"] = _quad(outline, kind)
        if len(outline.points) != 4:
            fields["polygon"] = [list(point) for point in outline.points]
    return fields | {"box": _box(outline)}


def _box(outline: Outline) -> tuple[float, float, float, float]:
    if _MARGINS not in outline.attributes:
        return outline.bounds
    left, top, right, bottom = decoded(outline.attributes[_MARGINS])
    x0, y0, x1, y1 = outline.bounds
    sides = (x0 - left, y0 - top, x1 + right, y1 + bottom)
    rounded = [round(side, 6) for side in sides]
    return (rounded[0], rounded[1], rounded[2], rounded[3])


def _quad(outline: Outline, kind: MarkKind) -> Quad | None:
    """The corners of a mark with a polygon; None for the outline of a stamp that is no quad.

    Raises:
        DatasetError: The polygon has too few points, or the corners of a plate lie on a line.
    """
    points = np.array(outline.points, dtype=np.float64)
    if len(points) < 3 or (len(points) == 3 and kind == "plate"):
        raise outline.place.error(
            f"a polygon of {len(points)} points is no {kind}; mark its four corners, or a box"
        )
    if len(points) == 4 and (outline.ordered or outline.attributes.get(_ORDERED) == "ordered"):
        return cast(Quad, outline.points)
    if len(points) == 4 and is_convex(order_corners(points)):
        return _corners(order_corners(points))
    if kind == "stamp":
        return None
    # The tightest four-sided outline, and for what has none, such as a thin line, a rectangle.
    hull = cv2.convexHull(points.astype(np.float32))
    around = (
        cv2.approxPolyN(hull, 4).reshape(-1, 2)
        if len(hull) > 4
        else cv2.boxPoints(cv2.minAreaRect(hull))
    )
    corners = order_corners(around)
    if not is_convex(corners):
        raise outline.place.error("the points of the polygon lie on a line, which is no plate")
    return _corners(corners)


def _corners(array: np.ndarray[Any, np.dtype[np.float64]]) -> Quad:
    return cast(Quad, tuple((float(x), float(y)) for x, y in array))


def rotated(box: tuple[float, float, float, float], degrees: float, pivot: Point) -> Quad:
    """Corners (x, y) of an upright box turned clockwise about a point, from its own top-left."""
    turn = np.deg2rad(degrees)
    matrix = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    x0, y0, x1, y1 = box
    corners = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)]) - pivot
    return _corners(corners @ matrix + pivot)
