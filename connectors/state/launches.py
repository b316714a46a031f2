"""Launches, drafts, readings, breaches and decisions in the state store: plain reads and writes, no judgement."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from sqlalchemy import Connection, Index, PrimaryKeyConstraint, delete, insert, select, update

from connectors.state.limits import admit
from connectors.state.tables import Choice, Instant, Label, Name, cells, read, table


@dataclass(frozen=True)
class LaunchRow:
    """A launch or another mark that was made on a page or with `kpi launch add`; those in files are not here."""

    name: Name
    text: str  # as a file of launches/ would read
    by: Label
    created_at: Instant
    changed_at: Instant


LAUNCHES = table("launches", LaunchRow, PrimaryKeyConstraint("name"))


@dataclass(frozen=True)
class ReadingRow:
    """A verdict: made once, never changed."""

    launch: Name
    kpi: Name
    days: int
    generation: Label
    taken_at: Instant
    terms: str  # the launch as it was read
    document: str  # metrics.launches.reading, as JSON


READINGS = table("launch_readings", ReadingRow, PrimaryKeyConstraint("launch", "kpi", "days"))


@dataclass(frozen=True)
class Breach:
    """A guardrail beyond its limit; closed_at None = still."""

    launch: Name
    kpi: Name
    since: datetime  # first period beyond the limit
    opened_at: Instant
    closed_at: Instant | None = None
    id: int = 0


BREACHES = table("launch_breaches", Breach, Index("ix_launch_breaches_launch", "launch"))


@dataclass(frozen=True)
class Decision:
    """What was decided about a launch, and why."""

    launch: Name
    decision: Annotated[str, Choice("keep", "change", "roll back", "wait")]
    why: str
    by: Label
    decided_at: Instant
    id: int = 0


DECISIONS = table("launch_decisions", Decision, Index("ix_launch_decisions_launch", "launch"))


@dataclass(frozen=True)
class DraftRow:
    """A launch that was drafted from a release or flag: what was written, so that what a person changed is known.

    It stays when the file is deleted, or it would be made again.
    """

    source: Label
    origin: Label  # the vendor's id
    name: Name  # of the file when it was written last
    written: str  # key → its lines in the file, as JSON
    made_at: Instant
    changed_at: Instant


DRAFTS = table("launch_drafts", DraftRow, PrimaryKeyConstraint("source", "origin"))


def launches(connection: Connection) -> list[LaunchRow]:
    """All launches that are kept here, by name."""
    return read(connection, select(LAUNCHES).order_by(LAUNCHES.c.name), LaunchRow)


def put_launch(connection: Connection, row: LaunchRow) -> None:
    """Insert a launch, or replace its text and who changed it when."""
    values = {"text": row.text, "by": row.by, "changed_at": row.changed_at}
    known = connection.execute(select(LAUNCHES.c.name).where(LAUNCHES.c.name == row.name)).first()
    admit(connection, LAUNCHES, cells(row), {"name": row.name}, row.changed_at, new=known is None)
    if not connection.execute(update(LAUNCHES).where(LAUNCHES.c.name == row.name).values(**values)).rowcount:
        connection.execute(insert(LAUNCHES).values(**cells(row)))


def drop_launch(connection: Connection, name: str) -> int:
    """Forget a launch; its readings and decisions stay. How many rows that were."""
    return int(connection.execute(delete(LAUNCHES).where(LAUNCHES.c.name == name)).rowcount)


def readings(connection: Connection, launch: str | None = None) -> list[ReadingRow]:
    """Readings of one launch or all, in the order of their days."""
    query = select(READINGS).order_by(READINGS.c.launch, READINGS.c.days, READINGS.c.kpi)
    if launch is not None:
        query = query.where(READINGS.c.launch == launch)
    return read(connection, query, ReadingRow)


def add_reading(connection: Connection, row: ReadingRow) -> None:
    """Keep a reading. What already exists is never written over: check first, in the same transaction."""
    connection.execute(insert(READINGS).values(**cells(row)))


def breaches(connection: Connection, launch: str | None = None) -> list[Breach]:
    """Breaches of one launch or all, the latest first."""
    query = select(BREACHES).order_by(BREACHES.c.id.desc())
    if launch is not None:
        query = query.where(BREACHES.c.launch == launch)
    return read(connection, query, Breach)


def open_breach(connection: Connection, breach: Breach) -> None:
    """Keep a new breach."""
    connection.execute(insert(BREACHES).values(**cells(breach)))


def close_breach(connection: Connection, number: int, at: datetime) -> None:
    """The guardrail holds again."""
    connection.execute(update(BREACHES).where(BREACHES.c.id == number).values(closed_at=at))


def decisions(connection: Connection, launch: str | None = None) -> list[Decision]:
    """Decisions on one launch or all, the latest first."""
    query = select(DECISIONS).order_by(DECISIONS.c.id.desc())
    if launch is not None:
        query = query.where(DECISIONS.c.launch == launch)
    return read(connection, query, Decision)


def add_decision(connection: Connection, decision: Decision) -> None:
    """Keep a decision; earlier ones stay."""
    admit(connection, DECISIONS, cells(decision), {"launch": decision.launch}, decision.decided_at)
    connection.execute(insert(DECISIONS).values(**cells(decision)))


def drafts(connection: Connection) -> list[DraftRow]:
    """Every draft that was made, whether or not its file is still there."""
    return read(connection, select(DRAFTS).order_by(DRAFTS.c.source, DRAFTS.c.origin), DraftRow)


def put_draft(connection: Connection, row: DraftRow) -> None:
    """Insert what was written of a draft, or replace it."""
    mine = (DRAFTS.c.source == row.source, DRAFTS.c.origin == row.origin)
    values = {"name": row.name, "written": row.written, "changed_at": row.changed_at}
    if not connection.execute(update(DRAFTS).where(*mine).values(**values)).rowcount:
        connection.execute(insert(DRAFTS).values(**cells(row)))


def drop_draft(connection: Connection, source: str, origin: str) -> None:
    """Forget a draft whose release or flag is gone, and which no person had changed."""
    connection.execute(delete(DRAFTS).where(DRAFTS.c.source == source, DRAFTS.c.origin == origin))
