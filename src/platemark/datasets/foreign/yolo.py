"""YOLO: a text of labels for each image, and ``data.yaml``; boxes, oriented boxes, pose corners.

https://docs.ultralytics.com/datasets. A line is ``class x y width height`` with fractions of the
image; for oriented boxes and outlines ``class x1 y1 x2 y2 ...``; for a pose the box and then the
points, here the four corners from the mark's own top-left, each with or without a visibility.
"""

import glob
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np

from platemark.datasets.foreign.files import dumps, open_text
from platemark.datasets.outlines import Outline, Picture, Place, Read, attempt, faults_at, split_of
from platemark.errors import DatasetError, MissingExtra
from platemark.geometry import box_to_quad, is_convex
from platemark.imaging.image import image_size
from platemark.imaging.sources import IMAGE_SUFFIXES
from platemark.splits import Split
from platemark.types.base import Point

Variant = Literal["boxes", "obb", "pose"]
FILE_NAME = "data.yaml"
_PARTS: tuple[tuple[str, Split], ...] = (("train", "train"), ("val", "dev"), ("test", "test"))
_DECIMALS = 10
"""Of the fractions that are written; what is read is rounded to a ten-thousandth of a pixel."""


@dataclass(frozen=True)
class _Config:
    """What ``data.yaml`` says.

    Attributes:
        names: The classes by number; empty where nothing says.
        points: Number of points and of their values where it is a pose, else None.
        ordered: Whether corners begin at the mark's own top-left, as we write them.
        sources: Folders and lists of images, and the split of each.
    """

    names: dict[int, str]
    points: tuple[int, int] | None
    ordered: bool
    sources: Mapping[Path, Split | None]


def read(files: Sequence[Path]) -> Read:
    """Read the images that a ``data.yaml`` names, or those beside a ``classes.txt``."""
    for file in files:
        yield from _read_set(file)


def _read_set(file: Path) -> Read:
    config = _config(file)
    for source, split in config.sources.items():
        for image in _images(source, file):
            place = Place(_labels_beside(image))
            yield attempt(partial(_picture, image, split, config, file.parent, place), place)
        if source.is_dir():
            yield from _labels_without_image(source)


def _config(file: Path) -> _Config:
    root = file.parent
    if file.suffix not in (".yaml", ".yml"):
        with open_text(file) as stream:
            names = dict(enumerate(stream.read().splitlines()))
        return _Config(names, None, False, {root / "images": None})
    try:
        import yaml
    except ImportError as error:
        raise MissingExtra("reading data.yaml", "datasets") from error
    place = Place(file)
    with open_text(file) as stream:
        try:
            stated = yaml.safe_load(stream)
        except yaml.YAMLError as error:
            raise place.error(f"the file is not YAML ({error})") from error
    with faults_at(place):
        names = stated["names"]
        named = dict(enumerate(names) if isinstance(names, list) else names.items())
        shape = stated.get("kpt_shape")
        sources: dict[Path, Split | None] = {}
        for key, split in _PARTS:
            for source in _listed(stated.get(key)):
                # One folder may stand for several parts, where there is but one.
                found = _source(root, stated.get("path"), source, place.at(key))
                sources.setdefault(found, split_of(found.name) or split)
        points = (int(shape[0]), int(shape[1])) if shape else None
        return _Config(named, points, stated.get("corners") == "ordered", sources)


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value] if value else []


def _source(root: Path, path: str | None, source: str, place: Place) -> Path:
    """Where a part's images are; exports of others often hold paths of another machine."""
    plain = source.removeprefix("../")
    for base in (root / (path or ""), root):
        for name in (source, plain):
            if (base / name).exists():
                return base / name
    raise place.error(f"there is no {source!r} with images beside the file; correct the path")


def _images(source: Path, file: Path) -> Iterator[Path]:
    if source.is_dir():
        found = (path for path in source.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
        yield from sorted(found)
    else:
        with open_text(source) as lines:
            for line in filter(None, map(str.strip, lines)):
                yield source.parent / line


def _labels_of(image: Path) -> Path:
    """The text of an image: in ``labels`` where the image is in ``images``, else beside it."""
    parts = list(image.parts)
    if "images" in parts:
        parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
    return Path(*parts).with_suffix(".txt")


def _labels_beside(image: Path) -> Path:
    """The text of an image that is there; beside the image where ``labels`` has none."""
    usual, beside = _labels_of(image), image.with_suffix(".txt")
    return beside if beside.exists() and not usual.exists() else usual


def _labels_without_image(images: Path) -> Iterator[DatasetError]:
    labels = _labels_of(images / "x").parent
    for file in sorted(labels.rglob("*.txt")) if labels != images else ():
        image = images / file.relative_to(labels)
        if not any(path.suffix.lower() in IMAGE_SUFFIXES for path in _of_stem(image)):
            yield Place(file).missing(image.with_suffix(""))


def _of_stem(image: Path) -> Iterator[Path]:
    """Files of any suffix, most likely ones first, so that no folder is listed for each label."""
    for suffix in (".jpg", ".png", ".jpeg", ".JPG"):
        if (found := image.with_suffix(suffix)).exists():
            yield found
            return
    yield from image.parent.glob(f"{glob.escape(image.stem)}.*")


def _picture(
    image: Path, split: Split | None, config: _Config, folder: Path, place: Place
) -> Picture:
    if not image.is_file():
        raise place.missing(image)
    size, outlines = image_size(image), []
    if place.file.exists():
        with open_text(place.file) as lines:
            for number, line in enumerate(lines, start=1):
                at = Place(place.file, number)
                if line.strip():
                    with faults_at(at):
                        outlines.append(_outline(line.split(), size, config, at))
    return Picture(
        place,
        str(image.absolute()),
        tuple(outlines),
        size=size,
        split=split or split_of(os.path.relpath(image.parent, folder)),
        labels=tuple(config.names.values()),
    )


def _outline(words: Sequence[str], size: tuple[int, int], config: _Config, place: Place) -> Outline:
    number, values = int(words[0]), [float(word) for word in words[1:]]
    if number not in (config.names or (0,)):
        raise place.error(f"there is no class {number}; those named are {config.names or 'none'}")
    label = config.names.get(number)
    if config.points is None and len(values) not in (4, 5):  # five: with a score
        points = _pixels(values, size)
        box = Outline(place, points).bounds
        if np.array_equal(box_to_quad(box), points):
            return Outline(place, (points[0], points[2]), label)
        return Outline(place, points, label, ordered=config.ordered)
    x, y, width, height = values[:4]
    corners = [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
    around = _pixels(corners, size)
    if config.points is None:
        return Outline(place, around, label)
    count, each = config.points
    if len(values) != 4 + count * each:
        raise place.error(f"{len(values)} numbers are not a box and {count} points of {each}")
    pose = [values[start : start + each] for start in range(4, len(values), each)]
    if count != 4 or any(point[2:] == [0.0] for point in pose):
        return Outline(place, around, label)
    points = _pixels([value for point in pose for value in point[:2]], size)
    return Outline(place, points, label, box=(*around[0], *around[1]), ordered=is_convex(points))


def _pixels(fractions: Sequence[float], size: tuple[int, int]) -> tuple[Point, ...]:
    xs = [round(value * size[0], 4) for value in fractions[::2]]
    ys = [round(value * size[1], 4) for value in fractions[1::2]]
    return tuple(zip(xs, ys, strict=True))


def write(folder: Path, pictures: Iterable[Picture], *, variant: Variant) -> None:
    """Write a text for each image, and ``data.yaml``; what lies in ``ignore`` is not written."""
    names: dict[str, int] = {}
    splits: dict[str | None, str] = {}
    for picture in pictures:
        splits[picture.split] = PurePosixPath(picture.image).parts[1]
        for label in (*picture.labels, *(str(outline.label) for outline in picture.outlines)):
            if label != "ignore":
                names.setdefault(label, len(names))
        labels = _labels_of(folder / picture.image)
        labels.parent.mkdir(parents=True, exist_ok=True)
        labelled = (
            f"{names[str(outline.label)]} {_numbers(outline, picture, variant)}\n"
            for outline in picture.outlines
            if outline.label != "ignore"
        )
        labels.write_text("".join(labelled), encoding="utf-8")
    # Trainings want both a train and a val; one that is not there is the other.
    first = next(iter(splits.values()), "train")
    lines = [
        *(
            f"{key}: images/{splits.get(split, first)}"
            for key, split in _PARTS
            if split in splits or key != "test"
        ),
        f"names: {dumps(list(names))}",
    ]
    if variant == "pose":
        lines += ["kpt_shape: [4, 3]", "flip_idx: [1, 0, 3, 2]"]
    if variant == "obb":
        lines += ["corners: ordered"]
    (folder / FILE_NAME).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _numbers(outline: Outline, picture: Picture, variant: Variant) -> str:
    width, height = picture.known_size
    x0, y0, x1, y1 = outline.bounds
    quad = outline.points if len(outline.points) == 4 else None
    corners = quad or tuple(map(tuple, box_to_quad(outline.bounds).tolist()))
    values = [(x0 + x1) / 2 / width, (y0 + y1) / 2 / height, (x1 - x0) / width, (y1 - y0) / height]
    if variant == "obb":
        values = [value for x, y in corners for value in (x / width, y / height)]
    elif variant == "pose":
        seen = 2.0 if quad else 0.0
        values += [
            value
            for x, y in corners
            for value in (x / width * bool(quad), y / height * bool(quad), seen)
        ]
    return " ".join(f"{value:.{_DECIMALS}f}".rstrip("0").rstrip(".") for value in values)
