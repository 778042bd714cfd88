"""How sure is sure enough: what similarity and the comparison of ink say together.

The figures are data, in ``calibrations.json``, one entry for each model that makes vectors, and are
fitted by ``python benchmarks/identify.py --fit``.
"""

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

FALSE_ACCEPTS = 1e-3
"""Unknown stamps that may be taken for a known one, unless told otherwise."""

CALIBRATIONS = "calibrations.json"
"""The file, beside this module."""
_ANY_MODEL = "*"
# Probabilities nearer to 0 or 1 than this are no surer.
_SUREST = 1e-4


@dataclass(frozen=True, slots=True)
class Logistic:
    """Logistic regression of whether two imprints are of one stamp.

    Attributes:
        bias: Offset.
        similarity: Weight of the cosine similarity.
        match: Weight of the log-odds of the comparison of the ink.
    """

    bias: float
    similarity: float
    match: float = 0.0

    def probability(self, similarity: float, match: float = 0.5) -> float:
        """Probability of one stamp, by a cosine similarity and a comparison's probability."""
        sure = min(max(match, _SUREST), 1.0 - _SUREST)
        odds = self.bias + self.similarity * similarity + self.match * math.log(sure / (1.0 - sure))
        return 1.0 / (1.0 + math.exp(-min(max(odds, -50.0), 50.0)))


@dataclass(frozen=True, slots=True)
class Calibration:
    """What makes a decision of figures.

    Attributes:
        compared: For candidates whose ink was compared.
        uncompared: For those it was not.
        designs: Designs of the registry that the thresholds were measured with.
        thresholds: Pairs of the share of unknown stamps accepted, falling, and the least score.
    """

    compared: Logistic
    uncompared: Logistic
    designs: int
    thresholds: tuple[tuple[float, float], ...]

    def least_score(self, false_accepts: float, designs: int) -> float:
        """Return the score from which on a candidate is accepted.

        In a registry with more designs an unknown stamp has more to be mistaken for, so that the
        share of it that each may have falls in proportion.

        Args:
            false_accepts: Share of unknown stamps that may be accepted.
            designs: Designs in the registry.

        Raises:
            ValueError: The share is not between 0 and 1.
        """
        if not 0.0 < false_accepts < 1.0:
            raise ValueError(f"a share of false accepts is between 0 and 1, not {false_accepts!r}")
        share = false_accepts * min(1.0, self.designs / max(designs, 1))
        return _interpolated(self.thresholds, share)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Make one from its JSON object."""
        return cls(
            Logistic(**data["compared"]),
            Logistic(**data["uncompared"]),
            int(data["designs"]),
            tuple((float(share), float(score)) for share, score in data["thresholds"]),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object."""
        return {
            "compared": _rounded(self.compared),
            "uncompared": _rounded(self.uncompared),
            "designs": self.designs,
            "thresholds": [[share, round(score, 6)] for share, score in self.thresholds],
        }


def calibration_of(model: str) -> Calibration:
    """Return the calibration for vectors of a model, ``name@version``.

    A model without one gets that of any model: a rough one, whose shares were not measured.
    """
    known = _bundled()
    return known.get(model) or known[_ANY_MODEL]


@cache
def _bundled() -> Mapping[str, Calibration]:
    return read_calibrations(Path(str(files("platemark.registry") / CALIBRATIONS)))


def read_calibrations(path: Path) -> dict[str, Calibration]:
    """Read calibrations by model from a file."""
    data = json.loads(path.read_text(encoding="utf-8"))
    return {model: Calibration.from_dict(entry) for model, entry in data.items()}


def _interpolated(thresholds: Sequence[tuple[float, float]], share: float) -> float:
    """The score for a share, linear in the logarithm of the share; beyond the ends, the end's."""
    strict = min(thresholds)
    lax = max(thresholds)
    for (upper, least), (lower, most) in itertools.pairwise(thresholds):
        if lower <= share <= upper:
            part = math.log(upper / share) / math.log(upper / lower)
            return least + part * (most - least)
    return strict[1] if share < strict[0] else lax[1]


def _rounded(logistic: Logistic) -> dict[str, float]:
    return {
        "bias": round(logistic.bias, 4),
        "similarity": round(logistic.similarity, 4),
        "match": round(logistic.match, 4),
    }
