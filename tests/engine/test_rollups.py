"""Roll-ups: what they answer is what rows say, after any history, and who cannot be answered of them is not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.query import explain, make_query
from metrics.engine.query import Filter
from tests.conftest import Builder
from tests.engine.rolled import DAYS, FIRST, events, people, small
from tests.sampling import SEED, sampled

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


@sampled(fast=12, slow=50, full=2500)
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
