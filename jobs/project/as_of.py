"""What time alone changes in what pages show. Everything else changes with a generation, a file or the state store."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from connectors.errors import StateError
from jobs.project.project import Project
from metrics.presentation.freshness import dataset_late

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class AsOf:
    """The part of a view's key that the clock moves, for one project. Cheap enough to ask for at every rerun."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._ends: tuple[tuple[int, ...], list[datetime]] = ((), [])

    def __call__(self, now: datetime) -> tuple[object, ...]:
        """Dates (in UTC and of the project), late datasets, an overdue sync, silences that still hold."""
        project = self._project
        dates = now.date(), now.astimezone(ZoneInfo(project.settings.timezone)).date()
        if not project.has_data():
            return dates
        context = project.context(now)
        states = context.reader.dataset_states(context.reader.generation.sequence)
        late = tuple(
            dataset_late(name, context.catalogue, states, context.runs, context.table_sources, now)
            for name in context.catalogue.datasets
        )
        return (*dates, late, bool(context.overdue), sum(end > now for end in self._silences()))

    def _silences(self) -> list[datetime]:
        """When silences end; read again when the state store was written to."""
        state = self._project.state
        if not state.exists():
            return []
        mark = state.mark()
        if self._ends[0] != mark:
            from connectors.state import alerts as store  # SQLAlchemy, only where there is a store

            ends: list[datetime] = []
            # Pages that need the store say what is wrong with it; the others go on without.
            with suppress(StateError), state.reading() as connection:
                ends = [silence.until for silence in store.silences(connection, LONG_AGO)]
            self._ends = (mark, ends)
        return self._ends[1]
