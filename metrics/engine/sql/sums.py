"""What adds up: sums, counts, least and greatest of rows, by day; a longer period is made of its days' exactly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from sqlglot import exp

from metrics.catalog import sql
from metrics.catalog.models.kpi import Measure

How = Literal["count", "sum", "min", "max"]


@dataclass(frozen=True)
class Column:
    """One aggregate of rows. of: SQL of what is aggregated; empty = the rows themselves."""

    how: How
    of: str = ""

    def tree(self, condition: str) -> exp.Expr:
        """The aggregate over those of a group's rows that meet a condition; empty = all."""
        x = sql.expression(self.of) if self.of else exp.Literal.number(1)
        if condition:
            x = exp.Case(ifs=[exp.If(this=sql.expression(condition), true=x)])
        elif not self.of:
            return exp.Count(this=exp.Star())
        kinds: dict[str, type[exp.Expr]] = {"count": exp.Count, "sum": exp.Sum, "min": exp.Min, "max": exp.Max}
        return kinds[self.how](this=x)

    def of_parts(self, part: exp.Expr) -> exp.Expr:
        """The aggregate of a group out of those of its parts."""
        if self.how in ("min", "max"):
            return exp.Min(this=part) if self.how == "min" else exp.Max(this=part)
        return exp.cast(exp.Sum(this=part), "DOUBLE")


ROWS = Column("count")
Part = tuple[Column, str]  # an aggregate, and the condition that its rows meet


@dataclass(frozen=True)
class Sums:
    """The aggregates that a value is made of, over the rows of a dataset that meet a condition. columns: by name.

    quotient: the value is numerator / denominator, which add up, and does not itself.
    """

    dataset: str
    condition: str
    columns: tuple[tuple[str, Column], ...]
    quotient: bool = False

    @property
    def ways(self) -> dict[str, str]:
        """Column → how its parts make a whole."""
        return {name: column.how for name, column in self.columns}

    def needs(self) -> Iterator[Column]:
        """All its aggregates; also that which tells in which periods and segments there are rows."""
        yield ROWS
        for _, column in self.columns:
            yield column


def measure_sums(measure: Measure) -> Sums | None:
    """A measure as sums; None if it does not add up from day to day."""
    x = "" if measure.expr == "*" else measure.expr
    counted = Column("count", x)
    columns: dict[str, Column]
    if measure.agg == "count":
        columns = {"value": counted, "n": counted}
    elif measure.agg == "avg":
        columns = {"numerator": Column("sum", x), "denominator": counted, "n": counted}
    elif measure.agg in ("sum", "min", "max"):
        columns = {"value": Column(measure.agg, x), "n": counted}
    else:
        return None
    return Sums(measure.dataset, measure.filter, tuple(columns.items()), quotient=measure.agg == "avg")
