"""What a rule adds to a KPI's chart: its range, the incidents it would have opened, and how often, in words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from metrics.alerts.expected_range import SENSITIVITIES, Phase
from metrics.alerts.judge import Judgement, judge
from metrics.alerts.levels import SEVERITIES
from metrics.alerts.replay import in_words, incidents, until
from metrics.alerts.rules import Rule, rules_of
from metrics.catalog.models.kpi import Alert, KpiCommon
from metrics.catalog.models.values import Thresholds
from metrics.engine.answer import answer
from metrics.engine.data_context import DataContext
from metrics.engine.query import Filter, Query

YEAR = pd.Timedelta(days=365)
TRY_LIMIT, TRY_RANGE = "try_limit", "try_range"  # rules that are not in the file yet
STEPS = 100  # about so many places of a slider


@dataclass(frozen=True)
class Overlay:
    """low, high: NaN = open. spans: (from, until, severity) of incidents. words: what it would have done.

    yaml: the rule as it is written; empty where the file has it. learning: what it does not know yet.
    """

    label: str
    periods: list[pd.Timestamp]
    low: list[float]
    high: list[float]
    spans: tuple[tuple[pd.Timestamp, pd.Timestamp, str], ...]
    words: str
    yaml: str = ""
    learning: str = ""


@dataclass(frozen=True)
class Slider:
    """A threshold that can be moved, in the unit shown. factor: shown / value."""

    low: float
    high: float
    start: float
    step: float
    factor: float
    suffix: str
    operator: str


def choices(kpi: KpiCommon) -> dict[str, str]:
    """Rules that the page can show: slug → label."""
    known = {rule.name: f"Rule: {rule.name}" for rule in rules_of(kpi)}
    return {"": "No rule shown", **known, TRY_LIMIT: "Try a threshold", TRY_RANGE: "Try the expected range"}


def default_choice(kpi: KpiCommon) -> str:
    """An expected range is drawn without being asked for."""
    found = [rule.name for rule in rules_of(kpi) if rule.alert.compare == "expected_range"]
    return found[0] if found else ""


def slider(context: DataContext, kpi: KpiCommon, where: tuple[Filter, ...] = ()) -> Slider | None:
    """Over the values of the last year; None where nothing is known."""
    frame = _frame(context, kpi, where)
    known = frame.loc[frame["complete"], "value"].dropna().tail(400)
    if known.empty:
        return None
    factor = 100.0 if kpi.is_rate else 1.0
    low, high = float(known.min()) * factor, float(known.max()) * factor
    room = (high - low) * 0.1 or abs(high) * 0.1 or 1.0
    step = 10.0 ** np.floor(np.log10((high - low + 2 * room) / STEPS))
    own = kpi.thresholds.critical or kpi.thresholds.warning if kpi.thresholds else None
    bound = own.limit(None) if own is not None else None
    falls = kpi.direction != "down_is_good"
    start = bound * factor if bound is not None else float(known.quantile(0.05 if falls else 0.95)) * factor
    low, high = (round(np.floor((low - room) / step) * step, 6), round(np.ceil((high + room) / step) * step, 6))
    start = round(min(high, max(low, start)), 6)
    return Slider(low, high, start, float(step), factor, "%" if kpi.is_rate else "", "<" if falls else ">")


def tried(kpi: KpiCommon, choice: str, limit: float, slide: Slider | None, count: int, sensitivity: str) -> Rule | None:
    """The rule that is chosen or tried out; limit: as the slider shows it."""
    if choice == TRY_RANGE:
        alert = Alert.model_validate(
            {"name": "unusual", "compare": "expected_range", "sensitivity": sensitivity, "for": count}
        )
        return Rule(kpi.name, alert, Thresholds(), kpi.owner)
    if choice == TRY_LIMIT and slide is not None:
        text = f"{slide.operator} {limit:.12g}{slide.suffix}"
        alert = Alert.model_validate({"name": "limit", "thresholds": {"critical": text}, "for": count})
        return Rule(kpi.name, alert, alert.thresholds or Thresholds(), kpi.owner)
    return next((rule for rule in rules_of(kpi) if rule.name == choice), None)


def overlay(
    context: DataContext,
    kpi: KpiCommon,
    rule: Rule,
    where: tuple[Filter, ...] = (),
    normals: tuple[pd.Timestamp, ...] = (),
) -> Overlay:
    """What a rule would have done on these values; of a rule told by segments, as if the filter were one of them."""
    grain = rule.grain or kpi.grain
    frame = _frame(context, kpi, where, of=bool(rule.alert.of), grain=grain)
    country = kpi.holidays or context.country
    judged = judge(rule, kpi, context.catalogue, frame, country=country, normal_from=normals)
    last_year = _last_year(judged)
    found = [i for i in incidents(judged) if i.closed is None or i.closed > last_year]
    words = in_words(found, grain, "in the last 12 months")
    if rule.alert.compare == "expected_range":
        words += " " + _by_sensitivity(context, kpi, rule, frame, country, normals)
    elif rule.alert.by and not where:
        words += f" Shown for all segments together; the rule evaluates each {', '.join(rule.alert.by)} separately."
    spans = tuple((i.opened, until(i, judged, grain), SEVERITIES[i.severity]) for i in found)
    new = all(known.name != rule.name for known in rules_of(kpi))
    return Overlay(
        rule.words[:1].upper() + rule.words[1:],
        list(judged.periods),
        [float(v) for v in judged.low],
        [float(v) for v in judged.high],
        spans,
        words,
        _yaml(rule) if new else "",
        _learning(judged, kpi),
    )


def _frame(
    context: DataContext, kpi: KpiCommon, where: tuple[Filter, ...], *, of: bool = False, grain: str = ""
) -> pd.DataFrame:
    return answer(Query(kpi.name, grain, where=where), context.catalogue, context.reader, transforms=of).frame


def _last_year(judged: Judgement) -> pd.Timestamp:
    return judged.periods[-1] - YEAR if len(judged.periods) else pd.Timestamp(0)


def _by_sensitivity(
    context: DataContext,
    kpi: KpiCommon,
    rule: Rule,
    frame: pd.DataFrame,
    country: str,
    normals: tuple[pd.Timestamp, ...],
) -> str:
    """How often each sensitivity would have alerted in the last 90 days."""
    told = []
    for name in SENSITIVITIES:
        alert = rule.alert.model_copy(update={"sensitivity": name})
        judged = judge(
            Rule(rule.kpi, alert, rule.thresholds), kpi, context.catalogue, frame, country=country, normal_from=normals
        )
        since = judged.periods[-1] - pd.Timedelta(days=90) if len(judged.periods) else pd.Timestamp(0)
        count = sum(1 for incident in incidents(judged) if incident.opened >= since)
        told.append(f"{name} {count}")
    return f"In the last 90 days: {', '.join(told)}."


def _learning(judged: Judgement, kpi: KpiCommon) -> str:
    if judged.phase is Phase.LEARNING:
        return f"Still learning: the band is shown, but no alert is raised before it has seen more {kpi.grain}s."
    return f"Too few {kpi.grain}s for an expected range yet." if judged.phase is Phase.NONE else ""


def _yaml(rule: Rule) -> str:
    """The rule as it is written into the KPI's file."""
    parts = [f"name: {rule.name}"]
    if rule.alert.compare != "value":
        parts.append(f"compare: {rule.alert.compare}")
    if rule.alert.compare == "expected_range" and rule.alert.sensitivity != "default":
        parts.append(f"sensitivity: {rule.alert.sensitivity}")
    limits = ", ".join(f'{name}: "{limit.text}"' for name, limit in rule.limits)
    parts += [f"thresholds: {{{limits}}}"] if limits else []
    parts += [f"for: {rule.alert.for_}"] if rule.alert.for_ > 1 else []
    return f"alerts:\n  - {{{', '.join(parts)}}}\n"
