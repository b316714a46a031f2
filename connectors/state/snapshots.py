"""Snapshots, editors' notes and sends in the state store: plain reads and writes. What is kept is never changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from sqlalchemy import (
    Column,
    Connection,
    ForeignKeyConstraint,
    Index,
    PrimaryKeyConstraint,
    String,
    Text,
    func,
    insert,
    select,
)

from connectors.state.alerts import DELIVERIES, Delivery
from connectors.state.limits import admit
from connectors.state.tables import Instant, Label, Name, cells, made, read, rows, table

Week = Annotated[str, String(10)]  # 2026-W46


@dataclass(frozen=True)
class ArchivedSnapshot:
    """A snapshot without its document: taken once, never changed; taking a week again adds a revision."""

    name: Name
    week: Week
    revision: int
    generation: Label
    taken_at: Instant
    by: Label
    headline: str  # for the archive, which opens no documents
    audience: Name | None = None  # for whom it was taken (Project.audience); None = of everything


SNAPSHOTS = table(
    "snapshots",
    ArchivedSnapshot,
    Column("document", Text, nullable=False),  # metrics.snapshots.document
    PrimaryKeyConstraint("name", "week", "revision"),
)


@dataclass(frozen=True)
class NoteRow:
    """What somebody wrote beside a week."""

    name: Name
    week: Week
    text: str
    by: Label
    created_at: Instant
    id: int = 0


NOTES = table("snapshot_notes", NoteRow, Index("ix_snapshot_notes_week", "name", "week"))


@dataclass(frozen=True)
class Send:
    """One revision to one recipient, at most once, and the message in the outbox that carries it."""

    name: Name
    week: Week
    revision: int
    recipient: Label
    delivery_id: int
    by: Label


SENDS = table(
    "snapshot_sends",
    Send,
    PrimaryKeyConstraint("name", "week", "revision", "recipient"),
    ForeignKeyConstraint(["delivery_id"], ["alert_deliveries.id"]),
    Index("ix_snapshot_sends_delivery", "delivery_id"),
)


def kept(connection: Connection, name: str | None = None) -> list[ArchivedSnapshot]:
    """All snapshots, or those of one definition: the latest week and revision first."""
    columns = [column for column in SNAPSHOTS.c if column.name != "document"]
    query = select(*columns).order_by(SNAPSHOTS.c.week.desc(), SNAPSHOTS.c.name, SNAPSHOTS.c.revision.desc())
    if name is not None:
        query = query.where(SNAPSHOTS.c.name == name)
    return read(connection, query, ArchivedSnapshot)


def document(connection: Connection, name: str, week: str, revision: int) -> str | None:
    """The text of one revision; None if there is none."""
    where = (SNAPSHOTS.c.name == name, SNAPSHOTS.c.week == week, SNAPSHOTS.c.revision == revision)
    found: str | None = connection.execute(select(SNAPSHOTS.c.document).where(*where)).scalar()
    return found


def last_revision(connection: Connection, name: str, week: str) -> int:
    """The latest revision of a week; 0 = not taken."""
    query = select(func.max(SNAPSHOTS.c.revision)).where(SNAPSHOTS.c.name == name, SNAPSHOTS.c.week == week)
    return int(connection.execute(query).scalar() or 0)


def add(connection: Connection, row: ArchivedSnapshot, text: str) -> None:
    """Keep a new revision. A second one of the same number fails: look first, in the same transaction."""
    connection.execute(insert(SNAPSHOTS).values(**cells(row), document=text))


def notes(connection: Connection, name: str, week: str) -> list[NoteRow]:
    """What was written beside a week, the latest first."""
    query = select(NOTES).where(NOTES.c.name == name, NOTES.c.week == week).order_by(NOTES.c.id.desc())
    return read(connection, query, NoteRow)


def add_note(connection: Connection, row: NoteRow) -> None:
    """Keep a note; earlier ones stay."""
    admit(connection, NOTES, cells(row), {"name": row.name, "week": row.week}, row.created_at)
    connection.execute(insert(NOTES).values(**cells(row)))


def sends(connection: Connection, name: str, week: str) -> list[tuple[Send, Delivery]]:
    """Everything that was sent of a week, with what became of it."""
    query = select(SENDS, DELIVERIES).join(DELIVERIES, DELIVERIES.c.id == SENDS.c.delivery_id)
    query = query.where(SENDS.c.name == name, SENDS.c.week == week).order_by(SENDS.c.delivery_id)
    found = []
    for row in rows(connection, query):
        send = made(Send, {c.name: row._mapping[c] for c in SENDS.c})
        found.append((send, made(Delivery, {c.name: row._mapping[c] for c in DELIVERIES.c})))
    return found


def add_send(connection: Connection, send: Send) -> None:
    """Keep that a recipient gets a revision; the same a second time fails."""
    connection.execute(insert(SENDS).values(**cells(send)))


def send_of(connection: Connection, delivery: int) -> Send | None:
    """What a message of the outbox carries; None if it carries no snapshot."""
    found = read(connection, select(SENDS).where(SENDS.c.delivery_id == delivery), Send)
    return found[0] if found else None
