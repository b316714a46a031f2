"""Sources and datasets: how fresh, how many rows, which KPIs hang on them, what could not be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from connectors.errors import Problem, counted
from connectors.warehouse.contract import DatasetState, SourceRun
from metrics.engine.data_context import DataContext
from metrics.presentation import format as fmt
from metrics.presentation.freshness import dataset_late


@dataclass(frozen=True)
class DatasetRow:
    """One dataset: state is fresh, stale or none."""

    name: str
    label: str
    state: str
    why: str
    watermark: str
    rows: str
    future: int
    kpis: tuple[str, ...]


@dataclass(frozen=True)
class SourceRow:
    """One source: state is loaded, unchanged, failed or none."""

    name: str
    table: str
    state: str
    pulled_at: datetime | None
    rows: str
    quarantined: int
    error: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class DataPage:
    """What the page shows. quarantine: one row per row that could not be read."""

    headline: str
    datasets: tuple[DatasetRow, ...]
    sources: tuple[SourceRow, ...]
    quarantine: pd.DataFrame
    problems: tuple[Problem, ...]
    generation: str
    overdue: str = ""


def _pulled_at(run: SourceRun | None) -> datetime | None:
    return datetime.fromisoformat(run.last_success) if run and run.last_success else None


def _rows(table: str, context: DataContext, states: Mapping[str, DatasetState]) -> int:
    """How many a table has: known of one that is a dataset as it is, else counted."""
    for dataset in context.catalogue.datasets.values():
        if dataset.source == table and dataset.name in states:
            return states[dataset.name].rows
    if table not in context.reader.tables():
        return 0
    return int(context.reader.frame(f'SELECT count(*) AS n FROM "{table}"')["n"].iloc[0])


def data_page(context: DataContext) -> DataPage:
    """The state of all data in the live generation."""
    generation = context.reader.generation
    states = context.reader.dataset_states(generation.sequence)
    datasets = []
    for name, item in context.catalogue.datasets.items():
        state = states.get(name)
        late = dataset_late(name, context.catalogue, states, context.runs, context.table_sources, context.now)
        kpis = tuple(k.title for k in context.catalogue.kpis.values() if name in context.catalogue.datasets_of(k))
        datasets.append(
            DatasetRow(
                name,
                item.label or name,
                "none" if state is None or not state.rows else "stale" if late else "fresh",
                late,
                fmt.moment_text(state.watermark if state else None),
                f"{state.rows:,}" if state else "0",
                state.future_rows if state else 0,
                kpis,
            )
        )
    quarantine = context.reader.quarantine()
    unreadable = quarantine.groupby("source").size().to_dict()
    sources = []
    for table, name in context.table_sources.items():
        if not table:  # of SELECTs over an engine's tables
            continue
        run = context.runs.get(name)
        sources.append(
            SourceRow(
                name,
                table,
                run.status if run else "none",
                _pulled_at(run),
                f"{_rows(table, context, states):,}",
                int(unreadable.get(name, 0)),
                run.error if run else "",
                tuple(run.notes) if run else (),
            )
        )
    late_count = sum(d.state != "fresh" for d in datasets)
    failed = len({s.name for s in sources if s.state == "failed"})
    words = (
        [f"{late_count} of {counted(len(datasets), 'dataset')} late"]
        if late_count
        else ["The one dataset is fresh" if len(datasets) == 1 else f"All {len(datasets)} datasets fresh"]
    )
    words += [f"{counted(failed, 'source')} failed"] if failed else []
    words += [f"{counted(len(quarantine), 'row')} could not be read"] if len(quarantine) else []
    return DataPage(
        "; ".join(words),
        tuple(sorted(datasets, key=lambda d: (d.state == "fresh", d.label))),
        tuple(sources),
        quarantine,
        (*context.catalogue.problems, *context.warnings),
        generation.id,
        context.overdue,
    )
