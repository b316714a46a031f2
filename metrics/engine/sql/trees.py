"""sqlglot trees that every KPI type is built from: dataset, local time, periods, segments, filters."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TypeVar

import pandas as pd
from sqlglot import exp

from connectors.errors import QueryLimit, QueryRefused, Withheld
from connectors.warehouse.contract import NONE_SEGMENT, Reader
from metrics.catalog import sql
from metrics.catalog.models.dataset import PERSON, Dataset
from metrics.catalog.models.kpi import Measure
from metrics.engine.periods import TOTAL
from metrics.engine.query import TOGETHER, Cost, EntitySet, Filter, Scope
from metrics.engine.sql.dialects import render
from metrics.engine.together import by_each

Query = TypeVar("Query", bound=exp.Query)
KEPT = "bellwether:kept"  # of a table in a tree: it is a roll-up
PERIOD, SEGMENT, VALUE = "__period", "__segment", "__value"
THEIR_DIMENSION = exp.column("bellwether_dimension", "each_dimension")  # of rows that come once for each dimension


def run(tree: exp.Query, scope: Scope) -> pd.DataFrame:
    """Rows of the tree in the reader's dialect; the text is kept for `--sql` and *Where this comes from*.

    Raises Withheld for whoever sees no values of few people: what asks for them masks those (engine/small_groups.py).
    """
    if scope.catalogue.min_people:
        raise Withheld(
            "this is not shown to your role: it could tell values of few people",
            hint="Values of KPIs at their own grain are, whole or by one dimension.",
        )
    reader = _reader(tree, scope.reader)
    text = render(tree, reader.dialect)
    scope.statements.append(text)
    started = time.perf_counter()
    try:
        return reader.frame(text)
    finally:
        if scope.shared is not None:
            scope.shared.costs.setdefault(scope.shared.kpi, Cost()).add(time.perf_counter() - started)


def kept_table(relation: str) -> exp.Table:
    """The rows of a roll-up, which may lie elsewhere than what it was made of. relation: as DuckDB names it."""
    table = exp.to_table(relation, dialect="duckdb")
    table.meta[KEPT] = True
    return table


def _reader(tree: exp.Query, reader: Reader) -> Reader:
    """The one that has what a tree reads: roll-ups alone, or none."""
    if reader.kept is reader:
        return reader
    defined = {cte.alias for cte in tree.find_all(exp.CTE)}
    places = {KEPT in t.meta for t in tree.find_all(exp.Table) if KEPT in t.meta or t.name not in defined}
    assert len(places) <= 1, "a statement over rows and roll-ups, which are in two places"
    return reader.kept if True in places else reader


def cte_name(dataset: str) -> str:
    """Name of a dataset's CTE: never that of a table, for the two are separate namespaces."""
    return f"dataset__{dataset}"


def from_dataset(query: exp.Select, dataset: Dataset) -> exp.Select:
    """`query` reading this dataset: its table, or a CTE with its SELECT and what it borrows."""
    if (inner := body(dataset)) is None:
        return query.from_(_table(dataset), copy=False)
    return query.from_(cte_name(dataset.name), copy=False).with_(cte_name(dataset.name), as_=inner, copy=False)


def body(dataset: Dataset) -> exp.Query | None:
    """The SELECT of a dataset, of the rows that whoever asks may see; None if it is a table as it is.

    Every question reads its rows here, so no way around a role's row filter is left. Raises QueryRefused where nobody
    of that role sees any.
    """
    if dataset.closed:
        raise QueryRefused(dataset.closed, where=f"dataset {dataset.name}")
    every = _every_row(dataset)
    if not dataset.only:
        return every
    rows = exp.Subquery(this=every) if every is not None else _table(dataset)
    rows.set("alias", exp.TableAlias(this=exp.to_identifier("every_row")))
    query = exp.select(exp.Column(this=exp.Star(), table=exp.to_identifier("every_row"))).from_(rows)
    for dimension, values in dataset.only:
        query = query.where(matches(sql.expression(dataset.dimensions[dimension]), Filter(dimension, values)))
    return query


def _every_row(dataset: Dataset) -> exp.Query | None:
    """The SELECT of a dataset, joined with those that it borrows dimensions of; None if it is a table as it is.

    Each row finds one row there at most: joins.py refuses keys that are not unique.
    """
    own = sql.select(dataset.select, None) if dataset.select else None
    borrowed = dataset.borrowed()
    if not borrowed and not dataset.identity:
        return own
    rows = exp.Subquery(this=own) if own is not None else _table(dataset)
    rows.set("alias", exp.TableAlias(this=exp.to_identifier("own")))
    query = exp.select(exp.Column(this=exp.Star(), table=exp.to_identifier("own"))).from_(rows)
    if dataset.identity:
        query = _with_person(query, dataset)
    for index, join in enumerate(dataset.join):
        brought = [(name, other) for name, (by, other) in borrowed.items() if by is join]
        if not brought:
            continue
        alias, other = f"other_{index + 1}", brought[0][1]
        lookup = exp.select(
            exp.column(other.primary_key[0], quoted=True).as_("joined_key"),
            *(sql.expression(other.dimensions[name]).as_(name, quoted=True) for name, _ in brought),
        )
        inner = body(other.reading({name for name, _ in brought}.__contains__))
        lookup = lookup.from_(
            exp.Subquery(this=inner, alias=exp.TableAlias(this=exp.to_identifier("rows"))) if inner else _table(other)
        )
        by: exp.Expr = exp.column(join.by, "own", quoted=True)
        if dataset.identity and join.by == PERSON:
            by = _person(dataset)
        on = exp.EQ(this=by, expression=exp.column("joined_key", alias))
        query = query.join(lookup.subquery(alias), on=on, join_type="left")
        query = query.select(*(exp.column(name, alias, quoted=True) for name, _ in brought))
    return query


def _with_person(query: exp.Select, dataset: Dataset) -> exp.Select:
    """`query` over rows called own, with whose their id is: of one that nobody is known of, the id itself."""
    identifier = exp.cast(exp.column("id", quoted=True), "TEXT")
    people = exp.select(  # a table of one's own may have an id twice, which must not make two rows of one
        identifier.as_("known_id"), exp.Min(this=exp.cast(exp.column(PERSON, quoted=True), "TEXT")).as_("known_person")
    )
    people = people.from_(exp.to_table(dataset.identity, quoted=True)).group_by(identifier.copy())
    on = exp.EQ(this=exp.column("known_id", "people"), expression=_own_id(dataset))
    return query.select(_person(dataset).as_(PERSON, quoted=True)).join(
        people.subquery("people"), on=on, join_type="left"
    )


def _own_id(dataset: Dataset) -> exp.Expr:
    return exp.cast(exp.column(dataset.id, "own", quoted=True), "TEXT")


def _person(dataset: Dataset) -> exp.Expr:
    """Whose a row's id is, of `_with_person`."""
    return exp.Coalesce(this=exp.column("known_person", "people"), expressions=[_own_id(dataset)])


def _table(dataset: Dataset) -> exp.Table:
    return exp.to_table(exp.to_identifier(dataset.source, quoted=True).sql("duckdb"), dialect="duckdb")


def assembled(final: Query, **ctes: exp.Query) -> Query:
    """`final` with these CTEs in order; those inside of them move to the top: not every engine nests WITH.

    They are called `cte__name`, also where they are read: a warehouse may have a table of a CTE's bare name.
    """
    placed: dict[str, exp.Query] = {}
    for name, query in ctes.items():
        for inner in query.ctes:
            placed.setdefault(inner.alias, inner.this)
        query.set("with_", None)
        placed[f"cte__{name}"] = _reading(query, ctes)
    final = _reading(final, ctes)
    for name, query in placed.items():
        final = final.with_(name, as_=query, copy=False)
    return final


def _reading(query: Query, ctes: Mapping[str, exp.Query]) -> Query:
    """`query` with each unquoted name of a CTE as it is called there; tables of the warehouse are quoted."""
    for node in query.find_all(exp.Table, exp.Column):
        part = node.this if isinstance(node, exp.Table) else node.args.get("table")
        if isinstance(part, exp.Identifier) and not part.quoted and part.name in ctes:
            part.set("this", f"cte__{part.name}")
    return query


def time_type(dataset: Dataset, scope: Scope) -> str:
    """SQL type of the dataset's time dimension."""
    tables = scope.reader.tables()
    known = scope.reader.columns(dataset.select) if dataset.select else tables[dataset.source]
    return known[dataset.time_dimension]


def instant(dataset: Dataset, kind: str) -> exp.Expr:
    """The time dimension as an instant (timestamp with time zone)."""
    column = _time_column(dataset)
    return column if kind == "TIMESTAMP WITH TIME ZONE" else _at_zone(column, dataset.timezone)


def local_time(dataset: Dataset, scope: Scope, kind: str) -> exp.Expr:
    """The time dimension on the clock that the scope's grain counts in, as a naive timestamp."""
    if kind == "DATE" and scope.grain == "hour":
        raise QueryRefused(
            f"'{dataset.time_dimension}' of dataset {dataset.name} is a date and has no hours",
            hint="Ask at grain day or coarser.",
        )
    return on_clock(dataset, kind, "UTC" if scope.grain == "hour" else scope.zone)


def on_clock(dataset: Dataset, kind: str, clock: str) -> exp.Expr:
    """The time dimension on the clock of a zone, as a naive timestamp. A date has no zone: never shifted."""
    column = _time_column(dataset)
    if kind == "DATE":
        return exp.cast(column, "TIMESTAMP")
    if kind != "TIMESTAMP WITH TIME ZONE" and dataset.timezone == clock:
        return exp.cast(column, "TIMESTAMP") if kind != "TIMESTAMP" else column
    return _at_zone(instant(dataset, kind), clock)


def period(local: exp.Expr, scope: Scope, grain: str | None = None) -> exp.Expr:
    """The period that a local time lies in."""
    grain = grain or scope.grain
    if grain == TOTAL:
        return exp.cast(exp.null(), "TIMESTAMP")
    shift = scope.week_start_days if grain == "week" else 0
    moved = exp.Sub(this=exp.paren(local.copy()), expression=_days(shift)) if shift else local.copy()
    cut: exp.Expr = exp.TimestampTrunc(this=moved, unit=exp.var(grain.upper()))
    return exp.cast(exp.Add(this=exp.paren(cut), expression=_days(shift)) if shift else cut, "TIMESTAMP")


def segment(dataset: Dataset, by: str | None) -> exp.Expr:
    """The breakdown's value as text; NULL is `(none)`; an empty text without a breakdown."""
    if by is None:
        return exp.Literal(this="", is_string=True)
    return text(sql.expression(dataset.dimensions[by]))


def segments(scope: Scope, of: Callable[[str | None], exp.Expr]) -> exp.Expr:
    """The scope's breakdown; of several, that of a row's dimension, by its name there. of: a dimension's value as text.

    Then the rows must be those of `for_each_dimension`.
    """
    if not scope.together:
        return of(scope.by)
    ifs = []
    for name in scope.together:
        begin: exp.Expr = exp.Literal.string(f"{name}{TOGETHER}")
        value = exp.DPipe(this=begin, expression=of(name)) if name else begin
        ifs.append(exp.If(this=THEIR_DIMENSION.copy().eq(exp.Literal.string(name)), true=value))
    return exp.Case(ifs=ifs)


def for_each_dimension(query: exp.Select, scope: Scope) -> exp.Select:
    """`query` with each row once for every dimension of a scope of several; else as it is."""
    if not scope.together:
        return query
    listed = exp.values([(name,) for name in scope.together], alias="each_dimension", columns=[THEIR_DIMENSION.name])
    return query.join(listed, join_type="CROSS")


def run_together(select: Callable[[Scope], exp.Query], scope: Scope) -> pd.DataFrame:
    """Rows of the statement that `select` makes of a scope; of each dimension alone, if together they take too much."""
    try:
        return run(select(scope), scope)
    except QueryLimit:
        if not scope.together:
            raise
        return by_each(scope, lambda one: run(select(one), one))


def in_range(local: exp.Expr, start: pd.Timestamp, end: pd.Timestamp) -> exp.Condition:
    """start <= local < end."""
    return exp.and_(
        exp.GTE(this=local.copy(), expression=moment(start)), exp.LT(this=local.copy(), expression=moment(end))
    )


def conditions(dataset: Dataset, scope: Scope) -> list[exp.Expr]:
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


def scanned(query: exp.Select, dataset: Dataset, scope: Scope, kind: str, filter_: str = "") -> exp.Select:
    """`query` over the rows of the scope: its range, its filters and entity set, and a filter of the definition's."""
    local = local_time(dataset, scope, kind)
    query = from_dataset(query, dataset).where(in_range(local, scope.start, scope.end), copy=False)
    for condition in [*([sql.expression(filter_)] if filter_ else []), *conditions(dataset, scope)]:
        query.where(condition, copy=False)
    return query


def times(condition: exp.Expr) -> exp.Expr:
    """How many rows meet a condition."""
    return exp.Count(this=exp.Case(ifs=[exp.If(this=condition, true=exp.Literal.number(1))]))


def matches(dimension: exp.Expr, item: Filter) -> exp.Expr:
    """Whether the dimension has one of the filter's values."""
    return text(dimension).isin(*[exp.Literal.string(v) for v in item.values])


def aggregate(measure: Measure, dataset: Dataset) -> dict[str, exp.Expr]:
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
        return {"value": pick(measure.agg, x, dataset), "n": count}
    if measure.agg in ("median", "percentile"):
        share = measure.percentile if measure.percentile is not None else 0.5
        quantile = exp.Anonymous(this="QUANTILE_CONT", expressions=[x, exp.Literal.number(share)])
        return {"value": quantile, "n": count}
    kinds: dict[str, type[exp.Expr]] = {"sum": exp.Sum, "min": exp.Min, "max": exp.Max}
    return {"value": kinds[str(measure.agg)](this=x), "n": count}


def starts_at_zero(measure: Measure) -> bool:
    """Whether the measure of no rows is 0 (counts and sums) and not unknown."""
    if not measure.sql:
        return measure.agg in ("count", "count_distinct", "sum")
    return isinstance(sql.expression(measure.sql).unnest(), (exp.Count, exp.Sum, exp.CountIf, exp.Filter))


def pick(which: str, x: exp.Expr, dataset: Dataset) -> exp.Expr:
    """First or last value by time, the primary key deciding between rows of the same moment."""
    order: list[exp.Expr] = [_time_column(dataset)]
    order += [exp.column(key, quoted=True) for key in dataset.primary_key]
    by = order[0] if len(order) == 1 else exp.Anonymous(this="ROW", expressions=order)
    return (exp.ArgMin if which == "first" else exp.ArgMax)(this=x, expression=by)


def _among(dataset: Dataset, entities: EntitySet, scope: Scope) -> exp.Expr:
    other = scope.catalogue.datasets[entities.dataset]
    if not (dataset.entity and other.entity):
        raise QueryRefused(f"dataset {(other if dataset.entity else dataset).name} has no entity to select by")
    if dataset.identity != other.identity:
        raise QueryRefused(
            f"datasets {dataset.name} and {other.name} count by ids of different kinds",
            hint="Give both the same `identity`.",
        )
    inner = exp.select(exp.column(other.entity, quoted=True)).where(sql.expression(entities.condition))
    return exp.column(dataset.entity, quoted=True).isin(query=from_dataset(inner, other))


def text(dimension: exp.Expr) -> exp.Expr:
    """A dimension as text; NULL is `(none)`."""
    shown: exp.Expr = exp.Coalesce(
        this=exp.cast(dimension.copy(), "TEXT"), expressions=[exp.Literal.string(NONE_SEGMENT)]
    )
    return shown


def _time_column(dataset: Dataset) -> exp.Expr:
    return exp.column(dataset.time_dimension, quoted=True)


def _at_zone(moment: exp.Expr, zone: str) -> exp.Expr:
    return exp.AtTimeZone(this=exp.paren(moment), zone=exp.Literal.string(zone))


def _days(count: int) -> exp.Expr:
    return exp.Interval(this=exp.Literal.string(str(count)), unit=exp.var("DAY"))


def interval(span: timedelta) -> exp.Expr:
    """A span as an interval of its largest whole unit."""
    seconds = int(span.total_seconds())
    for unit, size in (("DAY", 86400), ("HOUR", 3600), ("MINUTE", 60)):
        if seconds % size == 0:
            return exp.Interval(this=exp.Literal.string(str(seconds // size)), unit=exp.var(unit))
    return exp.Interval(this=exp.Literal.string(str(seconds)), unit=exp.var("SECOND"))


def later(at: exp.Expr, grain: str, count: int = 1) -> exp.Expr:
    """A period `count` later."""
    size, unit = {"week": (7, "DAY"), "quarter": (3, "MONTH")}.get(grain, (1, grain.upper()))
    step = exp.Interval(this=exp.Literal.string(str(size * count)), unit=exp.var(unit))
    return exp.Add(this=at.copy(), expression=step)


def null(kind: str) -> exp.Expr:
    """NULL of a type: engines want to know it in a UNION."""
    return exp.cast(exp.null(), kind)


def known(x: exp.Expr) -> exp.Expr:
    """x IS NOT NULL."""
    return exp.not_(exp.Is(this=exp.paren(x.copy()), expression=exp.null()))


def moment(at: pd.Timestamp) -> exp.Expr:
    """A literal timestamp. Its year has four digits always: of three, ClickHouse makes NULL."""
    return exp.cast(exp.Literal.string(f"{at.year:04}-{at:%m-%d %H:%M:%S}"), "TIMESTAMP")
