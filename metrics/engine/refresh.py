"""What a sync computes before it publishes: dataset states and finished values of every KPI."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
from sqlglot import exp

from connectors.errors import DiskFull, KpiError, Problem, QueryRefused
from connectors.warehouse.contract import NO_DIMENSION, TOUCHED, DatasetState, Staging
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.dataset import Dataset
from metrics.catalog.models.kpi import KpiCommon
from metrics.engine import types
from metrics.engine.answer import default_scope
from metrics.engine.dirty_ranges import FAR, DirtyRanges
from metrics.engine.invalidation import clipped, dataset_ranges, ranges, tables
from metrics.engine.launch_grain import lacks_launch_grain, stored_grains
from metrics.engine.periods import TOTAL
from metrics.engine.query import FACT_COLUMNS, Scope
from metrics.engine.sql import trees

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
    """Compute and store the values of each KPI that this sync touched; of a new definition all.

    One that fails is reported, its values end, and the others go on.
    """
    published = staging.generations()
    before = staging.dataset_states(published[-1].sequence) if published else {}
    days = {d.name: dataset_ranges(d, staging, catalogue, states, before) for d in catalogue.datasets.values()}
    live = staging.live_definitions()
    memo: dict[Any, pd.DataFrame] = {}
    for name, kpi in kpis.items():
        try:
            definition = catalogue.definition(name)
            changed = types.dirty_ranges(kpi, catalogue, days) if live.get(name) == definition else None
            if changed is not None and lacks_launch_grain(staging, kpi, catalogue, kpi.offered_grains):
                changed = None  # a launch has come to name it
            if changed is not None and not changed:
                yield Refreshed(name, 0)
                continue
            frame, touched = values(kpi, catalogue, staging, states, changed, memo)
            text = catalogue.definition_text(name)
            yield Refreshed(name, staging.store_values(name, definition, text, frame, touched))
        except DiskFull:
            raise
        except KpiError as error:
            staging.end_values(name)  # of other rows than these: nobody may take them for today's
            document = catalogue.documents[f"kpi:{name}"]
            problem = document.problem((), error.code, error.message, error.hint)
            yield Refreshed(name, 0, problem)


def values(
    kpi: KpiCommon,
    catalogue: Catalogue,
    staging: Staging,
    states: Mapping[str, DatasetState],
    changed: DirtyRanges | None = None,
    memo: dict[Any, pd.DataFrame] | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Stored values that may differ: of each stored grain, all rows together and each dimension of few values.

    changed: the days that a sync touched; None = all. Returns the values and, for each grain and dimension, the
    ranges of periods that they stand for (TOUCHED columns): what is stored there otherwise is no longer valid.
    """
    parts: list[pd.DataFrame] = []
    touched: list[tuple[str, str, pd.Timestamp, pd.Timestamp]] = []
    for dimension in (NO_DIMENSION, *catalogue.dimensions_of(kpi)):
        stored = stored_grains(kpi, catalogue, kpi.offered_grains)
        grains = [g for g in stored if g != "hour" or dimension == NO_DIMENSION]
        scopes = [_of(default_scope(kpi, g, catalogue, staging, states), dimension, memo) for g in grains]
        pieces = None if changed is None else _pieces(kpi, scopes, staging, changed)
        if pieces is None:
            touched += [(g, dimension, pd.Timestamp(0), FAR) for g in grains]
            pieces = _whole(kpi, scopes)
        else:
            touched += [(s.grain, dimension, a, b) for s in scopes for a, b in ranges(changed or (), s)]
        parts += [frame.assign(grain=grain, dimension=dimension) for grain, frame in pieces if len(frame)]
    columns = ["grain", "dimension", *FACT_COLUMNS]
    frame = pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)
    return frame, pd.DataFrame(touched, columns=list(TOUCHED))


def _whole(kpi: KpiCommon, scopes: list[Scope]) -> list[tuple[str, pd.DataFrame]]:
    """All values of each grain, of a dimension with few segments."""
    found = []
    for scope in scopes:
        try:
            frame = types.facts(kpi, scope)
        except QueryRefused:
            if scope.grain == kpi.grain:
                raise
            continue  # not exact at this grain: whoever asks is told why
        if frame["segment"].nunique() > MOST_SEGMENTS:
            break
        found.append((scope.grain, frame[FACT_COLUMNS]))
    return found


def _pieces(
    kpi: KpiCommon, scopes: list[Scope], staging: Staging, changed: DirtyRanges
) -> list[tuple[str, pd.DataFrame]] | None:
    """The touched periods of each grain; None if a segment came or may have gone, or nothing was stored before."""
    found = []
    for scope in scopes:
        spans = ranges(changed, scope)
        outside = staging.stored_segments(kpi.name, scope.grain, scope.by or NO_DIMENSION, spans)
        if outside is None:
            return None
        inner = [dataclasses.replace(piece, segments=tuple(outside)) for piece in clipped(spans, scope)]
        try:
            frames = [types.facts(kpi, piece) for piece in inner]
        except QueryRefused:
            return None
        inside: Counter[str] = Counter()
        for frame in frames:
            for segment, n in frame.groupby("segment")["n"].sum().items():
                inside[str(segment)] += int(n)
        if set(inside) - set(outside) or any(not outside[s] + inside[s] for s in outside):
            return None
        if frames:
            found.append((scope.grain, pd.concat(frames, ignore_index=True)[FACT_COLUMNS]))
    return found


def _of(scope: Scope, dimension: str, memo: dict[Any, pd.DataFrame] | None) -> Scope:
    return dataclasses.replace(scope, by=dimension or None, memo=memo)


def _state(
    dataset: Dataset,
    staging: Staging,
    catalogue: Catalogue,
    defaults: Mapping[str, str],
    pulled_at: Mapping[str, datetime],
    now: datetime,
) -> DatasetState:
    read = tables(dataset, staging)
    kinds = {defaults.get(t, "data") for t in read}
    kind = dataset.watermark or ("sync" if kinds == {"sync"} else "data")
    first, last, rows, future = _bounds(dataset, staging, catalogue, now)
    mark = last  # exclusive, so that the latest event itself is within
    if kind == "sync":
        pulls = [pulled_at[t] for t in read if t in pulled_at]
        mark = min(pulls) - dataset.lag if pulls and len(pulls) == len(read) else None
    elif kind == "whole_days" and last is not None:
        mark = _end_of_day(last - timedelta(microseconds=1), ZoneInfo(catalogue.timezone))
    return DatasetState(dataset.name, mark, first, last, rows, future)


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
