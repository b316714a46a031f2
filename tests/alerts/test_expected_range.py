"""The expected range: quality on labelled series, causality, scales, quiet days, cost."""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.alerts.calendars import muted
from metrics.alerts.expected_range import TUNING, Phase, expectation
from metrics.catalog.models.launch import Launch
from tests.conftest import ROOT
from tests.sampling import sampled

FOLDER = ROOT / "tests" / "data" / "alert_series"
LABELS: dict[str, Any] = json.loads((FOLDER / "labels.json").read_text())
GRAINS = {"H": "hour", "D": "day"}
SPANS = {"hour": ("3h", "24h", "12h"), "day": ("1D", "3D", "2D")}  # grace, aftermath, one false alarm


def series_of(name: str) -> pd.Series:
    return pd.read_csv(FOLDER / "series" / f"{name}.csv", parse_dates=["timestamp"]).set_index("timestamp")["value"]


def noisy(days: int = 200, *, seed: int = 5, level: float = 1000, noise: float = 20) -> pd.Series:
    random = np.random.default_rng(seed)
    index = pd.date_range("2025-01-06", periods=days)
    return pd.Series(level * (1 + 0.3 * (index.day_of_week < 5)) + random.normal(0, noise, days), index=index)


def opened(values: pd.Series, grain: str, country: str) -> pd.DatetimeIndex:
    quiet = muted(pd.DatetimeIndex(values.index), grain, "UTC", country, ())
    found = expectation(values, grain, muted=quiet)
    odd = (np.abs(np.nan_to_num(found.z)) >= found.limit) & found.ready & ~quiet
    return pd.DatetimeIndex(values.index[odd & ~np.concatenate([[False], odd[:-1]])])


def test_quality_on_labelled_series() -> None:
    """Hits, misses and false alarms, counted by lines of its own; the whole bench is in docs/alert-quality.md."""
    hits = events = false = 0
    for name, label in LABELS.items():
        values, grain = series_of(name), GRAINS[label["grain"]]
        start = pd.Timestamp(label["eval_start"])
        alerts = opened(values, grain, label["country"] or "")
        alerts = alerts[alerts >= start]
        grace, after, near = (
            pd.Timedelta(t) for t in (("3h", "24h", "12h") if grain == "hour" else ("1D", "3D", "2D"))
        )
        counted = np.zeros(len(alerts), dtype=bool)
        for window in label["windows"]:
            first, last = pd.Timestamp(window["start"]), pd.Timestamp(window["end"])
            if last >= start:
                events += 1
                hits += bool(((alerts >= max(first, start)) & (alerts <= last + grace)).any())
                counted |= (alerts >= max(first, start)) & (alerts <= last + max(grace, after))
        for span in label["ignore"]:
            counted |= (alerts >= pd.Timestamp(span["start"])) & (alerts <= pd.Timestamp(span["end"]))
        rest = alerts[~counted]
        false += len(rest) and 1 + int((rest[1:] - rest[:-1] > near).sum())
    f1 = 2 * hits / (hits + false + events)
    assert f1 >= 0.53, (f1, hits, events, false)


@pytest.mark.parametrize("name", ["nab_exchange_3_cpm", "wiki_r_a", "ms_purchase_02"])
def test_a_judgement_reads_nothing_that_comes_later(name: str) -> None:
    values, grain = series_of(name), GRAINS[LABELS[name]["grain"]]
    whole = expectation(values, grain)
    for cut in (len(values) // 2, len(values) - 7):
        part = expectation(values.iloc[:cut], grain)
        np.testing.assert_array_equal(part.z, whole.z[:cut])
        np.testing.assert_allclose(part.low, whole.low[:cut], rtol=1e-9)


def test_a_thousand_points_cost_less_than_a_tenth_of_a_second() -> None:
    for grain, count in (("hour", 5000), ("day", 2000)):
        index = pd.date_range("2020-01-06", periods=count, freq="h" if grain == "hour" else "D")
        values = pd.Series(np.random.default_rng(1).poisson(300, count).astype(float), index=index)
        started = time.process_time()
        expectation(values, grain)
        assert (time.process_time() - started) / count * 1000 < 0.1


@sampled(fast=25, slow=200, full=2000)
@given(
    factor=st.floats(0.5, 1.6), grain=st.sampled_from(["day", "hour"]), kind=st.sampled_from(["many", "few", "signed"])
)
def test_a_value_outside_the_band_scores_beyond_the_limit(factor: float, grain: str, kind: str) -> None:
    count = 120 if grain == "day" else 600
    random = np.random.default_rng(9)
    plain = {
        "many": 1000 + random.normal(0, 15, count),
        "few": random.poisson(9, count).astype(float),
        "signed": random.normal(0, 5, count),
    }[kind]
    values = pd.Series(plain, index=pd.date_range("2026-01-05", periods=count, freq="D" if grain == "day" else "h"))
    before = expectation(values, grain)
    low, high, middle = before.low[-1], before.high[-1], before.expected[-1]
    assert low < middle < high
    beyond = values.copy()
    beyond.iloc[-1] = middle + (high - middle) * (1 + factor)
    assert expectation(beyond, grain).z[-1] >= before.limit
    if kind != "few" or low > 0:
        beyond.iloc[-1] = middle - (middle - low) * (1 + factor)
        if kind != "few" or beyond.iloc[-1] >= 0:
            assert expectation(beyond, grain).z[-1] <= -before.limit


def test_it_learns_before_it_alerts() -> None:
    values = noisy(100)
    for day in (13, 30, 50):
        values.iloc[day] = 10.0
    found = expectation(values, "day")
    assert not found.ready[:56].any() and found.ready[56:].all()
    assert np.isnan(found.low[:21]).all() and not np.isnan(found.low[21:]).any()
    assert expectation(values.iloc[:10], "day").phase is Phase.NONE
    assert expectation(values.iloc[:40], "day").phase is Phase.LEARNING
    assert expectation(values.iloc[:80], "day").phase is Phase.READY


def test_a_gap_is_no_zero() -> None:
    values = noisy(150)
    values.iloc[100:110] = np.nan
    found = expectation(values, "day")
    assert np.isnan(found.z[100:110]).all()
    assert (np.abs(found.z[110:]) < found.limit).all()
    values.iloc[100:110] = 0.0
    assert (np.abs(expectation(values, "day").z[100:103]) > found.limit).all()


def test_the_chance_of_few_rows_raises_nothing_but_a_real_fall_does() -> None:
    """A rate of 99% of 200 rows falls below 97% by chance once in some weeks; of 20,000 rows it never does."""
    random = np.random.default_rng(4)
    index = pd.date_range("2025-01-06", periods=300)
    for rows, raised in ((200, False), (20_000, True)):
        n = np.full(300, float(rows))
        values = pd.Series(random.binomial(rows, 0.99, 300) / rows, index=index)
        values.iloc[-1] = 0.975
        found = expectation(values, "day", n=n, rate=True)
        assert bool(abs(found.z[-1]) >= found.limit) is raised
        assert 0 < found.low[-1] < 0.99 < found.high[-1] <= 1


def test_a_shift_is_one_incident_and_a_new_normal_ends_it() -> None:
    values = noisy(160)
    values.iloc[120:] *= 1.5
    found = expectation(values, "day")
    odd = np.abs(found.z) >= found.limit
    starts = odd & ~np.concatenate([[False], odd[:-1]])
    assert starts[120:].sum() == 1 and odd[120]
    normal = expectation(values, "day", normal_from=[values.index[122]])
    assert not (np.abs(normal.z[123:]) >= normal.limit).any()
    assert abs(normal.expected[130] / values.iloc[130] - 1) < 0.1


def test_holidays_and_planned_events_keep_quiet() -> None:
    index = pd.date_range("2025-12-01", "2026-01-10")
    quiet = pd.Series(muted(index, "day", "UTC", "US", ()), index=index)
    assert quiet["2025-12-24":"2025-12-26"].all() and quiet["2025-12-31":"2026-01-02"].all()
    assert not quiet["2025-12-10":"2025-12-20"].any()
    sale = Launch.model_validate({"name": "sale", "kind": "campaign", "on": "2025-12-10", "until": "2025-12-12"})
    launch = Launch.model_validate({"name": "new", "kind": "launch", "on": "2025-12-15"})
    found = pd.Series(muted(index, "day", "UTC", "", (sale, launch)), index=index)
    assert list(found[found].index.day) == [10, 11, 12]
    hours = pd.date_range("2025-12-09 22:00", "2025-12-10 02:00", freq="h")
    assert list(muted(hours, "hour", "Europe/Berlin", "", (sale,))) == [False, True, True, True, True]
    values = noisy(200)
    values.iloc[150] = 10.0
    silent = np.zeros(200, dtype=bool)
    silent[150] = True
    kept = expectation(values, "day", muted=silent)
    assert np.isnan(kept.z[150])
    rest = values.copy()
    rest.iloc[150] = np.nan
    np.testing.assert_array_equal(kept.z, expectation(rest, "day").z)


@pytest.mark.parametrize("grain", list(TUNING))
def test_every_grain_has_a_range(grain: str) -> None:
    freq = {"hour": "h", "day": "D", "week": "7D", "month": "MS", "quarter": "QS", "year": "YS"}[grain]
    count = TUNING[grain].ready_from + 20
    index = pd.date_range("1950-01-02", periods=count, freq=freq)
    values = pd.Series(np.random.default_rng(2).normal(1000, 10, count), index=index)
    values.iloc[-1] = 500.0
    found = expectation(values, grain)
    assert found.ready[-1] and found.z[-1] < -found.limit
    assert (np.abs(np.nan_to_num(found.z[:-1])) < found.limit * found.ready[:-1] + 1e9 * ~found.ready[:-1]).all()
