"""What people are told of an incident, as plain text. One message per incident and event, grouped per contact point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from connectors.errors import counted
from metrics.alerts.levels import known_or_none
from metrics.alerts.rules import Rule, filters_of
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.kpi import KpiCommon
from metrics.presentation import format as fmt
from metrics.presentation.links import Links

if TYPE_CHECKING:
    import pandas as pd

    from metrics.alerts.judge import Judgement

NEAR_DAYS = 14  # a launch or mark this long before an incident is worth naming
WORDS = {
    "opened": "",
    "escalated": "Now critical: ",
    "reminder": "Still: ",
    "resolved": "Recovered: ",
    "dissolved": "Withdrawn: ",
    "new_normal": "New normal: ",
    "rule_gone": "No longer watched: ",
}


@dataclass(frozen=True)
class Notice:
    """One incident for one message. head: one line; lines: what follows it."""

    event: str
    severity: str
    head: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Happened:
    """What became of an incident, at which period of its KPI; place: where it sits, in words."""

    event: str
    severity: str
    period: pd.Timestamp
    place: str = ""


def notice(
    incident: Happened, rule: Rule, judged: Judgement, catalogue: Catalogue, *, links: Links, this_year: int
) -> Notice:
    """What to tell of an incident of a rule."""
    kpi, event = catalogue.kpi(rule.kpi), incident.event
    index = int(judged.periods.searchsorted(incident.period))
    index = min(index, len(judged.periods) - 1)
    value, expected = _against(rule, judged, index, kpi)
    when = fmt.period_text(judged.periods[index], rule.grain or kpi.grain, this_year)
    what = f"{kpi.title}{f' · {judged.segment}' if judged.segment else ''}"
    head = f"{WORDS.get(event, '')}{what} {value} ({when})"
    if event in ("opened", "escalated", "reminder"):
        head = f"{incident.severity.upper()} {head}"
    lines = [expected]
    if event == "dissolved":
        lines.insert(0, "Late data changed the values: they would not raise this alert any more.")
    if incident.place and event in ("opened", "escalated", "reminder"):
        lines.append(incident.place)
    lines += near(catalogue, kpi, judged.periods[index])
    lines.append(f"Owner: {kpi.owner or 'none'} · rule {rule.key}")
    lines.append(links.line("kpi", exact_view(rule, judged.segment)))
    return Notice(event, incident.severity, head, tuple(line for line in lines if line))


def _against(rule: Rule, judged: Judgement, index: int, kpi: KpiCommon) -> tuple[str, str]:
    """The value, and `Expected 98.8% or more (last week 99.0%).`: what it is held against."""
    sides = (judged.value, judged.low, judged.high, judged.reference)
    known = [known_or_none(float(side[index])) for side in sides]
    if rule.alert.compare == "value":
        known[3] = None
    value, low, high, against = fmt.value_texts(known, kpi)
    if known[1] is None and known[2] is None:
        return value, f"Rule: {rule.words}."
    if known[1] is not None and known[2] is not None:
        text = f"Expected {low} to {high}"
    else:
        text = f"Expected {low} or more" if known[1] is not None else f"Expected {high} or less"
    named = {
        "previous_period": "before",
        "same_period_last_week": "last week",
        "same_period_last_year": "last year",
        "target": "target",
        "expected_range": "most likely",
    }.get(rule.alert.compare, "")
    return value, text + (f" ({named} {against})." if known[3] is not None else ".")


def near(catalogue: Catalogue, kpi: KpiCommon, period: pd.Timestamp) -> list[str]:
    """Launches and other marks of the KPI in the days before."""
    found = []
    for launch in catalogue.launches:
        days = (period.date() - launch.starts_on).days
        if launch.concerns(kpi.name, kpi.area) and 0 <= days <= NEAR_DAYS:
            ago = "the same day" if days == 0 else f"{counted(days, 'day')} before"
            found.append(f"Nearby: {launch.kind} {launch.title}, {ago}.")
    return found


def exact_view(rule: Rule, segment: str) -> dict[str, str]:
    """Parameters of the KPI's page that show the rule on its segment."""
    filters = {f.dimension: f.values[0] for f in filters_of(rule, segment)}
    return {"kpi": rule.kpi, "rule": rule.name, **filters}


def source_notice(event: str, source: str, said: Sequence[str], links: Links) -> Notice:
    """A source that is late or failed. said: why, and what waits for it."""
    link = links.line("data")
    if event != "opened" and event != "reminder":
        return Notice(event, "warning", f"Data is back: {source}", (link,))
    return Notice(event, "warning", f"{WORDS[event]}Data is late: {source}", (*said, link))


def plan_notice(event: str, plan: str, what: str, said: Sequence[str], links: Links) -> Notice:
    """An event that is not as the tracking plan says. said: what is wrong about it, a sentence each."""
    link = links.line("data")
    if event != "opened" and event != "reminder":
        return Notice(event, "warning", f"As planned again: {what} ({plan})", (link,))
    return Notice(event, "warning", f"{WORDS[event]}Not as planned: {what} ({plan})", (*said, link))


def grouped(notices: Sequence[Notice], project: str) -> tuple[str, str]:
    """Title and body of one message about all of them, the worst first."""
    order = {"critical": 0, "warning": 1}
    ranked = sorted(notices, key=lambda n: (n.event in ("resolved", "dissolved"), order.get(n.severity, 2)))
    title = ranked[0].head if len(ranked) == 1 else f"{ranked[0].head}, and {len(ranked) - 1} more"
    parts = ["\n".join((n.head, *n.lines)) for n in ranked]
    return f"{project}: {title}", "\n\n".join(parts)
