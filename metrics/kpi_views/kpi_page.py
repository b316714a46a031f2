"""One KPI in full: number, series, marks, breakdown, table, CSV."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import pandas as pd

from connectors.errors import counted
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.kpi import KpiCommon
from metrics.catalog.models.values import GRAINS
from metrics.catalog.targets import target_at, target_grain
from metrics.engine.answer import answer, default_scope
from metrics.engine.beginning import begins_of
from metrics.engine.data_context import DataContext
from metrics.engine.query import Filter, Query, Series
from metrics.engine.to_date import LONG, running
from metrics.kpi_views.card import Card, card
from metrics.kpi_views.today import today_so_far
from metrics.kpi_views.types import shape_of
from metrics.kpi_views.types.contract import Shape
from metrics.presentation import export
from metrics.presentation import format as fmt

RANGES = {"28d": "28 days", "90d": "90 days", "180d": "6 months", "365d": "12 months", "all": "All"}
COMPARISONS = {"none": "No comparison", "previous_range": "Range before", "same_period_last_year": "Last year"}
DEFAULT_RANGE = {"hour": "28d", "day": "90d", "week": "180d", "month": "all", "quarter": "all", "year": "all"}
LINES = 8  # segments drawn; the table and CSV have all


@dataclass(frozen=True)
class Line:
    """One line of the chart. values: NaN = unknown. texts: what the pointer shows. complete: per period."""

    name: str
    kind: str  # value, companion, comparison or segment
    periods: list[pd.Timestamp]
    values: list[float]
    texts: list[str]
    complete: list[bool]


@dataclass(frozen=True)
class Mark:
    """A launch or another event on the time line."""

    on: pd.Timestamp
    label: str
    kind: str
    until: pd.Timestamp | None = None


@dataclass(frozen=True)
class Chart:
    """What is drawn. limits: (label, value, kind) of horizontal lines; target: per period of the first line."""

    lines: tuple[Line, ...]
    limits: tuple[tuple[str, float, str], ...]
    target: tuple[list[pd.Timestamp], list[float]] | None
    marks: tuple[Mark, ...]
    tick_format: str
    tick_suffix: str
    note: str


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
        None if compare == "none" or by else compare,  # type: ignore[arg-type]
    )
    series = answer(query, context.catalogue, context.reader)
    own = card(context, name, where)
    return KpiPage(
        card=own,
        description=kpi.description,
        owner=kpi.owner,
        grains=kpi.offered_grains,
        dimensions=context.catalogue.dimensions_of(kpi),
        chart=_chart(context, kpi, series, whole=not where),
        table=_table(kpi, series),
        csv=export.as_csv(series),
        notes=_notes(kpi, series),
        series=series,
        shape=shape_of(context, kpi, series, where, who),
        so_far=so_far(context, kpi, where),
    )


def so_far(context: DataContext, kpi: KpiCommon, where: tuple[Filter, ...]) -> str:
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
    return (
        f"{title} so far, {found.days} of {counted(found.of, 'day')}: {shown}, against {before} at the same point of "
        f"the {kpi.grain} before ({change})."
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


def _chart(context: DataContext, kpi: KpiCommon, series: Series, *, whole: bool) -> Chart:
    frame, grain = series.frame, series.grain
    lines: list[Line] = []
    names = list(dict.fromkeys(frame["segment"]))
    for segment in names[:LINES]:
        part = frame[frame["segment"] == segment]
        kind = "segment" if series.by else "value"
        lines.append(_line(segment or kpi.title, kind, part, "value", kpi, grain))
        if not series.by:
            lines += [_line(c.replace("_", " "), "companion", part, c, kpi, grain) for c in series.companions]
            if "comparison" in part:
                lines.append(_line("Compared with", "comparison", part, "comparison", kpi, grain))
    limits: list[tuple[str, float, str]] = []
    target = None
    if whole and not series.by:
        target = _goals(context, kpi, series)
        limits = _limits(kpi, target) if grain == kpi.grain else limits
    more = (
        f" {counted(len(names) - LINES, 'more segment is', 'more segments are')} in the table."
        if len(names) > LINES
        else ""
    )
    note = f"Data to {fmt.day_text(series.watermark)}."
    unfinished, early = ~frame["complete"] & ~_early(series), _early(series) & frame["value"].notna()
    open_periods = frame.loc[unfinished, "period"].nunique()
    if early.any() and series.begins is not None:
        begin = fmt.period_text(series.begins.normalize(), "day", 0)
        note += f" Dashed: its first {grain} is not whole, its data begin on {begin}."
    if open_periods and frame.loc[unfinished, "value"].notna().any():
        note += " Dashed: not complete yet."
    elif open_periods:
        note += f" {counted(open_periods, grain)} not complete yet, so without a value."
    return Chart(
        tuple(lines),
        tuple(limits),
        target,
        _marks(context, kpi, frame),
        *ticks(kpi),
        note + more,
    )


def _goals(context: DataContext, kpi: KpiCommon, series: Series) -> tuple[list[pd.Timestamp], list[float]] | None:
    """The target of each period that has one; None if none has."""
    frame = series.frame
    if not any((target.grain or kpi.grain) == series.grain for target in kpi.targets):
        return None
    whole = answer(
        Query(kpi.name, series.grain), context.catalogue, context.reader
    ).frame  # its beginning may be earlier
    begins = begins_of(kpi, context.catalogue, whole, series.grain)
    found = [(at, target_at(kpi, at, series.grain, begins)) for at in frame["period"]]
    known = [(at, float(goal)) for at, goal in found if goal is not None]
    return ([at for at, _ in known], [goal for _, goal in known]) if known else None


def _limits(kpi: KpiCommon, target: tuple[list[pd.Timestamp], list[float]] | None) -> list[tuple[str, float, str]]:
    """Thresholds as horizontal lines; one that is the target is drawn once."""
    found = []
    for key, label in (("warning", "At risk"), ("critical", "Off track")):
        limit = getattr(kpi.thresholds, key) if kpi.thresholds else None
        bound = limit.limit(None) if limit is not None else None
        if limit is not None and bound is not None and not (target and bound == target[1][-1]):
            found.append((f"{label} {limit.operator} {fmt.value_text(bound, kpi)}", bound, key))
    return found


def _early(series: Series) -> pd.Series:
    """Rows of periods that are not complete and will not become so: a whole one lies after them."""
    frame = series.frame
    last = frame.loc[frame["complete"], "period"].max()
    before = frame["period"] < (last if series.begins is None or last > series.begins else series.begins)
    return before & ~frame["complete"]


def _line(name: str, kind: str, part: pd.DataFrame, column: str, kpi: KpiCommon, grain: str) -> Line:
    values = [float(v) for v in part[column]]
    periods = list(part["period"])
    texts = [f"{fmt.period_text(p, grain, 0)}: {fmt.value_text(v, kpi)}" for p, v in zip(periods, values, strict=True)]
    return Line(name, kind, periods, values, texts, [bool(c) for c in part["complete"]])


def _marks(context: DataContext, kpi: KpiCommon, frame: pd.DataFrame) -> tuple[Mark, ...]:
    if frame.empty:
        return ()
    return marks_on(context.catalogue, kpi, frame["period"].min(), frame["period"].max() + pd.Timedelta(days=31))


def marks_on(catalogue: Catalogue, kpi: KpiCommon, first: pd.Timestamp, last: pd.Timestamp) -> tuple[Mark, ...]:
    """Launches, other marks and redefinitions of a KPI in a span of days, in their order."""
    found = []
    for launch in catalogue.launches:
        on = pd.Timestamp(launch.starts_on)
        if launch.concerns(kpi.name, kpi.area) and first <= on <= last:
            until = pd.Timestamp(launch.until) if launch.until else None
            found.append(Mark(on, launch.title, launch.kind, until))
    marked = {mark.on for mark in found if mark.kind == "redefinition"}
    for change in kpi.changes:
        on = pd.Timestamp(change.on)
        if first <= on <= last and on not in marked:
            found.append(Mark(on, f"Redefined: {change.why}", "redefinition"))
    return tuple(sorted(found, key=lambda mark: mark.on))


def ticks(kpi: KpiCommon) -> tuple[str, str]:
    """d3 format and suffix of the value axis."""
    if kpi.is_rate:
        return ".1%", ""
    if kpi.format == "duration":
        return "", " s"
    return ("~s" if kpi.format.startswith("currency") else ""), ""


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
    early = _early(series).reindex(frame.index)
    words = zip(frame["complete"], early, strict=True)
    rows["Complete"] = ["yes" if done else "in part" if begun else "not yet" for done, begun in words]
    return pd.DataFrame(rows)


def _notes(kpi: KpiCommon, series: Series) -> tuple[str, ...]:
    notes = [f"{note[:1].upper()}{note[1:]}." for note in series.meant]
    if series.transformed:
        steps = [next(iter(s)) for s in kpi.transforms if "as" not in next(iter(s.values()))]
        notes.append(f"Shown after {', '.join(steps)}; alerts, targets and references use the value before.")
    if series.grain != kpi.grain:
        notes.append(f"Shown by {series.grain}; the number above is by {kpi.grain}, and so are {_by_home(kpi)}.")
    return (*notes, *(f"{gap[:1].upper()}{gap[1:]}" for gap in series.gaps))


def _by_home(kpi: KpiCommon) -> str:
    return "target and thresholds" if target_grain(kpi) == kpi.grain else "thresholds"
