"""What happens around every request: its id, its log line, its metrics, who may send it."""

import asyncio
import json
import logging
import re
import sys
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterable, MutableMapping
from hashlib import sha256
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from fastapi import Request
from pydantic import SecretStr
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from platemark.apps.metrics import Metrics
from platemark.apps.server.problems import of_error, problem
from platemark.apps.settings import Settings
from platemark.errors import Forbidden, PlatemarkError, Unauthorized

ACCESS = logging.getLogger("platemark.access")
ERRORS = logging.getLogger("platemark.server")

_GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
# Asked for by orchestrators and browsers before any key is at hand; they tell nothing of the data.
_OPEN_PATHS = ("/healthz", "/readyz", "/docs", "/redoc", "/openapi.json", "/static-offline-docs/")
# A client that still sends is listened to for so long, and between two pieces for so long.
_DRAIN_SECONDS, _PAUSE_SECONDS = 5.0, 0.5


class RequestLog:
    """Gives every request an id, a line in the log and its place in the metrics.

    An unhandled exception is logged and answered as problem JSON. An answer that refuses
    a request waits for the rest of its body, since a client that is still sending may otherwise
    lose the answer with the connection.
    """

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics) -> None:
        self._app, self._settings, self._metrics = app, settings, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, method = perf_counter(), scope["method"]
        if method == "HEAD":
            # Answered as GET by every route; the server in front of this keeps the body back.
            scope = {**scope, "method": "GET"}
        exchange = _Exchange(scope, receive, send, self._settings.max_request_bytes)
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except Exception:
            ERRORS.exception("unexpected error", extra={"request_id": exchange.id})
            if not exchange.status:
                answer = problem(
                    Request(scope),
                    500,
                    "internal_error",
                    "the server failed at this request; its log says more under the request id",
                )
                await answer(scope, exchange.receive, exchange.send)
        finally:
            self._tell(scope, method, exchange, perf_counter() - start)

    def _tell(self, scope: Scope, method: str, exchange: "_Exchange", seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "other")
        metrics = self._metrics
        metrics.requests.labels(route, method, str(exchange.status)).inc()
        metrics.request_seconds.labels(route).observe(seconds)
        client = scope.get("client")
        ACCESS.info(
            "request",
            extra={
                "request_id": exchange.id,
                "client": client[0] if client else None,
                "method": method,
                "path": scope["path"],
                "route": route,
                "status": exchange.status,
                "bytes_in": exchange.received,
                "bytes_out": exchange.sent,
                "ms": round(seconds * 1e3, 1),
                "role": scope["state"].get("role"),
            },
        )


class _Exchange:
    """One request and its answer, as they pass."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, most_bytes: int) -> None:
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        self.id = given if _GIVEN_ID.fullmatch(given) else uuid4().hex
        self._state: MutableMapping[str, Any] = scope.setdefault("state", {})
        self._state["request_id"] = self.id
        self.status = self.received = self.sent = 0
        self._receive, self._send, self._most_bytes = receive, send, most_bytes
        self._stated = _content_length(headers)
        # Whoever waits for "100 Continue" has not sent the body and can be answered at once.
        self._whole = self._stated == 0 or "expect" in headers
        if self._stated is None and "transfer-encoding" not in headers:
            self._whole = True

    @property
    def most_bytes(self) -> int:
        """The largest body that is taken; a route may want a smaller one."""
        smaller: int = self._state.get("most_bytes", self._most_bytes)
        return min(self._most_bytes, smaller)

    async def receive(self) -> Message:
        if (self._stated or 0) > self.most_bytes:
            raise self._too_large()
        message = await self._next()
        if self.received > self.most_bytes:
            raise self._too_large()
        return message

    async def _next(self) -> Message:
        message = await self._receive()
        self.received += len(message.get("body", b""))
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            self._whole = True
        return message

    def _too_large(self) -> HTTPException:
        return HTTPException(413, f"this request has at most {self.most_bytes} bytes; send less")

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(raw=message.setdefault("headers", []))
            headers["X-Request-ID"] = self.id
            headers.setdefault("X-Content-Type-Options", "nosniff")
            if self.status >= 400 and not self._whole:
                await self._drain()
        else:
            self.sent += len(message.get("body", b""))
        await self._send(message)

    async def _drain(self) -> None:
        try:
            async with asyncio.timeout(_DRAIN_SECONDS):
                while not self._whole and self.received <= self._most_bytes:
                    await asyncio.wait_for(self._next(), _PAUSE_SECONDS)
        except TimeoutError:
            return


def _content_length(headers: Headers) -> int | None:
    stated = headers.get("content-length", "")
    return int(stated) if stated.isascii() and stated.isdigit() else None


class Guard:
    """Lets in who has a key, where there are keys, and no page of a foreign site.

    The role, ``"read"`` or ``"write"``, is then ``request.state.role``. A key comes as
    ``Authorization: Bearer KEY``, as ``X-API-Key: KEY``, or as the password of HTTP Basic, which
    is how a browser asks for it.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        # Digests are looked up, so that the time it takes tells nothing about a key.
        self._roles = _digests(settings.read_keys, "read") | _digests(settings.write_keys, "write")
        self._origins = frozenset(settings.cors_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        try:
            self._check_origin(scope, headers)
            scope.setdefault("state", {})["role"] = self._role(scope, headers)
        except PlatemarkError as error:
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            else:
                await of_error(Request(scope), error)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _check_origin(self, scope: Scope, headers: Headers) -> None:
        """A browser says whose page sends a request; others send no ``Origin``."""
        origin = headers.get("origin")
        if origin is None or scope.get("method", "") in _SAFE:
            return
        if "*" in self._origins or origin in self._origins:
            return
        if urlsplit(origin).netloc != headers.get("host", ""):
            raise Forbidden(
                f"pages of {origin[:200]} may not use this server; "
                "the setting cors_origins allows it"
            )

    def _role(self, scope: Scope, headers: Headers) -> str | None:
        if not self._roles:
            return "write"
        role = self._roles.get(_digest(_given_key(headers)))
        if role is None and not _is_open(scope):
            raise Unauthorized(
                "this server wants a key; send it as the header "
                "'Authorization: Bearer KEY' or 'X-API-Key: KEY'"
            )
        return role


def may_write(request: Request) -> None:
    """Let only those pass who may change the registry; a dependency of routes.

    Raises:
        Forbidden: The key is for reading only.
    """
    if request.state.role != "write":
        raise Forbidden("this key is for reading only; changes need a key with the role write")


def _is_open(scope: Scope) -> bool:
    path: str = scope["path"]
    if scope.get("query_string") and path == "/readyz":
        return False
    return any(
        path.startswith(known) if known.endswith("/") else path == known for known in _OPEN_PATHS
    )


def _given_key(headers: Headers) -> str:
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return b64decode(value, validate=True).decode().partition(":")[2]
        except (Base64Error, UnicodeDecodeError):
            return ""
    return headers.get("x-api-key", "")


def _digest(key: str) -> bytes:
    return sha256(key.encode()).digest()


def _digests(keys: Iterable[SecretStr], role: str) -> dict[bytes, str]:
    return {_digest(key.get_secret_value()): role for key in keys}


class JsonLines(logging.Formatter):
    """A log record as one line of JSON."""

    # What every record has; the rest came as `extra`.
    _USUAL = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {key: value for key, value in vars(record).items() if key not in self._USUAL}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def log_as_json(level: str) -> None:
    """Send the logs of the server to standard error, a line of JSON each."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name in ("platemark", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.setLevel(level.upper())
        logger.propagate = False
