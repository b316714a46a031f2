"""sync: begin staging → pull and load each source → refresh values → publish one generation."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from connectors.errors import DiskFull, KpiError, Problem, require
from connectors.sources.contract import Source
from connectors.warehouse.contract import DatasetState, Generation, SourceRun
from connectors.warehouse.duckdb.staging import DuckStaging
from jobs.project import Project
from metrics.catalog.catalogue import Catalogue
from metrics.engine.oddities import oddities
from metrics.engine.refresh import dataset_states, refresh


@dataclass(frozen=True)
class Progress:
    """One step of a running sync, for a bar or a status line."""

    done: int
    total: int
    text: str


@dataclass(frozen=True)
class SyncResult:
    """What a sync did. generation: what is live now; published: whether this sync made it."""

    generation: str | None
    published: bool
    sources: tuple[SourceRun, ...]
    problems: tuple[Problem, ...] = ()
    written: int = 0
    seconds: float = 0.0

    @property
    def failed(self) -> bool:
        """Whether any source failed."""
        return any(run.status == "failed" for run in self.sources)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {"generation": self.generation, "sources": [run.as_dict() for run in self.sources]}


@dataclass
class _Run:
    """The running tally of one sync."""

    runs: dict[str, SourceRun] = field(default_factory=dict)
    changed: bool = False


def sync(
    project: Project, names: Sequence[str] = (), *, full: bool = False, dry_run: bool = False, now: datetime
) -> Iterator[Progress | SyncResult]:
    """Yield progress, then one SyncResult. A source that fails leaves its tables as they were, the others go on.

    Raises SettingsError for a broken sources.yml, UnknownName, SyncRunning.
    """
    started = time.monotonic()
    sources = project.sources()
    for name in names:
        require(name, sorted(sources), kind="source")
    chosen = {n: s for n, s in sources.items() if not names or n in names}
    earlier, tally = project.source_runs(), _Run()
    with project.staging(now) as staging:
        steps = len(chosen) + 2
        for index, (name, source) in enumerate(chosen.items()):
            yield Progress(index, steps, f"Pulling {name}")
            _pull(source, staging, tally, earlier.get(name), full=full, now=now)
        staging.settle()
        runs = {**{n: r for n, r in earlier.items() if n in sources}, **tally.runs}
        catalogue = project.catalogue(staging)
        states = _states(staging, catalogue, sources, runs, now)
        result: SyncResult | None = None
        odd: list[Problem] | None = None
        if dry_run or not (tally.changed or _news(staging, catalogue, states)):
            live = project.generations.live()
            result = SyncResult(live.stem if live else None, False, tuple(tally.runs.values()))
        else:
            done, total = len(chosen), len(chosen) + len(catalogue.kpis) + 1
            # A wrong definition never stops a sync; it is told, and its KPI has no new values.
            problems, written = [found[0] for found in [*catalogue.broken.values(), *catalogue.held.values()]], 0
            staging.store_files(catalogue.texts())
            staging.store_dataset_states(list(states.values()))
            for index, one in enumerate(refresh(staging, catalogue, states, kpis=catalogue.kpis)):
                yield Progress(done + index, total, f"Computing {one.kpi}")
                written += one.written
                problems += [one.problem] if one.problem else []
            staging.forget_values(list(catalogue.kpis))
            yield Progress(total - 1, total, "Publishing")
            generation: Generation = staging.publish(project.generations)
            odd = oddities(project.catalogue(), project.reader(), now)
            result = SyncResult(generation.id, True, tuple(tally.runs.values()), (*problems, *odd), written)
        if not dry_run:
            project.write_last_sync(runs, now, odd)
    yield dataclasses.replace(result, seconds=time.monotonic() - started)


def _pull(
    source: Source, staging: DuckStaging, tally: _Run, earlier: SourceRun | None, *, full: bool, now: datetime
) -> None:
    """Pull one source and load it in one transaction; record how it fared. Raises DiskFull."""
    options, started = source.options, time.monotonic()
    name, source.now = options.name, now
    last_full = staging.last_full(name)
    due = bool(options.full_every) and last_full is not None and now - last_full >= options.full_every
    anew = full or due or last_full is None
    cursor: Mapping[str, str] = {} if anew else staging.cursor(name)
    try:
        with staging.transaction():
            loaded = staging.load(options, source.pull(cursor), anew=anew, retype=full)
    except DiskFull:
        raise
    except KpiError as error:
        success = earlier.last_success if earlier else ""
        tally.runs[name] = SourceRun(
            name, "failed", cursor=staging.cursor(name), seconds=time.monotonic() - started, error=str(error),
            last_success=success,
        )  # fmt: skip
        return
    tally.changed |= anew or bool(loaded.rows or loaded.quarantined) or staging.changes(options.table) != ""
    status = "loaded" if loaded.rows or loaded.quarantined or staging.changes(options.table) != "" else "unchanged"
    tally.runs[name] = SourceRun(
        name, status, loaded.rows, loaded.quarantined, staging.cursor(name), time.monotonic() - started, "",
        now.astimezone(UTC).isoformat(), loaded.notes,
    )  # fmt: skip


def _states(
    staging: DuckStaging,
    catalogue: Catalogue,
    sources: Mapping[str, Source],
    runs: Mapping[str, SourceRun],
    now: datetime,
) -> dict[str, DatasetState]:
    kinds = {s.options.table: s.watermark for s in sources.values()}
    pulled = {
        s.options.table: datetime.fromisoformat(runs[n].last_success)
        for n, s in sources.items()
        if n in runs and runs[n].last_success
    }
    return {s.name: s for s in dataset_states(staging, catalogue, kinds, pulled, now)}


def _news(staging: DuckStaging, catalogue: Catalogue, states: Mapping[str, DatasetState]) -> bool:
    """Whether a generation without new rows would still differ: a watermark moved, a definition changed."""
    published = staging.generations()
    if not published:
        return True
    if dict(staging.dataset_states(published[-1].sequence)) != dict(states):
        return True
    live = {kpi: catalogue.definition(kpi) for kpi in catalogue.kpis}
    return staging.live_definitions() != live
