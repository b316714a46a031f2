"""Where the change behind an incident sits: the segment of one dimension that holds most of it, in words."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from connectors.errors import KpiError
from connectors.warehouse.contract import Reader
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.kpi import KpiCommon
from metrics.engine import drivers, periods
from metrics.engine.answer import answer
from metrics.engine.query import Filter, Query
from metrics.presentation import format as fmt

MOST = 0.5  # of the change, that the first segment must hold to be named
LIFT = 0.2  # and how much more of it than of the whole
BEFORE = {"hour": 168, "day": 28, "week": 8, "month": 6, "quarter": 4, "year": 2}  # periods that are the usual


@dataclass(frozen=True)
class Place:
    """dimension and segment; words: one sentence."""

    dimension: str
    segment: str
    words: str


def place_of(
    kpi: KpiCommon,
    catalogue: Catalogue,
    reader: Reader,
    period: pd.Timestamp,
    where: tuple[Filter, ...] = (),
    *,
    against: pd.Timestamp | None = None,
    grain: str = "",
) -> Place | None:
    """The segment that holds most of the change of a period against those before it; None if none stands out.

    against: one earlier period, then however ordinary the change is; default the usual, if the period is not that.
    grain: of the period; default the home grain.
    Additive KPIs and rates only: of others the segments' parts do not add up.
    """
    best: tuple[float, Place] | None = None
    for dimension in catalogue.dimensions_of(kpi):
        if any(f.dimension == dimension for f in where):
            continue
        try:
            split = _split(kpi, catalogue, reader, dimension, period, where, against, grain or kpi.grain)
        except KpiError:
            continue
        if split is None or not split.parts or not split.change:
            continue
        top = split.parts[0]
        share = drivers.share_of_change(split, top)
        lift = share - top.weight  # a segment with most of the people has most of any change: that is no news
        if share >= MOST and lift >= LIFT and (best is None or lift > best[0]):
            best = (lift, Place(dimension, top.segment, _words(kpi, dimension, top, share)))
    return best[1] if best else None


def _split(  # noqa: PLR0913 (one question, by its parts)
    kpi: KpiCommon,
    catalogue: Catalogue,
    reader: Reader,
    dimension: str,
    period: pd.Timestamp,
    where: tuple[Filter, ...],
    against: pd.Timestamp | None,
    grain: str,
) -> drivers.Split | None:
    start = against if against is not None else periods.after(period, grain, -BEFORE[grain])
    end = periods.after(period, grain)
    query = Query(kpi.name, grain, start.date(), end.date() + pd.Timedelta(days=1), dimension, where)
    frame = answer(query, catalogue, reader, transforms=False).frame
    frame = frame[(frame["period"] >= start) & (frame["period"] <= period) & frame["complete"]]
    now, usual = frame[frame["period"] == period], frame[frame["period"] < period]
    if against is not None:
        usual = usual[usual["period"] == against]
    elif not now.empty and not usual.empty and not _unusual(frame, period):
        return None
    return drivers.between(dimension, usual, now, adds_up=kpi.additivity != "non-additive")


def _unusual(frame: pd.DataFrame, period: pd.Timestamp) -> bool:
    """Whether the whole is outside what it was before: parts of an ordinary change are not worth a sentence."""
    sums = frame.groupby("period")[["value", "numerator", "denominator"]].sum()
    whole = sums["value"] if frame["denominator"].isna().all() else sums["numerator"] / sums["denominator"]
    before = whole[whole.index < period]
    return not float(before.min()) <= float(whole[period]) <= float(before.max())


def _words(kpi: KpiCommon, dimension: str, part: drivers.Part, share: float) -> str:
    before, after = fmt.value_texts((part.before, part.after), kpi)
    held = "All" if share >= 0.95 else fmt.share_text(share)
    levels = f": {before} → {after}" if not fmt.alike(part.before, part.after, kpi) else ", through its share of all"
    return f"{held} of the change sits in {dimension.replace('_', ' ')} {part.segment}{levels}."
