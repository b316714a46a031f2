"""Weekly snapshots, what editors wrote beside them, and who was sent which revision."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the tables of snapshots."""
    op.create_table(
        "snapshots",
        sa.Column("name", sa.String(100), primary_key=True),
        sa.Column("week", sa.String(10), primary_key=True),
        sa.Column("revision", sa.Integer, primary_key=True),
        sa.Column("generation", sa.String(200), nullable=False),
        sa.Column("taken_at", sa.DateTime, nullable=False),
        sa.Column("by", sa.String(200), nullable=False),
        sa.Column("headline", sa.Text, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.create_table(
        "snapshot_notes",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("week", sa.String(10), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("by", sa.String(200), nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
    )
    op.create_index("ix_snapshot_notes_week", "snapshot_notes", ["name", "week"])
    op.create_table(
        "snapshot_sends",
        sa.Column("name", sa.String(100), primary_key=True),
        sa.Column("week", sa.String(10), primary_key=True),
        sa.Column("revision", sa.Integer, primary_key=True),
        sa.Column("recipient", sa.String(200), primary_key=True),
        sa.Column("delivery_id", sa.Integer, sa.ForeignKey("alert_deliveries.id"), nullable=False),
        sa.Column("by", sa.String(200), nullable=False),
    )
    op.create_index("ix_snapshot_sends_delivery", "snapshot_sends", ["delivery_id"])
