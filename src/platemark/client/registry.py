"""The registry of a server, with the calls of one in this process."""

import io
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

import PIL.Image

from platemark.client.connection import Connection, error_said, upload
from platemark.errors import DesignNotFound, ServiceError
from platemark.imaging.image import ImageInput
from platemark.registry.calibration import FALSE_ACCEPTS
from platemark.registry.records import Added, Candidate, Design, Sample, check_name, is_id
from platemark.registry.registry import Duplicates
from platemark.types import StampMark

_ROUTE = "/v1/registry"
_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class IdentifiedStamp:
    """A stamp that was found, and whose it may be.

    Attributes:
        page: Page of a document or TIFF, counted from 0.
        mark: The stamp.
        candidates: Designs that it may be of, highest score first.
    """

    page: int
    mark: StampMark
    candidates: tuple[Candidate, ...]


class RemoteRegistry:
    """The known stamps of a server; its calls and errors are those of `Registry`, but for pictures.

    `Registry` takes stamps that were found; this one takes the pictures, since the server finds the
    stamps in them. A design is named by its id or by its name.

    Args:
        connection: The server.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __len__(self) -> int:
        """Return the number of designs, retired ones too."""
        answer = self._connection.request("GET", f"{_ROUTE}/designs", params={"limit": 1})
        return int(answer.headers["x-total-count"])

    def designs(
        self,
        text: str = "",
        *,
        retired: bool | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[Design]:
        """Return designs, sorted by name, as `Registry.designs` does."""
        found: list[Design] = []
        for start in count(offset, _AT_ONCE):
            wanted = _AT_ONCE if limit is None else min(_AT_ONCE, limit - len(found))
            if wanted < 1:
                break
            params = {"text": text, "limit": wanted, "offset": start}
            params |= {} if retired is None else {"retired": retired}
            page = self._ask("GET", "designs", params=params)
            found += map(Design.from_dict, page)
            if len(page) < wanted:
                break
        return found

    def design(self, ref: str) -> Design:
        """Return a design by its id or its name, as `Registry.design` does."""
        if is_id(ref):
            return Design.from_dict(self._ask("GET", f"designs/{ref}"))
        # A name may hold what a path cannot, such as a slash.
        name = check_name(ref)
        for design in self.designs(name):
            if design.name == name:
                return design
        raise DesignNotFound(f"the registry has no design {ref!r}; list the names it has")

    def samples(self, ref: str) -> list[Sample]:
        """Return the samples of a design, as `Registry.samples` does."""
        said = self._ask("GET", f"designs/{self._id(ref)}")
        return [Sample.from_dict(sample, said["design"]) for sample in said["sample_list"]]

    def cut_out(self, sample: str) -> PIL.Image.Image:
        """Return the imprint of a sample by its id, RGBA, with its paper transparent.

        Raises:
            DesignNotFound: There is no such sample.
        """
        path = f"{_ROUTE}/samples/{quote(sample, safe='')}"
        answer = self._connection.request("GET", path, params={"part": "cut-out"})
        return PIL.Image.open(io.BytesIO(answer.content))

    def add(
        self,
        name: str,
        picture: ImageInput,
        *,
        notes: str = "",
        tags: Iterable[str] = (),
        owner: str = "",
        duplicates: Duplicates = "warn",
        cropped: bool = False,
        read: bool = False,
        all: bool = False,  # noqa: A002 - the parameter of HTTP is called so
    ) -> list[Added]:
        """Add the stamps of a picture or document as samples of a design, made if there is none.

        Args:
            name: Name of the design, or id of one that is there.
            picture: What shows the stamps, as for a pipeline.
            notes: Free text for a new design.
            tags: Words to find a new design by.
            owner: Whose stamp a new design is.
            duplicates: What to do with a stamp that seems to be one of another design.
            cropped: The picture is one stamp already cropped, so none is searched for.
            read: Read the stamps, so that they are found by their text.
            all: Different stamps of a document may become samples of one name.

        Returns:
            What became of each stamp.

        Raises:
            SeveralStamps: The document shows different stamps.
            PlatemarkError: A stamp or a page could not be added, as `Registry.add` says; the others
                of the picture were.
        """
        about = {
            "name": name,
            "notes": notes,
            "tags": ",".join(tags),
            "owner": owner,
            "duplicates": duplicates,
        }
        params = {"cropped": cropped, "read": read, "all": all}
        files = {"files": upload(picture)}
        pages = self._ask("POST", "designs", params=params, data=about, files=files)
        stamps = [stamp for page in pages for stamp in page.get("added", [])]
        for said in (*pages, *stamps):
            _refuse(said)
        design_of = cache(self.design)
        return [
            Added(
                Design.from_dict(stamp["design"]),
                Sample.from_dict(stamp["sample"], stamp["design"]["design"]),
                stamp["new_design"],
                stamp["new_sample"],
                _candidates(stamp["alike"], design_of),
            )
            for stamp in stamps
        ]

    def identify(
        self,
        picture: ImageInput,
        top_k: int = 5,
        *,
        false_accepts: float = FALSE_ACCEPTS,
        cropped: bool = False,
    ) -> list[IdentifiedStamp]:
        """Return the stamps of a picture or document, and whose they may be.

        Args:
            picture: What shows the stamps, as for a pipeline.
            top_k: At most this number of candidates for each.
            false_accepts: Share of unknown stamps that may be accepted as known ones.
            cropped: The picture is one stamp already cropped, so none is searched for.

        Raises:
            PlatemarkError: A page cannot be read.
        """
        params = {"top_k": top_k, "false_accepts": false_accepts, "cropped": cropped}
        pages = self._ask("POST", "identify", params=params, files={"files": upload(picture)})
        for page in pages:
            _refuse(page)
        design_of = cache(self.design)
        return [
            IdentifiedStamp(
                page["page"],
                StampMark.from_dict(mark),
                _candidates(mark["candidates"], design_of),
            )
            for page in pages
            for mark in page["marks"]
        ]

    def update(
        self,
        ref: str,
        *,
        name: str | None = None,
        notes: str | None = None,
        tags: Iterable[str] | None = None,
        owner: str | None = None,
    ) -> Design:
        """Change what is said about a design, as `Registry.update` does."""
        texts = {"name": name, "notes": notes, "owner": owner}
        changes: dict[str, Any] = {key: text for key, text in texts.items() if text is not None}
        if tags is not None:
            changes["tags"] = list(tags)
        return self._change("PATCH", f"designs/{self._id(ref)}", changes)

    def rename(self, ref: str, name: str) -> Design:
        """Give a design another name; see `update`."""
        return self.update(ref, name=name)

    def retire(self, ref: str) -> Design:
        """Keep a design, but no longer search it, as `Registry.retire` does."""
        return self._change("PATCH", f"designs/{self._id(ref)}", {"retired": True})

    def reinstate(self, ref: str) -> Design:
        """Search a retired design again, as `Registry.reinstate` does."""
        return self._change("PATCH", f"designs/{self._id(ref)}", {"retired": False})

    def remove(self, ref: str) -> Design:
        """Remove a design with its samples, as `Registry.remove` does."""
        return self._change("DELETE", f"designs/{self._id(ref)}")

    def remove_sample(self, sample: str) -> Design:
        """Remove a sample by its id, as `Registry.remove_sample` does."""
        return self._change("DELETE", f"samples/{quote(sample, safe='')}")

    def merge(self, into: str, *others: str) -> Design:
        """Make designs one, as `Registry.merge` does."""
        return self._change("POST", f"designs/{self._id(into)}/merge", {"others": list(others)})

    def split(self, ref: str, samples: Sequence[str], name: str) -> Design:
        """Make a design of some samples of another, as `Registry.split` does."""
        wanted = {"samples": list(samples), "name": name}
        return self._change("POST", f"designs/{self._id(ref)}/split", wanted)

    def export(self, path: str | os.PathLike[str]) -> None:
        """Write all designs and samples to an archive, which any registry loads.

        Raises:
            OSError: The file cannot be written.
        """
        Path(path).write_bytes(self._connection.request("GET", f"{_ROUTE}/export").content)

    def load(self, path: str | os.PathLike[str]) -> int:
        """Add the designs and samples of an archive, as `Registry.load` does."""
        files = {"files": (os.fspath(path), Path(path).read_bytes())}
        return int(self._ask("POST", "import", files=files)["designs"])

    def _ask(self, method: str, path: str, **options: Any) -> Any:
        return self._connection.request(method, f"{_ROUTE}/{path}", **options).json()

    def _change(self, method: str, path: str, said: dict[str, Any] | None = None) -> Design:
        return Design.from_dict(self._ask(method, path, json=said))

    def _id(self, ref: str) -> str:
        return ref if is_id(ref) else self.design(ref).id


def _candidates(
    said: Iterable[dict[str, Any]], design_of: Callable[[str], Design]
) -> tuple[Candidate, ...]:
    """Candidates of their JSON objects, which name designs by their ids."""
    return tuple(
        Candidate(
            design_of(one["design"]),
            one["sample"],
            one["similarity"],
            one["score"],
            one["accepted"],
        )
        for one in said
    )


def _refuse(said: dict[str, Any]) -> None:
    """Raise the error that an answer has for one of several things asked, if any."""
    if "error" in said:
        error = said["error"]
        raise error_said(error["code"], error["message"], ServiceError, said.get("source"))
