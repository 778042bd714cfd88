"""How a picture is stored in a file, so that a changed copy is stored in the same way."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import PIL.Image
from PIL.JpegImagePlugin import JpegImageFile, get_sampling

from platemark.imaging.formats import Format

# Formats of which a copy is of another one.
_COPIED_AS: Mapping[Format, Format] = {"heif": "jpeg"}
_SUFFIXES: Mapping[Format, str] = {"jpeg": ".jpg", "tiff": ".tif"}
_GREY_MODES = ("1", "L", "I", "F")
# The chunk of a lossless WebP stands among its first bytes (RFC 9649, 2.6).
_LOSSLESS, _WEBP_HEAD = b"VP8L", 64
_OPTIONS: Mapping[Format, Mapping[str, Any]] = {
    "jpeg": {"quality": 95},
    "heif": {"quality": 95},
    "webp": {"quality": 95},
    "tiff": {"compression": "tiff_deflate"},
}
_MOST_DPI = 1e5


@dataclass(frozen=True, slots=True)
class Stored:
    """What of a file a changed copy keeps: neither EXIF nor comments, thumbnails or layers.

    Attributes:
        format: Format of the copy: that of the file, but JPEG for HEIC.
        grey: Whether it has no colours.
        icc: Colour profile, None where there is none or it is not for grey or RGB.
        dpi: Dots per inch, the higher of across and down; None where it is not stated.
        options: What Pillow is told besides: the tables of a JPEG, whether a WebP is lossless.
    """

    format: Format = "png"
    grey: bool = False
    icc: bytes | None = None
    dpi: float | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, picture: PIL.Image.Image, kind: Format, data: bytes) -> Self:
        """How the current frame of a file is stored.

        Args:
            picture: What `open_image` gave for it.
            kind: Its format.
            data: Its bytes.
        """
        grey = picture.mode.startswith(_GREY_MODES)
        plain = grey or picture.mode == "RGB"
        options = dict(_OPTIONS.get(kind, {}))
        if isinstance(picture, JpegImageFile) and plain:
            tables = {key: list(table) for key, table in picture.quantization.items()}
            options = {"qtables": tables, "subsampling": max(0, get_sampling(picture))}
        elif kind == "webp":
            options["lossless"] = _LOSSLESS in data[:_WEBP_HEAD]
        icc = picture.info.get("icc_profile") if plain or picture.mode == "RGBA" else None
        dpi = max(map(float, picture.info.get("dpi") or (0.0,)))
        return cls(
            _COPIED_AS.get(kind, kind),
            grey,
            icc or None,
            dpi if 0.0 < dpi < _MOST_DPI else None,
            options,
        )

    @property
    def suffix(self) -> str:
        """Suffix of the file name of a copy."""
        return _SUFFIXES.get(self.format, f".{self.format}")

    @property
    def media_type(self) -> str:
        """Media type of a copy."""
        return "application/pdf" if self.format == "pdf" else f"image/{self.format}"
