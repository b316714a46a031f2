"""`kpi sync` as a child process, for pages: what it tells, and an end at any moment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any

from connectors.clock import utc_now
from connectors.errors import KpiError
from jobs.project.log import of_a_child, relay
from jobs.project.pace import Progress
from jobs.project.project import REPOSITORY, Project

GRACE_SECONDS = 1.5  # that a child which was told to end takes to let go of what it holds


@dataclass(frozen=True)
class Ended:
    """How a sync ended. rows: loaded; None = it did not say. stopped: by a person; published: whether data came of it.

    said: what it told beside its progress.
    """

    rows: int | None
    stopped: bool
    published: bool
    said: tuple[str, ...]


class Syncing:
    """One sync that runs. Its lines are read as they come, so that it never waits for who looks on."""

    def __init__(self, project: Project, now: datetime, *, by: str) -> None:
        """by: who asked for it."""
        self.reached: Progress | None = None
        self._project, self._before = project, project.warehouse.live()
        self._said: list[str] = []
        self._out, self._stopped = "", False
        arguments = ["--json", "--events", "--project", str(project.folder), "--now", now.isoformat()]
        arguments.append(f"--by={by}")  # in one word: a name may begin with a dash
        self._child = subprocess.Popen(
            [sys.executable, "-m", "cli", "sync", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
            env={**os.environ, **of_a_child()},
        )
        self._readers = [threading.Thread(target=read, daemon=True) for read in (self._listen, self._take)]
        for reader in self._readers:
            reader.start()

    @property
    def process(self) -> int:
        """Its number in the system."""
        return self._child.pid

    def ended(self) -> Ended | None:
        """How it ended; None while it runs."""
        if any(reader.is_alive() for reader in self._readers) or self._child.poll() is None:
            return None
        found: Mapping[str, Any] = json.loads(self._out) if self._out.strip() and not self._stopped else {}
        rows = sum(source["rows"] for source in found["sources"]) if found else None
        published = self._project.warehouse.live() != self._before
        return Ended(rows, self._stopped, published, () if self._stopped else tuple(self._said))

    def stop(self) -> Ended:
        """End it now. What is published stays as it is, and what was being made is removed."""
        if self._child.poll() is None:
            self._stopped = True
            self._child.terminate()
            try:
                self._child.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
                with suppress(KpiError), self._project.warehouse.staging(utc_now()):
                    pass  # whoever gets the lock removes what a sync that died was making
        while (ended := self.ended()) is None:
            for reader in self._readers:
                reader.join()
        return ended

    def _listen(self) -> None:
        for line in _lines(self._child.stderr):
            try:
                event = json.loads(line)
                if not relay(event):
                    self.reached = Progress(**event)
            except (json.JSONDecodeError, TypeError):
                self._said.append(line.rstrip())
        self._child.wait()

    def _take(self) -> None:
        self._out = "".join(_lines(self._child.stdout))


def _lines(pipe: IO[str] | None) -> Iterator[str]:
    assert pipe is not None
    with pipe:
        yield from pipe
