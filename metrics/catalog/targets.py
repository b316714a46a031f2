"""What a KPI should be at a period."""

from __future__ import annotations

import re
from itertools import pairwise

import pandas as pd

from metrics.catalog.models.kpi import KpiCommon
from metrics.catalog.models.values import Target


def target_at(kpi: KpiCommon, period: pd.Timestamp, grain: str) -> float | None:
    """The target of a period of this grain; None if none is stated for it.

    A target without a grain is meant for the home grain. A path holds its first and last value outward.
    """
    for target in kpi.targets:
        if (target.grain or kpi.grain) == grain or (target.path and kpi.grain == grain):
            return target.value if target.value is not None else _on_path(target, period)
    return None


def _on_path(target: Target, period: pd.Timestamp) -> float:
    points = sorted((path_day(key), value) for key, value in target.path.items())
    days = [day for day, _ in points]
    if period <= days[0]:
        return points[0][1]
    for (left, low), (right, high) in pairwise(points):
        if left <= period < right:
            return low if target.between == "step" else low + (high - low) * ((period - left) / (right - left))
    return points[-1][1]


def path_day(key: str) -> pd.Timestamp:
    """First day of 2026-11-23, 2026-W40, 2026-11 or 2026."""
    week = re.fullmatch(r"(\d{4})-W(\d{2})", key)
    if week:
        return pd.Timestamp.fromisocalendar(int(week[1]), int(week[2]), 1)
    return pd.Timestamp(f"{key}-01-01" if len(key) == 4 else key)
