"""The web app within the server: loaded beside it, and let at no more than it needs.

Gradio takes seconds to import, so the API is ready first and the web app follows from a thread.
"""

import asyncio
import os
import re
import tempfile
from collections.abc import AsyncIterator, Awaitable
from concurrent.futures import Future
from contextlib import AsyncExitStack, asynccontextmanager
from threading import Thread
from typing import TYPE_CHECKING, Any

from platemark.apps.services import Services
from platemark.errors import MissingExtra

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

WEB_PATH = "/web"

# What the pages of the app ask for. Gradio has more: it fetches addresses and passes requests on.
_USED = re.compile(
    r"/|/(config|theme\.css|manifest\.json|favicon\.ico)/?|/(assets|static|svelte)/.+"
    r"|/gradio_api/(upload|upload_progress|startup-events|app_id|info|cancel|reset|queue/.+)/?"
    r"|/gradio_api/heartbeat/\w+|/gradio_api/file=/.+"
)
# The page asks this server alone, whatever Gradio's own pages hold.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self'; worker-src 'self' blob:; object-src 'none'; base-uri 'self'; "
    "form-action 'self'; frame-ancestors 'self' https://huggingface.co"
)
_HEADERS = (
    (b"content-security-policy", _POLICY.encode()),
    (b"referrer-policy", b"same-origin"),
)


def mount(app: "FastAPI", services: Services) -> None:
    """Add the web app to the server, under `WEB_PATH`.

    Args:
        app: The server's application, before it starts.
        services: What it stands on.

    Raises:
        MissingExtra: Gradio is not installed.
    """
    from importlib.util import find_spec

    if find_spec("gradio") is None:
        raise MissingExtra("the web app", "serve")
    web = _Web(services)
    around = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(parent: "FastAPI") -> AsyncIterator[Any]:
        async with around(parent) as state:
            web.begin()
            try:
                yield state
            finally:
                await web.end()

    app.router.lifespan_context = lifespan
    app.mount(WEB_PATH, web)


class _Web:
    """The application as it is mounted; requests that come early wait until it is loaded."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._loaded: Future[ASGIApp] = Future()
        self._entered = asyncio.Lock()
        self._inner: ASGIApp | None = None
        self._open = AsyncExitStack()

    def begin(self) -> None:
        """Load it in the background."""
        # Uploads lie in a folder of this process alone, and go with it.
        self._folder = tempfile.TemporaryDirectory(prefix="platemark-web-")
        Thread(target=self._load, name="platemark-web", daemon=True).start()

    def _load(self) -> None:
        os.environ |= {
            "GRADIO_ANALYTICS_ENABLED": "False",
            "GRADIO_TEMP_DIR": self._folder.name,
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }
        try:
            from platemark.apps.web.app import create_web

            self._loaded.set_result(create_web(self._services))
        except BaseException as error:
            self._loaded.set_exception(error)
            raise

    async def end(self) -> None:
        """Stop it and remove the files that were uploaded."""
        if self._inner is not None:
            await self._open.aclose()
        self._folder.cleanup()

    async def _ready(self) -> "ASGIApp":
        async with self._entered:
            if self._inner is None:
                app = await asyncio.wrap_future(self._loaded)
                # A mounted application is told of no start and no end, so it is done here.
                await self._open.enter_async_context(app.router.lifespan_context(app))  # type: ignore[attr-defined]
                self._inner = app
        return self._inner

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        path = scope["path"].removeprefix(scope.get("root_path", "")) or "/"
        if scope["type"] != "http" or not _USED.fullmatch(path):
            await send({"type": "http.response.start", "status": 404, "headers": []})
            await send({"type": "http.response.body", "body": b"not found"})
            return
        inner = await self._ready()

        async def with_headers(message: "Message") -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        stopping = scope["app"].state.stopping  # Gradio puts its own application in the scope
        answer = inner(scope, receive, with_headers)
        if "/heartbeat/" in path:
            if not await _until(stopping, answer):
                await send({"type": "http.response.body", "body": b""})
        else:
            await answer


async def _until(stopping: asyncio.Event, answer: Awaitable[None]) -> bool:
    """Answer for as long as a page is open, but not longer than the server runs.

    Returns:
        Whether the answer came to its own end.
    """
    parts = [asyncio.ensure_future(answer), asyncio.ensure_future(stopping.wait())]
    try:
        await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        return parts[0].done()
    finally:
        for part in parts:
            part.cancel()
        await asyncio.gather(*parts, return_exceptions=True)
