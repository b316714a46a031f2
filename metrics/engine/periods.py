"""Periods: grains, their bounds on the project's clock, spines.

A period is its first moment as a naive timestamp: local time of the project's zone, except hours, which
are UTC, so that the hour that daylight saving repeats stays two.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import pandas as pd

from connectors.errors import QueryRefused

TOTAL = "total"
OFFSETS: Mapping[str, pd.DateOffset] = {
    "hour": pd.DateOffset(hours=1),
    "day": pd.DateOffset(days=1),
    "week": pd.DateOffset(days=7),
    "month": pd.DateOffset(months=1),
    "quarter": pd.DateOffset(months=3),
    "year": pd.DateOffset(years=1),
}
FREQUENCIES = {"hour": "h", "day": "D", "week": "7D", "month": "MS", "quarter": "QS", "year": "YS"}
# One year back, keeping the weekday where it matters: 364 days.
YEAR_BACK = {"hour": 364 * 24, "day": 364, "week": 52, "month": 12, "quarter": 4, "year": 1}
# How many periods of the first grain one of the second has, where that is always the same.
WHOLE = {
    ("hour", "hour"): 1,
    ("hour", "day"): 24,
    ("hour", "week"): 168,
    ("day", "day"): 1,
    ("day", "week"): 7,
    ("week", "week"): 1,
    ("month", "month"): 1,
    ("month", "quarter"): 3,
    ("month", "year"): 12,
    ("quarter", "quarter"): 1,
    ("quarter", "year"): 4,
    ("year", "year"): 1,
}


def on_clock(at: datetime, grain: str, zone: str) -> pd.Timestamp:
    """A UTC instant on the clock that `grain` counts in, naive."""
    clock = UTC if grain == "hour" else ZoneInfo(zone)
    return pd.Timestamp(at.astimezone(clock).replace(tzinfo=None))


def floor(at: pd.Timestamp, grain: str, week_start_days: int = 0) -> pd.Timestamp:
    """The first moment of the period that holds `at`."""
    if grain == "hour":
        return at.floor("h")
    day = at.normalize()
    if grain == "week":
        return day - pd.Timedelta(days=(day.weekday() - week_start_days) % 7)
    if grain == "month":
        return day.replace(day=1)
    if grain == "quarter":
        return day.replace(month=3 * ((day.month - 1) // 3) + 1, day=1)
    return day.replace(month=1, day=1) if grain == "year" else day


@lru_cache(maxsize=4096)
def after(period: pd.Timestamp, grain: str, count: int = 1) -> pd.Timestamp:
    """The period `count` later (earlier if negative)."""
    return period + OFFSETS[grain] * count


def ceil(at: pd.Timestamp, grain: str, week_start_days: int = 0) -> pd.Timestamp:
    """The first period that starts at or after `at`."""
    start = floor(at, grain, week_start_days)
    return start if start == at else after(start, grain)


def elapsed(at: pd.Timestamp, span: timedelta, grain: str, zone: str) -> pd.Timestamp:
    """The moment `span` after a moment of the grain's clock, by a clock that is never set."""
    if grain == "hour":
        return at + span
    instant = at.tz_localize(zone, ambiguous=False, nonexistent="shift_forward").tz_convert("UTC") + span
    return instant.tz_convert(zone).tz_localize(None)


@lru_cache(maxsize=512)
def spine(start: pd.Timestamp, end: pd.Timestamp, grain: str) -> pd.DatetimeIndex:
    """Every period of [start, end); `start` is a period."""
    if start >= end:
        return pd.DatetimeIndex([], dtype="datetime64[us]")
    return pd.date_range(start, end, freq=FREQUENCIES[grain], inclusive="left", unit="us")


def ends(periods: pd.DatetimeIndex, grain: str) -> pd.DatetimeIndex:
    """The end of each period, exclusive."""
    if grain in ("month", "quarter", "year"):
        return pd.DatetimeIndex(periods + OFFSETS[grain])
    days = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(days=7)}
    return periods + days[grain]


def floors(column: pd.Series, grain: str, week_start_days: int = 0) -> pd.Series:
    """The period of `grain` that each moment of a column lies in; NaT for total."""
    if grain == TOTAL:
        return pd.Series(pd.NaT, index=column.index, dtype="datetime64[us]")
    if grain == "hour":
        found = column.dt.floor("h")
    elif grain in ("day", "week"):
        found = column.dt.normalize()
        if grain == "week":
            found = found - pd.to_timedelta((found.dt.day_of_week - week_start_days) % 7, unit="D")
    else:
        found = column.dt.to_period({"month": "M", "quarter": "Q", "year": "Y"}[grain]).dt.start_time
    return found.astype("datetime64[us]")


def shifted(column: pd.Series, grain: str, count: int) -> pd.Series:
    """A column of periods, each `count` periods later."""
    return (column + OFFSETS[grain] * count).astype("datetime64[us]")


def known_complete(column: pd.Series) -> pd.Series:
    """Whether each period is complete, of a column that a join left without some: those are not. dtype bool."""
    return column.astype(object).eq(True)


def offset_periods(grain: str, count: int, of: str) -> int:
    """How many `grain` periods `count` × `of` are. Raises QueryRefused where that is no whole number."""
    if (grain, of) not in WHOLE:
        raise QueryRefused(
            f"an offset of {count} {of} is no whole number of {grain}s",
            hint=f"Ask at another grain, or write the offset in {grain}s.",
        )
    return count * WHOLE[(grain, of)]


def parse_day(text: str, *, where: str) -> date:
    """`2026-11-23` as a date. Raises QueryRefused."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise QueryRefused(f"{where} '{text}' is not a date", hint="Write it as 2026-11-23.") from None
