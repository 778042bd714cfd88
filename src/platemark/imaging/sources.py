"""What users give as INPUT becomes a lazy stream of images: files, folders, globs, lists, pages."""

import glob
import os
import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
import PIL.Image
import pypdfium2

from platemark.errors import InputError, PlatemarkError, UnreadableImage, UnsupportedInput
from platemark.imaging.image import (
    MAX_PIXELS,
    Image,
    ImageInput,
    check_size,
    decoding,
    is_tiff,
    open_image,
    pil_pixels,
    read_file,
)

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".png", ".webp", ".bmp", ".tif", ".tiff", ".heic", ".heif"}
)
"""Suffixes, in lower case, of the images that are taken from a folder."""

PDF_DPI = 200
"""Resolution at which PDF pages are drawn unless told otherwise."""

STDIN = "-"

_FOLDER_SUFFIXES = IMAGE_SUFFIXES | {".pdf"}
_PDF_START = b"%PDF"
# PDFium is not thread-safe: one call at a time in the whole process. The lock is reentrant because
# a document may be collected, and so closed, by a thread that holds it.
_PDFIUM = threading.RLock()


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


class Pages(Protocol):
    """The pages of one input, read one at a time."""

    def __len__(self) -> int:
        """Return the number of pages."""
        ...

    def read(self, page: int) -> Image:
        """Return one page, counted from 0.

        Raises:
            UnreadableImage: The page is damaged.
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

    Args:
        value: As for `Image.read`, or a path or the bytes of a PDF.
        source: What to call it in results and errors.
        dpi: Resolution at which PDF pages are drawn.
        max_pixels: Larger pages are refused before they are decoded.

    Raises:
        UnreadableImage: The file is missing, empty, damaged or no image.
        UnsupportedInput: It is a folder, a video or a PDF with a password.
    """
    if isinstance(value, (str, os.PathLike)):
        file = os.fspath(value)
        source = source or file
        # A PDF is not read into memory: PDFium takes what it needs from the file.
        path = Path(file)
        if path.suffix.lower() == ".pdf" and path.is_file() and path.stat().st_size:
            return _PdfPages(Path(file), source, file, dpi, max_pixels)
        return _pages_of(read_file(file, source), source, file, dpi, max_pixels)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return _pages_of(bytes(value), source or "<bytes>", None, dpi, max_pixels)
    return _OnePage(value, source, None, max_pixels)


def _pages_of(data: bytes, source: str, file: str | None, dpi: float, max_pixels: int) -> Pages:
    if data.startswith(_PDF_START):
        return _PdfPages(data, source, file, dpi, max_pixels)
    if is_tiff(data):
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
        self._source, self._path, self._max_pixels = source, file, max_pixels
        with decoding(source):
            self._file = open_image(data, source)
            self._count = int(getattr(self._file, "n_frames", 1))

    def __len__(self) -> int:
        return self._count

    def read(self, page: int) -> Image:
        with decoding(self._source):
            self._file.seek(page)
            check_size(self._file.size, self._max_pixels, self._source)
            return Image(pil_pixels(self._file), self._source, page, self._path)


class _PdfPages:
    def __init__(
        self, content: Path | bytes, source: str, file: str | None, dpi: float, max_pixels: int
    ) -> None:
        self._source, self._path = source, file
        self._scale, self._max_pixels = dpi / 72.0, max_pixels
        try:
            with _PDFIUM:
                self._document = pypdfium2.PdfDocument(content)
                weakref.finalize(self, _close, self._document).atexit = False
                self._document.init_forms()
                self._count = len(self._document)
        except pypdfium2.PdfiumError as error:
            if "password" in str(error).lower():
                raise UnsupportedInput(
                    f"{source} is protected by a password; save a copy without one first",
                    source=source,
                ) from error
            raise UnreadableImage(
                f"{source} is damaged or not a PDF: {error}", source=source
            ) from error

    def __len__(self) -> int:
        return self._count

    def read(self, page: int) -> Image:
        with decoding(self._source), _PDFIUM:
            sheet = self._document[page]
            try:
                width, height = (round(side * self._scale) for side in sheet.get_size())
                check_size((width, height), self._max_pixels, f"{self._source} page {page}")
                bitmap = sheet.render(scale=self._scale, rev_byteorder=True)
                # A copy, since the bitmap's memory goes with the page.
                pixels = np.array(bitmap.to_numpy()[:, :, :3])
            finally:
                sheet.close()
            return Image(pixels, self._source, page, self._path)


def _close(document: pypdfium2.PdfDocument) -> None:
    with _PDFIUM:
        document.close()


def expand_inputs(inputs: ImageInput | Iterable[ImageInput]) -> Iterator[ImageInput | Unread]:
    """Turn folders, globs and ``@lists`` into the files they stand for, lazily and in order.

    A folder gives its images and PDFs and those of its subfolders, sorted by name; files and
    folders whose names start with a dot are left out. A glob knows ``**``. A list has one path,
    folder or glob a line; empty lines and those that start with ``#`` are passed over. Whatever is
    not a string or path is passed on as it is. One input may stand for a list of one.
    """
    for value in _listed(inputs):
        if not isinstance(value, (str, os.PathLike)):
            yield value
        elif (name := os.fspath(value)).startswith("@"):
            yield from _expand_list(name)
        else:
            yield from _expand_path(name)


def _listed(inputs: ImageInput | Iterable[ImageInput]) -> Iterable[ImageInput]:
    match inputs:
        # A string would be taken letter by letter, and its "/" for the whole disk.
        case str() | os.PathLike() | bytes():
            return [inputs]
        case bytearray() | memoryview():
            return [bytes(inputs)]
        case np.ndarray() | PIL.Image.Image() | Image():
            return [inputs]
    return inputs


def _expand_path(name: str) -> Iterator[str | Unread]:
    # os.path answers False where pathlib raises, as for a name that is too long.
    if os.path.isdir(name):  # noqa: PTH112
        yield from _expand_folder(name)
    elif name == STDIN or not glob.has_magic(name) or os.path.exists(name):  # noqa: PTH110
        yield name
    else:
        yield from _expand_glob(name)


def _expand_glob(pattern: str) -> Iterator[str | Unread]:
    found = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 - keeps the path as given
    if not found:
        error = InputError(f"{pattern} matches no file; check the pattern", source=pattern)
        yield Unread(pattern, error)
    for name in found:
        # A pattern that ends in ** gives a folder and also everything in it.
        if not Path(name).is_dir():
            yield name
        elif not pattern.endswith("**"):
            yield from _expand_folder(name)


def _expand_folder(folder: str) -> Iterator[str | Unread]:
    empty = True
    refused: list[OSError] = []
    for parent, subfolders, files in os.walk(folder, onerror=refused.append):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for name in sorted(files):
            if Path(name).suffix.lower() in _FOLDER_SUFFIXES and not name.startswith("."):
                empty = False
                yield os.path.join(parent, name)  # noqa: PTH118 - keeps the path as given, "./" too
    for problem in refused:
        place = str(problem.filename)
        message = f"{place} cannot be listed: {problem.strerror}"
        yield Unread(place, InputError(message, source=place))
    if empty and not refused:
        message = f"{folder} is a folder with no images or PDFs in it"
        yield Unread(folder, InputError(message, source=folder))


def _expand_list(name: str) -> Iterator[str | Unread]:
    try:
        lines = Path(name[1:]).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or "it is not text in UTF-8"
        error = InputError(f"{name} is not a readable list of files: {reason}", source=name)
        yield Unread(name, error)
        return
    listed = [line.strip() for line in lines if line.strip() and line.strip()[0] != "#"]
    if not listed:
        yield Unread(name, InputError(f"{name} is a list with no files in it", source=name))
    for line in listed:
        yield from _expand_path(line)


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
        dpi: Resolution at which PDF pages are drawn.
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
    for value in items:
        if isinstance(value, Unread):
            yield value
            continue
        source = os.fspath(value) if isinstance(value, (str, os.PathLike)) else None
        open_input = partial(_open_input, value, source, dpi, max_pixels)
        yield from PageReader(open_input, source, only)


def _open_input(value: ImageInput, source: str | None, dpi: float, max_pixels: int) -> Pages:
    content = _standard_input() if source == STDIN else value
    return open_pages(content, source, dpi=dpi, max_pixels=max_pixels)


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
        self._items = self._read()

    def __next__(self) -> Image | Unread:
        """Read the next page."""
        return next(self._items)

    def _read(self) -> Iterator[Image | Unread]:
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
            yield self._unread(error, only or 0)
            return
        wanted = range(self.count) if only is None else range(only, only + 1)
        for self.left, page in zip(reversed(range(len(wanted))), wanted, strict=True):
            try:
                yield pages.read(page)
            except PlatemarkError as error:
                yield self._unread(error, page)

    def _unread(self, error: PlatemarkError, page: int) -> Unread:
        return Unread(self._source or error.source or "<input>", error, page)
