"""Roll-ups: what they answer is what rows say, after any history, and who cannot be answered of them is not."""

from __future__ import annotations

import os
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.errors import QueryRefused
from jobs.query import explain, make_query
from metrics.engine import rollups
from metrics.engine.query import Filter
from tests.conftest import Builder
from tests.sampling import SEED, sampled

pytestmark = pytest.mark.breadth(7)

PEOPLE, DAYS = 80, 70
FIRST = date(2026, 9, 1)
KPIS = {
    "n": "dataset: events\nagg: count",
    "known": "dataset: events\nagg: count\nexpr: amount\nfilter: platform = 'web'",
    "total": "dataset: events\nagg: sum\nexpr: amount",
    "mean": "dataset: events\nagg: avg\nexpr: amount * 2\nfilter: amount > 3",
    "low": "dataset: events\nagg: min\nexpr: amount",
    "high": "dataset: events\nagg: max\nexpr: amount",
    "people": "dataset: events\nagg: count_distinct\nexpr: user_id",
    "payers": "dataset: events\nagg: count_distinct\nexpr: user_id\nfilter: amount > 30",
    "weekly": "dataset: events\nagg: count_distinct\nexpr: user_id\nwindow: 7 days",
    "sum3": "dataset: events\nagg: sum\nexpr: amount\nwindow: 3 days",
    "share": "type: ratio\nnumerator: payers\ndenominator: people",
    "formula": 'type: derived\nexpr: "{total} / {people} - {n} offset 1 day"\ngrains: [day]',
    "sticky": 'type: derived\nexpr: "{people} / {weekly}"',
    "nps": "type: survey\ndataset: events\nscore: CAST(amount / 10 AS BIGINT)",
    "median": "dataset: events\nagg: median\nexpr: amount",
    "convert": "type: conversion\ndataset: people\nconversion: {dataset: events, filter: amount > 30}\nwindow: 5 days",
    "back": "type: retention\ndataset: people\nreturn: {dataset: events}\nunit: day\nat: 3\ngrain: day",
    "so_far": "type: cumulative\nmeasure: {dataset: events, agg: sum, expr: amount}",
}
VALUES = {
    "platform": ["web", "ios", "(none)"],
    "country": ["DE", "US", "FR"],
    "plan": ["pro", "free", "(none)"],
    "at_work": ["true", "false"],
}


@pytest.fixture(autouse=True)
def of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    small(monkeypatch)


def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Roll-ups of few rows are kept, too."""
    monkeypatch.setattr(rollups, "LEAST_ROWS", 0)
    monkeypatch.setattr(rollups, "MOST_KEPT", 10)


def events(seed: int, rows: int = 1500) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    at = pd.Timestamp(FIRST) + pd.to_timedelta(rng.integers(0, DAYS * 86400, rows), unit="s")
    platform = rng.choice(np.array(["web", "ios", None], dtype=object), rows, p=[0.5, 0.4, 0.1])
    user = rng.integers(1, PEOPLE + 1, rows).astype(float)
    user[rng.random(rows) < 0.04] = np.nan
    amount = np.where(rng.random(rows) < 0.1, np.nan, np.round(rng.exponential(30, rows), 2))
    country = rng.choice(["DE", "US", "FR"], rows)
    columns = {"at": at, "user_id": user, "platform": platform, "country": country, "amount": amount}
    return pd.DataFrame({"id": np.arange(rows), **columns})


def people(seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed + 1)
    at = pd.Timestamp(FIRST) + pd.to_timedelta(rng.integers(0, DAYS * 86400, PEOPLE), unit="s")
    plan = rng.choice(np.array(["pro", "free", None], dtype=object), PEOPLE)
    return pd.DataFrame({"user_id": np.arange(1.0, PEOPLE + 1), "plan": plan, "at": at})


def made(folder: Any, seed: int, zone: str) -> Builder:
    project = Builder(folder)
    project.settings(f"timezone: {zone}\n")
    project.rows("people", people(seed), dimensions="[plan]", primary_key="user_id", entity="user_id")
    project.rows(
        "events",
        events(seed),
        dimensions="{platform: platform, country: country, at_work: \"country = 'DE' OR amount > 20\"}",
        primary_key="id",
        entity="user_id",
        join="[{dataset: people, by: user_id}]",
    )
    for name, text in KPIS.items():
        project.kpi(name, text)
    project.sync()
    return project


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    with pytest.MonkeyPatch.context() as patched:
        small(patched)
        return made(tmp_path_factory.mktemp("rollups") / "project", SEED, "America/New_York")


questions = st.fixed_dictionaries(
    {
        "kpi": st.sampled_from(sorted(KPIS)),
        "grain": st.sampled_from(["day", "week", "month", "quarter", "total"]),
        "by": st.sampled_from([None, *VALUES]),
        "where": st.lists(st.sampled_from(sorted(VALUES)), unique=True, max_size=3),
        "values": st.lists(st.integers(0, 2), min_size=1, max_size=2, unique=True),
        "start": st.integers(0, DAYS),
        "length": st.integers(1, 40),
    }
)


def same(question: dict[str, Any], project: Builder) -> str:
    """The level that answered; fails if it says other than rows do."""
    opened = project._opened = project._opened or project.open()
    kpi = opened.catalogue().kpis[question["kpi"]]
    offered = set(opened.catalogue().dimensions_of(kpi))
    asked = {
        "grain": question["grain"] if question["grain"] in (*kpi.offered_grains, "total") else kpi.grain,
        "by": question["by"] if question["by"] in offered else None,
        "start": FIRST + timedelta(days=question["start"]),
        "end": FIRST + timedelta(days=question["start"] + question["length"]),
        "where": tuple(
            Filter(name, tuple(VALUES[name][v] for v in question["values"] if v < len(VALUES[name])) or ("(none)",))
            for name in question["where"]
            if name in offered
        ),
    }
    if asked["grain"] == "total" and (kpi.trailing_window or kpi.name == "formula"):
        return "facts"
    told, rows = (project.ask(kpi.name, facts=facts, **asked) for facts in (False, True))
    assert rows.level == "facts"
    frames = [told.frame, rows.frame]
    if told.level == "stored":  # lists segments also where they have no rows
        frames = [one[one.groupby("segment")["n"].transform("sum") > 0].reset_index(drop=True) for one in frames]
    pd.testing.assert_frame_equal(*frames, check_exact=False, rtol=1e-9, atol=1e-9, check_dtype=False, obj=str(asked))
    return told.level


@sampled(fast=30, slow=120, full=2500)
@given(questions)
def test_a_roll_up_says_what_rows_say(world: Builder, question: dict[str, Any]) -> None:
    same(question, world)


def test_roll_ups_answer_what_is_filtered_by_their_dimensions(world: Builder) -> None:
    """Counts, sums, people, windows, ratios, surveys; of longer periods medians, too. Not what follows people."""
    question = {"by": None, "where": ["platform", "country"], "values": [0, 1], "start": 7, "length": 30}
    levels = {name: same({**question, "grain": "month", "kpi": name}, world) for name in KPIS}
    assert levels.pop("convert") == levels.pop("back") == "stored"  # they have none of these dimensions
    assert set(levels.values()) == {"rollup"}
    assert same({**question, "grain": "day", "kpi": "median"}, world) == "facts"
    joined = {**question, "where": ["plan", "at_work"], "by": "plan", "grain": "week"}
    assert {same({**joined, "kpi": name}, world) for name in ("people", "total", "sum3", "weekly")} == {"rollup"}
    assert same({**joined, "kpi": "convert"}, world) == "facts"


def small_project(folder: Any, filter_: str) -> Builder:
    project = Builder(folder)
    project.rows("events", events(SEED), dimensions="[platform, country]", primary_key="id", entity="user_id")
    project.kpi("people", f"dataset: events\nagg: count_distinct\nexpr: user_id\nfilter: {filter_}")
    project.kpi("total", f"dataset: events\nagg: sum\nexpr: amount\nfilter: {filter_}")
    project.sync()
    return project


def levels(project: Builder) -> set[str]:
    """What answers the KPIs of `small_project` with two filters."""
    asked = {"grain": "week", "by": None, "where": ["platform", "country"], "values": [0, 1], "start": 0, "length": 30}
    return {same({**asked, "kpi": name}, project) for name in ("people", "total")}


def test_what_asks_for_the_time_is_counted_from_rows(tmp_path: Any) -> None:
    project = small_project(tmp_path / "project", "at < now() - INTERVAL 60 DAY")
    assert levels(project) == {"facts"}


@pytest.mark.breadth(1)
@pytest.mark.parametrize("drawn", ["USING SAMPLE 50%", "TABLESAMPLE bernoulli(50%)"])
def test_what_asks_for_chance_is_counted_from_rows(tmp_path: Any, drawn: str) -> None:
    project = small_project(tmp_path / "project", "amount > 3")
    project.write(
        "datasets",
        "some",
        f"name: some\nsql: SELECT * FROM events {drawn}\ntime_dimension: at\ndimensions: [country]\n",
    )
    project.kpi("drawn", "dataset: some\nagg: sum\nexpr: amount")
    project.sync()
    kept = {one.about["dataset"] for one in project.open().reader().rollups().values() if one.relation}
    assert kept == {"events"}


def test_where_a_number_comes_from_names_roll_ups(world: Builder) -> None:
    query = make_query("people", "week", (None, None), None, ["platform=web", "country=DE"], None, None)
    assert "Answered from: roll-ups of this generation" in explain(world.open(), query, words=True)


def test_a_roll_up_of_another_definition_is_not_taken(tmp_path: Any) -> None:
    """A dimension that means something else is read from rows until the next sync."""
    project = small_project(tmp_path / "project", "amount > 3")
    assert levels(project) == {"rollup"}
    path = project.folder / "datasets" / "events.yml"
    path.write_text(path.read_text().replace("[platform, country]", "{platform: \"'web'\", country: country}"))
    project._opened = None
    assert levels(project) == {"facts"}
    project.sync()
    project._opened = None
    assert levels(project) == {"rollup"}


def test_a_kpi_that_fails_to_say_what_it_asks_for_costs_no_other_its_roll_up(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from metrics.engine import types

    real = types.sums

    def failing(kpi: Any, catalogue: Any) -> Any:
        if kpi.name == "total":
            raise KeyError("total")
        return real(kpi, catalogue)

    monkeypatch.setattr(types, "sums", failing)
    project = small_project(tmp_path / "project", "amount > 3")
    assert [one.about["kind"] for one in project.open().reader().rollups().values()] == ["people"]
    counted = project.values("total", grain="month", facts=True)
    assert len(counted) == 3 and project.values("total", grain="month") == pytest.approx(counted)


def differing(project: Builder, kpis: list[str], grain: str = "month") -> list[str]:
    """KPIs whose answers with a filter are not what rows say."""
    where = (Filter("platform", ("web", "ios", "(none)")),)
    project._opened = None
    told = {
        name: [project.values(name, grain=grain, where=where, facts=facts) for facts in (False, True)] for name in kpis
    }
    return [name for name, (kept, rows) in told.items() if kept != pytest.approx(rows, nan_ok=True)]


def changed(project: Builder, frame: pd.DataFrame, table: str = "events") -> None:
    path = project.folder / "files" / f"{table}.parquet"
    frame.to_parquet(path, index=False)
    stamp = path.stat().st_mtime_ns + 10**9
    os.utime(path, ns=(stamp, stamp))
    project.sync()


def test_two_roll_ups_of_one_sql_keep_all_their_days(tmp_path: Any) -> None:
    """Expressions that differ in how they are written only, and conversions that differ in their names only."""
    project = Builder(tmp_path / "project")
    frame = events(SEED)
    project.rows("events", frame, dimensions="[platform]", primary_key="id", entity="user_id")
    project.kpi("m1", "dataset: events\nagg: median\nexpr: amount*2")
    project.kpi("m2", "dataset: events\nagg: median\nexpr: amount * 2")
    convert = "type: conversion\ndataset: events\nbase: amount > 20\nconversion: amount < 5\nwindow: 3 days"
    project.kpi("c1", convert)
    project.kpi("c2", convert)
    project.sync()
    for amount in (7.0, 9.0):
        last = frame["at"].idxmax()
        frame.loc[last, "amount"] = amount
        changed(project, frame)
        assert differing(project, ["m1", "m2", "c1", "c2"]) == []
        stored = [
            {f: project.values(n, grain="month", facts=f) for f in (False, True)} for n in ("m1", "m2", "c1", "c2")
        ]
        assert all(one[False] == pytest.approx(one[True], nan_ok=True) for one in stored)


def test_medians_of_decimals_are_those_of_rows(tmp_path: Any) -> None:
    project = Builder(tmp_path / "project")
    frame = events(SEED).dropna(subset=["amount"])
    project.rows("events", frame, dimensions="[platform]", entity="user_id")
    project.kpi("exact", "dataset: events\nagg: median\nexpr: CAST(amount AS DECIMAL(10, 2))")
    project.kpi("narrow", "dataset: events\nagg: percentile\npercentile: 0.9\nexpr: CAST(amount AS FLOAT)")
    project.kpi("whole", "dataset: events\nagg: percentile\npercentile: 0.9\nexpr: CAST(amount AS INTEGER)")
    project.sync()
    assert differing(project, ["exact", "narrow", "whole"]) == []
    kept = {one.about["key"][1] for one in project.open().reader().rollups().values() if one.relation}
    assert kept == {"CAST(amount AS INTEGER)"}


def test_a_column_that_becomes_wider_makes_its_roll_ups_anew(tmp_path: Any) -> None:
    project = Builder(tmp_path / "project")
    frame = events(SEED).assign(amount=lambda rows: rows["amount"].fillna(0).astype("int64"))
    project.rows("events", frame, dimensions="[platform]", primary_key="id", entity="user_id")
    project.kpi("total", "dataset: events\nagg: sum\nexpr: amount")
    project.kpi("median", "dataset: events\nagg: median\nexpr: amount")
    project.sync()
    wide = frame.assign(amount=frame["amount"].astype("float64"))
    wide.loc[wide["at"].nlargest(3).index, "amount"] = [0.25, 1.5, 2.75]
    for _ in range(2):
        changed(project, wide)
        assert differing(project, ["total", "median"]) == []
        wide.loc[wide["at"].idxmax(), "amount"] = 3.125


def test_rows_of_the_year_one_and_of_the_last_one_are_counted(tmp_path: Any) -> None:
    project = Builder(tmp_path / "project")
    (project.folder / "files" / "events.csv").write_text(
        "at,user_id,platform\n0001-01-01 00:00:00,9,web\n2026-11-01 10:00:00,1,web\n2026-11-02 10:00:00,2,ios\n"
        "9999-06-01 00:00:00,8,web\n"
    )
    project.source("- {name: events, type: files, table: events, path: files/events.csv}")
    body = "time_dimension: at\nentity: user_id\ndimensions: [platform]\n"
    project.write("datasets", "events", f"name: events\nsource: events\n{body}")
    project.kpi("people", "dataset: events\nagg: count_distinct\nexpr: user_id\ngrain: month\ngrains: [month, year]")
    project.sync()
    where = (Filter("platform", ("web",)),)
    for start, end in ((None, None), (FIRST, date(9999, 7, 1))):
        told = [
            project.values("people", grain="total", where=where, start=start, end=end, facts=facts)["total"]
            for facts in (False, True)
        ]
        assert told == [2, 2]


def test_a_dimension_of_a_column_that_becomes_wider_reads_the_same_everywhere(tmp_path: Any) -> None:
    """A 1 that stayed is 1.0 beside a new 0.5: in the table itself and where its column is borrowed."""
    project = Builder(tmp_path / "project")
    codes = people(SEED).assign(plan=np.arange(PEOPLE) % 3)
    project.rows("people", codes, dimensions="[plan]", primary_key="user_id", entity="user_id")
    (project.folder / "sources.yml").unlink()
    merged = "path: files/people*.parquet, primary_key: [user_id], load: merge"
    project._sources = [f"- {{name: people, type: files, table: people, {merged}}}"]
    joined = "[{dataset: people, by: user_id}]"
    project.rows("events", events(SEED), dimensions="[platform]", entity="user_id", join=joined)
    project.kpi("signups", "dataset: people\nagg: count")
    project.kpi("people", "dataset: events\nagg: count_distinct\nexpr: user_id")
    project.sync()
    late = pd.DataFrame({"user_id": [PEOPLE + 1.0], "plan": [0.5], "at": [pd.Timestamp(FIRST)]})
    late.to_parquet(project.folder / "files" / "people-2.parquet", index=False)
    project.sync()
    for name in ("signups", "people"):
        kept, rows = (project.values(name, grain="month", by="plan", facts=facts) for facts in (False, True))
        assert kept == rows and {segment for segment, _ in rows} >= {"0.0", "1.0", "2.0"}


def borrowing(folder: Any, of: pd.DataFrame, dimension: str) -> Builder:
    """Events that borrow a dimension of people, and count by it and without it."""
    project = Builder(folder)
    project.rows("people", of, dimensions=f'["{dimension}"]', primary_key="user_id", entity="user_id")
    joined = "[{dataset: people, by: user_id}]"
    project.rows("events", events(SEED), dimensions="[platform]", entity="user_id", join=joined)
    project.kpi("n", "dataset: events\nagg: count\ndimensions: [platform]")
    project.kpi("of_pro", f"dataset: events\nagg: sum\nexpr: amount\nfilter: \"{dimension} = 'pro'\"")
    project.sync()
    return project


def test_a_key_that_comes_to_be_there_twice_doubles_no_row(tmp_path: Any) -> None:
    """What needs nothing of the join is told as it was; what does is refused, as of rows."""
    once = people(SEED)
    twice = pd.concat([once, once.head(3)])
    project = borrowing(tmp_path / "project", once, "plan")
    assert differing(project, ["n", "of_pro"]) == []
    changed(project, twice, "people")
    assert differing(project, ["n"]) == []
    assert project.values("n", grain="month") == project.values("n", grain="month", facts=True)
    with pytest.raises(QueryRefused, match="counted several times"):
        project.values("of_pro", grain="month")
    changed(project, once, "people")
    assert differing(project, ["n", "of_pro"]) == []


def test_a_join_that_would_count_twice_is_noticed_by_whatever_name(tmp_path: Any) -> None:
    once = people(SEED).rename(columns={"plan": "größe"})
    project = borrowing(tmp_path / "project", pd.concat([once, once.head(3)]), "größe")
    assert differing(project, ["n"]) == []


@pytest.mark.breadth(1)
@pytest.mark.parametrize("never", ["2999-12-31", "9999-12-31"])
def test_a_row_of_a_day_that_stands_for_never_changes(tmp_path: Any, never: str) -> None:
    project = Builder(tmp_path / "project")
    frame = events(SEED).assign(at=lambda rows: rows["at"].astype("datetime64[us]"))
    frame.loc[5, "at"] = pd.Timestamp(never)
    project.rows("events", frame, dimensions="[platform]", primary_key="id", entity="user_id")
    project.kpi("total", "dataset: events\nagg: sum\nexpr: amount")
    project.kpi("people", "dataset: events\nagg: count_distinct\nexpr: user_id")
    project.sync()
    frame.loc[[5, 9], "amount"] = 77.0
    changed(project, frame)
    assert not project.open().reader().failures()
    assert differing(project, ["total", "people"]) == []
    stored, rows = (project.values("total", grain="day", facts=facts) for facts in (False, True))
    assert stored == pytest.approx(rows)


def test_conditions_that_are_written_in_two_ways_lose_no_days(tmp_path: Any) -> None:
    """Of so many that they are two roll-ups, whose SQL is one."""
    project, frame = Builder(tmp_path / "project"), events(SEED)
    project.rows("events", frame, dimensions="[platform]", primary_key="id", entity="user_id")
    for number in range(rollups.MOST_CONDITIONS):
        for way, condition in (("a", f"amount>{number}"), ("b", f"amount > {number}")):
            body = f"agg: median\nexpr: amount\nfilter: {condition}\ngrains: [month]"
            project.kpi(f"{way}{number:02}", f"dataset: events\n{body}")
    project.sync()
    for value in (12.5, 13.5):
        frame.loc[frame["at"].nlargest(5).index, "amount"] = value
        changed(project, frame)
        assert differing(project, ["a00", "a05", "b00", "b05"]) == []
