"""The store of corrections: what it acknowledged is there, whoever wrote it, whenever it died."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from platemark.datasets import Manifest, ReviewStore, Revision
from platemark.datasets.manifest import ManifestEntry
from platemark.errors import DatasetError, EditConflict, MissingImage

NAMES = ("a.png", "b.png", "c/d.png")


def plate(text: str | None, x: float = 10.0) -> dict[str, Any]:
    return {"box": [x, 10, x + 50, 30], "quad": None, "text": text, "region": None, "lines": 1}


def line(name: str, text: str = "OLD1", **others: Any) -> dict[str, Any]:
    base = {"image": name, "width": 80, "height": 60, "split": "train"}
    return {**base, "plates": [plate(text)], **others}


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """A manifest of three images, with keys of its own."""
    file = tmp_path / "annotations.jsonl"
    file.write_text("".join(json.dumps(line(name, camera="gate")) + "\n" for name in NAMES))
    return file


@pytest.fixture
def store(manifest: Path) -> Iterator[ReviewStore]:
    """The manifest under review."""
    made = ReviewStore.open(manifest)
    yield made
    made.close()


def change(store: ReviewStore, image: str, text: str, base: int | None = None) -> ManifestEntry:
    """The entry of an image with another text."""
    entries = {one.version: one.entry for one in store.history(image)}
    entry = entries[max(entries) if base is None else base]
    return ManifestEntry.model_validate(
        entry.model_dump(exclude_unset=True) | {"plates": [plate(text)]}
    )


def text_of(revision: Revision) -> str | None:
    return revision.entry.plates[0].text


def read(manifest: Path) -> dict[str, ManifestEntry]:
    return {entry.image: entry for entry in Manifest.read(manifest)}


def test_a_correction_goes_into_the_manifest_and_leaves_the_rest_as_it_was(
    store: ReviewStore, manifest: Path
) -> None:
    before = manifest.read_text().splitlines()
    first, second, _ = store.ids
    store.save(first, change(store, first, "NEW1"), base=0, annotator="anna")
    accepted = store.save(
        first, change(store, first, "NEW1"), base=1, annotator="anna", action="accept"
    )
    assert (accepted.revision.version, accepted.revision.status) == (2, "accepted")
    store.save(second, change(store, second, "X"), base=0, annotator="anna", action="reject")
    store.write_manifest()
    entries = read(manifest)
    assert list(entries) == ["a.png", "c/d.png"]  # the rejected one is not trained on
    assert entries["a.png"].plates[0].text == "NEW1"
    extra = entries["a.png"].model_extra or {}
    assert extra["camera"] == "gate"
    assert (extra["reviewed"]["status"], extra["reviewed"]["annotator"]) == ("accepted", "anna")
    assert json.loads(manifest.read_text().splitlines()[1]) == json.loads(before[2])


def test_undo_and_redo_reach_back_to_the_beginning_after_a_restart(
    store: ReviewStore, manifest: Path
) -> None:
    image = store.ids[0]
    for base, text in enumerate(("ONE", "TWO")):
        store.save(image, change(store, image, text), base=base, annotator="anna")
    store.close()
    again = ReviewStore.open(manifest)
    texts = []
    for base in (2, 3):
        texts.append(text_of(again.undo(image, base=base, annotator="bob").revision))
    now = again.get(image)
    assert (texts, now.can_undo, now.can_redo) == (["ONE", "OLD1"], False, True)
    assert again.undo(image, base=4, annotator="bob").revision.version == 4  # nothing left
    again.write_manifest()
    assert "reviewed" not in (read(manifest)["a.png"].model_extra or {})
    assert text_of(again.redo(image, base=4, annotator="bob").revision) == "ONE"
    changed = again.save(image, change(again, image, "SIX"), base=5, annotator="anna")
    assert not changed.can_redo
    assert [one.action for one in again.history(image)] == [
        *("open", "edit", "edit", "undo", "undo", "redo", "edit")
    ]
    again.close()


def test_of_two_changes_of_one_version_both_are_kept(store: ReviewStore, manifest: Path) -> None:
    image = store.ids[0]
    store.save(image, change(store, image, "ANNA"), base=0, annotator="anna")
    for _ in range(2):  # asked twice, kept once
        with pytest.raises(EditConflict, match=r"a\.png was changed by anna"):
            store.save(image, change(store, image, "BOB", 0), base=0, annotator="bob")
    store.close()
    again = ReviewStore.open(manifest)
    now = again.get(image)
    assert text_of(now.revision) == "ANNA"
    (waiting,) = now.proposals
    assert (waiting.annotator, waiting.base, waiting.entry.plates[0].text) == ("bob", 0, "BOB")
    taken = again.save(image, waiting.entry, base=1, annotator="bob", resolves=[waiting.number])
    assert (text_of(taken.revision), taken.proposals) == ("BOB", ())
    assert text_of(again.undo(image, base=2, annotator="bob").revision) == "ANNA"
    with pytest.raises(EditConflict):
        again.save(image, change(again, image, "EVE", 0), base=0, annotator="eve")
    (waiting,) = again.get(image).proposals
    assert again.discard(image, waiting.number, annotator="eve").proposals == ()
    assert b"EVE" in manifest.with_name("annotations.jsonl.journal").read_bytes()
    again.close()


def test_what_is_already_so_is_no_change_and_no_conflict(store: ReviewStore) -> None:
    image = store.ids[0]
    store.save(image, change(store, image, "NEW"), base=0, annotator="anna")
    same = store.save(image, change(store, image, "NEW", 0), base=0, annotator="bob")
    assert (same.revision.version, same.revision.annotator) == (1, "anna")
    # Somebody who sees the same marks may accept them.
    done = store.save(image, change(store, image, "NEW"), base=0, annotator="bob", action="accept")
    assert (done.revision.version, done.revision.status) == (2, "accepted")
    kept = store.save(image, change(store, image, "NEW"), base=2, annotator="bob")
    assert kept.revision.status == "accepted"
    with pytest.raises(EditConflict):
        store.undo(image, base=1, annotator="bob")


def test_a_plain_folder_gets_a_manifest_of_what_was_accepted(tmp_path: Path) -> None:
    for name in ("one.png", "sub/two.png", "three.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        PIL.Image.new("RGB", (40, 30)).save(tmp_path / name)
    store = ReviewStore.open(tmp_path, "stamp")
    one, two, three = (
        image
        for name in ("one", "sub/two", "three")
        for image in store.ids
        if store.name(image) == f"{name}.png"
    )
    found = store.get(one)
    assert (found.annotated, found.revision.entry.width) == (False, 40)
    store.save(one, found.revision.entry, base=0, annotator="anna", action="accept")
    two_entry = store.get(two).revision.entry
    begun = two_entry.model_copy(update={"ignore": ((1, 1, 5, 5),)})
    store.save(two, begun, base=0, annotator="anna")
    store.close()
    entries = read(tmp_path / "annotations.jsonl")
    assert list(entries) == ["one.png"]
    assert "stamps" in entries["one.png"].model_fields_set
    again = ReviewStore.open(tmp_path)
    assert [again.status(image) for image in (one, two, three)] == ["accepted", "edited", "todo"]
    assert again.kind == "stamp"
    again.close()


def test_a_manifest_that_was_edited_by_hand_meanwhile_is_a_revision(
    store: ReviewStore, manifest: Path
) -> None:
    image = store.ids[0]
    store.save(image, change(store, image, "NEW"), base=0, annotator="anna")
    store.close()
    manifest.write_text(manifest.read_text().replace('"NEW"', '"HAND"'))
    again = ReviewStore.open(manifest)
    assert [text_of(one) for one in again.history(image)] == ["OLD1", "NEW", "HAND"]
    again.close()


def test_what_cannot_be_reviewed_is_refused_and_says_why(tmp_path: Path, manifest: Path) -> None:
    store = ReviewStore.open(manifest)
    with pytest.raises(DatasetError, match="another process"):
        ReviewStore.open(manifest)
    for image in ("../../etc/passwd", "0" * 16, ""):
        with pytest.raises(MissingImage, match="no image has the id"):
            store.get(image)
    store.close()
    journal = manifest.with_name("annotations.jsonl.journal")
    with pytest.raises(DatasetError, match="no such file"):
        ReviewStore.open(tmp_path / "none")
    journal.write_text('{"format": "other"}\n')
    with pytest.raises(DatasetError, match=r"journal:1: is no journal"):
        ReviewStore.open(manifest)
    journal.unlink()
    store = ReviewStore.open(manifest)
    image = store.ids[0]
    store.save(image, change(store, image, "NEW"), base=0, annotator="anna")
    store.close()
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join([*lines[:1], "{}\n", *lines[1:]]))
    with pytest.raises(DatasetError, match=r"journal:2: is no correction"):
        ReviewStore.open(manifest)
    journal.write_text("".join([*lines[:1], *lines[2:]]))
    with pytest.raises(DatasetError, match="a line before it is missing"):
        ReviewStore.open(manifest)
    journal.unlink()
    journal.mkdir()
    with pytest.raises(DatasetError, match="cannot be written"):
        ReviewStore.open(manifest)
    journal.rmdir()
    tmp_path.chmod(0o555)
    with pytest.raises(DatasetError, match=r"the folder is read-only.*that you may write to"):
        ReviewStore.open(manifest)
    tmp_path.chmod(0o755)
    assert not journal.exists()
    twice = tmp_path / "twice"
    twice.mkdir()
    for name in ("a", "b"):
        (twice / f"{name}.jsonl").write_text(json.dumps(line("a.png")) + "\n")
    with pytest.raises(DatasetError, match="several manifests"):
        ReviewStore.open(twice)
    (twice / "a.jsonl").write_text(2 * (json.dumps(line("a.png")) + "\n"))
    with pytest.raises(DatasetError, match="listed twice"):
        ReviewStore.open(twice / "a.jsonl")
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "coco.json").write_text('{"images": [], "annotations": []}')
    for place in (foreign, foreign / "coco.json"):
        with pytest.raises(DatasetError, match="platemark dataset convert"):
            ReviewStore.open(place)


def test_a_full_disk_loses_only_what_was_refused(
    store: ReviewStore, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = store.ids[0]
    store.save(image, change(store, image, "KEPT"), base=0, annotator="anna")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(DatasetError, match="could not be saved"):
            store.save(image, change(store, image, "LOST"), base=1, annotator="anna")
        with pytest.raises(DatasetError, match="the journal beside it"):
            store.write_manifest()
    assert text_of(store.get(image).revision) == "KEPT"
    store.save(image, change(store, image, "NEXT"), base=1, annotator="anna")
    store.close()
    assert read(manifest)["a.png"].plates[0].text == "NEXT"


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["edit", "accept", "reject", "undo", "redo", "discard", "write"]),
        st.sampled_from(range(3)),
        st.sampled_from(["anna", "bob"]),
        st.sampled_from(["A1", "B2", "C3"]),
        st.integers(0, 2),  # how old the version is that the change builds on
    ),
    max_size=25,
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(STEPS, st.data())
def test_nothing_that_was_acknowledged_is_lost_at_whatever_byte_the_process_dies(
    tmp_path: Path, steps: list[tuple[str, int, str, str, int]], data: st.DataObject
) -> None:
    folder = tmp_path / "now"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    manifest = folder / "annotations.jsonl"
    manifest.write_text("".join(json.dumps(line(name)) + "\n" for name in NAMES))
    journal = folder / "annotations.jsonl.journal"
    store = ReviewStore.open(manifest)
    # After each step: bytes of the journal, the manifest, and what the store says of every image.
    told = [(journal.stat().st_size, manifest.read_bytes(), snapshot(store))]
    refused: list[tuple[int, str, str]] = []
    for action, which, who, text, age in steps:
        image = store.ids[which]
        base = max(0, store.get(image).revision.version - age)
        try:
            if action == "write":
                store.write_manifest()
            elif action == "discard":
                store.discard(image, 1, annotator=who)
            elif action in ("undo", "redo"):
                getattr(store, action)(image, base=base, annotator=who)
            else:
                entry = change(store, image, text, base)
                store.save(image, entry, base=base, annotator=who, action=action)  # type: ignore[arg-type]
        except EditConflict:
            if action not in ("undo", "redo"):
                refused.append((journal.stat().st_size, image, text))
        told.append((journal.stat().st_size, manifest.read_bytes(), snapshot(store)))
    store._journal.close()
    whole = journal.read_bytes()
    cut = data.draw(st.integers(told[0][0], len(whole)))
    written, acknowledged = next((m, said) for size, m, said in reversed(told) if size <= cut)
    journal.write_bytes(whole[:cut])
    manifest.write_bytes(written)
    again = ReviewStore.open(manifest)
    held = snapshot(again)
    for image, (versions, _) in acknowledged.items():
        assert held[image][0][: len(versions)] == versions
    if cut == len(whole):
        assert held == acknowledged
    text_kept = journal.read_text()
    for size, _, text in refused:
        assert size > cut or text in text_kept
    again.close()
    for entry in Manifest.read(manifest):
        last = again.history(next(i for i in again.ids if again.name(i) == entry.image))[-1]
        assert entry.plates == last.entry.plates


def snapshot(
    store: ReviewStore,
) -> dict[str, tuple[list[tuple[str, str | None]], list[str | None]]]:
    """Of each image: its revisions, and the proposals that wait."""
    return {
        image: (
            [(one.status, text_of(one)) for one in store.history(image)],
            [one.entry.plates[0].text for one in store.get(image).proposals],
        )
        for image in store.ids
    }
