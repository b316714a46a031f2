"""Days on which an expected range keeps quiet: public holidays, planned events, days of 23 or 25 hours."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import numpy as np
import pandas as pd

from metrics.catalog.launch import Launch

NEAR_DAYS = 1  # a holiday moves the days beside it, too
PLANNED = ("holiday", "campaign")  # marks that say beforehand that numbers will be different


@lru_cache(maxsize=64)
def public_holidays(country: str, first: int, last: int) -> frozenset[pd.Timestamp]:
    """Public holidays of a country (DE) or a part of it (DE-BY), years inclusive. Raises NotImplementedError."""
    import holidays  # 0.13 s that most commands never need

    code, _, part = country.partition("-")
    found = holidays.country_holidays(code, subdiv=part or None, years=range(first, last + 1))
    return frozenset(pd.Timestamp(day) for day in found)


def known_country(country: str) -> bool:
    """Whether a holiday calendar of that name exists."""
    try:
        public_holidays(country, 2020, 2020)
    except (NotImplementedError, KeyError):
        return False
    return True


def muted(periods: pd.DatetimeIndex, grain: str, zone: str, country: str, events: Iterable[Launch]) -> np.ndarray:
    """Which periods keep quiet; none of a week or longer, because a holiday is lost in them."""
    if grain not in ("hour", "day") or periods.empty:
        return np.zeros(len(periods), dtype=bool)
    local = periods.tz_localize("UTC").tz_convert(zone).tz_localize(None) if grain == "hour" else periods
    days = local.normalize()
    quiet = set[pd.Timestamp]()
    if country:
        for day in public_holidays(country, days[0].year - 1, days[-1].year + 1):
            quiet |= {day + pd.Timedelta(days=step) for step in range(-NEAR_DAYS, NEAR_DAYS + 1)}
    for event in events:
        if event.kind in PLANNED:
            quiet |= set(pd.date_range(event.starts_on, event.until or event.starts_on, freq="D"))
    found = np.asarray(days.isin(list(quiet)), dtype=bool)
    return found | (hours_of(days, zone) != 24) if grain == "day" else found


def hours_of(days: pd.DatetimeIndex, zone: str) -> np.ndarray:
    """Hours that each local day has: 23 or 25 where clocks are set."""
    edges = [
        day.tz_localize(zone, ambiguous="NaT", nonexistent="shift_forward")
        for day in (days, days + pd.Timedelta(days=1))
    ]
    hours = (edges[1] - edges[0]) / pd.Timedelta(hours=1)
    return np.asarray(np.nan_to_num(hours.to_numpy(), nan=24.0))
