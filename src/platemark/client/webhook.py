"""Webhooks: what was found is posted to an address, and kept on the disk until that has taken it.

Requests are those of `Standard Webhooks <https://www.standardwebhooks.com>`_ 1.0, so that receivers
can check them with its libraries: ``webhook-id``, ``webhook-timestamp`` and, where there is a
secret, ``webhook-signature``, the HMAC-SHA256 of both and the body.
"""

import base64
import binascii
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from platemark.errors import MissingExtra
from platemark.files import replace_file

QUEUE_LIMIT = 10_000
"""Deliveries that wait at most, unless told otherwise."""

_PREFIX = "whsec_"
# Answers that say that this very delivery will never be taken; all others may change.
_NEVER = frozenset({400, 413, 415, 422})
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 300.0
# How often an empty queue is polled, since other processes fill it too, and one that is full.
_IDLE_S = 0.25
_WAITING, _REFUSED = ".json", ".refused"


@dataclass(frozen=True, slots=True)
class Outbox:
    """Deliveries that wait, in a folder: one file each. Several processes may fill it.

    Attributes:
        folder: Where the files are; is made.
        limit: Deliveries that wait at most.
    """

    folder: Path
    limit: int = QUEUE_LIMIT

    def put(self, kind: str, data: Mapping[str, Any], key: str | None = None) -> None:
        """Add a delivery; where there are too many, wait until there is room.

        Args:
            kind: The ``type`` of the body.
            data: Its ``data``, for JSON.
            key: What the id of the delivery is made of, so that it is the same for what may be put
                twice, as after a kill, and the receiver can tell. By default it has one of its own.

        Raises:
            OSError: The folder cannot be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        while sum(1 for _ in self.folder.glob("[0-9]*")) >= self.limit:
            time.sleep(_IDLE_S)
        body = {"type": kind, "timestamp": datetime.now(UTC).isoformat(), "data": data}
        digest = hashlib.sha256((key or uuid4().hex).encode(errors="surrogatepass"))
        name = f"{time.time_ns():020d}-{digest.hexdigest()[:32]}{_WAITING}"
        with replace_file(self.folder / name) as stream:
            stream.write(json.dumps(body, ensure_ascii=False).encode(errors="backslashreplace"))

    def waiting(self) -> list[Path]:
        """Files of the deliveries that wait, oldest first."""
        return sorted(self.folder.glob(f"[0-9]*{_WAITING}"))

    def set_aside(self, file: Path) -> None:
        """Keep a delivery that was refused for good out of the way of others."""
        file.rename(file.with_suffix(_REFUSED))

    def bring_back(self) -> None:
        """Have those set aside wait again."""
        for file in self.folder.glob(f"[0-9]*{_REFUSED}"):
            file.rename(file.with_suffix(_WAITING))


class Webhook:
    """Sends the deliveries of an outbox in their order, each until it is taken, in a thread.

    After a failure it waits, twice as long each time, up to five minutes, or as long as the
    receiver asks (``Retry-After``). A delivery that the receiver will never take, as status 400
    says, is set aside, and tried again by the next `Webhook` of the outbox.

    Args:
        url: Where to, ``http://`` or ``https://``.
        outbox: What to send.
        secret: Signs the requests: ``whsec_`` and base64, or any other text; None for no signature.
        timeout: Seconds until an answer has to be there.
        report: Is told what goes wrong, once for each reason in a row.

    Raises:
        ValueError: The address or the secret is none.
        MissingExtra: httpx is not installed.
    """

    def __init__(
        self,
        url: str,
        outbox: Outbox,
        *,
        secret: str | None = None,
        timeout: float = 10.0,
        report: Callable[[str], None] = lambda message: None,
    ) -> None:
        try:
            import httpx
        except ImportError as error:
            raise MissingExtra("a webhook", "client") from error
        try:
            self._url = httpx.URL(url)
        except httpx.InvalidURL as error:
            raise ValueError(f"{url!r} is no address of a webhook: {error}") from error
        if self._url.scheme not in ("http", "https") or not self._url.host:
            raise ValueError(f"a webhook begins with http:// or https://, not {url!r}")
        self._key = None if secret is None else _key_of(secret)
        self._http = httpx.Client(timeout=timeout)
        self._outbox, self._report, self._reported = outbox, report, ""
        self._ended = threading.Event()
        outbox.bring_back()
        self._thread = threading.Thread(target=self._run, name="platemark-webhook", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        """Return the webhook itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Send no more; what waits is still there for the next one."""
        self.close()

    def close(self, patience: float = 0.0) -> int:
        """Send no more, and return how many deliveries are left, refused ones included.

        Args:
            patience: Seconds to go on for as long as something waits.
        """
        until = time.monotonic() + patience
        while self._outbox.waiting() and time.monotonic() < until and self._thread.is_alive():
            time.sleep(_IDLE_S / 5)
        self._ended.set()
        self._thread.join()
        self._http.close()
        return sum(1 for _ in self._outbox.folder.glob("[0-9]*"))

    def _run(self) -> None:
        pause = _FIRST_PAUSE_S
        while not self._ended.is_set():
            waiting = self._outbox.waiting()
            if not waiting:
                self._ended.wait(_IDLE_S)
            for file in waiting:
                if self._ended.is_set():
                    return
                wait = self._send(file)
                if wait is not None:
                    self._ended.wait(max(wait, pause))
                    pause = min(2.0 * pause, _LONGEST_PAUSE_S)
                    break
                pause = _FIRST_PAUSE_S

    def _send(self, file: Path) -> float | None:
        """Try a delivery once; None when that is settled, else seconds to wait at least."""
        import httpx

        body = file.read_bytes()
        try:
            answer = self._http.post(self._url, content=body, headers=self._headers(file, body))
        except httpx.HTTPError as error:
            self._tell(f"cannot be reached: {str(error) or type(error).__name__}")
            return 0.0
        if answer.is_success:
            file.unlink()
            self._reported = ""
            return None
        self._tell(f"answered {answer.status_code}")
        if answer.status_code in _NEVER:
            self._outbox.set_aside(file)
            return None
        after = answer.headers.get("retry-after", "")
        return min(float(after), _LONGEST_PAUSE_S) if after.isdigit() else 0.0

    def _headers(self, file: Path, body: bytes) -> dict[str, str]:
        delivery, now = file.stem.partition("-")[2], str(int(time.time()))
        headers = {
            "content-type": "application/json",
            "webhook-id": delivery,
            "webhook-timestamp": now,
        }
        if self._key is not None:
            signed = hmac.new(self._key, f"{delivery}.{now}.".encode() + body, hashlib.sha256)
            headers["webhook-signature"] = f"v1,{base64.b64encode(signed.digest()).decode()}"
        return headers

    def _tell(self, reason: str) -> None:
        if reason != self._reported:
            self._reported = reason
            host = self._url.copy_with(userinfo=b"")
            self._report(f"{host} {reason}; what it did not take is in {self._outbox.folder}")


def _key_of(secret: str) -> bytes:
    if not secret.startswith(_PREFIX):
        key = secret.encode()
    else:
        try:
            key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except binascii.Error as error:
            raise ValueError(f"what follows {_PREFIX} in a secret is base64") from error
    if not key:
        raise ValueError("the secret of a webhook is not empty")
    return key
