"""A real commit log replayed by arrival: months are restated as the published answers say (tests/data/*/SOURCE.md)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.conftest import Builder
from tests.sampling import cases

DATA = Path(__file__).resolve().parent.parent / "data" / "git_activity_datasette"
EXPECTED: dict[str, Any] = json.loads((DATA / "expected.json").read_text())["computed"]
DATASET = (
    "name: commits\nsource: commits\ntime_dimension: authored_at\nentity: author_id\nwatermark: sync\ndimensions: []\n"
)


RESTATED = [
    month for month, (a, b, c, d) in EXPECTED["late_arrival_by_utc_month"]["months"].items() if (a, c) != (b, d)
]


def replayed(project: Builder, months: list[str] | None) -> dict[str, str]:
    """Sync at the ends of these months (None = all, and the last) with what had arrived by then.

    Returns month → generation that was live then.
    """
    project.source("- {name: commits, type: files, table: commits, path: 'files/*.csv', load: append}")
    project.write("datasets", "commits", DATASET)
    human = "dataset: commits\nfilter: NOT is_bot\ngrain: month\ngrains: [month]\n"
    project.kpi("mau", human + "agg: count_distinct\nexpr: author_id")
    project.kpi("commits", human + "agg: count")
    rows = pd.read_csv(DATA / "commits.csv.gz")
    arrived = pd.to_datetime(rows["committed_at"], utc=True).dt.tz_convert("UTC")
    published = {}
    for month, part in rows.groupby(arrived.dt.strftime("%Y-%m")):
        part.to_csv(project.folder / "files" / f"{month}.csv", index=False)
        if months is not None and month not in (*months, arrived.max().strftime("%Y-%m")):
            continue
        end = pd.Timestamp(f"{month}-01", tz="UTC") + pd.DateOffset(months=1)
        result = project.sync(now=end.to_pydatetime())
        assert not result.failed, result.sources
        published[str(month)] = str(result.generation)
    return published


@pytest.mark.slow
@pytest.mark.parametrize("months", [RESTATED, None][: cases(fast=1, slow=1, full=2)], ids=str)
def test_months_are_restated_exactly_as_published(project: Builder, months: list[str] | None) -> None:
    published = replayed(project, months)
    expected = EXPECTED["late_arrival_by_utc_month"]["months"]
    final = {kpi: project.values(kpi) for kpi in ("mau", "commits")}
    changed = 0
    for month, (mau, mau_then, events, events_then) in expected.items():
        day = f"{month}-01"
        assert (final["mau"][day], final["commits"][day]) == (mau, events), month
        # Months in which nothing arrived have no generation of their own: the next one knew what they knew.
        generation = published.get(month)
        if generation is not None:
            then = [project.values(kpi, as_of=generation)[day] for kpi in ("mau", "commits")]
            assert then == [mau_then, events_then], month
            changed += mau != mau_then
    assert changed == EXPECTED["late_arrival_by_utc_month"]["months_where_mau_changed_later"] == 1


@pytest.mark.breadth(2)
@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Europe/Berlin", "Asia/Kolkata", "America/Los_Angeles"])
def test_daily_actives_in_each_zone(project: Builder, zone: str) -> None:
    project.settings(f"timezone: {zone}\n")
    project.source(f"- {{name: commits, type: files, table: commits, path: {DATA / 'commits.csv.gz'}}}")
    project.write("datasets", "commits", DATASET.replace("watermark: sync\n", ""))
    project.kpi(
        "dau", "dataset: commits\nfilter: NOT is_bot\nagg: count_distinct\nexpr: author_id\ngrains: [day, week, month]"
    )
    assert project.sync().sources[0].rows == EXPECTED["rows"] == 3402
    want = EXPECTED["by_tz"][zone]
    daily = project.ask("dau").frame
    days = daily[daily["value"] > 0]
    assert (len(days), int(days["value"].sum())) == (want["active_days"], want["sum_dau"])
    top = days.sort_values(["value", "period"], ascending=[False, True]).iloc[0]
    assert [f"{top['period']:%Y-%m-%d}", int(top["value"])] == want["max_dau"]
    assert int(project.ask("dau", grain="week").frame["value"].sum()) == want["sum_wau_monday"]
    assert int(project.ask("dau", grain="month").frame["value"].sum()) == want["sum_mau"]


def test_a_third_of_the_events_fall_on_another_day_where_they_were_made(project: Builder) -> None:
    project.source(
        f"- {{name: commits, type: files, table: commits, path: {DATA / 'commits.csv.gz'}, "
        "text_columns: [authored_at]}"
    )
    project.write(
        "datasets",
        "commits",
        "name: commits\ntime_dimension: local_at\nsql: >\n"
        "  SELECT *, CAST(left(authored_at, 19) AS TIMESTAMP) AS local_at,\n"
        "  CAST(authored_at AS TIMESTAMPTZ) AT TIME ZONE 'UTC' AS utc_at FROM commits\n",
    )
    project.kpi("dau", "dataset: commits\nfilter: NOT is_bot\nagg: count_distinct\nexpr: author_id\ngrains: [day]")
    project.kpi(
        "moved", "dataset: commits\nagg: count\nfilter: CAST(local_at AS DATE) <> CAST(utc_at AS DATE)\ngrains: [day]"
    )
    project.sync()
    assert project.values("moved", grain="total") == {"total": EXPECTED["rows_local_day_ne_utc_day"]} == {"total": 1164}
    daily = project.ask("dau").frame["value"]
    want = EXPECTED["by_tz"]["author_local"]
    assert (int((daily > 0).sum()), int(daily.sum())) == (want["active_days"], want["sum_dau"])
