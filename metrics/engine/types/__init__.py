"""How each KPI type is counted. One file = one type = one function `facts(kpi, scope)`."""

from __future__ import annotations

import dataclasses
import importlib

import pandas as pd

from metrics.catalog.models.kpi import Cumulative, KpiCommon, Measure, Simple, Sql
from metrics.catalog.models.values import GRAINS
from metrics.engine.coarser_periods import longer, shorter_scope
from metrics.engine.frames import empty_periods
from metrics.engine.query import Scope
from metrics.engine.sql import trees
from metrics.engine.sql.joins import refuse_fan_out


def facts(kpi: KpiCommon, scope: Scope) -> pd.DataFrame:
    """The KPI's values over every period of the scope, as FACT_COLUMNS. Raises QueryRefused."""
    module = importlib.import_module(f"metrics.engine.types.{kpi.type}")
    for name in scope.catalogue.datasets_of(kpi):
        refuse_fan_out(scope.catalogue.datasets[name], scope)

    def count() -> pd.DataFrame:
        how = by_shorter_periods(kpi)
        if how and scope.grain not in GRAINS[: GRAINS.index(kpi.grain) + 1]:
            home = facts(kpi, shorter_scope(scope, kpi.grain))
            return longer(home, scope, scope.catalogue.datasets_of(kpi)[0], how)
        found: pd.DataFrame = module.facts(kpi, scope)
        return found

    return scope.remembered(kpi.name, count)


def by_shorter_periods(kpi: KpiCommon) -> str:
    """last, mean or max, where a KPI's longer periods are made of those of its home grain; else empty.

    Windows and running values have days below their home grain, so they do it themselves.
    """
    if isinstance(kpi, (Cumulative, Sql)) or (isinstance(kpi, Simple) and kpi.window):
        return ""
    how = kpi.period_agg or ("last" if isinstance(kpi, Simple) and kpi.semi_additive else "exact")
    return "" if how == "exact" else how


def with_segments(frame: pd.DataFrame, part: KpiCommon | Measure, segments: list[str], scope: Scope) -> pd.DataFrame:
    """`frame` with every one of `segments`: where a part has no rows of one, its counts and sums are 0 there.

    Without this, a ratio whose numerator never occurs in a segment would be unknown there instead of 0.
    """
    have = set(frame["segment"])
    missing = [segment for segment in segments if segment not in have]
    plain = isinstance(part, Simple) and not part.window and not by_shorter_periods(part)
    measure = part.measure if isinstance(part, Simple) and plain else part
    if not missing or not scope.by:
        return frame
    if not isinstance(measure, Measure):
        return facts(measure, dataclasses.replace(scope, segments=tuple(segments)))
    zero = trees.starts_at_zero(measure) and scope.catalogue.datasets[measure.dataset].empty == "zero"
    return pd.concat([frame, empty_periods(missing, scope, measure.dataset, zero=zero)], ignore_index=True)
