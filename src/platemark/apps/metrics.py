"""What the server counts and times, for Prometheus."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from time import perf_counter
from typing import Any, TypeVar, cast

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from platemark.apps.timed import Timed

CONTENT_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
    60.0,
)

Stage = TypeVar("Stage", bound=Callable[..., Any])


class Metrics:
    """The metrics of one server; nothing is shared with another in the same process."""

    def __init__(self) -> None:
        self._all = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        self.requests = Counter(
            "platemark_requests",
            "Requests by route, method and status.",
            ("route", "method", "status"),
            registry=registry,
        )
        self.request_seconds = Histogram(
            "platemark_request_seconds",
            "From a request's first byte to its answer.",
            ("route",),
            buckets=_SECONDS,
            registry=registry,
        )
        self.stage_seconds = Histogram(
            "platemark_stage_seconds",
            "Time of one stage on one picture.",
            ("stage",),
            buckets=_SECONDS,
            registry=registry,
        )
        self.marks = Counter("platemark_marks", "Marks found.", ("kind",), registry=registry)
        self.pages = Counter("platemark_pages", "Pages processed.", ("kind",), registry=registry)
        self.errors = Counter("platemark_errors", "Errors by code.", ("code",), registry=registry)
        self.in_flight = Gauge(
            "platemark_in_flight", "Requests taken on and not yet answered.", registry=registry
        )
        self.waiting = Gauge(
            "platemark_waiting", "Pictures that wait for a worker.", registry=registry
        )
        self.refused = Counter(
            "platemark_refused", "Requests refused for too much to do.", registry=registry
        )

    @contextmanager
    def time(self, stage: str) -> Iterator[None]:
        """Time what is done within as a stage."""
        start = perf_counter()
        try:
            yield
        finally:
            self.stage_seconds.labels(stage).observe(perf_counter() - start)

    def timed(self, name: str, stage: Stage) -> Stage:
        """Return a stage that does the same and has its calls timed."""
        return cast(Stage, Timed(stage, partial(self.time, name)))

    def render(self) -> bytes:
        """Return all metrics in the format of Prometheus."""
        return generate_latest(self._all)
