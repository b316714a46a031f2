"""list: entries that a search finds, the latest first, a page at a time; as rows for JSON and CSV."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from connectors.clock import timestamp
from connectors.errors import StateError, did_you_mean
from connectors.state import audit
from connectors.state.audit import WHATS, Entry, Search
from connectors.state.store import StateStore
from metrics.presentation.export import csv_text

__all__ = ["COLUMNS", "WHATS", "Entry", "Listed", "Search", "as_csv", "listed", "row_of", "search_of"]
COLUMNS = ("sequence", "at", "who", "role", "via", "what", "subject", "details", "hash", "chain")
PAGE = 100  # entries
WHOLE_DAY = 10  # letters of 2026-11-23: then `until` is its end


@dataclass(frozen=True)
class Listed:
    """Entries, the latest first. older: number to ask for those before with; 0 = there are none."""

    entries: tuple[Entry, ...] = ()
    older: int = 0


def search_of(
    *, who: str = "", what: str = "", subject: str = "", text: str = "", since: str = "", until: str = ""
) -> Search:
    """A search as people write it. since, until: days or timestamps, a day in whole. Raises StateError."""
    if what and what not in WHATS:
        raise StateError(f"nothing is recorded as '{what[:80]}'", hint=did_you_mean(what, sorted(WHATS)))
    ends = timedelta(days=1) if len(until) == WHOLE_DAY else timedelta(0)
    return Search(who.strip(), what, subject.strip(), text.strip(), _moment(since), _moment(until, ends))


def _moment(said: str, more: timedelta = timedelta(0)) -> datetime | None:
    try:
        return timestamp(said) + more if said else None
    except (ValueError, OverflowError):
        raise StateError(f"'{said[:80]}' is no day or time", hint="Write 2026-11-23 or 2026-11-23T06:00:00Z.") from None


def listed(state: StateStore, search: Search, *, limit: int = PAGE) -> Listed:
    """One page of what a search finds. Raises StateError."""
    if not state.exists():
        return Listed()
    with state.reading() as connection:
        rows = audit.found(connection, search, limit + 1)
    return Listed(tuple(rows[:limit]), rows[limit - 1].sequence if len(rows) > limit else 0)


def row_of(entry: Entry) -> dict[str, Any]:
    """As JSON has it; details as plain values, or as the text that lies there where that is no JSON any more."""
    found: dict[str, Any] = {name: getattr(entry, name) for name in COLUMNS}
    with suppress(ValueError):
        found["details"] = json.loads(entry.details)
    return found


def as_csv(state: StateStore, search: Search) -> str:
    """All that a search finds, the latest first; what a spreadsheet would run is quoted. Raises StateError."""
    return csv_text(COLUMNS, ({name: getattr(entry, name) for name in COLUMNS} for entry in _all(state, search)))


def _all(state: StateStore, search: Search) -> Iterator[Entry]:
    page = listed(state, search, limit=10 * PAGE)
    yield from page.entries
    while page.older:
        page = listed(state, replace(search, before=page.older), limit=10 * PAGE)
        yield from page.entries
