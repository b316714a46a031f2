"""What else happened to a KPI before a launch: steps of other launches, days of campaigns and incidents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.kpi import KpiCommon
from metrics.catalog.models.launch import READINGS, Launch
from metrics.engine import periods

PASSING = ("campaign", "incident")  # what ends, and leaves no step
LONGEST = 28  # days of what passes; a longer one is part of what is usual


@dataclass(frozen=True)
class HistoryMark:
    """A launch, campaign or incident before the one that is read: its days, both included."""

    name: str
    kind: str
    first: date
    last: date

    @property
    def words(self) -> str:
        """`summer_sale, 2026-08-14, 2026-08-27`."""
        return f"{self.name}, {self.first}, {self.last}"


def history_marks(launch: Launch, kpi: KpiCommon, catalogue: Catalogue) -> tuple[HistoryMark, ...]:
    """Marks that concern the KPI and began before the launch; of launches the days until their effect has arrived."""
    found = []
    for other in catalogue.launches:
        if other.name == launch.name or other.starts_on >= launch.starts_on or not other.concerns(kpi.name, kpi.area):
            continue
        if other.kind == "launch":
            arrived = max(step.on for step in other.rollout) if other.rollout else other.starts_on
            last = arrived + timedelta(days=READINGS[-1] - 1)
            found.append(HistoryMark(other.name, other.kind, other.starts_on, last))
        elif other.kind in PASSING:
            last = min(other.until or other.starts_on, launch.starts_on - timedelta(days=1))
            if (last - other.starts_on).days < LONGEST:
                found.append(HistoryMark(other.name, other.kind, other.starts_on, last))
    return tuple(found)


def within(index: pd.DatetimeIndex, marks: Sequence[HistoryMark], grain: str) -> NDArray[np.bool_]:
    """Which periods have a day of any of them."""
    found = np.zeros(len(index), dtype=bool)
    ends = np.array([periods.after(period, grain) for period in index], dtype="datetime64[ns]")
    for mark in marks:
        first, last = pd.Timestamp(mark.first), pd.Timestamp(mark.last)
        found |= np.asarray(index <= last) & (ends > first.to_datetime64())
    return found
