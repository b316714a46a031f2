"""sync: begin staging → pull and load each source → refresh values → publish one generation."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from connectors.errors import DiskFull, EngineFailed, KpiError, Problem, counted, require
from connectors.secrets import mask
from connectors.sources.contract import Cursor, Source
from connectors.warehouse.contract import DatasetState, Generation, Loading, Reader, SourceRun, Staging
from connectors.warehouse.names import IDENTITIES
from jobs.afterwards import Told, afterwards
from jobs.audit.syncs import SyncEntries
from jobs.project.engine import ENGINE, failed_run, fed, read_run
from jobs.project.fed_tables import fed_by_sources
from jobs.project.health import remember_state
from jobs.project.pace import Pace, Progress
from jobs.project.project import Project
from jobs.project.samples import Sample, samples_of
from metrics.catalog.catalogue import Catalogue
from metrics.engine.dataset_states import Fed, dataset_states
from metrics.engine.launch_grain import lacks_launch_grain

if TYPE_CHECKING:
    from metrics.engine.explain import Explained

log = logging.getLogger(__name__)
KEPT = "its rows stay: the source gives only what is recent, so nothing was pulled anew"
WATERMARK_STEP = timedelta(hours=1)  # the finest grain: within it no period becomes complete


@dataclass(frozen=True)
class SyncResult:
    """What a sync did. generation: what is live now; published: whether this sync made it.

    samples: of a dry run, source → what it would load.
    """

    generation: str | None
    published: bool
    sources: tuple[SourceRun, ...]
    problems: tuple[Problem, ...] = ()
    written: int = 0
    seconds: float = 0.0
    alerts: tuple[str, ...] = ()  # what an operator should know of the evaluation of alerts
    warnings: tuple[str, ...] = ()  # what was wrong with the data folder, and what came of it
    samples: Mapping[str, Sample] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """Whether any source failed."""
        return any(run.status == "failed" for run in self.sources)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        runs = [run.as_dict() for run in self.sources]
        found = {"generation": self.generation, "sources": runs, "warnings": list(self.warnings)}
        samples = {name: {"columns": s.columns, "rows": list(s.rows)} for name, s in self.samples.items()}
        return found | ({"samples": samples} if samples else {})


@dataclass
class _Run:
    """The running tally of one sync."""

    runs: dict[str, SourceRun] = field(default_factory=dict)
    changed: bool = False


def sync(
    project: Project,
    names: Sequence[str] = (),
    *,
    full: bool = False,
    dry_run: bool = False,
    anew: bool = False,
    explained: Explained | None = None,
    now: datetime,
) -> Iterator[Progress | SyncResult]:
    """Yield progress, then one SyncResult. A source that fails leaves its tables as they were, the others go on.

    anew: begin without what was published, where none of it can be read. explained: is told what the refresh read.
    An engine that is lost is told as a source that failed: nothing is published then, and what is live stays.
    Raises SettingsError for a broken sources.yml, UnknownName, SyncRunning, FolderError, DamagedData.
    """
    pace, published, started = Pace(project.sync_log.steps()), False, time.monotonic()
    entries = SyncEntries(project, now, dry_run=dry_run)
    steps = _sync(entries, names, full=full, dry_run=dry_run, anew=anew, explained=explained)
    try:
        for step in pace.timed(steps):
            published |= isinstance(step, SyncResult) and step.published
            yield _recorded(entries, step)
    except EngineFailed as error:
        if dry_run:
            raise
        for step in _lost(project, error, now, started):
            yield _recorded(entries, step)
    if published:
        project.sync_log.write_steps(pace.took)


def _recorded(entries: SyncEntries, step: Progress | SyncResult) -> Progress | SyncResult:
    """A step; its result is in the audit when it is told."""
    if not isinstance(step, SyncResult):
        return step
    wrong = entries.ended(step.generation, step.published, step.sources)
    return dataclasses.replace(step, warnings=(*step.warnings, *wrong))


def _sync(
    entries: SyncEntries,
    names: Sequence[str],
    *,
    full: bool,
    dry_run: bool,
    anew: bool,
    explained: Explained | None,
) -> Iterator[Progress | SyncResult]:
    project, now, started = entries.project, entries.now, time.monotonic()
    sources = project.sources.all()
    for name in names:
        require(name, sorted(sources), kind="source")
    chosen = {n: s for n, s in sources.items() if not names or n in names}
    tally, wrong = _Run(), [*project.warnings()]
    if not anew:
        project.has_data()
    with project.warehouse.staging(now, anew=anew) as staging:
        entries.began(list(chosen), full=full, anew=anew)
        steps, ends = len(chosen) + 2, _ends(project, staging)
        earlier = _earlier(project, staging, ends)
        for index, (name, source) in enumerate(chosen.items()):
            for reached in _pull(source, staging, tally, earlier.get(name), ends.get(name), full=full, now=now):
                yield Progress(index, steps, f"Pulling {name}{reached}")
        tally.changed |= _identify(staging, sources, tally.runs)
        answered = [source for name, source in chosen.items() if tally.runs[name].status != "failed"]
        samples = samples_of(staging, answered) if dry_run else {}
        staging.settle()
        tally.changed |= staging.due
        runs = {**{n: r for n, r in earlier.items() if n in sources}, **tally.runs}
        catalogue = project.catalogue(staging if tally.changed else _as_published(project, staging))
        elsewhere = {} if staging.loads else fed(staging, now)
        states, failing = _states(staging, catalogue, sources, runs, elsewhere, now)
        if not staging.loads:
            tally.runs[ENGINE] = runs[ENGINE] = read_run(catalogue, states, time.monotonic() - started, now)
        odd: list[Problem] | None = None
        if dry_run or not (tally.changed or _news(staging, catalogue, states)):
            result = SyncResult(project.warehouse.live(), False, tuple(tally.runs.values()), samples=samples)
        else:
            from metrics.engine.refresh import refresh  # all that computes, which a sync with nothing new needs not

            catalogue = project.catalogue(staging)  # what the new generation is read by
            done, total = len(chosen), len(chosen) + len(catalogue.kpis) + 1
            # A wrong definition never stops a sync; it is told, and its KPI has no new values.
            problems = [found[0] for found in [*catalogue.broken.values(), *catalogue.held.values()]]
            staging.store_files({**catalogue.texts(), **entries.publishes(staging.published_files())})
            staging.store_dataset_states(list(states.values()))
            whole = full and not staging.loads  # where sources are, their rows tell
            for index, one in enumerate(refresh(staging, catalogue, states, failing, explained=explained, whole=whole)):
                yield Progress(done + index, total, f"Computing {one.kpi}")
                problems += [one.problem] if one.problem else []
            staging.forget_values(list(catalogue.kpis))
            yield Progress(total - 1, total, "Publishing")
            generation, odd = _published(project, staging, catalogue, now)
            result = SyncResult(generation.id, True, tuple(tally.runs.values()), (*problems, *odd), staging.written)
        if not dry_run:
            wrong += filter(None, [project.sync_log.write(runs, now, odd, result.generation)])
            _let_go(chosen, tally)
    yield from _finished(project, result, wrong, steps, now, started, looked_at=not dry_run)


def _lost(project: Project, error: EngineFailed, now: datetime, started: float) -> Iterator[Progress | SyncResult]:
    """A sync without its engine: what is live stays, and everybody is told as of a source that failed."""
    log.warning("nothing was published", exc_info=error)
    run, live = failed_run(project.sync_log, error, time.monotonic() - started), project.warehouse.live()
    # Sources are as they were before: what they brought is gone.
    runs = {**({} if project.settings.reads_tables else project.sync_log.runs()), ENGINE: run}
    wrong = [*project.warnings(), *filter(None, [project.sync_log.write(runs, now, None, live)])]
    yield from _finished(project, SyncResult(live, False, (run,)), wrong, 1, now, started, looked_at=True)


def _finished(
    project: Project,
    result: SyncResult,
    wrong: list[str],
    steps: int,
    now: datetime,
    started: float,
    *,
    looked_at: bool,
) -> Iterator[Progress | SyncResult]:
    """What follows a sync. looked_at: whether what is live is: alerts, launches, snapshots."""
    if looked_at and project.has_data():
        told = Told()
        yield from afterwards(project, told, steps, now)
        result = dataclasses.replace(result, alerts=tuple(told.lines))
        wrong = [*wrong, *filter(None, [remember_state(project)])]
    result = dataclasses.replace(result, seconds=time.monotonic() - started, warnings=tuple(dict.fromkeys(wrong)))
    _log(result)
    yield result


def _as_published(project: Project, staging: Staging) -> Reader:
    """What definitions are checked against where no row differs: the generation whose catalogue is asked for next.

    Else the staging: nothing is published, or another generation stands in for the live one.
    """
    before = staging.generations()
    reader = project.reader() if before and project.has_data() else None
    return reader if reader is not None and reader.generation.id == before[-1].id else staging


def _published(
    project: Project, staging: Staging, catalogue: Catalogue, now: datetime
) -> tuple[Generation, list[Problem]]:
    """The new generation, and what is odd about it."""
    from metrics.quality.data_quality import data_quality_warnings
    from metrics.quality.repeated_keys import unrepeated

    alone = unrepeated(catalogue, staging, _odd_before(project) if staging.generations() else None)
    generation = staging.publish()
    return generation, data_quality_warnings(project.catalogue(), project.reader(), now, unrepeated=alone)


def _identify(staging: Staging, sources: Mapping[str, Source], runs: dict[str, SourceRun]) -> bool:
    """Make the tables of whose each id is, where a source names one or did. Returns whether any differs."""
    named = any(source.options.identity is not None for source in sources.values())
    if not named and not any(name.startswith(IDENTITIES) for name in staging.pulled_at()):
        return False
    from jobs.identity import identify  # pandas and pyarrow, which few projects need for it

    return identify(staging, sources, runs)


def _odd_before(project: Project) -> tuple[Problem, ...] | None:
    """What the sync of the live generation found odd; None = nobody knows."""
    live = project.warehouse.live()
    known = live is not None and project.sync_log.read().get("generation") == live
    return project.sync_log.warnings() if known else None


def _let_go(chosen: Mapping[str, Source], tally: _Run) -> None:
    """What sources kept of their pulls is published. Not before: a sync that ends in between pulls nothing again."""
    for name, source in chosen.items():
        if tally.runs[name].status != "failed":
            source.loaded()


def _log(result: SyncResult) -> None:
    made = "published" if result.published else "nothing new, or a dry run: nothing published;"
    rows, bad = sum(run.rows for run in result.sources), sum(run.status == "failed" for run in result.sources)
    log.info(
        "%s generation %s in %.1f s: %d rows, %d values, %d of %d sources failed",
        *(made, result.generation or "none", result.seconds, rows, result.written, bad, len(result.sources)),
        extra={"ids": {"generation": result.generation, "published": result.published}},
    )


def _ends(project: Project, staging: Loading) -> Mapping[str, Cursor]:
    """Source → where its last pull ended, although that had nothing to publish, so that no generation says so.

    Believed of the generation only that was live then.
    """
    before, published = project.sync_log.read().get("generation"), staging.generations()
    if not published or published[-1].id != before:
        return {}
    return {name: run.cursor for name, run in project.sync_log.runs().items() if run.status != "failed"}


def _earlier(project: Project, staging: Loading, ends: Mapping[str, Cursor]) -> dict[str, SourceRun]:
    """Source → its last run, as far as what it brought is here.

    Of a generation that is lost it is not: then a source reached what the generation says that this one is made of, and
    whoever pulls another source only must not hand on that it reached more.
    """
    lost = project.sync_log.read().get("generation") not in {None, *(g.id for g in staging.generations())}
    pulled, runs = staging.pulled_at(), project.sync_log.runs()
    known = {n: pulled[n].isoformat() if n in pulled else "" for n in runs} if lost else {}
    return {
        n: dataclasses.replace(r, cursor=ends.get(n, staging.cursor(n)), last_success=known.get(n, r.last_success))
        for n, r in runs.items()
    }


def _pull(
    source: Source,
    staging: Loading,
    tally: _Run,
    earlier: SourceRun | None,
    reached_last: Cursor | None,
    *,
    full: bool,
    now: datetime,
) -> Iterator[str]:
    """Pull one source and load it in one transaction; record how it fared. Yields how far it is. Raises DiskFull."""
    options, started = source.options, time.monotonic()
    name, source.now = options.name, now
    last_full = staging.last_full(name)
    due = bool(options.full_every) and last_full is not None and now - last_full >= options.full_every
    stays = source.forgets and last_full is not None
    anew = last_full is None or ((full or due) and not stays)
    cursor: Mapping[str, str] = {} if anew else reached_last or staging.cursor(name)
    reached: Mapping[str, str] | None = None
    rows = 0
    yield ""
    try:
        with staging.transaction():
            load = staging.begin_load(options, anew=anew, retype=full and not stays)
            for batch in source.pull(cursor):
                rows, reached = rows + load.add(batch), batch.cursor
                to = f", to {batch.covered:%-d %b %Y %H:%M}" if batch.covered else ""
                yield f": {counted(rows, 'row')}{to}"
            loaded = load.finish(source.reached if reached is None else reached)
    except DiskFull:
        raise
    except (KpiError, OSError) as error:  # a full disk, or a folder that may not be written, is this source's failure
        log.warning("source %s failed", name, exc_info=error)
        words = str(error) if isinstance(error, KpiError) else mask(f"source {name}: {error.strerror or error}")
        success = earlier.last_success if earlier else ""
        tally.runs[name] = SourceRun(
            name,
            "failed",
            cursor=staging.cursor(name),
            seconds=time.monotonic() - started,
            error=words,
            last_success=success,
        )
        return
    tally.changed |= anew or bool(loaded.rows or loaded.quarantined) or staging.changes(options.table) != ""
    status = "loaded" if loaded.rows or loaded.quarantined or staging.changes(options.table) != "" else "unchanged"
    tally.runs[name] = SourceRun(
        name,
        status,
        loaded.rows,
        loaded.quarantined,
        staging.cursor(name),
        time.monotonic() - started,
        "",
        now.astimezone(UTC).isoformat(),
        (*source.notes, *loaded.notes, *((KEPT,) if full and stays else ())),
    )


def _states(
    staging: Staging,
    catalogue: Catalogue,
    sources: Mapping[str, Source],
    runs: Mapping[str, SourceRun],
    elsewhere: Mapping[str, Fed],
    now: datetime,
) -> tuple[dict[str, DatasetState], dict[str, KpiError]]:
    """elsewhere: what is known of tables that no source feeds."""
    by_source = fed_by_sources(sources, staging.pulled_at(), runs, ZoneInfo(catalogue.timezone))
    states, failing = dataset_states(staging, catalogue, {**elsewhere, **by_source}, now)
    return {s.name: s for s in states}, failing


def _news(staging: Staging, catalogue: Catalogue, states: Mapping[str, DatasetState]) -> bool:
    """Whether a generation without new rows would still differ: a watermark moved, a definition changed."""
    published = staging.generations()
    if not published or _moved(staging.dataset_states(published[-1].sequence), states, catalogue):
        return True
    if any(failure.kept for failure in staging.failures().values()):  # its values are not those of these rows
        return True
    stored, old, new = staging.live_definitions(), staging.published_files(), catalogue.texts()
    if set(stored) - set(catalogue.kpis):
        return True
    for name, kpi in catalogue.kpis.items():
        if name in stored:
            if stored[name] != catalogue.definition(name):
                return True
            if lacks_launch_grain(staging, kpi, catalogue, kpi.offered_grains):
                return True
        else:  # it had no value: trying again makes sense once it, or what it is counted over, reads differently
            keys = [f"kpi:{name}", *(f"dataset:{d}" for d in catalogue.datasets_of(kpi))]
            if any(old.get(key) != new.get(key) for key in keys):
                return True
    return False


def _moved(before: Mapping[str, DatasetState], after: Mapping[str, DatasetState], catalogue: Catalogue) -> bool:
    """Whether a dataset's state differs by more than a watermark that moved within its step.

    A source that is asked every minute and has nothing new would else publish every minute.
    """

    def stepped(state: DatasetState) -> DatasetState:
        if state.watermark is None:
            return state
        stale_after = catalogue.datasets[state.name].stale_after if state.name in catalogue.datasets else None
        step = min(WATERMARK_STEP, stale_after / 2) if stale_after else WATERMARK_STEP
        floor = state.watermark - (state.watermark - datetime.min.replace(tzinfo=UTC)) % step
        return dataclasses.replace(state, watermark=floor)

    return {n: stepped(s) for n, s in before.items()} != {n: stepped(s) for n, s in after.items()}
