"""The shapes of answers in the OpenAPI description, those of marks made of `platemark.types`."""

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from functools import reduce
from operator import or_
from types import GenericAlias, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model

from platemark.apps.server.problems import MEDIA_TYPE
from platemark.apps.server.uploads import EncodedFiles
from platemark.types import (
    Box,
    Comparison,
    Expectation,
    Failure,
    Identity,
    InkMask,
    PlateMark,
    PlateView,
    Quad,
    Reading,
    RedactedFile,
    StampMark,
    TextLine,
    Watched,
)


class Shape(BaseModel):
    """A part of an answer."""

    model_config = ConfigDict(extra="forbid")


Score = Field(ge=0, le=1, description="A calibrated probability.")


_MADE: dict[Any, Any] = {}


def shape_of(
    value: type[Any], *, leave_out: Sequence[str] = (), optional: Sequence[str] = (), **others: Any
) -> Any:
    """Make the shape of a value, whose JSON has the fields of its class.

    Args:
        value: The class.
        leave_out: Fields that the JSON never has.
        optional: Fields that it does not always have.
        others: Fields in another form, or that it has besides: type and default.
    """
    hints = get_type_hints(value, localns={"PilImage": Any})
    for field in fields(value):
        if field.name not in leave_out and field.name not in others:
            kind, usual = _shape(hints[field.name]), Score if "score" in field.name else ...
            others[field.name] = (kind | None, None) if field.name in optional else (kind, usual)
    about = (value.__doc__ or "").partition("\n")[0]
    _MADE[value] = create_model(f"{value.__name__}Shape", __base__=Shape, __doc__=about, **others)
    return _MADE[value]


def _shape(hint: Any) -> Any:
    parts, outer = get_args(hint), get_origin(hint)
    if is_dataclass(hint):
        return _MADE.get(hint) or shape_of(hint)  # type: ignore[arg-type]
    if outer is tuple and parts[-1] is Ellipsis:
        return many(_shape(parts[0]))
    return reduce(or_, map(_shape, parts)) if outer in (Union, UnionType) else hint


def many(shape: Any) -> Any:
    """A list of a shape that was made."""
    return GenericAlias(list, (shape,))


class _Page(Shape):
    source: str
    page: int = Field(ge=0)


class _FoundPage(_Page):
    width: int
    height: int
    elapsed_ms: float


class FailedShape(Shape):
    """A file or page that could not be processed."""

    source: str
    page: int | None = Field(default=None, ge=0)
    error: shape_of(Failure)  # type: ignore[valid-type]


def answers(shape: Any) -> Any:
    """What a route answers that has an object for each page: of a shape, or with an error."""
    return many(shape | FailedShape)


def _marks(name: str, mark: Any, **others: Any) -> Any:
    return create_model(name, __base__=_FoundPage, marks=(many(mark), ...), **others)


_STAMP: dict[str, Any] = {
    "kind": (Literal["stamp"], ...),
    "embedding": (list[float] | None, None),
    "embedding_model": (str | None, None),
}
shape_of(TextLine, leave_out=["places"], optional=["score", "characters", "script"])
shape_of(Watched, optional=["note"])
PlateShape = shape_of(
    PlateMark,
    leave_out=["frames"],
    optional=["mirrored", "watch"],
    kind=(Literal["plate"], ...),
)
StampShape = shape_of(StampMark, leave_out=["crop"], optional=["fields", "mirrored"], **_STAMP)
IdentityShape, MaskShape = _MADE[Identity], _MADE[InkMask]
ComparisonShape = shape_of(Comparison, leave_out=["differences", "draw"])
PlatesShape = _marks("PlatesShape", PlateShape, expected=(shape_of(Expectation) | None, None))
StampsShape = _marks("StampsShape", StampShape)
_VIEW: dict[str, Any] = {
    "score": (float, Score),
    "box": (Box, ...),
    "quad": (Quad, ...),
    "text": (str | None, ...),
    "text_score": (float, Score),
}
_MERGED: dict[str, Any] = {
    "kind": (Literal["plate"], ...),
    "text_score": (float, Score),
    "views": (many(shape_of(PlateView, leave_out=["mark"], **_VIEW)), ...),
    "expected": (_MADE[Expectation] | None, None),
}
MergedPlateShape = create_model(
    "MergedPlateShape",
    __base__=shape_of(Reading, leave_out=["frames", "score"], **_MERGED),
    __doc__="One plate that several photos show.",
)
RedactedShape = shape_of(
    RedactedFile, data=(str, Field(description="The copy, a file, in base64."))
)


class VectorShape(Shape):
    """The vector of a stamp."""

    box: Box
    score: float = Score
    embedding: list[float] = Field(description="Of unit length.")
    model: str = Field(description="`name@version`; vectors of others cannot be compared.")


class EmbeddingsShape(_Page):
    """The vectors of the stamps of an image or page."""

    embeddings: list[VectorShape]


class InkShape(Shape):
    """Where the ink of a stamp is."""

    box: Box
    score: float = Score
    mask: MaskShape  # type: ignore[valid-type]


class SegmentsShape(_Page):
    """The ink of the stamps of an image or page."""

    stamps: list[InkShape]


class DesignShape(Shape):
    """A known stamp."""

    design: str = Field(description="Its id, which never changes.")
    name: str
    notes: str
    tags: list[str]
    owner: str
    created: str
    changed: str
    retired: str | None = Field(description="Since when it is no longer searched for.")
    samples: int = Field(description="How many it has.")


class SampleShape(Shape):
    """An imprint of a known stamp."""

    sample: str = Field(description="Its id.")
    created: str
    model: str
    source: str
    page: int
    box: Box
    digest: str
    text: str | None = Field(description="What it was read to say.")


class DesignWithSamplesShape(DesignShape):
    """A known stamp and its samples."""

    sample_list: list[SampleShape]


class CandidateShape(IdentityShape):  # type: ignore[misc, valid-type]
    """A design that an imprint may be of."""

    score: float = Score
    sample: str = Field(description="The sample it is most like.")


class StampAddedShape(Shape):
    """What became of one stamp."""

    box: Box
    design: DesignShape
    sample: SampleShape
    new_design: bool
    new_sample: bool
    alike: list[CandidateShape] = Field(description="Other designs it may be an imprint of.")


class StampRefusedShape(Shape):
    """Why one stamp was not added."""

    box: Box
    error: shape_of(Failure)  # type: ignore[valid-type]


class AddedShape(_Page):
    """What became of the stamps of an image or page."""

    added: list[StampAddedShape | StampRefusedShape]


IdentifiedShape = _marks(
    "IdentifiedShape",
    create_model("IdentifiedStampShape", __base__=StampShape, candidates=many(CandidateShape)),
)


class ProblemShape(BaseModel):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    code: str = Field(description="Stable name of the error.")
    errors: list[dict[str, Any]] | None = None
    results: list[FailedShape] | None = Field(
        default=None, description="Where every file failed: an object for each, with its error."
    )
    request_id: str | None = None


_PROBLEMS = {
    400: "A file could not be read, or the request not be parsed.",
    401: "A key is wanted.",
    403: "The key, or the page of a browser, does not allow this.",
    404: "There is no such thing.",
    408: "The client closed its connection.",
    409: "The registry cannot do this.",
    413: "Too many bytes, pixels or pages.",
    415: "Not a kind of file that is read.",
    422: "The request is not as described.",
    429: "Too much to do; try again after `Retry-After` seconds.",
    500: "The server failed at this request.",
    503: "The time for a request is over, or the registry does not answer.",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe the errors of a route by status."""
    schema = {"$ref": "#/components/schemas/ProblemShape"}
    return {
        status: {
            "model": ProblemShape,
            "description": _PROBLEMS[status],
            "content": {MEDIA_TYPE: {"schema": schema}},
        }
        for status in statuses
    }


def redacted_answer(example: Any) -> dict[str, Any]:
    """Describe a copy, a file of any format that is read, or its object."""
    kinds = ("jpeg", "png", "webp", "bmp", "tiff")
    files = [*(f"image/{kind}" for kind in kinds), "application/pdf"]
    content: dict[str, Any] = {kind: {"schema": _PICTURE} for kind in files}
    content["application/json"] = {"example": example}
    return {"model": RedactedShape, "description": "The copy.", "content": content}


_PICTURE = {"type": "string", "format": "binary"}
_EXAMPLE = {"files": [{"name": "car.jpg", "data": "/9j/4AAQSkZJRgABAQ..."}]}


def file_body(
    model: type[EncodedFiles] = EncodedFiles,
    *,
    many: bool = True,
    field: str = "files",
    fields: Sequence[str] = (),
) -> dict[str, Any]:
    """Describe a body of files, for ``openapi_extra``.

    Args:
        model: What a JSON body may say.
        many: Whether there may be several files.
        field: The form field that they come in.
        fields: Names of further fields of a form.
    """
    files = {"type": "array", "items": _PICTURE, "minItems": 1}
    form = {
        "type": "object",
        "required": [field],
        "properties": {field: files if many else _PICTURE}
        | {name: {"type": "string"} for name in fields},
    }
    schema = inlined_schema(model)
    raw = {"schema": _PICTURE}
    return {
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {"schema": form},
                "application/json": {
                    "schema": schema,
                    "example": _EXAMPLE,
                },
                "image/jpeg": raw,
                "image/png": raw,
                "application/pdf": raw,
                "application/octet-stream": raw,
            },
        }
    }


def json_body(model: type[BaseModel]) -> dict[str, Any]:
    """Describe a JSON body that the route itself parses, for ``openapi_extra``."""
    content = {"application/json": {"schema": inlined_schema(model)}}
    return {"requestBody": {"required": True, "content": content}}


def inlined_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The schema of a model; one within an operation has no place apart for what it refers to."""
    schema = model.model_json_schema()
    parts = schema.pop("$defs", {})

    def inlined(value: Any) -> Any:
        if isinstance(value, list):
            return [inlined(one) for one in value]
        if not isinstance(value, dict):
            return value
        if reference := value.get("$ref"):
            return inlined(parts[reference.rpartition("/")[2]])
        return {key: inlined(one) for key, one in value.items()}

    made: dict[str, Any] = inlined(schema)
    return made
