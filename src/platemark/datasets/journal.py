"""A file of JSON Lines that is only appended to: what was appended survives whatever comes."""

import errno
import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from platemark.errors import DatasetError
from platemark.files import lock_file

_VERSION = 1
_ANY_WRITES = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH


class Journal:
    """An open journal, held by one process until it is closed or the process ends.

    Args:
        file: It is made where it is missing.
        format: What the first line of such a journal says that it is.
        facts: What else the first line of a new one says.

    Attributes:
        file: Where it is.
        head: What its first line says.
        lines: How many lines it has, the first included.

    Raises:
        DatasetError: It cannot be written, is of another format, or is in use by another process.
    """

    def __init__(self, file: Path, format: str, facts: Mapping[str, Any]) -> None:  # noqa: A002
        self.file, self.lines = file, 0
        try:
            # The administrator may write anywhere, also where a folder is meant to stay as it is.
            if not file.parent.stat().st_mode & _ANY_WRITES:
                raise PermissionError(errno.EACCES, "the folder is read-only")
            self._stream = file.open("ab", buffering=0)
        except OSError as error:
            raise DatasetError(
                f"corrections are kept beside the images, and this file cannot be written "
                f"({error.strerror or error}); copy the data set to a folder that you may write to",
                file=file,
            ) from error
        try:
            if not lock_file(self._stream, wait=False):
                raise DatasetError(
                    "the data set is being reviewed by another process; open its address, or stop "
                    "it first",
                    file=file,
                )
            self.head = self._begin({"format": format, "version": _VERSION, **facts})
        except BaseException:
            self._stream.close()
            raise

    def _begin(self, head: Mapping[str, Any]) -> Mapping[str, Any]:
        """Write the first line, or read it; drop a last line whose end was never written.

        Such a line was not acknowledged.
        """
        data = self.file.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            self._stream.truncate(whole)
        if not whole:
            self.append(head)
            _sync_folder(self.file.parent)
            return head
        self.lines = data.count(b"\n")
        stated = _object(data[: data.index(b"\n")])
        if any(stated.get(key) != head[key] for key in ("format", "version")):
            raise DatasetError(
                "is no journal that this version knows; move it away, or use the version that "
                "wrote it",
                file=self.file,
                line=1,
            )
        return stated

    def read(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """The lines after the first, each with its number, counted from 1.

        A line that is no JSON object is an empty one.
        """
        with self.file.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                if number > 1:
                    yield number, _object(line)

    def append(self, *lines: Mapping[str, Any]) -> None:
        """Write lines and wait until the disk has them.

        Raises:
            DatasetError: They are not there.
        """
        data = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()
        start = os.fstat(self._stream.fileno()).st_size
        try:
            left = memoryview(data)
            while left:
                left = left[self._stream.write(left) :]
            os.fsync(self._stream.fileno())
        except OSError as error:
            with suppress(OSError):
                self._stream.truncate(start)
            raise DatasetError(
                f"the change could not be saved ({error.strerror or error})", file=self.file
            ) from error
        self.lines += len(lines)

    def close(self) -> None:
        """Let others have it."""
        self._stream.close()


def _object(line: bytes) -> dict[str, Any]:
    try:
        data = json.loads(line)
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def _sync_folder(folder: Path) -> None:
    """Have the disk know of a new file; systems that open no folders need not be told."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
