"""Alerts as people read them: what fires, where, since when, who looks after it; and what ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from connectors.errors import counted
from metrics.alerts.rules import Rule, filters_of
from metrics.catalog.models.kpi import KpiCommon
from metrics.presentation import format as fmt

ENDS = {
    "resolved": "Recovered",
    "dissolved": "Dissolved by late data",
    "new_normal": "New normal",
    "rule_changed": "Rule changed",
    "rule_gone": "Rule removed",
}
STATES = {
    "firing": "Firing",
    "recovering": "Recovering",
    "pending": "Pending",
    "stale": "Waiting for data",
    "error": "Cannot be computed",
    "no_data": "No data",
    "ok": "OK",
}


@dataclass(frozen=True)
class AlertItem:
    """One rule and segment, or one late source, as text. incident: 0 = none open. view: parameters of the KPI page."""

    rule_key: str
    rule: str
    kpi: str
    segment: str
    title: str
    state: str
    severity: str
    value: str
    expected: str
    since: str
    words: str
    owner: str
    place: str
    why: str
    view: tuple[tuple[str, str], ...]
    incident: int = 0
    acknowledged: str = ""
    silenced: str = ""
    mark: str = ""
    can_be_normal: bool = False

    @property
    def label(self) -> str:
        """The words on the badge."""
        return self.severity.capitalize() if self.severity and self.state == "firing" else STATES[self.state]


@dataclass(frozen=True)
class Board:
    """The page Alerts. late: sources. unplanned: events that are not as the tracking plan says.

    dead: contact points that do not answer, in sentences.
    """

    headline: str
    evaluated_at: datetime | None
    firing: tuple[AlertItem, ...]
    pending: tuple[AlertItem, ...]
    late: tuple[AlertItem, ...]
    unplanned: tuple[AlertItem, ...]
    waiting: tuple[AlertItem, ...]
    silenced: tuple[AlertItem, ...]
    quiet: int
    history: pd.DataFrame
    dead: tuple[str, ...] = ()
    untold: str = ""
    marks: str = ""

    def line(self, now: datetime) -> str:
        """`Evaluated 3 min ago, after every sync.`"""
        if self.evaluated_at is None:
            return "Not evaluated yet."
        return f"Evaluated {fmt.age_text(self.evaluated_at, now)}, after every sync."


def headline(firing: int, pending: int) -> str:
    """`2 alerts are firing`."""
    if firing:
        return counted(firing, "alert is firing", "alerts are firing")
    return "Nothing is firing" + (f", {pending} pending" if pending else "")


def title_of(kpi: KpiCommon, segment: str) -> str:
    """KPI and segment."""
    return f"{kpi.title} · {segment}" if segment else kpi.title


def view_of(rule: Rule, segment: str) -> tuple[tuple[str, str], ...]:
    """Parameters of the KPI page that shows exactly this."""
    return (("kpi", rule.kpi), ("rule", rule.name), *((f.dimension, f.values[0]) for f in filters_of(rule, segment)))


def value_and_expected(kpi: KpiCommon, value: float | None, threshold: float | None) -> tuple[str, str]:
    """`98.4%`, and `98.8% or more`: the side of the limit that is good; empty without a limit."""
    shown, limit = fmt.value_texts((value, threshold), kpi)
    down = value is not None and threshold is not None and value < threshold
    return shown, f"{limit} or {'more' if down else 'less'}" if threshold is not None else ""


def lasted(opened: datetime | None, end: datetime | None, grain: str) -> str:
    """`4 days`, `1 week`: whole periods from the one that opened it to the one that ended it."""
    if opened is None or end is None:
        return fmt.UNKNOWN
    first, last = pd.Timestamp(opened), pd.Timestamp(end)
    if grain in ("month", "quarter", "year"):
        months = (last.year - first.year) * 12 + last.month - first.month
        count = months // {"month": 1, "quarter": 3, "year": 12}[grain]
    else:
        count = round((last - first) / pd.Timedelta(1, unit="h") / {"hour": 1, "day": 24, "week": 168}[grain])
    count = max(1, count)
    return counted(count, grain)
