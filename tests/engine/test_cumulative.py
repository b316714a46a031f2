"""Cumulative KPIs against a brute-force count of the rows of each running period, in plain pandas."""

from __future__ import annotations

import random
from typing import Any

import pandas as pd
import pytest

from connectors.errors import QueryRefused
from jobs.sync import sync
from tests.conftest import Builder, finished

pytestmark = pytest.mark.breadth(2)

ZONE = "Europe/Berlin"
STARTS = {"week": "W-SUN", "month": "M", "quarter": "Q", "year": "Y"}
AGGS = {
    "count": "agg: count",
    "sum": "agg: sum, expr: amount",
    "avg": "agg: avg, expr: amount",
    "min": "agg: min, expr: amount",
    "max": "agg: max, expr: amount",
    "count_distinct": "agg: count_distinct, expr: user",
}


def rows(seed: int) -> pd.DataFrame:
    draw = random.Random(seed)
    at = sorted(pd.Timestamp("2026-02-20 23:30") + pd.Timedelta(minutes=draw.randrange(80 * 1440)) for _ in range(160))
    return pd.DataFrame(
        {
            "at": at,
            "user": [draw.choice(["a", "b", "c", "d", None]) for _ in at],
            "amount": [draw.choice([1.0, 2.5, -3.0, 8.0, None]) for _ in at],
            "kind": [draw.choice(["x", "y", None]) for _ in at],
        }
    )


KINDS = [(agg, reset) for agg in AGGS for reset in ("", "month")]
KINDS += [("sum", "week"), ("count_distinct", "week"), ("count_distinct", "quarter")]


def start(project: Builder, frame: pd.DataFrame, *kinds: tuple[str, str]) -> None:
    project.settings(f"timezone: {ZONE}\n")
    project.rows("events", frame, dimensions="[kind]" if kinds else "[]")
    for agg, reset in kinds or KINDS:
        body = AGGS[agg]
        text = f"type: cumulative\nmeasure: {{dataset: events, {body}}}\ngrains: [day, week, month]\n"
        project.kpi(f"{agg}_{reset or 'ever'}", text + (f"grain_to_date: {reset}\n" if reset else ""))
    project.kpi("some", "type: cumulative\nmeasure: large\ngrains: [day, month]")
    project.kpi("large", "dataset: events\nagg: count\nfilter: amount > 2\ngrains: [day]")


def by_hand(frame: pd.DataFrame, agg: str, reset: str, grain: str) -> dict[str, float | None]:
    """Period → value, from the rows one by one."""
    local = frame["at"].dt.tz_localize("UTC").dt.tz_convert(ZONE).dt.tz_localize(None)
    found: dict[str, float | None] = {}
    days = pd.date_range(local.min().normalize(), local.max().normalize(), freq="D")
    for day in days:
        begin = day.to_period(STARTS[reset]).start_time if reset else pd.Timestamp.min
        inside = frame[(local >= begin) & (local < day + pd.Timedelta(days=1))]
        known = inside["amount"].dropna()
        value: Any = {
            "count": len(inside),
            "sum": known.sum(),
            "avg": known.mean() if len(known) else None,
            "min": known.min() if len(known) else None,
            "max": known.max() if len(known) else None,
            "count_distinct": inside["user"].dropna().nunique(),
        }[agg]
        period = day if grain == "day" else day.to_period(STARTS[grain]).start_time
        found[f"{period:%Y-%m-%d}"] = None if value is None else float(value)  # the last day of a period stays
    return found


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_running_values_equal_a_count_by_hand(project: Builder, seed: int) -> None:
    frame = rows(seed)
    start(project, frame)
    project.sync()
    for agg, reset in KINDS:
        for grain in ("day", "week", "month"):
            got = project.values(f"{agg}_{reset or 'ever'}", grain=grain)
            assert got == pytest.approx(by_hand(frame, agg, reset, grain)), (agg, reset, grain)


def test_segments_filters_and_stored_values(project: Builder) -> None:
    frame = rows(7)
    start(project, frame, ("count_distinct", "month"), ("sum", ""))
    project.sync()
    hand = {
        k: by_hand(part, "count_distinct", "month", "day")
        for k, part in frame.fillna({"kind": "(none)"}).groupby("kind")
    }
    for facts in (True, False):
        series = project.ask("count_distinct_month", by="kind", facts=facts).frame
        last = series[series["complete"]].groupby("segment")["value"].last()
        ends = dict(last.items())
        day = f"{series.loc[series['complete'], 'period'].max():%Y-%m-%d}"
        assert ends == {k: found[max(d for d in found if d <= day)] for k, found in hand.items()}
    large = frame[frame["amount"] > 2]
    assert project.values("some", grain="month") == pytest.approx(by_hand(large, "count", "", "month"))
    assert project.values("sum_ever", grain="total")["total"] == pytest.approx(frame["amount"].sum())


def test_a_later_range_still_counts_from_the_first_event(project: Builder) -> None:
    frame = rows(3)
    start(project, frame, ("count", ""))
    project.sync()
    hand = by_hand(frame, "count", "", "day")
    got = project.values("count_ever", start=pd.Timestamp("2026-04-10").date(), facts=True)
    assert got == {day: value for day, value in hand.items() if day >= "2026-04-10"}


def test_a_late_row_changes_all_that_comes_after(project: Builder) -> None:
    frame = rows(5)
    start(project, frame, ("count", ""), ("sum", "month"))
    project.sync()
    late = pd.concat([frame, frame.iloc[[10]].assign(at=pd.Timestamp("2026-03-05 10:00"))], ignore_index=True)
    late.to_parquet(project.folder / "files" / "events.parquet", index=False)
    finished(sync(project.open(), now=pd.Timestamp("2026-11-23 02:30", tz="UTC").to_pydatetime()))
    assert project.values("count_ever") == by_hand(late, "count", "", "day")
    assert project.values("sum_month") == pytest.approx(by_hand(late, "sum", "month", "day"))


def test_what_does_not_add_up_is_refused(project: Builder) -> None:
    start(project, rows(1), ("count", ""))
    project.kpi("typical", "type: cumulative\nmeasure: {dataset: events, agg: median, expr: amount}")
    project.kpi("windowed", "type: cumulative\nmeasure: {dataset: events, agg: count}\nwindow: 7 days")
    project.kpi("hourly", "type: cumulative\ngrain: hour\nmeasure: {dataset: events, agg: count}")
    project.kpi("of_ratio", "type: cumulative\nmeasure: share")
    project.kpi("share", "type: ratio\ndataset: events\nnumerator: {agg: count}\ndenominator: {agg: count}")
    project.sync()
    broken = {name: found[0].message for name, found in project.open().catalogue().broken.items()}
    assert "has no window" in broken["windowed"] and "counts in days" in broken["hourly"]
    assert "a cumulative's part is a simple KPI" in broken["of_ratio"]
    with pytest.raises(QueryRefused, match="does not add up"):
        project.ask("typical", facts=True)
