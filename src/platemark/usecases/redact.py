"""Documents with their plates or stamps covered, in the format in which they came."""

from collections.abc import Iterable, Iterator
from functools import cache, partial
from itertools import count, groupby
from typing import Any, Literal

from platemark.imaging.cover import Style
from platemark.imaging.encode import Encoder, encoder
from platemark.imaging.image import ImageInput
from platemark.imaging.sources import Unread, read_expanded
from platemark.imaging.stored import Stored
from platemark.pipeline import Pipeline
from platemark.plates.pipeline import PlatePipeline
from platemark.stamps.pipeline import StampPipeline
from platemark.types import RedactedFile, RedactedPage
from platemark.usecases.pages import Item


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
        UnreadableImage: The file, or a page of it, is missing, empty, corrupt or no image.
        UnsupportedInput: It is a folder, a video or a PDF with a password.
        InputTooLarge: It has too many pixels.
        ModelError: The bundled models cannot be used.
        InferenceFailed: A network did not run.
    """
    return redact_pages(pipeline or _bundled(kind), read_expanded([document]), style, min_score)


class Redactor:
    """Covers the marks of one document, page by page.

    Args:
        pipeline: Finds the marks, and says what to cover.
        style: As for `redact`.
        min_score: As for `redact`.
    """

    def __init__(
        self, pipeline: Pipeline[Any], style: Style = "blur", min_score: float | None = None
    ) -> None:
        self._redact = partial(pipeline.redact, style=style, min_score=min_score)
        self._pages: list[RedactedPage] = []
        self._source, self._stored = "", Stored()
        self._encoder: Encoder | None = None

    def add(self, item: Item) -> None:
        """Cover the next page.

        Raises:
            InputError: It could not be read; a copy without it would not be one.
            InferenceFailed: A network did not run.
        """
        if isinstance(item, Unread):
            raise item.error
        if self._encoder is None:
            self._source, self._stored = item.source, item.stored or self._stored
            self._encoder = encoder(self._stored)
        redacted = self._redact(item)
        page = redacted.image
        self._encoder.add(page.pixels)
        self._pages.append(RedactedPage(page.page, page.width, page.height, redacted.marks))

    def file(self) -> RedactedFile:
        """Return the document with the pages so far, at least one."""
        data = b"" if self._encoder is None else self._encoder.file()
        kept = self._stored
        return RedactedFile(self._source, tuple(self._pages), kept.suffix, kept.media_type, data)


def redact_pages(
    pipeline: Pipeline[Any],
    pages: Iterable[Item],
    style: Style = "blur",
    min_score: float | None = None,
) -> RedactedFile:
    """Cover the marks on all pages of one document; see `Redactor`."""
    redactor = Redactor(pipeline, style, min_score)
    for page in pages:
        redactor.add(page)
    return redactor.file()


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
