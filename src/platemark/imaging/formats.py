"""What a file is, told by its content alone, however it came and whatever it is called."""

import io
from typing import Literal

import PIL.Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from platemark.errors import MissingExtra, UnreadableImage, UnsupportedInput

Format = Literal["jpeg", "png", "webp", "bmp", "tiff", "heif", "pdf", "video"]

HEAD = 1024
"""First bytes of a file that tell its format."""

_STARTS: tuple[tuple[Format, tuple[bytes, ...]], ...] = (
    ("jpeg", (b"\xff\xd8\xff",)),
    ("png", (b"\x89PNG\r\n\x1a\n",)),
    ("tiff", (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    ("video", (b"\x1a\x45\xdf\xa3", b"\0\0\1\xba", b"\0\0\1\xb3")),
)
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"mif1")
# The formats are opened by their own classes, since PIL.Image.open has a limit on pixels of its
# own that is set for the whole process, and tries many formats more.
_OPENERS = {
    "jpeg": JpegImageFile,
    "png": PngImageFile,
    "webp": WebPImageFile,
    "bmp": BmpImageFile,
    "tiff": TiffImageFile,
}
# Bits of the tag NewSubfileType: a smaller copy of another page, the transparency of one.
_SUBFILE_TYPE, _REDUCED, _MASK = 254, 1, 4
# The older tag SubfileType, and what it says of a smaller copy.
_OLD_SUBFILE_TYPE, _OLD_REDUCED = 255, 2


def format_of(head: bytes) -> Format | None:
    """The format of a file of which these are the first bytes, `HEAD` at least; None for others.

    A PDF may begin with a mark of byte order, empty lines or the head of a mail, as long as its
    own begins within `HEAD` bytes (ISO 32000-1, annex H, note 13).
    """
    for name, starts in _STARTS:
        if head.startswith(starts):
            return name
    kind = head[8:12]
    if head[4:8] == b"ftyp" and kind not in (b"avif", b"avis"):
        return "heif" if kind in _HEIF_BRANDS else "video"
    if head.startswith(b"RIFF") and kind in (b"WEBP", b"AVI "):
        return "webp" if kind == b"WEBP" else "video"
    if b"%PDF-" in head[:HEAD]:
        return "pdf"
    return "bmp" if head.startswith(b"BM") else None


def refuse_video(source: str) -> UnsupportedInput:
    """The error for a video."""
    return UnsupportedInput(
        f"{source} is a video; plates in it are read by: platemark watch {source}",
        source=source,
    )


def open_image(data: bytes | io.BufferedReader, source: str) -> PIL.Image.Image:
    """Read the header of an image file; its pixels are decoded when they are asked for.

    Args:
        data: The file, opened at its beginning, or its bytes.
        source: What to call it in errors.

    Raises:
        UnreadableImage: No bytes, or not the bytes of an image.
        UnsupportedInput: The bytes of a PDF or a video.
        MissingExtra: It is HEIC and the library for that is not installed.
    """
    file = io.BytesIO(data) if isinstance(data, bytes) else data
    head = data[:HEAD] if isinstance(data, bytes) else data.peek(HEAD)[:HEAD]
    if not head:
        raise UnreadableImage(f"{source} is empty (0 bytes)", source=source)
    kind = format_of(head)
    if kind is None:
        raise UnreadableImage(
            f"{source} is not an image: its content is none of JPEG, PNG, WebP, BMP, TIFF, HEIC, "
            "PDF",
            source=source,
        )
    if kind == "pdf":
        raise UnsupportedInput(
            f"{source} is a PDF, not one image; read it page by page with pages()", source=source
        )
    if kind == "video":
        raise refuse_video(source)
    if kind != "heif":
        return _OPENERS[kind](file)
    try:
        from pi_heif.as_plugin import HeifImageFile
    except ImportError as error:
        raise MissingExtra("reading HEIC images", "heif") from error
    picture: PIL.Image.Image = HeifImageFile(file)
    return picture


def tiff_pages(picture: PIL.Image.Image) -> list[int]:
    """Frames of a TIFF that are pages: thumbnails, other smaller copies and masks are none.

    Of a file that has nothing but such, all frames. Images of other formats have one page.
    """
    if not isinstance(picture, TiffImageFile):
        return [0]
    frames = range(picture.n_frames)
    pages = []
    for frame in frames:
        picture.seek(frame)
        tags = picture.tag_v2
        reduced = int(tags.get(_SUBFILE_TYPE, 0)) & (_REDUCED | _MASK)
        if not reduced and tags.get(_OLD_SUBFILE_TYPE) != _OLD_REDUCED:
            pages.append(frame)
    picture.seek(0)
    return pages or list(frames)
