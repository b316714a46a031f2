"""The rows of a dataset that a KPI follows its entities through."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from sqlglot import exp

from connectors.errors import QueryRefused
from metrics.catalog import sql
from metrics.catalog.models.dataset import Dataset
from metrics.catalog.models.kpi import Condition, KpiCommon
from metrics.engine.frames import earliest
from metrics.engine.query import Scope
from metrics.engine.sql import trees

DAY = pd.Timedelta(days=1)


class Rows:
    """The rows of one dataset in a scope, as trees.

    local: its time on the clock that periods are cut on. at: the same moment on the clock that windows are measured
    on: UTC, so that a day of 25 hours is one; the project's, where a date takes part. Both naive timestamps.
    """

    def __init__(self, condition: Condition, scope: Scope, *, clock: str) -> None:
        self.dataset: Dataset = scope.catalogue.datasets[condition.dataset]
        self.filter, self.scope = condition.filter, scope
        kind = trees.time_type(self.dataset, scope)
        self.is_date = kind == "DATE"
        self.local = trees.local_time(self.dataset, scope, kind)
        self.at = trees.on_clock(self.dataset, kind, clock)
        if not self.dataset.entity:
            raise QueryRefused(f"dataset {self.dataset.name} has no entity to follow", hint="Write its `entity:`.")
        self.entity = exp.column(self.dataset.entity, quoted=True)

    @property
    def few(self) -> bool:
        """Whether the scope limits whose rows are asked for: by filters, or to what is not all of the time."""
        first = earliest(self.scope.states.get(self.dataset.name), "day", self.scope.zone)
        return bool(self.scope.filters or self.scope.entities or first is None or self.scope.start > first)

    @property
    def segment(self) -> exp.Expr:
        """The scope's breakdown, of rows that are selected `broken_down`."""
        return trees.segments(self.scope, lambda name: trees.segment(self.dataset, name))

    def period(self, grain: str | None = None) -> exp.Expr:
        """The period of the scope's grain (or of another) that a row lies in."""
        return trees.period(self.local, self.scope, grain)

    def asked(self) -> list[exp.Expr]:
        """What the question limits the rows to: filters and entity set."""
        return trees.conditions(self.dataset, self.scope)

    def select(
        self,
        *columns: exp.Expr,
        start: pd.Timestamp | None,
        end: pd.Timestamp | None,
        asked: bool = False,
        all_rows: bool = False,
        broken_down: bool = False,
    ) -> exp.Select:
        """Rows that match with start <= local time < end (None: no limit); asked: limited to the question, too.

        all_rows: also those that do not meet the condition's filter. broken_down: `segment` is among the columns; each
        row comes once for every dimension of a scope of several.
        """
        query = trees.from_dataset(exp.select(*columns), self.dataset)
        query = trees.for_each_dimension(query, self.scope) if broken_down else query
        for limit, kind in ((start, exp.GTE), (end, exp.LT)):
            if limit is not None:
                query.where(kind(this=self.local.copy(), expression=trees.moment(limit)), copy=False)
        if start is None and end is None:
            query.where(trees.known(self.local), copy=False)
        rule = [sql.expression(self.filter)] if self.filter and not all_rows else []
        for condition in [trees.known(self.entity), *rule, *(self.asked() if asked else [])]:
            query.where(condition, copy=False)
        return query


def entity_rows(kpi: KpiCommon, scope: Scope) -> list[Rows]:
    """The rows of each condition of a KPI, on one clock."""
    conditions = list(kpi.conditions.values())
    kinds = {c.dataset: trees.time_type(scope.catalogue.datasets[c.dataset], scope) for c in conditions}
    clock = scope.zone if "DATE" in kinds.values() else "UTC"
    return [Rows(condition, scope, clock=clock) for condition in conditions]


def reach(end: pd.Timestamp, window: pd.Timedelta | None) -> pd.Timestamp | None:
    """How far rows can matter to periods before `end`; a day more, for clocks that are set. None = for ever."""
    return None if window is None else end + window + DAY


def window_function(
    function: exp.Expr, *, by: Sequence[str], order: Sequence[exp.Expr], running: bool = False
) -> exp.Window:
    """function OVER (PARTITION BY … ORDER BY …); running: from the first row up to this one, row by row."""
    spec = None
    if running:
        spec = exp.WindowSpec(kind="ROWS", start="UNBOUNDED", start_side="PRECEDING", end="CURRENT ROW")
    parts = [exp.column(name) for name in by]
    return exp.Window(
        this=function, partition_by=parts, order=exp.Order(expressions=order) if order else None, spec=spec
    )


def rising(x: exp.Expr) -> exp.Ordered:
    """x, least first; unknown last in every engine."""
    return exp.Ordered(this=x.copy(), nulls_first=False)


def falling(x: exp.Expr) -> exp.Ordered:
    """x, greatest first; unknown last in every engine."""
    return exp.Ordered(this=x.copy(), desc=True, nulls_first=False)


def ranked(rows: Rows, order: Sequence[exp.Expr], by: Sequence[exp.Expr]) -> exp.Window:
    """ROW_NUMBER of a row among those of its group; `deciding` decides between equals."""
    order = [*order, *deciding(rows.dataset)]
    return exp.Window(this=exp.RowNumber(), partition_by=[x.copy() for x in by], order=exp.Order(expressions=order))


def deciding(dataset: Dataset, *, last: bool = False) -> list[exp.Expr]:
    """What decides between rows of one moment: the primary key; without one, every dimension's value.

    Then a breakdown and a filter look at the same row. last: the greatest is wanted.
    """
    way = falling if last else rising
    keys: list[exp.Expr] = [exp.column(key, quoted=True) for key in dataset.primary_key]
    return [way(x) for x in keys or [trees.segment(dataset, name) for name in dataset.dimensions]]
