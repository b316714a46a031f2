"""/sync: start one, and see how far it is or how the last one of this server ended."""

from __future__ import annotations

import threading
import time
from dataclasses import asdict
from typing import Any

from pydantic import BaseModel, Field

from api.asking import Answer, Asked, Parameters
from api.resource import Resource
from connectors.errors import SyncRunning, Withheld
from jobs.operations.syncing import Syncing
from jobs.project.log import masked

SURE_SECONDS = 10.0  # that a sync takes to hold the lock, or to say that another one does
HELD = "another sync is running"
_lock = threading.Lock()
_last: list[Syncing] = []  # the one that was started last


class Sync(BaseModel):
    """running: of those that this server started. published: whether data came of the last. said: what it told."""

    running: bool
    step: str | None = Field(description="What it does now.")
    done: int | None
    total: int | None
    left: float | None = Field(description="Seconds to its end, as far as one can know.")
    rows: int | None = Field(description="Rows that the last one loaded; null = it failed, or there was none.")
    published: bool | None
    said: list[str]


def start(asked: Asked) -> Answer:
    """Start one, as `kpi sync` in a process of its own. Raises SyncRunning while one runs, whoever started it."""
    _require_all(asked)
    with _lock:
        if _last and _last[0].ended() is None:
            raise _running()
        begun = Syncing(asked.project.whole, asked.now, by=f"token {asked.token.name}")
        _last[:] = [begun]
    until = time.monotonic() + SURE_SECONDS
    while begun.reached is None and begun.ended() is None and time.monotonic() < until:
        time.sleep(0.05)
    ended = begun.ended()
    if ended is not None and ended.rows is None and any(HELD in line for line in ended.said):
        raise _running()
    return Answer(told(), 202, headers={"location": asked.address})


def _require_all(asked: Asked) -> None:
    """What a sync says names sources and counts rows of all. Raises Withheld for a role that sees a part."""
    if not asked.project.sees_all:
        raise Withheld("a sync is of everything, and this token's role sees a part", hint="Use a token without a role.")


def look(asked: Asked) -> Answer:
    """How far it is. Raises Withheld."""
    _require_all(asked)
    return Answer(told())


def told() -> dict[str, Any]:
    """The sync that was started last, as JSON."""
    begun = _last[0] if _last else None
    ended, reached = (begun.ended(), begun.reached) if begun is not None else (None, None)
    running = begun is not None and ended is None
    step = asdict(reached) if running and reached is not None else {}
    return {
        "running": running,
        "step": step.get("text"),
        "done": step.get("done"),
        "total": step.get("total"),
        "left": step.get("left"),
        "rows": ended.rows if ended is not None else None,
        "published": ended.published if ended is not None else None,
        "said": masked(list(ended.said)) if ended is not None else [],
    }


def _running() -> SyncRunning:
    return SyncRunning(HELD, hint="Wait for it: GET this address says how far it is.")


RESOURCES = (
    Resource("/sync", "How far the sync is that this server started last.", "sync", Parameters, Sync, look, live=True),
    Resource("/sync", "Start a sync; 409 while one runs.", "sync", Parameters, Sync, start, method="POST"),
)
