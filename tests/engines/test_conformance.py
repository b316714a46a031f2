"""One suite for every engine: what it answers is what DuckDB answers, for every KPI, or it is not supported.

docs/scale-out.md has a table of what passed: `KPI_CASES=full pytest tests/engines -m slow --update-golden` writes it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from connectors.errors import KpiError, QueryLimit
from connectors.warehouse.engines.contract import Engine
from connectors.warehouse.engines.guarded import Guard, GuardedEngine
from jobs.project.project import open_project
from metrics.engine.sql import dialects
from tests.engines import worlds
from tests.engines.asking import DEMO_DAYS, RANDOM, Known, check_documented, question_of
from tests.engines.servers import engine_with
from tests.engines.worlds import World
from tests.sampling import TIER, cases, sampled

ENGINES = {  # and what docs/scale-out.md calls them
    "postgres": "PostgreSQL 18, a server",
    "chdb": "ClickHouse's engine, chDB in the process",
    "sail": "Sail, `local`",
    "sail-cluster": "Sail, `local-cluster`",
}
ASKED = list(ENGINES)[: cases(fast=3, slow=3, full=4)]  # a cluster takes a minute and a half, and is the same engine
PASSED: dict[str, dict[str, int]] = {}  # engine → KPI → questions that it answered as DuckDB


@pytest.fixture(scope="module")
def types(tmp_path_factory: pytest.TempPathFactory) -> Known:
    """Rows of every type of KPI."""
    return Known(worlds.made(tmp_path_factory.mktemp("engines") / "project").open())


@pytest.fixture(scope="module")
def demo(demo_folder: Path) -> Known:
    return Known(open_project(demo_folder))


@pytest.fixture(scope="module", params=ASKED)
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
@pytest.mark.breadth(8)
@pytest.mark.parametrize("name", sorted(worlds.KPIS))
def test_every_kpi_is_as_in_duckdb(world: World, name: str, request: pytest.FixtureRequest) -> None:
    assert not world.catalogue.problems
    asked = list(world.questions(world.catalogue.kpis[name]))
    for question in asked:
        world.asked(question)
    PASSED.setdefault(request.node.callspec.params["engine"], {})[name] = len(asked)


@pytest.mark.proof
@pytest.mark.slow
def test_the_demo_is_as_in_duckdb(demo: Known, engine: Engine, request: pytest.FixtureRequest) -> None:
    world = demo.within(engine, *DEMO_DAYS)
    count = 0
    kpis = list(world.catalogue.kpis.values())
    for kpi in kpis if TIER == "full" else kpis[::4]:
        for question in world.questions(kpi, filtered=False):
            world.asked(question)
            count += 1
    PASSED.setdefault(request.node.callspec.params["engine"], {})["the demo"] = count


ZONES = ("UTC", "America/New_York", "Asia/Kolkata")


@pytest.mark.slow
def test_times_of_one_zone_are_those_of_another_as_in_duckdb(types: Known, engine: Engine) -> None:
    """Days of them, too: what a moment is typed as in an engine says where its day is cut."""
    moments = [f"TIMESTAMP '{at}'" for at in ("2026-07-01 01:30:00", "2026-03-08 03:30:00", "2026-11-01 23:45:00.25")]
    pairs = itertools.product(moments, ZONES, ZONES)
    turned = [f"(({at}) AT TIME ZONE '{given}') AT TIME ZONE '{wanted}'" for at, given, wanted in pairs]
    columns = [f"{one} AS t{i}, date_trunc('day', {one}) AS d{i}" for i, one in enumerate(turned)]
    sql = f"SELECT {', '.join(columns)}"
    here, there = types.reader.frame(sql), engine.frame(dialects.translated(sql, engine.dialect))
    assert there.iloc[0].tolist() == here.iloc[0].tolist()


@pytest.mark.slow
def test_the_engine_says_what_its_tables_are(types: Known, demo: Known, engine: Engine) -> None:
    known = {
        name: {column: kind.replace("_NS", "") for column, kind in columns.items()}
        for name, columns in {**types.reader.tables(), **demo.reader.tables()}.items()
    }
    assert {name: dict(columns) for name, columns in engine.tables().items()} == known


@pytest.mark.slow
@pytest.mark.proof
def test_the_docs_say_what_passes(engine: Engine, types: Known, request: pytest.FixtureRequest) -> None:
    name = request.node.callspec.params["engine"]
    check_documented(ENGINES[name], PASSED.get(name, {}), update=request.config.getoption("--update-golden"))


@pytest.mark.slow
@sampled(fast=0, slow=20, full=500, shrink=False)
@given(RANDOM)
def test_random_questions_are_as_in_duckdb(world: World, drawn: dict[str, Any]) -> None:
    world.asked(question_of(drawn, world))


def test_postgresql_answers_a_few_as_duckdb(types: Known, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Of the engines, the one whose driver is in the base install."""
    tables = worlds.arrow_tables(types.reader)
    with engine_with("postgres", tables, tmp_path, lambda: request.getfixturevalue("postgres"), "few") as engine:
        few = types.within(engine, worlds.FIRST, worlds.FIRST + timedelta(days=worlds.DAYS))
        for name in ("first", "own", "median", "running", "funnel", "evening"):
            few.asked(next(few.questions(few.catalogue.kpis[name])))
        question = next(few.questions(few.catalogue.kpis["n"]))
        guarded = GuardedEngine(engine, Guard(rows=100))
        with pytest.raises(QueryLimit, match="it would read about"):
            types.within(guarded, few.start, few.end).asked(question)


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


# What a session begins with on ClickHouse → another value of it, and what is then counted otherwise.
SETTINGS = {
    "join_use_nulls": ("0", "orders", "country"),  # who is in no row of `people` would be of the country ''
    "session_timezone": ("Asia/Tokyo", "n", None),
}


@pytest.mark.slow
@pytest.mark.parametrize("setting", SETTINGS)
def test_with_another_setting_clickhouse_counts_otherwise(
    world: World, setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    value, name, by = SETTINGS[setting]
    questions = [asked for asked in world.questions(world.catalogue.kpis[name]) if asked.by == by]
    for question in questions:
        world.asked(question)
    if world.there.dialect == "clickhouse":
        monkeypatch.setitem(world.there._engine._settings, setting, value)  # type: ignore[attr-defined]
        with pytest.raises(AssertionError):
            for question in questions:
                world.asked(question)
