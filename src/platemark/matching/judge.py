"""From evidence to a probability, by what was fitted on drawn imprints and is kept as data.

A small network says of every place how likely other ink than that of one stamp is there; a logistic
regression weighs the worst places against how well all agrees. `judge.json` beside this file holds
both; `recipes/fit_matching.py` fits them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from platemark.geometry import FloatArray
from platemark.matching.alignment import Alignment
from platemark.matching.evidence import COARSER, PLACE_FEATURES, Evidence

PAIR_FEATURES = (
    "worst place",
    "worst stroke",
    "worst small letter",
    "worst letter",
    "usual place",
    "share in doubt",
    "agreement",
    "alike",
    "less covered",
    "more covered",
    "log side",
    "log inked",
    "skew",
)
"""What is known of a pair as a whole; see `pair_features`."""

# Areas of a stroke, a small letter and a larger one, as parts of the long side squared.
_AREAS = (1.0 / 48.0**2, 1.0 / 34.0**2, 1.0 / 24.0**2)


@dataclass(frozen=True, eq=False)
class Network:
    """Full layers with tanh between them, and one output; a single one is a logistic regression.

    Attributes:
        mean: (F,) mean of the features.
        scale: (F,) their spread.
        layers: Weights (N, M) and biases (M,) of each layer.
    """

    mean: FloatArray
    scale: FloatArray
    layers: tuple[tuple[FloatArray, FloatArray], ...]

    def __call__(self, features: NDArray[np.floating]) -> FloatArray:
        """Log-odds (N,) for features (N, F)."""
        values = np.asarray((features - self.mean) / self.scale)
        for index, (weights, bias) in enumerate(self.layers):
            values = (np.tanh(values) if index else values) @ weights + bias
        return np.asarray(values[:, 0], dtype=np.float64)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object."""
        return {
            "mean": _rounded(self.mean),
            "scale": _rounded(self.scale),
            "layers": [
                {"weights": _rounded(weights), "bias": _rounded(bias)}
                for weights, bias in self.layers
            ],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Make one from its JSON object."""
        layers = tuple(
            (np.array(layer["weights"], np.float64), np.array(layer["bias"], np.float64))
            for layer in data["layers"]
        )
        return cls(np.array(data["mean"]), np.array(data["scale"]), layers)


def _rounded(values: NDArray[np.floating]) -> Any:
    """Numbers as lists, with as many digits as matter."""
    digits = np.vectorize(lambda value: float(f"{value:.5g}"), otypes=[float])
    return digits(values).tolist()


@dataclass(frozen=True, eq=False)
class Judge:
    """What turns evidence into a probability.

    Attributes:
        places: Log-odds of other ink, from the features of a place.
        pairs: Log-odds of one stamp, from the features of a pair.
        marked: Log-odds from which a place is shown as disagreeing.
    """

    places: Network
    pairs: Network
    marked: float

    @classmethod
    @lru_cache(maxsize=1)
    def fitted(cls) -> Self:
        """The one that comes with the package."""
        text = files("platemark.matching").joinpath("judge.json").read_text("utf-8")
        return cls.from_dict(json.loads(text))

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object."""
        return {
            "places": {"features": list(PLACE_FEATURES), **self.places.to_dict()},
            "pairs": {"features": list(PAIR_FEATURES), **self.pairs.to_dict()},
            "marked": self.marked,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Make one from its JSON object.

        Raises:
            ValueError: It was fitted for other features.
        """
        wanted = {"places": PLACE_FEATURES, "pairs": PAIR_FEATURES}
        for part, names in wanted.items():
            if tuple(data[part]["features"]) != names:
                raise ValueError(f"the judge was fitted for other features of {part}; fit it anew")
        places, pairs = (Network.from_dict(data[part]) for part in wanted)
        return cls(places, pairs, float(data["marked"]))


def pair_features(evidence: Evidence, doubts: FloatArray, alignment: Alignment) -> FloatArray:
    """Features (F,) of a pair, see `PAIR_FEATURES`.

    Args:
        evidence: The evidence.
        doubts: (N,) log-odds of other ink at its places.
        alignment: How the imprints lie on each other.
    """
    worst = np.sort(doubts)[::-1]
    counts = [max(1, round(area * (evidence.side / COARSER) ** 2)) for area in _AREAS]
    return np.array(
        [
            worst[0],
            *(float(worst[:count].mean()) for count in counts),
            float(np.median(doubts)),
            float(np.mean(doubts > 0.0)),
            alignment.agreement,
            evidence.alike,
            *evidence.covered,
            np.log(evidence.side),
            np.log(1.0 + evidence.inked),
            _skew(alignment.matrix),
        ]
    )


def _skew(matrix: FloatArray) -> float:
    """How far a homography is from turning, zooming and shifting."""
    sizes = np.linalg.svd(matrix[:2, :2], compute_uv=False)
    return float(np.log(sizes[0] / max(sizes[1], 1e-6)) + np.abs(matrix[2, :2]).sum())
