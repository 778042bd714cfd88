"""Stamp2vec: boxes, pictures and vectors of stamps."""

import io
from collections.abc import Callable
from typing import TypeVar

from fastapi import APIRouter, Request, Response

from platemark.apps.legacy.common import Json
from platemark.apps.server.common import LISTED, Shared
from platemark.apps.server.schemas import file_body
from platemark.apps.server.uploads import uploads
from platemark.apps.server.work_route import WorkRoute, services_of, while_connected
from platemark.errors import NoStampFound
from platemark.imaging.draw import draw_image
from platemark.imaging.image import Image
from platemark.types import StampMark
from platemark.usecases.pages import the_page

T = TypeVar("T")

router = APIRouter(route_class=WorkRoute)


@router.post(
    "/bounding-boxes",
    summary="Stamp2vec: boxes of stamps",
    responses=LISTED,
    openapi_extra=file_body(many=False, field="file"),
)
async def bounding_boxes(request: Request, services: Shared) -> Json:
    """`{"bboxes": [{"xmin", "ymin", "width", "height", "certainty"}]}`, in whole pixels."""
    return await _of_picture(
        request, lambda image: {"bboxes": [_box(stamp) for stamp in services.stamps.marks(image)]}
    )


@router.post(
    "/image-w-boxes",
    summary="Stamp2vec: the picture with boxes",
    response_class=Response,
    responses=LISTED | {200: {"content": {"image/jpeg": {}}, "description": "The picture."}},
    openapi_extra=file_body(many=False, field="file"),
)
async def image_with_boxes(request: Request, services: Shared) -> Response:
    """A JPEG with the stamps outlined."""

    def draw(image: Image) -> bytes:
        stream = io.BytesIO()
        draw_image(image, services.stamps.marks(image)).save(stream, "JPEG", quality=92)
        return stream.getvalue()

    return Response(await _of_picture(request, draw), media_type="image/jpeg")


@router.post(
    "/embeddings",
    summary="Stamp2vec: vectors of all stamps",
    responses=LISTED,
    openapi_extra=file_body(many=False, field="file"),
)
async def embeddings(request: Request, services: Shared) -> Json:
    """`{"embeddings": [{"bbox", "emb"}]}`; stamps without ink are left out."""

    def work(image: Image) -> Json:
        found = ((stamp, _vector(stamp)) for stamp in services.stamps.marks(image))
        return {"embeddings": [{"bbox": _box(s), "emb": v} for s, v in found if v is not None]}

    return await _of_picture(request, work)


async def embedding_from_cropped(request: Request, services: Shared) -> Json:
    """`{"emb": [...]}` of a picture that is one stamp."""

    def work(image: Image) -> Json:
        (stamp,) = services.finder(cropped=True).marks(image)
        if (vector := _vector(stamp)) is None:
            raise NoStampFound(f"{image.source} shows no ink", source=image.source)
        return {"emb": vector}

    return await _of_picture(request, work)


# Its program, its README and its issues spell the route in three ways.
for _path in ("/embedding-from-cropped", "/embedding-from-copped", "/embeddings-from-cropped"):
    router.add_api_route(
        _path,
        embedding_from_cropped,
        methods=["POST"],
        summary="Stamp2vec: the vector of one stamp",
        responses=LISTED,
        openapi_extra=file_body(many=False, field="file"),
    )


async def _of_picture(request: Request, work: Callable[[Image], T]) -> T:
    """Have something done with the picture of a request, which may come in any form field."""
    services = services_of(request)
    async with uploads(request, services) as body:
        file = body.files[0]
        pages = services.pages(file.read, file.name, 0)
        return await while_connected(request, services.work.run(lambda: work(the_page(pages))))


def _box(stamp: StampMark) -> Json:
    x0, y0, x1, y1 = (round(value) for value in stamp.box)
    size = {"xmin": x0, "ymin": y0, "width": x1 - x0, "height": y1 - y0}
    return size | {"certainty": round(stamp.score, 4)}


def _vector(stamp: StampMark) -> list[float] | None:
    return None if stamp.embedding is None else stamp.to_dict(embedding=True)["embedding"]
