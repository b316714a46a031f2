"""Rows of one moment: two events may share a second, but one row is one event. Against loops over people's rows."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from connectors.errors import DefinitionError
from metrics.kpi_views.types import in_words
from tests.conftest import Builder
from tests.sampling import cases

NOON = pd.Timestamp("2026-11-02 12:00:00")
FLAGS = ("a", "b", "c")
PEOPLE = cases(fast=25, slow=400, full=2000)
Row = dict[str, Any]
TIES = ("", "same_moment", "strictly_later")
KINDS = {  # conditions in order; a step may repeat
    "plain": ("a", "b", "c"),
    "again": ("a", "a"),
    "there_and_back": ("a", "b", "a"),
    "whatever": ("", "b", ""),
}


def kpis() -> dict[str, tuple[tuple[str, ...], str, str]]:
    """KPI → its conditions, its `ties`, its text."""
    found = {}
    for (name, steps), ties in itertools.product(KINDS.items(), TIES):
        stated = f"ties: {ties}\n" if ties else ""
        listed = ", ".join(f"{{name: s{i}{f', filter: {flag}' if flag else ''}}}" for i, flag in enumerate(steps))
        text = f"type: funnel\ndataset: acts\nwindow: 3 days\ngrain: day\n{stated}steps: [{listed}]"
        found[f"funnel_{name}_{ties}"] = steps, ties, text
        for of in ("entities", "events"):
            if len(steps) == 2 or name == "whatever":
                base, to = (f"{{dataset: acts{f', filter: {flag}' if flag else ''}}}" for flag in steps[:2])
                text = (
                    f"type: conversion\ndataset: acts\nof: {of}\nbase: {base}\nconversion: {to}\ngrain: day\n{stated}"
                )
                found[f"{of}_{name}_{ties}"] = steps[:2], ties, text
    return found


KPIS = kpis()


def drawn(seed: int, *, dated: bool) -> list[Row]:
    """Few moments and many rows in each; a row may meet several conditions."""
    rng = random.Random(seed)
    rows = []
    for who in range(PEOPLE):
        for _ in range(rng.randrange(1, 8)):
            tick = rng.randrange(4)
            at = (NOON + timedelta(days=tick)).normalize() if dated else NOON + timedelta(seconds=tick)
            rows.append({"who": who, "at": at, **{flag: rng.random() < 0.45 for flag in FLAGS}})
    return [*rows, {"who": -1, "at": NOON + timedelta(days=15), **dict.fromkeys(FLAGS, False)}]


@pytest.fixture(scope="module", params=[False, True], ids=["seconds", "days"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Builder, list[Row]]:
    project = Builder(tmp_path_factory.mktemp("ties") / "project")
    rows = drawn(5 + request.param, dated=request.param)
    frame = pd.DataFrame(rows)
    frame["at"] = frame["at"].dt.date if request.param else frame["at"]
    project.rows("acts", frame, entity="who", dimensions="[who]")
    project.sync()  # of the rows alone: the questions here are answered from them
    for name, (_, _, text) in KPIS.items():
        project.kpi(name, text)
    return project, rows


def meets(row: Row, flag: str) -> bool:
    return not flag or bool(row[flag])


def after(row: Row, flag: str, reached: Sequence[tuple[pd.Timestamp, str]], ties: str) -> bool:
    """Whether a row is the next step. reached: when each step before was, and what it was."""
    at, last = row["at"], reached[-1][0]
    if not meets(row, flag) or at < last:
        return False
    if ties:
        return at > last or ties == "same_moment"
    return all(at > then for then, what in reached if meets(row, what))


def steps_by_hand(rows: Sequence[Row], steps: Sequence[str], ties: str) -> list[int]:
    """1 for each step that is reached."""
    starts = [row["at"] for row in rows if meets(row, steps[0])]
    if not starts:
        return [0] * len(steps)
    reached = [(min(starts), steps[0])]
    for flag in steps[1:]:
        later = [row["at"] for row in rows if after(row, flag, reached, ties)]
        if not later or min(later) >= reached[0][0] + timedelta(days=3):
            break
        reached.append((min(later), flag))
    return [int(i < len(reached)) for i in range(len(steps))]


def people(project: Builder, kpi: str) -> dict[int, Row]:
    frame = project.ask(kpi, by="who", grain="total", end=date(2026, 11, 10)).frame
    return {int(row["segment"]): row for row in frame.to_dict("records")}


def distinct_rows(rows: Sequence[Row], steps: Sequence[str]) -> bool:
    """Whether as many different rows, none earlier than the one before, could be these steps: tried one by one."""

    def placed(k: int, used: frozenset[int], since: pd.Timestamp) -> bool:
        return k == len(steps) or any(
            placed(k + 1, used | {i}, row["at"])
            for i, row in enumerate(rows)
            if i not in used and row["at"] >= since and meets(row, steps[k])
        )

    return placed(0, frozenset(), pd.Timestamp(0))


@pytest.mark.breadth(8)
@pytest.mark.parametrize("kpi", [name for name in KPIS if name.startswith("funnel")])
def test_a_funnel_of_many_ties_equals_a_count_by_hand(world: tuple[Builder, list[Row]], kpi: str) -> None:
    project, rows = world
    steps, ties, _ = KPIS[kpi]
    for who, row in people(project, kpi).items():
        own = [r for r in rows if r["who"] == who]
        want = steps_by_hand(own, steps, ties)
        assert list(row["parts"]) == want, (who, own)
        if not ties:
            reached = sum(want)
            assert distinct_rows(own, steps[:reached]), "one row was counted as two steps"


@pytest.mark.breadth(6)
@pytest.mark.parametrize("kpi", [name for name in KPIS if name.startswith("entities")])
def test_a_conversion_of_many_ties_equals_a_count_by_hand(world: tuple[Builder, list[Row]], kpi: str) -> None:
    project, rows = world
    (base, to), ties, _ = KPIS[kpi]
    for who, row in people(project, kpi).items():
        own = [r for r in rows if r["who"] == who]
        starts = [r["at"] for r in own if meets(r, base)]
        converts = any(after(r, to, [(at, base)], ties) for at in starts for r in own)
        assert (row["numerator"], row["denominator"]) == (int(converts), int(bool(starts))), (who, own)


@pytest.mark.breadth(6)
@pytest.mark.parametrize("kpi", [name for name in KPIS if name.startswith("events")])
def test_a_last_touch_of_many_ties_equals_a_count_by_hand(world: tuple[Builder, list[Row]], kpi: str) -> None:
    project, rows = world
    (base, to), ties, _ = KPIS[kpi]
    for who, row in people(project, kpi).items():
        own = [r for r in rows if r["who"] == who]
        starts = [r["at"] for r in own if meets(r, base)]
        credited = sum(any(after(r, to, [(at, base)], ties) for at in starts) for r in own)
        assert (row["numerator"], row["denominator"]) == (credited, len(starts)), (who, own)


def test_steps_of_two_datasets_are_two_rows_and_a_dates_row_stands_for_its_day(project: Builder) -> None:
    """A step that comes back, with a date between: the date's own row is not used twice on its day."""
    project.rows("acts", pd.DataFrame([{"at": NOON, "who": 1}, {"at": NOON, "who": 2}]), entity="who")
    paid = [{"at": NOON.date(), "who": who, "big": who == 1} for who in (1, 2, 2)]
    project.rows("paid", pd.DataFrame(paid), entity="who")
    between = "steps: [{name: p, dataset: paid}, {name: a}, {name: q, dataset: paid, filter: big}]"
    project.kpi("through", f"type: funnel\ndataset: acts\ngrain: day\n{between}")
    project.kpi("pays", "type: conversion\ndataset: acts\nconversion: {dataset: paid}\ngrain: day")
    project.sync()
    assert project.ask("through", grain="total").frame["parts"].iloc[0] == (2, 2, 0)
    assert project.values("pays", grain="total") == {"total": 1}


@pytest.mark.parametrize("order", ["first_second", "second_first"])
def test_whole_seconds_put_two_steps_into_one_moment(project: Builder, order: str) -> None:
    rows = [{"at": NOON, "who": 1, "what": what} for what in ("cart", "checkout")]
    rows += [{"at": NOON + timedelta(seconds=i), "who": 2, "what": w} for i, w in enumerate(("checkout", "cart"))]
    project.rows("acts", pd.DataFrame(rows[:: 1 if order == "first_second" else -1]), entity="who")
    steps = "steps: [{name: c, filter: what = 'cart'}, {name: o, filter: what = 'checkout'}]"
    project.kpi("out", f"type: funnel\ndataset: acts\ngrain: day\n{steps}")
    project.kpi("later", f"type: funnel\ndataset: acts\ngrain: day\nties: strictly_later\n{steps}")
    project.sync()
    assert project.ask("out", grain="total").frame["parts"].iloc[0] == (2, 1)
    assert project.ask("later", grain="total").frame["parts"].iloc[0] == (2, 0)
    catalogue = project.open().catalogue()
    assert "strictly later" in in_words(catalogue.kpi("later"), catalogue)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ties: strict\nsteps: [{name: x}, {name: y}]", "'ties' cannot be 'strict'"),
        ("ties: same_moment\norder: strict\nsteps: [{name: x}, {name: y}]", "no effect with `order: strict`"),
    ],
)
def test_ties_that_say_nothing_are_told(project: Builder, text: str, message: str) -> None:
    project.rows("acts", pd.DataFrame([{"at": NOON, "who": 1}]), entity="who")
    project.kpi("out", f"type: funnel\ndataset: acts\ngrain: day\n{text}")
    project.sync()
    with pytest.raises(DefinitionError) as error:
        project.open().catalogue().kpi("out")
    assert message in str(error.value) and Path(error.value.problems[0].file).name == "out.yml"
