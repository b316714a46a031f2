"""simple: an aggregate over rows, or over a trailing window of whole days."""

from __future__ import annotations

import pandas as pd
from sqlglot import exp

from metrics.catalog import sql
from metrics.catalog.models.kpi import Measure, Simple
from metrics.engine.frames import spined
from metrics.engine.query import Scope
from metrics.engine.sql import trees
from metrics.engine.sql.entity_rows import deciding, falling, rising
from metrics.engine.sql.windows import windowed


def facts(kpi: Simple, scope: Scope) -> pd.DataFrame:
    """The aggregate of each period."""
    if kpi.semi_additive:
        return _balances(kpi, scope)
    if kpi.window:
        return windowed(kpi, scope)
    return measure_facts(kpi.measure, scope)


def measure_facts(measure: Measure, scope: Scope) -> pd.DataFrame:
    """One aggregate over the rows of its dataset in each period of the scope."""
    dataset = scope.catalogue.datasets[measure.dataset]
    zero = trees.starts_at_zero(measure) and dataset.empty == "zero"

    def count() -> pd.DataFrame:
        return spined(trees.run(measure_select(measure, scope), scope), scope, measure.dataset, zero=zero)

    return scope.remembered(measure, count)


def measure_select(measure: Measure, scope: Scope) -> exp.Select:
    """SELECT period, segment and the measure's columns, grouped by the first two."""
    dataset = scope.catalogue.datasets[measure.dataset]
    kind = trees.time_type(dataset, scope)
    columns = trees.aggregate(measure, dataset)
    query = exp.select(
        trees.period(trees.local_time(dataset, scope, kind), scope).as_(trees.PERIOD),
        trees.segment(dataset, scope.by).as_(trees.SEGMENT),
        *(tree.as_(name if name != "value" else trees.VALUE) for name, tree in columns.items()),
    )
    query = trees.scanned(query, dataset, scope, kind, measure.filter)
    return query.group_by(exp.Literal.number(1), exp.Literal.number(2), copy=False)


def _balances(kpi: Simple, scope: Scope) -> pd.DataFrame:
    """The aggregate over one row of each entity in each period: its first, last, least or greatest."""
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
    found = trees.run(trees.assembled(final, rows_of_all=rows), scope)
    return spined(found, scope, kpi.dataset, zero=trees.starts_at_zero(measure) and dataset.empty == "zero")
