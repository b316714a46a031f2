"""Whether anybody is to be told of an incident now, by the clock, by silences and by who looks after it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from connectors.state.alerts import Incident, Silence
from metrics.alerts.levels import SEVERITIES
from metrics.alerts.notification_policy import NotificationState, notification_due


def is_silenced(silences: Sequence[Silence], rule_key: str, segment: str) -> datetime | None:
    """Until when nobody is told; None = they are."""
    found = [s.until for s in silences if s.rule_key == rule_key and s.segment in (None, segment)]
    return max(found, default=None)


def event_due(
    incident: Incident, silences: Sequence[Silence], now: datetime, *, renotify_after: timedelta | None
) -> str:
    """What is to be told of an open incident now: opened, escalated, reminder; empty if nothing."""
    told = NotificationState(SEVERITIES.index(incident.notified_severity or ""), incident.notified_at)
    return notification_due(
        SEVERITIES.index(incident.severity),
        told,
        now,
        silenced=is_silenced(silences, incident.rule_key, incident.segment) is not None,
        acknowledged=incident.ack_by is not None,
        renotify_after=renotify_after,
    )
