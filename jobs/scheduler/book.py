"""The scheduler's book, data/scheduler.json: who leads, which runs there were, what comes next."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from connectors.reading import read_regular
from jobs.scheduler.due import Ran

NAME = "scheduler.json"
MOST_BYTES = 1 << 20
BEAT = timedelta(seconds=10)  # how often a leader says that it is there
SILENT = timedelta(minutes=1)  # without a word, after which nobody leads


@dataclass(frozen=True)
class Book:
    """What the leader wrote last. leader: host and process; seen_at: when it was there; both empty before the first.

    ran: job → its last run; next_at: job → when it runs next.
    """

    leader: str = ""
    since: datetime | None = None
    seen_at: datetime | None = None
    ran: Mapping[str, Ran] = field(default_factory=dict)
    next_at: Mapping[str, datetime] = field(default_factory=dict)

    def leads(self, now: datetime) -> bool:
        """Whether somebody leads now. A book from the future is of a clock that was wrong."""
        return self.seen_at is not None and bool(self.leader) and abs(now - self.seen_at) <= SILENT

    def as_dict(self, now: datetime) -> dict[str, Any]:
        """As `kpi status --json` prints it."""
        leads = self.leads(now)
        return {
            "leader": self.leader if leads else None,
            "seen_at": _text(self.seen_at),
            "jobs": [
                {
                    "job": name,
                    "state": _state(ran, leads),
                    "started_at": _text(ran.started_at),
                    "ended_at": _text(ran.ended_at),
                    "failures": ran.failures,
                    "error": ran.error or None,
                    "next_at": _text(self.next_at.get(name)) if leads else None,
                }
                for name, ran in sorted(self.ran.items())
            ],
        }


def read(data: Path) -> Book | None:
    """The book of a data folder; None if no scheduler has run there. What is damaged is an empty one."""
    try:
        found = json.loads(read_regular(data / NAME, most=MOST_BYTES, within=data))
        return Book(
            str(found["leader"]),
            _moment(found["since"]),
            _moment(found["seen_at"]),
            {str(name): _ran(kept) for name, kept in found["ran"].items()},
            {str(name): at for name, text in found["next_at"].items() if (at := _moment(text))},
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return Book()  # the leader writes it anew; until then each job is due by its times


def write(data: Path, book: Book) -> str:
    """Keep it. Returns a sentence if that cannot be written: the scheduler goes on by what it remembers."""
    fresh = data / f".{NAME}"
    content = {
        "leader": book.leader,
        "since": _text(book.since),
        "seen_at": _text(book.seen_at),
        "ran": {name: {k: _plain(v) for k, v in dataclasses.asdict(ran).items()} for name, ran in book.ran.items()},
        "next_at": {name: _text(at) for name, at in book.next_at.items()},
    }
    try:
        data.mkdir(parents=True, exist_ok=True)
        fresh.write_text(json.dumps(content, indent=1))
        os.replace(fresh, data / NAME)
    except OSError as error:
        return f"data/{NAME} cannot be written: {error.strerror or error}. Look at the disk and its rights."
    return ""


def _ran(kept: Mapping[str, Any]) -> Ran:
    started = _moment(kept["started_at"])
    if started is None:
        raise ValueError("a run without a start")
    return Ran(started, _moment(kept["ended_at"]), max(0, int(kept["failures"])), str(kept["error"]))


def _state(ran: Ran, leads: bool) -> str:
    if ran.ended_at is None:
        return "running" if leads else "abandoned"
    return "failed" if ran.failures else "done"


def _plain(value: Any) -> Any:
    return _text(value) if isinstance(value, datetime) else value


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="seconds").replace("+00:00", "Z")


def _moment(text: str | None) -> datetime | None:
    at = None if text is None else datetime.fromisoformat(text)
    if at is not None and at.tzinfo is None:
        raise ValueError(f"{text} is in no zone")
    return at
