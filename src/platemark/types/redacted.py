"""What was covered in a picture or document, and the copy."""

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from platemark.types.base import Detection


@dataclass(frozen=True, slots=True)
class RedactedPage:
    """What is covered on a page.

    Attributes:
        page: The page, counted from 0.
        width: Its width in pixels.
        height: Its height in pixels.
        marks: What was covered, in pixels of the page.
    """

    page: int
    width: int
    height: int
    marks: tuple[Detection, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object."""
        marks = [mark.to_dict() for mark in self.marks]
        return {"page": self.page, "width": self.width, "height": self.height, "marks": marks}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Make one from its JSON object."""
        marks = tuple(Detection.from_dict(mark) for mark in data["marks"])
        return cls(data["page"], data["width"], data["height"], marks)


@dataclass(frozen=True, slots=True)
class RedactedFile:
    """A picture or document whose marks are covered.

    Attributes:
        source: Where it came from.
        pages: What is covered on each page.
        suffix: Suffix of a name for the copy, such as ``".jpg"``.
        media_type: Its media type, such as ``"image/jpeg"``.
        data: The copy, a file.
    """

    source: str
    pages: tuple[RedactedPage, ...]
    suffix: str
    media_type: str
    data: bytes = field(repr=False)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the copy.

        Raises:
            OSError: It cannot be written.
        """
        Path(path).write_bytes(self.data)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object, the copy in base64."""
        return {
            "source": self.source,
            "pages": [page.to_dict() for page in self.pages],
            "suffix": self.suffix,
            "media_type": self.media_type,
            "data": base64.b64encode(self.data).decode(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Make one from its JSON object."""
        pages = tuple(RedactedPage.from_dict(page) for page in data["pages"])
        content = base64.b64decode(data["data"])
        return cls(data["source"], pages, data["suffix"], data["media_type"], content)
