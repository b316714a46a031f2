"""What has no exact answer is refused: with a code, a place, and what to write instead. Never approximated."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from connectors.errors import KpiError, Problem, QueryRefused
from metrics.engine.query import Filter
from tests.conftest import Builder

DISTINCT = "dataset: events\nagg: count_distinct\nexpr: user_id\n"
STEPS = "steps: [{name: a}, {name: b, dataset: bare}]\n"
# What is written → its code, the line of the file, a word of the reason, a word of what to do.
WRITTEN = {
    "sum of daily people over weeks": (DISTINCT + "period_agg: sum", "wrong_value", 5, "not added up", "counts once"),
    "rolling sum of daily people": (
        DISTINCT + "transforms:\n  - rolling: {periods: 7, agg: sum}",
        "adds_up",
        6,
        "do not add up",
        "window",
    ),
    "running total of daily people": (
        DISTINCT + "transforms: [cumulative]",
        "adds_up",
        5,
        "do not add up",
        "cumulative",
    ),
    "hours of a window": (DISTINCT + "window: 7 days\ngrain: hour", "wrong_value", 0, "no hour grain", "grain: day"),
    "hours of a window, offered": (DISTINCT + "window: 7 days\ngrains: [hour, day]", "grain", 6, "whole days", "day"),
    "a funnel across datasets without an entity": (
        f"type: funnel\ndataset: events\nwindow: 7 days\n{STEPS}",
        "no_entity",
        5,
        "nobody to follow",
        "entity",
    ),
    "entities of two types": (
        "type: conversion\ndataset: events\nconversion: {dataset: named}",
        "entity_types",
        1,
        "differ",
        "text_columns",
    ),
    "strict steps in two datasets": (
        "type: funnel\ndataset: events\norder: strict\nsteps: [{name: a}, {name: b, dataset: named}]",
        "wrong_value",
        0,
        "one dataset",
        "sequential",
    ),
    "months counted from a start": (
        "type: retention\ndataset: events\nunit: month\nat: 1\ncount_from: start",
        "wrong_value",
        0,
        "no fixed length",
        "calendar",
    ),
    "weeks of months": (
        "type: stickiness\ndataset: events\nshort: week\nlong: month",
        "wrong_value",
        0,
        "whole",
        "day",
    ),
    "a ratio of ratios": (
        "type: ratio\nnumerator: share\ndenominator: share",
        "wrong_part",
        3,
        "simple KPI",
        "derived",
    ),
    "balances of nobody": (
        "dataset: bare\nagg: sum\nexpr: amount\nsemi_additive: {pick: last}",
        "no_entity",
        5,
        "whose",
        "per",
    ),
    "balances over a window": (
        DISTINCT + "window: 7 days\nsemi_additive: {pick: last}",
        "wrong_value",
        0,
        "do not go together",
        "window",
    ),
}


@pytest.fixture
def events(project: Builder) -> Builder:
    at = pd.date_range("2026-10-01", periods=60, freq="12h")
    frame = pd.DataFrame(
        {"at": at, "user_id": [i % 7 for i in range(60)], "amount": 1.0, "team": [i % 4 for i in range(60)]}
    )
    project.rows("events", frame, entity="user_id", dimensions="[team]")
    project.write("datasets", "bare", "name: bare\nsource: events\ntime_dimension: at\n")
    project.rows("named", frame.assign(user_id="u"), entity="user_id")
    project.kpi(
        "share", "type: ratio\nnumerator: {dataset: events, agg: count}\ndenominator: {dataset: events, agg: count}"
    )
    return project


@pytest.mark.breadth(2)
@pytest.mark.parametrize("what", sorted(WRITTEN))
def test_definitions_that_cannot_be_exact(events: Builder, what: str) -> None:
    body, code, line, reason, instead = WRITTEN[what]
    events.sync()
    events.kpi("x", body)
    problems: list[Problem] = [p for p in events.open().catalogue().problems if p.file.endswith("x.yml")]
    found = [p for p in problems if p.code == code and reason in p.message]
    assert found, problems
    assert instead in found[0].hint and (not line or found[0].line == line), found[0]
    assert "x" in events.open().catalogue().broken


def asked(events: Builder, body: str, **options: Any) -> Callable[[], Any]:
    events.kpi("x", body)
    events.sync()
    return lambda: events.ask("x", **options)


QUESTIONS: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "dormant over a whole range": ("type: lifecycle\ndataset: events", {"grain": "total"}, "period before", "grain"),
    "a month's stickiness by the quarter": (
        "type: stickiness\ndataset: events\ngrains: [month, quarter]",
        {"grain": "quarter"},
        "another KPI",
        "period_agg",
    ),
    "weeks of a SELECT by the day": (
        "type: sql\ndataset: events\ngrain: day\ngrains: [day, week]\n"
        'sql: SELECT "at" AS period, amount AS value FROM events',
        {"grain": "week"},
        "no exact one",
        "period_agg",
    ),
    "a running median": (
        "type: cumulative\nmeasure: {dataset: events, agg: median, expr: amount}",
        {"facts": True},
        "does not add up",
        "count_distinct",
    ),
    "hours of a running count": (
        "type: cumulative\ngrains: [hour, day]\nmeasure: {dataset: events, agg: count}",
        {"grain": "hour"},
        "no hour grain",
        "day",
    ),
    "a week's offset in months": (
        "type: derived\ngrain: month\nexpr: '{share} / {share} offset 1 week'",
        {"facts": True},
        "no whole number",
        "offset",
    ),
    "a dimension that one part lacks": (
        "type: ratio\nnumerator: {dataset: events, agg: count}\ndenominator: {dataset: named, agg: count}",
        {"by": "team"},
        "unknown dimension",
        "",
    ),
}


@pytest.mark.breadth(2)
@pytest.mark.parametrize("what", sorted(QUESTIONS))
def test_questions_that_have_no_exact_answer(events: Builder, what: str) -> None:
    body, options, reason, instead = QUESTIONS[what]
    with pytest.raises(KpiError) as refused:
        asked(events, body, **options)()
    assert refused.value.code in ("refused", "unknown_name")
    assert reason in refused.value.message and instead in refused.value.hint, refused.value


FAR = [
    ("2026-01-01", "9999-12-31", "9999-12-31 is too far away"),
    ("2026-01-01", "9900-01-02", "9900-01-02 is too far away"),
    ("0001-01-01", "2026-12-01", "0001-01-01 is too far away"),
]


@pytest.mark.breadth(2)
@pytest.mark.parametrize("grain", ["hour", "day", "week", "month", "quarter", "year", "total"])
def test_ranges_that_reach_to_where_there_are_no_dates_are_refused(events: Builder, grain: str) -> None:
    """And the farthest that are taken have an answer, whatever the grain: none is an error of ours."""
    events.kpi("x", "dataset: events\nagg: count\ngrains: [hour, day, week, month, quarter, year]")
    events.sync()
    for start, end, words in FAR:
        if grain == "total":  # has no period
            found = events.ask("x", grain=grain, start=date.fromisoformat(start), end=date.fromisoformat(end))
            assert found.frame["value"].sum() == 60
            continue
        with pytest.raises(QueryRefused, match=words) as refused:
            events.ask("x", grain=grain, start=date.fromisoformat(start), end=date.fromisoformat(end))
        assert "leave `start` and `end` out" in refused.value.hint
    most = {"hour": 200_000, "day": 200_000}.get(grain)
    for first, last in ((date(1000, 1, 1), date(2027, 1, 1)), (date(2026, 1, 1), date(9900, 1, 1))):
        if most is not None:
            with pytest.raises(QueryRefused, match=f"{grain}s; 200,000 are the most") as refused:
                events.ask("x", grain=grain, start=first, end=last)
            assert "longer grain" in refused.value.hint
        elif grain in ("quarter", "year", "total"):
            found = events.ask("x", grain=grain, start=first, end=last).frame
            assert found["value"].sum() == 60
    few = events.ask("x", grain=grain, start=date(2026, 1, 1), end=date(2027, 1, 1)).frame
    assert few["value"].sum() == 60


def test_a_join_that_multiplies_rows_is_refused_where_it_is_needed(events: Builder) -> None:
    """A ratio with fan-out: each order of a person with two plans would count twice."""
    people = pd.DataFrame({"user_id": [0, 1, 2, 3, 3], "plan": list("ababa"), "at": pd.Timestamp("2026-09-01")})
    events.rows("people", people, primary_key="user_id", dimensions="[plan]")
    events.write(
        "datasets",
        "orders",
        "name: orders\nsource: events\ntime_dimension: at\nentity: user_id\njoin: [{dataset: people, by: user_id}]\n",
    )
    events.kpi(
        "x",
        "type: ratio\nnumerator: {dataset: orders, agg: sum, expr: amount}\ndenominator: {dataset: orders, agg: count}",
    )
    result = events.sync()
    (problem,) = [p for p in result.problems if p.level == "error"]
    assert problem.code == "refused" and "user_id '3' has 2 rows in people" in problem.message
    assert "one row for each user_id" in problem.hint
    ways: tuple[dict[str, Any], ...] = ({"by": "plan"}, {"grain": "total", "where": (Filter("plan", ("a",)),)})
    for options in ways:
        with pytest.raises(KpiError, match="would be counted several times"):
            events.ask("x", **options)
    amounts = pd.read_parquet(events.folder / "files" / "events.parquet")["amount"]
    assert events.values("x", grain="total")["total"] == pytest.approx(amounts.sum() / len(amounts)), "needs no plan"
    events.write("datasets", "people", "name: people\nsource: people\ntime_dimension: at\ndimensions: [plan]\n")
    (told,) = [p for p in events.open().catalogue().problems if p.code == "fan_out"]
    assert Path(told.file).name == "orders.yml" and told.line == 5 and "primary_key" in told.hint


def test_joined_dimensions_and_their_mistakes(events: Builder) -> None:
    people = pd.DataFrame({"user_id": [0, 1, 2, 3], "plan": list("abab"), "at": pd.Timestamp("2026-09-01")})
    events.rows("people", people, primary_key="user_id", dimensions="{plan: plan, first_letter: 'left(plan, 1)'}")
    head = "name: orders\nsource: events\ntime_dimension: at\nentity: user_id\ndimensions: [team]\n"
    events.write("datasets", "orders", head + "join: [{dataset: people, by: user_id, dimensions: [plan]}]\n")
    events.kpi("x", "dataset: orders\nagg: count\nfilter: plan IS NULL OR plan <> 'zz'")
    events.sync()
    rows = pd.read_parquet(events.folder / "files" / "events.parquet").merge(people, on="user_id", how="left")
    want = rows.groupby(rows["plan"].fillna("(none)"))["amount"].count().to_dict()
    assert {s: v for (s, _), v in events.values("x", grain="total", by="plan").items()} == want
    assert events.values("x", grain="total")["total"] == 60  # a person without a plan loses no rows
    for join, code, hint in (
        ("{dataset: peple, by: user_id}", "unknown_dataset", "people"),
        ("{dataset: people, by: usr_id}", "unknown_column", "user_id"),
        ("{dataset: people, by: user_id, dimensions: [plam]}", "unknown_dimension", "plan"),
        ("{dataset: people, by: user_id}, {dataset: people, by: team}", "twice", "List only the others"),
    ):
        events.write("datasets", "orders", head + f"join: [{join}]\n")
        found = [p for p in events.open().catalogue().problems if p.code == code]
        assert found and hint in found[0].hint and found[0].line == 6, (join, events.open().catalogue().problems)
