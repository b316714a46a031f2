"""What a launch is held against: how much of it is taken off, what happens to both on the day, several together."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from metrics.launches.controls import mix
from metrics.launches.impact import Impact, Panel, impact
from tests.conftest import known
from tests.sampling import SEED, cases

FIRST, AFTER = 300, 28
DAYS = FIRST + AFTER
SINCE = (np.arange(DAYS) >= FIRST).astype(float)
WORLDS = cases(fast=3, slow=12, full=60)


def measured(treated: np.ndarray, controls: np.ndarray) -> Impact:
    index = pd.date_range("2025-01-06", periods=DAYS, freq="D")
    panel = Panel(
        pd.DataFrame({"all": treated}, index), pd.DataFrame({"all": SINCE}, index), pd.DataFrame(controls, index), "day"
    )
    return known(impact(panel, index[FIRST], index[-1] + pd.Timedelta(days=1)))


def drift(rng: np.random.Generator, size: float) -> np.ndarray:
    return np.asarray(np.cumsum(rng.normal(0, size, DAYS)))


@pytest.mark.parametrize(("own", "least", "most"), [(0.05, 0.7, 1.1), (1.0, 0.3, 0.75), (8.0, 0.05, 0.3)])
def test_a_control_counts_as_far_as_the_two_moved_together(own: float, least: float, most: float) -> None:
    """Days that both share have a deviation of 1; `own`: what the control's few people add by chance."""
    rng, weights = np.random.default_rng(SEED), []
    for _ in range(cases(fast=5, slow=9, full=60)):
        shared = rng.normal(0, 1, DAYS)
        found = measured(shared + rng.normal(0, 0.3, DAYS), (shared + rng.normal(0, own, DAYS))[:, None])
        weights.append(found.weights[0])
    assert least < np.median(weights) < most


def test_a_control_that_says_nothing_costs_little() -> None:
    """Most often: in one world of twenty the two move together by chance, and it costs two thirds and more."""
    rng, wider = np.random.default_rng(SEED), []
    for _ in range(cases(fast=11, slow=15, full=100)):
        mine = rng.normal(0, 1, DAYS)
        alone = measured(mine, np.empty((DAYS, 0)))
        beside = measured(mine, rng.normal(0, 3, (DAYS, 1)))
        assert alone.weights == () and alone.event == 0.0
        wider.append((beside.raw_high - beside.raw_low) / (alone.raw_high - alone.raw_low))
    assert np.median(wider) < 1.4


def test_a_control_of_the_same_drift_is_taken_off_whole() -> None:
    rng = np.random.default_rng(SEED)
    shared = drift(rng, 0.5)
    found = measured(shared + rng.normal(0, 1, DAYS) + 1.5 * SINCE, (shared + rng.normal(0, 1, DAYS))[:, None])
    assert found.low < 1.5 < found.high and found.weights[0] > 0.85


@pytest.mark.parametrize("size", [3.0, -8.0])
def test_what_happens_to_both_on_the_day_is_no_effect(size: float) -> None:
    """Months share nothing, so the weight is small; what the day brings without precedent is taken off all the same."""
    rng = np.random.default_rng(SEED)
    wrong, surprised, effects = 0, 0, []
    for _ in range(WORLDS):
        shared = rng.normal(0, 0.5, DAYS)
        mine, other = (shared + rng.normal(0, 1, DAYS) for _ in range(2))
        calm = measured(mine, other[:, None])
        found = measured(mine + size * SINCE, (other + size * SINCE)[:, None])
        assert found.event > 0.5 and found.weights[0] == pytest.approx(1, abs=0.1)
        surprised += calm.event > 0.5  # chance moves a control by three of its standard errors now and then
        wrong += not found.low <= 0 <= found.high
        effects.append(found.effect)
        since = found.expected.iloc[-AFTER:]
        assert float((since["actual"] - since["expected"]).mean()) == pytest.approx(found.effect, abs=0.25)
    assert (
        surprised <= 1 + WORLDS // 12 and wrong <= 1 + WORLDS // 6 and abs(float(np.mean(effects))) < 0.15 * abs(size)
    )


def test_an_effect_on_the_launched_alone_is_no_event_of_both() -> None:
    rng = np.random.default_rng(SEED)
    shared = rng.normal(0, 0.5, DAYS)
    mine, other = (shared + rng.normal(0, 1, DAYS) for _ in range(2))
    found = measured(mine + 3 * SINCE, other[:, None])
    assert found.event < 0.5 and found.low > 1 and found.high < 5


def test_of_several_controls_the_one_that_moved_along_weighs_most() -> None:
    rng = np.random.default_rng(SEED)
    shared = drift(rng, 1.0)
    twin, stranger, noisy = shared + rng.normal(0, 1, DAYS), drift(rng, 1.0), shared + rng.normal(0, 6, DAYS)
    others = np.column_stack([stranger, twin, noisy])
    weights = mix((shared + rng.normal(0, 1, DAYS))[:FIRST], others[:FIRST], 7)
    assert weights.sum() == pytest.approx(1) and (weights >= 0).all()
    assert weights[1] > 0.7 and weights[0] < 0.15
    found = measured(shared + rng.normal(0, 1, DAYS), others)
    mean = measured(shared + rng.normal(0, 1, DAYS), others.mean(axis=1, keepdims=True))
    assert found.raw_high - found.raw_low < 0.8 * (mean.raw_high - mean.raw_low)


def test_equal_controls_weigh_the_same_and_so_do_those_of_which_little_is_known() -> None:
    rng = np.random.default_rng(SEED)
    shared = drift(rng, 1.0)
    alike = np.column_stack([shared + rng.normal(0, 1, DAYS) for _ in range(4)])
    assert mix(shared, alike, 7) == pytest.approx(np.full(4, 0.25), abs=0.08)
    assert mix(shared[:10], alike[:10], 7) == pytest.approx(np.full(4, 0.25))
    gaps = alike.copy()
    gaps[:, 2] = np.nan
    assert mix(shared, gaps, 7) == pytest.approx(np.full(4, 0.25))
    assert mix(shared, np.zeros((DAYS, 2)), 7) == pytest.approx([0.5, 0.5])


def test_what_comes_after_the_launch_does_not_choose_the_mix() -> None:
    rng = np.random.default_rng(SEED)
    shared = drift(rng, 1.0)
    mine, others = shared + rng.normal(0, 1, DAYS), np.column_stack([shared + rng.normal(0, 1, DAYS) for _ in range(2)])
    later = others.copy()
    later[FIRST:, 0] = mine[FIRST:]
    first, second = (measured(mine, given).weights for given in (others, later))
    assert first[0] / first[1] == pytest.approx(second[0] / second[1], rel=1e-6)
