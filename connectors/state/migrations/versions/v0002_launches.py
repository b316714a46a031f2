"""Launches made on a page, their readings, guardrail breaches and decisions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the tables of launches."""
    op.create_table(
        "launches",
        sa.Column("name", sa.String(100), primary_key=True),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("by", sa.String(200), nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("changed_at", sa.DateTime, nullable=False),
    )
    op.create_table(
        "launch_readings",
        sa.Column("launch", sa.String(100), primary_key=True),
        sa.Column("kpi", sa.String(100), primary_key=True),
        sa.Column("days", sa.Integer, primary_key=True),
        sa.Column("generation", sa.String(200), nullable=False),
        sa.Column("taken_at", sa.DateTime, nullable=False),
        sa.Column("terms", sa.Text, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.create_table(
        "launch_breaches",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("launch", sa.String(100), nullable=False),
        sa.Column("kpi", sa.String(100), nullable=False),
        sa.Column("since", sa.DateTime, nullable=False),
        sa.Column("opened_at", sa.DateTime, nullable=False),
        sa.Column("closed_at", sa.DateTime),
    )
    op.create_index("ix_launch_breaches_launch", "launch_breaches", ["launch"])
    op.create_table(
        "launch_decisions",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("launch", sa.String(100), nullable=False),
        sa.Column("decision", sa.String(20), nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("by", sa.String(200), nullable=False),
        sa.Column("decided_at", sa.DateTime, nullable=False),
    )
    op.create_index("ix_launch_decisions_launch", "launch_decisions", ["launch"])
