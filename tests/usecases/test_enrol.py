"""Stamps put into a registry from pictures, folders, tables, documents and drawn boxes."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from numpy.typing import NDArray

from platemark.errors import (
    DatasetError,
    DuplicateDesign,
    InvalidDesign,
    NoStampFound,
    SeveralStamps,
    UnreadableImage,
    VectorMismatch,
)
from platemark.registry import Registry
from platemark.stamps.pipeline import StampPipeline
from platemark.usecases.enrol import (
    Enrolled,
    Entry,
    Terms,
    enrol,
    from_csv,
    from_tree,
    reindex,
)
from platemark.usecases.pages import Where

Draw = Callable[..., NDArray[np.float32]]
MakePage = Callable[..., Path]


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with Registry.open(tmp_path / "stamps.db") as opened:
        yield opened


@pytest.fixture
def make_page(tmp_path: Path, draw_stamp: Draw) -> MakePage:
    """Make a page with stamps of the shapes and inks given, side by side."""

    def make(name: str, *stamps: tuple[str, str], pages: int = 1) -> Path:
        page = np.full((240, 240 * max(1, len(stamps)), 3), 240, np.uint8)
        for number, (shape, color) in enumerate(stamps):
            draw_stamp(page, shape, (120 + 240 * number, 120), 180, color)
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = PIL.Image.fromarray(page)
        more = [PIL.Image.new("RGB", picture.size, "white") for _ in range(pages - 1)]
        picture.save(path, **({"save_all": True, "append_images": more} if more else {}))
        return path

    return make


def added(
    registry: Registry, pipeline: StampPipeline, *entries: Entry | Enrolled, **terms: object
) -> list[Enrolled]:
    return list(enrol(registry, pipeline, entries, Terms(**terms)))  # type: ignore[arg-type]


def codes(done: list[Enrolled]) -> list[str | None]:
    errors = [one.error or next((s.error for s in one.stamps if s.error), None) for one in done]
    return [None if error is None else error.code for error in errors]


def test_imprints_of_one_stamp_are_samples_of_its_name(
    registry: Registry, stamp_pipeline: StampPipeline, make_page: MakePage
) -> None:
    same = make_page("same.png", ("circle", "blue"), ("circle", "red"))
    (one,) = added(registry, stamp_pipeline, Entry("ACME", str(same)), tags=("t",), owner="o")
    assert (len(one.added), one.error, one.warnings) == (2, None, ())
    design = registry.design("ACME")
    assert (design.samples, design.tags, design.owner) == (2, ("t",), "o")


@pytest.mark.parametrize("pages", [1, 3])
def test_different_stamps_under_one_name_are_refused_and_listed(
    registry: Registry,
    stamp_pipeline: StampPipeline,
    make_page: MakePage,
    monkeypatch: pytest.MonkeyPatch,
    pages: int,
) -> None:
    # The tiny embedder hardly tells stamps apart, so the comparison of their ink decides.
    monkeypatch.setattr("platemark.usecases.enrol._ALIKE", 0.999)
    stamps = ("circle", "blue"), ("rectangle", "red"), ("triangle", "red")
    name = "three.tiff" if pages > 1 else "three.png"
    entry = Entry("ACME", str(make_page(name, *stamps, pages=pages)))
    (one,) = added(registry, stamp_pipeline, entry)
    assert isinstance(one.error, SeveralStamps)
    assert one.error.source == entry.source
    for found in ("blue circle on page 0 at (", "red rectangle on page 0", "red triangle on page"):
        assert found in one.error.message
    assert len(registry) == 0
    done = added(registry, stamp_pipeline, entry, all=True, duplicates="allow")
    assert [len(page.added) for page in done] == [3, 0, 0][:pages]
    assert registry.design("ACME").samples == 3


def test_an_image_without_a_stamp_leaves_the_others(
    registry: Registry, stamp_pipeline: StampPipeline, make_page: MakePage, tmp_path: Path
) -> None:
    entries = [
        Entry("ACME", str(make_page("blank.png"))),
        Entry("ACME", str(tmp_path / "none.png")),
        Entry("x" * 501, str(make_page("long.png", ("circle", "blue")))),
        Entry("ACME", str(make_page("good.png", ("circle", "blue")))),
    ]
    done = added(registry, stamp_pipeline, *entries)
    assert [type(one.error) for one in done] == [
        NoStampFound,
        UnreadableImage,
        type(None),
        type(None),
    ]
    assert isinstance(done[2].stamps[0].error, InvalidDesign)
    assert "say where it is with a box" in str(done[0].error)
    assert [design.samples for design in registry.designs()] == [1]


def test_a_drawn_box_is_taken_as_it_is(
    registry: Registry, stamp_pipeline: StampPipeline, make_page: MakePage
) -> None:
    page = str(make_page("two.png", ("circle", "blue"), ("rectangle", "red")))
    (one,) = added(registry, stamp_pipeline, Entry("right", page, where=Where((250, 20, 470, 220))))
    assert len(one.added) == 1
    x0, _, x1, _ = one.added[0].sample.box
    assert 200 < x0 <= 250
    assert 470 <= x1 <= 480
    done = added(registry, stamp_pipeline, Entry("right", page, where=Where((900, 0, 990, 90))))
    assert "is not on" in str(done[0].error)
    white = added(registry, stamp_pipeline, Entry("white", page, where=Where((0, 0, 20, 20))))
    assert codes(white) == ["no_stamp_found"]
    assert len(registry) == 1


def test_a_page_of_a_document_can_be_meant(
    registry: Registry, stamp_pipeline: StampPipeline, make_page: MakePage
) -> None:
    scan = str(make_page("scan.tiff", ("circle", "blue"), pages=3))
    done = added(registry, stamp_pipeline, Entry("all", scan))
    assert [(one.page, len(one.added), one.error) for one in done] == [
        (0, 1, None),
        (1, 0, None),
        (2, 0, None),
    ]
    assert codes(added(registry, stamp_pipeline, Entry("all", scan, page=1))) == ["no_stamp_found"]
    assert codes(added(registry, stamp_pipeline, Entry("all", scan, page=0))) == [None]
    (one,) = added(registry, stamp_pipeline, Entry("all", scan, page=7))
    assert "no page 7" in str(one.error)


def test_a_whole_picture_is_one_stamp(
    registry: Registry, stamp_pipeline: StampPipeline, make_page: MakePage
) -> None:
    page = str(make_page("one.png", ("circle", "blue")))
    (one,) = added(registry, stamp_pipeline, Entry("ACME", page, where=Where(whole=True)))
    assert one.added[0].sample.box == (0.0, 0.0, 240.0, 240.0)


def test_a_tree_has_a_design_for_each_folder(
    registry: Registry, stamp_pipeline: StampPipeline, make_page: MakePage, tmp_path: Path
) -> None:
    make_page("tree/ACME/1.png", ("circle", "blue"))
    make_page("tree/ACME/2.png", ("circle", "red"))
    make_page("tree/O'Brien ☂/a.png", ("rectangle", "red"))
    make_page("tree/stray.png", ("triangle", "red"))
    (tmp_path / "tree/empty").mkdir()
    (tmp_path / "tree/notes.txt").write_text("passed over")
    done = added(registry, stamp_pipeline, *from_tree(tmp_path / "tree"), duplicates="allow")
    assert {one.source.removeprefix(f"{tmp_path}/tree/"): one.error is None for one in done} == {
        "ACME/1.png": True,
        "ACME/2.png": True,
        "O'Brien ☂/a.png": True,
        "empty": False,
        "stray.png": False,
    }
    assert {design.name: design.samples for design in registry.designs()} == {
        "ACME": 2,
        "O'Brien ☂": 1,
    }


def test_in_a_tree_a_picture_in_which_none_is_found_is_one(
    registry: Registry,
    stamp_pipeline: StampPipeline,
    make_page: MakePage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_page("tree/ACME/1.png", ("circle", "blue"))
    make_page("tree/blank/1.png")
    monkeypatch.setattr(stamp_pipeline, "detector", lambda _: [])
    good, blank = added(registry, stamp_pipeline, *from_tree(tmp_path / "tree"))
    assert "the whole picture was taken" in good.warnings[0]
    assert codes([good, blank]) == [None, "no_stamp_found"]
    assert [design.name for design in registry.designs()] == ["ACME"]


def test_a_table_names_pages_and_boxes(
    registry: Registry, stamp_pipeline: StampPipeline, make_page: MakePage, tmp_path: Path
) -> None:
    make_page("two.png", ("circle", "blue"), ("rectangle", "red"))
    table = tmp_path / "known.csv"
    table.write_text(
        "source,page,name,x0,y0,x1,y1,score\n"
        'two.png,0,"left, Ltd",10,20,230,220,0.9\n'
        "two.png,,right,250,20,470,220,\n"
        "two.png,0,,,,,,\n"
        "none.png,,ACME,,,,,\n",
        encoding="utf-8",
    )
    done = added(registry, stamp_pipeline, *from_csv(table), duplicates="allow")
    assert codes(done) == [None, None, "unreadable_image"]
    assert [design.name for design in registry.designs()] == ["left, Ltd", "right"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,picture\nACME,a.png\n", "known.csv:1: the table needs the columns"),
        ("", "known.csv:1: the table needs the columns"),
        ("source,name,x0,y0,x1,y1\na.png,ACME,1,2,3,\n", "known.csv:2: "),
        ("source,name,x0,y0,x1,y1\na.png,ok,,,,\na.png,ACME,9,9,1,1\n", "known.csv:3: a box has"),
        ("source,name,page\na.png,ACME,first\n", "known.csv:2: "),
        ("source,name\n,ACME\n", "known.csv:2: the source is empty"),
    ],
)
def test_a_table_that_is_none_names_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    table = tmp_path / "known.csv"
    table.write_text(text, encoding="utf-8")
    with pytest.raises(DatasetError) as raised:
        from_csv(table)
    assert message in raised.value.message
    (tmp_path / "latin.csv").write_bytes(b"source,name\na.png,\xff\xfe\n")
    with pytest.raises(DatasetError, match="UTF-8"):
        from_csv(tmp_path / "latin.csv")


def test_the_stamps_of_a_document_are_named_in_reading_order(
    registry: Registry, stamp_pipeline: StampPipeline, make_page: MakePage
) -> None:
    page = str(make_page("two.png", ("circle", "blue"), ("rectangle", "red")))
    (done,) = added(registry, stamp_pipeline, Entry(("left", "right"), page), duplicates="allow")
    assert [stamp.name for stamp in done.stamps] == ["left", "right"]
    assert registry.samples("left")[0].box[0] < registry.samples("right")[0].box[0]
    (one,) = added(registry, stamp_pipeline, Entry(("", "right"), page))
    assert [(s.name, s.added and s.added.new_sample) for s in one.stamps] == [("right", False)]
    assert "already" in one.warnings[0]


def test_another_number_of_names_than_stamps_adds_nothing(
    registry: Registry, stamp_pipeline: StampPipeline, make_page: MakePage, tmp_path: Path
) -> None:
    page = str(make_page("three.png", *[("circle", "blue")] * 3))
    for names, error in ((("ACME",), SeveralStamps), (("a", "b", "c", "d"), NoStampFound)):
        (one,) = added(registry, stamp_pipeline, Entry(names, page))
        assert isinstance(one.error, error)
        assert f"has 3 stamps and {len(names)} names were given: blue circle on page 0 at (" in str(
            one.error
        )
    assert codes(added(registry, stamp_pipeline, Entry(("ACME",), str(tmp_path / "none.pdf")))) == [
        "unreadable_image"
    ]
    assert len(registry) == 0


def test_the_same_picture_under_another_name_is_refused(
    registry: Registry, stamp_pipeline: StampPipeline, make_page: MakePage
) -> None:
    page = str(make_page("one.png", ("circle", "blue")))
    first, second = added(registry, stamp_pipeline, Entry("ACME", page), Entry("Other", page))
    assert first.error is None
    assert isinstance(second.stamps[0].error, DuplicateDesign)


def test_a_pipeline_names_what_the_registry_knows(
    registry: Registry, stamp_pipeline: StampPipeline, make_page: MakePage
) -> None:
    page = make_page("one.png", ("circle", "blue"))
    naming = StampPipeline(
        stamp_pipeline.detector, stamp_pipeline.segmenter, stamp_pipeline.embedder, registry
    )
    assert naming(page).marks[0].identity is None  # type: ignore[union-attr]
    added(registry, stamp_pipeline, Entry("ACME", str(page)))
    identity = naming(page).marks[0].identity  # type: ignore[union-attr]
    assert identity is not None
    assert (identity.name, identity.design) == ("ACME", registry.design("ACME").id)
    assert identity.similarity == pytest.approx(1.0, abs=1e-4)


def test_a_registry_of_another_model_is_refused_before_the_work_begins(
    registry: Registry, stamp_pipeline: StampPipeline, make_page: MakePage
) -> None:
    page = make_page("one.png", ("circle", "blue"))
    added(registry, stamp_pipeline, Entry("ACME", str(page)))
    registry.reindex(lambda inks: np.eye(4, dtype=np.float32)[: len(inks)], "other@1")
    parts = stamp_pipeline.detector, stamp_pipeline.segmenter, stamp_pipeline.embedder
    with pytest.raises(VectorMismatch, match="registry reindex"):
        StampPipeline(*parts, registry)
    assert reindex(registry, stamp_pipeline) == 1
    assert StampPipeline(*parts, registry)(page).marks[0].identity is not None  # type: ignore[union-attr]
