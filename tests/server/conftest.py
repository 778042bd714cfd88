"""A real server on a real port, with the bundled models, and files to send to it."""

import io
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import PIL.Image
import pytest
from playwright.sync_api import Browser, Error, sync_playwright

from platemark.apps.server import create_app
from platemark.apps.server.app import Mount
from platemark.apps.server.run import make_server
from platemark.apps.services import Services
from platemark.apps.settings import Settings
from platemark.plates.pipeline import PlatePipeline
from platemark.registry import Registry
from platemark.stamps.pipeline import StampPipeline

ROOT = Path(__file__).parents[2]
PHOTO = ROOT / "examples" / "photos" / "golf-front.jpg"
LETTER = ROOT / "examples" / "documents" / "letter-seal.jpg"

Serve = Callable[..., Any]
PATIENCE = 300.0
"""Seconds after which something hangs; no test is about time, and a busy machine is slow."""


class Models:
    """Both pipelines of the bundled models, loaded once for all tests."""

    def __init__(self) -> None:
        self.plates = PlatePipeline.from_pretrained(threads=1)
        self.reading = StampPipeline.from_pretrained(threads=1, read=True)
        self.stamps = self.reading.with_parts(reader=None)


@pytest.fixture(scope="session")
def models() -> Models:
    """The bundled models."""
    return Models()


@contextmanager
def serving(services: Services, mounts: tuple[Mount, ...] = ()) -> Iterator[httpx.Client]:
    """Serve on a free port while the block runs; gives a client of that server."""
    listener = socket.create_server(("127.0.0.1", 0))
    started = threading.Event()
    app = create_app(services, mounts)
    server = make_server(app, services.settings, lambda _: started.set())
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    assert started.wait(PATIENCE)
    port = listener.getsockname()[1]
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join(PATIENCE)
    assert not thread.is_alive()


@pytest.fixture(scope="session")
def serve(models: Models) -> Serve:
    """Serve the bundled models with settings that differ from the defaults."""

    @contextmanager
    def start(
        *, mounts: tuple[Mount, ...] = (), registry: Path | None = None, **settings: Any
    ) -> Iterator[httpx.Client]:
        known = Registry.open(registry) if registry else None
        patient = Settings(**{"request_seconds": PATIENCE} | settings)
        services = Services(patient, models.plates, models.reading, known)
        with serving(services, mounts) as client:
            yield client

    return start


@pytest.fixture(scope="session")
def api(serve: Serve) -> Iterator[httpx.Client]:
    """A client of a server with the default settings."""
    with serve() as client:
        yield client


@pytest.fixture(scope="session")
def photo() -> bytes:
    """A photo with a plate, JPEG."""
    return PHOTO.read_bytes()


@pytest.fixture(scope="session")
def letter() -> bytes:
    """A letter with a seal, JPEG."""
    return LETTER.read_bytes()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Headless Chromium: that of the system, or the one that Playwright installed."""
    place = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    with sync_playwright() as playwright:
        try:
            chromium = playwright.chromium.launch(executable_path=place, args=["--no-sandbox"])
        except Error as error:
            pytest.fail(f"these tests need Chromium; install it with: make browser ({error})")
        yield chromium
        chromium.close()


def as_png(pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> bytes:
    """Pixels as a PNG file."""
    stream = io.BytesIO()
    PIL.Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture(scope="session")
def document() -> bytes:
    """A PDF of three pages: a letter with a seal, one without, and the first again."""
    without = ROOT / "examples" / "documents" / "letter-without.jpg"
    pages = [PIL.Image.open(path) for path in (LETTER, without, LETTER)]
    stream = io.BytesIO()
    pages[0].save(stream, "PDF", save_all=True, append_images=pages[1:], resolution=100)
    return stream.getvalue()
