"""A folder of results for very many inputs, filled part by part, that a kill leaves sound.

The inputs are listed once and cut into parts; whoever works takes a part. Its rows go to a journal
first, each as soon as its page is done. With the last of them the journal becomes the file
``part-00042.jsonl``, whole or not at all: so a part that is there is done, and a journal says how
far its part has come. The rows are the same however often the work was broken off.
"""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import IO, Any, Self

from platemark.errors import InputError, PlatemarkError, WorkerLost
from platemark.files import lock_file, replace_file
from platemark.imaging.image import is_address
from platemark.imaging.remote import (
    TAR_SUFFIXES,
    Content,
    content_at,
    expand_address,
    is_tar,
    tar_members,
)
from platemark.imaging.sources import (
    DOCUMENT_SUFFIXES,
    STDIN,
    PageRead,
    Unread,
    expand_inputs,
    page_reads,
)
from platemark.types import Failure, Result
from platemark.usecases.export import Layout, json_line, write_parquet

# Inputs of a part: enough that parts are few, so few that all workers have some to the end.
_LEAST, _MOST, _PARTS = 8, 1000, 256
_LEDGER, _PLAN, _LOCK = ".batch", "plan.jsonl", "lock"


class PartFormat(StrEnum):
    """What the files of results are."""

    JSONL = "jsonl"
    PARQUET = "parquet"


Input = str | Unread
"""A file, an address or a tar file; or what stood for none when the inputs were listed, and why."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the inputs, whose results become one file.

    Attributes:
        number: Which part, counted from 0.
        inputs: Files, addresses and tar files, in the order of their results.
    """

    number: int
    inputs: tuple[Input, ...]


@dataclass(frozen=True, slots=True)
class Begun:
    """A page is begun: this one is to blame if it is never ended."""

    source: str
    page: int


@dataclass(frozen=True, slots=True)
class Ended:
    """A page is done and its row written; its error where there is one."""

    error: str | None


@dataclass(frozen=True, slots=True)
class Reached:
    """How many inputs of the part are done."""

    inputs: int


Told = Begun | Ended | Reached


@dataclass(frozen=True, slots=True)
class Batch:
    """A folder that holds the results of one batch, or will.

    Attributes:
        folder: Where the parts are written.
        format: What they are.
        layout: The kind of marks.
        count: Inputs.
        size: Inputs of a part; a tar file is a part of its own.
    """

    folder: Path
    format: PartFormat
    layout: Layout
    count: int
    size: int

    @classmethod
    def open(
        cls,
        folder: Path,
        inputs: Sequence[str],
        settings: Mapping[str, object],
        *,
        format: PartFormat,  # noqa: A002 - as the option is called
        layout: Layout,
    ) -> Self:
        """Begin a batch, or go on with one that was begun in this folder.

        Args:
            folder: Is made.
            inputs: Files, folders, globs, ``@lists``, tar files and addresses. They are listed when
                the batch begins, and never again.
            settings: Whatever else decides what the results are, for JSON.
            format: What the files of results are.
            layout: The kind of marks.

        Raises:
            InputError: The folder is of another batch, or an input cannot be read twice.
            OSError: The folder cannot be written.
        """
        if STDIN in inputs:
            raise InputError("- cannot be read twice, as a batch must; name files", source=STDIN)
        asked = {
            "inputs": list(inputs),
            "directory": str(Path.cwd()),  # of names that are not absolute
            "format": str(format),
            **settings,
        }
        plan = folder / _LEDGER / _PLAN
        if not plan.exists():
            plan.parent.mkdir(parents=True, exist_ok=True)
            with replace_file(plan) as stream:
                _write_plan(stream, asked, inputs)
        with plan.open(encoding="utf-8") as lines:
            begun = json.loads(next(lines))
        count = begun.pop("count")
        if begun != json.loads(json.dumps(asked)):
            other = sorted(key for key in begun | asked if begun.get(key) != asked.get(key))
            raise InputError(
                f"{folder} holds a batch with other {' and '.join(other)}; "
                "give the command that began it, or another folder",
                source=str(folder),
            )
        size = min(max(-(-count // _PARTS), _LEAST), _MOST)
        return cls(folder, format, layout, count, size)

    @property
    def outbox(self) -> Path:
        """Where results wait for a webhook."""
        return self._ledger / "webhook"

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Check that no other run fills the folder during the block.

        Raises:
            InputError: One does.
        """
        with (self._ledger / _LOCK).open("wb") as stream:
            if not lock_file(stream, wait=False):
                raise InputError(
                    f"another run is writing to {self.folder}; wait for it, or choose another "
                    "folder",
                    source=str(self.folder),
                )
            yield

    def parts(self) -> Iterator[Part]:
        """All parts in order, read from the disk one at a time."""
        with (self._ledger / _PLAN).open(encoding="utf-8") as lines:
            listed = map(_planned, islice(lines, 1, None))
            number = 0
            inputs: list[Input] = []
            for one in listed:
                shard = isinstance(one, str) and is_tar(one)
                if inputs and (shard or len(inputs) == self.size):
                    yield Part(number, tuple(inputs))
                    number, inputs = number + 1, []
                inputs.append(one)
                if shard:
                    yield Part(number, tuple(inputs))
                    number, inputs = number + 1, []
            if inputs:
                yield Part(number, tuple(inputs))

    def is_done(self, part: Part) -> bool:
        """Whether the results of a part are there."""
        return self._file(part).exists()

    def do(
        self,
        part: Part,
        process: Callable[[PageRead], Result],
        tell: Callable[[Told], None] = lambda told: None,
    ) -> None:
        """Do what is left of a part.

        Args:
            part: One of `parts`; another process may have begun it.
            process: Reads a page and finds its marks, or says in the result why there are none.
            tell: Is told how far it is, before and after each page.

        Raises:
            OSError: The folder cannot be written.
        """
        with self._journal(part) as journal:
            if self.is_done(part):  # by a worker of a run that was killed
                return
            begin = journal.pages
            for index, value in islice(_items(part.inputs), journal.items, None):
                source = _name(value)
                tell(Reached(index))
                tell(Begun(source, begin))
                for page, read in enumerate(page_reads([value])):
                    if page >= begin:
                        tell(Begun(source, page))
                        result = process(read)
                        journal.write(result)
                        tell(Ended(result.error.message if result.error else None))
                begin = 0
            with replace_file(self._file(part)) as stream:
                journal.copy(stream, self.format, self.layout)
        self._journal_file(part).unlink(missing_ok=True)
        tell(Reached(len(part.inputs)))

    def blame(self, part: Part, begun: Begun, how: str) -> Result:
        """Write the row of a page whose worker was lost, and return it.

        Args:
            part: The part that the worker had.
            begun: What it had begun.
            how: How it ended, such as ``exit status 1``.
        """
        error = WorkerLost(
            f"{begun.source}, page {begun.page + 1}, was being read when its process ended with "
            f"{how}, twice; leave it out, or save it again with another program",
            source=begun.source,
        )
        result = Result(begun.source, begun.page, error=Failure(error.code, error.message))
        with self._journal(part) as journal:
            journal.write(result)
        return result

    def notes_file(self, part: Part) -> Path:
        """Where whoever does a part may note how far it came, for who goes on with it."""
        return self._ledger / f"notes-{part.number:05d}.json"

    @property
    def _ledger(self) -> Path:
        return self.folder / _LEDGER

    def _file(self, part: Part) -> Path:
        return self.folder / f"part-{part.number:05d}.{self.format}"

    def _journal_file(self, part: Part) -> Path:
        return self._ledger / f"part-{part.number:05d}.jsonl"

    @contextmanager
    def _journal(self, part: Part) -> Iterator["_Journal"]:
        with self._journal_file(part).open("a+b") as stream:
            stream.seek(0)
            lock_file(stream, wait=True)
            yield _Journal(stream, embedding=self.layout.embedding)


class _Journal:
    """The rows of a part so far.

    Attributes:
        items: Files and members of tar files that are done.
        pages: Pages of the next one that are done too.
    """

    def __init__(self, stream: IO[bytes], *, embedding: bool) -> None:
        self._stream, self._embedding = stream, embedding
        self.items = self.pages = 0
        lost = given_up = False
        whole = 0
        for row, size in _rows(stream):
            whole += size
            if not row.get("page", 0):
                self.items += 1
                self.pages = 0
            self.pages += 1
            before, lost = lost, row.get("error", {}).get("code") == WorkerLost.code
            # Who cannot even open a document, or not two pages on end, is not asked again.
            given_up = lost and (before or self.pages == 1)
        stream.truncate(whole)  # of what a kill left of a row
        if given_up:
            self.pages = 0
        else:
            self.items = max(self.items - 1, 0)

    def write(self, result: Result) -> None:
        """Add a row."""
        line = json_line(result, embedding=self._embedding)
        # A file name need not be text: the escape that stands for its bytes gives it back.
        self._stream.write(line.encode(errors="backslashreplace"))
        self._stream.flush()

    def copy(self, stream: IO[bytes], format: PartFormat, layout: Layout) -> None:  # noqa: A002
        """Write the rows to the file of a part."""
        self._stream.seek(0)
        if format is PartFormat.PARQUET:
            write_parquet((row for row, _ in _rows(self._stream)), stream, layout)
        else:
            shutil.copyfileobj(self._stream, stream)


def _rows(stream: IO[bytes]) -> Iterator[tuple[dict[str, Any], int]]:
    """The whole rows at the start of a journal, and the bytes of each."""
    for line in stream:
        try:
            row = json.loads(line)
        except ValueError:
            return
        if not line.endswith(b"\n"):
            return
        yield row, len(line)


def _write_plan(stream: IO[bytes], asked: Mapping[str, object], inputs: Sequence[str]) -> None:
    """Write what was asked for and a line for each input; the number of inputs is put in last."""
    with tempfile.TemporaryFile() as listed:
        count = 0
        for one in _listed(inputs):
            said = one if isinstance(one, str) else [one.source, one.error.message]
            listed.write(json.dumps(said).encode() + b"\n")
            count += 1
        stream.write(json.dumps({**asked, "count": count}).encode() + b"\n")
        listed.seek(0)
        shutil.copyfileobj(listed, stream)


def _planned(line: str) -> Input:
    said = json.loads(line)
    return said if isinstance(said, str) else Unread(said[0], InputError(said[1], source=said[0]))


def _listed(inputs: Sequence[str]) -> Iterator[Input]:
    for one in expand_inputs(inputs, DOCUMENT_SUFFIXES | TAR_SUFFIXES):
        if isinstance(one, str) and is_address(one):
            try:
                yield from expand_address(one)
            except InputError as error:
                yield Unread(one, error)
        elif isinstance(one, (str, Unread)):
            yield one


def _items(inputs: Sequence[Input]) -> Iterator[tuple[int, str | Content | Unread]]:
    """Each file and each member of a tar file, and which of the inputs it belongs to."""
    for index, one in enumerate(inputs):
        if isinstance(one, Unread):
            yield index, one
        elif is_tar(one):
            try:
                for member in tar_members(one):
                    yield index, member
            except PlatemarkError as error:
                yield index, Unread(one, error)
        else:
            yield index, content_at(one) if is_address(one) else one


def _name(value: str | Content | Unread) -> str:
    match value:
        case str():
            return value
        case Content():
            return value.name
    return value.source
