"""Days on which an expected range keeps quiet: public holidays, planned events, days of 23 or 25 hours."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from functools import lru_cache

import numpy as np
import pandas as pd

from metrics.catalog.holidays import public_holidays
from metrics.catalog.models.launch import Launch
from metrics.engine.periods import after, spine

NEAR_DAYS = 1  # a holiday moves the days beside it, too
PLANNED = ("holiday", "campaign")  # marks that say beforehand that numbers will be different


def muted(periods: pd.DatetimeIndex, grain: str, zone: str, country: str, events: Iterable[Launch]) -> np.ndarray:
    """Which periods keep quiet; none of a week or longer, because a holiday is lost in them."""
    if grain not in ("hour", "day") or periods.empty:
        return np.zeros(len(periods), dtype=bool)
    planned = tuple((e.starts_on, e.until or e.starts_on) for e in events if e.kind in PLANNED)
    days = _quiet_days(periods[0].year - 1, periods[-1].year + 1, country, planned)
    return np.asarray(_muted(periods[0], periods[-1], grain, zone, days).reindex(periods), dtype=bool)


@lru_cache(maxsize=64)
def _quiet_days(first: int, last: int, country: str, planned: tuple[tuple[date, date], ...]) -> frozenset[pd.Timestamp]:
    near = [pd.Timedelta(days=step) for step in range(-NEAR_DAYS, NEAR_DAYS + 1)]
    holidays = public_holidays(country, first, last) if country else frozenset()
    found = {day + step for day in holidays for step in near}
    return frozenset(found.union(*(pd.date_range(start, end, freq="D") for start, end in planned)))


@lru_cache(maxsize=64)
def _muted(first: pd.Timestamp, last: pd.Timestamp, grain: str, zone: str, quiet: frozenset[pd.Timestamp]) -> pd.Series:
    """Whether each period of a range keeps quiet; the KPIs of one dataset share the answer."""
    periods = spine(first, after(last, grain), grain)
    local = periods.tz_localize("UTC").tz_convert(zone).tz_localize(None) if grain == "hour" else periods
    found = np.asarray(local.normalize().isin(list(quiet)), dtype=bool)
    return pd.Series(found | (hours_of(periods, zone) != 24) if grain == "day" else found, index=periods)


def hours_of(days: pd.DatetimeIndex, zone: str) -> np.ndarray:
    """Hours that each local day has: 23 or 25 where clocks are set. days: one after the other."""
    return _hours(days[0], days[-1], zone) if len(days) else np.zeros(0)


@lru_cache(maxsize=64)
def _hours(first: pd.Timestamp, last: pd.Timestamp, zone: str) -> np.ndarray:
    edges = pd.date_range(first, last + pd.Timedelta(days=1), freq="D")
    at = edges.tz_localize(zone, ambiguous="NaT", nonexistent="shift_forward")
    hours = (at[1:] - at[:-1]) / pd.Timedelta(hours=1)
    return np.asarray(np.nan_to_num(hours.to_numpy(), nan=24.0))
