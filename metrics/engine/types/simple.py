"""simple: an aggregate over rows, or over a trailing window of whole days."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from sqlglot import exp

from metrics.catalog import sql
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.kpi import Measure
from metrics.catalog.types.simple import Simple
from metrics.engine.coarser_periods import coarser
from metrics.engine.dirty_ranges import DAY, FAR, DirtyRanges, merged
from metrics.engine.frames import spined
from metrics.engine.per_person import Part, PerPerson, part_of
from metrics.engine.query import Scope
from metrics.engine.sampling import Floats, People, events, numbers
from metrics.engine.sql import trees
from metrics.engine.sql.entity_rows import deciding, falling, rising
from metrics.engine.sql.measures import measure_facts, summed_days
from metrics.engine.sql.people_by_day import People as Counted
from metrics.engine.sql.people_by_day import people_of_rows
from metrics.engine.sql.rollups import MADE_OF_MONTHS
from metrics.engine.sql.sums import Sums, measure_sums
from metrics.engine.sql.windows import windowed
from metrics.engine.together import by_each
from metrics.engine.types.contract import ends_with_its_period

settled_at = ends_with_its_period


def facts(kpi: Simple, scope: Scope) -> pd.DataFrame:
    """The aggregate of each period."""
    if kpi.semi_additive:
        return _balances(kpi, scope)
    if kpi.window:
        return windowed(kpi, scope)
    return measure_facts(kpi.measure, scope)


def sums(kpi: Simple, catalogue: Catalogue) -> list[tuple[Sums, int]]:
    """Counts, sums, means, least and greatest; of a window, those of its days."""
    found = None if kpi.semi_additive else measure_sums(kpi.measure)
    return [] if found is None else [(found, kpi.window.days - 1 if kpi.window else 0)]


def people_of(kpi: Simple, catalogue: Catalogue) -> list[Counted]:
    """Distinct counts of periods."""
    if kpi.agg != "count_distinct" or kpi.semi_additive or kpi.window:
        return []
    return [people_of_rows(kpi.measure, kpi.grain if kpi.coarser_by else "")]


def people_kept(kpi: Simple, catalogue: Catalogue) -> list[Counted]:
    """Distinct counts, of windows too."""
    return [people_of_rows(kpi.measure)] if kpi.agg == "count_distinct" and not kpi.semi_additive else []


def values_kept(kpi: Simple, catalogue: Catalogue) -> list[Measure]:
    """Medians and percentiles, but of windows."""
    quantile = kpi.agg in ("median", "percentile") and not kpi.semi_additive and not kpi.window
    return [kpi.measure] if quantile and not set(MADE_OF_MONTHS).isdisjoint(kpi.offered_grains) else []


def from_days(kpi: Simple, daily: pd.DataFrame, scope: Scope) -> pd.DataFrame | None:
    """A window's last, mean or greatest day; what adds up, added up."""
    if kpi.window:
        return coarser(daily, scope, kpi.dataset, kpi.period_agg or "last")
    found = None if kpi.semi_additive else measure_sums(kpi.measure)
    zero = trees.starts_at_zero(kpi.measure) and scope.catalogue.datasets[kpi.dataset].empty == "zero"
    return None if found is None else summed_days(daily, found, scope, zero=zero)


def sampling(kpi: Simple, frame: pd.DataFrame) -> Floats:
    """A number of rows: each comes by itself. Of all else the people must be counted."""
    if kpi.agg == "count" and not kpi.semi_additive:
        return events(numbers(frame, "value"))
    return np.full(len(frame), np.nan)


def people(kpi: Simple, catalogue: Catalogue) -> People | None:
    """Totals, means and percentiles of what people do; not known: least and greatest, first and last, balances, SQL."""
    if kpi.semi_additive or kpi.agg not in ("count", "sum", "count_distinct", "avg", "median", "percentile"):
        return None
    measure, window = kpi.measure, kpi.window.days if kpi.window else 1
    if kpi.agg in ("median", "percentile"):
        return People(measure, window=window, quantile=kpi.percentile or 0.5)
    if kpi.agg == "avg":
        total, count = (measure.model_copy(update={"agg": agg}) for agg in ("sum", "count"))
        return People(total, count, window)
    return People(measure, window=window)


def _balances(kpi: Simple, scope: Scope) -> pd.DataFrame:
    """The aggregate over one row of each entity in each period: its first, last, least or greatest."""
    found = by_each(scope, lambda one: trees.run(_balances_select(kpi, one), one))
    zero = trees.starts_at_zero(kpi.measure) and scope.catalogue.datasets[kpi.dataset].empty == "zero"
    return spined(found, scope, kpi.dataset, zero=zero)


def _balances_select(kpi: Simple, scope: Scope) -> exp.Select:
    assert kpi.semi_additive is not None
    dataset = scope.catalogue.datasets[kpi.dataset]
    local = trees.local_time(dataset, scope, trees.time_type(dataset, scope))
    x = sql.expression(kpi.expr) if kpi.expr not in ("", "*") else exp.Literal.number(1)
    per = sql.expression(kpi.semi_additive.per) if kpi.semi_additive.per else exp.column(dataset.entity, quoted=True)
    pick = kpi.semi_additive.pick
    first = [rising(local) if pick == "first" else falling(local)] if pick in ("first", "last") else []
    value = rising(x) if pick in ("first", "min") else falling(x)
    keyed = first and dataset.primary_key
    order = [*first, *([] if keyed else [value]), *deciding(dataset, last=pick == "last")]
    segment = trees.segment(dataset, scope.by)
    rank = exp.Window(
        this=exp.RowNumber(), partition_by=[per.copy(), trees.period(local, scope)], order=exp.Order(expressions=order)
    )
    asked = trees.conditions(dataset, scope)  # an entity has one row in a period; only then do filters choose
    rows = exp.select(
        segment.as_("segment"),
        trees.period(local, scope).as_("period"),
        x.as_("picked"),
        rank.as_("nth"),
        exp.Case(ifs=[exp.If(this=exp.and_(*asked) if asked else exp.true(), true=exp.Literal.number(1))]).as_("asked"),
    )
    rows = trees.from_dataset(rows, dataset).where(trees.in_range(local, scope.start, scope.end))
    rows = rows.where(trees.known(per))
    rows = rows.where(sql.expression(kpi.filter)) if kpi.filter else rows
    measure = kpi.measure.model_copy(update={"expr": "picked"})
    columns = trees.aggregate(measure, dataset)
    final = (
        exp.select(
            exp.column("period").as_(trees.PERIOD),
            exp.column("segment").as_(trees.SEGMENT),
            *(tree.as_(trees.VALUE if name == "value" else name) for name, tree in columns.items()),
        )
        .from_("rows_of_all")
        .where("nth = 1")
        .where("asked = 1")
        .group_by("period", "segment")
    )
    return trees.assembled(final, rows_of_all=rows)


def dirty_ranges(kpi: Simple, catalogue: Catalogue, rows: Mapping[str, DirtyRanges | None]) -> DirtyRanges | None:
    """The days of its rows; with a window also those whose window holds them."""
    own, window = rows[kpi.dataset], kpi.window
    if own is None or window is None:
        return own
    return merged((a, b if b >= FAR else b + window - DAY) for a, b in own)


def per_person(kpi: Simple, catalogue: Catalogue) -> PerPerson | str:
    """The sum of a person's rows; a mean is that of sums and counts."""
    if kpi.semi_additive:
        return "a balance is no sum of what people did since they were exposed"
    measure = kpi.measure
    if measure.agg == "avg":
        total, count = (part_of(measure.model_copy(update={"agg": agg}), catalogue) for agg in ("sum", "count"))
        return PerPerson(total, count) if isinstance(total, Part) and isinstance(count, Part) else str(total)
    part = part_of(measure, catalogue)
    return part if isinstance(part, str) else PerPerson(part)
