"""Which periods of a KPI are held against which, so that it can be said where a change sits.

An incident: its periods against the level before it. Else the last change outside the expected range, else the newest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from connectors.errors import counted
from metrics.alerts.kpi_expectation import expected_of
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.kpi import KpiCommon
from metrics.engine import drivers, periods
from metrics.presentation import format as fmt

SEASON = {"hour": 168, "day": 7}  # periods after which the shape repeats; the others have none
BEFORE = {"hour": 672, "day": 28, "week": 8, "month": 6, "quarter": 4, "year": 2}  # periods that are the level before
RECENT = {"hour": 48, "day": 14, "week": 4, "month": 3, "quarter": 2, "year": 1}  # in which a change is still news
LOOKED_AT = 2000  # periods that an expected range is read from: of hours, twelve weeks


@dataclass(frozen=True)
class Opened:
    """An incident: its first and last period, and which way it fails: -1 too low, 1 too high, 0 = not told apart."""

    first: pd.Timestamp
    last: pd.Timestamp
    side: int = 0


@dataclass(frozen=True)
class Comparison:
    """Periods of a grain held against earlier ones, rising.

    since: the first of the periods that are unlike those before; incident: whether a rule calls them so.
    usual: whether the change is an ordinary one; None = nobody can tell yet.
    """

    grain: str
    after: tuple[pd.Timestamp, ...]
    before: tuple[pd.Timestamp, ...]
    since: pd.Timestamp
    incident: bool = False
    usual: bool | None = False

    def sides(self, frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Rows of an answer: before, after."""
        done, at = frame["complete"].to_numpy(dtype=bool), frame["period"].to_numpy("datetime64[us]")
        moments = [np.array(side, dtype="datetime64[us]") for side in self.both]
        before, after = (frame[done & np.isin(at, side)] for side in moments)
        return before, after

    @property
    def both(self) -> tuple[tuple[pd.Timestamp, ...], tuple[pd.Timestamp, ...]]:
        """before, after."""
        return self.before, self.after

    def words(self, year: int) -> str:
        """`16–22 Nov against the 8 weeks before the incident of 9 Nov`."""
        first, last = (fmt.period_text(side, self.grain, year) for side in (self.after[0], self.after[-1]))
        shown = first if len(self.after) == 1 else f"{first} to {last}"
        return f"{shown} against {self._level()}{self._since(year)}"

    def _level(self) -> str:
        count = len(self.before)
        if count == 1:
            near = self.grain not in SEASON or periods.after(self.before[0], self.grain) == self.after[0]
            return f"the {self.grain} before" if near else f"the same {self._place} a week before"
        if self.grain not in SEASON:
            return f"the {count} {self.grain}s before"
        weeks = (self.before[-1] - self.before[0]) // pd.Timedelta(days=7) + 1
        length = counted(weeks, "week") if weeks > 1 else "week"
        if len(self.after) >= SEASON[self.grain]:
            return f"the {length} before"
        return f"the same {self._place}{'s' if len(self.after) > 1 else ''} of the {length} before"

    @property
    def _place(self) -> str:
        return "weekday" if self.grain == "day" else "hour"

    def _since(self, year: int) -> str:
        if not self.incident and self.since == self.after[0]:
            return ""
        shown = fmt.period_text(self.since, self.grain, year)
        if self.grain == "week":
            shown = f"{self.since:%-d %b}" + (f" {self.since.year}" if self.since.year != year else "")
        return f" the incident of {shown}" if self.incident else f" {shown}"


def of_incident(whole: pd.DataFrame, kpi: KpiCommon, grain: str, incident: Opened) -> Comparison | None:
    """The last periods of an incident, at most a week of days or hours, against the level before it.

    whole: rows of the KPI at that grain, of the segment that fails. None where the level before is not known, or the
    change from it does not go the way that the incident does.
    """
    done = _known(whole)
    at = done[(done >= incident.first) & (done <= incident.last)][-SEASON.get(grain, 1) :]
    for count in (BEFORE[grain], SEASON.get(grain, 1)):  # what grows may be above its level of weeks ago, yet too low
        earlier = _level_before(done, at, incident.first, grain, count)
        if not len(at) or not len(earlier):
            continue
        found = Comparison(grain, tuple(at), tuple(earlier), incident.first, incident=True)
        split = change_of(whole, kpi, found)
        if split is not None and split.change and incident.side * split.change >= 0:
            return replace(found, usual=_ordinary(whole, found))
    return None


def without_incident(whole: pd.DataFrame, kpi: KpiCommon, catalogue: Catalogue, country: str) -> Comparison | None:
    """The last change outside the expected range, of those that are recent; else the newest one."""
    done, grain = _known(whole), kpi.grain
    outside, ready = _outside(whole, kpi, catalogue, country)
    for last in sorted((place for place in outside if place >= len(done) - RECENT[grain]), reverse=True):
        first = last
        while outside.get(first - 1) == outside[last]:
            first -= 1
        found = of_incident(whole, kpi, grain, Opened(done[first], done[last], outside[last]))
        if found is not None and not found.usual:
            return replace(found, incident=False)
    if len(done) < 2 or periods.after(done[-2], grain) != done[-1]:
        return None
    return Comparison(grain, (done[-1],), (done[-2],), done[-1], usual=True if ready else None)


def change_of(whole: pd.DataFrame, kpi: KpiCommon, compared: Comparison) -> drivers.Split | None:
    """The change itself, as a split of one part; None where parts of it would not add up."""
    return drivers.between("", *compared.sides(whole), adds_up=kpi.additivity != "non-additive")


def _known(whole: pd.DataFrame) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(whole.loc[whole["complete"] & whole["value"].notna(), "period"])


def _level_before(
    done: pd.DatetimeIndex, at: pd.DatetimeIndex, first: pd.Timestamp, grain: str, count: int
) -> pd.DatetimeIndex:
    """Periods before an incident; of days and hours those of the same place in the week, if there are any."""
    earlier = done[(done < first) & (done >= periods.after(first, grain, -count))]
    if grain not in SEASON:
        return earlier
    week = pd.Timedelta(days=7)
    places = {(period - pd.Timestamp(0)) % week for period in at}
    same = earlier[[(period - pd.Timestamp(0)) % week in places for period in earlier]]
    return same if len(same) else earlier


def _ordinary(whole: pd.DataFrame, compared: Comparison) -> bool:
    """Whether the level is what single periods before had, too."""
    if len(compared.before) == 1:
        return False
    before, after = compared.sides(whole)
    return bool(before["value"].min() <= after["value"].mean() <= before["value"].max())


def _outside(whole: pd.DataFrame, kpi: KpiCommon, catalogue: Catalogue, country: str) -> tuple[dict[int, int], bool]:
    """Place of each known period outside of its expected range → its side; and whether the last one could be told."""
    frame = whole[whole["complete"].to_numpy(dtype=bool)].tail(LOOKED_AT)
    index = pd.DatetimeIndex(frame["period"])
    if not len(index):
        return {}, False
    value, n = (frame[name].to_numpy("float64", na_value=np.nan) for name in ("value", "n"))
    found, quiet = expected_of(kpi, catalogue, index, value, n, country=kpi.holidays or country)
    odd = found.ready & ~quiet & (np.nan_to_num(np.abs(found.z)) >= found.limit)
    places = {period: place for place, period in enumerate(_known(whole))}
    sides = {places[at]: int(np.sign(z)) for at, z, is_odd in zip(index, found.z, odd, strict=True) if is_odd}
    return sides, bool(found.ready[-1])
