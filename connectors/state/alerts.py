"""Standings, incidents, silences and messages in the state store: plain reads and writes, no judgement."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Connection, Select, and_, delete, func, insert, or_, select, update

from connectors.state import tables

R = TypeVar("R")


@dataclass(frozen=True)
class StandingRow:
    """One row of alert_standings; see tables.py."""

    rule_key: str
    segment: str
    kpi: str
    rule: str
    state: str
    severity: str
    since: datetime | None
    last_period: datetime | None
    opened_period: datetime | None
    value: float | None
    threshold: float | None
    words: str
    why: str
    phase: str
    sequence: int
    evaluated_at: datetime


@dataclass(frozen=True)
class Incident:
    """One row of alert_incidents; id 0 = not stored yet."""

    rule_key: str
    segment: str
    kpi: str
    rule: str
    severity: str
    opened_at: datetime
    opened_period: datetime | None = None
    last_period: datetime | None = None
    peak_period: datetime | None = None
    peak_value: float | None = None
    closed_at: datetime | None = None
    closed_period: datetime | None = None
    closed_why: str | None = None
    place: str = ""
    ack_by: str | None = None
    ack_at: datetime | None = None
    mark: str | None = None
    marked_by: str | None = None
    replayed: bool = False
    notified_at: datetime | None = None
    notified_severity: str | None = None
    id: int = 0


@dataclass(frozen=True)
class Silence:
    """Nobody is told of a rule (and segment; None = all of them) until then."""

    rule_key: str
    segment: str | None
    until: datetime
    by: str
    created_at: datetime
    id: int = 0


@dataclass(frozen=True)
class Delivery:
    """One message to one contact point. status: pending, sending, delivered, failed, unknown."""

    id: int
    contact: str
    title: str
    body: str
    status: str
    attempts: int
    unknowns: int
    created_at: datetime
    next_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    host: str
    error: str


def _all(connection: Connection, query: Select[Any], kind: type[R]) -> list[R]:
    return [kind(**row._mapping) for row in connection.execute(query)]


def standings(connection: Connection) -> dict[tuple[str, str], StandingRow]:
    """Every (rule_key, segment) → where it stands."""
    rows = _all(connection, select(tables.standings), StandingRow)
    return {(row.rule_key, row.segment): row for row in rows}


def put_standings(connection: Connection, rows: Sequence[StandingRow]) -> None:
    """Replace these rows."""
    if not rows:
        return
    keys = [(r.rule_key, r.segment) for r in rows]
    table = tables.standings
    for rule_key in {key for key, _ in keys}:
        mine = [segment for key, segment in keys if key == rule_key]
        connection.execute(delete(table).where(table.c.rule_key == rule_key, table.c.segment.in_(mine)))
    connection.execute(insert(table), [asdict(row) for row in rows])


def drop_standings(connection: Connection, keys: Iterable[tuple[str, str]]) -> None:
    """Forget rules or segments that are gone."""
    table = tables.standings
    for rule_key, segment in keys:
        connection.execute(delete(table).where(table.c.rule_key == rule_key, table.c.segment == segment))


def add_incident(connection: Connection, incident: Incident) -> int:
    """Store a new incident; its id."""
    values = {k: v for k, v in asdict(incident).items() if k != "id"}
    return int(connection.execute(insert(tables.incidents).values(**values)).inserted_primary_key[0])  # type: ignore[index]


def change_incident(connection: Connection, number: int, **values: Any) -> int:
    """Change columns of an incident; how many rows that were (0 = it does not exist)."""
    table = tables.incidents
    return int(connection.execute(update(table).where(table.c.id == number).values(**values)).rowcount)


def open_incidents(connection: Connection) -> dict[tuple[str, str], Incident]:
    """(rule_key, segment) → its open incident."""
    table = tables.incidents
    rows = _all(connection, select(table).where(table.c.closed_at.is_(None)), Incident)
    return {(row.rule_key, row.segment): row for row in rows}


def incident(connection: Connection, number: int) -> Incident | None:
    """One incident."""
    rows = _all(connection, select(tables.incidents).where(tables.incidents.c.id == number), Incident)
    return rows[0] if rows else None


def history(connection: Connection, *, kpi: str = "", limit: int = 500) -> list[Incident]:
    """Incidents, the latest first."""
    table = tables.incidents
    query = select(table).order_by(table.c.opened_at.desc(), table.c.id.desc()).limit(limit)
    return _all(connection, query.where(table.c.kpi == kpi) if kpi else query, Incident)


def marks(connection: Connection) -> dict[str, dict[str, int]]:
    """rule_key → {useful: n, noise: n}."""
    table = tables.incidents
    found: dict[str, dict[str, int]] = {}
    query = select(table.c.rule_key, table.c.mark, func.count()).where(table.c.mark.is_not(None))
    for rule_key, mark, count in connection.execute(query.group_by(table.c.rule_key, table.c.mark)):
        found.setdefault(rule_key, {})[mark] = count
    return found


def add_silence(connection: Connection, silence: Silence) -> None:
    """Store a silence; it replaces one of the same rule and segment."""
    table = tables.silences
    same = table.c.segment.is_(None) if silence.segment is None else table.c.segment == silence.segment
    connection.execute(delete(table).where(table.c.rule_key == silence.rule_key, same))
    values = {k: v for k, v in asdict(silence).items() if k != "id"}
    connection.execute(insert(table).values(**values))


def silences(connection: Connection, now: datetime) -> list[Silence]:
    """Those that still hold."""
    return _all(connection, select(tables.silences).where(tables.silences.c.until > now), Silence)


def add_normal(connection: Connection, rule_key: str, segment: str, period: datetime, by: str, at: datetime) -> None:
    """From this period on the level is the normal one."""
    values = {"rule_key": rule_key, "segment": segment, "period": period, "by": by, "created_at": at}
    connection.execute(insert(tables.normals).values(**values))


def normals(connection: Connection) -> dict[tuple[str, str], list[datetime]]:
    """(rule_key, segment) → periods from which a new level is normal, rising."""
    found: dict[tuple[str, str], list[datetime]] = {}
    for row in connection.execute(select(tables.normals).order_by(tables.normals.c.period)):
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
    values = {
        "contact": contact,
        "title": title,
        "body": body,
        "status": "pending",
        "attempts": 0,
        "unknowns": 0,
        "created_at": now,
        "next_at": max(now, not_before or now),
        "host": "",
        "error": "",
    }
    number = int(connection.execute(insert(tables.deliveries).values(**values)).inserted_primary_key[0])  # type: ignore[index]
    if items:
        rows = [{"delivery_id": number, "incident_id": i, "event": event} for i, event in items.items()]
        connection.execute(insert(tables.delivery_items), rows)
    return number


def orphans(connection: Connection, host: str, before: datetime) -> list[Delivery]:
    """Messages that a sender of this host left behind in mid-sending, or one of any host before a moment.

    To be asked by the only sender of the host.
    """
    table = tables.deliveries
    query = select(table).where(table.c.status == "sending")
    return _all(connection, query.where(or_(table.c.host == host, table.c.started_at < before)), Delivery)


def due(connection: Connection, now: datetime) -> list[Delivery]:
    """Pending messages whose time has come, oldest first."""
    table = tables.deliveries
    query = select(table).where(and_(table.c.status == "pending", table.c.next_at <= now))
    return _all(connection, query.order_by(table.c.id), Delivery)


def next_due(connection: Connection) -> datetime | None:
    """When the next pending message is due."""
    table = tables.deliveries
    query = select(table.c.next_at).where(table.c.status == "pending").order_by(table.c.next_at).limit(1)
    found: datetime | None = connection.execute(query).scalar()
    return found


def claim(connection: Connection, number: int, host: str, now: datetime) -> bool:
    """Whether this sender may send a pending message now."""
    table = tables.deliveries
    query = update(table).where(table.c.id == number, table.c.status == "pending")
    return connection.execute(query.values(status="sending", host=host, started_at=now)).rowcount == 1


def settle(connection: Connection, number: int, **values: Any) -> None:
    """What became of a message."""
    connection.execute(update(tables.deliveries).where(tables.deliveries.c.id == number).values(**values))


def deliveries(connection: Connection, *, limit: int = 200) -> list[Delivery]:
    """Messages, the latest first."""
    table = tables.deliveries
    return _all(connection, select(table).order_by(table.c.id.desc()).limit(limit), Delivery)
