import io
import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest
from numpy.typing import NDArray

from platemark.errors import InputTooLarge, MissingExtra, UnreadableImage, UnsupportedInput
from platemark.imaging.image import Image

ORIENTATION = 0x0112


def scene(width: int = 70, height: int = 50) -> NDArray[np.uint8]:
    """A smooth colour picture in which no two corners are alike."""
    y, x = np.mgrid[0:height, 0:width]
    planes = (x * 255 // width, y * 255 // height, (x + y) * 255 // (width + height))
    return np.stack(planes, axis=2).astype(np.uint8)


def encoded(picture: PIL.Image.Image, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def jpeg(**options: Any) -> bytes:
    return encoded(PIL.Image.fromarray(scene()), "JPEG", quality=95, **options)


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF"])
def test_lossless_formats_give_the_very_pixels(form: str) -> None:
    image = Image.read(encoded(PIL.Image.fromarray(scene()), form))
    assert np.array_equal(image.pixels, scene())
    assert (image.width, image.height, image.page) == (70, 50, 0)


@pytest.mark.parametrize("form", ["JPEG", "WEBP"])
def test_lossy_formats_keep_the_order_of_colours(form: str) -> None:
    picture = PIL.Image.new("RGB", (32, 32), (250, 120, 10))
    assert np.abs(Image.read(encoded(picture, form)).pixels - [250, 120, 10.0]).max() < 8


def test_heic_is_read_where_the_library_is() -> None:
    heif = pytest.importorskip("pillow_heif")
    buffer = io.BytesIO()
    heif.from_pillow(PIL.Image.fromarray(scene(64, 64))).save(buffer, quality=95)
    difference = Image.read(buffer.getvalue()).pixels.astype(int) - scene(64, 64)
    assert np.abs(difference).mean() < 6


def test_heic_without_the_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif.as_plugin", None)
    with pytest.raises(MissingExtra, match="platemark\\[heif\\]"):
        Image.read(b"\0\0\0\x18ftypheic" + bytes(100))


def test_all_ways_in_give_the_same_pixels(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg())
    with PIL.Image.open(path) as picture:
        ways = [
            Image.read(path),
            Image.read(str(path)),
            Image.read(path.read_bytes()),
            Image.read(picture),
            Image.read(np.asarray(picture.convert("RGB"))),
        ]
    assert len({image.digest for image in ways}) == 1
    assert [image.source for image in ways] == [
        str(path),
        str(path),
        "<bytes>",
        str(path),
        "<array>",
    ]
    assert [image.file for image in ways] == [str(path), str(path), None, None, None]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_exif_orientation_is_undone_once(form: str, orientation: int) -> None:
    exif = PIL.Image.Exif()
    exif[ORIENTATION] = orientation
    data = encoded(PIL.Image.fromarray(scene()), form, exif=exif)
    with PIL.Image.open(io.BytesIO(data)) as picture:
        turned = np.asarray(PIL.ImageOps.exif_transpose(picture).convert("RGB"))
        assert np.array_equal(Image.read(data).pixels, turned)
        assert np.array_equal(Image.read(picture).pixels, turned)


def test_a_picture_that_is_turned_already_is_left_alone() -> None:
    exif = PIL.Image.Exif()
    exif[ORIENTATION] = 6
    with PIL.Image.open(io.BytesIO(jpeg(exif=exif))) as picture:
        upright = PIL.ImageOps.exif_transpose(picture)
    assert np.array_equal(Image.read(upright).pixels, np.asarray(upright))


def test_alpha_is_laid_on_white() -> None:
    layer = PIL.Image.new("RGBA", (4, 1))
    layer.putdata([(0, 0, 0, 0), (0, 0, 0, 255), (255, 0, 0, 128), (9, 9, 9, 0)])
    pixels = Image.read(encoded(layer, "PNG")).pixels[0]
    assert pixels.tolist() == [[255] * 3, [0] * 3, [255, 127, 127], [255] * 3]


def test_grey_palette_bilevel_and_transparent_grey() -> None:
    grey = PIL.Image.fromarray(scene()[:, :, 0])
    assert np.array_equal(Image.read(encoded(grey, "PNG")).pixels[:, :, 2], scene()[:, :, 0])
    palette = PIL.Image.new("RGB", (8, 8), "red").convert("P")
    assert Image.read(encoded(palette, "PNG")).pixels[0, 0].tolist() == [255, 0, 0]
    bilevel = PIL.Image.new("1", (8, 8), 1)
    assert Image.read(encoded(bilevel, "TIFF")).pixels[0, 0].tolist() == [255, 255, 255]
    faint = PIL.Image.new("LA", (8, 8), (0, 0))
    assert Image.read(encoded(faint, "PNG")).pixels[0, 0].tolist() == [255, 255, 255]


@pytest.mark.parametrize("form", ["JPEG", "TIFF"])
def test_cmyk_becomes_rgb(form: str) -> None:
    picture = PIL.Image.new("RGB", (16, 16), (255, 0, 0)).convert("CMYK")
    assert np.abs(Image.read(encoded(picture, form)).pixels[8, 8] - [255.0, 0, 0]).max() < 6


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bits_are_scaled_to_8(suffix: str) -> None:
    levels = np.array([0, 257 * 40, 257 * 200, 65535], np.uint16)
    grey = cv2.imencode(suffix, np.tile(levels, (4, 1)))[1].tobytes()
    assert Image.read(grey).pixels[0, :, 0].tolist() == [0, 40, 200, 255]
    colour = cv2.imencode(suffix, np.tile(levels[:, None, None], (1, 4, 3)))[1].tobytes()
    assert Image.read(colour).pixels[:, 0, 1].tolist() == [0, 40, 200, 255]


@pytest.mark.parametrize("top", [1.0, 255.0, 65535.0])
def test_floats_are_scaled_by_the_range_that_holds_them(top: float) -> None:
    picture = PIL.Image.fromarray(np.array([[0.0, top / 5, top, np.nan]], np.float32))
    assert Image.read(encoded(picture, "TIFF")).pixels[0, :, 0].tolist() == [0, 51, 255, 0]


def test_one_pixel_is_an_image() -> None:
    assert Image.read(encoded(PIL.Image.new("RGB", (1, 1)), "PNG")).pixels.shape == (1, 1, 3)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"hello, world", "not an image"),
        (jpeg()[:-300], "truncated"),
        (jpeg()[:-2], "truncated"),
        (jpeg()[:20], "damaged"),
        (encoded(PIL.Image.fromarray(scene()), "PNG")[:-60], "truncated"),
        (b"\x89PNG\r\n\x1a\n", "damaged"),
        (b"II*\0", "damaged"),
        (b"BM", "damaged"),
        (b"RIFF\0\0\0\0WEBP", "damaged"),
    ],
)
def test_what_is_no_image_says_so_and_names_itself(data: bytes, reason: str) -> None:
    with pytest.raises(UnreadableImage, match=f"^in/bad.jpg .*{reason}") as caught:
        Image.read(data, "in/bad.jpg")
    assert caught.value.source == "in/bad.jpg"


def test_bytes_after_the_end_of_a_jpeg_do_no_harm() -> None:
    assert Image.read(jpeg() + b"camera notes").digest == Image.read(jpeg()).digest


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImage, match=r"none\.jpg does not exist"):
        Image.read(tmp_path / "none.jpg")
    with pytest.raises(UnsupportedInput, match="is a folder"):
        Image.read(tmp_path)
    with pytest.raises(UnreadableImage, match="cannot be read"):
        Image.read("x" * 5000)


@pytest.mark.parametrize("name", ["clip.mp4", "CLIP.MOV"])
def test_a_video_is_refused_as_such(name: str) -> None:
    with pytest.raises(UnsupportedInput, match="is a video"):
        Image.read(name)


def test_a_pdf_is_refused_as_such() -> None:
    with pytest.raises(UnsupportedInput, match="is a PDF"):
        Image.read(b"%PDF-1.7")


def png_header(width: int, height: int) -> bytes:
    """A PNG that states a size and has hardly any data, as a decompression bomb does."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    start = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", start) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def test_a_decompression_bomb_is_refused_by_its_header() -> None:
    with pytest.raises(InputTooLarge, match=r"bomb\.png has 30000x30000 pixels.* 200 megapixels"):
        Image.read(png_header(30000, 30000), "bomb.png")


def test_the_limit_on_pixels_can_be_set() -> None:
    assert Image.read(jpeg(), max_pixels=70 * 50).width == 70
    for value in (jpeg(), PIL.Image.fromarray(scene())):
        with pytest.raises(InputTooLarge):
            Image.read(value, max_pixels=70 * 50 - 1)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_an_array_of_another_shape_or_type_is_a_mistake(array: NDArray[Any]) -> None:
    with pytest.raises(ValueError, match="uint8 RGB"):
        Image.read(array)


def test_something_else_is_a_mistake() -> None:
    with pytest.raises(TypeError, match="int"):
        Image.read(5)  # type: ignore[arg-type]


def test_pixels_cannot_be_changed_and_views_are_made_whole() -> None:
    array = scene()
    image = Image.read(array[:, ::-1])
    assert image.pixels.flags.c_contiguous
    with pytest.raises(ValueError, match="read-only"):
        image.pixels[0, 0] = 0
    array[0, 0] = 7  # the caller's own array stays the caller's


def test_an_image_is_passed_on_and_can_be_renamed() -> None:
    image = Image.read(scene())
    assert Image.read(image) is image
    assert Image.read(image, "camera 3").source == "camera 3"
