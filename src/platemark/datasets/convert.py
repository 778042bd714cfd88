"""Data sets in any format read as manifest entries, and written in any other."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Literal

from platemark.datasets.foreign import (
    FORMATS,
    MANIFEST,
    MANIFEST_NAME,
    Format,
    format_of,
    nomeroff,
)
from platemark.datasets.manifest import ManifestEntry, read_entries, write_manifest
from platemark.datasets.outlines import (
    ImageFinder,
    Picture,
    Place,
    Reading,
    attempt,
    entry_of,
    picture_of,
)
from platemark.errors import DatasetError
from platemark.splits import Split

Transfer = Literal["link", "copy", "leave"]
"""What becomes of images: a second name for the same file, a copy, or nothing."""
_IMAGE_FOLDERS = ("images", "img", "JPEGImages", "masks")
_SPLIT_FOLDERS: dict[Split, str] = {"train": "train", "dev": "val", "test": "test"}


@dataclass(frozen=True)
class Dataset:
    """Annotated images in any format; going through them gives manifest entries, one by one.

    Attributes:
        source: The annotation file, or the folder.
        format: Name of the format, of `platemark.datasets.FORMAT_NAMES`.
        reading: How foreign annotations are understood.
        splits: The split of each entry in order, in the place of what the annotations say.
    """

    source: Path
    format: str
    reading: Reading = field(default_factory=Reading)
    splits: Sequence[Split] | None = None

    @classmethod
    def open(
        cls,
        source: str | Path,
        format: str | None = None,  # noqa: A002 - as the option is called
        reading: Reading | None = None,
    ) -> "Dataset":
        """Tell the format of a data set where it is not given.

        Raises:
            DatasetError: It is not there, or of no format that is known.
        """
        path = Path(source)
        return cls(path, format or format_of(path), reading or Reading())

    @property
    def root(self) -> Path:
        """The folder that the image paths of the entries start from."""
        return self.source if self.source.is_dir() else self.source.parent

    def path(self, entry: ManifestEntry) -> Path:
        """Return where the image of an entry lies."""
        return self.root / entry.image

    def __iter__(self) -> Iterator[ManifestEntry | DatasetError]:
        """Give an entry for each image, and for what is wrong the error that says what and where.

        Raises:
            DatasetError: A file cannot be read at all.
        """
        number = 0
        for entry in self._entries():
            if isinstance(entry, ManifestEntry):
                if self.splits is not None:
                    entry = entry.model_copy(update={"split": self.splits[number]})
                number += 1
            yield entry

    def _entries(self) -> Iterator[ManifestEntry | DatasetError]:
        if self.format == MANIFEST:
            for file in self._files(_manifests):
                yield from read_entries(file)
            return
        finder = last = None
        for picture in self._pictures():
            if isinstance(picture, DatasetError):
                yield picture
                continue
            folder = picture.place.file.parent
            if finder is None or folder != last:
                finder, last = ImageFinder(picture.place.file, self.reading.images), folder
            make = partial(entry_of, picture, self.root, finder, self.reading)
            yield attempt(make, picture.place)

    def _pictures(self) -> Iterator[Picture | DatasetError]:
        known = FORMATS[self.format]
        files = self._files(known.files)
        if self.format == "nomeroff":
            return nomeroff.read(files, self.reading.regions)
        return known.read(files)

    def _files(self, find: Callable[[Path], Sequence[Path]]) -> Sequence[Path]:
        if self.source.is_file():
            return [self.source]
        found = find(self.source)
        if not found:
            raise DatasetError(f"the folder has no annotations of {self.format}", file=self.source)
        return found


def _manifests(folder: Path) -> Sequence[Path]:
    usual = folder / MANIFEST_NAME
    return [usual] if usual.exists() else sorted(folder.glob("*.jsonl"))


@dataclass
class Conversion:
    """What was converted.

    Attributes:
        target: The annotation file or folder that was written.
        images: Number of images.
        marks: Number of plates and stamps in them.
        errors: Why images were left out, those that were.
    """

    target: Path
    images: int = 0
    marks: int = 0
    errors: list[DatasetError] = field(default_factory=list)


def convert(
    dataset: Dataset,
    target: str | Path,
    format: str | None = None,  # noqa: A002 - as the option is called
    *,
    transfer: Transfer = "link",
    only: Split | None = None,
    skip_errors: bool = False,
    progress: Callable[[int], None] = lambda done: None,
) -> Conversion:
    """Write a data set in a format, whole or not at all.

    Images that lie in the folder that is written stay; others get a second name there, or a copy.

    Args:
        dataset: What to convert.
        target: A folder that is new or empty, or for formats of one file that file.
        format: Of `platemark.datasets.FORMAT_NAMES`; None takes the manifest, or what the suffix of
            ``target`` says.
        transfer: What becomes of the images.
        only: Leave out other splits.
        skip_errors: Leave out images with an error instead of stopping at the first.
        progress: Called with the number of images done.

    Raises:
        DatasetError: The data set is wrong, or the target is there already or cannot hold it.
        OSError: It cannot be written; nothing is left behind.
    """
    folder, file_name, name = _target(Path(target), format)
    known = FORMATS.get(name)
    if transfer == "leave" and file_name is None:
        raise DatasetError(f"{name} has its images in its own folder; link or copy them")
    _check_target(dataset, folder, file_name, is_folder=folder == Path(target))
    conversion = Conversion(Path(target))
    with _staged(folder, file_name) as staged:
        images = _Images(dataset, staged, folder, known, transfer)

        def entries() -> Iterator[ManifestEntry]:
            for entry in dataset:
                if isinstance(entry, ManifestEntry):
                    if only not in (None, entry.split):
                        continue
                    place = Place(dataset.source, key=entry.image)
                    entry = attempt(partial(images.take, entry), place)
                if isinstance(entry, DatasetError):
                    if not skip_errors:
                        raise entry
                    conversion.errors.append(entry)
                    continue
                conversion.images += 1
                conversion.marks += len(entry.plates) + len(entry.stamps)
                progress(conversion.images)
                yield entry

        place = staged if file_name is None else staged / file_name
        if known is None:
            write_manifest(place, entries())
        else:
            known.write(place, (picture_of(e, e.image, dataset.source) for e in entries()))
        if not conversion.images:
            raise DatasetError("no image is left to write", file=dataset.source)
    return conversion


def _target(target: Path, wanted: str | None) -> tuple[Path, str | None, str]:
    """The folder to write to, the name of the one annotation file if it is one, the format."""
    suffix = target.suffix.lower()
    if wanted is None:
        if suffix == ".json":
            raise DatasetError(f"many formats are JSON; say with --to which {target} is to be")
        wanted = {".csv": "csv", ".xml": "cvat"}.get(suffix, MANIFEST)
    known = FORMATS.get(wanted)
    file_name = known.file_name if known else MANIFEST_NAME
    if file_name is not None and suffix == Path(file_name).suffix and not target.is_dir():
        return target.parent, target.name, wanted
    return target, file_name, wanted


def _check_target(
    dataset: Dataset, folder: Path, file_name: str | None, *, is_folder: bool
) -> None:
    if is_folder:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise DatasetError("is there already; name a new folder", file=folder)
        if dataset.source.is_dir() and folder.resolve().is_relative_to(dataset.source.resolve()):
            raise DatasetError("lies in the data set; name a folder beside it", file=folder)
    elif (folder / str(file_name)).resolve() == dataset.source.resolve():
        raise DatasetError("is the data set itself; name another file", file=dataset.source)


@contextmanager
def _staged(folder: Path, file_name: str | None) -> Iterator[Path]:
    """A new folder beside another, which becomes that, or joins it, when the block is through."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name[:100]}.", dir=folder.parent) as beside:
        staged = Path(beside) / "staged"
        staged.mkdir()
        yield staged
        if folder.exists() and any(folder.iterdir()):
            _join(staged, folder, last=file_name)
        else:
            if folder.exists():
                folder.rmdir()
            staged.rename(folder)


def _join(staged: Path, folder: Path, last: str | None) -> None:
    """Move files into a folder; the annotations come when all they name is there."""
    files = [path.relative_to(staged) for path in staged.rglob("*") if path.is_file()]
    for file in sorted(files, key=lambda path: path.as_posix() == last):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (staged / file).replace(folder / file)


class _Images:
    """Gives the images and masks of a data set their places in the one that is written.

    Args:
        dataset: Where they are.
        staged: Where they are put.
        folder: What that becomes.
        known: The format that is written; None for a manifest.
        transfer: What becomes of them.
    """

    def __init__(
        self,
        dataset: Dataset,
        staged: Path,
        folder: Path,
        known: Format | None,
        transfer: Transfer,
    ) -> None:
        self._dataset, self._staged, self._folder = dataset, staged, folder
        self._resolved = folder.resolve()
        self._known, self._transfer = known, transfer
        self._taken: set[str] = set()

    def take(self, entry: ManifestEntry) -> ManifestEntry:
        """Put the files of an entry into their places, and return it with these.

        Raises:
            DatasetError: A file is missing, or the format cannot hold the entry.
        """
        if self._known is not None and self._known.check is not None:
            self._known.check(picture_of(entry, entry.image, self._dataset.source))
        template = "images/{name}" if self._known is None else self._known.images
        moved: dict[str, object] = {"image": self._put(entry.image, template, entry.split)}
        if any(stamp.mask for stamp in entry.stamps):
            moved["stamps"] = tuple(
                stamp.model_copy(
                    update={"mask": self._put(stamp.mask, "masks/{name}", entry.split)}
                )
                if stamp.mask
                else stamp
                for stamp in entry.stamps
            )
        return entry.model_copy(update=moved)

    def _put(self, name: str, template: str, split: Split) -> str:
        """Put a file into its place, and return that as the new annotations name it."""
        source = self._dataset.root / name
        if not source.is_file():
            raise Place(self._dataset.source).missing(name)
        stays = self._known is None or self._known.file_name is not None
        inside = source.resolve().is_relative_to(self._resolved)
        if stays and (inside or self._transfer == "leave"):
            return Path(os.path.relpath(source, self._folder)).as_posix()
        target = self._free(name, template, split)
        (self._staged / target).parent.mkdir(parents=True, exist_ok=True)
        self._transfer_file(source.resolve(), self._staged / target)
        return target.as_posix()

    def _transfer_file(self, source: Path, target: Path) -> None:
        if self._transfer == "link":
            with suppress(OSError):  # another file system, or one without links
                target.hardlink_to(source)
                return
        shutil.copyfile(source, target)

    def _free(self, name: str, template: str, split: Split) -> PurePosixPath:
        """A place for a file that no other has, also none of another suffix."""
        parts = [part for part in PurePosixPath(name).parts if part not in ("..", "/")]
        if len(parts) > 1 and parts[0] in _IMAGE_FOLDERS:
            parts = parts[1:]
        names = {"name": "/".join(parts), "flat": "_".join(parts), "split": _SPLIT_FOLDERS[split]}
        wanted = PurePosixPath(template.format(**names))
        stem, number = wanted.with_suffix(""), 1
        place = wanted
        while place.with_suffix("").as_posix() in self._taken or (self._folder / place).exists():
            number += 1
            place = stem.with_name(f"{stem.name}-{number}{wanted.suffix}")
        self._taken.add(place.with_suffix("").as_posix())
        return place
