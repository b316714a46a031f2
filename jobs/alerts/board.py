"""The page Alerts and the alerts of one KPI: what the state store knows, as people read it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import pandas as pd

from connectors.errors import counted
from connectors.state.alerts import Incident, StandingRow
from jobs.alerts.data_alerts import TRACKING_PLAN, owners_of, title_of_data
from jobs.alerts.evaluate import normals_of
from jobs.alerts.incidents import AlertState, read_state
from jobs.alerts.telling import is_silenced
from jobs.outbox.webhooks import listening
from jobs.project.health import without_store
from jobs.project.project import Project
from metrics.alerts.board import ENDS, AlertItem, Board, headline, lasted, title_of, value_and_expected, view_of
from metrics.alerts.rules import Rule, grain_of, rules_of
from metrics.catalog.catalogue import Catalogue
from metrics.engine.query import Filter
from metrics.presentation import format as fmt

SHOWN = 200  # rows of the history
FIRING = ("firing", "recovering")


def board(project: Project, *, now: datetime) -> Board:
    """Everything the page shows. Raises NoData, StateError."""
    catalogue, state = project.catalogue(), read_state(project, now=now)
    items = items_of(catalogue, state, now)
    loud = [item for item in items if not item.silenced]
    firing = [i for i in _told(project, loud) if i.kpi and i.state in FIRING]
    pending = [i for i in loud if i.state == "pending"]
    waiting = [i for i in loud if i.kpi and i.state in ("stale", "error", "no_data")]
    late = [i for i in loud if not i.kpi and i.rule != TRACKING_PLAN]
    unplanned = [i for i in loud if i.rule == TRACKING_PLAN and not i.kpi]
    dead = tuple(
        f"{c.name} does not answer: {c.error}"
        + (f" {counted(c.waiting, 'message waits', 'messages wait')}." if c.waiting else "")
        for c in state.contacts
        if c.dead
    )
    evaluated = max((row.evaluated_at for row in state.standings), default=None)
    return Board(
        headline(len(firing), len(pending)),
        evaluated,
        tuple(firing),
        tuple(pending),
        tuple(late),
        tuple(unplanned),
        tuple(waiting),
        tuple(i for i in items if i.silenced),
        sum(1 for i in loud if i.state == "ok"),
        _history(catalogue, state.history, now),
        dead,
        _untold(project, catalogue),
        _marks(state),
    )


@without_store(())
def firing_of(project: Project, kpi: str, *, now: datetime) -> tuple[AlertItem, ...]:
    """Open incidents of one KPI, critical first."""
    state = read_state(project, now=now, kpi=kpi)
    return tuple(item for item in _told(project, items_of(project.catalogue(), state, now)) if item.kpi)


@without_store(())
def unattended(project: Project, *, now: datetime) -> tuple[AlertItem, ...]:
    """What the overview names: incidents that nobody looks after yet, and are not silenced."""
    found = items_of(project.catalogue(), read_state(project, now=now), now)
    return tuple(i for i in _told(project, found) if i.kpi and not i.silenced and not i.acknowledged)


def _told(project: Project, items: Sequence[AlertItem]) -> list[AlertItem]:
    """Those with an incident. An incident stands for all of its KPI: who may not see it is told of what they may."""
    hosts = {item.kpi for item in items if item.incident}
    alone = [] if project.sees_all else [i for i in items if i.kpi and i.kpi not in hosts and i.state in FIRING]
    return [item for item in items if item.incident or item in alone]


@without_store(())
def normal_periods(project: Project, rule_key: str, where: Sequence[Filter]) -> tuple[pd.Timestamp, ...]:
    """Periods from which people called a new level normal, of the segment that is filtered on. Of all rows: so none
    for a role of some."""
    if not project.sees_all:
        return ()
    values = {"", *(value for item in where for value in item.values)}
    known = normals_of(project).get(rule_key, {})
    return tuple(period for segment, at in known.items() if segment in values for period in at)


def items_of(catalogue: Catalogue, state: AlertState, now: datetime) -> list[AlertItem]:
    """Every rule and segment, and every late source and event that is not as planned; critical first."""
    open_ = {(i.rule_key, i.segment): i for i in state.open}
    rules = {rule.key: rule for kpi in catalogue.kpis.values() for rule in rules_of(kpi)}
    found = [
        _item(catalogue, rules[row.rule_key], row, open_.get((row.rule_key, row.segment)), state, now)
        for row in state.standings
        if row.rule_key in rules
    ]
    found = [_with_others(item, found) for item in found]
    found += [_source(item, state) for item in state.open if not item.kpi]
    order = {"critical": 0, "warning": 1, "": 2}
    return sorted(found, key=lambda i: (order[i.severity], i.title, i.segment))


def _with_others(item: AlertItem, items: Sequence[AlertItem]) -> AlertItem:
    """An incident with what else of its KPI fails: it stands for that, too."""
    if not item.incident:
        return item
    others = [o for o in items if o.kpi == item.kpi and not o.incident and o.state in ("firing", "recovering")]
    names = [f"{other.segment or 'all together'} (rule {other.rule})" for other in others]
    return replace(item, why=f"Also fires: {', '.join(names)}.") if names else item


def _item(
    catalogue: Catalogue, rule: Rule, row: StandingRow, incident: Incident | None, state: AlertState, now: datetime
) -> AlertItem:
    kpi = catalogue.kpi(rule.kpi)
    opened = incident.opened_period if incident else row.since
    since = fmt.period_text(pd.Timestamp(opened), rule.grain or kpi.grain, now.year) if opened else ""
    silent = is_silenced(state.silences, row.rule_key, row.segment)
    acknowledged = ""
    if incident and incident.ack_by:
        acknowledged = f"Acknowledged by {incident.ack_by}, {fmt.moment_text(incident.ack_at)}"
    return AlertItem(
        row.rule_key,
        row.rule,
        row.kpi,
        row.segment,
        title_of(kpi, row.segment),
        row.state,
        row.severity,
        *value_and_expected(kpi, row.value, row.threshold),
        since,
        rule.words,
        kpi.owner,
        incident.place if incident else "",
        row.why,
        view_of(rule, row.segment),
        incident.id if incident else 0,
        acknowledged,
        f"until {fmt.moment_text(silent)}" if silent else "",
        (incident.mark or "") if incident else "",
        rule.alert.compare == "expected_range",
    )


def _source(item: Incident, state: AlertState) -> AlertItem:
    silent = is_silenced(state.silences, item.rule_key, item.segment)
    return AlertItem(
        item.rule_key,
        item.rule,
        "",
        item.segment,
        title_of_data(item),
        "firing",
        item.severity,
        "",
        "",
        fmt.moment_text(item.opened_at),
        "",
        "",
        item.place,
        "",
        (),
        item.id,
        f"Acknowledged by {item.ack_by}" if item.ack_by else "",
        f"until {fmt.moment_text(silent)}" if silent else "",
    )


def _history(catalogue: Catalogue, incidents: Sequence[Incident], now: datetime) -> pd.DataFrame:
    rows = []
    for item in incidents[:SHOWN]:
        kpi = catalogue.kpis.get(item.kpi)
        if item.kpi and kpi is None:
            continue
        grain = grain_of(kpi, item.rule) if kpi else "day"
        start, end = item.opened_period, item.closed_period if item.closed_at else item.last_period
        length = lasted(start, end, grain) if start else lasted(item.opened_at, item.closed_at or now, "day")
        rows.append(
            {
                "Opened": fmt.period_text(pd.Timestamp(start), grain, now.year)
                if start
                else fmt.day_text(item.opened_at),
                "What": title_of(kpi, item.segment) if kpi else title_of_data(item),
                "Rule": item.rule,
                "Severity": item.severity,
                "Lasted": length if item.closed_at else f"{length} so far",
                "Worst": fmt.value_text(item.peak_value, kpi) if kpi else fmt.UNKNOWN,
                "Ended": ENDS.get(item.closed_why or "", "Open"),
                "Notified": "before alerts were enabled" if item.replayed else "yes" if item.notified_at else "no",
                "Acknowledged by": item.ack_by or "",
                "Marked": item.mark or "",
                "No.": item.id,
            }
        )
    return pd.DataFrame(rows)


def _untold(project: Project, catalogue: Catalogue) -> str:
    """Why nobody hears of an alert; empty if everybody does."""
    if not project.settings.contact_points and listening(project, "incident"):
        return "Only webhooks are notified: settings.yml has no contact points."
    if not project.settings.contact_points:
        return "No one is notified yet: settings.yml has no contact points."
    names = {name for kpi in catalogue.kpis.values() for rule in rules_of(kpi) for name in rule.contacts}
    names |= {name for plan in catalogue.plans for name in owners_of(plan, catalogue)}
    missing = sorted(name for name in names if project.settings.contact(name) is None)
    return f"No one is notified for {', '.join(missing)}: settings.yml has no such contact point." if missing else ""


def _marks(state: AlertState) -> str:
    told = [f"{key}: {useful} useful, {noise} noise" for key, useful, noise in state.marks]
    return f"Feedback. {'; '.join(told)}." if told else ""
