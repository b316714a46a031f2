"""Medians and percentiles of months and longer, of how often each value is there: exact, as of rows."""

from __future__ import annotations

from sqlglot import exp

from metrics.catalog.models.kpi import Measure
from metrics.engine.query import TOGETHER, Scope
from metrics.engine.sql import trees
from metrics.engine.sql.entity_rows import window_function
from metrics.engine.sql.rollups import values_of
from metrics.engine.sql.shared_reading import united


def quantile_select(measure: Measure, scope: Scope) -> exp.Select | None:
    """What `measure_select` selects of a median or percentile, with linear interpolation; None: rows tell."""
    values = values_of(measure, scope)
    if values is None:
        return None
    keys, counted = ("period", "segment"), _counted(scope)
    rows, rising = exp.Sum(this=exp.column("rows")), [exp.Ordered(this=exp.column("value"), nulls_first=False)]
    share = exp.cast(exp.Literal.number(0.5 if measure.percentile is None else measure.percentile), "DOUBLE")
    placed = exp.select(
        *(*keys, "value"),
        window_function(rows, by=list(keys), order=rising, running=True).as_("upto"),
        window_function(rows.copy(), by=list(keys), order=[]).as_("n"),
    ).from_("counted")
    at = exp.Mul(this=exp.paren(exp.Sub(this=exp.column("n"), expression=exp.Literal.number(1))), expression=share)
    spots = exp.select(*keys, "value", "upto", "n", at.as_("spot")).from_("placed")
    bounds = exp.select(
        *(*keys, exp.column("n"), exp.column("spot")),
        *(_first_beyond(end).as_(name) for name, end in (("low", exp.Floor), ("high", exp.Ceil))),
    )
    bounds = bounds.from_("spots").group_by(*(exp.Literal.number(i) for i in (1, 2, 3, 4)))
    part = exp.Sub(this=exp.column("spot"), expression=exp.Floor(this=exp.column("spot")))
    between = exp.Mul(
        this=exp.paren(exp.Sub(this=exp.column("high"), expression=exp.column("low"))), expression=exp.paren(part)
    )
    value = exp.Case(
        ifs=[exp.If(this=exp.column("high").eq(exp.column("low")), true=exp.column("low"))],
        default=exp.Add(this=exp.column("low"), expression=between),
    )
    final = exp.select(
        exp.column("period").as_(trees.PERIOD),
        exp.column("segment").as_(trees.SEGMENT),
        value.as_(trees.VALUE),
        "n",
    ).from_("bounds")
    return trees.assembled(final, kept_values=values, counted=counted, placed=placed, spots=spots, bounds=bounds)


def _counted(scope: Scope) -> exp.Query:
    """How often each value is there in each period and segment."""
    if not scope.together:
        return _of(scope, exp.column("segment"), None)
    columns = {name: exp.column(f"d{i}") for i, name in enumerate(filter(None, scope.together))}
    return united(_of(scope, columns.get(name), name) for name in scope.together)


def _of(scope: Scope, by: exp.Column | None, dimension: str | None) -> exp.Select:
    """dimension: of several, whose name goes before that of its segments."""
    period, value = trees.period(exp.column("day"), scope), exp.column("value")
    known = exp.Case(ifs=[exp.If(this=trees.known(value), true=exp.column("rows"))])
    segment: exp.Expr = by or exp.Literal.string("")
    if dimension is not None:
        segment = exp.Literal.string(f"{dimension}{TOGETHER}")
        segment = segment if by is None else exp.DPipe(this=segment, expression=by.copy())
    counted = exp.select(
        period.as_("period"),
        segment.as_("segment"),
        value,
        exp.Coalesce(this=exp.Sum(this=known), expressions=[exp.Literal.number(0)]).as_("rows"),
    ).from_("kept_values")
    return counted.group_by(*(x.copy() for x in (period, by, value) if x is not None))


def _first_beyond(end: type[exp.Func]) -> exp.Expr:
    """The least value up to which more rows lie than before a place."""
    beyond = exp.GT(this=exp.column("upto"), expression=end(this=exp.column("spot")))
    value = exp.cast(exp.column("value"), "DOUBLE")
    return exp.Min(this=exp.Case(ifs=[exp.If(this=beyond, true=value)]))
