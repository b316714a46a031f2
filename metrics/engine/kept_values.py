"""Values that are stored and still hold, beside those that a sync touched: of them longer periods are made again.

A month is not read from rows for one new day of it, where its value is made of those of its days.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from connectors.errors import QueryRefused
from connectors.warehouse.contract import NO_DIMENSION, DatasetState, Staging
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.kpi import KpiCommon
from metrics.engine import periods, types
from metrics.engine.answer import default_scope
from metrics.engine.dirty_ranges import DirtyRanges
from metrics.engine.invalidation import clipped, ranges
from metrics.engine.launch_grain import stored_grains
from metrics.engine.query import FACT_COLUMNS, Scope
from metrics.engine.together import named

Spans = Sequence[tuple[pd.Timestamp, pd.Timestamp]]


class KeptValues:
    """The valid values of a staging. work: KPI → the days that a sync touched, of those it touched; None = all."""

    def __init__(
        self,
        staging: Staging,
        catalogue: Catalogue,
        states: Mapping[str, DatasetState],
        work: Mapping[str, DirtyRanges | None],
    ) -> None:
        self._staging, self._catalogue, self._states, self._work = staging, catalogue, states, work
        self._stored: dict[str, _Stored] = {}
        self._whole: dict[tuple[str, str, str], pd.DataFrame | None] = {}

    def stored(self, kpi: str, grain: str, dimension: str) -> bool:
        """Whether anything is."""
        return (grain, dimension) in self._of(kpi).places

    def segments(self, kpi: str, scope: Scope, spans: Spans) -> Mapping[str, int] | None:
        """Segments of the scope's stored values → their n outside of these periods; None = nothing is stored."""
        frame = self._of(kpi).of(scope)
        if frame is None:
            return None
        n = frame["n"].to_numpy("float64", na_value=0.0)
        return dict(sorted(_sums(frame["segment"], np.where(_within(frame["period"], spans), 0.0, n)).items()))

    def periods(self, kpi: KpiCommon, scope: Scope) -> pd.DataFrame | None:
        """FACT_COLUMNS of the scope's periods: stored, and counted anew where touched, or all of them.

        None where that is not sure: nothing is stored of them, or rows lie beyond what is.
        """
        if scope.filters or scope.entities or scope.grain == periods.TOTAL:
            return None
        reach = default_scope(kpi, scope.grain, self._catalogue, self._staging, self._states)
        if scope.end > reach.end and not self._nothing_after(kpi, reach.end):
            return None
        key = kpi.name, scope.grain, scope.by or NO_DIMENSION
        if key not in self._whole:
            whole = dataclasses.replace(scope, start=reach.start, end=reach.end)
            self._whole[key] = self._assembled(kpi, whole)
        found = self._whole[key]
        if found is None:
            return None
        if scope.start <= reach.start and reach.end <= scope.end:
            return found
        return found[_within(found["period"], [(scope.start, scope.end)])]

    def _assembled(self, kpi: KpiCommon, scope: Scope) -> pd.DataFrame | None:
        changed = self._work.get(kpi.name, ())
        if changed is None and scope.grain in stored_grains(kpi, self._catalogue, kpi.offered_grains):
            return self._anew(kpi, scope)
        stored = self._of(kpi.name).of(scope)
        if changed is None or stored is None:
            return None
        spans = ranges(changed, scope)
        try:
            fresh, odd = touched(kpi, scope, spans, self.segments(kpi.name, scope, spans) or {})
        except QueryRefused:
            return None
        if odd:
            return None
        held = stored[~_within(stored["period"], spans)]
        both = pd.concat([held[FACT_COLUMNS], *fresh], ignore_index=True) if fresh else stored[FACT_COLUMNS]
        return both.sort_values(["segment", "period"], ignore_index=True)  # the last of a period is its last row

    def _anew(self, kpi: KpiCommon, scope: Scope) -> pd.DataFrame | None:
        """What is stored of it next, which is counted once."""
        try:
            return types.facts(kpi, scope)
        except QueryRefused:
            return None

    def _of(self, kpi: str) -> _Stored:
        if kpi not in self._stored:
            self._stored[kpi] = _Stored(self._staging.valid_values(kpi))
        return self._stored[kpi]

    def _nothing_after(self, kpi: KpiCommon, end: pd.Timestamp) -> bool:
        """Whether no row of its datasets lies at or after a day."""
        for name in self._catalogue.datasets_of(kpi):
            state = self._states.get(name)
            if state is None or state.future_rows:
                return False
            if state.last_at and periods.on_clock(state.last_at, "day", self._catalogue.timezone) > end:
                return False
        return True


class _Stored:
    """The stored values of one KPI, by grain and dimension. places: (grain, dimension) that there are any of."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self._frame = frame[FACT_COLUMNS]
        (self._grain, grains), (self._by, dimensions) = (pd.factorize(frame[c]) for c in ("grain", "dimension"))
        self._grains, self._dimensions = (
            dict(zip(names, range(len(names)), strict=True)) for names in (grains, dimensions)
        )
        places = np.unique(self._grain * max(1, len(dimensions)) + self._by)
        self.places = {(str(grains[i // len(dimensions)]), str(dimensions[i % len(dimensions)])) for i in places}
        codes, segments = pd.factorize(frame["segment"].astype("object"))
        self._segments = np.asarray(segments, dtype=object)[codes] if len(segments) else np.array([], dtype=object)
        pairs, at = np.unique(self._by * max(1, len(segments)) + codes, return_inverse=True)
        names = [named(segments[i % len(segments)], dimensions[i // len(segments)], 1)[0] for i in pairs]
        self._named = np.array(names, dtype=object)[at] if names else np.array([], dtype=object)
        self._known: dict[tuple[str, str], pd.DataFrame] = {}

    def of(self, scope: Scope) -> pd.DataFrame | None:
        """FACT_COLUMNS of a scope's breakdown, or of all of its breakdowns; None = nothing is stored of one."""
        key, dimensions = (scope.grain, scope.by or NO_DIMENSION), list(scope.together) or [scope.by or NO_DIMENSION]
        if any((scope.grain, dimension) not in self.places for dimension in dimensions):
            return None
        if key not in self._known:
            asked = [self._dimensions[dimension] for dimension in dimensions]
            rows = np.flatnonzero((self._grain == self._grains[scope.grain]) & np.isin(self._by, asked))
            names = self._named if scope.together else self._segments
            self._known[key] = self._frame.take(rows).assign(segment=pd.Series(names[rows], rows, dtype="object"))
        return self._known[key]


def touched(
    kpi: KpiCommon, scope: Scope, spans: Spans, outside: Mapping[str, int]
) -> tuple[list[pd.DataFrame], set[str]]:
    """FACT_COLUMNS of each range of periods that a sync touched; and the segments that came or may have gone.

    outside: the stored segments → their n outside of the ranges. Raises QueryRefused.
    """
    inner = [dataclasses.replace(piece, segments=tuple(outside)) for piece in clipped(spans, scope)]
    frames = [types.facts(kpi, piece)[FACT_COLUMNS] for piece in inner]
    inside: Counter[str] = Counter()
    for frame in frames:
        inside.update(_sums(frame["segment"], frame["n"].to_numpy("float64", na_value=0.0)))
    gone = {s for s in outside if not outside[s] + inside[s]}
    return frames, gone | (set(inside) - set(outside))


def _sums(segments: pd.Series, n: Any) -> dict[str, int]:
    codes, names = pd.factorize(segments)
    sums = np.bincount(codes, weights=n, minlength=len(names))
    return {str(name): int(x) for name, x in zip(names, sums, strict=True)}


def _within(moments: pd.Series, spans: Spans) -> Any:
    at = moments.to_numpy(dtype="datetime64[us]")
    found = np.zeros(len(at), dtype=bool)
    for a, b in spans:
        found |= (at >= np.datetime64(a)) & (at < np.datetime64(b))
    return found
