"""Comparisons: the value of an earlier period beside each value, and the change."""

from __future__ import annotations

import pandas as pd

from metrics.catalog.models.kpi import KpiCommon
from metrics.engine import periods
from metrics.engine.query import COMPARISONS, Comparison, Scope

NAMES = COMPARISONS


def lag(scope: Scope, how: Comparison, kpi: KpiCommon) -> int:
    """How many periods earlier the comparison lies."""
    if how == "same_period_last_year":
        return periods.YEAR_BACK[scope.grain]
    if how == "previous_range":
        return max(1, len(periods.spine(scope.start, scope.end, scope.grain)))
    # Yesterday's window shares all but one day with today's: compare one whole window earlier.
    return kpi.trailing_window.days if kpi.trailing_window and scope.grain == "day" else 1


def reach(scope: Scope, how: Comparison, kpi: KpiCommon) -> pd.Timestamp:
    """The earliest period that the comparison needs."""
    return periods.after(scope.start, scope.grain, -lag(scope, how, kpi))


def compared(frame: pd.DataFrame, how: Comparison, kpi: KpiCommon, scope: Scope, *, points: bool) -> pd.DataFrame:
    """`frame` with comparison and change; an incomplete or unknown period has no change."""
    if scope.grain == periods.TOTAL:
        comparison = frame["comparison"]
        both = frame["complete"]
    else:
        count = lag(scope, how, kpi)
        earlier = frame[["segment", "period", "value", "complete"]].copy()
        earlier["period"] = periods.shifted(earlier["period"], scope.grain, count)
        names = {"value": "comparison", "complete": "_complete"}
        frame = frame.merge(earlier.rename(columns=names), on=["segment", "period"], how="left")
        comparison = frame["comparison"]
        both = frame["complete"] & frame.pop("_complete").fillna(False).astype(bool)
    change = frame["value"] - comparison if points else frame["value"] / comparison.where(comparison != 0) - 1
    return frame.assign(change=change.where(both))
