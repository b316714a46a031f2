"""How each KPI type is counted. One file = one type = one function `facts(kpi, scope)`."""

from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path

import pandas as pd

from connectors.errors import NotUsedYet
from metrics.catalog.kpi import KpiCommon, Measure, Simple
from metrics.engine import trees
from metrics.engine.frames import empty_periods
from metrics.engine.query import Scope


def facts(kpi: KpiCommon, scope: Scope) -> pd.DataFrame:
    """The KPI's values over every period of the scope, as FACT_COLUMNS. Raises QueryRefused, NotUsedYet."""
    if not (Path(__file__).parent / f"{kpi.type}.py").exists():
        raise NotUsedYet(
            f"KPIs of type '{kpi.type}' have no value in this version", where=kpi.name,
            hint="Write it as `type: sql` for now.",
        )  # fmt: skip
    module = importlib.import_module(f"metrics.engine.types.{kpi.type}")
    return scope.remembered(kpi.name, lambda: module.facts(kpi, scope))


def with_segments(frame: pd.DataFrame, part: KpiCommon | Measure, segments: list[str], scope: Scope) -> pd.DataFrame:
    """`frame` with every one of `segments`: where a part has no rows of one, its counts and sums are 0 there.

    Without this, a ratio whose numerator never occurs in a segment would be unknown there instead of 0.
    """
    have = set(frame["segment"])
    missing = [segment for segment in segments if segment not in have]
    measure = part.measure if isinstance(part, Simple) and not part.window else part
    if not missing or not scope.by:
        return frame
    if not isinstance(measure, Measure):
        return facts(measure, dataclasses.replace(scope, segments=tuple(segments)))
    zero = trees.starts_at_zero(measure) and scope.catalogue.datasets[measure.dataset].empty == "zero"
    return pd.concat([frame, empty_periods(missing, scope, measure.dataset, zero=zero)], ignore_index=True)
