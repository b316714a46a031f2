"""Incremental refresh equals full refresh, over random histories; what was published stays as it was, to the bit."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectors.warehouse.contract import Staging
from metrics.engine import rollups
from metrics.engine.explain import Explained
from metrics.engine.query import FACT_COLUMNS, Shared
from metrics.engine.refresh import values
from metrics.engine.sql.dialects import render
from metrics.engine.sql.rollups import named
from tests.conftest import NOW, Builder
from tests.sampling import limits, sampled

pytestmark = pytest.mark.breadth(2)

T0 = datetime(2026, 9, 28)
KPIS = {
    "events": "dataset: events\nagg: count",
    "amount": "dataset: events\nagg: sum\nexpr: amount\ngrains: [hour, day]",
    "typical": "dataset: events\nagg: median\nexpr: amount",
    "mean": "dataset: events\nagg: avg\nexpr: amount",
    "users": "dataset: events\nagg: count_distinct\nexpr: user_id",
    "weekly_users": "dataset: events\nagg: count_distinct\nexpr: user_id\nwindow: 7 days\ngrains: [day, month]",
    "weekly_amount": "dataset: events\nagg: sum\nexpr: amount\nwindow: 7 days",
    "web_share": "type: ratio\ndataset: events\nnumerator: {agg: count, filter: platform = 'web'}\n"
    "denominator: {agg: count}",
    "growth": "type: derived\ngrain: week\ngrains: [week]\nexpr: '{users} / {users} offset 1 week'",
    "mixed": "type: derived\nexpr: '{web_share} * {weekly_users} - {events}'",
    "paid": "dataset: paid\nagg: count",
    "firsts": "dataset: firsts\nagg: count\ndimensions: []",
    "asked": "type: sql\ndataset: events\nsql: SELECT date_trunc('day', happened) AS period, platform, "
    "count(*) AS value FROM events GROUP BY ALL",
}

FOLLOWING = {
    "convert": "type: conversion\ndataset: events\nbase: amount > 2\nconversion: amount < 2\nwindow: 3 days",
    "credit": "type: conversion\ndataset: events\nof: events\nbase: amount > 2\nconversion: amount < 2\nwindow: 3 days",
    "ever": "type: conversion\ndataset: events\nbase: platform = 'web'\nconversion: platform = 'ios'",
    "attempts": "type: funnel\ndataset: events\nwindow: 3 days\nper: attempt\n"
    "steps: [{name: a, filter: amount > 1}, {name: b, filter: platform = 'web'}]",
    "paid_share": "type: ratio\nnumerator: {dataset: paid, agg: sum, expr: amount}\n"
    "denominator: {dataset: events, agg: sum, expr: amount}",
    "funnel": "type: funnel\ndataset: events\nwindow: 5 days\n"
    "steps: [{name: a, filter: amount > 1}, {name: b, filter: platform = 'web'}, {name: c}]",
    "strict": "type: funnel\ndataset: events\nwindow: 5 days\norder: strict\n"
    "steps: [{name: a, filter: amount > 1}, {name: b, filter: platform = 'web'}]",
    "back": "type: retention\ndataset: events\nunit: day\nat: 2\ncurve: 4",
    "life": "type: lifecycle\ndataset: events",
    "sticky": "type: stickiness\ndataset: events\nlong: week",
    "nps": "type: survey\ndataset: events\nscore: CAST(amount AS BIGINT)",
    "balance": "dataset: events\nagg: sum\nexpr: amount\nsemi_additive: {pick: last}",
    "typical7": "dataset: events\nagg: median\nexpr: amount\nwindow: 7 days",
    "by_plan": "dataset: joined\nagg: count",
    "month_of_weeks": "dataset: events\nagg: count_distinct\nexpr: user_id\nperiod_agg: mean\ngrain: week\n"
    "grains: [week, month]",
    "again": "type: retention\ndataset: events\nunit: week\nat: 1\ncurve: 1\ncohort: recurring\ngrain: day",
    "stays": "type: retention\ndataset: events\nunit: day\nat: 1\ncurve: 2\nmode: rolling",
    "so_far": "type: cumulative\nmeasure: {dataset: events, agg: sum, expr: amount}",
    "seen_so_far": "type: cumulative\nmeasure: {dataset: events, agg: count_distinct, expr: user_id}",
    "month_so_far": "type: cumulative\nmeasure: {dataset: joined, agg: count}\ngrain_to_date: month",
    "mean_users": "dataset: events\nagg: count_distinct\nexpr: user_id\nperiod_agg: mean",
}

COLUMNS = [*FACT_COLUMNS, "kpi", "grain", "dimension"]
NOTHING = pd.DataFrame(columns=COLUMNS)


class History:
    """A project over a SQLite table that a test changes between syncs."""

    def __init__(
        self, folder: Path, *, zone: str = "Europe/Berlin", full_every: str = "3d", kpis: dict[str, str] | None = None
    ) -> None:
        self.project = Builder(folder)
        self.project.settings(f"timezone: {zone}\n")
        self.db = sqlite3.connect(folder / "app.db")
        self.db.execute(
            "CREATE TABLE events (id INTEGER, happened DATETIME, user_id TEXT, platform TEXT, "
            "amount REAL, seen DATETIME)"
        )
        self.project.source(
            "- {name: app, type: sql, url: 'sqlite:///app.db', table: events, primary_key: id, cursor: seen, "
            f"lookback: 1d, full_every: {full_every}}}"
        )
        self.plans = {f"u{i}": "pro" if i % 2 else "free" for i in range(1, 5)}
        self.people(self.plans)
        self.project.source("- {name: people, type: files, table: people, path: files/people.csv}")
        self.project.write(
            "datasets",
            "people",
            "name: people\nsource: people\nprimary_key: user_id\ntime_dimension: joined_at\ndimensions: [plan]\n",
        )
        self.project.write(
            "datasets",
            "joined",
            "name: joined\nsource: events\ntime_dimension: happened\njoin: [{dataset: people, by: user_id}]\n",
        )
        body = "time_dimension: happened\nentity: user_id\nprimary_key: id\ndimensions: [platform]\n"
        self.project.write("datasets", "events", f"name: events\nsource: events\n{body}")
        self.project.write(
            "datasets", "paid", f"name: paid\nsql: SELECT * FROM events WHERE amount > 2\n{body}watermark: data\n"
        )
        self.project.write(
            "datasets",
            "firsts",
            "name: firsts\nsql: SELECT user_id, min(happened) AS first_at "
            "FROM events GROUP BY user_id\ntime_dimension: first_at\n",
        )
        for name, text in (kpis or KPIS).items():
            plain = "grain" in text or "type: sql" in text or "stickiness" in text
            grains = "" if plain else "\ngrains: [day, week]"
            self.project.kpi(name, text + grains)
        self.now = NOW - timedelta(days=40)
        self.published: dict[str, pd.DataFrame] = {}

    def people(self, plans: dict[str, str]) -> None:
        """Who pays what: a table that is joined."""
        lines = "".join(f"{user},{plan},2026-09-01\n" for user, plan in plans.items())
        (self.project.folder / "files" / "people.csv").write_text("user_id,plan,joined_at\n" + lines)

    def apply(self, operation: tuple[Any, ...]) -> None:
        kind, number, day, user, platform, amount = operation
        seen = f"{self.now:%Y-%m-%d %H:%M:%S}"
        at = f"{T0 + timedelta(days=day, minutes=number * 37 % 1440):%Y-%m-%d %H:%M:%S}"
        if kind == "delete":
            self.db.execute("DELETE FROM events WHERE id = ?", [number])
        elif kind == "move":
            self.db.execute("UPDATE events SET happened = ?, seen = ? WHERE id = ?", [at, seen, number])
        elif kind == "plan":
            self.plans[f"u{user}"] = str(platform)
            self.people(self.plans)
        else:
            row = [number, at, f"u{user}", platform, amount, seen]
            if kind == "insert":
                self.db.execute("DELETE FROM events WHERE id = ?", [number])
            self.db.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)", row)

    def sync(self, after: timedelta) -> None:
        self.now += after
        self.db.commit()
        result = self.project.sync(now=self.now)
        assert not result.failed, result.sources
        assert not [p for p in result.problems if p.level == "error"], result.problems
        assert result.generation is not None
        self.published[result.generation] = self.stored()

    def stored(self, generation: str | None = None) -> pd.DataFrame:
        """Every stored value, of the live generation or as of an earlier one."""
        opened = self.project.open()
        reader = opened.reader()
        sequence = {g.id: g.sequence for g in reader.generations()}[generation or reader.generation.id]
        catalogue, parts = opened.catalogue(reader), []
        for name, kpi in catalogue.kpis.items():
            for dimension in ("", *catalogue.dimensions_of(kpi)):
                for grain in kpi.offered_grains:
                    found = reader.stored_values(name, grain, dimension, sequence)
                    if found is not None:
                        told = found.frame["parts"].map(str)  # unknown equals unknown
                        parts.append(found.frame.assign(kpi=name, grain=grain, dimension=dimension, parts=told))
        return pd.concat(parts, ignore_index=True) if parts else NOTHING

    def recomputed(self) -> pd.DataFrame:
        opened = self.project.open()
        reader = opened.reader()
        catalogue, states = opened.catalogue(reader), reader.dataset_states(reader.generation.sequence)
        whole = cast("Staging", reader)  # computing everything anew only reads
        shared = Shared()
        parts = [
            values(kpi, catalogue, whole, states, None, shared)[0].assign(kpi=name)
            for name, kpi in catalogue.kpis.items()
        ]
        filled = [part for part in parts if len(part)]
        return pd.concat(filled, ignore_index=True) if filled else NOTHING

    def check(self) -> None:
        key = ["kpi", "grain", "dimension", "segment", "period"]
        stored, full = (f.set_index(key).sort_index() for f in (self.stored(), self.recomputed()))
        only = stored.index.symmetric_difference(full.index)
        assert only.empty, only[:5]
        for column in ("value", "numerator", "denominator", "n", "complete"):
            a, b = (f[column].astype("float64") for f in (stored, full))
            differs = ~((a - b).abs() <= 1e-9 * b.abs().clip(lower=1)) & ~(a.isna() & b.isna())
            assert not differs.any(), pd.concat([stored[differs], full[differs]], axis=1).head()
        same = [str(a) == str(b) for a, b in zip(stored["parts"], full["parts"], strict=True)]
        assert all(same), pd.concat([stored, full], axis=1)[[not x for x in same]].head()

    def check_rollups(self) -> None:
        """What is kept is what would be made of today's rows."""
        opened = self.project.open()
        reader = opened.reader()
        catalogue, states = opened.catalogue(reader), reader.dataset_states(reader.generation.sequence)
        days = dict.fromkeys(catalogue.datasets)
        anew = rollups.RefreshedRollups(cast("Staging", reader), catalogue, states, days)
        made = {named(about, select): render(select, "duckdb") for about, select in map(anew.of_all, anew.wanted)}
        kept = reader.rollups()
        assert kept.keys() == made.keys()
        for name, rollup in kept.items():
            assert rollup.relation
            stored, rows = reader.frame(f"SELECT * FROM {rollup.relation}"), reader.frame(made[name])
            a, b = (frame.sort_values(list(frame.columns), ignore_index=True) for frame in (stored, rows))
            pd.testing.assert_frame_equal(a, b, check_exact=False, rtol=1e-9, check_dtype=False)

    def check_published(self) -> None:
        for generation, frame in self.published.items():
            pd.testing.assert_frame_equal(self.stored(generation), frame, check_exact=True)

    def close(self) -> None:
        self.db.close()


@pytest.fixture(autouse=True)
def with_small_rollups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a few rows, too, a generation keeps roll-ups, and the next sync counts on them."""
    monkeypatch.setattr(rollups, "LEAST_ROWS", 0)
    monkeypatch.setattr(rollups, "MOST_KEPT", 10)


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    """With those of KPIS that `mixed` is made of, and one that a test breaks; a replay has all."""
    few = ("events", "amount", "web_share", "weekly_users", "mixed")
    made = History(tmp_path / "project", kpis={name: KPIS[name] for name in few})
    yield made
    made.close()


operations = st.tuples(
    st.sampled_from(["insert", "insert", "again", "move", "delete", "plan"]),
    st.integers(1, 40),
    st.integers(0, 26),
    st.integers(1, 5),
    st.sampled_from(["web", "ios", None]),
    st.sampled_from([1.0, 2.5, 7.25, None]),
)
steps = st.lists(st.tuples(st.lists(operations, max_size=6), st.sampled_from([0.5, 1, 2, 4])), min_size=2, max_size=5)


def replay(
    start: list[tuple[Any, ...]],
    moves: list[tuple[list[tuple[Any, ...]], float]],
    zone: str = "Europe/Berlin",
    kpis: dict[str, str] | None = None,
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        history = History(Path(folder) / "project", zone=zone, kpis=kpis)
        try:
            for operation in start:
                history.apply(operation)
            history.sync(timedelta(0))
            for changes, days in moves:
                for operation in changes:
                    history.apply(operation)
                history.sync(timedelta(days=days))
                history.check()
                history.check_rollups()
            history.check_published()
        finally:
            history.close()


BASE = [("insert", n, n % 13, n % 4 + 1, ("web", "ios", None)[n % 3], n % 5 + 0.5) for n in range(1, 31)]


@pytest.mark.slow
@limits(0)  # random histories: below
@given(steps)
@example([([("delete", 3, 0, 1, None, None)], 4), ([("insert", 90, 1, 5, "tv", 1.0)], 1)])
def test_incremental_equals_full(moves: list[tuple[list[tuple[Any, ...]], float]]) -> None:
    replay(BASE, moves)


@pytest.mark.slow
@limits(0)  # random histories: below
@given(steps)
@example(
    [([("move", 3, 12, 0, None, None), ("insert", 91, 8, 2, "web", 1.0)], 1), ([("delete", 5, 0, 1, None, None)], 4)]
)
def test_incremental_equals_full_of_types_that_follow(moves: list[tuple[list[tuple[Any, ...]], float]]) -> None:
    replay(BASE, moves, kpis=FOLLOWING)


@pytest.mark.proof
@pytest.mark.slow
@sampled(fast=0, slow=2, full=50, shrink=False)
@given(st.lists(operations, min_size=1, max_size=30), steps, st.sampled_from(["Europe/Berlin", "America/New_York"]))
def test_incremental_equals_full_of_types_that_follow_at_length(
    start: list[tuple[Any, ...]], moves: list[tuple[list[tuple[Any, ...]], float]], zone: str
) -> None:
    replay(start, moves, zone, FOLLOWING)


def test_a_change_of_what_is_joined_reaches_every_period(tmp_path: Path) -> None:
    history = History(tmp_path / "project", kpis={"by_plan": FOLLOWING["by_plan"]})
    for operation in BASE:
        history.apply(operation)
    history.sync(timedelta(0))
    before = history.project.values("by_plan", by="plan", grain="total")
    history.people({f"u{i}": "free" for i in range(1, 5)})
    history.sync(timedelta(hours=1))
    history.check()
    assert set(before) == {("pro", "total"), ("free", "total")}
    history.project._opened = None
    assert history.project.values("by_plan", by="plan", grain="total") == {("free", "total"): 30.0}
    history.close()


@pytest.mark.slow
@sampled(fast=0, slow=2, full=100, shrink=False)
@given(st.lists(operations, min_size=1, max_size=30), steps, st.sampled_from(["Europe/Berlin", "America/New_York"]))
def test_incremental_equals_full_at_length(
    start: list[tuple[Any, ...]], moves: list[tuple[list[tuple[Any, ...]], float]], zone: str
) -> None:
    replay(start, moves, zone)


def test_only_touched_periods_are_computed(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row of one day does not make the engine look at the others."""
    for operation in BASE:
        history.apply(operation)
    history.sync(timedelta(0))
    seen: list[Any] = []
    from metrics.engine import types

    real = types.facts

    def watched(kpi: Any, scope: Any) -> Any:
        if kpi.name == "events" and scope.grain == "day":
            seen.append((scope.end - scope.start).days)
        return real(kpi, scope)

    monkeypatch.setattr(types, "facts", watched)
    history.apply(("insert", 5, 5, 2, "web", 9.0))
    history.sync(timedelta(0))
    assert 1 in seen and max(seen) <= 7  # `mixed` also reads it, over the windows that the day lies in
    history.check()


def test_a_failed_computation_ends_the_values_instead_of_keeping_old_ones(history: History) -> None:
    for operation in BASE:
        history.apply(operation)
    history.sync(timedelta(0))
    history.project.kpi("amount", "dataset: events\nsql: sum(amount / CAST(user_id AS INTEGER))")
    history.apply(("insert", 5, 5, 2, "web", 9.0))
    history.now += timedelta(days=1)
    history.db.commit()
    result = history.project.sync(now=history.now)
    assert [p.code for p in result.problems if p.level == "error"] == ["warehouse"]
    reader = history.project.open().reader()
    assert reader.stored_values("amount", "day", "", reader.generation.sequence) is None
    history.project.kpi("amount", KPIS["amount"])
    history.sync(timedelta(days=1))
    history.check()


def test_a_file_without_a_column_that_a_dataset_reads_refreshes_everything(project: Builder) -> None:
    project.source("- {name: t, type: files, table: t, path: 'files/*.csv', load: append}")
    project.write(
        "datasets",
        "t",
        "name: t\nsql: SELECT happened, coalesce(amount, 0) AS amount FROM t\ntime_dimension: happened\n",
    )
    project.kpi("total", "dataset: t\nagg: sum\nexpr: amount")
    (project.folder / "files" / "1.csv").write_text("happened,amount,note\n2026-11-02,1.5,a\n2026-11-03,2,b\n")
    project.sync()
    (project.folder / "files" / "2.csv").write_text("happened,note\n2026-11-02,c\n")
    result = project.sync()
    assert (result.sources[0].rows, [p.level for p in result.problems if p.level == "error"]) == (1, [])
    assert project.values("total", grain="total") == {"total": 3.5}
    assert project.ask("total").frame["n"].tolist()[0] == 2


def test_a_change_of_what_is_lent_twice_reaches_the_days_that_borrow_it(project: Builder) -> None:
    at = pd.Timestamp("2026-11-01")
    plans = pd.DataFrame({"plan": ["pro", "free"], "tier": ["high", "low"], "at": at})
    project.rows("plans", plans, dimensions="[tier]", primary_key="plan")
    people = pd.DataFrame({"user_id": [1, 2], "plan": ["pro", "free"], "at": at})
    joined = "[{dataset: plans, by: plan}]"
    project.rows("people", people, dimensions="[plan]", primary_key="user_id", join=joined)
    moments = pd.to_datetime(["2026-11-02 10:00", "2026-11-19 10:00", "2026-11-20 10:00"])
    events = pd.DataFrame({"at": moments, "user_id": [1, 2, 2]})
    project.rows("events", events, join="[{dataset: people, by: user_id}]")
    project.kpi("n", "dataset: events\nagg: count\ngrains: [day, month]")
    project.sync()
    assert project.values("n", by="tier", grain="month") == {("high", "2026-11-01"): 1.0, ("low", "2026-11-01"): 2.0}
    path = project.folder / "files" / "plans.parquet"
    plans.assign(tier=["low", "low"]).to_parquet(path, index=False)
    os.utime(path, (2**31, 2**31))
    explained = Explained()
    project.sync(explained=explained)
    project._opened = None
    assert [one.touched for one in explained.kpis] == [(("2026-11-02", "2026-11-03"),)]
    assert project.values("n", by="tier", grain="month") == {("low", "2026-11-01"): 3.0}
    assert project.values("n", by="tier", grain="month", facts=True) == {("low", "2026-11-01"): 3.0}
