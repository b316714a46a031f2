"""How each KPI type is counted. One file = one type; contract.py says what it offers."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping, Sequence
from types import ModuleType

import numpy as np
import pandas as pd

from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.kpi import KpiCommon, Measure
from metrics.catalog.models.values import GRAINS
from metrics.engine import periods
from metrics.engine.coarser_periods import coarser, finer_scope
from metrics.engine.dirty_ranges import FAR, DirtyRanges, merged
from metrics.engine.frames import empty_periods
from metrics.engine.per_person import PerPerson
from metrics.engine.query import Scope
from metrics.engine.sampling import Floats, People
from metrics.engine.sql import trees
from metrics.engine.sql.joins import reading_what_is_asked, refuse_fan_out
from metrics.engine.sql.people_by_day import People as Counted
from metrics.engine.sql.sums import Sums
from metrics.engine.together import each


def _file_of(kpi: KpiCommon) -> ModuleType:
    return importlib.import_module(f"{__name__}.{kpi.type}")


def facts(kpi: KpiCommon, scope: Scope) -> pd.DataFrame:
    """The KPI's values over every period of the scope, as FACT_COLUMNS. Raises QueryRefused."""
    scope = reading_what_is_asked(kpi, scope)
    for one in each(scope).values() if scope.together else (scope,):
        for name in one.catalogue.datasets_of(kpi):
            refuse_fan_out(one.catalogue.datasets[name], one)

    def count() -> pd.DataFrame:
        how, kept = kpi.coarser_by, scope.shared.kept if scope.shared else None
        if how and scope.grain not in GRAINS[: GRAINS.index(kpi.grain) + 1]:
            finer = finer_scope(scope, kpi.grain)
            home = kept.periods(kpi, finer) if kept else None
            home = facts(kpi, finer) if home is None else home
            return coarser(home, scope, scope.catalogue.datasets_of(kpi)[0], how)
        own = getattr(_file_of(kpi), "from_days", None)
        if own and kept and scope.grain in GRAINS[GRAINS.index("week") :]:
            daily = kept.periods(kpi, dataclasses.replace(scope, grain="day"))
            made: pd.DataFrame | None = None if daily is None else own(kpi, daily, scope)
            if made is not None:
                return made
        counted: pd.DataFrame = _file_of(kpi).facts(kpi, scope)
        return counted

    return scope.remembered(kpi.name, count)


def dirty_ranges(kpi: KpiCommon, catalogue: Catalogue, rows: Mapping[str, DirtyRanges | None]) -> DirtyRanges | None:
    """Days of a KPI whose values may differ: those of its datasets' rows, widened by what its type looks at."""
    found: DirtyRanges | None = _file_of(kpi).dirty_ranges(kpi, catalogue, rows)
    if not found or not kpi.coarser_by:
        return found
    week = catalogue.week_start_days  # a month has the weeks that begin in it, up to their ends
    return merged(
        (periods.floor(a, kpi.grain, week), b if b >= FAR else periods.ceil(b, kpi.grain, week)) for a, b in found
    )


def sums(kpi: KpiCommon, catalogue: Catalogue) -> list[tuple[Sums, int]]:
    """What adds up of it, which a refresh may count together with others', and how many days back it looks for it."""
    own = getattr(_file_of(kpi), "sums", None)
    return [] if own is None else list(own(kpi, catalogue))


def people_of(kpi: KpiCommon, catalogue: Catalogue) -> list[Counted]:
    """Who is counted of it, which a refresh may do together with others'."""
    own = getattr(_file_of(kpi), "people_of", None)
    return [] if own is None else list(own(kpi, catalogue))


def people_kept(kpi: KpiCommon, catalogue: Catalogue) -> list[Counted]:
    """Whose days a generation keeps for it: of those that it counts together, and of windows."""
    own = getattr(_file_of(kpi), "people_kept", None)
    return people_of(kpi, catalogue) if own is None else list(own(kpi, catalogue))


def values_kept(kpi: KpiCommon, catalogue: Catalogue) -> list[Measure]:
    """Medians and percentiles of it: a generation keeps how often each value is there."""
    own = getattr(_file_of(kpi), "values_kept", None)
    return [] if own is None else list(own(kpi, catalogue))


def settled_at(kpi: KpiCommon, end: pd.Timestamp, grain: str, catalogue: Catalogue) -> pd.Timestamp:
    """The watermark from which the KPI's own value of the period that ends then is final, on the grain's clock."""
    settled: pd.Timestamp = _file_of(kpi).settled_at(kpi, end, grain, catalogue)
    return settled


def sampling(kpi: KpiCommon, frame: pd.DataFrame) -> Floats:
    """Sampling variance of each value of an answer (columns value, n, maybe parts); NaN where that does not tell it."""
    own = getattr(_file_of(kpi), "sampling", None)
    return np.full(len(frame), np.nan) if own is None else own(kpi, frame)


def people(kpi: KpiCommon, catalogue: Catalogue) -> People | None:
    """What each person adds to its values, for types whose sampling variance must be counted; None: not known."""
    own = getattr(_file_of(kpi), "people", None)
    found: People | None = None if own is None else own(kpi, catalogue)
    return found


def propagated(kpi: KpiCommon, values: Mapping[str, pd.Series], variances: Mapping[str, pd.Series]) -> pd.Series | None:
    """Sampling variance of a KPI made of others, by theirs, by name; None for types that are not, or do not tell."""
    own = getattr(_file_of(kpi), "propagated", None)
    found: pd.Series | None = None if own is None else own(kpi, values, variances)
    return found


def per_person(kpi: KpiCommon, catalogue: Catalogue) -> PerPerson | str:
    """A KPI of one person; a text says in one clause why it has no such value."""
    own = getattr(_file_of(kpi), "per_person", None)
    if own is None:
        return f"a KPI of type {kpi.type} has no value of one person"
    found: PerPerson | str = own(kpi, catalogue)
    if isinstance(found, str):
        return found
    nobody = next((p.dataset for p in found.parts if not catalogue.datasets[p.dataset].entity), "")
    return f"dataset {nobody} does not say whose its rows are: write its `entity:`" if nobody else found


def same_periods(several: Sequence[pd.DataFrame]) -> bool:
    """Whether all of these are of the same segments and periods, row by row."""
    first = several[0]
    return all(
        len(frame) == len(first)
        and bool((frame["period"].to_numpy() == first["period"].to_numpy()).all())
        and bool((frame["segment"].to_numpy(dtype=object) == first["segment"].to_numpy(dtype=object)).all())
        for frame in several[1:]
    )


def with_segments(frame: pd.DataFrame, part: KpiCommon | Measure, segments: list[str], scope: Scope) -> pd.DataFrame:
    """`frame` with every one of `segments`: where a part has no rows of one, its counts and sums are 0 there.

    Without this, a ratio whose numerator never occurs in a segment would be unknown there instead of 0.
    """
    have = set(frame["segment"])
    missing = [segment for segment in segments if segment not in have]
    measure = part
    if isinstance(part, KpiCommon) and part.is_part and not part.trailing_window and not part.coarser_by:
        measure = part.measures[()]
    if not missing or not scope.by:
        return frame
    if not isinstance(measure, Measure):
        return facts(measure, dataclasses.replace(scope, segments=tuple(segments)))
    zero = trees.starts_at_zero(measure) and scope.catalogue.datasets[measure.dataset].empty == "zero"
    return pd.concat([frame, empty_periods(missing, scope, measure.dataset, zero=zero)], ignore_index=True)
