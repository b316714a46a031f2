"""retention: who of a cohort comes back, period by period: the whole curve, and its entry `at`."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
from sqlglot import exp

from metrics.catalog.catalogue import Catalogue
from metrics.catalog.types.retention import Retention
from metrics.engine import frames, periods
from metrics.engine.dirty_ranges import FAR, DirtyRanges, merged
from metrics.engine.per_person import PerPerson, any_row
from metrics.engine.query import FACT_COLUMNS, Scope
from metrics.engine.sampling import Floats, numbers, shares
from metrics.engine.sql import trees
from metrics.engine.sql.entity_rows import DAY, Rows, entity_rows, ranked, rising
from metrics.engine.sql.measures import counted_days
from metrics.engine.types.contract import Rows as DatasetDays
from metrics.engine.types.contract import unchanged_or_everything

UNIT_DAYS = {"day": 1, "week": 7}
LONGEST = {"day": DAY, "week": 7 * DAY, "month": 31 * DAY}


def dirty_ranges(kpi: Retention, catalogue: Catalogue, rows: DatasetDays) -> DirtyRanges | None:
    """Who comes back, or becomes ripe, started up to a curve earlier; another first start moves who starts later, too.

    Where a return is looked for without end, anybody's may have moved.
    """
    start, back = (condition.dataset for condition in kpi.conditions.values())
    if kpi.mode == "rolling":
        return unchanged_or_everything(kpi, catalogue, rows)
    started, returned = rows[start], rows[back]
    if started is None or returned is None:
        return None
    curve = (kpi.length + 2) * LONGEST[kpi.unit]
    moved = [(started[0][0], FAR)] if started and kpi.cohort == "first" else started
    return merged([*moved, *((a - curve, b) for a, b in [*started, *returned])])


def facts(kpi: Retention, scope: Scope) -> pd.DataFrame:
    """Retained at `at` / cohort size; parts: the cohort's size, then who was there after 1, 2 … units.

    An entry is unknown until the watermark has passed it for every member of the cohort.
    """
    start, back = entity_rows(kpi, scope)
    names = [f"after_{k}" for k in range(kpi.length + 1)]
    sizes = trees.run_together(lambda one: _sizes(kpi, one), scope)
    returns = trees.run_together(lambda one: _returns(kpi, one), scope)
    sizes = sizes.assign(after_0=sizes["n"], **dict.fromkeys(names[1:], 0.0))
    wide = _curves(kpi, sizes, returns, names)
    wide = wide.assign(numerator=wide[f"after_{kpi.at}"], denominator=wide["n"])
    dataset = start.dataset
    zero = ("numerator", "denominator", *names) if dataset.empty == "zero" else ()
    found = frames.spined(wide, scope, dataset.name, zero=zero, parts=names)
    return frames.shared(_ripened(kpi, found, scope, (dataset.name, back.dataset.name)))


def from_days(kpi: Retention, daily: pd.DataFrame, scope: Scope) -> pd.DataFrame | None:
    """Who started once ever, or on a day, did so in its longer period alike."""
    if kpi.cohort == "recurring" and kpi.unit != "day":
        return None
    start, back = (condition.dataset for condition in kpi.conditions.values())
    names = [f"after_{k}" for k in range(kpi.length + 1)]
    zero = ("numerator", "denominator", *names) if scope.catalogue.datasets[start].empty == "zero" else ()

    def ripened(frame: pd.DataFrame) -> pd.DataFrame:
        return frames.shared(_ripened(kpi, frame, scope, (start, back)))

    return counted_days(daily, scope, start, ripened, zero=zero, parts=names)


def sampling(kpi: Retention, frame: pd.DataFrame) -> Floats:
    """Each of the cohort comes back or not."""
    return shares(numbers(frame, "value"), numbers(frame, "n"))


def _sizes(kpi: Retention, scope: Scope) -> exp.Select:
    """Size of each cohort."""
    start, _ = entity_rows(kpi, scope)
    size = exp.select(
        exp.column("segment").as_(trees.SEGMENT),
        exp.column("period").as_(trees.PERIOD),
        exp.Count(this=exp.Star()).as_("n"),
    )
    return trees.assembled(size.from_("cohort").group_by("segment", "period"), **_joined(kpi, scope, start))


def _returns(kpi: Retention, scope: Scope) -> exp.Select:
    """How many of each cohort are there `k` units later (rolling: are there last)."""
    start, back = entity_rows(kpi, scope)
    joined = _joined(kpi, scope, start)
    unit = kpi.unit if kpi.count_from == "calendar" else "day"
    returns = back.select(
        back.entity.as_("entity"),
        back.period(unit).as_("back_on"),
        start=scope.start - DAY,
        end=scope.end + (kpi.length + 2) * LONGEST[kpi.unit] if kpi.mode == "bounded" else None,
    ).distinct()
    if start.few:  # else nearly everybody's are read, and each would be looked up for nothing
        returns = returns.where(back.entity.isin(query=exp.select("entity").from_("cohort")))
    start_on, back_on = exp.column("start_on", "cohort"), exp.column("back_on", "returns")
    after = exp.GT(this=back_on.copy(), expression=start_on.copy())
    pairs = (
        exp.select(
            *(exp.column(name, "cohort") for name in ("segment", "period", "entity", "start_on")), back_on.copy()
        )
        .from_("cohort")
        .join("returns", on=exp.and_("returns.entity = cohort.entity", after))
    )
    if kpi.mode == "bounded":
        step, count = (unit, kpi.length + 1) if kpi.count_from == "calendar" else ("day", _days(kpi, kpi.length + 1))
        pairs = pairs.where(exp.LT(this=back_on.copy(), expression=trees.later(start_on, step, count)))
    else:  # the last return says how long each member was seen
        last = exp.Max(this=back_on.copy()).as_("back_on")
        pairs.set("expressions", [*pairs.expressions[:-1], last])
        pairs = pairs.group_by(*(exp.Literal.number(i) for i in (1, 2, 3, 4)))
    final = exp.select(
        exp.column("segment").as_(trees.SEGMENT),
        exp.column("period").as_(trees.PERIOD),
        "start_on",
        "back_on",
        exp.Count(this=exp.Star()).as_("entries"),
    ).from_("pairs")
    if kpi.count_from == "start" and kpi.unit != "day":
        # Several days of one week of its own are one return: which week is told by days since the start.
        gap = exp.DateDiff(this=exp.column("back_on"), expression=exp.column("start_on"), unit=exp.var("DAY"))
        week = exp.Floor(this=exp.Div(this=gap, expression=exp.Literal.number("7.0")))
        own = exp.select("segment", "period", "entity", "start_on", week.as_("back_on")).distinct().from_("pairs")
        final = final.from_("own_weeks")
        final = trees.assembled(final, **joined, returns=returns, pairs=pairs, own_weeks=own)
    else:
        final = trees.assembled(final, **joined, returns=returns, pairs=pairs)
    return final.group_by("segment", "period", "start_on", "back_on")


def _joined(kpi: Retention, scope: Scope, start: Rows) -> dict[str, exp.Query]:
    """Relations up to `cohort`: one row for each member and unit in which it starts."""
    unit = kpi.unit if kpi.count_from == "calendar" else "day"
    columns = [
        start.entity.as_("entity"),
        start.period().as_("period"),
        start.period(unit).as_("start_on"),
    ]
    if kpi.cohort == "recurring":
        columns = [start.segment.as_("segment"), *columns]
        rows = start.select(*columns, start=scope.start, end=scope.end, asked=True, broken_down=True)
        return {"cohort": rows.distinct()}
    # The first start ever decides the cohort and its segment; only then do filters choose.
    asked = exp.Case(ifs=[exp.If(this=exp.and_(*start.asked()), true=exp.Literal.number(1))]) if start.asked() else None
    rank = ranked(start, [rising(start.at)], [start.entity])
    segments = {name: f"d{i}" if scope.together else "segment" for i, name in enumerate(scope.together or [scope.by])}
    every = start.select(
        *(trees.segment(start.dataset, name or None).as_(column) for name, column in segments.items()),
        *columns,
        start.local.copy().as_("start_local"),
        (asked or exp.Literal.number(1)).as_("asked"),
        rank.as_("nth"),
        start=None,
        end=None,
    )
    segment = trees.segments(scope, lambda name: exp.column(segments[name]))
    cohort = exp.select(segment if not scope.together else segment.as_("segment"), "entity", "period", "start_on")
    cohort = trees.for_each_dimension(cohort.from_("starts"), scope).where("nth = 1").where("asked = 1")
    cohort = cohort.where(trees.in_range(exp.column("start_local"), scope.start, scope.end))
    return {"starts": every, "cohort": cohort}


def _curves(kpi: Retention, sizes: pd.DataFrame, returns: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """One row for each segment and period: n and the entries of the curve."""
    at = [trees.SEGMENT, trees.PERIOD]
    sizes = sizes.assign(**{trees.PERIOD: sizes[trees.PERIOD].fillna(pd.Timestamp(0))})
    if returns.empty:
        return sizes
    offset = _offsets(kpi, returns)
    if kpi.mode == "rolling":
        offset = offset.clip(upper=kpi.length)
    returns = returns.assign(offset=offset, **{trees.PERIOD: returns[trees.PERIOD].fillna(pd.Timestamp(0))})
    returns = returns[(returns["offset"] >= 1) & (returns["offset"] <= kpi.length)]
    wide = returns.groupby([*at, "offset"])["entries"].sum().unstack("offset", fill_value=0)
    wide = wide.reindex(columns=range(1, kpi.length + 1), fill_value=0).astype("float64")
    if kpi.mode == "rolling":  # seen last after k units: was still there after all fewer
        wide = wide.iloc[:, ::-1].cumsum(axis=1).iloc[:, ::-1]
    wide.columns = names[1:]
    both = sizes[[*at, "n", "after_0"]].merge(wide.reset_index(), on=at, how="left")
    return both.fillna(dict.fromkeys(names[1:], 0.0))


def _offsets(kpi: Retention, returns: pd.DataFrame) -> pd.Series:
    """Units between start and return."""
    if kpi.count_from == "start" and kpi.unit != "day":
        return returns["back_on"].astype("int64")
    if kpi.unit == "month":
        start, back = returns["start_on"].dt, returns["back_on"].dt
        return (back.year - start.year) * 12 + back.month - start.month
    return (returns["back_on"] - returns["start_on"]).dt.days // UNIT_DAYS[kpi.unit]


def _ripened(kpi: Retention, frame: pd.DataFrame, scope: Scope, datasets: tuple[str, ...]) -> pd.DataFrame:
    """`frame` with what the watermark has not passed yet, or nobody watched yet, as unknown, entry by entry."""
    fine = "hour" if scope.grain == "hour" else "day"
    mark = frames.watermark(scope, dict.fromkeys(datasets), fine)
    index = frames.scope_index(scope)
    ends = [scope.end] if scope.grain == periods.TOTAL else list(periods.ends(index, scope.grain))
    ripe = [0 if mark is None or mark < end else _ripe(kpi, end, mark, scope.week_start_days) for end in ends]
    starts = [scope.start] if scope.grain == periods.TOTAL else list(index)
    begin, watched = (frames.begins(scope, names, fine) for names in (datasets[:1], datasets[1:]))
    seen = [_watched(kpi, start, begin, watched, scope.week_start_days) for start in starts]
    whole = [mark is not None and mark >= end for end in ends]
    whole = [over and begin is not None and start >= begin for start, over in zip(starts, whole, strict=True)]
    times = len(frame) // max(1, len(ends))  # every segment has every period
    known, least = np.tile(np.array(ripe, dtype=int), times), np.tile(np.array(seen, dtype=int), times)
    there = (known >= kpi.at) & (least <= kpi.at)
    rows = [
        None if row is None else tuple(x if k == 0 or low <= k <= upto else float("nan") for k, x in enumerate(row))
        for row, low, upto in zip(frame["parts"], least, known, strict=True)
    ]
    parts = np.full(len(frame), None, dtype=object)
    parts[:] = rows
    complete = there & np.tile(np.array(whole, dtype=bool), times)
    return frame.assign(numerator=frame["numerator"].where(there), complete=complete, parts=parts)[FACT_COLUMNS]


def _watched(
    kpi: Retention,
    start: pd.Timestamp,
    begin: pd.Timestamp | None,
    watched: pd.Timestamp | None,
    week_start_days: int,
) -> int:
    """The first entry of a cohort's curve whose whole unit lies after what counts as coming back was first observed."""
    first = start if begin is None else max(start, begin)
    calendar = kpi.count_from == "calendar"
    base = periods.floor(first, kpi.unit, week_start_days) if calendar else first.normalize()
    for k in range(1, kpi.length + 1):
        at = periods.after(base, kpi.unit, k) if calendar else base + pd.Timedelta(days=_days(kpi, k))
        if watched is not None and at >= watched:
            return k
    return kpi.length + 1


def _ripe(kpi: Retention, end: pd.Timestamp, mark: pd.Timestamp, week_start_days: int) -> int:
    """How many entries of the curve are over for everyone who started before `end`."""
    last = end - timedelta(microseconds=1)
    if kpi.count_from == "calendar" and kpi.unit == "month":
        months = (mark.year - last.year) * 12 + mark.month - last.month  # whole ones since the last start's began
        return max(0, min(kpi.length, int(months) - 1))
    unit = last.normalize() if kpi.count_from == "start" else periods.floor(last, kpi.unit, week_start_days)
    return max(0, min(kpi.length, int((mark - unit).days) // UNIT_DAYS[kpi.unit] - 1))


def _days(kpi: Retention, units: int) -> int:
    return units * UNIT_DAYS[kpi.unit]


def settled_at(kpi: Retention, end: pd.Timestamp, grain: str, catalogue: Catalogue) -> pd.Timestamp:
    """When entry `at` of the curve is over for the last member of a cohort that ends then."""
    last = end - timedelta(microseconds=1)
    if kpi.count_from == "calendar" and kpi.unit == "month":
        return max(end, periods.after(periods.floor(last, "month"), "month", kpi.at + 1))
    start = last.normalize()
    if kpi.count_from == "calendar":
        start = periods.floor(last, kpi.unit, catalogue.week_start_days)
    return max(end, start + pd.Timedelta(days=(kpi.at + 1) * UNIT_DAYS[kpi.unit]))


def per_person(kpi: Retention, catalogue: Catalogue) -> PerPerson | str:
    """Whether a person was back in the unit `at` after the exposure."""
    if kpi.unit not in UNIT_DAYS:
        return "months after an exposure have no fixed length: write a retention by days or weeks"
    unit, back = timedelta(days=UNIT_DAYS[kpi.unit]), list(kpi.conditions.values())[1]
    window = unit if kpi.mode == "bounded" else None
    return PerPerson(any_row(back.dataset, back.filter), after=kpi.at * unit, window=window)
