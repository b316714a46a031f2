"""What a KPI should be at a period, and the grain that it is judged by."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from metrics.catalog.models.kpi import KpiCommon
from metrics.catalog.models.values import GRAINS, Since, Target, period_key

if TYPE_CHECKING:  # loaded where a period is compared: whoever only reads definitions has none
    import pandas as pd

THURSDAY = 3  # days after Monday: a week is named by the Thursday in it
Begins = Callable[[Since | None], "pd.Timestamp | None"]  # `since` → the first moment that is judged; None = not yet


def as_stated(since: Since | None) -> pd.Timestamp:
    """`since` where a day is written; else ever."""
    import pandas as pd

    return pd.Timestamp(since) if isinstance(since, date) else pd.Timestamp.min


def target_at(
    kpi: KpiCommon,
    period: pd.Timestamp,
    grain: str,
    begins: Begins = as_stated,
    *,
    at: pd.Timestamp | None = None,
) -> float | None:
    """The target of a period of this grain; None if none is stated for it, or none has begun `at` that moment.

    Of several that have begun, the one that began last. at: default the period's first moment.
    """
    moment = period if at is None else at
    mine = [(begins(target.since), target) for target in kpi.targets if (target.grain or kpi.grain) == grain]
    begun = [(start, target) for start, target in mine if start is not None and moment >= start]
    if not begun:
        return None
    target = max(begun, key=lambda item: (item[1].since is not None, item[0]))[1]
    return target.value if target.value is not None else _on_path(target, period, grain)


def target_grain(kpi: KpiCommon) -> str:
    """The grain by which a KPI is held against its targets: its home grain, if one is stated for that, else the
    shortest one stated. A value to date is held, at home, against its part of a longer period's target.
    """
    stated = {target.grain or kpi.grain for target in kpi.targets}
    if not stated or kpi.grain in stated or kpi.to_date_grain in stated:
        return kpi.grain
    return min(stated, key=GRAINS.index)


def _on_path(target: Target, period: pd.Timestamp, grain: str) -> float:
    """A path holds its first and last value outward."""
    import pandas as pd

    at = _monday(period) if grain == "week" else period
    points = sorted((pd.Timestamp(period_key(key)[1]), value) for key, value in target.path.items())
    if at <= points[0][0]:
        return points[0][1]
    for (left, low), (right, high) in pairwise(points):
        if left <= at < right:
            return low if target.between == "step" else low + (high - low) * ((at - left) / (right - left))
    return points[-1][1]


def _monday(week: pd.Timestamp) -> pd.Timestamp:
    """The Monday of the ISO week that a week is named by."""
    thursday: pd.Timestamp = week + timedelta(days=(THURSDAY - week.weekday()) % 7)
    return thursday - timedelta(days=THURSDAY)
