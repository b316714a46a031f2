"""When a period's value is final: its end, and what must pass after it (a conversion's window, a retention's weeks)."""

from __future__ import annotations

from datetime import timedelta

import pandas as pd

from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.kpi import Conversion, Funnel, KpiCommon, Retention, Sql
from metrics.engine import periods

UNIT_DAYS = {"day": 1, "week": 7}


def final_at(kpi: KpiCommon, period: pd.Timestamp, grain: str, catalogue: Catalogue) -> pd.Timestamp:
    """The watermark from which the value of a period is complete, on the grain's clock."""
    end = periods.after(period, grain)
    own = _own(kpi, end, grain, catalogue)
    return max([own, *(final_at(catalogue.kpi(name), period, grain, catalogue) for name in catalogue.references(kpi))])


def _own(kpi: KpiCommon, end: pd.Timestamp, grain: str, catalogue: Catalogue) -> pd.Timestamp:
    if isinstance(kpi, (Conversion, Funnel, Sql)):
        span = (kpi.maturity if isinstance(kpi, Sql) else kpi.window) or timedelta(0)
        return periods.elapsed(end, span, grain, catalogue.timezone) if span else end
    if not isinstance(kpi, Retention):
        return end
    last = end - timedelta(microseconds=1)
    if kpi.count_from == "calendar" and kpi.unit == "month":
        return max(end, periods.after(periods.floor(last, "month"), "month", kpi.at + 1))
    start = last.normalize()
    if kpi.count_from == "calendar":
        start = periods.floor(last, kpi.unit, catalogue.week_start_days)
    return max(end, start + pd.Timedelta(days=(kpi.at + 1) * UNIT_DAYS[kpi.unit]))
