"""The routes of the stamp systems that came before, answered as their clients expect.

Stamp-recognition (``/images/...``), Stamp2vec (``/bounding-boxes``, ``/embedding-...``) and its
follower with a registry (``/seals/...``). Where those systems left a shape open, what is chosen
here is written down in ``docs/serve.md`` and stays.
"""

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse, RedirectResponse

from platemark.apps.legacy import recognition, seals, stamp2vec
from platemark.apps.server.work_route import WorkRoute

WEB_PATH = "/web"
"""Where the web app is mounted, if it is."""

router = APIRouter(route_class=WorkRoute, tags=["earlier systems"])
for _part in (stamp2vec, recognition, seals):
    router.include_router(_part.router)


@router.get("/", include_in_schema=False)
async def root(request: Request) -> Response:
    """Send people to the web app, or the description of the API; answer programs ``OK``.

    Stamp-recognition answered ``OK`` here, Stamp2vec sent its callers to ``/docs``.
    """
    paths = {getattr(route, "path", "") for route in request.app.routes}
    shown = next((path for path in (WEB_PATH, "/docs") if path in paths), None)
    if shown is None or "text/html" not in request.headers.get("accept", ""):
        return PlainTextResponse("OK")
    return RedirectResponse(f"{request.scope.get('root_path', '')}{shown}")
