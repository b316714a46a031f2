"""A warehouse's tables may be called anything, also what the engine calls its own steps."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import Builder
from tests.engine.followed import draw

# Names that CTEs of the types have, and reserved words.
TAKEN = (
    {"events": "returns", "signups": "starts", "payments": "active"},
    {"events": "reached_1", "signups": "hits_2", "payments": "group"},
    {"events": "conversions", "signups": "base", "payments": "cohort"},
)
KPIS = {
    "funnel": "type: funnel\ndataset: SIGNUPS\nwindow: 6 days\ngrain: week\n"
    "steps: [{name: s}, {name: p, dataset: PAYMENTS}, {name: b, dataset: EVENTS, filter: kind = 'buy'}]",
    "back": "type: retention\ndataset: SIGNUPS\nreturn: {dataset: EVENTS}\nunit: week\ngrain: week\nat: 1",
    "again": "type: retention\ndataset: EVENTS\ncohort: recurring\nunit: week\ngrain: week\nat: 1",
    "convert": "type: conversion\ndataset: SIGNUPS\nconversion: {dataset: EVENTS}\nwindow: 3 days\ngrain: week",
    "credit": "type: conversion\ndataset: SIGNUPS\nof: events\nconversion: {dataset: EVENTS}\nwindow: 3 days\n"
    "grain: week",
    "people": "dataset: EVENTS\nagg: count_distinct\nexpr: user_id\nwindow: 7 days",
    "median": "dataset: EVENTS\nagg: median\nexpr: amount\nwindow: 7 days",
    "balance": "dataset: EVENTS\nagg: sum\nexpr: amount\nsemi_additive: {pick: last}",
    "life": "type: lifecycle\ndataset: EVENTS\ngrain: week",
}


def answers(project: Builder, names: dict[str, str]) -> dict[str, dict[str, object]]:
    for table, rows in draw(3).items():
        if table in names:
            frame = pd.DataFrame(rows)
            if table == "payments":
                frame["at"] = frame["at"].dt.date
            project.rows(names[table], frame, entity="user_id", primary_key="event_id")
    for name, text in KPIS.items():
        for table, called in names.items():
            text = text.replace(table.upper(), called)
        project.kpi(name, text + ("\ngrains: [week]" if "grain: week" in text else "\ngrains: [day]"))
    project.sync()
    return {name: project.values(name) for name in KPIS}


@pytest.mark.slow
def test_tables_with_the_names_of_the_engines_steps(tmp_path: Path) -> None:
    plain = answers(Builder(tmp_path / "plain"), {n: n for n in TAKEN[0]})
    assert all(any(v is not None for v in values.values()) for values in plain.values())
    for names in TAKEN:
        assert answers(Builder(tmp_path / names["signups"]), names) == plain, names
