"""kpi sync of a project whose rows are in an engine: what it stores is what DuckDB stores of the same rows."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, time, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from connectors.warehouse.contract import SeriesKey, StoredSeries
from connectors.warehouse.engines.clickhouse import ClickHouseEngine
from connectors.warehouse.engines.opening import open_engine
from connectors.warehouse.engines.reached import ReachedEngine
from jobs.project.project import Project, open_project
from jobs.sync import sync
from metrics.engine import rollups
from metrics.engine.answer import answer
from metrics.engine.explain import Explained
from metrics.engine.query import Filter, Query
from metrics.engine.sql.dialects import SESSION
from tests.conftest import NOW, finished, run_cli
from tests.engines import worlds
from tests.engines.projects import elsewhere, fill_spark, same_values, stored, tables_by_url
from tests.engines.servers import Tables, into_clickhouse
from tests.sampling import cases

ENGINES = ("postgres", "chdb", "sail", "sail-cluster")[: cases(fast=1, slow=1, full=4)]  # minutes each


class Known:
    """A project as DuckDB has it: its values, and its tables for another engine."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.values: dict[SeriesKey, StoredSeries] = stored(project)
        self.tables: Tables = worlds.arrow_tables(project.reader())


@pytest.fixture(scope="module")
def types(tmp_path_factory: pytest.TempPathFactory) -> Known:
    """KPIs of every type."""
    built = worlds.made(tmp_path_factory.mktemp("refresh") / "project")
    built.sync()
    return Known(built.open())


@pytest.fixture(scope="module")
def demo(demo_folder: Path) -> Known:
    return Known(open_project(demo_folder))


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """One engine after the other."""
    return str(request.param)


@pytest.fixture(scope="module")
def url(
    engine: str, request: pytest.FixtureRequest, types: Known, demo: Known, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """It, with the rows of both."""
    tables, folder = {**types.tables, **demo.tables}, tmp_path_factory.mktemp("engine")
    with tables_by_url(engine, tables, folder, lambda: request.getfixturevalue("postgres"), "refreshed") as one:
        yield one


@pytest.fixture(scope="module")
def synced(url: str, types: Known, tmp_path_factory: pytest.TempPathFactory) -> Project:
    return refreshed(types, tmp_path_factory.mktemp("types") / "project", url)


@pytest.fixture(scope="module")
def synced_demo(url: str, demo: Known, tmp_path_factory: pytest.TempPathFactory) -> Project:
    return refreshed(demo, tmp_path_factory.mktemp("demo") / "project", url)


def refreshed(known: Known, target: Path, url: str) -> Project:
    """The definitions of a project, synced over the engine at a URL."""
    project = elsewhere(known.project.folder, target, url)
    result = finished(sync(project, now=NOW))
    assert result.published and not result.failed and not result.problems
    return project


@pytest.mark.slow
def test_all_stored_values_are_as_of_duckdb(types: Known, synced: Project) -> None:
    same(types, synced)


@pytest.mark.slow
@pytest.mark.proof
def test_all_stored_values_of_the_demo_are_as_of_duckdb(demo: Known, synced_demo: Project) -> None:
    same(demo, synced_demo)


def same(known: Known, project: Project) -> None:
    same_values(known.values, stored(project))
    live, other = known.project.reader(), project.reader()
    assert other.dataset_states(other.generation.sequence) == live.dataset_states(live.generation.sequence)


@pytest.mark.proof
@pytest.mark.slow
def test_a_refresh_shares_its_scans_there(
    url: str, types: Known, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What an engine does not run for several KPIs at once each asks for itself: right, and slow."""
    told = Explained()
    project = elsewhere(types.project.folder, tmp_path / "project", url)
    with caplog.at_level("INFO", logger="metrics.engine"):
        assert finished(sync(project, now=NOW, explained=told)).published
    assert not [record.getMessage() for record in caplog.records if "not shared" in record.getMessage()]
    plan = told.as_dict()
    assert len(plan["scans"]) > 5 and not plan["rollups"]
    assert finished(sync(project, now=NOW)).written == 0  # all is computed again, and nothing differs


@pytest.fixture
def rolled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Roll-ups of tables of any size, of as many rows as they take."""
    monkeypatch.setattr(rollups, "LEAST_ROWS", 0)
    monkeypatch.setattr(rollups, "MOST_KEPT", 10)


@pytest.mark.slow
@pytest.mark.usefixtures("rolled")
def test_rollups_are_brought_home_and_answer_there(
    url: str, types: Known, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What they answer is what DuckDB says of the rows, and the engine is not asked for it."""
    project = refreshed(types, tmp_path / "project", url)
    same(types, project)
    reader, catalogue, here = project.reader(), project.catalogue(), types.project.reader()
    assert {roll.about["kind"] for roll in reader.rollups().values() if roll.relation} == {"people", "sums", "values"}
    start, end = worlds.FIRST, worlds.FIRST + timedelta(days=worlds.DAYS)
    asked, frame = [], ReachedEngine.frame

    def noted(engine: ReachedEngine, sql: str, *rest: Any) -> pd.DataFrame:
        asked.append(sql)
        return frame(engine, sql, *rest)

    monkeypatch.setattr(ReachedEngine, "frame", noted)
    answered = 0
    for name in (n for n, kpi in catalogue.kpis.items() if "platform" in catalogue.dimensions_of(kpi)):
        for grain in catalogue.kpis[name].offered_grains:
            query = Query(name, grain=grain, start=start, end=end, where=(Filter("platform", ("web", "ios")),))
            before = len(asked)
            found = answer(query, catalogue, reader)
            worlds.same(answer(query, types.project.catalogue(), here, from_facts=True), found, query)
            answered += found.level == "rollup" and len(asked) == before
    assert answered > 20


@pytest.mark.proof
@pytest.mark.slow
@pytest.mark.parametrize("sizes", ["usual", "rolled"])
def test_days_that_are_settled_are_not_counted_again(
    request: pytest.FixtureRequest, engine: str, types: Known, tmp_path: Path, sizes: str
) -> None:
    """Rows up to a day, a sync, then the rest: what is stored is what DuckDB stores of all of them at once."""
    if sizes == "rolled":
        request.getfixturevalue("rolled")
    until = datetime.combine(worlds.FIRST, time()) + timedelta(days=worlds.DAYS - 10)
    first = {
        name: before(table, until) if "at" in table.column_names else table for name, table in types.tables.items()
    }
    postgres = partial(request.getfixturevalue, "postgres")
    with tables_by_url(engine, first, tmp_path, postgres, f"growing_{sizes}") as url:
        project = elsewhere(types.project.folder, tmp_path / "project", url)
        for path in (project.folder / "datasets").glob("*.yml"):
            if "join:" not in path.read_text():
                path.write_text(f"{path.read_text()}settled_after: 2d\n")
        assert finished(sync(open_project(project.folder), now=NOW)).published
        grown(engine, url, types.tables, tmp_path, postgres, f"growing_{sizes}")
        told = Explained()
        assert finished(sync(open_project(project.folder), now=NOW, explained=told)).published
        same_values(types.values, stored(open_project(project.folder)))
        touched = {one["kpi"]: one["touched"] for one in told.as_dict()["kpis"]}
        assert touched["n"][0][0] > f"{until - timedelta(days=6):%Y-%m-%d}" and touched["n"][0][1] == ""
        assert not touched["orders"]  # it borrows: all days
        whole = Explained()
        assert finished(sync(open_project(project.folder), now=NOW, full=True, explained=whole)).written == 0
        assert not any(one["touched"] for one in whole.as_dict()["kpis"])


def before(table: pa.Table, until: datetime) -> pa.Table:
    at = table["at"].cast(pa.timestamp("us")) if pa.types.is_date(table["at"].type) else table["at"]
    edge = pa.scalar(until if at.type.tz is None else until.replace(tzinfo=UTC), at.type)
    return table.filter(pc.less(at, edge))


def grown(engine: str, url: str, tables: Tables, folder: Path, postgres: Callable[[], str], world: str) -> None:
    """Have all rows of the tables in the engine, as somebody who writes into it has."""
    if engine == "postgres":
        from adbc_driver_postgresql import dbapi

        with dbapi.connect(postgres(), autocommit=True) as connection, connection.cursor() as cursor:
            for name, table in tables.items():
                cursor.execute(f'TRUNCATE "{world}"."{name}"')
                cursor.adbc_ingest(name, table, mode="append", db_schema_name=world)
    elif engine == "chdb":
        with closing(open_engine(url, SESSION)) as opened:
            assert isinstance(opened, ClickHouseEngine)
            into_clickhouse(opened, tables)
    else:
        fill_spark(url, tables, folder)


@pytest.mark.slow
@pytest.mark.proof
@pytest.mark.parametrize(
    "verb",
    [
        ["query", "sign_ups", "--by", "platform", "--json"],
        ["query", "nps", "--where", "platform=web", "--where", "platform=ios", "--grain", "week", "--json"],
        ["query", "activation", "--start", "2026-11-02", "--end", "2026-11-16", "--grain", "total", "--json"],
        ["list", "--json"],
        ["alerts", "replay", "error_free_sessions", "--json"],
        ["snapshot", "show"],
    ],
    ids=lambda verb: " ".join(verb),
)
def test_a_verb_says_of_the_demo_what_it_says_over_duckdb(demo: Known, synced_demo: Project, verb: list[str]) -> None:
    here, there = (
        run_cli(*verb, "--project", str(project.folder), check=True) for project in (demo.project, synced_demo)
    )
    near(read(here.stdout), read(there.stdout))


def read(text: str) -> Any:
    """JSON, or the text; without what is another generation's."""
    text = re.sub(r"\d{8}T\d{6}-[0-9a-f]{8}", "GENERATION", text)
    try:
        return json.loads(text)
    except ValueError:
        return text


def near(here: Any, there: Any) -> None:
    """Fails unless both are the same but for the order of a sum."""
    if isinstance(here, dict):
        assert set(here) == set(there)
        for key in here:
            near(here[key], there[key])
    elif isinstance(here, list):
        assert len(here) == len(there)
        for mine, theirs in zip(here, there, strict=True):
            near(mine, theirs)
    else:
        assert there == (pytest.approx(here, rel=1e-6) if isinstance(here, float) else here)
