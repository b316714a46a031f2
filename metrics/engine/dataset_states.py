"""What a sync knows of each dataset before it counts: from when it was observed, and up to when it is complete."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pandas as pd
from sqlglot import exp

from connectors.errors import DiskFull, KpiError
from connectors.warehouse.contract import DatasetState, Staging
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.dataset import Dataset
from metrics.engine.invalidation import tables
from metrics.engine.periods import TOTAL
from metrics.engine.query import Scope
from metrics.engine.sql import trees

log = logging.getLogger(__name__)
TIMESTAMPTZ = "TIMESTAMP WITH TIME ZONE"
Bounds = tuple[datetime | None, datetime | None, int, int]  # see `_bounds`
APART = timedelta(days=2)  # more than twice what the clock of any zone differs from UTC, its sun's time included


@dataclass(frozen=True)
class Fed:
    """What is known of a table by its source. watermark: default kind of its datasets; pulled_at: last success, UTC.

    since: from when on it holds all there was, as stated; None = not stated.
    """

    watermark: str
    pulled_at: datetime | None = None
    since: datetime | None = None


def dataset_states(
    staging: Staging, catalogue: Catalogue, fed: Mapping[str, Fed], now: datetime
) -> tuple[list[DatasetState], dict[str, KpiError]]:
    """The state of every dataset, and why nothing is known of those whose SQL fails on this data or takes too much.

    fed: table → what its source says of it.

    A source that is complete to some day is so for every dataset over its table: refunds end with the orders that they
    come in one file with, not with the last refund.
    """
    read = {name: tables(d, staging) for name, d in catalogue.datasets.items()}
    kinds = {name: _kind(d, [fed.get(t, Fed("data")) for t in read[name]]) for name, d in catalogue.datasets.items()}
    own, kept = dict[str, DatasetState](), _untouched(staging, catalogue, now)
    failing: dict[str, KpiError] = {}
    for name, dataset in catalogue.datasets.items():
        try:
            found = kept[name] if name in kept else _bounds(dataset, staging, catalogue, now)
            own[name] = _state(dataset, kinds[name], staging, catalogue, fed, found)
        except DiskFull:
            raise
        except KpiError as error:
            log.warning("nothing is known of dataset %s", name, exc_info=error)
            failing[name] = error
    # A column that reaches into the future, as due dates do, says nothing of when the file was made.
    alone = {n: s for n, s in own.items() if len(read[n]) == 1 and not s.future_rows}

    def shared(name: str, state: DatasetState) -> DatasetState:
        over = [[other for other in alone if read[other] == [table]] for table in read[name]]
        state = _begun(state, [[alone[other] for other in others] for others in over])
        if kinds[name] == "sync":
            return state
        # Where it is stated to be complete to its rows, another's pull says nothing of it.
        stated = catalogue.datasets[name].watermark is not None
        near = [[other for other in others if not (stated and kinds[other] == "sync")] for others in over]
        return _reached(state, [[alone[other] for other in others] for others in near])

    states = [shared(name, state) for name, state in own.items()]
    return [*states, *(DatasetState(name, None, None, None, 0, 0) for name in failing)], failing


def _begun(state: DatasetState, over: list[list[DatasetState]]) -> DatasetState:
    """With the first row of what is over its tables, of the table that begins last. over: the states of each table."""
    firsts = [min((s.first_at for s in others if s.first_at), default=None) for others in over]
    known = [at for at in firsts if at is not None]
    if not known or len(known) < len(firsts):
        return state
    return dataclasses.replace(state, source_first_at=min(max(known), state.first_at or max(known)))


def _reached(state: DatasetState, over: list[list[DatasetState]]) -> DatasetState:
    """Complete as far as its tables are known to be, by the table that is known least."""
    marks = [max((s.watermark for s in others if s.watermark), default=None) for others in over]
    known = [at for at in marks if at is not None]
    if not known or len(known) < len(marks):
        return state
    return dataclasses.replace(state, watermark=max(min(known), state.watermark or min(known)))


def _kind(dataset: Dataset, read: list[Fed]) -> str:
    return dataset.watermark or ("sync" if {item.watermark for item in read} == {"sync"} else "data")


def _state(
    dataset: Dataset, kind: str, staging: Staging, catalogue: Catalogue, fed: Mapping[str, Fed], bounds: Bounds
) -> DatasetState:
    read = [fed.get(table, Fed("data")) for table in tables(dataset, staging)]
    first, last, rows, future = bounds
    mark = last  # exclusive, so that the latest event itself is within
    if kind == "sync":
        pulls = [item.pulled_at for item in read if item.pulled_at is not None]
        mark = min(pulls) - dataset.lag if pulls and len(pulls) == len(read) else None
    elif kind == "whole_days" and last is not None:
        mark = _end_of_day(last - timedelta(microseconds=1), ZoneInfo(catalogue.timezone))
    stated = [item.since for item in read if item.since is not None]
    since = max(stated) if stated and len(stated) == len(read) else None
    return DatasetState(dataset.name, mark, first, last, rows, future, first, since)


def _untouched(staging: Staging, catalogue: Catalogue, now: datetime) -> dict[str, Bounds]:
    """What `_bounds` would find of datasets that are a table which this sync changed nothing of, all of it past.

    The dataset's file says that it is the one of the live generation, and a KPI over it that its zone is.
    """
    generations = staging.generations()
    if not generations:
        return {}
    before, old, new = staging.dataset_states(generations[-1].sequence), staging.published_files(), catalogue.texts()
    live = staging.live_definitions()
    same = {
        n
        for name, d in live.items()
        if name in catalogue.kpis and catalogue.definition(name) == d
        for n in _of(name, catalogue)
    }
    found: dict[str, Bounds] = {}
    for name in same:
        dataset, state, key = catalogue.datasets[name], before.get(name), f"dataset:{name}"
        if dataset.select or state is None or state.last_at is None or old.get(key) != new[key]:
            continue
        if not state.future_rows and state.last_at <= now and staging.changes(dataset.source) == "":
            found[name] = (state.first_at, state.last_at, state.rows, 0)
    return found


def _of(kpi: str, catalogue: Catalogue) -> tuple[str, ...]:
    return catalogue.datasets_of(catalogue.kpis[kpi])


def _bounds(dataset: Dataset, staging: Staging, catalogue: Catalogue, now: datetime) -> Bounds:
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
    row = trees.run(trees.from_dataset(query, dataset), scope).iloc[0]
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


def _end_of_day(at: datetime, zone: ZoneInfo) -> datetime:
    day = at.astimezone(zone).date()
    return datetime.combine(day + timedelta(days=1), time(), tzinfo=zone).astimezone(UTC)
