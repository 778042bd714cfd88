from collections import Counter
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest

from platemark.errors import DatasetError
from platemark.evaluate.pairs import (
    MOST_OF_FAMILY,
    Artwork,
    ImprintPair,
    KnownImprint,
    imprint_pairs,
    shows_difference,
)
from platemark.evaluate.retrieval import Imprint

SQUARE = np.array([[0.0, 0.0], [9.0, 0.0], [9.0, 9.0], [0.0, 9.0]])


def known(name: str, identity: str, family: str | None = None, text: str = "A") -> KnownImprint:
    imprint = Imprint(Path(name), (0.0, 0.0, 9.0, 9.0), identity, family, "synthetic")
    return KnownImprint(imprint, SQUARE, text, None)


def test_pairs_are_of_the_kind_that_their_stamps_say() -> None:
    imprints = [
        known("a0", "a", "firm"),
        known("a1", "a", "firm"),
        known("a2", "a", "firm", text="B"),
        known("b0", "b", "firm"),
        known("c0", "c"),
    ]
    pairs = list(imprint_pairs(imprints, 50))
    names = {kind: set() for kind in ("same", "redated", "near", "different")}
    for pair in pairs:
        names[pair.kind].add(frozenset([pair.a.path.name, pair.b.path.name]))
    assert names["same"] == {frozenset(["a0", "a1"])}
    assert names["redated"] == {frozenset(["a0", "a2"]), frozenset(["a1", "a2"])}
    assert names["near"] == {frozenset([f"a{n}", "b0"]) for n in range(3)}
    assert all("c0" in pair for pair in names["different"])


def test_no_family_and_no_kind_has_too_many() -> None:
    imprints = [known(f"{i}{n}", i, f"family {i}") for i in "abcdefgh" for n in range(6)]
    counts = Counter(pair.kind for pair in imprint_pairs(imprints, 1000))
    assert counts["same"] == 8 * MOST_OF_FAMILY < 8 * len(list(combinations(range(6), 2)))
    few = Counter(pair.kind for pair in imprint_pairs(imprints, 5))
    assert few == {"same": 5, "different": 5}


def test_a_seed_gives_the_same_pairs() -> None:
    imprints = [known(f"{i}{n}", i) for i in "abcd" for n in range(4)]
    first, again, other = (
        [(pair.a.path, pair.b.path) for pair in imprint_pairs(imprints, 6, seed)]
        for seed in (1, 1, 2)
    )
    assert first == again != other


def test_a_missing_mask_is_named() -> None:
    with pytest.raises(DatasetError, match="a0 has no ink mask"):
        known("a0", "a").ink()


def drawn(text: str) -> Artwork:
    ink = np.zeros((120, 300), np.uint8)
    cv2.rectangle(ink, (4, 4), (295, 115), 255, 4)
    cv2.putText(ink, text, (30, 80), cv2.FONT_HERSHEY_DUPLEX, 1.6, 255, 4)
    return Artwork(ink, np.array([[0.0, 0.0], [300.0, 0.0], [300.0, 120.0], [0.0, 120.0]]))


@pytest.mark.parametrize(
    ("bare", "shown"),
    [
        (slice(0, 0), True),
        (slice(0, 110), True),  # what is missing is the same in both
        (slice(180, 300), False),  # the one letter that differs is missing
    ],
)
def test_a_difference_is_shown_where_both_have_its_ink(
    tmp_path: Path, bare: slice, shown: bool
) -> None:
    designs = {"a": drawn("STAMP 7"), "b": drawn("STAMP 2")}
    imprints = []
    for name, design in designs.items():
        turn = cv2.getRotationMatrix2D((150, 60), 20, 0.8)
        ink = design.ink.copy()
        if name == "a":
            ink[:, bare] = 0
        cv2.imwrite(str(tmp_path / f"{name}.png"), cv2.warpAffine(ink, turn, (300, 200)))
        corners = design.corners @ turn[:, :2].T + turn[:, 2]
        imprint = Imprint(tmp_path / name, (0.0, 0.0, 9.0, 9.0), name, "firm", "synthetic")
        imprints.append(KnownImprint(imprint, corners, None, tmp_path / f"{name}.png"))
    assert shows_difference(ImprintPair("near", *imprints), designs) is shown
