"""A sync that a page started is stopped in the middle: a real child process that waits, or computes."""

from __future__ import annotations

import os
import socket
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from jobs.operations.syncing import Ended, Syncing
from tests.conftest import NOW, Builder
from tests.test_pages import run

ENDLESS = "WITH RECURSIVE n(at) AS (SELECT 1 UNION ALL SELECT at + 1 FROM n) SELECT max(at) AS at FROM n"


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that takes a connection and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=8) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def shop(project: Builder, rows: int) -> None:
    frame = pd.DataFrame({"at": pd.Timestamp("2026-11-01") + pd.to_timedelta(range(rows), unit="h"), "v": 1.0})
    if not (project.folder / "sources.yml").exists():
        project.rows("events", frame)
        project.kpi("k", "label: Orders\ndataset: events\nagg: sum\nexpr: v")
    frame.to_parquet(project.folder / "files" / "events.parquet", index=False)


def waiting(project: Builder, address: str) -> None:
    of = "type: posthog, table: slow, project_id: '1', start: 2026-11-01, api_key: '${SLOW_KEY}'"
    project.source(f"- {{name: slow, {of}, url: '{address}'}}")


def computing(project: Builder) -> None:
    sqlite3.connect(project.folder / "slow.sqlite").close()
    where = f"sqlite:///{project.folder / 'slow.sqlite'}"
    project.source(f"- {{name: slow, type: sql, table: slow, url: '{where}', query: '{ENDLESS}'}}")


def files(project: Builder) -> dict[str, int]:
    data = project.folder / "data"
    found = [data / "live", *(data / "generations").iterdir()]
    return {path.name: path.stat().st_mtime_ns for path in found}


def reached(running: Syncing, words: str) -> None:
    for _ in range(600):
        assert running.ended() is None, running.ended()
        if running.reached is not None and words in running.reached.text:
            time.sleep(0.3)
            return
        time.sleep(0.1)
    raise AssertionError(running.reached)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["waiting", "computing"])
def test_a_sync_that_is_stopped_leaves_what_was(
    project: Builder, monkeypatch: pytest.MonkeyPatch, silent: str, how: str
) -> None:
    monkeypatch.setenv("SLOW_KEY", "phx_1")
    shop(project, 50)
    project.sync(now=NOW)
    before, live = files(project), project.open().warehouse.live()
    shop(project, 90)
    waiting(project, silent) if how == "waiting" else computing(project)
    running = Syncing(project.open(), NOW, by="ana")
    reached(running, "Pulling slow")
    assert set(files(project)) - set(before), "the rows of the first source are being loaded"
    began = time.monotonic()
    assert running.stop() == Ended(None, stopped=True, published=False, said=())
    assert time.monotonic() - began < 10
    assert files(project) == before and project.open().warehouse.live() == live
    with pytest.raises(ProcessLookupError):
        os.kill(running.process, 0)
    (project.folder / "sources.yml").write_text(
        "- {name: events, type: files, table: events, path: files/events.parquet}\n"
    )
    assert project.sync(now=NOW).published, "nobody holds the lock, and the rows come the next time"
    assert project.values("k", grain="total") == {"total": 90.0}


@pytest.mark.slow
def test_a_sync_that_ends_by_itself_says_what_came(project: Builder) -> None:
    shop(project, 50)
    running = Syncing(project.open(), NOW, by="ana")
    while (ended := running.ended()) is None:
        time.sleep(0.1)
    assert ended == Ended(50, stopped=False, published=True, said=ended.said)
    assert running.stop() == ended, "it was over already"


@pytest.mark.filterwarnings("default")
def test_the_page_stops_it_and_says_so(
    monkeypatch: pytest.MonkeyPatch, project: Builder, silent: str, tmp_path: Path
) -> None:
    monkeypatch.setenv("SLOW_KEY", "phx_1")
    shop(project, 50)
    project.sync(now=NOW)
    waiting(project, silent)
    live = project.open().warehouse.live()
    app: AppTest = run(monkeypatch, project.folder, "data")
    app.button(key="sync_now").click().run()
    running: Syncing = app.session_state["syncing"]
    reached(running, "Pulling slow")
    app.run()
    assert not app.exception and [button.label for button in app.button if button.key == "stop_sync"] == ["Stop"]
    app.button(key="stop_sync").click().run()
    assert not app.exception and "syncing" not in app.session_state
    assert app.success[0].value.startswith("Stopped. Nothing was published") and not app.error
    assert app.button(key="sync_now") and project.open().warehouse.live() == live
    assert running.ended() == Ended(None, stopped=True, published=False, said=())
