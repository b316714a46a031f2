"""The chart of a KPI as values: what is complete as lines, what is running as a projection, limits, targets, marks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from connectors.errors import counted
from metrics.catalog.catalogue import Catalogue
from metrics.catalog.models.kpi import KpiCommon
from metrics.catalog.targets import target_at
from metrics.engine.answer import answer
from metrics.engine.beginning import begins_of
from metrics.engine.data_context import DataContext
from metrics.engine.projection import Projection
from metrics.engine.query import Filter, Query, Series
from metrics.presentation import format as fmt
from metrics.presentation.precision import same

LINES = 8  # segments drawn; the table and CSV have all
COMPARED = 3  # segments whose comparison is drawn, too; of more, the pointer and the table tell it


@dataclass(frozen=True)
class Line:
    """One line of the chart. values: NaN = unknown. texts: what the pointer shows of each period."""

    name: str
    kind: str  # value, companion, comparison or segment
    periods: list[pd.Timestamp]
    values: list[float]
    texts: list[str]


@dataclass(frozen=True)
class Mark:
    """A launch or another event on the time line. name: of the launch; empty where it has no page."""

    on: pd.Timestamp
    label: str
    kind: str
    until: pd.Timestamp | None = None
    name: str = ""


@dataclass(frozen=True)
class Projected:
    """Where the running period would end. since: the last complete period and its value, from which it is drawn."""

    since: tuple[pd.Timestamp, float]
    period: pd.Timestamp
    value: float
    low: float
    high: float
    text: str


@dataclass(frozen=True)
class Chart:
    """What is drawn. limits: (label, value, kind) of horizontal lines; target: per period of the first line.

    title: what the values are, where they are not those of the number above; else empty.
    """

    lines: tuple[Line, ...]
    limits: tuple[tuple[str, float, str], ...]
    target: tuple[list[pd.Timestamp], list[float]] | None
    marks: tuple[Mark, ...]
    tick_format: str
    tick_suffix: str
    note: str
    grain: str = "day"
    title: str = ""
    projected: Projected | None = None

    @property
    def periods(self) -> list[pd.Timestamp]:
        """Of all lines, each once, rising."""
        return sorted({period for line in self.lines for period in line.periods})


def chart(
    context: DataContext, kpi: KpiCommon, series: Series, ahead: Projection | None, where: tuple[Filter, ...] = ()
) -> Chart:
    """Complete periods as lines; the running one as a projection, `ahead`, where its values add up, else as a note."""
    grain, drawn = series.grain, _drawn(series.frame)
    names = list(dict.fromkeys(series.frame["segment"]))
    goals = None if where or series.by else _goals(context, kpi, series)
    lines = [line for name in names[:LINES] for line in _lines(kpi, series, drawn, name, goals, len(names))]
    limits = _limits(kpi, goals) if grain == kpi.grain and not where and not series.by else []
    projected = None if series.by or series.transformed else _projected(kpi, drawn, ahead)
    told = ahead if projected else None
    notes = [f"Data to {fmt.day_text(series.watermark)}.", *_left_out(kpi, series, told, context.now.year)]
    more = counted(len(names) - LINES, "more segment is", "more segments are")
    notes += [f"{more} in the table."] if len(names) > LINES else []
    return Chart(
        tuple(lines),
        tuple(limits),
        goals,
        _marks(context, kpi, drawn),
        *ticks(kpi),
        " ".join(notes),
        grain,
        _title(context, kpi, grain),
        projected,
    )


def comparable_grains(kpi: KpiCommon, catalogue: Catalogue) -> tuple[str, ...]:
    """Grains that are offered, and mean something beside the number: values of another scale do not."""
    comparable = kpi.longer(catalogue.kpis) != "other"
    return kpi.offered_grains if comparable else tuple(g for g in kpi.offered_grains if g == kpi.grain)


def scale_note(kpi: KpiCommon, catalogue: Catalogue) -> str:
    """Why other grains are not shown; empty where they are."""
    others = [grain for grain in kpi.offered_grains if grain not in comparable_grains(kpi, catalogue)]
    if not others:
        return ""
    return (
        f"Shown by {kpi.grain} only: its value depends on how long a period is, so by {' or '.join(others)} it would "
        f"be another number. `kpi query {kpi.name} --grain {others[0]}` gives it."
    )


def _title(context: DataContext, kpi: KpiCommon, grain: str) -> str:
    """`Sign-ups by month: all of a month added up`; empty at the home grain."""
    if grain == kpi.grain:
        return ""
    added = ": all of its " + kpi.grain + "s added up" if kpi.longer(context.catalogue.kpis) == "sum" else ""
    return f"By {grain}{added}"


def _drawn(frame: pd.DataFrame) -> pd.DataFrame:
    """From the first complete period to the last; what is not complete between them is a gap."""
    done = frame["complete"].to_numpy(dtype=bool)
    if not done.any():
        return frame.iloc[:0]
    inside = frame["period"].between(frame.loc[done, "period"].min(), frame.loc[done, "period"].max())
    values = [column for column in frame.columns if column not in ("segment", "period", "complete", "n", "parts")]
    return frame.assign(**{column: frame[column].where(done) for column in values})[inside.to_numpy(dtype=bool)]


def _lines(
    kpi: KpiCommon,
    series: Series,
    drawn: pd.DataFrame,
    segment: str,
    goals: tuple[list[pd.Timestamp], list[float]] | None,
    count: int,
) -> Iterator[Line]:
    part = drawn[drawn["segment"] == segment]
    target = dict(zip(*goals, strict=True)) if goals else {}
    main = [_pointed(kpi, row, target.get(row["period"])) for row in part.to_dict("records")]
    yield _line(segment or kpi.title, "segment" if series.by else "value", part, "value", main)
    for column in () if series.by else series.companions:
        yield _line(column.replace("_", " ").capitalize(), "companion", part, column, _told(kpi, part, column))
    if "comparison" in part and (not series.by or count <= COMPARED):
        name = f"{segment}, compared with" if series.by else "Compared with"
        yield _line(name, "comparison", part, "comparison", _told(kpi, part, "comparison"))


def _line(name: str, kind: str, part: pd.DataFrame, column: str, texts: list[str]) -> Line:
    return Line(name, kind, list(part["period"]), [float(v) for v in part[column]], texts)


def _told(kpi: KpiCommon, part: pd.DataFrame, column: str) -> list[str]:
    return [fmt.value_text(float(value), kpi) for value in part[column]]


def _pointed(kpi: KpiCommon, row: dict[str, object], target: float | None) -> str:
    """`1,320 · +3.0% · target 1,300 · n 1,320`: the period itself stands above it."""
    value, n = float(row["value"]), row["n"]  # type: ignore[arg-type]
    parts = [fmt.value_text(value, kpi)]
    if "comparison" in row and not pd.isna(row["difference"]):
        parts.append(fmt.change_text(value, float(row["comparison"]), kpi))  # type: ignore[arg-type]
    parts += [f"target {fmt.value_text(target, kpi)}"] if target is not None else []
    parts += [f"n {int(n):,}"] if n is not None and not pd.isna(n) else []  # type: ignore[call-overload]
    return " · ".join(filter(None, parts))


def _projected(kpi: KpiCommon, drawn: pd.DataFrame, found: Projection | None) -> Projected | None:
    if found is None or drawn.empty or drawn["period"].iloc[-1] >= found.period or pd.isna(drawn["value"].iloc[-1]):
        return None
    last = (drawn["period"].iloc[-1], float(drawn["value"].iloc[-1]))
    return Projected(last, found.period, found.value, found.low, found.high, pace_text(kpi, found))


def pace_text(kpi: KpiCommon, found: Projection) -> str:
    """`on pace for 2,710 (2,650 to 2,790)`."""
    middle, low, high = fmt.value_texts((found.value, found.low, found.high), kpi)
    return f"on pace for {middle}" + (f" ({low} to {high})" if not same(found.low, found.high) else "")


def _left_out(kpi: KpiCommon, series: Series, found: Projection | None, year: int) -> list[str]:
    """What is not drawn, and why: first periods that are not whole, and those that are not over or not final."""
    frame, grain = series.frame, series.grain
    early, said = early_rows(series), []
    if (early & frame["value"].notna()).any() and series.begins is not None:
        begin = fmt.period_text(series.begins.normalize(), "day", 0)
        count = frame.loc[early & frame["value"].notna(), "period"].nunique()
        what = f"its first {count} {grain}s are" if count > 1 else f"its first {grain} is"
        said.append(f"Left out: {what} not whole, its data begin on {begin}.")
    late = ~frame["complete"] & ~early
    waiting = frame.loc[late, "period"].drop_duplicates()
    if found is not None:
        when = fmt.period_text(found.period, grain, year)
        shown = fmt.value_text(found.so_far, kpi)
        said.append(
            f"Dashed: {when}, {shown} so far, {pace_text(kpi, found)} as the {found.earlier} "
            f"{_before(grain, found.period)} before it went."
        )
        return said
    if series.by is None and len(waiting) == 1 and (values := frame.loc[late, "value"].dropna()).size:
        when = fmt.period_text(waiting.iloc[0], grain, year)
        said.append(f"{when} so far: {fmt.value_text(float(values.iloc[0]), kpi)}; it is drawn when it is complete.")
    elif len(waiting):
        what = counted(len(waiting), f"{grain} is", f"{grain}s are")
        said.append(f"{what} not complete yet, and drawn when complete; the table has what is known so far.")
    return said


def _before(grain: str, period: pd.Timestamp) -> str:
    return f"{period:%A}s" if grain == "day" else f"{grain}s"


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


def early_rows(series: Series) -> pd.Series:
    """Rows of periods that are not complete and will not become so: a whole one lies after them."""
    frame = series.frame
    last = frame.loc[frame["complete"], "period"].max()
    before = frame["period"] < (last if series.begins is None or last > series.begins else series.begins)
    return before & ~frame["complete"]


def _marks(context: DataContext, kpi: KpiCommon, drawn: pd.DataFrame) -> tuple[Mark, ...]:
    if drawn.empty:
        return ()
    return marks_on(context.catalogue, kpi, drawn["period"].min(), drawn["period"].max() + pd.Timedelta(days=31))


def marks_on(catalogue: Catalogue, kpi: KpiCommon, first: pd.Timestamp, last: pd.Timestamp) -> tuple[Mark, ...]:
    """Launches, other marks and redefinitions of a KPI in a span of days, in their order."""
    found = []
    for launch in catalogue.launches:
        on = pd.Timestamp(launch.starts_on)
        if launch.concerns(kpi.name, kpi.area) and first <= on <= last:
            until = pd.Timestamp(launch.until) if launch.until else None
            found.append(Mark(on, launch.title, launch.kind, until, launch.name if launch.kind == "launch" else ""))
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
