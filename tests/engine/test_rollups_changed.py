"""What roll-ups answer is what rows say, too, where rows or types changed and where two definitions are alike."""

from __future__ import annotations

import os
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest

from connectors.errors import QueryRefused
from metrics.engine import rollups
from metrics.engine.query import Filter
from tests.conftest import Builder
from tests.engine.rolled import FIRST, PEOPLE, events, people, small
from tests.sampling import SEED

pytestmark = pytest.mark.breadth(3)


@pytest.fixture(autouse=True)
def of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    small(monkeypatch)


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
