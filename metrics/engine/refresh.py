"""What a sync computes before it publishes: the finished values of every KPI that it touched."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator, Mapping, Sequence
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
from metrics.engine.together import Names, apart, dimensions_of, of_all

log = logging.getLogger(__name__)
MOST_SEGMENTS = 200  # a dimension with more values is answered from facts
Piece = tuple[str, str | Names, pd.DataFrame]  # grain, dimension (or that of each row), FACT_COLUMNS


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
    whole: bool = False,
) -> Iterator[Refreshed]:
    """Compute and store the values of each KPI that this sync touched; of a new definition all.

    failing: datasets of which nothing is known, and why: their KPIs fail for that. explained: is told what was read.
    whole: all of every KPI, whatever differs.

    One that fails is reported, its values end, and the others go on. One that takes too much keeps the values that it
    has: they are told to be of an earlier generation, and all of it is computed anew next time.
    """
    published = staging.generations()
    before = staging.dataset_states(published[-1].sequence) if published and not whole else {}
    sound = {name: d for name, d in catalogue.datasets.items() if name not in failing}
    days = {name: dataset_ranges(d, staging, catalogue, states, before) for name, d in sound.items()}
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
    parts: list[Piece] = []
    spans: list[tuple[str, str, pd.Timestamp, pd.Timestamp]] = []
    stored, rollups = stored_grains(kpi, catalogue, kpi.offered_grains), shared.rollups if shared else None
    every = [default_scope(kpi, grain, catalogue, staging, states) for grain in stored]
    every = [dataclasses.replace(scope, shared=shared, rollups=rollups) for scope in every]
    dimensions = (NO_DIMENSION, *catalogue.dimensions_of(kpi))
    kept, fine = shared.kept if shared else None, list[str]()
    if changed is not None and kept is not None:
        fine, parts = _pieces(kpi, every, kept, changed, dimensions)
    for dimension in dimensions:
        scopes = [dataclasses.replace(s, by=dimension or None) for s in every if s.grain != "hour" or not dimension]
        if dimension in fine:
            spans += [(s.grain, dimension, a, b) for s in scopes for a, b in ranges(changed or (), s)]
        else:
            spans += [(s.grain, dimension, pd.Timestamp(0), FAR) for s in scopes]
            parts += [(grain, dimension, frame) for grain, frame in _whole(kpi, scopes) if len(frame)]
    return _stacked(parts), pd.DataFrame(spans, columns=list(TOUCHED))


def _stacked(parts: list[Piece]) -> pd.DataFrame:
    """All of it as one frame, with columns `grain` and `dimension`."""
    frame = pd.concat([f for *_, f in parts], ignore_index=True) if parts else pd.DataFrame(columns=FACT_COLUMNS)
    for place, column in enumerate(("grain", "dimension")):
        each = [np.full(len(part[2]), part[place], dtype=object) for part in parts]
        frame.insert(place, column, pd.array(np.concatenate(each) if each else [], dtype="str"))
    return frame


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
    kpi: KpiCommon, scopes: list[Scope], kept: KeptValues, changed: DirtyRanges, dimensions: Sequence[str]
) -> tuple[list[str], list[Piece]]:
    """The dimensions of which nothing but touched periods may differ, and these periods.

    Not those of which a segment came or may have gone, or nothing was stored before.
    """

    def stored(dimension: str) -> bool:
        asked = [s for s in scopes if s.grain != "hour" or dimension == NO_DIMENSION]
        return all(kept.stored(kpi.name, scope.grain, dimension) for scope in asked)

    fine = [dimension for dimension in dimensions if stored(dimension)]
    while fine:
        found, odd = _at_once(kpi, scopes, kept, changed, fine)
        if not odd:
            return fine, found
        left = [dimension for dimension in fine if dimension not in odd]
        fine = left if len(left) < len(fine) else []
    return [], []


def _at_once(
    kpi: KpiCommon, scopes: list[Scope], kept: KeptValues, changed: DirtyRanges, dimensions: list[str]
) -> tuple[list[Piece], set[str]]:
    """The touched periods of each grain, of these dimensions in one go; or those of which that is not all."""
    found: list[Piece] = []
    for scope in scopes:
        spans, of_it = ranges(changed, scope), [d for d in dimensions if scope.grain != "hour" or d == NO_DIMENSION]
        if not of_it:
            continue
        asked = of_all(scope, of_it)
        try:
            frames, odd = touched(kpi, asked, spans, kept.segments(kpi.name, asked, spans) or {})
        except QueryRefused:
            return [], set(dimensions)
        if odd:
            return [], dimensions_of(odd)
        if frames:
            frame = pd.concat(frames, ignore_index=True)
            of, segments = apart(frame["segment"])
            found.append((scope.grain, of, frame.assign(segment=pd.array(segments, dtype="str"))))
    return found, set()
