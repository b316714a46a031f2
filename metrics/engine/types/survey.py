"""survey: NPS, CSAT or CES of answers, with how many were glad, in between and not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from sqlglot import exp

from metrics.catalog import sql
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.kpi import Measure
from metrics.catalog.types.survey import PARTS, Survey
from metrics.engine import frames
from metrics.engine.per_person import Part, PerPerson
from metrics.engine.query import Scope
from metrics.engine.sampling import Floats, People, between_ends, class_counts, classes, numbers, shares
from metrics.engine.sql import trees
from metrics.engine.sql.measures import summed, summed_days
from metrics.engine.sql.sums import ROWS, Column, Sums
from metrics.engine.together import by_each
from metrics.engine.types.contract import ends_with_its_period, own_rows

# scale → least answer, least of the middle, least of the top, greatest answer
SCALES = {"nps": (0, 7, 9, 10), "csat": (1, 3, 4, 5), "ces": (1, 4, 5, 7)}


dirty_ranges = own_rows
settled_at = ends_with_its_period


def facts(kpi: Survey, scope: Scope) -> pd.DataFrame:
    """NPS = 100 × (promoters − detractors) / n; CSAT = share of 4 and 5 of 5; CES = mean of 1 to 7."""
    zero = _zero(kpi, scope)
    ((own, _),) = sums(kpi, scope.catalogue)
    found = summed(own, scope, zero=zero, parts=PARTS)
    if found is None:
        rows = by_each(scope, lambda one: trees.run(_select(kpi, one), one))
        found = frames.spined(rows, scope, kpi.dataset, zero=zero, parts=PARTS)
    return _scored(kpi, found)


def sums(kpi: Survey, catalogue: Catalogue) -> list[tuple[Sums, int]]:
    """The classes of the answers, and what the score is made of."""
    classed = {name: _is(kpi, name).sql("duckdb") for name in PARTS}
    total = {
        "nps": f"CASE WHEN {classed['promoters']} THEN 1 WHEN {classed['detractors']} THEN -1 ELSE 0 END",
        "csat": f"CASE WHEN {classed['promoters']} THEN 1 ELSE 0 END",
        "ces": f"({kpi.score})",
    }
    answered = trees.known(group(kpi)).sql("duckdb")
    columns = {
        "numerator": Column("sum", total[kpi.scale]),
        "denominator": ROWS,
        "n": ROWS,
        **{name: Column("count", f"CASE WHEN {test} THEN 1 END") for name, test in classed.items()},
    }
    condition = f"({kpi.filter}) AND {answered}" if kpi.filter else answered
    return [(Sums(kpi.dataset, condition, tuple(columns.items())), 0)]


def from_days(kpi: Survey, daily: pd.DataFrame, scope: Scope) -> pd.DataFrame:
    """Answers add up."""
    ((own, _),) = sums(kpi, scope.catalogue)
    return _scored(kpi, summed_days(daily, own, scope, zero=_zero(kpi, scope), parts=PARTS))


def _zero(kpi: Survey, scope: Scope) -> tuple[str, ...]:
    return ("numerator", "denominator", *PARTS) if scope.catalogue.datasets[kpi.dataset].empty == "zero" else ()


def _scored(kpi: Survey, frame: pd.DataFrame) -> pd.DataFrame:
    return frames.shared(frame, factor=100.0 if kpi.scale == "nps" else 1.0)


def sampling(kpi: Survey, frame: pd.DataFrame) -> Floats:
    """By the classes of the answers; of NPS without them the least that score and n allow. CES: see `people`."""
    value, n = numbers(frame, "value"), numbers(frame, "n")
    if kpi.scale == "csat":
        return shares(value, n)
    if kpi.scale == "ces":
        return np.full(len(frame), np.nan)
    counts = class_counts(frame, len(PARTS))
    return 100.0**2 * between_ends(value / 100, n) if counts is None else classes(counts, (100.0, 0.0, -100.0))


def people(kpi: Survey, catalogue: Catalogue) -> People | None:
    """CES: the answers of each person."""
    if kpi.scale != "ces":
        return None
    only = " AND ".join(f"({condition})" for condition in (kpi.filter, kpi.row_needs) if condition)
    measure = Measure(dataset=kpi.dataset, agg="sum", expr=kpi.score, filter=only)
    return People(measure, measure.model_copy(update={"agg": "count"}))


def group(kpi: Survey) -> exp.Case:
    """`promoters`, `passives` or `detractors` of a row; NULL where it has no answer within the scale."""
    least, middle, top, most = SCALES[kpi.scale]
    score = exp.paren(sql.expression(kpi.score))

    def case(name: str, low: int, high: int, below: type[exp.Expr]) -> exp.If:
        limits = [(exp.GTE, low), (below, high)]
        both = exp.and_(*(kind(this=score.copy(), expression=exp.Literal.number(x)) for kind, x in limits))
        return exp.If(this=both, true=exp.Literal.string(name))

    return exp.Case(
        ifs=[
            case("promoters", top, most, exp.LTE),
            case("passives", middle, top, exp.LT),
            case("detractors", least, middle, exp.LT),
        ]
    )


def _is(kpi: Survey, name: str) -> exp.Expr:
    return exp.EQ(this=group(kpi), expression=exp.Literal.string(name))


def answers(kpi: Survey, scope: Scope, *columns: exp.Expr) -> exp.Select:
    """These columns of the rows of the scope that have an answer."""
    dataset = scope.catalogue.datasets[kpi.dataset]
    query = trees.scanned(exp.select(*columns), dataset, scope, trees.time_type(dataset, scope), kpi.filter)
    return query.where(trees.known(group(kpi)))


def _select(kpi: Survey, scope: Scope) -> exp.Select:
    dataset = scope.catalogue.datasets[kpi.dataset]
    local = trees.local_time(dataset, scope, trees.time_type(dataset, scope))
    count: exp.Expr = exp.Count(this=exp.Star())
    counts = {name: trees.times(_is(kpi, name)) for name in PARTS}
    total: exp.Expr = exp.Sub(this=counts["promoters"].copy(), expression=counts["detractors"].copy())
    if kpi.scale == "csat":
        total = counts["promoters"].copy()
    elif kpi.scale == "ces":
        total = exp.Sum(this=exp.paren(sql.expression(kpi.score)))
    query = answers(
        kpi,
        scope,
        trees.period(local, scope).as_(trees.PERIOD),
        trees.segment(dataset, scope.by).as_(trees.SEGMENT),
        total.as_("numerator"),
        count.as_("denominator"),
        count.copy().as_("n"),
        *(tree.as_(name) for name, tree in counts.items()),
    )
    return query.group_by(exp.Literal.number(1), exp.Literal.number(2))


def per_person(kpi: Survey, catalogue: Catalogue) -> PerPerson:
    """What a person's answers add up to, by how many they are."""
    score = exp.paren(sql.expression(kpi.score))
    top, low = (_is(kpi, name) for name in ("promoters", "detractors"))
    one, less = exp.Literal.number(1), exp.Neg(this=exp.Literal.number(1))
    value: exp.Expr = exp.Case(ifs=[exp.If(this=top, true=one), exp.If(this=low, true=less)])
    if kpi.scale == "csat":
        value = exp.Case(ifs=[exp.If(this=top, true=one)])
    elif kpi.scale == "ces":
        value = score
    answered = f"({kpi.filter}) AND {kpi.row_needs}" if kpi.filter else kpi.row_needs
    counted = Part(kpi.dataset, answered, exp.Literal.number(1), "sum")
    return PerPerson(replace(counted, value=value), counted, factor=100.0 if kpi.scale == "nps" else 1.0)
