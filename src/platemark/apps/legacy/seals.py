"""The follower of Stamp2vec with a registry: add, search and remove seals."""

from collections.abc import Callable
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from platemark.apps.legacy.common import Json, as_base64, sample_picture
from platemark.apps.selfcheck import FINE, check_models
from platemark.apps.server.common import LISTED, Shared
from platemark.apps.server.connection import may_write
from platemark.apps.server.schemas import json_body, problems
from platemark.apps.server.uploads import Model, Upload, decode, parsed, received
from platemark.apps.server.work_route import WorkRoute, services_of, while_connected
from platemark.apps.services import Services
from platemark.errors import DesignNotFound, InvalidDesign, NoStampFound
from platemark.imaging.draw import cut_mark
from platemark.imaging.image import Image
from platemark.types import StampMark
from platemark.usecases.pages import the_page

router = APIRouter(route_class=WorkRoute)


class SealItem(BaseModel):
    """A picture with a seal, and what the seal is called."""

    image_b64: str = Field(min_length=1)
    seal_id: str = Field(min_length=1)


class Ingest(BaseModel):
    """Seals to add."""

    items: list[SealItem] = Field(min_length=1)


class Search(BaseModel):
    """A picture whose seal is searched for."""

    image_b64: str = Field(min_length=1)
    top_k: int = Field(default=3, ge=1, le=100)


class Delete(BaseModel):
    """Seals to remove."""

    seal_ids: list[str]


@router.get(
    "/health",
    summary="Seal registry: whether all is well",
    responses=LISTED | {503: {"description": "It is not; `troubles` says why."}},
)
async def health(
    services: Shared,
    verify: Annotated[bool, Query(description="Run every model on its own sample.")] = False,
    max_images: Annotated[int | None, Query(description="Accepted; not needed here.")] = None,
    random_sample: Annotated[bool | None, Query(description="Likewise.")] = None,
    force: Annotated[bool | None, Query(description="Likewise.")] = None,
    verify_ttl_sec: Annotated[float | None, Query(description="Likewise.")] = None,
) -> Response:
    """`{"status": "healthy"|"unhealthy", "total_in_database", "troubles", "models"}`."""

    def work() -> Response:
        troubles = list(services.troubles())
        models = check_models(services) if verify else None
        troubles += [f"{name}: {said}" for name, said in (models or {}).items() if said not in FINE]
        content = {
            "status": "unhealthy" if troubles else "healthy",
            "total_in_database": None if troubles else len(services.registry),
            "troubles": troubles,
            "models": models,
        }
        return JSONResponse(content, 503 if troubles else 200)

    return await services.work.run(work)


@router.post(
    "/seals/ingest_base64",
    summary="Seal registry: add seals",
    openapi_extra=json_body(Ingest),
    responses=LISTED | problems(409),
    dependencies=[Depends(may_write)],
)
async def ingest(request: Request, services: Shared) -> Json:
    """The best seal of each picture is a sample of its `seal_id`; all are added, or none."""

    def work(said: Ingest) -> Json:
        seals = [(item.seal_id, *_seal(services, item.image_b64)) for item in said.items]
        stored = []
        for seal_id, image, stamp in seals:
            services.registry.add(seal_id, stamp, duplicates="allow")
            crop = as_base64(cut_mark(image.pixels, stamp))
            size = len(stamp.embedding.vector) if stamp.embedding else 0
            stored.append({"seal_id": seal_id, "embedding_dim": size, "crop_image_b64": crop})
        return {"seals_detected": len(seals), "embeddings_stored": stored, "status": "success"}

    return await _with_json(request, Ingest, work)


@router.post(
    "/seals/search",
    summary="Seal registry: whose seal is this?",
    responses=LISTED,
    openapi_extra=json_body(Search),
)
async def search(request: Request, services: Shared) -> Json:
    """The designs most like the best seal of the picture, in `top_3` as many as `top_k` says."""

    def work(wanted: Search) -> Json:
        _, stamp = _seal(services, wanted.image_b64)
        candidates = services.registry.identify(stamp, wanted.top_k)
        found = [
            {
                "seal_id": candidate.design.name,
                "similarity_score": round(candidate.similarity, 4),
                "rank": rank,
                "image_base64": sample_picture(services, candidate.sample),
            }
            for rank, candidate in enumerate(candidates, 1)
        ]
        known = [candidate.design.name for candidate in candidates if candidate.accepted]
        return {
            "query_seal_id": known[0] if known else None,
            "top_1": found[0] if found else None,
            "top_3": found,
            "total_in_database": len(services.registry),
            "returned_count": len(found),
            "status": "success",
        }

    return await _with_json(request, Search, work)


@router.post(
    "/seals/delete",
    summary="Seal registry: remove seals",
    responses=LISTED,
    dependencies=[Depends(may_write)],
)
async def delete(services: Shared, wanted: Delete) -> Json:
    """Which were removed, and which were not there."""

    def work() -> Json:
        gone, left = [], []
        for seal_id in wanted.seal_ids:
            try:
                services.registry.remove(seal_id)
                gone.append(seal_id)
            except (DesignNotFound, InvalidDesign):
                left.append(seal_id)
        return {
            "deleted_count": len(gone),
            "failed_count": len(left),
            "deleted_ids": gone,
            "failed_ids": left,
            "status": "partial_success" if left else "success",
        }

    return await services.work.run(work)


async def _with_json(request: Request, model: type[Model], work: Callable[[Model], Json]) -> Json:
    """Have something done with a JSON body, which is parsed by a worker: its pictures are large."""
    services = services_of(request)
    with await received(request) as raw:
        done = services.work.run(lambda: work(parsed(raw, model)))
        return await while_connected(request, done)


def _seal(services: Services, encoded: str) -> tuple[Image, StampMark]:
    """The best seal of a picture in base64, and the picture.

    Raises:
        InputError: It is no picture, or shows no seal.
    """
    file = Upload("image_b64", "image_b64", partial(decode, encoded, "image_b64"))
    image = the_page(services.pages(file.read, file.name, 0))
    stamps = [stamp for stamp in services.stamps.marks(image) if stamp.embedding is not None]
    if not stamps:
        raise NoStampFound("the picture shows no seal")
    return image, stamps[0]
