"""Tokens of programs that ask the server; for whom a snapshot was taken."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make the table of tokens, and the column of the audience."""
    op.add_column("snapshots", sa.Column("audience", sa.String(100)))
    op.create_table(
        "service_tokens",
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("scopes", sa.String(200), nullable=False),
        sa.Column("by", sa.String(200), nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("expires_at", sa.DateTime, nullable=False),
        sa.Column("revoked_at", sa.DateTime),
        sa.Column("revoked_by", sa.String(200)),
        sa.Column("role", sa.String(100), nullable=False),
        sa.Column("used_at", sa.DateTime),
        sa.Column("id", sa.Integer, primary_key=True),
    )
    op.create_index("ix_service_tokens_digest", "service_tokens", ["digest"], unique=True)
