"""Launches and snapshots are looked at once a day and generation, and nobody can tell that they were not again."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from connectors.state import launches, snapshots
from jobs.launches.registry import add as add_launch
from jobs.project.settled import Settled
from tests.conftest import Builder
from tests.jobs.conftest import GOOD, day, make, write
from tests.sampling import SEED, cases

LAUNCH = (
    "name: guide\non: 2026-11-0{on}\nlabel: Guide\nsuccess: [{{kpi: k, expect: +5%}}]\n"
    "guardrails: [{{kpi: k, limit: '> {limit}'}}]\n"
)


def shop(project: Builder, values: dict[int, float]) -> None:
    make(project, values, "{name: low, thresholds: {critical: '< 5'}}")
    (project.folder / "snapshots").mkdir(exist_ok=True)
    project.write("snapshots", "weekly", "name: weekly\n")
    project.write("launches", "guide", LAUNCH.format(on=3, limit=50))


def holds(project: Builder, number: int, hour: int) -> bool:
    return Settled(project.open(), day(number, hour)).holds()


def test_it_holds_until_the_day_or_what_is_told_by_is_another(project: Builder) -> None:
    shop(project, GOOD)
    project.sync(day(5))
    assert [item.name for item in project.open().catalogue().launches] == ["guide"]
    assert holds(project, 5, 9) and holds(project, 5, 22)
    assert not holds(project, 6, 1), "a verdict's day comes, a week ends"
    project.sync(day(6))
    assert holds(project, 6, 2)
    project.write("launches", "guide", LAUNCH.format(on=3, limit=60))
    assert not holds(project, 6, 2)
    project.sync(day(6, 3))
    assert holds(project, 6, 4)
    add_launch(project.open(), "name: other\non: 2026-11-04\nlabel: Other\nkpis: [k]\n", by="ann", now=day(6, 4))
    assert not holds(project, 6, 5), "one that was made on a page"
    project.sync(day(6, 5))
    assert holds(project, 6, 6)
    opened = project.open()
    with opened.state.writing() as connection:
        launches.open_breach(connection, launches.Breach("guide", "k", day(4), day(6)))
    assert not holds(project, 6, 6), "the state store is another"
    project.sync(day(6, 7))
    project.write("snapshots", "other", "name: other\nsections: [{title: A, kpis: [nobody]}]\n")
    for hour in (8, 9):
        assert "snapshot other is not taken" in " ".join(project.sync(day(6, hour)).alerts), "each time"
    (project.folder / "snapshots" / "other.yml").unlink()
    project.sync(day(6, 10))
    assert holds(project, 6, 11)
    beside(project).write_bytes(b"\xff")
    assert not holds(project, 6, 12)


@pytest.mark.proof
@pytest.mark.slow
def test_a_history_is_the_same_when_all_is_looked_at_each_time(tmp_path: Path) -> None:
    """Random days, guardrails and syncs that find nothing new; of a copy, what settled is forgotten before each."""
    for number in range(cases(fast=1, slow=3, full=30)):
        chance = random.Random(f"{SEED} {number}")
        values = {n: float(chance.randint(40, 90)) for n in range(8)}
        mine = Builder(tmp_path / f"{number}")
        shop(mine, values)
        for at in range(8, 16):
            values[at] = float(chance.randint(40, 90))
            write(mine, values)
            for hour in range(1, 2 + chance.randint(1, 2)):
                if chance.random() < 0.2:
                    text = LAUNCH.format(on=chance.randint(2, 5), limit=chance.randint(40, 90))
                    mine.write("launches", "guide", text)
                twin = Builder.__new__(Builder)
                twin.folder = tmp_path / "twin"
                shutil.rmtree(twin.folder, ignore_errors=True)
                shutil.copytree(mine.folder, twin.folder, symlinks=True)
                for path in (twin.folder / "data").glob("generations/*.settled"):
                    path.unlink()
                done = [each.sync(day(at + 1, hour)) for each in (mine, twin)]
                assert done[0].alerts == done[1].alerts and told(mine) == told(twin)
        assert told(mine)[2], "weeks were taken"


def beside(project: Builder) -> Path:
    opened = project.open()
    return opened.warehouse.companion(opened.reader().generation.id, "settled")


def told(project: Builder) -> tuple[Any, ...]:
    opened = project.open()
    with opened.state.reading() as connection:
        readings, breaches = launches.readings(connection), launches.breaches(connection)
        weeks = [(row.name, row.week, row.revision, row.headline) for row in snapshots.kept(connection)]
    return [(row.launch, row.kpi, row.days, row.taken_at) for row in readings], breaches, weeks
