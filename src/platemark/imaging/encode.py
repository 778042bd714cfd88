"""Writes the pages of a changed document in the format in which it came."""

import io
from typing import Protocol

import PIL.Image
from PIL.TiffImagePlugin import AppendingTiffWriter

from platemark.imaging.image import to_jpeg
from platemark.imaging.pdf import PdfPictures
from platemark.imaging.pixels import Pixels
from platemark.imaging.sources import PDF_DPI
from platemark.imaging.stored import Stored

_PAGE_QUALITY = 92


class Encoder(Protocol):
    """Takes the pages of a document one by one; only what is encoded of them is kept."""

    def add(self, page: Pixels) -> None:
        """Add a page, (H, W, 3) uint8 RGB."""

    def file(self) -> bytes:
        """Return the document; no page is added after that."""
        ...


def encoder(stored: Stored) -> Encoder:
    """Return what writes a document as another one is stored.

    A PDF gets one picture a page, at the resolution at which pages of PDFs are read, and no text.
    A TIFF is compressed without loss; a JPEG with the tables that it had. Other formats than these
    have one page. No metadata is written but resolution and colour profile.
    """
    if stored.format == "pdf":
        return _PdfEncoder()
    return _TiffEncoder(stored) if stored.format == "tiff" else _PictureEncoder(stored)


class _PdfEncoder:
    def __init__(self) -> None:
        self._pictures = PdfPictures(PDF_DPI)

    def add(self, page: Pixels) -> None:
        self._pictures.add(to_jpeg(page, _PAGE_QUALITY))

    def file(self) -> bytes:
        return self._pictures.save()


class _PictureEncoder:
    def __init__(self, stored: Stored) -> None:
        self._stored, self._stream = stored, io.BytesIO()

    def add(self, page: Pixels) -> None:
        _save(page, self._stream, self._stored)

    def file(self) -> bytes:
        return self._stream.getvalue()


class _TiffEncoder:
    def __init__(self, stored: Stored) -> None:
        self._stored, self._stream = stored, io.BytesIO()
        self._writer = AppendingTiffWriter(self._stream, new=True)

    def add(self, page: Pixels) -> None:
        _save(page, self._writer, self._stored)
        self._writer.newFrame()

    def file(self) -> bytes:
        self._writer.finalize()
        return self._stream.getvalue()


def _save(page: Pixels, stream: io.BytesIO | AppendingTiffWriter, stored: Stored) -> None:
    picture, options = PIL.Image.fromarray(page), dict(stored.options)
    if stored.icc is not None:
        options["icc_profile"] = stored.icc
    if stored.dpi is not None:
        options["dpi"] = (stored.dpi, stored.dpi)
    (picture.convert("L") if stored.grey else picture).save(stream, stored.format, **options)
