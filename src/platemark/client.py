"""The pipelines of a server elsewhere, with the calls of those in this process."""

import io
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, Self, overload

import PIL.Image

from platemark.errors import (
    Forbidden,
    InvalidRequest,
    MissingExtra,
    Overloaded,
    PlatemarkError,
    ServiceError,
    TimedOut,
    Unauthorized,
)
from platemark.imaging.draw import draw_image
from platemark.imaging.image import Image, ImageInput, read_file
from platemark.imaging.sources import Unread, expand_inputs, open_pages
from platemark.types import Comparison, Failure, Mark, Result

if TYPE_CHECKING:
    import httpx

_LONGEST_WAIT = 60.0
_BY_STATUS: dict[int, type[PlatemarkError]] = {
    401: Unauthorized,
    403: Forbidden,
    422: InvalidRequest,
    503: TimedOut,
}


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
        stamps: Finds stamps, as `StampPipeline` does.

    Raises:
        MissingExtra: httpx is not installed.
    """

    def __init__(
        self, url: str, *, key: str | None = None, timeout: float = 60.0, retries: int = 3
    ) -> None:
        try:
            import httpx
        except ImportError as error:
            raise MissingExtra("talking to a server", "client") from error
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        # A proxy of the environment is for the web, not for a server named here.
        self._http = httpx.Client(
            base_url=url, headers=headers, timeout=timeout, trust_env=False, follow_redirects=False
        )
        self._retries = retries
        self.plates = RemotePipeline(self, "/v1/plates", {})
        self.stamps = RemotePipeline(self, "/v1/stamps", {"embedding": True})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def ready(self, *, verify: bool = False) -> bool:
        """Whether the server can answer requests.

        Args:
            verify: Also let it run every model on its own sample.

        Raises:
            ServiceError: It cannot be reached.
        """
        params = {"verify": verify}
        return self._answer("GET", "/readyz", params=params).status_code == 200

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
            self.request,
            "POST",
            "/v1/compare",
            files=[("files", (_source(value), encode(value, _source(value)))) for value in (a, b)],
        )
        params = {"page_a": page_a, "page_b": page_b, "cropped": cropped}
        found = Comparison.from_dict(ask(params=params).json())

        def draw() -> PIL.Image.Image:
            return PIL.Image.open(io.BytesIO(ask(params=params | {"format": "png"}).content))

        return replace(found, draw=draw)

    def request(self, method: str, path: str, **options: Any) -> "httpx.Response":
        """Send a request and return the answer; ``options`` are those of `httpx.Client.request`.

        Raises:
            PlatemarkError: The server refused it; the class and the code are those it gives.
            ServiceError: It cannot be reached.
            TimedOut: It did not answer in time.
        """
        for left in range(self._retries, -1, -1):
            answer = self._answer(method, path, **options)
            if answer.is_success:
                return answer
            error = _error_of(answer)
            if left == 0 or not isinstance(error, Overloaded):
                raise error
            time.sleep(min(error.retry_after, _LONGEST_WAIT))
        raise AssertionError("the last try returns or raises")

    def _answer(self, method: str, path: str, **options: Any) -> "httpx.Response":
        import httpx

        try:
            return self._http.request(method, path, **options)
        except httpx.TimeoutException as error:
            raise TimedOut(f"{self._http.base_url} did not answer in time") from error
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
            raise ServiceError(f"{self._http.base_url} cannot be reached: {reason}") from error


class RemotePipeline:
    """A pipeline that runs on a server, with the calls of `platemark.pipeline.Pipeline`.

    Args:
        client: The server.
        path: Its route.
        params: What is always asked for.
    """

    def __init__(self, client: Client, path: str, params: Mapping[str, Any]) -> None:
        self._client, self._path, self._params = client, path, params

    def __call__(self, image: ImageInput) -> Result:
        """Find and describe the marks of one image; of a document, those of its first page.

        Args:
            image: A path, bytes, an (H, W, 3) uint8 RGB array, a PIL image or an `Image`.

        Raises:
            UnreadableImage: The file is missing, empty, damaged or no image.
            UnsupportedInput: It is a folder, a video or a PDF with a password.
            InputTooLarge: It has too many bytes or pixels.
            ServiceError: The server cannot be reached, or refuses.
        """
        return _sound(self._ask(image, page=0)[0])

    def pages(self, document: ImageInput) -> "RemotePages":
        """Find and describe the marks of all pages of a PDF or TIFF, in one request.

        Raises:
            UnreadableImage: The file is missing, empty, damaged or no image.
            UnsupportedInput: It is a folder, a video or a PDF with a password.
            InputTooLarge: It has too many bytes or pages.
            ServiceError: The server cannot be reached, or refuses.
        """
        results = self._ask(document)
        if len(results) == 1:
            _sound(results[0])
        return RemotePages(results)

    def stream(self, inputs: ImageInput | Iterable[ImageInput]) -> Iterator[Result]:
        """Do many inputs lazily, in order, one result per image or page.

        An input that fails gives a result with an ``error``, and the others go on.

        Args:
            inputs: Paths, folders, globs, ``@list.txt``, or images as for `__call__`.

        Raises:
            ServiceError: The server cannot be reached, or refuses every request.
        """
        for value in expand_inputs(inputs):
            try:
                if isinstance(value, Unread):
                    raise value.error
                yield from self._ask(value)
            except ServiceError:
                raise
            except PlatemarkError as error:
                source = value.source if isinstance(value, Unread) else _source(value)
                yield Result(source, error=Failure(error.code, error.message))

    def _ask(self, value: ImageInput, **params: Any) -> list[Result]:
        source = _source(value)
        answer = self._client.request(
            "POST",
            self._path,
            params={**self._params, **params},
            files={"files": (source, encode(value, source))},
        )
        return [
            replace(result, source=source, draw=partial(_draw, value, result.page))
            for result in map(Result.from_dict, answer.json())
        ]


class RemotePages(Sequence[Result]):
    """The results of a document's pages; asking for a page that failed raises its error.

    Args:
        results: One for each page.
    """

    def __init__(self, results: Sequence[Result]) -> None:
        self._results = results

    def __len__(self) -> int:
        """Return the number of pages."""
        return len(self._results)

    @overload
    def __getitem__(self, index: int) -> Result: ...
    @overload
    def __getitem__(self, index: slice) -> list[Result]: ...
    def __getitem__(self, index: int | slice) -> Result | list[Result]:
        """Return the result of a page, or of several."""
        if isinstance(index, slice):
            return [_sound(result) for result in self._results[index]]
        return _sound(self._results[index])


def encode(value: ImageInput, source: str) -> bytes:
    """Return an input as the bytes of an image file or document; pixels become PNG.

    Raises:
        UnreadableImage: The file is missing or may not be read.
        UnsupportedInput: It is a folder or a video.
    """
    if isinstance(value, (str, PathLike)):
        return read_file(value, source)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    stream = io.BytesIO()
    PIL.Image.fromarray(Image.read(value).pixels).save(stream, "PNG", compress_level=1)
    return stream.getvalue()


def _source(value: ImageInput) -> str:
    """What an input is called in results, as a pipeline in this process calls it."""
    if isinstance(value, (str, PathLike)):
        return fspath(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "<bytes>"
    return Image.read(value).source


def _draw(value: ImageInput, page: int, marks: Sequence[Mark]) -> PIL.Image.Image:
    return draw_image(open_pages(value).read(page), marks)


def _sound(result: Result) -> Result:
    if result.error is not None:
        raise _error(result.error.code, result.error.message, ServiceError, result.source)
    return result


def _error_of(answer: "httpx.Response") -> PlatemarkError:
    """The error that an answer stands for."""
    try:
        said = answer.json()
        code, detail = str(said["code"]), str(said["detail"])
    except (ValueError, KeyError, TypeError):
        code, detail = "", f"the server answered {answer.status_code}: {answer.text[:200]}"
    if answer.status_code == 429:
        after = answer.headers.get("retry-after", "")
        return Overloaded(detail, retry_after=int(after) if after.isdigit() else 1)
    return _error(code, detail, _BY_STATUS.get(answer.status_code, ServiceError))


def _error(
    code: str, message: str, otherwise: type[PlatemarkError], source: str | None = None
) -> PlatemarkError:
    """An error of the class that has the code, and can be made of a message alone."""
    classes = [PlatemarkError]
    for known in classes:
        classes += known.__subclasses__()
        if known.code == code and known.__init__ is PlatemarkError.__init__:
            return known(message, source=source)
    return otherwise(message, source=source)
