"""A question that takes too long, or is not wanted any more, ends in the engine; what it would read is told before."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pyarrow as pa
import pytest

from connectors.errors import QueryLimit, WarehouseError
from connectors.warehouse.engines.contract import Engine
from connectors.warehouse.engines.cost import Cost
from connectors.warehouse.engines.guarded import Guard, GuardedEngine, stoppable
from connectors.warehouse.engines.opening import open_engine
from connectors.warehouse.engines.reached import SYNC, ReachedEngine
from connectors.warehouse.engines.spark import SparkEngine
from connectors.warehouse.engines.stop import Cancelled, Stop
from metrics.engine.sql.dialects import SESSION
from tests.engines.servers import engine_with

ROWS = 20_000
TABLES = {"numbers_there": pa.table({"n": pa.array(range(ROWS), pa.int64())})}
LONG = {
    "postgres": "SELECT 1 AS one FROM pg_sleep(60)",
    "clickhouse": "SELECT count() AS n FROM numbers(1000000000000) WHERE cityHash64(number) % 7 = 3",
    "spark": "SELECT sum(id % 7) AS s FROM range(0, 1000000000000, 1, 8)",
}
RUNNING = {  # what is asked of the engine itself
    "postgres": "SELECT count(*) AS n FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_slee' || 'p%'",
    "clickhouse": "SELECT count() AS n FROM system.processes WHERE query LIKE concat('%cityHash6', '4%')",
}


@pytest.fixture(
    scope="module",
    params=["postgres", *(pytest.param(name, marks=pytest.mark.slow) for name in ("chdb", "sail"))],
)
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("stopping")
    with engine_with(request.param, TABLES, folder, lambda: request.getfixturevalue("postgres"), "stopping") as opened:
        yield opened


def running(engine: Engine) -> int:
    """How many of the long questions the engine has in work: asked until it is none, for some seconds."""
    for _ in range(50):
        if isinstance(engine, SparkEngine):
            left = len(engine.session.interruptAll())
        else:
            left = int(engine.frame(RUNNING[engine.dialect])["n"][0])
        if not left:
            break
        time.sleep(0.1)
    return left


def test_a_question_beyond_its_time_ends_in_the_engine(engine: Engine) -> None:
    with pytest.raises(QueryLimit) as told:
        engine.frame(LONG[engine.dialect], Stop(0.6))
    assert str(told.value).startswith("the engine did not answer within 0.6 s and was told to stop")
    assert "query_timeout" in told.value.hint
    assert not running(engine)
    assert engine.frame("SELECT count(*) AS n FROM numbers_there", Stop(60))["n"].tolist() == [ROWS]


def test_a_question_that_is_not_wanted_any_more_ends_in_the_engine(engine: Engine) -> None:
    stop = Stop(60)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(engine.frame, LONG[engine.dialect], stop)
        time.sleep(0.6)
        assert not answer.done()
        stop.cancel()
        with pytest.raises(Cancelled):
            answer.result(timeout=20)
    assert not running(engine)
    with pytest.raises(Cancelled):  # what would follow it is not begun
        engine.frame("SELECT count(*) AS n FROM numbers_there", stop)
    assert engine.frame("SELECT count(*) AS n FROM numbers_there")["n"].tolist() == [ROWS]


def test_what_it_would_read_is_told_without_reading_it(engine: Engine) -> None:
    if isinstance(engine, SparkEngine):
        assert engine.cost("SELECT count(*) AS n FROM numbers_there") is None  # Sail does not tell
        return
    if engine.dialect == "postgres":
        assert engine.cost("SELECT count(*) AS n FROM generate_series(1, 10)") == Cost(rows=0)
    twice = "SELECT count(*) AS n FROM (SELECT n FROM numbers_there UNION ALL SELECT n + 1 FROM numbers_there) AS twice"
    cost = engine.cost(twice)
    assert cost is not None and cost.rows is not None and ROWS < cost.rows < 4 * ROWS  # of a table never analyzed, too
    with pytest.raises(WarehouseError):
        engine.cost("SELECT nothing FROM nowhere")


def test_an_engine_that_was_told_to_end_the_connection_is_asked_over_another(postgres: str) -> None:
    engine, other = open_engine(postgres, SESSION), open_engine(postgres, SESSION)
    pid = engine.frame("SELECT pg_backend_pid() AS pid")["pid"][0]
    other.frame(f"SELECT pg_terminate_backend({pid}) AS ended")
    with pytest.raises(WarehouseError):
        engine.frame("SELECT 1 AS one")
    assert engine.frame("SELECT current_setting('TimeZone') AS zone")["zone"].tolist() == ["UTC"]
    engine.close()
    other.close()


def test_a_question_whose_connection_was_dropped_is_asked_again_over_another(postgres: str) -> None:
    reached = ReachedEngine(postgres, SESSION, SYNC)
    before = reached.frame("SELECT pg_backend_pid() AS pid")["pid"].item()
    with closing(open_engine(postgres, SESSION)) as other:
        other.frame(f"SELECT pg_terminate_backend({before}) AS ended")
    assert reached.frame("SELECT pg_backend_pid() AS pid")["pid"].item() != before
    with pytest.raises(WarehouseError, match="nowhere"):
        reached.frame("SELECT * FROM nowhere")
    reached.close()


def test_a_guarded_engine_refuses_before_it_reads_and_stops_when_told(engine: Engine) -> None:
    counted = "SELECT count(n + 1) AS n FROM numbers_there WHERE n + 1 > 0"
    few = GuardedEngine(engine, Guard(seconds=60, rows=ROWS // 10))
    if engine.cost(counted) is not None:
        with pytest.raises(QueryLimit, match=r"would read about \d\d,\d{3} rows in the engine, and 2,000 are"):
            few.frame(counted)
    assert GuardedEngine(engine, Guard(rows=100 * ROWS)).frame(counted)["n"].tolist() == [ROWS]
    with pytest.raises(QueryLimit, match="did not answer within"):
        GuardedEngine(engine, Guard(seconds=0.5, rows=100 * ROWS)).frame(LONG[engine.dialect])
    with pytest.raises(WarehouseError, match=r"(?i)nowhere"):  # which is asked for its cost first
        few.frame("SELECT nothing FROM nowhere")


def test_what_a_thread_asks_while_it_is_stoppable_is_stopped(engine: Engine) -> None:
    guarded, stop = GuardedEngine(engine, Guard()), Stop()

    def ask() -> None:
        with stoppable(stop):
            guarded.frame(LONG[engine.dialect])

    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask)
        time.sleep(0.5)
        stop.cancel()
        with pytest.raises(Cancelled):
            asked.result(timeout=20)
    assert not running(engine)


def test_whoever_leaves_stops_what_they_asked() -> None:
    told: list[str] = []
    with pytest.raises(KeyboardInterrupt), Stop().watching(lambda: told.append("stop")):
        raise KeyboardInterrupt
    with pytest.raises(WarehouseError), Stop().watching(lambda: told.append("error")):
        raise WarehouseError("no such column")
    assert told == ["stop"]


def test_more_than_is_allowed_is_refused_with_what_to_do() -> None:
    Cost(rows=5, size=5).refuse_over(5, 5)
    Cost(rows=10**12).refuse_over(0, 0)
    with pytest.raises(QueryLimit) as told:
        Cost(rows=3_000_000).refuse_over(2_000_000, 0)
    assert str(told.value).startswith("it would read about 3,000,000 rows in the engine, and 2,000,000 are allowed")
    with pytest.raises(QueryLimit, match=r"about 2\.5 GB in the engine, and 1\.0 GB are allowed(.|\n)*query_bytes"):
        Cost(size=2_500_000_000).refuse_over(0, 10**9)
