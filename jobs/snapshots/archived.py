"""Snapshots that were taken: which there are, one of them in full, notes beside them. Nothing is computed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from connectors.errors import SnapshotError, UnknownName
from connectors.state import snapshots as store
from connectors.state.snapshots import ArchivedSnapshot, NoteRow
from jobs.audit.record import Act, record
from jobs.project.project import Project
from metrics.presentation import format as fmt
from metrics.presentation.format import iso
from metrics.snapshots import week as weeks
from metrics.snapshots.document import Document

BY_SYNC = "sync"  # who took or sent what nobody asked for


def rows_of(project: Project, name: str | None = None) -> list[ArchivedSnapshot]:
    """What was taken: the latest week and revision first. A role that sees a part has what was taken for it."""
    if not project.state.exists():
        return []
    with project.state.reading() as connection:
        found = store.kept(connection, name)
    return [row for row in found if project.sees_all or (row.audience is not None and row.audience == project.audience)]


def document_of(project: Project, name: str = "", week: str = "", revision: int = 0) -> Document:
    """One frozen document: of the latest week and revision where none is named. Raises SnapshotError, UnknownName."""
    rows = rows_of(project)
    chosen = name or next((item.name for item in project.catalogue().snapshots), "")
    mine = [row for row in rows if row.name == chosen] or ([] if name else rows)
    if name and not mine:
        known = sorted({row.name for row in rows})
        raise UnknownName(f"no snapshot '{name}' was taken", hint=f"Taken: {', '.join(known) or 'none'}.")
    if week:
        exact = weeks.named(week, project.settings.week_start_days).name
        mine = [row for row in mine if row.week == exact]
    if revision:
        mine = [row for row in mine if row.revision == revision]
    if not mine:
        what = f"week {week}" if week else "no week"
        taken = ", ".join(dict.fromkeys(row.week for row in rows[:8]))
        raise SnapshotError(
            f"{what}{f', revision {revision}' if revision else ''} was {'not ' if week else ''}taken",
            hint=f"Taken: {taken}." if taken else "`kpi snapshot take` takes the last week.",
        )
    with project.state.reading() as connection:
        text = store.document(connection, mine[0].name, mine[0].week, mine[0].revision)
    return project.state.parsed(Document.model_validate_json, text or "")


def write_note(project: Project, document: Document, text: str, *, by: str, now: datetime) -> None:
    """Put a note beside a week; the numbers stay as they are. Raises SnapshotError for an empty one."""
    said = fmt.plain(text)
    if not said:
        raise SnapshotError("the note is empty", hint="Write what a reader should know beside the numbers.")
    with project.state.writing() as connection:
        store.add_note(connection, NoteRow(document.snapshot, document.week, said, fmt.plain(by), now))
        record(project.state, connection, Act("snapshot_noted", subject_of(document), by), now)


def subject_of(document: Document) -> str:
    """What the audit calls a revision."""
    return revision_called(document.snapshot, document.week, document.revision)


def revision_called(snapshot: str, week: str, revision: int) -> str:
    """What the audit and the outbox call a revision."""
    return f"snapshot:{snapshot}:{week}:r{revision}"


def list_rows(project: Project) -> list[dict[str, Any]]:
    """`kpi snapshot list --json`: every revision, the latest first."""
    return [row_of(row) for row in rows_of(project)]


def row_of(row: ArchivedSnapshot) -> dict[str, Any]:
    """A revision in `kpi snapshot list --json`."""
    return {
        "snapshot": row.name,
        "week": row.week,
        "revision": row.revision,
        "generation": row.generation,
        "taken_at": iso(row.taken_at),
        "by": row.by,
        "headline": row.headline,
    }
