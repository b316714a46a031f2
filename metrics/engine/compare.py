"""Comparisons: the value of an earlier period beside each value, and the change."""

from __future__ import annotations

import numpy as np
import pandas as pd

from metrics.catalog.models.kpi import KpiCommon
from metrics.engine import periods
from metrics.engine.query import COMPARISONS, Comparison, Scope
from metrics.transforms.percent_change import relative_change

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
    """`frame` with comparison, difference and change; an incomplete or unknown period has no change.

    A change of shares is unknown against 0, its difference is not.
    """
    if scope.grain == periods.TOTAL:
        comparison = frame["comparison"]
        both = frame["complete"] & periods.known_complete(frame.pop("_complete"))
    else:
        count = lag(scope, how, kpi)
        if not scope.by and _has_every_period(frame, scope.grain):
            return _against_itself(frame, count, points=points)
        earlier = frame[["segment", "period", "value", "complete"]].copy()
        earlier["period"] = periods.shifted(earlier["period"], scope.grain, count)
        names = {"value": "comparison", "complete": "_complete"}
        frame = frame.merge(earlier.rename(columns=names), on=["segment", "period"], how="left")
        comparison = frame["comparison"]
        both = frame["complete"] & periods.known_complete(frame.pop("_complete"))
    difference = (frame["value"] - comparison).where(both)
    change = difference if points else relative_change(frame["value"], comparison).where(both)
    return frame.assign(difference=difference, change=change)


def _has_every_period(frame: pd.DataFrame, grain: str) -> bool:
    if frame.empty:
        return False
    first, last = frame["period"].iat[0], frame["period"].iat[-1]
    return len(frame) == len(periods.spine(first, periods.after(last, grain), grain))


def _against_itself(frame: pd.DataFrame, count: int, *, points: bool) -> pd.DataFrame:
    """The same for one series that has every period, without a join: the overview asks it of every KPI."""
    value, complete = frame["value"].to_numpy(dtype="float64", na_value=np.nan), frame["complete"].to_numpy(dtype=bool)
    comparison, both = np.full(len(frame), np.nan), np.zeros(len(frame), dtype=bool)
    comparison[count:], both[count:] = value[:-count], complete[count:] & complete[:-count]
    difference = np.where(both, value - comparison, np.nan)
    change = difference if points else np.where(both, relative_change(value, comparison), np.nan)
    return frame.assign(comparison=comparison, difference=difference, change=change)
