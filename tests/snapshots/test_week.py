"""Weeks by their ISO name, whatever day a project's weeks start on; when a period is final."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest

from connectors.errors import KpiError, QueryRefused
from metrics.engine import periods
from metrics.engine.answer import answer
from metrics.engine.maturity import final_at
from metrics.engine.query import Query
from metrics.snapshots import week as weeks


@pytest.mark.parametrize(
    ("day", "name", "first"),
    [
        ("2026-11-16", "2026-W47", "2026-11-16"),
        ("2026-11-22", "2026-W47", "2026-11-16"),
        ("2026-01-01", "2026-W01", "2025-12-29"),
        ("2027-01-03", "2026-W53", "2026-12-28"),
        ("2024-12-31", "2025-W01", "2024-12-30"),
    ],
)
def test_a_day_lies_in_its_iso_week(day: str, name: str, first: str) -> None:
    found = weeks.of(pd.Timestamp(day))
    assert (found.name, f"{found.first}") == (name, first)
    assert weeks.named(name) == found and weeks.named(name.replace("-", "")) == found


@pytest.mark.parametrize("start", range(7))
def test_every_week_of_ten_years_has_a_name_of_its_own_that_leads_back(start: int) -> None:
    first = weeks.of(pd.Timestamp("2020-01-01"), start)
    found = [first.later(n) for n in range(530)]
    assert all(week.start.weekday() == start for week in found)
    assert len({week.name for week in found}) == 530 == len({week.start for week in found})
    assert [weeks.named(week.name, start) for week in found] == found
    assert [week.name for week in found] == sorted(week.name for week in found)


@pytest.mark.parametrize("text", ["", "2026", "2026-W54", "2026-W00", "W46", "2026-11-16", "2026-W4x"])
def test_what_is_no_week_is_refused_in_words(text: str) -> None:
    with pytest.raises(QueryRefused, match=r"is no week\nWrite a year and its ISO week, such as 2026-W46"):
        weeks.named(text)


def test_a_week_is_over_by_the_projects_clock() -> None:
    at = datetime(2026, 11, 23, 3, tzinfo=UTC)  # Sunday evening in New York
    assert weeks.last_over(at, "UTC").name == "2026-W47"
    assert weeks.last_over(at, "America/New_York").name == "2026-W46"
    assert weeks.named("2026-W47").ends_at("America/New_York").astimezone(UTC).hour == 5
    assert weeks.named("2026-W47", 6).first.isoformat() == "2026-11-15"  # from Sunday on: the one with that Thursday
    assert weeks.week_of("2026-W47") == "16–22 Nov 2026"


def test_a_period_is_final_exactly_when_the_engine_calls_it_complete(demo_world: Any) -> None:
    catalogue, reader = demo_world.catalogue, demo_world.reader
    states = reader.dataset_states(reader.generation.sequence)
    seen = 0
    for name, kpi in catalogue.kpis.items():
        for grain in kpi.offered_grains:
            try:
                frame = answer(Query(name, grain), catalogue, reader).frame
            except KpiError:
                continue
            marks = [states[d].watermark for d in catalogue.datasets_of(kpi)]
            mark = min(periods.on_clock(at, grain, catalogue.timezone) for at in marks)
            tail = frame[frame["period"] >= frame.loc[frame["complete"], "period"].min()].tail(40)  # whole ones
            by_rule = [final_at(kpi, period, grain, catalogue) <= mark for period in tail["period"]]
            assert by_rule == list(tail["complete"]), (name, grain)
            seen += len(tail)
    assert seen > 500
