"""What the routes share: parameters, answers of lists and pictures."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Query, Request, Response

from platemark.apps.server.problems import of_failures
from platemark.apps.server.schemas import problems
from platemark.apps.server.work_route import services_of
from platemark.apps.services import Kind, Services
from platemark.errors import PlatemarkError
from platemark.pipeline import Pipeline
from platemark.types import Failure, Result
from platemark.usecases.pages import Item

Shared = Annotated[Services, Depends(services_of)]
MinScore = Annotated[
    float | None,
    Query(ge=0, le=1, description="Least score of a mark; default: the model's own rules."),
]
RegionOfInterest = Annotated[
    str | None,
    Query(
        max_length=1000,
        description="Search there only: a box `x0,y0,x1,y1` or a polygon `x,y x,y x,y` in pixels.",
    ),
]
Name = Annotated[
    str | None, Query(max_length=255, description="What to call a file that is the raw body.")
]
PageNumber = Annotated[
    int, Query(ge=0, lt=2**31, description="Page of a document, counted from 0.")
]
OnePage = Annotated[
    int | None,
    Query(ge=0, lt=2**31, description="Only this page of each document, counted from 0."),
]
Cropped = Annotated[
    bool, Query(description="The pictures are stamps already cropped, not pages to search.")
]
ReadStamps = Annotated[
    bool, Query(description="Read the stamps, which takes longer than finding them.")
]
LISTED = problems(400, 401, 403, 408, 413, 415, 422, 429, 500, 503)


def listed(example: Any) -> dict[int | str, dict[str, Any]]:
    """Describe an answer with an object for each page, and the errors of its route."""
    content = {"application/json": {"example": example}}
    return LISTED | {200: {"description": "An object for each image or page.", "content": content}}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a page.

    Attributes:
        text: Its object, as JSON.
        failed: Whether the object has an ``error`` and nothing else.
    """

    text: str
    failed: bool = False


def answer_list(request: Request, outcomes: Sequence[Outcome]) -> Response:
    """Return the JSON list of the objects; where every one of them failed, a problem."""
    if outcomes and all(outcome.failed for outcome in outcomes):
        return of_failures(request, [json.loads(outcome.text) for outcome in outcomes])
    texts = ",".join(outcome.text for outcome in outcomes)
    return Response(f"[{texts}]", media_type="application/json")


def found(
    services: Services,
    kind: Kind,
    pipeline: Pipeline[Any],
    tell: Callable[[Result], dict[str, Any]],
    item: Item,
) -> Outcome:
    """Find the marks of a page and tell of them, or give the error object in its place."""
    result = services.find(kind, item, pipeline)
    try:
        if result.error is None:
            return Outcome(json.dumps(tell(result)))
    except PlatemarkError as error:
        return failed(services, result.source, result.page, error)
    return Outcome(json.dumps(result.to_dict()), failed=True)


def failed(services: Services, source: str, page: int, error: PlatemarkError) -> Outcome:
    """The error object in the place of a page."""
    services.metrics.errors.labels(error.code).inc()
    result = Result(source, page, error=Failure(error.code, error.message))
    return Outcome(json.dumps(result.to_dict()), failed=True)
