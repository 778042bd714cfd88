"""Splits of a data set in which what belongs together stays together.

Images hang together that show the same plate or stamp, are pages of one document, come from one
source, or are near-duplicates; such groups go into one split whole, or a model is tested on what it
has seen.
"""

import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Literal, get_args

from platemark.datasets.convert import Dataset
from platemark.datasets.fingerprint import Hash, near_duplicates, perceptual_hash
from platemark.datasets.manifest import ManifestEntry, family_of
from platemark.datasets.outlines import Place, faults_at
from platemark.errors import DatasetError
from platemark.imaging.image import read_grey
from platemark.splits import Split

Reason = Literal["source", "document", "identity", "text", "image"]
"""Why images hang together: their ``source``, where there are several; one document or vehicle by
the keys of that name or as numbered pages of one file; the identity or family of a stamp; the text
of a plate; near-duplicates."""
REASONS: tuple[Reason, ...] = get_args(Reason)
SHARES: Mapping[Split, float] = {"train": 0.8, "dev": 0.1, "test": 0.1}

_DOCUMENT_KEYS = ("document", "vehicle", "car", "sequence", "video")
_PAGE = re.compile(r"(.+?)[-_ #]+(?:page|p)[-_ =]?\d+$", re.IGNORECASE)


@dataclass(frozen=True)
class Splitting:
    """How a data set was split.

    Attributes:
        dataset: The data set, whose entries are now of the new splits.
        images: Number of images by split.
        groups: Number of groups that hang together, single images included.
        largest: Number of images of the largest group.
        links: How often a reason joined two images.
    """

    dataset: Dataset
    images: Mapping[Split, int]
    groups: int
    largest: int
    links: Mapping[Reason, int]


class _Groups:
    """Sets of numbers that are joined bit by bit (union-find)."""

    def __init__(self) -> None:
        self._parents: list[int] = []

    def add(self) -> int:
        """Begin a group of one, and return its number."""
        self._parents.append(len(self._parents))
        return len(self._parents) - 1

    def find(self, number: int) -> int:
        """The number that stands for the group of another."""
        while self._parents[number] != number:
            self._parents[number] = self._parents[self._parents[number]]
            number = self._parents[number]
        return number

    def join(self, first: int, second: int) -> None:
        """Make one group of the groups of two numbers."""
        self._parents[self.find(second)] = self.find(first)

    def members(self) -> list[list[int]]:
        """The groups, each in order."""
        found: dict[int, list[int]] = defaultdict(list)
        for number in range(len(self._parents)):
            found[self.find(number)].append(number)
        return list(found.values())


def split_dataset(
    dataset: Dataset,
    *,
    shares: Mapping[Split, float] = SHARES,
    by: Collection[Reason] = REASONS,
    seed: int = 0,
    progress: Callable[[int], None] = lambda done: None,
) -> Splitting:
    """Give each image of a data set its split; groups that hang together stay whole.

    Larger groups are placed first, each where most is lacking; the same data, shares and seed give
    the same splits.

    Args:
        dataset: Annotated images; opened where ``by`` has ``image``.
        shares: Part of the images by split; their sum counts as all.
        by: Why images hang together.
        seed: Of the order of groups of one size.
        progress: Called with the number of images processed.

    Raises:
        DatasetError: An entry is wrong, or a split would have no image.
        ValueError: A share is negative, or none is positive.
    """
    if min(shares.values()) < 0 or sum(shares.values()) <= 0:
        raise ValueError(f"shares are positive, or 0 for a split that is not wanted: {shares}")
    groups, links, first_with = _Groups(), Counter[Reason](), dict[tuple[Reason, str], int]()
    sources: dict[str, list[int]] = defaultdict(list)
    hashes: list[Hash] = []
    for entry in dataset:
        if isinstance(entry, DatasetError):
            raise entry
        number = groups.add()
        for key in _keys(entry):
            if key[0] in by and first_with.setdefault(key, number) != number:
                links[key[0]] += 1
                groups.join(first_with[key], number)
        if entry.source is not None and not entry.synthetic:
            sources[entry.source].append(number)
        if "image" in by:
            hashes.append(image_hash(dataset, entry))
        progress(number + 1)
    # One source for all says nothing of what hangs together.
    for numbers in sources.values() if "source" in by and len(sources) > 1 else ():
        for number in numbers[1:]:
            links["source"] += 1
            groups.join(numbers[0], number)
    for first, second in near_duplicates(hashes):
        links["image"] += 1
        groups.join(first, second)
    members = groups.members()
    if not members:
        raise DatasetError("there is no image to split", file=dataset.source)
    splits = _place(members, shares, seed)
    images = {split: splits.count(split) for split, share in shares.items() if share > 0}
    largest = max(map(len, members))
    if not all(images.values()):
        empty = ", ".join(split for split, count in images.items() if not count)
        raise DatasetError(
            f"nothing is left for {empty}: the {len(splits)} images hang together in "
            f"{len(members)} groups, the largest of {largest} (by {_told(links)}); give fewer "
            "reasons with --by, or no share to that split",
            file=dataset.source,
        )
    return Splitting(replace(dataset, splits=splits), images, len(members), largest, dict(links))


def image_hash(dataset: Dataset, entry: ManifestEntry) -> Hash:
    """The perceptual hash of an entry's image.

    Raises:
        DatasetError: The image cannot be read.
    """
    with faults_at(Place(dataset.source, key=entry.image)):
        return perceptual_hash(read_grey(dataset.path(entry)))


def marks_of(entry: ManifestEntry) -> Iterator[tuple[Reason, str]]:
    """The plates and stamps of an image by what they are known by: text, identity, family."""
    for plate in entry.plates:
        if text := "".join(filter(str.isalnum, (plate.text or "").upper())):
            yield "text", text
    for stamp in entry.stamps:
        if stamp.identity:
            yield "identity", stamp.identity
        if family := family_of(entry, stamp):
            yield "identity", f"family {family}"


def _keys(entry: ManifestEntry) -> Iterator[tuple[Reason, str]]:
    yield from marks_of(entry)
    stated = entry.model_extra or {}
    for name in _DOCUMENT_KEYS:
        if stated.get(name) is not None:
            yield "document", f"{name} {stated[name]}"
    path = PurePosixPath(entry.image)
    if page := _PAGE.match(path.stem):
        yield "document", f"file {path.with_name(page[1])}"


def _place(members: list[list[int]], shares: Mapping[Split, float], seed: int) -> list[Split]:
    order = list(members)
    random.Random(seed).shuffle(order)
    order.sort(key=len, reverse=True)
    total = sum(map(len, members))
    lacking = {
        split: share / sum(shares.values()) * total for split, share in shares.items() if share > 0
    }
    splits: list[Split] = ["train"] * total
    empty = set(lacking)
    for left, group in zip(range(len(order), 0, -1), order, strict=True):
        # The last groups go where there is nothing yet: a share that is wanted is not left empty.
        open_to = empty if left <= len(empty) else lacking
        chosen = max(open_to, key=lambda split: (lacking[split], split))
        empty.discard(chosen)
        lacking[chosen] -= len(group)
        for number in group:
            splits[number] = chosen
    return splits


def _told(links: Mapping[Reason, int]) -> str:
    return ", ".join(f"{reason} {count}x" for reason, count in links.items()) or "nothing"
