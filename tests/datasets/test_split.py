"""What belongs together is in one split."""

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platemark.datasets import Dataset, ManifestEntry, split_dataset, write_manifest
from platemark.datasets.fingerprint import NEAR, near_duplicates, perceptual_hash
from platemark.datasets.split import SHARES, Reason
from platemark.errors import DatasetError
from platemark.imaging.image import compressed
from platemark.splits import Split

BOX = [1, 2, 30, 40]
NO_IMAGES: tuple[Reason, ...] = ("source", "document", "identity", "text")


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Dataset]:
    def make(*rows: dict[str, Any]) -> Dataset:
        usual = {"width": 64, "height": 64, "plates": [], "split": "train"}
        entries = [
            ManifestEntry(**{"image": f"{number}.png", **usual, **row})
            for number, row in enumerate(rows)
        ]
        write_manifest(tmp_path / "annotations.jsonl", entries)
        return Dataset.open(tmp_path)

    return make


def splits(dataset: Dataset) -> list[Split]:
    return [entry.split for entry in dataset if isinstance(entry, ManifestEntry)]


def test_what_belongs_together_stays_together(make: Callable[..., Dataset]) -> None:
    together = [
        ({"plates": [{"box": BOX, "text": "AB12"}]}, {"plates": [{"box": BOX, "text": "AB12"}]}),
        (
            {"stamps": [{"box": BOX, "identity": "acme"}]},
            {"stamps": [{"box": BOX, "identity": "acme", "family": "f"}]},
            {"stamps": [{"box": BOX, "family": "f"}]},
        ),
        ({"image": "scan-p1.png"}, {"image": "scan-p12.png"}),
        ({"image": "a_page003.png"}, {"image": "a_page004.png"}),
        ({"document": "letter 7"}, {"document": "letter 7"}),
        ({"source": "car park"}, {"source": "car park"}),
        ({"source": "street"}, {"source": "street"}),
    ]
    rows = [row for group in together for row in group] + [{} for _ in range(35)]
    for seed in range(5):
        done = split_dataset(make(*rows), by=NO_IMAGES, seed=seed)
        given_splits = splits(done.dataset)
        start = 0
        for group in together:
            assert len(set(given_splits[start : start + len(group)])) == 1, group
            start += len(group)
        assert done.groups == len(together) + 35
        assert done.images == {"train": 40, "dev": 5, "test": 5}


def test_a_page_of_another_folder_is_of_another_document(make: Callable[..., Dataset]) -> None:
    rows = [{"image": f"{number}/scan-p1.png"} for number in range(10)]
    assert split_dataset(make(*rows), by=NO_IMAGES).groups == 10


def test_one_source_for_all_is_no_reason(make: Callable[..., Dataset]) -> None:
    rows = [{"source": "site"} for _ in range(20)]
    assert split_dataset(make(*rows), by=NO_IMAGES).groups == 20
    rows[0] = {"source": "street"}
    with pytest.raises(DatasetError, match="hang together in 2 groups, the largest of 19"):
        split_dataset(make(*rows), by=NO_IMAGES)
    assert split_dataset(make(*rows), by=("text",)).groups == 20


def test_the_seed_decides(make: Callable[..., Dataset]) -> None:
    dataset = make(*({} for _ in range(40)))
    once, again, other = (
        splits(split_dataset(dataset, by=(), seed=seed).dataset) for seed in (1, 1, 2)
    )
    assert once == again != other


def test_a_share_of_nothing(make: Callable[..., Dataset]) -> None:
    done = split_dataset(
        make(*({} for _ in range(10))), by=(), shares={"train": 7, "dev": 3, "test": 0}
    )
    assert done.images == {"train": 7, "dev": 3}
    with pytest.raises(ValueError, match="positive"):
        split_dataset(make({}), shares={"train": 0, "dev": 0, "test": 0})


@settings(max_examples=40, deadline=None)
@given(
    texts=st.lists(
        st.sampled_from(["A1", "B2", "C3", "D4", "E5", "F6", "G7", "H8"]), min_size=8, max_size=60
    ),
    seed=st.integers(0, 99),
)
def test_no_text_is_in_two_splits(
    texts: list[str], seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("split")
    rows = [
        ManifestEntry(
            image="a.png", width=9, height=9, plates=[{"box": BOX, "text": text}], split="train"
        )
        for text in texts
    ]
    write_manifest(folder / "annotations.jsonl", rows)
    try:
        done = split_dataset(Dataset.open(folder), by=("text",), seed=seed)
    except DatasetError:  # fewer texts than splits
        assert len(set(texts)) < 3
        return
    seen: dict[str, set[Split]] = defaultdict(set)
    for text, split in zip(texts, splits(done.dataset), strict=True):
        seen[text].add(split)
    assert all(len(found) == 1 for found in seen.values())
    assert sum(done.images.values()) == len(texts)
    assert set(done.images) == set(SHARES)


def photo(seed: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A picture (240, 320) of smooth patches, another for each seed."""
    rough = np.random.default_rng(seed).integers(0, 255, (12, 16)).astype(np.uint8)
    return np.asarray(cv2.resize(rough, (320, 240), interpolation=cv2.INTER_CUBIC), np.uint8)


def test_copies_are_near_and_others_far() -> None:
    hashes = [perceptual_hash(photo(seed)) for seed in range(30)]
    assert not list(near_duplicates(hashes))
    for seed in range(30):
        grey = photo(seed)
        small = cv2.resize(grey, (160, 120), interpolation=cv2.INTER_AREA)
        for copy in (compressed(grey, 30), compressed(np.asarray(small, np.uint8), 50)):
            assert np.bitwise_count(perceptual_hash(copy) ^ hashes[seed]).sum() <= NEAR


def test_all_near_pairs_are_found_once() -> None:
    random = np.random.default_rng(5)
    words = random.integers(0, 2**63, (600, 4)).astype(np.uint64)
    words[599] = words[3] ^ np.array([0b1001, 0, 0, 1], np.uint64)
    words[400] = words[299]
    assert list(near_duplicates(words, limit=3)) == [(3, 599), (299, 400)]
    assert list(near_duplicates(words, limit=2)) == [(299, 400)]
    assert list(near_duplicates([])) == []


def test_near_duplicates_stay_together(make: Callable[..., Dataset], tmp_path: Path) -> None:
    dataset = make(*({"image": f"{number}.jpg"} for number in range(12)))
    for number in range(12):
        picture = PIL.Image.fromarray(photo(number // 2))
        picture.save(tmp_path / f"{number}.jpg", quality=90 - 30 * (number % 2))
    done = split_dataset(dataset)
    given_splits = splits(done.dataset)
    assert given_splits[::2] == given_splits[1::2]
    assert (done.groups, done.links) == (6, {"image": 6})
    (tmp_path / "5.jpg").unlink()
    with pytest.raises(DatasetError, match=r"5\.jpg"):
        split_dataset(dataset)
