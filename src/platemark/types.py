"""The values that move between the stages, and their JSON.

Convention: a point is ``(x, y)`` in continuous pixels of the original image after EXIF rotation;
pixel column ``j`` covers ``[j, j + 1)``, so the ``x1, y1`` of a box are exclusive. A quad is four
points, clockwise from the mark's own top-left. A score is a calibrated probability. In JSON,
coordinates have two decimals and scores four.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from platemark.masks import InkCrop as InkCrop
from platemark.masks import InkMask as InkMask

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage

Point = tuple[float, float]
Box = tuple[float, float, float, float]
Quad = tuple[Point, Point, Point, Point]


def as_box(value: ArrayLike) -> Box:
    """Return four numbers as a `Box`.

    Raises:
        ValueError: They are not four finite numbers with ``x0 <= x1`` and ``y0 <= y1``.
    """
    array = np.asarray(value, dtype=np.float64)
    if array.shape != (4,) or not np.isfinite(array).all():
        raise ValueError(f"a box is four finite numbers (x0, y0, x1, y1), got {value!r}")
    x0, y0, x1, y1 = array.tolist()
    if x1 < x0 or y1 < y0:
        raise ValueError(f"a box has x0 <= x1 and y0 <= y1, got {value!r}")
    return (x0, y0, x1, y1)


def as_quad(value: ArrayLike) -> Quad:
    """Return four points as a `Quad`, in the order given.

    Raises:
        ValueError: They are not four finite points.
    """
    array = np.asarray(value, dtype=np.float64)
    if array.shape != (4, 2) or not np.isfinite(array).all():
        raise ValueError(f"a quad is four finite points (x, y), got {value!r}")
    first, second, third, fourth = ((x, y) for x, y in array.tolist())
    return (first, second, third, fourth)


def _check_score(score: float) -> None:
    if not (math.isfinite(score) and 0.0 <= score <= 1.0):
        raise ValueError(f"a score is a probability in 0..1, got {score!r}")


def _json_score(score: float) -> float:
    return round(float(score), 4)


def _json_coordinates(values: Sequence[float]) -> list[float]:
    return [round(float(value), 2) for value in values]


@dataclass(frozen=True, slots=True)
class Detection:
    """Where one mark is.

    Attributes:
        kind: What was found, such as ``"plate"``.
        score: Probability that this is a mark of its kind.
        box: Bounding box in pixels of the original image.
        quad: Corners in pixels of the original image.
    """

    kind: str
    score: float
    box: Box
    quad: Quad

    def __post_init__(self) -> None:
        _check_score(self.score)
        object.__setattr__(self, "box", as_box(self.box))
        object.__setattr__(self, "quad", as_quad(self.quad))

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object."""
        return {
            "kind": self.kind,
            "score": _json_score(self.score),
            "box": _json_coordinates(self.box),
            "quad": [_json_coordinates(point) for point in self.quad],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Make one from its JSON object."""
        return cls(data["kind"], data["score"], data["box"], data["quad"])


@dataclass(frozen=True, slots=True, eq=False)
class Crop:
    """A mark cut out and turned upright.

    Attributes:
        pixels: (H, W, 3) uint8 RGB.
        to_image: (3, 3) float64 homography from points of the crop to points of the original image.
    """

    pixels: NDArray[np.uint8]
    to_image: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.pixels.ndim != 3 or self.pixels.shape[2] != 3 or self.pixels.dtype != np.uint8:
            raise ValueError(
                f"crop pixels are (H, W, 3) uint8, got {self.pixels.shape} {self.pixels.dtype}"
            )
        if self.to_image.shape != (3, 3):
            raise ValueError(f"to_image is a 3x3 matrix, got shape {self.to_image.shape}")


@dataclass(frozen=True, slots=True)
class Character:
    """One character that was read.

    Attributes:
        char: The character.
        score: Probability that it is this one.
    """

    char: str
    score: float

    def __post_init__(self) -> None:
        _check_score(self.score)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object."""
        return {"char": self.char, "score": _json_score(self.score)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Make one from its JSON object."""
        return cls(data["char"], data["score"])


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another text the mark may show.

    Attributes:
        text: The text.
        score: Probability that the whole text is right.
    """

    text: str
    score: float

    def __post_init__(self) -> None:
        _check_score(self.score)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object."""
        return {"text": self.text, "score": _json_score(self.score)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Make one from its JSON object."""
        return cls(data["text"], data["score"])


@dataclass(frozen=True, slots=True)
class Reading:
    """What a mark says.

    Attributes:
        text: The text, ``None`` when nothing is legible.
        score: Probability that the whole text is right.
        characters: The characters of ``text`` with a score each.
        alternatives: Other texts, most probable first.
    """

    text: str | None
    score: float
    characters: tuple[Character, ...] = ()
    alternatives: tuple[Alternative, ...] = ()

    def __post_init__(self) -> None:
        _check_score(self.score)
        if self.text == "":
            raise ValueError("a reading without text has text None, not an empty string")

    def to_dict(self) -> dict[str, Any]:
        """Return the text fields of a mark's JSON object."""
        return {
            "text": self.text,
            "text_score": _json_score(self.score),
            "characters": [character.to_dict() for character in self.characters],
            "alternatives": [alternative.to_dict() for alternative in self.alternatives],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Make one from the text fields of a mark's JSON object."""
        return cls(
            data["text"],
            data["text_score"],
            tuple(Character.from_dict(item) for item in data["characters"]),
            tuple(Alternative.from_dict(item) for item in data["alternatives"]),
        )


@dataclass(frozen=True, slots=True)
class Region:
    """Country and type of a plate.

    Attributes:
        code: Name of a plate format, such as ``"eu-ua-2015"``.
        score: Probability that it is this one.
    """

    code: str
    score: float

    def __post_init__(self) -> None:
        _check_score(self.score)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object."""
        return {"code": self.code, "score": _json_score(self.score)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Make one from its JSON object."""
        return cls(data["code"], data["score"])


@dataclass(frozen=True, slots=True)
class Obscured:
    """Whether something hides part of a plate's text.

    Attributes:
        value: True when a part is hidden.
        score: Probability that a part is hidden.
    """

    value: bool
    score: float

    def __post_init__(self) -> None:
        _check_score(self.score)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object."""
        return {"value": self.value, "score": _json_score(self.score)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Make one from its JSON object."""
        return cls(data["value"], data["score"])


@dataclass(frozen=True, slots=True)
class PlateMark:
    """One licence plate in an image.

    Attributes:
        score: Probability that this is a plate.
        box: Bounding box in pixels of the original image.
        quad: Corners in pixels of the original image, clockwise from the plate's own top-left.
        text: What the plate shows, upper case without separators; ``None`` when nothing is legible.
        text_score: Probability that the whole text is right.
        characters: The characters of ``text`` with a score each.
        alternatives: Other texts, most probable first.
        region: Country and type, ``None`` where it was not determined.
        lines: Number of text lines, ``None`` where it was not determined.
        obscured: Whether a part is hidden, ``None`` where it was not determined.
        kind: Always ``"plate"``.
    """

    score: float
    box: Box
    quad: Quad
    text: str | None = None
    text_score: float = 0.0
    characters: tuple[Character, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    region: Region | None = None
    lines: int | None = None
    obscured: Obscured | None = None
    kind: str = "plate"

    def __post_init__(self) -> None:
        _check_score(self.score)
        _check_score(self.text_score)
        object.__setattr__(self, "box", as_box(self.box))
        object.__setattr__(self, "quad", as_quad(self.quad))
        if self.text == "":
            raise ValueError("a plate without legible text has text None, not an empty string")

    @property
    def detection(self) -> Detection:
        """Where the plate is."""
        return Detection(self.kind, self.score, self.box, self.quad)

    @property
    def reading(self) -> Reading:
        """What the plate says."""
        return Reading(self.text, self.text_score, self.characters, self.alternatives)

    @classmethod
    def of(cls, detection: Detection, reading: Reading) -> Self:
        """Join where a plate is and what it says."""
        return cls(
            score=detection.score,
            box=detection.box,
            quad=detection.quad,
            text=reading.text,
            text_score=reading.score,
            characters=reading.characters,
            alternatives=reading.alternatives,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object."""
        return {
            **self.detection.to_dict(),
            **self.reading.to_dict(),
            "region": None if self.region is None else self.region.to_dict(),
            "lines": self.lines,
            "obscured": None if self.obscured is None else self.obscured.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Make one from its JSON object."""
        reading = Reading.from_dict(data)
        region, obscured = data.get("region"), data.get("obscured")
        return cls(
            score=data["score"],
            box=data["box"],
            quad=data["quad"],
            text=reading.text,
            text_score=reading.score,
            characters=reading.characters,
            alternatives=reading.alternatives,
            region=None if region is None else Region.from_dict(region),
            lines=data.get("lines"),
            obscured=None if obscured is None else Obscured.from_dict(obscured),
        )


@dataclass(frozen=True, slots=True)
class TextLine:
    """One line of a stamp's text.

    Attributes:
        text: What it says.
        path: ``"ring"`` where it runs round the stamp, ``"straight"`` where it does not.
    """

    text: str
    path: str

    def __post_init__(self) -> None:
        if self.path not in ("ring", "straight"):
            raise ValueError(f"a line of text runs ring or straight, not {self.path!r}")

    def to_dict(self) -> dict[str, str]:
        """Return the JSON object."""
        return {"text": self.text, "path": self.path}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Make one from its JSON object."""
        return cls(data["text"], data["path"])


@dataclass(frozen=True, slots=True)
class Identity:
    """The known stamp that an imprint is most like.

    Attributes:
        name: What the stamp is called.
        design: The id of its design in the registry.
        similarity: Cosine similarity with the nearest sample of the design.
        accepted: Whether that is near enough to be the same stamp.
    """

    name: str
    design: str
    similarity: float
    accepted: bool

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object."""
        return {
            "name": self.name,
            "design": self.design,
            "similarity": _json_score(self.similarity),
            "accepted": self.accepted,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Make one from its JSON object."""
        return cls(data["name"], data["design"], data["similarity"], data["accepted"])


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """A vector that is near to those of the same stamp and far from those of others.

    Attributes:
        vector: (D,) float32 of unit length.
        model: Name and version of the model that made it, ``name@version``; vectors of different
            models cannot be compared.
    """

    vector: NDArray[np.float32]
    model: str

    def __post_init__(self) -> None:
        vector = np.array(self.vector, dtype=np.float32)
        if vector.ndim != 1 or not abs(float(np.linalg.norm(vector)) - 1.0) < 1e-3:
            raise ValueError(f"an embedding is a vector (D,) of length 1, got {vector.shape}")
        vector.flags.writeable = False
        object.__setattr__(self, "vector", vector)

    def __eq__(self, other: object) -> bool:
        """Whether it is the same vector of the same model."""
        if not isinstance(other, Embedding):
            return NotImplemented
        return self.model == other.model and np.array_equal(self.vector, other.vector)

    def __hash__(self) -> int:
        return hash((self.model, self.vector.tobytes()))


STAMP_SHAPES = ("circle", "oval", "rectangle", "triangle", "other")
INK_COLORS = ("blue", "red", "green", "violet", "black", "brown", "other")


@dataclass(frozen=True, slots=True)
class StampMark:
    """One imprint of a stamp or seal in an image.

    Attributes:
        score: Probability that this is a stamp.
        box: Bounding box in pixels of the original image.
        quad: Corners of the imprint in pixels of the original image, clockwise from its own
            top-left.
        shape: Its outer outline, one of `STAMP_SHAPES`; ``"other"`` is no frame, or a polygon.
        color: Name of the ink's colour, one of `INK_COLORS`.
        rotation: Clockwise turn of the imprint in degrees, 0 for upright; ``None`` where the
            imprint does not tell.
        mask: Which pixels of the image are its ink.
        text: What it says, lines parted by ``" / "``; ``None`` when it was not read.
        text_score: Probability that the whole text is right.
        lines: The text line by line.
        identity: The known stamp it is most like, ``None`` where nobody looked or none is known.
        embedding: The vector that tells it from other stamps, ``None`` where none was made.
        crop: The imprint cut out of its page, for what looks at it more closely: the registry and
            the comparison. Not part of the JSON; ``None`` for a mark that came from there.
        kind: Always ``"stamp"``.
    """

    score: float
    box: Box
    quad: Quad
    shape: str
    color: str
    rotation: float | None
    mask: InkMask
    text: str | None = None
    text_score: float = 0.0
    lines: tuple[TextLine, ...] = ()
    identity: Identity | None = None
    embedding: Embedding | None = None
    crop: InkCrop | None = field(default=None, repr=False, compare=False)
    kind: str = "stamp"

    def __post_init__(self) -> None:
        _check_score(self.score)
        _check_score(self.text_score)
        object.__setattr__(self, "box", as_box(self.box))
        object.__setattr__(self, "quad", as_quad(self.quad))
        if self.text == "":
            raise ValueError("a stamp without legible text has text None, not an empty string")
        if self.shape not in STAMP_SHAPES or self.color not in INK_COLORS:
            raise ValueError(
                f"a stamp has one of the shapes {STAMP_SHAPES} and one of the colours "
                f"{INK_COLORS}, got {self.shape!r}, {self.color!r}"
            )

    @property
    def detection(self) -> Detection:
        """Where the stamp is."""
        return Detection(self.kind, self.score, self.box, self.quad)

    def to_dict(self, *, embedding: bool = False) -> dict[str, Any]:
        """Return the JSON object.

        Args:
            embedding: Also give the vector, where there is one, and the model that made it.
        """
        data = {
            **self.detection.to_dict(),
            "shape": self.shape,
            "color": self.color,
            "rotation": None if self.rotation is None else round(float(self.rotation), 1),
            "mask": self.mask.to_dict(),
            "text": self.text,
            "text_score": _json_score(self.text_score),
            "lines": [line.to_dict() for line in self.lines],
            "identity": None if self.identity is None else self.identity.to_dict(),
        }
        if embedding and self.embedding is not None:
            # As many digits as tell a float32 from its neighbours, and no more.
            data["embedding"] = [float(str(value)) for value in self.embedding.vector]
            data["embedding_model"] = self.embedding.model
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Make one from its JSON object."""
        identity, vector = data.get("identity"), data.get("embedding")
        return cls(
            score=data["score"],
            box=data["box"],
            quad=data["quad"],
            shape=data["shape"],
            color=data["color"],
            rotation=data["rotation"],
            mask=InkMask.from_dict(data["mask"]),
            text=data["text"],
            text_score=data["text_score"],
            lines=tuple(TextLine.from_dict(line) for line in data["lines"]),
            identity=None if identity is None else Identity.from_dict(identity),
            embedding=None if vector is None else Embedding(vector, data["embedding_model"]),
        )


Mark = PlateMark | StampMark
_MARKS: dict[str, type[PlateMark] | type[StampMark]] = {"plate": PlateMark, "stamp": StampMark}


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an input gave no marks: the ``error`` object of the JSON output.

    Attributes:
        code: Stable name of the error, see `platemark.errors`.
        message: What was wrong, with which input, and what to do about it.
    """

    code: str
    message: str

    def to_dict(self) -> dict[str, str]:
        """Return the JSON object."""
        return {"code": self.code, "message": self.message}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Make one from its JSON object."""
        return cls(data["code"], data["message"])


@dataclass(frozen=True, slots=True)
class Result:
    """The marks of one image or page, or why there are none to give.

    Attributes:
        source: The input as it was given or found.
        page: Page of a document or TIFF, counted from 0.
        width: Width of the image in pixels; 0 when it could not be read.
        height: Height of the image in pixels; 0 when it could not be read.
        marks: The marks, best score first. Empty when nothing was found.
        elapsed_ms: Time from pixels to marks, in milliseconds.
        error: Why the input could not be looked at; ``None`` when it was.
        draw: Draws marks on the image, for `plot`; ``None`` when there is no image any more.
    """

    source: str
    page: int = 0
    width: int = 0
    height: int = 0
    marks: tuple[Mark, ...] = ()
    elapsed_ms: float = 0.0
    error: Failure | None = None
    draw: Callable[[Sequence[Mark]], PilImage] | None = field(
        default=None, repr=False, compare=False
    )

    def plot(self) -> PilImage:
        """Return the image with its marks drawn, an RGB picture.

        An input that is a file is read again, so that a list of results does not hold the pixels of
        all images.

        Raises:
            ValueError: The result was not made by a pipeline, so there is no image to draw on.
            UnreadableImage: The file is no longer there.
        """
        if self.draw is None:
            raise ValueError(
                f"the result for {self.source} has no image; "
                "use platemark.imaging.draw.draw_marks(pixels, result.marks)"
            )
        return self.draw(self.marks)

    def to_dict(self, *, embedding: bool = False) -> dict[str, Any]:
        """Return the JSON object: the marks, or the error (with a page after the first).

        Args:
            embedding: Also give the vectors of stamps.
        """
        if self.error is not None:
            place: dict[str, Any] = {"source": self.source}
            if self.page:
                place["page"] = self.page
            return {**place, "error": self.error.to_dict()}
        return {
            "source": self.source,
            "page": self.page,
            "width": self.width,
            "height": self.height,
            "marks": [
                mark.to_dict(embedding=embedding) if isinstance(mark, StampMark) else mark.to_dict()
                for mark in self.marks
            ],
            "elapsed_ms": round(self.elapsed_ms, 1),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Make one from its JSON object."""
        error = data.get("error")
        if error is not None:
            return cls(data["source"], data.get("page", 0), error=Failure.from_dict(error))
        return cls(
            data["source"],
            data["page"],
            data["width"],
            data["height"],
            tuple(_MARKS[mark["kind"]].from_dict(mark) for mark in data["marks"]),
            data["elapsed_ms"],
        )


Matrix = tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]
VERDICTS = ("same", "different", "unsure")
# Entries of a transform have as many digits as place a pixel of the largest page.
_MATRIX_DIGITS = 9


def as_matrix(value: ArrayLike) -> Matrix:
    """Return nine numbers as a 3x3 matrix, row by row.

    Raises:
        ValueError: They are not three rows of three finite numbers.
    """
    array = np.asarray(value, dtype=np.float64)
    if array.shape != (3, 3) or not np.isfinite(array).all():
        raise ValueError(f"a transform is 3x3 finite numbers, got {value!r}")
    first, second, third = ((x, y, z) for x, y, z in array.tolist())
    return (first, second, third)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Whether one stamp made two imprints.

    Attributes:
        score: Probability that one stamp made both.
        verdict: ``"same"``, ``"different"``, or ``"unsure"`` where they do not tell.
        reason: Why, in a few words.
        transform: 3x3 homography, row by row, that takes pixels of the first picture to pixels of
            the second, so that one imprint lies on the other.
        a: Box of the imprint in the first picture, in its pixels.
        b: Box of the imprint in the second.
        differences: Boxes in pixels of the first picture where the imprints disagree, the worst
            first; not in the JSON.
        draw: Draws the difference picture, for `plot`; ``None`` where there is nothing to draw.
    """

    score: float
    verdict: str
    reason: str
    transform: Matrix
    a: Box
    b: Box
    differences: tuple[Box, ...] = field(default=(), compare=False)
    draw: Callable[[], PilImage] | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_score(self.score)
        if self.verdict not in VERDICTS:
            raise ValueError(f"a verdict is one of {', '.join(VERDICTS)}, not {self.verdict!r}")
        object.__setattr__(self, "transform", as_matrix(self.transform))
        object.__setattr__(self, "a", as_box(self.a))
        object.__setattr__(self, "b", as_box(self.b))
        object.__setattr__(self, "differences", tuple(map(as_box, self.differences)))

    def plot(self) -> PilImage:
        """Return the difference picture: both imprints in two colours, what disagrees ringed.

        Raises:
            ValueError: The comparison was not made by `platemark.compare`.
        """
        if self.draw is None:
            raise ValueError("this comparison has no imprints to draw; only platemark.compare's do")
        return self.draw()

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object."""
        return {
            "score": _json_score(self.score),
            "verdict": self.verdict,
            "reason": self.reason,
            "transform": [
                [float(f"{value:.{_MATRIX_DIGITS}g}") for value in row] for row in self.transform
            ],
            "a": _json_coordinates(self.a),
            "b": _json_coordinates(self.b),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Make one from its JSON object."""
        return cls(
            data["score"],
            data["verdict"],
            data["reason"],
            data["transform"],
            data["a"],
            data["b"],
        )
