"""Routes that find marks: plates, stamps, annotated pictures, vectors, ink."""

import json
from dataclasses import replace
from enum import StrEnum
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from platemark.apps.server.common import (
    LISTED,
    Cropped,
    MinScore,
    Name,
    OnePage,
    Outcome,
    PageNumber,
    ReadStamps,
    RegionOfInterest,
    Shared,
    answer_list,
    found,
    listed,
)
from platemark.apps.server.examples import (
    COMPARISON_EXAMPLE,
    EMBEDDINGS_EXAMPLE,
    PLATES_EXAMPLE,
    REDACTED_EXAMPLE,
    SEGMENTS_EXAMPLE,
    STAMPS_EXAMPLE,
    VERIFY_EXAMPLE,
)
from platemark.apps.server.schemas import (
    ComparisonShape,
    EmbeddingsShape,
    MergedPlateShape,
    PlatesShape,
    SegmentsShape,
    StampsShape,
    answers,
    file_body,
    redacted_answer,
)
from platemark.apps.server.uploads import uploads
from platemark.apps.server.work_route import (
    WorkRoute,
    each_page,
    one_document,
    one_page,
    while_connected,
)
from platemark.apps.services import Services
from platemark.errors import InvalidRequest
from platemark.imaging.cover import Style
from platemark.imaging.draw import cut_out, draw_image
from platemark.imaging.image import Image
from platemark.plates.pipeline import PlatePipeline
from platemark.types import Result
from platemark.types.base import png
from platemark.usecases.pages import Item, no_stamp

router = APIRouter(route_class=WorkRoute, tags=["marks"])
_MODEL = "embedding_model"
PlatesCropped = Annotated[bool, Query(description="Each picture is one plate already cropped.")]
Regions = Annotated[
    str | None,
    Query(
        description="Plates to expect, comma-separated: formats (`eu-ua-2015`), families "
        "(`eu-ua`), countries (`pl`).",
    ),
]

PrewarpCorners = Annotated[
    str | None,
    Query(
        max_length=400,
        description="Straighten pictures of a fixed camera first: `x,y x,y x,y x,y` of a rectangle "
        "in the plane of the plates, clockwise from its top-left; also `ratio=WIDTH/HEIGHT`, and "
        "`lens=K1,K2`.",
    ),
]
Together = Annotated[
    bool, Query(description="The files show one car: one object for each plate, read in all.")
]


class MarkKind(StrEnum):
    """What to detect."""

    PLATE = "plate"
    STAMP = "stamp"


class AnswerFormat(StrEnum):
    """What is answered: values or a picture."""

    JSON = "json"
    PNG = "png"


class CopyFormat(StrEnum):
    """What is answered: a file, or an object with it in base64."""

    FILE = "file"
    JSON = "json"


@router.post(
    "/v1/plates",
    summary="Find and read licence plates",
    response_model=answers(PlatesShape | MergedPlateShape),
    responses=listed(PLATES_EXAMPLE),
    openapi_extra=file_body(),
)
async def plates(
    request: Request,
    services: Shared,
    min_score: MinScore = None,
    cropped: PlatesCropped = False,
    regions: Regions = None,
    region_of_interest: RegionOfInterest = None,
    prewarp: PrewarpCorners = None,
    alternatives: Annotated[
        int, Query(ge=0, le=100, description="Most alternatives of each plate.")
    ] = 4,
    watch: Annotated[
        str | None,
        Query(
            max_length=4000,
            description="Texts to watch for, comma-separated; a plate that shows one has `watch`.",
        ),
    ] = None,
    together: Together = False,
    page: OnePage = None,
    name: Name = None,
) -> Response:
    """One object for each image or page, in order; a file that failed has an `error`."""
    pipeline = services.plate_finder(
        min_score,
        cropped=cropped,
        regions=regions,
        watched=watch,
        alternatives=alternatives,
        prewarp=prewarp,
    )
    pipeline = services.within(pipeline, region_of_interest)
    if together:
        return await _merged(request, services, pipeline, page)
    work = partial(found, services, "plate", pipeline, Result.to_dict)
    return answer_list(request, await each_page(request, work, only=page))


async def _merged(
    request: Request, services: Services, pipeline: PlatePipeline, page: int | None
) -> Response:
    """What all files say together, after the files that failed."""

    def work(item: Item) -> Result:
        return replace(services.find("plate", item, pipeline), draw=None)

    results = await each_page(request, work, only=page)
    plates = await services.work.run(lambda: pipeline.merge(results))
    failed = [Outcome(json.dumps(one.to_dict()), failed=True) for one in results if one.error]
    if len(failed) < len(results):
        failed += [Outcome(json.dumps(plate.to_dict())) for plate in plates]
    return answer_list(request, failed)


@router.post(
    "/v1/plates/verify",
    summary="Does a plate show this text?",
    response_model=answers(PlatesShape | MergedPlateShape),
    responses=listed(VERIFY_EXAMPLE),
    openapi_extra=file_body(),
)
async def verify(
    request: Request,
    services: Shared,
    text: Annotated[
        str, Query(max_length=32, description="What a plate should show, in any spelling.")
    ],
    min_score: MinScore = None,
    cropped: PlatesCropped = False,
    regions: Regions = None,
    together: Together = False,
    page: OnePage = None,
    name: Name = None,
) -> Response:
    """As `/v1/plates`, and `expected` says `match`, `mismatch`, or `unsure`."""
    pipeline = services.plate_finder(min_score, cropped=cropped, regions=regions, expected=text)
    if together:
        return await _merged(request, services, pipeline, page)
    work = partial(found, services, "plate", pipeline, Result.to_dict)
    return answer_list(request, await each_page(request, work, only=page))


@router.post(
    "/v1/stamps",
    summary="Find stamps and seals",
    response_model=answers(StampsShape),
    responses=listed(STAMPS_EXAMPLE),
    openapi_extra=file_body(),
)
async def stamps(
    request: Request,
    services: Shared,
    min_score: MinScore = None,
    region_of_interest: RegionOfInterest = None,
    embedding: Annotated[bool, Query(description="Also give the vector of each stamp.")] = False,
    identify: Annotated[
        bool, Query(description="Ask the registry, where there is one, whose each stamp is.")
    ] = True,
    read: ReadStamps = False,
    page: OnePage = None,
    name: Name = None,
) -> Response:
    """One object for each image or page, in order; a file that failed has an `error`."""
    pipeline = services.within(
        services.finder(min_score, identify=identify, read=read), region_of_interest
    )
    work = partial(found, services, "stamp", pipeline, partial(Result.to_dict, embedding=embedding))
    return answer_list(request, await each_page(request, work, only=page))


@router.post(
    "/v1/annotated",
    summary="Draw the marks of a picture",
    response_class=Response,
    responses=LISTED | {200: {"content": {"image/png": {}}, "description": "The picture."}},
    openapi_extra=file_body(many=False),
)
async def annotated(
    request: Request,
    services: Shared,
    kind: Annotated[MarkKind, Query()] = MarkKind.PLATE,
    page: PageNumber = 0,
    min_score: MinScore = None,
    name: Name = None,
) -> Response:
    """A PNG of one picture, or of one page of a document, annotated with its marks."""
    pipeline = services.pipeline(kind.value, min_score)

    def draw(image: Image) -> bytes:
        return png(draw_image(image, services.find(kind.value, image, pipeline).marks))

    return Response(await one_page(request, page, draw), media_type="image/png")


@router.post(
    "/v1/redact",
    summary="Cover plates or stamps",
    response_class=Response,
    responses=LISTED | {200: redacted_answer(REDACTED_EXAMPLE)},
    openapi_extra=file_body(many=False),
)
async def redact(
    request: Request,
    services: Shared,
    kind: Annotated[MarkKind, Query(description="What to cover.")] = MarkKind.PLATE,
    style: Annotated[Style, Query(description="How; `box` is black.")] = "blur",
    min_score: Annotated[
        float | None,
        Query(
            ge=0,
            le=1,
            description="Least score of what is covered; default: 0.05 for plates, 0.1 for stamps.",
        ),
    ] = None,
    page: OnePage = None,
    format: Annotated[  # noqa: A002 - the parameter is called so
        CopyFormat,
        Query(description="`json` gives the copy in base64, and what was covered on each page."),
    ] = CopyFormat.FILE,
    name: Name = None,
) -> Response:
    """A copy of one picture or document in which plates or stamps cannot be read any more.

    It has the format of the original and no EXIF; a PDF becomes one of pictures, HEIC JPEG.
    """
    redactor = services.redactor(kind.value, style, min_score)
    made = await one_document(request, page, redactor.add, redactor.file)
    if format is CopyFormat.JSON:
        return Response(json.dumps(made.to_dict()), media_type="application/json")
    return Response(made.data, media_type=made.media_type)


@router.post(
    "/v1/embeddings",
    summary="Vectors of stamps",
    response_model=answers(EmbeddingsShape),
    responses=listed(EMBEDDINGS_EXAMPLE),
    openapi_extra=file_body(),
)
async def embeddings(
    request: Request, services: Shared, cropped: Cropped = False, name: Name = None
) -> Response:
    """The vector of each stamp; those of one stamp are near to each other.

    A stamp without any ink has none.
    """

    def vectors(result: Result) -> dict[str, Any]:
        inked = [one for one in result.to_dict(embedding=True)["marks"] if "embedding" in one]
        kept = {"box": "box", "score": "score", "embedding": "embedding", "model": _MODEL}
        made = [{name: one[key] for name, key in kept.items()} for one in inked]
        return {"source": result.source, "page": result.page, "embeddings": made}

    work = partial(found, services, "stamp", services.finder(cropped=cropped), vectors)
    return answer_list(request, await each_page(request, work))


@router.post(
    "/v1/segment",
    summary="The ink of stamps",
    response_model=answers(SegmentsShape),
    responses=LISTED | listed(SEGMENTS_EXAMPLE),
    openapi_extra=file_body(),
)
async def segment(
    request: Request,
    services: Shared,
    cropped: Cropped = False,
    format: Annotated[  # noqa: A002 - the parameter is called so
        AnswerFormat,
        Query(
            description="`png` gives the stamp with the highest score in the first file, its paper "
            "transparent."
        ),
    ] = AnswerFormat.JSON,
    page: PageNumber = 0,
    name: Name = None,
) -> Response:
    """The ink mask of each stamp, or the cut-out of the stamp with the highest score."""

    pipeline = services.finder(cropped=cropped)

    def masks(result: Result) -> dict[str, Any]:
        marks = result.to_dict()["marks"]
        kept = [{key: mark[key] for key in ("box", "score", "mask")} for mark in marks]
        return {"source": result.source, "page": result.page, "stamps": kept}

    def cut(image: Image) -> bytes:
        for mark in pipeline.marks(image):
            return png(cut_out(image.pixels, mark.mask))
        raise no_stamp(image.source)

    if format is AnswerFormat.PNG:
        return Response(await one_page(request, page, cut), media_type="image/png")
    work = partial(found, services, "stamp", pipeline, masks)
    return answer_list(request, await each_page(request, work))


@router.post(
    "/v1/compare",
    summary="Did one stamp make both?",
    response_model=ComparisonShape,
    responses=LISTED | {200: {"content": {"application/json": {"example": COMPARISON_EXAMPLE}}}},
    openapi_extra=file_body(),
)
async def compare(
    request: Request,
    services: Shared,
    cropped: Cropped = False,
    page_a: OnePage = None,
    page_b: OnePage = None,
    format: Annotated[  # noqa: A002 - the parameter is called so
        AnswerFormat,
        Query(description="`png` gives the picture of what differs, in place of the JSON."),
    ] = AnswerFormat.JSON,
) -> Response:
    """Compare the stamps of two files: probability that one stamp made both, verdict, reason.

    Of a document the first page that shows a stamp is taken, unless `page_a` or `page_b` names one.
    `transform` takes pixels of the first picture to pixels of the second; `a` and `b` are the boxes
    of the stamps that were compared.
    """
    async with uploads(request, services) as body:
        if len(body.files) != 2:
            raise InvalidRequest(f"two files are compared, the request has {len(body.files)}")

        def work() -> Response:
            wanted = zip(body.files, (page_a, page_b), strict=True)
            pages = [services.pages(file.read, file.name, page) for file, page in wanted]
            comparison, *_ = services.compare(*pages, cropped=cropped)
            if format is AnswerFormat.PNG:
                return Response(png(comparison.plot()), media_type="image/png")
            return Response(json.dumps(comparison.to_dict()), media_type="application/json")

        return await while_connected(request, services.work.run(work))
