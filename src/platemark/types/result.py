"""What an image, page or frame gave: its marks, or why there are none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from platemark.types.plates import PlateMark
from platemark.types.stamps import StampMark

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage

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
