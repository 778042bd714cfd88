import csv
import errno
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import typer
from typer.testing import CliRunner, Result

from platemark.apps.cli import app
from platemark.apps.cli.common import on_terminal
from platemark.apps.cli.output import ResultFormat, standard_output
from platemark.plates.pipeline import PlatePipeline
from platemark.types import Result as PlateResult

Paint = Callable[..., Path]
LEFT, RIGHT = (20, 100, 120, 125), (180, 60, 280, 85)

pytestmark = pytest.mark.usefixtures("painted_models")


def run(*words: object, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(app, ["plates", *map(str, words)], input=stdin)


def rows(result: Result) -> list[dict[str, object]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_piped_output_is_json_lines_with_sources_as_found(tmp_path: Path, paint: Paint) -> None:
    paint("in/b.png", (LEFT, "AB12CD"), (RIGHT, "KA777"))
    paint("in/a/c.png")
    result = run(tmp_path / "in")
    assert result.exit_code == 0
    found = {row["source"]: row for row in rows(result)}
    assert set(found) == {str(tmp_path / "in/b.png"), str(tmp_path / "in/a/c.png")}
    texts = [mark["text"] for mark in found[str(tmp_path / "in/b.png")]["marks"]]
    assert sorted(texts) == ["AB12CD", "KA777"]
    assert found[str(tmp_path / "in/a/c.png")]["marks"] == []
    for row in rows(result):
        assert PlateResult.from_dict(row).to_dict() == row


def test_failed_inputs_are_named_and_the_others_done(tmp_path: Path, paint: Paint) -> None:
    good = paint("good.png", (LEFT, "AB12CD"))
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no picture at all")
    empty = tmp_path / "empty.png"
    empty.write_bytes(b"")
    missing, folder = tmp_path / "missing.jpg", tmp_path / "nothing"
    folder.mkdir()
    result = run(bad, empty, missing, folder, good)
    assert result.exit_code == 1
    codes = [row.get("error", {}).get("code") for row in rows(result)]  # type: ignore[attr-defined]
    unreadable = "unreadable_image"
    assert codes == [unreadable, unreadable, unreadable, "input_error", None]
    for path in (bad, empty, missing, folder):
        assert str(path) in result.stderr
    assert str(good) not in result.stderr


def test_formats(tmp_path: Path, paint: Paint) -> None:
    photo = paint("car.png", (LEFT, "AB12CD"))
    table = run(photo, "--format", "table")
    assert "AB12CD" in table.stdout
    listed = list(csv.DictReader(io.StringIO(run(photo, "--format", "csv").stdout)))
    assert [(row["text"], row["x0"]) for row in listed] == [("AB12CD", "20.0")]


def test_output_goes_to_the_file_only(tmp_path: Path, paint: Paint) -> None:
    photo, target = paint("car.png", (LEFT, "AB12CD")), tmp_path / "plates.jsonl"
    result = run(photo, "--output", target)
    assert (result.exit_code, result.stdout) == (0, "")
    assert json.loads(target.read_text())["marks"][0]["text"] == "AB12CD"


def test_pictures_of_same_named_inputs_and_pages_are_kept_apart(
    tmp_path: Path, paint: Paint
) -> None:
    one, two = (paint(f"{name}/car.png", (LEFT, "AB12CD")) for name in ("a", "b"))
    pages = [PIL.Image.open(path) for path in (one, two)]
    pages[0].save(tmp_path / "scan.tiff", save_all=True, append_images=pages[1:])
    drawn, cut = tmp_path / "out/drawn", tmp_path / "out/cut"
    result = run(one, two, tmp_path / "scan.tiff", "--annotated", drawn, "--crops", cut)
    assert result.exit_code == 0
    assert len(list(drawn.glob("*.jpg"))) == len(list(cut.glob("*.png"))) == 4
    assert {"car.jpg", "scan.jpg", "scan-page002.jpg"} < {path.name for path in drawn.iterdir()}
    with PIL.Image.open(cut / "car-01.png") as crop:
        assert crop.size == (100, 25)
    with PIL.Image.open(drawn / "car.jpg") as picture:
        assert picture.size == (320, 240)


def test_min_score_is_the_least_score(paint: Paint) -> None:
    photo = paint("car.png", (LEFT, "AB12CD"), red=153)
    assert len(rows(run(photo))[0]["marks"]) == 1  # type: ignore[arg-type]
    assert rows(run(photo, "--min-score", "0.7"))[0]["marks"] == []


def test_standard_input_and_lists(tmp_path: Path, paint: Paint) -> None:
    photo = paint("car.png", (LEFT, "AB12CD"))
    piped = run("-", stdin=photo.read_bytes())
    assert [row["source"] for row in rows(piped)] == ["-"]
    names = tmp_path / "names.txt"
    names.write_text(f"{photo}\n\n{photo}\n")
    assert len(rows(run(f"@{names}"))) == 2


def test_an_unwritable_folder_is_an_error_before_the_work_begins(
    tmp_path: Path, paint: Paint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PlatePipeline, "result", lambda *_: pytest.fail("the work began"))
    photo = paint("car.png")
    for option in ("--annotated", "--crops"):
        result = run(photo, option, photo / "below-a-file")
        assert result.exit_code == 2
        assert option in result.stderr
        assert "cannot write" in result.stderr
    result = run(photo, "--output", tmp_path / "nowhere/plates.jsonl")
    assert result.exit_code == 2


def test_a_read_only_folder_is_an_error(
    tmp_path: Path, paint: Paint, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: object) -> None:  # file modes do not stop root, who may run this
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    result = run(paint("car.png"), "--annotated", tmp_path)
    assert result.exit_code == 2
    assert "Permission denied" in " ".join(result.stderr.replace("│", " ").split())


def test_a_full_disk_is_an_error_with_a_message(
    tmp_path: Path, paint: Paint, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = paint("car.png", (LEFT, "AB12CD"))

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "car.jpg")

    monkeypatch.setattr(PIL.Image.Image, "save", refuse)
    result = run(photo, "--annotated", tmp_path / "drawn")
    assert result.exit_code == 1
    assert "No space left" in result.stderr


@pytest.mark.parametrize(
    "words",
    [[], ["car.png", "--format", "xml"], ["car.png", "--min-score", "2"], ["car.png", "--no"]],
)
def test_wrong_usage_gives_2(words: Sequence[str]) -> None:
    assert run(*words).exit_code == 2


def test_an_interrupt_keeps_finished_lines_and_says_how_to_go_on(
    paint: Paint, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = [paint(f"{number}.png", (LEFT, "AB12CD")) for number in range(4)]
    usual = PlatePipeline.result

    def interrupted(self: PlatePipeline, item: object) -> PlateResult:
        if getattr(item, "source", "").endswith("2.png"):
            raise KeyboardInterrupt
        return usual(self, item)  # type: ignore[arg-type]

    monkeypatch.setattr(PlatePipeline, "result", interrupted)
    for kind in ("jsonl", "csv", "table"):
        result = run(*photos, "--format", kind)
        assert result.exit_code == 130
        assert result.stdout.count("AB12CD") == 2
        assert "go on" in result.stderr
    assert len(rows(run(*photos))) == 2


def test_messages_never_mix_with_results(paint: Paint) -> None:
    photo = paint("car.png", (LEFT, "AB12CD"))
    result = run(photo, "--format", "jsonl", "--quiet")
    assert len(rows(result)) == 1
    assert result.stderr == ""


@pytest.mark.skipif(sys.platform != "linux", reason="file names are text elsewhere")
def test_a_file_name_that_is_no_text_comes_back_from_the_results(
    tmp_path: Path, paint: Paint
) -> None:
    photo = paint("in/car.png", (LEFT, "AB12CD"))
    odd = photo.rename(os.fsdecode(os.fsencode(tmp_path / "in") + b"/\xff.png"))
    target, drawn = tmp_path / "plates.jsonl", tmp_path / "drawn"
    assert run(tmp_path / "in", "--output", target, "--annotated", drawn).exit_code == 0
    assert Path(json.loads(target.read_text(encoding="utf-8"))["source"]) == odd
    assert [row["source"] for row in rows(run(tmp_path / "in"))] == [str(odd)]


def test_piped_results_are_utf_8_whatever_the_locale(paint: Paint) -> None:
    photo = paint("Київ.png")
    result = CliRunner(charset="ascii").invoke(app, ["plates", str(photo)])
    assert json.loads(result.stdout_bytes.decode("utf-8"))["source"] == str(photo)


def test_closed_standard_output_is_an_error(paint: Paint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", None)
    assert not on_terminal()
    with pytest.raises(typer.BadParameter, match="closed"):
        standard_output(ResultFormat.JSONL)


def test_inputs_are_not_overwritten(tmp_path: Path, paint: Paint) -> None:
    photo = paint("in/car.jpg", (LEFT, "AB12CD"))
    before = photo.read_bytes()
    for words in (
        (photo, "--output", photo),
        (photo, "--annotated", photo.parent),
        (photo.parent, "--annotated", photo.parent),
    ):
        assert run(*words).exit_code == 2
    assert [photo.read_bytes(), list(photo.parent.iterdir())] == [before, [photo]]


def test_wrong_usage_keeps_the_results_of_an_earlier_run(tmp_path: Path, paint: Paint) -> None:
    photo, target = paint("in/car.png"), tmp_path / "plates.jsonl"
    target.write_text("earlier")
    assert run(photo, "--output", target, "--annotated", photo).exit_code == 2
    assert target.read_text() == "earlier"


def test_a_damaged_file_gives_our_message_only(tmp_path: Path, paint: Paint) -> None:
    photo = paint("car.tif")
    bad = tmp_path / "bad.tif"
    bad.write_bytes(photo.read_bytes()[:40])
    command = [sys.executable, "-m", "platemark", "plates", str(bad)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["error"]


def test_pictures_within_the_input_folder_are_no_inputs(tmp_path: Path, paint: Paint) -> None:
    photo = paint("in/car.png", (LEFT, "AB12CD"))
    drawn, cut = photo.parent / "drawn", photo.parent / "deep" / "cut"
    for _ in range(2):
        result = run(photo.parent, "--annotated", drawn, "--crops", cut)
        assert [row["source"] for row in rows(result)] == [str(photo)]
    assert [row["source"] for row in rows(run(drawn, "--crops", drawn))] == [str(drawn / "car.jpg")]


def test_an_address_is_refused_with_what_to_do(tmp_path: Path) -> None:
    result = run("https://example.org/car.jpg", "--format", "jsonl")
    assert result.exit_code == 1
    assert rows(result)[0]["error"]["code"] == "unsupported_input"  # type: ignore[index]
    assert "curl -O https://example.org/car.jpg" in result.stderr


def test_expect_says_whether_a_plate_shows_the_text(tmp_path: Path, paint: Paint) -> None:
    paint("a.png", (LEFT, "AB12CD"))
    for text, verdict in (("ab-12 cd", "match"), ("XY99", "unsure")):
        (row,) = rows(run(tmp_path / "a.png", "--expect", text))
        assert (row["expected"]["text"], row["expected"]["verdict"]) == (  # type: ignore[index]
            *(text.upper().replace("-", "").replace(" ", ""), verdict),
        )
        assert PlateResult.from_dict(row).to_dict() == row
        listed = run(tmp_path / "a.png", "--expect", text, "--format", "csv").stdout
        assert [one["expected"] for one in csv.DictReader(io.StringIO(listed))] == [verdict]
        target = tmp_path / "plates.txt"
        assert run(tmp_path / "a.png", "--expect", text, "--output", target).exit_code == 0
        assert verdict in target.read_text()
    refused = run(tmp_path / "a.png", "--expect", "-.-")
    assert refused.exit_code == 2
    assert "neither letters nor digits" in refused.output


def test_together_gives_one_reading_for_each_plate(tmp_path: Path, paint: Paint) -> None:
    for name in ("a", "b"):
        paint(f"in/{name}.png", (LEFT, "AB12CD"))
    paint("in/c.png", (LEFT, "AB12CD"), ((200, 60, 240, 75), "KA777"))
    (tmp_path / "in/d.jpg").write_bytes(b"no picture")
    result = run(tmp_path / "in", "--together")
    assert result.exit_code == 1
    failed, car, other = rows(result)
    assert failed["error"]["code"] == "unreadable_image"  # type: ignore[index]
    assert (car["kind"], car["text"], other["text"]) == ("plate", "AB12CD", "KA777")
    views = [Path(view["source"]).name for view in car["views"]]  # type: ignore[attr-defined]
    assert sorted(views) == ["a.png", "b.png", "c.png"]
    listed = run(tmp_path / "in", "--together", "--format", "csv").stdout
    lines = list(csv.DictReader(io.StringIO(listed)))
    assert [line["plate"] for line in lines] == ["", "1", "1", "1", "2"]
    assert lines[1]["own_text"] == "AB12CD"
    target = tmp_path / "plates.txt"
    assert run(tmp_path / "in", "--together", "--output", target).exit_code == 1
    assert "AB12CD" in target.read_text()
    asked = run(tmp_path / "in", "--together", "--expect", "ab12 cd")
    _, car, other = rows(asked)
    assert car["expected"] == {"text": "AB12CD", "verdict": "match", "score": 1.0}
    assert other["expected"]["verdict"] != "match"  # type: ignore[index]
    listed = run(tmp_path / "in", "--together", "--expect", "AB12CD", "--format", "csv").stdout
    assert [one["expected"] for one in csv.DictReader(io.StringIO(listed))][:2] == ["", "match"]


def test_a_region_of_interest_leaves_out_the_rest(tmp_path: Path, paint: Paint) -> None:
    photo = paint("car.png", (LEFT, "AB12CD"), (RIGHT, "KA777"))

    def boxes(region: object) -> list[list[float]]:
        (row,) = rows(run(photo, "--region-of-interest", region))
        return [mark["box"] for mark in row["marks"]]  # type: ignore[attr-defined]

    mask = np.zeros((240, 320), np.uint8)
    mask[:90] = 255
    PIL.Image.fromarray(mask).save(tmp_path / "mask.png")
    # In pixels of the whole picture.
    assert boxes("0,90,200,200") == [list(LEFT)]
    assert boxes("150,0 320,0 320,120 150,120") == [list(RIGHT)]
    assert boxes(tmp_path / "mask.png") == [list(RIGHT)]
    assert boxes("0,0,320,240") != []
    assert boxes("900,900,990,990") == []
    refused = run(photo, "--region-of-interest", "1,2,3")
    assert refused.exit_code == 2
    assert "x0,y0,x1,y1" in refused.stderr


def test_marks_of_straightened_pictures_are_where_they_were(tmp_path: Path, paint: Paint) -> None:
    photo = paint("car.png", (LEFT, "AB12CD"))
    # A rectangle that is upright already, and the lens of a good camera.
    corners = "20,20 120,20 120,70 20,70"
    (row,) = rows(run(photo, "--prewarp", corners, "--region-of-interest", "0,90,200,200"))
    (mark,) = row["marks"]  # type: ignore[misc]
    assert mark["text"] == "AB12CD"
    assert np.allclose(mark["box"], LEFT, atol=1.0)
    refused = run(photo, "--prewarp", "1,2 3,4")
    assert refused.exit_code == 2
    assert "clockwise" in " ".join(refused.output.split())


def test_alternatives_are_as_many_as_asked_for(tmp_path: Path, paint: Paint) -> None:
    photo = paint("car.png", (LEFT, "AB12CD"))
    (row,) = rows(run(photo, "--alternatives", "0"))
    assert row["marks"][0]["alternatives"] == []  # type: ignore[index]
    assert run(photo, "--alternatives", "-1").exit_code == 2


def test_plates_of_a_watch_list_are_named_and_change_the_exit_status(
    tmp_path: Path, paint: Paint
) -> None:
    photo, other = paint("a.png", (LEFT, "AB12CD")), paint("b.png", (LEFT, "KA777"))
    listed = tmp_path / "list.csv"
    listed.write_text("text,note\nab-12-cd,stolen\n")
    result = run(photo, other, "--watch-list", listed)
    assert result.exit_code == 3
    marks = [row["marks"][0] for row in rows(result)]  # type: ignore[index]
    assert marks[0]["watch"] == {"text": "AB12CD", "score": 1.0, "note": "stolen"}
    assert "watch" not in marks[1]
    for row in rows(result):
        assert PlateResult.from_dict(row).to_dict() == row
    assert "watched" in run(photo, "--watch-list", listed, "--format", "table").stdout
    csv_out = run(photo, "--watch-list", listed, "--format", "csv").stdout
    assert [row["watch"] for row in csv.DictReader(io.StringIO(csv_out))] == ["AB12CD"]
    assert run(other, "--watch-list", listed).exit_code == 0
    # Inputs that failed come first.
    assert run(photo, tmp_path / "none.jpg", "--watch-list", listed).exit_code == 1
    assert run(photo, "--watch-list", tmp_path / "none.csv").exit_code == 2


def test_cropped_takes_each_picture_for_one_plate(tmp_path: Path, paint: Paint) -> None:
    paint("a.png")
    (row,) = rows(run(tmp_path / "a.png", "--cropped"))
    (mark,) = row["marks"]  # type: ignore[misc]
    assert mark["box"] == [0.0, 0.0, row["width"], row["height"]]


def test_regions_are_chosen_banned_and_given(tmp_path: Path, paint: Paint) -> None:
    paint("a.png", (LEFT, "KA777"))

    def region(*options: str) -> object:
        (row,) = rows(run(tmp_path / "a.png", *options))
        return row["marks"][0]["region"] and row["marks"][0]["region"]["code"]  # type: ignore[index]

    assert region("--regions", "eu-lv,eu-pl") == "eu-lv"
    assert region("--regions", "eu-lv,eu-pl", "--ban-regions", "lv") is None
    assert region("--regions", "eu-pl", "--default-region", "eu-ua-2015") == "eu-ua-2015"
    refused = run(tmp_path / "a.png", "--regions", "eu-pll")
    assert refused.exit_code == 2
    assert "eu-pl" in refused.output
