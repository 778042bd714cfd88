"""Inputs of public bug reports that were decoded wrongly or stopped a run, and what is right."""

import io
import json
import os
import shutil
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from click.testing import Result
from typer.testing import CliRunner

from platemark.apps.cli import app
from platemark.errors import UnsupportedInput
from platemark.imaging.image import Image, ImageInput
from platemark.registry import Registry
from platemark.stamps.pipeline import StampPipeline
from platemark.types import StampMark
from platemark.usecases.compare import compare

CASES = Path(__file__).parent
PAGE, PLATE = CASES / "page_ok.jpg", CASES / "plate_ok.jpg"
LETTER = CASES.parents[1] / "examples" / "documents" / "letter-seal.jpg"


@pytest.fixture(scope="module")
def stamps() -> StampPipeline:
    return StampPipeline.from_pretrained(threads=1)


def only_stamp(stamps: StampPipeline, value: ImageInput) -> StampMark:
    """The stamp of a document of one page with one stamp, however it is asked for."""
    (page,) = stamps.pages(value)
    (mark,) = page.marks
    assert isinstance(mark, StampMark)
    return mark


def run(*words: object, given: bytes = b"") -> Result:
    return CliRunner().invoke(app, [*map(str, words), "--quiet"], input=given)


def read(*words: object) -> dict[str, str | None]:
    """What a run reads on each picture, None for an error."""
    result = run("plates", *words, "--format", "jsonl")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.exit_code == (1 if any("error" in line for line in lines) else 0)
    return {line["source"]: None if "error" in line else line["marks"][0]["text"] for line in lines}


@pytest.mark.parametrize(
    ("name", "colour"),
    [
        ("page_ok.jpg", "blue"),
        ("page_ok.pdf", "blue"),
        ("thumbnail_first.tif", "blue"),
        ("grey_16.tif", "black"),
        ("grey_10_in_16.tif", "black"),
        ("fax_204x98.tif", "black"),
    ],
)
def test_one_circle_is_seen_however_the_page_is_stored(
    stamps: StampPipeline, name: str, colour: str
) -> None:
    mark = only_stamp(stamps, CASES / name)
    assert (mark.shape, mark.color) == ("circle", colour)
    assert only_stamp(stamps, (CASES / name).read_bytes()).box == mark.box
    with (CASES / name).open("rb") as file:
        assert only_stamp(stamps, file).box == mark.box
    printed = run("stamps", "-", "--format", "jsonl", given=(CASES / name).read_bytes())
    (line,) = printed.stdout.splitlines()
    assert len(json.loads(line)["marks"]) == 1


def test_twelve_bits_in_sixteen_are_seen(stamps: StampPipeline, tmp_path: Path) -> None:
    grey = np.asarray(PIL.Image.open(LETTER).convert("L"))
    PIL.Image.fromarray(grey.astype(np.uint16) * 16).save(tmp_path / "a.tif")
    seen = Image.read(tmp_path / "a.tif").pixels[..., 0]
    assert np.abs(seen.astype(int) - grey).max() <= 1
    assert only_stamp(stamps, tmp_path / "a.tif").shape == "circle"


@pytest.mark.parametrize("photometric", [0, 1])
def test_a_bilevel_scan_is_the_page(tmp_path: Path, photometric: int) -> None:
    page = PIL.Image.open(LETTER).resize((1600, 2200)).convert("1")
    page.save(tmp_path / "a.tif", compression="group4", tiffinfo={262: photometric})
    assert np.array_equal(
        Image.read(tmp_path / "a.tif").pixels[..., 1], np.asarray(page.convert("L"))
    )


def test_the_thumbnail_is_not_the_page() -> None:
    image = Image.read(CASES / "thumbnail_first.tif")
    assert (image.width, image.height) == (480, 660)


def test_a_fax_bears_the_same_stamp(stamps: StampPipeline, tmp_path: Path) -> None:
    fax = CASES / "fax_204x98.tif"
    assert compare(PAGE, fax, pipeline=stamps).verdict == "same"
    with Registry.open(tmp_path / "stamps.db") as registry:
        registry.add("Seal", only_stamp(stamps, PAGE))
        (best,) = registry.identify(only_stamp(stamps, fax), top_k=1)
        assert (best.design.name, best.accepted) == ("Seal", True)


def test_a_password_is_said_to_be_one_and_a_byte_order_mark_is_no_matter(
    stamps: StampPipeline,
) -> None:
    with pytest.raises(UnsupportedInput, match="password"):
        stamps.pages(CASES / "password.pdf")
    marked = b"\xef\xbb\xbf" + (CASES / "page_ok.pdf").read_bytes()
    for value in (marked, io.BytesIO(marked)):
        assert only_stamp(stamps, value).color == "blue"
    assert '"color": "blue"' in run("stamps", "-", "--format", "jsonl", given=marked).stdout


def test_a_picture_named_pdf_is_a_picture(tmp_path: Path) -> None:
    shutil.copy(PLATE, tmp_path / "a.pdf")
    assert list(read(tmp_path / "a.pdf").values()) == ["AI4921CB"]


def test_a_long_name_gets_crops_and_the_next_picture_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    long = "n" * 250 + ".jpg"
    for name in (long, "z.jpg"):
        shutil.copy(PLATE, name)
    options = ("--crops", "out", "--annotated", "drawn")
    assert read(long, "z.jpg", *options) == {long: "AI4921CB", "z.jpg": "AI4921CB"}
    assert len(list(Path("out").iterdir())) == len(list(Path("drawn").iterdir())) == 2


def test_a_pipe_in_a_folder_is_an_error_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.jpg", "z.jpg"):
        shutil.copy(PLATE, name)
    os.mkfifo("m.jpg")
    assert read(".") == {"./a.jpg": "AI4921CB", "./m.jpg": None, "./z.jpg": "AI4921CB"}


@pytest.mark.parametrize("name", ["list_latin1.txt", "list_utf16.txt"])
def test_lists_are_read_line_by_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(PLATE, "plate_ok.jpg")
    texts = read(f"@{CASES / name}")
    assert texts.pop("plate_ok.jpg") == "AI4921CB"
    assert list(texts.values()) == [None] * len(texts)


def test_linked_folders_are_entered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("real", "lib"):
        Path(name).mkdir()
    shutil.copy(PLATE, "real")
    Path("lib/2024").symlink_to("../real")
    assert read("lib") == {"lib/2024/plate_ok.jpg": "AI4921CB"}
