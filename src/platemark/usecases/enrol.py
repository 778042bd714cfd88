"""Stamps put into a registry: from pictures, folders, tables, documents and given boxes."""

import csv
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from platemark.errors import (
    DatasetError,
    DesignNotFound,
    DuplicateDesign,
    InputError,
    NoStampFound,
    PlatemarkError,
    SeveralStamps,
)
from platemark.imaging.sources import IMAGE_SUFFIXES, Unread, expand_inputs, read_expanded
from platemark.masks import InkCrop, SoftMask
from platemark.matching import InkTemplate
from platemark.protocols import ReadsStrips
from platemark.registry import Added, Registry
from platemark.registry.registry import Duplicates
from platemark.stamps.pipeline import StampPipeline
from platemark.stamps.reading import read_stamp
from platemark.types import StampMark, as_box
from platemark.usecases.pages import StampPage, Where, no_stamp, stamps_of

# Two stamps are different when the cosine similarity of their embeddings is below this, and the
# comparison of their ink does not say that they are the same.
_ALIKE = 0.5


@dataclass(frozen=True, slots=True)
class Entry:
    """A document, and what its stamps are called.

    Attributes:
        name: Name of the design, or its id, of which all its stamps are samples; or a name for each
            stamp in reading order, where an empty one skips a stamp.
        source: An input: an image, a document, a folder, a glob or a list.
        page: The page meant, counted from 0; None for all.
        where: Where its stamps are.
    """

    name: str | tuple[str, ...]
    source: str
    page: int | None = None
    where: Where = field(default_factory=Where)


@dataclass(frozen=True, slots=True)
class EnrolledStamp:
    """What became of one stamp.

    Attributes:
        name: The name that was asked for.
        mark: The stamp.
        added: What the registry has now; None where it failed.
        error: Why it failed.
    """

    name: str
    mark: StampMark
    added: Added | None = None
    error: PlatemarkError | None = None


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What became of one page of a document.

    Attributes:
        name: The name that was asked for; empty where each stamp has its own.
        source: The document.
        page: The page, counted from 0.
        stamps: Its stamps, in reading order.
        error: Why none was added.
        warnings: What the caller should check.
    """

    name: str
    source: str
    page: int = 0
    stamps: tuple[EnrolledStamp, ...] = ()
    error: PlatemarkError | None = None
    warnings: tuple[str, ...] = ()

    @property
    def added(self) -> tuple[Added, ...]:
        """What was added."""
        return tuple(stamp.added for stamp in self.stamps if stamp.added is not None)


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms stamps are added; see `Registry.add`.

    Attributes:
        tags: Words to find new designs by.
        owner: Whose stamps new designs are.
        notes: Free text for new designs.
        duplicates: What to do with stamps that seem to be those of another design.
        all: Different stamps of a document may become samples of one name.
        new: A name that the registry has already is refused.
    """

    tags: tuple[str, ...] = ()
    owner: str = ""
    notes: str = ""
    duplicates: Duplicates = "warn"
    all: bool = False
    new: bool = False

    def add(self, registry: Registry, name: str, mark: StampMark) -> EnrolledStamp:
        """Add a stamp on these terms."""
        try:
            if self.new and is_known(registry, name):
                raise DuplicateDesign(f"the registry has a design {name!r} already")
            added = registry.add(
                name,
                mark,
                notes=self.notes,
                tags=self.tags,
                owner=self.owner,
                duplicates=self.duplicates,
            )
        except PlatemarkError as error:
            return EnrolledStamp(name, mark, error=error)
        return EnrolledStamp(name, mark, added)


def enrol(
    registry: Registry,
    pipeline: StampPipeline,
    entries: Iterable[Entry | Enrolled],
    terms: Terms = Terms(),
) -> Iterator[Enrolled]:
    """Find the stamps of documents and add them, one by one; what fails leaves the others.

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
        items = read_expanded(expand_inputs([entry.source]), only=entry.page)
        for _, pages in groupby(items, key=lambda item: item.source):
            found = [stamps_of(pipeline, page, entry.where) for page in pages]
            yield from add_stamps(registry, pipeline, found, entry.name, terms)


def add_stamps(
    registry: Registry,
    pipeline: StampPipeline,
    pages: Sequence[StampPage],
    name: str | Sequence[str],
    terms: Terms = Terms(),
) -> list[Enrolled]:
    """Add the stamps of one document to a registry.

    Nothing is added of a document that shows no stamp; nor, unless ``terms.all``, of one with
    different stamps and one name; nor where there are more or fewer names than stamps.

    Args:
        registry: Where they go.
        pipeline: Found them; its comparer tells different ones, and its reader, where it has one,
            reads those that were not read yet.
        pages: The pages of the document.
        name: Of the design of all stamps, or one for each in reading order; an empty one skips it.
        terms: On what terms.

    Returns:
        What became of each page; where nothing may be added, the first has the error that says why.
    """
    asked = name if isinstance(name, str) else ""
    failed = [page for page in pages if page.error is not None]
    stamps = [stamp for page in pages for stamp in page.stamps]
    try:
        names = _names(pipeline, pages, stamps, name, terms) if stamps or not failed else []
    except PlatemarkError as error:
        first = Enrolled(asked, pages[0].source, pages[0].page, error=error)
        return [first, *(Enrolled(asked, p.source, p.page, error=p.error) for p in failed)]
    each = iter(names)
    done = []
    for page in pages:
        pairs = [(own, mark) for mark in page.stamps if (own := next(each))]
        added = tuple(terms.add(registry, own, _with_text(pipeline, mark)) for own, mark in pairs)
        doubts = [doubt for one in added for doubt in _doubts(page.source, one)]
        warnings = (*page.warnings, *doubts)
        done.append(Enrolled(asked, page.source, page.page, added, page.error, warnings))
    return done


def _with_text(pipeline: StampPipeline, mark: StampMark) -> StampMark:
    if pipeline.reader is None or mark.text is not None or mark.crop is None:
        return mark
    return replace(mark, text=_text(mark.crop, pipeline.reader))


def _names(
    pipeline: StampPipeline,
    pages: Sequence[StampPage],
    stamps: Sequence[StampMark],
    name: str | Sequence[str],
    terms: Terms,
) -> Sequence[str]:
    """A name for each stamp of a document.

    Raises:
        NoStampFound: There are no stamps, or fewer than names.
        SeveralStamps: There are more than names, or different ones and one name.
    """
    source = pages[0].source
    if not stamps:
        raise no_stamp(source)
    if isinstance(name, str):
        if not terms.all and differ(pipeline, stamps):
            raise SeveralStamps(
                f"{source} shows different stamps, which cannot all be {name!r}: {_listed(pages)}; "
                "give each a name of its own, say which page and box is meant, or ask for all",
                source=source,
            )
        return [name] * len(stamps)
    if len(name) != len(stamps):
        kind = SeveralStamps if len(stamps) > len(name) else NoStampFound
        raise kind(
            f"{source} has {len(stamps)} stamps and {len(name)} names were given: "
            f"{_listed(pages)}; give a name for each, or '' to skip one",
            source=source,
        )
    return name


def differ(pipeline: StampPipeline, stamps: Sequence[StampMark]) -> bool:
    """Whether some stamp is of another design than the one with the highest score."""
    inked = [(mark, mark.embedding.vector) for mark in stamps if mark.embedding is not None]
    if len(inked) < 2:
        return False
    first, own = max(inked, key=lambda pair: pair[0].score)
    unlike = [mark for mark, vector in inked if float(own @ vector) < _ALIKE]
    template = InkTemplate.of(first)
    matches = (pipeline.comparer(template, InkTemplate.of(mark)) for mark in unlike)
    return any(match.verdict != "same" for match in matches)


def _listed(pages: Sequence[StampPage]) -> str:
    """The stamps of pages in words: colour and shape, page and box."""
    return "; ".join(
        f"{mark.color} {mark.shape} on page {page.page} at {tuple(round(v) for v in mark.box)}"
        for page in pages
        for mark in page.stamps
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
                    found.append(
                        Entry(place.name, os.fspath(str(source)), where=Where(or_whole=True))
                    )
        elif place.suffix.lower() in IMAGE_SUFFIXES:
            error = InputError(
                f"{place} lies in no folder that names its design; move it into one",
                source=str(place),
            )
            found.append(Enrolled("", str(place), error=error))
    return found


def from_csv(path: Path) -> list[Entry]:
    """Make entries of a table with a header: ``source``, ``name``, and ``page``, ``x0`` .. ``y1``.

    Page and box may be left out or empty, other columns are ignored, and so are rows without a
    name: what ``platemark stamps --format csv`` writes, with a column ``name``, is such a table. A
    source that does not exist as it is given is searched beside the table.

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
        return Entry(name, source, int(page) if page else None, Where(box))
    except ValueError as error:
        raise DatasetError(f"{error}", file=path, line=line) from error


def reindex(
    registry: Registry,
    pipeline: StampPipeline,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """Recompute the vectors of a registry with the embedder of a pipeline; see `Registry.reindex`.

    Returns:
        How many there are.
    """

    def embed(inks: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        return pipeline.embedder(
            [SoftMask(ink.astype(np.float32) / np.float32(255)) for ink in inks]
        )

    return registry.reindex(embed, pipeline.embedder.name, progress=progress)


def read_samples(
    registry: Registry,
    reader: ReadsStrips,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """Read all samples of a registry again; see `Registry.read`.

    Returns:
        How many could be read.
    """
    return registry.read(partial(_text, reader=reader), progress=progress)


def _text(crop: InkCrop, reader: ReadsStrips) -> str | None:
    """What an imprint says."""
    return read_stamp(crop.pixels, crop.ink.astype(np.float32) / np.float32(255), reader).text


def is_known(registry: Registry, name: str) -> bool:
    """Whether a registry has a design of this name.

    Raises:
        InvalidDesign: None can have it.
    """
    try:
        registry.design(name)
    except DesignNotFound:
        return False
    return True


def _doubts(source: str, stamp: EnrolledStamp) -> Iterator[str]:
    """What the caller who added a stamp should check."""
    if (added := stamp.added) is None:
        return
    if added.alike:
        first = added.alike[0]
        yield (
            f"a stamp of {source} added to {stamp.name!r} may be that of {first.design.name!r} "
            f"(score {first.score:.3f}); if so: platemark registry merge"
        )
    if not added.new_sample:
        yield f"a stamp of {source} was a sample of {stamp.name!r} already"
