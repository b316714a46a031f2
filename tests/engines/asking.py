"""What an engine is asked in place of DuckDB, by the tests of each; and where it is written that it passed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import strategies as st

from connectors.warehouse.engines.contract import Engine
from connectors.warehouse.engines.reader import EngineReader
from jobs.project.project import Project
from metrics.catalog import sql
from metrics.engine.query import Filter, Query, Series
from metrics.engine.sql.dialects import render
from tests.conftest import ROOT
from tests.engines import worlds
from tests.engines.worlds import World

DOCS = ROOT / "docs" / "scale-out.md"
DEMO_DAYS = (date(2026, 9, 1), date(2026, 11, 23))


class Known:
    """One project as DuckDB has it, and what it said of it."""

    def __init__(self, project: Project) -> None:
        self.reader = project.reader()
        self.catalogue = project.catalogue(self.reader)
        self.told: dict[Query, Series] = {}

    def within(self, engine: Engine, start: date, end: date) -> World:
        """The same project with its rows in an engine."""
        there = EngineReader(engine, self.reader, lambda text: render(sql.select(text, None), engine.dialect))
        return World(self.catalogue, self.reader, there, start, end, worlds.VALUES, self.told)


RANDOM = st.fixed_dictionaries(
    {
        "kpi": st.sampled_from(sorted(worlds.KPIS)),
        "grain": st.integers(0, 9),
        "by": st.integers(0, 3),
        "where": st.lists(st.integers(0, 2), unique=True, max_size=3),
        "start": st.integers(-3, worlds.DAYS),
        "length": st.integers(1, 40),
        "compare": st.sampled_from([None, None, "previous_range", "previous_period"]),
    }
)


def question_of(drawn: dict[str, Any], world: World) -> Query:
    """A question that may be asked, of what RANDOM draws."""
    kpi = world.catalogue.kpis[drawn["kpi"]]
    dimensions = [None, *world.catalogue.dimensions_of(kpi)]
    offered = worlds.grains(kpi)
    grain = offered[drawn["grain"] % len(offered)]
    by, other = (dimensions[(drawn["by"] + more) % len(dimensions)] for more in (0, 1))
    where: tuple[Filter, ...] = ()
    if other and drawn["where"]:
        where = (Filter(other, tuple(world.values[other][place] for place in drawn["where"])),)
    start: date = worlds.FIRST + timedelta(days=drawn["start"])
    compare = drawn["compare"] if grain != "total" or drawn["compare"] == "previous_range" else None
    end = start + timedelta(days=drawn["length"])
    return Query(kpi.name, grain=grain, start=start, end=end, by=by, where=where, compare=compare)


def check_documented(engine: str, passed: Mapping[str, int], *, update: bool) -> None:
    """docs/scale-out.md has a line of this engine: of what was asked of it (KPI → questions) and answered as DuckDB."""
    if set(passed) != {*worlds.KPIS, "the demo"}:
        pytest.skip("not all of the suite was run, or passed")
    line = f"| {engine} | {len(worlds.KPIS)} | {sum(passed.values()):,} |"
    text = DOCS.read_text()
    if update:
        old = next(row for row in text.splitlines() if row.startswith(f"| {engine} |"))
        DOCS.write_text(text.replace(old, line))
    assert line in DOCS.read_text().splitlines()
