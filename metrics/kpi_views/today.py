"""Pacing: the running day against the same hours of the same weekdays before, for what adds up over hours."""

from __future__ import annotations

import pandas as pd

from metrics.catalog.models.kpi import KpiCommon
from metrics.engine import periods
from metrics.engine.answer import answer
from metrics.engine.data_context import DataContext
from metrics.engine.query import Filter, Query
from metrics.presentation import format as fmt

WEEKS = 4  # same weekdays that are looked back at


def today_so_far(context: DataContext, kpi: KpiCommon, where: tuple[Filter, ...] = ()) -> str:
    """`Mon 23 Nov so far, to 14:00: 412, against 450 by then on the 4 Mondays before (−8.4%).`; empty if unknown.

    An incomplete day is never judged by a rule; this says in words how it goes.
    """
    if kpi.grain != "day" or kpi.additivity != "additive" or "hour" not in kpi.offered_grains:
        return ""
    series = answer(Query(kpi.name, "day", where=where), context.catalogue, context.reader, transforms=False)
    if series.watermark is None:
        return ""
    today = periods.floor(periods.on_clock(series.watermark, "day", context.catalogue.timezone), "day")
    running = series.frame[(series.frame["period"] == today) & ~series.frame["complete"]]
    if running["value"].isna().all():
        return ""
    first = (today - pd.Timedelta(days=7 * WEEKS + 1)).date()
    hours = answer(
        Query(kpi.name, "hour", first, where=where), context.catalogue, context.reader, transforms=False
    ).frame
    done = hours[hours["complete"]]
    local = pd.DatetimeIndex(done["period"]).tz_localize("UTC").tz_convert(context.catalogue.timezone).tz_localize(None)
    known = pd.Series(done["value"].to_numpy("float64"), index=local)
    so_far = known[known.index >= today]
    if so_far.empty:
        return ""
    until = so_far.index[-1] - today + pd.Timedelta(hours=1)
    before = [_by_then(known, today - pd.Timedelta(days=7 * week), until) for week in range(1, WEEKS + 1)]
    usual = [value for value in before if value is not None]
    if not usual:
        return ""
    value, mean = float(so_far.sum()), sum(usual) / len(usual)
    days = f"the {len(usual)} {today:%A}s before" if len(usual) > 1 else f"the {today:%A} before"
    shown, usually = fmt.value_texts((value, mean), kpi)
    change = f" ({fmt.change_text(value, mean, kpi)})" if mean else ""
    day = fmt.period_text(today, "day", context.now.year)
    return f"{day} so far, to {today + until:%H:%M}: {shown}, against {usually} by then on {days}{change}."


def _by_then(known: pd.Series, day: pd.Timestamp, until: pd.Timedelta) -> float | None:
    """The sum of a day's first hours; None where they are not known."""
    part = known[(known.index >= day) & (known.index < day + until)]
    return float(part.sum()) if len(part) and part.notna().all() and known.index[0] <= day else None
