"""Who of an audience used what was launched, and when: counted per entity, answered in a small table."""

from __future__ import annotations

import dataclasses
from datetime import date

import pandas as pd
from sqlglot import exp

from connectors.warehouse.contract import Reader
from metrics.catalog import sql
from metrics.catalog.catalogue import Catalogue
from metrics.engine import frames, periods
from metrics.engine.query import Scope
from metrics.engine.sql import trees

COLUMNS = ["segment", "seen_on", "used_on", "again", "entities"]


def adoption(  # noqa: PLR0913 (one question, its parts by name)
    catalogue: Catalogue,
    reader: Reader,
    *,
    dataset: str,
    used: str,
    audience: str,
    start: date,
    end: pd.Timestamp,
    by: str | None = None,
) -> pd.DataFrame:
    """Entities with a row of the audience in [start, end), counted by COLUMNS.

    seen_on: day of an entity's first row. used_on: day of its first row that meets `used`; NaT = not yet. again:
    used on more than one day. segment: of the first row; empty without `by`. Raises KpiError.
    """
    item = catalogue.datasets[dataset]
    scope = Scope(catalogue, reader, {}, "day", pd.Timestamp(start), end, by)
    local = trees.local_time(item, scope, trees.time_type(item, scope))
    use = exp.paren(sql.expression(used))
    when = exp.Case(ifs=[exp.If(this=use, true=trees.period(local, scope))])
    rows = trees.from_dataset(
        exp.select(
            exp.column(item.entity, quoted=True).as_("entity"),
            exp.Min(this=trees.period(local, scope)).as_("seen_on"),
            exp.Min(this=when).as_("used_on"),
            exp.Count(this=exp.Distinct(expressions=[when.copy()])).as_("days"),
            trees.pick("first", trees.segment(item, by), item).as_("segment")
            if by
            else exp.Literal.string("").as_("segment"),
        ),
        item,
    )
    entity = exp.column(item.entity, quoted=True)
    for condition in [
        trees.in_range(local, scope.start, end),
        trees.known(entity),
        *([exp.paren(sql.expression(audience))] if audience else []),
    ]:
        rows.where(condition, copy=False)
    rows = rows.group_by(exp.Literal.number(1))
    again = exp.GT(this=exp.column("days"), expression=exp.Literal.number(1))
    final = (
        exp.select(
            exp.column("segment"),
            exp.column("seen_on"),
            exp.column("used_on"),
            again.as_("again"),
            exp.Count(this=exp.Star()).as_("entities"),
        )
        .from_("people")
        .group_by(*(exp.Literal.number(i) for i in (1, 2, 3, 4)))
    )
    found = trees.run(trees.assembled(final, people=rows), scope)
    return found[COLUMNS].astype({"seen_on": "datetime64[us]", "used_on": "datetime64[us]", "entities": "int64"})


def observed_to(catalogue: Catalogue, reader: Reader, dataset: str) -> pd.Timestamp | None:
    """Up to which day, exclusive, a dataset is known to be complete; None if nothing was observed."""
    states = reader.dataset_states(reader.generation.sequence)
    scope = Scope(catalogue, reader, states, "day", pd.Timestamp(0), pd.Timestamp(0))
    mark = frames.watermark(scope, (dataset,), "day")
    return None if mark is None else periods.floor(mark, "day")


def uses_before(catalogue: Catalogue, reader: Reader, *, dataset: str, used: str, end: pd.Timestamp) -> int:
    """Rows that meet `used` before a local time: whether tracking was seen at all before the day. Raises KpiError."""
    item = catalogue.datasets[dataset]
    scope = Scope(catalogue, reader, {}, "day", pd.Timestamp(0), end)
    count = exp.select(exp.Count(this=exp.Star()).as_("uses"))
    scope = dataclasses.replace(scope, start=pd.Timestamp("1970-01-02"))
    query = trees.scanned(count, item, scope, trees.time_type(item, scope), used)
    return int(trees.run(query, scope)["uses"].iloc[0])
