"""The only decoder: a path, bytes, a PIL image or an array become upright RGB pixels."""

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import IO, Self

import cv2
import numpy as np
import PIL.Image
from numpy.typing import NDArray

from platemark.errors import (
    InputTooLarge,
    MissingExtra,
    PlatemarkError,
    UnreadableImage,
    UnsupportedInput,
)

Pixels = NDArray[np.uint8]

MAX_PIXELS = 200_000_000
"""Pixels per image that are decoded unless told otherwise: about 600 MB as RGB."""

_EXIF_ORIENTATION = 0x0112
_JPEG = b"\xff\xd8\xff"
_END_OF_JPEG = b"\xff\xd9"
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_VIDEO_SUFFIXES = frozenset({".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg"})


@dataclass(frozen=True, eq=False)
class Image:
    """An image as every stage takes it.

    Attributes:
        pixels: (H, W, 3) uint8 RGB, turned upright by its EXIF orientation; not writeable.
        source: Where it came from: the path as given, or a word in angle brackets.
        page: Page of a document or TIFF, counted from 0.
        file: The file it can be read from again, ``None`` when there is only the memory.
    """

    pixels: Pixels
    source: str = "<array>"
    page: int = 0
    file: str | None = None

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
            value: A path, the bytes of an image file, an (H, W, 3) uint8 RGB array, a PIL image
                or an `Image`.
            source: What to call it in results and errors.
            max_pixels: Larger images are refused before they are decoded.

        Raises:
            UnreadableImage: The file is missing, empty, damaged or no image.
            UnsupportedInput: It is a PDF, a video or a folder.
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
            case bytes() | bytearray() | memoryview():
                return cls.from_bytes(bytes(value), source or "<bytes>", max_pixels=max_pixels)
            case np.ndarray():
                return cls(value, source or "<array>")
            case PIL.Image.Image():
                return cls.from_pil(value, source, max_pixels=max_pixels)
        raise TypeError(f"an image is a path, bytes, an array or a PIL image, not {type(value)}")

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
            check_size(picture.size, max_pixels, source)
            pixels = _decode_jpeg(data, picture) if data.startswith(_JPEG) else None
            return cls(pil_pixels(picture) if pixels is None else pixels, source)

    @classmethod
    def from_pil(
        cls, picture: PIL.Image.Image, source: str | None = None, *, max_pixels: int = MAX_PIXELS
    ) -> Self:
        """Take the pixels of a PIL image, turned by its EXIF orientation if it still has one."""
        name = source or str(getattr(picture, "filename", "") or "<image>")
        with decoding(name):
            check_size(picture.size, max_pixels, name)
            return cls(pil_pixels(picture), name)


ImageInput = str | os.PathLike[str] | bytes | Pixels | PIL.Image.Image | Image


def read_file(path: str | os.PathLike[str], source: str) -> bytes:
    """Return the bytes of an input file.

    Raises:
        UnreadableImage: The file is missing or may not be read.
        UnsupportedInput: It is a folder or a video.
    """
    if not os.fspath(path):
        raise UnreadableImage("an empty name is no file; check the path", source=source)
    if Path(path).suffix.lower() in _VIDEO_SUFFIXES:
        raise UnsupportedInput(
            f"{source} is a video, which is not read yet; save its frames as images first",
            source=source,
        )
    try:
        return Path(path).read_bytes()
    except FileNotFoundError as error:
        raise UnreadableImage(f"{source} does not exist; check the path", source=source) from error
    except IsADirectoryError as error:
        raise UnsupportedInput(
            f"{source} is a folder, not an image; give it to stream() or to the command line",
            source=source,
        ) from error
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
            f"{source} is damaged or not an image: {reason}", source=source
        ) from error


def check_size(size: tuple[int, int], max_pixels: int, source: str) -> None:
    """Refuse a picture of too many pixels.

    Args:
        size: Width and height that its header states.

    Raises:
        InputTooLarge: It has more than ``max_pixels``.
    """
    width, height = size
    if width * height > max_pixels:
        raise InputTooLarge(
            f"{source} has {width}x{height} pixels, over the limit of {max_pixels / 1e6:g} "
            "megapixels; make it smaller first",
            source=source,
        )


def open_image(data: bytes, source: str) -> PIL.Image.Image:
    """Read the header of an image file; its pixels are decoded when they are asked for.

    Raises:
        UnreadableImage: No bytes, or not the bytes of an image.
        UnsupportedInput: The bytes of a PDF.
    """
    if not data:
        raise UnreadableImage(f"{source} is empty (0 bytes)", source=source)
    if data.startswith(b"%PDF"):
        raise UnsupportedInput(
            f"{source} is a PDF, not one image; read it page by page with pages()", source=source
        )
    for matches, opener in _OPENERS:
        if matches(data):
            return opener(io.BytesIO(data))
    raise UnreadableImage(
        f"{source} is not an image: its content is none of JPEG, PNG, WebP, BMP, TIFF, HEIC",
        source=source,
    )


def is_tiff(data: bytes) -> bool:
    """Whether these are the bytes of a TIFF, the one image format with pages."""
    return data.startswith(_TIFF)


def _is_heif(data: bytes) -> bool:
    return data[4:8] == b"ftyp" and data[8:12] in (b"heic", b"heix", b"heim", b"heis", b"mif1")


def _open_jpeg(file: IO[bytes]) -> PIL.Image.Image:
    from PIL.JpegImagePlugin import JpegImageFile

    return JpegImageFile(file)


def _open_png(file: IO[bytes]) -> PIL.Image.Image:
    from PIL.PngImagePlugin import PngImageFile

    return PngImageFile(file)


def _open_webp(file: IO[bytes]) -> PIL.Image.Image:
    from PIL.WebPImagePlugin import WebPImageFile

    return WebPImageFile(file)


def _open_bmp(file: IO[bytes]) -> PIL.Image.Image:
    from PIL.BmpImagePlugin import BmpImageFile

    return BmpImageFile(file)


def _open_tiff(file: IO[bytes]) -> PIL.Image.Image:
    from PIL.TiffImagePlugin import TiffImageFile

    return TiffImageFile(file)


def _open_heif(file: IO[bytes]) -> PIL.Image.Image:
    try:
        from pillow_heif.as_plugin import HeifImageFile
    except ImportError as error:
        raise MissingExtra("reading HEIC images", "heif") from error
    picture: PIL.Image.Image = HeifImageFile(file)  # type: ignore[no-untyped-call]
    return picture


# The formats are opened by their own classes, since PIL.Image.open has a limit on pixels of its
# own that is set for the whole process, and tries many formats more.
_OPENERS: tuple[tuple[Callable[[bytes], bool], Callable[[IO[bytes]], PIL.Image.Image]], ...] = (
    (lambda data: data.startswith(_JPEG), _open_jpeg),
    (lambda data: data.startswith(b"\x89PNG\r\n\x1a\n"), _open_png),
    (lambda data: data.startswith(b"RIFF") and data[8:12] == b"WEBP", _open_webp),
    (lambda data: data.startswith(b"BM"), _open_bmp),
    (is_tiff, _open_tiff),
    (_is_heif, _open_heif),
)


def _decode_jpeg(data: bytes, header: PIL.Image.Image) -> Pixels | None:
    """Decode a sound 8-bit JPEG with OpenCV, which is faster; None leaves it to Pillow.

    OpenCV fills what a cut-off file lacks with grey and does not say so, so only a file that ends
    as it should goes this way.
    """
    if header.mode not in ("RGB", "L") or not data.rstrip(b"\0").endswith(_END_OF_JPEG):
        return None
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if decoded is None:
        return None
    cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB, dst=decoded)
    return _turn(np.asarray(decoded, dtype=np.uint8), _orientation(header))


def pil_pixels(picture: PIL.Image.Image) -> Pixels:
    """Decode the current page of a PIL image to upright (H, W, 3) uint8 RGB.

    Transparency is laid on white. Pictures of 16 bits are scaled from 0..65535; those of floats
    from the first of 0..1, 0..255 and 0..65535 that holds their values.
    """
    picture.load()
    orientation = _orientation(picture)
    if picture.mode.startswith(("I", "F")):
        grey = _to_8_bits(np.asarray(picture, dtype=np.float32), picture.mode == "F")
        return _turn(np.repeat(grey[:, :, None], 3, axis=2), orientation)
    if picture.has_transparency_data:
        layer = picture.convert("RGBA")
        white = PIL.Image.new("RGBA", layer.size, "white")
        picture = PIL.Image.alpha_composite(white, layer)
    return _turn(np.asarray(picture.convert("RGB")), orientation)


def _to_8_bits(values: NDArray[np.float32], floating: bool) -> Pixels:
    finite = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    brightest = float(finite.max(initial=0.0)) if floating else 65535.0
    top = 1.0 if brightest <= 1.0 else 255.0 if brightest <= 255.0 else 65535.0
    scaled: Pixels = np.clip(np.rint(finite * (255.0 / top)), 0, 255).astype(np.uint8)
    return scaled


def _orientation(picture: PIL.Image.Image) -> int:
    try:
        return int(picture.getexif().get(_EXIF_ORIENTATION, 1))
    except Exception:  # damaged EXIF leaves a sound picture, which is then taken as it lies
        return 1


def _turn(pixels: Pixels, orientation: int) -> Pixels:
    """Undo an EXIF orientation (1 to 8; JEITA CP-3451, tag 0x0112)."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels
