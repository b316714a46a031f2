"""Whether people are to be told of an open incident now: once, once more when it gets worse, and reminders."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True)
class NotificationState:
    """What people know of an incident. severity: when they were told last; 0 = never. at: when; None = never."""

    severity: int = 0
    at: datetime | None = None


def notification_due(
    severity: int,
    told: NotificationState,
    now: datetime,
    *,
    silenced: bool,
    acknowledged: bool,
    renotify_after: timedelta | None,
) -> str:
    """opened, escalated, reminder, or empty: nothing is to be said.

    A silence holds everything back. Who acknowledged needs no first message and no reminder, but is told when it
    becomes critical.
    """
    if silenced:
        return ""
    if told.at is None:
        return "" if acknowledged else "opened"
    if severity > told.severity:
        return "escalated"
    due = renotify_after is not None and now - told.at >= renotify_after
    return "reminder" if due and not acknowledged else ""
