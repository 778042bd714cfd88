"""From inputs to results: pages, find, verify, describe, one error per item. Knows no kind of mark.

Kinds of marks are made of parts, see `platemark.protocols`; `Pipeline` runs them over inputs.
"""

import asyncio
import copy
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from time import perf_counter
from typing import ClassVar, Generic, Self, TypeVar, overload

from numpy.typing import ArrayLike

from platemark.errors import PlatemarkError
from platemark.imaging.cover import Redacted, Style, cover, is_covered
from platemark.imaging.draw import draw_image, draw_page
from platemark.imaging.image import Image, ImageInput
from platemark.imaging.interest import RegionOfInterest
from platemark.imaging.sources import PageRead, Unread, expand_inputs, held, open_pages, page_reads
from platemark.parallel import map_in_order, usable_cores
from platemark.protocols import Finds, Verifies
from platemark.types import Detection, Failure, Mark, Result

MarkT = TypeVar("MarkT", bound=Mark)
Images = list[ImageInput] | tuple[ImageInput, ...]
# Runs of the detector for one page that is redacted, at most, besides the first; what the last one
# finds is covered too.
_MOST_ROUNDS = 4


@dataclass(frozen=True, slots=True)
class Covering:
    """How the marks of a kind are covered, none to be left out.

    Attributes:
        min_score: Least score of a mark that is covered, whether it can be read or not.
        margin: What is covered around it, as a fraction of its height.
    """

    min_score: float
    margin: float


class Pipeline(ABC, Generic[MarkT]):
    """Finds and describes the marks of images; may be shared by threads.

    Args:
        detector: Finds candidates.
        verifier: Says which of them count, and with what score; by default all do.

    Attributes:
        detector: As given.
        verifier: As given.
        region_of_interest: See `with_region_of_interest`; None for whole pictures.
        covering: How `redact` covers marks.
    """

    covering: ClassVar[Covering] = Covering(0.1, 0.2)

    def __init__(self, detector: Finds, verifier: Verifies | None = None) -> None:
        self.detector: Finds = detector
        self.verifier: Verifies | None = verifier
        self.region_of_interest: RegionOfInterest | None = None

    @abstractmethod
    def describe(self, image: Image, detections: Sequence[Detection]) -> list[MarkT]:
        """Describe detections, whoever found them: a mark for each, in the same order.

        Raises:
            InferenceFailed: A network did not run.
        """

    def marks(self, image: Image) -> list[MarkT]:
        """Find the marks of an image, those that the verifier lets pass, and describe them.

        Returns:
            The marks, highest score first.

        Raises:
            InferenceFailed: A network did not run.
        """
        return self.describe(image, self.find(image))

    def find(self, image: Image) -> Sequence[Detection]:
        """Find the marks of an image, those that the verifier lets pass, and describe none.

        Returns:
            The detections, highest score first; those in the region of interest, where there is
            one.

        Raises:
            InferenceFailed: A network did not run.
        """
        region = self.region_of_interest
        if region is None:
            return self._find_within(image, (0, 0, image.width, image.height))
        if (window := region.window(image.width, image.height)) is None:
            return []
        found = self._find_within(image, window)
        return [one for one in found if region.contains(one.centre, image.width, image.height)]

    def _find_within(self, image: Image, window: tuple[int, int, int, int]) -> Sequence[Detection]:
        """Find the marks of a part of an image, x0, y0, x1, y1, in pixels of the image."""
        x0, y0, x1, y1 = window
        if (x0, y0, x1, y1) == (0, 0, image.width, image.height):
            return self._find(image)
        part = replace(image, pixels=image.pixels[y0:y1, x0:x1], file=None)
        return [one.moved(x0, y0) for one in self._find(part)]

    def _find(self, image: Image) -> Sequence[Detection]:
        """Find the marks of an image, whatever the region of interest."""
        found = self.detector(image)
        return found if self.verifier is None else self.verifier(image, found)

    def with_region_of_interest(self, region: RegionOfInterest | ArrayLike | None) -> Self:
        """Return a copy that finds only marks whose centre is in a region of each picture.

        What is farther from the region than a tenth of its size is left out, so that small
        marks are seen larger, and faster.

        Args:
            region: A box (4,) or polygon (N, 2) in pixels of the pictures, a mask (H, W) of
                booleans, a `RegionOfInterest`, or None for all.

        Raises:
            ValueError: It is none of these.
        """
        if region is not None and not isinstance(region, RegionOfInterest):
            region = RegionOfInterest.of(region)
        return self.with_parts(region_of_interest=region)

    def with_parts(self, **parts: object) -> Self:
        """Return a copy with other parts, named as the attributes of this pipeline.

        A detector of its own has rules of its own: give ``verifier=None`` with it to keep all that
        it finds.

        Raises:
            TypeError: There is no such part.
        """
        made = copy.copy(self)
        for name, part in parts.items():
            if name not in vars(self):
                raise TypeError(f"{type(self).__name__} has no part {name!r}")
            setattr(made, name, part)
        return made

    def with_min_score(self, min_score: float) -> Self:
        """Return a copy that keeps all that the detector finds with at least this score.

        Its detector takes the keyword ``min_score``, as `platemark.Detector` does.
        """
        detector: Callable[..., Sequence[Detection]] = self.detector
        return self.with_parts(detector=partial(detector, min_score=min_score), verifier=None)

    @overload
    def __call__(self, image: ImageInput) -> Result: ...
    @overload
    def __call__(self, image: Images) -> list[Result]: ...
    def __call__(self, image: ImageInput | Images) -> Result | list[Result]:
        """Find and describe the marks of an image, or of each of a list of images.

        Of a document with several pages the first is done, with a warning; `pages` does all.

        Args:
            image: A path, bytes, an (H, W, 3) uint8 RGB array, a PIL image or an `Image`; or a list
                of these.

        Returns:
            The result; for a list a list of results, where an image that fails has an ``error``.

        Raises:
            UnreadableImage: The file is missing, empty, corrupt or no image.
            UnsupportedInput: It is a folder, a video or a PDF with a password.
            InputTooLarge: It has too many pixels.
            InferenceFailed: A network did not run.
        """
        if not isinstance(image, (list, tuple)):
            return self._first_page(image)
        results = []
        for one in image:
            try:
                results.append(self._first_page(one))
            except PlatemarkError as error:
                results.append(_failed(error.source or "<input>", 0, error))
        return results

    async def acall(self, image: ImageInput) -> Result:
        """Do one image in a thread, so that an event loop goes on meanwhile; see `__call__`."""
        return await asyncio.to_thread(self._first_page, image)

    def _first_page(self, image: ImageInput) -> Result:
        pages = open_pages(image)
        first = pages.read(0)
        if len(pages) > 1:
            warnings.warn(
                f"{first.source} has {len(pages)} pages, of which only the first was done; "
                "for all of them: pipeline.pages(document)",
                stacklevel=3,
            )
        return self._result(first)

    def redact(
        self, image: ImageInput, style: Style = "blur", *, min_score: float | None = None
    ) -> Redacted:
        """Cover the marks of an image, of a document those of its first page.

        Recall comes first: marks with a low score and marks too small to be read are covered too,
        with a margin. What is covered cannot be calculated back, see `platemark.imaging.cover`.

        Args:
            image: As for `__call__`.
            style: ``"blur"``, ``"pixelate"`` or, in black, ``"box"``.
            min_score: Least score of a mark that is covered; by default that of `covering`.

        Returns:
            The page and what is covered on it; no other pixel differs. It has no metadata.

        Raises:
            UnreadableImage: The file is missing, empty, corrupt or no image.
            UnsupportedInput: It is a folder, a video or a PDF with a password.
            InputTooLarge: It has too many pixels.
            InferenceFailed: A network did not run.
        """
        page = open_pages(image).read(0)
        least = self.covering.min_score if min_score is None else min_score
        page, marks = replace(page, file=None), list[Detection]()
        new = list(self.with_min_score(least).find(page))
        for _ in range(_MOST_ROUNDS):
            page, marks = self._covered(page, new, style), marks + new
            # A detector may find some marks only once those with a high score are gone.
            found = (mark for mark in self.find(page) if mark.score >= least)
            new = [mark for mark in found if not is_covered(mark, marks)]
            if not new:
                break
        return Redacted(self._covered(page, new, style), (*marks, *new))

    def _covered(self, page: Image, marks: Sequence[Detection], style: Style) -> Image:
        """A page with marks covered; also for none, where an unknown style is refused."""
        return replace(page, pixels=cover(page.pixels, marks, style, self.covering.margin))

    def pages(self, document: ImageInput) -> "PageResults":
        """Find and describe the marks of each page of a PDF or TIFF, a page when it is asked for.

        Raises:
            UnreadableImage: The file is missing, empty, corrupt or no image.
            UnsupportedInput: It is a folder, a video or a PDF with a password.
        """
        pages = open_pages(document)
        return PageResults(len(pages), lambda page: self._result(pages.read(page)))

    def stream(
        self, inputs: ImageInput | Iterable[ImageInput], *, workers: int | None = None
    ) -> Iterator[Result]:
        """Do many inputs lazily, in order, one result per image or page.

        An input that fails gives a result with an ``error``, and the others go on. The results are
        the same with any number of workers.

        Args:
            inputs: Paths, folders, globs, ``@list.txt``, ``-`` for standard input, or images as
                for `__call__`.
            workers: Pages that are worked on at a time, each in a thread: while one is read from
                the disk, networks run on others. By default as many as there are cores. With 1,
                nothing is done before it is asked for; else a few pages are prefetched.
        """
        workers = usable_cores() if workers is None else workers
        items = expand_inputs(inputs)
        reads = page_reads(items if workers == 1 else held(items))
        return map_in_order(self._read_result, reads, workers)

    def _read_result(self, read: PageRead) -> Result:
        return self.result(read())

    def result(self, item: Image | Unread) -> Result:
        """Do one page, or say why there is none; whatever fails is the result's ``error``."""
        if isinstance(item, Unread):
            return _failed(item.source, item.page, item.error)
        try:
            return self._result(item)
        except PlatemarkError as error:
            return _failed(item.source, item.page, error)

    def _result(self, image: Image) -> Result:
        start = perf_counter()
        marks = tuple(self.marks(image))
        return Result(
            image.source,
            image.page,
            image.width,
            image.height,
            marks,
            elapsed_ms=(perf_counter() - start) * 1e3,
            draw=partial(draw_image, image)
            if image.file is None
            else partial(draw_page, image.file, image.page),
        )


def _failed(source: str, page: int, error: PlatemarkError) -> Result:
    return Result(source, page, error=Failure(error.code, error.message))


class PageResults(Sequence[Result]):
    """The results of a document's pages, each made when it is first asked for.

    Args:
        count: How many pages there are.
        make: Makes the result of a page, counted from 0; what it raises, asking for it raises.
    """

    def __init__(self, count: int, make: Callable[[int], Result]) -> None:
        self._count, self._make = count, cache(make)

    def __len__(self) -> int:
        """Return the number of pages."""
        return self._count

    @overload
    def __getitem__(self, index: int) -> Result: ...
    @overload
    def __getitem__(self, index: slice) -> list[Result]: ...
    def __getitem__(self, index: int | slice) -> Result | list[Result]:
        """Return the result of a page, or of several."""
        pages = range(self._count)[index]
        return self._make(pages) if isinstance(pages, int) else list(map(self._make, pages))
