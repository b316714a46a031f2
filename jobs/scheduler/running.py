"""One run of a job: a verb of the command in a process of its own, which may crash without harm to others."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

from connectors.clock import VARIABLE, utc_now
from connectors.logs import of_a_child, relay
from connectors.secrets import mask
from jobs.project.project import REPOSITORY, Project

MOST_SAID = 20  # lines that are kept of what a run says
LET_GO_SECONDS = 5.0  # that a process which was told to end takes to let go of what it holds
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ended:
    """How a run ended. error: empty where it did all; found: what it printed as JSON."""

    seconds: float
    error: str = ""
    found: Mapping[str, Any] = field(default_factory=dict)


class Running:
    """A verb that runs. What it says goes to this log as it comes."""

    def __init__(self, project: Project, job: str, verb: Sequence[str]) -> None:
        self.job, self.id, self.started_at = job, uuid.uuid4().hex[:8], utc_now()
        self._since, self._told_to_end = time.monotonic(), False
        self._out, self._said = list[str](), list[str]()
        clock = ["--now", self.started_at.isoformat()] if VARIABLE in os.environ else []
        self._child = subprocess.Popen(
            [sys.executable, "-m", "cli", *verb, "--json", "--project", str(project.folder), *clock],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            cwd=REPOSITORY,
            env={**os.environ, **of_a_child()},
            start_new_session=True,  # a signal to the group of the scheduler is for the scheduler
        )
        pipes = ((self._child.stdout, self._take), (self._child.stderr, self._listen))
        self._readers = [threading.Thread(target=read, args=(pipe,), daemon=True) for pipe, read in pipes]
        for reader in self._readers:
            reader.start()
        log.info("%s begins", job, extra={"ids": {"run": self.id, "job": job, "process": self._child.pid}})

    def ended(self) -> Ended | None:
        """How it ended; None while it runs."""
        status = self._child.poll()
        if status is None:
            return None
        for reader in self._readers:
            reader.join(LET_GO_SECONDS)  # a process of its own that outlives it may hold the pipe
        seconds = time.monotonic() - self._since
        done = Ended(seconds, self._error(status), self._found())
        ids = {"run": self.id, "job": self.job, "status": status, "seconds": round(seconds, 3)}
        ids |= {key: done.found[key] for key in ("generation",) if done.found.get(key)}
        level, how = (logging.WARNING, f"failed: {done.error}") if done.error else (logging.INFO, "ended")
        log.log(level, "%s after %.1f s %s", self.job, seconds, how, extra={"ids": ids})
        return done

    def abandon(self) -> None:
        """End it now: it lets go of what it holds, whole; else it is killed."""
        log.info("%s is abandoned", self.job, extra={"ids": {"run": self.id, "job": self.job}})
        for order in (signal.SIGTERM, signal.SIGKILL):
            if self._child.poll() is None:
                self._child.send_signal(order)
                try:
                    self._child.wait(LET_GO_SECONDS)
                except subprocess.TimeoutExpired:
                    continue
            break

    def _error(self, status: int) -> str:
        if status == 0:
            return ""
        if status < 0:
            return f"it was ended by signal {-status} ({signal.Signals(-status).name})"
        found = self._found()
        wrong = [str(one["error"]) for one in found.get("sources", ()) if one.get("error")]
        wrong += [str(line) for line in found.get("failed", ())] or [
            line.removeprefix("kpi: ") for line in self._said if line.startswith("kpi: ")
        ]
        return mask("; ".join(text.split("\n")[0] for text in wrong) or f"exit status {status}")

    def _found(self) -> Mapping[str, Any]:
        try:
            found = json.loads("".join(self._out) or "{}")
        except ValueError:  # of a run that was ended in the middle of a word
            return {}
        return found if isinstance(found, dict) else {}

    def _take(self, pipe: IO[str]) -> None:
        with pipe:
            self._out.extend(pipe)

    def _listen(self, pipe: IO[str]) -> None:
        with pipe:
            for line in pipe:
                if not _relayed(line):
                    self._said = [*self._said, line.rstrip()][-MOST_SAID:]
                    log.info("%s: %s", self.job, mask(line.rstrip()), extra={"ids": {"run": self.id, "job": self.job}})


def _relayed(line: str) -> bool:
    try:
        return relay(json.loads(line))
    except ValueError:
        return False
