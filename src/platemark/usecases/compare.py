"""Did one stamp make two imprints? Those of marks, pictures or documents, found and compared."""

import os
import re
from collections.abc import Iterable
from functools import lru_cache

from platemark.errors import PlatemarkError
from platemark.imaging.image import Image, ImageInput
from platemark.imaging.sources import read_expanded
from platemark.stamps.compare import compare_stamps
from platemark.stamps.pipeline import StampPipeline
from platemark.tasks.comparer import match_ink
from platemark.types import Comparison, StampMark
from platemark.usecases.pages import Item, Where, no_stamp, stamps_of

_PAGE = re.compile(r"(.+)#page=([1-9][0-9]*)")


def compare(
    a: StampMark | ImageInput,
    b: StampMark | ImageInput,
    *,
    pipeline: StampPipeline | None = None,
    page_a: int | None = None,
    page_b: int | None = None,
    cropped: bool = False,
) -> Comparison:
    """Compare two imprints: did one stamp make both?

    It is symmetric: the other way round gives the same score and verdict, and the inverse
    transform. Where a picture shows several stamps, the four with the highest scores are tried and
    the two that match best are compared; the reason says so.

    Args:
        a: A stamp that was found, or a picture with one: a path, bytes, an (H, W, 3) uint8 RGB
            array, a PIL image or an `Image`; also a PDF or TIFF, of which the first page that shows
            a stamp is taken. A path may end in ``#page=3`` for the third page.
        b: Likewise.
        pipeline: Finds the stamps in pictures, and has the comparer; by default the bundled models,
            loaded once.
        page_a: Page of the first document, counted from 0.
        page_b: Page of the second document.
        cropped: The pictures are crops of one stamp each, so no stamp is searched for.

    Returns:
        The comparison, in pixels of the two pictures; of a mark, in pixels of its page.

    Raises:
        NoStampFound: A picture shows no stamp.
        InputError: A document has no such page.
        UnreadableImage: A file is missing, empty, corrupt or no image.
        UnsupportedInput: It is a folder, a video or a PDF with a password.
        InputTooLarge: It has too many pixels.
        ModelError: The bundled models cannot be used.
        InferenceFailed: A network did not run.
    """
    first, second = (
        [value]
        if isinstance(value, StampMark)
        else find_imprints(pipeline or _bundled(), _pages(value, page), cropped=cropped)[1]
        for value, page in ((a, page_a), (b, page_b))
    )
    return compare_stamps(first, second, pipeline.comparer if pipeline else match_ink)


def find_imprints(
    pipeline: StampPipeline, pages: Iterable[Item], *, cropped: bool = False
) -> tuple[Image, list[StampMark]]:
    """Return the first page that shows a stamp, and its stamps; ``cropped``, it is one itself.

    Raises:
        NoStampFound: No page shows one.
        PlatemarkError: So it is, and a page could not be processed.
    """
    error: PlatemarkError | None = None
    source = "the picture"
    for item in pages:
        page = stamps_of(pipeline, item, Where(whole=cropped))
        source, error = page.source, error or page.error
        if page.stamps and isinstance(item, Image):
            return item, list(page.stamps)
    raise error or no_stamp(source)


def _pages(value: ImageInput, page: int | None) -> Iterable[Item]:
    # A file that is really called so comes first.
    if isinstance(value, (str, os.PathLike)) and page is None and not os.path.exists(value):  # noqa: PTH110
        place = _PAGE.fullmatch(os.fspath(value))
        if place is not None:
            return read_expanded([place[1]], only=int(place[2]) - 1)
    return read_expanded([value], only=page)


@lru_cache(maxsize=1)
def _bundled() -> StampPipeline:
    return StampPipeline.from_pretrained()
