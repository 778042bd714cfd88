"""Whether the server lives and is ready, and its metrics."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse

from platemark.apps.metrics import CONTENT_TYPE
from platemark.apps.selfcheck import FINE, check_models
from platemark.apps.server.common import Shared

router = APIRouter(tags=["operations"])


@router.get("/healthz", summary="Whether the process lives")
async def healthz() -> dict[str, str]:
    """Answer."""
    return {"status": "ok"}


@router.get(
    "/readyz",
    summary="Whether requests can be answered",
    responses={503: {"description": "They cannot; `troubles` says why."}},
)
async def readyz(
    services: Shared,
    verify: Annotated[bool, Query(description="Run every model on its own sample.")] = False,
) -> Response:
    """Models are loaded, the registry answers, and with `verify` every model still says of its
    own sample what it said when it was released."""
    # Not by the workers: whether the server is ready may not wait for what it has to do.
    troubles = list(await asyncio.to_thread(services.troubles))
    content: dict[str, Any] = {"status": "ready"}
    if verify:
        with services.work.admit():
            content["models"] = await services.work.run(lambda: check_models(services))
        checks = content["models"].items()
        troubles += [f"{name}: {said}" for name, said in checks if said not in FINE]
    if troubles:
        content |= {"status": "not ready", "troubles": troubles}
    return JSONResponse(content, 503 if troubles else 200)


@router.get("/metrics", summary="Metrics for Prometheus", response_class=Response)
async def metrics(services: Shared) -> Response:
    """Requests, latency of each stage, queue, marks and errors, in Prometheus' text format."""
    return Response(services.metrics.render(), media_type=CONTENT_TYPE)
