"""replay: what a rule would have done, period by period, on today's values."""

from __future__ import annotations

from datetime import date
from typing import Any

import pandas as pd

from connectors.errors import require
from jobs.alerts.evaluate import normals_of
from jobs.project.project import Project
from metrics.alerts.judge import Judgement
from metrics.alerts.levels import SEVERITIES, known_or_none
from metrics.alerts.observe import observe
from metrics.alerts.replay import replayed
from metrics.alerts.rules import rules_of
from metrics.engine.periods import parse_day
from metrics.presentation import export


def replay(project: Project, name: str, *, rule: str = "", start: str = "", end: str = "") -> list[dict[str, Any]]:
    """`kpi alerts replay --json`. start inclusive, end exclusive: of the rows; the rule always sees all history.

    Raises NoData, UnknownName, QueryRefused.
    """
    reader = project.reader()
    catalogue = project.catalogue(reader)
    kpi = catalogue.kpi(name)
    rules = rules_of(kpi)
    if rule:
        require(rule, [r.name for r in rules], kind="rule", where=name)
    first, last = (parse_day(text, where=f"--{at}") if text else None for text, at in ((start, "start"), (end, "end")))
    rows: list[dict[str, Any]] = []
    normals = normals_of(project)
    for item in rules:
        if rule and item.name != rule:
            continue
        for judged in observe(
            item, catalogue, reader, country=project.settings.holidays, normals=normals.get(item.key)
        ):
            rows += [
                row for period, row in _rows(judged, item.name, item.grain or kpi.grain) if _inside(period, first, last)
            ]
    return rows


def _rows(judged: Judgement, rule: str, grain: str) -> list[tuple[pd.Timestamp, dict[str, Any]]]:
    found = []
    for event in replayed(judged):
        index = int(judged.periods.searchsorted(event.period))
        kind = "ongoing" if event.kind == "escalated" else str(event.kind)
        expected = [known_or_none(float(judged.low[index])), known_or_none(float(judged.high[index]))]
        found.append(
            (
                event.period,
                {
                    "rule": rule,
                    "segment": judged.segment or None,
                    "period": export.period(event.period, grain),
                    "event": kind,
                    "state": str(event.state),
                    "severity": SEVERITIES[event.severity],
                    "value": known_or_none(float(judged.value[index])),
                    "expected": expected,
                },
            )
        )
    return found


def _inside(period: pd.Timestamp, first: date | None, last: date | None) -> bool:
    return (first is None or period.date() >= first) and (last is None or period.date() < last)
