"""What a world is made of, and the best that could be said of it by who knows that: generalised least squares."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, signal

Floats = NDArray[np.float64]
FREE = 1e4  # variance of what is shared on a day, in those of the sampling, where it may be anything
BEFORE = 200  # days before the launch that the oracle looks at


@dataclass(frozen=True)
class Truth:
    """Means (t, series) without the launch; exposure, same shape; sizes of noises as standard deviations.

    launches: rows of earlier launches, of the series that are `touched`. shared and own are AR(1): size and memory.
    shocks: part of days with a shock of size `shock`, half of them of all series. sampling: of a day, by series.
    apart: only comparisons of series on one day count, as of segments that wait: what they share may be anything.
    """

    means: Floats
    exposure: Floats
    first: int
    launches: tuple[int, ...]
    touched: NDArray[np.bool_]
    shared_day: float
    shared: tuple[float, float]
    shared_walk: float
    own: tuple[float, float]
    own_walk: float
    shock: float
    shocks: float
    sampling: Floats
    grows: bool
    apart: bool

    def drawn(self, rng: np.random.Generator) -> Floats:
        """Means with their noise, but for the sampling, (t, series)."""
        days, series = self.means.shape
        common = self.shared_day * rng.normal(size=days) + _remembered(rng, days, *self.shared)
        common = common + np.cumsum(self.shared_walk * rng.normal(size=days)) + self._shocks(rng, days)
        own = [
            _remembered(rng, days, *self.own)
            + np.cumsum(self.own_walk * rng.normal(size=days))
            + self._shocks(rng, days)
            for _ in range(series)
        ]
        return np.asarray(self.means + common[:, None] + np.column_stack(own), dtype=np.float64)

    def _shocks(self, rng: np.random.Generator, days: int) -> Floats:
        hit = rng.random(days) < self.shocks / 2
        return np.asarray(hit * self.shock * rng.choice([-1.0, 1.0], days), dtype=np.float64)


class Oracle:
    """Knows the covariance, the earlier launches and whether there is a trend; not level, weekday, slope, effect.

    error: the standard error of the effect at full exposure.
    """

    def __init__(self, truth: Truth) -> None:
        self.rows = slice(max(0, truth.first - BEFORE), len(truth.means))
        days = len(truth.means[self.rows])
        white, shock = np.eye(days), truth.shocks / 2 * truth.shock**2
        common = (truth.shared_day**2 + shock) * white + _memory(days, *truth.shared) + _walk(days, truth.shared_walk)
        if truth.apart:
            common = common + FREE * float(truth.sampling.max()) ** 2 * white
        own = shock * white + _memory(days, *truth.own) + _walk(days, truth.own_walk)
        series = len(truth.sampling)
        covariance = np.kron(np.ones((series, series)), common) + np.kron(np.eye(series), own)
        covariance += np.kron(np.diag(truth.sampling**2), white)
        self._factor = linalg.cho_factor(covariance)
        design = self._design(truth, days)
        self._gain = linalg.cho_solve(self._factor, design)
        self._known = np.linalg.inv(design.T @ self._gain)
        share = truth.exposure[truth.first :]
        self.mean = float(share[:, share.any(axis=0)].mean())
        self.error = float(np.sqrt(self._known[-1, -1]))

    def _design(self, truth: Truth, days: int) -> Floats:
        series, day = len(truth.sampling), np.arange(days)
        own = [np.ones(days), *([day / days - 0.5] if truth.grows else [])]
        columns = [np.kron(np.eye(series)[i], column) for i in range(series) for column in own]
        columns += [np.tile(((day + self.rows.start) % 7 == k) - 1 / 7, series) for k in range(6)]
        late = [at for at in truth.launches if at > self.rows.start]
        columns += [
            np.kron(np.eye(series)[i], (day + self.rows.start >= at).astype(float))
            for i in np.flatnonzero(truth.touched)
            for at in set(late)
        ]
        return np.column_stack([*columns, truth.exposure[self.rows].T.ravel()])

    def interval(self, values: Floats) -> tuple[float, float]:
        """Of the mean effect since launch, from the values of all series, (t, series)."""
        found = (self._known @ (self._gain.T @ values[self.rows].T.ravel()))[-1]
        return float((found - 1.96 * self.error) * self.mean), float((found + 1.96 * self.error) * self.mean)


def _remembered(rng: np.random.Generator, days: int, size: float, memory: float) -> Floats:
    steps = rng.normal(size=days) * size * np.sqrt(1 - memory**2)
    steps[0] /= np.sqrt(1 - memory**2)
    return np.asarray(signal.lfilter([1.0], [1.0, -memory], steps), dtype=np.float64)


def _memory(days: int, size: float, memory: float) -> Floats:
    return np.asarray(size**2 * linalg.toeplitz(memory ** np.arange(days)), dtype=np.float64)


def _walk(days: int, size: float) -> Floats:
    day = np.arange(1, days + 1)
    return np.asarray(size**2 * np.minimum(day[:, None], day[None, :]), dtype=np.float64)
