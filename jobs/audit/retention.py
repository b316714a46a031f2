"""retention: entries older than `audit_keep` go, all up to one; a signed checkpoint stays, which the rest begins at."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from connectors.state import audit
from connectors.state.audit import Act
from jobs.audit.record import record
from jobs.audit.verifying import verified_here
from jobs.project.project import Project


def trim(project: Project, *, now: datetime) -> str:
    """Remove what is older than the project keeps; a sentence if that must not be, else empty. Raises StateError.

    What is not as it was written is evidence, and stays. A key that is lost proves nothing any more: that is no reason.
    """
    keep, state = project.settings.audit_keep, project.state
    if not keep or not state.exists():
        return ""
    before = (now - keep).replace(hour=0, minute=0, second=0, microsecond=0)  # once a day: it reads all of the log
    with state.reading() as connection:
        if _through(connection, before) == 0:
            return ""
    with state.writing() as connection:
        through = _through(connection, before)
        if through == 0:
            return ""
        found = verified_here(connection, state.keys.known(), state.keys.head())
        if found.tampered:
            return f"No old entry of the audit was removed. {found.line()} `kpi audit verify` says more."
        record(state, connection, Act("trimmed", "audit", "", {"through": through}, "system"), now)
        audit.trim(connection, state.keys, through, now)
    return ""


def _through(connection: Connection, before: datetime) -> int:
    """The last entry of those that are all older; 0 = none is. The newest one stays, whatever its age."""
    last = audit.head(connection)
    if last is None or not audit.chain_at(connection, last.sequence):
        return 0
    first = audit.first_since(connection, before)
    through = (first if first is not None else last.sequence) - 1
    return through if audit.chain_at(connection, through) else 0
