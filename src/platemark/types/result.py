"""What an image, page or frame gave: its marks, or why there are none."""

from __future__ import annotations

import base64
import html
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, overload

import numpy as np

from platemark.errors import MissingExtra
from platemark.types.base import FlatValue, png
from platemark.types.plates import Expectation, PlateMark
from platemark.types.stamps import StampMark

if TYPE_CHECKING:
    import supervision
    from PIL.Image import Image as PilImage

Mark = PlateMark | StampMark
# Longer side of the picture that a notebook shows, in pixels.
_SHOWN = 900
_MARKS: dict[str, type[PlateMark] | type[StampMark]] = {"plate": PlateMark, "stamp": StampMark}


@dataclass(frozen=True, slots=True)
class Failure(FlatValue):
    """Why an input gave no marks: the ``error`` object of the JSON output.

    Attributes:
        code: Stable name of the error, see `platemark.errors`.
        message: What was wrong, with which input, and what to do about it.
    """

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Result:
    """The marks of one image or page, or why there are none to give; a sequence of the marks.

    Attributes:
        source: The input as it was given or found.
        page: Page of a document or TIFF, counted from 0.
        width: Width of the image in pixels; 0 when it could not be read.
        height: Height of the image in pixels; 0 when it could not be read.
        marks: The marks, best score first. Empty when nothing was found.
        elapsed_ms: Time from pixels to marks, in milliseconds.
        error: Why the input could not be processed; ``None`` when it was.
        draw: Draws marks on the image, for `plot`; ``None`` when there is no image any more.
        expected: Whether a plate shows the text that was asked for; ``None`` when none was.
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
    expected: Expectation | None = None

    def __len__(self) -> int:
        """Return the number of marks."""
        return len(self.marks)

    def __bool__(self) -> bool:
        """A result is one also without marks."""
        return True

    def __iter__(self) -> Iterator[Mark]:
        """Go through the marks."""
        return iter(self.marks)

    @overload
    def __getitem__(self, index: int) -> Mark: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Mark, ...]: ...
    def __getitem__(self, index: int | slice) -> Mark | tuple[Mark, ...]:
        """Return a mark, or several."""
        return self.marks[index]

    def plot(self) -> PilImage:
        """Return the image annotated with its marks, an RGB picture.

        An input that is a file is read again, so that a list of results does not hold the pixels of
        all images.

        Raises:
            ValueError: The result was not made by a pipeline, so there is no image to draw on.
            UnreadableImage: The file is missing.
        """
        if self.draw is None:
            raise ValueError(
                f"the result for {self.source} has no image; "
                "use platemark.imaging.draw.draw_marks(pixels, result.marks)"
            )
        return self.draw(self.marks)

    def _repr_png_(self) -> bytes | None:
        """What a notebook shows: the image annotated with its marks; None without an image."""
        return None if self.draw is None else png(self.plot(), _SHOWN)

    def _repr_html_(self) -> str:
        """What a notebook shows: the picture, and a line for each mark."""
        picture = base64.b64encode(self._repr_png_() or b"").decode()
        shown = f'<img src="data:image/png;base64,{picture}"><br>' if picture else ""
        lines = [f"{self.source}, page {self.page}", *map(repr, self.marks)]
        if self.error is not None:
            lines.append(self.error.message)
        return shown + "<br>".join(map(html.escape, lines))

    def to_supervision(self) -> supervision.Detections:
        """Return the marks as `supervision.Detections`: boxes, scores, ink masks, texts as data.

        Raises:
            MissingExtra: supervision is not installed.
        """
        try:
            import supervision
        except ImportError as error:
            raise MissingExtra("Result.to_supervision", "supervision") from error
        if not self.marks:
            return supervision.Detections.empty()
        inks = [mark.mask.to_array() for mark in self.marks if isinstance(mark, StampMark)]
        return supervision.Detections(
            xyxy=np.array([mark.box for mark in self.marks], dtype=np.float64),
            mask=np.array(inks) if len(inks) == len(self) else None,
            confidence=np.array([mark.score for mark in self.marks], dtype=np.float64),
            class_id=np.array([list(_MARKS).index(mark.kind) for mark in self.marks]),
            data={
                "class_name": np.array([mark.kind for mark in self.marks]),
                "text": np.array([mark.text or "" for mark in self.marks]),
            },
        )

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
            **({} if self.expected is None else {"expected": self.expected.to_dict()}),
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
            expected=Expectation.from_dict(data["expected"]) if "expected" in data else None,
        )
