"""The values that the registry keeps and gives, and what may be in them."""

import re
import secrets
import time
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from platemark.errors import InvalidDesign
from platemark.types import Box, Identity, as_box

LONGEST_NAME = 500
LONGEST_NOTES = 100_000
LONGEST_TEXT = 10_000
MOST_TAGS = 100

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
ID_PATTERN = f"^[0-7][{_CROCKFORD}]{{25}}$"
_ID = re.compile(ID_PATTERN)

Vector = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Design:
    """One known stamp.

    Attributes:
        id: 26 letters and digits that never change and sort by age, a ULID.
        name: What it is called; no other design has the same name.
        created: When it was added, UTC, ISO 8601.
        changed: When it, or which samples it has, was last changed, UTC, ISO 8601.
        notes: Free text.
        tags: Words to find it by, sorted.
        owner: Whose stamp it is, or who keeps this entry; empty where it is unknown.
        retired: Since when it is no longer searched, UTC, ISO 8601; None while it is.
        samples: How many samples it has.
    """

    id: str
    name: str
    created: str
    changed: str
    notes: str = ""
    tags: tuple[str, ...] = ()
    owner: str = ""
    retired: str | None = None
    samples: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object."""
        return {
            "design": self.id,
            "name": self.name,
            "notes": self.notes,
            "tags": list(self.tags),
            "owner": self.owner,
            "created": self.created,
            "changed": self.changed,
            "retired": self.retired,
            "samples": self.samples,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Make one from its JSON object."""
        return cls(
            data["design"],
            data["name"],
            data["created"],
            data["changed"],
            data["notes"],
            tuple(data["tags"]),
            data["owner"],
            data["retired"],
            data["samples"],
        )


@dataclass(frozen=True, slots=True)
class Sample:
    """One imprint of a design; its pictures and its vector are asked for apart.

    Attributes:
        id: A ULID.
        design: The id of its design.
        created: When it was added, UTC, ISO 8601.
        model: The model that made its vector, ``name@version``.
        source: The image it was cut from, as it was given.
        page: Page of a document or TIFF, counted from 0.
        box: The part of the page that it shows, in pixels of the page.
        digest: SHA-256 of its pictures as they are kept, hexadecimal.
        text: What the imprint says, lines separated by ``" / "``; None where it was not read.
    """

    id: str
    design: str
    created: str
    model: str
    source: str
    page: int
    box: Box
    digest: str
    text: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object."""
        return {
            "sample": self.id,
            "created": self.created,
            "model": self.model,
            "source": self.source,
            "page": self.page,
            "box": [round(float(value), 2) for value in self.box],
            "digest": self.digest,
            "text": self.text,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], design: str) -> Self:
        """Make one from its JSON object and the id of its design."""
        return cls(
            data["sample"],
            design,
            data["created"],
            data["model"],
            data["source"],
            data["page"],
            as_box(data["box"]),
            data["digest"],
            data["text"],
        )


@dataclass(frozen=True, slots=True)
class StoredSample:
    """A sample with all that is kept of it.

    Attributes:
        sample: What is known about it.
        vector: (D,) float32 of unit length.
        picture: Its pixels, a JPEG.
        ink: Which of them are ink, a grey PNG of the same size.
    """

    sample: Sample
    vector: Vector
    picture: bytes
    ink: bytes


@dataclass(frozen=True, slots=True)
class Lookalike:
    """A sample that resembles an imprint of another design.

    Attributes:
        score: Probability that the stamp of the other design made it.
        design: Id of its own design.
        other: Id of the other; empty where none was compared.
    """

    score: float
    design: str
    other: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A design that an imprint may be of.

    Attributes:
        design: The design.
        sample: The id of its sample that the imprint is most like.
        similarity: Cosine similarity with that sample.
        score: How surely one stamp made both, of what similarity and the comparison of the ink
            say together, 0..1; comparable between the candidates of all imprints.
        accepted: Whether its score reaches the acceptance threshold.
    """

    design: Design
    sample: str
    similarity: float
    score: float
    accepted: bool

    @property
    def identity(self) -> Identity:
        """What a mark says of it."""
        return Identity(self.design.name, self.design.id, self.similarity, self.accepted)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object: that of the identity, the score, and the sample."""
        return {
            **self.identity.to_dict(),
            "score": round(self.score, 4),
            "sample": self.sample,
        }


@dataclass(frozen=True, slots=True)
class Added:
    """What became of a stamp that was added.

    Attributes:
        design: The design it is a sample of now.
        sample: The sample; one that was there before if the same picture was.
        new_design: Whether the design was made for it.
        new_sample: Whether the sample is new.
        alike: Other designs that it may be an imprint of, the most alike first: duplicates, or
            stamps that differ in a detail.
    """

    design: Design
    sample: Sample
    new_design: bool
    new_sample: bool
    alike: tuple[Candidate, ...] = ()


def new_id() -> str:
    """Make a ULID: 48 bits of milliseconds and 80 random ones, in Crockford's base 32."""
    value = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    return "".join(_CROCKFORD[value >> shift & 31] for shift in range(125, -1, -5))


def is_id(text: str) -> bool:
    """Whether a text has the form of an id."""
    return _ID.fullmatch(text) is not None


def now() -> str:
    """The time, UTC, ISO 8601 with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def check_name(name: str) -> str:
    """Return a name as it is kept: composed (NFC), without space around it.

    Raises:
        InvalidDesign: It is empty, too long, has control characters, is no text at all, or has the
            form of an id.
    """
    clean = _check_line(name, "a name", LONGEST_NAME)
    if not clean:
        raise InvalidDesign("a design needs a name, this one is empty")
    if is_id(clean):
        raise InvalidDesign(f"{clean} has the form of a design's id and cannot be its name")
    return clean


def check_owner(owner: str) -> str:
    """Return an owner as it is kept.

    Raises:
        InvalidDesign: It is too long, or no line of text.
    """
    return _check_line(owner, "an owner", LONGEST_NAME)


def check_notes(notes: str) -> str:
    """Return notes as they are kept.

    Raises:
        InvalidDesign: They are too long, or no text.
    """
    if len(notes) > LONGEST_NOTES:
        raise InvalidDesign(
            f"notes have at most {LONGEST_NOTES} characters, these have {len(notes)}"
        )
    _check_text(notes, "notes", allowed="\n\t\r")
    return notes


def check_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Return tags as they are kept: sorted, each once.

    Raises:
        InvalidDesign: There are too many, or one is empty, too long, or no line of text.
    """
    clean = sorted({_check_line(tag, "a tag", LONGEST_NAME) for tag in tags})
    if len(clean) > MOST_TAGS or "" in clean:
        raise InvalidDesign(f"a design has at most {MOST_TAGS} tags, none of them empty")
    return tuple(clean)


def kept_text(text: str | None) -> str | None:
    """What an imprint says as it is kept: not too long; None where that is nothing."""
    return writable(text)[:LONGEST_TEXT] if text else None


def writable(text: str) -> str:
    """Text as it can be kept: what is none in it, as in file names, is written as an escape."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def _check_line(text: str, what: str, longest: int) -> str:
    clean = unicodedata.normalize("NFC", text).strip()
    if len(clean) > longest:
        shown = f"{clean[:20]!r}..."
        raise InvalidDesign(f"{what} has at most {longest} characters, {shown} has {len(clean)}")
    _check_text(clean, what)
    return clean


def _check_text(text: str, what: str, allowed: str = "") -> None:
    """Refuse what cannot be kept, or not be shown on a line: Unicode's controls and surrogates."""
    for char in text:
        if char not in allowed and unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp"):
            raise InvalidDesign(f"{what} cannot have the character {char!r}: {text[:20]!r}")
