"""Alerts about data and not about a KPI: sources that are late, events that are not as the tracking plan says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from connectors.errors import KpiError
from connectors.state.alerts import Incident
from metrics.alerts.message import Notice, plan_notice, source_notice
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.plan import Plan
from metrics.engine.data_context import DataContext
from metrics.presentation.freshness import dataset_late
from metrics.presentation.links import Links

if TYPE_CHECKING:
    from metrics.quality.tracking_plan import Breach

FRESHNESS = "freshness"  # the rule of every source
TRACKING_PLAN = "tracking_plan"  # the rule of every event of a plan
UNPLANNED = "not in the plan"  # segment of all events that a plan does not name
MOST = 5  # breaches of an event that a message lists

Key = tuple[str, str]  # rule key, segment


@dataclass(frozen=True)
class DataAlert:
    """Something about data that fires. reason: in a sentence; lines: what else a message says."""

    rule: str
    key: Key
    reason: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class DataAlerts:
    """All that fires. unknown: rule keys of which nobody knows now: what is open of them stays."""

    firing: Mapping[Key, DataAlert]
    unknown: frozenset[str] = frozenset()


def data_alerts(context: DataContext) -> DataAlerts:
    """Each source (or dataset without one) that is late, and each event that is not as planned, once."""
    found = {alert.key: alert for alert in _late(context)}
    unknown = set()
    states = context.reader.dataset_states(context.reader.generation.sequence)
    for plan in context.catalogue.plans:
        if plan.dataset not in states or states[plan.dataset].watermark is None:
            unknown.add(_plan_key(plan.name))
            continue
        from metrics.quality.tracking_plan import breaches  # pandas, which a project without a plan needs not

        try:
            broken = breaches(plan, context.catalogue, context.reader)
        except KpiError:  # its dataset cannot be read now: that is told where it is the question
            unknown.add(_plan_key(plan.name))
            continue
        found |= {alert.key: alert for alert in _unlike(plan.name, list(plan.events), broken)}
    return DataAlerts(found, frozenset(unknown))


def _late(context: DataContext) -> list[DataAlert]:
    states = context.reader.dataset_states(context.reader.generation.sequence)
    reasons: dict[str, tuple[str, set[str]]] = {}
    for name, dataset in context.catalogue.datasets.items():
        why = dataset_late(name, context.catalogue, states, context.runs, context.table_sources, context.now)
        if why:
            source = context.table_sources.get(dataset.source, name)
            reasons.setdefault(source, (why, set()))[1].add(name)
    found = []
    for source, (why, names) in sorted(reasons.items()):
        kpis = [k.title for k in context.catalogue.kpis.values() if names & set(context.catalogue.datasets_of(k))]
        waiting = f"Waiting for it: {', '.join(sorted(kpis)) or 'no KPI'}."
        found.append(DataAlert(FRESHNESS, (f"source:{source}", source), why, (waiting,)))
    return found


def _unlike(plan: str, planned: Sequence[str], broken: Sequence[Breach]) -> list[DataAlert]:
    """An alert for each planned event with all that is wrong about it, and one for all that are not planned."""
    by_event: dict[str, list[Breach]] = {}
    for one in broken:
        by_event.setdefault(one.event if one.event in planned else UNPLANNED, []).append(one)
    found = []
    for event, mine in by_event.items():
        words = [f"{one.text[:1].upper()}{one.text[1:]}." for one in mine]
        more = (f"And {len(words) - MOST} more: see the page Data.",) if len(words) > MOST else ()
        found.append(DataAlert(TRACKING_PLAN, (_plan_key(plan), event), words[0], (*words[1:MOST], *more)))
    return found


def _plan_key(plan: str) -> str:
    return f"plan:{plan}"


def planned(incident: Incident) -> str:
    """The plan that it is about; empty = none."""
    return incident.rule_key.partition(":")[2] if incident.rule == TRACKING_PLAN else ""


def told_to(incident: Incident, catalogue: Catalogue, operators: Sequence[str]) -> tuple[str, ...]:
    """Who is told: of an event its owner, the plan's or the dataset's; of a source the operators."""
    everybody = tuple(operators) or ("default",)
    plan = next((p for p in catalogue.plans if _plan_key(p.name) == incident.rule_key), None)
    if plan is None:
        return everybody
    event = plan.events.get(incident.segment)
    owner = (event.owner if event else "") or _owner(plan, catalogue)
    return (owner,) if owner else everybody


def _owner(plan: Plan, catalogue: Catalogue) -> str:
    return plan.owner or catalogue.datasets[plan.dataset].owner


def owners_of(plan: Plan, catalogue: Catalogue) -> set[str]:
    """Everybody who is told of something in a plan, by name."""
    return {event.owner or _owner(plan, catalogue) for event in plan.events.values()} - {""}


def data_notice(event: str, incident: Incident, alert: DataAlert | None, links: Links) -> Notice:
    """A message about one. alert: None = it is over."""
    said = (alert.reason, *alert.lines) if alert else ()
    if incident.rule == TRACKING_PLAN:
        return plan_notice(event, planned(incident), incident.segment, said, links)
    return source_notice(event, incident.segment, said, links)


def title_of_data(incident: Incident) -> str:
    """What it is about, on the page *Alerts*."""
    if incident.rule == TRACKING_PLAN:
        return f"Tracking plan {planned(incident)}: {incident.segment}"
    return f"Source {incident.segment}"
