"""The first and the last event of a dataset, asked of its rows."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pandas as pd
from sqlglot import exp

from connectors.warehouse.contract import Staging
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.dataset import Dataset
from metrics.engine.periods import TOTAL
from metrics.engine.query import Scope
from metrics.engine.sql import trees

TIMESTAMPTZ = "TIMESTAMP WITH TIME ZONE"
APART = timedelta(days=2)  # more than twice what the clock of any zone differs from UTC, its sun's time included


def dataset_bounds(
    dataset: Dataset, staging: Staging, catalogue: Catalogue, now: datetime
) -> tuple[datetime | None, datetime | None, int, int]:
    """First event and end of the last one (of its day, for DATEs) not in the future, as UTC instants; counts."""
    zone = ZoneInfo(catalogue.timezone)
    scope = Scope(catalogue, staging, {}, TOTAL, pd.Timestamp(0), pd.Timestamp(0))
    kind = trees.time_type(dataset, scope)
    column: exp.Expr = exp.column(dataset.time_dimension, quoted=True)
    moment, edge = _comparable(dataset, kind, now, zone)
    past: exp.Expr = exp.LTE(this=moment.copy(), expression=edge)
    apart = kind == "TIMESTAMP" and dataset.timezone != "UTC" and trees.body(dataset) is None
    if apart:  # only what is near the edge is converted to tell on which side it lies
        utc = now.astimezone(UTC).replace(tzinfo=None)
        past = exp.Case(
            ifs=[
                exp.If(this=exp.LTE(this=column.copy(), expression=_literal(utc - APART)), true=exp.true()),
                exp.If(this=exp.GT(this=column.copy(), expression=_literal(utc + APART)), true=exp.false()),
            ],
            default=past,
        )
    at = exp.Case(ifs=[exp.If(this=past, true=(column if apart else moment).copy())])
    aware = kind == TIMESTAMPTZ
    query = exp.select(
        _plain(exp.Min(this=at), aware).as_("first"),
        _plain(exp.Max(this=at.copy()), aware).as_("last"),
        exp.Count(this=exp.Star()).as_("rows"),
        exp.Count(this=at.copy()).as_("past"),
        exp.Count(this=column.copy()).as_("dated"),
    )
    row = _by_statistics(dataset, scope, edge, aware) if moment == column and not apart else None
    row = trees.run(trees.from_dataset(query, dataset), scope).iloc[0] if row is None else row
    counts = int(row["rows"]), int(row["dated"] - row["past"])
    if pd.isna(row["first"]):
        return None, None, *counts
    ends = _converted(dataset, scope, row, moment, past) if apart else row
    first, last = (
        ends[which].floor("us").to_pydatetime() for which in ("first", "last")
    )  # some tables have nanoseconds
    if kind == "DATE":
        last = datetime.combine(last.date() + timedelta(days=1), time())
        return first.replace(tzinfo=zone).astimezone(UTC), last.replace(tzinfo=zone).astimezone(UTC), *counts
    return first.replace(tzinfo=UTC), last.replace(tzinfo=UTC) + timedelta(microseconds=1), *counts


def _by_statistics(dataset: Dataset, scope: Scope, edge: exp.Expr, aware: bool) -> pd.Series | None:
    """The same where no row lies in the future: the ends of all rows, which an engine knows without a scan."""
    column, at = exp.column(dataset.time_dimension, quoted=True), exp.column("at")
    every = exp.select(
        _plain(exp.Min(this=column.copy()), aware).as_("first"),
        exp.Max(this=column.copy()).as_("at"),
        exp.Count(this=exp.Star()).as_("rows"),
        exp.Count(this=column.copy()).as_("dated"),
    )
    query = exp.select("first", _plain(at.copy(), aware).as_("last"), "rows", "dated", exp.column("dated").as_("past"))
    query = query.from_("ends").where(exp.LTE(this=at, expression=edge))
    found = trees.run(trees.assembled(query, ends=trees.from_dataset(every, dataset)), scope)
    return found.iloc[0] if len(found) else None


def _comparable(dataset: Dataset, kind: str, now: datetime, zone: ZoneInfo) -> tuple[exp.Expr, exp.Expr]:
    """The time dimension as what orders its rows as they happened, and the present as the same."""
    column: exp.Expr = exp.column(dataset.time_dimension, quoted=True)
    utc = now.astimezone(UTC)
    if kind == "DATE":
        return exp.cast(column, "TIMESTAMP"), _literal(now.astimezone(zone).replace(tzinfo=None))
    if kind == TIMESTAMPTZ:
        return column, exp.cast(exp.Literal.string(utc.isoformat(" ", "microseconds")), "TIMESTAMPTZ")
    if kind != "TIMESTAMP" or dataset.timezone != "UTC":
        column = _plain(exp.paren(trees.instant(dataset, kind)), True)
    return column, _literal(utc.replace(tzinfo=None))


def _converted(dataset: Dataset, scope: Scope, row: pd.Series, moment: exp.Expr, past: exp.Expr) -> pd.Series:
    """First and last instant, of what the clock of the dataset's zone has at first and last.

    Clocks that are set make the order of rows another one, by hours at most: so far from both ends all are converted.
    row: first and last of the rows before now, on that clock.
    """
    column = exp.column(dataset.time_dimension, quoted=True)
    near = exp.or_(
        exp.LTE(this=column.copy(), expression=_literal(row["first"].floor("us").to_pydatetime() + APART)),
        exp.GTE(this=column.copy(), expression=_literal(row["last"].floor("us").to_pydatetime() - APART)),
    )
    query = exp.select(exp.Min(this=moment.copy()).as_("first"), exp.Max(this=moment.copy()).as_("last"))
    return trees.run(trees.from_dataset(query.where(near, past.copy()), dataset), scope).iloc[0]


def _plain(instant: exp.Expr, aware: bool) -> exp.Expr:
    """An instant without its zone, by UTC."""
    return exp.AtTimeZone(this=instant, zone=exp.Literal.string("UTC")) if aware else instant


def _literal(at: datetime) -> exp.Expr:
    return exp.cast(exp.Literal.string(at.isoformat(" ", "microseconds")), "TIMESTAMP")
