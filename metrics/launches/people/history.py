"""A/A tests: people of earlier days, split at random, where nothing was launched. How often is an effect seen?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from metrics.launches.people.comparison import compared
from metrics.launches.people.moments import Sums

SPLITS = 500  # of each earlier date
SEED = 20


@dataclass(frozen=True)
class AaTest:
    """cried: how many of `splits` looked like an effect, of people at `dates` earlier dates."""

    cried: int
    splits: int
    dates: int


def cried_wolf(buckets: dict[str, Sums], splits: int = SPLITS, seed: int = SEED) -> tuple[int, int]:
    """How many random halves of the buckets differ, and of how many. The same buckets give the same answer."""
    names = sorted(buckets)
    if len(names) < 2:
        return 0, 0
    n = np.array([buckets[name].n for name in names])
    sums = np.array([buckets[name].sums for name in names])
    products = np.array([buckets[name].products for name in names])
    rng, cried, tried = np.random.default_rng(seed), 0, 0
    for _ in range(splits):
        half = np.zeros(len(names))
        half[rng.permutation(len(names))[: len(names) // 2]] = 1.0
        sides = [
            Sums(float(side @ n), side @ sums, np.tensordot(side, products, axes=1)) for side in (half, 1.0 - half)
        ]
        found = compared([(sides[0], sides[1])])
        if found is not None:
            tried += 1
            cried += not found.difference.low <= 0 <= found.difference.high
    return cried, tried


def earlier_dates(start: pd.Timestamp, days: int, count: int = 1) -> list[pd.Timestamp]:
    """Days at which a reading of so many days would have ended before the launch, the latest first."""
    return [start - pd.Timedelta(days=days * (k + 1)) for k in range(count)]
