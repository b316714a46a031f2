"""One aggregate over the rows of its dataset: what simple KPIs, parts of ratios and running values are made of."""

from __future__ import annotations

import pandas as pd
from sqlglot import exp

from metrics.catalog.models.kpi import Measure
from metrics.engine.frames import spined
from metrics.engine.query import Scope
from metrics.engine.sql import trees


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
