"""The application: routes, what goes around them, start and end."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.middleware.cors import CORSMiddleware

from platemark.apps import legacy
from platemark.apps.server import marks, operations, registry
from platemark.apps.server.connection import Guard, RequestLog
from platemark.apps.server.problems import add_handlers
from platemark.apps.services import Services

Mount = Callable[[FastAPI, Services], None]

_DESCRIPTION = """
Finds and reads licence plates in photos; finds, cuts out and tells apart stamps on documents.

Files come as `multipart/form-data`, as the raw body, or as base64 in JSON. The answer has an object
for each image or page, in order; a file that failed has an `error` in its place, the others go on.
Where every file failed the answer is that error. Errors are problem JSON (RFC 9457) with a stable
`code`.
"""


def create_app(services: Services, mounts: tuple[Mount, ...] = ()) -> FastAPI:
    """Make the application.

    Args:
        services: What all requests share; closed when the application ends.
        mounts: Add more to the application, such as the web app.
    """
    settings = services.settings

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        services.close()

    make = FastAPIOffline if settings.docs else FastAPI
    app = make(
        title="platemark",
        version=version("platemark"),
        description=_DESCRIPTION,
        lifespan=lifespan,
        openapi_url="/openapi.json" if settings.docs else None,
    )
    app.state.services = services
    # Set when the server is told to stop: answers without an end of their own then end.
    app.state.stopping = asyncio.Event()
    add_handlers(app)
    for router in (marks.router, registry.router, operations.router, legacy.router):
        app.include_router(router)
    for mount in mounts:
        mount(app, services)
    app.add_middleware(Guard, settings=settings)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=["X-Request-ID", "Retry-After"],
        )
    app.add_middleware(RequestLog, settings=settings, metrics=services.metrics)
    return app
