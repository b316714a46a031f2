"""One aggregate over the rows of its dataset: what simple KPIs, parts of ratios and running values are made of."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from sqlglot import exp

from metrics.catalog.models.kpi import Measure
from metrics.catalog.models.values import GRAINS
from metrics.engine import periods
from metrics.engine.frames import filled, scope_index, spined
from metrics.engine.grids import Days, grid
from metrics.engine.query import Scope
from metrics.engine.sql import rollups, trees
from metrics.engine.sql.people_by_day import people_of_rows
from metrics.engine.sql.quantiles import quantile_select
from metrics.engine.sql.sums import ROWS, Sums, measure_sums
from metrics.engine.together import by_each, each


def measure_facts(measure: Measure, scope: Scope) -> pd.DataFrame:
    """One aggregate over the rows of its dataset in each period of the scope."""
    dataset = scope.catalogue.datasets[measure.dataset]
    zero = trees.starts_at_zero(measure) and dataset.empty == "zero"

    def count() -> pd.DataFrame:
        if (sums := measure_sums(measure)) and (shared := summed(sums, scope, zero=zero)) is not None:
            return shared
        scans = scope.shared.scans if scope.shared and measure.agg == "count_distinct" else None
        if scans and (people := scans.people(people_of_rows(measure), scope)) is not None:
            counted = people[0].rename(columns={"people": trees.VALUE})
            return spined(counted.assign(n=counted[trees.VALUE]), scope, measure.dataset, zero=zero)
        if scope.together and (sums or scans):  # of some dimensions they are not shared
            return by_each(scope, lambda one: measure_facts(measure, one))
        found = _counted(measure, scope)
        return spined(found, scope, measure.dataset, zero=zero)

    return scope.remembered(measure, count)


def summed(sums: Sums, scope: Scope, *, zero: bool | Collection[str], parts: Sequence[str] = ()) -> pd.DataFrame | None:
    """FACT_COLUMNS of sums that a refresh counts for all KPIs together, or that are kept by day; else None.

    zero, parts: see `spined`.
    """
    fine = replace(scope, grain="day") if _long(scope) else scope
    scans = scope.shared.scans if scope.shared else None
    days = scans.days(sums, fine) if scans else rollups.sums_of(sums, fine)
    return None if days is None else _filled(days, sums, scope, zero=zero, parts=parts)


def summed_days(
    daily: pd.DataFrame, sums: Sums, scope: Scope, *, zero: bool | Collection[str], parts: Sequence[str] = ()
) -> pd.DataFrame:
    """FACT_COLUMNS of a scope of longer periods than days, of those of its days; as counted together, if they were."""
    if (shared := summed(sums, scope, zero=zero, parts=parts)) is not None:
        return shared
    index = periods.spine(scope.start, scope.end, "day")
    empty = {"value"} if zero is True else set(zero or ())
    return _filled(grid(daily, index, sums.ways, parts, empty), sums, scope, zero=zero, parts=parts)


def counted_days(
    daily: pd.DataFrame,
    scope: Scope,
    dataset: str,
    ripened: Callable[[pd.DataFrame], pd.DataFrame],
    *,
    zero: Collection[str],
    parts: Sequence[str] = (),
) -> pd.DataFrame | None:
    """FACT_COLUMNS of a scope of longer periods, of the counts of its days; n: of what began then.

    ripened: makes unknown what is not known yet of a frame. None where a day is not known that the period needs.
    """
    names = ("numerator", "denominator", "n", *parts)
    sums = Sums(dataset, "", tuple((name, ROWS) for name in names))
    index = periods.spine(scope.start, scope.end, "day")
    days = grid(daily, index, sums.ways, parts, zero).longer(scope_index(scope), sums.ways)
    if any(name not in days.columns for name in names):  # no day has all parts
        return None
    begun = days.columns["n"] > 0
    lacking = {name: np.isnan(days.columns[name]) & begun for name in names}
    known = {name: np.where(lacking[name], 0.0, days.columns[name]) for name in names}
    found = ripened(filled(replace(days, rows=begun, columns=known), scope, dataset, zero=zero, parts=parts))
    gaps = replace(days, rows=begun, columns={name: gap.astype("float64") for name, gap in lacking.items()})
    gap = filled(gaps, scope, dataset, zero=names, parts=parts)
    missing = bool(((gap["numerator"] == 1) & found["numerator"].notna()).any())
    for row in np.flatnonzero([1.0 in (told or ()) for told in gap["parts"]]):
        told = zip(gap["parts"].iloc[row], found["parts"].iloc[row] or (), strict=False)
        missing |= any(lacks == 1 and not np.isnan(part) for lacks, part in told)
    return None if missing else found


def _long(scope: Scope) -> bool:
    return scope.grain in GRAINS[GRAINS.index("week") :]


def _filled(
    days: Days, sums: Sums, scope: Scope, *, zero: bool | Collection[str], parts: Sequence[str]
) -> pd.DataFrame:
    days = days.longer(scope_index(scope), sums.ways) if _long(scope) else days
    if sums.quotient:
        top, bottom = days.columns["numerator"], days.columns["denominator"]
        days = replace(days, columns={**days.columns, "value": top / np.where(bottom == 0, np.nan, bottom)})
    return filled(days, scope, sums.dataset, zero=zero, parts=parts)


def _people_select(measure: Measure, scope: Scope) -> exp.Select | None:
    """The distinct count of `measure_select`, of people that are kept by day; None where they are not."""
    rows = None if scope.together else rollups.people_of(measure, scope)
    if rows is None:
        return None
    people = exp.Count(this=exp.Distinct(expressions=[exp.column("entity")]))
    query = exp.select(
        trees.period(exp.column("day"), scope).as_(trees.PERIOD),
        exp.column("segment").as_(trees.SEGMENT),
        people.as_(trees.VALUE),
        people.copy().as_("n"),
    )
    query = query.from_("people").group_by(exp.Literal.number(1), exp.Literal.number(2))
    return trees.assembled(query, people=rows)


# Of roll-ups, if there are any: what does not add up.
KEPT = {"count_distinct": _people_select, "median": quantile_select, "percentile": quantile_select}


def _counted(measure: Measure, scope: Scope) -> pd.DataFrame:
    """Of roll-ups; of rows where there are none."""
    kept = _kept(measure, scope)

    def select(one: Scope) -> exp.Select:
        return (kept if one is scope else _kept(measure, one)) or measure_select(measure, one)

    if kept is None and any(_kept(measure, one) for one in each(scope).values()):  # none has all these dimensions
        return by_each(scope, lambda one: trees.run(select(one), one))
    return trees.run_together(select, scope)


def _kept(measure: Measure, scope: Scope) -> exp.Select | None:
    return KEPT[measure.agg](measure, scope) if measure.agg in KEPT else None


def measure_select(measure: Measure, scope: Scope) -> exp.Select:
    """SELECT period, segment and the measure's columns, grouped by the first two."""
    dataset = scope.catalogue.datasets[measure.dataset]
    kind = trees.time_type(dataset, scope)
    columns = trees.aggregate(measure, dataset)
    query = exp.select(
        trees.period(trees.local_time(dataset, scope, kind), scope).as_(trees.PERIOD),
        trees.segments(scope, lambda name: trees.segment(dataset, name)).as_(trees.SEGMENT),
        *(tree.as_(name if name != "value" else trees.VALUE) for name, tree in columns.items()),
    )
    query = trees.for_each_dimension(trees.scanned(query, dataset, scope, kind, measure.filter), scope)
    return query.group_by(exp.Literal.number(1), exp.Literal.number(2), copy=False)
