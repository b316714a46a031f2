"""Is a KPI on track? From thresholds, else from the target; and why."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from metrics.catalog.models.kpi import KpiCommon
from metrics.presentation import format as fmt

LABELS = {
    "off_track": "Off track",
    "at_risk": "At risk",
    "definition_error": "Definition error",
    "waiting_for_data": "Waiting for data",
    "no_target": "No target",
    "on_track": "On track",
}
ORDER = list(LABELS)


@dataclass(frozen=True)
class Status:
    """slug: a key of LABELS. why: one sentence. depth: how far beyond its limit, in at-risk bands; sorts cards."""

    slug: str
    why: str
    depth: float = 0.0

    @property
    def label(self) -> str:
        """The words on the badge."""
        return LABELS[self.slug]


def status_of(kpi: KpiCommon, value: float | None, target: float | None, late: Iterable[str] = ()) -> Status:
    """The status of the last complete value. late: why its data is late, empty if it is not."""
    reasons = list(late)
    if reasons:
        return Status("waiting_for_data", reasons[0])
    if value is None or math.isnan(value):
        return Status("waiting_for_data", "No complete period has a known value yet.")
    warning = kpi.thresholds.warning if kpi.thresholds else None
    critical = kpi.thresholds.critical if kpi.thresholds else None
    for slug, limit in (("off_track", critical), ("at_risk", warning)):
        if limit is not None and limit.breached(value, target):
            bound = limit.limit(target)
            shown = fmt.value_text(bound, kpi)
            why = f"{fmt.value_text(value, kpi)} is {'below' if '<' in limit.operator else 'above'} {shown}."
            return Status(slug, why, _depth(value, bound, warning.limit(target) if warning else None))
    if warning or critical:
        return Status("on_track", "Within its thresholds.")
    if target is None or kpi.direction == "neutral":
        return Status("no_target", "Neither a target nor thresholds are stated.")
    good = value >= target if kpi.direction == "up_is_good" else value <= target
    if good:
        return Status("on_track", f"At or beyond its target of {fmt.value_text(target, kpi)}.")
    return Status("off_track", f"{fmt.gap_text(value, target, kpi).capitalize()}.", _depth(value, target, None))


def _depth(value: float, limit: float | None, other: float | None) -> float:
    """Distance beyond the limit, in widths of the at-risk band where there is one, else relative to the limit."""
    if limit is None:
        return 0.0
    band = abs((other if other is not None else limit) - limit) or abs(limit) or 1.0
    return abs(value - limit) / band
