"""What must hold between answers, of every type: what adds up adds up, and what does not is added nowhere."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from metrics.engine.query import Filter
from metrics.kpi_views.kpi_page import kpi_page
from metrics.presentation import export
from metrics.presentation.format import period_text
from tests.conftest import NOW, Builder
from tests.engine.followed import KPIS as FOLLOWED
from tests.engine.followed import draw

pytestmark = pytest.mark.breadth(12)

KPIS = {
    **{n: t for n, t in FOLLOWED.items() if n not in ("lowest", "csat", "stays", "to_pay")},
    "n": "dataset: events\nagg: count",
    "total": "dataset: events\nagg: sum\nexpr: amount",
    "people": "dataset: events\nagg: count_distinct\nexpr: user_id",
    "share": "type: ratio\nnumerator: {dataset: events, agg: count, filter: kind = 'buy'}\n"
    "denominator: {dataset: events, agg: count}",
    "arpu": "type: ratio\nnumerator: total\ndenominator: people",
    "sum_7": "dataset: events\nagg: sum\nexpr: amount\nwindow: 7 days",
    "to_date": "type: cumulative\nmeasure: {dataset: events, agg: count}\ngrain_to_date: month",
    "gap": "type: derived\nexpr: '{day_3} - {convert}'",
    "twice": "type: derived\nexpr: '2 * {typical} + {n} * 0'",
}


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Builder]:
    found = {}
    for zone in ("UTC", "Pacific/Auckland"):
        project = Builder(tmp_path_factory.mktemp("algebra") / "project")
        project.settings(f"timezone: {zone}\n")
        for name, rows in draw(5).items():
            frame = pd.DataFrame(rows)
            if name == "payments":
                frame["at"] = frame["at"].dt.date
            dims = {} if name == "payments" else {"dimensions": "[platform]"}
            project.rows(name, frame, entity="user_id", primary_key="event_id", **dims)
        for name, text in KPIS.items():
            if zone == "UTC" or name in ("n", "total"):
                project.kpi(name, text + ("" if name == "sticky" else "\ngrains: [day, week]"))
        project.sync()
        found[zone] = project
    return found


@pytest.fixture
def project(projects: dict[str, Builder]) -> Builder:
    return projects["UTC"]


# Of weeks only; and those that these few rows make add up by chance, which would say nothing.
LEFT_OUT = ("sticky", "convert_count", "attempts", "ces")


@pytest.mark.breadth(4)
@pytest.mark.parametrize("name", [k for k in KPIS if k not in LEFT_OUT])
def test_segments_add_up_where_they_may(project: Builder, name: str) -> None:
    kind = project.open().catalogue().kpi(name).additivity
    whole = project.values(name)
    parts: dict[str, list[float | None]] = {}
    for (_, period), value in project.values(name, by="platform").items():
        parts.setdefault(period, []).append(value)
    known = {p: v for p, v in whole.items() if v is not None}
    sums = {p: sum(v for v in parts[p] if v is not None) for p in known}
    if kind in ("additive", "semi-additive") and name not in ("balance",):
        assert sums == pytest.approx(known), name
    elif name == "balance":  # an entity has one balance in a period, in one segment
        assert sums == pytest.approx(known)
    else:
        assert sums != pytest.approx(known), f"{name} adds up by chance: the test says nothing"


def test_non_additive_totals_are_counted_anew_everywhere(project: Builder) -> None:
    rows = pd.DataFrame(draw(5)["events"])
    people = int(rows["user_id"].nunique())
    assert project.values("people", grain="total") == {"total": people}
    daily = [v for v in project.values("people").values() if v is not None]
    assert sum(daily) > 2 * people  # what a sum of days would have said
    weeks = {p: v for p, v in project.values("people", grain="week").items() if v is not None}
    monday = rows["at"].dt.normalize() - pd.to_timedelta(rows["at"].dt.day_of_week, unit="D")
    assert weeks == {f"{w:%Y-%m-%d}": n for w, n in rows.groupby(monday)["user_id"].nunique().items()}
    page = kpi_page(project.open().context(NOW), "people", grain="week", range_="all")
    assert {t for line in page.chart.lines for t in line.name.split()} == {"People"}  # no line that adds them up
    assert not any("total" in str(cell).lower() for cell in page.table.to_numpy().ravel())
    for name in ("people", "funnel", "week_1", "nps", "typical", "balance"):
        csv = export.as_csv(project.ask(name, by="platform"))
        assert "total" not in csv.lower(), name
        reader = project.open().reader()
        stored = reader.stored_values(name, "day", "platform", reader.generation.sequence)
        assert stored is not None and set(stored.frame["segment"]) <= {"web", "ios", "(none)"}


@pytest.mark.parametrize("name", ["share", "arpu", "convert", "funnel", "attempts", "day_3", "week_1", "nps"])
@pytest.mark.parametrize("grain", ["day", "week", "total"])
def test_a_rate_is_its_parts_at_every_grain(project: Builder, name: str, grain: str) -> None:
    frame = project.ask(name, grain=grain, end=pd.Timestamp("2026-10-25").date(), facts=True).frame
    known = frame[frame["value"].notna()]
    assert len(known)
    factor = 100 if name == "nps" else 1
    for row in known.to_dict("records"):
        assert row["value"] == pytest.approx(factor * row["numerator"] / row["denominator"])
    assert frame.loc[frame["denominator"] == 0, "value"].isna().all()


def test_attempts_of_days_add_up_to_those_of_weeks(project: Builder) -> None:
    daily = project.ask("attempts").frame
    daily["week"] = daily["period"] - pd.to_timedelta(daily["period"].dt.day_of_week, unit="D")
    weekly = project.ask("attempts", grain="week").frame.set_index("period")
    for week, part in daily[daily["complete"]].groupby("week"):
        if len(part) == 7 and weekly.loc[week, "complete"]:
            assert (part["numerator"].sum(), part["denominator"].sum()) == (
                weekly.loc[week, "numerator"],
                weekly.loc[week, "denominator"],
            )


def test_unknown_stays_unknown_through_derived_kpis(project: Builder) -> None:
    gap, parts = project.values("gap"), [project.values(n) for n in ("day_3", "convert")]
    unknown = {p for p in gap if any(values.get(p) is None for values in parts)}
    assert unknown and {p for p, v in gap.items() if v is None} == unknown
    typical, twice = project.values("typical"), project.values("twice")
    assert {p for p, v in typical.items() if v is None} == {p for p, v in twice.items() if v is None}


def test_another_zone_moves_events_and_loses_none(projects: dict[str, Builder]) -> None:
    rows = pd.DataFrame(draw(5)["events"])
    days = [{p: v for p, v in project.values("n").items() if v} for project in projects.values()]
    assert days[0] != days[1]
    for project, found in zip(projects.values(), days, strict=True):
        assert sum(found.values()) == len(rows) == project.values("n", grain="total")["total"]
        assert project.values("total", grain="total")["total"] == pytest.approx(rows["amount"].sum())


def test_young_cohorts_are_unknown_in_query_page_and_csv(project: Builder) -> None:
    """A day-3 retention of one-day-old cohorts is unknown, not low."""
    series = project.ask("day_3")
    rows: list[dict[str, Any]] = export.as_dict(series)["rows"]
    young = rows[-3:]
    assert all(r["value"] is None and r["complete"] is False and r["curve"]["counts"][3] is None for r in young)
    assert all(r["denominator"] == r["n"] for r in young)  # who started is known
    page = kpi_page(project.open().context(NOW), "day_3", range_="all")
    top = page.table.iloc[0]
    assert (top["Day 3"], top["Numerator"], top["Complete"]) == ("–", "–", "not yet")
    assert page.chart.periods[-1] == pd.Timestamp(next(r["period"] for r in reversed(rows) if r["complete"]))
    assert "4 days are not complete yet" in page.chart.note
    line = page.csv.splitlines()[-1].split(",")
    assert line[1] == "" and line[5] == "false"
    last = next(r["period"] for r in reversed(rows) if r["complete"])
    assert page.card.period == period_text(pd.Timestamp(last), "day", NOW.year)  # the number is a ripe period's
    filtered = project.ask("day_3", where=(Filter("platform", ("web",)),)).frame
    assert filtered["value"].iloc[-3:].isna().all()
