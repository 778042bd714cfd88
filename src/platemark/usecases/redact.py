"""Documents with their plates or stamps covered, in the format in which they came."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import chain, count, groupby
from pathlib import Path
from typing import Any, Literal

from platemark.imaging.cover import Style
from platemark.imaging.encode import encode
from platemark.imaging.image import ImageInput, Pixels
from platemark.imaging.sources import Unread, read_expanded
from platemark.imaging.stored import Stored
from platemark.pipeline import Pipeline
from platemark.plates.pipeline import PlatePipeline
from platemark.stamps.pipeline import StampPipeline
from platemark.types import Detection
from platemark.usecases.look import Item, the_page


@dataclass(frozen=True, slots=True)
class RedactedPage:
    """What is covered on a page.

    Attributes:
        page: The page, counted from 0.
        width: Its width in pixels.
        height: Its height in pixels.
        marks: What was covered, in pixels of the page.
    """

    page: int
    width: int
    height: int
    marks: tuple[Detection, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object."""
        marks = [mark.to_dict() for mark in self.marks]
        return {"page": self.page, "width": self.width, "height": self.height, "marks": marks}


@dataclass(frozen=True, slots=True)
class RedactedFile:
    """A picture or document whose marks are covered.

    Attributes:
        source: Where it came from.
        data: The file.
        suffix: Suffix of a name for it, such as ``".jpg"``.
        media_type: Its media type, such as ``"image/jpeg"``.
        pages: What is covered on each page.
    """

    source: str
    data: bytes = field(repr=False)
    suffix: str
    media_type: str
    pages: tuple[RedactedPage, ...]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file.

        Raises:
            OSError: It cannot be written.
        """
        Path(path).write_bytes(self.data)


def redact(
    document: ImageInput,
    *,
    kind: Literal["plate", "stamp"] = "plate",
    style: Style = "blur",
    min_score: float | None = None,
    pipeline: Pipeline[Any] | None = None,
) -> RedactedFile:
    """Cover the plates or stamps of a picture, or on all pages of a document.

    A copy has the format of the original, and neither EXIF, with place and time, nor thumbnails or
    comments. A PDF becomes a PDF of pictures of its pages, without text. HEIC becomes JPEG, an
    array PNG. Other pixels do not change, but for what JPEG and WebP lose when they are compressed
    again.

    Args:
        document: A path, bytes, an (H, W, 3) uint8 RGB array, a PIL image or an `Image`.
        kind: What to cover.
        style: ``"blur"``, ``"pixelate"`` or, in black, ``"box"``.
        min_score: Least score of a mark that is covered, in place of that of `Pipeline.covering`.
        pipeline: Finds the marks, in place of the bundled models, which are loaded once; it then
            says what to cover.

    Raises:
        UnreadableImage: The file, or a page of it, is missing, empty, damaged or no image.
        UnsupportedInput: It is a folder, a video or a PDF with a password.
        InputTooLarge: It has too many pixels.
        ModelError: The bundled models cannot be used.
        InferenceFailed: A network did not run.
    """
    return redact_pages(pipeline or _bundled(kind), read_expanded([document]), style, min_score)


def redact_pages(
    pipeline: Pipeline[Any], pages: Iterable[Item], style: Style, min_score: float | None = None
) -> RedactedFile:
    """Cover the marks on the pages of one document, each read when the one before it is done.

    Further arguments are those of `Pipeline.redact`.

    Raises:
        InputError: A page could not be read; a copy without it would not be one.
        InferenceFailed: A network did not run.
    """
    items, done = iter(pages), list[RedactedPage]()
    first = the_page(items)

    def covered() -> Iterator[Pixels]:
        for item in chain([first], items):
            if isinstance(item, Unread):
                raise item.error
            redacted = pipeline.redact(item, style, min_score=min_score)
            image = redacted.image
            done.append(RedactedPage(image.page, image.width, image.height, redacted.marks))
            yield image.pixels

    stored = first.stored or Stored()
    data = encode(covered(), stored)
    return RedactedFile(first.source, data, stored.suffix, stored.media_type, tuple(done))


def by_document(items: Iterable[Item]) -> Iterator[tuple[str, Iterator[Item]]]:
    """Part the pages of many inputs by the document that they are of, with its source."""
    opened = count()
    number = 0

    def document(item: Item) -> tuple[int, str]:
        nonlocal number
        number = next(opened) if item.page == 0 else number
        return number, item.source

    for (_, source), pages in groupby(items, document):
        yield source, pages


@cache
def _bundled(kind: str) -> Pipeline[Any]:
    if kind == "plate":
        return PlatePipeline.from_pretrained()
    return StampPipeline.from_pretrained()
