"""Sampling variance that only the people themselves tell: how much what each of them adds differs from day to day.

A person who does the same every day adds no chance; one who is seen once adds all of his own. So the variance of a
total is the sum, over people, of the variance of what each adds over the periods of one place in the week. Of a ratio
it is that of numerator less ratio times denominator (delta method). Of a percentile: the width of its order
statistics. One query of a few sums; for a span of periods, of which it is the mean.
"""

from __future__ import annotations

import dataclasses

import pandas as pd
from sqlglot import exp

from metrics.catalog import sql
from metrics.catalog.models.dataset import Dataset
from metrics.catalog.models.kpi import Measure
from metrics.engine import periods
from metrics.engine.query import Scope
from metrics.engine.sampling import People
from metrics.engine.sql import trees
from metrics.engine.sql.entity_rows import window_function

FEWEST = 20  # people's worth of either answer that tells how alike one person's answers are
DIGITS = 10  # significant ones that are kept: sums of floats differ in the last from run to run
Sums = tuple[float, float]  # of what varies from period to period; of what it is divided by


def unit_variance(people: People, scope: Scope) -> float | None:
    """Sampling variance per unit: times a total it is that total's, over a denominator (n) that of a mean (percentile).

    Of a share it is beside that of as many people who answer once each: 1 where too few answered to tell.

    scope: its grain, whole periods [start, end) that were observed, and filters; of windows by days. None where it
    is not known: no entity, or too few periods. Raises KpiError.
    """
    measures = [people.numerator, *([people.denominator] if people.denominator else [])]
    units = _units(measures, scope)
    if units is None:
        return None
    if people.quantile is not None:
        found = _quantile(people, scope)
    elif people.window > 1 and people.numerator.agg == "count_distinct":
        found = _covered(people, units[0], scope)
    else:
        found = _within(measures, units, scope, share=people.share)
    if found is None or not found[1] > 0:
        return None
    return float(f"{max(0.0, found[0] / found[1]):.{DIGITS}g}")


def _units(measures: list[Measure], scope: Scope) -> list[exp.Expr] | None:
    """Whose each row is: an entity's; of distinct things the thing itself, if all parts count such."""
    things, entities = [], []
    for measure in measures:
        dataset: Dataset = scope.catalogue.datasets[measure.dataset]
        distinct = measure.agg == "count_distinct"
        things.append(sql.expression(measure.expr) if distinct else exp.column(dataset.entity, quoted=True))
        entities.append(dataset.entity)
    if len({thing.sql() for thing in things}) == 1 and measures[0].agg == "count_distinct":
        return things
    return [exp.column(name, quoted=True) for name in entities] if all(entities) else None


def _within(measures: list[Measure], units: list[exp.Expr], scope: Scope, *, share: bool) -> Sums | None:
    """Of a total or a ratio of two."""
    counts = _places(scope)
    if min(counts.values(), default=0) < 2:
        return None
    rows = [_added(measure, unit, k, scope) for k, (measure, unit) in enumerate(zip(measures, units, strict=True))]
    ratio = len(rows) == 2
    every = exp.union(*rows, distinct=False) if ratio else rows[0]
    own = exp.select("period", "person", _sum("x").as_("x"), _sum("y").as_("y")).from_("every")
    own = own.group_by("period", "person")
    level = exp.Div(this=_whole("x"), expression=exp.func("NULLIF", _whole("y"), exp.Literal.number(0)))
    over = exp.Sub(this=exp.column("x"), expression=exp.Mul(this=exp.column("y"), expression=level))
    apart = exp.select(
        _place(scope).as_("place"),
        "person",
        "x",
        "y",
        (exp.Coalesce(this=over, expressions=[exp.Literal.number(0)]) if ratio else exp.column("x")).as_("e"),
    ).from_("sums")
    square = exp.Mul(this=exp.column("e"), expression=exp.column("e"))
    each = exp.select(
        "place",
        "person",
        exp.Sum(this=square).as_("squares"),
        _sum("e").as_("total"),
        _sum("x").as_("x"),
        _sum("y").as_("y"),
    )
    each = each.from_("apart").group_by("place", "person")
    totals = exp.Mul(this=exp.column("total"), expression=exp.column("total"))
    final = exp.select(
        "place",
        _sum("squares").as_("squares"),
        exp.Sum(this=totals).as_("totals"),
        _sum("x").as_("x"),
        _sum("y").as_("y"),
    )
    final = final.from_("each").group_by("place")
    found = trees.run(trees.assembled(final, every=every, sums=own, apart=apart, each=each), scope)
    varies = 0.0
    for row in found.to_dict("records"):
        m = counts.get(int(row["place"]), 0)
        varies += (float(row["squares"]) - float(row["totals"]) / m) / (1 - 1 / m) if m > 1 else 0.0
    top, bottom = float(found["x"].sum()), float(found["y"].sum())
    if share:
        return (varies, top * (1 - top / bottom)) if min(top, bottom - top) >= FEWEST else (1.0, 1.0)
    return varies, bottom if ratio else top


def _added(measure: Measure, unit: exp.Expr, part: int, scope: Scope) -> exp.Select:
    """period, person, x, y: what each person adds to the numerator or, of the second part, to the denominator."""
    dataset = scope.catalogue.datasets[measure.dataset]
    kind = trees.time_type(dataset, scope)
    if measure.agg == "count":
        bare = measure.expr in ("", "*")
        value: exp.Expr = exp.Count(this=exp.Star() if bare else sql.expression(measure.expr))
    elif measure.agg == "sum":
        value = exp.Coalesce(this=exp.Sum(this=sql.expression(measure.expr)), expressions=[exp.Literal.number(0)])
    else:
        value = exp.Count(this=exp.Distinct(expressions=[sql.expression(measure.expr)]))
    value = exp.cast(value, "DOUBLE")
    nothing = exp.cast(exp.Literal.number(0), "DOUBLE")
    query = exp.select(
        trees.period(trees.local_time(dataset, scope, kind), scope).as_("period"),
        exp.cast(unit.copy(), "TEXT").as_("person"),
        (value if part == 0 else nothing).as_("x"),
        (nothing.copy() if part == 0 else value).as_("y"),
    )
    query = trees.scanned(query, dataset, scope, kind, measure.filter).where(trees.known(unit), copy=False)
    return query.group_by(exp.Literal.number(1), exp.Literal.number(2))


def _covered(people: People, unit: exp.Expr, scope: Scope) -> Sums | None:
    """Of people who are there within a window: each active day makes them so until the window, or the next, ends it."""
    span = pd.Timedelta(days=people.window)
    early = dataclasses.replace(scope, grain="day", start=scope.start - span + pd.Timedelta(days=1))
    dataset = scope.catalogue.datasets[people.numerator.dataset]
    kind = trees.time_type(dataset, early)
    active = exp.select(
        exp.cast(unit.copy(), "TEXT").as_("person"),
        exp.cast(trees.local_time(dataset, early, kind), "DATE").as_("day"),
    ).distinct()
    active = trees.scanned(active, dataset, early, kind, people.numerator.filter).where(trees.known(unit), copy=False)
    day = exp.column("day")
    following = window_function(exp.Lead(this=day.copy()), by=["person"], order=[exp.Ordered(this=day.copy())])
    spans = exp.select("person", "day", following.as_("following")).from_("active")
    first, last = (exp.cast(exp.Literal.string(f"{at:%Y-%m-%d}"), "DATE") for at in (scope.start, scope.end))
    until = exp.cast(exp.Add(this=day.copy(), expression=trees.interval(span)), "DATE")
    ends = exp.Least(
        this=until, expressions=[exp.Coalesce(this=exp.column("following"), expressions=[last]), last.copy()]
    )
    begins = exp.Greatest(this=day.copy(), expressions=[first])
    length = exp.DateDiff(this=ends, expression=begins, unit=exp.var("DAY"))
    inside = exp.Greatest(this=length, expressions=[exp.Literal.number(0)])
    each = exp.select("person", exp.cast(exp.Sum(this=inside), "DOUBLE").as_("days")).from_("spans").group_by("person")
    square = exp.Mul(this=exp.column("days"), expression=exp.column("days"))
    final = exp.select(_sum("days").as_("days"), exp.Sum(this=square).as_("squares")).from_("each")
    row = trees.run(trees.assembled(final, active=active, spans=spans, each=each), scope).iloc[0]
    if pd.isna(row["days"]):
        return None
    days, squares, count = float(row["days"]), float(row["squares"]), (scope.end - scope.start).days
    if count <= people.window:
        return None
    # Windows that overlap know less of how much a person varies: as of so many periods a window apart.
    return (days - squares / count) / (1 - people.window / count), days


def _quantile(people: People, scope: Scope) -> Sums | None:
    """Of a quantile: half the width between the order statistics one deviation of its rank to either side."""
    share, measure = people.quantile or 0.5, people.numerator
    dataset = scope.catalogue.datasets[measure.dataset]
    kind, x = trees.time_type(dataset, scope), sql.expression(measure.expr)
    period = trees.period(trees.local_time(dataset, scope, kind), scope)

    def asked(*columns: exp.Expr) -> pd.DataFrame:
        query = exp.select(period.copy().as_("period"), exp.Count(this=x.copy()).as_("rows_of_it"), *columns)
        return trees.run(
            trees.scanned(query, dataset, scope, kind, measure.filter).group_by(exp.Literal.number(1)), scope
        )

    typical = float(asked()["rows_of_it"].median())
    wide = (share * (1 - share) / max(typical, 1.0)) ** 0.5
    if not typical * min(share, 1 - share) >= 1:
        return None
    ends = [min(max(share + sign * wide, 0.5 / typical), 1 - 0.5 / typical) for sign in (-1, 1)]
    found = asked(
        *(
            exp.Anonymous(this="QUANTILE_CONT", expressions=[x.copy(), exp.Literal.number(round(end, 6))]).as_(name)
            for end, name in zip(ends, ("low", "high"), strict=True)
        )
    )
    deviation = (found["high"] - found["low"]).astype(float) / (ends[1] - ends[0]) * wide
    return (float(deviation.mean()) ** 2 * typical, 1.0) if deviation.notna().any() else None


def _places(scope: Scope) -> dict[int, int]:
    """Place in the week → how many periods of the scope have it; of weeks one place."""
    index = periods.spine(scope.start, scope.end, scope.grain)
    places = index.day_of_week if scope.grain == "day" else pd.Index([0] * len(index))
    return {int(place): int(count) for place, count in places.value_counts().items()}


def _place(scope: Scope) -> exp.Expr:
    if scope.grain != "day":
        return exp.Literal.number(0)
    week = exp.TimestampTrunc(this=exp.column("period"), unit=exp.var("WEEK"))
    return exp.DateDiff(this=exp.column("period"), expression=exp.cast(week, "TIMESTAMP"), unit=exp.var("DAY"))


def _sum(column: str) -> exp.Expr:
    return exp.Sum(this=exp.column(column))


def _whole(column: str) -> exp.Expr:
    """The sum over all people of a period, beside each of them."""
    return exp.Window(this=_sum(column), partition_by=[exp.column("period")])
