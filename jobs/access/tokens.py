"""Service tokens: what a program shows to be answered, for named scopes, until a day; one can be ended at once."""

from __future__ import annotations

import hmac
import logging
import os
import re
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from connectors.errors import StateError, did_you_mean
from connectors.settings import span
from connectors.state import tokens as store
from connectors.state.store import StateStore
from connectors.state.tokens import TokenRow
from jobs.audit.record import Act, record
from metrics.presentation.format import iso

log = logging.getLogger(__name__)
SCOPES = {  # scope → what it opens
    "metrics": "read the server's metrics",
    "read": "read KPIs, alerts, launches and snapshots",
    "sync": "start a sync",
}
METRICS_TOKEN = "KPI_METRICS_TOKEN"  # noqa: S105 (the name of a variable)
PREFIX = "kpi_"  # so that who finds one, in a log or a repository, knows what it is
LONGEST = timedelta(days=730)
NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,59}")


@dataclass(frozen=True)
class Token:
    """What is shown of a token: never itself. state: active, expired or revoked. role: whose limits; empty = none."""

    name: str
    scopes: tuple[str, ...]
    state: str
    by: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    revoked_by: str
    used_at: datetime | None
    role: str = ""


@dataclass(frozen=True)
class NewToken:
    """A token as it is told once, to whoever created it."""

    token: Token
    secret: str


def span_of(text: str) -> timedelta:
    """`90d` as a span; of no length if it is empty. Raises ValueError, whose words say what to write."""
    found: timedelta = span(text)
    return found


def create(
    state: StateStore,
    name: str,
    scopes: Sequence[str],
    valid_for: timedelta,
    *,
    by: str,
    now: datetime,
    role: str = "",
) -> NewToken:
    """A new token. by: who asks for it; role: whose limits it has. Raises StateError for what cannot be."""
    _refuse(name, scopes, valid_for, role)
    secret = PREFIX + secrets.token_urlsafe(32)
    row = TokenRow(name, _digest(secret), " ".join(dict.fromkeys(scopes)), by, now, now + valid_for, role=role)
    with state.writing() as connection:
        if any(_state(one, now) == "active" for one in store.kept(connection) if one.name == name):
            raise StateError(
                f"there is a token '{name}' that opens something",
                hint=f"Choose another name, or end it first: kpi token revoke {name}.",
            )
        store.add(connection, row)
        told = {"scopes": row.scopes, "expires_at": iso(row.expires_at)}
        record(state, connection, Act("token_created", f"token:{name}", by, told), now)
    return NewToken(_shown(row, now), secret)


def _refuse(name: str, scopes: Sequence[str], valid_for: timedelta, role: str) -> None:
    if not NAME.fullmatch(name):
        raise StateError(
            f"'{name[:80]}' is no name of a token",
            hint="Up to 60 small letters, digits, `_`, `.` and `-`, such as prometheus.",
        )
    if role and not NAME.fullmatch(role):
        raise StateError(
            f"'{role[:80]}' is no name of a role",
            hint="Up to 60 small letters, digits, `_`, `.` and `-`; none = no limits.",
        )
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown:
        raise StateError(f"there is no scope '{unknown[0][:80]}'", hint=did_you_mean(unknown[0], sorted(SCOPES)))
    if not scopes:
        raise StateError("a token without a scope opens nothing", hint=f"Name one of: {', '.join(sorted(SCOPES))}.")
    if not timedelta(0) < valid_for <= LONGEST:
        raise StateError(
            "a token is good for some time, and for two years at the most",
            hint="Write a span such as 90d, and create the next one before it ends.",
        )


def is_metrics_token(secret: str) -> bool:
    """Whether it is the token for metrics that the server was started with."""
    token = os.environ.get(METRICS_TOKEN, "")
    return bool(token and secret) and hmac.compare_digest(secret.encode(), token.encode())


def listed(state: StateStore, *, now: datetime) -> list[Token]:
    """All tokens, the latest first. Raises StateError."""
    if not state.exists():
        return []
    with state.reading() as connection:
        return [_shown(row, now) for row in store.kept(connection)]


def row_of(token: Token) -> dict[str, Any]:
    """As JSON has it: scopes joined by spaces; times in UTC, None where there is none."""
    times = ("created_at", "expires_at", "revoked_at", "used_at")
    found = asdict(token)
    return found | {"scopes": " ".join(token.scopes)} | {name: iso(found[name]) for name in times}


def revoke(state: StateStore, name: str, *, by: str, now: datetime) -> Token:
    """End a token at once. Raises StateError if none of that name opens anything."""
    with state.writing() as connection:
        rows = store.kept(connection)
        active = [row for row in rows if _state(row, now) == "active"]
        found = next((row for row in active if row.name == name), None)
        if found is None:
            known = sorted(row.name for row in active)
            ended = next((_state(row, now) for row in rows if row.name == name), "")
            words = f"'{name}' is {ended} already" if ended else f"there is no token '{name[:80]}'"
            hint = did_you_mean(name, known) if known and not ended else "`kpi token list` shows all."
            raise StateError(words, hint=hint)
        store.revoke(connection, found.id, at=now, by=by)
        record(state, connection, Act("token_revoked", f"token:{name}", by), now)
        return next(_shown(row, now) for row in store.kept(connection) if row.id == found.id)


def admitted(state: StateStore, secret: str, scope: str, *, now: datetime) -> Token | None:
    """The token of that secret, if it opens this; None if not. Raises StateError if the store cannot be read."""
    row = _found(state, secret, now)
    if row is None or scope not in row.scopes.split():
        return None
    if row.used_at is None or row.used_at.date() != now.date():  # once a day: who asks each second writes no more
        try:
            with state.writing() as connection:
                store.used(connection, row.id, now)
        except StateError:
            log.warning("the use of token %s could not be noted", row.name, exc_info=True)
    return _shown(row, now)


def known(state: StateStore, secret: str, *, now: datetime) -> Token | None:
    """The token of that secret, if it opens anything: to say why it does not open this. Raises StateError."""
    row = _found(state, secret, now)
    return _shown(row, now) if row is not None else None


def _found(state: StateStore, secret: str, now: datetime) -> TokenRow | None:
    if not secret.startswith(PREFIX) or not state.exists():
        return None
    with state.reading() as connection:
        row = store.of_digest(connection, _digest(secret))
    return row if row is not None and _state(row, now) == "active" else None


def _digest(secret: str) -> str:
    """256 random bits need no salt, and no slow hash."""
    return sha256(secret.encode()).hexdigest()


def _state(row: TokenRow, now: datetime) -> str:
    if row.revoked_at is not None:
        return "revoked"
    return "active" if now < row.expires_at else "expired"


def _shown(row: TokenRow, now: datetime) -> Token:
    return Token(
        row.name,
        tuple(row.scopes.split()),
        _state(row, now),
        row.by,
        row.created_at,
        row.expires_at,
        row.revoked_at,
        row.revoked_by or "",
        row.used_at,
        row.role,
    )
