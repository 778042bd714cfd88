"""The manifest: one JSON object per line, one line per image, image paths relative to its folder.

::

    {"image": "images/a/1.jpg", "width": 1280, "height": 960, "kind": "scene", "split": "train",
     "plates": [{"box": [x0, y0, x1, y1], "quad": [[x, y], ...] | null, "text": "AB12" | null,
                 "region": "eu-de" | null, "lines": 1 | null}],
     "stamps": [{"box": [x0, y0, x1, y1], "quad": [[x, y], ...] | null, "shape": "circle" | null,
                 "color": "blue" | null, "rotation": 12.5 | null, "identity": "..." | null,
                 "text": "..." | null, "lines": [{"text": "...", "path": "ring" | "straight"}],
                 "mask": "masks/1.png" | null}],
     "ignore": [[x0, y0, x1, y1], ...]}

An image has ``plates``, ``stamps`` or both.

Convention: points are (x, y) in pixels of the image, x to the right, y down, x1 and y1 exclusive;
quads run clockwise from the mark's own top-left. ``text`` of a plate is what it shows in its own
order, without spaces or separators; of a stamp what can be read, parts separated by ``" / "``.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    FiniteFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)

from platemark.errors import DatasetError
from platemark.geometry import is_convex
from platemark.splits import Split

Kind = Literal["scene", "crop", "isolated"]
StampShape = Literal["circle", "oval", "rectangle", "triangle", "other"]
SYNTHETIC = "platemark synth"
"""``source`` of generated images."""


def _has_area(box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = box
    if not (x0 < x1 and y0 < y1):
        raise ValueError(f"box {list(box)} has no area: need x0 < x1 and y0 < y1")
    return box


Point = tuple[FiniteFloat, FiniteFloat]
Corners = tuple[Point, Point, Point, Point]


def _runs_clockwise(quad: Corners) -> Corners:
    if not is_convex(quad):
        raise ValueError(f"quad {list(quad)} is not four corners in clockwise order")
    return quad


Quad = Annotated[Corners, AfterValidator(_runs_clockwise)]
Box = Annotated[
    tuple[FiniteFloat, FiniteFloat, FiniteFloat, FiniteFloat], AfterValidator(_has_area)
]


class Annotation(BaseModel):
    """One mark of an image, as a person (or the synthesis) marked it.

    Attributes:
        box: (x0, y0, x1, y1).
        quad: Four corners, or None where only the box is known.
        text: What the mark shows, or None where it was not read.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    box: Box
    quad: Quad | None = None
    text: str | None = None

    @property
    def corners(self) -> NDArray[np.float64]:
        """(4, 2) corners of the quad, or of the box where there is no quad."""
        if self.quad is not None:
            return np.array(self.quad, dtype=np.float64)
        x0, y0, x1, y1 = self.box
        return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], dtype=np.float64)


class PlateAnnotation(Annotation):
    """One licence plate.

    Attributes:
        region: Country and type code, or None.
        lines: Number of text lines, or None.
        obscured: Whether a part is hidden or unreadable, or None where that is not annotated.
    """

    region: str | None = None
    lines: PositiveInt | None = None
    obscured: bool | None = None


def plate_text(text: str) -> str | None:
    """What a plate shows as the manifest has it: upper case, no separators; None for nothing."""
    return "".join(filter(str.isalnum, text.upper())) or None


class StampLine(BaseModel):
    """One line of a stamp's text.

    Attributes:
        text: The line.
        path: Whether it runs round a ring or straight.
        places: (x, y) of the middle of each character, in pixels of the stored picture, None for
            one without ink, as a space; empty where they are not known.
    """

    model_config = ConfigDict(frozen=True)

    text: str
    path: Literal["ring", "straight"]
    places: tuple[tuple[float, float] | None, ...] = ()


class StampAnnotation(Annotation):
    """One imprint of a stamp.

    Attributes:
        shape: Its outer outline, or None; ``other`` is no frame, or a polygon.
        color: Name of the ink's colour, or None.
        rotation: Clockwise turn of the imprint in degrees, 0 for upright, or None.
        identity: The same string wherever the same stamp recurs, or None where that is unknown.
        lines: Its text line by line, as far as it is known.
        mask: Picture of the stored image's size, relative to the manifest's folder, white where
            the stamp's ink is; or None.
    """

    shape: StampShape | None = None
    color: str | None = None
    rotation: FiniteFloat | None = None
    identity: str | None = None
    lines: tuple[StampLine, ...] = ()
    mask: str | None = None


class ManifestEntry(BaseModel):
    """One image and everything marked in it. Keys beyond these are kept as they are.

    Attributes:
        image: Path relative to the manifest's folder, with ``/``.
        width: Pixels of the stored file.
        height: Pixels of the stored file.
        plates: The plates marked; empty for an image without plates.
        stamps: The stamps marked; empty for an image without stamps.
        ignore: Boxes that are neither a mark nor background: no finding counts there.
        kind: ``scene`` (find the marks first), ``crop`` (the image is one mark and little else) or
            ``isolated`` (the artwork of one mark, never on paper).
        split: ``train`` for learning, ``dev`` for every choice, ``test`` to report alone.
        source: Where the image is from.
        license: Licence of the image.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    image: str
    width: PositiveInt
    height: PositiveInt
    plates: tuple[PlateAnnotation, ...] = ()
    stamps: tuple[StampAnnotation, ...] = ()
    ignore: tuple[Box, ...] = ()
    kind: Kind = "scene"
    split: Split
    source: str | None = None
    license: str | None = None

    @model_validator(mode="after")
    def _lists_marks(self) -> Self:
        if not {"plates", "stamps"} & self.model_fields_set:
            raise ValueError("list the marks: plates, stamps or both; [] where there are none")
        return self

    @property
    def synthetic(self) -> bool:
        """Whether the image was generated: it belongs to no split of real data."""
        return self.source == SYNTHETIC

    @property
    def group(self) -> str:
        """The first folder under ``images/``, else the source, else an empty string."""
        parts = Path(self.image).parts
        if len(parts) > 2 and parts[0] == "images":
            return parts[1]
        return self.source or ""


def family_of(entry: ManifestEntry, stamp: StampAnnotation) -> str | None:
    """What a stamp or its image states as ``family``: near-copies of each other share it."""
    stated = (entry.model_extra or {}) | (stamp.model_extra or {})
    family = stated.get("family")
    return None if family is None else str(family)


@dataclass(frozen=True)
class Manifest:
    """The entries of a manifest file and the folder their image paths start from.

    Attributes:
        root: Folder of the manifest.
        entries: One entry per image, in the order of the file.
    """

    root: Path
    entries: tuple[ManifestEntry, ...]

    @classmethod
    def read(
        cls, path: str | Path, *, split: Split | None = None, kind: Kind | None = None
    ) -> Self:
        """Read and check a manifest; images are not opened.

        Args:
            path: The JSON Lines file.
            split: Keep only this split; None keeps all.
            kind: Keep only this kind of image; None keeps all.

        Raises:
            DatasetError: No such file, or a line that is not as the format says.
        """
        file = Path(path)
        entries = []
        for entry in read_entries(file):
            if isinstance(entry, DatasetError):
                raise entry
            if split in (None, entry.split) and kind in (None, entry.kind):
                entries.append(entry)
        return cls(root=file.parent, entries=tuple(entries))

    def path(self, entry: ManifestEntry) -> Path:
        """Return where the image of an entry lies."""
        return self.root / entry.image

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[ManifestEntry]:
        return iter(self.entries)


def write_manifest(path: str | Path, entries: Iterable[ManifestEntry]) -> None:
    """Write entries as a manifest, one line each; the folder is made where it is missing."""
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", encoding="utf-8") as stream:
        for entry in entries:
            stream.write(as_line(entry))


def as_line(entry: ManifestEntry) -> str:
    """An entry as a line of a manifest."""
    return entry.model_dump_json(exclude_unset=True) + "\n"


def read_entries(file: Path) -> Iterator[ManifestEntry | DatasetError]:
    """Read a manifest line by line, and give in the place of a line that is wrong why it is.

    Raises:
        DatasetError: The file cannot be read.
    """
    try:
        with file.open(encoding="utf-8") as stream:
            for number, line in enumerate(stream, start=1):
                if line.strip():
                    yield _entry(line, file, number)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DatasetError(
            f"the manifest cannot be read ({reason}); give a UTF-8 JSON Lines file", file=file
        ) from error


def first_fault(error: ValidationError) -> tuple[str, str]:
    """The key that is wrong first, and what is wrong with it."""
    first = error.errors()[0]
    return ".".join(str(part) for part in first["loc"]), first["msg"]


def _entry(line: str, file: Path, number: int) -> ManifestEntry | DatasetError:
    try:
        return ManifestEntry.model_validate_json(line)
    except ValidationError as error:
        key, message = first_fault(error)
        return DatasetError(message, file=file, line=number, key=key)
