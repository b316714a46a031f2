"""Rules against hand computation: every comparison, recovery, volume, gaps, holidays, clocks that are set."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from jobs.alerts.replay import replay
from tests.conftest import Builder

pytestmark = pytest.mark.breadth(6)

START = pd.Timestamp("2026-01-05")  # a Monday


SUM = "dataset: events\nagg: sum\nexpr: v\n"
LOW = 'name: low, thresholds: {critical: "< 5"}'
LAGS = [("previous_period", 1), ("same_period_last_week", 7), ("same_period_last_year", 364)]


def daily(project: Builder, values: list[float | None], rule: str, *, kpi: str = "", **extra: Any) -> None:
    """A project of one row a day; None = the day has no row."""
    days = [START + pd.Timedelta(days=i) for i, v in enumerate(values) if v is not None]
    known = [v for v in values if v is not None]
    frame = pd.DataFrame({"at": [d + pd.Timedelta(hours=12) for d in days], "v": known})
    project.rows("events", frame, **{"watermark": "whole_days", **extra})
    project.kpi("k", f"dataset: events\nagg: sum\nexpr: v\ngrain: day\n{kpi}alerts:\n  - {rule}")
    project.sync(datetime(2027, 6, 1, tzinfo=UTC))


def told(project: Builder, **options: Any) -> list[tuple[int, str, str]]:
    rows = replay(project.open(), "k", **options)
    return [((pd.Timestamp(r["period"]) - START).days, r["event"], r["severity"]) for r in rows]


def test_a_value_with_for_and_recovery(project: Builder) -> None:
    values = [100, 80, 100, 80, 80, 92, 96, 100, 60, 60, 80]
    rule = '{name: low, thresholds: {warning: "< 90", critical: "< 70", warning_recovery: "> 95"}, for: 2}'
    daily(project, [*values, 100], rule)
    assert told(project) == [
        (4, "opened", "warning"),
        (5, "ongoing", "warning"),
        (6, "resolved", "warning"),
        (9, "opened", "critical"),
        (10, "ongoing", "warning"),
        (11, "resolved", "warning"),
    ]
    first = replay(project.open(), "k")[0]
    assert set(first) == {"rule", "segment", "period", "event", "state", "severity", "value", "expected"}
    assert (first["expected"], first["value"], first["segment"]) == ([90.0, None], 80.0, None)
    assert [r["state"] for r in replay(project.open(), "k")][:3] == ["firing", "recovering", "ok"]


def test_the_kpis_own_thresholds_are_its_default_rule(project: Builder) -> None:
    daily(project, [10, 4, 10], '{name: other, thresholds: {critical: "< 1"}}', kpi='thresholds: {critical: "< 5"}\n')
    rows = replay(project.open(), "k")
    assert [(r["rule"], r["event"]) for r in rows] == [("thresholds", "opened"), ("thresholds", "resolved")]


@pytest.mark.parametrize(("compare", "lag"), LAGS)
def test_changes_against_an_earlier_period(project: Builder, compare: str, lag: int) -> None:
    random = np.random.default_rng(3)
    values = [float(v) for v in random.integers(50, 150, 400)]
    daily(project, list(values), f'{{name: drop, compare: {compare}, thresholds: {{critical: "< -30%"}}}}')
    wanted, firing = [], False
    for day in range(lag, len(values)):
        bad = (values[day] - values[day - lag]) / values[day - lag] < -0.3
        if bad and not firing:
            wanted.append((day, "opened", "critical"))
        elif firing:
            wanted.append((day, "ongoing" if bad else "resolved", "critical"))
        firing = bad
    assert told(project) == wanted
    assert len(wanted) > 3


def test_differences_and_points(project: Builder) -> None:
    daily(project, [100, 79, 100], '{name: drop, compare: previous_period, thresholds: {critical: "< -20"}}')
    assert told(project) == [(1, "opened", "critical"), (2, "resolved", "critical")]


def test_a_target_without_thresholds_means_missing_it(project: Builder) -> None:
    daily(project, [100, 99, 101], "{name: missed, compare: target}", kpi="targets: [{value: 100}]\n")
    assert told(project) == [(1, "opened", "warning"), (2, "resolved", "warning")]


def test_a_value_to_date_is_held_against_its_share_of_the_target(project: Builder) -> None:
    values = [10.0] * 10 + [1.0] * 10
    frame = pd.DataFrame({"at": [START + pd.Timedelta(days=i, hours=1) for i in range(20)], "v": values})
    project.rows("events", frame, watermark="whole_days")
    project.kpi(
        "k",
        "type: cumulative\ndataset: events\nmeasure: {agg: sum, expr: v}\ngrain_to_date: month\ngrain: day\n"
        "targets: [{grain: month, value: 310}]\n"
        "alerts: [{name: pace, compare: target, thresholds: {critical: '< -30%'}}]",
    )
    project.sync(datetime(2026, 6, 1, tzinfo=UTC))
    opened = [r for r in replay(project.open(), "k") if r["event"] == "opened"]
    wanted = [day for day in range(20) if sum(values[: day + 1]) / (310 * (day + 5) / 31) - 1 < -0.3]
    # The first days of the month have no rows, so the count of the month starts on the 5th.
    first_run = [d for d in wanted if d - 1 not in wanted]
    assert [(pd.Timestamp(r["period"]) - START).days for r in opened] == first_run


def test_too_few_rows_and_gaps_judge_nothing(project: Builder) -> None:
    values = [10.0, 1.0, None, 1.0, 10.0]
    daily(project, values, '{name: low, thresholds: {critical: "< 5"}, for: 2}', empty="unknown")
    assert told(project) == [], "a gap stands between the two bad days"
    project.kpi("k", f"{SUM}alerts: [{{{LOW}, min_volume: 2}}]")
    assert told(project) == [], "one row a day is below the least volume"


@pytest.mark.parametrize(
    ("no_data", "wanted"),
    [
        ("stale", [(1, "opened", "critical"), (2, "ongoing", "critical"), (3, "resolved", "critical")]),
        ("ok", [(1, "opened", "critical"), (2, "resolved", "critical")]),
        ("alert", [(1, "opened", "critical"), (2, "ongoing", "critical"), (3, "resolved", "critical")]),
    ],
)
def test_what_an_unknown_period_counts_as(project: Builder, no_data: str, wanted: list[Any]) -> None:
    daily(
        project,
        [10, 1, None, 10],
        f"{{{LOW}, no_data: {no_data}}}",
        empty="unknown",
    )
    assert told(project) == wanted


def test_no_data_can_be_the_alert(project: Builder) -> None:
    daily(project, [10, 10, None, 10], '{name: low, thresholds: {critical: "< 5"}, no_data: alert}', empty="unknown")
    assert told(project) == [(2, "opened", "critical"), (3, "resolved", "critical")]


def test_one_state_per_segment(project: Builder) -> None:
    rows = [
        (START + pd.Timedelta(days=d), p, 1.0 if (d, p) == (3, "a") else 10.0)
        for d in range(6)
        for p in ("a", "b", None)
    ]
    frame = pd.DataFrame(rows, columns=["at", "p", "v"])
    project.rows("events", frame, watermark="whole_days", dimensions="{p: p, q: p}")
    project.kpi("k", f"{SUM}alerts: [{{{LOW}, by: [p]}}]")
    project.sync(datetime(2026, 6, 1, tzinfo=UTC))
    assert [(r["segment"], r["event"]) for r in replay(project.open(), "k")] == [("a", "opened"), ("a", "resolved")]
    project.kpi("k", f"{SUM}alerts: [{{{LOW}, by: [p, q]}}]")
    assert {r["segment"] for r in replay(project.open(), "k")} == {"p=a", "q=a"}


def test_a_companion_series_and_the_value_before_transforms(project: Builder) -> None:
    rule = '{name: slow, of: trend, thresholds: {critical: "< 9"}}'
    daily(project, [10, 10, 10, 4, 10, 10], rule, kpi="transforms:\n  - rolling: {periods: 3, agg: mean, as: trend}\n")
    assert told(project) == [(3, "opened", "critical"), (4, "ongoing", "critical"), (5, "ongoing", "critical")]
    low = 'alerts: [{name: low, thresholds: {critical: "< 9"}}]'
    project.kpi("k", f"{SUM}transforms:\n  - scale: {{factor: 100}}\n{low}")
    assert told(project) == [(3, "opened", "critical"), (4, "resolved", "critical")]


def test_a_range_of_the_replay_cuts_rows_not_history(project: Builder) -> None:
    daily(project, [10, 1, 1, 1, 10], '{name: low, thresholds: {critical: "< 5"}}')
    assert told(project, start="2026-01-07", end="2026-01-09") == [
        (2, "ongoing", "critical"),
        (3, "ongoing", "critical"),
    ]


def test_the_running_day_is_not_judged(project: Builder) -> None:
    daily(project, [10, 10, 1], f"{{{LOW}}}", watermark="data")
    assert told(project) == [], "the third day is known to noon only"


def test_days_of_23_and_25_hours_raise_nothing(project: Builder) -> None:
    """A count that is steady by the hour falls by 4% on the day that clocks are set."""
    project.settings("timezone: Europe/Berlin\n")
    hours = pd.date_range("2025-08-01", "2026-05-01", freq="h", tz="UTC")
    project.rows("events", pd.DataFrame({"at": hours.repeat(10)}), watermark="data")
    project.kpi(
        "k",
        "dataset: events\nagg: count\nalerts:\n  - {name: odd, compare: expected_range, sensitivity: sensitive}\n"
        '  - {name: day, compare: previous_period, thresholds: {critical: "< -3%", warning: "> 3%"}}\n'
        '  - {name: week, compare: same_period_last_week, thresholds: {critical: "< -3%", warning: "> 3%"}}',
    )
    project.sync(datetime(2026, 6, 1, tzinfo=UTC))
    opened = [r["period"] for r in replay(project.open(), "k") if r["event"] == "opened"]
    assert [day for day in opened if "2025-08-09" < day < "2026-04-30"] == []
