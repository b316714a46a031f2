"""Who is counted on a day: the people of a distinct count, with their dimensions and what they meet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sqlglot import exp

from metrics.catalog import sql
from metrics.catalog.models.kpi import Measure
from metrics.engine.sql import trees
from metrics.engine.sql.shared_reading import Reading

ALL = ""  # the condition that every row meets
Key = tuple[str, ...]
Days = Callable[[Reading, Sequence[str], Sequence[str]], exp.Select]


@dataclass(frozen=True)
class People:
    """Who is counted. key: of all that are found in the same rows; dataset: whose dimensions these have.

    conditions: that people are counted by. longest: grain at which they are asked for; empty = any. days: of a range,
    dimensions and conditions, SELECT `day`, `entity`, d0 … of each dimension, f0 … = 1 of each condition but ALL.
    joined: they are found among rows of several datasets.
    """

    key: Key
    dataset: str
    conditions: tuple[str, ...]
    days: Days = field(compare=False)
    longest: str = ""
    joined: bool = False


def people_of_rows(measure: Measure, longest: str = "") -> People:
    """The people of a distinct count."""
    key = measure.dataset, measure.expr
    return People(key, measure.dataset, (measure.filter,), lambda *of: _days(measure.expr, *of), longest)


def _days(entity: str, reading: Reading, named: Sequence[str], conditions: Sequence[str]) -> exp.Select:
    dataset = reading.dataset(named, (*conditions, entity))
    met = [sql.expression(condition) for condition in conditions if condition != ALL]
    rows = exp.select(
        trees.period(reading.local(dataset), reading.scope).as_("day"),
        sql.expression(entity).as_("entity"),
        *(trees.segment(dataset, name).as_(f"d{i}") for i, name in enumerate(named)),
        *(flagged(condition).as_(f"f{i}") for i, condition in enumerate(met)),
    )
    rows = reading.scanned(rows, dataset)
    if ALL in conditions or not met:
        return rows
    return rows.where(exp.or_(*(condition.copy() for condition in met)))


def flagged(condition: exp.Expr) -> exp.Expr:
    """1 where a condition is met, else 0."""
    one = exp.If(this=condition.copy(), true=exp.Literal.number(1))
    return exp.Case(ifs=[one], default=exp.Literal.number(0))


def once(day: exp.Expr, keys: Sequence[str], flags: dict[str, str], relation: str) -> exp.Select:
    """Each person of a period and segment once, with what any of the rows meets."""
    rows = exp.select(day.as_("day"), *keys).from_(relation)
    if not flags:
        return rows.distinct()
    rows = rows.select(*(exp.Max(this=exp.column(flag)).as_(flag) for flag in flags.values()))
    return rows.group_by(*(exp.Literal.number(i + 1) for i in range(len(keys) + 1)))
