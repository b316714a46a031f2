"""Tables of the state store: what people and the alerts leave behind. Migrations make them; this describes them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Boolean, Column, DateTime, Float, ForeignKey, Index, Integer, MetaData, String, Table, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

metadata = MetaData()


class Moment(TypeDecorator[datetime]):
    """An instant: kept in UTC, given back with its zone."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """To UTC, without its zone: SQLite keeps none."""
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """With its zone."""
        return None if value is None else value.replace(tzinfo=UTC)


# One row per rule and segment: where it stands. Periods are naive, as everywhere in metrics.
standings = Table(
    "alert_standings",
    metadata,
    Column("rule_key", String(200), primary_key=True),  # kpi.rule, or source.NAME
    Column("segment", String(400), primary_key=True),  # empty = no breakdown
    Column("kpi", String(100), nullable=False),
    Column("rule", String(100), nullable=False),
    Column("state", String(20), nullable=False),
    Column("severity", String(20), nullable=False),  # empty = no open incident
    Column("since", DateTime),
    Column("last_period", DateTime),
    Column("opened_period", DateTime),
    Column("value", Float),
    Column("threshold", Float),
    Column("words", Text, nullable=False),  # the rule as it was judged
    Column("why", Text, nullable=False),  # of stale and error
    Column("phase", String(20), nullable=False),
    Column("sequence", Integer, nullable=False),  # of the generation judged
    Column("evaluated_at", Moment, nullable=False),
)

incidents = Table(
    "alert_incidents",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("rule_key", String(200), nullable=False),
    Column("segment", String(400), nullable=False),
    Column("kpi", String(100), nullable=False),
    Column("rule", String(100), nullable=False),
    Column("severity", String(20), nullable=False),  # the highest it had
    Column("opened_at", Moment, nullable=False),
    Column("opened_period", DateTime),
    Column("last_period", DateTime),
    Column("peak_period", DateTime),
    Column("peak_value", Float),
    Column("closed_at", Moment),
    Column("closed_period", DateTime),
    Column("closed_why", String(30)),  # resolved, dissolved, new_normal, rule_gone
    Column("place", Text, nullable=False),  # where the change sits, in words
    Column("ack_by", String(200)),
    Column("ack_at", Moment),
    Column("mark", String(20)),  # useful or noise
    Column("marked_by", String(200)),
    Column("replayed", Boolean, nullable=False),  # found in the past when the rule was first evaluated; nobody was told
    Column("notified_at", Moment),
    Column("notified_severity", String(20)),
)
Index(
    "ix_alert_incidents_open",
    incidents.c.rule_key,
    incidents.c.segment,
    unique=True,
    sqlite_where=incidents.c.closed_at.is_(None),
    postgresql_where=incidents.c.closed_at.is_(None),
)
Index("ix_alert_incidents_opened", incidents.c.opened_at)

silences = Table(
    "alert_silences",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("rule_key", String(200), nullable=False),
    Column("segment", String(400)),  # NULL = all
    Column("until", Moment, nullable=False),
    Column("by", String(200), nullable=False),
    Column("created_at", Moment, nullable=False),
)

normals = Table(
    "alert_normals",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("rule_key", String(200), nullable=False),
    Column("segment", String(400), nullable=False),
    Column("period", DateTime, nullable=False),  # from here on the level is normal
    Column("by", String(200), nullable=False),
    Column("created_at", Moment, nullable=False),
)

deliveries = Table(
    "alert_deliveries",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("contact", String(200), nullable=False),
    Column("title", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("status", String(20), nullable=False),  # pending, sending, delivered, failed, unknown
    Column("attempts", Integer, nullable=False),
    Column("unknowns", Integer, nullable=False),  # outcomes that nobody knows
    Column("created_at", Moment, nullable=False),
    Column("next_at", Moment, nullable=False),
    Column("started_at", Moment),
    Column("finished_at", Moment),
    Column("host", String(200), nullable=False),
    Column("error", Text, nullable=False),
)
Index("ix_alert_deliveries_status", deliveries.c.status)

delivery_items = Table(
    "alert_delivery_items",
    metadata,
    Column("delivery_id", Integer, ForeignKey("alert_deliveries.id"), primary_key=True),
    Column("incident_id", Integer, ForeignKey("alert_incidents.id"), primary_key=True),
    Column("event", String(20), primary_key=True),
)

# Launches and other marks that were made on a page or with `kpi launch add`; those in files are not here.
launches = Table(
    "launches",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("text", Text, nullable=False),  # as a file of launches/ would read
    Column("by", String(200), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("changed_at", Moment, nullable=False),
)

# Verdicts: made once, never changed. terms: the launch as it was read. document: metrics.launches.reading, as JSON.
launch_readings = Table(
    "launch_readings",
    metadata,
    Column("launch", String(100), primary_key=True),
    Column("kpi", String(100), primary_key=True),
    Column("days", Integer, primary_key=True),
    Column("generation", String(200), nullable=False),
    Column("taken_at", Moment, nullable=False),
    Column("terms", Text, nullable=False),
    Column("document", Text, nullable=False),
)

launch_breaches = Table(
    "launch_breaches",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("launch", String(100), nullable=False),
    Column("kpi", String(100), nullable=False),
    Column("since", DateTime, nullable=False),  # first period beyond the limit
    Column("opened_at", Moment, nullable=False),
    Column("closed_at", Moment),
)
Index("ix_launch_breaches_launch", launch_breaches.c.launch)

launch_decisions = Table(
    "launch_decisions",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("launch", String(100), nullable=False),
    Column("decision", String(20), nullable=False),
    Column("why", Text, nullable=False),
    Column("by", String(200), nullable=False),
    Column("decided_at", Moment, nullable=False),
)
Index("ix_launch_decisions_launch", launch_decisions.c.launch)

# Snapshots: taken once, never changed; taking a week again adds a revision. document: metrics.snapshots.document.
snapshots = Table(
    "snapshots",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("week", String(10), primary_key=True),  # 2026-W46
    Column("revision", Integer, primary_key=True),
    Column("generation", String(200), nullable=False),
    Column("taken_at", Moment, nullable=False),
    Column("by", String(200), nullable=False),
    Column("headline", Text, nullable=False),  # for the archive, which opens no documents
    Column("document", Text, nullable=False),
)

snapshot_notes = Table(
    "snapshot_notes",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("name", String(100), nullable=False),
    Column("week", String(10), nullable=False),
    Column("text", Text, nullable=False),
    Column("by", String(200), nullable=False),
    Column("created_at", Moment, nullable=False),
)
Index("ix_snapshot_notes_week", snapshot_notes.c.name, snapshot_notes.c.week)

# Who was sent which revision: at most once each.
snapshot_sends = Table(
    "snapshot_sends",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("week", String(10), primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("recipient", String(200), primary_key=True),
    Column("delivery_id", Integer, ForeignKey("alert_deliveries.id"), nullable=False),
    Column("by", String(200), nullable=False),
)
Index("ix_snapshot_sends_delivery", snapshot_sends.c.delivery_id)
