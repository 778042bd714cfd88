"""Every problem is found where it is, and none where there is none."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from platemark.datasets import Check, Dataset, check_dataset, write_check
from platemark.datasets.check import EXAMPLES, PROBLEMS
from platemark.plates.formats import load_formats

PLATE = {"box": [10, 20, 90, 45], "text": "AB12", "region": "eu-de"}
QUAD = [[10, 20], [90, 21], [90, 45], [11, 44]]


def row(number: int, **changed: Any) -> dict[str, Any]:
    usual = {"image": f"{number}.png", "width": 200, "height": 100, "split": "train"}
    return {**usual, "plates": [PLATE], **changed}


def plate(**changed: Any) -> dict[str, Any]:
    return {"plates": [{**PLATE, **changed}]}


def check(folder: Path, *rows: dict[str, Any] | str, **options: Any) -> Check:
    """Check a manifest whose images are all different noise."""
    for number, one in enumerate(rows):
        name = one["image"] if isinstance(one, dict) else "x.png"
        if not (folder / name).exists() and name != "missing.png":
            noise = np.random.default_rng(number).integers(0, 255, (100, 200, 3), np.uint8)
            PIL.Image.fromarray(noise).save(folder / name)
    lines = [one if isinstance(one, str) else json.dumps(one) for one in rows]
    (folder / "annotations.jsonl").write_text("\n".join(lines))
    return check_dataset(Dataset.open(folder), regions=load_formats(), **options)


SOUND = (
    row(0),
    row(1, **plate(text=None, region=None, quad=QUAD), split="dev"),
    row(2, **plate(text="京A12345", region="cn"), split="test"),
    row(3, plates=[]),
    row(4, stamps=[{"box": [1, 2, 60, 70], "text": "ACME Ltd / Kyiv", "shape": "circle"}]),
    row(5, **plate(region="us-va", text="C3")),
    row(6, **plate(region="xx-unknown", box=[-0.8, 20, 90, 45], text="D4")),
)


def test_a_sound_data_set(tmp_path: Path) -> None:
    found = check(tmp_path, *SOUND)
    assert found.to_dict()["problems"] == []
    assert (found.errors, found.warnings) == (0, 0)
    assert found.images == {"train": 5, "dev": 1, "test": 1}
    assert found.marks["kind"]["plate"] == {"train": 4, "dev": 1, "test": 1}
    assert found.marks["shape"]["circle"].total() == 1


@pytest.mark.parametrize(
    ("problem", "changed"),
    [
        ("no_area", plate(box=[10, 20, 10, 45])),
        ("corner_order", plate(quad=QUAD[::-1])),
        ("corner_order", plate(quad=QUAD[:3])),
        ("unreadable_entry", plate(lines=0)),
        ("unreadable_entry", {"split": "holdout"}),
        ("missing_image", {"image": "missing.png"}),
        ("wrong_size", {"width": 100, "height": 200}),
        ("listed_twice", {"image": "0.png"}),
        ("box_outside", plate(box=[110, 20, 230, 45])),
        ("box_outside", plate(box=[-40, 20, 30, 45])),
        (
            "corners_outside",
            plate(box=[10, 20, 90, 100], quad=[[10, 20], [90, 20], [90, 104], [10, 104]]),
        ),
        ("corners_off_box", plate(quad=[[60, 20], [140, 21], [140, 45], [61, 44]])),
        ("corner_start", plate(quad=QUAD[2:] + QUAD[:2])),
        ("marked_twice", {"plates": [PLATE, {**PLATE, "box": [10, 20, 90, 46], "text": None}]}),
        ("empty_text", plate(text=" ")),
        ("text_form", plate(text="ab-12")),
        ("unknown_region", plate(region="eu-zz")),
        ("unknown_region", plate(region="atlantis")),
        ("mark_across_splits", {"split": "dev"}),
    ],
)
def test_each_problem_is_found(tmp_path: Path, problem: str, changed: dict[str, Any]) -> None:
    own = {"text": "X9"} if problem != "mark_across_splits" else {}
    wrong = row(9, **changed)
    wrong["plates"] = [
        {**own, **mark} if mark.get("text") != "AB12" else {**mark, **own}
        for mark in wrong["plates"]
    ]
    found = check(tmp_path, row(0), row(1, **plate(text="CD34", region="cn")), wrong)
    expected = {problem, "duplicate"} if problem == "listed_twice" else {problem}
    assert set(found.problems) <= expected | {"corners_off_box"}
    assert found.counts[problem] == 1
    assert (found.errors > 0) == (PROBLEMS[problem][0] == "error")
    (finding,) = found.findings[problem]
    if problem not in ("mark_across_splits",):
        place = (
            "annotations.jsonl:3"
            if problem in ("no_area", "corner_order", "unreadable_entry")
            else wrong["image"]
        )
        assert place in finding.message


def test_lines_that_are_no_json_do_not_hide_the_rest(tmp_path: Path) -> None:
    found = check(tmp_path, "{broken", row(1, **plate(region="atlantis")))
    assert found.counts == {"unreadable_entry": 1, "unknown_region": 1}


def test_near_duplicates_within_and_across_splits(tmp_path: Path) -> None:
    smooth = np.add.outer(np.arange(100), np.arange(200)) * 255 // 300
    for number in range(3):
        PIL.Image.fromarray(smooth.astype(np.uint8)).save(tmp_path / f"{number}.png")
    rows = [row(0, plates=[]), row(1, plates=[]), row(2, split="test")]
    found = check(tmp_path, *rows)
    assert found.counts == {"duplicate": 1, "duplicate_across_splits": 2}
    assert "0.png (train) and 2.png (test)" in found.findings["duplicate_across_splits"][0].message
    assert not check(tmp_path, *rows, duplicates=False).counts


def test_one_class_none_and_rare_ones(tmp_path: Path) -> None:
    assert check(tmp_path, row(0, plates=[])).problems == ["no_marks"]
    texts = (plate(text=text) for text in ("A1", "B2"))
    assert check(tmp_path, *(row(n, **each) for n, each in enumerate(texts))).problems == [
        "one_class"
    ]
    many = [{**PLATE, "box": [x, 1, x + 1, 2], "text": None} for x in range(100)]
    rare = {**PLATE, "region": "cn", "text": None}
    found = check(tmp_path, row(0, plates=[*many, rare]))
    assert found.findings["rare_class"][0].message == "region cn: 1, the most frequent 100"


def test_a_damaged_image(tmp_path: Path) -> None:
    (tmp_path / "0.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    assert check(tmp_path, row(0)).problems == ["unreadable_image"]


def test_memory_holds_the_first_findings_alone(tmp_path: Path) -> None:
    crowd = [{**PLATE, "box": [3 * n, 1, 3 * n + 2, 2], "text": "a"} for n in range(60)]
    found = check(tmp_path, row(0, plates=crowd), row(1, plates=crowd))
    assert found.counts["text_form"] == 120
    assert len(found.findings["text_form"]) == EXAMPLES


def test_the_page_has_what_was_found_and_hides_no_script(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    found = check(
        tmp_path, row(0, **plate(region=evil)), row(1, **plate(text="X1", quad=QUAD[2:] + QUAD[:2]))
    )
    write_check(found, Dataset.open(tmp_path), tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert page.count("data:image/jpeg;base64,") == 2
    assert "Plates whose corners begin elsewhere" in page
    assert f"{found.errors} errors, {found.warnings} warnings" in page
