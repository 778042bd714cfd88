"""Contact sheets: the images of a data set, or its marks, many on a page."""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import PIL.Image
import PIL.ImageDraw

from platemark.datasets.convert import Dataset
from platemark.datasets.manifest import ManifestEntry, PlateAnnotation, StampAnnotation
from platemark.errors import DatasetError, PlatemarkError
from platemark.imaging.draw import draw_outlines, system_font
from platemark.imaging.image import Image
from platemark.imaging.warp import rectify
from platemark.splits import Split
from platemark.types.base import as_quad

Cells = Literal["images", "marks"]

_CELL, _GAP, _LINE, _FONT = (320, 220), 12, 18, 13
_COLUMNS, _ROWS = 4, 5
_MARGIN = 0.15
"""What is shown around a mark, as a fraction of its size."""
_DOT = 4


@dataclass
class Sheets:
    """The sheets that were made.

    Attributes:
        files: The pages.
        shown: Number of images or marks on them.
        errors: Why images are not shown, those that could not be.
    """

    files: list[Path] = field(default_factory=list)
    shown: int = 0
    errors: list[PlatemarkError] = field(default_factory=list)


def show_dataset(
    dataset: Dataset,
    folder: Path,
    *,
    cells: Cells = "images",
    count: int | None = None,
    split: Split | None = None,
    seed: int = 0,
    progress: Callable[[int], None] = lambda done: None,
) -> Sheets:
    """Draw images with their marks, or the marks upright, on pages ``sheet-001.png`` and on.

    A dot is at the first corner of each mark, and its text above it.

    Args:
        dataset: Annotated images.
        folder: Where the pages go; it exists.
        cells: Whole images, or rectified crops of marks.
        count: Show this number of images, chosen at random; None shows all.
        split: Show this split alone.
        seed: Of the choice.
        progress: Called with the number of images done.

    Raises:
        DatasetError: A file of annotations cannot be read at all.
        OSError: A page cannot be written.
    """
    sheets, page = Sheets(), list[PIL.Image.Image]()
    for number, entry in enumerate(_chosen(dataset, sheets, count, split, seed), start=1):
        try:
            made = list(_cells(dataset, entry, cells))
        except PlatemarkError as error:
            sheets.errors.append(error)
            continue
        for cell in made:
            page.append(cell)
            if len(page) == _COLUMNS * _ROWS:
                _save(page, folder, sheets)
        progress(number)
    if page:
        _save(page, folder, sheets)
    return sheets


def thumbnail(path: Path, entry: ManifestEntry | None, size: tuple[int, int]) -> PIL.Image.Image:
    """An image with its marks, made to fit.

    Args:
        path: Of the image.
        entry: Whose marks are outlined; None outlines none.
        size: Width and height at most.

    Raises:
        InputError: The image cannot be read.
    """
    image = Image.read(path)
    scale = min(size[0] / image.width, size[1] / image.height)
    small = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    picture = PIL.Image.fromarray(image.pixels).resize(small, PIL.Image.Resampling.BOX)
    if entry is None:
        return picture
    kinds = [("plate", mark) for mark in entry.plates] + [("stamp", mark) for mark in entry.stamps]
    scaled = [(kind, as_quad(mark.corners * scale), mark.text or "") for kind, mark in kinds]
    draw_outlines(picture, scaled)
    pen = PIL.ImageDraw.Draw(picture)
    for _, ((x, y), *_), _ in scaled:
        pen.ellipse((x - _DOT, y - _DOT, x + _DOT, y + _DOT), fill="white", outline="black")
    return picture


def _chosen(
    dataset: Dataset, sheets: Sheets, count: int | None, split: Split | None, seed: int
) -> Iterable[ManifestEntry]:
    """The entries to show, in their order; of the choice memory holds no more (Vitter's R)."""

    def wanted() -> Iterator[ManifestEntry]:
        for entry in dataset:
            if isinstance(entry, DatasetError):
                sheets.errors.append(entry)
            elif split in (None, entry.split):
                yield entry

    if count is None:
        return wanted()
    chance = random.Random(seed)
    kept: list[tuple[int, ManifestEntry]] = []
    for number, entry in enumerate(wanted()):
        if len(kept) < count:
            kept.append((number, entry))
        elif (place := chance.randrange(number + 1)) < count:
            kept[place] = (number, entry)
    return (entry for _, entry in sorted(kept, key=lambda each: each[0]))


def _cells(dataset: Dataset, entry: ManifestEntry, cells: Cells) -> Iterator[PIL.Image.Image]:
    name = f"{entry.image} ({entry.split})"
    if cells == "images":
        yield _cell(thumbnail(dataset.path(entry), entry, _CELL), [name])
        return
    marks: list[PlateAnnotation | StampAnnotation] = [*entry.plates, *entry.stamps]
    if not marks:
        return
    pixels = Image.read(dataset.path(entry)).pixels
    for mark in marks:
        picture = PIL.Image.fromarray(rectify(pixels, mark.corners, margin=_MARGIN).pixels)
        scale = min(_CELL[0] / picture.width, (_CELL[1] - _LINE) / picture.height)
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        stated = (mark.text, getattr(mark, "region", None), getattr(mark, "identity", None))
        yield _cell(picture.resize(size), [" · ".join(filter(None, stated)) or "-", name])


def _cell(picture: PIL.Image.Image, lines: Sequence[str]) -> PIL.Image.Image:
    cell = PIL.Image.new("RGB", (_CELL[0], _CELL[1] + _LINE), "white")
    height = cell.height - _LINE * len(lines)
    cell.paste(picture, ((cell.width - picture.width) // 2, max(0, height - picture.height) // 2))
    pen, font = PIL.ImageDraw.Draw(cell), system_font(_FONT)
    for number, line in enumerate(lines):
        # The end of a path tells more than its beginning.
        while line and pen.textlength(line, font=font) > cell.width:
            line = f"…{line[2:]}"
        pen.text((0, height + number * _LINE), line, fill="black", font=font)
    return cell


def _save(page: list[PIL.Image.Image], folder: Path, sheets: Sheets) -> None:
    """Write a page of cells, and begin the next."""
    rows = -(-len(page) // _COLUMNS)
    step = (_CELL[0] + _GAP, _CELL[1] + _LINE + _GAP)
    sheet = PIL.Image.new("RGB", (_COLUMNS * step[0] + _GAP, rows * step[1] + _GAP), "#d8d8d8")
    for number, cell in enumerate(page):
        row, column = divmod(number, _COLUMNS)
        sheet.paste(cell, (_GAP + column * step[0], _GAP + row * step[1]))
    file = folder / f"sheet-{len(sheets.files) + 1:03d}.png"
    sheet.save(file)
    sheets.files.append(file)
    sheets.shown += len(page)
    page.clear()
