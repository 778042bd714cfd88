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
import PIL.TiffImagePlugin
import pytest
from numpy.typing import NDArray

from platemark.errors import InputTooLarge, MissingExtra, UnreadableImage, UnsupportedInput
from platemark.imaging import pixels
from platemark.imaging.image import Image, compressed, image_size, read_grey, to_jpeg, to_png

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
    pytest.importorskip("pi_heif")
    stored = Path(__file__).with_name("scene_64x64.heic")  # of `scene(64, 64)`
    difference = Image.read(stored).pixels.astype(int) - scene(64, 64)
    assert np.abs(difference).mean() < 6


def test_heic_without_the_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pi_heif.as_plugin", None)
    with pytest.raises(MissingExtra, match=r"\[heif\]"):
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


def test_pixels_do_not_depend_on_the_library_for_jpeg(monkeypatch: pytest.MonkeyPatch) -> None:
    files = sorted((Path(__file__).parents[2] / "examples").glob("*/*.jpg"))
    odd = [jpeg()[:200] + b"\0" * 20 + jpeg()[200:]]
    fast = [Image.read(file).pixels for file in files]
    grey = [pixels.decode_grey(PIL.Image.open(file), file.read_bytes()) for file in files]
    refused = [_read(data) for data in odd]
    monkeypatch.setattr(pixels, "simplejpeg", None)
    assert all(
        np.array_equal(a, Image.read(file).pixels) for a, file in zip(fast, files, strict=True)
    )
    assert all(
        np.array_equal(a, pixels.decode_grey(PIL.Image.open(file), file.read_bytes()))
        for a, file in zip(grey, files, strict=True)
    )
    assert refused == [_read(data) for data in odd]


def _read(data: bytes) -> bytes | str:
    """The pixels of a damaged picture, or why it has none."""
    try:
        return Image.read(data).pixels.tobytes()
    except UnreadableImage as error:
        return error.message


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
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_significant_bits_of_16_are_scaled_to_8(suffix: str, bits: int) -> None:
    white = 2**bits - 1
    levels = np.rint(np.array([0, 40, 200, 255]) * white / 255).astype(np.uint16)
    grey = cv2.imencode(suffix, np.tile(levels, (4, 1)))[1].tobytes()
    assert Image.read(grey).pixels[0, :, 0].tolist() == [0, 40, 200, 255]
    blue = np.tile(levels[:, None], (1, 4))
    colour = cv2.imencode(suffix, np.dstack([blue, blue // 2, 0 * blue]))[1].tobytes()
    pixels = Image.read(colour).pixels
    assert pixels[:, 0, 2].tolist() == [0, 40, 200, 255]
    assert np.abs(pixels[:, 0, 1] - [0.0, 20, 100, 127.5]).max() <= 1
    assert not pixels[:, :, 0].any()
    layer = np.dstack([blue, blue, blue, np.full_like(blue, 65535)])
    layer[3, 3, 3] = 0
    faint = Image.read(cv2.imencode(suffix, layer)[1].tobytes()).pixels
    assert faint[:, 0, 2].tolist() == [0, 40, 200, 255]
    assert faint[3, 3].tolist() == [255] * 3


def tiff(values: NDArray[Any], tags: dict[int, Any], **options: Any) -> bytes:
    """A TIFF with tags that its writer would not set."""
    info = PIL.TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in tags.items():
        info[tag] = value
    return encoded(PIL.Image.fromarray(values), "TIFF", tiffinfo=info, **options)


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
@pytest.mark.parametrize("white", [255, 1023, 4095, 65535])
def test_white_is_zero_is_seen_as_it_is(white: int, compression: str | None) -> None:
    levels = np.rint(np.array([[255, 200, 40, 0]]) * white / 255).astype(np.uint16)
    data = tiff(levels, {262: 0}, compression=compression)
    assert Image.read(data).pixels[0, :, 0].tolist() == [0, 55, 215, 255]
    if white < 65535:
        tagged = tiff(levels, {262: 0, 281: 2 * white})
        assert np.abs(Image.read(tagged).pixels[0, :, 0] - [127.5, 155, 235, 255]).max() <= 1


def deep_tiff(colours: NDArray[np.uint16], **tags: int) -> bytes:
    """A plain TIFF of colours of 16 bits, which Pillow does not write; tags as ``t281=1023``."""
    height, width, _ = colours.shape
    fields = {256: width, 257: height, 258: 16, 259: 1, 262: 2, 273: 8, 277: 3, 278: height}
    fields |= {279: colours.nbytes} | {int(name[1:]): value for name, value in tags.items()}
    entries = [struct.pack("<HHIHxx", tag, 3, 1, fields[tag]) for tag in sorted(fields)]
    directory = struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    return struct.pack("<2sHI", b"II", 42, 8 + colours.nbytes) + colours.tobytes() + directory


@pytest.mark.parametrize("orientation", range(1, 9))
def test_colours_of_16_bits_are_turned_upright(orientation: int) -> None:
    exif = PIL.Image.Exif()
    exif[ORIENTATION] = orientation
    usual = encoded(PIL.Image.fromarray(scene()), "TIFF", exif=exif)
    deep = deep_tiff(scene().astype(np.uint16) * 257, t274=orientation)
    assert np.array_equal(Image.read(deep).pixels, Image.read(usual).pixels)
    dark = deep_tiff(scene().astype(np.uint16), t274=orientation, t281=510)
    assert np.abs(Image.read(dark).pixels - Image.read(usual).pixels / 2).max() <= 1


@pytest.mark.parametrize("tag", [281, 341, 50717])
def test_tags_state_the_white_of_a_dark_picture(tag: int) -> None:
    levels = np.array([[0, 100, 400]], np.uint16)
    stated = Image.read(tiff(levels, {tag: 1023})).pixels[0, :, 0]
    assert stated.tolist() == [0, 25, 100]
    # What is brighter than white is stated wrongly.
    assert Image.read(tiff(levels, {tag: 255})).pixels[0, :, 0].tolist() == [0, 50, 200]


@pytest.mark.parametrize("photometric", [0, 1])
@pytest.mark.parametrize("compression", ["group3", "group4", "raw", "packbits"])
def test_bilevel_scans_are_black_on_white(compression: str, photometric: int) -> None:
    ink = np.zeros((40, 60), bool)
    ink[10:20, 15:30] = True
    data = encoded(
        PIL.Image.fromarray(~ink),
        "TIFF",
        compression=compression,
        tiffinfo={262: photometric},
    )
    with PIL.Image.open(io.BytesIO(data)) as stored:
        assert isinstance(stored, PIL.TiffImagePlugin.TiffImageFile)
        assert stored.tag_v2[262] == photometric
    assert np.array_equal(Image.read(data).pixels[..., 0], np.where(ink, 0, 255))


@pytest.mark.parametrize("orientation", [1, 6, 8])
@pytest.mark.parametrize("form", ["TIFF", "JPEG", "PNG"])
@pytest.mark.parametrize("dpi", [(204, 98), (204, 196), (100, 300)])
def test_pixels_become_square(form: str, dpi: tuple[int, int], orientation: int) -> None:
    exif = PIL.Image.Exif()
    exif[ORIENTATION] = orientation
    data = encoded(PIL.Image.fromarray(scene(200, 120)), form, dpi=dpi, exif=exif)
    width, height = round(200 * max(1, dpi[1] / dpi[0])), round(120 * max(1, dpi[0] / dpi[1]))
    image = Image.read(data)
    size = (width, height) if orientation == 1 else (height, width)
    # PNG has whole pixels a metre.
    assert np.abs(np.subtract((image.width, image.height), size)).max() <= (form == "PNG")
    square = np.asarray(PIL.Image.fromarray(scene(200, 120)).resize((width, height)))
    turned = np.rot90(square, {1: 0, 6: -1, 8: 1}[orientation])
    seen = np.asarray(PIL.Image.fromarray(image.pixels).resize(size))
    assert np.abs(seen.astype(int) - turned).mean() < 3
    with PIL.Image.open(io.BytesIO(data)) as opened:
        assert np.abs(Image.read(opened).pixels - image.pixels.astype(int)).mean() < 1
    with pytest.raises(InputTooLarge):
        Image.read(data, max_pixels=200 * 120)


@pytest.mark.parametrize("dpi", [(200, 200), (72, 1), (0, 300), (300, 299)])
def test_a_resolution_that_is_none_changes_nothing(dpi: tuple[int, int]) -> None:
    assert np.array_equal(
        Image.read(encoded(PIL.Image.fromarray(scene()), "TIFF", dpi=dpi)).pixels, scene()
    )


def test_a_picture_that_was_resized_is_left_alone() -> None:
    data = encoded(PIL.Image.fromarray(scene()), "TIFF", dpi=(200, 100))
    with PIL.Image.open(io.BytesIO(data)) as opened:
        assert Image.read(opened.resize((70, 100))).height == 100


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_grey_is_that_of_the_colours(form: str) -> None:
    layer = PIL.Image.fromarray(scene())
    if form == "PNG":
        layer.putalpha(100)
    data = encoded(layer, form)
    grey = cv2.cvtColor(Image.read(data).pixels, cv2.COLOR_RGB2GRAY)
    assert np.abs(read_grey(data).astype(int) - grey).max() <= 2


@pytest.mark.parametrize("orientation", [3, 6])
def test_grey_is_turned_and_squared(tmp_path: Path, orientation: int) -> None:
    exif = PIL.Image.Exif()
    exif[ORIENTATION] = orientation
    for dpi in ((72, 72), (200, 100)):
        path = tmp_path / "a.jpg"
        path.write_bytes(jpeg(exif=exif, dpi=dpi))
        grey = cv2.cvtColor(Image.read(path).pixels, cv2.COLOR_RGB2GRAY)
        assert read_grey(path).shape == grey.shape
        assert np.abs(read_grey(path).astype(int) - grey).max() <= 2


def test_what_is_encoded_in_memory_comes_back() -> None:
    grey = scene()[:, :, 0]
    assert np.array_equal(read_grey(to_png(grey)), grey)
    assert np.array_equal(
        read_grey(to_png(np.where(grey > 99, 255, 0).astype(np.uint8), bilevel=True)),
        np.where(grey > 99, 255, 0),
    )
    assert np.abs(Image.read(to_jpeg(scene(), 95)).pixels.astype(int) - scene()).mean() < 2
    assert np.array_equal(compressed(scene(), 50), Image.read(to_jpeg(scene(), 50)).pixels)
    assert np.array_equal(compressed(grey, 50), read_grey(to_jpeg(grey, 50)))


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
        (jpeg()[:20], "corrupt"),
        (encoded(PIL.Image.fromarray(scene()), "PNG")[:-60], "truncated"),
        (b"\x89PNG\r\n\x1a\n", "corrupt"),
        (b"II*\0", "corrupt"),
        (b"BM", "corrupt"),
        (b"RIFF\0\0\0\0WEBP", "corrupt"),
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


@pytest.mark.parametrize(
    "start",
    [b"\0\0\0\x20ftypisom", b"\0\0\0\x14ftypqt  ", b"RIFF\0\0\0\0AVI ", b"\x1a\x45\xdf\xa3"],
)
def test_a_video_is_refused_as_such_whatever_its_name(tmp_path: Path, start: bytes) -> None:
    path = tmp_path / "clip.jpg"
    path.write_bytes(start + bytes(2000))
    for value in (path, path.read_bytes()):
        with pytest.raises(UnsupportedInput, match="is a video"):
            Image.read(value)


@pytest.mark.parametrize("name", ["a.pdf", "a.mp4", "a.txt", "a"])
def test_a_picture_is_one_whatever_its_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(jpeg())
    assert Image.read(path).digest == Image.read(jpeg()).digest


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
    ("array", "reason"),
    [
        (np.zeros(4, np.uint8), "grey"),
        (np.zeros((4, 4, 2), np.uint8), "grey"),
        (np.zeros((3, 4, 4), np.uint8)[:, :, :2], "channels last"),
        (np.zeros((0, 4, 3), np.uint8), "grey"),
        (np.zeros((4, 4, 3), np.complex64), "numbers"),
        (np.full((4, 4, 3), "a"), "numbers"),
        (np.linspace(-1, 1, 48).reshape(4, 4, 3), "normalisation"),
    ],
)
def test_an_array_of_another_shape_or_type_is_a_mistake(array: NDArray[Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Image.read(array)


@pytest.mark.parametrize(
    ("dtype", "white"),
    [
        (np.float16, 1),
        (np.float32, 1),
        (np.float64, 255),
        (np.int32, 4095),
        (np.uint16, 255),
        (np.uint16, 1023),
        (np.uint16, 65535),
    ],
)
def test_arrays_of_other_types_are_scaled_from_0_to_white(dtype: type, white: int) -> None:
    grey = (np.array([[0.0, 0.2, 1.0]]) * white).astype(dtype)
    expected = [0, 51, 255]
    assert np.abs(Image.read(grey).pixels[0, :, 2] - expected).max() <= 1
    colours = np.repeat(grey[..., None], 3, axis=2)
    assert np.abs(Image.read(colours).pixels[0, :, 0] - expected).max() <= 1
    faint = np.dstack([colours, np.full_like(grey, white)])
    faint[0, 0, 3] = 0
    assert np.abs(Image.read(faint).pixels[0, :, 1] - [255, 51, 255]).max() <= 1


def test_grey_boolean_and_rgba_arrays_are_pictures() -> None:
    grey = scene()[:, :, 0]
    assert np.array_equal(Image.read(grey).pixels, np.dstack([grey] * 3))
    assert np.array_equal(Image.read(grey[:, :, None]).pixels, np.dstack([grey] * 3))
    assert Image.read(grey > 100).pixels[:, :, 1].tolist() == (255 * (grey > 100)).tolist()
    layer = np.array([[(255, 0, 0, 128), (9, 9, 9, 0)]], np.uint8)
    assert Image.read(layer).pixels.tolist() == [[[255, 127, 127], [255] * 3]]


def test_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg())
    with path.open("rb") as file:
        image = Image.read(file)
    assert (image.digest, image.source) == (Image.read(path).digest, str(path))
    assert Image.read(io.BytesIO(jpeg())).source == "<file>"
    assert Image.read(io.BytesIO(jpeg()), "upload").source == "upload"
    with pytest.raises(TypeError, match="binary mode"):
        Image.read(io.StringIO("text"))  # type: ignore[arg-type]


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


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_the_size_is_told_by_the_header(tmp_path: Path, suffix: str, orientation: int) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    file = tmp_path / f"picture.{suffix}"
    PIL.Image.new("RGB", (50, 30)).save(file, exif=exif, dpi=(204, 98))
    image = Image.read(file)
    assert image_size(file) == (image.width, image.height)
    file.write_bytes(file.read_bytes()[:20])
    with pytest.raises(UnreadableImage, match="picture"):
        image_size(file)
