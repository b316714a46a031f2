"""Why data is late, in words: its source failed, or nothing came for longer than it may."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from connectors.warehouse.contract import DatasetState, SourceRun
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.kpi import KpiCommon
from metrics.presentation import format as fmt

STALE_SYNC = timedelta(days=2)  # a source that is pulled and not declared otherwise


def late_reasons(
    kpi: KpiCommon,
    catalogue: Catalogue,
    states: Mapping[str, DatasetState],
    runs: Mapping[str, SourceRun],
    table_sources: Mapping[str, str],
    now: datetime,
) -> list[str]:
    """Why the data behind a KPI is late, a sentence for each dataset that is."""
    reasons = [dataset_late(name, catalogue, states, runs, table_sources, now) for name in catalogue.datasets_of(kpi)]
    return [reason for reason in reasons if reason]


def dataset_late(
    name: str,
    catalogue: Catalogue,
    states: Mapping[str, DatasetState],
    runs: Mapping[str, SourceRun],
    table_sources: Mapping[str, str],
    now: datetime,
) -> str:
    """Why this dataset is late; empty if it is not."""
    dataset, state = catalogue.datasets[name], states.get(name)
    title = dataset.label or name
    source = table_sources.get(dataset.source, "")
    run = runs.get(source)
    if run is not None and run.status == "failed":
        return f"{title}: source {source} failed at the last sync."
    if state is None or state.watermark is None:
        return f"{title}: no rows yet."
    allowed = dataset.stale_after or (STALE_SYNC if dataset.watermark == "sync" else None)
    if allowed is not None and now - state.watermark > allowed:
        return f"{title} has nothing after {fmt.day_text(state.watermark)}."
    return ""
