"""What the HTTP API and the web app stand on: loaded models, settings, metrics, the work queue."""

import warnings
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Literal, Self, TypeVar

import cv2

from platemark.apps.learning import Learning
from platemark.apps.metrics import Metrics
from platemark.apps.settings import Settings
from platemark.apps.work import WorkQueue
from platemark.errors import InputTooLarge, InvalidRequest, PlatemarkError, RegistryUnavailable
from platemark.imaging.cover import Style
from platemark.imaging.image import Image
from platemark.imaging.interest import RegionOfInterest
from platemark.imaging.sources import PageReader, Pages, open_pages
from platemark.pipeline import Pipeline
from platemark.plates.pipeline import PlatePipeline
from platemark.registry import Registry
from platemark.stamps.compare import compare_stamps
from platemark.stamps.pipeline import StampPipeline, whole_picture
from platemark.types import Comparison, Result
from platemark.usecases.compare import find_imprints
from platemark.usecases.pages import Item
from platemark.usecases.redact import Redactor

Kind = Literal["plate", "stamp"]
AnyPipeline = TypeVar("AnyPipeline", bound=Pipeline[Any])


class Services:
    """One of each for the whole process; may be used by all threads.

    Whatever takes more than a moment belongs into a piece of work: ``work.run`` from the event
    loop, ``work.call`` from a thread, both within ``work.admit()``.

    Attributes:
        settings: How the server was started.
        metrics: What is counted and timed.
        work: The workers.
        plates: Finds and reads plates.
        stamps: Finds stamps, neither reads nor identifies them.
        learning: Teaches models to find a stamp.
    """

    def __init__(
        self,
        settings: Settings,
        plates: PlatePipeline,
        stamps: StampPipeline,
        registry: Registry | None = None,
    ) -> None:
        self.settings, self._registry = settings, registry
        self.metrics = metrics = Metrics()
        self.work = WorkQueue(settings.workers, settings.max_in_flight, metrics)
        if registry is not None:
            registry.aside = self.work.aside
        self.plates = plates.with_parts(
            detector=metrics.timed("plate_detect", plates.detector),
            reader=metrics.timed("plate_read", plates.reader),
            classifier=plates.classifier and metrics.timed("plate_classify", plates.classifier),
        )
        self.stamps = stamps.with_parts(
            detector=metrics.timed("stamp_detect", stamps.detector),
            segmenter=metrics.timed("stamp_segment", stamps.segmenter),
            embedder=metrics.timed("stamp_embed", stamps.embedder),
            registry=None,
            reader=None,
        )
        self.learning = Learning(settings.learn_minutes, settings.threads)
        self._reader = stamps.reader and metrics.timed("stamp_read", stamps.reader)
        if registry is not None:
            registry.check_model(stamps.embedder.name)
        self._identifying = self.stamps.with_parts(registry=registry)

    @classmethod
    def load(cls, settings: Settings) -> Self:
        """Load the models and open the registry.

        Raises:
            ModelError: A model cannot be used.
            RegistryError: The registry cannot be opened.
        """
        # What Pillow finds odd in a file is of no use beside our own message that names the file.
        warnings.filterwarnings("ignore", module="PIL")
        cv2.setNumThreads(settings.threads)
        with ThreadPoolExecutor(2) as pool:
            plates = pool.submit(
                PlatePipeline.from_pretrained, settings.plate_model, threads=settings.threads
            )
            stamps = pool.submit(
                StampPipeline.from_pretrained,
                settings.stamp_model,
                threads=settings.threads,
                read=True,
            )
            registry = None
            if settings.registry:
                comparer = stamps.result().comparer
                registry = Registry.open(settings.registry, comparer=comparer)
            return cls(settings, plates.result(), stamps.result(), registry)

    @property
    def has_registry(self) -> bool:
        """Whether the server was started with a registry."""
        return self._registry is not None

    @property
    def registry(self) -> Registry:
        """The known stamps.

        Raises:
            RegistryUnavailable: The server was started without a registry.
        """
        if self._registry is None:
            raise RegistryUnavailable(
                "this server has no registry; start it with: platemark serve --registry stamps.db"
            )
        return self._registry

    def pipeline(
        self,
        kind: Kind,
        min_score: float | None = None,
        *,
        identify: bool = False,
        cropped: bool = False,
    ) -> Pipeline[Any]:
        """The pipeline for a kind of mark, on the models that are loaded.

        Args:
            kind: ``"plate"`` or ``"stamp"``.
            min_score: Least score of a mark; by default the models' own rules.
            identify: Ask the registry, where there is one, whose each stamp is.
            cropped: Every picture is one stamp already cropped.
        """
        if kind == "stamp":
            return self.finder(min_score, identify=identify, cropped=cropped)
        return self.plate_finder(min_score)

    def plate_finder(
        self,
        min_score: float | None = None,
        *,
        cropped: bool = False,
        regions: str | None = None,
        expected: str | None = None,
        prewarp: str | None = None,
        watched: str | None = None,
        alternatives: int | None = None,
    ) -> PlatePipeline:
        """The pipeline for plates.

        Args:
            min_score: As for `pipeline`.
            cropped: Every picture is one plate already cropped.
            regions: Names of the plates to expect, comma-separated.
            expected: A text that results say of whether a plate shows it.
            watched: Texts to watch for, comma-separated.
            alternatives: Other texts to give of each plate at most.
            prewarp: How pictures of a fixed camera are straightened, see `Prewarp.parse`.

        Raises:
            InvalidRequest: A region has no format, a text neither letters nor digits, or a prewarp
                is none.
        """
        plates = self.plates if min_score is None else self.plates.with_min_score(min_score)
        if cropped:
            plates = plates.cropped()
        try:
            if regions is not None:
                plates = plates.with_regions(regions.split(","))
            if prewarp is not None:
                plates = plates.with_prewarp(prewarp)
            if alternatives is not None:
                plates = plates.with_alternatives(alternatives)
            if watched is not None:
                plates = plates.watching(watched.split(","))
            return plates if expected is None else plates.expecting(expected)
        except ValueError as error:
            raise InvalidRequest(str(error)) from error

    @staticmethod
    def within(pipeline: AnyPipeline, region: str | None) -> AnyPipeline:
        """A pipeline that searches a region of interest only, given as numbers.

        Raises:
            InvalidRequest: It is none.
        """
        try:
            parsed = None if region is None else RegionOfInterest.parse(region)
        except ValueError as error:
            raise InvalidRequest(str(error)) from error
        return pipeline.with_region_of_interest(parsed)

    def finder(
        self,
        min_score: float | None = None,
        *,
        identify: bool = False,
        cropped: bool = False,
        read: bool = False,
    ) -> StampPipeline:
        """The pipeline for stamps; see `pipeline`.

        Args:
            min_score: As for `pipeline`.
            identify: As for `pipeline`.
            cropped: As for `pipeline`.
            read: Read the stamps, where there is a reader.
        """
        stamps = self._identifying if identify else self.stamps
        if read:
            stamps = stamps.with_parts(reader=self._reader)
        if cropped:
            return stamps.with_parts(detector=whole_picture, verifier=None)
        return stamps if min_score is None else stamps.with_min_score(min_score)

    def pages(self, read: Callable[[], bytes], name: str, only: int | None = None) -> "ServedPages":
        """The pages of a file that was sent, each read when it is asked for.

        Args:
            read: Gives the bytes of the file, which are all that is read.
            name: What to call it.
            only: The one page that is wanted, counted from 0; None for all.
        """
        return ServedPages(self, partial(self._open, read, name), name, only)

    def _open(self, read: Callable[[], bytes], name: str) -> Pages:
        limits, data = self.settings, read()
        if len(data) > limits.max_file_bytes:
            raise InputTooLarge(
                f"{name} has {len(data)} bytes, over the limit of {limits.max_file_bytes}",
                source=name,
            )
        pages = open_pages(data, name, max_pixels=limits.max_pixels)
        if len(pages) > limits.max_pages:
            raise InputTooLarge(
                f"{name} has {len(pages)} pages, over the limit of {limits.max_pages}; "
                "send it in parts",
                source=name,
            )
        return pages

    def find(self, kind: Kind, item: Item, pipeline: Pipeline[Any] | None = None) -> Result:
        """Find and describe the marks of a page; whatever fails is the result's ``error``.

        Args:
            kind: ``"plate"`` or ``"stamp"``.
            item: A page of `pages`.
            pipeline: What `pipeline` gave for the kind; by default that of the models' own rules.
        """
        result = (pipeline or self.pipeline(kind)).result(item)
        self.metrics.pages.labels(kind).inc()
        self.metrics.marks.labels(kind).inc(len(result.marks))
        if result.error is not None:
            self.metrics.errors.labels(result.error.code).inc()
        return result

    def redactor(self, kind: Kind, style: Style, min_score: float | None = None) -> Redactor:
        """What covers the marks of a file that was sent, page by page."""
        return Redactor(self.pipeline(kind), style, min_score)

    def compare(
        self, a: Iterable[Item], b: Iterable[Item], *, cropped: bool = False
    ) -> tuple[Comparison, Image, Image]:
        """Compare the stamps of two files; see `platemark.compare`.

        Args:
            a: Pages of the first; the first that shows a stamp is taken.
            b: Pages of the second.
            cropped: Each is one stamp already cropped.

        Returns:
            The comparison, and the pages that were compared.
        """
        (one, first), (other, second) = (
            find_imprints(self.stamps, pages, cropped=cropped) for pages in (a, b)
        )
        with self.metrics.time("stamp_compare"):
            return compare_stamps(first, second, self.stamps.comparer), one, other

    def troubles(self) -> Sequence[str]:
        """What keeps the server from answering; empty when it is ready."""
        try:
            if self._registry is not None:
                len(self._registry)
        except PlatemarkError as error:
            return (f"registry: {error.message}",)
        return ()

    def close(self) -> None:
        """Finish the work that has begun, and close the registry."""
        self.learning.close()
        self.work.close()
        if self._registry is not None:
            self._registry.close()


class ServedPages(PageReader):
    """Pages of a file that was sent, each timed as it is decoded."""

    def __init__(
        self, services: Services, open_input: Callable[[], Pages], name: str, only: int | None
    ) -> None:
        super().__init__(open_input, name, only)
        self._time = services.metrics.time

    def __next__(self) -> Item:
        """Read the next page."""
        with self._time("decode"):
            return super().__next__()
