"""Pacing of the running day against sums by hand."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd

from metrics.kpi_views.today import today_so_far
from tests.conftest import Builder


def test_the_running_day_against_the_same_hours_of_four_weekdays(project: Builder) -> None:
    project.settings("timezone: Europe/Berlin\n")
    hours = pd.date_range("2026-09-01", "2026-11-23 13:30", freq="30min", tz="UTC")
    values = [float(1 + (i * 7) % 11) for i in range(len(hours))]
    frame = pd.DataFrame({"at": hours, "v": values})
    project.rows("events", frame, watermark="data")
    project.kpi("k", "dataset: events\nagg: sum\nexpr: v\ngrain: day\ngrains: [hour, day]")
    project.kpi("people", "dataset: events\nagg: count_distinct\nexpr: v\ngrain: day\ngrains: [hour, day]")
    now = datetime(2026, 11, 23, 15, tzinfo=UTC)
    project.sync(now)
    opened = project.open()
    context = opened.context(now)
    # The watermark is 13:30 UTC, so 14:00 in Berlin is the end of the last whole hour.
    local = frame.assign(at=frame["at"].dt.tz_convert("Europe/Berlin").dt.tz_localize(None))

    def by_two(day: str) -> float:
        start = pd.Timestamp(day)
        return float(local[(local["at"] >= start) & (local["at"] < start + pd.Timedelta(hours=14))]["v"].sum())

    so_far = by_two("2026-11-23")
    usual = sum(by_two(d) for d in ("2026-11-16", "2026-11-09", "2026-11-02", "2026-10-26")) / 4
    told = today_so_far(context, context.catalogue.kpi("k"))
    change = f"{abs(so_far / usual - 1) * 100:.1f}%"
    assert told.startswith(f"Mon 23 Nov so far, to 14:00: {so_far:,.0f}, against ") and change in told, (told, usual)
    assert "by then on the 4 Mondays before" in told
    assert today_so_far(context, context.catalogue.kpi("people")) == "", (
        "people who came twice do not add up over hours"
    )
