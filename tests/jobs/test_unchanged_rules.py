"""A rule is not judged again on the same generation, and nobody can tell that it was not."""

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
from jobs.alerts.incidents import acknowledge, new_normal, read_state, silence
from jobs.alerts.unchanged import Unchanged
from jobs.launches.registry import add as add_launch
from tests.conftest import Builder, evaluate
from tests.jobs.conftest import GOOD, LOW, START, Web, day, make, messages
from tests.sampling import SEED, cases

pytestmark = pytest.mark.breadth(3)

RANGE = "{name: range, compare: expected_range}"
BY = '{name: by, by: [p], thresholds: {critical: "< 10"}}'


def shop(project: Builder, values: dict[int, float], *more: str, low: str = LOW, contact: str = "") -> None:
    make(project, values, "\n  - ".join([low, BY, *more]), contact=contact)
    dimensions(project)
    rows(project, values)


def dimensions(project: Builder) -> None:
    project.write(
        "datasets",
        "events",
        "name: events\nsource: events\ntime_dimension: at\nwatermark: whole_days\ndimensions: {p: p}\n",
    )


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


def test_only_what_is_the_same_is_left_out(project: Builder) -> None:
    shop(project, GOOD)
    project.sync(day(5))
    assert skipped(project, day(5, 2)) == {"low", "by"}
    rows(project, {**GOOD, 5: 70})
    project.sync(day(6))
    assert skipped(project, day(6, 2)) == {"low", "by"}, "nobody is there to be told of the one that fails"
    kpi = project.folder / "kpis" / "k.yml"
    kpi.write_text(kpi.read_text().replace("< 10", "< 5"))
    assert skipped(project, day(6, 2)) == set(), "the file of a rule is the file of all rules of its KPI"
    evaluate(project.open(), now=day(6, 3))
    assert skipped(project, day(6, 4)) == {"low", "by"}
    project.settings("timezone: UTC\nname: Shop\nholidays: DE\n")
    assert skipped(project, day(6, 4)) == set()
    evaluate(project.open(), now=day(6, 5))
    add_launch(project.open(), "name: guide\non: 2026-11-03\nlabel: Guide\nkpis: [k]\n", by="ann", now=day(6, 5))
    assert skipped(project, day(6, 6)) == set(), "it keeps expected ranges quiet, or begins a target"
    evaluate(project.open(), now=day(6, 7))
    assert skipped(project, day(6, 8)) == {"low", "by"}


def test_what_fails_is_judged_when_somebody_is_to_be_told(project: Builder, web: Web) -> None:
    rule = LOW.replace("notify", "renotify_after: 1d, notify")
    make(project, {**GOOD, 5: 70}, f"{rule}\n  - {BY}", contact=web.url)
    dimensions(project)
    rows(project, {**GOOD, 5: 70})
    project.sync(day(6))
    assert len(messages(project)) == 1
    assert skipped(project, day(6, 2)) == {"low", "by"}
    assert skipped(project, day(7, 2)) == {"by"}, "a reminder is due"
    evaluate(project.open(), now=day(7, 2))
    assert len(messages(project)) == 2
    silence(project.open(), "low", day(9), by="ann", now=day(7, 3))
    assert skipped(project, day(7, 4)) == set(), "what is silenced stands for no other incident of its KPI"
    evaluate(project.open(), now=day(7, 4))
    assert skipped(project, day(8, 5)) == {"low", "by"}
    assert skipped(project, day(9)) == set(), "the silence ended"
    assert len(messages(project)) == 2
    acknowledge(project.open(), 1, by="ann", now=day(9))
    evaluate(project.open(), now=day(9, 2))
    assert len(messages(project)) == 2
    assert skipped(project, day(11)) == {"low", "by"}, "somebody looks after it"


def test_rules_of_a_kpi_that_fail_are_judged_together(project: Builder, web: Web) -> None:
    """One incident stands for the whole and its segments: who knows only of some would open another."""
    make(project, GOOD, "\n  - ".join([LOW, BY.replace("< 10", "< 5")]), contact=web.url)
    dimensions(project)
    rows(project, GOOD)
    project.sync(day(5))
    rows(project, {**GOOD, 5: 10})
    project.sync(day(6))
    assert len(read_state(project.open(), now=day(6)).open) == 1
    assert skipped(project, day(6, 2)) == {"low", "by"}
    assert {row.severity for row in read_state(project.open(), now=day(6)).standings} == {"critical", ""}
    with project.open().state.writing() as connection:
        store.change_incident(connection, 1, notified_at=None, notified_severity=None)
    assert skipped(project, day(6, 2)) == set()
    evaluate(project.open(), now=day(6, 2))
    assert len(read_state(project.open(), now=day(6, 3)).history) == 1


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
def test_a_history_is_the_same_with_and_without(tmp_path: Path, web: Web) -> None:
    """Random days, late rows, silences and evaluations; of a copy, what was judged is forgotten each time."""
    for number in range(cases(fast=1, slow=3, full=40)):
        chance = random.Random(f"{SEED} {number}")
        values = {n: float(chance.randint(20, 130)) for n in range(4)}
        mine = Builder(tmp_path / f"{number}")
        reminded = LOW.replace("notify", "renotify_after: 2h, notify")
        shop(mine, values, RANGE, low=reminded, contact=web.url)
        for at in range(4, 10):
            values[at] = float(chance.choice([10, 60, 70, 100, 100, 100]))
            values[chance.randrange(at)] = float(chance.choice([40, 100]))
            rows(mine, values)
            mine.sync(day(at + 1))
            for hour in range(2, 2 + chance.randint(1, 4)):
                if chance.random() < 0.2:
                    rule = chance.choice(["k.low", "k.by"])
                    silence(mine.open(), rule, day(at + 1, hour + 2), by="ann", now=day(at + 1, hour))
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
    sent = [(message.contact, message.title, message.body) for message in messages(project)]
    return sorted(found.standings, key=lambda row: (row.rule_key, row.segment)), found.history, sent
