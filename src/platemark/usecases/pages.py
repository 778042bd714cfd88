"""Pages of inputs: which pages they have, which stamps these show, and in which order."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from platemark.errors import InputError, NoStampFound, PlatemarkError
from platemark.imaging.image import Image, ImageInput
from platemark.imaging.sources import PageRead, Unread, expand_inputs, page_reads
from platemark.stamps.pipeline import StampPipeline, whole_picture
from platemark.types import Box, Detection, Mark, StampMark

Item = Image | Unread
"""A page, or why it could not be read."""
MarkT = TypeVar("MarkT", bound=Mark)


@dataclass(frozen=True, slots=True)
class Where:
    """Where the stamps of a page are.

    Attributes:
        box: The one stamp is here, in pixels of the page; None to detect the stamps.
        whole: The picture is one stamp already cropped.
        or_whole: It is if no stamp is found in it.
    """

    box: Box | None = None
    whole: bool = False
    or_whole: bool = False


@dataclass(frozen=True, slots=True)
class StampPage:
    """The stamps of a page.

    Attributes:
        source: The input.
        page: The page, counted from 0.
        stamps: In reading order; empty where there are none.
        error: Why the page could not be processed; None where it was.
        warnings: What the caller should check.
    """

    source: str
    page: int
    stamps: tuple[StampMark, ...] = ()
    error: PlatemarkError | None = None
    warnings: tuple[str, ...] = ()


def reads_of_inputs(
    inputs: Sequence[str],
    written: Sequence[Path] = (),
    total: Callable[[int], None] | None = None,
) -> Iterator[PageRead]:
    """Open inputs, without what earlier runs wrote among them, for others to read their pages.

    Args:
        inputs: Files, folders, globs, lists, or ``-``.
        written: Folders to which pictures are written; those within an input folder are skipped,
            unless they, or what lies in them, are given as inputs.
        total: Is told how many pages there are as far as is known: an input that was not opened
            yet counts as one. All inputs are then listed before the first is read.
    """
    given = [Path(name).resolve() for name in inputs]
    folders = [folder.resolve() for folder in written]
    ours = {home for home in folders if not any(path.is_relative_to(home) for path in given)}
    items = (
        item
        for item in expand_inputs(inputs)
        if not (ours and isinstance(item, str) and ours.intersection(Path(item).resolve().parents))
    )
    return page_reads(items) if total is None else _counted(list(items), total)


def _counted(items: list[ImageInput | Unread], total: Callable[[int], None]) -> Iterator[PageRead]:
    pages = len(items)

    def opened(more: int) -> None:
        nonlocal pages
        pages += more - 1
        total(pages)

    total(pages)
    return page_reads(items, opened=opened)


def the_page(items: Iterable[Item]) -> Image:
    """Return the first page.

    Raises:
        InputError: It cannot be read.
    """
    item = next(iter(items))
    if isinstance(item, Unread):
        raise item.error
    return item


def stamps_of(pipeline: StampPipeline, item: Item, where: Where = Where()) -> StampPage:
    """Find and describe the stamps of a page; whatever fails is the page's ``error``."""
    if isinstance(item, Unread):
        return StampPage(item.source, item.page, error=item.error)
    warnings: list[str] = []
    try:
        stamps = _stamps(pipeline, item, where, warnings)
    except PlatemarkError as error:
        return StampPage(item.source, item.page, error=error)
    return StampPage(item.source, item.page, tuple(reading_order(stamps)), None, tuple(warnings))


def _stamps(
    pipeline: StampPipeline, image: Image, where: Where, warnings: list[str]
) -> list[StampMark]:
    if where.box is not None:
        x0, y0, x1, y1 = where.box
        box = (max(x0, 0.0), max(y0, 0.0), min(x1, image.width), min(y1, image.height))
        if box[2] - box[0] < 1 or box[3] - box[1] < 1:
            raise InputError(
                f"the box {where.box} is not on {image.source}, which has "
                f"{image.width}x{image.height} pixels",
                source=image.source,
            )
        return pipeline.describe(image, [Detection.given("stamp", box)])
    if where.whole:
        return pipeline.describe(image, whole_picture(image))
    found = pipeline.marks(image)
    if not found and where.or_whole:
        warnings.append(f"no stamp was found in {image.source}: the whole picture was taken")
        return pipeline.describe(image, whole_picture(image))
    return found


def reading_order(marks: Iterable[MarkT]) -> list[MarkT]:
    """Sort the marks of a page as one reads: in rows from the top, each from the left.

    A mark is in the row above it when its middle is not below the first mark of that row.
    """
    rows: list[list[MarkT]] = []
    for mark in sorted(marks, key=lambda one: one.box[1]):
        if not rows or (mark.box[1] + mark.box[3]) / 2 > rows[-1][0].box[3]:
            rows.append([])
        rows[-1].append(mark)
    return [mark for row in rows for mark in sorted(row, key=lambda one: one.box[0])]


def no_stamp(source: str) -> NoStampFound:
    """The error that says that an input shows no stamp."""
    return NoStampFound(
        f"no stamp was found in {source}; a closer or sharper picture may help, or say where it is "
        "with a box, or that the picture is one already cropped",
        source=source,
    )
