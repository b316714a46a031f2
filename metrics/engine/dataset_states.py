"""What a sync knows of each dataset before it counts: from when it was observed, and up to when it is complete."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlglot import exp

from connectors.errors import DiskFull, KpiError
from connectors.warehouse.contract import DatasetState, Staging
from metrics.catalog import sql
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.dataset import Dataset

log = logging.getLogger(__name__)
Bounds = tuple[datetime | None, datetime | None, int, int]  # see `dataset_bounds`


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
            own[name] = _state(
                dataset, kinds[name], staging, catalogue, fed, kept.get(name) or _read(dataset, staging, catalogue, now)
            )
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


def tables(dataset: Dataset, staging: Staging) -> list[str]:
    """Tables that a dataset reads."""
    if not dataset.select:
        return [dataset.source]
    known = staging.tables()
    return [t.name for t in sql.select(dataset.select, None).find_all(exp.Table) if t.name in known]


def _read(dataset: Dataset, staging: Staging, catalogue: Catalogue, now: datetime) -> Bounds:
    from metrics.engine.dataset_bounds import dataset_bounds  # pandas, which a sync with nothing new needs not

    return dataset_bounds(dataset, staging, catalogue, now)


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
    """What `dataset_bounds` would find of datasets that are a table which this sync changed nothing of, all of it past.

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


def _end_of_day(at: datetime, zone: ZoneInfo) -> datetime:
    day = at.astimezone(zone).date()
    return datetime.combine(day + timedelta(days=1), time(), tzinfo=zone).astimezone(UTC)
