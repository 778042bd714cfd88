"""A server elsewhere, with the calls of what runs in this process."""

import io
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Self

import PIL.Image

from platemark.client.connection import Connection, upload
from platemark.client.pipelines import RemotePipeline
from platemark.client.registry import RemoteRegistry
from platemark.imaging.cover import Style
from platemark.imaging.image import ImageInput
from platemark.types import Comparison, RedactedFile

if TYPE_CHECKING:
    import httpx

__all__ = ["Client", "RemotePipeline", "RemoteRegistry"]


class Client:
    """A server that was started with ``platemark serve``; may be shared by threads.

    ::

        plates = pm.Client("http://localhost:8000").plates  # pm.PlatePipeline.from_pretrained()
        print(plates("car.jpg").marks)

    Args:
        url: Address of the server.
        key: A key, where the server wants one.
        timeout: Seconds until an answer has to begin.
        retries: How often a request is sent again when the server has too much to do; it says how
            long to wait.

    Attributes:
        plates: Finds and reads plates, as `PlatePipeline` does.
        stamps: Finds stamps, as `StampPipeline` does, and asks the server's registry, where it has
            one, whose they are.
        registry: The known stamps of the server, with the calls of `Registry`.

    Raises:
        MissingExtra: httpx is not installed.
    """

    def __init__(
        self, url: str, *, key: str | None = None, timeout: float = 60.0, retries: int = 3
    ) -> None:
        self._connection = Connection(url, key, timeout, retries)
        self.plates = RemotePipeline(self._connection, "/v1/plates", {})
        self.stamps = RemotePipeline(self._connection, "/v1/stamps", {"embedding": True})
        self.registry = RemoteRegistry(self._connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()

    def ready(self, *, verify: bool = False) -> bool:
        """Whether the server can answer requests.

        Args:
            verify: Also let it run every model on its own sample.

        Raises:
            ServiceError: It cannot be reached.
        """
        params = {"verify": verify}
        return self._connection.answer("GET", "/readyz", params=params).status_code == 200

    def compare(
        self,
        a: ImageInput,
        b: ImageInput,
        *,
        page_a: int = 0,
        page_b: int = 0,
        cropped: bool = False,
    ) -> Comparison:
        """Compare two imprints, as `platemark.compare` does: did one stamp make both?

        Raises:
            InputError: A picture shows no stamp, cannot be read, or has no such page.
            ServiceError: The server cannot be reached, or refuses.
        """
        ask = partial(
            self._connection.request,
            "POST",
            "/v1/compare",
            files=[("files", upload(value)) for value in (a, b)],
        )
        params = {"page_a": page_a, "page_b": page_b, "cropped": cropped}
        found = Comparison.from_dict(ask(params=params).json())

        def draw() -> PIL.Image.Image:
            return PIL.Image.open(io.BytesIO(ask(params=params | {"format": "png"}).content))

        return replace(found, draw=draw)

    def redact(
        self,
        document: ImageInput,
        *,
        kind: Literal["plate", "stamp"] = "plate",
        style: Style = "blur",
        min_score: float | None = None,
    ) -> RedactedFile:
        """Cover the plates or stamps of a picture or document, as `platemark.redact` does.

        Raises:
            InputError: It cannot be read.
            ServiceError: The server cannot be reached, or refuses.
        """
        params = {"kind": kind, "style": style, "format": "json"}
        params |= {} if min_score is None else {"min_score": str(min_score)}
        files = {"files": upload(document)}
        answer = self._connection.request("POST", "/v1/redact", params=params, files=files)
        return RedactedFile.from_dict(answer.json())

    def request(self, method: str, path: str, **options: Any) -> "httpx.Response":
        """Send any request and return the answer; ``options`` are those of `httpx.Client.request`.

        Raises:
            PlatemarkError: The server refused it; the class and the code are those it gives.
            ServiceError: It cannot be reached.
            TimedOut: It did not answer in time.
        """
        return self._connection.request(method, path, **options)
