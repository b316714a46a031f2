"""A funnel as people read it: each step with who is left, and where they were lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pandas as pd

from metrics.catalog.catalogue import Catalogue
from metrics.catalog.types.funnel import Funnel
from metrics.engine.data_context import DataContext
from metrics.engine.query import Filter, Series
from metrics.kpi_views.sentences import rows_words, ties_words, within_words
from metrics.presentation import format as fmt
from metrics.presentation.export import counts, share

MOST_SEGMENTS = 8


@dataclass(frozen=True)
class Step:
    """name, count and shares as text; width: of its bar, 0..1; worst: where most are lost."""

    name: str
    count: str
    of_first: str
    of_previous: str
    lost: str
    width: float
    worst: bool


@dataclass(frozen=True)
class FunnelShape:
    """One period's funnel; by segments: their name and the share that reaches each step."""

    drawn_by: ClassVar[str] = "funnel"

    period: str
    steps: tuple[Step, ...]
    segments: tuple[tuple[str, tuple[str, ...]], ...] = ()


def in_words(kpi: Funnel, catalogue: Catalogue) -> str:
    """Its steps, in which order, within how long."""
    rows = [rows_words(condition) for condition in kpi.conditions.values()]
    steps = " → ".join(f"{step.name} ({row})" for step, row in zip(kpi.steps, rows, strict=True))
    order = "directly one after another" if kpi.order == "strict" else "in this order"
    return f"{steps}, {order}{ties_words(kpi.ties)}{within_words(kpi.window)}; last step as a share of the first"


def shape(context: DataContext, kpi: Funnel, series: Series, where: tuple[Filter, ...], who: str) -> FunnelShape | None:
    """The last complete period; None if there is none."""
    done = series.frame[series.frame["complete"]]
    if done.empty:
        return None
    last = done["period"].max()
    rows = done[done["period"] == last]
    title = fmt.period_text(last, series.grain, 0)
    if series.by:
        found = []
        for segment, parts in zip(rows["segment"], rows["parts"], strict=True):
            known = counts(series, parts)
            found.append((str(segment), (_number(known[0]), *(_percent(share(c, known[0])) for c in known[1:]))))
        steps = tuple(Step(name, "", "", "", "", 0.0, False) for name in series.part_names)
        return FunnelShape(title, steps, tuple(found[:MOST_SEGMENTS]))
    return FunnelShape(title, _steps(series, rows))


def _steps(series: Series, rows: pd.DataFrame) -> tuple[Step, ...]:
    known = counts(series, rows["parts"].iloc[0])
    before = [None, *known[:-1]]
    kept = [share(c, b) for c, b in zip(known, before, strict=True)]
    lowest = min((k for k in kept[1:] if k is not None), default=None)
    steps = []
    for name, count, previous, kept_share in zip(series.part_names, known, before, kept, strict=True):
        lost = previous - count if previous is not None and count is not None else None
        steps.append(
            Step(
                name,
                _number(count),
                _percent(share(count, known[0])),
                _percent(kept_share),
                f"{fmt.MINUS}{lost:,} ({_percent(lost / previous)})" if lost is not None and previous else "",
                share(count, known[0]) or 0.0,
                kept_share is not None and kept_share == lowest and len(known) > 2,
            )
        )
    return tuple(steps)


def _number(count: int | None) -> str:
    return fmt.UNKNOWN if count is None else f"{count:,}"


def _percent(value: float | None) -> str:
    return fmt.UNKNOWN if value is None else fmt.share_text(value, 1)
