"""Files as they come in a request: by multipart, as the raw body, or as base64 in JSON.

A name that comes with a file is a label for the answer and nothing else; no path is opened and no
address is fetched.
"""

import base64
import binascii
import os
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from tempfile import SpooledTemporaryFile
from typing import IO, Any, TypeVar, cast
from urllib.parse import unquote

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.datastructures import FormData, UploadFile

from platemark.apps.services import Services
from platemark.errors import InvalidRequest, UnreadableImage

Model = TypeVar("Model", bound=BaseModel)

_IN_MEMORY = 1_000_000
_LONGEST_NAME = 255
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")
_DATA_URL = re.compile(r"data:[^,]*;base64,", re.ASCII | re.IGNORECASE)
_STANDARD = str.maketrans("-_", "+/")


@dataclass(frozen=True)
class Upload:
    """A file of a request.

    Attributes:
        name: What the client calls it.
        field: The form field it came in.
        read: Gives its bytes; raises `UnreadableImage` where they were not sent as they should.
    """

    name: str
    field: str
    read: Callable[[], bytes]


class EncodedFile(BaseModel):
    """A file in a JSON request."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(default="file", max_length=1000, description="Comes back as `source`.")
    data: str = Field(
        min_length=1,
        description="The bytes in base64, standard or URL-safe, with or without padding and a "
        "`data:...;base64,` start.",
    )


class EncodedFiles(BaseModel):
    """The files of a JSON request."""

    model_config = ConfigDict(extra="forbid")

    files: list[EncodedFile] = Field(min_length=1)


@dataclass(frozen=True)
class Body:
    """What a request brings.

    Attributes:
        files: Its files, in order.
        fields: What else stands in the form or the JSON object, by name.
    """

    files: list[Upload]
    fields: Mapping[str, Any]


@asynccontextmanager
async def uploads(
    request: Request, services: Services, model: type[EncodedFiles] = EncodedFiles
) -> AsyncIterator[Body]:
    """Read the body of a request; large files lie on disk until it is answered.

    Args:
        request: The request.
        services: Its limits and its workers.
        model: What a JSON body may say.

    Raises:
        InvalidRequest: There are no files, or too many, or the body is not as its type says.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        async with request.form(max_files=services.settings.max_files + 1) as form:
            yield _checked(_of_form(form), services)
    elif kind == "application/json":
        with ExitStack() as files:
            raw = files.enter_context(await received(request))
            parse = partial(_of_json, raw, model, files)
            yield _checked(await services.work.run(parse), services)
    elif kind == "application/x-www-form-urlencoded":
        raise InvalidRequest("files come as multipart/form-data, as the raw body or in JSON")
    else:
        with await received(request) as raw:
            name = clean_name(request.query_params.get("name", ""), "body")
            empty = not raw.seek(0, os.SEEK_END)
            found = [] if empty else [Upload(name, "body", partial(content, raw))]
            yield _checked(Body(found, {}), services)


async def received(request: Request) -> IO[bytes]:
    """The body of a request as a file, which lies on disk if it is large."""
    file = _spooled()
    try:
        async for chunk in request.stream():
            file.write(chunk)
    except BaseException:
        file.close()
        raise
    return file


def _spooled() -> IO[bytes]:
    return cast(IO[bytes], SpooledTemporaryFile(max_size=_IN_MEMORY))


def content(file: IO[bytes]) -> bytes:
    """All bytes of a file."""
    file.seek(0)
    return file.read()


def _checked(body: Body, services: Services) -> Body:
    most = services.settings.max_files
    if not body.files:
        raise InvalidRequest(
            "the request has no file; send files in the form field 'files', as the raw body, "
            'or as {"files": [{"name": ..., "data": base64}]}'
        )
    if len(body.files) > most:
        raise InvalidRequest(f"a request has at most {most} files; send several requests")
    return body


def _of_form(form: FormData) -> Body:
    files = [
        Upload(clean_name(value.filename or "", f"file{n}"), field, partial(content, value.file))
        for n, (field, value) in enumerate(form.multi_items())
        # A browser sends an empty part for a file input that was left empty.
        if isinstance(value, UploadFile) and (value.filename or value.size)
    ]
    texts = {
        field: [text for text in form.getlist(field) if isinstance(text, str)] for field in form
    }
    return Body(
        files, {name: all_ if len(all_) > 1 else all_[0] for name, all_ in texts.items() if all_}
    )


def _of_json(raw: IO[bytes], model: type[EncodedFiles], files: ExitStack) -> Body:
    said = parsed(raw, model)
    uploads = [_decoded(one, number, files) for number, one in enumerate(said.files)]
    return Body(uploads, said.model_dump(exclude={"files"}, exclude_none=True))


def _decoded(one: EncodedFile, number: int, files: ExitStack) -> Upload:
    """Decode a file now, so that while it waits it need not be in memory."""
    name = clean_name(one.name, f"file{number}")
    file = files.enter_context(_spooled())
    try:
        file.write(decode(one.data, name))
    except UnreadableImage as error:
        return Upload(name, "files", partial(_refuse, error))
    return Upload(name, "files", partial(content, file))


def _refuse(error: UnreadableImage) -> bytes:
    raise error


def parsed(raw: IO[bytes], model: type[Model]) -> Model:
    """What a JSON body says; runs in a worker, since it may be large.

    Raises:
        InvalidRequest: It is not as the model says.
    """
    try:
        return model.model_validate_json(content(raw))
    except ValidationError as error:
        raise InvalidRequest(explain(error)) from None


def explain(error: ValidationError) -> str:
    """The first thing that is wrong, and where."""
    first = error.errors(include_input=False, include_url=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'the body'}: {first['msg']}"


def decode(data: str, name: str) -> bytes:
    """Return the bytes of base64, with or without the start of a data URL.

    The alphabet may be the standard or the URL-safe one (RFC 4648), white space may stand
    anywhere, and padding may be missing.

    Raises:
        UnreadableImage: It is no base64.
    """
    data = "".join(data.split())
    if start := _DATA_URL.match(data):
        data = unquote(data[start.end() :])
    data = data.translate(_STANDARD).rstrip("=")
    try:
        return base64.b64decode(data + "=" * (-len(data) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise UnreadableImage(
            f"{name} is not base64, nor a data URL of it (data:...;base64,...): {error}",
            source=name,
        ) from error


def clean_name(name: str, otherwise: str) -> str:
    """A name of a file as it can safely stand in an answer and a log."""
    return _CONTROL.sub("", name).strip()[:_LONGEST_NAME] or otherwise
