"""To date: the running period against the part of the one before that had passed by then, in whole days."""

from __future__ import annotations

import dataclasses

import pandas as pd

from connectors.errors import QueryRefused
from metrics.catalog.models.kpi import KpiCommon
from metrics.engine import frames, periods, types
from metrics.engine.query import Scope
from metrics.transforms.percent_change import relative_change

LONG = ("week", "month", "quarter", "year")


@dataclasses.dataclass(frozen=True)
class Elapsed:
    """The running period, how many whole days of it are over, and how many it has."""

    period: pd.Timestamp
    days: int
    of: int


def running(kpi: KpiCommon, scope: Scope) -> Elapsed | None:
    """The period that the watermark lies in; None if none of its days is over, or if it ends there."""
    if scope.grain not in LONG:
        raise QueryRefused(
            f"to date compares whole days of a longer period, and a {scope.grain} has none",
            where=kpi.name,
            hint="Ask at grain week, month, quarter or year.",
        )
    mark = frames.watermark(scope, scope.catalogue.datasets_of(kpi), scope.grain)
    if mark is None:
        return None
    period = periods.floor(mark, scope.grain, scope.week_start_days)
    days = (periods.floor(mark, "day") - period).days
    return Elapsed(period, days, (periods.after(period, scope.grain) - period).days) if days else None


def with_to_date(frame: pd.DataFrame, kpi: KpiCommon, scope: Scope, *, points: bool) -> pd.DataFrame:
    """`frame` with what `compared` adds, of the running period by equal parts, where those have exact values."""
    found = running(kpi, scope)
    if found is None or found.period < scope.start or found.period >= scope.end:
        return frame
    before = periods.after(found.period, scope.grain, -1)
    # A shorter month: its 28 days stand against the first 28 only.
    days = min(found.days, (found.period - before).days)
    try:
        now, then = (_part(kpi, scope, start, days) for start in (found.period, before))
    except QueryRefused:
        return frame
    at = frame["period"] == found.period
    comparison = frame["segment"].map(then)
    value = frame["segment"].map(now)
    difference = value - comparison
    told = {"comparison": comparison, "difference": difference}
    told["change"] = difference if points else relative_change(value, comparison)
    return frame.assign(**{name: frame[name].where(~at, column) for name, column in told.items()})


def _part(kpi: KpiCommon, scope: Scope, start: pd.Timestamp, days: int) -> pd.Series:
    """Segment → the value of the first days of a period, where all of them were observed."""
    end = start + pd.Timedelta(days=days)
    if kpi.runs_on or kpi.trailing_window is not None:  # the value that its last day had
        daily = types.facts(kpi, dataclasses.replace(scope, grain="day", start=end - pd.Timedelta(days=1), end=end))
        return _whole(daily)
    if kpi.coarser_by:
        raise QueryRefused("a mean of periods has no value of a part of one")
    whole = types.facts(kpi, dataclasses.replace(scope, grain=periods.TOTAL, start=start, end=end))
    return _whole(whole)


def _whole(frame: pd.DataFrame) -> pd.Series:
    return frame.set_index("segment")["value"].where(frame["complete"].to_numpy(dtype=bool))
