"""The step of a launch in series whose noise remembers itself: REML, averaged over what that memory may be.

Yesterday's noise is part of today's on real products. A t-test or an ordinary regression takes every day for new
evidence and cries wolf one time in three (docs/launch-quality.md has the measurement). The noise here is an AR(1)
process and, beside it, noise of the single period: a slow drift under a rough surface is both.

Such noise is made white in O(t): a first difference with the AR coefficient leaves a covariance with one diagonal
beside the main one, and the Cholesky factor of that is a recursion. It begins at the first day, so a shorter series is
the beginning of a longer one, and the columns of many fits go through it together.

What goes on without a launch may be believed to be small: coefficients with a prior are part of the noise, and the fit
is averaged over how large they may be. A trend that a short window cannot tell from a step would else take its power.

A series that the launch did not touch may be a column of the base: then its weight is found with the rest (witness.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from metrics.launches.distributions import special
from metrics.launches.witness import Alone, Event, Pair, probabilities

Floats = NDArray[np.float64]
MEMORY = (-0.2, 0.2, 0.4, 0.6, 0.75, 0.85, 0.92, 0.96, 0.98, 0.995)  # candidate AR(1) coefficients
PARTS = (0.03, 0.1, 0.25, 0.5, 0.75, 1.0)  # candidate parts of the variance that have that memory
CANDIDATES = ((0.0, 0.0), *((memory, part) for memory in MEMORY for part in PARTS))  # the first is white
LIKELY = 1e-4  # candidates below this weight are left out of quantiles
HALVINGS = 30  # of a quantile's bracket; published verdicts were made with as many
TOGETHER = 120  # columns that are made white at once: more of them cost memory and save nothing
NEWTON, CLOSE = 60, 1e-13  # most steps; when to stop, in widths of the bracket


@dataclass(frozen=True)
class Problem:
    """Series y (t, series), one common step (t, series) and each series' own base (t, column).

    at: the observations' positions from 0, rising; some may be missing. priors: (alternative, column), how large the
    coefficients of base may be: standard deviations in units of the noise's, inf = anything; the fit is averaged over
    the alternatives as over the noises. Without it, all may be anything. witness: how many of the last columns, with
    priors, add up to a series which the launch did not touch; the first of them takes up a step whole; of one y only.
    centre: what their coefficients are believed to be; least: what the first is at least. Raises ValueError with too
    few observations.
    """

    y: Floats
    step: Floats
    base: Floats
    at: tuple[int, ...]
    priors: Floats | None = None
    witness: int = 0
    centre: float = 0.0
    least: float = -np.inf
    freedom: int = field(init=False)

    def __post_init__(self) -> None:
        (count, columns), series = self.base.shape, self.y.shape[1]
        free = columns if self.priors is None else int(np.isinf(self.priors).all(axis=0).sum())
        object.__setattr__(self, "freedom", series * (count - free) - 1)
        if self.freedom < 1 or count <= columns:
            raise ValueError(f"{count} observations cannot tell {columns + 1} things")

    @property
    def days(self) -> int:
        """Length of the grid without holes."""
        return self.at[-1] + 1


@dataclass(frozen=True)
class Fit:
    """A fitted step, per candidate: steps, scales (its standard errors), weights that add up to 1: (candidate).

    A candidate is a noise, with each alternative of what is believed of the base, and of whether the witness was moved
    on the day, too; event: how likely that is; witness: its mean coefficient; moved: what both add to the step of the
    base's mean coefficients. base: these, (column), of the first series, of what goes on without the step. information:
    (candidate, column, column), the inverse of their covariance in units of the noise's variance. variances:
    (candidate), the noise's.
    """

    steps: Floats
    scales: Floats
    weights: Floats
    freedom: int
    base: Floats
    information: Floats
    variances: Floats
    event: float = 0.0
    witness: float = 0.0
    moved: float = 0.0

    def interval(self, level: float) -> tuple[float, float, float]:
        """Estimate, low and high of the step: quantiles of a mixture of t distributions."""
        return intervals([self], level)[0]

    def spread(self, rows: Floats) -> Floats:
        """Standard deviation of a new observation at rows of the base design: its noise and what is not known."""
        unknown = np.sum((rows @ np.linalg.inv(self.information)) * rows, axis=2)
        spread: Floats = np.sqrt(self.weights @ (self.variances[:, None] * (1 + unknown)))
        return spread


def intervals(fits: Sequence[Fit], level: float) -> list[tuple[float, float, float]]:
    """Each fit's interval; together they cost a fraction."""
    most = max(int(np.sum(found.weights > LIKELY)) for found in fits)
    weights, centres, scales = (np.zeros((len(fits), 1, most)) for _ in range(3))
    scales += 1.0
    for i, found in enumerate(fits):
        kept = found.weights > LIKELY
        count = int(kept.sum())
        weights[i, 0, :count] = found.weights[kept] / found.weights[kept].sum()
        centres[i, 0, :count], scales[i, 0, :count] = found.steps[kept], found.scales[kept]
        centres[i, 0, count:], scales[i, 0, count:] = centres[i, 0, 0], scales[i, 0, 0]  # of no weight
    freedom = np.array([float(found.freedom) for found in fits])[:, None, None]
    q = np.array([(1 - level) / 2, (1 + level) / 2])[None, :, None]
    ends = centres + special.stdtrit(freedom, q) * scales
    low, high = ends.min(axis=2, keepdims=True), ends.max(axis=2, keepdims=True)
    exact = _quantiles(_Mixtures(weights, centres, scales, freedom), q, low, high)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = np.where(middle < exact, middle, low), np.where(middle < exact, high, middle)
    found_at = ((low + high) / 2)[:, :, 0]
    estimates = np.sum(weights * centres, axis=2)[:, 0]
    return [(float(e), float(a), float(b)) for e, (a, b) in zip(estimates, found_at, strict=True)]


@dataclass(frozen=True)
class _Mixtures:
    """Of t distributions, a row each: weights, centres, scales (row, 1, part), freedom (row, 1, 1)."""

    weights: Floats
    centres: Floats
    scales: Floats
    freedom: Floats

    def at(self, x: Floats) -> tuple[Floats, Floats]:
        """Distribution and density at x (row, quantile, 1)."""
        z, v = (x - self.centres) / self.scales, self.freedom
        density = np.exp(special.gammaln((v + 1) / 2) - special.gammaln(v / 2) - (v + 1) / 2 * np.log1p(z**2 / v))
        below = np.sum(self.weights * special.stdtr(v, z), axis=2, keepdims=True)
        return below, np.sum(self.weights / self.scales * density, axis=2, keepdims=True) / np.sqrt(v * np.pi)


def _quantiles(mixtures: _Mixtures, q: Floats, low: Floats, high: Floats) -> Floats:
    """By Newton's steps, halving where one would leave the bracket: a quarter of the evaluations of halving alone."""
    x, width = (low + high) / 2, high - low
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):  # no noise at all: no density, so it is halved
        for _ in range(NEWTON):
            below, density = mixtures.at(x)
            low, high = np.where(below < q, x, low), np.where(below < q, high, x)
            step = x - (below - q) / density
            fresh = np.where((step >= low) & (step <= high), step, (low + high) / 2)
            if np.all(np.abs(fresh - x) <= np.spacing(np.abs(x)) + CLOSE * width):
                return fresh
            x = fresh
    return x


def fit(y: Floats, step: Floats, base: Floats, at: tuple[int, ...]) -> Fit:
    """Regress one problem. Raises ValueError if it has too few observations."""
    return fits([Problem(y, step, base, at)])[0]


def fits(problems: Sequence[Problem]) -> list[Fit]:
    """The fit of each, in their order."""
    found: list[Fit] = []
    parts = [_Part(problem) for problem in problems]
    while parts:
        sizes = np.cumsum([part.columns.shape[1] for part in parts])
        count = max(1, int(np.searchsorted(sizes, TOGETHER, side="right")))
        now, parts = parts[:count], parts[count:]
        columns = np.zeros((max(part.problem.days for part in now), int(sizes[count - 1])))
        for part, end in zip(now, sizes, strict=False):
            columns[: part.problem.days, end - part.columns.shape[1] : end] = part.columns
        white, logs = _whitened(columns)
        for part, end in zip(now, sizes, strict=False):
            days = part.problem.days
            own = white[:days, :, end - part.columns.shape[1] : end].transpose(1, 2, 0)
            found.append(part.fitted(np.ascontiguousarray(own), logs[days - 1]))
    return found


class _Part:
    """A problem on a grid without holes, less what least squares explain of it.

    A day that is missing gets a column of its own, which takes up whatever would have been seen then. That is the same
    as leaving the day out, but what whitens the noise stays that of a whole grid. What is taken off first changes no
    result, but then sums of squares are as small as the noise and their differences exact.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem, base = problem, problem.base
        self.centres = np.where(np.arange(base.shape[1]) >= base.shape[1] - problem.witness, problem.centre, 0.0)
        values = problem.y - (base @ self.centres)[:, None]
        free = base if problem.priors is None else base * np.isinf(problem.priors).all(axis=0)
        on_base = np.linalg.lstsq(free, np.column_stack([problem.step, values]), rcond=None)[0]
        self.series = problem.y.shape[1]
        self.of_step, self.of_y = on_base[:, 0], on_base[:, self.series]
        left_z = problem.step - base @ on_base[:, : self.series]
        left_y = values - base @ on_base[:, self.series :]
        size = float(np.sum(left_z**2))
        self.step = float(np.sum(left_z * left_y)) / size if size else 0.0
        missing = sorted(set(range(problem.days)) - set(problem.at))
        width = base.shape[1]
        self.columns = np.zeros((problem.days, width + len(missing) + 2 * self.series))
        seen = [*range(width), *range(width + len(missing), self.columns.shape[1])]
        self.columns[np.ix_(problem.at, seen)] = np.column_stack([base, left_z, left_y - self.step * left_z])
        self.columns[missing, range(width, width + len(missing))] = 1.0

    def fitted(self, white: Floats, logs: Floats) -> Fit:
        """white: columns (noise, column, t) without the noise's memory. logs: log determinants (noise)."""
        series, freedom, width = self.series, self.problem.freedom, self.problem.base.shape[1]
        gram, determinants = self._without_missing(white @ white.transpose(0, 2, 1))
        tight, taken = self._believed()
        information = gram[:, :width, :width] + tight
        alone, explained, left, logs_known = self._eliminated(gram, information)
        power = np.trace(left[..., :series, :series], axis1=2, axis2=3)
        steps = np.trace(left[..., :series, series:], axis1=2, axis2=3) / power
        rest = np.trace(left[..., series:, series:], axis1=2, axis2=3) - steps**2 * power
        variances = np.maximum(rest / freedom, 1e-300)
        # REML: −(n−p)/2 log s² − ½ log|V| − ½ log|X'V⁻¹X|; columns with a prior belong to V
        logs = logs + determinants
        determinants = series * (logs + logs_known + taken) + np.log(power)
        weights = probabilities(-0.5 * (freedom * np.log(variances) + determinants).ravel())
        power, steps, variances = power.ravel(), steps.ravel(), variances.ravel()
        whole = self.step + steps
        base = self.of_y + (explained[..., series] - steps.reshape(explained.shape[:2])[..., None] * explained[..., 0])
        base = base.reshape(-1, width) - whole[:, None] * self.of_step + self.centres
        of_base = np.asarray(information.reshape(-1, width, width), dtype=np.float64)
        found = Fit(whole, np.sqrt(variances / power), weights, freedom, weights @ base, of_base, variances)
        if alone is None:
            return found
        first = width - self.problem.witness
        down = explained[..., first, 0].ravel()  # a step of 1 more is so much less of the coefficient
        squared = found.scales**2
        own = alone.certain.ravel() * variances + down**2 * squared
        pair = Pair(whole, base[:, first], squared, own, -down * squared, weights).at_least(self.problem.least)
        return _beside(found, pair, alone.event(freedom, logs))

    def _eliminated(self, gram: Floats, information: Floats) -> tuple[Alone | None, Floats, Floats, Floats]:
        """What the base explains of step and y: the witness as it is alone, coefficients (alternative, noise, column,
        step and y), what is left of them (alternative, noise, both, both), log determinants (alternative, noise).

        First all but the witness is taken out, then the witness.
        """
        count = self.problem.witness
        rest = self.problem.base.shape[1] - count
        mixed = gram[:, :rest, rest:]
        explained = np.asarray(np.linalg.solve(information[..., :rest, :rest], mixed), dtype=np.float64)
        left: Floats = gram[:, rest:, rest:] - mixed.transpose(0, 2, 1) @ explained
        known = np.asarray(np.linalg.slogdet(information[..., :rest, :rest])[1], dtype=np.float64)
        if not count:
            return None, explained, left, known
        beside = left[..., :count, count:]
        moves = left[..., :count, :count] + information[..., rest:, rest:] - gram[:, rest:, rest:][:, :count, :count]
        certain = np.asarray(np.linalg.inv(moves), dtype=np.float64)
        on_witness = certain @ beside
        square, product = left[..., :count, :count].sum(axis=(2, 3)), beside[..., 0].sum(axis=2)
        alone = Alone(square, product, left[..., count, count], known, certain[..., 0, 0])
        coefficients = np.concatenate(
            [explained[..., count:] - explained[..., :count] @ on_witness, on_witness], axis=2
        )
        unexplained = left[..., count:, count:] - beside.swapaxes(2, 3) @ on_witness
        return alone, coefficients, unexplained, known + np.linalg.slogdet(moves)[1]

    def _without_missing(self, gram: Floats) -> tuple[Floats, Floats]:
        """Products of columns (noise, column, column) less the missing days' own; their log determinants, (noise)."""
        width = self.problem.base.shape[1]
        end = gram.shape[1] - 2 * self.series
        if end == width:
            return gram, np.zeros(len(gram))
        kept = [*range(width), *range(end, gram.shape[1])]
        missing, beside = gram[:, width:end, width:end], gram[:, width:end][:, :, kept]
        left = gram[:, kept][:, :, kept] - beside.transpose(0, 2, 1) @ np.linalg.solve(missing, beside)
        return left, np.linalg.slogdet(missing)[1]

    def _believed(self) -> tuple[Floats, Floats]:
        """What priors add to the information, (alternative, 1, column, column); their log determinants, (same, 1)."""
        priors = self.problem.priors
        if priors is None:
            return np.zeros((1, 1, 1, 1)), np.zeros((1, 1))
        tight = np.zeros((len(priors), 1, *2 * (priors.shape[1],)))
        column = np.arange(priors.shape[1])
        tight[:, 0, column, column] = priors**-2.0
        taken = 2 * np.log(np.where(np.isinf(priors), 1.0, priors)).sum(axis=1)
        return tight, taken[:, None]


def _beside(found: Fit, pair: Pair, event: Event) -> Fit:
    """A fit with what is known of its witness."""
    steps, scales, weights = pair.with_event(event)
    return replace(
        found,
        steps=steps,
        scales=scales,
        weights=weights,
        information=np.concatenate([found.information, found.information]),
        variances=np.concatenate([found.variances, found.variances]),
        event=event.likely,
        witness=float(pair.weights @ pair.coefficients),
        moved=float(weights @ steps - found.weights @ found.steps),
    )


def _whitened(columns: Floats) -> tuple[Floats, Floats]:
    """Columns (t, column) without each candidate's memory, (t, candidate, column); log determinants of the days so far,
    (t, candidate).
    """
    ratios, scales, logs = _noises(len(columns))
    memory = np.array([memory for memory, _ in CANDIDATES])[:, None]
    white = np.repeat(columns[:, None, :], len(CANDIDATES), axis=1)
    white[1:] -= memory * columns[:-1, None, :]
    white *= scales
    before = np.empty_like(white[0])
    for i in range(1, len(white)):
        np.multiply(white[i - 1], ratios[i], out=before)
        np.subtract(white[i], before, out=white[i])
    return white, logs


@lru_cache(maxsize=64)
def _noises(days: int) -> tuple[Floats, Floats, Floats]:
    """Per day and candidate, (t, candidate, 1): what is taken off of the day before, and what it is multiplied by.

    And each candidate's log determinant of the days so far, (t, candidate). The first difference wₜ − φwₜ₋₁ has the
    variance part(1−φ²) + (1−part)(1+φ²), 1 on the first day, and the covariance −(1−part)φ with the day before.
    """
    memory, part = np.array(CANDIDATES).T
    variance = part * (1 - memory**2) + (1 - part) * (1 + memory**2)
    beside = -(1 - part) * memory
    diagonal, lower = np.ones((days, len(memory))), np.zeros((days, len(memory)))
    for i in range(1, days):
        lower[i] = beside / diagonal[i - 1]
        diagonal[i] = np.sqrt(variance - lower[i] ** 2)
    logs = 2 * np.cumsum(np.log(diagonal), axis=0)
    return (lower / diagonal)[:, :, None], 1 / diagonal[:, :, None], logs
