"""Which days of a dataset a sync changed: those of the old and the new version of every changed row.

What that means for a KPI is a matter of its type (types/*.py, dirty_ranges).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from datetime import datetime

import pandas as pd
from sqlglot import exp

from connectors.errors import QueryLimit, WarehouseError
from connectors.warehouse.contract import DatasetState, Staging
from metrics.catalog import sql
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.dataset import Dataset
from metrics.engine import periods
from metrics.engine.dirty_ranges import DAY, FAR, DirtyRanges, merged
from metrics.engine.query import Scope
from metrics.engine.sql import trees

# What a SELECT may not have, for its rows to be those of one table, one by one.
MIXING = (
    exp.Join,
    exp.Group,
    exp.Distinct,
    exp.Window,
    exp.Limit,
    exp.Qualify,
    exp.Subquery,
    exp.SetOperation,
    exp.CTE,
    exp.AggFunc,
    exp.Having,
    exp.Unnest,
    exp.Lateral,
)


def dataset_ranges(
    dataset: Dataset,
    staging: Staging,
    catalogue: Catalogue,
    states: Mapping[str, DatasetState],
    before: Mapping[str, DatasetState],
) -> DirtyRanges | None:
    """Days of a dataset that differ from the generation before."""
    old, new = before.get(dataset.name), states.get(dataset.name)
    if old is None or new is None or _beginning(old) != _beginning(new):
        return None
    found: list[tuple[pd.Timestamp, pd.Timestamp]] = []
    if old.watermark != new.watermark:
        if old.watermark is None or new.watermark is None:
            return None
        mark = periods.on_clock(min(old.watermark, new.watermark), "day", catalogue.timezone)
        found.append((periods.floor(mark, "day"), FAR))
    own = tables(dataset, staging)
    lenders = dataset.lenders().values()
    borrowed = [t for other in lenders for t in [*tables(other, staging), *filter(None, [other.identity])]]
    for table in dict.fromkeys([*own, *borrowed]):
        relation = staging.changes(table)
        foreign = table not in own  # of a dataset that dimensions are borrowed of
        if relation is None or (relation and (foreign or (dataset.select and not _row_by_row(dataset)))):
            return None
        if relation:
            scope = Scope(catalogue, staging, states, "day", pd.Timestamp(0), pd.Timestamp(0))
            try:
                found += _changed_days(dataset, table, relation, scope)
            except (WarehouseError, QueryLimit):  # such as changed rows that lack a column, or held what it cannot read
                return None
    if dataset.identity:
        relation = staging.changes(dataset.identity)
        if relation is None:
            return None
        if relation:
            found += _moved_days(dataset, relation, Scope(catalogue, staging, states, "day", *[pd.Timestamp(0)] * 2))
    return merged(found)


def _moved_days(dataset: Dataset, relation: str, scope: Scope) -> list[tuple[pd.Timestamp, pd.Timestamp]]:
    """One range for each day with a row of an id that is another person's now."""
    local = trees.local_time(dataset, scope, trees.time_type(dataset, scope))
    ids = exp.select(exp.cast(exp.column("id", quoted=True), "TEXT")).from_(exp.to_table(relation, dialect="duckdb"))
    query = exp.select(trees.period(local, scope).as_(trees.PERIOD)).distinct()
    query = trees.from_dataset(query, dataset)
    query = query.where(exp.cast(exp.column(dataset.id, quoted=True), "TEXT").isin(query=ids))
    days = trees.run(query, scope)[trees.PERIOD].dropna()
    return [(day, day + DAY) for day in days]


def _beginning(state: DatasetState) -> tuple[datetime | None, ...]:
    return state.first_at, state.source_first_at, state.since


def ranges(found: DirtyRanges, scope: Scope) -> list[tuple[pd.Timestamp, pd.Timestamp]]:
    """Days as ranges of whole periods of the scope's grain; the last may end beyond the scope."""
    wide = DAY if scope.grain == "hour" else pd.Timedelta(0)  # hours are UTC, days are local
    whole = [
        (
            periods.floor(a - wide, scope.grain, scope.week_start_days),
            FAR if b >= FAR else periods.ceil(b + wide, scope.grain, scope.week_start_days),
        )
        for a, b in found
    ]
    return list(merged(whole))


def tables(dataset: Dataset, staging: Staging) -> list[str]:
    """Tables that a dataset reads."""
    if not dataset.select:
        return [dataset.source]
    known = staging.tables()
    return [t.name for t in sql.select(dataset.select, None).find_all(exp.Table) if t.name in known]


def _row_by_row(dataset: Dataset) -> bool:
    tree = sql.select(dataset.select, None)
    return isinstance(tree, exp.Select) and tree.find(*MIXING) is None and len(list(tree.find_all(exp.Table))) == 1


def _changed_days(dataset: Dataset, table: str, relation: str, scope: Scope) -> list[tuple[pd.Timestamp, pd.Timestamp]]:
    """One range for each day that a changed row lies in."""
    local = trees.local_time(dataset, scope, trees.time_type(dataset, scope))
    query = exp.select(trees.period(local, scope).as_(trees.PERIOD)).distinct()
    changed = exp.to_table(relation, dialect="duckdb")
    if dataset.select:
        inner = sql.select(dataset.select, None)
        for old in inner.find_all(exp.Table):
            changed.set("alias", exp.TableAlias(this=exp.to_identifier(old.alias or table)))
            old.replace(changed)
        query = query.from_(exp.Subquery(this=inner, alias=exp.TableAlias(this=exp.to_identifier("changed"))))
    else:
        query = query.from_(changed)
    days = trees.run(query, scope)[trees.PERIOD].dropna()
    return [(day, day + DAY) for day in days]


def clipped(found: Iterable[tuple[pd.Timestamp, pd.Timestamp]], scope: Scope) -> list[Scope]:
    """The scope, once for each range that lies in it."""
    pieces = [dataclasses.replace(scope, start=max(a, scope.start), end=min(b, scope.end)) for a, b in found]
    return [piece for piece in pieces if piece.start < piece.end]
