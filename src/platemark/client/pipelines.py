"""Pipelines that run on a server, with the calls of those in this process."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from os import PathLike
from typing import Any

import PIL.Image

from platemark.client.connection import Connection, error_said, source_of, upload
from platemark.errors import PlatemarkError, ServiceError
from platemark.imaging.draw import draw_image
from platemark.imaging.image import ImageInput
from platemark.imaging.sources import Unread, expand_inputs, held, open_pages
from platemark.parallel import map_in_order
from platemark.pipeline import PageResults
from platemark.types import Failure, Mark, Result


class RemotePipeline:
    """A pipeline that runs on a server, with the calls of `platemark.pipeline.Pipeline`.

    Args:
        connection: The server.
        path: Its route.
        params: What is always asked for.
    """

    def __init__(self, connection: Connection, path: str, params: Mapping[str, Any]) -> None:
        self._connection, self._path, self._params = connection, path, params

    def __call__(self, image: ImageInput) -> Result:
        """Find and describe the marks of one image; of a document, those of its first page.

        Args:
            image: A path, bytes, an (H, W, 3) uint8 RGB array, a PIL image or an `Image`.

        Raises:
            UnreadableImage: The file is missing, empty, corrupt or no image.
            UnsupportedInput: It is a folder, a video or a PDF with a password.
            InputTooLarge: It has too many bytes or pixels.
            ServiceError: The server cannot be reached, or refuses.
        """
        return _sound(self._ask(image, page=0)[0])

    def pages(self, document: ImageInput) -> PageResults:
        """Find and describe the marks of all pages of a PDF or TIFF, in one request.

        Raises:
            UnreadableImage: The file is missing, empty, corrupt or no image.
            UnsupportedInput: It is a folder, a video or a PDF with a password.
            InputTooLarge: It has too many bytes or pages.
            ServiceError: The server cannot be reached, or refuses.
        """
        results = self._ask(document)
        if len(results) == 1:
            _sound(results[0])
        return PageResults(len(results), lambda page: _sound(results[page]))

    def stream(
        self, inputs: ImageInput | Iterable[ImageInput], *, workers: int | None = None
    ) -> Iterator[Result]:
        """Do many inputs lazily, in order, one result per image or page.

        An input that fails gives a result with an ``error``, and the others go on.

        Args:
            inputs: Paths, folders, globs, ``@list.txt``, or images as for `__call__`.
            workers: Requests that are made at a time, by default 2: while the server works on one
                input the next is sent.

        Raises:
            ServiceError: The server cannot be reached, or refuses every request.
        """
        workers = 2 if workers is None else workers
        results = map_in_order(self._results, held(expand_inputs(inputs)), workers)
        return chain.from_iterable(results)

    def _results(self, value: ImageInput | Unread) -> list[Result]:
        try:
            if isinstance(value, Unread):
                raise value.error
            return self._ask(value)
        except ServiceError:
            raise
        except PlatemarkError as error:
            source = value.source if isinstance(value, Unread) else source_of(value)
            return [Result(source, error=Failure(error.code, error.message))]

    def _ask(self, value: ImageInput, **params: Any) -> list[Result]:
        source, data = upload(value)
        again: ImageInput = value if isinstance(value, (str, PathLike)) else data
        answer = self._connection.request(
            "POST",
            self._path,
            params={**self._params, **params},
            files={"files": (source, data)},
        )
        return [
            replace(result, source=source, draw=partial(_draw, again, result.page))
            for result in map(Result.from_dict, answer.json())
        ]


def _draw(value: ImageInput, page: int, marks: Sequence[Mark]) -> PIL.Image.Image:
    return draw_image(open_pages(value).read(page), marks)


def _sound(result: Result) -> Result:
    if result.error is not None:
        raise error_said(result.error.code, result.error.message, ServiceError, result.source)
    return result
