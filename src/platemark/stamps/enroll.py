"""Stamps put into a registry: from pictures, folders, tables, documents and drawn boxes."""

import csv
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from platemark.errors import DatasetError, InputError, NoStampFound, PlatemarkError
from platemark.geometry import box_to_quad
from platemark.imaging.image import Image
from platemark.imaging.sources import IMAGE_SUFFIXES, Unread, expand_inputs, read_expanded
from platemark.masks import SoftMask
from platemark.registry.records import Added
from platemark.registry.registry import Duplicates, Registry
from platemark.stamps.pipeline import StampPipeline
from platemark.types import Box, Detection, StampMark, as_box, as_quad

# Stamps of one image that are added under one name are of one design when their vectors are at
# least so near; below, a word of warning is due.
_ALIKE = 0.5


@dataclass(frozen=True, slots=True)
class Entry:
    """What is to be added under one name.

    Attributes:
        name: Name of the design, or its id.
        source: An input: an image, a document, a folder, a glob or a list.
        page: The page meant, counted from 0; None for all.
        box: Where the stamp is, in pixels of the page; None to look for stamps.
        whole: Each picture is one stamp already cut out.
        or_whole: It is if no stamp is found in it.
    """

    name: str
    source: str
    page: int | None = None
    box: Box | None = None
    whole: bool = False
    or_whole: bool = False


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What became of one page of an entry.

    Attributes:
        name: The name that was asked for.
        source: The image.
        page: Its page, counted from 0.
        added: The stamps that were added.
        error: Why not, or not all.
        warnings: What whoever asked should look at.
    """

    name: str
    source: str
    page: int = 0
    added: tuple[Added, ...] = ()
    error: PlatemarkError | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms stamps are added; see `Registry.add`.

    Attributes:
        tags: Words to find new designs by.
        owner: Whose stamps new designs are.
        notes: Free text for new designs.
        duplicates: What to do with stamps that seem to be those of another design.
    """

    tags: tuple[str, ...] = ()
    owner: str = ""
    notes: str = ""
    duplicates: Duplicates = "warn"

    def add(self, registry: Registry, name: str, mark: StampMark) -> Added:
        """Add a stamp on these terms."""
        return registry.add(
            name,
            mark,
            notes=self.notes,
            tags=self.tags,
            owner=self.owner,
            duplicates=self.duplicates,
        )


def enroll(
    registry: Registry,
    pipeline: StampPipeline,
    entries: Iterable[Entry | Enrolled],
    terms: Terms = Terms(),
) -> Iterator[Enrolled]:
    """Find the stamps of entries and add them, a page at a time; what fails leaves the others.

    Args:
        registry: Where they go.
        pipeline: Finds and describes them.
        entries: What to add; what failed before is passed on.
        terms: On what terms.
    """
    for entry in entries:
        if isinstance(entry, Enrolled):
            yield entry
            continue
        empty = True
        for item in read_expanded(expand_inputs([entry.source])):
            if entry.page is not None and item.page != entry.page:
                continue
            empty = False
            if isinstance(item, Unread):
                yield Enrolled(entry.name, item.source, item.page, error=item.error)
                continue
            added: list[Added] = []
            warnings: list[str] = []
            error: PlatemarkError | None = None
            try:
                marks = _stamps(pipeline, entry, item, warnings)
                for mark in marks:
                    added.append(terms.add(registry, entry.name, mark))
                warnings += _doubts(item.source, entry.name, marks, added)
            except PlatemarkError as problem:
                error = problem
            yield Enrolled(entry.name, item.source, item.page, tuple(added), error, tuple(warnings))
        if empty:
            yield Enrolled(
                entry.name,
                entry.source,
                entry.page or 0,
                error=InputError(
                    f"{entry.source} has no page {entry.page}; pages are counted from 0",
                    source=entry.source,
                ),
            )


def from_tree(folder: Path) -> list[Entry | Enrolled]:
    """Make entries of a folder with a folder for each design, called as the design.

    Returns:
        An entry for each picture, sorted by folder and name; pictures that lie in no such folder,
        and folders without pictures, have an error in their place.
    """
    found: list[Entry | Enrolled] = []
    for place in sorted(folder.iterdir()):
        if place.name.startswith("."):
            continue
        if place.is_dir():
            for source in expand_inputs([place]):
                if isinstance(source, Unread):
                    found.append(Enrolled(place.name, source.source, error=source.error))
                else:
                    found.append(Entry(place.name, os.fspath(str(source)), or_whole=True))
        elif place.suffix.lower() in IMAGE_SUFFIXES:
            error = InputError(
                f"{place} lies in no folder that names its design; move it into one",
                source=str(place),
            )
            found.append(Enrolled("", str(place), error=error))
    return found


def from_csv(path: Path) -> list[Entry]:
    """Make entries of a table with a header: ``source``, ``name``, and ``page``, ``x0`` .. ``y1``.

    Page and box may be left out or empty, other columns are passed over, and so are rows without a
    name: what ``platemark stamps --format csv`` writes, with a column ``name``, is such a table. A
    source that does not exist as it is given is looked for beside the table.

    Raises:
        DatasetError: The table cannot be read, or a row is not as it should be.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            columns = set(reader.fieldnames or ())
            if not {"source", "name"} <= columns:
                raise DatasetError("the table needs the columns source and name", file=path, line=1)
            entries = []
            for row in reader:
                if (row["name"] or "").strip():
                    entries.append(_entry(row, path, reader.line_num))
            return entries
    except OSError as error:
        raise DatasetError(f"cannot be read: {error.strerror or error}", file=path) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"is no CSV table in UTF-8: {error}", file=path) from error


def _entry(row: dict[str, str | None], path: Path, line: int) -> Entry:
    source, name = row["source"] or "", row["name"] or ""
    beside = path.parent / source
    if source and not Path(source).exists() and beside.exists():
        source = str(beside)
    corners = [(row.get(key) or "").strip() for key in ("x0", "y0", "x1", "y1")]
    page = (row.get("page") or "").strip()
    try:
        box = as_box([float(corner) for corner in corners]) if any(corners) else None
        if not source:
            raise ValueError("the source is empty")
        return Entry(name, source, int(page) if page else None, box)
    except ValueError as error:
        raise DatasetError(f"{error}", file=path, line=line) from error


def name_stamps(
    registry: Registry,
    pipeline: StampPipeline,
    document: str,
    names: Sequence[str],
    terms: Terms = Terms(),
) -> list[Enrolled]:
    """Add the stamps of a document, each under a name of its own.

    Args:
        registry: Where they go.
        pipeline: Finds and describes them.
        document: An image or a document of pages.
        names: Of the stamps in reading order: by page, then from top to bottom, then from left to
            right. An empty name passes one over.
        terms: On what terms.

    Raises:
        InputError: The document cannot be read, or has another number of stamps than names.
    """
    found: list[StampMark] = []
    for item in read_expanded(expand_inputs([document])):
        if isinstance(item, Unread):
            raise item.error
        marks = pipeline.marks(item)
        found += sorted(marks, key=lambda mark: (mark.box[1], mark.box[0]))
    if len(found) != len(names):
        places = "; ".join(
            f"page {mark.crop.page if mark.crop else 0} at {tuple(round(v) for v in mark.box)}"
            for mark in found
        )
        raise NoStampFound(
            f"{document} has {len(found)} stamps and {len(names)} names were given: "
            f"{places or 'none was found'}; give a name for each, or '' to pass one over",
            source=document,
        )
    done: list[Enrolled] = []
    for name, mark in zip(names, found, strict=True):
        if not name:
            continue
        page = mark.crop.page if mark.crop else 0
        try:
            added = terms.add(registry, name, mark)
            warnings = _doubts(document, name, [mark], [added])
            done.append(Enrolled(name, document, page, (added,), warnings=tuple(warnings)))
        except PlatemarkError as error:
            done.append(Enrolled(name, document, page, error=error))
    return done


def reindex(
    registry: Registry,
    pipeline: StampPipeline,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """Make the vectors of a registry anew with the embedder of a pipeline; see `Registry.reindex`.

    Returns:
        How many there are.
    """

    def embed(inks: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        return pipeline.embedder(
            [SoftMask(ink.astype(np.float32) / np.float32(255)) for ink in inks]
        )

    return registry.reindex(embed, pipeline.embedder.name, progress=progress)


def boxed(box: Box) -> Detection:
    """A stamp where someone drew its box."""
    return Detection("stamp", 1.0, box, as_quad(box_to_quad(box)))


def whole_picture(image: Image) -> list[Detection]:
    """Take a picture for a stamp that was cut out: its box is all of it."""
    return [boxed((0.0, 0.0, float(image.width), float(image.height)))]


def _stamps(
    pipeline: StampPipeline, entry: Entry, image: Image, warnings: list[str]
) -> list[StampMark]:
    """The stamps of a page that an entry means.

    Raises:
        NoStampFound: There is none.
        InputError: The box is not on the page.
    """
    if entry.box is not None:
        x0, y0, x1, y1 = entry.box
        box = (max(x0, 0.0), max(y0, 0.0), min(x1, image.width), min(y1, image.height))
        if box[2] - box[0] < 1 or box[3] - box[1] < 1:
            raise InputError(
                f"the box {entry.box} is not on {image.source}, which has "
                f"{image.width}x{image.height} pixels",
                source=image.source,
            )
        detections = [boxed(box)]
    elif entry.whole:
        detections = whole_picture(image)
    elif found := pipeline.marks(image):
        return found
    elif entry.or_whole:
        detections = whole_picture(image)
        warnings.append(f"no stamp was found in {image.source}: the whole picture was taken")
    else:
        raise NoStampFound(
            f"no stamp was found in {image.source}"
            + (f" page {image.page}" if image.page else "")
            + "; say where it is with a box, or that the whole picture is one",
            source=image.source,
        )
    return pipeline.describe(image, detections)


def _doubts(
    source: str, name: str, marks: Sequence[StampMark], added: Sequence[Added]
) -> list[str]:
    """What whoever added stamps under one name should look at."""
    doubts = []
    vectors = [mark.embedding.vector for mark in marks if mark.embedding is not None]
    likeness = [float(vectors[0] @ vector) for vector in vectors[1:]]
    if likeness and min(likeness) < _ALIKE:
        doubts.append(
            f"{len(marks)} stamps of {source} are now samples of {name!r}, but look unlike each "
            f"other (similarity {min(likeness):.2f}); part them with: platemark registry split"
        )
    for one in added:
        if one.alike:
            first = one.alike[0]
            doubts.append(
                f"a stamp of {source} added to {name!r} may be that of {first.design.name!r} "
                f"(score {first.score:.3f}); if so: platemark registry merge"
            )
        if not one.new_sample:
            doubts.append(f"a stamp of {source} was a sample of {name!r} already")
    return doubts
