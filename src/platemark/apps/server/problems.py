"""Errors as problem JSON (RFC 9457): a stable ``code``, a sentence, and never a stack trace."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from operator import itemgetter
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from platemark.errors import (
    ArchiveError,
    DesignNotFound,
    EditConflict,
    Forbidden,
    InputError,
    InputTooLarge,
    InvalidDesign,
    InvalidRequest,
    MissingExtra,
    MissingImage,
    Overloaded,
    PlatemarkError,
    RegistryError,
    RegistryUnavailable,
    SeveralStamps,
    TimedOut,
    Unauthorized,
    UnsupportedInput,
    class_of,
)

MEDIA_TYPE = "application/problem+json"

# The first class that fits decides.
_STATUS: tuple[tuple[type[PlatemarkError], int], ...] = (
    (InputTooLarge, 413),
    (UnsupportedInput, 415),
    (MissingExtra, 415),
    (SeveralStamps, 422),
    (InputError, 400),
    (DesignNotFound, 404),
    (MissingImage, 404),
    (EditConflict, 409),
    (InvalidDesign, 422),
    (ArchiveError, 400),
    (RegistryUnavailable, 503),
    (RegistryError, 409),
    (Overloaded, 429),
    (TimedOut, 503),
    (InvalidRequest, 422),
    (Unauthorized, 401),
    (Forbidden, 403),
)
# Seconds until a server that could not do its work may be asked again.
_RETRY_AFTER = "5"
_CODES = {400: "invalid_request", 413: "input_too_large", 422: "invalid_request"}


class ClientGone(Exception):  # noqa: N818 - named after what happened, like all errors here
    """The client closed its connection before it was answered."""


def problem(
    request: Request | None,
    status: int,
    code: str,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    errors: Sequence[Mapping[str, Any]] = (),
    results: Sequence[Mapping[str, Any]] = (),
) -> JSONResponse:
    """Return the answer for an error.

    Args:
        request: The request it answers.
        status: HTTP status.
        code: Stable name of the error, see `platemark.errors`.
        detail: What was wrong and what to do about it.
        headers: More headers.
        errors: What is wrong with which part of the request.
        results: An object with its error for each file or page that failed.
    """
    content: dict[str, Any] = {
        "type": f"urn:platemark:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
    }
    if errors:
        content["errors"] = errors
    if results:
        content["results"] = results
    if request is not None and (own := getattr(request.state, "request_id", None)):
        content["request_id"] = own
    return JSONResponse(content, status, dict(headers or {}), media_type=MEDIA_TYPE)


def status_of(kind: type[PlatemarkError]) -> int:
    """The HTTP status that stands for errors of a class."""
    return next((status for known, status in _STATUS if issubclass(kind, known)), 500)


def of_failures(request: Request, failures: Sequence[Mapping[str, Any]]) -> JSONResponse:
    """Return the answer where every file or page failed: the gravest error, and all of them.

    Args:
        request: The request it answers.
        failures: The objects of the files or pages, each with its ``error``.
    """
    errors = [failure["error"] for failure in failures]
    status, error = max(
        ((status_of(class_of(error["code"])), error) for error in errors), key=itemgetter(0)
    )
    headers = {"Retry-After": _RETRY_AFTER} if status == 503 else {}
    return problem(
        request, status, error["code"], error["message"], headers=headers, results=failures
    )


def of_error(request: Request, error: PlatemarkError) -> JSONResponse:
    """Return the answer for an error of ours."""
    status, headers = status_of(type(error)), {}
    if isinstance(error, Overloaded):
        headers["Retry-After"] = str(error.retry_after)
    elif status == 503:
        headers["Retry-After"] = _RETRY_AFTER
    answer = problem(request, status, error.code, error.message, headers=headers)
    if isinstance(error, Unauthorized):
        # A line each: Chromium reads the first challenge of a line only, and asks for Basic alone.
        for scheme in ("Basic", "Bearer"):
            answer.headers.append("WWW-Authenticate", f'{scheme} realm="platemark"')
    return answer


def add_handlers(app: FastAPI) -> None:
    """Have every error answered as problem JSON."""

    @app.exception_handler(PlatemarkError)
    async def ours(request: Request, error: PlatemarkError) -> JSONResponse:
        return of_error(request, error)

    @app.exception_handler(TimeoutError)
    async def late(request: Request, _: TimeoutError) -> JSONResponse:
        return of_error(request, TimedOut("the request took too long; send less at a time"))

    @app.exception_handler(ClientGone)
    @app.exception_handler(ClientDisconnect)  # while its request was still coming
    async def gone(request: Request, _: Exception) -> JSONResponse:
        return problem(request, 408, "client_gone", "the client closed its connection")

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        code = _CODES.get(error.status_code) or HTTPStatus(error.status_code).name.lower()
        return problem(request, error.status_code, code, str(error.detail), headers=error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        errors = [
            {"in": [str(part) for part in item["loc"]], "message": item["msg"]}
            for item in error.errors()
        ]
        first = f"{'.'.join(errors[0]['in'])}: {errors[0]['message']}" if errors else "invalid"
        return problem(request, 422, InvalidRequest.code, first, errors=errors)
