"""What people do instead: a t-test, and an ordinary regression that takes every day for new evidence."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
Interval = tuple[float, float]
BEFORE = 60  # days that they look back, as is usual


def t_test(y: Floats, first: int, after: int) -> Interval:
    """The mean of the days after against that of the days before."""
    found = stats.ttest_ind(y[first : first + after], y[first - BEFORE : first], equal_var=False)
    interval = found.confidence_interval(0.95)
    return float(interval.low), float(interval.high)


def ordinary(y: Floats, first: int, after: int) -> Interval:
    """Interrupted time series by ordinary least squares: weekday, trend, step."""
    day = np.arange(first - BEFORE, first + after)
    design = np.column_stack(
        [np.ones(len(day)), day - first, *[(day % 7 == k).astype(float) for k in range(6)], day >= first]
    )
    values = y[day]
    coefficients, *_ = np.linalg.lstsq(design, values, rcond=None)
    freedom = len(day) - design.shape[1]
    variance = np.sum((values - design @ coefficients) ** 2) / freedom
    error = np.sqrt(variance * np.linalg.inv(design.T @ design)[-1, -1]) * stats.t.ppf(0.975, freedom)
    return float(coefficients[-1] - error), float(coefficients[-1] + error)
