"""A rule that is calm is not judged again on the same generation, and nobody can tell that it was not."""

from __future__ import annotations

import random
import shutil
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from connectors.state import alerts as store
from jobs.alerts.evaluate import look, normals_of
from jobs.alerts.incidents import new_normal, read_state
from jobs.alerts.unchanged import Unchanged
from jobs.launches.registry import add as add_launch
from tests.conftest import Builder, evaluate
from tests.jobs.conftest import GOOD, LOW, START, day, make
from tests.sampling import SEED, cases

RANGE = "{name: range, compare: expected_range}"
BY = '{name: by, by: [p], thresholds: {critical: "< 10"}}'


def shop(project: Builder, values: dict[int, float], *more: str) -> None:
    make(project, values, "\n  - ".join([LOW, BY, *more]))
    project.write(
        "datasets",
        "events",
        "name: events\nsource: events\ntime_dimension: at\nwatermark: whole_days\ndimensions: {p: p}\n",
    )
    rows(project, values)


def rows(project: Builder, values: dict[int, float]) -> None:
    at = [pd.Timestamp(START.date()) + pd.Timedelta(days=n, hours=12) for n in values for _ in "ab"]
    halves = [value * share for value in values.values() for share in (0.25, 0.75)]
    frame = pd.DataFrame({"at": at, "p": ["a", "b"] * len(values), "v": halves})
    frame.to_parquet(project.folder / "files" / "events.parquet")


def skipped(project: Builder, now: datetime) -> set[str]:
    """Rules that an evaluation would not judge now, after it looked at what is late."""
    opened = project.open()
    context, normals = opened.context(now), normals_of(opened)
    unchanged = Unchanged(opened, context, normals)
    return {item.rule.name for item in look(context, normals, unchanged.rules) if item.unchanged}


def test_only_what_is_calm_and_the_same_is_left_out(project: Builder) -> None:
    shop(project, GOOD)
    project.sync(day(5))
    assert skipped(project, day(5, 2)) == {"low", "by"}
    rows(project, {**GOOD, 5: 70})
    project.sync(day(6))
    assert skipped(project, day(6, 2)) == {"by"}, "one that fails is looked at: it is told of again"
    kpi = project.folder / "kpis" / "k.yml"
    kpi.write_text(kpi.read_text().replace("< 10", "< 5"))
    assert skipped(project, day(6, 2)) == set(), "the file of a rule is the file of all rules of its KPI"
    evaluate(project.open(), now=day(6, 3))
    assert skipped(project, day(6, 4)) == {"by"}
    project.settings("timezone: UTC\nname: Shop\nholidays: DE\n")
    assert skipped(project, day(6, 4)) == set()
    evaluate(project.open(), now=day(6, 5))
    add_launch(project.open(), "name: guide\non: 2026-11-03\nlabel: Guide\nkpis: [k]\n", by="ann", now=day(6, 5))
    assert skipped(project, day(6, 6)) == set(), "it keeps expected ranges quiet, or begins a target"
    evaluate(project.open(), now=day(6, 7))
    assert skipped(project, day(6, 8)) == {"by"}


def test_what_people_call_normal_is_judged_by(project: Builder) -> None:
    shop(project, {**GOOD, 5: 70})
    project.sync(day(6))
    number = next(item.id for item in read_state(project.open(), now=day(6, 2)).history)
    new_normal(project.open(), number, by="ann", now=day(6, 2))
    assert "low" not in skipped(project, day(6, 3))


def test_late_data_is_told_by_the_clock_alone(project: Builder) -> None:
    shop(project, GOOD)
    dataset = project.folder / "datasets" / "events.yml"
    dataset.write_text(dataset.read_text() + "stale_after: 2d\n")
    project.sync(day(5))
    assert skipped(project, day(6)) == {"low", "by"}
    assert skipped(project, day(9)) == set()
    evaluate(project.open(), now=day(9))
    assert {row.state for row in read_state(project.open(), now=day(9)).standings if row.kpi} == {"stale"}
    assert skipped(project, day(6)) == set()


def test_neither_side_is_believed_alone(project: Builder) -> None:
    """A state store or a generation that was put back from a backup, another evaluator in between."""
    shop(project, GOOD)
    project.sync(day(5))
    opened = project.open()
    rows_ = list(read_state(opened, now=day(5)).standings)
    with opened.state.writing() as connection:
        store.put_standings(connection, [replace(row, evaluated_at=day(5, 9)) for row in rows_])
    assert skipped(project, day(5, 2)) == set()
    evaluate(project.open(), now=day(5, 3))
    assert skipped(project, day(5, 4)) == {"low", "by"}
    beside(project).write_text("{")
    assert skipped(project, day(5, 4)) == set()
    evaluate(project.open(), now=day(5, 5))
    beside(project).unlink()
    assert skipped(project, day(5, 6)) == set()


@pytest.mark.slow
def test_a_history_is_the_same_with_and_without(project: Builder, tmp_path: Path) -> None:
    """Random days, late rows and evaluations in between; of a copy, what was judged is forgotten each time."""
    for number in range(cases(fast=1, slow=4, full=40)):
        chance = random.Random(f"{SEED} {number}")
        values = {n: float(chance.randint(20, 130)) for n in range(4)}
        mine = Builder(tmp_path / f"{number}")
        shop(mine, values, RANGE)
        for at in range(4, 10):
            values[at] = float(chance.choice([10, 60, 70, 100, 100, 100]))
            values[chance.randrange(at)] = float(chance.choice([40, 100]))
            rows(mine, values)
            mine.sync(day(at + 1))
            for hour in range(2, 2 + chance.randint(1, 2)):
                twin = Builder.__new__(Builder)
                twin.folder = tmp_path / "twin"
                shutil.rmtree(twin.folder, ignore_errors=True)
                shutil.copytree(mine.folder, twin.folder, symlinks=True)
                beside(twin).unlink()
                for each in (mine, twin):
                    evaluate(each.open(), now=day(at + 1, hour))
                assert told(mine) == told(twin)


def beside(project: Builder) -> Path:
    opened = project.open()
    return opened.warehouse.companion(opened.reader().generation.id, "judged")


def told(project: Builder) -> tuple[Any, ...]:
    found = read_state(project.open(), now=START + timedelta(days=30))
    return sorted(found.standings, key=lambda row: (row.rule_key, row.segment)), found.history
