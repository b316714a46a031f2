"""Growth accounting as people read it: gained above zero, lost below."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pandas as pd

from metrics.catalog.catalogue import Catalogue
from metrics.catalog.types.lifecycle import Lifecycle
from metrics.engine.data_context import DataContext
from metrics.engine.query import Filter, Series
from metrics.kpi_views.sentences import rows_words
from metrics.presentation import format as fmt
from metrics.presentation.export import counts

LABELS = {"new": "New", "returning": "Returning", "resurrected": "Resurrected", "dormant": "Went dormant"}


@dataclass(frozen=True)
class LifecycleShape:
    """Complete periods, and for each kind its counts (dormant below zero) and the pointer's texts.

    Of the running one most people have not been there yet: they would all be drawn as gone.
    """

    drawn_by: ClassVar[str] = "lifecycle"

    periods: tuple[pd.Timestamp, ...]
    counts: dict[str, tuple[float | None, ...]]
    texts: dict[str, tuple[str, ...]]


def in_words(kpi: Lifecycle, catalogue: Catalogue) -> str:
    """Gained, divided by lost."""
    (rows,) = (rows_words(condition) for condition in kpi.conditions.values())
    return f"New and resurrected, divided by dormant: who has {rows} in a period, against the period before"


def shape(
    context: DataContext, kpi: Lifecycle, series: Series, where: tuple[Filter, ...], who: str
) -> LifecycleShape | None:
    """The four counts over time; None with a breakdown, whose segments are worlds of their own."""
    frame = series.frame[series.frame["complete"]]
    if series.by or frame.empty:
        return None
    rows = [counts(series, parts) for parts in frame["parts"]]
    found: dict[str, tuple[float | None, ...]] = {}
    texts: dict[str, tuple[str, ...]] = {}
    for i, name in enumerate(series.part_names):
        sign = -1 if name == "dormant" else 1
        found[name] = tuple(None if row[i] is None else sign * float(row[i] or 0) for row in rows)
        texts[name] = tuple(fmt.UNKNOWN if row[i] is None else f"{row[i]:,}" for row in rows)
    return LifecycleShape(tuple(frame["period"]), found, texts)
