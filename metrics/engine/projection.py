"""Where the running period would end at the pace of earlier ones: of values that add up within their period.

What it holds so far, times what whole periods before it held for each of the same part of theirs. Nothing is fitted, so
it can be checked by hand. A rate or a mean has no such part: it says what it is so far and no more.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pandas as pd

from connectors.errors import KpiError
from metrics.catalog.models.kpi import KpiCommon
from metrics.engine import periods, types
from metrics.engine.answer import answer, default_scope
from metrics.engine.data_context import DataContext
from metrics.engine.launch_grain import launch_grain
from metrics.engine.query import Filter, Query

MOST, LEAST = 8, 3  # earlier periods that are looked at; fewer say nothing of a range
OF = (np.median, min, max)
SAME_WEEKDAY = 7  # a day is held against those of its weekday


@dataclasses.dataclass(frozen=True)
class Projection:
    """Of the running period, in the KPI's unit. low, high: by the slowest and the fastest pace of `earlier` periods.

    until: up to which moment it is counted so far, on the grain's clock.
    """

    period: pd.Timestamp
    grain: str
    until: pd.Timestamp
    so_far: float
    value: float
    low: float
    high: float
    earlier: int


def projection(
    context: DataContext, kpi: KpiCommon, grain: str = "", where: tuple[Filter, ...] = ()
) -> Projection | None:
    """None where values do not add up within a period of the grain, nothing of it is over, or too little is known."""
    grain = grain or kpi.grain
    runs = kpi.to_date_grain == grain
    if grain == "hour" or not (runs or kpi.longer(context.catalogue.kpis) == "sum"):
        return None
    fine = "hour" if grain == "day" else "day"
    try:
        known = _fine_values(context, kpi, grain, fine, where)
    except KpiError:  # it has no values by such short periods
        return None
    if known.empty:
        return None
    step = pd.Timedelta(hours=1) if fine == "hour" else pd.Timedelta(days=1)
    last = known.index[-1]
    period = periods.floor(last, grain, context.catalogue.week_start_days)
    elapsed = last + step - period
    now = _held(known, period, elapsed, step, runs=runs)
    end = periods.after(period, grain)
    over = periods.on_clock(context.now, "day", context.catalogue.timezone) >= end  # its data is late: it heads nowhere
    if now is None or now <= 0 or period + elapsed >= end or over:
        return None
    paces = list(_paces(known, period, grain, elapsed, step, runs=runs))
    if len(paces) < LEAST:
        return None
    counted = bool((known.dropna() % 1 == 0).all())  # people do not come in parts
    middle, low, high = (round(found) if counted else found for of in OF for found in [now * float(of(paces))])
    return Projection(period, grain, last + step, now, middle, low, high, len(paces))


def _paces(
    known: pd.Series, period: pd.Timestamp, grain: str, elapsed: pd.Timedelta, step: pd.Timedelta, *, runs: bool
) -> Iterator[float]:
    """Of each earlier period, the newest first: all it held for each of what it held after `elapsed`."""
    for back in range(1, MOST + 1):
        start = periods.after(period, grain, -back * (SAME_WEEKDAY if grain == "day" else 1))
        length = periods.after(start, grain) - start
        part = _held(known, start, min(elapsed, length), step, runs=runs)
        whole = _held(known, start, length, step, runs=runs)
        if part is not None and whole is not None and part > 0 and whole > 0:
            yield whole / part


def _held(
    known: pd.Series, start: pd.Timestamp, length: pd.Timedelta, step: pd.Timedelta, *, runs: bool
) -> float | None:
    """What a period holds after a part of it; None where a day (an hour) of it is not known."""
    part = known[(known.index >= start) & (known.index < start + length)]
    missing = length / step - part.index.nunique()  # an hour that clocks leave out is not missing
    if missing > (1 if step < pd.Timedelta(days=1) else 0) or part.isna().any() or part.empty:
        return None
    return float(part.iloc[-1] if runs else part.sum())


def _fine_values(context: DataContext, kpi: KpiCommon, grain: str, fine: str, where: tuple[Filter, ...]) -> pd.Series:
    """Complete values by day, or by hour on the project's clock, as far back as is looked. Raises KpiError."""
    catalogue, reader = context.catalogue, context.reader
    full = default_scope(kpi, fine, catalogue, reader, reader.dataset_states(reader.generation.sequence))
    count = MOST * (SAME_WEEKDAY if grain == "day" else 1) + 1
    start = max(full.start, periods.after(periods.floor(full.end, grain, full.week_start_days), grain, -count))
    if fine in (*kpi.offered_grains, launch_grain(kpi, catalogue)):
        query = Query(kpi.name, fine, start.date(), None, None, where, measured=True)
        frame = answer(query, catalogue, reader, transforms=False).frame
    else:
        frame = types.facts(kpi, dataclasses.replace(full, start=start, filters=where))
    done = frame[frame["complete"].to_numpy(dtype=bool)]
    index = pd.DatetimeIndex(done["period"])
    if fine == "hour":
        index = index.tz_localize("UTC").tz_convert(catalogue.timezone).tz_localize(None)
    return pd.Series(done["value"].to_numpy("float64", na_value=np.nan), index=index)
