"""sqlglot trees that every KPI type is built from: dataset, local time, periods, segments, filters."""

from __future__ import annotations

from datetime import timedelta

import pandas as pd
from sqlglot import exp

from connectors.errors import QueryRefused
from connectors.warehouse.contract import NONE_SEGMENT
from metrics.catalog import sql
from metrics.catalog.dataset import Dataset
from metrics.catalog.kpi import Measure
from metrics.engine.periods import TOTAL
from metrics.engine.query import EntitySet, Filter, Scope

PERIOD, SEGMENT, VALUE = "__period", "__segment", "__value"


def run(tree: exp.Query, scope: Scope) -> pd.DataFrame:
    """Rows of the tree in the reader's dialect; the text is kept for `--sql` and *Where this comes from*."""
    text = tree.sql(dialect=scope.reader.dialect, pretty=True)
    scope.statements.append(text)
    return scope.reader.frame(text)


def cte_name(dataset: str) -> str:
    """Name of a dataset's CTE: never that of a table, for the two are separate namespaces."""
    return f"dataset__{dataset}"


def from_dataset(query: exp.Select, dataset: Dataset) -> exp.Select:
    """`query` reading this dataset: its table, or a CTE with its SELECT."""
    if not dataset.select:
        return query.from_(exp.to_table(exp.to_identifier(dataset.source, quoted=True).sql("duckdb"), dialect="duckdb"))
    return query.from_(cte_name(dataset.name)).with_(cte_name(dataset.name), as_=sql.select(dataset.select, None))


def time_type(dataset: Dataset, scope: Scope) -> str:
    """SQL type of the dataset's time dimension."""
    tables = scope.reader.tables()
    known = scope.reader.columns(dataset.select) if dataset.select else tables[dataset.source]
    return known[dataset.time_dimension]


def instant(dataset: Dataset, kind: str) -> exp.Expression:
    """The time dimension as an instant (timestamp with time zone)."""
    column = _time_column(dataset)
    return column if kind == "TIMESTAMP WITH TIME ZONE" else _at_zone(column, dataset.timezone)


def local_time(dataset: Dataset, scope: Scope, kind: str) -> exp.Expression:
    """The time dimension on the clock that the scope's grain counts in, as a naive timestamp."""
    column = _time_column(dataset)
    if kind == "DATE":  # a date has no zone: never shifted
        if scope.grain == "hour":
            raise QueryRefused(
                f"'{dataset.time_dimension}' of dataset {dataset.name} is a date and has no hours",
                hint="Ask at grain day or coarser.",
            )
        return exp.cast(column, "TIMESTAMP")
    clock = "UTC" if scope.grain == "hour" else scope.zone
    if kind != "TIMESTAMP WITH TIME ZONE" and dataset.timezone == clock:
        return exp.cast(column, "TIMESTAMP") if kind != "TIMESTAMP" else column
    return _at_zone(instant(dataset, kind), clock)


def period(local: exp.Expression, scope: Scope, grain: str | None = None) -> exp.Expression:
    """The period that a local time lies in."""
    grain = grain or scope.grain
    if grain == TOTAL:
        return exp.cast(exp.null(), "TIMESTAMP")
    shift = scope.week_start_days if grain == "week" else 0
    moved = exp.Sub(this=exp.paren(local.copy()), expression=_days(shift)) if shift else local.copy()
    cut: exp.Expression = exp.TimestampTrunc(this=moved, unit=exp.var(grain.upper()))
    return exp.cast(exp.Add(this=exp.paren(cut), expression=_days(shift)) if shift else cut, "TIMESTAMP")


def segment(dataset: Dataset, by: str | None) -> exp.Expression:
    """The breakdown's value as text; NULL is `(none)`; an empty text without a breakdown."""
    if by is None:
        return exp.Literal(this="", is_string=True)
    return text(sql.expression(dataset.dimensions[by]))


def in_range(local: exp.Expression, start: pd.Timestamp, end: pd.Timestamp) -> exp.Condition:
    """start <= local < end."""
    return exp.and_(
        exp.GTE(this=local.copy(), expression=_moment(start)), exp.LT(this=local.copy(), expression=_moment(end))
    )


def conditions(dataset: Dataset, scope: Scope) -> list[exp.Expression]:
    """The scope's filters and entity set as conditions on the dataset's rows. Raises QueryRefused."""
    found = []
    for item in scope.filters:
        if item.dimension not in dataset.dimensions:
            raise QueryRefused(
                f"dataset {dataset.name} has no dimension '{item.dimension}'",
                hint="A filter must hold for every part of the KPI.",
            )
        found.append(matches(sql.expression(dataset.dimensions[item.dimension]), item))
    if scope.entities is not None:
        found.append(_among(dataset, scope.entities, scope))
    return found


def matches(dimension: exp.Expression, item: Filter) -> exp.Expression:
    """Whether the dimension has one of the filter's values."""
    return text(dimension).isin(*[exp.Literal.string(v) for v in item.values])


def aggregate(measure: Measure, dataset: Dataset) -> dict[str, exp.Expression]:
    """Columns of one measure: value, n and, where it has parts, numerator and denominator."""
    if measure.sql:
        return {"value": sql.expression(measure.sql), "n": exp.Count(this=exp.Star())}
    if measure.agg == "count" and measure.expr in ("", "*"):
        return {"value": exp.Count(this=exp.Star()), "n": exp.Count(this=exp.Star())}
    x = sql.expression(measure.expr)
    count = exp.Count(this=x.copy())
    if measure.agg == "count":
        return {"value": count, "n": count.copy()}
    if measure.agg == "count_distinct":
        distinct = exp.Count(this=exp.Distinct(expressions=[x]))
        return {"value": distinct, "n": distinct.copy()}
    if measure.agg == "avg":
        total = exp.Sum(this=x.copy())
        mean = exp.Div(this=exp.cast(total.copy(), "DOUBLE"), expression=exp.func("NULLIF", count.copy(), 0))
        return {"value": mean, "n": count, "numerator": total, "denominator": count.copy()}
    if measure.agg in ("first", "last"):
        return {"value": _pick(measure.agg, x, dataset), "n": count}
    if measure.agg in ("median", "percentile"):
        share = measure.percentile if measure.percentile is not None else 0.5
        quantile = exp.Anonymous(this="QUANTILE_CONT", expressions=[x, exp.Literal.number(share)])
        return {"value": quantile, "n": count}
    kinds: dict[str, type[exp.Expression]] = {"sum": exp.Sum, "min": exp.Min, "max": exp.Max}
    return {"value": kinds[str(measure.agg)](this=x), "n": count}


def starts_at_zero(measure: Measure) -> bool:
    """Whether the measure of no rows is 0 (counts and sums) and not unknown."""
    if not measure.sql:
        return measure.agg in ("count", "count_distinct", "sum")
    return isinstance(sql.expression(measure.sql).unnest(), (exp.Count, exp.Sum, exp.CountIf, exp.Filter))


def _pick(which: str, x: exp.Expression, dataset: Dataset) -> exp.Expression:
    """First or last value by time, the primary key deciding between rows of the same moment."""
    order: list[exp.Expression] = [_time_column(dataset)]
    order += [exp.column(key, quoted=True) for key in dataset.primary_key]
    by = order[0] if len(order) == 1 else exp.Anonymous(this="ROW", expressions=order)
    return (exp.ArgMin if which == "first" else exp.ArgMax)(this=x, expression=by)


def _among(dataset: Dataset, entities: EntitySet, scope: Scope) -> exp.Expression:
    other = scope.catalogue.datasets[entities.dataset]
    if not (dataset.entity and other.entity):
        raise QueryRefused(f"dataset {(other if dataset.entity else dataset).name} has no entity to select by")
    inner = exp.select(exp.column(other.entity, quoted=True)).where(sql.expression(entities.condition))
    return exp.column(dataset.entity, quoted=True).isin(query=from_dataset(inner, other))


def text(dimension: exp.Expression) -> exp.Expression:
    """A dimension as text; NULL is `(none)`."""
    shown: exp.Expression = exp.Coalesce(
        this=exp.cast(dimension.copy(), "TEXT"), expressions=[exp.Literal.string(NONE_SEGMENT)]
    )
    return shown


def _time_column(dataset: Dataset) -> exp.Expression:
    return exp.column(dataset.time_dimension, quoted=True)


def _at_zone(moment: exp.Expression, zone: str) -> exp.Expression:
    return exp.AtTimeZone(this=exp.paren(moment), zone=exp.Literal.string(zone))


def _days(count: int) -> exp.Expression:
    return exp.Interval(this=exp.Literal.string(str(count)), unit=exp.var("DAY"))


def days(span: timedelta) -> exp.Expression:
    """A span of whole days as an interval."""
    return _days(span.days)


def _moment(at: pd.Timestamp) -> exp.Expression:
    return exp.cast(exp.Literal.string(f"{at:%Y-%m-%d %H:%M:%S}"), "TIMESTAMP")
