"""PDF written by the library that also reads it: one A4 page of text, or a picture a page."""

import ctypes
import io
import weakref
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import PIL.Image
import PIL.ImageFont
import pypdfium2
import pypdfium2.raw as pdfium

from platemark.imaging.draw import system_font
from platemark.imaging.sources import PDFIUM, close_pdf

_WIDTH, _HEIGHT, _MARGIN = 595.0, 842.0, 40.0
_SIZE, _GAP, _LEADING = 9.0, 6.0, 1.35
# Columns of a table: where the second begins, from the left margin.
_SECOND_COLUMN = 185.0
# PDFium rounds a page up to whole pixels: by this many it is smaller than its picture.
_SPARE = 0.01


class PdfPictures:
    """A PDF with a picture a page, which fills it.

    Args:
        dpi: Pixels of a picture to an inch of its page.
    """

    def __init__(self, dpi: float) -> None:
        self._points = 72.0 / dpi
        with PDFIUM:
            self._document = pypdfium2.PdfDocument.new()
        weakref.finalize(self, close_pdf, self._document).atexit = False

    def add(self, jpeg: bytes) -> None:
        """Add a page with a JPEG."""
        with PDFIUM:
            placed = pypdfium2.PdfImage.new(self._document)
            placed.load_jpeg(io.BytesIO(jpeg), inline=True)
            width, height = ((side - _SPARE) * self._points for side in placed.get_px_size())
            page = self._document.new_page(width, height)
            placed.set_matrix(pypdfium2.PdfMatrix().scale(width, height))
            page.insert_obj(placed)
            page.gen_content()
            page.close()

    def save(self) -> bytes:
        """Return the file."""
        stream = io.BytesIO()
        with PDFIUM:
            self._document.save(stream)
        return stream.getvalue()


class PdfSheet:
    """A page that is filled from top to bottom; sizes are points, 72 to the inch.

    Latin text is set in a standard font of PDF readers; other text in a font of the system, which
    is put into the file.
    """

    def __init__(self) -> None:
        self._document = pypdfium2.PdfDocument.new()
        self._page = self._document.new_page(_WIDTH, _HEIGHT)
        self._y = _HEIGHT - _MARGIN

    def text(self, value: str, *, size: float = _SIZE, bold: bool = False) -> None:
        """Add a paragraph."""
        self._y -= _GAP / 2.0
        self._paragraph(value, 0.0, size, bold)
        self._y -= _GAP / 2.0

    def table(self, rows: Sequence[tuple[str, str]]) -> None:
        """Add rows of a name and what is said of it."""
        for name, said in rows:
            top = self._y
            self._paragraph(name, 0.0, _SIZE, False)
            bottom, self._y = self._y, top
            self._paragraph(said, _SECOND_COLUMN, _SIZE, False)
            self._y = min(self._y, bottom)

    def pictures(self, pictures: Sequence[tuple[str, PIL.Image.Image]], height: float) -> None:
        """Add captioned RGB pictures side by side, as large as there is room, at most so high."""
        room = (_WIDTH - 2.0 * _MARGIN - _GAP * (len(pictures) - 1)) / len(pictures)
        zooms = [min(room / picture.width, height / picture.height) for _, picture in pictures]
        tallest = max(
            zoom * picture.height for zoom, (_, picture) in zip(zooms, pictures, strict=True)
        )
        self._y -= _GAP + tallest
        bottom, lowest = self._y, self._y
        for number, (zoom, (caption, picture)) in enumerate(zip(zooms, pictures, strict=True)):
            left = number * (room + _GAP)
            size = zoom * picture.width, zoom * picture.height
            self._picture(picture, _MARGIN + left, bottom + tallest - size[1], *size)
            self._y = bottom
            self._paragraph(caption, left, _SIZE, False)
            lowest = min(lowest, self._y)
        self._y = lowest - _GAP / 2.0

    def save(self) -> bytes:
        """Return the file."""
        self._page.gen_content()
        stream = io.BytesIO()
        self._document.save(stream)
        self._document.close()
        return stream.getvalue()

    def _paragraph(self, value: str, left: float, size: float, bold: bool) -> None:
        """Set lines no wider than the page; a word without spaces is broken where it must be."""
        room = _WIDTH - 2.0 * _MARGIN - left
        line = ""
        for word in value.split():
            longer = f"{line} {word}".strip()
            if self._length(longer, size, bold) <= room:
                line = longer
                continue
            if line:
                self._set(line, left, size, bold)
            line = word
            while self._length(line, size, bold) > room:
                fits = len(line) - 1
                while fits > 1 and self._length(line[:fits], size, bold) > room:
                    fits -= 1
                self._set(line[:fits], left, size, bold)
                line = line[fits:]
        if line:
            self._set(line, left, size, bold)

    def _set(self, value: str, left: float, size: float, bold: bool) -> None:
        self._y -= _LEADING * size
        self._place(self._line(value, size, bold), left, self._y)

    def _place(self, line: pdfium.FPDF_PAGEOBJECT, left: float, y: float) -> None:
        pdfium.FPDFPageObj_Transform(line, 1.0, 0.0, 0.0, 1.0, _MARGIN + left, y)
        pdfium.FPDFPage_InsertObject(self._page, line)

    def _line(self, value: str, size: float, bold: bool) -> pdfium.FPDF_PAGEOBJECT:
        latin = value.isascii() or self._other is None
        font = (self._bold if bold else self._plain) if latin else self._other
        if latin:
            value = value.encode("ascii", "replace").decode()
        line = pdfium.FPDFPageObj_CreateTextObj(self._document, font, size)
        wide = ctypes.create_string_buffer((value + "\0").encode("utf-16-le"))
        pdfium.FPDFText_SetText(line, ctypes.cast(wide, pdfium.FPDF_WIDESTRING))
        return line

    def _length(self, value: str, size: float, bold: bool) -> float:
        line = self._line(value, size, bold)
        sides = [ctypes.c_float() for _ in range(4)]
        pdfium.FPDFPageObj_GetBounds(line, *sides)
        pdfium.FPDFPageObj_Destroy(line)
        return sides[2].value

    def _picture(
        self, picture: PIL.Image.Image, left: float, bottom: float, width: float, height: float
    ) -> None:
        placed = pypdfium2.PdfImage.new(self._document)
        placed.set_bitmap(pypdfium2.PdfBitmap.from_pil(picture))
        placed.set_matrix(pypdfium2.PdfMatrix().scale(width, height).translate(left, bottom))
        self._page.insert_obj(placed)

    @cached_property
    def _plain(self) -> pdfium.FPDF_FONT:
        return pdfium.FPDFText_LoadStandardFont(self._document, b"Helvetica")

    @cached_property
    def _bold(self) -> pdfium.FPDF_FONT:
        return pdfium.FPDFText_LoadStandardFont(self._document, b"Helvetica-Bold")

    @cached_property
    def _other(self) -> pdfium.FPDF_FONT | None:
        """A font of the system, for text that is not Latin; None where there is none."""
        font = system_font(round(_SIZE))
        if not isinstance(font, PIL.ImageFont.FreeTypeFont) or not isinstance(font.path, str):
            return None
        if not Path(font.path).is_file():
            return None
        content = Path(font.path).read_bytes()
        held = (ctypes.c_uint8 * len(content)).from_buffer_copy(content)
        return pdfium.FPDFText_LoadFont(
            self._document, held, len(content), pdfium.FPDF_FONT_TRUETYPE, True
        )
