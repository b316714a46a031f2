"""Whether launches and snapshots were looked at already, on this day and by all that they are told by.

The values of a generation never change, and of the clock launches and snapshots know the date only. So what left
nothing to do leaves nothing until the generation, a definition, a setting, the state store or the date is another.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from datetime import datetime
from typing import Any

from connectors.errors import StateError
from jobs.project.project import Project

LAYOUT = 1  # raise it when launches or snapshots of the same values are looked at otherwise


class Settled:
    """What was looked at when the jobs after a sync had nothing to do, beside the generation."""

    def __init__(self, project: Project, now: datetime) -> None:
        self._project, self._now = project, now
        self._path = project.warehouse.companion(project.reader().generation.id, "settled")

    def holds(self) -> bool:
        """Whether all of it is the same now; not where that cannot be told."""
        with suppress(OSError, UnicodeDecodeError, StateError):
            return self._path.read_text() == self._terms()
        return False

    def keep(self) -> None:
        """Note that nothing is left to do. Where that cannot be written it is looked at again."""
        fresh = self._path.with_name(f"{self._path.name}.fresh")
        with suppress(OSError, StateError):
            fresh.write_text(self._terms())
            os.replace(fresh, self._path)

    def _terms(self) -> str:
        project = self._project
        catalogue, generation = project.catalogue(), project.reader().generation.id
        parts = [
            LAYOUT,
            f"{catalogue.today(self._now)} {catalogue.timezone} {catalogue.week_start_days}",
            project.settings.holidays,
            project.settings.currency,
            catalogue.texts(),
            [launch.model_dump_json() for launch in catalogue.launches],
            [snapshot.model_dump_json() for snapshot in catalogue.snapshots],
            [str(problem) for problem in catalogue.problems],  # what is wrong in a file is told each time
            sorted(catalogue.broken_snapshots),
            project.warehouse.companion(generation).exists(),
            self._known(),
        ]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def _known(self) -> list[list[Any]]:
        """Readings that were published, breaches that are open, weeks that were taken."""
        if not self._project.state.exists():
            return []
        from connectors.state import launches, snapshots  # SQLAlchemy, only where there is a store

        with self._project.state.reading() as connection:
            readings, breaches = launches.readings(connection), launches.breaches(connection)
            weeks = snapshots.kept(connection)
        return [
            [[row.launch, row.kpi, row.days] for row in readings],
            [[row.launch, row.kpi] for row in breaches if row.closed_at is None],
            sorted([row.name, row.week, row.revision] for row in weeks),
        ]
