"""One aggregate over the rows of its dataset: what simple KPIs, parts of ratios and running values are made of."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from sqlglot import exp

from metrics.catalog.models.kpi import Measure
from metrics.catalog.models.values import GRAINS
from metrics.engine.frames import filled, scope_index, spined
from metrics.engine.query import Scope
from metrics.engine.sql import trees
from metrics.engine.sql.sums import Sums, measure_sums


def measure_facts(measure: Measure, scope: Scope) -> pd.DataFrame:
    """One aggregate over the rows of its dataset in each period of the scope."""
    dataset = scope.catalogue.datasets[measure.dataset]
    zero = trees.starts_at_zero(measure) and dataset.empty == "zero"

    def count() -> pd.DataFrame:
        if (sums := measure_sums(measure)) and (shared := summed(sums, scope, zero=zero)) is not None:
            return shared
        return spined(trees.run(measure_select(measure, scope), scope), scope, measure.dataset, zero=zero)

    return scope.remembered(measure, count)


def summed(sums: Sums, scope: Scope, *, zero: bool | Collection[str], parts: Sequence[str] = ()) -> pd.DataFrame | None:
    """FACT_COLUMNS of sums that a refresh counts for all KPIs together; None where it does not.

    zero, parts: see `spined`.
    """
    longer = scope.grain in GRAINS[GRAINS.index("week") :]
    days = scope.scans.days(sums, replace(scope, grain="day") if longer else scope) if scope.scans else None
    if days is None:
        return None
    days = days.longer(scope_index(scope), sums.ways) if longer else days
    if sums.quotient:
        top, bottom = days.columns["numerator"], days.columns["denominator"]
        days = replace(days, columns={**days.columns, "value": top / np.where(bottom == 0, np.nan, bottom)})
    return filled(days, scope, sums.dataset, zero=zero, parts=parts)


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
