"""A level that moves is told although no single value is odd; what varies anyway is not, and nothing later is read."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as some

from metrics.alerts.expected_range import TUNING, expectation
from metrics.alerts.level_shift import Moving, shifted
from tests.sampling import sampled

DAYS, NONE = Moving(5, keep=4, noise=120, limit=3.5), np.zeros(1)


def series(seed: int, days: int = 320, *, growth: float = 0.0) -> pd.Series:
    """Counts by day with a weekly shape and noise of three percent."""
    random, at = np.random.default_rng(seed), np.arange(days)
    week = np.array([1.0, 1.05, 1.1, 1.08, 1.0, 0.7, 0.65])[at % 7]
    values = 2000 * week * np.exp(growth * at + random.normal(0, 0.03, days))
    return pd.Series(values, pd.date_range("2025-09-01", periods=days, freq="D"))


def fires(values: pd.Series, **more: object) -> list[int]:
    found = expectation(values, "day", **more)  # type: ignore[arg-type]
    return [int(i) for i in np.flatnonzero(found.ready & (np.abs(found.z) >= found.limit))]


@pytest.mark.parametrize("size", [-0.12, 0.12])
@pytest.mark.parametrize("kind", ["shift", "ramp"])
def test_a_soft_move_is_told_with_where_the_level_was(size: float, kind: str) -> None:
    told = 0
    for seed in range(8):
        values, start = series(seed), 250
        length = 1 if kind == "shift" else 12
        values.iloc[start:] *= 1 + size * np.minimum(np.arange(1, len(values) - start + 1) / length, 1)
        calm = series(seed)
        odd = [i for i in fires(values) if i >= start]
        assert [i for i in fires(values) if i < start] == [i for i in fires(calm) if i < start]
        if not odd or odd[0] > start + length + 8:
            continue
        told += 1
        found, last = expectation(values, "day"), odd[-1]
        assert np.sign(found.z[odd]).tolist() == [np.sign(size)] * len(odd)
        assert found.expected[last] == pytest.approx(calm.iloc[last], rel=0.12), "most likely is the level before"
        assert found.low[last] < found.expected[last] < found.high[last]
    assert told >= 7


@sampled(fast=15, slow=60, full=1000)
@given(seed=some.integers(0, 10**6), growth=some.sampled_from([0.0, 0.001, 0.003]), cut=some.integers(70, 310))
def test_growth_is_no_move_and_nothing_later_is_read(seed: int, growth: float, cut: int) -> None:
    values = series(seed, growth=growth)
    whole, part = expectation(values, "day"), expectation(values.iloc[:cut], "day")
    for name in ("z", "expected", "low", "high"):
        np.testing.assert_array_equal(getattr(whole, name)[:cut], getattr(part, name))
    assert len(fires(values)) <= 6


def test_a_new_normal_ends_it() -> None:
    values = series(3)
    values.iloc[250:] *= 1.3
    late = [i for i in fires(values) if i > 257]
    assert late, "without a word it goes on until the weeks before have the new level"
    assert [i for i in fires(values, normal_from=[values.index[256]]) if i > 257] == []


def test_the_score_is_that_of_plain_pandas() -> None:
    values = np.log(series(5))
    values.iloc[[40, 41, 200]] = np.nan
    found = shifted(values.to_numpy(), (), 7, DAYS, 0.001, NONE)
    y = values.to_list()
    off = [y[i] - np.nanmedian(y[i - 28 : i : 7]) if i >= 28 else np.nan for i in range(len(y))]
    mean = [
        np.nanmean(last) if np.isfinite(last := off[max(0, i - 4) : i + 1]).sum() >= 4 else np.nan for i in range(320)
    ]
    middle = [np.nanmedian(mean[i - 124 : i - 4]) if i >= 160 else np.nan for i in range(320)]
    away = [abs(mean[i - 5] - middle[i]) for i in range(320)]
    for at in (300, 315):
        spread = max(
            1.4826 * np.nanmedian(away[at - 119 : at + 1]), np.nanquantile(away[at - 119 : at + 1], 0.97) / 2.17
        )
        assert found.score[at] == pytest.approx((mean[at] - middle[at]) / spread)
        assert found.before[at] == pytest.approx(y[at] - off[at] + middle[at])


def test_fewer_people_than_chance_are_no_move() -> None:
    values = np.log(series(5))
    values.iloc[250:] += 0.15
    plain, faint = (shifted(values.to_numpy(), (), 7, DAYS, 0.001, np.full(len(values), c)) for c in (0.0, 0.5))
    assert np.nanmax(np.abs(plain.score[250:260])) > 4 > 1 > np.nanmax(np.abs(faint.score[250:260]))


def test_hours_and_days_are_looked_at() -> None:
    assert {grain for grain, tuning in TUNING.items() if tuning.moving is not None} == {"hour", "day"}
