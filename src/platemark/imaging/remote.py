"""Inputs that are no files of this machine, or no single ones: addresses and tar files.

Addresses are those of fsspec, which is imported here alone: ``s3://``, ``gs://``, ``https://`` ...
"""

import os
import tarfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import PurePath
from typing import IO, TYPE_CHECKING, cast

from platemark.errors import InputError, MissingExtra, UnreadableImage, UnsupportedInput
from platemark.imaging.image import is_address, open_file
from platemark.imaging.sources import DOCUMENT_SUFFIXES

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

TAR_SUFFIXES = frozenset({".tar", ".tar.gz", ".tgz"})
"""Ends, in lower case, of the names of tar files."""

_MAGIC = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class Content:
    """The content of an input, an image as for `Image.read` or a PDF.

    Attributes:
        name: What to call it.
        fetch: Gives the bytes.
    """

    name: str
    fetch: Callable[[], bytes]

    def read(self) -> bytes:
        """Return the bytes."""
        return self.fetch()


def is_tar(name: str) -> bool:
    """Whether an input is a tar file, by its name."""
    return name.lower().endswith(tuple(TAR_SUFFIXES))


def expand_address(address: str) -> Iterator[str]:
    """Turn an address into those of the files it stands for, sorted.

    Args:
        address: A file, a folder or bucket (all images, PDFs and tar files in it), or a glob.

    Raises:
        InputError: Nothing is there, or it cannot be listed.
        MissingExtra: The library for such addresses is not installed.
    """
    with _reaching(address):
        system, path = _system(address)
        if not _MAGIC.isdisjoint(path):
            found = [name for name in system.glob(path) if not system.isdir(name)]
        elif system.isdir(path):
            wanted = tuple(DOCUMENT_SUFFIXES | TAR_SUFFIXES)
            found = [name for name in system.find(path) if name.lower().endswith(wanted)]
        else:
            found = [path]
    if not found:
        raise InputError(
            f"{address} stands for no image, PDF or tar file; check the address", source=address
        )
    yield from map(system.unstrip_protocol, sorted(found))


def content_at(address: str) -> Content:
    """The content at an address, fetched when it is asked for.

    Fetching raises UnreadableImage where it is not there or cannot be read, and MissingExtra where
    the library for such addresses is not installed.
    """

    def fetch() -> bytes:
        with _open_address(address) as stream:
            return stream.read()

    return Content(address, fetch)


def tar_members(name: str) -> Iterator[Content]:
    """Read the images and PDFs of a tar file, in their order and one at a time.

    They are called by the names of the tar file and of the member, with a slash between.

    Args:
        name: A file or an address.

    Raises:
        UnreadableImage: The file cannot be read, or is corrupt from here on.
        MissingExtra: The library for such addresses is not installed.
    """
    opened: AbstractContextManager[IO[bytes]]
    opened = _open_address(name) if is_address(name) else open_file(name, name)
    try:
        with opened as stream, tarfile.open(fileobj=stream, mode="r|*") as archive:
            for member in archive:
                path = PurePath(member.name)
                wanted = path.suffix.lower() in DOCUMENT_SUFFIXES and path.name[0] != "."
                if member.isfile() and wanted:
                    data = cast(IO[bytes], archive.extractfile(member)).read()
                    yield Content(f"{name}/{member.name.removeprefix('./')}", partial(bytes, data))
    except (tarfile.TarError, EOFError, OSError) as error:
        raise UnreadableImage(f"{name} is corrupt or no tar file: {error}", source=name) from error


@contextmanager
def _open_address(address: str) -> Iterator[IO[bytes]]:
    with _reaching(address):
        system, path = _system(address)
        with system.open(path, "rb") as stream:
            yield stream


def _system(address: str) -> "tuple[AbstractFileSystem, str]":
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise MissingExtra(f"reading {address}", "remote", source=address) from error
    system, path = url_to_fs(address)
    return system, os.fspath(path)


@contextmanager
def _reaching(address: str) -> Iterator[None]:
    """Turn what fsspec and its systems raise, which is of no common class, into errors of ours."""
    try:
        yield
    except (InputError, MissingExtra):
        raise
    except ImportError as error:  # fsspec names the package that is missing
        if address.lower().startswith("s3"):
            raise MissingExtra(f"reading {address}", "s3", source=address) from error
        raise UnsupportedInput(f"{address} cannot be read: {error}", source=address) from error
    except Exception as error:
        reason = str(error) or type(error).__name__
        message = f"{address} cannot be read: {reason}; check the address and the access to it"
        raise UnreadableImage(message, source=address) from error
