"""Types that follow entities, and surveys, as sentences."""

from __future__ import annotations

from datetime import timedelta

from metrics.catalog.models.kpi import (
    Condition,
    Conversion,
    Funnel,
    KpiCommon,
    Lifecycle,
    Retention,
    Stickiness,
    Survey,
)

SCALES = {
    "nps": "Promoters (9, 10) minus detractors (0 to 6), per 100 answers",
    "csat": "Share of answers of 4 and 5",
    "ces": "Mean answer, from 1 to 7",
}


def followed_in_words(kpi: KpiCommon) -> str:
    """The definition as a sentence, without its full stop."""
    rows = [_rows(condition) for condition in kpi.conditions.values()]
    if isinstance(kpi, Conversion):
        if kpi.of == "events":
            who = f"Each of {rows[1]}, credited to the entity's last of {rows[0]} before it{_within(kpi.window)}"
        else:
            who = f"Who of {rows[0]} in the period is followed by {rows[1]}{_within(kpi.window)}"
        return who if kpi.calculation == "count" else f"{who}, as a share of all of them"
    if isinstance(kpi, Funnel):
        steps = " → ".join(f"{step.name} ({row})" for step, row in zip(kpi.steps, rows, strict=True))
        order = "directly one after another" if kpi.order == "strict" else "in this order"
        return f"{steps}, {order}{_within(kpi.window)}; last step as a share of the first"
    if isinstance(kpi, Retention):
        start = "first of" if kpi.cohort == "first" else "any of"
        back = "or later" if kpi.mode == "rolling" else "after it"
        units = f"{kpi.at} {kpi.unit}{'s' if kpi.at > 1 else ''}"
        own = "counted from its own day" if kpi.count_from == "start" else f"by calendar {kpi.unit}"
        return f"Who starts ({start} {rows[0]}) and is back ({rows[1]}) {units} {back}, {own}"
    if isinstance(kpi, Lifecycle):
        return f"New and resurrected, divided by dormant: who has {rows[0]} in a period, against the period before"
    if isinstance(kpi, Stickiness):
        return f"Mean of each {kpi.short}'s distinct people with {rows[0]}, divided by the {kpi.long}'s"
    if isinstance(kpi, Survey):
        return f"{SCALES[kpi.scale]}, of {kpi.score}{f' where {kpi.filter}' if kpi.filter else ''}"
    return f"Type {kpi.type}"


def _rows(condition: Condition) -> str:
    return f"rows of {condition.dataset}{f' where {condition.filter}' if condition.filter else ''}"


def _within(window: timedelta | None) -> str:
    if window is None:
        return ", whenever"
    hours = window.total_seconds() / 3600
    for size, name in ((24, "days"), (1, "hours")):
        if hours % size == 0:
            return f" within {hours / size:g} {name}"
    return f" within {hours * 60:g} minutes"
