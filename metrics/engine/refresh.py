"""What a sync computes before it publishes: the finished values of every KPI that it touched."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from connectors.errors import DiskFull, KpiError, Problem, QueryLimit, QueryRefused
from connectors.warehouse.contract import NO_DIMENSION, TOUCHED, DatasetState, Failure, Staging
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.kpi import KpiCommon
from metrics.engine import types
from metrics.engine.answer import default_scope
from metrics.engine.dirty_ranges import FAR, DirtyRanges
from metrics.engine.explain import Explained
from metrics.engine.invalidation import dataset_ranges, ranges
from metrics.engine.kept_values import KeptValues, touched
from metrics.engine.launch_grain import lacks_launch_grain, stored_grains
from metrics.engine.plan import shared_scans
from metrics.engine.query import FACT_COLUMNS, Scope, Shared
from metrics.engine.rollups import RefreshedRollups

log = logging.getLogger(__name__)
MOST_SEGMENTS = 200  # a dimension with more values is answered from facts


@dataclass(frozen=True)
class Refreshed:
    """One KPI's values are stored, or why they are not."""

    kpi: str
    problem: Problem | None = None


def refresh(
    staging: Staging,
    catalogue: Catalogue,
    states: Mapping[str, DatasetState],
    failing: Mapping[str, KpiError],
    *,
    explained: Explained | None = None,
) -> Iterator[Refreshed]:
    """Compute and store the values of each KPI that this sync touched; of a new definition all.

    failing: datasets of which nothing is known, and why: their KPIs fail for that. explained: is told what was read.

    One that fails is reported, its values end, and the others go on. One that takes too much keeps the values that it
    has: they are told to be of an earlier generation, and all of it is computed anew next time.
    """
    published = staging.generations()
    before = staging.dataset_states(published[-1].sequence) if published else {}
    whole = {name: d for name, d in catalogue.datasets.items() if name not in failing}
    days = {name: dataset_ranges(d, staging, catalogue, states, before) for name, d in whole.items()}
    failed = staging.failures()
    work = _work(staging, catalogue, failing, days)
    scans, kept = shared_scans(work, catalogue, staging, states), KeptValues(staging, catalogue, states, work)
    shared, rollups = Shared(scans=scans, kept=kept), RefreshedRollups(staging, catalogue, states, days)
    rollups.make(shared)
    shared.rollups = rollups.kept
    for name, kpi in catalogue.kpis.items():
        try:
            definition = catalogue.definition(name)
            if wrong := next((d for d in catalogue.datasets_of(kpi) if d in failing), ""):
                raise failing[wrong]
            if name in work:
                shared.kpi = name
                frame, touched = values(kpi, catalogue, staging, states, work[name], shared)
                staging.store_values(name, definition, catalogue.definition_text(name), frame, touched)
            yield Refreshed(name)
        except DiskFull:
            raise
        except Exception as error:
            if not isinstance(error, KpiError):
                log.exception("computing %s", name)
            same = staging.live_definitions().get(name) == catalogue.definition(name)
            failure = _failure(error, staging, failed.get(name), same=same)
            staging.store_failure(name, failure)
            document = catalogue.documents[f"kpi:{name}"]
            yield Refreshed(name, document.problem((), failure.code, failure.message, failure.hint))
    if explained is not None:
        explained.tell(shared, work, rollups.done)


def _work(
    staging: Staging,
    catalogue: Catalogue,
    failing: Mapping[str, KpiError],
    days: Mapping[str, DirtyRanges | None],
) -> dict[str, DirtyRanges | None]:
    """KPI → the days that this sync touched, of those that it touched at all; None = all."""
    live, failed, found = staging.live_definitions(), staging.failures(), {}
    for name, kpi in catalogue.kpis.items():
        if any(dataset in failing for dataset in catalogue.datasets_of(kpi)):
            continue
        known = live.get(name) == catalogue.definition(name) and name not in failed
        try:
            changed = types.dirty_ranges(kpi, catalogue, days) if known else None
            if changed is not None and lacks_launch_grain(staging, kpi, catalogue, kpi.offered_grains):
                changed = None  # a launch has come to name it
        except DiskFull:
            raise
        except Exception:
            log.exception("which days of %s may differ", name)
            changed = None
        if changed is None or changed:
            found[name] = changed
    return found


def _failure(error: Exception, staging: Staging, earlier: Failure | None, *, same: bool) -> Failure:
    """same: whether the values that are stored are of this definition. Of other rows than these, nobody may take them

    for today's: they stay where the computation took too much, and their generation is told.
    """
    since = earlier.since if earlier else staging.generation.sequence
    if not isinstance(error, KpiError):
        text = f"could not be computed: unexpected {type(error).__name__}"
        return Failure("unexpected", text, "The log has its traceback.", since)
    kept = (earlier.kept if earlier else since - 1) if same and isinstance(error, QueryLimit) else 0
    return Failure(error.code, error.message, error.hint, since, kept)


def values(
    kpi: KpiCommon,
    catalogue: Catalogue,
    staging: Staging,
    states: Mapping[str, DatasetState],
    changed: DirtyRanges | None = None,
    shared: Shared | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Stored values that may differ: of each stored grain, all rows together and each dimension of few values.

    changed: the days that a sync touched, of values that `shared` keeps; None = all.
    Returns the values and, for each grain and dimension, the ranges of periods that they stand for (TOUCHED columns):
    what is stored there otherwise is no longer valid.
    """
    parts: list[tuple[str, str, pd.DataFrame]] = []
    spans: list[tuple[str, str, pd.Timestamp, pd.Timestamp]] = []
    stored = stored_grains(kpi, catalogue, kpi.offered_grains)
    every = [default_scope(kpi, grain, catalogue, staging, states) for grain in stored]
    for dimension in (NO_DIMENSION, *catalogue.dimensions_of(kpi)):
        full = [scope for scope in every if scope.grain != "hour" or dimension == NO_DIMENSION]
        by, rollups = dimension or None, shared.rollups if shared else None
        scopes = [dataclasses.replace(scope, by=by, shared=shared, rollups=rollups) for scope in full]
        kept = shared.kept if shared else None
        pieces = None if changed is None or kept is None else _pieces(kpi, scopes, kept, changed)
        if pieces is None:
            spans += [(s.grain, dimension, pd.Timestamp(0), FAR) for s in scopes]
            pieces = _whole(kpi, scopes)
        else:
            spans += [(s.grain, dimension, a, b) for s in scopes for a, b in ranges(changed or (), s)]
        parts += [(grain, dimension, frame) for grain, frame in pieces if len(frame)]
    frame = pd.concat([f for *_, f in parts], ignore_index=True) if parts else pd.DataFrame(columns=FACT_COLUMNS)
    for place, column in enumerate(("grain", "dimension")):
        each = np.repeat(np.array([part[place] for part in parts], dtype=object), [len(f) for *_, f in parts])
        frame.insert(place, column, pd.array(each, dtype="str"))
    return frame, pd.DataFrame(spans, columns=list(TOUCHED))


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
    kpi: KpiCommon, scopes: list[Scope], kept: KeptValues, changed: DirtyRanges
) -> list[tuple[str, pd.DataFrame]] | None:
    """The touched periods of each grain; None if a segment came or may have gone, or nothing was stored before."""
    found = []
    for scope in scopes:
        spans = ranges(changed, scope)
        outside = kept.segments(kpi.name, scope.grain, scope.by or NO_DIMENSION, spans)
        try:
            frames = touched(kpi, scope, spans, outside)
        except QueryRefused:
            return None
        if frames is None:
            return None
        if frames:
            found.append((scope.grain, pd.concat(frames, ignore_index=True)))
    return found
