"""Launches, readings, breaches and decisions in the state store: plain reads and writes, no judgement."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from connectors.state import tables


@dataclass(frozen=True)
class LaunchRow:
    """One row of launches; see tables.py."""

    name: str
    text: str
    by: str
    created_at: datetime
    changed_at: datetime


@dataclass(frozen=True)
class ReadingRow:
    """One row of launch_readings."""

    launch: str
    kpi: str
    days: int
    generation: str
    taken_at: datetime
    terms: str
    document: str


@dataclass(frozen=True)
class Breach:
    """A guardrail beyond its limit; closed_at None = still."""

    launch: str
    kpi: str
    since: datetime
    opened_at: datetime
    closed_at: datetime | None = None
    id: int = 0


@dataclass(frozen=True)
class Decision:
    """What was decided about a launch, and why."""

    launch: str
    decision: str
    why: str
    by: str
    decided_at: datetime
    id: int = 0


def launches(connection: Connection) -> list[LaunchRow]:
    """All launches that are kept here, by name."""
    rows = connection.execute(select(tables.launches).order_by(tables.launches.c.name))
    return [LaunchRow(**row._mapping) for row in rows]


def put_launch(connection: Connection, row: LaunchRow) -> None:
    """Insert a launch, or replace its text and who changed it when."""
    table = tables.launches
    values = {"text": row.text, "by": row.by, "changed_at": row.changed_at}
    if not connection.execute(update(table).where(table.c.name == row.name).values(**values)).rowcount:
        connection.execute(insert(table).values(**asdict(row)))


def drop_launch(connection: Connection, name: str) -> int:
    """Forget a launch; its readings and decisions stay. How many rows that were."""
    table = tables.launches
    return int(connection.execute(delete(table).where(table.c.name == name)).rowcount)


def readings(connection: Connection, launch: str | None = None) -> list[ReadingRow]:
    """Readings of one launch or all, in the order of their days."""
    table = tables.launch_readings
    query = select(table).order_by(table.c.launch, table.c.days, table.c.kpi)
    if launch is not None:
        query = query.where(table.c.launch == launch)
    return [ReadingRow(**row._mapping) for row in connection.execute(query)]


def add_reading(connection: Connection, row: ReadingRow) -> None:
    """Keep a reading. What already exists is never written over: check first, in the same transaction."""
    connection.execute(insert(tables.launch_readings).values(**asdict(row)))


def breaches(connection: Connection, launch: str | None = None) -> list[Breach]:
    """Breaches of one launch or all, the latest first."""
    table = tables.launch_breaches
    query = select(table).order_by(table.c.id.desc())
    if launch is not None:
        query = query.where(table.c.launch == launch)
    return [Breach(**row._mapping) for row in connection.execute(query)]


def open_breach(connection: Connection, breach: Breach) -> None:
    """Keep a new breach."""
    connection.execute(insert(tables.launch_breaches).values(**{k: v for k, v in asdict(breach).items() if k != "id"}))


def close_breach(connection: Connection, number: int, at: datetime) -> None:
    """The guardrail holds again."""
    table = tables.launch_breaches
    connection.execute(update(table).where(table.c.id == number).values(closed_at=at))


def decisions(connection: Connection, launch: str | None = None) -> list[Decision]:
    """Decisions on one launch or all, the latest first."""
    table = tables.launch_decisions
    query = select(table).order_by(table.c.id.desc())
    if launch is not None:
        query = query.where(table.c.launch == launch)
    return [Decision(**row._mapping) for row in connection.execute(query)]


def add_decision(connection: Connection, decision: Decision) -> None:
    """Keep a decision; earlier ones stay."""
    values = {key: value for key, value in asdict(decision).items() if key != "id"}
    connection.execute(insert(tables.launch_decisions).values(**values))
