"""The alert rules of a KPI: those of its file, and its own thresholds as the default rule."""

from __future__ import annotations

from dataclasses import dataclass

from metrics.catalog.models.kpi import Alert, KpiCommon
from metrics.catalog.models.values import Threshold, Thresholds

AGAINST = {
    "previous_period": "the period before",
    "same_period_last_week": "the same time last week",
    "same_period_last_year": "the same time last year",
    "target": "target",
}
DEFAULT_RULE = "thresholds"  # the name of the rule that the KPI's own thresholds are


@dataclass(frozen=True)
class Rule:
    """One rule of one KPI. thresholds: of the rule, else of the KPI; empty for expected_range."""

    kpi: str
    alert: Alert
    thresholds: Thresholds
    owner: str = ""

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
        return text + (f", {self.alert.for_} periods in a row" if self.alert.for_ > 1 else "")

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
        found.append(Rule(kpi.name, Alert(name=DEFAULT_RULE), own, kpi.owner))
    return (*found, *(Rule(kpi.name, alert, _thresholds(alert, kpi), kpi.owner) for alert in kpi.alerts))


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
