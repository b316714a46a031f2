"""The alert rules of a KPI: those of its file, and its own thresholds as the default rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from metrics.catalog.models.kpi import Alert, KpiCommon
from metrics.catalog.models.values import Since, Threshold, Thresholds
from metrics.catalog.targets import target_grain
from metrics.engine.query import Filter

AGAINST = {
    "previous_period": "the period before",
    "same_period_last_week": "the same time last week",
    "same_period_last_year": "the same time last year",
    "target": "target",
}
Normals = Mapping[str, "Sequence[pd.Timestamp]"]  # segment → periods from which a new level is normal
DEFAULT_RULE = "thresholds"  # the name of the rule that the KPI's own thresholds are

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Rule:
    """One rule of one KPI. thresholds: of the rule, else of the KPI; empty for expected_range.

    grain: of the periods that it judges; empty = the KPI's home grain.
    """

    kpi: str
    alert: Alert
    thresholds: Thresholds
    owner: str = ""
    grain: str = ""

    @property
    def name(self) -> str:
        """Unique within the KPI."""
        return self.alert.name

    @property
    def key(self) -> str:
        """Unique within the project: kpi.rule."""
        return f"{self.kpi}.{self.alert.name}"

    @property
    def contacts(self) -> tuple[str, ...]:
        """Who is told: names of contact points, else the owner."""
        return self.alert.notify or ((self.owner,) if self.owner else ())

    @property
    def words(self) -> str:
        """`below 98.8% (critical), 2 periods in a row`: what raises it."""
        if self.alert.compare == "expected_range":
            text = f"outside its expected range ({self.alert.sensitivity} sensitivity)"
        else:
            text = " or ".join(f"{limit.words} ({level})" for level, limit in self.limits)
            if self.alert.compare != "value":
                text = f"change {text} against {AGAINST[self.alert.compare]}"
        text += f", by {self.grain}" if self.grain else ""
        text += f", {self.alert.for_} periods in a row" if self.alert.for_ > 1 else ""
        if isinstance(self.since, date):
            text += f", since {self.since:%-d %b %Y}"
        return text + (f", since the launch {self.since}" if isinstance(self.since, str) else "")

    @property
    def since(self) -> Since | None:
        """The first day that is judged or the launch that it begins with, if the file says so."""
        return self.alert.since or self.thresholds.since

    @property
    def limits(self) -> tuple[tuple[str, Threshold], ...]:
        """(warning or critical, its threshold), as far as stated."""
        pairs = (("warning", self.thresholds.warning), ("critical", self.thresholds.critical))
        return tuple((name, limit) for name, limit in pairs if limit is not None)


def rules_of(kpi: KpiCommon) -> tuple[Rule, ...]:
    """Every rule of a KPI, the default one first. A draft has none: nobody is to be woken by a trial."""
    if kpi.status == "draft":
        return ()
    own = kpi.thresholds or Thresholds()
    found = []
    if (own.warning or own.critical) and all(alert.name != DEFAULT_RULE for alert in kpi.alerts):
        found.append(_rule(kpi, Alert(name=DEFAULT_RULE), own))
    return (*found, *(_rule(kpi, alert, _thresholds(alert, kpi)) for alert in kpi.alerts))


def grain_of(kpi: KpiCommon, name: str) -> str:
    """The grain of the periods that a rule judges; the home grain of one that is gone."""
    return next((rule.grain for rule in rules_of(kpi) if rule.name == name), "") or kpi.grain


def _rule(kpi: KpiCommon, alert: Alert, thresholds: Thresholds) -> Rule:
    """The rule; one that needs the target judges periods of the target's grain."""
    grain = target_grain(kpi) if alert.compare == "target" or thresholds.of_target else kpi.grain
    return Rule(kpi.name, alert, thresholds, kpi.owner, "" if grain == kpi.grain else grain)


def _thresholds(alert: Alert, kpi: KpiCommon) -> Thresholds:
    if alert.compare == "expected_range":
        return Thresholds()
    if alert.thresholds is not None:
        return alert.thresholds
    if alert.compare == "value" and kpi.thresholds is not None:
        return kpi.thresholds
    if alert.compare == "target":  # missing its target is what a target is there to tell
        return Thresholds.model_validate({"warning": "> 0" if kpi.direction == "down_is_good" else "< 0"})
    return Thresholds()


def segment_name(rule: Rule, dimension: str | None, value: str) -> str:
    """How a state is told apart: empty, a value, or dimension=value where a rule has several dimensions."""
    if dimension is None:
        return ""
    return value if len(rule.alert.by) == 1 else f"{dimension}={value}"


def filters_of(rule: Rule, segment: str) -> tuple[Filter, ...]:
    """The filter that shows a segment."""
    if not rule.alert.by or not segment:
        return ()
    dimension, value = (rule.alert.by[0], segment) if len(rule.alert.by) == 1 else segment.split("=", 1)
    return (Filter(dimension, (value,)),)
