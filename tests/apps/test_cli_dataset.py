"""``platemark dataset`` as it is typed."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import PIL.Image
import pytest
from typer.testing import CliRunner, Result

from platemark.apps.cli import app
from platemark.apps.cli.dataset import FormatName
from platemark.datasets import Manifest
from platemark.datasets.foreign import FORMAT_NAMES
from platemark.plates import formats

PLATE = {"box": [10, 20, 110, 45], "text": "AB12CD", "region": "eu-de", "lines": 1}


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["dataset", *map(str, words)])


def manifest(folder: Path, *rows: dict[str, Any], images: bool = True) -> Path:
    """A manifest of images of different grey; a row may give any of its keys."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for number, row in enumerate(rows):
        usual = {"image": f"photos/{number}.png", "width": 200, "height": 100, "split": "train"}
        whole = {**usual, "kind": "scene", "plates": [PLATE], **row}
        lines.append(json.dumps(whole))
        if images:
            file = folder / whole["image"]
            file.parent.mkdir(parents=True, exist_ok=True)
            PIL.Image.effect_noise((200, 100), 10 + number).convert("RGB").save(file)
    file = folder / "annotations.jsonl"
    file.write_text("\n".join(lines) + "\n")
    return file


def left_over(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


def test_the_formats_are_those_of_the_library() -> None:
    assert get_args(FormatName) == FORMAT_NAMES


def test_convert_there_and_back(tmp_path: Path) -> None:
    source = manifest(tmp_path / "own", {}, {"split": "dev", "plates": []})
    there = run("convert", source, tmp_path / "yolo", "--to", "yolo")
    assert (there.exit_code, there.stdout.strip()) == (0, str(tmp_path / "yolo"))
    assert "2 images with 1 marks" in there.stderr
    back = run("convert", tmp_path / "yolo", tmp_path / "back", "--quiet")
    assert (back.exit_code, back.stderr) == (0, "")
    first, second = Manifest.read(tmp_path / "back" / "annotations.jsonl")
    assert (first.split, first.plates[0].box) == ("train", (10, 20, 110, 45))
    assert (second.split, second.plates) == ("dev", ())


def test_images_are_linked_copied_or_left(tmp_path: Path) -> None:
    source = manifest(tmp_path / "own", {})
    original = tmp_path / "own" / "photos" / "0.png"
    assert run("convert", source, tmp_path / "linked", "--to", "via").exit_code == 0
    assert original.samefile(tmp_path / "linked" / "images" / "photos" / "0.png")
    run("convert", source, tmp_path / "copied", "--to", "via", "--transfer", "copy")
    copy = tmp_path / "copied" / "images" / "photos" / "0.png"
    assert copy.read_bytes() == original.read_bytes()
    assert not original.samefile(copy)
    run("convert", source, tmp_path / "left" / "via.json", "--to", "via", "--transfer", "leave")
    assert [path.name for path in (tmp_path / "left").iterdir()] == ["via.json"]
    assert "../own/photos/0.png" in (tmp_path / "left" / "via.json").read_text()
    # What lies in the folder already stays where it is.
    beside = tmp_path / "own" / "coco.json"
    assert run("convert", source, beside, "--to", "coco").exit_code == 0
    assert json.loads(beside.read_text())["images"][0]["file_name"] == "photos/0.png"
    assert not (tmp_path / "own" / "images").exists()
    refused = run("convert", source, tmp_path / "none", "--to", "yolo", "--transfer", "leave")
    assert (refused.exit_code, (tmp_path / "none").exists()) == (1, False)


def test_images_of_one_name_keep_apart(tmp_path: Path) -> None:
    rows = [{"image": name} for name in ("a/1.png", "b/1.png", "a_1.png", "a/1.jpg")]
    source = manifest(tmp_path / "own", *rows)
    assert run("convert", source, tmp_path / "voc", "--to", "voc").exit_code == 0
    assert len(list((tmp_path / "voc" / "JPEGImages").iterdir())) == 4
    assert len(list((tmp_path / "voc" / "Annotations").iterdir())) == 4
    pictures = {file.read_bytes() for file in (tmp_path / "voc" / "JPEGImages").iterdir()}
    assert len(pictures) == 4


def test_masks_come_along(tmp_path: Path) -> None:
    stamp = {"box": [10, 20, 50, 60], "mask": "masks/0.png"}
    source = manifest(tmp_path / "own", {"stamps": [stamp]})
    (tmp_path / "own" / "masks").mkdir()
    PIL.Image.new("L", (200, 100)).save(tmp_path / "own" / "masks" / "0.png")
    assert run("convert", source, tmp_path / "new").exit_code == 0
    (entry,) = Manifest.read(tmp_path / "new" / "annotations.jsonl")
    assert (tmp_path / "new" / str(entry.stamps[0].mask)).is_file()


def test_an_error_leaves_nothing_behind(tmp_path: Path) -> None:
    source = manifest(tmp_path / "own", {}, {}, {})
    (tmp_path / "own" / "photos" / "1.png").unlink()
    for target in ("new", "new.csv"):
        done = run("convert", source, tmp_path / target)
        assert done.exit_code == 1
        assert not (tmp_path / target).exists()
    done = run("convert", source, tmp_path / "coco", "--to", "coco")
    assert (done.exit_code, (tmp_path / "coco").exists()) == (1, False)
    assert "1.png" in done.stderr
    assert str(source) in done.stderr
    assert not left_over(tmp_path)
    old = tmp_path / "old.jsonl"
    old.write_text("before")
    assert run("convert", source, old).exit_code == 1
    assert old.read_text() == "before"


def test_images_with_errors_may_be_left_out(tmp_path: Path) -> None:
    source = manifest(tmp_path / "own", {}, {"plates": [{"box": [5, 5, 5, 9]}]}, {})
    done = run("convert", source, tmp_path / "new", "--to", "coco", "--skip-errors")
    assert done.exit_code == 1
    assert f"{source}:2: plates.0.box:" in done.stderr
    assert "2 images with 2 marks, 1 left out" in done.stderr
    assert len(json.loads((tmp_path / "new" / "annotations.json").read_text())["images"]) == 2


def test_crops_are_of_one_plate_with_a_text(tmp_path: Path) -> None:
    source = manifest(
        tmp_path / "own", {}, {"kind": "crop"}, {"kind": "crop", "plates": [{"box": [0, 0, 9, 9]}]}
    )
    done = run("convert", source, tmp_path / "new", "--to", "csv", "--skip-errors")
    assert done.exit_code == 1
    rows = (tmp_path / "new" / "annotations.csv").read_text().splitlines()
    assert rows[1:] == ["images/photos/1.png,AB12CD,eu-de,train"]
    assert "platemark plates --crops" in done.stderr
    assert "no text" in done.stderr


@pytest.mark.parametrize(
    ("words", "status", "reason"),
    [
        (("own/annotations.jsonl", "full"), 1, "is there already"),
        (("own", "own/new"), 1, "lies in the data set"),
        (("own/annotations.jsonl", "own/annotations.jsonl"), 1, "is the data set itself"),
        (("own/annotations.jsonl", "new.json"), 1, "--to"),
        (("nowhere", "new"), 2, "does not exist"),
        (("own", "new", "--from", "cvat"), 1, "no annotations of cvat"),
        (("own", "new", "--to", "paper"), 2, "paper"),
        (("own", "new", "--label", "a=b"), 2, "none of plate"),
        (("own", "new", "--only", "test"), 1, "no image"),
    ],
)
def test_what_cannot_be_done_is_said(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    status: int,
    reason: str,
) -> None:
    manifest(tmp_path / "own", {})
    manifest(tmp_path / "full", {})
    monkeypatch.chdir(tmp_path)
    done = run("convert", *words)
    assert done.exit_code == status
    assert reason in " ".join(done.stderr.replace("│", " ").split())
    assert not (tmp_path / "new").exists()
    assert len(Manifest.read(tmp_path / "own" / "annotations.jsonl")) == 1


def test_a_split_by_itself(tmp_path: Path) -> None:
    source = manifest(tmp_path / "own", {}, {"split": "test"}, {"split": "dev"})
    assert run("convert", source, tmp_path / "new", "--only", "dev").exit_code == 0
    (entry,) = Manifest.read(tmp_path / "new" / "annotations.jsonl")
    assert (entry.image, entry.split) == ("images/photos/2.png", "dev")


def test_split_writes_a_new_data_set(tmp_path: Path) -> None:
    rows = [{"plates": [{**PLATE, "text": f"AB{n // 2}"}]} for n in range(20)]
    source = manifest(tmp_path / "own", *rows)
    words = (
        "split",
        source,
        tmp_path / "own" / "split.jsonl",
        "--seed",
        3,
        "--by",
        "text,document",
    )
    done = run(*words)
    assert done.exit_code == 0, done.output
    assert "10 groups, the largest of 2" in done.stderr
    assert "text 10" in done.stderr
    entries = list(Manifest.read(tmp_path / "own" / "split.jsonl"))
    assert [entry.image for entry in entries] == [f"photos/{n}.png" for n in range(20)]
    assert [entry.split for entry in entries[::2]] == [entry.split for entry in entries[1::2]]
    assert {entry.split for entry in entries} == {"train", "dev", "test"}
    yolo = run(
        "split", source, tmp_path / "yolo", "--to", "yolo", "--by", "", "--test", 0, "--dev", 0.5
    )
    assert yolo.exit_code == 0, yolo.output
    assert not (tmp_path / "yolo" / "images" / "test").exists()
    assert run("split", source, tmp_path / "new", "--by", "colour").exit_code == 2
    assert (
        run("split", source, tmp_path / "new", "--train", 0, "--dev", 0, "--test", 0).exit_code == 2
    )


def test_check_says_what_is_wrong_and_where(tmp_path: Path) -> None:
    outside = {**PLATE, "box": [150, 20, 260, 45], "text": "X1"}
    source = manifest(tmp_path / "own", {}, {"plates": [outside]})
    report = tmp_path / "report.html"
    done = run("check", source, "--report", report)
    assert done.exit_code == 1
    assert "error: Boxes outside their image (1)" in done.stdout
    assert "photos/1.png: box [150.0, 20.0, 260.0, 45.0] in an image of 200x100" in done.stdout
    assert "Boxes outside their image" in report.read_text()
    told = json.loads(run("check", source, "--format", "json").stdout)
    assert told["errors"] == 1
    assert [each["problem"] for each in told["problems"]] == ["box_outside", "one_class"]
    fine = manifest(tmp_path / "fine", {}, {"plates": [{**PLATE, "text": "X1", "region": "cn"}]})
    assert run("check", fine).exit_code == 0
    assert "0 errors, 0 warnings" in run("check", fine, "--no-duplicates").stdout


def test_check_knows_formats_of_ones_own(tmp_path: Path) -> None:
    rows = [{"plates": [{**PLATE, "text": f"X{n}", "region": "zz"}]} for n in range(2)]
    source = manifest(tmp_path / "own", *rows)
    assert "Regions without a plate format" in run("check", source).stdout
    (tmp_path / "formats").mkdir()
    name = Path(formats.__file__).with_name("formats") / "eu-fi.toml"
    (tmp_path / "formats" / "zz.toml").write_text(name.read_text())
    assert "Regions without" not in run("check", source, "--formats", tmp_path / "formats").stdout


def test_check_reads_any_format(tmp_path: Path) -> None:
    source = manifest(tmp_path / "own", {})
    run("convert", source, tmp_path / "voc", "--to", "voc")
    assert run("check", tmp_path / "voc").exit_code == 0
    (tmp_path / "voc" / "JPEGImages" / "photos_0.png").unlink()
    done = run("check", tmp_path / "voc")
    assert done.exit_code == 1
    assert "Images that are not there (1)" in done.stdout


def test_show_draws_pages(tmp_path: Path) -> None:
    source = manifest(tmp_path / "own", *({} for _ in range(22)), {"plates": [], "split": "dev"})
    done = run("show", source, "-o", tmp_path / "sheets")
    assert done.exit_code == 0, done.output
    pages = [Path(line) for line in done.stdout.splitlines()]
    assert [page.name for page in pages] == ["sheet-001.png", "sheet-002.png"]
    assert "23 images on 2 pages" in done.stderr
    sheet = PIL.Image.open(pages[0]).convert("RGB")
    green = [colour for colour in sheet.getcolors(1 << 24) if colour[1] == (0, 200, 83)]
    assert green[0][0] > 20 * 100
    dev = run("show", source, "-o", tmp_path / "dev", "--split", "dev")
    assert "1 images on 1 pages" in dev.stderr
    few = run("show", source, "-o", tmp_path / "few", "--marks", "--count", 3)
    assert "marks on 1 pages" in few.stderr


def test_show_names_what_it_cannot_show(tmp_path: Path) -> None:
    source = manifest(tmp_path / "own", {}, {})
    (tmp_path / "own" / "photos" / "1.png").write_bytes(b"no picture")
    done = run("show", source, "-o", tmp_path / "sheets")
    assert done.exit_code == 1
    assert "1.png" in done.stderr
    assert (tmp_path / "sheets" / "sheet-001.png").exists()


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    rows = [{"image": "photos/0.png", "split": split} for split in ["train", "dev"] * 60]
    source = manifest(tmp_path / "own", *rows)
    command = f"{sys.executable} -m platemark dataset convert {source} {tmp_path / 'new'} --to coco"
    # Files of more than 16 kB cannot be written; the image is linked.
    done = subprocess.run(
        ["bash", "-c", f"ulimit -f 16; {command}"], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 1, done.stderr
    assert "File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["own"]
