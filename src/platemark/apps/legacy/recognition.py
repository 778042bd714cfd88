"""Stamp-recognition: whose stamps are these, add stamps, compare."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from fastapi import APIRouter, Depends, Request
from starlette.datastructures import UploadFile

from platemark.apps.legacy.common import Json, sample_picture
from platemark.apps.server.common import LISTED, Shared
from platemark.apps.server.connection import may_write
from platemark.apps.server.schemas import file_body
from platemark.apps.server.uploads import Upload, clean_name, uploads
from platemark.apps.server.work_route import WorkRoute, services_of, while_connected
from platemark.apps.services import Services
from platemark.errors import (
    DuplicateDesign,
    InputError,
    InvalidDesign,
    InvalidRequest,
    NoStampFound,
    PlatemarkError,
)
from platemark.types import StampMark
from platemark.usecases.enrol import EnrolledStamp, Terms, add_stamps, is_known
from platemark.usecases.pages import StampPage, stamps_of

_GROUP_SUFFIX = "_stamp_group_name"
_NAME_FIELDS = "stamp_name"

router = APIRouter(route_class=WorkRoute)


@router.post(
    "/images/upload",
    summary="Stamp-recognition: whose stamps are these?",
    responses=LISTED,
    openapi_extra=file_body(many=True),
)
async def upload(request: Request, services: Shared) -> Json:
    """`{"data": {FIELD: {"status", "error", "data": [{"stamp", "error", "data"}]}}}`."""
    async with request.form(max_files=services.settings.max_files + 1) as form:
        fields = _files_by_field(form.multi_items(), services)
        work = {name: partial(_recognised, services, file) for name, file in fields.items()}
        return {"data": await _each(request, work)}


def _recognised(services: Services, file: Upload | None) -> Json:
    if file is None:
        return _failed("no file submitted")
    try:
        stamps = [stamp for page in _pages(services, file) for stamp in page.stamps]
    except InputError:
        return _failed("forbidden file")
    if not stamps:
        return _failed("no stamps found")
    data = [_best_match(services, number, stamp) for number, stamp in enumerate(stamps)]
    if all(one["error"] for one in data):
        return _failed("no stamps identified", data)
    return {"status": "processed", "error": None, "data": data}


def _best_match(services: Services, number: int, stamp: StampMark) -> Json:
    candidates = services.registry.identify(stamp, 1)
    if not (candidates and candidates[0].accepted):
        return {"stamp": number, "error": "no matching stamp found", "data": {}}
    best = candidates[0]
    match = {
        "stamp_name": best.design.name,
        "stamp_picture": sample_picture(services, best.sample),
        "accuracy": round(best.similarity, 4),
    }
    return {"stamp": number, "error": None, "data": match}


@router.post(
    "/images/add_stamp",
    summary="Stamp-recognition: add stamps",
    responses=LISTED,
    openapi_extra=file_body(many=True, fields=("files_stamp_group_name",)),
    dependencies=[Depends(may_write)],
)
async def add_stamp(request: Request, services: Shared) -> Json:
    """`{"data": {NAME: {"status", "error", "data": [{"stamp", "error", "status"}]}}}`.

    Each file has its name in the field `FIELD_stamp_group_name`; or one `document_picture` has the
    names of its stamps, in reading order, in `stamp_name1`, `stamp_name2` ...
    """
    async with request.form(max_files=services.settings.max_files + 1) as form:
        files = _files_by_field(form.multi_items(), services)
        texts = {key: value for key, value in form.multi_items() if isinstance(value, str)}
        names = [texts[key] for key in sorted(texts, key=_by_number) if _is_name_field(key)]
        if names and len(files) == 1:
            (file,) = files.values()
            one = partial(_add_named, services, file, names)
            return {"data": await while_connected(request, services.work.run(one))}
        given = [(texts.get(f"{field}{_GROUP_SUFFIX}", field), f) for field, f in files.items()]
        # One after the other, so that of two files with one name the second is refused.
        return {"data": await while_connected(request, _add_groups(services, given))}


async def _add_groups(services: Services, given: Sequence[tuple[str, Upload | None]]) -> Json:
    data: Json = {}
    for name, file in given:
        work = partial(_add_group, services, name, file, name in data)
        data[name] = await services.work.run(work)
    return data


def _add_group(services: Services, name: str, file: Upload | None, again: bool) -> Json:
    registry = services.registry
    try:
        if again or is_known(registry, name) or is_known(registry, f"{name}-0"):
            return _failed("not unique stamp group name")
    except InvalidDesign as error:
        return _failed(error.message)
    if file is None:
        return _failed("no file submitted")
    try:
        pages = _pages(services, file)
    except InputError:
        return _failed("not allowed file")
    count = sum(len(page.stamps) for page in pages)
    if not count:
        return _failed("no stamps found")
    return _summed_up(_added(services, pages, [name] if count == 1 else _numbered(name, count)))


def _numbered(name: str, count: int) -> list[str]:
    return [f"{name}-{number}" for number in range(count)]


def _add_named(services: Services, file: Upload | None, names: Sequence[str]) -> Json:
    """Add the stamps of one picture under names of their own."""
    if file is None:
        return {name: _failed("no file submitted") for name in names}
    try:
        pages = _pages(services, file)
    except InputError:
        return {name: _failed("not allowed file") for name in names}
    count = sum(len(page.stamps) for page in pages)
    data: Json = {name: _failed("no stamps found") for name in names[count:]}
    given = [*names[:count], *[""] * (count - len(names))]
    added = _added(services, pages, given) if count else []
    return data | {name: _summed_up([one]) for name, one in zip(names, added, strict=False)}


def _added(services: Services, pages: Sequence[StampPage], names: Sequence[str]) -> list[Json]:
    terms = Terms(duplicates="allow", new=True)
    done = add_stamps(services.registry, services.stamps, pages, names, terms)
    stamps = [stamp for page in done for stamp in page.stamps]
    return [_outcome(number, stamp) for number, stamp in enumerate(stamps)]


def _outcome(number: int, stamp: EnrolledStamp) -> Json:
    said = None
    match stamp.error:
        case NoStampFound():
            said = "no embeddings extracted"
        case DuplicateDesign():
            said = "not unique name"
        case InvalidDesign() as invalid:
            said = invalid.message
        case PlatemarkError() as error:
            raise error
    return {"stamp": number, "error": said, "status": "failed" if said else "successed"}


def _summed_up(data: list[Json]) -> Json:
    if all(one["error"] == "no embeddings extracted" for one in data):
        return _failed("failed to extract any embeddings", data)
    failed = all(one["error"] for one in data)
    error = data[0]["error"] if failed else None
    # Spelt as its clients know it.
    return {"status": "failed" if failed else "proccessed", "error": error, "data": data}


@router.post(
    "/images/compare",
    summary="Stamp-recognition: did one stamp make both?",
    responses=LISTED,
    openapi_extra=file_body(many=True),
)
async def compare(request: Request, services: Shared) -> Json:
    """`{"similarity", "verdict", "reason", "status", "error"}` of the stamps of two files."""
    async with uploads(request, services) as body:
        work = partial(_compared, services, body.files)
        return await while_connected(request, services.work.run(work))


def _compared(services: Services, files: Sequence[Upload]) -> Json:
    if len(files) != 2:
        raise InvalidRequest(f"two files are compared, these are {len(files)}")
    found, *_ = services.compare(*(services.pages(file.read, file.name) for file in files))
    said = {"similarity": round(found.score, 4), "verdict": found.verdict, "reason": found.reason}
    return said | {"status": "processed", "error": None}


@router.get("/help", summary="Stamp-recognition: how to use the API")
async def help_() -> Json:
    """What the routes of Stamp-recognition do."""
    return {
        "POST /images/upload": "files in any form fields; whose stamps are on them",
        "POST /images/add_stamp": "a file, and its name in the form field FIELD_stamp_group_name; "
        "or document_picture, and the names of its stamps in stamp_name1, stamp_name2 ...",
        "POST /images/compare": "two files; whether one stamp made the stamps on both",
        "GET /docs": "all routes of this server",
    }


async def _each(request: Request, work: Mapping[str, Callable[[], Json]]) -> Json:
    services = services_of(request)

    async def all_of_them() -> Json:
        return {name: await services.work.run(one) for name, one in work.items()}

    return await while_connected(request, all_of_them())


def _files_by_field(items: Iterable[tuple[str, Any]], services: Services) -> dict[str, Any]:
    """The files of a form by field; a field without a file has None; a second file a new name."""
    found: dict[str, Upload | None] = {}
    for field, value in items:
        if isinstance(value, UploadFile):
            number = sum(1 for known in found if known.partition("#")[0] == field)
            key = f"{field}#{number + 1}" if number else field
            name = clean_name(value.filename or "", field)
            empty = not (value.filename or value.size)
            found[key] = None if empty else Upload(name, field, partial(_read, value))
    if len(found) > services.settings.max_files:
        raise InvalidRequest(f"a request has at most {services.settings.max_files} files")
    return found


def _read(file: UploadFile) -> bytes:
    file.file.seek(0)
    return file.file.read()


def _failed(error: str, data: Sequence[Json] = ()) -> Json:
    return {"status": "failed", "error": error, "data": list(data)}


def _pages(services: Services, file: Upload) -> list[StampPage]:
    """The stamps of all pages of a file.

    Raises:
        InputError: One cannot be read.
    """
    items = services.pages(file.read, file.name)
    pages = [stamps_of(services.stamps, item) for item in items]
    for page in pages:
        if page.error is not None:
            raise page.error
    return pages


def _is_name_field(key: str) -> bool:
    return key.startswith(_NAME_FIELDS) and key.removeprefix(_NAME_FIELDS).isdecimal()


def _by_number(key: str) -> tuple[int, str]:
    return (int(key.removeprefix(_NAME_FIELDS)) if _is_name_field(key) else 0, key)
