"""What a sync leaves in the audit, and what of the audit it leaves in its generation."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection

from connectors.errors import KpiError, StateError
from connectors.state import audit
from connectors.state.acting import who
from connectors.state.audit import Act
from connectors.state.audit_keys import Head
from connectors.warehouse.contract import OF_THE_AUDIT, SourceRun
from jobs.audit.changes import changes
from jobs.audit.record import is_kept, record
from jobs.audit.retention import trim
from jobs.project.project import Project

log = logging.getLogger(__name__)


class SyncEntries:
    """The entries of one sync. A store that cannot be written never stops it: then it says so.

    Where nothing is kept yet nothing is recorded (`is_kept`). dry_run: neither, since nothing is done.
    """

    def __init__(self, project: Project, now: datetime, *, dry_run: bool) -> None:
        self.project, self.now = project, now
        self._records = not dry_run
        self._before: Mapping[str, str] | None = None
        self._told: list[str] = []

    def began(self, sources: Sequence[str], *, full: bool, anew: bool) -> None:
        """It has the project's lock, and pulls now."""
        told = {"sources": list(sources)} | ({"full": True} if full else {}) | ({"anew": True} if anew else {})
        self._write([Act("sync_began", "sync", who(), told, "sync")])

    def publishes(self, before: Mapping[str, str]) -> Mapping[str, str]:
        """What goes among the texts of the new generation: how far the audit reached. before: texts of the old one."""
        self._before = before if self._records and is_kept(self.project) else None
        found = self._done(audit.head)
        return {OF_THE_AUDIT: found.as_text()} if found is not None else {}

    def ended(self, generation: str | None, published: bool, runs: Sequence[SourceRun]) -> tuple[str, ...]:
        """How it ended: an entry, and one for each definition that differs. Says what could not be recorded."""
        acts, failed = list[Act](), sorted(run.name for run in runs if run.status == "failed")
        if published and self._before:  # the first generation is no change
            try:
                texts = self.project.reader().published_files()
                acts += changes(self._before, texts, self.project.folder, who())
            except KpiError as error:
                self._failed(error)
        told = {"published": published, "generation": generation, "rows": sum(run.rows for run in runs)}
        self._write([*acts, Act("sync_ended", "sync", who(), told | ({"failed": failed} if failed else {}), "sync")])
        if self._records and not self._told:
            try:
                self._told += filter(None, [trim(self.project, now=self.now)])
            except StateError as error:
                self._failed(error)
        return tuple(self._told)

    def _write(self, acts: Sequence[Act]) -> None:
        def write(connection: Connection) -> None:
            for act in acts:
                record(self.project.state, connection, act, self.now)

        self._done(write, writing=True)

    def _done(self, act: Callable[[Connection], Head | None], *, writing: bool = False) -> Head | None:
        """Do it, unless there is nothing to do it in, or that failed before."""
        state = self.project.state
        if not self._records or self._told or not is_kept(self.project):
            return None
        try:
            with state.writing() if writing else state.reading() as connection:
                return act(connection)
        except StateError as error:
            self._failed(error)
            return None

    def _failed(self, error: KpiError) -> None:
        log.warning("the sync was not recorded in the audit", exc_info=error)
        self._told.append(f"The sync was not recorded in the audit: {error.message}. {error.hint}".rstrip())
