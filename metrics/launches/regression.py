"""The step of a launch in series whose noise remembers itself: REML, averaged over what that memory may be.

Yesterday's noise is part of today's on real products. A t-test or an ordinary regression takes every day for new
evidence and cries wolf one time in three (docs/launch-quality.md has the measurement). The noise here is an AR(1)
process and, beside it, noise of the single period: a slow drift under a rough surface is both.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]
MEMORY = (-0.2, 0.2, 0.4, 0.6, 0.75, 0.85, 0.92, 0.96, 0.98, 0.995)  # candidate AR(1) coefficients
PARTS = (0.1, 0.25, 0.5, 0.75, 1.0)  # candidate parts of the variance that have that memory
LIKELY = 1e-4  # candidates below this weight are left out of quantiles


@dataclass(frozen=True)
class Fit:
    """A fitted step, per candidate noise: steps, scales (its standard errors), weights that add up to 1: (candidate).

    base: mean coefficients of what goes on without it, (column), of the first series. known: (candidate, column,
    column) their covariance in units of the noise's variance. variances: (candidate), the noise's.
    """

    steps: Floats
    scales: Floats
    weights: Floats
    freedom: int
    base: Floats
    known: Floats
    variances: Floats

    def interval(self, level: float) -> tuple[float, float, float]:
        """Estimate, low and high of the step: quantiles of a mixture of t distributions."""
        kept = self.weights > LIKELY
        weights, centres, scales = self.weights[kept] / self.weights[kept].sum(), self.steps[kept], self.scales[kept]
        low, high = (self._quantile(q, weights, centres, scales) for q in ((1 - level) / 2, (1 + level) / 2))
        return float(weights @ centres), low, high

    def _quantile(self, q: float, weights: Floats, centres: Floats, scales: Floats) -> float:
        ends = centres + special.stdtrit(self.freedom, q) * scales
        low, high = float(ends.min()), float(ends.max())
        for _ in range(30):
            middle = (low + high) / 2
            below = float(weights @ special.stdtr(self.freedom, (middle - centres) / scales))
            low, high = (middle, high) if below < q else (low, middle)
        return (low + high) / 2

    def spread(self, rows: Floats) -> Floats:
        """Standard deviation of a new observation at rows of the base design: its noise and what is not known."""
        unknown = np.einsum("ti,mij,tj->mt", rows, self.known, rows)
        spread: Floats = np.sqrt(self.weights @ (self.variances[:, None] * (1 + unknown)))
        return spread


def fit(y: Floats, step: Floats, base: Floats, at: tuple[int, ...]) -> Fit:
    """Regress series y (t, series) on one common step (t, series) and each on its own base (t, column).

    at: the observations' positions from 0, rising; some may be missing. Raises ValueError if there are too few.
    """
    (count, columns), series = base.shape, y.shape[1]
    freedom = series * (count - columns) - 1
    if freedom < 1 or count <= columns:
        raise ValueError(f"{count} observations cannot tell {columns + 1} things")
    whiten, logs = _noises(at[-1] + 1)
    white = whiten @ _on_every_day(base, step, y, at)
    own = white.shape[2] - 2 * series
    x, z, v = white[:, :, :own], white[:, :, own : own + series], white[:, :, own + series :]
    turned = x.transpose(0, 2, 1)
    information = turned @ x
    known = np.linalg.inv(information)
    left_z, left_v = (part - x @ (known @ (turned @ part)) for part in (z, v))  # what the base does not explain
    power = np.sum(left_z**2, axis=(1, 2))
    steps = np.sum(left_z * left_v, axis=(1, 2)) / power
    variances = np.maximum(np.sum((left_v - steps[:, None, None] * left_z) ** 2, axis=(1, 2)) / freedom, 1e-300)
    # REML: −(n−p)/2 log s² − ½ log|V| − ½ log|X'V⁻¹X|
    determinants = series * (logs + np.linalg.slogdet(information)[1]) + np.log(power)
    likelihood = -0.5 * (freedom * np.log(variances) + determinants)
    weights = np.exp(likelihood - likelihood.max())
    weights = weights / weights.sum()
    fitted = (known @ (turned @ (v[:, :, :1] - steps[:, None, None] * z[:, :, :1])))[:, :columns, 0]
    base_mean = np.asarray(weights @ fitted, dtype=np.float64)
    covariance = np.asarray(known[:, :columns, :columns], dtype=np.float64)
    return Fit(steps, np.sqrt(variances / power), weights, freedom, base_mean, covariance, variances)


def _on_every_day(base: Floats, step: Floats, y: Floats, at: tuple[int, ...]) -> Floats:
    """Base, step and series on a grid without holes: (t, column).

    A day that is missing gets a column of its own, which takes up whatever would have been seen then. That is the same
    as leaving the day out, but what whitens the noise stays that of a whole grid.
    """
    days = at[-1] + 1
    whole = np.zeros((days, base.shape[1] + step.shape[1] + y.shape[1]))
    whole[list(at)] = np.column_stack([base, step, y])
    missing = sorted(set(range(days)) - set(at))
    holes = np.zeros((days, len(missing)))
    holes[missing, range(len(missing))] = 1.0
    return np.insert(whole, [base.shape[1]] * len(missing), holes, axis=1)


@lru_cache(maxsize=64)
def _noises(days: int) -> tuple[Floats, Floats]:
    """What turns each candidate noise into white noise, (candidate, t, t), and the log determinant of its correlation.

    The same for every series of that many days: 26 earlier dates cost one.
    """
    at = np.arange(days)
    apart = np.abs(np.subtract.outer(at, at))
    eye = np.eye(days)
    found = [eye]
    for memory in MEMORY:
        signed = np.where(apart % 2 == 0, 1.0, np.sign(memory)) * np.abs(memory) ** apart
        found += [part * signed + (1 - part) * eye for part in PARTS]
    lower = np.linalg.cholesky(np.stack(found))
    logs = 2 * np.log(np.diagonal(lower, axis1=1, axis2=2)).sum(axis=1)
    return np.asarray(np.linalg.inv(lower), dtype=np.float64), logs
