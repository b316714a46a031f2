"""What the `parts` of a value mean: a funnel's steps, a retention's curve, a lifecycle's and a survey's counts."""

from __future__ import annotations

from metrics.catalog.models.kpi import Funnel, KpiCommon, Lifecycle, Retention, Survey
from metrics.engine.types import lifecycle, survey


def part_names(kpi: KpiCommon) -> tuple[str, ...]:
    """A name for each of the parts, in order; empty where the type has none."""
    if isinstance(kpi, Funnel):
        return tuple(step.name for step in kpi.steps)
    if isinstance(kpi, Retention):
        return tuple(f"{kpi.unit} {k}" for k in range(kpi.length + 1))
    if isinstance(kpi, Lifecycle):
        return lifecycle.PARTS
    return survey.PARTS if isinstance(kpi, Survey) else ()
