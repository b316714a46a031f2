"""One suite for every engine: what it answers is what DuckDB answers, for every KPI, or it is not supported.

docs/scale-out.md has a table of what passed: `KPI_CASES=slow pytest tests/engines -m slow --update-golden` writes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.errors import KpiError
from connectors.warehouse.engines.contract import Engine
from connectors.warehouse.engines.reader import EngineReader
from jobs.project.project import Project, open_project
from metrics.catalog import sql
from metrics.engine.query import Filter, Query, Series
from metrics.engine.sql import dialects
from metrics.engine.sql.dialects import render
from tests.conftest import ROOT
from tests.engines import worlds
from tests.engines.servers import engine_with
from tests.engines.worlds import World
from tests.sampling import sampled

ENGINES = {  # and what docs/scale-out.md calls them
    "postgres": "PostgreSQL 18, a server",
    "chdb": "ClickHouse's engine, chDB in the process",
    "sail": "Sail, `local`",
    "sail-cluster": "Sail, `local-cluster`",
}
DOCS = ROOT / "docs" / "scale-out.md"
PASSED: dict[str, dict[str, int]] = {}  # engine → KPI → questions that it answered as DuckDB


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


@pytest.fixture(scope="module")
def types(tmp_path_factory: pytest.TempPathFactory) -> Known:
    """Rows of every type of KPI."""
    return Known(worlds.made(tmp_path_factory.mktemp("engines") / "project").open())


@pytest.fixture(scope="module")
def demo(demo_folder: Path) -> Known:
    return Known(open_project(demo_folder))


@pytest.fixture(scope="module", params=ENGINES)
def engine(
    request: pytest.FixtureRequest, types: Known, demo: Known, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """One engine after the other, with the rows of both."""
    folder = tmp_path_factory.mktemp("engine")
    tables = {**worlds.arrow_tables(types.reader), **worlds.arrow_tables(demo.reader)}
    with engine_with(request.param, tables, folder, lambda: request.getfixturevalue("postgres"), "both") as opened:
        yield opened


@pytest.fixture
def world(types: Known, engine: Engine) -> World:
    return types.within(engine, worlds.FIRST, worlds.FIRST + timedelta(days=worlds.DAYS))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(worlds.KPIS))
def test_every_kpi_is_as_in_duckdb(world: World, name: str, request: pytest.FixtureRequest) -> None:
    assert not world.catalogue.problems
    asked = list(world.questions(world.catalogue.kpis[name]))
    for question in asked:
        world.asked(question)
    PASSED.setdefault(request.node.callspec.params["engine"], {})[name] = len(asked)


@pytest.mark.slow
def test_the_demo_is_as_in_duckdb(demo: Known, engine: Engine, request: pytest.FixtureRequest) -> None:
    world = demo.within(engine, date(2026, 9, 1), date(2026, 11, 23))
    count = 0
    for kpi in world.catalogue.kpis.values():
        for question in world.questions(kpi, filtered=False):
            world.asked(question)
            count += 1
    PASSED.setdefault(request.node.callspec.params["engine"], {})["the demo"] = count


@pytest.mark.slow
def test_the_engine_says_what_its_tables_are(types: Known, demo: Known, engine: Engine) -> None:
    known = {
        name: {column: kind.replace("_NS", "") for column, kind in columns.items()}
        for name, columns in {**types.reader.tables(), **demo.reader.tables()}.items()
    }
    assert {name: dict(columns) for name, columns in engine.tables().items()} == known


@pytest.mark.slow
def test_the_docs_say_what_passes(engine: Engine, types: Known, request: pytest.FixtureRequest) -> None:
    """docs/scale-out.md has a line of each engine, of what was asked of it and answered as DuckDB does."""
    name = request.node.callspec.params["engine"]
    passed = PASSED.get(name, {})
    if set(passed) != {*worlds.KPIS, "the demo"}:
        pytest.skip("not all of the suite was run, or passed")
    line = f"| {ENGINES[name]} | {len(worlds.KPIS)} | {sum(passed.values()):,} |"
    text = DOCS.read_text()
    if request.config.getoption("--update-golden"):
        old = next(row for row in text.splitlines() if row.startswith(f"| {ENGINES[name]} |"))
        DOCS.write_text(text.replace(old, line))
    assert line in DOCS.read_text().splitlines()


questions = st.fixed_dictionaries(
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


@pytest.mark.slow
@sampled(fast=0, slow=60, full=500, shrink=False)
@given(questions)
def test_random_questions_are_as_in_duckdb(world: World, question: dict[str, Any]) -> None:
    kpi = world.catalogue.kpis[question["kpi"]]
    dimensions = [None, *world.catalogue.dimensions_of(kpi)]
    offered = worlds.grains(kpi)
    grain = offered[question["grain"] % len(offered)]
    by, other = (dimensions[(question["by"] + more) % len(dimensions)] for more in (0, 1))
    where: tuple[Filter, ...] = ()
    if other and question["where"]:
        where = (Filter(other, tuple(world.values[other][place] for place in question["where"])),)
    start: date = worlds.FIRST + timedelta(days=question["start"])
    compare = question["compare"] if grain != "total" or question["compare"] == "previous_range" else None
    end = start + timedelta(days=question["length"])
    world.asked(Query(kpi.name, grain=grain, start=start, end=end, by=by, where=where, compare=compare))


def test_postgresql_answers_a_few_as_duckdb(types: Known, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Of the engines, the one whose driver is in the base install."""
    tables = worlds.arrow_tables(types.reader)
    with engine_with("postgres", tables, tmp_path, lambda: request.getfixturevalue("postgres"), "few") as engine:
        few = types.within(engine, worlds.FIRST, worlds.FIRST + timedelta(days=worlds.DAYS))
        for name in ("first", "own", "median", "running", "funnel", "evening"):
            few.asked(next(few.questions(few.catalogue.kpis[name])))


# Rule → a KPI that fails or counts otherwise without it, and the dialects where it does.
PROOFS = {
    "quantile": ("median", ("postgres", "spark", "clickhouse")),
    "first_and_last": ("first", ("postgres", "spark", "clickhouse")),
    "group_by_all": ("own", ("postgres", "spark")),
    "zone": ("evening", ("spark", "clickhouse")),
    "parts": ("evening", ("postgres",)),
    "wide_types": ("n", ("clickhouse",)),
}


@pytest.mark.slow
@pytest.mark.parametrize("rule", [rule.__name__ for rule in dialects.RULES])
def test_without_a_rule_its_kpi_is_not_as_in_duckdb(world: World, rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, needed_by = PROOFS[rule]
    question = next(world.questions(world.catalogue.kpis[name]))
    world.asked(question)
    if world.there.dialect in needed_by:
        monkeypatch.setattr(dialects, "RULES", [other for other in dialects.RULES if other.__name__ != rule])
        with pytest.raises((AssertionError, KpiError, TypeError, ValueError, AttributeError)):
            world.asked(question)
