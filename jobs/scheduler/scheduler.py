"""The scheduler: a loop over what is due, in the one process of a project that leads.

Any number of them may be started. One holds the leader's place (connectors/state/leading.py), the others wait for it.
A job is a verb of the command in a process of its own; a sync and what is due beside it run side by side, as they may
from a shell, and what keeps two of a kind apart there does it here.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from connectors.clock import utc_now
from connectors.errors import KpiError
from connectors.state.alerts import next_due
from connectors.state.leading import Leading, leading
from jobs.project.project import Project, open_project
from jobs.scheduler import book as books
from jobs.scheduler.book import BEAT, Book
from jobs.scheduler.due import Ran, Times, next_run
from jobs.scheduler.running import Ended, Running

SYNC, DUE = "sync", "due"
VERBS = {SYNC: ("sync", "--by", "scheduler"), DUE: ("due", "--by", "scheduler")}
BETWEEN = timedelta(minutes=10)  # how often it is looked for what is due beside syncs
TICK_SECONDS = 1.0
AGAIN = timedelta(seconds=5)  # the least between two runs of a job: a message that stays due is no reason to spin
log = logging.getLogger(__name__)


class Scheduler:
    """One of the schedulers of a project. `step` does what there is to do now, and waits for nothing."""

    def __init__(self, project: Project, clock: Callable[[], datetime] = utc_now) -> None:
        self._project, self._clock = project, clock
        self._leader: Leading = leading(project.state.url, project.data / "scheduler.lock")
        self._leads, self._running = False, dict[str, Running]()
        self._book, self._earlier = Book(), dict[str, Ran]()
        self._trouble, self._unwritten, self._settings = "", "", _mark(project)
        self._message: tuple[object, datetime | None] | None = None

    def run(self, stop: threading.Event, grace: float) -> None:
        """Step until told to stop; then let runs end by themselves for `grace` seconds, and abandon what still runs."""
        log.info("scheduler starts", extra={"ids": {"process": os.getpid()}})
        try:
            while not stop.wait(TICK_SECONDS):
                self.step()
        finally:
            self._stop(time.monotonic() + grace)

    def step(self) -> None:
        """Take the lead or keep it, note what ended, start what is due."""
        if not self._holds():
            return
        self._reopen()
        now = self._clock()
        for name, running in list(self._running.items()):
            if (ended := running.ended()) is not None:
                del self._running[name]
                self._note(name, running, ended)
        coming = {name: at for name in VERBS if (at := self._next(name, now)) is not None}
        for name, at in coming.items():
            if at <= now and name not in self._running:
                self._start(name)
        seen = self._book.seen_at
        if coming != self._book.next_at or seen is None or not timedelta(0) <= now - seen < BEAT:
            self._write(next_at=coming)

    def _holds(self) -> bool:
        """Whether this one leads."""
        try:
            leads, trouble = self._leader.take(), ""
        except KpiError as error:
            leads, trouble = False, str(error)
        if trouble and trouble != self._trouble:
            log.warning("scheduler: who leads cannot be found out: %s", trouble)
        self._trouble = trouble
        if leads and not self._leads:
            self._begin()
        if self._leads and not leads:  # another may lead already
            log.warning("scheduler: the lead is lost")
            self._abandon()
        self._leads = leads
        return leads

    def _begin(self) -> None:
        """Take over the book. A run without an end is of a leader that died."""
        now = self._clock()
        kept = books.read(self._project.data) or Book()
        died = "the scheduler ended in the middle of it"
        ran = {
            name: run if run.ended_at else Ran(run.started_at, run.started_at, run.failures + 1, died)
            for name, run in kept.ran.items()
            if name in VERBS
        }
        self._book = Book(f"{socket.gethostname()}:{os.getpid()}", now, now, ran)
        log.info("scheduler leads", extra={"ids": {"process": os.getpid()}})

    def _reopen(self) -> None:
        """Follow settings.yml. One that is wrong changes nothing: `kpi validate` and every page say so."""
        if (mark := _mark(self._project)) == self._settings:
            return
        self._settings = mark
        try:
            self._project = open_project(self._project.folder)
            log.info("scheduler: settings.yml is read anew")
        except KpiError as error:
            log.warning("scheduler: settings.yml cannot be used, the one before holds: %s", error)

    def _next(self, name: str, now: datetime) -> datetime | None:
        settings, ran = self._project.settings, self._book.ran.get(name)
        synced = self._synced_at()
        if name == SYNC:
            return next_run(Times(settings.sync_due, settings.timezone), ran, synced, now)
        if synced is None:
            return None  # nothing is published that anything could be due of
        at = next_run(Times(BETWEEN), ran, synced, now)
        if at is not None and not (ran and ran.failures) and (message := self._message_due()) is not None:
            soonest = ran.ended_at + AGAIN if ran and ran.ended_at and ran.ended_at <= now else now
            at = min(at, max(message, soonest))
        return at

    def _synced_at(self) -> datetime | None:
        """When a sync, whoever's, was through."""
        text = self._project.sync_log.read().get("finished_at")
        return datetime.fromisoformat(text) if text else None

    def _message_due(self) -> datetime | None:
        """When the next message of the outbox is to be sent."""
        if SYNC in self._running or not self._project.state.exists():
            return None  # a sync sends by itself
        mark = self._project.state.mark()
        if self._message is None or self._message[0] != mark:
            self._message = mark, None
            with suppress(KpiError), self._project.state.reading() as connection:
                self._message = mark, next_due(connection)
        return self._message[1]

    def _start(self, name: str) -> None:
        running = Running(self._project, name, VERBS[name])
        self._running[name] = running
        before = self._book.ran.get(name)
        if before is not None:
            self._earlier[name] = before
        self._ran(name, Ran(running.started_at, None, before.failures if before else 0))

    def _note(self, name: str, running: Running, ended: Ended) -> None:
        before = self._book.ran[name]
        failures, self._message = before.failures + 1 if ended.error else 0, None
        self._ran(name, Ran(running.started_at, self._clock(), failures, ended.error))

    def _ran(self, name: str, ran: Ran) -> None:
        self._book = dataclasses.replace(self._book, ran={**self._book.ran, name: ran})
        self._write()

    def _write(self, **changes: object) -> None:
        self._book = dataclasses.replace(self._book, seen_at=self._clock(), **changes)  # type: ignore[arg-type]
        trouble = books.write(self._project.data, self._book)
        if trouble and trouble != self._unwritten:
            log.warning("scheduler: %s", trouble)
        self._unwritten = trouble

    def _stop(self, until: float) -> None:
        if self._running:
            log.info("scheduler stops when %s ended", " and ".join(self._running))
        while self._leads and self._running and time.monotonic() < until and self._still_holds():
            for name, running in list(self._running.items()):
                if (ended := running.ended()) is not None:
                    del self._running[name]
                    self._note(name, running, ended)
            time.sleep(0.05)
        self._abandon()
        if self._leads:
            self._book = dataclasses.replace(self._book, leader="", next_at={})
            self._write()
        self._leader.leave()
        self._leads = False
        log.info("scheduler stopped", extra={"ids": {"process": os.getpid()}})

    def _still_holds(self) -> bool:
        with suppress(KpiError):
            return self._leader.take()
        return False

    def _abandon(self) -> None:
        """End what runs. It counts as not begun, so that whoever leads next does it at once."""
        for name, running in self._running.items():
            running.abandon()
            others = {job: ran for job, ran in self._book.ran.items() if job != name}
            earlier = {name: self._earlier[name]} if name in self._earlier else {}
            self._book = dataclasses.replace(self._book, ran=others | earlier)
        self._running = {}


def _mark(project: Project) -> tuple[int, int] | None:
    try:
        seen = Path(project.folder / "settings.yml").stat()
    except OSError:
        return None
    return seen.st_mtime_ns, seen.st_size
