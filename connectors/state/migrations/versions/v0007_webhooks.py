"""Messages to webhooks: what an event is, and what it is of."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Make both columns; what is in the outbox already is to people."""
    op.add_column("alert_deliveries", sa.Column("event", sa.String(100), nullable=False, server_default=""))
    op.add_column("alert_deliveries", sa.Column("about", sa.String(400), nullable=False, server_default=""))
    op.create_index("ix_alert_deliveries_about", "alert_deliveries", ["about"])
