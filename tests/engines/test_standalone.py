"""Apache Spark of a master, two workers and a driver: what it answers, and what is said when one of them dies."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given

from connectors.errors import QueryLimit, WarehouseError
from connectors.warehouse.contract import SeriesKey, StoredSeries
from connectors.warehouse.engines.opening import open_engine
from connectors.warehouse.engines.spark import SparkEngine
from connectors.warehouse.engines.stop import Stop
from jobs.project.project import Project, open_project
from jobs.sync import sync
from metrics.engine.sql.dialects import SESSION
from tests.conftest import NOW, finished
from tests.engines import worlds
from tests.engines.asking import DEMO_DAYS, RANDOM, Known, check_documented, question_of
from tests.engines.projects import elsewhere, interrupted, made_shop, same_values, stored, told
from tests.engines.servers import Tables, into_spark
from tests.engines.standalone import Standalone, installed
from tests.engines.worlds import World, arrow_tables
from tests.sampling import TIER, cases, sampled

pytestmark = pytest.mark.slow
NAME = "Apache Spark 4.0, standalone: a master, two workers"


@dataclass(frozen=True)
class Shop:
    """A small project on the cluster. known: its values as DuckDB has them."""

    folder: Path
    tables: Tables
    known: dict[SeriesKey, StoredSeries]
    project: Project

    def fill(self, url: str) -> None:
        """Its tables, for every session; they are gone with a driver."""
        engine = open_engine(url, SESSION)
        assert isinstance(engine, SparkEngine)
        for name, table in self.tables.items():
            path = self.folder / f"{name}.parquet"
            pq.write_table(table, path)
            engine.session.sql(f"CREATE TABLE IF NOT EXISTS {name} USING parquet LOCATION '{path}'").collect()
        engine.close()


SHARE = cases(fast=1, slow=1, full=999)  # most questions of each KPI; all of them in `make prove engines`
PASSED: dict[str, int] = {}  # KPI → questions that it answered as DuckDB


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standalone]:
    installed()
    running = Standalone(tmp_path_factory.mktemp("spark"))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def types(tmp_path_factory: pytest.TempPathFactory) -> Known:
    return Known(worlds.made(tmp_path_factory.mktemp("engines") / "project").open())


@pytest.fixture(scope="module")
def demo(demo_folder: Path) -> Known:
    return Known(open_project(demo_folder))


@pytest.fixture(scope="module")
def engine(
    cluster: Standalone, types: Known, demo: Known, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SparkEngine]:
    opened = open_engine(cluster.url, SESSION)
    assert isinstance(opened, SparkEngine)
    tables = {**worlds.arrow_tables(types.reader), **worlds.arrow_tables(demo.reader)}
    into_spark(opened, tables, tmp_path_factory.mktemp("rows"))
    with closing(opened):
        yield opened


@pytest.fixture
def world(types: Known, engine: SparkEngine) -> World:
    return types.within(engine, worlds.FIRST, worlds.FIRST + timedelta(days=worlds.DAYS))


@pytest.mark.breadth(4)
@pytest.mark.parametrize("name", sorted(worlds.KPIS))
def test_every_kpi_is_as_in_duckdb_on_the_cluster(world: World, name: str) -> None:
    asked = list(itertools.islice(world.questions(world.catalogue.kpis[name]), SHARE))
    for question in asked:
        world.asked(question)
    PASSED[name] = len(asked)


@pytest.mark.proof
def test_the_demo_is_as_in_duckdb_on_the_cluster(demo: Known, engine: SparkEngine) -> None:
    world = demo.within(engine, *DEMO_DAYS)
    kpis = list(world.catalogue.kpis.values())
    asked = [
        question
        for kpi in (kpis if TIER == "full" else kpis[::4])
        for question in itertools.islice(world.questions(kpi, filtered=False), SHARE)
    ]
    for question in asked:
        world.asked(question)
    PASSED["the demo"] = len(asked)


@pytest.mark.proof
def test_the_docs_say_what_passes_on_the_cluster(request: pytest.FixtureRequest) -> None:
    check_documented(NAME, PASSED, update=request.config.getoption("--update-golden"))


@pytest.mark.proof
@sampled(fast=0, slow=0, full=500, shrink=False)
@given(RANDOM)
def test_random_questions_are_as_in_duckdb_on_the_cluster(world: World, drawn: dict[str, Any]) -> None:
    world.asked(question_of(drawn, world))


LONG, ANSWER = "SELECT sum(id % 7) AS s FROM range(0, {rows}, 1, 16)", 3  # on average
ENDLESS = 10**12


def test_the_cluster_stops_what_takes_too_long(engine: SparkEngine) -> None:
    """The executors are free again: what was stopped does not go on, unseen by whoever asked."""
    engine.frame(LONG.format(rows=7))  # what is stopped while its first tasks are handed out may run on: Spark's own
    with pytest.raises(QueryLimit, match="did not answer within 5 s"):
        engine.frame(LONG.format(rows=ENDLESS), Stop(5))
    assert engine.frame(LONG.format(rows=700), Stop(60))["s"].tolist() == [700 * ANSWER]


def test_the_cluster_tells_what_a_question_would_read(engine: SparkEngine) -> None:
    one, twice = (engine.cost(f"SELECT count(a.price) AS n FROM {rows}") for rows in ("bills a", "bills a, bills b"))
    assert one is not None and twice is not None
    assert one.rows is None and one.size is not None and 500 < one.size < 100_000
    assert twice.size == 2 * one.size


# The last of the file: they take parts of the cluster away, and a driver takes tables and sessions with it.


def begun(pool: ThreadPoolExecutor, engine: SparkEngine, rows: int) -> Future[Any]:
    """A long question that is in work."""
    answer = pool.submit(engine.frame, LONG.format(rows=rows), Stop(180))  # a test that fails must end, too
    time.sleep(3)
    assert not answer.done()
    return answer


def test_with_a_worker_killed_in_mid_question_the_answer_is_right(cluster: Standalone, engine: SparkEngine) -> None:
    rows = 21 * 10**7
    with ThreadPoolExecutor(1) as pool:
        answer = begun(pool, engine, rows)
        cluster.kill("worker-1")
        assert answer.result()["s"].tolist() == [rows * ANSWER]
    cluster.start_worker(1)


@pytest.mark.proof
def test_with_the_driver_killed_there_is_an_error_and_the_next_one_answers(
    cluster: Standalone, engine: SparkEngine
) -> None:
    with ThreadPoolExecutor(1) as pool:
        answer = begun(pool, engine, ENDLESS)
        cluster.kill("driver")
        with pytest.raises(WarehouseError) as error:
            answer.result()
    assert "Is the server there" in error.value.hint
    with pytest.raises(WarehouseError):  # and soon
        engine.frame("SELECT 1 AS one")
    cluster.start_driver()
    assert engine.frame("SELECT count(*) AS n FROM range(10)")["n"].tolist() == [10]


@pytest.fixture
def shop(cluster: Standalone, tmp_path: Path) -> Shop:
    """A project of its own, synced there."""
    built = made_shop(tmp_path / "built")
    made = Shop(tmp_path, arrow_tables(built.open().reader()), stored(built.open()), elsewhere(
        built.folder, tmp_path / "shop", cluster.url))  # fmt: skip
    made.fill(cluster.url)
    assert finished(sync(made.project, now=NOW)).published
    same_values(made.known, stored(made.project))
    return made


@pytest.mark.proof
@pytest.mark.parametrize("after", [0.4, 0.0, 1.5][: cases(fast=1, slow=1, full=3)])
def test_with_a_worker_killed_in_mid_refresh_it_completes(cluster: Standalone, shop: Shop, after: float) -> None:
    """Spark gives its tasks to the other one; readers of the live generation see nothing of it."""
    live = shop.project.warehouse.live()
    with ThreadPoolExecutor(1) as pool:
        killing: list[Future[None]] = []
        result = interrupted(shop.project, "late", lambda: killing.append(pool.submit(cluster.kill, "worker-1", after)))
        killing[0].result()
    cluster.start_worker(1)
    assert result.published or (result.failed and shop.project.warehouse.live() == live)
    same_values(shop.known, stored(shop.project))


@pytest.mark.proof
def test_with_the_driver_killed_in_mid_refresh_the_next_sync_completes(cluster: Standalone, shop: Shop) -> None:
    live = shop.project.warehouse.live()
    assert "the engine does not answer" in told(interrupted(shop.project, "late", partial(cluster.kill, "driver")))
    assert shop.project.warehouse.live() == live
    same_values(shop.known, stored(shop.project))  # asked while it is away
    cluster.start_driver()
    shop.fill(cluster.url)
    assert finished(sync(shop.project, now=NOW)).published
    same_values(shop.known, stored(shop.project))
