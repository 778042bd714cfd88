"""Routes whose requests take a place in the work queue, and the work on their files."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar, cast

from fastapi import Request, Response
from fastapi.routing import APIRoute

from platemark.apps.server.problems import ClientGone
from platemark.apps.server.uploads import Upload, uploads
from platemark.apps.services import Services
from platemark.errors import InputError, PlatemarkError
from platemark.imaging.image import Image
from platemark.imaging.sources import Pages, Unread

T = TypeVar("T")

_SMALL_BODY = 1_000_000
Item = Image | Unread


def services_of(request: Request) -> Services:
    """The services of the server that a request came to; a dependency of routes."""
    return cast(Services, request.app.state.services)


class WorkRoute(APIRoute):
    """A route that takes a place in the queue before the body is read, and has a time limit.

    A JSON body that FastAPI parses, on the event loop, has no files in it and has to be small.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler."""
        handle, small = super().get_route_handler(), self.body_field is not None

        async def handler(request: Request) -> Response:
            services = services_of(request)
            if small:
                request.state.most_bytes = _SMALL_BODY
            with services.work.admit():
                async with asyncio.timeout(services.settings.request_seconds):
                    return await handle(request)

        return handler


async def each_page(
    request: Request, work: Callable[[Item], T], *, only: int | None = None
) -> list[T]:
    """Have something done with each page of each file of a request, in order.

    Args:
        request: Its body is read here.
        work: Is given a page, or why it could not be read; runs in a worker.
        only: The one page of each file that is wanted, counted from 0.

    Raises:
        InvalidRequest: The request has no files, or too many.
        ClientGone: The client closed its connection; work that has not begun is not done.
    """
    async with uploads(request, services_of(request)) as body:
        return await pages_of(request, body.files, work, only=only)


async def pages_of(
    request: Request,
    files: Sequence[Upload],
    work: Callable[[Item], T],
    *,
    only: int | None = None,
) -> list[T]:
    """Have something done with each page of some files, in order; see `each_page`."""
    services = services_of(request)
    # As many files at a time as there are workers; a page of a document is a piece of work.
    places = asyncio.Semaphore(services.settings.workers)

    async def one(file: Upload) -> list[T]:
        async with places:
            return await _pages(services, file, work, only)

    async def all_files() -> list[T]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(file)) for file in files]
        return [value for task in tasks for value in task.result()]

    return await while_connected(request, all_files())


async def one_page(request: Request, page: int, work: Callable[[Image], T]) -> T:
    """Have something done with one page of the first file of a request.

    Args:
        request: Its body is read here.
        page: Which, counted from 0.
        work: Is given the page; runs in a worker.

    Raises:
        InputError: The file or page cannot be read, or there is no such page.
        InvalidRequest: The request has no file, or too many.
        ClientGone: The client closed its connection.
    """
    services = services_of(request)
    async with uploads(request, services) as body:
        done = partial(_done_with, services, body.files[0], page, work)
        return await while_connected(request, services.work.run(done))


def _done_with(services: Services, file: Upload, page: int, work: Callable[[Image], T]) -> T:
    return work(page_of(services, file, page))


def page_of(services: Services, file: Upload, page: int = 0) -> Image:
    """Read one page of a file; runs in a worker.

    Raises:
        InputError: The file or page cannot be read, or there is no such page.
    """
    _, item = _opened(services, file, page)
    if isinstance(item, Unread):
        raise item.error
    return item


async def _pages(
    services: Services, file: Upload, work: Callable[[Item], T], only: int | None
) -> list[T]:
    def first() -> tuple[Pages | None, T]:
        pages, item = _opened(services, file, only or 0)
        return pages, work(item)

    def another(pages: Pages, page: int) -> T:
        return work(services.read(pages, page, file.name))

    run = services.work.run
    pages, done = await run(first)
    if pages is None or only is not None:
        return [done]
    rest = range(1, len(pages))
    return [done, *[await run(partial(another, pages, page)) for page in rest]]


def _opened(services: Services, file: Upload, page: int) -> tuple[Pages | None, Item]:
    """Open a file and read one of its pages; what cannot be opened has the reason as its page."""
    try:
        pages = services.open(file.read(), file.name)
        if page >= len(pages):
            raise InputError(
                f"{file.name} has {len(pages)} pages, no page {page} (counted from 0)",
                source=file.name,
            )
    except PlatemarkError as error:
        return None, Unread(file.name, error)
    return pages, services.read(pages, page, file.name)


async def while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Wait for work, but no longer than the client does; the request's body has been read.

    Raises:
        ClientGone: The client closed its connection.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientGone
        return task.result()
    except BaseExceptionGroup as group:
        raise next(_leaves(group)) from group
    finally:
        gone.cancel()
        task.cancel()


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
