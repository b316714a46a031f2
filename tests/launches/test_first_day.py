"""A launch's day is a day of the project's zone, whatever the day is in UTC."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import pytest

from jobs.launches.board import board, list_rows
from jobs.launches.scorecards import card_of
from tests.conftest import Builder
from tests.launches.conftest import launch

# Zone → the last minute of UTC before the launch's day (10 November) begins there, and a minute of that day.
BEGINS = {
    "Pacific/Auckland": ("2026-11-09T10:59", "2026-11-09T11:00"),
    "UTC": ("2026-11-09T23:59", "2026-11-10T00:00"),
    "America/Los_Angeles": ("2026-11-10T07:59", "2026-11-10T08:00"),
}


@pytest.mark.parametrize("zone", BEGINS)
def test_a_launch_begins_when_its_day_does(project: Builder, zone: str) -> None:
    project.settings(f"timezone: {zone}\nname: Shop\n")
    project.rows("events", pd.DataFrame({"at": pd.date_range("2026-10-01", "2026-11-08", freq="D")}))
    project.kpi("n", "dataset: events\nagg: count\ngrains: [day]")
    launch(project, "on: 2026-11-10\nsuccess: [{kpi: n}]", name="new")
    before, on_the_day = (datetime.fromisoformat(at).replace(tzinfo=UTC) for at in BEGINS[zone])
    project.sync(now=before)
    opened = project.open()
    assert [list_rows(opened, now=at)[0]["phase"] for at in (before, on_the_day)] == ["planned", "started"]
    assert [card_of(opened, "new", now=at).phase for at in (before, on_the_day)] == ["planned", "running"]
    assert [board(opened, now=at).today.day for at in (before, on_the_day)] == [9, 10]
