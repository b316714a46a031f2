"""What a refresh reads: the KPIs whose values may differ, where, and the scans that they share."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import pandas as pd

from connectors.errors import DiskFull
from connectors.warehouse.contract import NO_DIMENSION, DatasetState, Reader
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.kpi import KpiCommon
from metrics.catalog.models.values import GRAINS
from metrics.engine import types
from metrics.engine.answer import default_scope
from metrics.engine.dirty_ranges import DAY, DirtyRanges, Span, merged
from metrics.engine.invalidation import clipped, ranges
from metrics.engine.launch_grain import stored_grains
from metrics.engine.query import Scope
from metrics.engine.sql.people_by_day import Key
from metrics.engine.sql.shared_people import PeopleScan
from metrics.engine.sql.shared_scans import Scan, SharedScans

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Work:
    """One KPI to compute: the days that a sync touched (None = all), and the scope of each grain that is stored."""

    kpi: KpiCommon
    changed: DirtyRanges | None
    scopes: tuple[Scope, ...]


def shared_scans(
    work: Mapping[str, DirtyRanges | None], catalogue: Catalogue, reader: Reader, states: Mapping[str, DatasetState]
) -> SharedScans:
    """The scans that the KPIs to compute share. work: KPI → the days that a sync touched; None = all of it."""
    scans: list[Scan] = []
    people: list[PeopleScan] = []
    for name, changed in work.items():
        try:
            kpi = catalogue.kpis[name]
            grains = stored_grains(kpi, catalogue, kpi.offered_grains)
            one = _Work(kpi, changed, tuple(default_scope(kpi, g, catalogue, reader, states) for g in grains))
            scans += [scan for grain in ("day", "hour") for scan in _sums(one, grain, catalogue)]
            people += _people(one, catalogue)
        except DiskFull:
            raise
        except Exception as error:  # who computes it by itself is told
            log.info("%s shares nothing: %s", name, error)
    return SharedScans(catalogue, _joined(scans), _joined_people(people))


def _sums(work: _Work, grain: str, catalogue: Catalogue) -> Iterator[Scan]:
    """A scan for each aggregate of one KPI and each range of its days (or hours)."""
    dimensions = (NO_DIMENSION, *catalogue.dimensions_of(work.kpi)) if grain == "day" else (NO_DIMENSION,)
    reach = _reach(scope for scope in work.scopes if (scope.grain == "hour") == (grain == "hour"))
    if reach is None:
        return
    for sums, back in types.sums(work.kpi, catalogue):
        for start, end in [reach] if work.changed is None else work.changed:
            a, b = max(start, reach[0]) - back * DAY, min(end, reach[1])
            if a < b:
                named, whole = dict.fromkeys([work.kpi.name]), work.changed is None
                yield Scan(sums.dataset, grain, a, b, {sums: None}, dict.fromkeys(dimensions), named, whole)


def _people(work: _Work, catalogue: Catalogue) -> Iterator[PeopleScan]:
    """A scan for each count of people of one KPI."""
    for people in types.people_of(work.kpi, catalogue):
        most = GRAINS.index(people.longest) if people.longest else len(GRAINS)
        spans = {}
        for scope in work.scopes:
            if scope.grain != "hour" and GRAINS.index(scope.grain) <= most:
                found = [scope] if work.changed is None else clipped(ranges(work.changed, scope), scope)
                spans[scope.grain] = [(piece.start, piece.end) for piece in found if piece.start < piece.end]
        known = {grain: pieces for grain, pieces in spans.items() if pieces}
        if known:
            dimensions = dict.fromkeys((NO_DIMENSION, *catalogue.dimensions_of(work.kpi)))
            named, conditions = dict.fromkeys([work.kpi.name]), dict.fromkeys(people.conditions)
            yield PeopleScan(people, work.changed is None, known, conditions, dimensions, named)


def _reach(scopes: Iterable[Scope]) -> tuple[pd.Timestamp, pd.Timestamp] | None:
    known = [scope for scope in scopes if scope.start < scope.end]
    return (min(s.start for s in known), max(s.end for s in known)) if known else None


def _joined(found: list[Scan]) -> list[Scan]:
    """Those of one dataset and grain that overlap or lie near, or are all there is, together."""
    result = []
    for key in dict.fromkeys((scan.dataset, scan.grain, scan.whole) for scan in found):
        alike = [scan for scan in found if (scan.dataset, scan.grain, scan.whole) == key]
        for start, end in merged((scan.start, scan.end) for scan in alike):
            near = [scan for scan in alike if start <= scan.start and scan.end <= end]
            for other in near[1:]:
                _join(near[0], other)
            near[0].start, near[0].end = start, end
            result.append(near[0])
    return result


def _joined_people(found: list[PeopleScan]) -> list[PeopleScan]:
    """Those of the same people together."""
    result: dict[tuple[Key, bool], PeopleScan] = {}
    for scan in found:
        into = result.setdefault((scan.people.key, scan.whole), scan)
        if into is not scan:
            _join(into, scan)
            into.conditions.update(scan.conditions)
            for grain, spans in scan.spans.items():
                into.spans[grain] = _overlapping([*into.spans.get(grain, ()), *spans])
    return list(result.values())


def _overlapping(spans: Iterable[Span]) -> list[Span]:
    """Ranges in order, those that overlap as one."""
    result: list[Span] = []
    for a, b in sorted(spans):
        if result and a <= result[-1][1]:
            result[-1] = result[-1][0], max(b, result[-1][1])
        else:
            result.append((a, b))
    return result


def _join(into: Scan | PeopleScan, other: Scan | PeopleScan) -> None:
    into.dimensions.update(other.dimensions)
    into.kpis.update(other.kpis)
    if isinstance(into, Scan) and isinstance(other, Scan):
        into.sums.update(other.sums)
