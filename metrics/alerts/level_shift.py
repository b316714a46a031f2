"""Has a series moved to another level, or is it moving there? The last periods together against the same weeks before.

A level that follows what it sees has forgotten a soft shift before any single value is odd. So the mean of the last
periods, each less the middle of the same place of earlier seasons, is held against how such means usually vary. What
varies anyway (growth, drift, noise that remembers itself) is in that. Measured in docs/alert-quality.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

MAD = 1.4826
TAIL, TAIL_Z = 0.97, 2.17  # the quantile of absolute deviations that the noise is held to, and a normal's there
PART = 0.8  # of the last periods that must be known


@dataclass(frozen=True)
class Moving:
    """Numbers of one grain: periods that are taken together, seasons before that they are held against, periods that
    tell how such means vary, and the deviations from which a move is as odd as a single value at the usual limit.
    """

    together: int
    keep: int
    noise: int
    limit: float


@dataclass(frozen=True)
class Shifted:
    """Of each period: by how many deviations the last ones lie off, and where it would lie without; NaN = unknown."""

    score: np.ndarray
    before: np.ndarray


def shifted(
    y: np.ndarray, rebases: Iterable[int], season: int, moving: Moving, floor: float, chance: np.ndarray
) -> Shifted:
    """y: values on their scale, NaN = unknown or muted. rebases: positions from which a new level is normal.

    season: periods after which the shape repeats. floor, chance: least noise of a mean, and of each value by sampling.
    """
    usual = _usual(pd.Series(y), rebases, season, moving.keep)
    off = (pd.Series(y) - usual).rolling(moving.together, min_periods=int(moving.together * PART)).mean()
    earlier = off.shift(moving.together)
    middle = earlier.rolling(moving.noise, min_periods=moving.noise // 3).median()
    away = (earlier - middle).abs().rolling(moving.noise, min_periods=moving.noise // 3)
    least = np.maximum(floor, chance / math.sqrt(moving.together))
    spread = np.maximum(np.maximum(MAD * away.median(), away.quantile(TAIL) / TAIL_Z), least)
    return Shifted(((off - middle) / spread).to_numpy("float64"), (usual + middle).to_numpy("float64"))


def _usual(values: pd.Series, rebases: Iterable[int], season: int, keep: int) -> pd.Series:
    """The middle of the same place of earlier seasons; after a new normal, of those since then only."""
    found = pd.Series(np.nan, index=values.index)
    for first in sorted({0, *rebases}):
        since = values.where(values.index >= first)
        past = pd.concat([since.shift(season * back) for back in range(1, keep + 1)], axis=1).median(axis=1)
        found = found.where(found.index < first, past)
    return found
