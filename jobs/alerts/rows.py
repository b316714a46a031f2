"""Rules and incidents as rows of JSON, and which of them a role is told of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from connectors.state.alerts import Incident, Silence, StandingRow
from jobs.alerts.telling import is_silenced
from jobs.project.project import Project
from metrics.alerts.rules import filters_of, rules_of
from metrics.presentation.format import iso


def standing_row(row: StandingRow, silences: Sequence[Silence]) -> dict[str, Any]:
    """A rule and segment in `kpi alerts status --json`."""
    return {
        "rule": row.rule,
        "kpi": row.kpi,
        "segment": row.segment or None,
        "state": row.state,
        "severity": row.severity or None,
        "value": row.value,
        "threshold": row.threshold,
        "since": iso_period(row.since),
        "silenced_until": iso(is_silenced(silences, row.rule_key, row.segment)),
    }


def data_row(item: Incident, silences: Sequence[Silence]) -> dict[str, Any]:
    """An incident of no KPI in `kpi alerts status --json`: a source that is late, an event that is not as planned."""
    return {
        "rule": item.rule,
        "kpi": None,
        "segment": item.segment,
        "state": "firing" if item.closed_at is None else "ok",
        "severity": item.severity,
        "value": None,
        "threshold": None,
        "since": iso(item.opened_at),
        "silenced_until": iso(is_silenced(silences, item.rule_key, item.segment)),
    }


def incident_row(item: Incident) -> dict[str, Any]:
    """An incident in `kpi alerts history --json`."""
    return {
        "incident": item.id,
        "rule": item.rule,
        "kpi": item.kpi or None,
        "segment": item.segment or None,
        "opened": iso(item.opened_at),
        "closed": iso(item.closed_at),
        "peak": item.peak_value,
        "ack_by": item.ack_by,
    }


def iso_period(period: datetime | None) -> str | None:
    """A period's first moment as a timestamp."""
    return None if period is None else f"{period:%Y-%m-%dT%H:%M:%SZ}"


def shown_to(project: Project) -> Callable[[StandingRow | Incident], bool]:
    """Whether a role that sees a part of the project is told of it: each has a value, of some segment."""
    rules = {rule.key: rule for kpi in project.catalogue().kpis.values() for rule in rules_of(kpi)}

    def shown(row: StandingRow | Incident) -> bool:
        rule = rules.get(row.rule_key)
        known = None if rule is None else filters_of(rule, row.segment)
        segments = None if known is None else {f.dimension: f.values[0] for f in known if len(f.values) == 1}
        return project.shows(row.kpi, segments)

    return shown
