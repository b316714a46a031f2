"""The open incident that a KPI's page explains, as its alert does."""

from __future__ import annotations

from datetime import datetime

from connectors.errors import KpiError
from jobs.alerts.evaluate import normals_of
from jobs.alerts.incidents import read_state
from jobs.alerts.standings import opened_of
from jobs.project.health import without_store
from jobs.project.project import Project
from metrics.alerts.compared import Opened
from metrics.alerts.levels import SEVERITIES
from metrics.alerts.observe import observe
from metrics.alerts.rules import filters_of, rules_of
from metrics.engine.data_context import DataContext
from metrics.engine.query import Filter


@without_store(None)
def open_incident(
    project: Project, context: DataContext, name: str, where: tuple[Filter, ...] = (), *, now: datetime
) -> Opened | None:
    """Of the home grain, of what is looked at: the worst, then the one that opened first. Raises KpiError."""
    kpi = context.catalogue.kpi(name)
    rules = {rule.key: rule for rule in rules_of(kpi) if not rule.grain}
    mine = [
        item
        for item in read_state(project, now=now, kpi=name).open
        if item.rule_key in rules and filters_of(rules[item.rule_key], item.segment) == where
    ]
    if not mine:
        return None
    first = min(mine, key=lambda item: (-SEVERITIES.index(item.severity), str(item.opened_period), item.rule_key))
    rule = rules[first.rule_key]
    try:
        normals = normals_of(project).get(rule.key)
        judged = observe(rule, context.catalogue, context.reader, country=context.country, normals=normals)
    except KpiError:
        return None
    return next((opened_of(first, one) for one in judged if one.segment == first.segment), None)
