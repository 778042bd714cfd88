"""The application: the page of the review, its parts and its routes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path

from fastapi import FastAPI, Response
from starlette.exceptions import HTTPException

from platemark.apps.metrics import Metrics
from platemark.apps.review.routes import router
from platemark.apps.review.session import Review
from platemark.apps.server.connection import Guard, RequestLog
from platemark.apps.server.problems import add_handlers
from platemark.apps.settings import Settings
from platemark.apps.web.assets import ICON, LOGO, STYLE

_STATIC = Path(__file__).parent / "static"
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
# The page asks this server alone.
_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; style-src 'self'; object-src 'none'; "
    "base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
)


def create_review(review: Review, settings: Settings) -> FastAPI:
    """Make the application.

    Args:
        review: What it shows; it runs as long as the application, and is closed with it.
        settings: Of the server: keys, limits, paths.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        review.start()
        yield
        await asyncio.to_thread(review.close)

    app = FastAPI(
        title="platemark review",
        version=version("platemark"),
        lifespan=lifespan,
        openapi_url=None,
    )
    app.state.review = review
    app.state.stopping = asyncio.Event()
    add_handlers(app)
    app.include_router(router)
    files = {file.name: file for file in (*_STATIC.iterdir(), STYLE, ICON)}
    page = files.pop("index.html").read_text(encoding="utf-8").replace("<!-- logo -->", LOGO)

    @app.get("/", include_in_schema=False)
    async def index() -> Response:
        return _file(page, "text/html")

    @app.get("/static/{name}", include_in_schema=False)
    def static(name: str) -> Response:
        if name not in files:  # whatever is asked for, nothing else is opened
            raise HTTPException(404, "there is no such file")
        return _file(files[name].read_bytes(), _TYPES[files[name].suffix])

    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    app.add_middleware(Guard, settings=settings)
    app.add_middleware(RequestLog, settings=settings, metrics=Metrics())
    return app


def _file(content: str | bytes, media_type: str) -> Response:
    headers = {
        "Content-Security-Policy": _POLICY,
        "Referrer-Policy": "same-origin",
        "Cache-Control": "no-cache",
    }
    return Response(content, media_type=media_type, headers=headers)
