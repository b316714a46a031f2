"""Apache Spark of a master, two workers and a driver: what it answers, and what is said when one of them dies."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from connectors.errors import QueryLimit, WarehouseError
from connectors.warehouse.engines.opening import open_engine
from connectors.warehouse.engines.spark import SparkEngine
from connectors.warehouse.engines.stop import Stop
from jobs.project.project import open_project
from metrics.engine.sql.dialects import SESSION
from tests.engines import worlds
from tests.engines.asking import DEMO_DAYS, RANDOM, Known, check_documented, question_of
from tests.engines.servers import into_spark
from tests.engines.standalone import Standalone, installed
from tests.engines.worlds import World
from tests.sampling import TIER, cases, sampled

pytestmark = pytest.mark.slow
NAME = "Apache Spark 4.0, standalone: a master, two workers"
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


@pytest.mark.parametrize("name", sorted(worlds.KPIS))
def test_every_kpi_is_as_in_duckdb_on_the_cluster(world: World, name: str) -> None:
    asked = list(itertools.islice(world.questions(world.catalogue.kpis[name]), SHARE))
    for question in asked:
        world.asked(question)
    PASSED[name] = len(asked)


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


def test_the_docs_say_what_passes_on_the_cluster(request: pytest.FixtureRequest) -> None:
    if TIER != "full":
        pytest.skip("a share of the suite was asked; `make prove engines` asks all")
    check_documented(NAME, PASSED, update=request.config.getoption("--update-golden"))


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


# The last of the file, for they take parts of the cluster away.


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


def test_with_the_driver_killed_there_is_an_error_and_the_next_one_answers(
    cluster: Standalone, engine: SparkEngine
) -> None:
    with ThreadPoolExecutor(1) as pool:
        answer = begun(pool, engine, ENDLESS)
        cluster.kill("driver")
        with pytest.raises(WarehouseError) as told:
            answer.result()
    assert "Is the server there" in told.value.hint
    with pytest.raises(WarehouseError):  # and soon
        engine.frame("SELECT 1 AS one")
    cluster.start_driver()
    assert engine.frame("SELECT count(*) AS n FROM range(10)")["n"].tolist() == [10]
