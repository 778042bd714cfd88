"""Acceptance thresholds of candidates for target false-accept rates.

They are measured with stamps that the registry does not know. Those of the bundled models are data,
in ``calibrations.json``; `Registry.calibrate` measures those of a registry of one's own.
"""

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Self

FALSE_ACCEPTS = 1e-3
"""Unknown stamps that may be taken for a known one, unless told otherwise."""

SHARES = (0.1, 0.03, 0.01, 0.003, 0.001, 0.0003, 0.0001)
"""Shares of unknown stamps accepted for which thresholds are measured, where there are enough."""

CALIBRATIONS = "calibrations.json"
"""The file, beside this module."""


@dataclass(frozen=True, slots=True)
class Logistic:
    """Logistic regression of whether two imprints are of one stamp, by their embeddings alone.

    Attributes:
        bias: Offset.
        similarity: Weight of the cosine similarity.
    """

    bias: float
    similarity: float

    def probability(self, similarity: float) -> float:
        """Probability of one stamp."""
        odds = self.bias + self.similarity * similarity
        return 1.0 / (1.0 + math.exp(-min(max(odds, -50.0), 50.0)))


@dataclass(frozen=True, slots=True)
class Calibration:
    """Thresholds, and what they were measured with.

    Attributes:
        uncompared: Score of candidates whose ink was not compared.
        designs: Designs of the registry that the thresholds were measured with.
        strangers: Unknown stamps they were measured with: a share of less than one of them is not
            known.
        thresholds: Pairs of the share of unknown stamps accepted, falling, and the least score.
        models: Names and versions, by task, of the models whose scores they are: ``embedder``,
            ``segmenter``, ``comparer``. Empty for thresholds that were not measured.
    """

    uncompared: Logistic
    designs: int
    strangers: int
    thresholds: tuple[tuple[float, float], ...]
    models: Mapping[str, str] = field(default_factory=dict)

    def least_score(self, false_accepts: float, designs: int) -> float:
        """Return the score from which on a candidate is accepted.

        In a registry with more designs an unknown stamp has more to be mistaken for, so that the
        share of it that each may have falls in proportion. For a share that was not measured it is
        the strictest threshold that was, see `measures`.

        Args:
            false_accepts: Share of unknown stamps that may be accepted.
            designs: Designs in the registry.

        Raises:
            ValueError: The share is not between 0 and 1.
        """
        return _interpolated(self.thresholds, self._share(false_accepts, designs))

    def measures(self, false_accepts: float, designs: int) -> bool:
        """Whether there were enough unknown stamps to know the threshold for a share.

        Raises:
            ValueError: The share is not between 0 and 1.
        """
        return self._share(false_accepts, designs) * self.strangers >= 1.0

    def _share(self, false_accepts: float, designs: int) -> float:
        if not 0.0 < false_accepts < 1.0:
            raise ValueError(f"a share of false accepts is between 0 and 1, not {false_accepts!r}")
        return false_accepts * min(1.0, self.designs / max(designs, 1))

    @classmethod
    def measured(
        cls,
        scores: Sequence[float],
        designs: int,
        models: Mapping[str, str],
        uncompared: Logistic,
    ) -> Self:
        """Make one of the scores of unknown stamps.

        Args:
            scores: The best score that each unknown stamp got, at least one.
            designs: Designs it was compared with.
            models: See `models`.
            uncompared: See `uncompared`.
        """
        falling = sorted(scores, reverse=True)
        known = [share for share in SHARES if share * len(falling) >= 1.0] or [SHARES[0]]
        thresholds = tuple(
            (share, math.nextafter(falling[int(share * len(falling))], 2.0)) for share in known
        )
        return cls(uncompared, designs, len(falling), thresholds, dict(models))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Make one from its JSON object."""
        return cls(
            Logistic(**data["uncompared"]),
            int(data["designs"]),
            int(data["strangers"]),
            tuple((float(share), float(score)) for share, score in data["thresholds"]),
            data["models"],
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object."""
        return {
            "models": dict(self.models),
            "uncompared": {
                "bias": round(self.uncompared.bias, 4),
                "similarity": round(self.uncompared.similarity, 4),
            },
            "designs": self.designs,
            "strangers": self.strangers,
            "thresholds": [[share, round(score, 6)] for share, score in self.thresholds],
        }


def calibration_of(models: Mapping[str, str]) -> Calibration:
    """Return the bundled calibration of models by task.

    Models without one get a rough one, whose shares were not measured.
    """
    known = bundled_calibrations()
    fitting = (one for one in known if one.models and one.models == dict(models))
    return next(fitting, known[0])


@cache
def bundled_calibrations() -> tuple[Calibration, ...]:
    """The calibrations that come with the package, first that of any models."""
    data = json.loads((files("platemark.registry") / CALIBRATIONS).read_text(encoding="utf-8"))
    return tuple(sorted(map(Calibration.from_dict, data), key=lambda one: bool(one.models)))


def _interpolated(thresholds: Sequence[tuple[float, float]], share: float) -> float:
    """The score for a share, linear in the logarithm of the share; beyond the ends, the end's."""
    strict = min(thresholds)
    lax = max(thresholds)
    for (upper, least), (lower, most) in itertools.pairwise(thresholds):
        if lower <= share <= upper:
            part = math.log(upper / share) / math.log(upper / lower)
            return least + part * (most - least)
    return strict[1] if share < strict[0] else lax[1]
