"""From when on a KPI is judged: targets, thresholds and rules hold nothing against what was before it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cache

import numpy as np
import pandas as pd

from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.kpi import KpiCommon
from metrics.catalog.models.launch import Launch
from metrics.catalog.models.values import Since
from metrics.catalog.targets import Begins, target_at
from metrics.engine import periods


@dataclass(frozen=True)
class Beginning:
    """at: the first moment that is judged; None = it has not begun. launch: whose start it is.

    stated: whether a file says so; else it is found in the data. Stated without `at`: the launch is not there.
    """

    at: pd.Timestamp | None
    stated: bool
    launch: Launch | None = None

    def begun(self, period: pd.Timestamp) -> bool:
        """Whether a period is judged."""
        return self.at is not None and period >= self.at


def beginning(since: Since | None, kpi: KpiCommon, catalogue: Catalogue, frame: pd.DataFrame, grain: str) -> Beginning:
    """`since`: a day or a launch's start; else that of the launch that the KPI belongs to, else its first full period.

    frame: the rows of one series, periods of `grain` rising.
    """
    if isinstance(since, str):
        launch = next((item for item in catalogue.launches if item.name == since), None)
        if launch is None:  # not yet, no more, or its file is wrong
            return Beginning(None, stated=True)
        day: date | None = launch.starts_on
    else:
        launch = None if since else catalogue.launch_of(kpi.name)
        day = launch.starts_on if launch else since
    if day is None:
        return Beginning(_first_full(kpi, frame), stated=False)
    return Beginning(_midnight(day, grain, catalogue.timezone), stated=True, launch=launch)


def begins_of(kpi: KpiCommon, catalogue: Catalogue, frame: pd.DataFrame, grain: str) -> Begins:
    """What `since` of a file means for one series; looked up once for each."""
    return cache(lambda since: beginning(since, kpi, catalogue, frame, grain).at)


def paced_target(kpi: KpiCommon, catalogue: Catalogue, period: pd.Timestamp, begins: Begins) -> float | None:
    """What the value should be at the end of a home period: a value to date is held against its share of the days."""
    own = target_at(kpi, period, kpi.grain, begins)
    longer = kpi.to_date_grain
    if own is not None or longer is None or longer == kpi.grain:
        return own
    start = periods.floor(period, longer, catalogue.week_start_days)
    whole = target_at(kpi, start, longer, begins, at=period)
    end, next_start = periods.after(period, kpi.grain), periods.after(start, longer)
    return None if whole is None else whole * ((end - start) / (next_start - start))


def _midnight(day: date, grain: str, zone: str) -> pd.Timestamp:
    """The first moment of a day of the project, on the clock that the grain counts in."""
    start = pd.Timestamp(day)
    if grain != "hour":
        return start
    local = start.tz_localize(zone, ambiguous=True, nonexistent="shift_forward")
    return local.tz_convert("UTC").tz_localize(None)


def _first_full(kpi: KpiCommon, frame: pd.DataFrame) -> pd.Timestamp | None:
    """The first complete period with something in it; the one after where it began among periods of nothing.

    Where less is better, nothing at all is something.
    """
    done = frame["complete"].to_numpy(dtype=bool)
    value = frame["value"].to_numpy("float64", na_value=np.nan)[done]
    counted = np.flatnonzero(~np.isnan(value) & ((value != 0) | (kpi.direction == "down_is_good")))
    if not len(counted):
        return None
    first = int(counted[0])
    first += 1 if first and not np.isnan(value[first - 1]) else 0
    return pd.Timestamp(frame["period"].iat[np.flatnonzero(done)[first]]) if first < len(value) else None
