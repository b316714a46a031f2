"""What people of each segment did week by week around a day, added up in the engine: for launches without exposures.

People are those who were there in the four weeks before the day, each in the segment of their last row before it, so
that nobody moves between segments because of the launch.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import pandas as pd
from sqlglot import exp

from connectors.warehouse.contract import Reader
from metrics.catalog import sql
from metrics.catalog.catalogue import Catalogue
from metrics.engine.per_person import Part
from metrics.engine.query import Scope
from metrics.engine.sql import trees

WEEKS_BEFORE = 4
WEEK = timedelta(days=7)


@dataclass(frozen=True)
class AskedSegments:
    """part: what counts. dimension: of its dataset. starts: days around which people are counted. weeks: after them."""

    part: Part
    dimension: str
    starts: tuple[pd.Timestamp, ...]
    weeks: int

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the weeks, in order."""
        return tuple(f"w{k}" for k in range(WEEKS_BEFORE + self.weeks))


def segment_sums(asked: AskedSegments, catalogue: Catalogue, reader: Reader) -> pd.DataFrame:
    """A row per start and segment: start, segment, n people, w0 … (sums of each week) and w0_w0, w0_w1 … (products).

    Raises KpiError.
    """
    first, last = min(asked.starts) - WEEKS_BEFORE * WEEK, max(asked.starts) + asked.weeks * WEEK
    scope = Scope(catalogue, reader, {}, "day", first, last)
    pairs = [(a, b) for i, a in enumerate(asked.columns) for b in asked.columns[i:]]
    sums = [exp.Sum(this=exp.column(name)).as_(name) for name in asked.columns]
    sums += [exp.Sum(this=exp.Mul(this=exp.column(a), expression=exp.column(b))).as_(f"{a}_{b}") for a, b in pairs]
    final = exp.select("start", "segment", exp.Count(this=exp.Star()).as_("n"), *sums).from_("people")
    final = final.where(trees.known(exp.column("segment"))).group_by("start", "segment")
    tree = trees.assembled(final, starts=_starts(asked), happened=_happened(asked, scope), people=_people(asked))
    found = trees.run(tree, scope)
    names = [*asked.columns, *(f"{a}_{b}" for a, b in pairs)]
    return found.astype({"start": "datetime64[us]", "n": "int64", **dict.fromkeys(names, "float64")})


def _starts(asked: AskedSegments) -> exp.Query:
    selects = [exp.select(trees.moment(at).as_("start")) for at in asked.starts]
    found: exp.Query = selects[0] if len(selects) == 1 else exp.union(*selects, distinct=False)
    return found


def _happened(asked: AskedSegments, scope: Scope) -> exp.Select:
    dataset = scope.catalogue.datasets[asked.part.dataset]
    local = trees.local_time(dataset, scope, trees.time_type(dataset, scope))
    value: exp.Expr = exp.cast(asked.part.value, "DOUBLE")
    if asked.part.filter:  # whoever was there counts as people, whatever they did
        value = exp.Case(ifs=[exp.If(this=exp.paren(sql.expression(asked.part.filter)), true=value)])
    query = trees.from_dataset(
        exp.select(
            exp.column(dataset.entity, quoted=True).as_("entity"),
            local.copy().as_("at"),
            trees.segment(dataset, asked.dimension).as_("segment"),
            value.as_("v"),
        ),
        dataset,
    )
    query.where(trees.in_range(local, scope.start, scope.end), copy=False)
    return query.where(trees.known(exp.column(dataset.entity, quoted=True)))


def _people(asked: AskedSegments) -> exp.Select:
    """A row per start and person with a value of each week. segment: NULL of who was not there before the start."""
    at, start = exp.column("at", "happened"), exp.column("start", "starts")

    def moved(weeks: int) -> exp.Expr:
        gap = trees.interval(abs(weeks) * WEEK)
        kind = exp.Add if weeks > 0 else exp.Sub
        return kind(this=start.copy(), expression=gap) if weeks else start.copy()

    columns = []
    for k, name in enumerate(asked.columns):
        inside = exp.and_(
            exp.GTE(this=at.copy(), expression=moved(k - WEEKS_BEFORE)),
            exp.LT(this=at.copy(), expression=moved(k - WEEKS_BEFORE + 1)),
        )
        value = exp.Case(ifs=[exp.If(this=inside, true=exp.column("v", "happened"))])
        total = exp.Sum(this=value) if asked.part.how == "sum" else exp.Max(this=value)
        columns.append(exp.Coalesce(this=total, expressions=[exp.Literal.number(0)]).as_(name))
    before = exp.Case(ifs=[exp.If(this=exp.LT(this=at.copy(), expression=start.copy()), true=at.copy())])
    segment = exp.ArgMax(this=exp.column("segment", "happened"), expression=before)
    near = exp.and_(
        exp.GTE(this=at.copy(), expression=moved(-WEEKS_BEFORE)), exp.LT(this=at.copy(), expression=moved(asked.weeks))
    )
    query = exp.select(start.copy().as_("start"), exp.column("entity", "happened"), segment.as_("segment"), *columns)
    return query.from_("starts").join("happened", on=near).group_by(exp.Literal.number(1), exp.Literal.number(2))
