"""The pictures of a sample as they are kept: pixels as JPEG, ink as grey PNG."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from platemark.errors import InputError, RegistryError
from platemark.imaging.image import Image, read_grey, to_jpeg, to_png
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
    return to_jpeg(np.asarray(crop.pixels), _QUALITY), to_png(np.asarray(crop.ink))


def digest(picture: bytes, ink: bytes) -> str:
    """SHA-256 of a sample's pictures, hexadecimal."""
    return hashlib.sha256(hashlib.sha256(picture).digest() + ink).hexdigest()


def decode(stored: StoredSample) -> InkCrop:
    """Return the crop that a sample was made of; its pixels as near as JPEG keeps them.

    Raises:
        RegistryError: The pictures are corrupt.
    """
    sample, ink = stored.sample, decode_ink(stored)
    with _of(sample) as name:
        pixels = Image.from_bytes(stored.picture, name, max_pixels=MOST_PIXELS).pixels
    if pixels.shape[:2] != ink.shape:
        raise RegistryError(f"the pictures of sample {sample.id} differ in size; remove it")
    return InkCrop(pixels, ink, sample.box, sample.source, sample.page)


def decode_ink(stored: StoredSample) -> NDArray[np.uint8]:
    """Return the ink (h, w) uint8 of a sample, 255 where it is surely ink.

    Raises:
        RegistryError: The picture is corrupt.
    """
    with _of(stored.sample) as name:
        return read_grey(stored.ink, name, max_pixels=MOST_PIXELS)


@contextmanager
def _of(sample: Sample) -> Iterator[str]:
    """Name a picture of a sample, and turn its errors into one that says what to do."""
    name = f"a picture of sample {sample.id}"
    try:
        yield name
    except InputError as error:
        raise RegistryError(f"{name} is corrupt; remove the sample") from error
