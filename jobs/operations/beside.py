"""run --with-scheduler: a server and a scheduler as two processes of one command, which begin and end together."""

from __future__ import annotations

import logging
import signal
import subprocess
import threading
import time
from collections.abc import Sequence

LOOK_SECONDS = 0.2
AGAIN_SECONDS = 1.0  # until a scheduler that died is started again; twice as long each time, up to a minute
MOST_AGAIN_SECONDS = 60.0
SERVER_SECONDS = 20.0  # that a server has to end its requests
log = logging.getLogger(__name__)


def serve_beside(server: Sequence[str], scheduler: Sequence[str], grace: float) -> int:
    """Run both until one is told to end (SIGTERM, SIGINT) or the server ends; returns its exit status, 0 if told to.

    grace: seconds that the scheduler gives its runs. A scheduler that dies is started again, and the server goes on.
    """
    stop = threading.Event()
    for told in (signal.SIGTERM, signal.SIGINT):
        signal.signal(told, lambda *_: stop.set())
    serving, scheduling = subprocess.Popen(server), subprocess.Popen(scheduler)
    again, due = AGAIN_SECONDS, 0.0
    try:
        while serving.poll() is None and not stop.wait(LOOK_SECONDS):
            if scheduling.poll() is None:
                continue
            if not due:
                log.warning("the scheduler ended with status %s; again in %.0f s", scheduling.returncode, again)
                due = time.monotonic() + again
            elif time.monotonic() >= due:
                scheduling, due, again = subprocess.Popen(scheduler), 0.0, min(2 * again, MOST_AGAIN_SECONDS)
    finally:
        ended = serving.poll()
        for child in (serving, scheduling):
            if child.poll() is None:
                child.terminate()
        _wait(serving, SERVER_SECONDS)
        _wait(scheduling, grace + SERVER_SECONDS)
    return 0 if ended is None else ended


def _wait(child: subprocess.Popen[bytes], seconds: float) -> None:
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
