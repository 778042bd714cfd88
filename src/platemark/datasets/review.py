"""Corrections of a data set: each is on the disk before it is acknowledged, none is overwritten.

Beside the manifest lies a journal, ``annotations.jsonl.journal``: JSON Lines, a line for each
revision of an image with all that is marked in it, only ever appended to. The manifest is written
from it. Revisions of an image are numbered; a change names the one that it builds on, and one that
builds on an old revision is kept as a proposal beside the last instead of replacing it.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, Self, get_args

from pydantic import ValidationError

from platemark.datasets.foreign import MANIFEST, MANIFEST_NAME, format_of
from platemark.datasets.journal import Journal
from platemark.datasets.manifest import ManifestEntry, as_line, first_fault, read_entries
from platemark.datasets.outlines import MarkKind
from platemark.errors import DatasetError, EditConflict, MissingImage
from platemark.files import replace_file
from platemark.imaging.image import image_size
from platemark.imaging.sources import IMAGE_SUFFIXES, expand_inputs

Status = Literal["todo", "edited", "accepted", "rejected"]
"""``todo``: not corrected yet; ``edited``: correction has begun."""
Action = Literal["open", "edit", "accept", "reject", "undo", "redo", "manifest"]
"""How a revision came about; ``manifest``: the manifest was changed by other means."""
_STATUS_OF: Mapping[str, Status] = {"edit": "edited", "accept": "accepted", "reject": "rejected"}

JOURNAL_SUFFIX = ".journal"
_HEADER = "platemark review"
_REVIEWED = "reviewed"


@dataclass(frozen=True, slots=True)
class Revision:
    """An image as it was annotated at one time.

    Attributes:
        version: Counted from 0 for each image.
        action: How it came about.
        status: What the image is then.
        entry: What is marked in it.
        annotator: Who did it; None for the manifest.
        at: When, ISO 8601 in UTC; None for the manifest.
    """

    version: int
    action: Action
    status: Status
    entry: ManifestEntry
    annotator: str | None = None
    at: str | None = None


@dataclass(frozen=True, slots=True)
class Proposal:
    """A change that built on an old revision, and waits for somebody to choose.

    Attributes:
        number: Counted from 1 for each image.
        base: Version that it built on.
        action: What it was to be.
        entry: What it says.
        annotator: Whose it is.
        at: When, ISO 8601 in UTC.
    """

    number: int
    base: int
    action: Action
    entry: ManifestEntry
    annotator: str
    at: str


@dataclass
class _History:
    """All that happened to an image.

    Attributes:
        revisions: In order, the last one counts.
        undo: Versions that can be gone back to, the next one last.
        redo: Versions that were undone, the next one last.
        proposals: Those that wait.
        proposed: How many proposals there ever were.
        listed: Whether the manifest had the image when it was opened.
    """

    revisions: list[Revision]
    listed: bool
    undo: list[int] = field(default_factory=list)
    redo: list[int] = field(default_factory=list)
    proposals: list[Proposal] = field(default_factory=list)
    proposed: int = 0

    @property
    def last(self) -> Revision:
        return self.revisions[-1]

    def add(self, revision: Revision) -> None:
        """Let a revision follow the last; an ``undo`` goes back to the version on top of `undo`."""
        before = self.last.version
        if revision.action == "undo":
            self.undo.pop()
            self.redo.append(before)
        else:
            self.undo.append(before)
            if revision.action == "redo":
                self.redo.pop()
            else:
                self.redo.clear()
        self.revisions.append(revision)


@dataclass(frozen=True, slots=True)
class ReviewImage:
    """An image under review, as it is at one time.

    Attributes:
        id: Sixteen hexadecimal digits, the same for the same path.
        path: Where the picture lies.
        revision: What counts.
        can_undo: Whether there is something to undo.
        can_redo: Whether something was undone.
        proposals: Changes that built on an old revision and wait for a choice.
        annotated: Whether the marks are somebody's; if not, there are none yet.
    """

    id: str
    path: Path
    revision: Revision
    can_undo: bool
    can_redo: bool
    proposals: tuple[Proposal, ...]
    annotated: bool


class ReviewStore:
    """The images of a data set and their revisions; may be used by all threads.

    Args:
        manifest: The manifest file; it need not exist.
        kind: The kind of marks that is reviewed; by default the one that most entries list.
        folder: Whether all images of its folder are to be annotated, listed or not.

    Attributes:
        manifest: The manifest file.
        kind: The kind of marks that is reviewed.

    Raises:
        DatasetError: A file is not as it should be, cannot be written, or is in use by another
            process.
    """

    def __init__(
        self, manifest: Path, kind: MarkKind | None = None, *, folder: bool = False
    ) -> None:
        self.manifest = manifest
        self._lock, self._writing = threading.Lock(), threading.Lock()
        self._journal = Journal(
            manifest.with_name(manifest.name + JOURNAL_SUFFIX), _HEADER, {"folder": folder}
        )
        try:
            self._names: dict[str, str] = {}
            self._histories: dict[str, _History] = {}
            self._fill(folder or bool(self._journal.head.get("folder")))
        except BaseException:
            self._journal.close()
            raise
        self.kind: MarkKind = kind or self._most_frequent_kind()
        self._dirty = self._journal.lines > 1

    @classmethod
    def open(cls, dataset: str | Path, kind: MarkKind | None = None) -> Self:
        """Open a manifest, the folder of one, or a plain folder of images.

        A plain folder gets a manifest, ``annotations.jsonl``, of the images that were accepted.

        Args:
            dataset: The file or folder.
            kind: The kind of marks to review; by default the one that most entries list.

        Raises:
            DatasetError: There is no such file, a file is not as it should be, the folder cannot
                be written to, or another process reviews it.
        """
        path = Path(dataset)
        if not path.exists():
            raise DatasetError("there is no such file or folder; check the path", file=path)
        if path.is_file():
            if path.suffix.lower() != ".jsonl":
                raise _foreign(path)
            return cls(path, kind)
        manifests = sorted(path.glob("*.jsonl"))
        usual = path / MANIFEST_NAME
        if usual in manifests:
            return cls(usual, kind)
        if len(manifests) > 1:
            names = ", ".join(file.name for file in manifests)
            raise DatasetError(f"has several manifests ({names}); name one of them", file=path)
        if manifests:
            return cls(manifests[0], kind)
        if _has_foreign_annotations(path):
            raise _foreign(path)
        return cls(usual, kind, folder=True)

    @property
    def ids(self) -> Sequence[str]:
        """Of all images, in the order of the manifest and then of their paths."""
        return tuple(self._names)

    def name(self, image: str) -> str:
        """The path of an image relative to the manifest.

        Raises:
            MissingImage: There is no image with this id.
        """
        if image not in self._names:
            raise MissingImage(f"no image has the id {image[:40]!r}", file=self.manifest)
        return self._names[image]

    def path(self, image: str) -> Path:
        """Where an image lies; errors as for `name`."""
        return self.manifest.parent / self.name(image)

    def status(self, image: str) -> Status:
        """What an image is; its file is not opened. Errors as for `name`."""
        self.name(image)
        history = self._histories.get(image)
        return "todo" if history is None else history.last.status

    def waiting(self, image: str) -> int:
        """How many proposals of an image wait for a choice."""
        history = self._histories.get(image)
        return 0 if history is None else len(history.proposals)

    def corrected(self, image: str) -> bool:
        """Whether an image has revisions after the first."""
        history = self._histories.get(image)
        return history is not None and len(history.revisions) > 1

    def get(self, image: str) -> ReviewImage:
        """An image as it is now.

        Raises:
            MissingImage: There is no image with this id.
            InputError: It is not in the manifest, and its size cannot be read.
        """
        history = self._history(image)
        with self._lock:
            return self._told(image, history)

    def history(self, image: str) -> tuple[Revision, ...]:
        """All revisions of an image, oldest first; errors as for `get`."""
        return tuple(self._history(image).revisions)

    def save(
        self,
        image: str,
        entry: ManifestEntry,
        *,
        base: int,
        annotator: str,
        action: Action = "edit",
        resolves: Sequence[int] = (),
    ) -> ReviewImage:
        """Keep a change; it is on the disk when this returns.

        A change that is already made is not made again, so that whoever got no answer may ask once
        more.

        Args:
            image: Id of the image.
            entry: All that is marked in it now.
            base: Version that the change builds on.
            annotator: Who makes it.
            action: ``edit``, ``accept`` or ``reject``.
            resolves: Numbers of proposals that this settles.

        Returns:
            The image as it is now.

        Raises:
            EditConflict: There is a newer version; the change is kept as a proposal.
            MissingImage: There is no image with this id.
            DatasetError: It could not be kept.
            ValueError: There is no such action.
        """
        if action not in _STATUS_OF:
            raise ValueError(f"a change is one of {', '.join(_STATUS_OF)}, not {action!r}")
        history, status = self._history(image), _STATUS_OF[action]
        if entry.image != self._names[image]:
            raise ValueError(f"the entry is of {entry.image}, not of {self._names[image]}")
        with self._lock:
            last, now = history.last, _now()
            same = _content(last.entry) == _content(entry)
            if base != last.version and not same:
                offered = Proposal(history.proposed + 1, base, action, entry, annotator, now)
                self._propose(image, history, offered)
            if same and (action == "edit" or status == last.status):
                if resolves:
                    self._settle(image, history, resolves, annotator)
            else:
                made = Revision(last.version + 1, action, status, entry, annotator, now)
                self._commit(image, history, made, resolves)
            return self._told(image, history)

    def undo(self, image: str, *, base: int, annotator: str) -> ReviewImage:
        """Go back to what was before the last change; that is a new version. Errors as `save`."""
        return self._step(image, "undo", base, annotator)

    def redo(self, image: str, *, base: int, annotator: str) -> ReviewImage:
        """Make what was undone last once more; that is a new version. Errors as `save`."""
        return self._step(image, "redo", base, annotator)

    def discard(self, image: str, number: int, *, annotator: str) -> ReviewImage:
        """Settle a proposal in favour of the last version; the journal keeps it.

        Raises:
            MissingImage: There is no image with this id.
            DatasetError: It could not be kept.
        """
        history = self._history(image)
        with self._lock:
            if any(one.number == number for one in history.proposals):
                self._settle(image, history, [number], annotator)
            return self._told(image, history)

    def write_manifest(self) -> None:
        """Write the manifest from the journal, whole or not at all, where it is not as that says.

        Rejected images are left out, and images that were never annotated.

        Raises:
            DatasetError: It cannot be written; the journal has everything.
        """
        with self._writing:
            with self._lock:
                if not self._dirty:
                    return
                self._dirty = False
                entries = [self._written(self._histories[one]) for one in self._known()]
            wanted = [entry for entry in entries if entry is not None]
            if not wanted and not self.manifest.exists():
                return
            try:
                with replace_file(self.manifest) as stream:
                    stream.writelines(as_line(entry).encode() for entry in wanted)
            except OSError as error:
                self._dirty = True
                raise DatasetError(
                    f"the manifest cannot be written ({error.strerror or error}); the corrections "
                    "are in the journal beside it",
                    file=self.manifest,
                ) from error

    def close(self) -> None:
        """Write the manifest and let others review the data set."""
        try:
            self.write_manifest()
        finally:
            self._journal.close()

    def _most_frequent_kind(self) -> MarkKind:
        stamps = sum(
            "stamps" in history.last.entry.model_fields_set for history in self._histories.values()
        )
        return "stamp" if 2 * stamps > len(self._histories) else "plate"

    def _fill(self, folder: bool) -> None:
        """Join manifest, journal and folder."""
        for entry in _entries(self.manifest):
            known = _id(entry.image)
            if known in self._names:
                raise DatasetError(
                    f"{entry.image} is listed twice; join the lines", file=self.manifest
                )
            self._names[known] = entry.image
            stated = (entry.model_extra or {}).get(_REVIEWED)
            first = Revision(0, "open", _stated_status(stated), entry)
            self._histories[known] = _History([first], listed=True)
        seen = {known: history.last.entry for known, history in self._histories.items()}
        if folder:
            for name in _images_of(self.manifest.parent):
                self._names.setdefault(_id(name), name)
        opened: set[str] = set()
        for number, data in self._journal.read():
            self._replay(_Line(data, self._journal.file, number), opened)
        for known, entry in seen.items():
            history = self._histories[known]
            if all(_content(entry) != _content(one.entry) for one in history.revisions):
                status: Status = "todo" if history.last.status == "rejected" else "edited"
                made = Revision(len(history.revisions), "manifest", status, entry, None, _now())
                self._commit(known, history, made)

    def _replay(self, line: "_Line", opened: set[str]) -> None:
        """Let what a line says happen to its image; ``opened`` are those of the lines before."""
        known = _id(line.image)
        if line.action == "open":
            self._names.setdefault(known, line.image)
            listed = bool(line.data.get("listed"))
            self._histories[known] = _History([line.revision()], listed)
            opened.add(known)
            return
        history = self._histories.get(known)
        if history is None or known not in opened or not line.follows(history.last):
            raise line.fault("a line before it is missing")
        if line.action == "conflict":
            history.proposals.append(line.proposal())
            history.proposed = history.proposals[-1].number
        else:
            _drop(history, line.data.get("resolves", ()))
            if line.is_revision:
                history.add(line.revision())

    def _known(self) -> list[str]:
        return [image for image in self._names if image in self._histories]

    def _history(self, image: str) -> _History:
        """What happened to an image; one of a folder is read for its size."""
        name = self.name(image)
        if image not in self._histories:
            width, height = image_size(self.manifest.parent / name)
            none: dict[str, Any] = {f"{self.kind}s": ()}
            entry = ManifestEntry(image=name, width=width, height=height, split="train", **none)
            with self._lock:
                first = Revision(0, "open", "todo", entry)
                self._histories.setdefault(image, _History([first], listed=False))
        return self._histories[image]

    def _told(self, image: str, history: _History) -> ReviewImage:
        last = history.last
        return ReviewImage(
            image,
            self.path(image),
            last,
            bool(history.undo),
            bool(history.redo),
            tuple(history.proposals),
            history.listed or last.status != "todo",
        )

    def _step(self, image: str, action: Action, base: int, annotator: str) -> ReviewImage:
        history = self._history(image)
        with self._lock:
            stack, last = history.undo if action == "undo" else history.redo, history.last
            if base != last.version:
                raise _conflict(self._names[image], last, base, "nothing was undone")
            if stack:
                to = history.revisions[stack[-1]]
                made = replace(
                    to, version=last.version + 1, action=action, annotator=annotator, at=_now()
                )
                self._commit(image, history, made)
            return self._told(image, history)

    def _propose(self, image: str, history: _History, offered: Proposal) -> None:
        """Keep a change that came too late, once, and say so.

        Raises:
            EditConflict: Always.
        """
        if not any(
            (one.annotator, one.action) == (offered.annotator, offered.action)
            and _content(one.entry) == _content(offered.entry)
            for one in history.proposals
        ):
            line = {
                "image": self._names[image],
                "action": "conflict",
                "number": offered.number,
                "base": offered.base,
                "change": offered.action,
                **_signed(offered.annotator, offered.at),
                "entry": _dumped(offered.entry),
            }
            self._journal.append(*self._opened(image, history), line)
            history.proposals.append(offered)
            history.proposed = offered.number
        raise _conflict(
            self._names[image], history.last, offered.base, "both versions are kept: choose one"
        )

    def _commit(
        self, image: str, history: _History, made: Revision, resolves: Sequence[int] = ()
    ) -> None:
        """Append a revision to the journal and, once it is on the disk, to the history."""
        line = self._line(image, made)
        if resolves:
            line["resolves"] = list(resolves)
        self._journal.append(*self._opened(image, history), line)
        history.add(made)
        _drop(history, resolves)
        self._dirty = True

    def _settle(
        self, image: str, history: _History, numbers: Sequence[int], annotator: str
    ) -> None:
        line = {"image": self._names[image], "action": "discard", "resolves": list(numbers)}
        self._journal.append(line | _signed(annotator, _now()))
        _drop(history, numbers)

    def _opened(self, image: str, history: _History) -> list[dict[str, Any]]:
        """The line with what an image was at first, for the first change of it."""
        if len(history.revisions) > 1 or history.proposed:
            return []
        return [self._line(image, history.revisions[0]) | {"listed": history.listed}]

    def _line(self, image: str, revision: Revision) -> dict[str, Any]:
        return {
            "image": self._names[image],
            "version": revision.version,
            "action": revision.action,
            "status": revision.status,
            **_signed(revision.annotator, revision.at),
            "entry": _dumped(revision.entry),
        }

    def _written(self, history: _History) -> ManifestEntry | None:
        """What the manifest says of an image; None for nothing."""
        last = history.last
        if last.status == "rejected" or not (history.listed or last.status == "accepted"):
            return None
        if len(history.revisions) == 1:
            return last.entry
        if last.status == "todo":
            return ManifestEntry.model_validate(_dumped(last.entry, {_REVIEWED}))
        said = {"status": last.status, **_signed(last.annotator, last.at)}
        return last.entry.model_copy(update={_REVIEWED: said})


@dataclass(frozen=True)
class _Line:
    """A line of a journal, and where it stands."""

    data: Mapping[str, Any]
    file: Path
    number: int

    def __post_init__(self) -> None:
        known = (*get_args(Action), "conflict", "discard")
        if not isinstance(self.data.get("image"), str) or self.action not in known:
            raise self.fault("is no correction")

    @property
    def image(self) -> str:
        return str(self.data["image"])

    @property
    def action(self) -> str:
        return str(self.data.get("action"))

    @property
    def is_revision(self) -> bool:
        return self.action not in ("conflict", "discard")

    def follows(self, last: Revision) -> bool:
        """Whether it is of no revision, or of the one after."""
        return not self.is_revision or self.data.get("version") == last.version + 1

    def fault(self, message: str) -> DatasetError:
        """The error that names this line."""
        return DatasetError(
            f"{message}; restore the file from a copy", file=self.file, line=self.number
        )

    def revision(self) -> Revision:
        data = self.data
        return Revision(
            data["version"],
            data["action"],
            data["status"],
            self._entry(),
            data.get("annotator"),
            data.get("at"),
        )

    def proposal(self) -> Proposal:
        data = self.data
        return Proposal(
            data["number"],
            data["base"],
            data["change"],
            self._entry(),
            data["annotator"],
            data["at"],
        )

    def _entry(self) -> ManifestEntry:
        try:
            return ManifestEntry.model_validate(self.data.get("entry"))
        except ValidationError as error:
            raise self.fault("{}: {}".format(*first_fault(error))) from error


def _drop(history: _History, numbers: Sequence[int]) -> None:
    history.proposals = [one for one in history.proposals if one.number not in numbers]


def _conflict(name: str, last: Revision, base: int, outcome: str) -> EditConflict:
    who = last.annotator or "somebody"
    return EditConflict(
        f"{name} was changed by {who} meanwhile (it has version {last.version}, the change builds "
        f"on {base}); {outcome}"
    )


def _foreign(path: Path) -> DatasetError:
    return DatasetError(
        f"has annotations of another tool; make a manifest of them first: platemark dataset "
        f"convert {path} DIR",
        file=path,
    )


def _has_foreign_annotations(folder: Path) -> bool:
    """Whether a folder has annotations of a tool; a table may be of anything."""
    try:
        return format_of(folder) not in (MANIFEST, "csv")
    except DatasetError:
        return False


def _entries(manifest: Path) -> Iterator[ManifestEntry]:
    if manifest.exists():
        for entry in read_entries(manifest):
            if isinstance(entry, DatasetError):
                raise entry
            yield entry


def _images_of(folder: Path) -> Iterator[str]:
    for found in expand_inputs(folder, IMAGE_SUFFIXES):
        if isinstance(found, str):
            yield Path(found).relative_to(folder).as_posix()


def _id(name: str) -> str:
    return sha256(name.encode()).hexdigest()[:16]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _signed(annotator: str | None, at: str | None) -> dict[str, str]:
    return {key: v for key, v in (("annotator", annotator), ("at", at)) if v is not None}


def _dumped(entry: ManifestEntry, exclude: set[str] | None = None) -> dict[str, Any]:
    return entry.model_dump(mode="json", exclude_unset=True, exclude=exclude)


def _content(entry: ManifestEntry) -> dict[str, Any]:
    """What an entry says, however it is written; not who reviewed it."""
    return entry.model_dump(mode="json", exclude={_REVIEWED})


def _stated_status(stated: object) -> Status:
    said = stated.get("status") if isinstance(stated, dict) else None
    return next((status for status in _STATUS_OF.values() if status == said), "todo")
