"""The audit: entries and what retention leaves of them. The database itself refuses to change or remove one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

# Removed may be what a checkpoint stands for. Whoever owns the tables can drop these: the chain tells, not they.
SQLITE = (
    "CREATE TRIGGER audit_entries_stay BEFORE DELETE ON audit_entries "
    "WHEN OLD.sequence > coalesce((SELECT max(sequence) FROM audit_checkpoints), 0) "
    "BEGIN SELECT RAISE(ABORT, 'entries of the audit stay'); END",
    *(
        f"CREATE TRIGGER {table}_as_written BEFORE UPDATE ON {table} "
        "BEGIN SELECT RAISE(ABORT, 'the audit is only added to'); END"
        for table in ("audit_entries", "audit_checkpoints")
    ),
    "CREATE TRIGGER audit_checkpoints_stay BEFORE DELETE ON audit_checkpoints "
    "BEGIN SELECT RAISE(ABORT, 'checkpoints of the audit stay'); END",
)
POSTGRESQL = (
    "CREATE FUNCTION audit_stays() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
    "IF TG_OP = 'DELETE' AND TG_TABLE_NAME = 'audit_entries' THEN "
    "IF OLD.sequence <= coalesce((SELECT max(sequence) FROM audit_checkpoints), 0) THEN RETURN OLD; END IF; END IF; "
    "RAISE EXCEPTION 'the audit is only added to'; END $$",
    *(
        f"CREATE TRIGGER {table}_stay BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION audit_stays()"
        for table in ("audit_entries", "audit_checkpoints")
    ),
    *(
        f"CREATE TRIGGER {table}_whole BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION audit_stays()"
        for table in ("audit_entries", "audit_checkpoints")
    ),
)


def upgrade() -> None:
    """Make both tables, and what guards them."""
    op.create_table(
        "audit_entries",
        sa.Column("sequence", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("at", sa.String(27), nullable=False),
        sa.Column("who", sa.String(200), nullable=False),
        sa.Column("role", sa.String(100), nullable=False),
        sa.Column("via", sa.String(30), nullable=False),
        sa.Column("what", sa.String(30), nullable=False),
        sa.Column("subject", sa.String(400), nullable=False),
        sa.Column("details", sa.Text, nullable=False),
        sa.Column("key", sa.String(30), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("chain", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("sequence"),
    )
    op.create_index("ix_audit_entries_what", "audit_entries", ["what", "subject"])
    op.create_index("ix_audit_entries_at", "audit_entries", ["at"])
    op.create_table(
        "audit_checkpoints",
        sa.Column("sequence", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("at", sa.String(27), nullable=False),
        sa.Column("chain", sa.String(64), nullable=False),
        sa.Column("key", sa.String(30), nullable=False),
        sa.Column("signature", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("sequence"),
    )
    statements = SQLITE if op.get_context().dialect.name == "sqlite" else POSTGRESQL
    for statement in statements:
        op.execute(statement)
