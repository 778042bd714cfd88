"""One server: requests, answers, and the errors that refusals stand for."""

import io
import time
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any

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
    class_of,
)
from platemark.imaging.image import Image, ImageInput, Readable, content_of, name_of, read_file

if TYPE_CHECKING:
    import httpx

_LONGEST_WAIT = 60.0
_BY_STATUS: dict[int, type[PlatemarkError]] = {
    401: Unauthorized,
    403: Forbidden,
    422: InvalidRequest,
    503: TimedOut,
}


class Connection:
    """A server, and how patiently it is asked; may be shared by threads.

    Args:
        url: Address of the server.
        key: A key, where the server wants one.
        timeout: Seconds until an answer has to begin.
        retries: How often a request is sent again when the server has too much to do.

    Raises:
        MissingExtra: httpx is not installed.
    """

    def __init__(self, url: str, key: str | None, timeout: float, retries: int) -> None:
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

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def request(self, method: str, path: str, **options: Any) -> "httpx.Response":
        """Send a request and return the answer; ``options`` are those of `httpx.Client.request`.

        Raises:
            PlatemarkError: The server refused it; the class and the code are those it gives.
            ServiceError: It cannot be reached.
            TimedOut: It did not answer in time.
        """
        for left in range(self._retries, -1, -1):
            answer = self.answer(method, path, **options)
            if answer.is_success:
                return answer
            error = _error_of(answer)
            if left == 0 or not isinstance(error, Overloaded):
                raise error
            time.sleep(min(error.retry_after, _LONGEST_WAIT))
        raise AssertionError("the last try returns or raises")

    def answer(self, method: str, path: str, **options: Any) -> "httpx.Response":
        """Send a request once and return the answer, also one that refuses it.

        Raises:
            ServiceError: The server cannot be reached.
            TimedOut: It did not answer in time.
        """
        import httpx

        try:
            return self._http.request(method, path, **options)
        except httpx.TimeoutException as error:
            raise TimedOut(f"{self._http.base_url} did not answer in time") from error
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
            raise ServiceError(f"{self._http.base_url} cannot be reached: {reason}") from error


def upload(value: ImageInput) -> tuple[str, bytes]:
    """What an input is called, and its bytes as an image file or document; pixels become PNG.

    Raises:
        UnreadableImage: The file is missing or may not be read.
        UnsupportedInput: It is a folder or a video.
    """
    if isinstance(value, (str, PathLike)):
        source = source_of(value)
        return source, read_file(value, source)
    if isinstance(value, (bytes, bytearray, memoryview, Readable)):
        data, source = content_of(value)
        return source, data
    image, stream = Image.read(value), io.BytesIO()
    PIL.Image.fromarray(image.pixels).save(stream, "PNG", compress_level=1)
    return image.source, stream.getvalue()


def source_of(value: ImageInput) -> str:
    """What an input is called in results, as a pipeline in this process calls it."""
    if isinstance(value, (str, PathLike)):
        return fspath(value)
    if isinstance(value, (bytes, bytearray, memoryview, Readable)):
        return name_of(value)
    return Image.read(value).source


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
    return error_said(code, detail, _BY_STATUS.get(answer.status_code, ServiceError))


def error_said(
    code: str, message: str, otherwise: type[PlatemarkError], source: str | None = None
) -> PlatemarkError:
    """An error of the class that has the code, and can be made of a message alone."""
    known = class_of(code)
    plain = known.code == code and known.__init__ is PlatemarkError.__init__
    return (known if plain else otherwise)(message, source=source)
