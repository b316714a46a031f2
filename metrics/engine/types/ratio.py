"""ratio: sum of parts / sum of parts, at every grain and segment."""

from __future__ import annotations

import pandas as pd

from metrics.catalog.models.kpi import KpiCommon, Measure, Ratio
from metrics.engine import types
from metrics.engine.query import FACT_COLUMNS, Scope
from metrics.engine.types.simple import measure_facts


def facts(kpi: Ratio, scope: Scope) -> pd.DataFrame:
    """numerator / denominator of each period; unknown where the denominator is 0 or unknown."""
    parts = [_part(kpi, key, scope) for key in ("numerator", "denominator")]
    segments = list(dict.fromkeys(s for _, frame in parts for s in frame["segment"]))
    top, bottom = (types.with_segments(frame, part, segments, scope) for part, frame in parts)
    both = bottom.merge(top, on=["segment", "period"], how="outer", suffixes=("", "_top"))
    numerator, denominator = both["value_top"], both["value"]
    result = both.assign(
        value=numerator / denominator.where(denominator != 0),
        numerator=numerator,
        denominator=denominator,
        parts=None,
        complete=both["complete"].fillna(False).astype(bool) & both["complete_top"].fillna(False).astype(bool),
    )
    return result[FACT_COLUMNS]


def _part(kpi: Ratio, key: str, scope: Scope) -> tuple[KpiCommon | Measure, pd.DataFrame]:
    part = kpi.parts[key]
    if isinstance(part, Measure):
        return part, measure_facts(part, scope)
    named = scope.catalogue.kpi(part)
    return named, types.facts(named, scope)
