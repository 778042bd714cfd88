"""Pictures and documents that a visitor gave: their pages done one by one, and the downloads."""

import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import PIL.Image

from platemark.apps.services import Kind, Services
from platemark.errors import InputError
from platemark.imaging.cover import Style
from platemark.imaging.draw import cut_mark, draw_image
from platemark.imaging.image import Image
from platemark.imaging.sources import PageReader, Unread
from platemark.pipeline import Pipeline
from platemark.types import Mark, Result, StampMark
from platemark.usecases.export import LAYOUTS, CsvWriter, PictureNames
from platemark.usecases.pages import Item, the_page
from platemark.usecases.redact import Redactor


@dataclass(eq=False)
class Document:
    """What one visitor sees of the files of one drop; kept between the pages that are turned.

    Attributes:
        kind: What is detected.
        paths: Where the files are.
        count: How many pages they have, as far as is known: a file that was not opened yet has one.
        results: Those of the pages that are done, without pixels, file by file.
        files: The file of each result.
        downloads: Folder of the files to take along, removed with the document.
    """

    kind: Kind
    paths: Sequence[Path]
    count: int = 0
    results: list[Result] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    downloads: TemporaryDirectory[str] = field(
        default_factory=lambda: TemporaryDirectory(prefix="platemark-results-")
    )

    @property
    def stamps(self) -> list[tuple[str, StampMark]]:
        """All stamps, each with its number on the page, after that of the page among several."""
        return [
            (f"{page}.{number}" if self.count > 1 else str(number), mark)
            for page, result in enumerate(self.results, 1)
            for number, mark in enumerate(result.marks, 1)
            if isinstance(mark, StampMark)
        ]

    def file(self, ending: str) -> Path:
        """The download with an ending, named after the first file."""
        stem = self.paths[0].stem[:80] or "result"
        return Path(self.downloads.name) / f"{stem}-{self.kind}s.{ending}"


def pages_of(services: Services, path: Path, only: int | None = None) -> PageReader:
    """The pages of a file that was uploaded; they are read in a worker."""
    return services.pages(partial(_content, path), path.name, only)


def read(services: Services, path: Path, page: int) -> Image:
    """Read a page of a file that was uploaded, in a worker.

    Raises:
        InputError: The file cannot be read, or has no such page.
    """
    return services.work.call(lambda: the_page(pages_of(services, path, page)))


def turn(services: Services, document: Document, number: int) -> Image:
    """Read a page of the files of a drop once more, in a worker.

    Args:
        services: Have the workers.
        document: Whose pages.
        number: Which of them, counted from 0.

    Raises:
        InputError: The file cannot be read.
    """
    return read(services, document.files[number], document.results[number].page)


def process(
    services: Services,
    kind: Kind,
    paths: Sequence[Path],
    min_score: float | None,
    pipeline: Pipeline[Any] | None = None,
) -> Iterator[tuple[Document, Item]]:
    """Do files page by page; gives the document so far and the page that was just done.

    A file that cannot be read has a result with its error, and the others go on. The downloads are
    there once it ends. It takes one place among the requests meanwhile.

    Args:
        services: Have the workers and the models.
        kind: What is detected.
        paths: The files.
        min_score: Least score of a mark; by default the models' own rules.
        pipeline: What finds; by default that of the server, which also identifies.

    Raises:
        InputError: The only file cannot be read.
        Overloaded: The server has too much to do.
    """
    finder = pipeline or services.pipeline(kind, min_score, identify=True)
    document = Document(kind, paths, len(paths))

    def work(pages: PageReader) -> tuple[Item, Result]:
        item = next(pages)
        if isinstance(item, Unread) and not pages.count and len(paths) == 1:
            raise item.error
        return item, services.find(kind, item, finder)

    with services.work.admit(), _Downloads(document) as downloads:
        for path in paths:
            pages = pages_of(services, path)
            first = len(document.results)
            while pages.left != 0:
                item, result = services.work.call(partial(work, pages))
                downloads.add(item, result)
                if len(document.results) == first:
                    document.count += max(pages.count or 1, 1) - 1
                # The page is read again when it is turned to: a hundred would not fit into memory.
                document.results.append(replace(result, draw=None))
                document.files.append(path)
                yield document, item


def redact(
    services: Services, document: Document, style: Style
) -> Iterator[tuple[int, Path | None]]:
    """Cover the marks of a document page by page; gives how many are done, and last the copy.

    The copies of several files are in a ZIP file, without those that cannot be read. It takes one
    place among the requests meanwhile.

    Raises:
        InputError: The only file cannot be read.
        Overloaded: The server has too much to do.
    """
    names, copies, done = PictureNames(), list[tuple[str, bytes]](), 0
    with services.work.admit():
        for path in document.paths:
            redactor, pages = services.redactor(document.kind, style), pages_of(services, path)
            add = partial(_add_next, redactor, pages)
            try:
                while pages.left != 0:
                    services.work.call(add)
                    done += 1
                    yield done, None
                copy = services.work.call(redactor.file)
            except InputError:
                if len(document.paths) == 1:
                    raise
            else:
                copies.append((f"{names.stem(str(path), 0)}{copy.suffix}", copy.data))
    folder = Path(document.downloads.name)
    name, data = copies[0]
    target = folder / f"covered-{name}"
    if len(document.paths) > 1:
        target = folder / "covered.zip"
        with zipfile.ZipFile(target, "w") as archive:
            for name, data in copies:
                archive.writestr(name, data)
    else:
        target.write_bytes(data)
    yield done, target


def _add_next(redactor: Redactor, pages: PageReader) -> None:
    redactor.add(next(pages))


class _Downloads:
    """Writes the results as JSON and CSV, and both in a ZIP file with the pictures."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._zip = zipfile.ZipFile(document.file("zip"), "w")

    def __enter__(self) -> "_Downloads":
        return self

    def add(self, item: Item, result: Result) -> None:
        """Add the pictures of a page."""
        if isinstance(item, Unread) or result.error is not None:
            return
        name = f"page-{len(self._document.results) + 1:03d}"
        self._put(f"{name}.jpg", draw_image(item, result.marks))
        for number, mark in enumerate(result.marks, 1):
            self._put(f"{name}-{mark.kind}-{number}{_ending(mark)}", cut_mark(item.pixels, mark))

    def _put(self, name: str, picture: PIL.Image.Image) -> None:
        stream = io.BytesIO()
        picture.save(stream, "PNG" if name.endswith("png") else "JPEG", quality=92)
        self._zip.writestr(name, stream.getvalue())

    def __exit__(self, *_: object) -> None:
        document = self._document
        embedding = document.kind == "stamp"
        objects = [result.to_dict(embedding=embedding) for result in document.results]
        document.file("json").write_text(json.dumps(objects, ensure_ascii=False), encoding="utf-8")
        with document.file("csv").open("w", encoding="utf-8", newline="") as stream:
            writer = CsvWriter(stream, LAYOUTS[document.kind])
            for result in document.results:
                writer.write(result)
        for ending in ("json", "csv"):
            self._zip.write(document.file(ending), f"{document.kind}s.{ending}")
        self._zip.close()


def _ending(mark: Mark) -> str:
    return ".png" if isinstance(mark, StampMark) else ".jpg"


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path.name} is no longer on the server; drop it once more", source=path.name
        ) from error
