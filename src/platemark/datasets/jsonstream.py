"""JSON files of any size, read item by item: memory holds one item, not the file."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from platemark.errors import DatasetError

_CHUNK = 1 << 16
# A fault so far before what was read last is no item that goes on. LabelMe's may hold a picture.
_LONGEST = 1 << 26
_SPACE = " \t\r\n"


@dataclass(frozen=True, slots=True)
class Item:
    """One member of an object or array.

    Attributes:
        key: Its name, or its number in an array as text.
        value: What it holds.
        line: The line it begins in, counted from 1.
    """

    key: str
    value: Any
    line: int


class JsonStream:
    """A JSON file that is read from the front; a value is decoded when it is asked for.

    Args:
        stream: The text.
        file: What errors call it.
    """

    def __init__(self, stream: TextIO, file: Path) -> None:
        self._stream, self._file = stream, file
        self._text, self._at, self._first_line = "", 0, 1
        self._decode = json.JSONDecoder().raw_decode

    @property
    def line(self) -> int:
        """The line of what comes next."""
        return self._first_line + self._text.count("\n", 0, self._at)

    def peek(self) -> str:
        """The character that the next value or sign begins with; empty at the end."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in _SPACE:
                    return self._text[self._at]
                self._at += 1
            if not self._read_on():
                return ""

    def value(self) -> Any:
        """Decode the next value.

        Raises:
            DatasetError: There is none, or it is not JSON.
        """
        self.peek()
        while True:
            try:
                value, end = self._decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if len(self._text) - error.pos > _LONGEST or not self._read_on():
                    raise self._wrong(f"is not JSON ({error.msg})") from error
                continue
            except RecursionError as error:
                raise self._wrong("is nested too deeply") from error
            length = end - self._at
            # A number may go on beyond what was read: `1e` and `1e+` are read as 1 with a rest.
            if end + 2 < len(self._text) or not self._read_on():
                self._at += length
                return value

    def skip(self) -> None:
        """Pass the next value, one of its members at a time."""
        if self.peek() in ("{", "["):
            for _ in self.members():
                self.value()
        else:
            self.value()

    def members(self) -> Iterator[str]:
        """Go through the object or array that comes next, and give the key of each member.

        Each time the caller takes its value, by `value`, `skip` or `members`.

        Raises:
            DatasetError: What comes is neither, or is not JSON.
        """
        opening = self.peek()
        if opening not in ("{", "["):
            raise self._wrong("should be an object or an array")
        closing, number = {"{": "}", "[": "]"}[opening], 0
        self._at += 1
        while self.peek() != closing:
            if number:
                self._take(",")
            if opening == "{":
                key = self.value()
                self._take(":")
                yield str(key)
            else:
                yield str(number)
            number += 1
        self._at += 1

    def items(self) -> Iterator[Item]:
        """Decode the members of the object or array that comes next, one by one."""
        for key in self.members():
            self.peek()
            line = self.line
            yield Item(key, self.value(), line)

    def _take(self, sign: str) -> None:
        if self.peek() != sign:
            raise self._wrong(f"is not JSON (expected {sign!r})")
        self._at += 1

    def _read_on(self) -> bool:
        """Read more, at least as much as is kept, so that long values cost no square of it."""
        self._first_line = self.line
        rest = self._text[self._at :]
        try:
            more = self._stream.read(max(_CHUNK, len(rest)))
        except UnicodeDecodeError as error:
            raise self._wrong("is not UTF-8") from error
        self._text, self._at = rest + more, 0
        return bool(more)

    def _wrong(self, reason: str) -> DatasetError:
        return DatasetError(f"what stands here {reason}", file=self._file, line=self.line)
