"""The only decoder: whatever an image comes as becomes upright RGB pixels.

`formats` tells what a file is, `pixels` makes pixels of it; everything that reads pictures, in use,
training, synthesis and evaluation, comes through here.
"""

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from io import BufferedReader
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

import cv2
import numpy as np
import PIL.Image
from numpy.typing import NDArray

from platemark.errors import InputTooLarge, PlatemarkError, UnreadableImage, UnsupportedInput
from platemark.imaging.formats import HEAD, format_of, open_image, refuse_video, tiff_pages
from platemark.imaging.pixels import Pixels as Pixels
from platemark.imaging.pixels import (
    decode,
    decode_alpha,
    decode_grey,
    from_array,
    stretch,
    upright_size,
)
from platemark.imaging.stored import Stored

MAX_PIXELS = 200_000_000
"""Pixels per image that are decoded unless told otherwise: about 600 MB as RGB."""

# Pipes that the shell opens: process substitution and standard input.
_PIPES = ("/dev/fd/", "/dev/stdin", "/proc/self/fd/")
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class Image:
    """An image as every stage takes it.

    Attributes:
        pixels: (H, W, 3) uint8 RGB, turned upright by its EXIF orientation and, where its
            resolution differs across and down as that of a fax does, with square pixels; not
            writeable. Boxes and corners of marks are in these pixels.
        source: Where it came from: the path as given, or a word in angle brackets.
        page: Page of a document or TIFF, counted from 0; thumbnails in a TIFF do not count.
        file: The file it can be read from again, ``None`` when there is only the memory.
        stored: How the file is stored, ``None`` when there is none.
    """

    pixels: Pixels
    source: str = "<array>"
    page: int = 0
    file: str | None = None
    stored: Stored | None = None

    def __post_init__(self) -> None:
        shape, dtype = self.pixels.shape, self.pixels.dtype
        if len(shape) != 3 or shape[2] != 3 or 0 in shape or dtype != np.uint8:
            raise ValueError(f"an image is (H, W, 3) uint8 RGB, got shape {shape} of {dtype}")
        pixels = np.ascontiguousarray(self.pixels).view()
        pixels.flags.writeable = False
        object.__setattr__(self, "pixels", pixels)

    @property
    def width(self) -> int:
        """Width in pixels."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Height in pixels."""
        return int(self.pixels.shape[0])

    @cached_property
    def digest(self) -> str:
        """SHA-256 of size and pixels, hexadecimal: equal for equal pictures, however they came."""
        return sha256(b"%dx%d:" % (self.width, self.height) + self.pixels.tobytes()).hexdigest()

    @classmethod
    def read(
        cls, value: "ImageInput", source: str | None = None, *, max_pixels: int = MAX_PIXELS
    ) -> "Image":
        """Read an image from whatever it comes as; of a TIFF with many pages, the first.

        Args:
            value: A path, the bytes of an image file, an object with ``read()``, a PIL image, an
                `Image`, or an array: (H, W) grey, (H, W, 3) RGB or (H, W, 4) RGBA of uint8, of
                larger integers or of floats in 0..1, see `platemark.imaging.pixels.from_array`.
            source: What to call it in results and errors.
            max_pixels: Larger images are refused before they are decoded.

        Raises:
            UnreadableImage: The file is missing, empty, corrupt or no image.
            UnsupportedInput: It is a PDF, a video, a folder, or no file.
            InputTooLarge: It has more than ``max_pixels``.
            MissingExtra: It is HEIC and the library for that is not installed.
            ValueError: An array of another shape or type.
            TypeError: Something else altogether.
        """
        match value:
            case Image():
                return value if source is None else replace(value, source=source)
            case str() | os.PathLike():
                return cls.from_path(value, source, max_pixels=max_pixels)
            case np.ndarray():
                return cls(from_array(value), source or "<array>")
            case PIL.Image.Image():
                return cls.from_pil(value, source, max_pixels=max_pixels)
        data, name = content_of(value)
        return cls.from_bytes(data, source or name, max_pixels=max_pixels)

    @classmethod
    def from_path(
        cls,
        path: str | os.PathLike[str],
        source: str | None = None,
        *,
        max_pixels: int = MAX_PIXELS,
    ) -> Self:
        """Read an image file; see `read`."""
        name = source or os.fspath(path)
        image = cls.from_bytes(read_file(path, name), name, max_pixels=max_pixels)
        return replace(image, file=os.fspath(path))

    @classmethod
    def from_bytes(
        cls, data: bytes, source: str = "<bytes>", *, max_pixels: int = MAX_PIXELS
    ) -> Self:
        """Decode the bytes of an image file; see `read`."""
        with decoding(source), open_image(data, source) as picture:
            picture.seek(tiff_pages(picture)[0])
            check_size(picture, max_pixels, source)
            stored = stored_as(picture, data)
            return cls(decode(picture, data), source, stored=stored)

    @classmethod
    def from_pil(
        cls, picture: PIL.Image.Image, source: str | None = None, *, max_pixels: int = MAX_PIXELS
    ) -> Self:
        """Take the pixels of a PIL image, turned by its EXIF orientation if it still has one."""
        name = source or str(getattr(picture, "filename", "") or "<image>")
        with decoding(name):
            check_size(picture, max_pixels, name)
            return cls(decode(picture), name)


@runtime_checkable
class Readable(Protocol):
    """An object whose ``read()`` gives the bytes of a file."""

    def read(self) -> bytes:
        """Return all that is left to read."""
        ...


ImageInput = str | os.PathLike[str] | bytes | NDArray[Any] | PIL.Image.Image | Readable | Image


def read_grey(
    value: str | os.PathLike[str] | bytes, source: str = "<bytes>", *, max_pixels: int = MAX_PIXELS
) -> Pixels:
    """Read an image file, or its bytes, as (H, W) uint8 grey; see `Image.read`."""
    if not isinstance(value, bytes):
        source = os.fspath(value)
        value = read_file(value, source)
    with decoding(source), open_image(value, source) as picture:
        check_size(picture, max_pixels, source)
        return decode_grey(picture, value)


def image_size(path: str | os.PathLike[str], source: str | None = None) -> tuple[int, int]:
    """Width and height of an image file as `Image.read` gives it, told by its header alone.

    Raises:
        UnreadableImage, UnsupportedInput, MissingExtra: As `Image.read`.
    """
    name = source or os.fspath(path)
    with open_file(path, name) as file, decoding(name), open_image(file, name) as picture:
        picture.seek(tiff_pages(picture)[0])
        return upright_size(picture)


def read_alpha(path: str | os.PathLike[str]) -> Pixels | None:
    """Read how opaque each pixel of an image file is, (H, W) uint8; None where all of it is.

    It has the size of what `Image.read` gives, and its errors are the same.
    """
    source = os.fspath(path)
    with decoding(source), open_image(read_file(path, source), source) as picture:
        check_size(picture, MAX_PIXELS, source)
        return decode_alpha(picture)


def name_of(value: Any) -> str:
    """What results call bytes or an object with ``read()``."""
    if not isinstance(value, Readable):
        return "<bytes>"
    name = getattr(value, "name", None)  # of a pipe it is a number
    return name if isinstance(name, str) else "<file>"


def content_of(value: Any) -> tuple[bytes, str]:
    """The bytes of a file that came as bytes or as an object with ``read()``, and its name.

    Raises:
        UnreadableImage: Reading fails.
        TypeError: It is neither.
    """
    name = name_of(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value), name
    if not isinstance(value, Readable):
        raise TypeError(
            f"an image is a path, bytes, a file, an array or a PIL image, not {type(value)}"
        )
    try:
        data = value.read()
    except OSError as error:
        raise UnreadableImage(f"{name} cannot be read: {error}", source=name) from error
    if not isinstance(data, bytes):
        raise TypeError(f"{name} gives {type(data)} instead of bytes; open it in binary mode")
    return data, name


def read_file(path: str | os.PathLike[str], source: str) -> bytes:
    """Return the bytes of an input file; errors are those of `open_file`."""
    with open_file(path, source) as file:
        return file.read()


def is_address(name: str) -> bool:
    """Whether an input is an address, such as ``https://...`` or ``s3://...``."""
    return _ADDRESS.match(name) is not None


@contextmanager
def open_file(
    path: str | os.PathLike[str], source: str, *, video: bool = False
) -> Iterator[BufferedReader]:
    """Open an input file; ``video``, also one that is a video.

    Raises:
        UnreadableImage: The file is missing or may not be read.
        UnsupportedInput: It is a folder, a video, or a named pipe, socket or device, which is
            never opened: that might wait for ever.
    """
    name = os.fspath(path)
    if not name:
        raise UnreadableImage("an empty name is no file; check the path", source=source)
    if is_address(name):
        raise UnsupportedInput(
            f"{source} is an address, and nothing is fetched from the network; download it first, "
            f"for example with: curl -O {source}",
            source=source,
        )
    try:
        mode = Path(path).stat().st_mode
        if stat.S_ISDIR(mode):
            raise UnsupportedInput(
                f"{source} is a folder, not an image; give it to stream() or to the command line",
                source=source,
            )
        if not stat.S_ISREG(mode) and not name.startswith(_PIPES):
            raise UnsupportedInput(
                f"{source} is a pipe, socket or device, not a file; redirect it to standard input "
                "and give - for it",
                source=source,
            )
        with Path(path).open("rb") as file:
            if not video and format_of(file.peek(HEAD)) == "video":
                raise refuse_video(source)
            yield file
    except FileNotFoundError as error:
        raise UnreadableImage(f"{source} does not exist; check the path", source=source) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UnreadableImage(f"{source} cannot be read: {reason}", source=source) from error


@contextmanager
def decoding(source: str) -> Iterator[None]:
    """Turn whatever a decoder raises into an error of ours that names the input."""
    try:
        yield
    except PlatemarkError:
        raise
    except MemoryError as error:
        raise InputTooLarge(f"{source} does not fit into memory", source=source) from error
    except Exception as error:  # decoders raise anything from OSError to struct.error
        reason = str(error) or type(error).__name__
        raise UnreadableImage(
            f"{source} is corrupt or not an image: {reason}", source=source
        ) from error


def stored_as(picture: PIL.Image.Image, data: bytes) -> Stored | None:
    """How the current frame of an image file is stored."""
    kind = format_of(data[:HEAD])
    return None if kind is None else Stored.of(picture, kind, data)


def check_size(picture: PIL.Image.Image, max_pixels: int, source: str) -> None:
    """Refuse a picture whose header states too many pixels, once they are square.

    Raises:
        InputTooLarge: It has more than ``max_pixels``.
    """
    width, height = picture.size
    across, down = stretch(picture)
    if width * across * height * down > max_pixels:
        raise InputTooLarge(
            f"{source} has {width}x{height} pixels, over the limit of {max_pixels / 1e6:g} "
            "megapixels; make it smaller first",
            source=source,
        )


def to_jpeg(pixels: Pixels, quality: int) -> bytes:
    """Encode (H, W, 3) uint8 RGB or (H, W) grey as JPEG."""
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    stored = pixels if pixels.ndim == 2 else pixels[..., ::-1]
    return cv2.imencode(".jpg", stored, options)[1].tobytes()


def to_png(grey: Pixels, *, bilevel: bool = False) -> bytes:
    """Encode (H, W) uint8 grey as PNG; ``bilevel``, as 0 and 255 of one bit each."""
    return cv2.imencode(".png", grey, [cv2.IMWRITE_PNG_BILEVEL, int(bilevel)])[1].tobytes()


def compressed(pixels: Pixels, quality: int) -> Pixels:
    """(H, W, 3) uint8 RGB or (H, W) grey as it is after JPEG compression."""
    data = to_jpeg(pixels, quality)
    return read_grey(data) if pixels.ndim == 2 else Image.from_bytes(data).pixels
