"""Where the change sits: the last complete period against the one before, by the dimensions that say most."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from connectors.errors import KpiError, counted
from metrics.catalog.models.kpi import KpiCommon
from metrics.engine import drivers, periods
from metrics.engine.answer import answer
from metrics.engine.data_context import DataContext
from metrics.engine.query import Filter, Query
from metrics.kpi_views.card import latest
from metrics.presentation import format as fmt

MOST_DIMENSIONS = 2
TINY = 1e-12


@dataclass(frozen=True)
class ChangePart:
    """One segment. share: of the whole change, as a width 0..1; good: whether it went the way the KPI should."""

    segment: str
    levels: str
    change: str
    detail: str
    share: float
    good: bool | None


@dataclass(frozen=True)
class ChangeBlock:
    """One dimension. line: how much of the change its first segments hold; parts add up to the change."""

    dimension: str
    line: str
    parts: tuple[ChangePart, ...]


def where_it_sits(context: DataContext, name: str, where: tuple[Filter, ...] = ()) -> tuple[ChangeBlock, ...]:
    """Dimensions by how much of the change their top segments hold. Empty where nothing adds up: medians, people.

    Raises KpiError.
    """
    kpi = context.catalogue.kpi(name)
    last = latest(context, kpi, where).period
    if last is None:
        return ()
    taken = {item.dimension for item in where}
    found = []
    for dimension in context.catalogue.dimensions_of(kpi):
        if dimension in taken:
            continue
        try:
            split = _split(context, kpi, dimension, last, where)
        except KpiError:
            continue
        if split is not None and len(split.parts) > 1 and abs(split.change) > TINY:
            found.append(split)
    found.sort(key=lambda split: (-_excess(split), split.dimension))
    return tuple(_block(kpi, split) for split in found[:MOST_DIMENSIONS])


def _split(
    context: DataContext, kpi: KpiCommon, dimension: str, last: pd.Timestamp, where: tuple[Filter, ...]
) -> drivers.Split | None:
    before = periods.after(last, kpi.grain, -1)
    end = periods.after(last, kpi.grain)
    query = Query(kpi.name, None, before.date(), end.ceil("D").date(), dimension, where)
    frame = answer(query, context.catalogue, context.reader, transforms=False).frame
    sides = [frame[(frame["period"] == at) & frame["complete"]] for at in (before, last)]
    return drivers.between(dimension, *sides, adds_up=kpi.additivity != "non-additive")


def _excess(split: drivers.Split) -> float:
    """How much more of the change the first segments hold than of the whole."""
    top = split.parts[: drivers.TOP]
    return sum(abs(part.change) for part in top) / (sum(abs(p.change) for p in split.parts) or 1.0) - sum(
        part.weight for part in top
    )


def _block(kpi: KpiCommon, split: drivers.Split) -> ChangeBlock:
    shown = drivers.TOP if len(split.parts) != drivers.TOP + 1 else drivers.TOP + 1
    top, rest = split.parts[:shown], split.parts[shown:]
    largest = max(abs(part.change) for part in split.parts) or 1.0
    rows = [_part(kpi, part.segment, part, largest) for part in top]
    if rest:
        change, rate, mix = (sum(getattr(part, key) for part in rest) for key in ("change", "rate", "mix"))
        other = drivers.Part(
            counted(len(rest), "other"), 0.0, 0.0, change, rate, mix, sum(part.weight for part in rest)
        )
        rows.append(_part(kpi, other.segment, other, largest, levels=False))
    first = top[: drivers.TOP]
    names = ", ".join(part.segment for part in first)
    held = sum(part.change for part in first) / split.change
    share = fmt.share_text(held) if 0 <= held <= 1 else "more than all" if held > 1 else "none"
    line = f"{fmt.difference_text(split.change, kpi)} in all; {names} hold {share} of it."
    return ChangeBlock(split.dimension.replace("_", " "), line, tuple(rows))


def _part(kpi: KpiCommon, name: str, part: drivers.Part, largest: float, *, levels: bool = True) -> ChangePart:
    shown = " → ".join(fmt.value_texts((part.before, part.after), kpi)) if levels else ""
    detail = ""
    rate, mix = (fmt.difference_text(x, kpi) for x in (part.rate, part.mix))
    if not fmt.slight(part.mix, kpi):
        detail = f"{rate} by its own rate, {mix} by its share"
    good = None
    if kpi.direction != "neutral" and abs(part.change) > TINY:
        good = (part.change > 0) == (kpi.direction == "up_is_good")
    return ChangePart(name, shown, fmt.difference_text(part.change, kpi), detail, abs(part.change) / largest, good)
