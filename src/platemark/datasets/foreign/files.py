"""What the readers and writers share: opening text, JSON and XML; writing member by member."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TextIO
from xml.etree.ElementTree import Element, ParseError

from platemark.datasets.jsonstream import Item, JsonStream
from platemark.datasets.outlines import Place
from platemark.errors import DatasetError, MissingExtra


@contextmanager
def open_text(file: Path) -> Iterator[TextIO]:
    """Open a text in UTF-8, with or without a mark of byte order.

    Raises:
        DatasetError: It cannot be read, also while the block reads it.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            yield stream
    except UnicodeDecodeError as error:
        raise DatasetError("the file is not UTF-8 text; save it as such", file=file) from error
    except OSError as error:
        raise DatasetError(f"the file cannot be read ({error.strerror})", file=file) from error


@contextmanager
def open_json(file: Path) -> Iterator[JsonStream]:
    """Open a JSON file to read it item by item; see `open_text`."""
    with open_text(file) as stream:
        yield JsonStream(stream, file)


def json_items(file: Path, *parts: str) -> Iterator[tuple[str, Item]]:
    """The items of some members of a JSON object, with the name of the member; see `open_json`."""
    with open_json(file) as stream:
        for key in stream.members():
            if key in parts:
                for item in stream.items():
                    yield key, item
            else:
                stream.skip()


def read_json(file: Path) -> Any:
    """Read a small JSON file; see `open_text`."""
    with open_json(file) as stream:
        return stream.value()


def xml_elements(file: Path, *tags: str) -> Iterator[Element]:
    """The elements of these names of an XML file, each when it is whole; then it is freed.

    Raises:
        DatasetError: The file cannot be read, is not XML, or declares entities.
        MissingExtra: The library that reads XML of others safely is not installed.
    """
    try:
        from defusedxml import DefusedXmlException
        from defusedxml.ElementTree import iterparse
    except ImportError as error:
        raise MissingExtra("reading XML annotations", "datasets") from error
    try:
        with file.open("rb") as stream:
            open_elements: list[Element] = []
            for event, element in iterparse(stream, events=("start", "end"), forbid_dtd=True):
                if event == "start":
                    open_elements.append(element)
                    continue
                open_elements.pop()
                if element.tag in tags:
                    yield element
                    element.clear()
                    if open_elements:
                        open_elements[-1].remove(element)
    except ParseError as error:
        raise DatasetError(f"the file is not XML ({error})", file=file) from error
    except DefusedXmlException as error:
        raise DatasetError(f"the file is refused: {error}", file=file) from error
    except OSError as error:
        raise DatasetError(f"the file cannot be read ({error.strerror})", file=file) from error


def xml_text(text: str, place: Place) -> str:
    """A text as XML can hold it.

    Raises:
        DatasetError: It has control characters, which XML has no way to write.
    """
    if any(char < " " and char not in "\t\n\r" for char in text):
        raise place.error(f"{text!r} has control characters, which XML cannot hold; remove them")
    return text


def dumps(value: Any) -> str:
    """JSON on one line, readable in any alphabet."""
    return json.dumps(value, ensure_ascii=False)


def write_joined(stream: IO[str], texts: Iterable[str]) -> None:
    """Write texts with commas between them, one a line."""
    for number, text in enumerate(texts):
        stream.write(f",\n{text}" if number else text)
