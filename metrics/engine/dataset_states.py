"""What a sync knows of each dataset before it counts: from when it was observed, and up to when it is complete."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pandas as pd
from sqlglot import exp

from connectors.warehouse.contract import DatasetState, Staging
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.dataset import Dataset
from metrics.engine.invalidation import tables
from metrics.engine.periods import TOTAL
from metrics.engine.query import Scope
from metrics.engine.sql import trees


@dataclass(frozen=True)
class Fed:
    """What is known of a table by its source. watermark: default kind of its datasets; pulled_at: last success, UTC.

    since: from when on it holds all there was, as stated; None = not stated.
    """

    watermark: str
    pulled_at: datetime | None = None
    since: datetime | None = None


def dataset_states(staging: Staging, catalogue: Catalogue, fed: Mapping[str, Fed], now: datetime) -> list[DatasetState]:
    """The state of every dataset. fed: table → what its source says of it."""
    return [_state(d, staging, catalogue, fed, now) for d in catalogue.datasets.values()]


def _state(
    dataset: Dataset, staging: Staging, catalogue: Catalogue, fed: Mapping[str, Fed], now: datetime
) -> DatasetState:
    read = [fed.get(table, Fed("data")) for table in tables(dataset, staging)]
    kind = dataset.watermark or ("sync" if {item.watermark for item in read} == {"sync"} else "data")
    first, last, rows, future = _bounds(dataset, staging, catalogue, now)
    mark = last  # exclusive, so that the latest event itself is within
    if kind == "sync":
        pulls = [item.pulled_at for item in read if item.pulled_at is not None]
        mark = min(pulls) - dataset.lag if pulls and len(pulls) == len(read) else None
    elif kind == "whole_days" and last is not None:
        mark = _end_of_day(last - timedelta(microseconds=1), ZoneInfo(catalogue.timezone))
    stated = [item.since for item in read if item.since is not None]
    since = max(stated) if stated and len(stated) == len(read) else None
    return DatasetState(dataset.name, mark, first, last, rows, future, first, since)


def _bounds(
    dataset: Dataset, staging: Staging, catalogue: Catalogue, now: datetime
) -> tuple[datetime | None, datetime | None, int, int]:
    """First event and end of the last one (of its day, for DATEs) not in the future, as UTC instants; counts."""
    zone = ZoneInfo(catalogue.timezone)
    scope = Scope(catalogue, staging, {}, TOTAL, pd.Timestamp(0), pd.Timestamp(0))
    kind = trees.time_type(dataset, scope)
    moment: exp.Expr = exp.column(dataset.time_dimension, quoted=True)
    if kind == "DATE":
        moment = exp.cast(moment, "TIMESTAMP")
        edge = now.astimezone(zone).replace(tzinfo=None)
    else:
        moment = exp.AtTimeZone(this=exp.paren(trees.instant(dataset, kind)), zone=exp.Literal.string("UTC"))
        edge = now.astimezone(UTC).replace(tzinfo=None)
    past = exp.LTE(
        this=moment.copy(), expression=exp.cast(exp.Literal.string(f"{edge:%Y-%m-%d %H:%M:%S.%f}"), "TIMESTAMP")
    )
    at = exp.Case(ifs=[exp.If(this=past, true=moment.copy())])
    query = exp.select(
        exp.Min(this=at).as_("first"),
        exp.Max(this=at.copy()).as_("last"),
        exp.Count(this=exp.Star()).as_("rows"),
        exp.Count(this=at.copy()).as_("past"),
        exp.Count(this=moment.copy()).as_("dated"),
    )
    row = trees.run(trees.from_dataset(query, dataset), scope).iloc[0]
    counts = int(row["rows"]), int(row["dated"] - row["past"])
    if pd.isna(row["first"]):
        return None, None, *counts
    first, last = (
        row[which].floor("us").to_pydatetime() for which in ("first", "last")
    )  # some tables have nanoseconds
    if kind == "DATE":
        last = datetime.combine(last.date() + timedelta(days=1), time())
        return first.replace(tzinfo=zone).astimezone(UTC), last.replace(tzinfo=zone).astimezone(UTC), *counts
    return first.replace(tzinfo=UTC), last.replace(tzinfo=UTC) + timedelta(microseconds=1), *counts


def _end_of_day(at: datetime, zone: ZoneInfo) -> datetime:
    day = at.astimezone(zone).date()
    return datetime.combine(day + timedelta(days=1), time(), tzinfo=zone).astimezone(UTC)
