"""A Spark Connect server that is killed in the middle of a refresh, and one that comes back without its tables."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.warehouse.engines.contract import ConnectionLost
from connectors.warehouse.engines.reached import PAGES, ReachedEngine
from connectors.warehouse.engines.spark import SparkEngine
from jobs.sync import sync
from tests.conftest import NOW, finished
from tests.engines.projects import (
    SHARED_SESSION,
    elsewhere,
    fill_spark,
    interrupted,
    made_shop,
    same_values,
    stored,
    told,
)
from tests.engines.servers import needed
from tests.engines.worlds import arrow_tables

pytestmark = pytest.mark.slow


class Sail:
    """A server at one port, started and killed by a test."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url, self._folder = f"sc://127.0.0.1:{self.port}{SHARED_SESSION}", folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        code = "from pysail.cli import main; main()"
        arguments = ["spark", "server", "--ip", "127.0.0.1", "--port", str(self.port)]
        with (self._folder / "sail.log").open("w") as log:
            environment = {**os.environ, "SAIL_MODE": "local"}
            self._process = subprocess.Popen(
                [sys.executable, "-c", code, *arguments], stdout=log, stderr=log, env=environment
            )
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.1)
        raise TimeoutError((self._folder / "sail.log").read_text()[-500:])

    def kill(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(timeout=20)
            self._process = None


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Sail]:
    needed("sail")
    server = Sail(tmp_path)
    server.start()
    yield server
    server.kill()


def test_a_client_that_lost_its_threads_makes_them_anew(server: Sail) -> None:
    """It has some for all its sessions, and takes them down with each that is closed: for good where one of them does.

    As where the garbage collector finds a session in one of them.
    """
    from pyspark.sql.connect.client.reattach import ExecutePlanResponseReattachableIterator as Calls

    def broken(engine: SparkEngine) -> None:
        Calls._get_or_create_release_thread_pool().submit(Calls.shutdown).exception()

    engine = SparkEngine(server.url, (), {})
    for ask in (lambda: engine.frame("SELECT 1 AS a"), engine.tables, lambda: engine.columns("SELECT 1 AS a")):
        broken(engine)
        with pytest.raises(ConnectionLost, match="threads were gone"):
            ask()
        assert engine.frame("SELECT 1 AS a")["a"].tolist() == [1]
    reached = ReachedEngine(server.url, {}, PAGES)
    assert reached.frame("SELECT 1 AS a")["a"].tolist() == [1]
    broken(engine)
    assert reached.frame("SELECT 2 AS a")["a"].tolist() == [2], "and is asked again"
    engine.close()
    reached.close()


LEFT = """
import gc, sys
from concurrent.futures import ThreadPoolExecutor

from connectors.warehouse.engines.spark import SparkEngine

begun = ThreadPoolExecutor._adjust_thread_count  # runs in the middle of a call, with the locks of its threads
def found_there(pool):
    gc.collect()
    begun(pool)

engine = SparkEngine(sys.argv[1], (), {})
gc.disable()
def leave():
    call, other = engine.session.sql("SELECT id FROM range(9)").toLocalIterator(), SparkEngine(sys.argv[1], (), {})
    next(call)
    around = [call, other]
    around.append(around)
leave()
ThreadPoolExecutor._adjust_thread_count = found_there
print(engine.frame("SELECT 7 AS a")["a"].tolist(), engine.frame("SELECT 8 AS a")["a"].tolist())
"""


def test_what_the_collector_finds_in_the_middle_of_a_call_stops_nothing(server: Sail) -> None:
    """An unfinished call and a session that nobody holds: to close them there would wait for what that call holds."""
    done = subprocess.run([sys.executable, "-c", LEFT, server.url], capture_output=True, text=True, timeout=60)
    assert done.stdout == "[7] [8]\n", done.stderr


def test_a_server_that_is_killed_loses_one_sync_and_no_value(server: Sail, tmp_path: Path) -> None:
    built = made_shop(tmp_path / "built")
    tables, known = arrow_tables(built.open().reader()), stored(built.open())
    fill_spark(server.url, tables, tmp_path)
    project = elsewhere(built.folder, tmp_path / "shop", server.url)
    assert finished(sync(project, now=NOW)).published
    same_values(known, stored(project))
    live = project.warehouse.live()

    began = time.monotonic()
    error = told(interrupted(project, "late", server.kill))
    assert "the engine does not answer" in error
    assert time.monotonic() - began < 60
    assert project.warehouse.live() == live
    same_values(known, stored(project))

    server.start()  # its catalogue is in memory: no table is there yet
    assert "the engine shows no table" in told(finished(sync(project, now=NOW)))
    assert project.warehouse.live() == live

    fill_spark(server.url, tables, tmp_path)
    assert finished(sync(project, now=NOW)).published
    same_values(known, stored(project))
