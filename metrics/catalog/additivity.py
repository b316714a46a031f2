"""What adds up: over periods and segments, over segments only, or not at all."""

from __future__ import annotations

from metrics.catalog.models.kpi import Cumulative, KpiCommon, Measure, Simple


def additivity(kpi: KpiCommon) -> str:
    """additive: adds up over periods and segments; semi-additive: over segments only; else non-additive."""
    if isinstance(kpi, Simple) and not kpi.sql and kpi.agg in ("count", "sum"):
        longer = kpi.period_agg in ("last", "mean", "max")
        return "semi-additive" if kpi.window or kpi.semi_additive or longer else "additive"
    if isinstance(kpi, Cumulative) and isinstance(kpi.measure, Measure) and kpi.measure.agg in ("count", "sum"):
        return "semi-additive"  # over segments, not over periods
    return "non-additive"
