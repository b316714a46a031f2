"""Fits in linear time against the same model by dense matrices: every number of a fit, on many kinds of series."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from scipy import special

from metrics.launches import regression, witness
from metrics.launches.regression import MEMORY, PARTS, Fit, Problem, fits, intervals
from tests.sampling import SEED

EXACT = 1e-8
LEVEL = 0.95


@dataclass
class Dense:
    """What regression.py computes, by inverses and products of whole matrices."""

    steps: np.ndarray
    scales: np.ndarray
    weights: np.ndarray
    likelihood: np.ndarray
    base: np.ndarray
    known: np.ndarray
    variances: np.ndarray
    freedom: int

    def interval(self) -> tuple[float, float, float]:
        kept = self.weights > regression.LIKELY
        weights, centres, scales = self.weights[kept] / self.weights[kept].sum(), self.steps[kept], self.scales[kept]
        found = [float(weights @ centres)]
        for q in ((1 - LEVEL) / 2, (1 + LEVEL) / 2):
            ends = centres + special.stdtrit(self.freedom, q) * scales
            low, high = ends.min(), ends.max()
            for _ in range(30):
                middle = (low + high) / 2
                below = weights @ special.stdtr(self.freedom, (middle - centres) / scales) < q
                low, high = (middle, high) if below else (low, middle)
            found.append(float((low + high) / 2))
        return found[0], found[1], found[2]

    def spread(self, rows: np.ndarray) -> np.ndarray:
        unknown = np.einsum("ti,mij,tj->mt", rows, self.known, rows)
        return np.asarray(np.sqrt(self.weights @ (self.variances[:, None] * (1 + unknown))))


def dense(problem: Problem) -> Dense:
    """Candidate by candidate, the days that are missing left out of the covariance."""
    y, step, base, at = problem.y, problem.step, problem.base, np.array(problem.at)
    series, (count, columns) = y.shape[1], base.shape
    freedom = series * (count - columns) - 1
    apart = np.abs(np.subtract.outer(at, at))
    found: list[tuple[float, float, float, float, np.ndarray, np.ndarray]] = []
    for memory, part in [(0.0, 0.0), *((m, p) for m in MEMORY for p in PARTS)]:
        v = part * np.float_power(abs(memory), apart) * np.sign(memory) ** apart + (1 - part) * np.eye(count)
        inverse = np.linalg.inv(v)
        information = base.T @ inverse @ base
        known = np.linalg.inv(information)
        left = inverse - inverse @ base @ known @ base.T @ inverse
        power = sum(step[:, s] @ left @ step[:, s] for s in range(series))
        effect = sum(step[:, s] @ left @ y[:, s] for s in range(series)) / power
        rest = y - effect * step
        rest = rest - base @ np.linalg.lstsq(base, rest, rcond=None)[0]  # changes nothing but the rounding
        variance = sum(rest[:, s] @ left @ rest[:, s] for s in range(series)) / freedom
        logs = series * (np.linalg.slogdet(v)[1] + np.linalg.slogdet(information)[1]) + np.log(power)
        first = known @ base.T @ inverse @ (y[:, 0] - effect * step[:, 0])
        likelihood = -0.5 * (freedom * np.log(variance) + logs)
        numbers = (float(effect), float(variance), float(np.sqrt(variance / power)), float(likelihood))
        found.append((*numbers, first, known))
    steps, variances, scales, likelihood, bases, covariance = (np.array(part) for part in zip(*found, strict=True))
    weights = np.exp(likelihood - likelihood.max())
    weights /= weights.sum()
    return Dense(steps, scales, weights, likelihood, weights @ bases, covariance, variances, freedom)


def made(seed: int, days: int, series: int, missing: float) -> Problem:
    """A week, a trend, noise that remembers, a step of its own day and share for each series."""
    rng, day = np.random.default_rng(seed), np.arange(days)
    memory, rough, level = rng.choice([0.0, 0.5, 0.95]), rng.choice([0.0, 1.0]), rng.choice([0.0, 11.0])
    noise = rng.normal(0, 0.05, (days, series))
    for i in range(1, days):
        noise[i] += memory * noise[i - 1]
    noise += rough * rng.normal(0, 0.05, (days, series))
    step = np.zeros((days, series))
    for s in range(series):
        step[days - 14 + s :, s] = rng.uniform(0.3, 1.7)
    y = level + noise + rng.choice([0.0, 0.1, 3.0]) * step + 0.1 * np.sin(2 * np.pi * day / 7)[:, None]
    base = np.column_stack([np.ones(days), day / days - 0.5, *((day % 7 == k) - 1 / 7 for k in range(6))])
    seen = rng.random(days) >= missing
    seen[0] = seen[days - 8] = True
    kept = np.flatnonzero(seen)
    return Problem(y[kept], step[kept], base[kept], tuple(int(i) for i in kept))


def close(found: np.ndarray, expected: np.ndarray, what: str) -> None:
    size = float(np.abs(expected).max())
    np.testing.assert_allclose(found, expected, rtol=EXACT, atol=EXACT * size, err_msg=what)


def same(found: Fit, expected: Dense, problem: Problem) -> None:
    for name in ("steps", "scales", "weights", "base", "variances"):
        close(getattr(found, name), getattr(expected, name), name)
    close(np.linalg.inv(found.information), expected.known, "covariance")
    likely = expected.weights > 1e-300
    close(np.log(found.weights[likely]), np.log(expected.weights[likely]), "likelihoods")
    assert found.freedom == expected.freedom
    close(found.spread(problem.base), expected.spread(problem.base), "spread")
    close(np.array(found.interval(LEVEL)), np.array(expected.interval()), "interval")


@pytest.mark.parametrize("missing", [0.0, 0.04, 0.2])
@pytest.mark.parametrize("series", [1, 2, 5])
@pytest.mark.parametrize("days", [30, 61, 90])
def test_a_fit_is_what_dense_matrices_give(days: int, series: int, missing: float) -> None:
    problem = made(100 * days + series, days, series, missing)
    same(fits([problem])[0], dense(problem), problem)


def test_fits_together_are_the_fits_apart_whatever_their_lengths() -> None:
    problems = [made(seed, days, 1, part) for seed, (days, part) in enumerate([(74, 0), (60, 0.1), (74, 0.1), (74, 0)])]
    together = fits(problems)
    for found, problem, interval in zip(together, problems, intervals(together, LEVEL), strict=True):
        same(found, dense(problem), problem)
        close(np.array(interval), np.array(fits([problem])[0].interval(LEVEL)), "interval")


@pytest.mark.parametrize("missing", [0.0, 0.1])
@pytest.mark.parametrize("series", [1, 3])
def test_a_column_with_a_prior_is_part_of_the_noise(series: int, missing: float) -> None:
    """Against its column taken out of the base and its outer product put into the covariance."""
    plain = made(11, 70, series, missing)
    extra = np.column_stack([np.linspace(-1, 1, len(plain.y)), np.arange(len(plain.y)) > 30])
    sizes = np.array([[0.5, 2.0], [3.0, 0.1]])
    priors = np.hstack([np.full((2, plain.base.shape[1]), np.inf), sizes])
    found = fits([Problem(plain.y, plain.step, np.hstack([plain.base, extra]), plain.at, priors)])[0]
    steps, scales, logs = [], [], []
    apart = np.abs(np.subtract.outer(plain.at, plain.at))
    for believed in sizes:
        for memory, part in regression.CANDIDATES:
            v = part * np.float_power(abs(memory), apart) * np.sign(memory) ** apart
            v = np.where(apart == 0, 1.0, v) + (extra * believed**2) @ extra.T
            whole = np.kron(np.eye(series), np.linalg.inv(v))
            x = np.column_stack([np.kron(np.eye(series), plain.base), plain.step.T.ravel()])
            information, y = x.T @ whole @ x, plain.y.T.ravel()
            beta = np.linalg.solve(information, x.T @ whole @ y)
            rest = y - x @ beta
            variance = rest @ whole @ rest / plain.freedom
            steps.append(beta[-1])
            scales.append(np.sqrt(variance * np.linalg.inv(information)[-1, -1]))
            shape = series * np.linalg.slogdet(v)[1] + np.linalg.slogdet(information)[1]
            logs.append(-0.5 * (plain.freedom * np.log(variance) + shape))
    weights = np.exp(np.array(logs) - max(logs))
    assert found.freedom == plain.freedom
    np.testing.assert_allclose(found.steps, steps, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(found.scales, scales, rtol=1e-6)
    np.testing.assert_allclose(found.weights, weights / weights.sum(), rtol=1e-5, atol=1e-9)


def test_a_high_level_costs_no_digits() -> None:
    """A hundred thousand with noise of a tenth, as counts have it: the differences of its squares would be noise."""
    problem = made(5, 74, 1, 0.0)
    raised = Problem(problem.y + 1e5, problem.step, problem.base, problem.at)
    low, high = fits([problem, raised])
    np.testing.assert_allclose(high.steps, low.steps, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(high.variances, low.variances, rtol=1e-7)


def test_too_few_observations_are_told() -> None:
    base = np.column_stack([np.ones(4), np.arange(4.0), np.arange(4.0) ** 2])
    with pytest.raises(ValueError, match="4 observations cannot tell 4 things"):
        Problem(np.ones((4, 1)), np.ones((4, 1)), base, (0, 1, 2, 3))


def beside(problem: Problem) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Steps, scales, weights with a witness, and how likely an event of both is: from whole matrices."""
    y, step, base, at = problem.y[:, 0], problem.step[:, 0], problem.base, np.array(problem.at)
    assert problem.priors is not None
    count, freedom = len(base), problem.freedom
    y = y - problem.centre * base[:, base.shape[1] - problem.witness :].sum(axis=1)
    apart, own = np.abs(np.subtract.outer(at, at)), base.shape[1] - problem.witness
    control, rows, alone = base[:, own:].sum(axis=1), list[tuple[float, ...]](), list[tuple[float, ...]]()
    for priors in problem.priors:
        tight = priors**-2.0
        taken = 2 * float(np.log(priors[np.isfinite(priors)]).sum())
        for memory, part in regression.CANDIDATES:
            v = part * np.float_power(abs(memory), apart) * np.sign(memory) ** apart + (1 - part) * np.eye(count)
            inverse, size = np.linalg.inv(v), float(np.linalg.slogdet(v)[1])
            both = np.column_stack([base, step])
            joint = both.T @ inverse @ both + np.diag([*tight, 0.0])
            known = np.linalg.inv(joint)
            found = known @ both.T @ inverse @ y
            rest = float(y @ inverse @ y - found @ joint @ found)
            logs = size + float(np.linalg.slogdet(joint)[1]) + taken
            rows.append(
                (*known[[-1, own, -1], [-1, own, own]], found[-1], found[own] + problem.centre, rest / freedom, logs)
            )
            x = np.column_stack([base[:, :own], step])
            joint = x.T @ inverse @ x + np.diag([*tight[:own], 0.0])
            moved = np.linalg.solve(joint, x.T @ inverse @ control)
            variance = float(control @ inverse @ control - moved @ joint @ moved) / freedom
            power = 1 / float(np.linalg.inv(joint)[-1, -1])
            alone.append((moved[-1], variance, power, size + float(np.linalg.slogdet(joint)[1])))

    def weighed(variances: np.ndarray, logs: np.ndarray) -> np.ndarray:
        likelihood = -0.5 * (freedom * np.log(variances) + logs)
        weights = np.exp(likelihood - likelihood.max())
        return np.asarray(weights / weights.sum())

    moved, variance, power, logs = np.array(alone).T
    weights = weighed(variance, logs)
    gamma = float(weights @ moved)
    error = float(weights @ (variance / power + (moved - gamma) ** 2))
    t, wide = moved**2 * power / variance, 1 + witness.EVENT**2 * power
    odds = wide**-0.5 * ((freedom + t) / (freedom + t / wide)) ** ((freedom + 1) / 2)
    odd = float(weights @ odds) * witness.SHARED / (1 - witness.SHARED)
    of_step, of_own, of_both, effect, coefficient, variance, logs = np.array(rows).T
    weights, shared = weighed(variance, logs), odd / (1 + odd)
    with_event = variance * (of_step + 2 * gamma * of_both + gamma**2 * of_own) + coefficient**2 * error
    return (
        np.concatenate([effect, effect + gamma * coefficient]),
        np.sqrt(np.concatenate([variance * of_step, with_event])),
        np.concatenate([weights * (1 - shared), weights * shared]),
        shared,
    )


@pytest.mark.parametrize("event", [0.0, 0.06, 0.5])
@pytest.mark.parametrize(("missing", "centre"), [(0.0, 0.0), (0.1, 0.0), (0.1, -0.4)])
def test_a_fit_beside_a_control_is_what_dense_matrices_give(event: float, missing: float, centre: float) -> None:
    given = made(SEED + 5, 75, 1, missing)
    rng, day = np.random.default_rng(SEED), np.array(given.at)
    control = rng.normal(0, 0.05, len(day)) + event * (day >= 61)
    slow = np.where(day >= 61, control[day >= 61].mean(), control[day < 61].mean())
    base = np.column_stack([given.base, slow - slow.mean(), control - slow])
    priors = np.column_stack([np.full((2, given.base.shape[1]), np.inf), np.full((2, 2), 30.0)])
    priors[:, 1] = 0.3, 3.0
    problem = Problem(given.y, given.step, base, given.at, priors, 2, centre)
    found, (steps, scales, weights, shared) = fits([problem])[0], beside(problem)
    close(found.steps, steps, "steps")
    close(found.scales, scales, "scales")
    assert found.event == pytest.approx(shared, rel=1e-6)
    likely = weights > 1e-12
    np.testing.assert_allclose(found.weights[likely], weights[likely], rtol=1e-5)


@pytest.mark.parametrize("least", [-9.0, -0.5, 0.4, 3.0, 60.0])
def test_a_coefficient_that_is_no_less_is_what_draws_that_are_no_less_give(least: float) -> None:
    rng = np.random.default_rng(SEED)
    mean, covariance = np.array([2.0, 0.5]), np.array([[1.0, -0.6], [-0.6, 0.8]])
    steps, coefficients, of_step, own, both = (np.array([value, value]) for value in (*mean, 1.0, 0.8, -0.6))
    found = witness.Pair(steps, coefficients, of_step, own, both, np.array([0.25, 0.75])).at_least(least)
    assert found.weights == pytest.approx([0.25, 0.75])
    if least > 9:  # too far for draws: next to it, and nothing is left to be known
        assert found.coefficients[0] == pytest.approx(least, abs=0.05) and found.variances[0] < 0.01
        assert found.step_variances[0] == pytest.approx(1 - 0.36 / 0.8, abs=0.01)
        return
    draws = rng.multivariate_normal(mean, covariance, 2_000_000)
    draws = draws[draws[:, 1] >= least]
    got = found.steps[0], found.coefficients[0], found.step_variances[0], found.covariances[0], found.variances[0]
    seen = np.cov(draws.T)
    assert got == pytest.approx((*draws.mean(axis=0), seen[0, 0], seen[0, 1], seen[1, 1]), abs=0.02)


def test_of_two_candidates_the_one_that_allows_it_weighs_more() -> None:
    none, one = np.zeros(2), np.ones(2)
    pair = witness.Pair(none, np.array([-3.0, 1.0]), one, one, none, one / 2)
    assert pair.at_least(0.0).weights[1] > 0.99
