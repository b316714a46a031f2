"""The expected range of a KPI, quiet on its holidays and planned events: rules, pages and snapshots share it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from metrics.alerts import calendars
from metrics.alerts.expected_range import Expectation, expectation
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.kpi import KpiCommon
from metrics.engine import types

FEW, AROUND = 20, 28  # below so many, in the middle of the last ones, a count is small


def expected_of(  # noqa: PLR0913 (a series by its parts, and what a rule says of it)
    kpi: KpiCommon,
    catalogue: Catalogue,
    index: pd.DatetimeIndex,
    value: np.ndarray,
    n: np.ndarray,
    *,
    country: str,
    sensitivity: str = "default",
    few: np.ndarray | None = None,
    normal_from: Sequence[pd.Timestamp] = (),
) -> tuple[Expectation, np.ndarray]:
    """What was expected of complete periods of the home grain, and which of them keep quiet.

    country: of the holidays. few: periods with too little behind them; normal_from: see `expectation`.
    """
    events = [event for event in catalogue.launches if event.concerns(kpi.name, kpi.area)]
    quiet = calendars.muted(index, kpi.grain, catalogue.timezone, country, events)
    found = expectation(
        pd.Series(value, index=index),
        kpi.grain,
        zone=catalogue.timezone,
        sensitivity=sensitivity,
        muted=quiet if few is None else quiet | few,
        n=n if kpi.is_rate else None,
        rate=kpi.is_rate,
        normal_from=normal_from,
        sampling=_sampling(kpi, value, n),
    )
    return found, quiet


def _sampling(kpi: KpiCommon, value: np.ndarray, n: np.ndarray) -> np.ndarray | None:
    """Sampling variance of each value: of scores, and of counts while they are small. None: of neither."""
    if kpi.is_rate:
        return None
    found = types.sampling(kpi, pd.DataFrame({"value": value, "n": n}))
    if not kpi.is_score:
        few = pd.Series(value).rolling(AROUND, min_periods=1).median().to_numpy("float64") < FEW
        found = np.where(few, found, np.nan)
    return None if np.isnan(found).all() else found
