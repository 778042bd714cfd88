"""The pictures of a sample as they are kept: pixels as JPEG, ink as grey PNG."""

import hashlib

import cv2
import numpy as np
from numpy.typing import NDArray

from platemark.errors import InputError, RegistryError
from platemark.imaging.image import check_size, open_image
from platemark.masks import InkCrop
from platemark.registry.records import Sample, StoredSample

MOST_PIXELS = 4_000_000
"""Larger pictures are refused."""

_QUALITY = 95


def encode(crop: InkCrop) -> tuple[bytes, bytes]:
    """Return a crop's pixels as JPEG and its ink as PNG.

    Raises:
        ValueError: It has too many pixels.
    """
    if crop.ink.size > MOST_PIXELS:
        raise ValueError(f"a crop has at most {MOST_PIXELS} pixels, this one {crop.ink.size}")
    bgr = cv2.cvtColor(np.asarray(crop.pixels), cv2.COLOR_RGB2BGR)
    options = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    _, picture = cv2.imencode(".jpg", bgr, options)
    _, ink = cv2.imencode(".png", np.asarray(crop.ink))
    return picture.tobytes(), ink.tobytes()


def digest(picture: bytes, ink: bytes) -> str:
    """SHA-256 of a sample's pictures, hexadecimal."""
    return hashlib.sha256(hashlib.sha256(picture).digest() + ink).hexdigest()


def decode(stored: StoredSample) -> InkCrop:
    """Return the crop that a sample was made of; its pixels as near as JPEG keeps them.

    Raises:
        RegistryError: The pictures are damaged.
    """
    sample = stored.sample
    ink = decode_ink(stored)
    pixels = _decoded(stored.picture, cv2.IMREAD_COLOR, sample)
    if pixels.shape[:2] != ink.shape:
        raise RegistryError(f"the pictures of sample {sample.id} differ in size; remove it")
    rgb = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), dtype=np.uint8)
    return InkCrop(rgb, ink, sample.box, sample.source, sample.page)


def decode_ink(stored: StoredSample) -> NDArray[np.uint8]:
    """Return the ink (h, w) uint8 of a sample, 255 where it is surely ink.

    Raises:
        RegistryError: The picture is damaged.
    """
    return _decoded(stored.ink, cv2.IMREAD_GRAYSCALE, stored.sample)


def writable(source: str) -> str:
    """A file name as text that can be kept: what is no text in it is written as an escape."""
    return source.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def _decoded(data: bytes, flags: int, sample: Sample) -> NDArray[np.uint8]:
    name = f"a picture of sample {sample.id}"
    try:
        # The header is read first: a few bytes can say that there are very many pixels.
        with open_image(data, name) as header:
            check_size(header.size, MOST_PIXELS, name)
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except (InputError, OSError, SyntaxError, cv2.error) as error:
        raise RegistryError(f"{name} is damaged; remove the sample") from error
    if pixels is None:
        raise RegistryError(f"{name} is damaged; remove the sample")
    return np.asarray(pixels, dtype=np.uint8)
