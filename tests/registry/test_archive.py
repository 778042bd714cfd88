"""Archives that are corrupt, of something else, or meant to do harm."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from platemark.errors import (
    ArchiveError,
    DuplicateDesign,
    RegistryError,
    VectorMismatch,
)
from platemark.registry import Registry
from platemark.types import StampMark

MakeMark = Callable[..., StampMark]
Files = dict[str, bytes]


@pytest.fixture
def archive(tmp_path: Path, make_mark: MakeMark) -> Files:
    """The files of a sound archive, by name."""
    with Registry.open(tmp_path / "first.db") as registry:
        for seed in range(3):
            registry.add(f"stamp {seed}", make_mark(seed), duplicates="allow")
        registry.export(tmp_path / "sound.zip")
    with zipfile.ZipFile(tmp_path / "sound.zip") as file:
        return {name: file.read(name) for name in file.namelist()}


def packed(path: Path, files: Files, **options: Any) -> Path:
    with zipfile.ZipFile(path, "w", **options) as file:
        for name, data in files.items():
            file.writestr(name, data)
    return path


def refused(registry: Registry, path: Path, match: str) -> None:
    before = registry.designs()
    with pytest.raises(ArchiveError, match=match):
        registry.load(path)
    assert registry.designs() == before


def changed(archive: Files, **fields: Any) -> Files:
    """An archive with other fields in its manifest."""
    manifest = json.loads(archive["manifest.json"])
    return archive | {"manifest.json": json.dumps(manifest | fields).encode()}


def of_first_sample(archive: Files, kind: str) -> str:
    return next(name for name in archive if name.startswith(kind))


def png(width: int, height: int) -> bytes:
    return bytes(cv2.imencode(".png", np.zeros((height, width), np.uint8))[1])


def test_a_sound_archive_is_read(registry: Registry, archive: Files, tmp_path: Path) -> None:
    extra = archive | {"__MACOSX/._manifest.json": b"x", "notes.txt": b"of no use"}
    assert registry.load(packed(tmp_path / "a.zip", extra)) == 3


@pytest.mark.parametrize(
    "name", ["../../etc/cron.d/x", "/etc/passwd", "a/../../b", "..\\..\\x.dll", "C:\\x", "C:/x"]
)
def test_entries_that_climb_out_are_refused(
    registry: Registry, archive: Files, tmp_path: Path, name: str
) -> None:
    path = packed(tmp_path / "a.zip", archive | {name: b""})
    refused(registry, path, "leads out of it")


def test_links_are_refused(registry: Registry, archive: Files, tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", archive)
    with zipfile.ZipFile(path, "a") as file:
        link = zipfile.ZipInfo("pictures/link.jpg")
        link.external_attr = 0o120777 << 16
        file.writestr(link, "/etc/passwd")
    refused(registry, path, "leads out of it")


def test_what_is_no_archive(registry: Registry, archive: Files, tmp_path: Path) -> None:
    (tmp_path / "text.zip").write_text("not a zip")
    refused(registry, tmp_path / "text.zip", "is no archive")
    refused(registry, packed(tmp_path / "b.zip", {"a.txt": b""}), r"has no manifest\.json")
    whole = packed(tmp_path / "c.zip", archive).read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole[: len(whole) // 2])
    refused(registry, tmp_path / "cut.zip", "is no archive")
    refused(registry, tmp_path / "none.zip", "No such file")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"format": "another"}, "Input should be 'platemark registry' at format"),
        ({"version": 2}, "newer platemark"),
        ({"designs": [{}]}, r"Field required at designs\.0\.design"),
        ({"dimensions": 10**9}, "dimensions"),
        ({"dimensions": 9}, "vectors are not those"),
        ({"dimensions": 3}, "larger than 36 bytes"),
        ({"model": None}, "vectors are not those"),
    ],
)
def test_manifests_that_are_none(
    registry: Registry, archive: Files, tmp_path: Path, change: dict[str, Any], match: str
) -> None:
    refused(registry, packed(tmp_path / "a.zip", changed(archive, **change)), match)


def test_two_of_one_id(registry: Registry, archive: Files, tmp_path: Path) -> None:
    designs = json.loads(archive["manifest.json"])["designs"]
    designs[1]["design"] = designs[0]["design"]
    path = packed(tmp_path / "a.zip", changed(archive, designs=designs))
    refused(registry, path, "have one id")


@pytest.mark.parametrize("name", ["", "x" * 501, "a\u0000b", "01M89DZF0T6WBTB9EXX4K570A2"])
def test_names_that_cannot_be_kept(
    registry: Registry, archive: Files, tmp_path: Path, name: str
) -> None:
    designs = json.loads(archive["manifest.json"])["designs"]
    designs[2]["name"] = name
    refused(registry, packed(tmp_path / "a.zip", changed(archive, designs=designs)), "cannot be")


@pytest.mark.parametrize("kind", ["pictures/", "ink/"])
@pytest.mark.parametrize("data", [b"", b"no picture", png(7, 5), None])
def test_pictures_that_are_missing_or_none(
    registry: Registry, archive: Files, tmp_path: Path, kind: str, data: bytes | None
) -> None:
    name = of_first_sample(archive, kind)
    files = {key: value for key, value in archive.items() if key != name}
    if data is not None:
        files[name] = data
    refused(registry, packed(tmp_path / "a.zip", files), "cannot be read as an archive")


def test_bombs_are_not_unpacked(registry: Registry, archive: Files, tmp_path: Path) -> None:
    name = of_first_sample(archive, "ink/")
    many_pixels = archive | {name: png(20_000, 20_000)}
    refused(registry, packed(tmp_path / "a.zip", many_pixels), "corrupt")
    many_bytes = archive | {name: bytes(40_000_000)}
    path = packed(tmp_path / "b.zip", many_bytes, compression=zipfile.ZIP_DEFLATED)
    refused(registry, path, "larger than")


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0, 3.0])
def test_vectors_that_are_none(
    registry: Registry, archive: Files, tmp_path: Path, value: float
) -> None:
    vectors = np.frombuffer(archive["vectors.f32"], np.float32).copy()
    vectors[-1] = value
    vectors[-8:-1] = 0.0
    files = archive | {"vectors.f32": vectors.tobytes()}
    refused(registry, packed(tmp_path / "a.zip", files), "length 1")


def test_a_flipped_byte_is_noticed(registry: Registry, archive: Files, tmp_path: Path) -> None:
    data = bytearray(packed(tmp_path / "a.zip", archive).read_bytes())
    data[data.index(b"\xff\xd8\xff") + 300] ^= 0xFF
    (tmp_path / "a.zip").write_bytes(data)
    refused(registry, tmp_path / "a.zip", "CRC|cannot be read")


def test_another_model_or_a_taken_name_leaves_all_as_it_was(
    registry: Registry, archive: Files, tmp_path: Path, make_mark: MakeMark
) -> None:
    path = packed(tmp_path / "a.zip", archive)
    before = registry.add("mine", make_mark(7, model="other@1")).design
    with pytest.raises(VectorMismatch):
        registry.load(path)
    assert registry.designs() == [before]
    with Registry.open(tmp_path / "second.db") as second:
        taken = second.add("stamp 2", make_mark(8)).design
        with pytest.raises(DuplicateDesign, match="is called 'stamp 2'"):
            second.load(path)
        assert second.designs() == [taken]


def test_an_export_that_fails_leaves_what_was_there(
    registry: Registry, make_mark: MakeMark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.add("ACME", make_mark(1))
    target = tmp_path / "out" / "a.zip"
    target.parent.mkdir()
    target.write_bytes(b"of yesterday")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "writestr", full)
    with pytest.raises(OSError, match="No space left"):
        registry.export(target)
    assert [path.name for path in target.parent.iterdir()] == ["a.zip"]
    assert target.read_bytes() == b"of yesterday"


def test_a_corrupt_sample_is_named(registry: Registry, make_mark: MakeMark) -> None:
    sample = registry.add("ACME", make_mark(1)).sample
    registry._store._rows("UPDATE pictures SET ink = ?", (b"no picture",))  # type: ignore[attr-defined]
    with pytest.raises(RegistryError, match=f"{sample.id} is corrupt; remove the sample"):
        registry.picture(sample.id)
    registry.remove_sample(sample.id)
