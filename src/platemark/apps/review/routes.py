"""The HTTP face of a review: what its page asks for."""

from typing import Annotated, Any, Literal

import numpy as np
import PIL.Image
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from platemark.apps.review.session import SHOWN, Review
from platemark.apps.server.connection import may_write
from platemark.apps.web.pictures import shrunk
from platemark.errors import InvalidRequest
from platemark.imaging.image import to_jpeg

router = APIRouter(prefix="/api", tags=["review"])

# The longer side of a picture as it is sent, and its quality as JPEG.
_LARGEST, _QUALITY = 4096, 92


def review_of(request: Request) -> Review:
    """The review that the application is for."""
    review: Review = request.app.state.review
    return review


Shared = Annotated[Review, Depends(review_of)]
Who = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, min_length=1, max_length=60, pattern=r"^[^\x00-\x1f]+$"
    ),
]
Writer = Depends(may_write)


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")

    annotator: Who


class Change(_Body):
    """A change of an image."""

    base: int = Field(ge=0, description="Version that it builds on.")
    action: Literal["edit", "accept", "reject"] = "edit"
    marks: list[dict[str, Any]] = Field(max_length=2000)
    ignore: list[list[float]] | None = Field(None, max_length=2000)
    resolves: list[int] = Field([], max_length=100)


class Step(_Body):
    """A step back or forth."""

    base: int = Field(ge=0)


class Next(_Body):
    """A wish for an image."""

    seen: list[str] = Field([], max_length=5000)
    current: str | None = None


@router.get("/setup")
def setup(review: Shared) -> dict[str, Any]:
    """What does not change while the review runs."""
    return review.setup()


@router.get("/state")
def state(review: Shared, annotator: Who, image: str | None = None) -> dict[str, Any]:
    """How far the review has come, and whether the image that is open has changed."""
    return review.state(image, annotator)


@router.get("/images")
def images(
    review: Shared,
    show: str = "todo",
    offset: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> dict[str, Any]:
    """A part of the list of images."""
    if show not in SHOWN:
        raise InvalidRequest(f"show is one of {', '.join(SHOWN)}, not {show[:40]!r}")
    return review.listed(show, offset, limit)


@router.post("/next")
def next_image(review: Shared, wish: Next) -> dict[str, str | None]:
    """The image that is to be reviewed next."""
    return {"id": review.next(wish.annotator, frozenset(wish.seen), wish.current)}


@router.get("/images/{image}")
def show(review: Shared, image: str, annotator: Who) -> dict[str, Any]:
    """All that is known of an image."""
    return review.show(image, annotator)


@router.get("/images/{image}/picture", response_class=Response)
def picture(review: Shared, image: str) -> Response:
    """The picture itself, upright, as JPEG; pixels of annotations are those of its full size."""
    whole = PIL.Image.fromarray(review.picture(image).pixels)
    pixels = np.asarray(shrunk(whole, _LARGEST))
    headers = {"Cache-Control": "private, max-age=600"}
    return Response(to_jpeg(pixels, _QUALITY), media_type="image/jpeg", headers=headers)


@router.get("/images/{image}/history")
def history(review: Shared, image: str) -> list[dict[str, Any]]:
    """All revisions of an image, oldest first."""
    return review.revisions(image)


@router.put("/images/{image}", dependencies=[Writer])
def change(review: Shared, image: str, given: Change) -> dict[str, Any]:
    """Keep a change: it is on the disk when this is answered."""
    return review.change(image, **dict(given))


@router.post("/images/{image}/undo", dependencies=[Writer])
def undo(review: Shared, image: str, given: Step) -> dict[str, Any]:
    """Go back to what was before the last change."""
    return review.step(image, "undo", given.base, given.annotator)


@router.post("/images/{image}/redo", dependencies=[Writer])
def redo(review: Shared, image: str, given: Step) -> dict[str, Any]:
    """Make what was undone last once more."""
    return review.step(image, "redo", given.base, given.annotator)


@router.post("/images/{image}/proposals/{number}/discard", dependencies=[Writer])
def discard(review: Shared, image: str, number: int, given: _Body) -> dict[str, Any]:
    """Settle a conflict in favour of what counts already."""
    return review.discard(image, number, given.annotator)
