"""Which periods a sync touched: those of the old and the new version of every changed row (DESIGN 6).

Days on the project's clock, as half-open ranges. None = any period may have changed: then everything is computed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd
from sqlglot import exp

from connectors.errors import WarehouseError
from connectors.warehouse.contract import DatasetState, Staging
from metrics.catalog import sql
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.dataset import Dataset
from metrics.catalog.models.derived import formula
from metrics.catalog.models.kpi import (
    Conversion,
    Derived,
    Funnel,
    KpiCommon,
    Measure,
    Ratio,
    Simple,
    Stickiness,
    Survey,
)
from metrics.engine import periods
from metrics.engine.query import Scope
from metrics.engine.sql import trees
from metrics.engine.types import by_shorter_periods

Days = Sequence[tuple[pd.Timestamp, pd.Timestamp]]
FAR = pd.Timestamp("9999-01-01")
NEAR_DAYS, MOST_RANGES = 7, 6
DAY = pd.Timedelta(days=1)
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


def dataset_days(
    dataset: Dataset,
    staging: Staging,
    catalogue: Catalogue,
    states: Mapping[str, DatasetState],
    before: Mapping[str, DatasetState],
) -> Days | None:
    """Days of a dataset that differ from the generation before."""
    old, new = before.get(dataset.name), states.get(dataset.name)
    if old is None or new is None or old.first_at != new.first_at:
        return None
    found: list[tuple[pd.Timestamp, pd.Timestamp]] = []
    if old.watermark != new.watermark:
        if old.watermark is None or new.watermark is None:
            return None
        mark = periods.on_clock(min(old.watermark, new.watermark), "day", catalogue.timezone)
        found.append((periods.floor(mark, "day"), FAR))
    own = tables(dataset, staging)
    borrowed = [t for _, other in dataset.borrowed().values() for t in tables(other, staging)]
    for table in dict.fromkeys([*own, *borrowed]):
        relation = staging.changes(table)
        foreign = table not in own  # of a dataset that dimensions are borrowed of
        if relation is None or (relation and (foreign or (dataset.select and not _row_by_row(dataset)))):
            return None
        if relation:
            scope = Scope(catalogue, staging, states, "day", pd.Timestamp(0), pd.Timestamp(0))
            try:
                found += _changed_days(dataset, table, relation, scope)
            except WarehouseError:  # the changed rows lack a column that the dataset reads
                return None
    return merged(found)


def kpi_days(kpi: KpiCommon, catalogue: Catalogue, days: Mapping[str, Days | None]) -> Days | None:
    """Days of a KPI whose values may differ: those of its datasets, widened by window and offsets."""
    found = _own_days(kpi, catalogue, days)
    if found and by_shorter_periods(kpi):  # a month has the weeks that begin in it, up to their ends
        week = catalogue.week_start_days
        whole = [
            (periods.floor(a, kpi.grain, week), b if b >= FAR else periods.ceil(b, kpi.grain, week)) for a, b in found
        ]
        return merged(whole)
    return found


def _own_days(kpi: KpiCommon, catalogue: Catalogue, days: Mapping[str, Days | None]) -> Days | None:
    if isinstance(kpi, Simple):
        own = days[kpi.dataset]
        return own if own is None or kpi.window is None else merged((a, _later(b, kpi.window)) for a, b in own)
    if isinstance(kpi, Ratio):
        parts = list(kpi.parts.values())
        return _union(
            days[p.dataset] if isinstance(p, Measure) else kpi_days(catalogue.kpi(p), catalogue, days) for p in parts
        )
    if isinstance(kpi, Derived):
        return _union(
            _shifted(kpi_days(catalogue.kpi(r.kpi), catalogue, days), r.offset_grain, r.offset)
            for r in formula(kpi.expr).references
        )
    if isinstance(kpi, (Survey, Stickiness)):
        return days[catalogue.datasets_of(kpi)[0]]
    if isinstance(kpi, (Conversion, Funnel)) and kpi.window is not None:
        # Who started up to a window earlier may have come further; and what was not mature has become so.
        found = _union(days[name] for name in catalogue.datasets_of(kpi))
        return found if found is None else merged((a - kpi.window - 2 * DAY, b) for a, b in found)
    # Other types look at more than a period's own rows: unchanged, or everything.
    return [] if all(days[name] is not None and not days[name] for name in catalogue.datasets_of(kpi)) else None


def ranges(found: Days, scope: Scope) -> list[tuple[pd.Timestamp, pd.Timestamp]]:
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


def merged(found: Iterable[tuple[pd.Timestamp, pd.Timestamp]]) -> Days:
    """Ranges in order; those that overlap or lie near become one, and so do the nearest of too many."""
    result: list[tuple[pd.Timestamp, pd.Timestamp]] = []
    for a, b in sorted(found):
        if result and a <= result[-1][1] + NEAR_DAYS * DAY:
            result[-1] = (result[-1][0], max(b, result[-1][1]))
        else:
            result.append((a, b))
    while len(result) > MOST_RANGES:
        gaps = [result[i + 1][0] - result[i][1] for i in range(len(result) - 1)]
        i = gaps.index(min(gaps))
        result[i : i + 2] = [(result[i][0], result[i + 1][1])]
    return result


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


def _union(parts: Iterable[Days | None]) -> Days | None:
    found: list[tuple[pd.Timestamp, pd.Timestamp]] = []
    for part in parts:
        if part is None:
            return None
        found += part
    return merged(found)


def _shifted(found: Days | None, grain: str, count: int) -> Days | None:
    """The days whose value reads these, `count` grains later."""
    if found is None or not count:
        return found
    offset = periods.OFFSETS[grain] * count
    return [(a + offset, b if b >= FAR else b + offset) for a, b in found]


def _later(at: pd.Timestamp, window: pd.Timedelta) -> pd.Timestamp:
    return at if at >= FAR else at + window - DAY


def clipped(found: Iterable[tuple[pd.Timestamp, pd.Timestamp]], scope: Scope) -> list[Scope]:
    """The scope, once for each range that lies in it."""
    pieces = [dataclasses.replace(scope, start=max(a, scope.start), end=min(b, scope.end)) for a, b in found]
    return [piece for piece in pieces if piece.start < piece.end]
