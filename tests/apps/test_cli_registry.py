import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner, Result

from platemark.apps.cli import app
from platemark.models.store import find_model
from platemark.registry import Registry
from platemark.stamps.pipeline import StampPipeline
from platemark.types import Result as StampResult

LETTER = Path(__file__).parents[2] / "examples" / "documents" / "letter-seal.jpg"
Draw = Callable[..., NDArray[np.float32]]
MakePage = Callable[..., Path]


@pytest.fixture(autouse=True)
def tiny_models(stamp_pipeline: StampPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let everything that loads the bundled models get the tiny ones."""
    parts = stamp_pipeline.detector, stamp_pipeline.segmenter, stamp_pipeline.embedder
    monkeypatch.setattr(
        StampPipeline,
        "from_pretrained",
        lambda *_, registry=None, **__: StampPipeline(*parts, registry),
    )


@pytest.fixture
def page(tmp_path: Path, draw_stamp: Draw) -> MakePage:
    """Make a page with stamps of the shapes given, side by side."""

    def make(name: str, *shapes: str, text: str = "ACME Ltd") -> Path:
        pixels = np.full((240, 240 * max(1, len(shapes)), 3), 240, np.uint8)
        for number, shape in enumerate(shapes):
            centre = (120 + 240 * number, 120)
            draw_stamp(pixels, shape, centre, 180, "blue", text=(text, "No 12345"))
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(pixels).save(path)
        return path

    return make


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "stamps.db"


def run(command: str, db: Path, *words: object) -> Result:
    options = ["registry", command, "--registry", str(db)]
    return CliRunner().invoke(app, [*options, *map(str, words)])


def rows(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_stamp_is_added_and_its_imprints_are_named(db: Path, page: MakePage) -> None:
    done = run("add", db, "ACME", page("1.png", "circle"), page("2.png", "rectangle"))
    assert (done.exit_code, len(rows(done))) == (0, 2)
    first = rows(done)[0]
    assert (first["name"], first["new_design"], first["alike"]) == ("ACME", True, [])
    run("add", db, "Other", page("3.png", "triangle", text="Kyiv"))
    (row,) = rows(run("identify", db, page("1.png", "circle"), "--top-k", 5))
    assert StampResult.from_dict(row).to_dict()["marks"][0]["identity"]["name"] == "ACME"
    candidates = row["marks"][0]["candidates"]
    assert [one["name"] for one in candidates] == ["ACME", "Other"]
    assert set(candidates[0]) == {
        *("name", "design", "similarity", "accepted"),
        *("score", "sample"),
    }
    assert candidates[0]["design"] == first["design"]
    top = rows(run("identify", db, page("1.png", "circle"), "--top-k", 1))
    assert len(top[0]["marks"][0]["candidates"]) == 1


def test_stamps_are_named_by_a_registry(db: Path, page: MakePage) -> None:
    run("add", db, "ACME", page("1.png", "circle"))
    words = ["stamps", str(page("two.png", "circle", "rectangle")), "--registry", str(db)]
    (row,) = rows(CliRunner().invoke(app, words))
    for mark in row["marks"]:
        assert set(mark["identity"]) == {"name", "design", "similarity", "accepted"}
    table = CliRunner().invoke(app, [*words, "--format", "table"]).stdout
    assert "known as" in table
    missing = CliRunner().invoke(app, ["stamps", words[1], "--registry", "none.db"])
    assert missing.exit_code == 1
    assert "none.db does not exist" in missing.stderr


def test_designs_are_listed_shown_changed_and_removed(
    db: Path, page: MakePage, tmp_path: Path
) -> None:
    run("add", db, "ACME", page("1.png", "circle"), "--tag", "b", "--tag", "a", "--owner", "me")
    run("add", db, "Other", page("2.png", "rectangle"))
    assert [row["name"] for row in rows(run("list", db))] == ["ACME", "Other"]
    (row,) = rows(run("list", db, "ACM"))
    assert (row["tags"], row["owner"], row["samples"]) == (["a", "b"], "me", 1)
    assert "Other" in run("list", db, "--format", "table").stdout
    assert run("edit", db, "ACME", "--notes", "seen twice").exit_code == 0
    assert run("rename", db, "ACME", "ACME Ltd").exit_code == 0
    assert run("retire", db, "Other").exit_code == 0
    assert [row["name"] for row in rows(run("list", db, "--retired"))] == ["Other"]
    assert run("retire", db, "Other", "--undo").exit_code == 0
    shown = run("show", db, "ACME Ltd", "--pictures", tmp_path / "pictures", "--format", "table")
    assert "seen twice" in shown.stdout
    (row,) = rows(run("show", db, row["design"]))
    (sample,) = row["samples"]
    assert (sample["source"], sample["page"]) == (str(tmp_path / "1.png"), 0)
    assert (tmp_path / "pictures" / f"{sample['sample']}.png").is_file()
    assert run("merge", db, "ACME Ltd", "Other").exit_code == 0
    assert rows(run("list", db))[0]["samples"] == 2
    split = run("split", db, "ACME Ltd", "Other", "--sample", sample["sample"])
    assert split.exit_code == 0
    assert run("remove", db, "--sample", sample["sample"]).exit_code == 0
    assert run("remove", db, "Other", "ACME Ltd").exit_code == 0
    assert rows(run("list", db)) == []


def test_stamps_are_found_by_what_they_say(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # the bundled models can read
    quick = ("--threads", 1)
    run("add", db, "Garden", LETTER, *quick)
    assert rows(run("list", db, "--text", "дачное")) == []
    assert rows(run("show", db, "Garden"))[0]["samples"][0]["text"] is None
    assert run("reindex", db, "--read", *quick).exit_code == 0
    (row,) = rows(run("list", db, "--text", "дачное garden"))
    (again,) = rows(run("list", db, "garden", "--text", "Некоммерческ"))
    assert row["name"] == again["name"] == "Garden"
    other = db.with_name("other.db")
    run("add", other, "Garden", LETTER, "--read", *quick)
    text = rows(run("show", other, "Garden"))[0]["samples"][0]["text"]
    assert "ДАЧНОЕ" in text
    assert rows(run("list", other, "--text", "дачное рим")) == []


def test_trees_tables_documents_and_boxes(db: Path, page: MakePage, tmp_path: Path) -> None:
    page("tree/One/a.png", "circle")
    page("tree/Two/a.png", "rectangle")
    assert run("add", db, "--tree", tmp_path / "tree").exit_code == 0
    two = page("two.png", "circle", "triangle", text="Kyiv")
    names = ["Left", "Right"]
    assert run("add", db, *names, "--document", two, "--duplicates", "allow").exit_code == 0
    (tmp_path / "t.csv").write_text(f"source,name\n{two},Table\n")
    assert run("add", db, "--csv", tmp_path / "t.csv", "--duplicates", "allow").exit_code == 0
    words = ["Box", two, "--box", "10,20,230,220", "--duplicates", "allow"]
    assert run("add", db, *words).exit_code == 0
    assert run("add", db, "Whole", tmp_path / "tree/One/a.png", "--whole").exit_code == 0
    listed = {row["name"]: row["samples"] for row in rows(run("list", db))}
    assert listed == {"Box": 1, "Left": 1, "One": 1, "Right": 1, "Table": 2, "Two": 1, "Whole": 1}


def test_what_fails_is_named_and_the_rest_is_done(db: Path, page: MakePage) -> None:
    images = [page("blank.png"), "none.png", page("good.png", "circle")]
    done = run("add", db, "ACME", *images)
    assert done.exit_code == 1
    assert [row.get("error", {}).get("code") for row in rows(done)] == [
        "no_stamp_found",
        "unreadable_image",
        None,
    ]
    assert "none.png does not exist" in done.stderr
    assert rows(run("list", db))[0]["samples"] == 1
    again = run("add", db, "Other", page("good.png", "circle"), "--format", "table")
    assert again.exit_code == 1
    assert "duplicate_design" in again.stdout
    assert "is a sample of 'ACME' already" in again.stderr


def test_different_stamps_and_one_name_are_refused_unless_all_are_meant(
    db: Path, page: MakePage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platemark.usecases.enrol._ALIKE", 0.999)
    three = page("3.png", "circle", "rectangle", "triangle")
    done = run("add", db, "ACME", three)
    assert done.exit_code == 1
    assert rows(done)[0]["error"]["code"] == "several_stamps"
    for said in ("circle on page 0 at (", "rectangle on page 0", "triangle on page 0"):
        assert said in done.stderr
    assert rows(run("list", db)) == []
    assert run("add", db, "ACME", three, "--all").exit_code == 0
    assert rows(run("list", db))[0]["samples"] == 3


@pytest.mark.parametrize(
    "words",
    [
        ["add"],
        ["add", "ACME"],
        ["add", "ACME", "a.png", "--tree", "."],
        ["add", "--tree", "no-such-folder"],
        ["add", "ACME", "a.png", "--box", "1,2,3"],
        ["remove"],
        ["identify", "a.png", "--false-accepts", "0"],
    ],
)
def test_wrong_usage(db: Path, words: list[str]) -> None:
    assert run(words[0], db, *words[1:]).exit_code == 2
    assert not db.exists()


@pytest.mark.parametrize("command", ["list", "show", "remove", "identify", "export", "rename"])
def test_a_registry_that_is_not_there_is_not_made(db: Path, command: str) -> None:
    words = {"list": [], "rename": ["a", "b"]}.get(command, ["a.png"])
    done = run(command, db, *words)
    assert done.exit_code == 1
    assert "does not exist" in done.stderr
    assert not db.exists()


def test_what_is_no_registry_is_said_to_be_none(db: Path) -> None:
    db.write_bytes(b"something else" * 100)
    done = run("list", db)
    assert done.exit_code == 1
    assert "is no registry" in done.stderr


def test_a_design_that_is_not_there(db: Path, page: MakePage) -> None:
    run("add", db, "ACME", page("1.png", "circle"))
    for command in ("show", "remove"):
        done = run(command, db, "O'Brien")
        assert done.exit_code == 1
        assert 'has no design "O\'Brien"' in done.stderr


def test_an_archive_goes_from_one_registry_to_another(
    db: Path, page: MakePage, tmp_path: Path
) -> None:
    run("add", db, "ACME", page("1.png", "circle"))
    assert run("export", db, tmp_path / "all.zip").exit_code == 0
    other = tmp_path / "other.db"
    assert run("import", other, tmp_path / "all.zip").exit_code == 0
    assert rows(run("list", other)) == rows(run("list", db))
    assert run("reindex", other).exit_code == 0
    with Registry.open(other) as registry:
        assert registry.model == "stamp-embedder@1"
    assert run("import", other, db).exit_code == 1


def test_tables_show_who_was_found(db: Path, page: MakePage) -> None:
    run("add", db, "ACME", page("1.png", "circle"))
    images = [page("1.png", "circle"), page("blank.png"), "none.png"]
    done = run("identify", db, *images, "--format", "table")
    assert done.exit_code == 1
    for text in ("ACME", "no stamp", "unreadable_image"):
        assert text in done.stdout
    whole = run("identify", db, page("1.png", "circle"), "--whole")
    assert rows(whole)[0]["marks"][0]["box"] == [0.0, 0.0, 240.0, 240.0]


def test_a_comparer_of_ones_own_judges_for_the_registry(
    db: Path, page: MakePage, tmp_path: Path
) -> None:
    doubting = tmp_path / "mine" / "stamp-comparer"
    shutil.copytree(find_model(None, task="comparer", kind="stamp").folder, doubting)
    card = json.loads((doubting / "card.json").read_text())
    card["calibration"] = {"scale": 1.0, "bias": -9.0}
    (doubting / "card.json").write_text(json.dumps(card))
    run("add", db, "ACME", page("1.png", "circle"))
    again = page("2.png", "circle")
    (bundled,) = rows(run("identify", db, again))
    (own,) = rows(run("identify", db, again, "--model", doubting.parent))
    scores = [row["marks"][0]["candidates"][0]["score"] for row in (bundled, own)]
    assert scores[1] < 0.5 * scores[0]


def test_thresholds_are_measured_and_kept(db: Path, page: MakePage, tmp_path: Path) -> None:
    assert run("calibrate", db).exit_code == 1
    for name, shape, text in (("A", "circle", "ACME"), ("B", "triangle", "Kyiv")):
        run("add", db, name, page(f"{name}.png", shape, text=text))
    strangers = page("strangers/1.png", "rectangle", text="Riga").parent
    done = run("calibrate", db, strangers, "--format", "jsonl")
    assert done.exit_code == 0
    assert "3 unknown stamps against 2 designs" in done.stderr
    known = {row["false_accepts"]: row["score"] for row in rows(done)}
    assert 0.0 <= known[0.1] <= 1.0
    assert known[0.001] is None
    assert "not known" in run("calibrate", db, "--format", "table").stdout
    query = page("query.png", "circle", text="ACME")
    assert "too few" in run("identify", db, query, "--false-accepts", 0.01).stderr
    assert "too few" not in run("identify", db, query).stderr
    missing = run("calibrate", db, tmp_path / "missing.png")
    assert missing.exit_code == 1
    assert "missing.png" in missing.stderr
