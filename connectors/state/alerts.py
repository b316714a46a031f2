"""Standings, incidents, silences and messages in the state store: plain reads and writes, no judgement."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from connectors.state.limits import admit
from connectors.state.tables import Choice, Instant, Label, Moment, Name, Segment, cells, metadata, read, rows, table

Severity = Annotated[str, Choice("", "warning", "critical")]
State = Annotated[str, Choice("ok", "pending", "firing", "recovering", "no_data", "stale", "error")]
Ending = Annotated[str, Choice("resolved", "dissolved", "new_normal", "rule_changed", "rule_gone", length=30)]


@dataclass(frozen=True)
class StandingRow:
    """Where a rule and segment stands."""

    rule_key: Label  # kpi.rule, or source.NAME
    segment: Segment  # empty = no breakdown
    kpi: Name
    rule: Name
    state: State
    severity: Severity  # empty = no open incident
    since: datetime | None
    last_period: datetime | None
    opened_period: datetime | None
    value: float | None
    threshold: float | None
    words: str  # the rule as it was judged
    why: str  # of stale and error
    phase: Annotated[str, Choice("none", "learning", "ready")]
    sequence: int  # of the generation judged
    evaluated_at: Instant


STANDINGS = table("alert_standings", StandingRow, PrimaryKeyConstraint("rule_key", "segment"))


@dataclass(frozen=True)
class Incident:
    """From where a rule fired to where it held again; id 0 = not stored yet."""

    rule_key: Label
    segment: Segment
    kpi: Name
    rule: Name
    severity: Severity  # the highest it had
    opened_at: Instant
    opened_period: datetime | None = None
    last_period: datetime | None = None
    peak_period: datetime | None = None
    peak_value: float | None = None
    closed_at: Instant | None = None
    closed_period: datetime | None = None
    closed_why: Ending | None = None
    place: str = ""  # where the change sits, in words
    ack_by: Label | None = None
    ack_at: Instant | None = None
    mark: Annotated[str, Choice("useful", "noise")] | None = None
    marked_by: Label | None = None
    replayed: bool = False  # found in the past when the rule was first evaluated; nobody was told
    notified_at: Instant | None = None
    notified_severity: Severity | None = None
    id: int = 0


INCIDENTS = table("alert_incidents", Incident, Index("ix_alert_incidents_opened", "opened_at"))
OPEN = INCIDENTS.c.closed_at.is_(None)
Index(
    "ix_alert_incidents_open",
    INCIDENTS.c.rule_key,
    INCIDENTS.c.segment,
    unique=True,
    sqlite_where=OPEN,  # and PostgreSQL's in its migration: named here it would load that dialect for everyone
)


@dataclass(frozen=True)
class Silence:
    """Nobody is told of a rule (and segment; None = all of them) until then."""

    rule_key: Label
    segment: Segment | None
    until: Instant
    by: Label
    created_at: Instant
    id: int = 0


SILENCES = table("alert_silences", Silence)
NORMALS = Table(
    "alert_normals",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("rule_key", String(200), nullable=False),
    Column("segment", String(400), nullable=False),
    Column("period", DateTime, nullable=False),  # from here on the level is normal
    Column("by", String(200), nullable=False),
    Column("created_at", Moment, nullable=False),
)


@dataclass(frozen=True)
class Delivery:
    """One message to one contact point; with an event, to a webhook: then the body is its JSON."""

    id: int
    contact: Label
    title: str
    body: str
    status: Annotated[str, Choice("pending", "sending", "delivered", "failed", "unknown")]
    attempts: int
    unknowns: int  # outcomes that nobody knows
    created_at: Instant
    next_at: Instant
    started_at: Instant | None
    finished_at: Instant | None
    host: Label
    error: str
    event: Name = ""  # such as incident.opened
    about: Segment = ""  # what the event is of, such as incident:12


DELIVERIES = table(
    "alert_deliveries",
    Delivery,
    Index("ix_alert_deliveries_status", "status"),
    Index("ix_alert_deliveries_about", "about"),
)
DELIVERY_ITEMS = Table(
    "alert_delivery_items",
    metadata,
    Column("delivery_id", ForeignKey("alert_deliveries.id"), primary_key=True),
    Column("incident_id", ForeignKey("alert_incidents.id"), primary_key=True),
    Column("event", String(20), primary_key=True),
)


def standings(connection: Connection) -> dict[tuple[str, str], StandingRow]:
    """Every (rule_key, segment) → where it stands."""
    found = read(connection, select(STANDINGS), StandingRow)
    return {(row.rule_key, row.segment): row for row in found}


def put_standings(connection: Connection, standings: Sequence[StandingRow]) -> None:
    """Replace these rows."""
    if not standings:
        return
    keys = [(r.rule_key, r.segment) for r in standings]
    for rule_key in {key for key, _ in keys}:
        mine = [segment for key, segment in keys if key == rule_key]
        connection.execute(delete(STANDINGS).where(STANDINGS.c.rule_key == rule_key, STANDINGS.c.segment.in_(mine)))
    connection.execute(insert(STANDINGS), [cells(row) for row in standings])


def see_again(connection: Connection, rule_key: str, sequence: int, at: datetime) -> None:
    """A rule stands where it stood: its rows of this generation were looked at now."""
    mine = (STANDINGS.c.rule_key == rule_key) & (STANDINGS.c.sequence == sequence)
    connection.execute(update(STANDINGS).where(mine).values(evaluated_at=at))


def drop_standings(connection: Connection, keys: Iterable[tuple[str, str]]) -> None:
    """Forget rules or segments that are gone."""
    for rule_key, segment in keys:
        connection.execute(delete(STANDINGS).where(STANDINGS.c.rule_key == rule_key, STANDINGS.c.segment == segment))


def add_incident(connection: Connection, incident: Incident) -> int:
    """Store a new incident; its id."""
    return int(connection.execute(insert(INCIDENTS).values(**cells(incident))).inserted_primary_key[0])  # type: ignore[index]


def change_incident(connection: Connection, number: int, **values: Any) -> int:
    """Change columns of an incident; how many rows that were (0 = it does not exist)."""
    return int(connection.execute(update(INCIDENTS).where(INCIDENTS.c.id == number).values(**values)).rowcount)


def open_incidents(connection: Connection) -> dict[tuple[str, str], Incident]:
    """(rule_key, segment) → its open incident."""
    found = read(connection, select(INCIDENTS).where(OPEN), Incident)
    return {(row.rule_key, row.segment): row for row in found}


def incident(connection: Connection, number: int) -> Incident | None:
    """One incident."""
    found = read(connection, select(INCIDENTS).where(INCIDENTS.c.id == number), Incident)
    return found[0] if found else None


def history(connection: Connection, *, kpis: Collection[str] = (), limit: int = 500) -> list[Incident]:
    """Incidents, the latest first. kpis: only theirs; empty = all."""
    query = select(INCIDENTS).order_by(INCIDENTS.c.opened_at.desc(), INCIDENTS.c.id.desc()).limit(limit)
    return read(connection, query.where(INCIDENTS.c.kpi.in_(kpis)) if kpis else query, Incident)


def marks(connection: Connection) -> dict[str, dict[str, int]]:
    """rule_key → {useful: n, noise: n}."""
    found: dict[str, dict[str, int]] = {}
    query = select(INCIDENTS.c.rule_key, INCIDENTS.c.mark, func.count()).where(INCIDENTS.c.mark.is_not(None))
    for rule_key, mark, count in map(tuple, rows(connection, query.group_by(INCIDENTS.c.rule_key, INCIDENTS.c.mark))):
        found.setdefault(rule_key, {})[mark] = count
    return found


def add_silence(connection: Connection, silence: Silence) -> None:
    """Store a silence; it replaces one of the same rule and segment."""
    same = SILENCES.c.segment.is_(None) if silence.segment is None else SILENCES.c.segment == silence.segment
    connection.execute(delete(SILENCES).where(SILENCES.c.rule_key == silence.rule_key, same))
    admit(connection, SILENCES, cells(silence), {"rule_key": silence.rule_key}, silence.created_at)
    connection.execute(insert(SILENCES).values(**cells(silence)))


def silences(connection: Connection, now: datetime) -> list[Silence]:
    """Those that still hold."""
    return read(connection, select(SILENCES).where(SILENCES.c.until > now), Silence)


def add_normal(connection: Connection, rule_key: str, segment: str, period: datetime, by: str, at: datetime) -> None:
    """From this period on the level is the normal one."""
    values = {"rule_key": rule_key, "segment": segment, "period": period, "by": by, "created_at": at}
    admit(connection, NORMALS, values, {"rule_key": rule_key, "segment": segment}, at)
    connection.execute(insert(NORMALS).values(**values))


def normals(connection: Connection) -> dict[tuple[str, str], list[datetime]]:
    """(rule_key, segment) → periods from which a new level is normal, rising."""
    found: dict[tuple[str, str], list[datetime]] = {}
    for row in rows(connection, select(NORMALS).order_by(NORMALS.c.period)):
        found.setdefault((row.rule_key, row.segment), []).append(row.period)
    return found


def add_delivery(
    connection: Connection,
    contact: str,
    title: str,
    body: str,
    now: datetime,
    items: Mapping[int, str],
    *,
    not_before: datetime | None = None,
) -> int:
    """Put a message into the outbox. items: incident → what it says of it. not_before: when it is sent first."""
    number = _queue(connection, now, contact=contact, title=title, body=body, next_at=max(now, not_before or now))
    if items:
        each = [{"delivery_id": number, "incident_id": i, "event": event} for i, event in items.items()]
        connection.execute(insert(DELIVERY_ITEMS), each)
    return number


def add_event(connection: Connection, webhook: str, event: str, about: str, body: str, now: datetime) -> int:
    """Put an event into the outbox, as JSON for a webhook. event: such as incident.opened; about: what it is of."""
    return _queue(connection, now, contact=webhook, title=event, body=body, next_at=now, event=event, about=about)


def _queue(connection: Connection, now: datetime, **values: Any) -> int:
    plain = {"status": "pending", "attempts": 0, "unknowns": 0, "host": "", "error": "", "event": "", "about": ""}
    row = {**plain, "created_at": now, **values}
    return int(connection.execute(insert(DELIVERIES).values(**row)).inserted_primary_key[0])  # type: ignore[index]


def orphans(connection: Connection, host: str, before: datetime) -> list[Delivery]:
    """Messages that a sender of this host left behind in mid-sending, or one of any host before a moment.

    To be asked by the only sender of the host.
    """
    query = select(DELIVERIES).where(DELIVERIES.c.status == "sending")
    return read(connection, query.where(or_(DELIVERIES.c.host == host, DELIVERIES.c.started_at < before)), Delivery)


def due(connection: Connection, now: datetime, without: Collection[str] = ()) -> list[Delivery]:
    """Pending messages whose time has come, those to people first, oldest first. without: no contact of these."""
    query = select(DELIVERIES).where(and_(_pending(without), DELIVERIES.c.next_at <= now))
    return read(connection, query.order_by(DELIVERIES.c.event != "", DELIVERIES.c.id), Delivery)


def next_due(connection: Connection, without: Collection[str] = ()) -> datetime | None:
    """When the next pending message is due. without: as of `due`."""
    query = select(DELIVERIES.c.next_at).where(_pending(without)).order_by(DELIVERIES.c.next_at).limit(1)
    return next((row.next_at for row in rows(connection, query)), None)


def _pending(without: Collection[str]) -> ColumnElement[bool]:
    return and_(DELIVERIES.c.status == "pending", DELIVERIES.c.contact.not_in(without))


def last_told(connection: Connection, contact: str, event: str, about: str) -> str | None:
    """The body of the latest message of an event about something to a webhook; None = it was never told."""
    mine = (DELIVERIES.c.contact == contact, DELIVERIES.c.event == event, DELIVERIES.c.about == about)
    query = select(DELIVERIES.c.body).where(*mine).order_by(DELIVERIES.c.id.desc()).limit(1)
    return next((row.body for row in rows(connection, query)), None)


def claim(connection: Connection, number: int, host: str, now: datetime) -> bool:
    """Whether this sender may send a pending message now."""
    query = update(DELIVERIES).where(DELIVERIES.c.id == number, DELIVERIES.c.status == "pending")
    return connection.execute(query.values(status="sending", host=host, started_at=now)).rowcount == 1


def settle(connection: Connection, number: int, **values: Any) -> None:
    """What became of a message."""
    connection.execute(update(DELIVERIES).where(DELIVERIES.c.id == number).values(**values))


def queue(connection: Connection) -> dict[str, int]:
    """Status → how many messages have it."""
    counted = select(DELIVERIES.c.status, func.count()).group_by(DELIVERIES.c.status).order_by(DELIVERIES.c.status)
    return {str(row[0]): int(row[1]) for row in connection.execute(counted)}


def deliveries(connection: Connection, *, limit: int = 200) -> list[Delivery]:
    """Messages, the latest first: so many to people, and so many to webhooks, which get more of them."""
    latest = select(DELIVERIES).order_by(DELIVERIES.c.id.desc()).limit(limit)
    kinds = (DELIVERIES.c.event == "", DELIVERIES.c.event != "")
    found = [message for kind in kinds for message in read(connection, latest.where(kind), Delivery)]
    return sorted(found, key=lambda message: -message.id)
