"""One KPI in full: number, series, marks, breakdown, table, CSV."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import pandas as pd

from connectors.errors import counted
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.kpi import KpiCommon
from metrics.catalog.models.values import GRAINS
from metrics.catalog.targets import target_grain
from metrics.engine.answer import answer, default_scope
from metrics.engine.data_context import DataContext
from metrics.engine.projection import Projection, projection
from metrics.engine.query import Filter, Query, Series
from metrics.engine.to_date import LONG, running
from metrics.kpi_views.card import Card, card
from metrics.kpi_views.chart import Chart, chart, comparable_grains, early_rows, pace_text, scale_note
from metrics.kpi_views.today import today_so_far
from metrics.kpi_views.types import shape_of
from metrics.kpi_views.types.contract import Shape
from metrics.presentation import export
from metrics.presentation import format as fmt

RANGES = {"28d": "28 days", "90d": "90 days", "180d": "6 months", "365d": "12 months", "all": "All"}
COMPARISONS = {"none": "No comparison", "previous_range": "Range before", "same_period_last_year": "Last year"}
DEFAULT_RANGE = {"hour": "28d", "day": "90d", "week": "180d", "month": "all", "quarter": "all", "year": "all"}


@dataclass(frozen=True)
class KpiPage:
    """Everything the page shows."""

    card: Card
    description: str
    owner: str
    grains: tuple[str, ...]
    dimensions: tuple[str, ...]
    chart: Chart
    table: pd.DataFrame
    csv: str
    notes: tuple[str, ...]
    series: Series
    shape: Shape | None = None
    launches: tuple[tuple[str, str], ...] = ()  # of this KPI, in words and by name, the newest first
    so_far: str = ""  # the running period against the same part of the one before


def kpi_page(  # noqa: PLR0913 (what a page's address says, by name)
    context: DataContext,
    name: str,
    *,
    grain: str = "",
    range_: str = "",
    compare: str = "none",
    by: str = "",
    where: tuple[Filter, ...] = (),
    who: str = "",
) -> KpiPage:
    """The page of one KPI. who: whose words a survey shows. Raises KpiError if it has no value at all."""
    kpi = context.catalogue.kpi(name)
    grain = grain or kpi.grain
    start = range_start(context, kpi, grain, range_ or DEFAULT_RANGE[grain])
    query = Query(
        name,
        grain,
        start,
        None,
        by or None,
        where,
        None if compare == "none" else compare,  # type: ignore[arg-type]
    )
    series = answer(query, context.catalogue, context.reader)
    own, home = card(context, name, where), projection(context, kpi, kpi.grain, where)
    ahead = home if grain == kpi.grain else projection(context, kpi, grain, where)
    return KpiPage(
        card=own,
        description=kpi.description,
        owner=kpi.owner,
        grains=comparable_grains(kpi, context.catalogue),
        dimensions=context.catalogue.dimensions_of(kpi),
        chart=chart(context, kpi, series, ahead, where),
        table=_table(kpi, series),
        csv=export.as_csv(series),
        notes=_notes(context.catalogue, kpi, series),
        series=series,
        shape=shape_of(context, kpi, series, where, who),
        launches=_launches(context.catalogue, kpi),
        so_far=so_far(context, kpi, where, home),
    )


def _launches(catalogue: Catalogue, kpi: KpiCommon) -> tuple[tuple[str, str], ...]:
    """`New editor (7 Nov 2026)`: what it is read for, planned ones too."""
    own = [x for x in catalogue.launches if x.kind == "launch" and x.concerns(kpi.name, kpi.area)]
    own.sort(key=lambda launch: launch.starts_on, reverse=True)
    return tuple((f"{x.title} ({x.starts_on:%-d %b %Y})", x.name) for x in own)


def so_far(context: DataContext, kpi: KpiCommon, where: tuple[Filter, ...], ahead: Projection | None) -> str:
    """`November so far, 22 of 30 days: $45.2k, against $43.9k at the same point of the month before (+3.0%)`."""
    if kpi.grain not in LONG:
        return today_so_far(context, kpi, where)
    states = context.reader.dataset_states(context.reader.generation.sequence)
    scope = default_scope(kpi, kpi.grain, context.catalogue, context.reader, states)
    found = running(kpi, scope)
    if found is None:
        return ""
    query = Query(kpi.name, kpi.grain, found.period.date(), None, None, where, "to_date")
    rows = answer(query, context.catalogue, context.reader).frame
    rows = rows[(rows["period"] == found.period) & rows["difference"].notna() & rows["value"].notna()]
    if rows.empty:
        return ""
    row, title = rows.iloc[0], fmt.period_text(found.period, kpi.grain, context.now.year)
    shown, before = fmt.value_texts([float(row[c]) for c in ("value", "comparison")], kpi)
    change = fmt.change_text(row["comparison"] + row["difference"], row["comparison"], kpi)
    pace = f", {pace_text(kpi, ahead)}" if ahead else ""
    return (
        f"{title} so far, {found.days} of {counted(found.of, 'day')}: {shown}{pace}, against {before} at the same "
        f"point of the {kpi.grain} before ({change})."
    )


def range_start(context: DataContext, kpi: KpiCommon, grain: str, range_: str) -> date | None:
    """First day of a range picker's choice, counted back from the end of the data; None = all."""
    if range_ == "all":
        return None
    states = context.reader.dataset_states(context.reader.generation.sequence)
    scope = default_scope(kpi, "day" if GRAINS.index(grain) >= 1 else grain, context.catalogue, context.reader, states)
    first = scope.end - pd.Timedelta(days=int(range_.removesuffix("d")))
    day: date = max(first, scope.start).date()
    return day


def segments(context: DataContext, name: str, dimension: str) -> list[str]:
    """Values of a dimension, largest first, as far as they are stored."""
    kpi = context.catalogue.kpi(name)
    sequence = context.reader.generation.sequence
    found = context.reader.stored_values(name, kpi.grain, dimension, sequence)
    if found is None:
        return []
    sizes = found.frame.groupby("segment")["n"].sum().sort_values(ascending=False)
    return [str(s) for s in sizes.index]


def _table(kpi: KpiCommon, series: Series) -> pd.DataFrame:
    """Newest first, as texts; what the CSV holds unrounded."""
    order = {s: i for i, s in enumerate(dict.fromkeys(series.frame["segment"]))}
    ranked = series.frame.assign(_rank=series.frame["segment"].map(order))
    frame = ranked.sort_values(["period", "_rank"], ascending=[False, True])
    rows = {"Period": [fmt.period_text(p, series.grain, 0) for p in frame["period"]]}
    if series.by:
        rows[series.by.replace("_", " ").capitalize()] = list(frame["segment"])
    rows[kpi.title] = [fmt.value_text(v, kpi) for v in frame["value"]]
    for column in series.companions:
        rows[column.replace("_", " ").capitalize()] = [fmt.value_text(v, kpi) for v in frame[column]]
    if frame["numerator"].notna().any():
        for column in ("numerator", "denominator"):
            rows[column.capitalize()] = [fmt.UNKNOWN if pd.isna(v) else f"{v:,.0f}" for v in frame[column]]
    rows["n"] = [fmt.UNKNOWN if pd.isna(v) else f"{int(v):,}" for v in frame["n"]]
    if "comparison" in frame:
        rows["Compared with"] = [fmt.value_text(v, kpi) for v in frame["comparison"]]
        sides = zip(frame["value"], frame["comparison"].where(frame["difference"].notna()), strict=True)
        rows["Change"] = [fmt.change_text(now, then, kpi) or fmt.UNKNOWN for now, then in sides]
    early = early_rows(series).reindex(frame.index)
    words = zip(frame["complete"], early, strict=True)
    rows["Complete"] = ["yes" if done else "in part" if begun else "not yet" for done, begun in words]
    return pd.DataFrame(rows)


def _notes(catalogue: Catalogue, kpi: KpiCommon, series: Series) -> tuple[str, ...]:
    notes = [note] if (note := scale_note(kpi, catalogue)) else []
    notes += [f"{note[:1].upper()}{note[1:]}." for note in series.meant]
    if series.transformed:
        steps = [next(iter(s)) for s in kpi.transforms if "as" not in next(iter(s.values()))]
        notes.append(f"Shown after {', '.join(steps)}; alerts, targets and references use the value before.")
    if series.grain != kpi.grain:
        notes.append(f"Shown by {series.grain}; the number above is by {kpi.grain}, and so are {_by_home(kpi)}.")
    return (*notes, *(f"{gap[:1].upper()}{gap[1:]}" for gap in series.gaps))


def _by_home(kpi: KpiCommon) -> str:
    return "target and thresholds" if target_grain(kpi) == kpi.grain else "thresholds"
