"""What a KPI is for one person: which of their rows count, how they add up, and within which days.

Most KPIs are a sum over people, or the ratio of two: those can be held person against person. Others cannot, and say
why in one sentence. The file of each type says which (`per_person` of metrics/engine/types).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from sqlglot import exp

from metrics.catalog import sql
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.kpi import Measure

How = Literal["sum", "any"]


@dataclass(frozen=True)
class Part:
    """Rows of a person that count. value: of a row, in SQL of the dataset; how: all added up, or 1 if there is any."""

    dataset: str
    filter: str
    value: exp.Expr
    how: How


@dataclass(frozen=True)
class PerPerson:
    """A person's value: `value`, or of a ratio the parts of which all people's are added up first.

    after, window: only rows from so long after exposure on, and so long; None = to the end of the reading. capped: it
    is an amount, of which the largest are capped. factor: of the ratio, 100 for an NPS.
    """

    value: Part
    of: Part | None = None
    after: timedelta = timedelta(0)
    window: timedelta | None = None
    factor: float = 1.0

    @property
    def is_share(self) -> bool:
        """Whether a person's value is 0 or 1, and there is no denominator but people."""
        return self.value.how == "any" and self.of is None

    @property
    def capped(self) -> bool:
        """Whether the largest values are capped: amounts and counts of a person, no shares and no ratios."""
        return self.value.how == "sum" and self.of is None

    @property
    def parts(self) -> tuple[Part, ...]:
        """One or two."""
        return (self.value,) if self.of is None else (self.value, self.of)


def any_row(dataset: str, filter_: str) -> Part:
    """1 for whoever has such a row."""
    return Part(dataset, filter_, exp.Literal.number(1), "any")


def part_of(measure: Measure, catalogue: Catalogue) -> Part | str:
    """What a measure is of one person's rows; a text says why nothing."""
    dataset = catalogue.datasets[measure.dataset]
    if measure.sql:
        return "an aggregate in SQL cannot be split by person: write `agg` and `expr`"
    if measure.agg == "count":
        if measure.expr in ("", "*"):
            return Part(measure.dataset, measure.filter, exp.Literal.number(1), "sum")
        given = exp.not_(exp.Is(this=exp.paren(sql.expression(measure.expr)), expression=exp.null()))
        one = exp.Case(ifs=[exp.If(this=given, true=exp.Literal.number(1))])
        return Part(measure.dataset, measure.filter, one, "sum")
    if measure.agg == "sum":
        return Part(measure.dataset, measure.filter, sql.expression(measure.expr), "sum")
    if measure.agg == "count_distinct":
        if measure.expr.strip().strip('"') in {dataset.entity, dataset.id} - {""}:
            return any_row(measure.dataset, measure.filter)
        return f"distinct values of {measure.expr} are shared by people, so nobody has a part of them"
    return f"a {measure.agg} of everybody's rows is no sum over people"
