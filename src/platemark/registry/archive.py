"""A registry as one file that any registry can read: a ZIP file of a manifest and pictures.

::

    manifest.json          format, version, model, dimensions, designs, samples of each
    vectors.f32            the vectors, in the order of the samples: float32, little-endian
    pictures/SAMPLE.jpg    the pixels of a sample
    ink/SAMPLE.png         which of them are ink, grey, 255 where it surely is

Nothing of an archive is ever unpacked to the disk, and what it says is checked like what a user
says. Other files in it are skipped.
"""

import json
import stat
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from platemark.errors import ArchiveError, InvalidDesign, PlatemarkError
from platemark.files import replace_file
from platemark.registry import pictures
from platemark.registry.records import (
    ID_PATTERN,
    LONGEST_TEXT,
    Design,
    Sample,
    StoredSample,
    Vector,
    check_name,
    check_notes,
    check_owner,
    check_tags,
    kept_text,
    writable,
)
from platemark.types import Embedding

FORMAT, VERSION = "platemark registry", 1

_MANIFEST, _VECTORS = "manifest.json", "vectors.f32"
_LONGEST_MANIFEST = 1 << 30
_LONGEST_PICTURE = 1 << 25
_MOST_DIMENSIONS = 4096

_Id = Annotated[str, Field(pattern=ID_PATTERN)]
_Time = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


class _SampleEntry(_Entry):
    sample: _Id
    created: _Time
    source: str = Field(max_length=100_000)
    page: int = Field(ge=0, le=2**31)
    box: tuple[float, float, float, float]
    text: str | None = Field(default=None, max_length=LONGEST_TEXT)


class _DesignEntry(_Entry):
    design: _Id
    name: str
    created: _Time
    changed: _Time
    notes: str = ""
    tags: tuple[str, ...] = ()
    owner: str = ""
    retired: _Time | None = None
    samples: tuple[_SampleEntry, ...] = ()


class _Manifest(_Entry):
    format: Literal["platemark registry"]
    version: int
    model: str | None = Field(default=None, max_length=500)
    dimensions: int = Field(default=0, ge=0, le=_MOST_DIMENSIONS)
    designs: tuple[_DesignEntry, ...] = ()


def write(path: Path, designs: Sequence[Design], stored: Iterable[StoredSample]) -> None:
    """Write an archive.

    Args:
        path: The file; what was there before is replaced when the archive is whole.
        designs: The designs.
        stored: Their samples; those of other designs are left out.

    Raises:
        OSError: The file cannot be written.
    """
    samples: dict[str, list[dict[str, object]]] = {design.id: [] for design in designs}
    vectors: dict[str, bytes] = {}
    model, dimensions = None, 0
    with replace_file(path) as stream, zipfile.ZipFile(stream, "w") as file:
        for item in stored:
            sample = item.sample
            if sample.design in samples:
                samples[sample.design].append(sample.to_dict())
                vectors[sample.id] = np.asarray(item.vector, dtype="<f4").tobytes()
                model, dimensions = sample.model, len(item.vector)
                # JPEG and PNG are not made smaller by compressing them once more.
                file.writestr(_picture_name(sample.id), item.picture)
                file.writestr(_ink_name(sample.id), item.ink)
        manifest = {
            "format": FORMAT,
            "version": VERSION,
            "model": model,
            "dimensions": dimensions,
            "designs": [design.to_dict() | {"samples": samples[design.id]} for design in designs],
        }
        order = [str(sample["sample"]) for own in samples.values() for sample in own]
        file.writestr(_VECTORS, b"".join(vectors[id_] for id_ in order))
        text = json.dumps(manifest, ensure_ascii=False, indent=1)
        file.writestr(_MANIFEST, text, compress_type=zipfile.ZIP_DEFLATED)


class Content:
    """What is in an archive.

    Attributes:
        designs: The designs.
    """

    def __init__(self, file: zipfile.ZipFile, name: str) -> None:
        self._file, self._name = file, name
        self._manifest = self._read_manifest()
        entries = self._manifest.designs
        ids = [entry.design for entry in entries]
        ids += [sample.sample for entry in entries for sample in entry.samples]
        if len(set(ids)) < len(ids):
            raise self._damaged("two of its designs or samples have one id")
        self.designs = tuple(self._design(entry) for entry in entries)
        self._count = sum(len(entry.samples) for entry in entries)

    def samples(self) -> Iterator[StoredSample]:
        """Return the samples of all designs, one at a time.

        Raises:
            ArchiveError: A picture is missing or corrupt, or the vectors are not those.
        """
        manifest = self._manifest
        size = 4 * manifest.dimensions * self._count
        data = self._read(_VECTORS, size)
        if len(data) != size or (self._count and not (size and manifest.model)):
            raise self._damaged("its vectors are not those of its samples")
        vectors = iter(np.frombuffer(data, dtype="<f4").reshape(self._count, -1))
        for design in manifest.designs:
            for entry in design.samples:
                yield self._sample(entry, design.design, next(vectors))

    def _sample(self, entry: _SampleEntry, design: str, vector: Vector) -> StoredSample:
        picture = self._read(_picture_name(entry.sample), _LONGEST_PICTURE)
        ink = self._read(_ink_name(entry.sample), _LONGEST_PICTURE)
        model = str(self._manifest.model)
        try:
            unit = Embedding(vector, model).vector
            sample = Sample(
                entry.sample,
                design,
                entry.created,
                model,
                writable(entry.source),
                entry.page,
                entry.box,
                pictures.digest(picture, ink),
                kept_text(entry.text),
            )
            stored = StoredSample(sample, unit, picture, ink)
            pictures.decode(stored)
        except (ValueError, PlatemarkError) as error:
            raise self._damaged(f"sample {entry.sample}: {error}") from error
        return stored

    def _design(self, entry: _DesignEntry) -> Design:
        try:
            return Design(
                entry.design,
                check_name(entry.name),
                entry.created,
                entry.changed,
                check_notes(entry.notes),
                check_tags(entry.tags),
                check_owner(entry.owner),
                entry.retired,
            )
        except InvalidDesign as error:
            raise self._damaged(error.message) from error

    def _read_manifest(self) -> _Manifest:
        for info in self._file.infolist():
            _refuse_climbing(info, self._name)
        data = self._read(_MANIFEST, _LONGEST_MANIFEST)
        try:
            manifest = _Manifest.model_validate_json(data)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise self._damaged(f"{first['msg']} at {place or 'the top'} of {_MANIFEST}") from error
        if manifest.version > VERSION:
            raise ArchiveError(
                f"{self._name} was made by a newer platemark; read it with that version",
                source=self._name,
            )
        return manifest

    def _read(self, name: str, limit: int) -> bytes:
        """The bytes of a file in the archive, which has no more than a limit, however packed."""
        try:
            with self._file.open(name) as stream:
                data = stream.read(limit + 1)
        except KeyError as error:
            raise self._damaged(f"it has no {name}") from error
        except Exception as error:  # unpacking raises anything from OSError to zlib.error
            raise self._damaged(f"{name}: {error}") from error
        if len(data) > limit:
            raise self._damaged(f"{name} is larger than {limit} bytes")
        return data

    def _damaged(self, reason: str) -> ArchiveError:
        return ArchiveError(
            f"{self._name} cannot be read as an archive of a registry: {reason}", source=self._name
        )


@contextmanager
def read(path: Path) -> Iterator[Content]:
    """Open an archive.

    Raises:
        ArchiveError: The file is missing, no archive of a registry, or corrupt, or has names that
            climb out.
    """
    name = str(path)
    try:
        file = zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise ArchiveError(f"{name} is no archive of a registry: {error}", source=name) from error
    except OSError as error:
        raise ArchiveError(
            f"{name} cannot be read: {error.strerror or error}", source=name
        ) from error
    with file:
        yield Content(file, name)


def _refuse_climbing(info: zipfile.ZipInfo, archive: str) -> None:
    """Refuse an entry that would be written outside a folder it is unpacked to, or is a link."""
    parts = PurePosixPath(info.filename.replace("\\", "/"))
    link = stat.S_ISLNK(info.external_attr >> 16)
    if ".." in parts.parts or parts.is_absolute() or PureWindowsPath(info.filename).drive or link:
        raise ArchiveError(
            f"{archive} has an entry that leads out of it, {info.filename!r}; it is not read",
            source=archive,
        )


def _picture_name(sample: str) -> str:
    return f"pictures/{sample}.jpg"


def _ink_name(sample: str) -> str:
    return f"ink/{sample}.png"
