"""What a rule would have done: period by period, on today's values."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from connectors.errors import counted
from metrics.alerts.judge import Judgement
from metrics.alerts.machine import Event, Kind, Standing, advance
from metrics.engine import periods


@dataclass(frozen=True)
class Incident:
    """One that a replay found. closed: the period that ended it; None = still open. length: periods it lasted."""

    segment: str
    opened: pd.Timestamp
    closed: pd.Timestamp | None
    severity: int
    length: int


def replayed(judged: Judgement) -> list[Event]:
    """Every event of one segment, from its first period on."""
    return advance(Standing(), judged)[1]


def incidents(judged: Judgement) -> list[Incident]:
    """The incidents of one segment, oldest first."""
    found: list[Incident] = []
    for event in replayed(judged):
        if event.kind is Kind.OPENED:
            found.append(Incident(judged.segment, event.period, None, event.severity, 1))
        elif found:
            last = found[-1]
            ended = event.kind is Kind.RESOLVED
            found[-1] = Incident(
                last.segment,
                last.opened,
                event.period if ended else None,
                max(last.severity, event.severity),
                last.length + (0 if ended else 1),
            )
    return found


def in_words(found: list[Incident], grain: str, since: str) -> str:
    """`4 incidents in the last 12 months, 2 of one day only.`"""
    if not found:
        return f"No incident {since}."
    count = f"{counted(len(found), 'incident')} {since}"
    short = sum(1 for incident in found if incident.length == 1 and incident.closed is not None)
    running = sum(1 for incident in found if incident.closed is None)
    parts = [f"{short} of one {grain} only"] if short else []
    if running:
        parts.append("still open" if len(found) == 1 else f"{running} still open")
    return f"{', '.join([count, *parts])}."


def until(incident: Incident, judged: Judgement, grain: str) -> pd.Timestamp:
    """The end of an incident, exclusive: where it closed, or the end of what is known."""
    return incident.closed if incident.closed is not None else periods.after(judged.periods[-1], grain)
