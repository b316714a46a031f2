"""The sync log: how each source fared in the last sync, and what looked odd in the data."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from connectors.errors import Problem
from connectors.settings import Settings
from connectors.warehouse.contract import SourceRun

EVERY = {"1d": "day", "1h": "hour", "1 d": "day", "1 h": "hour"}


class SyncLog:
    """last_sync.json of one data folder."""

    def __init__(self, data: Path, settings: Settings) -> None:
        self._path, self._settings = data / "last_sync.json", settings

    def read(self) -> dict[str, Any]:
        """What the last sync reported: finished_at, sources, warnings. Empty before the first."""
        try:
            return dict(json.loads(self._path.read_text()))
        except (FileNotFoundError, json.JSONDecodeError):
            return {}

    def runs(self) -> dict[str, SourceRun]:
        """Each source's last run."""
        known = set(SourceRun.__dataclass_fields__)
        rows = self.read().get("sources", [])
        return {r["name"]: SourceRun(**{k: v for k, v in r.items() if k in known}) for r in rows}

    def warnings(self) -> tuple[Problem, ...]:
        """What looked odd in the data of the live generation."""
        return tuple(Problem(**problem) for problem in self.read().get("warnings", []))

    def overdue(self, now: datetime) -> str:
        """The heartbeat: one sentence if no sync finished when one was due; empty otherwise."""
        due, last = self._settings.sync_due, self.read().get("finished_at")
        if due is None or not last:
            return ""
        finished = datetime.fromisoformat(last)
        if now - finished <= 1.5 * due:
            return ""
        return (
            f"No sync since {finished.astimezone(ZoneInfo(self._settings.timezone)):%-d %b %H:%M}; "
            f"one is due every {EVERY.get(self._settings.sync_every, self._settings.sync_every)}."
        )

    def write(self, runs: Mapping[str, SourceRun], finished_at: datetime, warnings: Sequence[Problem] | None) -> None:
        """Record in one step how the sources fared, and what looked odd (None = as before: nothing was published)."""
        rows = [{**run.__dict__, "cursor": dict(run.cursor)} for run in runs.values()]
        odd = self.read().get("warnings", []) if warnings is None else [problem.__dict__ for problem in warnings]
        fresh = self._path.with_name(".last_sync.json")
        fresh.write_text(
            json.dumps({"finished_at": finished_at.isoformat(), "sources": rows, "warnings": odd}, indent=1)
        )
        os.replace(fresh, self._path)
