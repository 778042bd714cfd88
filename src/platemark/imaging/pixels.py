"""From a picture as it is stored to upright (H, W, 3) uint8 RGB of square pixels, as it is seen."""

from contextlib import suppress
from typing import Any

import cv2
import numpy as np
import PIL.Image
import PIL.ImageFile
from numpy.typing import NDArray
from PIL.TiffImagePlugin import TiffImageFile

try:
    import simplejpeg
except ImportError:
    simplejpeg = None

Pixels = NDArray[np.uint8]

_ORIENTATION, _PHOTOMETRIC = 0x0112, 262
_WHITE_IS_ZERO = 0
# WhiteLevel of DNG, SMaxSampleValue, MaxSampleValue.
_WHITE_TAGS = (50717, 341, 281)
_END_OF_JPEG = b"\xff\xd9"
# Pixels are called square when their sides differ by less than this part. What is stated to be
# longer than this many times its other side is no resolution.
_SQUARE, _LONGEST = 0.005, 4.0
_DEEP = ";16"


def decode(picture: PIL.Image.Image, data: bytes | None = None) -> Pixels:
    """Decode the current frame of a picture: upright, its pixels square, transparency on white.

    Args:
        picture: What `open_image` gave, or a PIL image.
        data: The file, where there is one. A sound JPEG is decoded faster with it, and a colour
            picture of 16 bits a sample with all of them.

    Returns:
        (H, W, 3) uint8 RGB. Values of more than 8 bits are scaled by `to_8_bits`.
    """
    pixels = _jpeg(data, picture, cv2.IMREAD_COLOR_RGB)
    if pixels is None:
        pixels = _deep_colour(picture, data)
    across, down = stretch(picture)
    if pixels is None:
        pixels = _decoded(picture)
    if not isinstance(picture, TiffImageFile):  # which Pillow and OpenCV turn themselves
        pixels = _turn(pixels, _orientation(picture))
    if (across, down) == (1.0, 1.0):
        return pixels
    size = round(pixels.shape[1] * across), round(pixels.shape[0] * down)
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR), np.uint8)


def decode_grey(picture: PIL.Image.Image, data: bytes) -> Pixels:
    """Decode a picture to (H, W) uint8 grey, luma of ITU-R BT.601; a JPEG in half the time."""
    grey = None
    if stretch(picture) == (1.0, 1.0):
        grey = _jpeg(data, picture, cv2.IMREAD_GRAYSCALE)
    if grey is None:
        return np.asarray(cv2.cvtColor(decode(picture, data), cv2.COLOR_RGB2GRAY), np.uint8)
    return np.ascontiguousarray(_turn(grey, _orientation(picture)))


def decode_alpha(picture: PIL.Image.Image) -> Pixels | None:
    """Decode how opaque each pixel is, (H, W) uint8, upright; None where all of it is.

    Its pixels are square as those of `decode`.
    """
    if not picture.has_transparency_data:
        return None
    alpha = np.asarray(picture.convert("RGBA"))[:, :, 3]
    if not isinstance(picture, TiffImageFile):
        alpha = _turn(alpha, _orientation(picture))
    across, down = stretch(picture)
    size = round(alpha.shape[1] * across), round(alpha.shape[0] * down)
    alpha = np.asarray(cv2.resize(alpha, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    return None if alpha.min() == 255 else alpha


def from_array(array: NDArray[Any]) -> Pixels:
    """Take an array for a picture: (H, W) grey, (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA.

    Numbers of more than 8 bits and floats are scaled by `to_8_bits`, booleans are black and white.

    Raises:
        ValueError: It is of another shape or type, or has negative numbers.
    """
    values = array[:, :, None] if array.ndim == 2 else array
    if values.ndim != 3 or values.shape[2] not in (1, 3, 4) or 0 in values.shape:
        hint = "; put the channels last" if array.ndim == 3 and array.shape[0] in (1, 3, 4) else ""
        raise ValueError(
            "an array is a picture when it is (H, W) grey, (H, W, 3) RGB or (H, W, 4) RGBA, "
            f"got shape {array.shape}{hint}"
        )
    if values.dtype == np.bool_:
        values = values.astype(np.uint8) * np.uint8(255)
    elif values.dtype.kind not in "uif":
        raise ValueError(f"the pixels of a picture are numbers, got {values.dtype}")
    elif values.dtype != np.uint8:
        if values.min() < 0:
            raise ValueError(
                "the pixels of a picture are 0 (black) and more, got negative ones; undo the "
                "normalisation first"
            )
        values = _scaled(values)
    return _on_white(values)


def to_8_bits(values: NDArray[Any], white: float | None = None) -> Pixels:
    """Scale sample values to 0..255, as the picture is seen.

    Args:
        values: Not negative; what is not finite is black.
        white: The value of white. By default the least of 1 (floats alone), 255, 511, 1023, ...
            that holds them all: 10 or 12 significant bits may lie in a file of 16.
    """
    finite = np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    brightest = float(finite.max(initial=0.0))
    if white is None or white < brightest:
        # Interpolation goes somewhat beyond 1.
        unit = values.dtype.kind == "f" and brightest < 2.0
        white = 1.0 if unit else 2.0 ** max(8, int(brightest).bit_length()) - 1.0
    levels = np.clip(np.rint(finite * np.float32(255.0 / white)), 0, 255)
    return np.asarray(levels, np.uint8)


def stretch(picture: PIL.Image.Image) -> tuple[float, float]:
    """Factors, at least 1, that make the pixels of a file square, across and down once upright.

    A fax of 204 by 98 dots per inch is to be 2.08 times as high. A picture that was changed since
    it was opened is taken as it is.
    """
    if not isinstance(picture, PIL.ImageFile.ImageFile):
        return 1.0, 1.0
    stated = (picture.info.get(key) for key in ("dpi", "resolution", "aspect", "jfif_density"))
    x, y = next((tuple(map(float, pair)) for pair in stated if pair), (1.0, 1.0))
    if not (x > 0 and y > 0 and 1 / _LONGEST <= x / y <= _LONGEST) or abs(x / y - 1) < _SQUARE:
        return 1.0, 1.0
    across, down = max(1.0, y / x), max(1.0, x / y)
    return (down, across) if _orientation(picture) in (5, 6, 7, 8) else (across, down)


def upright_size(picture: PIL.Image.Image) -> tuple[int, int]:
    """Width and height that `decode` gives, without decoding."""
    width, height = picture.size
    if not isinstance(picture, TiffImageFile) and _orientation(picture) in (5, 6, 7, 8):
        width, height = height, width
    across, down = stretch(picture)
    return round(width * across), round(height * down)


def _decoded(picture: PIL.Image.Image) -> Pixels:
    """(H, W, 3) uint8 RGB of what Pillow makes of a picture."""
    picture.load()
    if picture.mode.startswith(("I", "F")):
        tags = picture.tag_v2 if isinstance(picture, TiffImageFile) else {}
        grey = to_8_bits(np.maximum(np.asarray(picture), 0), _white(tags))
        if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
            grey = ~grey
        return _on_white(grey[:, :, None])
    if picture.has_transparency_data:
        return _on_white(np.asarray(picture.convert("RGBA")))
    return np.asarray(picture.convert("RGB"))


def _white(tags: Any) -> float | None:
    """The value of white that the tags of a TIFF state."""
    stated = (tags.get(tag) for tag in _WHITE_TAGS)
    return next((float(np.max(value)) for value in stated if value is not None), None)


def _deep_colour(picture: PIL.Image.Image, data: bytes | None) -> Pixels | None:
    """Decode colours of 16 bits a sample; of these Pillow gives the upper 8 alone."""
    deep = any(_DEEP in str(tile.args) for tile in getattr(picture, "tile", ()))
    if data is None or not deep or picture.mode not in ("RGB", "RGBA", "LA"):
        return None
    frame = picture.tell()
    _, frames = cv2.imdecodemulti(
        np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED, range=(frame, frame + 1)
    )
    if not frames or frames[0].dtype != np.uint16 or frames[0].ndim != 3:
        return None
    values = frames[0][..., [2, 1, 0, 3][: frames[0].shape[2]]]
    white = _white(picture.tag_v2) if isinstance(picture, TiffImageFile) else None
    return _on_white(_scaled(values, white))


def _scaled(values: NDArray[Any], white: float | None = None) -> Pixels:
    """Colours and transparency (H, W, C), each scaled by `to_8_bits`."""
    levels = to_8_bits(values[..., :3], white)
    return np.dstack((levels, to_8_bits(values[..., 3:]))) if values.shape[2] == 4 else levels


def _on_white(values: Pixels) -> Pixels:
    """(H, W, 3) RGB of (H, W, C) uint8 grey, RGB or RGBA."""
    if values.shape[2] == 1:
        return np.repeat(values, 3, axis=2)
    if values.shape[2] == 3:
        return values
    layer = PIL.Image.fromarray(values, "RGBA")
    return np.asarray(
        PIL.Image.alpha_composite(PIL.Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    )


def _jpeg(data: bytes | None, header: PIL.Image.Image, flags: int) -> Pixels | None:
    """Decode a sound 8-bit JPEG with simplejpeg or OpenCV, faster; None leaves it to Pillow.

    All three have libjpeg-turbo and give the same pixels; simplejpeg takes half the time for large
    photos. OpenCV fills what a cut-off file lacks with grey and does not say so, so only a file
    that ends as it should goes this way.
    """
    if data is None or header.format != "JPEG" or header.mode not in ("RGB", "L"):
        return None
    if not data.rstrip(b"\0").endswith(_END_OF_JPEG):
        return None
    if simplejpeg is not None:
        colours = "GRAY" if flags == cv2.IMREAD_GRAYSCALE else "RGB"
        with suppress(ValueError):  # what it finds odd is left to others
            pixels = np.asarray(simplejpeg.decode_jpeg(data, colours), np.uint8)
            return pixels[:, :, 0] if colours == "GRAY" else pixels
    flags |= cv2.IMREAD_IGNORE_ORIENTATION
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    return None if decoded is None else np.asarray(decoded, np.uint8)


def _orientation(picture: PIL.Image.Image) -> int:
    try:
        return int(picture.getexif().get(_ORIENTATION, 1))
    except Exception:  # corrupt EXIF leaves a sound picture, which is then taken as it lies
        return 1


def _turn(pixels: Pixels, orientation: int) -> Pixels:
    """Undo an EXIF orientation (1 to 8; JEITA CP-3451, tag 0x0112)."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels
