import io

import PIL.Image
import pypdfium2

from platemark.imaging.pdf import PdfSheet


def read(content: bytes) -> tuple[str, PIL.Image.Image]:
    """Text and picture of the only page of a file."""
    with pypdfium2.PdfDocument(content) as document:
        assert len(document) == 1
        words = " ".join(document[0].get_textpage().get_text_range().split())
        return words, document[0].render(scale=1.0).to_pil().convert("RGB")


def test_paragraphs_and_tables_are_text_within_the_margins() -> None:
    sheet = PdfSheet()
    sheet.text("A heading", size=16.0, bold=True)
    sheet.text("Words that fill more than a single line of the page. " * 6)
    digest = "0123456789abcdef" * 10
    sheet.table([("digest", digest), ("next", "row")])
    text, picture = read(sheet.save())
    assert text.startswith("A heading Words that fill")
    assert digest in text.replace(" ", "")
    assert text.endswith("next row")
    dark = picture.convert("L").point(lambda value: 255 if value < 128 else 0).getbbox()
    assert dark is not None
    assert dark[0] >= 38
    assert dark[2] <= 595 - 38


def test_pictures_keep_their_shape_and_fit_the_height() -> None:
    sheet = PdfSheet()
    red, blue = (PIL.Image.new("RGB", (200, 100), colour) for colour in ("red", "blue"))
    sheet.pictures([("one", red), ("two", blue)], 50.0)
    text, picture = read(sheet.save())
    assert text == "one two"
    for channel, (left, right) in ((0, (40, 140)), (2, (300, 400))):
        bands = picture.split()
        own = PIL.Image.composite(
            bands[channel],
            PIL.Image.new("L", picture.size),
            bands[1].point(lambda value: 255 if value < 40 else 0),
        )
        box = own.point(lambda value: 255 if value > 200 else 0).getbbox()
        assert box is not None
        assert abs(box[0] - left) <= 2
        assert abs(box[2] - right) <= 2
        assert abs((box[3] - box[1]) - 50) <= 2


def test_other_scripts_are_written_where_the_system_has_a_font() -> None:
    sheet = PdfSheet()
    sheet.text("Печать № 7")
    text, _ = read(sheet.save())
    assert text in ("Печать № 7", "?????? ? 7")


def test_many_sheets_do_not_share_anything() -> None:
    sheets = [PdfSheet(), PdfSheet()]
    for number, sheet in enumerate(sheets):
        sheet.text(f"sheet {number}")
    assert [read(sheet.save())[0] for sheet in sheets] == ["sheet 0", "sheet 1"]
    assert io.BytesIO(PdfSheet().save()).read(4) == b"%PDF"
