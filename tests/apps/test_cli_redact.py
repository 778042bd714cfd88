import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from typer.testing import CliRunner, Result

from platemark.apps.cli import app
from platemark.pipeline import Pipeline

Paint = Callable[..., Path]
LEFT, RIGHT = (20, 100, 120, 125), (180, 60, 280, 85)

pytestmark = pytest.mark.usefixtures("painted_models")


def run(*words: object, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(app, ["redact", *map(str, words)], input=stdin)


def is_black(file: Path, box: tuple[int, int, int, int]) -> bool:
    x0, y0, x1, y1 = box
    return not np.asarray(PIL.Image.open(file).convert("RGB"))[y0:y1, x0:x1].any()


def test_copies_of_a_folder_are_written_and_listed(tmp_path: Path, paint: Paint) -> None:
    paint("in/b.png", (LEFT, "AB12CD"), (RIGHT, "KA777"))
    plain = paint("in/a/c.png")
    before = plain.read_bytes()
    for _ in range(2):  # the copies are no inputs of a second run
        result = run(tmp_path / "in", "--output", tmp_path / "in/covered", "--style", "box")
        assert result.exit_code == 0
        rows = [json.loads(line) for line in result.stdout.splitlines()]
        assert [Path(row["source"]).name for row in rows] == ["b.png", "c.png"]
    covered = {Path(row["source"]).name: row for row in rows}
    assert [len(covered[name]["pages"][0]["marks"]) for name in ("b.png", "c.png")] == [2, 0]
    copy = Path(covered["b.png"]["output"])
    assert copy == tmp_path / "in/covered/b.png"
    assert is_black(copy, LEFT)
    assert is_black(copy, RIGHT)
    same = np.asarray(PIL.Image.open(covered["c.png"]["output"]))
    assert (same == np.asarray(PIL.Image.open(plain))).all()
    assert plain.read_bytes() == before


@pytest.mark.parametrize("style", ["blur", "pixelate"])
def test_styles(tmp_path: Path, paint: Paint, style: str) -> None:
    photo = paint("car.png", (LEFT, "AB12CD"))
    assert run(photo, "-o", tmp_path / "out", "--style", style).exit_code == 0
    before, after = (np.asarray(PIL.Image.open(path)) for path in (photo, tmp_path / "out/car.png"))
    x0, y0, x1, y1 = LEFT
    assert (before != after).any(axis=2)[y0:y1, x0:x1].mean() > 0.9
    assert not is_black(tmp_path / "out/car.png", LEFT)


def test_what_fails_has_no_copy_and_the_others_are_done(tmp_path: Path, paint: Paint) -> None:
    good = paint("good.png", (LEFT, "AB12CD"))
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no picture at all")
    result = run(bad, tmp_path / "missing.png", good, "--output", tmp_path / "out", "--quiet")
    assert result.exit_code == 1
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row.get("error", {}).get("code") for row in rows] == [*["unreadable_image"] * 2, None]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good.png"]
    assert str(bad) in result.stderr


def test_names_of_copies_are_kept_apart(tmp_path: Path, paint: Paint) -> None:
    one, two = (paint(f"{name}/car.png", (LEFT, "AB12CD")) for name in ("a", "b"))
    assert run(one, two, "--output", tmp_path / "out").exit_code == 0
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_an_input_is_not_overwritten(tmp_path: Path, paint: Paint) -> None:
    photo = paint("in/car.png", (LEFT, "AB12CD"))
    before = photo.read_bytes()
    for given in (photo, photo.parent):
        result = run(given, "--output", photo.parent)
        assert result.exit_code == 1
        assert "would be overwritten" in result.stderr
    assert photo.read_bytes() == before


def test_standard_input_pages_and_tables(tmp_path: Path, paint: Paint) -> None:
    pages = [PIL.Image.open(paint(f"{n}.png", (LEFT, "AB12CD"))) for n in range(3)]
    pages[0].save(tmp_path / "scan.tif", save_all=True, append_images=pages[1:])
    data = (tmp_path / "scan.tif").read_bytes()
    words = ("-", "--output", tmp_path / "out", "--style", "box", "--format", "table")
    result = run(*words, stdin=data)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1].split()[-2:] == ["3", "3"]
    with PIL.Image.open(tmp_path / "out/stdin.tif") as scan:
        assert scan.n_frames == 3


def test_min_score_spares_what_is_below_it(tmp_path: Path, paint: Paint) -> None:
    photo = paint("car.png", (LEFT, "AB12CD"), red=120)
    for least, covered in (("0.6", False), ("0.3", True)):
        words = (photo, "-o", tmp_path / "out", "--style", "box", "--min-score", least)
        assert run(*words).exit_code == 0
        assert is_black(tmp_path / "out/car.png", LEFT) is covered


def test_an_interrupt_keeps_what_is_done_and_says_how_to_go_on(
    tmp_path: Path, paint: Paint, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = [paint(f"{number}.png", (LEFT, "AB12CD")) for number in range(3)]
    usual = Pipeline.redact

    def interrupted(self: object, image: object, *more: object, **options: object) -> object:
        if getattr(image, "source", "").endswith("2.png"):
            raise KeyboardInterrupt
        return usual(self, image, *more, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Pipeline, "redact", interrupted)
    result = run(*photos, "--output", tmp_path / "out")
    assert result.exit_code == 130
    assert len(list((tmp_path / "out").iterdir())) == len(result.stdout.splitlines()) == 2
    assert "The 2 finished are complete" in result.stderr


@pytest.mark.parametrize(
    "words", [["car.png"], ["car.png", "-o", "out", "--style", "smear"], ["-o", "out"]]
)
def test_wrong_usage_gives_2(words: list[str]) -> None:
    assert run(*words).exit_code == 2
