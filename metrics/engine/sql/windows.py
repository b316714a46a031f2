"""Trailing windows of whole days, exact at every day and segment.

Counts and sums add up days; medians and percentiles are counted anew in each window.
Distinct counts use intervals, not a range join: each entity's active day opens an interval of N days, cut
where its next active day opens its own; +1 at the start, −1 after the end, running sum. Linear in the rows.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
from sqlglot import exp

from connectors.errors import QueryRefused
from metrics.catalog import sql
from metrics.catalog.types.simple import Simple
from metrics.engine import frames, periods
from metrics.engine.coarser_periods import coarser
from metrics.engine.query import Scope
from metrics.engine.sql import rollups, trees
from metrics.engine.sql.entity_rows import window_function
from metrics.engine.sql.measures import measure_facts
from metrics.engine.sql.shared_reading import united
from metrics.engine.together import by_each

REACHES = (31, 92, 366)  # days within which who comes next is told apart: windows of about one length ask the same
WEEK = 7  # days
ROLLED = {"count": "sum", "sum": "sum", "min": "min", "max": "max", "avg": "sum"}


def windowed(kpi: Simple, scope: Scope) -> pd.DataFrame:
    """Each day's value over its window; coarser grains take the last day, or mean or max (`period_agg`)."""
    assert kpi.window is not None
    if scope.grain == "hour":
        raise QueryRefused("a windowed KPI has no hour grain", where=kpi.name, hint="Ask at grain day or coarser.")
    size = kpi.window.days
    day_scope = _days(kpi, scope, size)
    count = _distinct if kpi.agg == "count_distinct" else _rolled if kpi.agg in ROLLED else _spread
    count = _at_week_ends if count is _distinct and _are_weeks(kpi, scope, size) else count
    daily = day_scope.remembered(("daily", kpi.name, count.__name__), lambda: count(kpi, day_scope, size))
    daily = _first_days_incomplete(daily, scope, kpi, size)
    daily = daily[daily["period"] >= scope.start]
    return daily if scope.grain == "day" else coarser(daily, scope, kpi.dataset, kpi.period_agg or "last")


def _days(kpi: Simple, scope: Scope, size: int) -> Scope:
    """The scope's days, and those before its start that its first windows reach.

    A longer grain asks for the observed ones only: then all grains of a refresh ask for the same, once.
    """
    start, end, state = scope.start, scope.end, scope.states.get(kpi.dataset)
    first = frames.earliest(state, "day", scope.zone)
    if scope.grain != "day" and state is not None and first is not None and state.watermark is not None:
        last = periods.ceil(periods.on_clock(state.watermark, "day", scope.zone), "day")
        start, end = max(start, first), max(start, first, min(end, last))
    return dataclasses.replace(scope, grain="day", start=start - pd.Timedelta(days=size - 1), end=end)


def _are_weeks(kpi: Simple, scope: Scope, size: int) -> bool:
    """Whether each window that is asked for is a week of its own, but for the last: nobody is told apart then."""
    return scope.grain == "week" and size == WEEK and kpi.period_agg in (None, "last") and not _is_refreshed(scope)


def _is_refreshed(scope: Scope) -> bool:
    return scope.shared is not None and not scope.filters and not scope.entities


def _distinct(kpi: Simple, scope: Scope, size: int) -> pd.DataFrame:
    counted = _counted_together if _is_refreshed(scope) else _counted_alone
    return _on_every_day(kpi, scope, counted(kpi, scope, size))


def _at_week_ends(kpi: Simple, scope: Scope, size: int) -> pd.DataFrame:
    """The same where only the last observed days of weeks are looked at; of the others it says nothing that is true."""
    index = frames.scope_index(scope)
    seen = index[frames.observed(index, scope.states.get(kpi.dataset), scope)]
    parts = []
    if len(seen):
        found = frames.normal(trees.run(_weeks_select(kpi, scope, seen[-1], size), scope))
        parts = [part for _, part in found.groupby("segment", sort=False)]
    return _on_every_day(kpi, scope, parts)


def _weeks_select(kpi: Simple, scope: Scope, last: pd.Timestamp, size: int) -> exp.Query:
    """Who came in each week that is over, told of its last day, and in the days up to the last one, if it ends none."""
    active, day = _active(kpi, scope, once=False), exp.column("day")
    ends = exp.Add(this=trees.period(day, scope, "week"), expression=trees.interval(pd.Timedelta(days=size - 1)))
    tomorrow = last + pd.Timedelta(days=1)
    begun = periods.floor(tomorrow, "week", scope.week_start_days)
    over = ends, exp.LT(this=day, expression=trees.moment(begun))
    latest = trees.moment(last), trees.in_range(day, tomorrow - pd.Timedelta(days=size), tomorrow)
    shown = exp.column("segment") if scope.by else exp.Literal.string("")
    people = exp.Count(this=exp.Distinct(expressions=[exp.column("entity")]))
    selects = [
        exp.select(
            *(shown.as_(trees.SEGMENT), exp.cast(at, "TIMESTAMP").as_(trees.PERIOD)),
            *(people.as_(trees.VALUE), people.as_("n")),
        )
        .from_("active")
        .where(inside)
        .group_by(exp.Literal.number(1), exp.Literal.number(2))
        for at, inside in ((over, latest) if begun < tomorrow else (over,))
    ]
    return trees.assembled(united(selects), active=active)


def _on_every_day(kpi: Simple, scope: Scope, parts: list[pd.DataFrame]) -> pd.DataFrame:
    dataset = scope.catalogue.datasets[kpi.dataset]
    index = frames.scope_index(scope)
    active = {str(part["segment"].iloc[0]) for part in parts if len(part)}
    for name in set(scope.segments) - active:  # active at other times only: an observed 0
        parts.append(pd.DataFrame({"period": index, "segment": name, "value": 0.0, "n": 0}))
    filled = pd.concat(parts) if parts else pd.DataFrame(columns=["segment", "period", "value", "n"])
    result = frames.spined(filled, scope, kpi.dataset, zero=dataset.empty == "zero")
    seen = pd.Series(frames.observed(index, scope.states.get(kpi.dataset), scope), index=index)
    unseen = ~seen.reindex(result["period"]).to_numpy()
    result.loc[unseen, "value"] = float("nan")
    result.loc[unseen, "n"] = pd.NA
    return result


def _counted_alone(kpi: Simple, scope: Scope, size: int) -> list[pd.DataFrame]:
    """Each segment's count on every day of the scope."""
    steps = trees.run(_interval_select(kpi, scope, size), scope)
    frame = frames.normal(steps.assign(n=steps[trees.VALUE]))
    # Between two steps the count stays: carry it to every day before unknown days are marked.
    index, parts = frames.scope_index(scope), []
    for name, part in frame.groupby("segment", sort=False):
        held = part.set_index("period").reindex(index).ffill().fillna({"value": 0.0, "n": 0})
        parts.append(held.assign(segment=name).rename_axis("period").reset_index())
    return parts


def _counted_together(kpi: Simple, scope: Scope, size: int) -> list[pd.DataFrame]:
    """The same of a refresh: windows of different lengths ask once when their people come, and when they come next."""
    reach = next((reach for reach in REACHES if size <= reach), size)
    first = frames.earliest(scope.states.get(kpi.dataset), "day", scope.zone)
    days = dataclasses.replace(scope, start=scope.start if first is None else min(max(scope.start, first), scope.end))
    what = "alike", kpi.dataset, kpi.expr, kpi.filter, reach
    found = days.remembered(what, lambda: by_each(days, lambda one: trees.run(_alike_select(kpi, one, reach), one)))
    index = frames.scope_index(scope)
    opened = index.get_indexer(pd.DatetimeIndex(found["day"]).as_unit("us"))
    gap = found["gap"].to_numpy("float64", na_value=np.inf)
    closed = opened + np.minimum(gap, size).astype("int64")
    codes, names = pd.factorize(found["segment"].astype("object"))
    steps = np.zeros((len(names), len(index) + 1 + max(size, reach)))
    entities = found["entities"].to_numpy("float64")
    np.add.at(steps, (codes, opened), entities)
    np.add.at(steps, (codes, closed), -entities)
    counts = steps.cumsum(axis=1)[:, : len(index)]
    return [
        pd.DataFrame({"period": index, "value": counts[i], "n": counts[i], "segment": str(name)})
        for i, name in enumerate(names)
    ]


def _alike_select(kpi: Simple, scope: Scope, reach: int) -> exp.Select:
    """How many entities come on a day and next so many days later; NULL: after more than a reach, or never."""
    active, keys = _active(kpi, scope), ["segment"] if scope.by else []
    day, following = exp.column("day"), exp.column("following")
    over = window_function(exp.Lead(this=day.copy()), by=[*keys, "entity"], order=[exp.Ordered(this=day.copy())])
    spans = exp.select(*keys, "day", over.as_("following")).from_("active")
    gap = exp.DateDiff(this=following, expression=day.copy(), unit=exp.var("DAY"))
    near = exp.If(this=exp.LTE(this=gap.copy(), expression=exp.Literal.number(reach)), true=gap)
    shown = exp.column("segment") if scope.by else exp.Literal.string("")
    count = exp.Count(this=exp.Star()).as_("entities")
    alike = exp.select(shown.as_("segment"), day.as_("day"), exp.Case(ifs=[near]).as_("gap"), count)
    alike = alike.from_("spans").group_by(*(exp.Literal.number(i) for i in (1, 2, 3)))
    return trees.assembled(alike, active=active, spans=spans)


def _active(kpi: Simple, scope: Scope, *, once: bool = True) -> exp.Select:
    """SELECT `entity`, `day` and, of a breakdown, `segment`: who came on which day, each once if that is wanted."""
    segment = ["segment"] if scope.by else []  # a constant would cost a quarter more
    if (kept := rollups.people_of(kpi.measure, scope)) is not None:
        date = exp.cast(exp.column("day"), "DATE")  # dates sort and compare faster than moments
        rows = exp.select(*segment, "entity", date.as_("day")).distinct(distinct=once).from_("people")
        return trees.assembled(rows.where(trees.known(exp.column("entity"))), people=kept)
    dataset = scope.catalogue.datasets[kpi.dataset]
    kind = trees.time_type(dataset, scope)
    entity, date = sql.expression(kpi.expr), exp.cast(trees.local_time(dataset, scope, kind), "DATE")
    shown = [trees.segment(dataset, scope.by).as_("segment")] if scope.by else []
    active = exp.select(*shown, entity.as_("entity"), date.as_("day")).distinct(distinct=once)
    return trees.scanned(active, dataset, scope, kind, kpi.filter).where(trees.known(entity))


def _interval_select(kpi: Simple, scope: Scope, size: int) -> exp.Select:
    active, keys = _active(kpi, scope), ["segment"] if scope.by else []
    day, following = exp.column("day"), exp.column("following")
    over = window_function(exp.Lead(this=day.copy()), by=[*keys, "entity"], order=[exp.Ordered(this=day.copy())])
    spans = exp.select(*keys, "day", over.as_("following")).from_("active")
    # Of one day and next day there are many: counted before they are turned into steps.
    count = exp.cast(exp.Count(this=exp.Star()), "BIGINT").as_("entities")
    alike = exp.select(*keys, "day", "following", count).from_("spans").group_by(*keys, "day", "following")
    end = exp.cast(exp.Add(this=day.copy(), expression=trees.interval(pd.Timedelta(days=size))), "DATE")
    sooner = exp.If(this=exp.LT(this=following.copy(), expression=end.copy()), true=following.copy())
    until = exp.Case(ifs=[sooner], default=end)
    opened = exp.select(*keys, "day", exp.column("entities").as_("step")).from_("alike")
    closed = exp.select(*keys, until.as_("day"), exp.Neg(this=exp.column("entities")).as_("step")).from_("alike")
    total = window_function(
        exp.Sum(this=exp.Sum(this=exp.column("step"))), by=keys, order=[exp.Ordered(this=day.copy())]
    )
    shown = exp.column("segment") if scope.by else exp.Literal.string("")
    outer = exp.select(
        shown.as_(trees.SEGMENT), exp.cast(day.copy(), "TIMESTAMP").as_(trees.PERIOD), total.as_(trees.VALUE)
    ).from_("steps")
    steps = exp.union(opened, closed, distinct=False)
    outer = trees.assembled(outer, active=active, spans=spans, alike=alike, steps=steps)
    return outer.group_by(*keys, "day").order_by(*keys, "day")


def _rolled(kpi: Simple, scope: Scope, size: int) -> pd.DataFrame:
    daily = measure_facts(kpi.measure, scope)
    parts = []
    for _, part in daily.groupby("segment", sort=False):
        rolled = part.copy()
        seen = part["n"].notna()
        rolled["n"] = _sums(part["n"].astype("float64"), size).where(seen).astype("Int64")
        if kpi.agg == "avg":
            for column in ("numerator", "denominator"):
                rolled[column] = _sums(part[column].fillna(0), size).where(seen)
            rolled["value"] = rolled["numerator"] / rolled["denominator"].where(rolled["denominator"] != 0)
        elif ROLLED[str(kpi.agg)] == "sum":
            rolled["value"] = _sums(part["value"], size).where(seen)
        else:
            over = part["value"].rolling(size, min_periods=1)
            rolled["value"] = getattr(over, ROLLED[str(kpi.agg)])().where(seen)
        parts.append(rolled)
    return pd.concat(parts, ignore_index=True) if parts else daily


def _spread(kpi: Simple, scope: Scope, size: int) -> pd.DataFrame:
    """What does not add up from day to day (medians, percentiles, first, last): each window's rows, counted anew."""
    dataset, index = scope.catalogue.datasets[kpi.dataset], frames.scope_index(scope)
    if index.empty:
        return frames.spined(pd.DataFrame(columns=["segment", "period", "value", "n"]), scope, kpi.dataset, zero=False)
    found = by_each(scope, lambda one: trees.run(_spread_select(kpi, one, size), one))
    seen = frames.observed(index, scope.states.get(kpi.dataset), scope)
    found = found[found[trees.PERIOD].isin(index[seen])]  # a window that reaches a day not observed says nothing of it
    return frames.spined(found, scope, kpi.dataset, zero=trees.starts_at_zero(kpi.measure) and dataset.empty == "zero")


def _spread_select(kpi: Simple, scope: Scope, size: int) -> exp.Select:
    dataset = scope.catalogue.datasets[kpi.dataset]
    kind = trees.time_type(dataset, scope)
    local = trees.local_time(dataset, scope, kind)
    rows = exp.select(
        "*", trees.segment(dataset, scope.by).as_("window_segment"), trees.period(local, scope, "day").as_("row_day")
    )
    rows = trees.scanned(rows, dataset, scope, kind, kpi.filter)
    days = exp.values([(f"{day:%Y-%m-%d}",) for day in frames.scope_index(scope)], alias="days", columns=["listed"])
    spine = exp.select(exp.cast(exp.column("listed"), "TIMESTAMP").as_("window_day")).from_(days)
    day, row = exp.column("window_day", "spine"), exp.column("row_day", "chosen")
    first = exp.Sub(this=day.copy(), expression=trees.interval(pd.Timedelta(days=size)))
    on = exp.and_(exp.LTE(this=row.copy(), expression=day.copy()), exp.GT(this=row, expression=first))
    columns = trees.aggregate(kpi.measure, dataset)
    final = (
        exp.select(
            day.copy().as_(trees.PERIOD),
            exp.column("window_segment", "chosen").as_(trees.SEGMENT),
            *(tree.as_(trees.VALUE if name == "value" else name) for name, tree in columns.items()),
        )
        .from_("spine")
        .join("chosen", on=on)
        .group_by(exp.Literal.number(1), exp.Literal.number(2))
    )
    return trees.assembled(final, chosen=rows, spine=spine)


def _sums(column: pd.Series, size: int) -> pd.Series:
    """Sums over the trailing window, of the known values; unknown where none is.

    Each window is added up by itself: pandas' running sum depends, in its last bits, on where it began.
    """
    padded = np.concatenate([np.full(size - 1, np.nan), column.to_numpy(dtype="float64", na_value=np.nan)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, size)
    known = ~np.isnan(windows)
    return pd.Series(np.where(known.any(axis=1), np.where(known, windows, 0.0).sum(axis=1), np.nan), index=column.index)


def _first_days_incomplete(daily: pd.DataFrame, scope: Scope, kpi: Simple, size: int) -> pd.DataFrame:
    """The first N − 1 days have windows that reach back to where nothing was observed."""
    begin = frames.begins(scope, (kpi.dataset,), "day")
    if begin is None:
        return daily
    early = daily["period"] < begin + pd.Timedelta(days=size - 1)
    return daily.assign(complete=daily["complete"] & ~early)
