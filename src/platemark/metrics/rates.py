"""Shares, their intervals, and means over what is not independent."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Rate:
    """A share with its Wilson 95% interval.

    Attributes:
        hits: How many were right.
        n: Out of how many.
    """

    hits: int
    n: int

    @property
    def value(self) -> float:
        """``hits / n``; NaN where nothing was counted."""
        return self.hits / self.n if self.n else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson 95% interval (low, high)."""
        return wilson_interval(self.hits, self.n)

    def to_dict(self) -> dict[str, object]:
        """Return value, interval and counts; the value is None where nothing was counted."""
        return {
            "value": self.value if self.n else None,
            "interval": list(self.interval),
            "hits": self.hits,
            "n": self.n,
        }


def wilson_interval(hits: int, n: int, z: float = 1.959963984540054) -> tuple[float, float]:
    """Score interval of a share (Wilson 1927); (0, 1) where nothing was counted.

    Args:
        hits: How many were right, 0..n.
        n: Out of how many.
        z: Standard normal quantile; the default gives 95%.

    Raises:
        ValueError: Counts that are no share.
    """
    if not 0 <= hits <= n:
        raise ValueError(f"{hits} of {n} is no share")
    if n == 0:
        return 0.0, 1.0
    share = hits / n
    centre = share + z * z / (2 * n)
    spread = z * float(np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)))
    scale = 1 + z * z / n
    # the ends are exact where rounding would leave the share just outside its own interval
    low = 0.0 if hits == 0 else (centre - spread) / scale
    high = 1.0 if hits == n else (centre + spread) / scale
    return low, high


def mean_and_median(values: Sequence[float]) -> tuple[float, float]:
    """Mean and median; NaN twice for no values."""
    if not values:
        return float("nan"), float("nan")
    return float(np.mean(values)), float(np.median(values))


def mean_interval(
    values: ArrayLike, groups: ArrayLike, *, resamples: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """95% interval of a mean: the bootstrap over groups, whose values are not independent.

    Args:
        values: (N,).
        groups: (N,) int, the group of each value.
        resamples: How often groups are resampled.
        seed: Fixes the bootstrap.

    Returns:
        (low, high): the 2.5% and 97.5% quantiles; NaN twice for no values.
    """
    _, index = np.unique(np.asarray(groups), return_inverse=True)
    sums = np.bincount(index, weights=np.asarray(values, dtype=np.float64))
    counts = np.bincount(index)
    resampled = bootstrap(len(counts), resamples, seed)
    return middle([float(picked @ sums / (picked @ counts)) for picked in resampled])


def bootstrap(groups: int, resamples: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """How often each group is picked, (groups,) for each resample."""
    generator = np.random.default_rng(seed)
    for _ in range(resamples if groups else 0):
        picked = generator.integers(groups, size=groups)
        yield np.bincount(picked, minlength=groups).astype(np.float64)


def middle(values: Sequence[float]) -> tuple[float, float]:
    """The 2.5% and 97.5% quantiles of what is a number."""
    known = [value for value in values if not np.isnan(value)]
    if not known:
        return float("nan"), float("nan")
    low, high = np.quantile(known, [0.025, 0.975])
    return float(low), float(high)
