"""What users give as INPUT becomes a lazy stream of images: files, folders, globs, lists, pages."""

import codecs
import glob
import math
import os
import sys
import threading
import weakref
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
import PIL.Image
import pypdfium2
import pypdfium2.raw as pdfium
from pypdfium2.internal import ErrorToStr

from platemark.errors import InputError, PlatemarkError, UnreadableImage, UnsupportedInput
from platemark.imaging.formats import HEAD, format_of, open_image, tiff_pages
from platemark.imaging.image import (
    MAX_PIXELS,
    Image,
    ImageInput,
    Readable,
    check_size,
    content_of,
    decoding,
    is_address,
    open_file,
    stored_as,
)
from platemark.imaging.pixels import decode
from platemark.imaging.stored import Stored

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".png", ".webp", ".bmp", ".tif", ".tiff", ".heic", ".heif"}
)
"""Suffixes, in lower case, of the images that are taken from a folder."""

PDF_DPI = 200
"""Resolution at which PDF pages are rendered unless told otherwise."""

STDIN = "-"

DOCUMENT_SUFFIXES = IMAGE_SUFFIXES | {".pdf"}
"""Suffixes, in lower case, of what is taken from a folder unless told otherwise."""

PDFIUM = threading.RLock()
"""Held by whoever calls PDFium, which is not thread-safe; reentrant because a document may be
collected, and so closed, by a thread that holds it."""


@dataclass(frozen=True)
class Unread:
    """An input, or a page of one, that could not be read.

    Attributes:
        source: The input as given or found.
        error: Why not.
        page: Page, counted from 0.
    """

    source: str
    error: PlatemarkError
    page: int = 0


PageRead = Callable[[], Image | Unread]
"""Reads one page when it is called, from any thread."""


class Pages(Protocol):
    """The pages of one input; may be shared by threads."""

    def __len__(self) -> int:
        """Return the number of pages."""
        ...

    def read(self, page: int) -> Image:
        """Return one page, counted from 0.

        Raises:
            UnreadableImage: The page is corrupt.
            InputTooLarge: The page has too many pixels.
        """
        ...


def open_pages(
    value: ImageInput,
    source: str | None = None,
    *,
    dpi: float = PDF_DPI,
    max_pixels: int = MAX_PIXELS,
) -> Pages:
    """Open one input and count its pages; an ordinary image has one.

    What it is, is told by its content, whatever its name and however it came.

    Args:
        value: As for `Image.read`, and a PDF in any of these ways.
        source: What to call it in results and errors.
        dpi: Resolution at which PDF pages are rendered, lower for pages that would be too large.
        max_pixels: Larger images and pages of TIFFs are refused before they are decoded.

    Raises:
        UnreadableImage: The file is missing, empty, corrupt, no image, or a PDF without pages.
        UnsupportedInput: It is a folder, a video, no file, or a PDF with a password.
    """
    if isinstance(value, PIL.Image.Image):  # which two threads must not load at a time
        value = Image.from_pil(value, source, max_pixels=max_pixels)
    if isinstance(value, (np.ndarray, Image)):
        return _OnePage(value, source, None, max_pixels)
    file: str | None = None
    if isinstance(value, (str, os.PathLike)):
        file = os.fspath(value)
        source = source or file
        with open_file(file, source) as stream:
            kind = format_of(stream.peek(HEAD)) if stream.seekable() else None
            # A PDF is not read into memory: PDFium takes what it needs from the file.
            if kind == "pdf":
                return _PdfPages(file, source, file, dpi, max_pixels)
            if kind not in (None, "tiff"):
                return _OnePage(file, source, file, max_pixels)
            data = stream.read()
    else:
        data, name = content_of(value)
        source = source or name
    kind = format_of(data[:HEAD])
    if kind == "pdf":
        return _PdfPages(data, source, file, dpi, max_pixels)
    if kind == "tiff":
        return _TiffPages(data, source, file, max_pixels)
    return _OnePage(data, source, file, max_pixels)


@dataclass(frozen=True)
class _OnePage:
    value: ImageInput
    source: str | None
    file: str | None
    max_pixels: int

    def __len__(self) -> int:
        return 1

    def read(self, page: int) -> Image:
        image = Image.read(self.value, self.source, max_pixels=self.max_pixels)
        return image if self.file is None else replace(image, file=self.file)


class _TiffPages:
    def __init__(self, data: bytes, source: str, file: str | None, max_pixels: int) -> None:
        self._data, self._source, self._path, self._max_pixels = data, source, file, max_pixels
        self._lock = threading.Lock()
        with decoding(source):
            self._file = open_image(data, source)
            self._frames = tiff_pages(self._file)

    def __len__(self) -> int:
        return len(self._frames)

    def read(self, page: int) -> Image:
        with decoding(self._source), self._lock:
            self._file.seek(self._frames[page])
            check_size(self._file, self._max_pixels, self._source)
            stored = stored_as(self._file, self._data)
            pixels = decode(self._file, self._data)
            return Image(pixels, self._source, page, self._path, stored)


class _PdfPages:
    def __init__(
        self, content: str | bytes, source: str, file: str | None, dpi: float, max_pixels: int
    ) -> None:
        self._source, self._path = source, file
        self._scale, self._max_pixels = dpi / 72.0, max_pixels
        with PDFIUM:
            # Not by pypdfium2, which takes the error of an earlier file for one of this.
            if isinstance(content, bytes):
                handle = pdfium.FPDF_LoadMemDocument64(content, len(content), None)
            else:
                handle = pdfium.FPDF_LoadDocument(os.fsencode(content) + b"\0", None)
            if not handle:
                raise _refused(pdfium.FPDF_GetLastError(), source)
            self._document = pypdfium2.PdfDocument(handle)
            # PDFium goes on reading the bytes, so that they live as long as the document.
            weakref.finalize(self, close_pdf, self._document, content).atexit = False
            with decoding(source):
                self._document.init_forms()
                self._count = len(self._document)
        if not self._count:
            raise UnreadableImage(f"{source} is a PDF without pages", source=source)

    def __len__(self) -> int:
        return self._count

    def read(self, page: int) -> Image:
        with decoding(self._source), PDFIUM:
            sheet = self._document[page]
            try:
                scale = min(self._scale, _largest_scale(sheet.get_size(), self._max_pixels))
                bitmap = sheet.render(scale=scale, rev_byteorder=True)
                # A copy, since the bitmap's memory goes with the page.
                pixels = np.array(bitmap.to_numpy()[:, :, :3])
            finally:
                sheet.close()
            return Image(pixels, self._source, page, self._path, Stored("pdf"))


def _largest_scale(size: tuple[float, float], max_pixels: int) -> float:
    """The scale at which a page has ``max_pixels``, its sides rounded up to whole pixels."""
    area, sides = max(size[0] * size[1], 1.0), sum(size)
    return (math.sqrt(sides**2 + 4 * area * (max_pixels - 1)) - sides) / (2 * area)


def _refused(code: int, source: str) -> InputError:
    if code == pdfium.FPDF_ERR_PASSWORD:
        message = f"{source} is protected by a password; save a copy without one first"
        return UnsupportedInput(message, source=source)
    reason = ErrorToStr.get(code, "unknown error").lower()
    return UnreadableImage(f"{source} is corrupt or not a PDF: {reason}", source=source)


def close_pdf(document: pypdfium2.PdfDocument, content: str | bytes = b"") -> None:
    """Close a document; ``content`` is what has to live as long as it."""
    with PDFIUM:
        document.close()


def expand_inputs(
    inputs: ImageInput | Iterable[ImageInput], suffixes: Collection[str] = DOCUMENT_SUFFIXES
) -> Iterator[ImageInput | Unread]:
    """Turn folders, globs and ``@lists`` into the files they stand for, lazily and in order.

    A folder gives its images and PDFs and those of its subfolders, sorted by name; files and
    folders whose names start with a dot are left out, and links are followed. A glob knows ``**``.
    A list has one path, folder or glob a line, at will in quotes, in UTF-8, UTF-16 or Latin-1;
    empty lines and those that start with ``#`` are skipped. Whatever is not a string or path is
    passed on as it is, and so are addresses. One input may stand for a list of one.

    Args:
        inputs: See above.
        suffixes: Ends, in lower case, of the names of files that are taken from folders.
    """
    for value in _listed(inputs):
        if not isinstance(value, (str, os.PathLike)):
            yield value
        elif (name := os.fspath(value)).startswith("@"):
            yield from _expand_list(name, suffixes)
        else:
            yield from _expand_path(name, suffixes)


def held(items: Iterable[ImageInput | Unread]) -> Iterator[ImageInput | Unread]:
    """What `expand_inputs` gave, to be read later: arrays are copied.

    Whoever gives an array may put the next picture into it.
    """
    for item in items:
        yield item.copy() if isinstance(item, np.ndarray) else item


def _listed(inputs: ImageInput | Iterable[ImageInput]) -> Iterable[ImageInput]:
    match inputs:
        # A string would be taken letter by letter, and its "/" for the whole disk.
        case str() | os.PathLike() | bytes():
            return [inputs]
        case bytearray() | memoryview():
            return [bytes(inputs)]
        # A file would be taken line by line.
        case np.ndarray() | PIL.Image.Image() | Image() | Readable():
            return [inputs]
    return inputs


def _expand_path(name: str, suffixes: Collection[str]) -> Iterator[str | Unread]:
    # os.path answers False where pathlib raises, as for a name that is too long.
    if os.path.isdir(name):  # noqa: PTH112
        yield from _expand_folder(name, suffixes)
    elif (
        name == STDIN or is_address(name) or not glob.has_magic(name) or os.path.exists(name)  # noqa: PTH110
    ):
        yield name
    else:
        yield from _expand_glob(name, suffixes)


def _expand_glob(pattern: str, suffixes: Collection[str]) -> Iterator[str | Unread]:
    found = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 - keeps the path as given
    if not found:
        error = InputError(f"{pattern} matches no file; check the pattern", source=pattern)
        yield Unread(pattern, error)
    for name in found:
        # A pattern that ends in ** gives a folder and also everything in it.
        if not Path(name).is_dir():
            yield name
        elif not pattern.endswith("**"):
            yield from _expand_folder(name, suffixes)


def _expand_folder(folder: str, suffixes: Collection[str]) -> Iterator[str | Unread]:
    empty, ends = True, tuple(suffixes)
    refused: list[OSError] = []
    entered: set[str] = set()
    # Links are followed, and a folder that two of them lead to is entered once.
    for parent, subfolders, files in os.walk(folder, onerror=refused.append, followlinks=True):
        if (place := os.path.realpath(parent)) in entered:
            subfolders.clear()
            continue
        entered.add(place)
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for name in sorted(files):
            if name.lower().endswith(ends) and not name.startswith("."):
                empty = False
                yield os.path.join(parent, name)  # noqa: PTH118 - keeps the path as given, "./" too
    for problem in refused:
        place = str(problem.filename)
        message = f"{place} cannot be listed: {problem.strerror}"
        yield Unread(place, InputError(message, source=place))
    if empty and not refused:
        message = f"{folder} is a folder with no images or PDFs in it"
        yield Unread(folder, InputError(message, source=folder))


def _expand_list(name: str, suffixes: Collection[str]) -> Iterator[str | Unread]:
    try:
        data = Path(name[1:]).read_bytes()
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # as PowerShell writes it
            data = data.decode("utf-16").encode()
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or "it is not text"
        error = InputError(f"{name} is not a readable list of files: {reason}", source=name)
        yield Unread(name, error)
        return
    lines = (line.strip() for line in data.removeprefix(codecs.BOM_UTF8).splitlines())
    listed = [line for line in lines if line and not line.startswith(b"#")]
    if not listed:
        yield Unread(name, InputError(f"{name} is a list with no files in it", source=name))
    for line in listed:
        yield from _expand_path(_listed_path(line), suffixes)


def _listed_path(line: bytes) -> str:
    """The path in a line of a list: in UTF-8, in the bytes of the file system or in Latin-1."""
    try:
        forms = [line.decode()]
    except UnicodeDecodeError:
        forms = [line.decode(errors="surrogateescape"), line.decode("latin-1")]
    # Shells and file managers put paths in quotes.
    forms += [form[1:-1] for form in forms if len(form) > 2 and form[0] == form[-1] in "\"'"]
    return next(filter(os.path.exists, forms), forms[-1])


def read_inputs(
    inputs: ImageInput | Iterable[ImageInput],
    *,
    dpi: float = PDF_DPI,
    max_pixels: int = MAX_PIXELS,
) -> Iterator[Image | Unread]:
    """Read all inputs page by page; only one page is in memory at a time.

    An input that cannot be read gives an `Unread` in its place, and the others go on.

    Args:
        inputs: Paths, folders, globs, ``@list.txt``, ``-`` for standard input, or anything that
            `Image.read` takes.
        dpi: Resolution at which PDF pages are rendered.
        max_pixels: Larger pages are refused before they are decoded.
    """
    yield from read_expanded(expand_inputs(inputs), dpi=dpi, max_pixels=max_pixels)


def read_expanded(
    items: Iterable[ImageInput | Unread],
    *,
    dpi: float = PDF_DPI,
    max_pixels: int = MAX_PIXELS,
    only: int | None = None,
) -> Iterator[Image | Unread]:
    """Read what `expand_inputs` gave, or a part of it; see `read_inputs` and `PageReader`."""
    for read in page_reads(items, dpi=dpi, max_pixels=max_pixels, only=only):
        yield read()


def page_reads(
    items: Iterable[ImageInput | Unread],
    *,
    dpi: float = PDF_DPI,
    max_pixels: int = MAX_PIXELS,
    only: int | None = None,
    opened: Callable[[int], None] = lambda pages: None,
) -> Iterator[PageRead]:
    """Open what `expand_inputs` gave, or a part of it, and leave it to others to read the pages.

    ``opened`` is told how many pages each input has, before the first of them is read. For the
    other arguments see `read_inputs` and `PageReader`.
    """
    for value in items:
        if isinstance(value, Unread):
            yield partial(_same, value)
            continue
        source = os.fspath(value) if isinstance(value, (str, os.PathLike)) else None
        open_input = partial(_open_input, value, source, dpi, max_pixels, opened)
        yield from PageReader(open_input, source, only).reads


def _same(unread: Unread) -> Unread:
    return unread


def _open_input(
    value: ImageInput,
    source: str | None,
    dpi: float,
    max_pixels: int,
    opened: Callable[[int], None],
) -> Pages:
    content = _standard_input() if source == STDIN else value
    pages = open_pages(content, source, dpi=dpi, max_pixels=max_pixels)
    opened(len(pages))
    return pages


def _standard_input() -> bytes:
    if sys.stdin is None:  # as where a program is started without one
        raise UnreadableImage("- cannot be read: standard input is closed", source=STDIN)
    return sys.stdin.buffer.read()


class PageReader(Iterator[Image | Unread]):
    """Reads the pages of one input, each when it is asked for: the one loop over pages.

    A page that cannot be read gives an `Unread` in its place; so does an input that cannot be
    opened, or that has no such page.

    Args:
        open_input: Opens the input, see `open_pages`.
        source: What to call it in errors.
        only: The one page that is wanted, counted from 0; None for all.

    Attributes:
        count: Pages of the input; None until the first was asked for, 0 where it cannot be opened.
        left: Pages that are still to be read; None until the first was asked for.
        reads: Reads of the pages, in place of the pages.
    """

    def __init__(
        self,
        open_input: Callable[[], Pages],
        source: str | None = None,
        only: int | None = None,
    ) -> None:
        self.count: int | None = None
        self.left: int | None = None
        self._open, self._source, self._only = open_input, source, only
        self.reads: Iterator[PageRead] = self._reads()

    def __next__(self) -> Image | Unread:
        """Read the next page."""
        return next(self.reads)()

    def _reads(self) -> Iterator[PageRead]:
        only, self.left = self._only, 0
        try:
            pages = self._open()
            self.count = len(pages)
            if only is not None and not 0 <= only < self.count:
                name = self._source or "the document"
                raise InputError(
                    f"{name} has {self.count} pages, no page {only} (counted from 0)", source=name
                )
        except PlatemarkError as error:
            self.count = self.count or 0
            yield partial(_same, self._unread(error, only or 0))
            return
        wanted = range(self.count) if only is None else range(only, only + 1)
        for self.left, page in zip(reversed(range(len(wanted))), wanted, strict=True):
            yield partial(self._try, partial(pages.read, page), page)

    def _try(self, read: Callable[[], Image], page: int) -> Image | Unread:
        try:
            return read()
        except PlatemarkError as error:
            return self._unread(error, page)

    def _unread(self, error: PlatemarkError, page: int) -> Unread:
        return Unread(self._source or error.source or "<input>", error, page)
