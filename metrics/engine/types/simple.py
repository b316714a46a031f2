"""simple: an aggregate over rows, or over a trailing window of whole days."""

from __future__ import annotations

import pandas as pd
from sqlglot import exp

from connectors.errors import NotUsedYet
from metrics.catalog import sql
from metrics.catalog.kpi import Measure, Simple
from metrics.engine import trees
from metrics.engine.frames import spined
from metrics.engine.query import Scope
from metrics.engine.windows import windowed


def facts(kpi: Simple, scope: Scope) -> pd.DataFrame:
    """The aggregate of each period."""
    if kpi.semi_additive:
        raise NotUsedYet("`semi_additive` is not used yet", where=kpi.name, hint="Write it as `type: sql` for now.")
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
    local = trees.local_time(dataset, scope, trees.time_type(dataset, scope))
    columns = trees.aggregate(measure, dataset)
    query = exp.select(
        trees.period(local, scope).as_(trees.PERIOD),
        trees.segment(dataset, scope.by).as_(trees.SEGMENT),
        *(tree.as_(name if name != "value" else trees.VALUE) for name, tree in columns.items()),
    )
    query = trees.from_dataset(query, dataset).where(trees.in_range(local, scope.start, scope.end))
    if measure.filter:
        query = query.where(sql.expression(measure.filter))
    for condition in trees.conditions(dataset, scope):
        query = query.where(condition)
    return query.group_by(exp.Literal.number(1), exp.Literal.number(2))
