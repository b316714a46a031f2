"""The scheduler: real processes that lead, die and are told to stop; a loop whose clock a test moves."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from connectors.clock import set_clock, utc_now
from connectors.errors import StateError
from connectors.state.leading import LEADER, FileLeading, ServerLeading
from jobs.operations.doctor import doctor
from jobs.operations.status import status
from jobs.scheduler import book
from jobs.scheduler.book import Book
from jobs.scheduler.due import Ran
from jobs.scheduler.scheduler import Scheduler
from tests.conftest import KPI, NOW, Builder, Server, run_cli
from tests.jobs.conftest import GOOD, LOW, Web, day, make, messages

ENDLESS = "WITH RECURSIVE n(at) AS (SELECT 1 UNION ALL SELECT at + 1 FROM n) SELECT max(at) AS at FROM n"


def until(found: Callable[[], object], what: str = "", seconds: float = 60) -> None:
    ends = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < ends, what or "it did not happen"
        time.sleep(0.05)


class Schedulers:
    """Processes of `kpi scheduler` over one project."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.started = folder, list[subprocess.Popen[bytes]]()

    def start(self, *options: str) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "KPI_LOG_FORMAT": "json"}
        clock = [] if "--now" in options else ["--now", utc_now().isoformat()]  # the same for all of them
        command = [*KPI, "scheduler", "--project", str(self.folder), *clock, *options]
        with (self.folder / f"scheduler-{len(self.started)}.log").open("w") as log:
            self.started.append(subprocess.Popen(command, stdout=log, stderr=log, env=environment))
        return self.started[-1]

    def lines(self, number: int) -> list[dict[str, object]]:
        text = (self.folder / f"scheduler-{number}.log").read_text()
        return [json.loads(line) for line in text.splitlines() if line.startswith("{")]

    def leader(self) -> int:
        kept = book.read(self.folder / "data")
        return int(kept.leader.rpartition(":")[2] or 0) if kept else 0


@pytest.fixture
def schedulers(project: Builder) -> Iterator[Schedulers]:
    made = Schedulers(project.folder)
    yield made
    for process in made.started:
        if process.poll() is None:
            process.kill()
            process.wait()


def step_until(scheduler: Scheduler, found: Callable[[], object]) -> None:
    def stepped() -> object:
        scheduler.step()
        return found()

    until(stepped)


def kept(project: Builder) -> Book:
    found = book.read(project.folder / "data")
    assert found is not None
    return found


def done(project: Builder, job: str, at: datetime) -> bool:
    ran = kept(project).ran.get(job)
    return ran is not None and ran.ended_at is not None and ran.started_at >= at


def test_it_syncs_when_due_and_looks_between(project: Builder, web: Web) -> None:
    """On a clock that the test moves: a first sync at once, the next at 4:07, a look every ten minutes."""
    make(project, GOOD, LOW, contact=web.url)
    scheduler = Scheduler(project.open())
    step_until(scheduler, lambda: done(project, "sync", NOW))
    first = project.open().warehouse.live()
    assert first and kept(project).next_at["sync"] == datetime.fromisoformat("2026-11-23T04:07Z")
    scheduler.step()
    assert "due" not in kept(project).ran, "the sync did it all"
    set_clock(NOW + timedelta(minutes=10))
    step_until(scheduler, lambda: done(project, "due", NOW))
    assert project.open().warehouse.live() == first
    make(project, {**GOOD, 21: 10}, LOW, contact=web.url)
    later = datetime.fromisoformat("2026-11-26T04:10Z")  # it was away for three nights, which is one sync
    set_clock(later)
    step_until(scheduler, lambda: done(project, "sync", later))
    assert project.open().warehouse.live() != first
    step_until(scheduler, lambda: "due" not in scheduler._running)
    told = status(project.open(), now=later)["scheduler"]
    assert told["leader"].endswith(f":{os.getpid()}")
    assert {row["job"]: row["state"] for row in told["jobs"]}["sync"] == "done"
    rows = {row["check"]: row for row in doctor(project.open(), now=later)}
    assert rows["scheduler"]["state"] == "ok" and "sync 2026-11-27 04:07 UTC" in rows["scheduler"]["detail"]
    rows = {row["check"]: row for row in doctor(project.open(), now=later + timedelta(hours=1))}
    assert "none since" in rows["scheduler"]["detail"]
    scheduler._stop(0)


def test_a_message_is_sent_when_its_time_comes(project: Builder, web: Web) -> None:
    """Not at the next look, ten minutes later: a snapshot of Monday 8:00 is sent at 8:00."""
    web.answers += [500, 500, 500, 500]
    make(project, {**GOOD, 5: 10}, LOW, contact=web.url)
    set_clock(day(6))
    project.sync(day(6))
    (waiting,) = messages(project)
    assert waiting.status == "pending" and waiting.next_at is not None
    web.answers.clear()
    before = len(web.got)
    set_clock(waiting.next_at - timedelta(seconds=2))
    scheduler = Scheduler(project.open())
    scheduler.step()
    assert kept(project).next_at["due"] == waiting.next_at.replace(microsecond=0) and not scheduler._running
    set_clock(waiting.next_at)
    step_until(scheduler, lambda: messages(project)[0].status == "delivered")
    assert len(web.got) == before + 1
    step_until(scheduler, lambda: not scheduler._running)
    scheduler._stop(0)


def test_a_run_that_fails_is_told_and_tried_again_later(project: Builder, web: Web) -> None:
    make(project, GOOD, LOW, contact=web.url)
    project.source("- {name: gone, type: files, table: gone, path: files/gone.csv}")
    scheduler = Scheduler(project.open())
    step_until(scheduler, lambda: done(project, "sync", NOW))
    ran = kept(project).ran["sync"]
    assert ran.failures == 1 and ran.error == "source gone: no file matches files/gone.csv" and ran.ended_at is not None
    scheduler.step()
    assert kept(project).next_at["sync"] == ran.ended_at.replace(microsecond=0) + timedelta(minutes=1)
    rows = {row["check"]: row for row in doctor(project.open(), now=NOW)}
    assert rows["scheduler"]["state"] == "failed" and "sync failed 1×" in rows["scheduler"]["detail"]
    scheduler._stop(0)


def test_the_book_is_read_whatever_it_holds(tmp_path: Path) -> None:
    assert book.read(tmp_path) is None
    whole = Book("host:1", NOW, NOW, {"sync": Ran(NOW, NOW, 2, "it failed")}, {"sync": NOW})
    assert book.write(tmp_path, whole) == "" and book.read(tmp_path) == whole
    text = (tmp_path / book.NAME).read_text()
    for damaged in ("", "[]", "{}", text[: len(text) // 2], text.replace("2026", "x"), '"ran"', "null"):
        (tmp_path / book.NAME).write_text(damaged)
        assert book.read(tmp_path) == Book()
    (tmp_path / book.NAME).unlink()
    (tmp_path / book.NAME).mkdir()
    assert "cannot be written" in book.write(tmp_path, whole)


def test_one_holds_a_file(tmp_path: Path) -> None:
    first, second = FileLeading(tmp_path / "a" / "lock"), FileLeading(tmp_path / "a" / "lock")
    assert first.take() and first.take() and not second.take()
    first.leave()
    assert second.take() and not first.take()


def test_one_holds_a_server(postgres: str) -> None:
    url = postgres.replace("postgresql://", "postgresql+psycopg://")
    first, second = ServerLeading(url), ServerLeading(url)
    assert first.take() and first.take() and not second.take()
    engine = create_engine(url)
    with engine.connect() as connection:  # the connection is lost, as where the network is
        connection.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = :lock"),
            {"lock": LEADER},
        )
    engine.dispose()
    until(second.take)
    with pytest.raises(StateError, match="the state store failed"):
        first.take()
    assert not first.take()
    second.leave()
    assert first.take()
    first.leave()
    with pytest.raises(StateError):
        ServerLeading("postgresql+psycopg://127.0.0.1:9/none").take()


@pytest.mark.slow
def test_the_next_one_takes_over_from_one_that_was_killed(project: Builder, web: Web, schedulers: Schedulers) -> None:
    make(project, GOOD, LOW, contact=web.url)
    first = schedulers.start()
    until(lambda: schedulers.leader() == first.pid)
    second = schedulers.start()
    until(lambda: project.open().warehouse.live())
    until(lambda: any(line["message"] == "scheduler starts" for line in schedulers.lines(1)))
    time.sleep(2)
    assert schedulers.leader() == first.pid and second.poll() is None
    first.kill()
    until(lambda: schedulers.leader() == second.pid, seconds=20)
    (run,) = {line["run"] for line in schedulers.lines(0) if line.get("job") == "sync"}
    ended = [line for line in schedulers.lines(0) if line.get("run") == run and "status" in line]
    assert [line["generation"] for line in ended] == [project.open().warehouse.live()] and ended[0]["status"] == 0
    second.terminate()
    assert second.wait(20) == 0 and schedulers.leader() == 0
    assert "none runs" in run_cli("status", "--project", str(project.folder)).stdout


@pytest.mark.breadth(1)
@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_sync_in_the_middle_is_abandoned_whole(
    project: Builder, web: Web, schedulers: Schedulers, how: signal.Signals
) -> None:
    """Whether told to stop or killed: what was published stays, and the next one syncs when the source is well."""
    make(project, GOOD, LOW, contact=web.url)
    project.sync(NOW - timedelta(days=2))
    before = project.open().warehouse.live()
    sqlite3.connect(project.folder / "slow.sqlite").close()
    where = f"sqlite:///{project.folder / 'slow.sqlite'}"
    settled = (project.folder / "sources.yml").read_text()
    project.source(f"- {{name: slow, type: sql, table: slow, url: '{where}', query: '{ENDLESS}'}}")
    first = schedulers.start("--grace", "0.5")
    until(lambda: list((project.folder / "data" / "generations").glob("*.staging")))
    child = next(line["process"] for line in schedulers.lines(0) if line["message"] == "sync begins")
    first.send_signal(how)
    first.wait(20)
    if how == signal.SIGKILL:
        os.kill(int(str(child)), how)  # as the machine or the container that both were in
    until(lambda: not Path(f"/proc/{child}").exists() or "Z" in Path(f"/proc/{child}/stat").read_text())
    assert project.open().warehouse.live() == before
    (project.folder / "sources.yml").write_text(settled)
    schedulers.start("--now", (NOW + timedelta(minutes=2)).isoformat())
    until(lambda: (project.open().sync_log.read().get("finished_at") or "") > NOW.isoformat(), seconds=90)
    until(lambda: not list((project.folder / "data" / "generations").glob("*.staging")), "what it was making is gone")


@pytest.mark.slow
def test_rolling_restarts_lose_no_message_and_send_none_twice(
    project: Builder, web: Web, schedulers: Schedulers
) -> None:
    """While one after the other is stopped and started, alerts fire; each is told once."""
    make(project, GOOD, LOW, contact=web.url)
    project.settings((project.folder / "settings.yml").read_text() + "sync_every: 1s\n")
    schedulers.start()
    until(lambda: project.open().warehouse.live())
    rows = dict(GOOD)
    for turn in range(4):
        before = project.open().warehouse.live()
        rows[5 + turn] = 10 if turn % 2 == 0 else 100
        make(project, rows, LOW, contact=web.url)
        project.settings((project.folder / "settings.yml").read_text() + "sync_every: 1s\n")
        schedulers.start()
        until(lambda before=before: project.open().warehouse.live() != before)  # type: ignore[misc]
        old = schedulers.started[turn]  # it leads, and judges or sends now
        old.terminate()
        assert old.wait(60) == 0
    until(lambda: all(m.status == "delivered" for m in messages(project)) and messages(project))
    seen = kept(project).ran["sync"].ended_at or NOW
    until(lambda: (kept(project).ran["sync"].ended_at or NOW) > seen)
    schedulers.started[-1].terminate()
    schedulers.started[-1].wait(60)
    told = [message.title for message in messages(project)]
    assert [title.split(" Orders ")[0] for title in told] == ["Shop: CRITICAL", "Shop: Recovered:"] * 2
    assert len(web.got) == len(told)


@pytest.mark.slow
def test_a_server_with_a_scheduler_begins_and_ends_with_it(project: Builder, web: Web) -> None:
    make(project, GOOD, LOW, contact=web.url)
    server = Server(project.folder, options=("--with-scheduler",))
    try:
        until(lambda: project.open().warehouse.live())
        leader = int(kept(project).leader.rpartition(":")[2])
        os.kill(leader, signal.SIGKILL)  # it is started again, and the server goes on
        until(lambda: int(kept(project).leader.rpartition(":")[2] or 0) not in (0, leader))
        assert server.process.poll() is None
    finally:
        begun = time.monotonic()
        server.process.terminate()
        assert server.process.wait(60) == 0
    assert time.monotonic() - begun < 30 and kept(project).leader == ""
