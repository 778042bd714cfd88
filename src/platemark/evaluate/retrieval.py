"""Retrieval: is the imprint most like another one an imprint of the same stamp?

Protocol: every imprint whose identity is known is a query once, and the gallery is all the others
(leave one out). Imprints that are the only one of their identity have nothing to be found by, so
they ask nothing, but stay in the gallery as distractors. An imprint that has no vector, because it
was not found, is a query that fails and is missing from the gallery. Equal similarities are taken
to the disadvantage of the right answer.

Same-or-different decisions are scored over all pairs of the imprints asked about, and once more
with near-copies alone as the different pairs: stamps of one family, which differ in a name or a
number.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from platemark import metrics
from platemark.datasets import ManifestEntry
from platemark.datasets.manifest import StampAnnotation, family_of
from platemark.evaluate.detection import number
from platemark.metrics import Rate
from platemark.types import Box

RANKS = (1, 5)
_DEEPEST = max(RANKS)
_MOST_PAIRS = 200_000
"""Different pairs that the interval of an equal error rate is taken from, sampled at random."""

Similarity = NDArray[np.float32]


@dataclass(frozen=True)
class Imprint:
    """An imprint whose identity is known.

    Attributes:
        path: Where its image lies.
        box: Where it is, in pixels of the image.
        identity: The stamp that made it.
        family: Stamps of one family are near-copies of each other; None where it has none.
        origin: Where the image comes from, such as ``real``.
    """

    path: Path
    box: Box
    identity: str
    family: str | None
    origin: str

    @classmethod
    def of(cls, path: Path, entry: ManifestEntry, stamp: StampAnnotation) -> "Imprint | None":
        """The imprint of an annotated stamp, or None where its identity is unknown."""
        if stamp.identity is None:
            return None
        return cls(path, stamp.box, stamp.identity, family_of(entry, stamp), origin(entry))


@dataclass(frozen=True)
class EqualError:
    """Equal error rate of same and different pairs.

    Attributes:
        value: The rate; NaN where pairs of one sort are missing.
        interval: 95%, by the bootstrap over identities.
        same: Number of same pairs.
        different: Number of different pairs.
    """

    value: float
    interval: tuple[float, float]
    same: int
    different: int

    def to_dict(self) -> dict[str, object]:
        """Return the JSON object."""
        return {
            "value": number(self.value),
            "interval": [number(end) for end in self.interval],
            "same_pairs": self.same,
            "different_pairs": self.different,
        }


@dataclass(frozen=True)
class RetrievalScores:
    """The metrics of a set of queries.

    Attributes:
        queries: Imprints that another one of their identity can be found for.
        gallery: Imprints that each query is compared with.
        identities: Different identities among the queries.
        cmc: Queries with a right imprint up to a rank, by rank.
        mean_average_precision: mAP@5.
        interval: Its 95% interval, by the bootstrap over identities.
        equal_error: Same pairs against all different pairs.
        near_copies: Same pairs against pairs of near-copies.
    """

    queries: int
    gallery: int
    identities: int
    cmc: Mapping[int, Rate]
    mean_average_precision: float
    interval: tuple[float, float]
    equal_error: EqualError
    near_copies: EqualError

    def to_dict(self) -> dict[str, object]:
        """Return the JSON object."""
        return {
            "queries": self.queries,
            "gallery": self.gallery,
            "identities": self.identities,
            **{f"cmc@{rank}": rate.to_dict() for rank, rate in self.cmc.items()},
            f"map@{_DEEPEST}": {
                "value": number(self.mean_average_precision),
                "interval": [number(end) for end in self.interval],
            },
            "equal_error_rate": self.equal_error.to_dict(),
            "equal_error_rate_near_copies": self.near_copies.to_dict(),
        }


@dataclass(frozen=True)
class Miss:
    """A query whose nearest imprint is of another stamp.

    Attributes:
        query: The imprint asked about.
        nearest: The imprint most like it; None where the query could not be compared.
        similarity: How alike they are; -inf where there is none.
        best_right: The most similar imprint of the same stamp.
        right_similarity: How alike that is; -inf where none could be compared.
    """

    query: Imprint
    nearest: Imprint | None
    similarity: float
    best_right: Imprint
    right_similarity: float


@dataclass(frozen=True, eq=False)
class Retrieval:
    """Imprints and how alike they are.

    Attributes:
        imprints: The N imprints.
        similarity: (N, N) float32, higher for more alike; -inf where they cannot be compared.
    """

    imprints: tuple[Imprint, ...]
    similarity: Similarity

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """(N,) number of each imprint's identity."""
        return _numbered(imprint.identity for imprint in self.imprints)

    @cached_property
    def nearest(self) -> NDArray[np.int64]:
        """(N, K) the imprints most like each, see `metrics.nearest`."""
        return metrics.nearest(self.similarity, self.labels, _DEEPEST)

    @cached_property
    def others(self) -> NDArray[np.int64]:
        """(N,) how many other imprints of its identity there are."""
        return np.asarray(np.bincount(self.labels)[self.labels] - 1 if len(self.labels) else [])

    def origins(self) -> list[str]:
        """The origins of the queries."""
        asked = zip(self.imprints, self.others, strict=True)
        return sorted({imprint.origin for imprint, others in asked if others})

    def scores(self, origin: str | None = None) -> RetrievalScores:
        """Metrics over the queries of an origin, or over all; the gallery is always the whole."""
        chosen = np.array([origin in (None, i.origin) for i in self.imprints], dtype=bool)
        queries = np.flatnonzero(chosen & (self.others > 0))
        right = self._right()[queries]
        precision = metrics.average_precision_at(right, self.others[queries], _DEEPEST)
        same, other, copies = self._pairs(chosen)
        return RetrievalScores(
            queries=len(queries),
            gallery=max(len(self.imprints) - 1, 0),
            identities=len(set(self.labels[queries].tolist())),
            cmc={rank: metrics.cmc(right, rank) for rank in RANKS},
            mean_average_precision=float(precision.mean()) if len(queries) else float("nan"),
            interval=metrics.mean_interval(precision, self.labels[queries]),
            equal_error=self._equal_error(same, other),
            near_copies=self._equal_error(same, copies),
        )

    def by_identity(self, origin: str) -> dict[str, Rate]:
        """For each identity of an origin, how many of its imprints find another one first."""
        first = self._right()[:, 0].tolist()
        found: dict[str, list[bool]] = {}
        for imprint, others, right in zip(self.imprints, self.others, first, strict=True):
            if others and imprint.origin == origin:
                found.setdefault(imprint.identity, []).append(right)
        return {name: Rate(sum(found[name]), len(found[name])) for name in sorted(found)}

    def misses(self) -> list[Miss]:
        """Queries whose nearest imprint is of another stamp, in the order of the imprints."""
        right = self._right()
        return [
            self._miss(int(query))
            for query in np.flatnonzero(self.others > 0)
            if not right[query, 0]
        ]

    def to_dict(self) -> dict[str, object]:
        """Return all metrics as one JSON object; real stamps are named one by one."""
        origins = self.origins()
        named = {name: rate.to_dict() for name, rate in self.by_identity("real").items()}
        return {
            "overall": self.scores().to_dict(),
            "origins": {
                origin: self.scores(origin).to_dict() for origin in origins if len(origins) > 1
            },
            "real_identities_ranked_first": named,
        }

    def _right(self) -> NDArray[np.bool_]:
        found = np.where(self.nearest >= 0, self.labels[self.nearest], -1)
        return np.asarray(found == self.labels[:, None])

    def _miss(self, query: int) -> Miss:
        row = np.array(self.similarity[query])
        row[query] = -np.inf
        same = np.flatnonzero(self.labels == self.labels[query])
        same = same[same != query]
        right = int(same[np.argmax(row[same])])
        nearest = int(self.nearest[query, 0])
        return Miss(
            self.imprints[query],
            self.imprints[nearest] if nearest >= 0 else None,
            float(row[nearest]) if nearest >= 0 else float("-inf"),
            self.imprints[right],
            float(row[right]),
        )

    def _pairs(
        self, chosen: NDArray[np.bool_]
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
        """Same, different and near-copy pairs among the imprints chosen, each (N, N) above 0."""
        pairs = np.triu(chosen[:, None] & chosen, 1)
        same = self.labels[:, None] == self.labels
        families = _numbered(imprint.family for imprint in self.imprints)
        known = np.array([imprint.family is not None for imprint in self.imprints], dtype=bool)
        kin = (families[:, None] == families) & known
        return pairs & same, pairs & ~same, pairs & ~same & kin

    def _equal_error(self, same: NDArray[np.bool_], other: NDArray[np.bool_]) -> EqualError:
        right, wrong = np.flatnonzero(same), np.flatnonzero(other)
        rate = metrics.equal_error_rate(*self._judged(right, wrong))
        sampled = wrong
        if len(wrong) > _MOST_PAIRS:
            sampled = np.random.default_rng(0).choice(wrong, _MOST_PAIRS, replace=False)
        sides = np.divmod(np.concatenate([right, sampled]), max(1, len(self.labels)))
        groups = self.labels[np.stack(sides, axis=1)]
        interval = metrics.equal_error_interval(*self._judged(right, sampled), groups)
        return EqualError(rate, interval, len(right), len(wrong))

    def _judged(
        self, right: NDArray[np.intp], wrong: NDArray[np.intp]
    ) -> tuple[Similarity, NDArray[np.bool_]]:
        """Similarity of pairs, by their place in the flat table, and whether they are the same."""
        pairs = np.concatenate([right, wrong])
        return self.similarity.ravel()[pairs], np.arange(len(pairs)) < len(right)


def cosine_similarity(vectors: Sequence[ArrayLike | None]) -> Similarity:
    """Cosine of every two vectors (D,) as (N, N) float32; -inf where one of them is None."""
    present = [index for index, vector in enumerate(vectors) if vector is not None]
    table = np.full((len(vectors), len(vectors)), -np.inf, dtype=np.float32)
    if present:
        stacked = np.stack([np.asarray(vectors[index], dtype=np.float32) for index in present])
        lengths = np.linalg.norm(stacked, axis=1, keepdims=True)
        unit = np.divide(stacked, lengths, out=np.zeros_like(stacked), where=lengths > 0)
        table[np.ix_(present, present)] = unit @ unit.T
    return table


def origin(entry: ManifestEntry) -> str:
    """What the manifest states as ``origin``, such as ``real``; else where the image is from."""
    return str((entry.model_extra or {}).get("origin") or group(entry))


def group(entry: ManifestEntry) -> str:
    """The source that the manifest states, else the folder of the image."""
    return entry.source or entry.group


def _numbered(names: Iterable[str | None]) -> NDArray[np.int64]:
    """A number for each name, equal for equal names."""
    numbers: dict[str | None, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in names], dtype=np.int64)
