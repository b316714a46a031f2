"""cumulative: a measure from the first event, or from the start of the running month, to the end of each period."""

from __future__ import annotations

import dataclasses

import pandas as pd
from sqlglot import exp

from connectors.errors import QueryRefused
from metrics.catalog import sql
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.kpi import Measure
from metrics.catalog.types.cumulative import Cumulative
from metrics.catalog.types.simple import Simple
from metrics.engine import frames, periods
from metrics.engine.coarser_periods import coarser
from metrics.engine.query import FACT_COLUMNS, Scope
from metrics.engine.sql import trees
from metrics.engine.sql.measures import measure_facts
from metrics.engine.sql.sums import Sums, measure_sums
from metrics.engine.together import by_each
from metrics.engine.types.contract import ends_with_its_period, from_then_on

RUNNING = {"count": "cumsum", "sum": "cumsum", "min": "cummin", "max": "cummax"}


dirty_ranges = from_then_on
settled_at = ends_with_its_period


def facts(kpi: Cumulative, scope: Scope) -> pd.DataFrame:
    """Each day's value so far; a longer period has that of its last day, or the mean or maximum of its days."""
    if scope.grain == "hour":
        raise QueryRefused("a cumulative KPI has no hour grain", where=kpi.name, hint="Ask at grain day or coarser.")
    measure = _measure(kpi, scope.catalogue)
    if measure.agg not in (*RUNNING, "avg", "count_distinct"):
        raise QueryRefused(
            f"{measure.agg or 'an sql aggregate'} does not add up from day to day",
            where=kpi.name,
            hint=f"Cumulative: count_distinct, avg, {', '.join(RUNNING)}.",
        )
    days = _days(kpi, measure, scope)

    def count() -> pd.DataFrame:
        distinct = measure.agg == "count_distinct"
        found = _first_seen(kpi, measure, days) if distinct else measure_facts(measure, days)
        return _run(kpi, measure, found, scope.week_start_days)

    daily = days.remembered(("cumulative", kpi.name), count)
    daily = daily[(daily["period"] >= scope.start) & (daily["period"] < scope.end)]
    if scope.grain == "day":
        return daily.reset_index(drop=True)
    return coarser(daily, scope, measure.dataset, kpi.period_agg or "last")


def sums(kpi: Cumulative, catalogue: Catalogue) -> list[tuple[Sums, int]]:
    """Those of its days."""
    found = measure_sums(_measure(kpi, catalogue))
    return [] if found is None else [(found, 0)]


def from_days(kpi: Cumulative, daily: pd.DataFrame, scope: Scope) -> pd.DataFrame:
    """The value of the last day, or the mean or maximum of the days."""
    return coarser(daily, scope, _measure(kpi, scope.catalogue).dataset, kpi.period_agg or "last")


def _measure(kpi: Cumulative, catalogue: Catalogue) -> Measure:
    part = kpi.parts["measure"]
    if isinstance(part, Measure):
        return part
    named = catalogue.kpi(part)
    if not isinstance(named, Simple) or named.window or named.semi_additive:
        raise QueryRefused(f"'{part}' has no value of single days that adds up", where=kpi.name)
    return named.measure


def _days(kpi: Cumulative, measure: Measure, scope: Scope) -> Scope:
    """The days that the scope's values count: back to the first event, or to the start of the running period."""
    start, end, state = scope.start, scope.end, scope.states.get(measure.dataset)
    first = frames.earliest(state, "day", scope.zone)
    if state is None or first is None or state.watermark is None:
        return dataclasses.replace(scope, grain="day")
    if kpi.grain_to_date:
        start = _begin(start, kpi, scope)
        start = start if scope.grain == "day" else max(start, _begin(first, kpi, scope))
    else:
        start = min(start, first) if scope.grain == "day" else first
    if scope.grain != "day":  # then all grains of a refresh ask for the same days, which are counted once
        end = min(end, periods.ceil(periods.on_clock(state.watermark, "day", scope.zone), "day"))
    return dataclasses.replace(scope, grain="day", start=start, end=max(start, end))


def _begin(at: pd.Timestamp, kpi: Cumulative, scope: Scope) -> pd.Timestamp:
    return periods.floor(at, kpi.grain_to_date or "day", scope.week_start_days)


def _first_seen(kpi: Cumulative, measure: Measure, scope: Scope) -> pd.DataFrame:
    """How many entities each day sees for the first time, in all or in its running period."""
    found = by_each(scope, lambda one: trees.run(_first_seen_select(kpi, measure, one), one))
    return frames.spined(found, scope, measure.dataset, zero=True)


def _first_seen_select(kpi: Cumulative, measure: Measure, scope: Scope) -> exp.Select:
    dataset = scope.catalogue.datasets[measure.dataset]
    kind = trees.time_type(dataset, scope)
    local = trees.local_time(dataset, scope, kind)
    entity = sql.expression(measure.expr)
    group = trees.period(local, scope, kpi.grain_to_date) if kpi.grain_to_date else exp.Literal.number(0)
    seen = exp.select(
        trees.segment(dataset, scope.by).as_("segment"),
        entity.as_("entity"),
        group.as_("running"),
        exp.Min(this=trees.period(local, scope, "day")).as_("day"),
    )
    seen = trees.scanned(seen, dataset, scope, kind, measure.filter).where(trees.known(entity))
    seen = seen.group_by(*(exp.Literal.number(i) for i in (1, 2, 3)))
    count = exp.Count(this=exp.Star())
    query = exp.select(
        exp.column("segment").as_(trees.SEGMENT),
        exp.column("day").as_(trees.PERIOD),
        count.as_(trees.VALUE),
        count.copy().as_("n"),
    ).from_("seen")
    return trees.assembled(query, seen=seen).group_by("segment", "day")


def _run(kpi: Cumulative, measure: Measure, daily: pd.DataFrame, week_start_days: int) -> pd.DataFrame:
    """Running values of each segment; a day without rows holds what the day before had."""
    if daily.empty:
        return daily
    seen = daily["n"].notna()
    keys: list[pd.Series] = [daily["segment"]]
    if kpi.grain_to_date:
        keys.append(periods.floors(daily["period"], kpi.grain_to_date, week_start_days))

    def running(column: str, how: str = "cumsum") -> pd.Series:
        values = daily[column].astype("float64")
        grouped = (values.fillna(0.0) if how == "cumsum" else values).groupby(keys, sort=False)
        found = getattr(grouped, how)()
        held = found if how == "cumsum" else found.groupby(keys, sort=False).ffill()
        return held.where(seen)

    result = daily.assign(n=running("n").astype("Int64"))
    if measure.agg == "avg":
        result["numerator"], result["denominator"] = running("numerator"), running("denominator")
        result["value"] = result["numerator"] / result["denominator"].where(result["denominator"] != 0)
    else:
        result["value"] = running("value", RUNNING.get(str(measure.agg), "cumsum"))
    return result[FACT_COLUMNS]


def per_person(kpi: Cumulative, catalogue: Catalogue) -> str:
    """Why it has no value of one person."""
    return "it adds up over time: name what it adds up"
