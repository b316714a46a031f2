"""The sync log: how each source fared in the last sync, and what looked odd in the data."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import NoneType
from typing import Any
from zoneinfo import ZoneInfo

from connectors.errors import Problem
from connectors.reading import read_regular
from connectors.settings import Settings
from connectors.warehouse.contract import SourceRun

MOST_BYTES = 16 << 20
TOLD = "data/last_sync.json {}: how the sources fared before is not known. The next sync writes it anew."
EVERY = {"1d": "day", "1h": "hour", "1 d": "day", "1 h": "hour"}


class SyncLog:
    """last_sync.json of one data folder."""

    def __init__(self, data: Path, settings: Settings) -> None:
        self._path, self._settings = data / "last_sync.json", settings

    def read(self) -> dict[str, Any]:
        """What the last sync reported: finished_at, sources, warnings, generation, state. Empty before the first.

        Of a file that is damaged, nothing: `problem` says so.
        """
        return self._read()[0]

    def problem(self) -> str:
        """What is wrong with the file, in a sentence; empty if nothing is."""
        return self._read()[1]

    def _read(self) -> tuple[dict[str, Any], str]:
        try:
            found = json.loads(read_regular(self._path, most=MOST_BYTES, within=self._path.parent))
            if not isinstance(found, dict) or not _well_formed(found):
                return {}, TOLD.format("is not what a sync wrote")
        except FileNotFoundError:
            return {}, ""
        except (OSError, ValueError, RecursionError) as error:
            return {}, TOLD.format(f"cannot be read: {error}")
        return found, ""

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

    def write(
        self,
        runs: Mapping[str, SourceRun],
        finished_at: datetime,
        warnings: Sequence[Problem] | None,
        generation: str | None = None,
    ) -> str:
        """Record in one step how the sources fared, and what looked odd (None = as before: nothing was published).

        generation: what is live now. Returns a sentence if that cannot be written: the data is published all the same.
        """
        rows = [{**run.__dict__, "cursor": dict(run.cursor)} for run in runs.values()]
        before = self.read()
        odd = before.get("warnings", []) if warnings is None else [problem.__dict__ for problem in warnings]
        return self._write(
            {
                "finished_at": finished_at.isoformat(),
                "sources": rows,
                "warnings": odd,
                "generation": generation or before.get("generation"),
                "state": before.get("state"),
                "steps": before.get("steps"),
            }
        )

    def write_state(self, identity: int | None) -> str:
        """Record which state store goes with this data. Returns a sentence if that cannot be written."""
        found = self.read()
        return "" if found.get("state") == identity else self._write({**found, "state": identity})

    def steps(self) -> dict[str, float]:
        """Step of the last sync that published → seconds that it took. Of what is no such thing, nothing."""
        found = self.read().get("steps")
        pairs = found.items() if isinstance(found, dict) else ()
        return {name: float(took) for name, took in pairs if isinstance(took, (int, float)) and took >= 0}

    def write_steps(self, took: Mapping[str, float]) -> None:
        """Record how long each step took; where that cannot be written the next sync cannot say how long it takes."""
        self._write({**self.read(), "steps": {name: round(seconds, 3) for name, seconds in took.items()}})

    def _write(self, content: Mapping[str, Any]) -> str:
        fresh = self._path.with_name(".last_sync.json")
        try:
            fresh.write_text(json.dumps(content, indent=1))
            os.replace(fresh, self._path)
        except OSError as error:
            return f"data/last_sync.json cannot be written: {error.strerror or error}. Look at the disk and its rights."
        return ""


def _well_formed(found: Mapping[str, Any]) -> bool:
    """Whether every part that is there can be used."""
    try:
        if "finished_at" in found and datetime.fromisoformat(found["finished_at"]).tzinfo is None:
            return False
        for run in found.get("sources", []):
            SourceRun(**{k: v for k, v in run.items() if k in SourceRun.__dataclass_fields__})
            if run.get("last_success"):
                datetime.fromisoformat(run["last_success"])
            dict(run.get("cursor", {}))
            texts = [run["name"], run["status"], run.get("error", ""), *run.get("notes", ())]
            numbers = [run.get("rows", 0), run.get("quarantined", 0), run.get("seconds", 0)]
            if not all(isinstance(x, str) for x in texts) or not all(isinstance(x, (int, float)) for x in numbers):
                return False
        for problem in found.get("warnings", []):
            wrong = Problem(**problem)
            texts = [wrong.file, wrong.level, wrong.code, wrong.message, wrong.hint]
            if not all(isinstance(x, str) for x in texts) or not isinstance(wrong.line, int):
                return False
        generation, state = found.get("generation"), found.get("state")
        return isinstance(generation, (str, NoneType)) and isinstance(state, (int, NoneType))
    except (TypeError, ValueError, KeyError, AttributeError):
        return False
