"""The numbers of one KPI in one week: nothing that was not final when the week ended."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from connectors.errors import QueryRefused
from metrics.alerts.kpi_expectation import expected_of
from metrics.catalog.models.kpi import KpiCommon
from metrics.catalog.models.values import GRAINS
from metrics.catalog.targets import Begins, target_at
from metrics.engine import periods
from metrics.engine.beginning import begins_of
from metrics.engine.frames import known_value
from metrics.engine.maturity import final_at
from metrics.engine.query import Filter
from metrics.presentation import export
from metrics.presentation import format as fmt
from metrics.snapshots.document import Point
from metrics.snapshots.inputs import WeekInputs
from metrics.snapshots.week import Week
from metrics.transforms.percent_change import relative_change

WEEKS, MONTHS = 6, 12  # the working-backwards form
A_WEEK = {"hour": 168, "day": 7}  # home periods that a value is held against: a week, else one period


@dataclass(frozen=True)
class Expected:
    """What the value was expected to be, from those before it. odd: how far off, in noises; positive = above."""

    low: float
    high: float
    odd: float
    ready: bool


@dataclass
class Numbers:
    """One KPI (and segment) up to the end of one week."""

    inputs: WeekInputs
    kpi: KpiCommon
    where: tuple[Filter, ...]
    week: Week

    def __post_init__(self) -> None:
        """Raises KpiError where the KPI has no value at all."""
        self.series = self.inputs.series(self.kpi.name, self.kpi.grain, self.where)
        self._begins: dict[str, Begins] = {}
        self.final = self.rows(self.kpi.grain)

    @cached_property
    def last(self) -> pd.Series | None:
        """The row that the snapshot speaks of."""
        return None if self.final.empty else self.final.iloc[-1]

    @cached_property
    def before(self) -> pd.Series | None:
        """The row it is held against: a week before, or the period before where periods are longer."""
        if self.last is None:
            return None
        at = periods.after(self.last["period"], self.kpi.grain, -A_WEEK.get(self.kpi.grain, 1))
        found = self.final[self.final["period"] == at]
        return None if found.empty else found.iloc[0]

    @property
    def parts(self) -> dict[str, Any]:
        """What its type says beside the value."""
        return export.in_parts(self.series, self.last["parts"]) if self.last is not None else {}

    @cached_property
    def sides(self) -> tuple[float | None, float | None]:
        """The value, and the one it is held against; None = unknown."""
        now, then = (None if row is None else known_value(row["value"]) for row in (self.last, self.before))
        return now, then

    @property
    def change(self) -> float | None:
        """Relative, or in points; None if it is unknown."""
        now, then = self.sides
        if now is None or then is None:
            return None
        return known_value(now - then if self.kpi.changes_in_points else relative_change(now, then))

    @property
    def change_text(self) -> str:
        """The change in words; empty if it is unknown."""
        return fmt.change_text(*self.sides, self.kpi)

    @cached_property
    def expected(self) -> Expected | None:
        """By the same expected range that alerts have; None where too little is known."""
        if self.last is None or len(self.final) < 2:
            return None
        frame, kpi = self.final, self.kpi
        value, n = (frame[name].to_numpy("float64", na_value=np.nan) for name in ("value", "n"))
        country = kpi.holidays or self.inputs.country
        index = pd.DatetimeIndex(frame["period"])
        found, _ = expected_of(kpi, self.inputs.catalogue, index, value, n, country=country)
        low, high, odd = (float(part[-1]) for part in (found.low, found.high, found.z))
        if any(math.isnan(part) for part in (low, high, odd)):
            return None
        return Expected(low, high, odd, bool(found.ready[-1]))

    def weeks(self) -> tuple[tuple[Point, ...], str]:
        """The last six complete weeks, and what a reader must know of them."""
        return self._points("week", WEEKS)

    def months(self) -> tuple[tuple[Point, ...], str]:
        """The last twelve complete months."""
        return self._points("month", MONTHS)

    def _points(self, grain: str, count: int) -> tuple[tuple[Point, ...], str]:
        kpi = self.kpi
        rows = self._exact(grain)
        if rows is not None:
            return tuple(self._point(row["period"], row["value"], grain) for _, row in rows.tail(count).iterrows()), ""
        if GRAINS.index(kpi.grain) > GRAINS.index(grain):
            return (), f"Counted by {kpi.grain}."
        spans = self._spans(grain, count)
        ends = pd.DatetimeIndex(self.final["period"]) + periods.OFFSETS[kpi.grain]
        found = []
        for start, end in spans:
            inside = self.final[(ends > start) & (ends <= end)]
            if len(inside):
                found.append(self._point(start, inside.iloc[-1]["value"], grain))
        return tuple(found), f"By {kpi.grain}: the value of the last {kpi.grain} of each {grain}."

    def _exact(self, grain: str) -> pd.DataFrame | None:
        """Rows of a grain that the KPI offers; None where it has none that can stand beside those of its home grain."""
        if grain != self.kpi.grain and self.kpi.longer(self.inputs.catalogue.kpis) == "other":
            return None  # 17 a week beside 7 a day read as if it had more than doubled
        try:
            return self.rows(grain) if grain in self.kpi.offered_grains else None
        except QueryRefused:  # one of its parts has none
            return None

    def _spans(self, grain: str, count: int) -> list[tuple[pd.Timestamp, pd.Timestamp]]:
        """The last periods of a longer grain that were over when the week ended."""
        start = periods.floor(self.week.end, grain, self.inputs.catalogue.week_start_days)
        firsts = [periods.after(start, grain, -back) for back in range(count, 0, -1)]
        return [(first, periods.after(first, grain)) for first in firsts]

    def _point(self, period: pd.Timestamp, value: float, grain: str) -> Point:
        known = None if pd.isna(value) else float(value)
        target = None if self.where else self.target(period, grain)
        name = f"{period:%b %Y}" if grain == "month" else fmt.period_text(period, grain, self.week.last.year)
        return Point(period=period.date(), name=name, value=known, text=fmt.value_text(known, self.kpi), target=target)

    def target(self, period: pd.Timestamp, grain: str) -> float | None:
        """The target of a period, if one is stated for its grain and has begun."""
        if all((target.grain or self.kpi.grain) != grain for target in self.kpi.targets):
            return None
        if grain not in self._begins:
            self._begins[grain] = begins_of(self.kpi, self.inputs.catalogue, self.rows(grain), grain)
        return target_at(self.kpi, period, grain, self._begins[grain])

    def rows(self, grain: str) -> pd.DataFrame:
        """Rows of a grain whose value was final when the week ended."""
        frame = self.inputs.series(self.kpi.name, grain, self.where).frame
        frame = frame[frame["complete"].to_numpy(dtype=bool)]
        catalogue, mark = self.inputs.catalogue, self.week.end
        if grain == "hour":
            mark = periods.on_clock(self.week.ends_at(catalogue.timezone), "hour", catalogue.timezone)
        count = len(frame)
        while count and final_at(self.kpi, frame["period"].iloc[count - 1], grain, catalogue) > mark:
            count -= 1
        return frame.iloc[:count]
