"""How much chance there is in a value because it is of so many people, and of no others: its sampling variance.

From what is stored with a value: n, the counts of its classes. What needs the people themselves is in
people_variance.py. NaN = not known, of which nothing is claimed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from metrics.catalog.models.kpi import Measure

Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
Z = 1.959963984540054  # of 95%


@dataclass(frozen=True)
class People:
    """What each person adds to a value, where that must be counted: a total, or a mean or ratio of two totals.

    numerator: count, sum or count_distinct; with `quantile` the rows whose quantile is the value. window: days that a
    value looks back over. share: the numerator is counted among the denominator, so the variance goes with the level.
    scale: what numerator / denominator is multiplied by to be the value.
    """

    numerator: Measure
    denominator: Measure | None = None
    window: int = 1
    quantile: float | None = None
    share: bool = False
    scale: float = 1.0

    def variance(self, unit: float, frame: pd.DataFrame) -> Floats:
        """Variance of each value of an answer. unit: see people_variance.unit_variance."""
        if self.quantile is None and self.denominator is None:
            return unit * np.abs(numbers(frame, "value"))
        if self.share:
            return unit * shares(numbers(frame, "value"), numbers(frame, "denominator"))
        of = numbers(frame, "n" if self.quantile is not None else "denominator")
        return np.where(of > 0, self.scale**2 * unit / np.where(of > 0, of, 1.0), np.nan)


def shares(share: Floats, n: Floats) -> Floats:
    """Variance of shares 0..1 of n people each; NaN outside of that.

    One person's worth of half and half is added, so that 0 of 40 are not taken for a certainty.
    """
    known = (n >= 1) & (share >= 0) & (share <= 1)
    of = np.where(known, n, 1.0)
    p = (np.where(known, share, 0.5) * of + 0.5) / (of + 1)
    return np.where(known, p * (1 - p) / of, np.nan)


def classes(counts: Floats, points: Sequence[float]) -> Floats:
    """Variance of the mean points of people in classes. counts (t, class): how many are in each; points: of a class.

    One person's worth, spread over the classes, is added as in `shares`; NaN where nobody is in any.
    """
    n = counts.sum(axis=1)
    known = n >= 1
    of = np.where(known, n, 1.0)
    p = (np.where(known[:, None], counts, 0.0) + 1 / len(points)) / (of + 1)[:, None]
    worth = np.asarray(points, dtype=np.float64)
    return np.where(known, (p @ worth**2 - (p @ worth) ** 2) / of, np.nan)


def between_ends(score: Floats, n: Floats) -> Floats:
    """The least variance that a mean of answers of -1, 0 or 1 can have, where only mean and n are known."""
    return shares(np.abs(score), n)


def events(count: Floats) -> Floats:
    """Variance of a number of events that know nothing of each other (Poisson); none at all are no certainty either."""
    return np.where(count >= 0, np.maximum(count, 0.5), np.nan)


def contrast(weights: Floats, variance: Floats, window: int = 1) -> float:
    """Variance of the weighted sum of a series' values (t): weights and variance of each value.

    window: the values of so many days are of the same people in part: neighbours k apart share 1 - k / window. NaN
    where a weighted value's variance is not known.
    """
    used = weights != 0
    if not np.isfinite(variance[used]).all():
        return float("nan")
    scaled = np.where(used, weights * np.sqrt(np.where(used, variance, 0.0)), 0.0)
    total = float(scaled @ scaled)
    for lag in range(1, min(window, len(scaled))):
        total += 2 * (1 - lag / window) * float(scaled[lag:] @ scaled[:-lag])
    return total


def numbers(frame: pd.DataFrame, column: str) -> Floats:
    """A column of an answer as floats; unknown = NaN."""
    found: Floats = frame[column].to_numpy(dtype="float64", na_value=np.nan)
    return found


def class_counts(frame: pd.DataFrame, count: int) -> Floats | None:
    """The first `count` parts of each row (t, count) of an answer; None where it carries none."""
    if "parts" not in frame or frame["parts"].isna().all():
        return None
    blank = (np.nan,) * count
    rows = [blank if row is None or not isinstance(row, tuple) else row[:count] for row in frame["parts"]]
    return np.nan_to_num(np.array(rows, dtype=np.float64).reshape(len(rows), count))
