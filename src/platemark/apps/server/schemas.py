"""The shapes of answers in the OpenAPI description; the values are made by `platemark.types`."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from platemark.apps.server.problems import MEDIA_TYPE
from platemark.apps.server.uploads import EncodedFiles


class Shape(BaseModel):
    """A part of an answer."""

    model_config = ConfigDict(extra="forbid")


Box = tuple[float, float, float, float]
Point = tuple[float, float]
Quad = tuple[Point, Point, Point, Point]
Score = Field(ge=0, le=1, description="A calibrated probability.")


class ErrorShape(Shape):
    """Why a file or page could not be looked at."""

    code: str = Field(description="Stable name of the error.", examples=["unreadable_image"])
    message: str = Field(description="What was wrong and what to do about it.")


class FailedShape(Shape):
    """A file or page that could not be looked at."""

    source: str
    page: int | None = Field(default=None, ge=0)
    error: ErrorShape


class CharacterShape(Shape):
    """A character with its score."""

    char: str
    score: float = Score


class AlternativeShape(Shape):
    """Another text the plate may show."""

    text: str
    score: float = Score


class RegionShape(Shape):
    """Country and type of a plate."""

    code: str
    score: float = Score


class ObscuredShape(Shape):
    """Whether a part of a plate is hidden."""

    value: bool
    score: float = Score


class PlateShape(Shape):
    """A licence plate."""

    kind: str = Field(pattern="^plate$")
    score: float = Score
    box: Box
    quad: Quad
    text: str | None
    text_score: float = Score
    characters: list[CharacterShape]
    alternatives: list[AlternativeShape]
    matches_format: bool | None
    region: RegionShape | None
    lines: int | None
    obscured: ObscuredShape | None


class MaskShape(Shape):
    """Ink as COCO's compressed run lengths of a mask of the whole page."""

    size: tuple[int, int] = Field(description="Height and width.")
    counts: str


class LineShape(Shape):
    """A line of a stamp's text."""

    text: str
    path: str = Field(pattern="^(ring|straight)$")


class IdentityShape(Shape):
    """The known stamp that an imprint is most like."""

    name: str
    design: str
    similarity: float
    accepted: bool


class StampShape(Shape):
    """A stamp or seal."""

    kind: str = Field(pattern="^stamp$")
    score: float = Score
    box: Box
    quad: Quad
    shape: str
    color: str
    rotation: float | None
    mask: MaskShape
    text: str | None
    text_score: float = Score
    lines: list[LineShape]
    identity: IdentityShape | None
    embedding: list[float] | None = None
    embedding_model: str | None = None


class _Page(Shape):
    source: str
    page: int = Field(ge=0)
    width: int
    height: int
    elapsed_ms: float


class ExpectedShape(Shape):
    """Whether a plate shows the text that was asked for."""

    text: str
    verdict: str = Field(pattern="^(match|mismatch|unsure)$")
    score: float = Score


class PlatesShape(_Page):
    """The plates of an image or page."""

    marks: list[PlateShape]
    expected: ExpectedShape | None = Field(default=None, description="Where a text was asked for.")


class StampsShape(_Page):
    """The stamps of an image or page."""

    marks: list[StampShape]


class VectorShape(Shape):
    """The vector of a stamp."""

    box: Box
    score: float = Score
    embedding: list[float] = Field(description="Of unit length.")
    model: str = Field(description="`name@version`; vectors of others cannot be compared.")


class EmbeddingsShape(Shape):
    """The vectors of the stamps of an image or page."""

    source: str
    page: int = Field(ge=0)
    embeddings: list[VectorShape]


class InkShape(Shape):
    """Where the ink of a stamp is."""

    box: Box
    score: float = Score
    mask: MaskShape


class SegmentsShape(Shape):
    """The ink of the stamps of an image or page."""

    source: str
    page: int = Field(ge=0)
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
    retired: str | None = Field(description="Since when it is no longer looked for.")
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


class DesignWithSamplesShape(DesignShape):
    """A known stamp and its samples."""

    sample_list: list[SampleShape]


class CandidateShape(IdentityShape):
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
    error: ErrorShape


class AddedShape(Shape):
    """What became of the stamps of an image or page."""

    source: str
    page: int = Field(ge=0)
    added: list[StampAddedShape | StampRefusedShape]


class IdentifiedStampShape(StampShape):
    """A stamp and the designs it may be of."""

    candidates: list[CandidateShape]


class IdentifiedShape(_Page):
    """The stamps of an image or page, and whose they may be."""

    marks: list[IdentifiedStampShape]


class ComparisonShape(Shape):
    """Whether one stamp made two imprints."""

    score: float = Score
    verdict: str = Field(pattern="^(same|different|unsure)$")
    reason: str
    transform: list[list[float]]
    a: Box
    b: Box


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
