"""Writes the pages of a changed document in the format in which it came."""

import io
from collections.abc import Iterable
from typing import Any

import PIL.Image
from PIL.TiffImagePlugin import AppendingTiffWriter

from platemark.imaging.image import to_jpeg
from platemark.imaging.pdf import pictures_pdf
from platemark.imaging.pixels import Pixels
from platemark.imaging.sources import PDF_DPI
from platemark.imaging.stored import Stored

_PAGE_QUALITY = 92


def encode(pages: Iterable[Pixels], stored: Stored) -> bytes:
    """Encode pages, each taken when the one before it is written.

    A PDF gets one picture a page, at the resolution at which pages of PDFs are read, and no text.
    A TIFF is compressed without loss; a JPEG with the tables that it had. No metadata is written
    but resolution and colour profile.

    Args:
        pages: (H, W, 3) uint8 RGB each; one, but for TIFF and PDF.
        stored: How.
    """
    if stored.format == "pdf":
        return pictures_pdf((to_jpeg(page, _PAGE_QUALITY) for page in pages), PDF_DPI)
    stream = io.BytesIO()
    if stored.format == "tiff":
        with AppendingTiffWriter(stream, new=True) as writer:
            for page in pages:
                _save(page, writer, stored)
                writer.newFrame()
    else:
        (page,) = pages
        _save(page, stream, stored)
    return stream.getvalue()


def _save(page: Pixels, stream: Any, stored: Stored) -> None:
    picture = PIL.Image.fromarray(page)
    options = dict(stored.options)
    if stored.icc is not None:
        options["icc_profile"] = stored.icc
    if stored.dpi is not None:
        options["dpi"] = (stored.dpi, stored.dpi)
    (picture.convert("L") if stored.grey else picture).save(stream, stored.format, **options)
