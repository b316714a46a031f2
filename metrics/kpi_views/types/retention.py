"""Retention as people read it: the triangle of cohorts, and the curve of all of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import pandas as pd

from connectors.errors import counted
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.types.retention import Retention
from metrics.engine.data_context import DataContext
from metrics.engine.query import Filter, Series
from metrics.kpi_views.sentences import rows_words
from metrics.presentation import format as fmt

MOST_COHORTS, MOST_COLUMNS, MOST_LINES = 16, 13, 8


@dataclass(frozen=True)
class Cohort:
    """One row of the triangle. cells: share of each later unit, None where it is not over yet."""

    name: str
    size: str
    cells: tuple[float | None, ...]


@dataclass(frozen=True)
class Curve:
    """Share that is back after each unit; NaN where nobody can be yet."""

    name: str
    shares: tuple[float, ...]


@dataclass(frozen=True)
class RetentionShape:
    """unit: day, week or month. at: the headline's unit. cohorts newest first; none with a breakdown."""

    drawn_by: ClassVar[str] = "retention"

    unit: str
    at: int
    columns: tuple[str, ...]
    cohorts: tuple[Cohort, ...]
    curves: tuple[Curve, ...]


def in_words(kpi: Retention, catalogue: Catalogue) -> str:
    """Who starts, and is back how much later."""
    first, again = (rows_words(condition) for condition in kpi.conditions.values())
    start = "first of" if kpi.cohort == "first" else "any of"
    back = "or later" if kpi.mode == "rolling" else "after it"
    units = counted(kpi.at, kpi.unit)
    own = "counted from its own day" if kpi.count_from == "start" else f"by calendar {kpi.unit}"
    return f"Who starts ({start} {first}) and is back ({again}) {units} {back}, {own}"


def shape(
    context: DataContext, kpi: Retention, series: Series, where: tuple[Filter, ...], who: str
) -> RetentionShape | None:
    """Triangle and curve of what the series holds; None if nobody ever started."""
    frame = series.frame
    whole = frame if series.begins is None else frame[frame["period"] >= series.begins]  # a part of a cohort is none
    groups = (frame if whole.empty else whole).groupby("segment", sort=False)
    curves = [Curve(str(segment) or "All cohorts", pooled(part)) for segment, part in groups]
    curves = [curve for curve in curves if any(not math.isnan(x) for x in curve.shares)]
    if not curves:
        return None
    cohorts: list[Cohort] = []
    if not series.by:
        counted = frame["parts"].map(lambda parts: isinstance(parts, tuple)) & (frame["n"].fillna(0) > 0)
        rows = frame[counted].tail(MOST_COHORTS).iloc[::-1]
        for period, parts in zip(rows["period"], rows["parts"], strict=True):
            size = parts[0]
            cells = tuple(None if math.isnan(c) else c / size for c in parts[1 : MOST_COLUMNS + 1])
            cohorts.append(Cohort(fmt.period_text(period, series.grain, 0), f"{int(size):,}", cells))
    columns = tuple(str(k) for k in range(1, min(kpi.length, MOST_COLUMNS) + 1))
    return RetentionShape(kpi.unit, kpi.at, columns, tuple(cohorts), tuple(curves[:MOST_LINES]))


def pooled(part: pd.DataFrame) -> tuple[float, ...]:
    """For each unit, who came back of all cohorts that are old enough, by their size: no mean of percentages."""
    rows = [parts for parts in part["parts"] if isinstance(parts, tuple) and parts[0] > 0]
    shares = []
    for k in range(len(rows[0]) if rows else 0):
        known = [(parts[k], parts[0]) for parts in rows if not math.isnan(parts[k])]
        size = sum(s for _, s in known)
        shares.append(sum(c for c, _ in known) / size if size else math.nan)
    return tuple(shares)
