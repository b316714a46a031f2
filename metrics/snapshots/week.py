"""One week of a project: 2026-W46, with its first and last day on the project's calendar."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pandas as pd

from connectors.errors import QueryRefused
from metrics.presentation.format import period_text

THURSDAY = 3  # days after Monday: the ISO week of a date is that of its week's Thursday


@dataclass(frozen=True, order=True)
class Week:
    """start: its first day at 0:00, naive, local; end: exclusive. name: 2026-W46, by the Thursday in it."""

    start: pd.Timestamp

    @property
    def end(self) -> pd.Timestamp:
        """The first moment after it."""
        return self.start + pd.Timedelta(days=7)

    @property
    def name(self) -> str:
        """2026-W46."""
        thursday = self.start + timedelta(days=(THURSDAY - self.start.weekday()) % 7)
        year, number, _ = thursday.isocalendar()
        return f"{year}-W{number:02d}"

    @property
    def first(self) -> date:
        """First day."""
        day: date = self.start.date()
        return day

    @property
    def last(self) -> date:
        """Last day."""
        day: date = (self.end - pd.Timedelta(days=1)).date()
        return day

    def later(self, weeks: int) -> Week:
        """The week so many later (earlier if negative)."""
        return Week(self.start + pd.Timedelta(days=7 * weeks))

    def ends_at(self, zone: str) -> datetime:
        """The instant of its end."""
        at: datetime = self.end.tz_localize(zone, ambiguous=False, nonexistent="shift_forward").to_pydatetime()
        return at


def named(text: str, week_start_days: int = 0) -> Week:
    """`2026-W46` as a week. Raises QueryRefused."""
    match = re.fullmatch(r"(\d{4})-?W(\d{1,2})", text.strip())
    try:
        if not match:
            raise ValueError(text)
        thursday = pd.Timestamp.fromisocalendar(int(match[1]), int(match[2]), THURSDAY + 1)
    except ValueError:
        raise QueryRefused(f"'{text}' is no week", hint="Write a year and its ISO week, such as 2026-W46.") from None
    return of(thursday, week_start_days)


def week_of(name: str, week_start_days: int = 0) -> str:
    """`2026-W47` as people call it: `16–22 Nov 2026`."""
    return period_text(named(name, week_start_days).start, "week", 0)


def of(day: pd.Timestamp, week_start_days: int = 0) -> Week:
    """The week that a day lies in."""
    at = day.normalize()
    return Week(at - pd.Timedelta(days=(at.weekday() - week_start_days) % 7))


def last_over(now: datetime, zone: str, week_start_days: int = 0) -> Week:
    """The last week that is over at an instant."""
    local = pd.Timestamp(now.astimezone(ZoneInfo(zone)).replace(tzinfo=None))
    return of(local, week_start_days).later(-1)
