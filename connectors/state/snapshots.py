"""Snapshots, editors' notes and sends in the state store: plain reads and writes. What is kept is never changed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import Connection, func, insert, select

from connectors.state import tables
from connectors.state.alerts import Delivery


@dataclass(frozen=True)
class ArchivedSnapshot:
    """One row of snapshots, without its document."""

    name: str
    week: str
    revision: int
    generation: str
    taken_at: datetime
    by: str
    headline: str


@dataclass(frozen=True)
class NoteRow:
    """What somebody wrote beside a week."""

    name: str
    week: str
    text: str
    by: str
    created_at: datetime
    id: int = 0


@dataclass(frozen=True)
class Send:
    """One revision to one recipient, and the message in the outbox that carries it."""

    name: str
    week: str
    revision: int
    recipient: str
    delivery_id: int
    by: str


def kept(connection: Connection, name: str | None = None) -> list[ArchivedSnapshot]:
    """All snapshots, or those of one definition: the latest week and revision first."""
    table = tables.snapshots
    columns = [column for column in table.c if column.name != "document"]
    query = select(*columns).order_by(table.c.week.desc(), table.c.name, table.c.revision.desc())
    if name is not None:
        query = query.where(table.c.name == name)
    return [ArchivedSnapshot(**row._mapping) for row in connection.execute(query)]


def document(connection: Connection, name: str, week: str, revision: int) -> str | None:
    """The text of one revision; None if there is none."""
    table = tables.snapshots
    where = (table.c.name == name, table.c.week == week, table.c.revision == revision)
    found: str | None = connection.execute(select(table.c.document).where(*where)).scalar()
    return found


def last_revision(connection: Connection, name: str, week: str) -> int:
    """The latest revision of a week; 0 = not taken."""
    table = tables.snapshots
    query = select(func.max(table.c.revision)).where(table.c.name == name, table.c.week == week)
    return int(connection.execute(query).scalar() or 0)


def add(connection: Connection, row: ArchivedSnapshot, text: str) -> None:
    """Keep a new revision. A second one of the same number fails: look first, in the same transaction."""
    connection.execute(insert(tables.snapshots).values(**asdict(row), document=text))


def notes(connection: Connection, name: str, week: str) -> list[NoteRow]:
    """What was written beside a week, the latest first."""
    table = tables.snapshot_notes
    query = select(table).where(table.c.name == name, table.c.week == week).order_by(table.c.id.desc())
    return [NoteRow(**row._mapping) for row in connection.execute(query)]


def add_note(connection: Connection, row: NoteRow) -> None:
    """Keep a note; earlier ones stay."""
    connection.execute(insert(tables.snapshot_notes).values(**{k: v for k, v in asdict(row).items() if k != "id"}))


def sends(connection: Connection, name: str, week: str) -> list[tuple[Send, Delivery]]:
    """Everything that was sent of a week, with what became of it."""
    table, outbox = tables.snapshot_sends, tables.deliveries
    query = select(table, outbox).join(outbox, outbox.c.id == table.c.delivery_id)
    query = query.where(table.c.name == name, table.c.week == week).order_by(table.c.delivery_id)
    found = []
    for row in connection.execute(query):
        send = Send(**{c.name: row._mapping[c] for c in table.c})
        found.append((send, Delivery(**{c.name: row._mapping[c] for c in outbox.c})))
    return found


def add_send(connection: Connection, send: Send) -> None:
    """Keep that a recipient gets a revision; the same a second time fails."""
    connection.execute(insert(tables.snapshot_sends).values(**asdict(send)))


def send_of(connection: Connection, delivery: int) -> Send | None:
    """What a message of the outbox carries; None if it carries no snapshot."""
    table = tables.snapshot_sends
    row = connection.execute(select(table).where(table.c.delivery_id == delivery)).first()
    return Send(**row._mapping) if row is not None else None
