"""What the HTTP API and the web app stand on: loaded models, settings, figures, the work queue."""

import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, Self

import cv2

from platemark.apps.figures import Figures
from platemark.apps.settings import Settings
from platemark.apps.work import WorkQueue
from platemark.errors import InputTooLarge, PlatemarkError, RegistryUnavailable
from platemark.imaging.image import Image
from platemark.imaging.sources import Pages, Unread, open_pages
from platemark.pipeline import Pipeline
from platemark.plates.pipeline import PlatePipeline
from platemark.registry import Registry
from platemark.stamps.compare import compare
from platemark.stamps.enroll import whole_picture
from platemark.stamps.pipeline import StampPipeline
from platemark.types import Comparison, Result, StampMark

Kind = Literal["plate", "stamp"]


class Services:
    """One of each for the whole process; may be used by all threads.

    Whatever takes more than a moment belongs into a piece of work: ``work.run`` from the event
    loop, ``work.call`` from a thread, both within ``work.admit()``.

    Attributes:
        settings: How the server was started.
        figures: What is counted and timed.
        work: The workers.
        plates: Finds and reads plates.
        stamps: Finds stamps, and asks nobody whose they are.
    """

    def __init__(
        self,
        settings: Settings,
        plates: PlatePipeline,
        stamps: StampPipeline,
        registry: Registry | None = None,
    ) -> None:
        self.settings, self._registry = settings, registry
        self.figures = figures = Figures()
        self.work = WorkQueue(settings.workers, settings.max_in_flight, figures)
        if registry is not None:
            registry.aside = self.work.aside
        self.plates = plates.with_parts(
            detector=figures.timed("plate_detect", plates.detector),
            reader=figures.timed("plate_read", plates.reader),
        )
        self.stamps = stamps.with_parts(
            detector=figures.timed("stamp_detect", stamps.detector),
            segmenter=figures.timed("stamp_segment", stamps.segmenter),
            embedder=figures.timed("stamp_embed", stamps.embedder),
            registry=None,
        )
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
                StampPipeline.from_pretrained, settings.stamp_model, threads=settings.threads
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
        self, kind: Kind, min_score: float | None = None, *, identify: bool = True
    ) -> Pipeline[Any]:
        """The pipeline for a kind of mark, on the models that are loaded.

        Args:
            kind: ``"plate"`` or ``"stamp"``.
            min_score: Least score of a mark; by default the models' own rules.
            identify: Ask the registry, where there is one, whose each stamp is.
        """
        stamps = self._identifying if identify else self.stamps
        pipeline: Pipeline[Any] = self.plates if kind == "plate" else stamps
        return pipeline if min_score is None else pipeline.with_min_score(min_score)

    def open(self, data: bytes, name: str) -> Pages:
        """Open an uploaded file; its bytes are all that is read.

        Raises:
            InputTooLarge: It has more bytes or pages than the settings allow.
            UnreadableImage: It is empty, damaged or no image.
            UnsupportedInput: It is a PDF with a password.
        """
        limits = self.settings
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

    def read(self, pages: Pages, page: int, name: str) -> Image | Unread:
        """Read a page; one that cannot be read gives the reason in its place."""
        try:
            with self.figures.time("decode"):
                return pages.read(page)
        except PlatemarkError as error:
            return Unread(name, error, page)

    def find(
        self, kind: Kind, item: Image | Unread, pipeline: Pipeline[Any] | None = None
    ) -> Result:
        """Find and describe the marks of a page; whatever fails is the result's ``error``.

        Args:
            kind: ``"plate"`` or ``"stamp"``.
            item: What `read` gave.
            pipeline: What `pipeline` gave for the kind; by default that of the models' own rules.
        """
        result = (pipeline or self.pipeline(kind)).result(item)
        self.figures.pages.labels(kind).inc()
        self.figures.marks.labels(kind).inc(len(result.marks))
        if result.error is not None:
            self.figures.errors.labels(result.error.code).inc()
        return result

    def stamps_of(self, image: Image, *, cropped: bool = False) -> list[StampMark]:
        """The stamps of a picture, surest first.

        Args:
            image: A page; or, ``cropped``, a stamp that fills the picture.
            cropped: Which of the two.

        Raises:
            InferenceFailed: A network did not run.
        """
        if cropped:
            return self.stamps.describe(image, whole_picture(image))
        return self.stamps.marks(image)

    def compare(self, a: Image, b: Image, *, cropped: bool = False) -> Comparison:
        """Compare the stamps of two pictures; see `platemark.stamps.compare.compare`."""
        with self.figures.time("stamp_compare"):
            return compare(a, b, pipeline=self.stamps, cropped=cropped)

    def troubles(self) -> Sequence[str]:
        """What keeps the server from answering; empty when it is ready."""
        try:
            if self._registry is not None:
                len(self._registry)
        except PlatemarkError as error:
            return (f"registry: {error.message}",)
        return ()

    def close(self) -> None:
        """Finish the work that has begun, and let go of the registry."""
        self.work.close()
        if self._registry is not None:
            self._registry.close()
