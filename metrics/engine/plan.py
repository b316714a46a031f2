"""What a refresh reads: the KPIs whose values may differ, where, and the scans that they share."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping

import pandas as pd

from connectors.errors import DiskFull
from connectors.warehouse.contract import NO_DIMENSION, DatasetState, Reader
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.kpi import KpiCommon
from metrics.engine import types
from metrics.engine.answer import default_scope
from metrics.engine.dirty_ranges import DAY, DirtyRanges, merged
from metrics.engine.launch_grain import stored_grains
from metrics.engine.query import Scope
from metrics.engine.sql.shared_scans import Scan, SharedScans

log = logging.getLogger(__name__)


def shared_scans(
    work: Mapping[str, DirtyRanges | None], catalogue: Catalogue, reader: Reader, states: Mapping[str, DatasetState]
) -> SharedScans:
    """The scans that the KPIs to compute share. work: KPI → the days that a sync touched; None = all of it."""
    scans: list[Scan] = []
    for grain in ("day", "hour"):
        wholes: dict[str, Scan] = {}
        pieces: dict[str, list[Scan]] = {}
        for name, changed in work.items():
            kpi = catalogue.kpis[name]
            if grain == "hour" and "hour" not in stored_grains(kpi, catalogue, kpi.offered_grains):
                continue
            try:
                wanted = list(_wanted(kpi, grain, changed, catalogue, reader, states))
            except DiskFull:
                raise
            except Exception as error:  # who computes it by itself is told
                log.info("%s shares nothing: %s", name, error)
                continue
            for one in wanted:
                if one.whole:
                    wholes.setdefault(one.dataset, one)
                    _join(wholes[one.dataset], one)
                else:
                    pieces.setdefault(one.dataset, []).append(one)
        scans += [*wholes.values(), *(scan for found in pieces.values() for scan in _merged(found))]
    return SharedScans(catalogue, scans)


def _wanted(
    kpi: KpiCommon,
    grain: str,
    changed: DirtyRanges | None,
    catalogue: Catalogue,
    reader: Reader,
    states: Mapping[str, DatasetState],
) -> Iterator[Scan]:
    """A scan for each aggregate of one KPI and each range of its days."""
    dimensions = (NO_DIMENSION, *catalogue.dimensions_of(kpi)) if grain == "day" else (NO_DIMENSION,)
    grains = [g for g in stored_grains(kpi, catalogue, kpi.offered_grains) if (g == "hour") == (grain == "hour")]
    scopes = [default_scope(kpi, g, catalogue, reader, states) for g in grains]
    reach = _reach(scopes)
    if reach is None:
        return
    for sums, back in types.sums(kpi, catalogue):
        for start, end in [reach] if changed is None else changed:
            a, b = max(start, reach[0]) - back * DAY, min(end, reach[1])
            if a < b:
                named = dict.fromkeys([kpi.name])
                yield Scan(
                    *(sums.dataset, grain, a, b, {sums: None}, dict.fromkeys(dimensions), named), changed is None
                )


def _reach(scopes: Iterable[Scope]) -> tuple[pd.Timestamp, pd.Timestamp] | None:
    known = [scope for scope in scopes if scope.start < scope.end]
    return (min(s.start for s in known), max(s.end for s in known)) if known else None


def _merged(found: list[Scan]) -> list[Scan]:
    """Those that overlap or lie near together."""
    result = []
    for start, end in merged((scan.start, scan.end) for scan in found):
        near = [scan for scan in found if start <= scan.start and scan.end <= end]
        result.append(near[0])
        for scan in near:
            _join(near[0], scan)
    return result


def _join(into: Scan, other: Scan) -> None:
    into.start, into.end = min(into.start, other.start), max(into.end, other.end)
    for own, more in ((into.sums, other.sums), (into.dimensions, other.dimensions), (into.kpis, other.kpis)):
        own.update(more)  # type: ignore[arg-type]
