"""An engine that has a project's rows, where a sync and pages speak of sources: one that is read and never loaded."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from connectors.errors import EngineFailed
from connectors.warehouse.contract import DatasetState, SourceRun, Staging
from metrics.catalog.catalogue import Catalogue
from metrics.engine.dataset_states import Fed

if TYPE_CHECKING:
    from jobs.project.sync_log import SyncLog

ENGINE = "warehouse"  # what it is called among sources


def fed(staging: Staging, now: datetime) -> dict[str, Fed]:
    """What is known of each of its tables: what is there by now is there. Raises EngineFailed."""
    return dict.fromkeys(staging.tables(), Fed("data", now))


def read_run(catalogue: Catalogue, states: Mapping[str, DatasetState], seconds: float, now: datetime) -> SourceRun:
    """A sync that read all of it. Its rows are those of the tables that datasets are; seconds: to find their states."""
    tables = {d.source: states[d.name].rows for d in catalogue.datasets.values() if d.source and d.name in states}
    moment = now.astimezone(UTC).isoformat()
    return SourceRun(ENGINE, "loaded", sum(tables.values()), seconds=seconds, last_success=moment)


def failed_run(log: SyncLog, error: EngineFailed, seconds: float) -> SourceRun:
    """A sync that it was lost in, with when it was read last."""
    earlier = log.runs().get(ENGINE)
    success = earlier.last_success if earlier else ""
    return SourceRun(ENGINE, "failed", seconds=seconds, error=f"{ENGINE}: {error}", last_success=success)
