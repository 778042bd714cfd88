"""What every store keeps to; SQLite and PostgreSQL with pgvector pass the same tests."""

import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from numpy.typing import NDArray

from platemark.errors import (
    DesignNotFound,
    DuplicateDesign,
    InvalidDesign,
    MissingExtra,
    RegistryError,
    RegistryUnavailable,
    VectorMismatch,
)
from platemark.registry import Registry
from platemark.registry.postgres import SCHEMA
from platemark.types import StampMark

MakeMark = Callable[..., StampMark]
Direction = Callable[..., NDArray[np.float32]]


@pytest.fixture
def known(url: str) -> Iterator[Registry]:
    with Registry.open(url) as opened:
        yield opened


def names(registry: Registry, **options: Any) -> list[str]:
    return [design.name for design in registry.designs(**options)]


def test_what_is_added_is_given_back(known: Registry, make_mark: MakeMark, url: str) -> None:
    mark = make_mark(1, source='o\'brien "☂".pdf')
    texts = {"notes": "line\nline %s ?", "tags": ["b", "ä'"], "owner": "🏢"}
    added = known.add('  ACME\'s "Ltd" 100% ?', mark, **texts)
    with Registry.open(url) as again:
        (design,) = again.designs()
        (sample,) = again.samples(design.id)
        crop = again.picture(sample.id)
    assert (design, sample) == (added.design, added.sample)
    assert design.name == 'ACME\'s "Ltd" 100% ?'
    assert (design.notes, design.tags, design.owner) == ("line\nline %s ?", ("b", "ä'"), "🏢")
    assert (sample.source, sample.page, sample.model) == ('o\'brien "☂".pdf', 2, "tiny@1")
    assert sample.box == mark.box
    assert mark.crop is not None
    assert np.array_equal(crop.ink, mark.crop.ink)
    assert np.abs(crop.pixels.astype(int) - mark.crop.pixels).mean() < 4


def test_the_nearest_samples_come_first_and_retired_designs_not_at_all(
    known: Registry, make_mark: MakeMark, direction: Direction
) -> None:
    vectors = {f"stamp {seed:02}": direction(seed) for seed in range(30)}
    for seed, name in enumerate(vectors):
        known.add(name, make_mark(seed), duplicates="allow")
    query = make_mark(0, vector=direction(99))

    def order(left_out: set[str]) -> list[str]:
        kept = [name for name in vectors if name not in left_out]
        return sorted(kept, key=lambda name: -float(vectors[name] @ direction(99)))[:4]

    def found() -> list[tuple[str, float]]:
        near = known.identify(query, top_k=4, rerank=0)
        return [(one.design.name, one.similarity) for one in near]

    first = order(set())
    assert [name for name, _ in found()] == first
    assert all(abs(value - float(vectors[name] @ direction(99))) < 1e-5 for name, value in found())
    known.retire(first[0])
    known.remove(first[1])
    assert [name for name, _ in found()] == order(set(first[:2]))
    known.reinstate(first[0])
    assert [name for name, _ in found()] == order({first[1]})


def test_the_former_name_of_rerank_still_works(known: Registry, make_mark: MakeMark) -> None:
    known.add("one", make_mark(1))
    with pytest.deprecated_call(match="rerank="):
        former = known.identify(make_mark(1), looks=0)
    assert former == known.identify(make_mark(1), rerank=0)


def test_a_design_is_as_near_as_its_nearest_sample(known: Registry, make_mark: MakeMark) -> None:
    for seed in (1, 2, 3):
        known.add("many", make_mark(seed), duplicates="allow")
    known.add("one", make_mark(4), duplicates="allow")
    best, other = known.identify(make_mark(2), rerank=0)
    assert (best.design.name, other.design.name) == ("many", "one")
    assert best.similarity == pytest.approx(1.0, abs=1e-5)
    assert best.sample == known.samples("many")[1].id


def test_a_vector_of_another_model_or_size_is_refused(
    known: Registry, make_mark: MakeMark, direction: Direction
) -> None:
    known.add("ACME", make_mark(1))
    other = make_mark(2, model="tiny@2")
    longer = make_mark(3, vector=direction(3, 9))
    for mark in (other, longer):
        for act in (known.identify, lambda mark: known.add("ACME", mark, duplicates="allow")):
            with pytest.raises(VectorMismatch, match="platemark registry reindex"):
                act(mark)
    assert (names(known), known.design("ACME").samples) == (["ACME"], 1)


def test_reindex_recomputes_all_vectors(
    known: Registry, make_mark: MakeMark, direction: Direction, url: str
) -> None:
    for seed in range(5):
        known.add(f"stamp {seed}", make_mark(seed), duplicates="allow")
    known.identify(make_mark(1))  # the index has the vectors of the old model now

    def embed(inks: Any) -> Any:
        return np.stack([direction(int(ink.sum()), 12) for ink in inks])

    told: list[tuple[int, int]] = []
    count = known.reindex(embed, "better@1", progress=lambda done, of: told.append((done, of)))
    assert (count, known.model, told[-1]) == (5, "better@1", (5, 5))
    mark = make_mark(3)
    assert mark.crop is not None
    query = make_mark(3, model="better@1", vector=embed([mark.crop.ink])[0])
    assert known.identify(query)[0].design.name == "stamp 3"
    with Registry.open(url) as again:
        assert again.identify(query)[0].similarity == pytest.approx(1.0, abs=1e-5)
        assert {sample.model for sample in again.samples("stamp 3")} == {"better@1"}


def test_a_reindex_that_fails_changes_nothing(known: Registry, make_mark: MakeMark) -> None:
    known.add("ACME", make_mark(1))

    def embed(_: Any) -> Any:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        known.reindex(embed, "better@1")
    assert known.model == "tiny@1"
    assert known.identify(make_mark(1), rerank=0)[0].similarity == pytest.approx(1.0, abs=1e-5)


def test_designs_are_sorted_filtered_and_paged_alike(known: Registry, make_mark: MakeMark) -> None:
    for seed, name in enumerate(("beta", "Äpfel", "Alpha", "Ωmega", "50%_off")):
        known.add(name, make_mark(seed), duplicates="allow", tags=[f"Tag{seed}"], owner="Jürgen")
    known.retire("beta")
    everything = ["50%_off", "Alpha", "beta", "Äpfel", "Ωmega"]
    assert names(known) == everything
    assert names(known, limit=2, offset=1) == everything[1:3]
    assert names(known, offset=3) == everything[3:]
    assert names(known, retired=True) == ["beta"]
    assert names(known, retired=False) == [name for name in everything if name != "beta"]
    assert names(known, text="äPF") == ["Äpfel"]
    assert names(known, text="%_") == ["50%_off"]
    assert names(known, text="tag3") == ["Ωmega"]
    assert len(names(known, text="JÜRGEN")) == len(known) == 5


def test_designs_are_found_by_what_their_stamps_say(known: Registry, make_mark: MakeMark) -> None:
    texts = {"one": "TRÉSORERIE / de Łódź", "two": "ООО «ЗОРЯ» / ИНН 7701", "none": None}
    for seed, (name, text) in enumerate(texts.items()):
        known.add(name, make_mark(seed, text=text), duplicates="allow", owner="Łukasz")
    known.add("one", make_mark(9, text="50%_off"), duplicates="allow")
    assert [sample.text for sample in known.samples("one")] == [texts["one"], "50%_off"]
    assert known.samples("none")[0].text is None
    assert names(known, text="lodz tresor") == names(known, text="ŁÓDŹ") == ["one"]
    assert names(known, text="ooo 3OPЯ") == names(known, text="инн 77") == ["two"]
    assert names(known, text="off łódź") == ["one"]  # of two samples of one design
    assert names(known, text="%_") == ["one"]
    assert names(known, text="lukasz two") == ["two"]  # of its owner, and of its name
    assert names(known, text="tresor инн") == []
    assert names(known, text="  ") == names(known, text=" ".join(["ukasz"] * 2000)) == sorted(texts)
    assert len(names(known, text=" ".join(map(str, range(2000))))) == 0
    assert known.read(lambda crop: f"Σ {crop.ink.shape[0]}") == 4
    assert names(known, text="σ 48") == sorted(texts)
    assert names(known, text="lodz") == []


def test_samples_that_say_nothing_any_more_are_found_no_more(
    known: Registry, make_mark: MakeMark
) -> None:
    known.add("one", make_mark(1, text="ACME"))
    assert known.read(lambda crop: None) == 0
    assert (names(known, text="acme"), known.samples("one")[0].text) == ([], None)


def test_the_same_picture_is_kept_once(known: Registry, make_mark: MakeMark) -> None:
    first = known.add("ACME", make_mark(1))
    again = known.add("ACME", make_mark(1))
    assert (again.sample.id, again.new_sample) == (first.sample.id, False)
    assert known.design("ACME").samples == 1
    with pytest.raises(DuplicateDesign, match="is a sample of 'ACME'"):
        known.add("Other", make_mark(1))
    assert names(known) == ["ACME"]
    assert known.add("Other", make_mark(1), duplicates="allow").new_design


def test_names_are_of_one_design(known: Registry, make_mark: MakeMark) -> None:
    known.add("ACME", make_mark(1), duplicates="allow")
    known.add("Other", make_mark(2), duplicates="allow")
    with pytest.raises(DuplicateDesign, match="is called 'ACME'"):
        known.rename("Other", "ACME")
    assert known.rename("ACME", "ACME").name == "ACME"
    assert known.rename("Other", "Other Ltd").name == "Other Ltd"
    assert names(known) == ["ACME", "Other Ltd"]
    with pytest.raises(DesignNotFound, match="no design 'Other'"):
        known.design("Other")


def test_merge_and_split(known: Registry, make_mark: MakeMark) -> None:
    for seed in range(3):
        known.add("left", make_mark(seed), duplicates="allow", tags=["l"], notes="of left")
    for seed in range(2, 5):
        known.add("right", make_mark(seed), duplicates="allow", tags=["r"], notes="of right")
    merged = known.merge("left", "right")
    assert (merged.samples, merged.tags) == (5, ("l", "r"))  # the picture they shared once
    assert merged.notes == "of left\nof right"
    assert names(known) == ["left"]
    assert known.identify(make_mark(4), rerank=0)[0].design.name == "left"
    leaving = [sample.id for sample in known.samples("left")][3:]
    parted = known.split("left", leaving, "right again")
    assert (parted.samples, known.design("left").samples) == (2, 3)
    assert [sample.id for sample in known.samples("right again")] == leaving
    assert known.identify(make_mark(4), rerank=0)[0].design.name == "right again"
    for samples in ([], [sample.id for sample in known.samples("left")]):
        with pytest.raises(InvalidDesign, match="at least one must leave"):
            known.split("left", samples, "new")
    with pytest.raises(DesignNotFound, match="has no sample"):
        known.split("left", leaving, "new")
    with pytest.raises(InvalidDesign, match="with itself"):
        known.merge("left", "left")


def test_a_sample_can_be_removed(known: Registry, make_mark: MakeMark) -> None:
    sample = known.add("ACME", make_mark(1)).sample
    assert known.remove_sample(sample.id).samples == 0
    assert known.identify(make_mark(1)) == []
    for act in (known.remove_sample, known.picture):
        with pytest.raises(DesignNotFound, match="no sample"):
            act(sample.id)


def test_a_change_that_fails_leaves_nothing(
    known: Registry, make_mark: MakeMark, monkeypatch: pytest.MonkeyPatch
) -> None:
    known.add("ACME", make_mark(1))
    before = known.designs()

    def fail(*_: object) -> None:
        raise RuntimeError("in the middle of a change")

    monkeypatch.setattr(known._store, "put_sample", fail)
    monkeypatch.setattr(known._store, "delete_design", fail)
    for act in (
        lambda: known.add("New", make_mark(2), duplicates="allow"),
        lambda: known.remove("ACME"),
    ):
        with pytest.raises(RuntimeError):
            act()
    assert known.designs() == before


def test_what_one_adds_the_other_finds(known: Registry, make_mark: MakeMark, url: str) -> None:
    with Registry.open(url) as other:
        assert other.identify(make_mark(1)) == []
        known.add("ACME", make_mark(1))
        assert other.identify(make_mark(1))[0].design.name == "ACME"
        other.add("ACME", make_mark(2), duplicates="allow")
        assert known.identify(make_mark(2), rerank=0)[0].sample == known.samples("ACME")[1].id


def test_many_add_at_once(known: Registry, make_mark: MakeMark, url: str) -> None:
    problems: list[Exception] = []

    def add(worker: int) -> None:
        try:
            with Registry.open(url) as own:
                for step in range(5):
                    seed = 100 * worker + step
                    own.add(f"stamp {step}", make_mark(seed), duplicates="allow")
                    known.add("shared", make_mark(seed + 50), duplicates="allow")
        except Exception as error:  # is looked at below
            problems.append(error)

    workers = [threading.Thread(target=add, args=(worker,)) for worker in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert problems == []
    assert {design.name: design.samples for design in known.designs()} == {
        "shared": 15,
        **{f"stamp {step}": 3 for step in range(5)},
    }


def test_an_archive_opens_in_any_store(
    known: Registry, make_mark: MakeMark, tmp_path: Path
) -> None:
    for seed in range(6):
        mark = make_mark(seed, text=f"ACME {seed}" if seed % 2 else None)
        known.add(f"stamp {seed % 4}", mark, duplicates="allow", tags=[str(seed)])
    known.retire("stamp 1")
    assert known.export(tmp_path / "all.zip") == 4
    with Registry.open(tmp_path / "other.db") as other:
        assert other.load(tmp_path / "all.zip") == 4
        assert other.designs() == known.designs()
        for design in known.designs():
            assert other.samples(design.id) == known.samples(design.id)
        ours, theirs = (one.identify(make_mark(4), rerank=0) for one in (known, other))
        assert [one.sample for one in ours] == [one.sample for one in theirs]
        other.export(tmp_path / "again.zip")
    # Read where all is there already, it changes nothing.
    before = known.designs()
    assert known.load(tmp_path / "again.zip") == 4
    assert known.designs() == before


def run_sql(url: str, sql: str) -> None:
    if url.startswith("postgres"):
        with psycopg.connect(url, options=f"-c search_path={SCHEMA}") as connection:
            connection.execute(sql)
    else:
        connection = sqlite3.connect(url)
        with connection:
            connection.execute(sql)
        connection.close()


def test_a_registry_of_a_newer_version_is_refused(
    known: Registry, make_mark: MakeMark, url: str
) -> None:
    known.add("ACME", make_mark(1))
    known.close()
    run_sql(url, "INSERT INTO migrations VALUES ('9999_holograms', '2030-01-01T00:00:00.000Z')")
    with pytest.raises(RegistryError, match=r"newer platemark.*9999_holograms"):
        Registry.open(url)


def test_an_older_registry_is_brought_up_to_date(
    known: Registry, make_mark: MakeMark, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from platemark.registry import migrations

    known.add("ACME", make_mark(1))
    known.close()
    later = migrations.Migration("9998_colours", ("ALTER TABLE designs ADD COLUMN colour TEXT",))
    monkeypatch.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, later))
    with Registry.open(url) as opened:
        assert names(opened) == ["ACME"]
    run_sql(url, "UPDATE designs SET colour = 'blue'")
    with Registry.open(url) as opened:  # is not done twice
        assert names(opened) == ["ACME"]


def test_a_registry_without_texts_gets_them(known: Registry, make_mark: MakeMark, url: str) -> None:
    known.add("Łódź", make_mark(1), notes="of 2021")
    before = known.designs()
    known.close()
    for sql in (
        "ALTER TABLE samples DROP COLUMN text",
        "ALTER TABLE samples DROP COLUMN words",
        "DELETE FROM migrations WHERE name = '0002_texts'",
        "UPDATE designs SET words = 'łódź of 2021'",  # as the first version wrote them
    ):
        run_sql(url, sql)
    with Registry.open(url) as opened:
        assert opened.designs(text="lodz 2O21") == before
        assert opened.samples("Łódź")[0].text is None
        opened.add("Łódź", make_mark(2, text="ACME"), duplicates="allow")
        assert names(opened, text="acme") == ["Łódź"]


def test_migrations_are_ordered_and_named_once() -> None:
    from platemark.registry.migrations import MIGRATIONS

    own = [migration.name for migration in MIGRATIONS]
    assert own == sorted(set(own))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "needs a name"),
        (" \u00a0", "needs a name"),
        ("x" * 10_000, "at most 500 characters"),
        ("a\nb", "cannot have the character"),
        ("a\0b", "cannot have the character"),
        ("\udc80", "cannot have the character"),
        ("01M89DZF0T6WBTB9EXX4K570A2", "no design"),
    ],
)
def test_names_that_cannot_be_kept(
    known: Registry, make_mark: MakeMark, name: str, reason: str
) -> None:
    known.add("ACME", make_mark(1))
    for act in (lambda: known.add(name, make_mark(2)), lambda: known.rename("ACME", name)):
        with pytest.raises((InvalidDesign, DesignNotFound), match=reason or None):
            act()
        reason = "" if "no design" in reason else reason
    assert names(known) == ["ACME"]


@pytest.mark.parametrize("name", ['O\'Brien "&" Co; DROP TABLE designs;--', "🏭" * 500, "e\u0301"])
def test_odd_names_are_kept(known: Registry, make_mark: MakeMark, name: str) -> None:
    known.add(name, make_mark(1))
    assert known.design(name).id == known.designs()[0].id
    assert known.design(name).name in (name, "é")


Act = Callable[[Registry], object]


@pytest.mark.parametrize(
    "act",
    [
        lambda known: known.update("ACME", notes="x" * 100_001),
        lambda known: known.update("ACME", notes="\0"),
        lambda known: known.update("ACME", tags=[""]),
        lambda known: known.update("ACME", tags=[str(tag) for tag in range(101)]),
        lambda known: known.update("ACME", owner="x" * 501),
    ],
)
def test_other_texts_that_cannot_be_kept(known: Registry, make_mark: MakeMark, act: Act) -> None:
    before = known.add("ACME", make_mark(1)).design
    with pytest.raises(InvalidDesign):
        act(known)
    assert known.designs() == [before]


def test_update_changes_what_is_given(known: Registry, make_mark: MakeMark) -> None:
    before = known.add("ACME", make_mark(1), notes="n", tags=["t"]).design
    after = known.update("ACME", name="ACME Ltd", owner="me")
    assert (after.name, after.owner, after.notes, after.tags) == ("ACME Ltd", "me", "n", ("t",))
    assert (after.id, after.created) == (before.id, before.created)
    assert after.changed >= before.changed


def test_samples_are_not_added_to_a_retired_design(known: Registry, make_mark: MakeMark) -> None:
    known.add("ACME", make_mark(1))
    known.retire("ACME")
    with pytest.raises(InvalidDesign, match="reinstate"):
        known.add("ACME", make_mark(2))
    assert known.identify(make_mark(1)) == []


def test_a_lost_connection_is_made_again(postgres_url: str, make_mark: MakeMark) -> None:
    with Registry.open(postgres_url) as registry:
        registry.add("ACME", make_mark(1))
        with psycopg.connect(postgres_url, autocommit=True) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            )
        with pytest.raises(RegistryUnavailable, match="PostgreSQL"):
            registry.add("Other", make_mark(2), duplicates="allow")
        assert names(registry) == ["ACME"]
        assert registry.add("Other", make_mark(2), duplicates="allow").new_design


def test_the_library_for_postgres_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtra, match=r"\[postgres\]"):
        Registry.open("postgresql://localhost/stamps")


def test_designs_with_very_many_samples_leave_room_for_others(
    registry: Registry, make_mark: MakeMark, direction: Direction, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platemark.registry.identify._NEAR", 4)
    for seed in range(12):
        mark = make_mark(seed, vector=direction(1, near=0.001 * seed))
        registry.add("many", mark, duplicates="allow")
    registry.add("far", make_mark(99, vector=-direction(1)), duplicates="allow")
    found = registry.identify(make_mark(50, vector=direction(1)), top_k=2, rerank=0)
    assert [one.design.name for one in found] == ["many", "far"]
