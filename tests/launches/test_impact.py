"""The measurement itself: against algebra done another way, and on launches that never were."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from metrics.launches import regression
from metrics.launches.impact import PLACEBOS, Impact, Panel, Words, history_needed, impact
from metrics.launches.regression import fit
from tests.conftest import known
from tests.sampling import cases

AFTER = 14


def panel(values: np.ndarray, controls: np.ndarray | None, first: int, share: np.ndarray | None = None) -> Panel:
    index = pd.date_range("2026-01-05", periods=len(values), freq="D")
    step = (np.arange(len(values)) >= first).astype(float) if share is None else share
    others = pd.DataFrame(index=index) if controls is None else pd.DataFrame(controls, index)
    return Panel(pd.DataFrame({"all": values}, index), pd.DataFrame({"all": step}, index), others, "day")


def noisy(seed: int, days: int, effect: float = 0.0, first: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    noise = np.zeros(days)
    for i in range(1, days):
        noise[i] = 0.5 * noise[i - 1] + rng.normal(0, 0.02)
    day = np.arange(days)
    return rng.normal(0, 0.08, 7)[day % 7] + 0.0005 * day + noise + effect * (day >= first)


def tried(p: Panel, first: int, after: int = AFTER) -> Impact | None:
    index = p.treated.index
    return impact(p, index[first], index[first] + pd.Timedelta(days=after))


def measured(p: Panel, first: int, after: int = AFTER) -> Impact:
    return known(tried(p, first, after))


def test_the_regression_is_generalised_least_squares_averaged_over_the_noise() -> None:
    """Each candidate noise by matrices written out, their weights by REML, the interval by a million draws."""
    rng = np.random.default_rng(4)
    count, base = 40, np.column_stack([np.ones(40), np.linspace(-0.5, 0.5, 40)])
    step = (np.arange(40) >= 30).astype(float)[:, None]
    y = (0.3 * step[:, 0] + 2 * base[:, 1] + rng.normal(0, 0.1, 40))[:, None]
    kept = [i for i in range(count) if i not in (7, 8, 21)]
    found = fit(y[kept], step[kept], base[kept], tuple(kept))
    candidates = [(0.0, 1.0), *((m, p) for m in regression.MEMORY for p in regression.PARTS)]
    steps, scales, logs = [], [], []
    for memory, part in candidates:
        v = np.eye(len(kept))
        for a, i in enumerate(kept):
            for b, j in enumerate(kept):
                if a != b:
                    v[a, b] = part * memory ** abs(i - j)
        x = np.column_stack([base[kept], step[kept]])
        inverse = np.linalg.inv(v)
        information = x.T @ inverse @ x
        beta = np.linalg.solve(information, x.T @ inverse @ y[kept, 0])
        rest = y[kept, 0] - x @ beta
        freedom = len(kept) - 3
        variance = rest @ inverse @ rest / freedom
        steps.append(beta[2])
        scales.append(np.sqrt(variance * np.linalg.inv(information)[2, 2]))
        logs.append(-0.5 * (freedom * np.log(variance) + np.linalg.slogdet(v)[1] + np.linalg.slogdet(information)[1]))
    weights = np.exp(np.array(logs) - max(logs))
    weights /= weights.sum()
    np.testing.assert_allclose(found.steps, steps, rtol=1e-8)
    np.testing.assert_allclose(found.scales, scales, rtol=1e-8)
    np.testing.assert_allclose(found.weights, weights, atol=1e-8)
    estimate, low, high = found.interval(0.95)
    which = rng.choice(len(candidates), 1_000_000, p=weights)
    draws = np.array(steps)[which] + np.array(scales)[which] * stats.t.rvs(
        len(kept) - 3, size=1_000_000, random_state=5
    )
    assert estimate == pytest.approx(weights @ np.array(steps), rel=1e-4), "candidates below 1e-4 are left out"
    assert (low, high) == pytest.approx(tuple(np.quantile(draws, [0.025, 0.975])), abs=0.002)


LAUNCHES = cases(fast=12, slow=40, full=40)


@pytest.mark.sampled(LAUNCHES)
def test_an_effect_is_found_and_nothing_is_not() -> None:
    """Launches of each kind, 40 in `make slow`, with a control that shares the noise: what people would bet on."""
    wolf, covered, seen, launches = 0, 0, 0, LAUNCHES
    effect = float(np.log(1.05))
    for seed in range(launches):
        shared = noisy(1000 + seed, 290)
        for true in (0.0, effect):
            mine = shared + noisy(seed, 290, true, 270) * 0.5
            other = shared + 0.5 * noisy(5000 + seed, 290)
            found = measured(panel(mine, other[:, None], 270), 270)
            wolf += true == 0 and found.words != Words.UNCLEAR
            covered += true > 0 and found.low <= effect * 0.5 <= found.high
            seen += true > 0 and found.words == Words.UP
    assert wolf <= launches / 8 and covered >= launches * 7 / 8 and seen >= launches / 2, (wolf, covered, seen)


def test_calibration_widens_by_what_went_wrong_before_and_never_narrows() -> None:
    quiet = measured(panel(noisy(1, 300), None, 280), 280)
    jumpy = noisy(1, 300)
    for at in range(60, 280, 17):
        jumpy[at:] += 0.08 * (-1) ** at
    wild = measured(panel(jumpy, None, 280), 280)
    assert quiet.placebos == wild.placebos == PLACEBOS
    for found in (quiet, wild):
        factor = known(found.factor)
        assert factor >= 1
        assert found.high - found.effect == pytest.approx(factor * (found.raw_high - found.effect))
        assert found.low <= found.raw_low and found.high >= found.raw_high
    assert wild.high - wild.low > quiet.high - quiet.low


def test_too_little_history_is_uncalibrated_and_less_is_no_answer() -> None:
    needed = history_needed("day", AFTER)
    assert needed == 249
    assert measured(panel(noisy(1, needed + AFTER), None, needed), needed).factor is not None
    assert measured(panel(noisy(1, needed + AFTER - 1), None, needed - 1), needed - 1).factor is None
    assert tried(panel(noisy(1, 27 + AFTER), None, 27), 27) is None, "28 days before are the least"


def test_a_rollout_in_steps_is_read_as_the_effect_while_it_grew() -> None:
    share = np.zeros(290)
    share[270:275], share[275:280], share[280:] = 0.1, 0.5, 1.0
    values = noisy(2, 290) * 0.2 + 0.10 * share
    found = measured(panel(values, None, 270, share), 270, 20)
    assert found.exposure == pytest.approx(share[270:].mean())
    assert found.low < 0.10 * share[270:].mean() < found.high
    assert found.words == Words.UP


def test_segments_are_held_against_those_that_wait() -> None:
    """A shock that hits all segments on a launch day is nobody's effect."""
    days = 290
    index = pd.date_range("2026-01-05", periods=days, freq="D")
    starts = (270, 275, 280)
    share = pd.DataFrame({f"s{i}": (np.arange(days) >= at) * 1.0 for i, at in enumerate(starts)}, index)
    shock = 0.3 * (np.arange(days) >= 270)
    plain = pd.DataFrame({c: noisy(i, days) * 0.3 + shock for i, c in enumerate(share)}, index)
    none = impact(Panel(plain, share, pd.DataFrame(index=index), "day"), index[270], index[289])
    some = impact(Panel(plain + 0.05 * share, share, pd.DataFrame(index=index), "day"), index[270], index[289])
    assert none is not None and some is not None
    assert abs(none.effect) < 0.03 < 0.3, "the shock is shared"
    mean = 0.05 * share.iloc[270:289].to_numpy().mean()
    assert some.effect - none.effect == pytest.approx(mean, rel=0.02)


def test_days_that_are_not_known_are_left_out() -> None:
    values = noisy(3, 290, 0.2, 270)
    values[[100, 101, 240, 272]] = np.nan
    found = measured(panel(values, None, 270), 270)
    assert found.words == Words.UP and found.low < 0.2 < found.high
    assert found.expected["actual"].notna().all() and len(found.expected) == 60 + 14 - 2


def test_weekly_values_are_read_by_week() -> None:
    weeks = pd.date_range("2025-01-06", periods=64, freq="7D")
    rng = np.random.default_rng(1)
    values = 0.3 + rng.normal(0, 0.002, 64) + 0.02 * (np.arange(64) >= 60)
    share = (np.arange(64) >= 60).astype(float)
    p = Panel(pd.DataFrame({"a": values}, weeks), pd.DataFrame({"a": share}, weeks), pd.DataFrame(index=weeks), "week")
    found = impact(p, weeks[60], weeks[63] + pd.Timedelta(days=7))
    assert found is not None and found.words == Words.UP and found.low < 0.02 < found.high
    assert found.periods == 4 and found.placebos == PLACEBOS


def test_ten_kpis_with_26_placebos_take_less_than_two_seconds() -> None:
    panels = [panel(noisy(s, 290), np.column_stack([noisy(99 + s + k, 290) for k in range(3)]), 270) for s in range(10)]

    def taken() -> float:
        started = time.process_time()
        for p in panels:
            assert measured(p, 270).placebos == PLACEBOS
        return time.process_time() - started

    assert any(taken() < 2.0 for _ in range(3))  # a neighbour on the same core can double what one of them takes
