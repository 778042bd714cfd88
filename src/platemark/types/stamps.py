"""What is known of a stamp: ink, appearance, text, whose it is, and whether two are one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from platemark.masks import InkCrop, InkMask
from platemark.types.base import (
    Box,
    Detection,
    FlatValue,
    Quad,
    as_box,
    as_quad,
    check_score,
    json_coordinates,
    json_score,
    png,
)
from platemark.types.plates import Character

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage


Script = Literal["latin", "cyrillic", "greek"]
SCRIPTS: tuple[Script, ...] = get_args(Script)


@dataclass(frozen=True, slots=True)
class StripCharacter:
    """One character of a strip.

    Attributes:
        char: The character; of homoglyphs in several scripts the Latin one.
        score: Probability that it is this one.
        middle: Column of its middle, in pixels of the strip.
    """

    char: str
    score: float
    middle: float


@dataclass(frozen=True, slots=True)
class TextLine:
    """One line of a stamp's text.

    Attributes:
        text: What it says; ``None`` for a line that is there and cannot be read.
        path: ``"ring"`` where it runs round the stamp, ``"straight"`` where it does not.
        score: Probability that the text is right, 0 where there is none.
        characters: The characters of the text with their scores; empty where the reader gives none.
        script: One of `SCRIPTS`, that of most of its letters; ``None`` where none is of one script
            alone.
        places: (x, y) of the middle of each character, in pixels of the original image; not part
            of the JSON.
    """

    text: str | None
    path: str
    score: float = 0.0
    characters: tuple[Character, ...] = field(default=(), repr=False)
    script: Script | None = None
    places: tuple[tuple[float, float], ...] = field(default=(), repr=False, compare=False)

    def __post_init__(self) -> None:
        check_score(self.score)
        if self.path not in ("ring", "straight"):
            raise ValueError(f"a line of text runs ring or straight, not {self.path!r}")
        if self.script is not None and self.script not in SCRIPTS:
            raise ValueError(f"a script is one of {', '.join(SCRIPTS)}, not {self.script!r}")
        if self.text == "":
            raise ValueError("a line that cannot be read has text None, not an empty string")

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object; scores and script of lines whose reader gives them."""
        data: dict[str, Any] = {"text": self.text, "path": self.path}
        if self.characters:
            data |= {
                "score": json_score(self.score),
                "script": self.script,
                "characters": [character.to_dict() for character in self.characters],
            }
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Make one from its JSON object; of older versions it has the text and the path alone."""
        characters = tuple(map(Character.from_dict, data.get("characters", ())))
        return cls(
            data["text"], data["path"], data.get("score", 0.0), characters, data.get("script")
        )


@dataclass(frozen=True, slots=True)
class StampField(FlatValue):
    """A date or a registration number that a stamp bears.

    Attributes:
        kind: ``"date"``, or the register: ``"inn"``, ``"ogrn"``, ``"edrpou"``, ``"bin"``,
            ``"nip"``, ``"ico"``, ``"vat"``, ``"gstin"`` and others.
        value: A date as ``YYYY-MM-DD``, a number without separators.
        valid: Whether its check digits are right; ``None`` for what has none.
    """

    kind: str
    value: str
    valid: bool | None = None


@dataclass(frozen=True, slots=True)
class Identity(FlatValue):
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


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """A vector that is near to those of the same stamp and far from those of others.

    Attributes:
        vector: (D,) float32 of unit length.
        model: Name and version of the model that made it, ``name@version``; vectors of different
            models cannot be compared.
    """

    vector: NDArray[np.float32] = field(repr=False)
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
        text: What it says, lines separated by ``" / "``; ``None`` when it was not read.
        text_score: Probability that the whole text is right.
        lines: The text line by line.
        fields: Dates and registration numbers of the text; in the JSON where there are some.
        mirrored: Whether the imprint is mirrored, so that its text is not read; in the JSON where
            it is.
        identity: The known stamp it is most like, ``None`` where none is known or none was
            searched.
        embedding: The vector that tells it from other stamps, ``None`` where none was made.
        crop: The segmented imprint, for the registry and the comparison. Not part of the JSON;
            ``None`` for a mark that came from there.
        kind: Always ``"stamp"``.
    """

    score: float
    box: Box
    quad: Quad = field(repr=False)
    shape: str
    color: str
    rotation: float | None
    mask: InkMask = field(repr=False)
    text: str | None = None
    text_score: float = 0.0
    lines: tuple[TextLine, ...] = ()
    identity: Identity | None = None
    embedding: Embedding | None = field(default=None, repr=False)
    crop: InkCrop | None = field(default=None, repr=False, compare=False)
    kind: str = field(default="stamp", repr=False)
    fields: tuple[StampField, ...] = ()
    mirrored: bool = False

    def __post_init__(self) -> None:
        check_score(self.score)
        check_score(self.text_score)
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
            "text_score": json_score(self.text_score),
            "lines": [line.to_dict() for line in self.lines],
            "identity": None if self.identity is None else self.identity.to_dict(),
        }
        if self.fields:
            data["fields"] = [found.to_dict() for found in self.fields]
        if self.mirrored:
            data["mirrored"] = True
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
            fields=tuple(map(StampField.from_dict, data.get("fields", ()))),
            mirrored=data.get("mirrored", False),
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


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What a comparison rests on, for whoever checks it, and for its report.

    Attributes:
        a: The imprint of the first picture.
        b: That of the second.
        transform: 3x3 homography from pixels of the crop of ``a`` to pixels of that of ``b``; from
            pixels of the part of the mask with ink, of a mark without a crop.
        regions: Where they disagree, in the same pixels of ``a``, the worst first.
        design: Probability that both are of one design.
        detail: Probability that no detail differs, if they are.
        similarity: Cosine similarity of their embeddings; None where they have none.
        features: How many local features agree.
    """

    a: StampMark
    b: StampMark
    transform: Matrix
    regions: tuple[Box, ...]
    design: float
    detail: float
    similarity: float | None
    features: int


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
        evidence: What it rests on; ``None`` for one that was read from JSON.
    """

    score: float
    verdict: str
    reason: str
    transform: Matrix
    a: Box
    b: Box
    differences: tuple[Box, ...] = field(default=(), compare=False)
    draw: Callable[[], PilImage] | None = field(default=None, repr=False, compare=False)
    evidence: Evidence | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_score(self.score)
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

    def _repr_png_(self) -> bytes | None:
        """What a notebook shows: the difference picture."""
        return None if self.draw is None else png(self.draw())

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object."""
        return {
            "score": json_score(self.score),
            "verdict": self.verdict,
            "reason": self.reason,
            "transform": [
                [float(f"{value:.{_MATRIX_DIGITS}g}") for value in row] for row in self.transform
            ],
            "a": json_coordinates(self.a),
            "b": json_coordinates(self.b),
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
