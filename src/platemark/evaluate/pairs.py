"""Pairs of imprints of which it is known whether one stamp made both.

- ``same``: two imprints of one design that say the same.
- ``redated``: two imprints of one dater, set to different dates.
- ``near``: imprints of a design and of a near-copy of it, or of two near-copies.
- ``different``: imprints of designs that have nothing to do with each other.

A near-copy can only be told where both imprints show what sets it apart; of synthetic ones it is
known whether they do.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from platemark.datasets import Manifest
from platemark.errors import DatasetError
from platemark.evaluate.retrieval import Imprint
from platemark.geometry import FloatArray, homography
from platemark.imaging.image import Image, read_grey
from platemark.imaging.warp import warp
from platemark.types import Box

PairKind = Literal["same", "redated", "near", "different"]
MOST_OF_FAMILY = 6
"""Most pairs of one kind from one family."""

KINDS: tuple[PairKind, ...] = ("same", "redated", "near", "different")

# Designs are laid on each other so that their longer side has this many pixels.
_CANVAS = 256
# A place differs where this share of the ink about it does, and this share of its pixels.
_OF_INK, _OF_PLACE = 0.25, 0.06
# Share of the ink its design has there that an imprint shows, unless that is a few pixels.
_SHOWN_INK, _FEW_PIXELS = 0.5, 20.0


@dataclass(frozen=True, eq=False)
class KnownImprint:
    """An imprint in a picture, and what is true of it.

    Attributes:
        imprint: Where it is, of which stamp and family.
        corners: (4, 2) corners of the design, in pixels of the picture.
        text: What the imprint says, or None where it is unknown.
        mask: File with its ink, or None.
    """

    imprint: Imprint
    corners: FloatArray
    text: str | None
    mask: Path | None

    @property
    def path(self) -> Path:
        """The picture."""
        return self.imprint.path

    @property
    def box(self) -> Box:
        """Where the imprint is."""
        return self.imprint.box

    def ink(self) -> NDArray[np.uint8]:
        """Read the mask (H, W) uint8 of the picture, 255 for ink.

        Raises:
            DatasetError: There is none.
            UnreadableImage: It cannot be read.
        """
        if self.mask is None:
            raise DatasetError(f"the stamp of {self.path} has no ink mask")
        return read_grey(self.mask)


@dataclass(frozen=True, eq=False)
class ImprintPair:
    """Two imprints and how they are related.

    Attributes:
        kind: One of `KINDS`.
        a: The one.
        b: The other.
    """

    kind: PairKind
    a: KnownImprint
    b: KnownImprint


@dataclass(frozen=True, eq=False)
class Artwork:
    """A clean design.

    Attributes:
        ink: (H, W) uint8, 255 for ink.
        corners: (4, 2) of the design in pixels of it.
    """

    ink: NDArray[np.uint8]
    corners: FloatArray


def artworks(manifest: Manifest) -> dict[str, Artwork]:
    """The isolated designs of a manifest by identity, white on black as synthesis draws them.

    Raises:
        UnreadableImage: A picture cannot be read.
    """
    return {
        stamp.identity: Artwork(Image.read(manifest.path(entry)).pixels.max(axis=2), stamp.corners)
        for entry in manifest
        if entry.kind == "isolated"
        for stamp in entry.stamps
        if stamp.identity is not None
    }


def shows_difference(pair: ImprintPair, designs: Mapping[str, Artwork]) -> bool:
    """Whether both imprints of a pair have their ink where their designs differ.

    Args:
        pair: Imprints of near-copies, with masks.
        designs: Their designs, see `artworks`.

    Raises:
        DatasetError: A mask cannot be read.
        KeyError: A design is not among those given.
    """
    own, other = (designs[one.imprint.identity] for one in (pair.a, pair.b))
    sides = np.linalg.norm(np.diff(own.corners[:3], axis=0), axis=1)
    width, height = np.rint(_CANVAS * sides / sides.max()).astype(int).tolist()
    canvas = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float64)

    def laid(picture: NDArray[np.uint8], corners: FloatArray) -> NDArray[np.float32]:
        matrix = homography(corners, canvas)
        return warp(picture, matrix, (width, height)).astype(np.float32) / np.float32(255)

    shapes = [laid(design.ink, design.corners) for design in (own, other)]
    places = differing_places(shapes[0], shapes[1], _CANVAS)
    return bool(places.any()) and all(
        shows_ink(design, laid(imprint.ink(), imprint.corners), places, _SHOWN_INK)
        for design, imprint in zip(shapes, (pair.a, pair.b), strict=True)
    )


def differing_places(
    first: NDArray[np.float32], second: NDArray[np.float32], side: float
) -> NDArray[np.bool_]:
    """Where much of the ink of two designs, laid on each other, differs.

    Args:
        first: (H, W) ink in 0..1.
        second: Likewise.
        side: Longer side of the designs in pixels.

    Returns:
        (H, W) bool.
    """
    differs = (np.abs(first - second) > 0.5).astype(np.float32)
    amount, ink = (
        np.asarray(cv2.GaussianBlur(picture, (0, 0), side / 64), np.float32)
        for picture in (differs, np.maximum(first, second))
    )
    return np.asarray((amount > _OF_INK * ink) & (amount > _OF_PLACE))


def shows_ink(
    design: NDArray[np.float32],
    printed: NDArray[np.float32],
    places: NDArray[np.bool_],
    least: float,
) -> bool:
    """Whether an imprint has ink where its design has some, in the places that matter.

    Args:
        design: (H, W) ink of the design in 0..1.
        printed: (H, W) ink of the imprint, laid on it.
        places: (H, W) the places.
        least: Share of the design's ink there that is to be seen.
    """
    wanted = float(design[places].sum())
    near = cv2.dilate(printed, np.ones((5, 5), np.uint8))
    shown = float(np.minimum(design, near)[places].sum())
    return wanted < _FEW_PIXELS or shown > least * wanted


def known_imprints(manifest: Manifest) -> list[KnownImprint]:
    """The imprints of known identity on paper, in the order of the manifest."""
    return [
        known
        for entry in manifest
        if entry.kind != "isolated"
        for stamp in entry.stamps
        if (imprint := Imprint.of(manifest.path(entry), entry, stamp)) is not None
        for known in [
            KnownImprint(
                imprint,
                stamp.corners,
                stamp.text,
                None if stamp.mask is None else manifest.root / stamp.mask,
            )
        ]
    ]


def imprint_pairs(
    imprints: Sequence[KnownImprint], most: int, seed: int = 0
) -> Iterator[ImprintPair]:
    """Draw pairs of each kind, as many as there are up to ``most`` of a kind.

    A family gives no more than `MOST_OF_FAMILY` pairs of a kind, so that one with many copies does
    not decide on a metric.

    Args:
        imprints: The imprints.
        most: Most pairs of each kind; of ``different`` pairs there are mostly enough.
        seed: Picks them.
    """
    rng = np.random.default_rng(seed)
    related: dict[PairKind, list[ImprintPair]] = {kind: [] for kind in KINDS}
    for group in _families(imprints):
        taken = Counter[PairKind]()
        pairs = list(combinations(group, 2))
        for index in rng.permutation(len(pairs)).tolist():
            kind = _kind(*pairs[index])
            if taken[kind] < MOST_OF_FAMILY:
                taken[kind] += 1
                related[kind].append(ImprintPair(kind, *pairs[index]))
    related["different"] = list(_strangers(imprints, most, rng))
    for kind in KINDS:
        chosen = rng.permutation(len(related[kind]))[:most].tolist()
        yield from (related[kind][index] for index in chosen)


def _families(imprints: Sequence[KnownImprint]) -> list[list[KnownImprint]]:
    families: dict[str, list[KnownImprint]] = {}
    for known in imprints:
        imprint = known.imprint
        families.setdefault(imprint.family or imprint.identity, []).append(known)
    return list(families.values())


def _kind(a: KnownImprint, b: KnownImprint) -> PairKind:
    """How two imprints of one family are related."""
    if a.imprint.identity != b.imprint.identity:
        return "near"
    return "same" if a.text == b.text else "redated"


def _strangers(
    imprints: Sequence[KnownImprint], most: int, rng: np.random.Generator
) -> Iterator[ImprintPair]:
    """Pairs of different families; fewer than ``most`` where there are hardly any."""
    found = 0
    for _ in range(4 * most if len(imprints) > 1 else 0):
        first, second = rng.choice(len(imprints), 2, replace=False).tolist()
        a, b = imprints[first], imprints[second]
        one, other = (x.imprint.family or x.imprint.identity for x in (a, b))
        if one != other:
            yield ImprintPair("different", a, b)
            found += 1
        if found == most:
            return
