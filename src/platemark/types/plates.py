"""What is known of a plate: its text, country and type, how it stands, whether it is obscured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from platemark.types.base import (
    Box,
    Detection,
    FlatValue,
    Quad,
    as_box,
    as_quad,
    check_score,
    json_score,
)


@dataclass(frozen=True, slots=True)
class Character(FlatValue):
    """One character that was read.

    Attributes:
        char: The character.
        score: Probability that it is this one.
    """

    char: str
    score: float


@dataclass(frozen=True, slots=True)
class Alternative(FlatValue):
    """Another text the mark may show.

    Attributes:
        text: The text.
        score: Probability that the whole text is right.
    """

    text: str
    score: float


@dataclass(frozen=True, slots=True)
class Region(FlatValue):
    """Country and type of a plate.

    Attributes:
        code: Name of a plate format, such as ``"eu-ua-2015"``.
        score: Probability that it is this one.
    """

    code: str
    score: float


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """What a reader takes each frame of a crop for, from left to right.

    Attributes:
        probabilities: (T, 1 + len(alphabet)) for T frames; column 0 is the blank between
            characters, see `platemark.tasks.ctc`.
        alphabet: The characters of the other columns.
    """

    probabilities: NDArray[np.float64]
    alphabet: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What a mark says.

    Attributes:
        text: The text, ``None`` when nothing is legible.
        score: Probability that the whole text is right.
        characters: The characters of ``text`` with a score each.
        alternatives: Other texts, most probable first.
        region: Country and type that the text tells, or text and picture together; ``None``
            where they do not.
        matches_format: Whether some plate format has the text, ``None`` where that was not checked.
        frames: What the text was read from, a crop each; empty where the reader does not say. Not
            part of the JSON.
    """

    text: str | None
    score: float
    characters: tuple[Character, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    region: Region | None = None
    matches_format: bool | None = None
    frames: tuple[Frames, ...] = field(default=(), repr=False, compare=False)

    def __post_init__(self) -> None:
        check_score(self.score)
        if self.text == "":
            raise ValueError("a reading without text has text None, not an empty string")

    def illegible(self) -> Self:
        """Return a reading without a text, whose first alternative is that of this one."""
        first = () if self.text is None else (Alternative(self.text, self.score),)
        others = (*first, *self.alternatives)
        return type(self)(None, 0.0, (), others, matches_format=False, frames=self.frames)

    def to_dict(self) -> dict[str, Any]:
        """Return the text fields of a mark's JSON object."""
        return {
            "text": self.text,
            "text_score": json_score(self.score),
            "characters": [character.to_dict() for character in self.characters],
            "alternatives": [alternative.to_dict() for alternative in self.alternatives],
            "matches_format": self.matches_format,
            "region": None if self.region is None else self.region.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Make one from the text fields of a mark's JSON object."""
        region = data.get("region")
        return cls(
            data["text"],
            data["text_score"],
            tuple(Character.from_dict(item) for item in data["characters"]),
            tuple(Alternative.from_dict(item) for item in data["alternatives"]),
            None if region is None else Region.from_dict(region),
            data.get("matches_format"),
        )


@dataclass(frozen=True, slots=True)
class Obscured(FlatValue):
    """Whether something hides part of a plate's text.

    Attributes:
        value: True when a part is hidden.
        score: Probability that a part is hidden.
    """

    value: bool
    score: float


ORIENTATIONS = ("upright", "right", "upside_down", "left", "mirrored")
"""How a plate may stand in a crop: as it should, its top to the right, down or to the left, or the
wrong way round. The first four are quarter turns clockwise."""


@dataclass(frozen=True, slots=True)
class Orientation(FlatValue):
    """How a plate stands in a crop.

    Attributes:
        value: One of `ORIENTATIONS`.
        score: Probability that it stands so.
    """

    value: str
    score: float

    def __post_init__(self) -> None:
        check_score(self.score)
        if self.value not in ORIENTATIONS:
            known = ", ".join(ORIENTATIONS)
            raise ValueError(f"an orientation is one of {known}, not {self.value!r}")

    @property
    def quarter_turns(self) -> int:
        """By how many quarter turns clockwise it is turned; 0 where it is mirrored."""
        return ORIENTATIONS.index(self.value) % (len(ORIENTATIONS) - 1)

    @property
    def mirrored(self) -> bool:
        """Whether it is the wrong way round."""
        return self.value == ORIENTATIONS[-1]


@dataclass(frozen=True, slots=True)
class PlateClasses:
    """What the picture of a plate tells, whatever its text says.

    Attributes:
        regions: Probability of each region code that is known, highest first.
        lines: Number of text lines.
        obscured: Whether a part of the text is hidden.
        orientations: Probability of each of `ORIENTATIONS`, how it stands in the crop.
    """

    regions: Mapping[str, float]
    lines: int
    obscured: Obscured
    orientations: Mapping[str, float]

    @property
    def orientation(self) -> Orientation:
        """The most probable orientation."""
        return Orientation(*max(self.orientations.items(), key=lambda pair: pair[1]))

    @property
    def region(self) -> Region:
        """The most probable region."""
        return Region(*next(iter(self.regions.items())))

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON object."""
        return {
            "region": self.region.to_dict(),
            "lines": self.lines,
            "obscured": self.obscured.to_dict(),
            "orientation": self.orientation.to_dict(),
        }


@dataclass(frozen=True, slots=True)
class Watched(FlatValue):
    """A text of a watch list that a plate shows.

    Attributes:
        text: The text as the list has it, without separators.
        score: Its share of its likelihood and that of the best other text; not calibrated.
        note: What the list says of it.
    """

    text: str
    score: float
    note: str | None = None


ANSWERS = ("match", "mismatch", "unsure")


@dataclass(frozen=True, slots=True)
class Expectation(FlatValue):
    """Whether a plate shows a text that was expected.

    Attributes:
        text: The text.
        verdict: ``"match"``, ``"mismatch"``, or ``"unsure"`` where the picture does not tell.
        score: Probability of the text against the best other one.
    """

    text: str
    verdict: str
    score: float

    def __post_init__(self) -> None:
        check_score(self.score)
        if self.verdict not in ANSWERS:
            raise ValueError(f"a verdict is one of {', '.join(ANSWERS)}, not {self.verdict!r}")


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
        matches_format: Whether some plate format has the text, ``None`` where that was not checked.
        lines: Number of text lines, ``None`` where it was not determined.
        obscured: Whether a part is hidden, ``None`` where it was not determined.
        mirrored: Whether the picture shows the plate the wrong way round, so that it was not read;
            in the JSON where it is so.
        watch: The text of a watch list that it shows; ``None`` without a list, or where it shows
            none.
        frames: What the text was read from, see `Reading`. Not part of the JSON.
        kind: Always ``"plate"``.
    """

    score: float
    box: Box
    quad: Quad = field(repr=False)
    text: str | None = None
    text_score: float = 0.0
    characters: tuple[Character, ...] = field(default=(), repr=False)
    alternatives: tuple[Alternative, ...] = field(default=(), repr=False)
    region: Region | None = None
    matches_format: bool | None = field(default=None, repr=False)
    lines: int | None = None
    obscured: Obscured | None = None
    mirrored: bool = False
    watch: Watched | None = field(default=None, repr=False)
    frames: tuple[Frames, ...] = field(default=(), repr=False, compare=False)
    kind: str = field(default="plate", repr=False)

    def __post_init__(self) -> None:
        check_score(self.score)
        check_score(self.text_score)
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
        return Reading(
            self.text,
            self.text_score,
            self.characters,
            self.alternatives,
            self.region,
            self.matches_format,
            self.frames,
        )

    @classmethod
    def of(cls, detection: Detection, reading: Reading, **others: Any) -> Self:
        """Join where a plate is and what it says; ``others`` are further attributes."""
        return cls(
            score=detection.score,
            box=detection.box,
            quad=detection.quad,
            text=reading.text,
            text_score=reading.score,
            characters=reading.characters,
            alternatives=reading.alternatives,
            matches_format=reading.matches_format,
            frames=reading.frames,
            **{"region": reading.region} | others,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object."""
        data = {
            **self.detection.to_dict(),
            **self.reading.to_dict(),
            "lines": self.lines,
            "obscured": None if self.obscured is None else self.obscured.to_dict(),
        }
        if self.mirrored:
            data["mirrored"] = True
        if self.watch is not None:
            data["watch"] = self.watch.to_dict()
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Make one from its JSON object."""
        obscured = data.get("obscured")
        return cls.of(
            Detection.from_dict(data),
            Reading.from_dict(data),
            lines=data.get("lines"),
            obscured=None if obscured is None else Obscured.from_dict(obscured),
            mirrored=data.get("mirrored", False),
            watch=Watched.from_dict(data["watch"]) if "watch" in data else None,
        )


@dataclass(frozen=True, slots=True)
class PlateView:
    """A plate in one of several photos.

    Attributes:
        source: The photo.
        page: Page of a document, counted from 0.
        mark: The plate, as it was read in this photo alone.
    """

    source: str
    page: int
    mark: PlateMark

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object: the mark's, where it is from, without what was merged."""
        mark = self.mark.to_dict()
        kept = {key: mark[key] for key in ("score", "box", "quad", "text", "text_score")}
        return {"source": self.source, "page": self.page, **kept}


@dataclass(frozen=True, slots=True)
class MergedPlate:
    """One plate that several photos show.

    Attributes:
        reading: What it says, by all of them.
        views: Where it is in each; the clearest first.
        expected: Whether it shows the text that was asked for; ``None`` when none was.
    """

    reading: Reading
    views: tuple[PlateView, ...]
    expected: Expectation | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object."""
        views = [view.to_dict() for view in self.views]
        data = {"kind": "plate", **self.reading.to_dict(), "views": views}
        return data if self.expected is None else data | {"expected": self.expected.to_dict()}
