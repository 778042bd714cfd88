import io
import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.TiffImagePlugin
import pytest

from platemark.errors import InputError, InputTooLarge, UnsupportedInput
from platemark.imaging.image import Image
from platemark.imaging.sources import Unread, expand_inputs, open_pages, read_inputs

COLOURS = ("red", "lime", "blue")
RGB = {"red": (255, 0, 0), "lime": (0, 255, 0), "blue": (0, 0, 255)}


def pictures() -> list[PIL.Image.Image]:
    return [PIL.Image.new("RGB", (60 + 10 * i, 40), colour) for i, colour in enumerate(COLOURS)]


def save_pages(path: Path) -> Path:
    first, *others = pictures()
    first.save(path, save_all=True, append_images=others)
    return path


def colour_of(image: Image) -> str:
    middle = image.pixels[image.height // 2, image.width // 2]
    return min(
        RGB, key=lambda name: sum(abs(int(a) - b) for a, b in zip(middle, RGB[name], strict=True))
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder ``in`` with pictures, a broken one, what is no picture, and subfolders."""
    monkeypatch.chdir(tmp_path)
    inside = tmp_path / "in"
    for name in ("sub/deep", "empty", ".hidden"):
        (inside / name).mkdir(parents=True)
    red, lime, blue = pictures()
    red.save(inside / "b.jpg")
    lime.save(inside / "A.PNG")
    blue.save(inside / "sub" / "deep" / "c.bmp")
    red.save(inside / ".hidden" / "no.jpg")
    red.save(inside / ".no.jpg")
    (inside / "notes.txt").write_text("not a picture")
    (inside / "sub" / "bad.jpg").write_bytes(b"not a picture")
    return inside


def names(*inputs: str) -> list[str]:
    return [item.source for item in read_inputs(inputs)]


def only_error(*inputs: str) -> str:
    (item,) = read_inputs(inputs)
    assert isinstance(item, Unread)
    assert item.error.source == item.source
    return item.error.message


def test_a_folder_gives_its_pictures_sorted_and_as_found(folder: Path) -> None:
    assert names("in") == ["in/A.PNG", "in/b.jpg", "in/sub/bad.jpg", "in/sub/deep/c.bmp"]
    assert names("./in/sub/deep") == ["./in/sub/deep/c.bmp"]


def test_a_broken_file_does_not_stop_the_others(folder: Path) -> None:
    items = list(read_inputs(["in", "none.jpg", "in/b.jpg"]))
    failed = [(item.source, item.error.code) for item in items if isinstance(item, Unread)]
    assert failed == [("in/sub/bad.jpg", "unreadable_image"), ("none.jpg", "unreadable_image")]
    assert [colour_of(item) for item in items if isinstance(item, Image)] == [
        "lime",
        "red",
        "blue",
        "red",
    ]


def test_a_folder_without_pictures_is_an_error_that_names_it(folder: Path) -> None:
    assert only_error("in/empty") == "in/empty is a folder with no images or PDFs in it"


def test_globs_are_sorted_and_go_into_folders(folder: Path) -> None:
    assert names("in/[Ab].*") == ["in/A.PNG", "in/b.jpg"]
    assert names("in/**/*.bmp") == ["in/sub/deep/c.bmp"]
    assert names("in/su*") == ["in/sub/bad.jpg", "in/sub/deep/c.bmp"]
    assert only_error("in/*.gif").startswith("in/*.gif matches no file")


def test_a_file_whose_name_looks_like_a_glob_is_a_file(folder: Path) -> None:
    pictures()[0].save("in/x[1].png")
    assert names("in/x[1].png") == ["in/x[1].png"]


def test_a_list_names_files_folders_and_globs(folder: Path) -> None:
    Path("list.txt").write_text("\ufeffin/b.jpg\n\n  in/sub/deep \nin/A*\n", encoding="utf-8")
    assert names("@list.txt") == ["in/b.jpg", "in/sub/deep/c.bmp", "in/A.PNG"]


def test_a_list_that_cannot_be_read_is_an_error(folder: Path) -> None:
    Path("list.bin").write_bytes(b"\xff\xfe\x00")
    assert only_error("@none.txt").startswith("@none.txt is not a readable list")
    assert "not text" in only_error("@list.bin")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_lists_are_read_in_the_encodings_that_programs_write(folder: Path, encoding: str) -> None:
    pictures()[2].save("in/für.png")
    lines = ["in/b.jpg", '"in/für.png"', "'in/A.PNG'", "in/fehlt-ö.jpg"]
    Path("list.txt").write_bytes("\r\n".join(lines).encode(encoding))
    items = list(read_inputs(["@list.txt"]))
    assert [item.source for item in items] == [
        *("in/b.jpg", "in/für.png", "in/A.PNG"),
        "in/fehlt-ö.jpg",
    ]
    assert [isinstance(item, Unread) for item in items] == [False, False, False, True]


def test_a_list_may_name_files_whose_names_are_no_text(folder: Path) -> None:
    name = b"in/f\xfcr.png"
    pictures()[2].save("in/a.png")
    Path("in/a.png").rename(os.fsdecode(name))
    Path("list.txt").write_bytes(b"in/b.jpg\n" + name + b"\n")
    assert not any(isinstance(item, Unread) for item in read_inputs(["@list.txt"]))


def test_a_file_whose_name_is_in_quotes_is_found(folder: Path) -> None:
    pictures()[2].save("in/'q'.png")
    Path("in/'q'.png").rename("'q'")
    Path("list.txt").write_text("'q'\n")
    assert names("@list.txt") == ["'q'"]


def test_pipes_in_a_folder_are_errors_and_never_opened(folder: Path) -> None:
    os.mkfifo(folder / "m.jpg")
    items = {item.source: item for item in read_inputs(["in"])}
    assert isinstance(items["in/b.jpg"], Image)
    unread = items["in/m.jpg"]
    assert isinstance(unread, Unread)
    assert "is a pipe, socket or device" in unread.error.message


def test_a_pipe_of_the_shell_is_read(folder: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, (folder / "b.jpg").read_bytes())
    os.close(writing)
    (item,) = read_inputs([f"/dev/fd/{reading}"])
    os.close(reading)
    assert isinstance(item, Image)


def test_linked_folders_are_entered_once_and_loops_end(folder: Path) -> None:
    Path("lib").mkdir()
    Path("lib/2024").symlink_to("../in/sub")
    Path("lib/again").symlink_to("../in/sub")
    Path("lib/loop").symlink_to("../lib")
    Path("lib/broken.jpg").symlink_to("nowhere")
    Path("lib/one.jpg").symlink_to("../in/b.jpg")
    assert names("lib") == [
        *("lib/broken.jpg", "lib/one.jpg"),
        *("lib/2024/bad.jpg", "lib/2024/deep/c.bmp"),
    ]


@pytest.mark.parametrize("suffix", [".tif", ".pdf"])
def test_documents_give_all_their_pages(tmp_path: Path, suffix: str) -> None:
    path = save_pages(tmp_path / f"scan{suffix}")
    for value in (path, path.read_bytes()):
        items = list(read_inputs([value]))
        assert [item.page for item in items] == [0, 1, 2]
        assert [colour_of(item) for item in items if isinstance(item, Image)] == list(COLOURS)


@pytest.mark.parametrize("suffix", [".tif", ".pdf"])
def test_pages_may_be_read_in_any_order(tmp_path: Path, suffix: str) -> None:
    path = save_pages(tmp_path / f"scan{suffix}")
    pages = open_pages(path)
    assert [colour_of(pages.read(page)) for page in (2, 0, 2, 1)] == ["blue", "red", "blue", "lime"]
    assert pages.read(1).file == str(path)


def test_pdf_resolution_can_be_set(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    PIL.Image.new("RGB", (720, 360)).save(path, resolution=72.0)
    assert (open_pages(path).read(0).width, open_pages(path).read(0).height) == (2000, 1000)
    assert open_pages(path, dpi=72).read(0).width == 720


def test_a_page_over_the_limit_fails_alone(tmp_path: Path) -> None:
    path = save_pages(tmp_path / "scan.tif")
    items = list(read_inputs([path], max_pixels=60 * 40))
    assert [isinstance(item, Unread) for item in items] == [False, True, True]
    (item, *_) = [item for item in items if isinstance(item, Unread)]
    assert isinstance(item.error, InputTooLarge)


@pytest.mark.parametrize("size", [(60, 40), (2000, 3)])
@pytest.mark.parametrize("limit", [100, 5000, 10**6])
def test_a_pdf_page_over_the_limit_is_rendered_smaller(
    tmp_path: Path, size: tuple[int, int], limit: int
) -> None:
    path = tmp_path / "large.pdf"
    PIL.Image.new("RGB", size, "blue").save(path, resolution=72.0)
    image = open_pages(path, dpi=720, max_pixels=limit).read(0)
    assert image.width * image.height <= limit
    if size == (60, 40):
        assert image.width * image.height > 0.7 * min(limit, 600 * 400)
    assert colour_of(image) == "blue"


def protected_pdf() -> bytes:
    """A PDF whose empty user password does not fit (ISO 32000-1, 7.6.3.2)."""
    return pdf(
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 72 72]>>",
        b"<</Filter/Standard/V 1/R 2/P -4/O<" + b"41" * 32 + b">/U<" + b"42" * 32 + b">>>",
        more=b"/Encrypt 4 0 R/ID[<00><00>]",
    )


def pdf(*objects: bytes, more: bytes = b"") -> bytes:
    """A PDF of these objects, the first of them the root."""
    data, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % place for place in offsets)
    size = len(objects) + 1
    trailer = b"<</Size %d/Root 1 0 R%s>>" % (size, more)
    end = b"xref\n0 %d\n%strailer\n%s\nstartxref\n%d\n%%%%EOF\n"
    return data + end % (size, table, trailer, len(data))


def test_a_pdf_with_a_password_says_so(tmp_path: Path) -> None:
    path = tmp_path / "secret.pdf"
    path.write_bytes(protected_pdf())
    for value in (path, path.read_bytes()):
        with pytest.raises(UnsupportedInput, match=r"secret\.pdf is protected by a password"):
            open_pages(value, "secret.pdf")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"%PDF-1.7 and no more", r"bad\.pdf is corrupt or not a PDF"),
        (b"no PDF at all", r"bad\.pdf is not an image: its content is none of JPEG.*PDF"),
    ],
)
def test_a_broken_pdf_says_so(tmp_path: Path, data: bytes, reason: str) -> None:
    path = tmp_path / "bad.pdf"
    path.write_bytes(data)
    assert re.search(reason, only_error(str(path)))


def test_the_error_of_one_pdf_is_not_that_of_another(tmp_path: Path) -> None:
    none = pdf(b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[]/Count 0>>")
    for data in (none, protected_pdf(), none, b"%PDF-1.7 and no more", none):
        path = tmp_path / "a.pdf"
        path.write_bytes(data)
        for value in (path, data):
            with pytest.raises(InputError) as caught:
                open_pages(value, "a.pdf")
            said = caught.value.message
            assert ("password" in said) == (data == protected_pdf())
            assert ("without pages" in said) == (data == none)


@pytest.mark.parametrize(
    "head",
    [b"\xef\xbb\xbf", b"\n\n", b"Content-Type: application/pdf\r\nX: " + b"y" * 900 + b"\r\n\r\n"],
)
def test_a_pdf_is_one_whatever_stands_before_it(
    tmp_path: Path, standard_input: Callable[[bytes], None], head: bytes
) -> None:
    data = head + save_pages(tmp_path / "scan.pdf").read_bytes()
    path = tmp_path / "scan.jpg"
    path.write_bytes(data)
    standard_input(data)
    for value in (path, data, io.BytesIO(data), "-"):
        items = list(read_inputs([value]))
        assert [colour_of(item) for item in items if isinstance(item, Image)] == list(COLOURS)


def test_files_may_be_documents(tmp_path: Path) -> None:
    path = save_pages(tmp_path / "scan.pdf")
    with path.open("rb") as file:
        assert [item.source for item in read_inputs([file])] == [str(path)] * 3
    with path.open("rb") as file:
        assert [item.source for item in read_inputs(file)] == [str(path)] * 3


@pytest.mark.parametrize("tags", [{254: 1}, {254: 4}, {255: 2}])
@pytest.mark.parametrize("first", [True, False])
def test_thumbnails_and_masks_are_no_pages(
    tmp_path: Path, tags: dict[int, int], first: bool
) -> None:
    path, (red, lime, blue) = tmp_path / "scan.tif", pictures()
    with PIL.TiffImagePlugin.AppendingTiffWriter(str(path), True) as file:
        for picture in (red, lime, blue) if first else (lime, red, blue):
            picture.save(file, "TIFF", tiffinfo=tags if picture is red else {})
            file.newFrame()
    items = list(read_inputs([path]))
    assert [(item.page, colour_of(item)) for item in items if isinstance(item, Image)] == [
        *((0, "lime"), (1, "blue"))
    ]
    assert colour_of(Image.read(path)) == "lime"
    assert colour_of(open_pages(path).read(1)) == "blue"


def test_a_file_of_thumbnails_alone_has_pages(tmp_path: Path) -> None:
    path = tmp_path / "small.tif"
    pictures()[0].save(path, tiffinfo={254: 1})
    assert colour_of(Image.read(path)) == "red"
    assert len(open_pages(path)) == 1


def test_a_truncated_tiff_says_so(tmp_path: Path) -> None:
    data = save_pages(tmp_path / "scan.tif").read_bytes()
    (item, *_) = read_inputs([data[:1000]])
    assert isinstance(item, Unread)
    assert item.error.code == "unreadable_image"


@pytest.fixture
def standard_input(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    def give(data: bytes) -> None:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))

    return give


def test_standard_input_is_an_image_or_a_pdf(
    standard_input: Callable[[bytes], None], tmp_path: Path
) -> None:
    buffer = io.BytesIO()
    pictures()[2].save(buffer, "PNG")
    standard_input(buffer.getvalue())
    (image,) = read_inputs(["-"])
    assert isinstance(image, Image)
    assert (image.source, colour_of(image), image.file) == ("-", "blue", None)
    standard_input(save_pages(tmp_path / "a.pdf").read_bytes())
    assert names("-") == ["-"] * 3
    standard_input(b"")
    assert only_error("-") == "- is empty (0 bytes)"


def test_a_video_is_refused_and_folders_pass_it_over(folder: Path) -> None:
    Path("in/clip.mp4").write_bytes(b"\0\0\0\x20ftypisom" + bytes(20))
    assert "in/clip.mp4" not in names("in")
    assert "is a video" in only_error("in/clip.mp4")


def test_reading_is_lazy(folder: Path) -> None:
    items = read_inputs(["in/b.jpg", "in/A.PNG"])
    next(items)
    Path("in/A.PNG").unlink()
    assert isinstance(next(items), Unread)


def test_a_list_may_have_comments_and_empty_lines(folder: Path) -> None:
    Path("list.txt").write_text("# ours\n\n  in/b.jpg \n  # theirs\n")
    assert names("@list.txt") == ["in/b.jpg"]


def test_a_list_without_files_is_an_error(folder: Path) -> None:
    Path("list.txt").write_text("# nothing yet\n")
    assert "no files in it" in only_error("@list.txt")


def test_one_input_stands_for_a_list_of_one(folder: Path) -> None:
    # letter by letter, "/" would be the whole disk
    assert list(expand_inputs("in/b.jpg")) == ["in/b.jpg"]
    assert list(expand_inputs(Path("in/b.jpg"))) == ["in/b.jpg"]
    for value in (b"abc", np.zeros((4, 4, 3), np.uint8), PIL.Image.new("RGB", (4, 4))):
        (given,) = expand_inputs(value)
        assert given is value


def test_an_empty_pdf_and_an_empty_name_say_so(tmp_path: Path) -> None:
    (tmp_path / "none.pdf").touch()
    assert "empty (0 bytes)" in only_error(str(tmp_path / "none.pdf"))
    (item,) = read_inputs([""])
    assert isinstance(item, Unread)
    assert "empty name" in item.error.message


def test_closed_standard_input_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    assert "standard input is closed" in only_error("-")
