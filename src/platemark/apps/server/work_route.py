"""Routes whose requests take a place in the work queue, and the work on their files."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from itertools import chain
from typing import Any, TypeVar, cast

from fastapi import Request, Response
from fastapi.routing import APIRoute

from platemark.apps.server.problems import ClientGone
from platemark.apps.server.uploads import Upload, uploads
from platemark.apps.services import Services
from platemark.errors import InvalidRequest
from platemark.imaging.image import Image
from platemark.usecases.pages import Item, the_page

T = TypeVar("T")

_SMALL_BODY = 1_000_000


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
        return list(chain(*await pages_of(request, body.files, work, only=only)))


async def pages_of(
    request: Request,
    files: Sequence[Upload],
    work: Callable[[Item], T],
    *,
    only: int | None = None,
) -> list[list[T]]:
    """Have something done with each page of some files, in order; see `each_page`."""
    services = services_of(request)
    # As many files at a time as there are workers; a page of a document is a piece of work.
    places = asyncio.Semaphore(services.settings.workers)

    async def one(file: Upload) -> list[T]:
        pages, done = services.pages(file.read, file.name, only), []
        async with places:
            while pages.left != 0:
                done.append(await services.work.run(lambda: work(next(pages))))
        return done

    async def all_files() -> list[list[T]]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(file)) for file in files]
        return [task.result() for task in tasks]

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
        pages = services.pages(body.files[0].read, body.files[0].name, page)
        return await while_connected(request, services.work.run(lambda: work(the_page(pages))))


async def one_document(
    request: Request, page: int | None, work: Callable[[Item], None], end: Callable[[], T]
) -> T:
    """Have something done with each page of the only file of a request, and return what it ends in.

    Args:
        request: Its body is read here.
        page: The one page that is wanted, counted from 0.
        work: Is given the pages in order; runs in a worker.
        end: Gives what came of them; runs in a worker.

    Raises:
        InputError: The file or page cannot be read, or there is no such page.
        InvalidRequest: The request has no file, or several.
        ClientGone: The client closed its connection.
    """
    services = services_of(request)
    async with uploads(request, services) as body:
        if len(body.files) > 1:
            raise InvalidRequest(f"one file is taken here, the request has {len(body.files)}")
        pages = services.pages(body.files[0].read, body.files[0].name, page)

        async def all_pages() -> T:
            while pages.left != 0:
                await services.work.run(lambda: work(next(pages)))
            return await services.work.run(end)

        return await while_connected(request, all_pages())


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
