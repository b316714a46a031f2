"""Where a change sits: the segment of one dimension that accounts for most of it, in the words of page and alert."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from connectors.errors import KpiError
from connectors.warehouse.contract import Reader
from metrics.alerts.compared import Comparison, Opened, change_of, of_incident
from metrics.alerts.segment_sampling import with_sampling
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.kpi import KpiCommon
from metrics.engine import drivers, periods
from metrics.engine.answer import answer
from metrics.engine.query import Filter, Query
from metrics.presentation import format as fmt

MOST = 0.5  # of the change, that a segment must account for to be named
LIFT = 0.2  # and how much more of it than of the whole
NET = 0.5  # of all ups and downs, that is left of them: below, shares of the change say nothing
EXACT = 1e-6  # to which the parts add up to the change


@dataclass(frozen=True)
class Place:
    """dimension and segment; share: of the change; words: one sentence; short: a clause, without levels."""

    dimension: str
    segment: str
    share: float
    words: str
    short: str


def place_of_incident(
    kpi: KpiCommon,
    catalogue: Catalogue,
    reader: Reader,
    incident: Opened,
    where: tuple[Filter, ...] = (),
    *,
    grain: str = "",
) -> Place | None:
    """The segment that accounts for most of an incident; None if none stands out, or its level is an ordinary one."""
    grain = grain or kpi.grain
    whole = whole_of(kpi, catalogue, reader, where, grain)
    found = of_incident(whole, kpi, grain, incident)
    if found is None or found.usual:
        return None
    return place_in(kpi, splits_of(kpi, catalogue, reader, whole, found, where))


def place_between(
    kpi: KpiCommon,
    catalogue: Catalogue,
    reader: Reader,
    period: pd.Timestamp,
    before: pd.Timestamp,
    where: tuple[Filter, ...] = (),
) -> Place | None:
    """The segment that accounts for most of the change from one period to another, however ordinary that is."""
    whole = whole_of(kpi, catalogue, reader, where, kpi.grain)
    compared = Comparison(kpi.grain, (period,), (before,), period)
    return place_in(kpi, splits_of(kpi, catalogue, reader, whole, compared, where))


def whole_of(
    kpi: KpiCommon, catalogue: Catalogue, reader: Reader, where: tuple[Filter, ...], grain: str
) -> pd.DataFrame:
    """Rows of all segments together. Raises KpiError."""
    return answer(Query(kpi.name, grain, where=where), catalogue, reader, transforms=False).frame


def splits_of(
    kpi: KpiCommon,
    catalogue: Catalogue,
    reader: Reader,
    whole: pd.DataFrame,
    compared: Comparison,
    where: tuple[Filter, ...] = (),
) -> list[drivers.Split]:
    """The change by each dimension whose segments' parts add up to it; additive values and rates only."""
    change, found = change_of(whole, kpi, compared), list[drivers.Split]()
    if change is None or not change.change or not change.parts:
        return []
    size = max(abs(change.change), abs(change.parts[0].before), abs(change.parts[0].after))
    for dimension in catalogue.dimensions_of(kpi):
        if any(f.dimension == dimension for f in where):
            continue
        start, end = compared.before[0], periods.after(compared.after[-1], compared.grain)
        query = Query(kpi.name, compared.grain, start.date(), end.date() + pd.Timedelta(days=1), dimension, where)
        try:
            frame = answer(query, catalogue, reader, transforms=False).frame
        except KpiError:
            continue
        sides = compared.sides(frame)
        split = drivers.between(dimension, *sides, adds_up=kpi.additivity != "non-additive")
        if split is not None and split.parts and abs(split.change - change.change) <= EXACT * size:
            found.append(with_sampling(kpi, split, *sides))
    return found


def place_in(kpi: KpiCommon, splits: list[drivers.Split]) -> Place | None:
    """The segment that stands out most; one whose own level moved before one that only is more or less of the whole."""
    found = []
    for split in splits:
        if not cancels(split):
            top = max(split.parts, key=lambda part: (part.change * split.change, part.segment))
            share = drivers.share_of_change(split, top)
            lift = share - top.weight  # a segment with most of the people has most of any change: that is no news
            own = _goes_along(split, top)
            if share >= MOST and lift >= LIFT and (own or top.mix * split.change > 0) and not top.by_chance:
                found.append((own, lift, _place(kpi, split, top, own=own)))
    return max(found, key=lambda item: (item[0], item[1], item[2].dimension))[2] if found else None


def cancels(split: drivers.Split) -> bool:
    """Whether segments moved both ways, so that shares of what is left say nothing."""
    return abs(split.change) < NET * sum(abs(part.change) for part in split.parts)


def share_words(share: float) -> str:
    """`62%`, `all`, `more than all (118%)`."""
    told = fmt.share_text(share)
    return "all" if told == "100%" else told if share < 1 else f"more than all ({told})"


def _goes_along(split: drivers.Split, part: drivers.Part) -> bool:
    """Whether a segment's own level moved the way that the whole did, and that is most of its part."""
    return (part.after - part.before) * split.change > 0 and abs(part.rate) >= abs(part.mix)


def _place(kpi: KpiCommon, split: drivers.Split, part: drivers.Part, *, own: bool) -> Place:
    before, after = fmt.value_texts((part.before, part.after), kpi)
    share = drivers.share_of_change(split, part)
    name = f"{split.dimension.replace('_', ' ').capitalize()} {part.segment}"
    short = f"{name} accounts for {share_words(share)} of the change"
    if own:
        levels = f": {before} → {after}" if not fmt.alike(part.before, part.after, kpi) else ""
    else:
        old, new = (fmt.share_text(side) for side in part.shares)
        levels = f", through its share of the whole: {old} → {new}, at {after}"
    return Place(split.dimension, part.segment, share, f"{short}{levels}.", short)
