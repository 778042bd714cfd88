"""The folder of a batch: its plan, its journals, its parts."""

import json
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import PIL.Image
import pyarrow.parquet
import pytest

import platemark as pm
from platemark.errors import InputError, MissingExtra
from platemark.imaging.image import Image
from platemark.imaging.sources import PageRead, Unread
from platemark.types import Failure, Result
from platemark.usecases.batch import Batch, Begun, PartFormat, Reached, Told
from platemark.usecases.export import PLATES, STAMPS, Layout

QUAD = ((1.0, 2.0), (9.0, 2.0), (9.0, 4.0), (1.0, 4.0))


def look(read: PageRead) -> Result:
    """A plate that says how wide the page is."""
    item = read()
    if isinstance(item, Unread):
        return Result(item.source, item.page, error=Failure(item.error.code, item.error.message))
    mark = pm.PlateMark(0.9, (1.0, 2.0, 9.0, 4.0), QUAD, f"W{item.width}", 0.8)
    return Result(item.source, item.page, item.width, item.height, (mark,), 1.5)


def save(path: Path, *widths: int) -> Path:
    first, *others = [PIL.Image.new("RGB", (width, 10)) for width in widths]
    first.save(path, **({"save_all": True, "append_images": others} if others else {}))
    return path


def open_batch(
    out: Path,
    *inputs: object,
    form: PartFormat = PartFormat.JSONL,
    layout: Layout = PLATES,
    **more: Any,
) -> Batch:
    return Batch.open(out, [str(name) for name in inputs], more, format=form, layout=layout)


def done(batch: Batch, look: Callable[[PageRead], Result] = look) -> list[dict[str, Any]]:
    """The rows of all parts, after what was left of them was done."""
    for part in batch.parts():
        if not batch.is_done(part):
            batch.do(part, look)
    files = sorted(batch.folder.glob("part-*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def sources(rows: list[dict[str, Any]]) -> list[str]:
    return [row["source"] for row in rows]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of a picture, a document, what is no picture, and a picture: 6 pages."""
    folder = tmp_path / "in"
    folder.mkdir()
    save(folder / "a.png", 21)
    save(folder / "b.tif", 31, 32, 33)
    (folder / "c.jpg").write_bytes(b"no picture")
    save(folder / "d.png", 41)
    return folder


def test_a_row_for_each_page_in_the_order_of_the_inputs(folder: Path, tmp_path: Path) -> None:
    batch = open_batch(tmp_path / "out", folder / "d.png", folder, "nothing*.jpg")
    rows = done(batch)
    assert batch.count == 6
    assert [Path(source).name for source in sources(rows)] == [
        *("d.png", "a.png", "b.tif", "b.tif", "b.tif", "c.jpg", "d.png", "nothing*.jpg")
    ]
    texts = [row["marks"][0]["text"] for row in rows if "error" not in row]
    assert texts == ["W41", "W21", "W31", "W32", "W33", "W41"]
    messages = [row["error"]["message"] for row in rows if "error" in row]
    assert "not an image" in messages[0]
    assert "matches no file" in messages[1]


def test_it_goes_on_from_wherever_it_was_broken_off(folder: Path, tmp_path: Path) -> None:
    whole = done(open_batch(tmp_path / "whole", folder))
    lines = [json.dumps(row).encode() + b"\n" for row in whole]
    content = b"".join(lines)
    for cut in {*range(0, len(content), 61), *(len(b"".join(lines[:n])) for n in range(7))}:
        batch = open_batch(tmp_path / f"{cut}", folder)
        (tmp_path / f"{cut}" / ".batch" / "part-00000.jsonl").write_bytes(content[:cut])
        pages: list[int] = []

        def count(read: PageRead, pages: list[int] = pages) -> Result:
            pages.append(1)
            return look(read)

        assert done(batch, count) == whole
        assert len(pages) == 6 - content[:cut].count(b"\n")


def test_files_that_come_or_go_do_not_shift_the_rows(folder: Path, tmp_path: Path) -> None:
    batch = open_batch(tmp_path / "out", folder)
    (part,) = batch.parts()

    def break_off(told: Told) -> None:
        if told == Begun(str(folder / "c.jpg"), 0):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        batch.do(part, look, break_off)
    (folder / "b.tif").unlink()
    save(folder / "aa.png", 50)
    rows = done(open_batch(tmp_path / "out", folder))
    assert [row.get("width") for row in rows] == [21, 31, 32, 33, None, 41]


def test_what_is_told_adds_up(folder: Path, tmp_path: Path) -> None:
    batch = open_batch(tmp_path / "out", folder)
    (part,) = batch.parts()
    told: list[Told] = []
    batch.do(part, look, told.append)
    assert [one.inputs for one in told if isinstance(one, Reached)] == [0, 1, 2, 3, 4]
    batch.do(part, look, told.append)  # as a worker that waited for another one's journal
    assert len(done(batch)) == 6


def test_many_inputs_are_some_hundred_parts(tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    for count, parts, size in ((1, 1, 1), (20, 3, 8), (5000, 250, 20)):
        listed.write_text("".join(f"{number}.jpg\n" for number in range(count)))
        found = list(open_batch(tmp_path / f"{count}", f"@{listed}").parts())
        assert (len(found), len(found[0].inputs)) == (parts, size)
        assert [name for part in found for name in part.inputs] == [
            f"{number}.jpg" for number in range(count)
        ]
        assert [part.number for part in found] == [*range(parts)]


def test_a_folder_is_of_one_batch(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    open_batch(out, folder, kind="plates", model=None)
    open_batch(out, folder, kind="plates", model=None)
    with pytest.raises(InputError, match="a batch with other kind"):
        open_batch(out, folder, kind="stamps", model=None)
    with pytest.raises(InputError, match="a batch with other inputs and model"):
        open_batch(out, folder, folder, kind="plates", model="other")
    with pytest.raises(InputError, match="cannot be read twice"):
        open_batch(tmp_path / "other", "-")


def test_a_tar_file_is_a_part_and_its_pictures_are_inputs(folder: Path, tmp_path: Path) -> None:
    (folder / ".hidden.png").write_bytes((folder / "a.png").read_bytes())
    (folder / "notes.txt").write_text("no picture")
    for name, mode in (("one.tar", "w"), ("two.tgz", "w:gz")):
        with tarfile.open(tmp_path / name, mode) as archive:  # type: ignore[call-overload]
            archive.add(folder, ".")
    (tmp_path / "bad.tar").write_bytes((tmp_path / "one.tar").read_bytes()[:700])
    batch = open_batch(tmp_path / "out", folder / "a.png", tmp_path / "*.t*", folder / "d.png")
    assert [len(part.inputs) for part in batch.parts()] == [1, 1, 1, 1, 1]
    rows = done(batch)
    for name in ("one.tar", "two.tgz"):
        inside = [row for row in rows if f"{name}/" in row["source"]]
        assert sorted(row.get("width", 0) for row in inside) == [0, 21, 31, 32, 33, 41]
        assert f"{tmp_path}/{name}/b.tif" in sources(inside)
    (bad,) = (row for row in rows if row["source"].endswith("bad.tar"))
    assert "corrupt or no tar file" in bad["error"]["message"]
    assert [row["width"] for row in (rows[0], rows[-1])] == [21, 41]


@pytest.fixture
def bucket(folder: Path) -> Iterator[str]:
    """An address with the files of the folder, and of a tar file of them."""
    memory = fsspec.filesystem("memory")
    for path in folder.iterdir():
        memory.pipe(f"/bucket/{path.name}", path.read_bytes())
    with (
        memory.open("/bucket/deep/all.tar", "wb") as stream,
        tarfile.open(fileobj=stream, mode="w") as archive,
    ):
        archive.add(folder / "a.png", "x.png")
    yield "memory://bucket"
    memory.rm("/bucket", recursive=True)


def test_addresses_are_folders_globs_and_files(bucket: str, tmp_path: Path) -> None:
    def names(*inputs: str) -> list[str]:
        rows = done(open_batch(tmp_path / str(len(list(tmp_path.iterdir()))), *inputs))
        return [source.removeprefix("memory:///bucket/") for source in sources(rows)]

    pages = ["a.png", "b.tif", "b.tif", "b.tif", "c.jpg", "d.png"]
    assert names(bucket) == [*pages[:5], "d.png", "deep/all.tar/x.png"]
    assert names(f"{bucket}/*.png") == ["a.png", "d.png"]
    assert names(f"{bucket}/d.png", f"{bucket}/deep/all.tar") == ["d.png", "deep/all.tar/x.png"]
    listed = tmp_path / "list.txt"
    listed.write_text(f"{bucket}/b.tif\n")
    assert names(f"@{listed}") == pages[1:4]


def test_addresses_that_cannot_be_read_are_errors_of_their_own(
    bucket: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = (f"{bucket}/none.jpg", f"{bucket}/*.gif", "nosuch://x/y.jpg", folder / "a.png")
    *failed, good = done(open_batch(tmp_path / "out", *inputs))
    assert good["width"] == 21
    assert sources(failed) == ["memory:///bucket/none.jpg", *inputs[1:3]]
    for row, reason in zip(failed, ("cannot be read", "no image", "nosuch"), strict=True):
        assert reason in row["error"]["message"]
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(MissingExtra, match=r"\[s3\]"):
        open_batch(tmp_path / "other", "s3://bucket/a.jpg")
    assert not (tmp_path / "other" / ".batch" / "plan.jsonl").exists()


def test_parquet_has_a_record_for_each_mark(folder: Path, tmp_path: Path) -> None:
    batch = open_batch(tmp_path / "out", folder, form=PartFormat.PARQUET)
    done(batch)
    rows = pyarrow.parquet.read_table(tmp_path / "out" / "part-00000.parquet").to_pylist()
    assert [row["page"] for row in rows] == [0, 0, 1, 2, 0, 0]
    assert rows[4]["error_code"] == "unreadable_image"
    assert rows[4]["marks"] == []
    (mark,) = rows[5]["marks"]
    assert (mark["text"], mark["score"], mark["box"]) == ("W41", 0.9, [1.0, 2.0, 9.0, 4.0])
    assert list((tmp_path / "out" / ".batch").glob("part-*")) == []


def test_parts_of_one_batch_have_one_schema(tmp_path: Path) -> None:
    vector = np.array([0.6, 0.8], np.float32)
    stamp = pm.StampMark(
        *(0.97, (1.0, 2.0, 4.0, 5.0), QUAD, "circle", "blue", None, pm.InkMask((6, 8), "816000c0")),
        embedding=pm.types.Embedding(vector, "embedder@1"),
    )
    image = Image(np.zeros((6, 8, 3), np.uint8), "scan.png")

    def mark_wide(read: PageRead) -> Result:
        item = read()
        assert isinstance(item, Image)
        marks = (stamp,) if item.width > 10 else ()
        return Result(item.source, 0, image.width, image.height, marks)

    layout = Layout(**{**vars(STAMPS), "embedding": True})
    schemas = []
    for width in (5, 20):
        photo = save(tmp_path / f"{width}.png", width)
        out = tmp_path / f"out{width}"
        done(open_batch(out, photo, form=PartFormat.PARQUET, layout=layout), mark_wide)
        table = pyarrow.parquet.read_table(out / "part-00000.parquet")
        schemas.append(table.schema)
    assert schemas[0] == schemas[1]
    (mark,) = table.to_pylist()[0]["marks"]
    assert np.allclose(mark["embedding"], vector)
    assert (mark["shape"], mark["identity"]) == ("circle", None)
