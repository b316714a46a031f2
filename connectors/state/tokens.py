"""Service tokens in the state store: plain reads and writes. Of a token itself only its SHA-256 is kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from sqlalchemy import Connection, Index, String, insert, select, update

from connectors.state.limits import admit
from connectors.state.tables import Instant, Label, Name, cells, read, table

Digest = Annotated[str, String(64)]


@dataclass(frozen=True)
class TokenRow:
    """What a program may do until when. A token that ended or was revoked stays, for who looks back."""

    name: Name
    digest: Digest  # SHA-256 of the token, in hexadecimal digits
    scopes: Label  # joined by spaces
    by: Label
    created_at: Instant
    expires_at: Instant
    revoked_at: Instant | None = None
    revoked_by: Label | None = None
    role: Name = ""  # what it sees; empty = everything
    used_at: Instant | None = None  # the first time on the last day that it opened something
    id: int = 0


TOKENS = table("service_tokens", TokenRow, Index("ix_service_tokens_digest", "digest", unique=True))


def kept(connection: Connection) -> list[TokenRow]:
    """All, the latest first."""
    return read(connection, select(TOKENS).order_by(TOKENS.c.id.desc()), TokenRow)


def of_digest(connection: Connection, digest: str) -> TokenRow | None:
    """The token of a digest; None if there is none."""
    found = read(connection, select(TOKENS).where(TOKENS.c.digest == digest), TokenRow)
    return found[0] if found else None


def add(connection: Connection, row: TokenRow) -> None:
    """Keep a new one."""
    admit(connection, TOKENS, cells(row), {"name": row.name}, row.created_at)
    connection.execute(insert(TOKENS).values(**cells(row)))


def revoke(connection: Connection, token: int, *, at: datetime, by: str) -> None:
    """End one, by its id."""
    connection.execute(update(TOKENS).where(TOKENS.c.id == token).values(revoked_at=at, revoked_by=by))


def used(connection: Connection, token: int, at: datetime) -> None:
    """Note that one, by its id, opened something."""
    connection.execute(update(TOKENS).where(TOKENS.c.id == token).values(used_at=at))
