"""A reader who waits for an engine: is told so, may stop it there, and may ask again."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from adbc_driver_postgresql import dbapi

from jobs.sync import sync
from tests.conftest import NOW, Server, finished
from tests.engines.projects import elsewhere, made_shop
from tests.engines.servers import into_postgres
from tests.engines.worlds import arrow_tables

RUNNING = (
    "SELECT count(*) FROM pg_stat_activity "
    "WHERE state = 'active' AND pid <> pg_backend_pid() AND query ILIKE '%user_id%'"
)
AD_HOC = "kpi?kpi=buyers&platform=web&platform=ios"  # nothing stored answers it


@pytest.mark.slow
@pytest.mark.parametrize("leaves", [False, True], ids=["stops", "leaves"])
def test_who_waits_for_an_engine_is_told_and_may_stop_it(
    tmp_path: Path, postgres: str, browser: Any, *, leaves: bool
) -> None:
    schema = f"waiting_{leaves}".lower()
    built = made_shop(tmp_path / "project")
    project = elsewhere(
        built.folder, tmp_path / "shop", into_postgres(postgres, schema, arrow_tables(built.open().reader()))
    )
    assert finished(sync(project, now=NOW)).published
    server, context = Server(project.folder), browser.new_context()
    try:
        page = context.new_page()
        with dbapi.connect(postgres) as locking, locking.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {schema}.events IN ACCESS EXCLUSIVE MODE")
            page.goto(f"{server.url}/{AD_HOC}")
            page.get_by_text("Query running in the warehouse").wait_for(timeout=40_000)
            assert running(postgres) == 1
            if leaves:
                page.get_by_role("link", name="Overview").first.click()
                page.locator("h1").wait_for(timeout=40_000)
            else:
                page.get_by_role("button", name="Stop query").click()
                page.get_by_text("Query stopped").wait_for(timeout=40_000)
            within(lambda: running(postgres) == 0)
            locking.rollback()
        if not leaves:
            page.get_by_role("button", name="Run again").click()
            page.locator("h1", has_text="Buyers").wait_for(timeout=40_000)
    finally:
        context.close()
        server.stop()


def running(postgres: str) -> int:
    """Statements over events that the server works on, or that wait there."""
    with dbapi.connect(postgres) as connection, connection.cursor() as cursor:
        cursor.execute(RUNNING)
        row = cursor.fetchone()
        return int(row[0]) if row else 0


def within(said: Any, seconds: float = 20.0) -> None:
    ends = time.monotonic() + seconds
    while not said():
        assert time.monotonic() < ends
        time.sleep(0.1)
