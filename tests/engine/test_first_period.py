"""The first period: complete only where all of it was observed, by its first row or by what the source states."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.alerts.replay import replay
from metrics.kpi_views.card import card
from metrics.kpi_views.kpi_page import kpi_page
from tests.conftest import Builder, known
from tests.sampling import sampled
from tests.snapshots.conftest import take

pytestmark = pytest.mark.breadth(4)

NOW = datetime(2026, 4, 1, 2, tzinfo=UTC)
THURSDAY = pd.Timestamp("2026-01-08 10:30")
LONG = "grain: week\ngrains: [week, month]"
TYPES = {
    "simple": f"dataset: acts\nagg: count\n{LONG}",
    "filtered": f"dataset: acts\nagg: count\nfilter: kind = 'buy'\n{LONG}",
    "mean": f"dataset: acts\nagg: avg\nexpr: amount\n{LONG}",
    "windowed": "dataset: acts\nagg: count\nwindow: 2 days\ngrains: [day, week, month]",
    "balance": f"dataset: acts\nagg: sum\nexpr: amount\nsemi_additive: {{pick: last}}\n{LONG}",
    "ratio": f"type: ratio\nnumerator: filtered\ndenominator: simple\n{LONG}",
    "derived": f"type: derived\nexpr: '{{simple}} - {{filtered}}'\n{LONG}",
    "cumulative": "type: cumulative\ndataset: acts\nmeasure: {agg: count}\ngrains: [day, week, month]",
    "conversion": f"type: conversion\ndataset: acts\nbase: kind = 'view'\nconversion: kind = 'buy'\n{LONG}",
    "late": f"type: conversion\ndataset: acts\nbase: kind = 'view'\nconversion: kind = 'buy'\nwindow: 2 days\n{LONG}",
    "funnel": f"type: funnel\ndataset: acts\n{LONG}\n"
    "steps: [{name: v, filter: kind = 'view'}, {name: b, filter: kind = 'buy'}]",
    "retention": f"type: retention\ndataset: acts\nunit: day\nat: 1\ncurve: 3\n{LONG}",
    "sticky": "type: stickiness\ndataset: acts\nlong: week\ngrain: week",
    "survey": f"type: survey\ndataset: acts\nscore: score\n{LONG}",
    "sql": "type: sql\ndataset: acts\ngrain: week\nsql: SELECT date_trunc('week', at) AS period, count(*) AS value "
    "FROM acts GROUP BY ALL",
}


def acts(start: pd.Timestamp, days: int = 62) -> pd.DataFrame:
    """A view and a purchase a day, the purchases from the fifth day on."""
    rows = []
    for i in range(days):
        at = start + pd.Timedelta(days=i)
        who = {"user_id": i % 7, "amount": float(i % 5), "score": i % 11, "plan": "ab"[i % 2]}
        rows.append({"at": at, "kind": "view", **who})
        if i > 4:
            rows.append({"at": at + pd.Timedelta(hours=1), "kind": "buy", **who})
    return pd.DataFrame(rows)


def state(project: Builder, since: str, source: str = "acts") -> None:
    """Say in sources.yml from when on a source was observed."""
    path = project.folder / "sources.yml"
    lines = path.read_text().splitlines()
    at = next(i for i, line in enumerate(lines) if f"name: {source}," in line)
    lines[at] = f"{lines[at].split(', since:')[0].rstrip('}')}{f', since: {since}' if since else ''}}}"
    path.write_text("\n".join(lines) + "\n")


def made(
    project: Builder, start: pd.Timestamp = THURSDAY, since: str = "", kpis: tuple[str, ...] = tuple(TYPES)
) -> Builder:
    project.rows("acts", acts(start), entity="user_id", dimensions="[plan]", watermark="whole_days")
    for name in kpis:
        project.kpi(name, TYPES[name])
    if since:
        state(project, since)
    project.sync(NOW)
    return project


def done(project: Builder, kpi: str, **options: Any) -> dict[str, bool]:
    frame = project.ask(kpi, **options).frame
    return {f"{row['period']:%Y-%m-%d}": bool(row["complete"]) for row in frame.to_dict("records")}


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> tuple[Builder, Builder]:
    """Data from a Thursday on; the same where its source says that it was observed since Monday. Read only."""
    folder = tmp_path_factory.mktemp("first")
    return made(Builder(folder / "silent")), made(Builder(folder / "stated"), since="2026-01-05")


@pytest.mark.breadth(4)
@pytest.mark.parametrize("kpi", TYPES)
def test_every_type_has_an_incomplete_first_week_and_a_whole_second(worlds: tuple[Builder, Builder], kpi: str) -> None:
    weeks: dict[str, Any] = {"grain": "week", "start": date(2025, 12, 29), "end": date(2026, 2, 2)}
    project, stated = worlds
    for facts in (False, True):
        for by in [None, *(["plan"] if kpi != "sql" else [])]:
            found = done(project, kpi, facts=facts, by=by, **weeks)
            assert found == {
                "2025-12-29": False, "2026-01-05": False, "2026-01-12": True, "2026-01-19": True, "2026-01-26": True,
            }, (facts, by)  # fmt: skip
    if kpi not in ("sticky", "sql"):
        assert not done(project, kpi, grain="month")["2026-01-01"] and done(project, kpi, grain="month")["2026-02-01"]
    assert done(stated, kpi, **weeks)["2026-01-05"] and done(stated, kpi, facts=True, **weeks)["2026-01-05"]


def test_days_and_the_hour_of_the_first_row_are_whole(project: Builder) -> None:
    project.kpi("n", "dataset: acts\nagg: count\ngrain: hour\ngrains: [hour, day, week, month, quarter, year]")
    made(project, kpis=())
    assert done(project, "n", grain="day")["2026-01-08"]
    hours = project.ask("n", grain="hour").frame.iloc[0]
    assert hours["complete"] and hours["period"] == pd.Timestamp("2026-01-08 10:00")
    for grain in ("week", "month", "quarter", "year"):
        assert not project.ask("n", grain=grain).frame["complete"].iloc[0], grain
    state(project, "2026-01-01T00:00:00Z")
    project.sync(NOW)
    for grain in ("hour", "day", "week", "month"):
        row = project.ask("n", grain=grain).frame.iloc[0]
        assert bool(row["complete"]) == (grain != "week"), grain
        assert f"{row['period']:%m-%d %H}" == ("12-29 00" if grain == "week" else "01-01 00")
    assert project.values("n", grain="day")["2026-01-03"] == 0, "observed without a row"


def test_it_is_the_first_row_of_the_data_not_the_first_match_of_the_kpi(project: Builder) -> None:
    made(project, pd.Timestamp("2026-01-05 09:00"), kpis=("filtered",))
    assert done(project, "filtered", grain="week")["2026-01-05"], "purchases began on Saturday, the data on Monday"


def test_a_stated_moment_is_taken_at_its_word_also_where_rows_are_earlier(project: Builder) -> None:
    made(project, pd.Timestamp("2026-01-05 09:00"), since="2026-01-13T12:00:00", kpis=("simple", "windowed"))
    days = done(project, "windowed", grain="day")
    assert [days[f"2026-01-{day}"] for day in (12, 13, 14, 15)] == [False, False, False, True]
    found = project.values("simple", grain="week")
    assert done(project, "simple", grain="week") == {w: "2026-01-19" <= w < "2026-03-02" for w in found}
    assert found["2026-01-05"] == 9, "what is there is counted"


def test_a_change_against_an_incomplete_first_period_is_unknown(project: Builder) -> None:
    frame = made(project, kpis=("simple",)).ask("simple", compare="previous_period", grain="week").frame
    assert pd.isna(frame["change"].iloc[1]) and frame["comparison"].notna().iloc[1]
    assert frame["change"].iloc[3] == pytest.approx(0)
    last_year = acts(pd.Timestamp("2025-01-09 10:30"), 430)
    last_year.to_parquet(project.folder / "files" / "acts.parquet", index=False)
    project.sync(NOW)
    frame = project.ask("simple", compare="same_period_last_year", grain="week").frame.set_index("period")
    assert pd.isna(frame.loc["2026-01-05", "change"]) and pd.notna(frame.loc["2026-01-12", "change"])
    month = project.ask("simple", compare="same_period_last_year", grain="month").frame.set_index("period")
    assert pd.isna(month.loc["2026-01-01", "change"]) and pd.notna(month.loc["2026-02-01", "change"])


def test_to_date_has_no_change_against_days_that_were_not_observed(project: Builder) -> None:
    project.rows("acts", acts(pd.Timestamp("2026-03-05 10:00"), 45), watermark="whole_days")
    project.kpi("n", "dataset: acts\nagg: count\ngrain: month")
    now = datetime(2026, 4, 19, 2, tzinfo=UTC)
    project.sync(now)
    assert pd.isna(project.ask("n", compare="to_date").frame["change"].iloc[-1])
    assert kpi_page(project.open().context(now), "n").so_far == ""


def test_a_total_is_complete_only_where_all_of_it_was_observed(project: Builder) -> None:
    made(project, kpis=("simple",))
    total: dict[str, Any] = {"grain": "total", "end": date(2026, 2, 1)}
    assert project.ask("simple", **total).frame["complete"].all()
    assert project.ask("simple", start=date(2026, 1, 8), **total).frame["complete"].all()
    assert not project.ask("simple", start=date(2026, 1, 5), **total).frame["complete"].any()


def test_people_who_could_not_be_seen_to_follow_are_unknown(project: Builder) -> None:
    people = pd.DataFrame({"at": [pd.Timestamp("2026-01-01") + timedelta(days=i) for i in range(70)]})
    project.rows("people", people.assign(user_id=people.index % 7), entity="user_id", watermark="whole_days")
    rest = "dataset: people\ngrain: week\n"
    project.kpi("paid", f"type: conversion\nconversion: {{dataset: acts}}\nwindow: 3 days\n{rest}")
    project.kpi(
        "back", f"type: retention\nreturn: {{dataset: acts}}\ncohort: recurring\nunit: week\nat: 1\ncurve: 3\n{rest}"
    )
    made(project, pd.Timestamp("2026-02-12 10:00"), kpis=())
    for facts in (False, True):
        values = project.values("paid", facts=facts)
        assert values["2026-01-26"] is None and values["2026-02-16"] == 1
        assert next(w for w, whole in done(project, "paid", facts=facts).items() if whole) == "2026-02-16"
        frame = project.ask("back", facts=facts).frame.set_index("period")
        assert pd.isna(frame.loc["2026-01-26", "value"]) and frame.loc["2026-02-16", "complete"]
        assert pd.isna(frame.loc["2026-02-02", "value"]), "its week 1 was observed from Thursday on"


def test_the_card_the_chart_and_the_table_say_it(project: Builder) -> None:
    made(project, kpis=("simple",))
    page = kpi_page(project.open().context(NOW), "simple", range_="all", compare="none")
    assert list(page.table["Complete"]) == ["not yet", *["yes"] * 8, "in part"], page.table
    assert "Left out: its first week is not whole, its data begin on Thu 8 Jan 2026." in page.chart.note
    (project.folder / "files" / "acts.parquet").unlink()
    acts(THURSDAY, 3).to_parquet(project.folder / "files" / "acts.parquet", index=False)
    project.sync(NOW)
    assert card(project.open().context(NOW), "simple").period == "no complete period"


def test_rules_records_and_snapshots_leave_the_first_period_out(project: Builder) -> None:
    alerts = "alerts: [{name: low, thresholds: {critical: '< 10'}}]\nowner: ana@example.com"
    project.kpi("n", f"dataset: acts\nagg: count\ngrain: week\n{alerts}")
    made(project, kpis=())
    assert [row["period"] for row in replay(project.open(), "n")] == []
    line = known(take(project, "2026-W03", now=NOW).line("n"))
    assert (line.period, line.change_text, line.before) == ("2026-01-12", "", None)
    assert [point.period for point in line.weeks] == [date(2026, 1, 12)]


def test_an_earlier_row_or_another_statement_changes_what_is_stored(project: Builder) -> None:
    made(project, kpis=("simple",))
    assert not done(project, "simple", grain="week")["2026-01-05"]
    acts(pd.Timestamp("2026-01-05"), 63).to_parquet(project.folder / "files" / "acts.parquet", index=False)
    project.sync(NOW)
    project.settings("timezone: UTC\n")
    assert done(project, "simple", grain="week")["2026-01-05"]
    state(project, "2026-01-07")
    assert project.sync(NOW).published
    project.settings("timezone: UTC\n")
    assert not done(project, "simple", grain="week")["2026-01-05"]


@pytest.mark.parametrize("since", ["yesterday", "2026-13-01", "[2026-01-01]"])
def test_a_statement_that_is_no_day_is_told_with_its_line(project: Builder, since: str) -> None:
    project.rows("acts", acts(THURSDAY))
    state(project, since)
    problems = project.open().sources.read()[1]
    assert problems and problems[0].line == 1 and ("since" in problems[0].message or "date" in problems[0].message)


first_days = st.fixed_dictionaries(
    {
        "zone": st.sampled_from(["UTC", "America/New_York", "Asia/Kolkata", "Pacific/Auckland"]),
        "sunday": st.booleans(),
        "minutes": st.integers(0, 40 * 24 * 60),
        "since": st.none() | st.integers(-20, 50),
        "dated": st.booleans(),
    }
)


@sampled(fast=3, slow=9, full=200)
@given(drawn=first_days)
def test_complete_by_hand_for_any_first_row(tmp_path_factory: pytest.TempPathFactory, drawn: dict[str, Any]) -> None:
    """Stored or counted, asked from long before: whole and over, on the project's clock."""
    zone, first = ZoneInfo(drawn["zone"]), datetime(2025, 12, 20, tzinfo=UTC) + timedelta(minutes=drawn["minutes"])
    project = Builder(Path(tmp_path_factory.mktemp("first")) / "project")
    project.settings(f"timezone: {drawn['zone']}\nweek_start: {'sunday' if drawn['sunday'] else 'monday'}\n")
    moments = pd.Series([first + timedelta(days=9 * i) for i in range(9)])
    local_first = first.astimezone(zone)
    moments = moments.dt.tz_convert(zone).dt.date if drawn["dated"] else moments.dt.tz_localize(None)
    project.rows("acts", pd.DataFrame({"at": moments}))
    grains = ["day", "week", "month"] if drawn["dated"] else ["hour", "day", "week", "month"]
    project.kpi("n", f"dataset: acts\nagg: count\ngrain: day\ngrains: [{', '.join(grains)}]")
    begin = local_first.replace(tzinfo=None)
    if drawn["since"] is not None:
        stated = date(2025, 12, 20) + timedelta(days=drawn["since"])
        state(project, f"{stated}")
        begin = datetime.combine(stated, datetime.min.time())
    project.sync(NOW)
    mark = known(project.open().reader().dataset_states(1)["acts"].watermark)
    for grain in grains:
        clock = ZoneInfo("UTC") if grain == "hour" else zone
        whole_from = (first if grain == "hour" else begin.replace(tzinfo=zone)).astimezone(clock).replace(tzinfo=None)
        if drawn["since"] is not None:
            whole_from = begin.replace(tzinfo=zone).astimezone(clock).replace(tzinfo=None)
        elif grain == "hour":
            whole_from = whole_from.replace(minute=0, second=0)
        else:
            whole_from = datetime.combine(whole_from.date(), datetime.min.time())
        until = mark.astimezone(clock).replace(tzinfo=None)
        for facts in (False, True):
            frame = project.ask("n", grain=grain, start=date(2025, 11, 25), facts=facts).frame
            steps = {"hour": pd.Timedelta(hours=1), "day": pd.Timedelta(days=1), "week": pd.Timedelta(days=7)}
            for row in frame.to_dict("records"):
                end = row["period"] + steps.get(grain, pd.DateOffset(months=1))
                assert bool(row["complete"]) == (row["period"] >= whole_from and end <= until), (grain, facts, row)
