"""Routes of the registry: known stamps, their samples, and whose a stamp is."""

import json
import shutil
import tempfile
from collections.abc import Mapping
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import PIL.Image
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from pydantic import ValidationError
from starlette.background import BackgroundTask
from starlette.convertors import StringConvertor, register_url_convertor

from platemark.apps.server.bodies import (
    About,
    DesignChanges,
    MergeRequest,
    NewSamples,
    SplitRequest,
)
from platemark.apps.server.common import (
    Cropped,
    Name,
    Outcome,
    ReadStamps,
    Shared,
    answer_list,
    failed,
    found,
    listed,
)
from platemark.apps.server.connection import may_write
from platemark.apps.server.examples import ADDED_EXAMPLE, DESIGN_EXAMPLE, IDENTIFIED_EXAMPLE
from platemark.apps.server.schemas import (
    AddedShape,
    DesignShape,
    DesignWithSamplesShape,
    IdentifiedShape,
    answers,
    file_body,
    problems,
)
from platemark.apps.server.uploads import explain, uploads
from platemark.apps.server.work_route import WorkRoute, each_page, pages_of
from platemark.apps.services import Services
from platemark.errors import InvalidRequest
from platemark.registry import Design
from platemark.types import Result
from platemark.types.base import png
from platemark.usecases.enrol import Enrolled, EnrolledStamp, add_stamps
from platemark.usecases.identify import identified
from platemark.usecases.pages import Where, stamps_of


class _NameConvertor(StringConvertor):
    """A part of a path that may hold slashes, as names of designs do."""

    regex = ".+"


register_url_convertor("name", _NameConvertor())
router = APIRouter(route_class=WorkRoute, prefix="/v1/registry", tags=["registry"])
Writer = Depends(may_write)
FOUND = problems(401, 403, 404, 422, 429, 503)
CHANGED = FOUND | problems(409, 413)


class SamplePart(StrEnum):
    """What of a sample is shown."""

    PICTURE = "picture"
    INK = "ink"
    CUT_OUT = "cut-out"


@router.get(
    "/designs",
    summary="Known stamps",
    response_model=list[DesignShape],
    responses=FOUND | {200: {"content": {"application/json": {"example": [DESIGN_EXAMPLE]}}}},
)
async def designs(
    services: Shared,
    text: Annotated[
        str,
        Query(
            max_length=500,
            description="Words that name, owner, notes, tags or the text of the stamp contain.",
        ),
    ] = "",
    retired: Annotated[bool | None, Query(description="Only retired ones, or only others.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0, lt=2**31)] = 0,
) -> Response:
    """Designs, sorted by name; `X-Total-Count` says how many there are in the registry."""

    def work() -> Response:
        found = services.registry.designs(text, retired=retired, limit=limit, offset=offset)
        headers = {"X-Total-Count": str(len(services.registry))}
        return JSONResponse([design.to_dict() for design in found], headers=headers)

    return await services.work.run(work)


@router.post(
    "/designs",
    summary="Add samples of a stamp",
    response_model=answers(AddedShape),
    responses=listed(ADDED_EXAMPLE) | problems(409),
    openapi_extra=file_body(
        NewSamples, fields=("name", "notes", "tags", "owner", "duplicates", "all")
    ),
    dependencies=[Writer],
)
async def add(
    request: Request,
    services: Shared,
    name: Annotated[str | None, Query(description="Name of the design.")] = None,
    cropped: Cropped = False,
    read: ReadStamps = False,
    all: Annotated[  # noqa: A002 - the parameter is called so
        bool, Query(description="Different stamps of a document may become samples of one name.")
    ] = False,
) -> Response:
    """The stamps in the files are samples of the design of this name, made if there is none.

    A document that shows different stamps is refused with the list of what it shows, unless `all`.
    What is said about the design may stand in the query, in the form or in the JSON object. The
    answer has an object for each image or page, and in it one for each stamp.
    """
    pipeline, registry = services.finder(read=read), services.registry
    process = partial(stamps_of, pipeline, where=Where(whole=cropped))
    async with uploads(request, services, NewSamples) as body:
        about = _about({**request.query_params, **body.fields})
        outcomes: list[Outcome] = []
        for pages in await pages_of(request, body.files, process):
            work = partial(add_stamps, registry, pipeline, pages, about.name, about.terms)
            outcomes += [_enrolled(services, one) for one in await services.work.run(work)]
        return answer_list(request, outcomes)


def _about(said: Mapping[str, Any]) -> About:
    try:
        return About.model_validate(said)
    except ValidationError as error:
        raise InvalidRequest(explain(error)) from None


def _enrolled(services: Services, page: Enrolled) -> Outcome:
    refused = [stamp.error for stamp in page.stamps if stamp.error is not None]
    nothing = page.error or (refused[0] if len(refused) == len(page.stamps) > 0 else None)
    if nothing is not None:
        return failed(services, page.source, page.page, nothing)
    added = [_enrolled_stamp(stamp) for stamp in page.stamps]
    return Outcome(json.dumps({"source": page.source, "page": page.page, "added": added}))


def _enrolled_stamp(stamp: EnrolledStamp) -> dict[str, Any]:
    place = {"box": stamp.mark.to_dict()["box"]}
    if (added := stamp.added) is None:
        return place | {"error": stamp.error.to_dict() if stamp.error else None}
    return place | {
        "design": added.design.to_dict(),
        "sample": added.sample.to_dict(),
        "new_design": added.new_design,
        "new_sample": added.new_sample,
        "alike": [candidate.to_dict() for candidate in added.alike],
    }


@router.post(
    "/identify",
    summary="Whose stamps are these?",
    response_model=answers(IdentifiedShape),
    responses=listed(IDENTIFIED_EXAMPLE),
    openapi_extra=file_body(),
)
async def identify(
    request: Request,
    services: Shared,
    top_k: Annotated[int, Query(ge=1, le=100, description="Candidates for each stamp.")] = 5,
    false_accepts: Annotated[
        float,
        Query(gt=0, lt=1, description="Share of unknown stamps that may be taken for known ones."),
    ] = 0.001,
    cropped: Cropped = False,
    name: Name = None,
) -> Response:
    """The stamps of each image or page, and the designs each may be of, highest score first.

    `identity` is the first candidate, `accepted` says whether its score reaches the acceptance
    threshold.
    """

    registry = services.registry

    def tell(result: Result) -> dict[str, Any]:
        with services.metrics.time("stamp_identify"):
            return identified(registry, result, top_k, false_accepts=false_accepts)

    work = partial(found, services, "stamp", services.finder(cropped=cropped), tell)
    return answer_list(request, await each_page(request, work))


@router.get(
    "/designs/{design:name}",
    summary="A known stamp",
    response_model=DesignWithSamplesShape,
    responses=FOUND,
)
async def show(services: Shared, design: str) -> Response:
    """A design by its id or name, and its samples, oldest first."""

    def work() -> Response:
        found = services.registry.design(design)
        samples = [sample.to_dict() for sample in services.registry.samples(found.id)]
        return JSONResponse(found.to_dict() | {"sample_list": samples})

    return await services.work.run(work)


@router.patch(
    "/designs/{design:name}",
    summary="Change a known stamp",
    response_model=DesignShape,
    responses=CHANGED,
    dependencies=[Writer],
)
async def change(services: Shared, design: str, changes: DesignChanges) -> Response:
    """Rename a design, change what is said about it, retire or reinstate it."""

    def work() -> Response:
        registry = services.registry
        said = changes.model_dump(exclude={"retired"})
        found = registry.design(design)
        if any(value is not None for value in said.values()):
            found = registry.update(found.id, **said)
        if changes.retired is not None:
            found = (registry.retire if changes.retired else registry.reinstate)(found.id)
        return _design(found)

    return await services.work.run(work)


@router.delete(
    "/designs/{design:name}",
    summary="Remove a known stamp",
    response_model=DesignShape,
    responses=CHANGED,
    dependencies=[Writer],
)
async def remove(services: Shared, design: str) -> Response:
    """Remove a design with its samples; the answer is what it was."""
    return await services.work.run(lambda: _design(services.registry.remove(design)))


@router.post(
    "/designs/{design:name}/merge",
    summary="Make designs one",
    response_model=DesignShape,
    responses=CHANGED,
    dependencies=[Writer],
)
async def merge(services: Shared, design: str, wanted: MergeRequest) -> Response:
    """The design gets the samples, tags and notes of the others, which are then gone."""
    return await services.work.run(lambda: _design(services.registry.merge(design, *wanted.others)))


@router.post(
    "/designs/{design:name}/split",
    summary="Make samples a design of their own",
    response_model=DesignShape,
    responses=CHANGED,
    dependencies=[Writer],
)
async def split(services: Shared, design: str, wanted: SplitRequest) -> Response:
    """The answer is the new design."""
    return await services.work.run(
        lambda: _design(services.registry.split(design, wanted.samples, wanted.name))
    )


@router.get(
    "/samples/{sample}",
    summary="The picture of a sample",
    response_class=Response,
    responses=FOUND | {200: {"content": {"image/png": {}}, "description": "The picture."}},
)
async def sample_picture(
    services: Shared, sample: str, part: Annotated[SamplePart, Query()] = SamplePart.PICTURE
) -> Response:
    """The imprint as it lies on its paper, its ink alone, or both with the paper transparent."""

    def work() -> bytes:
        crop = services.registry.picture(sample)
        if part is SamplePart.INK:
            return png(PIL.Image.fromarray(crop.ink))
        picture = PIL.Image.fromarray(crop.pixels)
        if part is SamplePart.CUT_OUT:
            picture.putalpha(PIL.Image.fromarray(crop.ink))
        return png(picture)

    return Response(await services.work.run(work), media_type="image/png")


@router.delete(
    "/samples/{sample}",
    summary="Remove a sample",
    response_model=DesignShape,
    responses=CHANGED,
    dependencies=[Writer],
)
async def remove_sample(services: Shared, sample: str) -> Response:
    """The answer is the design it was of, which may have no samples left."""
    return await services.work.run(lambda: _design(services.registry.remove_sample(sample)))


@router.get(
    "/export",
    summary="The whole registry as an archive",
    response_class=Response,
    responses=FOUND | {200: {"content": {"application/zip": {}}, "description": "A ZIP file."}},
)
async def export(services: Shared) -> Response:
    """A ZIP file with a manifest, pictures and vectors; `import` reads it into any registry."""

    def work() -> Path:
        folder = Path(tempfile.mkdtemp(prefix="platemark-"))
        try:
            services.registry.export(folder / "registry.zip")
        except BaseException:
            shutil.rmtree(folder)
            raise
        return folder

    folder = await services.work.run(work)
    return FileResponse(
        folder / "registry.zip",
        media_type="application/zip",
        filename="registry.zip",
        background=BackgroundTask(shutil.rmtree, folder),
    )


@router.post(
    "/import",
    summary="Add the designs of an archive",
    responses=CHANGED
    | problems(400)
    | {200: {"content": {"application/json": {"example": {"designs": 12}}}}},
    openapi_extra=file_body(many=False),
    dependencies=[Writer],
)
async def load(request: Request, services: Shared) -> dict[str, int]:
    """All designs and samples of an archive that `export` made are added, or none."""
    async with uploads(request, services) as body:

        def work() -> int:
            with tempfile.TemporaryDirectory(prefix="platemark-") as folder:
                path = Path(folder) / "registry.zip"
                path.write_bytes(body.files[0].read())
                return services.registry.load(path)

        return {"designs": await services.work.run(work)}


def _design(design: Design) -> Response:
    return JSONResponse(design.to_dict())
