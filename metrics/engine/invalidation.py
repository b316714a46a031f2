"""Which days of a dataset a sync changed: those of the old and the new version of every changed row.

What that means for a KPI is a matter of its type (types/*.py, dirty_ranges).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

import pandas as pd
from sqlglot import exp

from connectors.errors import QueryLimit, WarehouseError
from connectors.warehouse.contract import DatasetState, Staging
from metrics.catalog import sql
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.dataset import Dataset
from metrics.engine import periods
from metrics.engine.dataset_states import tables
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
    if _tells_nothing(dataset, staging):
        return merged([*found, *days]) if (days := _unsettled(dataset, old, catalogue)) else None
    scope = Scope(catalogue, staging, states, "day", pd.Timestamp(0), pd.Timestamp(0))
    try:
        for table in dict.fromkeys(tables(dataset, staging)):
            if rows := _readable(dataset, table, staging):
                found += _changed_days(dataset, table, rows, scope)
        found += _lent_days(dataset, scope, staging)
    except (_Unknown, WarehouseError, QueryLimit):  # such as changed rows that lack a column, or held what is no number
        return None
    if dataset.identity:
        relation = staging.changes(dataset.identity)
        if relation is None:
            return None
        if relation:
            found += _moved_days(dataset, relation, scope)
    return merged(found)


def _tells_nothing(dataset: Dataset, staging: Staging) -> bool:
    """Whether its rows are an engine's, where nobody tells which of them changed."""
    if staging.loads:
        return False
    read = [*tables(dataset, staging), *([dataset.identity] if dataset.identity else [])]
    return any(staging.changes(table) is None for table in read)


def _unsettled(dataset: Dataset, old: DatasetState, catalogue: Catalogue) -> list[tuple[pd.Timestamp, pd.Timestamp]]:
    """The days in which rows may still come and change, where the dataset says so; empty = any day may differ.

    Whoever borrows columns has rows that change with the other's, of whatever day.
    """
    if dataset.settled_after is None or old.last_at is None or dataset.join or dataset.identity:
        return []
    first = periods.on_clock(old.last_at - dataset.settled_after, "day", catalogue.timezone)
    return [(periods.floor(first, "day"), FAR)]


class _Unknown(Exception):
    """It cannot be told which rows differ."""


def _readable(dataset: Dataset, table: str, staging: Staging) -> str:
    """The relation of the changed rows of a dataset's table, as rows of the dataset; empty = none changed."""
    relation = staging.changes(table)
    if relation is None or (relation and dataset.select and not _row_by_row(dataset)):
        raise _Unknown
    return relation


def _lent_days(dataset: Dataset, scope: Scope, staging: Staging) -> list[tuple[pd.Timestamp, pd.Timestamp]]:
    """One range for each day with a row that borrows of a row that changed."""
    met = [exp.column(by, quoted=True).isin(query=keys) for by, keys in _lent(dataset, staging)]
    if not met:
        return []
    alone = dataset.reading(lambda _: False)
    local = trees.local_time(alone, scope, trees.time_type(alone, scope))
    query = exp.select(trees.period(local, scope).as_(trees.PERIOD)).distinct()
    return _each(trees.run(trees.from_dataset(query, alone).where(exp.or_(*met)), scope))


def _lent(dataset: Dataset, staging: Staging) -> list[tuple[str, exp.Select]]:
    """(column of this dataset, keys that it finds there another row by than before), of each join that has any."""
    near = {other.name: other for _, other in dataset.borrowed().values()}
    found = []
    for join in dataset.join:
        keys = list(_changed_keys(near[join.dataset], staging)) if join.dataset in near else []
        found += [(join.by, query) for query in keys]
    return found


def _changed_keys(dataset: Dataset, staging: Staging) -> Iterator[exp.Select]:
    """Keys of a dataset's rows that changed, or that borrow of such."""
    if dataset.identity and staging.changes(dataset.identity) != "":
        raise _Unknown
    key = exp.column(dataset.primary_key[0], quoted=True)
    for table in dict.fromkeys(tables(dataset, staging)):
        if relation := _readable(dataset, table, staging):
            yield exp.select(key.copy()).from_(_changed(dataset, table, relation)).where(trees.known(key))
    alone = dataset.reading(lambda _: False)
    for by, keys in _lent(dataset, staging):
        met = exp.column(by, quoted=True).isin(query=keys)
        yield trees.from_dataset(exp.select(key.copy()), alone).where(exp.and_(met, trees.known(key)))


def _moved_days(dataset: Dataset, relation: str, scope: Scope) -> list[tuple[pd.Timestamp, pd.Timestamp]]:
    """One range for each day with a row of an id that is another person's now."""
    local = trees.local_time(dataset, scope, trees.time_type(dataset, scope))
    ids = exp.select(exp.cast(exp.column("id", quoted=True), "TEXT")).from_(exp.to_table(relation, dialect="duckdb"))
    query = exp.select(trees.period(local, scope).as_(trees.PERIOD)).distinct()
    query = trees.from_dataset(query, dataset)
    query = query.where(exp.cast(exp.column(dataset.id, quoted=True), "TEXT").isin(query=ids))
    return _each(trees.run(query, scope))


def _beginning(state: DatasetState) -> tuple[datetime | None, ...]:
    return state.first_at, state.source_first_at, state.since


def ranges(found: DirtyRanges, scope: Scope) -> list[tuple[pd.Timestamp, pd.Timestamp]]:
    """Days as ranges of whole periods of the scope's grain; the last may end beyond the scope."""
    wide = DAY if scope.grain == "hour" else 0 * DAY  # hours are UTC, days are local
    whole = [
        (
            periods.floor(a - wide, scope.grain, scope.week_start_days),
            FAR if b >= FAR else periods.ceil(b + wide, scope.grain, scope.week_start_days),
        )
        for a, b in found
    ]
    return list(merged(whole))


def _row_by_row(dataset: Dataset) -> bool:
    tree = sql.select(dataset.select, None)
    return isinstance(tree, exp.Select) and tree.find(*MIXING) is None and len(list(tree.find_all(exp.Table))) == 1


def _changed_days(dataset: Dataset, table: str, relation: str, scope: Scope) -> list[tuple[pd.Timestamp, pd.Timestamp]]:
    """One range for each day that a changed row lies in."""
    local = trees.local_time(dataset, scope, trees.time_type(dataset, scope))
    query = exp.select(trees.period(local, scope).as_(trees.PERIOD)).distinct()
    query = query.from_(_changed(dataset, table, relation))
    return _each(trees.run(query, scope))


def _each(found: pd.DataFrame) -> list[tuple[pd.Timestamp, pd.Timestamp]]:
    """One range for each day that was found; of what lies beyond all days, such as 9999-12-31 for never, none."""
    days = found[trees.PERIOD].dropna()
    return [(day, day + DAY) for day in days if day < FAR]


def _changed(dataset: Dataset, table: str, relation: str) -> exp.Table | exp.Subquery:
    """The old and the new versions of the rows of a table that changed, as rows of the dataset."""
    changed = exp.to_table(relation, dialect="duckdb")
    if not dataset.select:
        return changed
    inner = sql.select(dataset.select, None)
    for old in inner.find_all(exp.Table):
        changed.set("alias", exp.TableAlias(this=exp.to_identifier(old.alias or table)))
        old.replace(changed)
    return exp.Subquery(this=inner, alias=exp.TableAlias(this=exp.to_identifier("changed")))


def clipped(found: Iterable[tuple[pd.Timestamp, pd.Timestamp]], scope: Scope) -> list[Scope]:
    """The scope, once for each range that lies in it."""
    pieces = [dataclasses.replace(scope, start=max(a, scope.start), end=min(b, scope.end)) for a, b in found]
    return [piece for piece in pieces if piece.start < piece.end]
