"""Each estimator of people against an independent computation from the people themselves, and its error rates."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from metrics.launches.people import cuped, ratio
from metrics.launches.people.comparison import FIXED, Comparison, compared
from metrics.launches.people.history import cried_wolf
from metrics.launches.people.moments import Means, Sums, means, pooled
from metrics.launches.people.noninferiority import judged, margin_of
from metrics.launches.people.novelty import Halves, wears_off
from metrics.launches.people.sample_ratio import sample_ratio
from metrics.launches.people.sequential import always_valid
from tests.conftest import known
from tests.sampling import sampled

Arm = list[np.ndarray]  # by day: people (n, 4) as y, d, x, w


def drawn(seed: int, *, ratios: bool, lift: float = 0.0, people: int = 150) -> tuple[Arm, Arm]:
    """Control and treated of three days of exposure; unequal shares, values that depend on the day."""
    rng = np.random.default_rng(seed)
    arms: tuple[Arm, Arm] = ([], [])
    for day in range(3):
        for side, arm in enumerate(arms):
            n = people + 40 * day * (1 if side else -1)
            rate = rng.gamma(2.0, 1.0, n)
            d = rng.poisson(2 * rate) + 1.0 if ratios else np.ones(n)
            w = rng.poisson(2 * rate) + 0.0 if ratios else np.ones(n)
            y = rng.poisson(rate * (1 + lift * side) * (3 - day)) * (d if ratios else 1.0)
            x = rng.poisson(rate * 2) + 0.0
            arm.append(np.column_stack([y, d, x, w]))
    return arms


def sums(arms: tuple[Arm, Arm]) -> list[tuple[Sums, Sums]]:
    return [(Sums.of(control), Sums.of(treated)) for control, treated in zip(*arms, strict=True)]


def by_hand(arms: tuple[Arm, Arm], theta: np.ndarray) -> tuple[list[float], list[float]]:
    """Levels before CUPED, and variances of the levels after it, person by person: each day counts by its people."""
    n = [len(c) + len(t) for c, t in zip(*arms, strict=True)]
    share = [x / sum(n) for x in n]
    levels, variances = [], []
    for arm in arms:
        tops = sum(s * day[:, 0].mean() for s, day in zip(share, arm, strict=True))
        below = sum(s * day[:, 1].mean() for s, day in zip(share, arm, strict=True))
        level = tops / below
        levels.append(level)
        residual = [(day[:, 0] - level * day[:, 1]) / below - day[:, 2:] @ theta for day in arm]
        variances.append(sum(s**2 * np.var(r, ddof=1) / len(r) for s, r in zip(share, residual, strict=True)))
    return levels, variances


@pytest.mark.parametrize("ratios", [False, True])
@sampled(fast=3, slow=30, full=300)
@given(seed=st.integers(0, 10**6))
def test_difference_and_variance_are_those_of_the_people(ratios: bool, seed: int) -> None:
    arms = drawn(seed, ratios=ratios, lift=0.1)
    control, treated = means(sums(arms))
    levels, plain = by_hand(arms, np.zeros(2))
    assert [ratio.level(control), ratio.level(treated)] == pytest.approx(levels)
    assert [ratio.variance(control), ratio.variance(treated)] == pytest.approx(plain)
    found = cuped.adjusted(control, treated)
    best = optimize.minimize(lambda theta: 1e4 * sum(by_hand(arms, theta)[1]), np.zeros(2), method="BFGS")
    least = sum(by_hand(arms, best.x)[1])
    assert found.variance == pytest.approx(least, rel=1e-4), "no other weights make the difference less uncertain"
    assert found.gain == pytest.approx(1 - least / sum(plain), abs=1e-3) and 0 < found.gain < 1
    lean = [np.average([d[:, 2:].mean(axis=0) for d in arm], axis=0, weights=_shares(arms)) for arm in arms]
    assert found.difference == pytest.approx(levels[1] - levels[0] - best.x @ (lean[1] - lean[0]), abs=1e-3)


def _shares(arms: tuple[Arm, Arm]) -> list[int]:
    return [len(c) + len(t) for c, t in zip(*arms, strict=True)]


def test_one_day_without_a_past_is_the_test_of_welch() -> None:
    rng = np.random.default_rng(1)
    one, other = rng.exponential(2.0, 400), rng.exponential(2.3, 300)
    people = [np.column_stack([v, np.ones(len(v)), np.zeros(len(v)), np.ones(len(v))]) for v in (one, other)]
    found = known(compared([(Sums.of(people[0]), Sums.of(people[1]))]))
    assert stats.norm.ppf(0.975) == FIXED
    want = stats.ttest_ind(other, one, equal_var=False).confidence_interval(0.95)
    assert found.difference.effect == pytest.approx(other.mean() - one.mean())
    assert (found.difference.low, found.difference.high) == pytest.approx((want.low, want.high), abs=0.002)
    assert found.gain == 0
    lift = known(found.relative)
    spread = FIXED * math.sqrt(
        np.var(one, ddof=1) / 400 / one.mean() ** 2 + np.var(other, ddof=1) / 300 / other.mean() ** 2
    )
    assert lift.low == pytest.approx(other.mean() / one.mean() * math.exp(-spread) - 1)


def test_days_with_few_people_are_counted_with_the_next_and_nobody_is_lost() -> None:
    def some(n: int) -> Sums:
        return Sums.of(np.ones((n, 4)))

    found = pooled(
        [(some(5), some(2)), (some(40), some(29)), (some(1), some(50)), (some(30), some(30)), (some(0), some(7))]
    )
    assert [(c.n, t.n) for c, t in found] == [(45, 31), (31, 87)]
    assert pooled([(some(29), some(500))]) == [] and compared([(some(99), some(500))]) is None


def test_a_share_that_grows_is_not_taken_for_an_effect() -> None:
    """Late people do less in the days that are left, and more of them are treated."""
    rng = np.random.default_rng(11)
    days, naive = [], []
    for left, share in ((28, 0.1), (14, 0.5), (7, 0.9)):
        arms = []
        for part in (1 - share, share):
            y = rng.poisson(left / 4, int(2000 * part)) * 1.0
            arms.append(np.column_stack([y, np.ones(len(y)), np.zeros(len(y)), np.ones(len(y))]))
        days.append((Sums.of(arms[0]), Sums.of(arms[1])))
        naive.append(arms)
    found = known(compared(days))
    assert found.difference.low < 0 < found.difference.high
    plain = [np.concatenate([arms[side][:, 0] for arms in naive]).mean() for side in (0, 1)]
    assert plain[1] < plain[0] - 1, "which is what all days in one pot say"


def test_a_share_of_almost_nobody_has_no_relative_lift() -> None:
    y = np.zeros((500, 4))
    y[:, 1] = 1
    some = y.copy()
    some[:2, 0] = 1
    found = known(compared([(Sums.of(y), Sums.of(some))]))
    assert found.relative is None and found.difference.effect == pytest.approx(0.004)


def _error(seed: int, ratios: bool, lift: float) -> Comparison:
    return known(compared(sums(drawn(seed, ratios=ratios, lift=lift, people=120))))


@pytest.mark.slow
@pytest.mark.parametrize("ratios", [False, True])
def test_nothing_is_seen_where_nothing_is_and_the_truth_is_covered(ratios: bool) -> None:
    nothing = [_error(seed, ratios, 0.0) for seed in range(600)]
    false = np.mean([not c.difference.low <= 0 <= c.difference.high for c in nothing])
    assert false <= 0.07, false
    lifted = [known(_error(10_000 + seed, ratios, 0.1).relative) for seed in range(600)]
    assert np.mean([x.low <= 0.1 <= x.high for x in lifted]) >= 0.93


@pytest.mark.slow
def test_looking_every_day_for_a_month_cries_wolf_once_in_twenty_at_most() -> None:
    rng, false, fixed, runs = np.random.default_rng(3), 0, 0, 1500
    for _ in range(runs):
        daily = rng.normal(0, 1, 28) * math.sqrt(200)
        total = np.cumsum(daily)
        error = np.sqrt(200 * np.arange(1, 29))
        wide = np.array([always_valid(day) for day in range(1, 29)])
        false += bool((np.abs(total) > wide * error).any())
        fixed += bool((np.abs(total) > 1.96 * error).any())
    assert false / runs <= 0.05 and fixed / runs > 0.2, "which is what fixed intervals do to whoever looks daily"


def test_the_interval_for_every_look_is_wider_and_best_where_it_was_set() -> None:
    wide = [always_valid(x) for x in (1, 7, 28, 100, 1000)]
    assert min(wide) == wide[2] and wide[2] == pytest.approx(3.03, abs=0.01) and min(wide) > FIXED
    n, n_best, alpha = 9000.0, 5000.0, 0.05  # as GrowthBook writes it
    rho = math.sqrt((-2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1)) / n_best)
    theirs = math.sqrt(n) * math.sqrt(
        2 * (n * rho**2 + 1) / (n**2 * rho**2) * math.log(math.sqrt(n * rho**2 + 1) / alpha)
    )
    assert always_valid(28 * n / n_best) == pytest.approx(theirs)


def test_sample_ratio_by_hand() -> None:
    found = sample_ratio({"control": 5000, "new": 5300}, {})
    assert found.p == pytest.approx(stats.chi2.sf(2 * 150**2 / 5150, 1)) and not found.is_breached
    assert sample_ratio({"control": 5000, "new": 5400}, {}).is_breached
    assert not sample_ratio({"control": 9000, "new": 1000}, {"control": 9, "new": 1}).is_breached
    assert sample_ratio({"control": 9000, "new": 1000}, {}, grows=True).p is None
    odd = sample_ratio({"control": 10, "nwe": 9}, {"control": 1, "new": 1})
    assert odd.p is None and odd.why == "`split` says nothing of nwe"
    assert sample_ratio({"control": 900}, {"control": 1, "new": 1}).is_breached, (
        "one of two planned variants is missing"
    )


@pytest.mark.parametrize(
    ("low", "high", "up_is_good", "said"),
    [
        (-0.005, 0.02, True, "holds"),
        (-0.02, 0.02, True, "not known yet"),
        (-0.05, -0.02, True, "breached"),
        (-0.05, 0.005, False, "holds"),
        (0.02, 0.05, False, "breached"),
        (-0.02, 0.02, False, "not known yet"),
    ],
)
def test_not_worse_than_a_margin(low: float, high: float, up_is_good: bool, said: str) -> None:
    assert judged(low, high, margin_of("1%").size, up_is_good=up_is_good) == said


def test_margins() -> None:
    assert (margin_of("1%").size, margin_of("1%").in_points) == (0.01, False)
    assert (margin_of(" 0.5 pp").size, margin_of("0.5pp").in_points) == (0.005, True)


@pytest.mark.parametrize(("fades", "said"), [(0.0, False), (1.0, True)])
def test_an_effect_that_wears_off_is_seen(fades: float, said: bool) -> None:
    rng = np.random.default_rng(4)

    def half(plus: float) -> Halves:
        u = rng.normal(plus, 2, 800)
        return Halves(800, float(u.sum()), float((u**2).sum()))

    assert wears_off([(half(0), half(fades)) for _ in range(3)]) is said
    assert wears_off([]) is False


def test_random_halves_of_one_crowd_differ_once_in_twenty() -> None:
    rng = np.random.default_rng(6)
    buckets = {
        f"{i:02x}": Sums.of(np.column_stack([rng.exponential(1, 40), np.ones(40), rng.random(40), np.ones(40)]))
        for i in range(256)
    }
    cried, tried = cried_wolf(buckets, splits=200)
    assert tried == 200 and 0 < cried <= 20
    assert cried_wolf(buckets, splits=200) == (cried, tried), "the same people give the same answer"
    assert cried_wolf({"00": buckets["00"]}) == (0, 0)


def test_means_of_one_day_are_those_of_its_people() -> None:
    rng = np.random.default_rng(8)
    people = rng.random((50, 4))
    found: Means = means([(Sums.of(people), Sums.of(rng.random((70, 4))))])[0]
    np.testing.assert_allclose(found.mean, people.mean(axis=0))
    np.testing.assert_allclose(found.covariance, np.cov(people.T) / 50)
