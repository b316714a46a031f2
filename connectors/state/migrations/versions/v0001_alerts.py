"""Alert standings, incidents, silences, new normals, deliveries."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables of alerts."""
    _states()
    _wishes()
    _messages()
    open_only = sa.text("closed_at IS NULL")
    op.create_index(
        "ix_alert_incidents_open",
        "alert_incidents",
        ["rule_key", "segment"],
        unique=True,
        sqlite_where=open_only,
        postgresql_where=open_only,
    )
    op.create_index("ix_alert_incidents_opened", "alert_incidents", ["opened_at"])
    op.create_index("ix_alert_deliveries_status", "alert_deliveries", ["status"])


def _states() -> None:
    op.create_table(
        "alert_standings",
        sa.Column("rule_key", sa.String(200), primary_key=True),
        sa.Column("segment", sa.String(400), primary_key=True),
        sa.Column("kpi", sa.String(100), nullable=False),
        sa.Column("rule", sa.String(100), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("severity", sa.String(20), nullable=False),
        sa.Column("since", sa.DateTime),
        sa.Column("last_period", sa.DateTime),
        sa.Column("opened_period", sa.DateTime),
        sa.Column("value", sa.Float),
        sa.Column("threshold", sa.Float),
        sa.Column("words", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("phase", sa.String(20), nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("evaluated_at", sa.DateTime, nullable=False),
    )
    op.create_table(
        "alert_incidents",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("rule_key", sa.String(200), nullable=False),
        sa.Column("segment", sa.String(400), nullable=False),
        sa.Column("kpi", sa.String(100), nullable=False),
        sa.Column("rule", sa.String(100), nullable=False),
        sa.Column("severity", sa.String(20), nullable=False),
        sa.Column("opened_at", sa.DateTime, nullable=False),
        sa.Column("opened_period", sa.DateTime),
        sa.Column("last_period", sa.DateTime),
        sa.Column("peak_period", sa.DateTime),
        sa.Column("peak_value", sa.Float),
        sa.Column("closed_at", sa.DateTime),
        sa.Column("closed_period", sa.DateTime),
        sa.Column("closed_why", sa.String(30)),
        sa.Column("place", sa.Text, nullable=False),
        sa.Column("ack_by", sa.String(200)),
        sa.Column("ack_at", sa.DateTime),
        sa.Column("mark", sa.String(20)),
        sa.Column("marked_by", sa.String(200)),
        sa.Column("replayed", sa.Boolean, nullable=False),
        sa.Column("notified_at", sa.DateTime),
        sa.Column("notified_severity", sa.String(20)),
    )


def _wishes() -> None:
    op.create_table(
        "alert_silences",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("rule_key", sa.String(200), nullable=False),
        sa.Column("segment", sa.String(400)),
        sa.Column("until", sa.DateTime, nullable=False),
        sa.Column("by", sa.String(200), nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
    )
    op.create_table(
        "alert_normals",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("rule_key", sa.String(200), nullable=False),
        sa.Column("segment", sa.String(400), nullable=False),
        sa.Column("period", sa.DateTime, nullable=False),
        sa.Column("by", sa.String(200), nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
    )


def _messages() -> None:
    op.create_table(
        "alert_deliveries",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("contact", sa.String(200), nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("unknowns", sa.Integer, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("next_at", sa.DateTime, nullable=False),
        sa.Column("started_at", sa.DateTime),
        sa.Column("finished_at", sa.DateTime),
        sa.Column("host", sa.String(200), nullable=False),
        sa.Column("error", sa.Text, nullable=False),
    )
    op.create_table(
        "alert_delivery_items",
        sa.Column("delivery_id", sa.Integer, sa.ForeignKey("alert_deliveries.id"), primary_key=True),
        sa.Column("incident_id", sa.Integer, sa.ForeignKey("alert_incidents.id"), primary_key=True),
        sa.Column("event", sa.String(20), primary_key=True),
    )
