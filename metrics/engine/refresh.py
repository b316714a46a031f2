"""What a sync computes before it publishes: dataset states and finished values of every KPI."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pandas as pd
from sqlglot import exp

from connectors.errors import KpiError, NotUsedYet, Problem, QueryRefused
from connectors.warehouse.contract import NO_DIMENSION, DatasetState, Staging
from metrics.catalog import sql
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.dataset import Dataset
from metrics.catalog.kpi import KpiCommon
from metrics.engine import trees, types
from metrics.engine.answer import default_scope, offered_grains
from metrics.engine.periods import TOTAL
from metrics.engine.query import FACT_COLUMNS, Scope

MOST_SEGMENTS = 200  # a dimension with more values is answered from facts


@dataclass(frozen=True)
class Refreshed:
    """One KPI's values are stored (written = new versions), or why they are not."""

    kpi: str
    written: int
    problem: Problem | None = None


def dataset_states(
    staging: Staging,
    catalogue: Catalogue,
    defaults: Mapping[str, str],
    pulled_at: Mapping[str, datetime],
    now: datetime,
) -> list[DatasetState]:
    """The state of every dataset.

    defaults: table → watermark kind of its source. pulled_at: table → last successful pull.
    """
    return [_state(d, staging, catalogue, defaults, pulled_at, now) for d in catalogue.datasets.values()]


def refresh(
    staging: Staging, catalogue: Catalogue, states: Mapping[str, DatasetState], *, kpis: Mapping[str, KpiCommon]
) -> Iterator[Refreshed]:
    """Full refresh: compute and store all values of each KPI. One that fails is reported, the others go on."""
    for name, kpi in kpis.items():
        try:
            frame = all_values(kpi, catalogue, staging, states)
            text = catalogue.definition_text(name)
            yield Refreshed(name, staging.store_values(name, catalogue.definition(name), text, frame))
        except KpiError as error:
            document = catalogue.documents[f"kpi:{name}"]
            level = "warning" if isinstance(error, NotUsedYet) else "error"
            problem = document.problem((), error.code, error.message, error.hint, level)
            yield Refreshed(name, 0, problem)


def all_values(
    kpi: KpiCommon, catalogue: Catalogue, staging: Staging, states: Mapping[str, DatasetState]
) -> pd.DataFrame:
    """Every stored value: each offered grain, total of all rows and each dimension of few values."""
    parts = []
    for dimension in (NO_DIMENSION, *catalogue.dimensions_of(kpi)):
        for grain in offered_grains(kpi):
            if grain == "hour" and dimension != NO_DIMENSION:
                continue  # hours by segment are rarely asked and many: facts answer them
            scope = default_scope(kpi, grain, catalogue, staging, states)
            try:
                frame = types.facts(kpi, _by(scope, dimension))
            except QueryRefused:
                if grain == kpi.grain:
                    raise
                continue  # not exact at this grain: whoever asks is told why
            if frame["segment"].nunique() > MOST_SEGMENTS:
                break
            parts.append(frame[FACT_COLUMNS].assign(grain=grain, dimension=dimension))
    columns = ["grain", "dimension", *FACT_COLUMNS]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def _by(scope: Scope, dimension: str) -> Scope:
    return dataclasses.replace(scope, by=dimension or None)


def _state(
    dataset: Dataset,
    staging: Staging,
    catalogue: Catalogue,
    defaults: Mapping[str, str],
    pulled_at: Mapping[str, datetime],
    now: datetime,
) -> DatasetState:
    tables = _tables(dataset, staging)
    kinds = {defaults.get(t, "data") for t in tables}
    kind = dataset.watermark or ("sync" if kinds == {"sync"} else "data")
    first, last, rows, future = _bounds(dataset, staging, catalogue, now)
    mark = last  # exclusive, so that the latest event itself is within
    if kind == "sync":
        pulls = [pulled_at[t] for t in tables if t in pulled_at]
        mark = min(pulls) - dataset.lag if pulls and len(pulls) == len(tables) else None
    elif kind == "whole_days" and last is not None:
        mark = _end_of_day(last - timedelta(microseconds=1), ZoneInfo(catalogue.timezone))
    return DatasetState(dataset.name, mark, first, last, rows, future)


def _tables(dataset: Dataset, staging: Staging) -> list[str]:
    if not dataset.select:
        return [dataset.source]
    known = staging.tables()
    return [t.name for t in sql.select(dataset.select, None).find_all(exp.Table) if t.name in known]


def _bounds(
    dataset: Dataset, staging: Staging, catalogue: Catalogue, now: datetime
) -> tuple[datetime | None, datetime | None, int, int]:
    """First event and end of the last one (of its day, for DATEs) not in the future, as UTC instants; counts."""
    zone = ZoneInfo(catalogue.timezone)
    scope = Scope(catalogue, staging, {}, TOTAL, pd.Timestamp(0), pd.Timestamp(0))
    kind = trees.time_type(dataset, scope)
    moment: exp.Expression = exp.column(dataset.time_dimension, quoted=True)
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
        exp.Min(this=at).as_("first"), exp.Max(this=at.copy()).as_("last"), exp.Count(this=exp.Star()).as_("rows"),
        exp.Count(this=at.copy()).as_("past"), exp.Count(this=moment.copy()).as_("dated"),
    )  # fmt: skip
    row = trees.run(trees.from_dataset(query, dataset), scope).iloc[0]
    counts = int(row["rows"]), int(row["dated"] - row["past"])
    if pd.isna(row["first"]):
        return None, None, *counts
    first, last = row["first"].to_pydatetime(), row["last"].to_pydatetime()
    if kind == "DATE":
        last = datetime.combine(last.date() + timedelta(days=1), time())
        return first.replace(tzinfo=zone).astimezone(UTC), last.replace(tzinfo=zone).astimezone(UTC), *counts
    return first.replace(tzinfo=UTC), last.replace(tzinfo=UTC) + timedelta(microseconds=1), *counts


def _end_of_day(at: datetime, zone: ZoneInfo) -> datetime:
    day = at.astimezone(zone).date()
    return datetime.combine(day + timedelta(days=1), time(), tzinfo=zone).astimezone(UTC)
