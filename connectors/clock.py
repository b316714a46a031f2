"""What time it is: the machine's clock, or one that was set (`--now`, KPI_NOW) and runs on from there.

The only place that asks the machine: whoever needs the time calls `utc_now`, so that one setting moves the pages, jobs,
messages and child processes of a run alike (tests/test_clock.py looks for others).
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from connectors.errors import SettingsError

VARIABLE = "KPI_NOW"


@dataclass(frozen=True)
class _Set:
    """A clock that showed `at` when the machine had been up for `since` seconds."""

    text: str
    at: datetime
    since: float


_set: _Set | None = None


def utc_now() -> datetime:
    """The current time in UTC. Raises SettingsError if KPI_NOW is no timestamp."""
    text = os.environ.get(VARIABLE, "")
    if not text:
        return datetime.now(UTC)
    running = _set if _set is not None and _set.text == text else _start(text)
    return running.at + timedelta(seconds=time.monotonic() - running.since)


def set_clock(at: datetime) -> None:
    """From now on it is `at`, here and in child processes, and the time runs on from there."""
    os.environ[VARIABLE] = at.astimezone(UTC).isoformat()
    _start(os.environ[VARIABLE])


def timestamp(text: str) -> datetime:
    """2026-11-23 or 2026-11-23T06:00:00Z as a time in UTC, which is meant where no zone stands. Raises ValueError."""
    at = datetime.fromisoformat(text)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def disk_skew(written_at: float) -> timedelta:
    """How far the machine's clock is ahead of the time that its disk gave to a file (seconds since 1970)."""
    return timedelta(seconds=time.time() - written_at)


def _start(text: str) -> _Set:
    global _set
    try:
        _set = _Set(text, timestamp(text), time.monotonic())
    except ValueError:
        hint = "Write 2026-11-23 or 2026-11-23T06:00:00Z, or unset it."
        raise SettingsError(f"{VARIABLE}='{text}' is no timestamp", hint=hint) from None
    return _set
